internal import Kernel
internal import PolicyTables
internal import Tokens

/// One issuer of the policy with the keys it has now, and when it is asked again. Times of fetches are seconds since
/// boot, ages are wall time.
struct KeySlot: Sendable {
    let model: IssuerModel
    /// Relative key files are found here.
    let folder: String
    private(set) var issuerKeys: IssuerKeys
    private(set) var document: [UInt8] = []
    /// When the present document was last confirmed. Unix seconds.
    private(set) var confirmedAt: Int64 = 0
    var fileStamp: FileStamp?
    var isFileMissing = false
    var lastError: String?
    var waiters: [@Sendable () -> Void] = []
    private(set) var isFetching = false
    private(set) var nextFetch: Int64 = 0
    private var lastFetch: Int64?
    private var failures = 0

    init(model: IssuerModel, settings: IssuerSettings, folder: String) {
        self.model = model
        self.folder = folder
        issuerKeys = IssuerKeys(settings: settings, keys: nil)
    }

    var keys: KeySet? { issuerKeys.keys }

    /// Names of files resolved where they were written.
    var certificateAuthorityFile: String? {
        model.certificateAuthorityFile.map { Files.resolve($0, against: folder) }
    }

    var isRemote: Bool {
        switch model.keySource {
        case .file, .none: false
        case .uri, .discovery: true
        }
    }

    /// Where the keys come from, as it is kept in the store: keys from elsewhere are not taken over.
    var place: String {
        switch model.keySource {
        case .file(let path): path
        case .uri(let url): url
        case .discovery: "discovery \(model.issuer)"
        case .none: "none"
        }
    }

    func isSameSource(as other: KeySlot) -> Bool { model == other.model && folder == other.folder }

    /// Takes a document over. One that cannot be used leaves the keys as they were and says why in `lastError`; the
    /// same document again only renews its age.
    mutating func take(_ found: [UInt8], fetchedAt: Int64, staleSecondsMax: Int64, now: Int64) {
        if found == document, let keys = issuerKeys.keys {
            confirmedAt = fetchedAt
            lastError = nil
            setKeys(keys, staleSecondsMax, now)
            return
        }
        do throws(KeySetError) {
            let keys = try KeySet.parse(
                jwks: found.span, algorithms: issuerKeys.settings.algorithms, fetchedAt: fetchedAt)
            document = found
            confirmedAt = fetchedAt
            lastError = nil
            setKeys(keys, staleSecondsMax, now)
        } catch {
            lastError = "the key set is refused and the last good one is used: \(error)"
        }
    }

    /// The issuer's settings in a new policy; its keys stay.
    mutating func change(to settings: IssuerSettings, staleSecondsMax: Int64, now: Int64) {
        guard settings != issuerKeys.settings else { return }
        issuerKeys = IssuerKeys(settings: settings, keys: issuerKeys.keys, status: issuerKeys.status)
    }

    /// - Returns: whether the keys have become too old, or fresh again, by now.
    mutating func age(now: Int64, staleSecondsMax: Int64) -> Bool {
        guard let keys = issuerKeys.keys else { return false }
        let before = issuerKeys.status
        setKeys(keys, staleSecondsMax, now)
        return issuerKeys.status != before
    }

    private mutating func setKeys(_ keys: KeySet, _ staleSecondsMax: Int64, _ now: Int64) {
        let isStale = isRemote && now - confirmedAt > staleSecondsMax
        let status: IssuerKeys.Status = isStale ? .stale : .usable
        guard keys !== issuerKeys.keys || status != issuerKeys.status else { return }
        issuerKeys = IssuerKeys(settings: issuerKeys.settings, keys: keys, status: status)
    }

    // MARK: fetches

    /// Whether the last fetch is long enough ago for one that a request asks for.
    func mayFetch(after cooldownSeconds: Int64, now: Int64) -> Bool {
        guard let lastFetch else { return true }
        return now - lastFetch >= cooldownSeconds
    }

    mutating func begin(now: Int64) {
        isFetching = true
        lastFetch = now
    }

    /// Sets the next fetch: after `refreshSeconds`, ±10 %, or sooner the fewer failures there were in a row.
    mutating func end(now: Int64, refreshSeconds: Int64) {
        isFetching = false
        if lastError == nil {
            failures = 0
            let spread = max(1, refreshSeconds / 10)
            nextFetch = now + refreshSeconds + Int64.random(in: -spread...spread)
        } else {
            failures = min(failures + 1, 7)
            nextFetch = now + min(60, 1 << Int64(failures - 1))
        }
    }
}
