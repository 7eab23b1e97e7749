internal import Decision
internal import Kernel
internal import Octets
internal import PolicyTables
internal import Signatures
internal import Synchronization
internal import Tokens

/// Puts together what workers decide on: the policy version in force and the keys of its issuers, published as one
/// snapshot whenever either changes.
final class PolicyDesk: Sendable, Fetches {
    private struct State {
        var activation: Activation?
        var models: [IssuerModel] = []
        /// Where relative paths of the key files of this version start.
        var folder = ""
        /// The issuers' keys published last.
        var issuers: IssuerSnapshot?
        var revocations = RevocationSet.empty
        var statusLists = StatusListTable.empty
        var transactions: TransactionSigner?
        var isLoading = false
        /// A change came while a load was under way: load once more.
        var loadsAgain = false
    }

    let store: PolicyStore
    let loader: PolicyLoader
    private let board: SnapshotBoard
    let log: EventLog
    let clock: AnchoredClock
    let places: PolicyPlaces?
    /// The only one whose versions decide; nil takes any.
    let ownEnvironment: String?
    /// nil where versions need no signatures. Where they do, files are not read.
    let signing: SigningRule?
    /// Held from before the pointer moves until the snapshot is published, so that what comes in is made one after the
    /// other and each caller is told of its own. Reading and compiling happen before it is taken.
    let changing = Mutex<Void>(())
    /// What holds publications back while people change the policy.
    let hold = PublicationHold()
    /// Versions whose tables this process has compared with their source.
    let compared = Mutex<Set<Digest>>([])
    /// Why what the store has does not decide; nil where nothing stands against it.
    let startRefusal = Mutex<SigningRefusal?>(nil)
    private let state = Mutex(State())
    private let waiters = Mutex<[EventFD]>([])
    private let keyring: Keyring
    private let introspection: IntrospectionDesk
    private let statusLists: StatusListDesk
    private let receiver = StatusListReceiver()
    /// A candidate decided beside the version in force.
    let shadow: ShadowDesk

    init(
        store: PolicyStore, loader: PolicyLoader, board: SnapshotBoard, log: EventLog, clock: AnchoredClock,
        settings: KeySettings, places: PolicyPlaces?, environment: String? = nil, signing: SigningRule? = nil,
        introspections: IntrospectionRecords
    ) {
        self.store = store
        self.loader = loader
        self.board = board
        self.log = log
        self.clock = clock
        self.places = signing == nil ? places : nil
        ownEnvironment = environment
        self.signing = signing
        shadow = ShadowDesk(store: store, log: log, clock: clock)
        keyring = Keyring(store: store, settings: settings, log: log, clock: clock)
        introspection = IntrospectionDesk(
            records: introspections, clock: clock, log: log, defaultAuthorityFile: settings.certificateAuthorityFile)
        statusLists = StatusListDesk(
            clock: clock, log: log, defaultAuthorityFile: settings.certificateAuthorityFile,
            publish: { [receiver] in receiver.take($0) })
    }

    /// Loads the policy file, or goes on with what the store has, and starts to look after the keys.
    /// - Throws: when there is neither a file that can be loaded nor a policy in the store.
    func start() throws {
        keyring.start { [self] issuers in publish(issuers) }
        receiver.start { [self] lists in publish(lists) }
        guard signing == nil else {
            startSigned()
            return
        }
        let restored = try loader.restore(now: clock.nowSeconds()).flatMap { try isOfOtherEnvironment($0) ? nil : $0 }
        if let places {
            do {
                _ = try load(places, givesWay: false)
                return
            } catch {
                let isHeldBack = noteRefusal(places, error)
                guard restored != nil else {
                    throw StartRefusal(description: "the policy `\(places.label)` is refused:\n\(error)")
                }
                if !isHeldBack { logRefusal(places, "\(error)") }
            }
        }
        if let restored {
            use(restored, try issuers(of: restored.version))
        } else {
            log.write(
                .warning, "no_policy",
                "there is no policy: every request is answered 503; apply one with `scopecheck policy apply`, or give "
                    + "--policy FILE")
        }
    }

    func stop() {
        keyring.stop()
        introspection.stop()
        statusLists.stop()
    }

    func addWaiter(_ waiter: EventFD) { waiters.withLock { $0.append(waiter) } }

    // MARK: reload

    /// Loads the policy file on a thread of its own, or where signatures are required reads the trusted keys; while one load
    /// is under way, once more after it.
    func reload() {
        guard places != nil || signing != nil else {
            log.write(.warning, "reload_ignored", "no policy file was given to this daemon")
            return
        }
        let starts = state.withLock { state in
            if state.isLoading {
                state.loadsAgain = true
                return false
            }
            state.isLoading = true
            return true
        }
        guard starts else { return }
        do throws(SystemError) {
            // Compiled in a child; the stack is for the restoring of older layouts.
            _ = try SystemThread.start(name: "policy-load", stackBytes: 8 << 20, context: self) {
                $0.loadUntilSettled()
            }
        } catch {
            state.withLock { $0.isLoading = false }
            log.write(.error, "reload_failed", "no thread for loading the policy: \(error)")
        }
    }

    private func loadUntilSettled() {
        while true {
            loadOnce()
            let again = state.withLock { state in
                let again = state.loadsAgain
                state.loadsAgain = false
                if !again { state.isLoading = false }
                return again
            }
            if !again { return }
        }
    }

    private func loadOnce() {
        if let signing { return readTrustedKeys(signing) }
        guard let places else { return }
        let wasRefused = loader.lastOutcome?.refusal != nil
        do {
            guard try load(places, givesWay: true).isUnchanged else { return }
            log.write(
                .info, "policy_unchanged",
                "the policy file is what decides already"
                    + (wasRefused ? "; that it was refused before is over" : ""),
                [("file", places.label)])
        } catch {
            if !noteRefusal(places, error) { logRefusal(places, "\(error)") }
        }
    }

    private func load(_ places: PolicyPlaces, givesWay: Bool) throws -> PolicyChange {
        try hold.during { try loadHolding(places, givesWay: givesWay) }
    }

    private func loadHolding(_ places: PolicyPlaces, givesWay: Bool) throws -> PolicyChange {
        var attempts = 32
        while true {
            attempts -= 1
            // What services publish meanwhile must not be undone by a file that was joined with what they had before.
            let before = try store.active()?.version
            let loaded = try loader.version(of: places, environment: ownEnvironment, givesWay: givesWay)
            do {
                let made = try change(
                    to: loaded.version, cause: ActivationCause(kind: .file), folder: loaded.folder, expecting: before,
                    file: loaded.source)
                loader.note(places.label, now: clock.nowSeconds(), refusal: nil)
                return made
            } catch PolicyChangeRefusal.moved where attempts > 0 {
                continue
            }
        }
    }

    /// - Returns: whether the file is held back, which is nobody's mistake.
    private func noteRefusal(_ places: PolicyPlaces, _ error: any Error) -> Bool {
        loader.note(places.label, now: clock.nowSeconds(), refusal: "\(error)")
        guard case .store(.heldBack(let version)) = error as? PolicyChangeRefusal else { return false }
        log.write(
            .warning, "policy_file_held_back",
            "the policy file is not applied: \(error)", [("file", places.label), ("version", version.description)])
        return true
    }

    private func logRefusal(_ places: PolicyPlaces, _ refusal: String) {
        log.write(
            .error, "policy_refused", "the policy file is refused and the policy in force goes on serving",
            [("file", places.label), ("why", refusal)])
    }

    // MARK: publishing

    /// The issuers of one version, as its catalogue has them.
    struct Issuers {
        var models: [IssuerModel]
        var settings: [IssuerSettings]
    }

    func issuers(of version: Digest) throws -> Issuers {
        let read = try store.withCatalogue(version) { ($0.issuers(), $0.issuerSettings()) }
        guard let models = read.0, let settings = read.1 else {
            throw StartRefusal(description: "the issuers of policy version \(version) cannot be read")
        }
        return Issuers(models: models, settings: settings)
    }

    /// Makes the activation the one that decides.
    /// - Parameter timing: what to log of how long it took; asked when the next decision of every worker sees it.
    func use(
        _ activation: Activation, _ issuers: Issuers, timing: () -> [(String, String)] = { [] }
    ) {
        let folder = folder(of: activation)
        let isSame = state.withLock { $0.activation == activation }
        guard !isSame else { return }
        // Keys first: what the keyring publishes from here on is for the new issuers.
        state.withLock { state in
            let keys = keyring.use(issuers.models, settings: issuers.settings, folder: folder)
            state.activation = activation
            state.models = issuers.models
            state.folder = folder
            use(keys, &state)
        }
        let timing = timing()
        log.write(
            .info, "policy_active", "policy \(activation.number).\(activation.version.description.prefix(16)) decides",
            [
                ("number", "\(activation.number)"), ("version", activation.version.description),
                ("kind", activation.cause.kind.name), ("author", activation.cause.author),
                ("note", activation.cause.note),
            ] + timing)
        wakeWaiters()
        warnOfUnsigned(activation)
    }

    /// A service whose backend is to get a token that nobody signs is answered 503, on each request alone.
    private func warnOfUnsigned(_ activation: Activation) {
        guard state.withLock({ $0.transactions == nil }) else { return }
        let wants = try? store.withCatalogue(activation.version) { catalogue in
            (0..<catalogue.serviceCount).contains { catalogue.service($0)?.hasTransactionToken ?? false }
        }
        guard wants ?? false else { return }
        log.write(
            .warning, "no_transaction_signer",
            "the policy has services with `transaction_token`, and their requests are answered 503 signing_unavailable; "
                + "write `transaction_tokens: { issuer: … }` in the configuration")
    }

    /// New keys, or keys that have grown too old.
    private func publish(_ issuers: IssuerSnapshot) {
        state.withLock { state in
            // A snapshot made for the issuers of another policy, or overtaken by a newer one, is not for publishing.
            guard state.activation != nil, issuers.generation > state.issuers?.generation ?? 0,
                issuers.issuers.map({ String(decoding: $0.settings.issuer, as: UTF8.self) })
                    == state.models.map(\.issuer)
            else { return }
            use(issuers, &state)
        }
        wakeWaiters()
    }

    private func use(_ issuers: IssuerSnapshot, _ state: inout State) {
        state.issuers = issuers
        introspection.use(models: state.models, snapshot: issuers, folder: state.folder)
        statusLists.use(models: state.models, snapshot: issuers, folder: state.folder)
        publish(state)
    }

    /// What was revoked; the next decision of every worker sees it when this returns.
    func publish(_ revocations: RevocationSet) {
        state.withLock { state in
            state.revocations = revocations
            publish(state)
        }
    }

    /// The signer of transaction tokens; nil where there is none any more.
    func publish(_ signer: TransactionSigner?) {
        state.withLock { state in
            state.transactions = signer
            publish(state)
        }
    }

    private func publish(_ lists: StatusListTable) {
        state.withLock { state in
            state.statusLists = lists
            publish(state)
        }
        wakeWaiters()
    }

    private func publish(_ state: State) {
        guard let activation = state.activation, let issuers = state.issuers else { return }
        let snapshot = DecisionSnapshot(
            activation: activation.number, version: activation.version, issuers: issuers,
            revocations: state.revocations, statusLists: state.statusLists, transactions: state.transactions)
        board.publish(snapshot)
        shadow.follow(ShadowDesk.Active(snapshot: snapshot, models: state.models))
    }

    /// Nobody has signed for a folder, so with signatures it is the one that whoever started the daemon chose.
    func folder(of activation: Activation) -> String {
        if let signing { return signing.folder }
        if !activation.folder.isEmpty { return activation.folder }
        // Older builds knew the policy file's folder only.
        return places?.paths.first.map { Files.split($0).folder } ?? ""
    }

    private func wakeWaiters() {
        for waiter in waiters.withLock({ $0 }) { waiter.signal() }
    }

    // MARK: what a request waits for

    func wantKeys(issuerIndex: Int) -> Bool {
        keyring.wantKeys(issuerIndex: issuerIndex) { [self] in wakeWaiters() }
    }

    func wantIntrospection(_ question: IntrospectionQuestion) -> Bool {
        introspection.want(question) { [self] in wakeWaiters() }
    }

    func wantStatusList(_ question: StatusListQuestion) -> Bool {
        statusLists.want(question) { [self] in wakeWaiters() }
    }

    /// How long the issuer's tokens may live under the policy in force.
    func lifetime(ofIssuer issuer: [UInt8]) -> IssuerLifetime {
        state.withLock { state in
            guard let issuers = state.issuers else { return .notConsulted }
            guard let known = issuers.issuers.first(where: { $0.settings.issuer == issuer }) else {
                return .unknownIssuer
            }
            return known.settings.lifetimeSecondsMax > 0 ? .seconds(known.settings.lifetimeSecondsMax) : .unlimited
        }
    }

    // MARK: status

    var activation: Activation? { state.withLock { $0.activation } }
    var issuerStatus: [IssuerKeyStatus] { keyring.status }
    var introspectionStatus: [IntrospectionStatus] { introspection.status }
    var statusListStatus: [StatusListStatus] { statusLists.status }
    var lastLoad: PolicyLoader.Outcome? { loader.lastOutcome }
    /// The environment that the policy in force was read for.
    var environment: String? {
        activation.flatMap { (try? store.environment($0.version)) ?? nil }
    }
    /// The version of the policy file that does not come back by itself; nil also when it cannot be told.
    var heldBack: Digest? { places == nil ? nil : (try? store.heldBack()) ?? nil }

    func info() -> VersionInfo? {
        guard let activation else { return nil }
        return (try? store.info(activation.version)) ?? nil
    }

    var statusLine: String {
        activation.map { "policy \($0.number).\($0.version.description.prefix(16))" } ?? "no policy"
    }
}

/// Hands status lists on to whom it is told later.
private final class StatusListReceiver: Sendable {
    private let next = Mutex<(@Sendable (StatusListTable) -> Void)?>(nil)

    func start(_ next: @escaping @Sendable (StatusListTable) -> Void) { self.next.withLock { $0 = next } }
    func take(_ lists: StatusListTable) { next.withLock { $0 }?(lists) }
}

/// What a person must mend before the daemon can start.
struct StartRefusal: Error, CustomStringConvertible {
    var description: String
}
