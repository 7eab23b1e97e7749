internal import Decision
internal import Kernel
internal import Octets
internal import PolicyComparison
internal import PolicyTables
internal import Signatures
internal import Synchronization
internal import Tokens

/// A candidate version that is decided beside the active one on live traffic, and what would have come out differently.
///
/// The candidate answers nobody. It sees the same revocations and status lists, and for issuers that both versions
/// describe alike the same keys and replies; what it would have to ask somebody for is counted as unknown.
final class ShadowDesk: Sendable {
    /// What the active version decides on.
    struct Active: Sendable {
        var snapshot: DecisionSnapshot
        var models: [IssuerModel]
    }

    private struct Candidate {
        var version: Digest
        var models: [IssuerModel]
        var settings: [IssuerSettings]
        var startedAt: Int64
    }

    private struct State {
        var active: Active?
        var candidate: Candidate?
        /// Of the issuers' snapshots made here; workers verify again what they verified under an older one.
        var generation = UInt64.max / 2
    }

    /// What workers decide the candidate on.
    let board = SnapshotBoard()
    private let store: PolicyStore
    private let log: EventLog
    private let clock: AnchoredClock
    private let isOnFlag = Atomic<Bool>(false)
    private let state = Mutex(State())
    private let tally = Mutex(DecisionDifferences())

    init(store: PolicyStore, log: EventLog, clock: AnchoredClock) {
        self.store = store
        self.log = log
        self.clock = clock
    }

    /// Whether workers have anything to do here.
    var isOn: Bool { isOnFlag.load(ordering: .acquiring) }

    /// The candidate, which must stay in the store.
    var version: Digest? { state.withLock { $0.candidate?.version } }

    // MARK: commands

    /// What is compared, and since when, Unix seconds.
    var running: (version: Digest, startedAt: Int64)? {
        state.withLock { state in state.candidate.map { ($0.version, $0.startedAt) } }
    }

    /// Begins with a complete version of the store, in place of any other.
    /// - Returns: false for the version that decides, which would be compared with itself; nothing has changed then.
    /// - Throws: when it cannot be read.
    func start(_ version: Digest) throws(PolicyStoreError) -> Bool {
        try store.verify(version)
        let read = try store.withCatalogue(version) { ($0.issuers(), $0.issuerSettings()) }
        guard let models = read.0, let settings = read.1 else {
            throw .corrupt(version, what: "its issuers cannot be read")
        }
        let starts = state.withLock { state in
            guard state.active?.snapshot.version != version else { return false }
            tally.withLock { $0 = DecisionDifferences() }
            state.candidate = Candidate(
                version: version, models: models, settings: settings, startedAt: clock.nowSeconds())
            publish(&state)
            return true
        }
        guard starts else { return false }
        log.write(
            .info, "shadow_started", "version \(version.description.prefix(16)) is decided beside the active one",
            [("version", version.description)])
        return true
    }

    /// - Returns: whether there was anything to end.
    @discardableResult
    func stop() -> Bool {
        let ended = state.withLock { state in
            let ended = state.candidate?.version
            state.candidate = nil
            publish(&state)
            return ended
        }
        guard let ended else { return false }
        let counts = tally.withLock { ($0.sameCount, $0.differentCount) }
        log.write(
            .info, "shadow_ended", "\(counts.0) decisions were the same and \(counts.1) different",
            [("version", ended.description)])
        return true
    }

    struct Report: Sendable {
        var version: Digest
        /// Unix seconds.
        var startedAt: Int64
        var differences: DecisionDifferences
    }

    /// What was found so far; nil when nothing is compared.
    var report: Report? {
        guard let candidate = state.withLock({ $0.candidate }) else { return nil }
        return Report(
            version: candidate.version, startedAt: candidate.startedAt, differences: tally.withLock { $0 })
    }

    // MARK: what workers see

    /// The active version decides on something new.
    func follow(_ active: Active?) {
        state.withLock { state in
            state.active = active
            guard let candidate = state.candidate else { return }
            if candidate.version == active?.snapshot.version {
                // It is no candidate any more.
                state.candidate = nil
            }
            publish(&state)
        }
    }

    func note(_ body: (inout DecisionDifferences) -> Void) { tally.withLock { body(&$0) } }

    private func publish(_ state: inout State) {
        guard let candidate = state.candidate, let active = state.active else {
            isOnFlag.store(false, ordering: .releasing)
            board.publish(nil)
            return
        }
        let issuers: IssuerSnapshot
        if candidate.settings == active.snapshot.issuers.issuers.map(\.settings) {
            issuers = active.snapshot.issuers
        } else {
            state.generation += 1
            issuers = IssuerSnapshot(
                issuers: candidate.settings.indices.map { keys(of: candidate, $0, active) },
                generation: state.generation)
        }
        board.publish(
            DecisionSnapshot(
                activation: active.snapshot.activation, version: candidate.version, issuers: issuers,
                revocations: active.snapshot.revocations, statusLists: active.snapshot.statusLists))
        isOnFlag.store(true, ordering: .releasing)
    }

    /// The keys that the active version uses for the same issuer from the same place.
    private func keys(of candidate: Candidate, _ index: Int, _ active: Active) -> IssuerKeys {
        let settings = candidate.settings[index]
        let model = candidate.models[index]
        let known = active.models.firstIndex {
            $0.issuer.utf8.elementsEqual(model.issuer.utf8) && $0.keySource == model.keySource
        }
        guard let known, known < active.snapshot.issuers.issuers.count else {
            return IssuerKeys(settings: settings, keys: nil)
        }
        let held = active.snapshot.issuers.issuers[known]
        if held.settings.algorithms == settings.algorithms {
            return IssuerKeys(settings: settings, keys: held.keys, status: held.status)
        }
        // Which key may be used with which algorithm is decided when a set is read.
        guard let stored = (try? store.keys(ofIssuer: model.issuer)) ?? nil,
            let set = try? KeySet.parse(
                jwks: stored.document.span, algorithms: settings.algorithms, fetchedAt: stored.fetchedAt)
        else { return IssuerKeys(settings: settings, keys: nil) }
        return IssuerKeys(settings: settings, keys: set, status: held.status)
    }
}
