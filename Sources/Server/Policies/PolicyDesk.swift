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
        /// The issuers' keys published last.
        var issuers: IssuerSnapshot?
        var revocations = RevocationSet.empty
        var statusLists = StatusListTable.empty
        var transactions: TransactionSigner?
        var isLoading = false
        /// A change came while a load was under way: load once more.
        var loadsAgain = false
    }

    private let store: PolicyStore
    private let loader: PolicyLoader
    private let board: SnapshotBoard
    private let log: EventLog
    private let clock: AnchoredClock
    private let policyFile: String?
    private let state = Mutex(State())
    private let waiters = Mutex<[EventFD]>([])
    private let keyring: Keyring
    private let introspection: IntrospectionDesk
    private let statusLists: StatusListDesk
    private let receiver = StatusListReceiver()

    init(
        store: PolicyStore, loader: PolicyLoader, board: SnapshotBoard, log: EventLog, clock: AnchoredClock,
        settings: KeySettings, policyFile: String?, introspections: IntrospectionRecords
    ) {
        self.store = store
        self.loader = loader
        self.board = board
        self.log = log
        self.clock = clock
        self.policyFile = policyFile
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
        let restored = try loader.restore(now: clock.nowSeconds())
        if let policyFile {
            if let loaded = loader.load(policyFile, now: clock.nowSeconds(), givesWay: false, prepare: issuers(of:)) {
                use(loaded)
                return
            }
            let refusal = loader.lastOutcome?.refusal ?? ""
            guard restored != nil else {
                throw StartRefusal(description: "the policy `\(policyFile)` is refused:\n\(refusal)")
            }
            logRefusal(policyFile, refusal)
        }
        if let restored {
            use(restored, try issuers(of: restored.version))
        } else {
            log.write(
                .warning, "no_policy",
                "there is no policy: every request is answered 503; give --policy FILE or load one into the store")
        }
    }

    func stop() {
        keyring.stop()
        introspection.stop()
        statusLists.stop()
    }

    func addWaiter(_ waiter: EventFD) { waiters.withLock { $0.append(waiter) } }

    // MARK: reload

    /// Loads the policy file on a thread of its own; while one load is under way, once more after it.
    func reload() {
        guard policyFile != nil else {
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
        guard let policyFile else { return }
        guard let loaded = loader.load(policyFile, now: clock.nowSeconds(), givesWay: true, prepare: issuers(of:))
        else {
            logRefusal(policyFile, loader.lastOutcome?.refusal ?? "")
            return
        }
        use(loaded)
    }

    private func logRefusal(_ file: String, _ refusal: String) {
        log.write(
            .error, "policy_refused", "the policy file is refused and the policy in force goes on serving",
            [("file", file), ("why", refusal)])
    }

    // MARK: publishing

    /// The issuers of one version, as its catalogue has them.
    private struct Issuers {
        var models: [IssuerModel]
        var settings: [IssuerSettings]
    }

    private func issuers(of version: Digest) throws -> Issuers {
        let read = try store.withCatalogue(version) { ($0.issuers(), $0.issuerSettings()) }
        guard let models = read.0, let settings = read.1 else {
            throw StartRefusal(description: "the issuers of policy version \(version) cannot be read")
        }
        return Issuers(models: models, settings: settings)
    }

    private func use(_ loaded: PolicyLoader.Loaded<Issuers>) {
        use(loaded.activation, loaded.prepared) {
            let visible = SystemClock.monotonicNanoseconds() - loaded.activatedAt
            return [
                ("activation_us", "\(loaded.activationNanoseconds / 1_000)"), ("visible_us", "\(visible / 1_000)"),
            ]
        }
        loader.prune()
    }

    /// Makes the activation the one that decides.
    /// - Parameter timing: what to log of how long it took; asked when the next decision of every worker sees it.
    private func use(
        _ activation: Activation, _ issuers: Issuers, timing: () -> [(String, String)] = { [] }
    ) {
        let isSame = state.withLock { $0.activation == activation }
        guard !isSame else { return }
        // Keys first: what the keyring publishes from here on is for the new issuers.
        state.withLock { state in
            let keys = keyring.use(issuers.models, settings: issuers.settings, folder: folder)
            state.activation = activation
            state.models = issuers.models
            use(keys, &state)
        }
        let timing = timing()
        log.write(
            .info, "policy_active", "policy \(activation.number).\(activation.version.description.prefix(16)) decides",
            [("number", "\(activation.number)"), ("version", activation.version.description)] + timing)
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
        introspection.use(models: state.models, snapshot: issuers, folder: folder)
        statusLists.use(models: state.models, snapshot: issuers, folder: folder)
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
        board.publish(
            DecisionSnapshot(
                activation: activation.number, version: activation.version, issuers: issuers,
                revocations: state.revocations, statusLists: state.statusLists, transactions: state.transactions))
    }

    private var folder: String { policyFile.map { Files.split($0).folder } ?? "" }

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
