internal import Decision
internal import Kernel
internal import Octets
internal import PolicyTables
internal import Signatures
internal import Synchronization
internal import Tokens

/// Puts together what workers decide on: the policy version in force and the keys of its issuers, published as one
/// snapshot whenever either changes.
final class PolicyDesk: Sendable, KeyWaiting {
    private struct State {
        var activation: Activation?
        var issuers: [IssuerModel] = []
        /// Of the issuers' keys published last.
        var generation: UInt64 = 0
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

    init(
        store: PolicyStore, loader: PolicyLoader, board: SnapshotBoard, log: EventLog, clock: AnchoredClock,
        settings: KeySettings, policyFile: String?
    ) {
        self.store = store
        self.loader = loader
        self.board = board
        self.log = log
        self.clock = clock
        self.policyFile = policyFile
        keyring = Keyring(store: store, settings: settings, log: log, clock: clock)
    }

    /// Loads the policy file, or goes on with what the store has, and starts to look after the keys.
    /// - Throws: when there is neither a file that can be loaded nor a policy in the store.
    func start() throws {
        keyring.start { [self] issuers in publish(issuers) }
        let restored = try loader.restore(now: clock.nowSeconds())
        if let policyFile {
            if let activation = loader.load(policyFile, now: clock.nowSeconds()) {
                try use(activation)
                return
            }
            let refusal = loader.lastOutcome?.refusal ?? ""
            guard restored != nil else {
                throw StartRefusal(description: "the policy `\(policyFile)` is refused:\n\(refusal)")
            }
            logRefusal(policyFile, refusal)
        }
        if let restored {
            try use(restored)
        } else {
            log.write(
                .warning, "no_policy",
                "there is no policy: every request is answered 503; give --policy FILE or load one into the store")
        }
    }

    func stop() { keyring.stop() }

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
        guard let activation = loader.load(policyFile, now: clock.nowSeconds()) else {
            logRefusal(policyFile, loader.lastOutcome?.refusal ?? "")
            return
        }
        do {
            try use(activation)
        } catch {
            log.write(.error, "policy_refused", "the new policy cannot be used, the old one goes on: \(error)")
        }
    }

    private func logRefusal(_ file: String, _ refusal: String) {
        log.write(
            .error, "policy_refused", "the policy file is refused and the policy in force goes on serving",
            [("file", file), ("why", refusal)])
    }

    // MARK: publishing

    /// Makes the activation the one that decides.
    private func use(_ activation: Activation) throws {
        let isSame = state.withLock { $0.activation == activation }
        guard !isSame else { return }
        let read = try store.withCatalogue(activation.version) { catalogue in
            (catalogue.issuers(), catalogue.issuerSettings())
        }
        guard let models = read.0, let settings = read.1 else {
            throw StartRefusal(description: "the issuers of policy version \(activation.version) cannot be read")
        }
        let folder = policyFile.map { Files.split($0).folder } ?? ""
        // Keys first: what the keyring publishes from here on is for the new issuers.
        state.withLock { state in
            let issuers = keyring.use(models, settings: settings, folder: folder)
            state.activation = activation
            state.issuers = models
            state.generation = issuers.generation
            board.publish(
                DecisionSnapshot(activation: activation.number, version: activation.version, issuers: issuers))
        }
        log.write(
            .info, "policy_active", "policy \(activation.number).\(activation.version.description.prefix(16)) decides",
            [("number", "\(activation.number)"), ("version", activation.version.description)])
        wakeWaiters()
    }

    /// New keys, or keys that have grown too old.
    private func publish(_ issuers: IssuerSnapshot) {
        state.withLock { state in
            // A snapshot made for the issuers of another policy, or overtaken by a newer one, is not for publishing.
            guard let activation = state.activation, issuers.generation > state.generation,
                issuers.issuers.map({ String(decoding: $0.settings.issuer, as: UTF8.self) })
                    == state.issuers.map(\.issuer)
            else { return }
            state.generation = issuers.generation
            board.publish(
                DecisionSnapshot(activation: activation.number, version: activation.version, issuers: issuers))
        }
        wakeWaiters()
    }

    private func wakeWaiters() {
        for waiter in waiters.withLock({ $0 }) { waiter.signal() }
    }

    // MARK: keys that a request waits for

    func wantKeys(issuerIndex: Int) -> Bool {
        keyring.wantKeys(issuerIndex: issuerIndex) { [self] in wakeWaiters() }
    }

    // MARK: status

    var activation: Activation? { state.withLock { $0.activation } }
    var issuerStatus: [IssuerKeyStatus] { keyring.status }
    var lastLoad: PolicyLoader.Outcome? { loader.lastOutcome }

    func info() -> VersionInfo? {
        guard let activation else { return nil }
        return (try? store.info(activation.version)) ?? nil
    }

    var statusLine: String {
        activation.map { "policy \($0.number).\($0.version.description.prefix(16))" } ?? "no policy"
    }
}

/// What a person must mend before the daemon can start.
struct StartRefusal: Error, CustomStringConvertible {
    var description: String
}
