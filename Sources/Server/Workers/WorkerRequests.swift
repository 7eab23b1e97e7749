internal import Decision
internal import FastCGI
internal import HTTP1
internal import Kernel
internal import Octets
internal import SPOP
internal import Tokens

// Receiving, deciding, answering: what happens on one connection.

extension Worker {
    func handle(_ connection: Connection, _ readiness: Readiness) {
        let isGone = !readiness.isDisjoint(with: [.error, .hangUp])
        if connection.state == .sending, isGone || readiness.contains(.writable) {
            send(connection)
            return
        }
        if connection.state == .owingVerification || connection.state == .parked {
            // A peer that has gone needs no answer any more. Whatever else is ready stays in the kernel, and is not
            // asked about again until this request is answered.
            if isGone { close(connection) } else { stopWatching(connection) }
            return
        }
        guard isGone || readiness.contains(.readable) else { return }
        switch connection.state {
        case .receiving, .idle: receive(connection)
        case .owingVerification, .parked, .sending, .free: break
        }
    }

    func receive(_ connection: Connection) {
        switch connection.exchange.receive() {
        case .bytes:
            if connection.state == .idle {
                connection.state = .receiving
                connection.deadlineMilliseconds = clock.milliseconds + limits.receiveMilliseconds
            }
            // What did not fit into the buffer makes the socket ready once more.
            process(connection)
        case .wouldBlock: watch(connection, forWrite: false)
        case .closed, .failed, .bufferFull: close(connection)
        }
    }

    /// Works through what has been received.
    /// - Returns: whether the connection is open and waits for more bytes.
    @discardableResult
    func process(_ connection: Connection) -> Bool {
        let wire = listeners[connection.listener].wire
        while true {
            let progress: Progress
            switch wire {
            case .fastCGI: progress = stepFastCGI(connection)
            case .http: progress = stepHTTP(connection)
            case .spop: progress = stepSPOP(connection)
            }
            switch progress {
            case .wantsBytes: return send(connection) && waitForBytes(connection)
            case .wantsRoom:
                guard send(connection) else { return false }
                continue
            case .step: break
            }
            switch connection.state {
            case .receiving: break
            case .owingVerification, .parked:
                // Answers to earlier requests on this connection need not wait with this one.
                _ = connection.exchange.flush()
                return false
            case .sending, .idle, .free: return false
            }
            if connection.closesAfterSending {
                send(connection)
                return false
            }
        }
    }

    /// What became of one step of a codec.
    enum Progress {
        case step
        case wantsBytes
        /// Before the next answer.
        case wantsRoom
    }

    /// One step of the codec, and the decision when it is a request.
    private func stepFastCGI(_ connection: Connection) -> Progress {
        switch connection.exchange.nextFastCGI() {
        case nil: return .wantsRoom
        case .needBytes: return .wantsBytes
        case .close: connection.closesAfterSending = true
        case .request(let request):
            let facts = connection.exchange.facts(of: request, listeners[connection.listener].profile)
            let outcome = decide(facts, connection, firstLimits)
            guard case .answered = outcome else {
                connection.pendingFastCGI = request
                wait(connection, outcome)
                return .step
            }
            connection.deadlineMilliseconds = clock.milliseconds + limits.receiveMilliseconds
            answer(request, on: connection)
        }
        return .step
    }

    private func stepHTTP(_ connection: Connection) -> Progress {
        switch connection.exchange.nextHTTP() {
        case nil: return .wantsRoom
        case .needBytes: return .wantsBytes
        case .close: connection.closesAfterSending = true
        case .refuse(let status):
            HTTPConnection.appendRefusal(status, to: &connection.exchange.output)
            connection.closesAfterSending = true
        case .request(let request):
            let outcome = decide(request.facts, connection, firstLimits)
            guard case .answered = outcome else {
                connection.pendingHTTP = request
                wait(connection, outcome)
                return .step
            }
            connection.deadlineMilliseconds = clock.milliseconds + limits.receiveMilliseconds
            answer(request, on: connection)
        }
        return .step
    }

    /// Decides the request that has waited and writes its answer, or puts the connection into the line it must wait in.
    func serve(_ connection: Connection, mayWait: Bool, mayVerify: Bool = false) {
        if let asker = connection.asker, !isThere(asker) {
            // Nobody waits for this answer any more.
            close(connection)
            return
        }
        let wasWaiting = connection.state == .parked || connection.state == .owingVerification
        let outcome = decide(connection, DecisionLimits(mayVerify: mayVerify, mayWaitForKey: mayWait))
        guard case .answered = outcome else {
            wait(connection, outcome, mayVerify: mayVerify)
            return
        }
        if let asker = connection.asker {
            answerHeld(connection, of: asker)
            return
        }
        answer(connection)
        if wasWaiting { proceed(connection) }
    }

    /// Puts the connection into the line that it must wait in. One that may not wait is decided without.
    private func wait(_ connection: Connection, _ outcome: Outcome, mayVerify: Bool = false) {
        switch outcome {
        case .answered: return
        case .verificationOwed:
            connection.state = .owingVerification
            if !owing.append(connection) { refuseWaiting(connection) }
        case .keyOwed, .introspectionOwed, .statusListOwed:
            // A request waits once for each; another wake before its time is up lets it wait on, also when it has been in
            // the line for verifications meanwhile.
            let mayWaitOn = clock.milliseconds < connection.awaitDeadlineMilliseconds
            if mayWaitOn || connection.awaited.isDisjoint(with: awaited(outcome)),
                connection.state == .parked || mayPark(connection), want(outcome), park(connection, outcome)
            {
                return
            }
            serve(connection, mayWait: false, mayVerify: mayVerify)
        }
    }

    private func awaited(_ outcome: Outcome) -> Awaited {
        switch outcome {
        case .answered, .verificationOwed: []
        case .keyOwed: .keys
        case .introspectionOwed: .introspection
        case .statusListOwed: .statusList
        }
    }

    /// Asks for what the request needs.
    private func want(_ outcome: Outcome) -> Bool {
        switch outcome {
        case .answered, .verificationOwed: false
        case .keyOwed(let issuerIndex): fetches.wantKeys(issuerIndex: issuerIndex)
        case .introspectionOwed(let question): fetches.wantIntrospection(question)
        case .statusListOwed(let question): fetches.wantStatusList(question)
        }
    }

    /// A request that waits for the same thing again keeps the deadline that it has.
    private func park(_ connection: Connection, _ outcome: Outcome) -> Bool {
        if !parked.append(connection) {
            // Places of requests that were answered at their deadline stay in line until the next wake.
            for _ in 0..<parked.count {
                guard let next = parked.removeFirst() else { break }
                let other = connections[next.slot]
                if other.generation == next.generation, other.state == .parked, other !== connection {
                    _ = parked.append(other)
                }
            }
            guard parked.append(connection) else { return false }
        }
        if !connection.hasParked {
            connection.hasParked = true
            if connection.asker == nil { parkedConnections += 1 } else { parkedQuestions += 1 }
        }
        connection.state = .parked
        if connection.awaited.isDisjoint(with: awaited(outcome)) {
            connection.awaited.formUnion(awaited(outcome))
            connection.awaitDeadlineMilliseconds = clock.milliseconds + limits.waitMilliseconds(for: outcome)
        }
        connection.deadlineMilliseconds = connection.awaitDeadlineMilliseconds
        if case .introspectionOwed(let question) = outcome { connection.question = question }
        return true
    }

    /// Decides the request that waits on this connection, or in this place.
    private func decide(_ connection: Connection, _ limits: DecisionLimits) -> Outcome {
        if let request = connection.pendingFastCGI {
            let facts = connection.exchange.facts(of: request, listeners[connection.listener].profile)
            return decide(facts, connection, limits)
        }
        if let request = connection.pendingHTTP { return decide(request.facts, connection, limits) }
        guard case .request(let facts)? = connection.pendingSPOP?.question else {
            preconditionFailure("a connection without a request was served")
        }
        return decide(facts, connection, limits)
    }

    private func decide(
        _ facts: RequestFacts, _ connection: Connection, _ limits: DecisionLimits
    ) -> Outcome {
        let now = clock.unixSeconds
        return connection.exchange.received.withBytes { bytes in
            let outcome = decider.decide(facts, bytes, now: now, limits: limits)
            if case .answered = outcome { note(facts, bytes) }
            return outcome
        }
    }

    /// Answers the request that has waited on this connection.
    private func answer(_ connection: Connection) {
        connection.awaited = []
        connection.awaitDeadlineMilliseconds = 0
        connection.question = nil
        if connection.hasParked {
            connection.hasParked = false
            parkedConnections -= 1
        }
        connection.state = .receiving
        connection.deadlineMilliseconds = clock.milliseconds + limits.receiveMilliseconds
        if let request = connection.pendingFastCGI {
            answer(request, on: connection)
        } else if let request = connection.pendingHTTP {
            answer(request, on: connection)
        }
        connection.pendingFastCGI = nil
        connection.pendingHTTP = nil
    }

    private func answer(_ request: FastCGIRequest, on connection: Connection) {
        connection.closesAfterSending = decider.withAnswer { connection.exchange.answer(request, $0) }
    }

    private func answer(_ request: HTTPRequest, on connection: Connection) {
        // Facts that are not what a proxy's configuration sends may be a client's bytes that ended the proxy's
        // head early: whatever follows them on this connection could be the client's own request.
        connection.closesAfterSending = decider.withAnswer {
            connection.exchange.answer(request, $0, closing: $0.reason.areFactsDoubtful)
        }
    }

    /// After an answer that had to wait: send it, and go on with what the peer has sent meanwhile.
    private func proceed(_ connection: Connection) {
        if connection.closesAfterSending {
            send(connection)
            return
        }
        if process(connection) { receive(connection) }
    }

    // MARK: the two lines

    /// Serves requests that owe a verification, oldest first: one, and more for as long as the turn has taken so far, so
    /// that whoever comes meanwhile waits for one signature. In turns of up to `verificationMicrosecondsMax` those in line
    /// get half of the worker, in longer ones less, and never nothing.
    func serveOwing() {
        guard !owing.isEmpty else { return }
        let elapsed = clock.elapsedMicroseconds()
        let end = elapsed + min(elapsed, verificationMicrosecondsMax)
        repeat {
            guard let next = owing.removeFirst() else { return }
            let connection = connections[next.slot]
            guard connection.generation == next.generation, connection.state == .owingVerification else {
                continue
            }
            serve(connection, mayWait: true, mayVerify: true)
        } while clock.elapsedMicroseconds() < end
    }

    /// Decides every parked request again, on the newest snapshot; but not those whose issuer has not replied yet, since
    /// each would have its token verified once more for the reply to another one.
    func resumeParked() {
        let generation = board.snapshot?.issuers.generation
        for _ in 0..<parked.count {
            guard let next = parked.removeFirst() else { return }
            let connection = connections[next.slot]
            guard connection.generation == next.generation, connection.state == .parked else { continue }
            if let question = connection.question, question.generation == generation,
                clock.milliseconds < connection.deadlineMilliseconds,
                !introspections.knows(question, now: clock.unixSeconds),
                parked.append(connection)
            {
                continue
            }
            connection.question = nil
            serve(connection, mayWait: true)
        }
    }

    // MARK: sending

    /// Sends what has been written.
    /// - Returns: whether all of it is sent and the connection goes on.
    @discardableResult
    func send(_ connection: Connection) -> Bool {
        switch connection.exchange.flush() {
        case .all:
            if connection.closesAfterSending {
                close(connection)
                return false
            }
            if connection.state == .sending {
                connection.state = .receiving
                connection.deadlineMilliseconds = clock.milliseconds + limits.receiveMilliseconds
                // What came while the answer waited is in the buffer already.
                if process(connection) { watch(connection, forWrite: false) }
                return false
            }
            return true
        case .rest:
            if connection.state != .sending {
                connection.state = .sending
                connection.deadlineMilliseconds = clock.milliseconds + limits.sendMilliseconds
            }
            watch(connection, forWrite: true)
            return false
        case .failed:
            close(connection)
            return false
        }
    }

    /// All requests so far are answered.
    /// - Returns: true, for the caller to say that more bytes are wanted.
    private func waitForBytes(_ connection: Connection) -> Bool {
        if connection.exchange.isIdle(listeners[connection.listener].wire) {
            if isDraining, connection.waitingQuestions == 0 {
                endIdle(connection)
                return false
            }
            connection.state = .idle
            connection.deadlineMilliseconds = clock.milliseconds + limits.idleMilliseconds
        }
        watch(connection, forWrite: false)
        return true
    }

    private func stopWatching(_ connection: Connection) {
        guard connection.isRegistered else { return }
        connection.isRegistered = false
        // It fails only for a descriptor that is not watched.
        try? poll.remove(connection.exchange.descriptor.raw)
    }

    private func watch(_ connection: Connection, forWrite: Bool) {
        guard !connection.isRegistered || connection.waitsForWrite != forWrite else { return }
        let token = EventToken.connection(connection.slot, connection.generation).packed
        do throws(SystemError) {
            if connection.isRegistered {
                try poll.modify(connection.exchange.descriptor.raw, token: token, for: forWrite ? .writable : .readable)
            } else {
                try poll.add(connection.exchange.descriptor.raw, token: token, for: forWrite ? .writable : .readable)
            }
            connection.isRegistered = true
            connection.waitsForWrite = forWrite
        } catch {
            close(connection)
        }
    }
}

/// Of a request that has just come.
private var firstLimits: DecisionLimits { DecisionLimits(mayVerify: false, mayWaitForKey: true) }
/// Time that one turn may spend on signatures while cached tokens wait; at least one is verified.
private let verificationMicrosecondsMax: Int64 = 200
