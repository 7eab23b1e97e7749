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
        while true {
            switch connection.descriptor.receive(into: &connection.received) {
            case .bytes:
                if connection.state == .idle {
                    connection.state = .receiving
                    connection.deadlineMilliseconds = clock.milliseconds + limits.receiveMilliseconds
                }
                // True when the connection waits for bytes once more: read again only where some may be left.
                guard process(connection), connection.received.freeCount == 0 else { return }
            case .wouldBlock:
                watch(connection, forWrite: false)
                return
            case .closed, .failed, .bufferFull:
                close(connection)
                return
            }
        }
    }

    /// Works through what has been received.
    /// - Returns: whether the connection is open and waits for more bytes.
    @discardableResult
    func process(_ connection: Connection) -> Bool {
        while true {
            let wantsBytes: Bool
            switch listeners[connection.listener].wire {
            case .fastCGI: wantsBytes = stepFastCGI(connection)
            case .http: wantsBytes = stepHTTP(connection)
            case .spop: wantsBytes = stepSPOP(connection)
            }
            guard !wantsBytes else { return send(connection) && waitForBytes(connection) }
            switch connection.state {
            case .receiving: break
            case .owingVerification, .parked:
                // Answers to earlier requests on this connection need not wait with this one.
                _ = flush(connection)
                return false
            case .sending, .idle, .free: return false
            }
            if connection.closesAfterSending {
                send(connection)
                return false
            }
            if connection.output.capacity - connection.output.count < Connection.answerBytesMax {
                guard send(connection) else { return false }
            }
        }
    }

    /// One step of the codec, and the decision when it is a request.
    /// - Returns: whether the codec wants more bytes.
    private func stepFastCGI(_ connection: Connection) -> Bool {
        switch connection.fastCGI.next(&connection.received, output: &connection.output) {
        case .needBytes: return true
        case .close: connection.closesAfterSending = true
        case .request(let request):
            connection.pendingFastCGI = request
            serve(connection, mayWait: true)
        }
        return false
    }

    private func stepHTTP(_ connection: Connection) -> Bool {
        switch connection.http.next(&connection.received) {
        case .needBytes: return true
        case .close: connection.closesAfterSending = true
        case .refuse(let status):
            HTTPConnection.appendRefusal(status, to: &connection.output)
            connection.closesAfterSending = true
        case .request(let request):
            connection.pendingHTTP = request
            serve(connection, mayWait: true)
        }
        return false
    }

    /// Decides the pending request and writes its answer, or puts the connection into the line it must wait in.
    func serve(_ connection: Connection, mayWait: Bool, mayVerify: Bool = false) {
        if let asker = connection.asker, !isThere(asker) {
            // Nobody waits for this answer any more.
            close(connection)
            return
        }
        let wasParked = connection.state == .parked
        let wasWaiting = wasParked || connection.state == .owingVerification
        let outcome = decide(connection, DecisionLimits(mayVerify: mayVerify, mayWaitForKey: mayWait))
        switch outcome {
        case .answered: break
        case .verificationOwed:
            connection.state = .owingVerification
            if owing.append(connection) { return }
            refuseWaiting(connection)
            return
        case .keyOwed, .introspectionOwed, .statusListOwed:
            // A request waits once for each; another wake before its time is up lets it wait on, also when it has been in
            // the line for verifications meanwhile.
            let mayWaitOn = clock.milliseconds < connection.awaitDeadlineMilliseconds
            if mayWaitOn || connection.awaited.isDisjoint(with: awaited(outcome)), wasParked || mayPark(connection),
                want(outcome), park(connection, outcome)
            {
                return
            }
            return serve(connection, mayWait: false, mayVerify: mayVerify)
        }
        if let asker = connection.asker {
            answerHeld(connection, of: asker)
            return
        }
        answer(connection)
        if wasWaiting { proceed(connection) }
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

    private func decide(_ connection: Connection, _ limits: DecisionLimits) -> Outcome {
        let facts: RequestFacts
        if let request = connection.pendingFastCGI {
            let profile = listeners[connection.listener].profile
            facts = request.facts(in: connection.received.bytes, profile: profile)
        } else if let request = connection.pendingHTTP {
            facts = request.facts
        } else {
            guard case .request(let asked)? = connection.pendingSPOP?.question else {
                preconditionFailure("a connection without a request was served")
            }
            facts = asked
        }
        let now = clock.unixSeconds
        return connection.received.withBytes { bytes in
            let outcome = decider.decide(facts, bytes, now: now, limits: limits)
            if outcome == .answered, decider.isNoteworthy { denials.write(decider, facts, bytes, clock) }
            return outcome
        }
    }

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
            decider.withAnswer { answer in
                connection.fastCGI.answer(
                    request, answer, into: &connection.output, buffer: &connection.received)
            }
            connection.closesAfterSending = connection.fastCGI.shouldClose
        } else if let request = connection.pendingHTTP {
            // Facts that are not what a proxy's configuration sends may be a client's bytes that ended the proxy's
            // head early: whatever follows them on this connection could be the client's own request.
            let isDoubtful = decider.reason.areFactsDoubtful
            decider.withAnswer { answer in
                connection.http.answer(
                    request, answer, closing: isDoubtful, into: &connection.output,
                    buffer: &connection.received)
            }
            connection.closesAfterSending = connection.http.shouldClose
        }
        connection.pendingFastCGI = nil
        connection.pendingHTTP = nil
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

    /// Serves requests that owe a verification, oldest first, for a bounded time.
    func serveOwing() {
        guard !owing.isEmpty else { return }
        let end = clock.preciseMicroseconds() + verificationMicrosecondsMax
        repeat {
            guard let next = owing.removeFirst() else { return }
            let connection = connections[next.slot]
            guard connection.generation == next.generation, connection.state == .owingVerification else {
                continue
            }
            serve(connection, mayWait: true, mayVerify: true)
        } while clock.preciseMicroseconds() < end
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
        switch flush(connection) {
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

    private enum Flush {
        case all
        case rest
        case failed
    }

    private func flush(_ connection: Connection) -> Flush {
        while connection.output.count > 0 {
            switch connection.descriptor.send(connection.output.bytes) {
            case .sent(let count): connection.output.discardFirst(count)
            case .wouldBlock: return .rest
            case .closed, .failed: return .failed
            }
        }
        connection.output.removeAll()
        return .all
    }

    /// All requests so far are answered.
    /// - Returns: true, for the caller to say that more bytes are wanted.
    private func waitForBytes(_ connection: Connection) -> Bool {
        let isIdle =
            switch listeners[connection.listener].wire {
            case .fastCGI: connection.fastCGI.isIdle && connection.received.count == 0
            case .http: connection.http.isIdle
            case .spop: connection.spop.isIdle(connection.received)
            }
        if isIdle {
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
        try? poll.remove(connection.descriptor.raw)
    }

    private func watch(_ connection: Connection, forWrite: Bool) {
        guard !connection.isRegistered || connection.waitsForWrite != forWrite else { return }
        let token = EventToken.connection(connection.slot, connection.generation).packed
        do throws(SystemError) {
            if connection.isRegistered {
                try poll.modify(connection.descriptor.raw, token: token, for: forWrite ? .writable : .readable)
            } else {
                try poll.add(connection.descriptor.raw, token: token, for: forWrite ? .writable : .readable)
            }
            connection.isRegistered = true
            connection.waitsForWrite = forWrite
        } catch {
            close(connection)
        }
    }
}

/// Time that one turn may spend on signatures while cached tokens wait; at least one is verified.
private let verificationMicrosecondsMax: Int64 = 200
