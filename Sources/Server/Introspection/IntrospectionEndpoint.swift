internal import Decision
internal import Kernel
internal import PolicyTables
internal import Signatures
internal import Synchronization
internal import Tokens

/// One issuer that is asked about tokens: how we authenticate there, what is under way, and whether it answers.
final class IntrospectionEndpoint: Sendable {
    /// Exchanges at once.
    static let exchangesMax = 64
    /// Questions that wait for one of them to end. What is waited for longer than its deadline is not asked any more.
    static let waitingMax = 1_024
    /// Ends what its own deadline has not: that of an exchange is at most 5 s.
    static let connectionMillisecondsMax: Int64 = 60_000
    /// Whoever waited must find what came, also when a second has just begun.
    static let keptSecondsMin: Int64 = 2
    /// Between two events of one kind: which failure it is may be up to whoever sends tokens.
    private static let eventMilliseconds: Int64 = 1_000

    /// Findings belong to a generation of issuers.
    private struct Key: Hashable {
        var digest: Digest
        var generation: UInt64
    }

    private struct Flight {
        var question: IntrospectionQuestion
        var snapshot: IssuerSnapshot
        /// One call wakes everybody: a flood of requests adds nothing.
        var done: @Sendable () -> Void
        var askedAt: Int64
    }

    private struct State {
        var breaker = CircuitBreaker()
        /// Under way or in line.
        var flights: [Key: Flight] = [:]
        var line: [Key] = []
        var exchanging = 0
        var isStopped = false
        var exchangeCount: UInt64 = 0
        var failureCount: UInt64 = 0
        var lastMilliseconds: Int64?
        var lastError: String?
        /// The problem that an event has told of since the last good exchange.
        var toldError: String?
        var toldAt: Int64?
    }

    private struct CredentialState {
        var credential: ClientCredential?
        /// Why there is none.
        var problem: String?
    }

    private enum End {
        case answered
        /// It answered, and what it said is of no use.
        case useless(String)
        /// It does not answer as an introspection endpoint does.
        case failed(String)
        /// It does not take us for its client.
        case rejected(String, countsAsFailure: Bool)
        /// Nothing was asked.
        case withdrawn
    }

    private let model: IssuerModel
    private let introspection: IntrospectionModel
    private let folder: String
    private let authorityFile: String?
    private let context: IntrospectionContext
    private let state = Mutex(State())
    private let credentials = Mutex(CredentialState())

    init(_ model: IssuerModel, _ introspection: IntrospectionModel, folder: String, _ context: IntrospectionContext) {
        self.model = model
        self.introspection = introspection
        self.folder = folder
        self.context = context
        let file = introspection.certificateAuthorityFile ?? model.certificateAuthorityFile
        authorityFile = file.map { Files.resolve($0, against: folder) } ?? context.defaultAuthorityFile
    }

    func isSame(as other: IssuerModel, folder: String) -> Bool {
        model.issuer == other.issuer && introspection == other.introspection && self.folder == folder
            && model.certificateAuthorityFile == other.certificateAuthorityFile
    }

    // MARK: questions

    func want(
        _ question: IntrospectionQuestion, _ snapshot: IssuerSnapshot, _ done: @escaping @Sendable () -> Void
    ) -> Bool {
        let now = context.milliseconds()
        let key = Key(digest: question.digest, generation: question.generation)
        let flight = Flight(question: question, snapshot: snapshot, done: done, askedAt: now)
        let (isTaken, admission) = state.withLock { state -> (Bool, CircuitBreaker.Admission?) in
            guard !state.isStopped else { return (false, nil) }
            guard state.flights[key] == nil else { return (true, nil) }
            if state.exchanging < IntrospectionEndpoint.exchangesMax {
                guard let admission = state.breaker.begin(now: now) else { return (false, nil) }
                state.exchanging += 1
                state.flights[key] = flight
                return (true, admission)
            }
            guard state.breaker.state(now: now) == .closed, state.line.count < IntrospectionEndpoint.waitingMax else {
                return (false, nil)
            }
            state.line.append(key)
            state.flights[key] = flight
            return (true, nil)
        }
        if let admission { begin(flight, admission) }
        return isTaken
    }

    func stop() {
        let waiting = state.withLock { state in
            state.isStopped = true
            return IntrospectionEndpoint.emptyLine(&state)
        }
        for done in waiting { done() }
    }

    private static func emptyLine(_ state: inout State) -> [@Sendable () -> Void] {
        let waiting = state.line.compactMap { state.flights.removeValue(forKey: $0)?.done }
        state.line = []
        return waiting
    }

    private func begin(_ flight: Flight, _ admission: CircuitBreaker.Admission) {
        Task.detached { [self] in
            let start = context.milliseconds()
            let (finding, end) = await exchange(flight.question, flight.snapshot)
            keep(finding, flight.question)
            finish(flight, admission, end, milliseconds: context.milliseconds() - start)
        }
    }

    private func keep(_ finding: IntrospectionFinding, _ question: IntrospectionQuestion) {
        let now = context.clock.nowSeconds()
        let until: Int64 =
            switch finding {
            case .active(let token): min(token.freshUntil, now + Int64(introspection.cacheSecondsMax))
            case .inactive, .refused:
                now + max(IntrospectionEndpoint.keptSecondsMin, Int64(introspection.negativeSecondsMax))
            case .unavailable: now + IntrospectionEndpoint.keptSecondsMin
            }
        context.records.store(finding, for: question, until: until)
    }

    /// Lets the next ones in line begin, or sends all of them away when the issuer is left alone from now on.
    private func finish(
        _ flight: Flight, _ admission: CircuitBreaker.Admission, _ end: End, milliseconds: Int64
    ) {
        let now = context.milliseconds()
        var woken = [flight.done]
        var next: [(Flight, CircuitBreaker.Admission)] = []
        let events = state.withLock { state in
            state.flights[Key(digest: flight.question.digest, generation: flight.question.generation)] = nil
            state.exchanging -= 1
            if case .withdrawn = end {
            } else {
                state.exchangeCount += 1
                state.lastMilliseconds = milliseconds
            }
            let events = take(end, admission, now, &state)
            while !state.line.isEmpty, state.exchanging < IntrospectionEndpoint.exchangesMax {
                guard !state.isStopped, let admission = state.breaker.begin(now: now) else {
                    woken += IntrospectionEndpoint.emptyLine(&state)
                    break
                }
                guard let waiting = state.flights[state.line.removeFirst()] else {
                    state.breaker.withdraw(admission)
                    continue
                }
                guard now - waiting.askedAt < Int64(introspection.timeoutMilliseconds) else {
                    state.breaker.withdraw(admission)
                    let key = Key(digest: waiting.question.digest, generation: waiting.question.generation)
                    state.flights[key] = nil
                    woken.append(waiting.done)
                    continue
                }
                state.exchanging += 1
                next.append((waiting, admission))
            }
            return events
        }
        for event in events { context.log.write(event.level, event.name, event.message, event.fields) }
        for (flight, admission) in next { begin(flight, admission) }
        for done in woken { done() }
    }

    // MARK: one exchange

    private func exchange(
        _ question: IntrospectionQuestion, _ snapshot: IssuerSnapshot
    ) async -> (IntrospectionFinding, End) {
        let local: VerifiedToken?
        switch verify(question, snapshot) {
        case .asks(let token): local = token
        case .finds(let finding): return (finding, .withdrawn)
        }
        guard let credential = readCredential() else { return (.unavailable, .withdrawn) }
        let request: HTTPSRequest
        do throws(ClientCredentialError) {
            request = try credential.request(
                about: question.token, introspection, issuer: model.issuer, now: context.clock.nowSeconds())
        } catch {
            return (.unavailable, .failed("\(error)"))
        }
        let reply: HTTPSReply
        do throws(HTTPSError) {
            reply = try await context.clients.exchange(
                request, authorityFile: authorityFile, identity: credential.identity)
        } catch {
            // One token's reply is too long; that says nothing of others.
            if case .tooLarge = error { return (.unavailable, .useless("\(error)")) }
            return (.unavailable, .failed("\(error)"))
        }
        return read(reply, question, snapshot, local)
    }

    private enum Verification {
        case asks(VerifiedToken?)
        case finds(IntrospectionFinding)
    }

    /// What its issuer would not have signed is not sent to it.
    private func verify(_ question: IntrospectionQuestion, _ snapshot: IssuerSnapshot) -> Verification {
        let result = TokenVerifier(takesBoundTokens: true).verify(
            question.token.span, digest: question.digest, issuers: snapshot, now: context.clock.nowSeconds())
        switch result {
        case .refused(.malformed), .refused(.headerMalformed), .refused(.encrypted): return .asks(nil)
        case .verified(let token):
            guard introspection.use == .all, token.issuerIndex == question.issuerIndex else {
                return .finds(.refused(.unknownIssuer))
            }
            return .asks(token)
        case .refused(let refusal): return .finds(.refused(refusal))
        case .unknownKey, .keysUnavailable, .keysStale: return .finds(.unavailable)
        }
    }

    private func read(
        _ reply: HTTPSReply, _ question: IntrospectionQuestion, _ snapshot: IssuerSnapshot, _ local: VerifiedToken?
    ) -> (IntrospectionFinding, End) {
        guard reply.status == 200 else {
            let problem = "`\(introspection.endpoint)` answered \(reply.status)"
            return switch reply.status {
            case 401: (.unavailable, .rejected(problem, countsAsFailure: true))
            // These may also be about the token, which a client has chosen: they do not keep others from being asked.
            case 400, 403: (.unavailable, .rejected(problem, countsAsFailure: false))
            case 402..<500: (.unavailable, .useless(problem))
            default: (.unavailable, .failed(problem))
            }
        }
        let isJWT = reply.mediaType == "application/token-introspection+jwt"
        guard isJWT || reply.mediaType == "application/json" && !introspection.demandsJWT else {
            let wanted = introspection.demandsJWT ? "application/token-introspection+jwt" : "application/json"
            return (.unavailable, .failed("`\(introspection.endpoint)` answered with another type than \(wanted)"))
        }
        let result = IntrospectionReader().read(
            reply.body.span, isJWT: isJWT, token: question.digest, issuers: snapshot,
            issuerIndex: question.issuerIndex, local: local, now: context.clock.nowSeconds())
        switch result {
        case .active(let token): return (.active(token), .answered)
        case .inactive: return (.inactive, .answered)
        case .refused(let refusal): return (.refused(refusal), .answered)
        case .unreadable(let problem):
            return (.unavailable, .useless("`\(introspection.endpoint)`: \(problem)"))
        }
    }

    // MARK: credential

    /// The credential of the moment, read again when its files have changed.
    /// - Returns: nil while they cannot be read: nothing is asked without it.
    @discardableResult
    func readCredential() -> ClientCredential? {
        let known = credentials.withLock { $0.credential }
        if let known, known.isCurrent(introspection, folder: folder) { return known }
        do throws(ClientCredentialError) {
            let read = try ClientCredential.read(introspection, folder: folder, issuer: model.issuer)
            let wasBad = credentials.withLock { state in
                defer { state = CredentialState(credential: read) }
                return state.problem != nil
            }
            if wasBad || known != nil {
                context.log.write(
                    .info, "introspection_credential_changed", "a new credential for an issuer is in use",
                    [("issuer", model.issuer)])
            }
            return read
        } catch {
            let problem = "\(error)"
            let isNew = credentials.withLock { state in
                defer { state = CredentialState(problem: problem) }
                return state.problem != problem
            }
            if isNew {
                context.log.write(
                    .error, "introspection_credential_unreadable",
                    "tokens of an issuer that is asked about them are denied until its credential can be read",
                    [("issuer", model.issuer), ("why", problem)])
            }
            return nil
        }
    }

    // MARK: what is known of it

    var status: IntrospectionStatus {
        let now = context.milliseconds()
        let problem = credentials.withLock { $0.problem }
        return state.withLock { state in
            IntrospectionStatus(
                issuer: model.issuer, state: state.breaker.state(now: now).rawValue,
                exchangeCount: state.exchangeCount, failureCount: state.failureCount,
                lastError: problem ?? state.lastError, lastMilliseconds: state.lastMilliseconds)
        }
    }

    private struct Event {
        var level: EventLog.Level
        var name: String
        var message: String
        var fields: [(String, String)]
    }

    /// Counts an exchange, and says what there is to tell of it.
    private func take(
        _ end: End, _ admission: CircuitBreaker.Admission, _ now: Int64, _ state: inout State
    ) -> [Event] {
        var problem: String?
        var hasFailed = false
        var isRejected = false
        switch end {
        case .withdrawn:
            state.breaker.withdraw(admission)
            return []
        case .answered: break
        case .useless(let text): problem = text
        case .failed(let text): (problem, hasFailed) = (text, true)
        case .rejected(let text, let countsAsFailure): (problem, hasFailed, isRejected) = (text, countsAsFailure, true)
        }
        var events: [Event] = []
        let fields = [("issuer", model.issuer), ("why", problem ?? "")]
        let mayTell = state.toldAt.map { now - $0 >= IntrospectionEndpoint.eventMilliseconds } ?? true
        if let problem, problem != state.toldError, mayTell {
            events.append(
                isRejected
                    ? Event(
                        level: .error, name: "introspection_rejected",
                        message:
                            "an issuer does not take our credential; correct client_id, auth, or the file it names",
                        fields: fields)
                    : Event(
                        level: .warning, name: "introspection_failed",
                        message: "an issuer could not be asked about a token", fields: fields))
            state.toldError = problem
            state.toldAt = now
        }
        if problem == nil { state.toldError = nil } else { state.failureCount += 1 }
        state.lastError = problem
        let before = state.breaker.state(now: now)
        if hasFailed {
            if state.breaker.fail(admission, now: now) {
                events.append(
                    Event(
                        level: .warning, name: "introspection_paused",
                        message: "an issuer does not answer and is left alone for a while", fields: fields))
            }
        } else {
            state.breaker.succeed(admission)
            if before != .closed {
                events.append(
                    Event(
                        level: .info, name: "introspection_resumed", message: "an issuer answers again",
                        fields: [("issuer", model.issuer)]))
            }
        }
        return events
    }
}
