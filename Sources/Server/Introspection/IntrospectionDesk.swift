internal import Decision
internal import Kernel
internal import PolicyTables
internal import Synchronization
internal import Tokens

/// What `scopecheck status` says of one issuer that is asked about tokens.
struct IntrospectionStatus: Sendable {
    var issuer: String
    /// closed: it is asked; open: it is left alone for a while; half-open: one question tries it.
    var state: String
    var exchangeCount: UInt64
    var failureCount: UInt64
    /// nil when the last exchange was good.
    var lastError: String?
    /// How long the last exchange took; nil before the first.
    var lastMilliseconds: Int64?
}

/// Asks issuers whether tokens are active (RFC 7662), and keeps their replies where all workers find them.
///
/// One exchange for a token, whoever waits for it; an issuer that does not answer is left alone for a while.
final class IntrospectionDesk: Sendable {
    private struct State {
        var models: [IssuerModel] = []
        var folder = ""
        /// By issuer index; nil for those that are never asked.
        var endpoints: [IntrospectionEndpoint?] = []
        var snapshot: IssuerSnapshot?
        var isStopped = false
    }

    private let context: IntrospectionContext
    private let state = Mutex(State())

    /// - Parameter nanoseconds: a clock that never goes back.
    init(
        records: IntrospectionRecords, clock: AnchoredClock, log: EventLog, defaultAuthorityFile: String?,
        nanoseconds: @escaping @Sendable () -> Int64 = SystemClock.boottimeNanoseconds
    ) {
        context = IntrospectionContext(
            records: records, clock: clock, log: log, defaultAuthorityFile: defaultAuthorityFile,
            clients: HTTPSClients(
                timeoutMilliseconds: IntrospectionEndpoint.connectionMillisecondsMax,
                connectionsMax: IntrospectionEndpoint.exchangesMax),
            milliseconds: { nanoseconds() / 1_000_000 })
    }

    /// Takes the issuers of a policy and their keys. Those that are asked as before keep what is known of them; secrets
    /// and keys of the others are read now.
    func use(models: [IssuerModel], snapshot: IssuerSnapshot, folder: String) {
        let (made, gone) = state.withLock { state -> ([IntrospectionEndpoint], [IntrospectionEndpoint]) in
            guard !state.isStopped else { return ([], []) }
            state.snapshot = snapshot
            guard models != state.models || folder != state.folder else { return ([], []) }
            let before = state.endpoints.compactMap(\.self)
            state.models = models
            state.folder = folder
            state.endpoints = models.map { model in
                guard let introspection = model.introspection else { return nil }
                return before.first { $0.isSame(as: model, folder: folder) }
                    ?? IntrospectionEndpoint(model, introspection, folder: folder, context)
            }
            let now = state.endpoints.compactMap(\.self)
            return (
                now.filter { new in !before.contains { $0 === new } },
                before.filter { old in !now.contains { $0 === old } }
            )
        }
        for endpoint in made { endpoint.readCredential() }
        // Elsewhere: the caller may hold a lock that whoever waits takes.
        if !gone.isEmpty { Task.detached { for endpoint in gone { endpoint.stop() } } }
    }

    /// A request waits for what an issuer says of its token.
    /// - Parameter done: called when the exchange has ended, well or not; of several callers that wait for one
    ///   exchange, only the first one's is, so it must wake all.
    /// - Returns: whether there is an exchange to wait for.
    func want(_ question: IntrospectionQuestion, _ done: @escaping @Sendable () -> Void) -> Bool {
        let found: (IntrospectionEndpoint, IssuerSnapshot)? = state.withLock { state in
            guard !state.isStopped, let snapshot = state.snapshot, snapshot.generation == question.generation,
                question.issuerIndex >= 0, question.issuerIndex < state.endpoints.count,
                question.issuerIndex < snapshot.issuers.count, let endpoint = state.endpoints[question.issuerIndex]
            else { return nil }
            return (endpoint, snapshot)
        }
        guard let (endpoint, snapshot) = found else { return false }
        return endpoint.want(question, snapshot, done)
    }

    /// In the order of the policy.
    var status: [IntrospectionStatus] {
        state.withLock { $0.endpoints.compactMap(\.self) }.map(\.status)
    }

    /// Whoever waits is woken; nothing is asked from now on.
    func stop() {
        let endpoints = state.withLock { state in
            state.isStopped = true
            defer { state.endpoints = [] }
            return state.endpoints.compactMap(\.self)
        }
        for endpoint in endpoints { endpoint.stop() }
        context.clients.stop()
    }
}

/// What the endpoints of one desk share.
struct IntrospectionContext: Sendable {
    var records: IntrospectionRecords
    var clock: AnchoredClock
    var log: EventLog
    var defaultAuthorityFile: String?
    var clients: HTTPSClients
    /// Never goes back.
    var milliseconds: @Sendable () -> Int64
}
