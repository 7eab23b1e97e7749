internal import Decision
internal import Kernel
internal import Octets
internal import SPOP

// Questions of HAProxy. Many share a connection, and one that has to wait must not hold up those behind it: it is
// set aside in a place of its own, and its answer overtakes or is overtaken.

extension Worker {
    /// One step of the codec, and the decision when it is a question.
    func stepSPOP(_ connection: Connection) -> Progress {
        switch connection.exchange.nextSPOP(isHealthy: { unhealthiness() == nil }) {
        case nil: return .wantsRoom
        case .needBytes: return .wantsBytes
        case .close: connection.closesAfterSending = true
        case .request(let request):
            // A whole frame has come: the deadline from here on is that of the next one.
            connection.deadlineMilliseconds = clock.milliseconds + limits.receiveMilliseconds
            serve(request, on: connection)
        }
        return .step
    }

    /// Why a health check fails now.
    private func unhealthiness() -> StaticString? {
        control.isDrainAnnounced || isDraining ? "draining" : decider.unreadiness()?.name
    }

    private func serve(_ request: SPOPRequest, on connection: Connection) {
        switch request.question {
        case .health:
            // First, since it takes up the newest policy.
            let problem = unhealthiness()
            let label = decider.policyLabel
            connection.exchange.acknowledgeHealth(request, problem: problem, policy: label.span)
        case .refused(let reason):
            decider.refuse(reason)
            denials.write(decider, RequestFacts(), Span(), clock)
            acknowledge(request, on: connection)
        case .connection(let facts):
            decide(facts, request.payload, connection)
            acknowledge(request, on: connection)
        case .request(let facts):
            let limits = DecisionLimits(mayVerify: false, mayWaitForKey: true)
            switch decide(facts, request.payload, connection, limits) {
            case .answered: acknowledge(request, on: connection)
            case .verificationOwed, .keyOwed, .introspectionOwed, .statusListOwed: hold(request, facts, of: connection)
            }
        }
    }

    private func decide(_ facts: ConnectionFacts, _ payload: ByteRange, _ connection: Connection) {
        let now = clock.unixSeconds
        connection.exchange.received.withBytes { buffer in
            let bytes = buffer.bytes(at: payload)
            decider.decide(facts, bytes, now: now)
            if decider.isNoteworthy { denials.write(decider, facts, bytes, clock) }
            if shadow.isOn { shadow.compare(decider, facts, bytes, now: now) }
        }
    }

    private func decide(
        _ facts: RequestFacts, _ payload: ByteRange, _ connection: Connection, _ limits: DecisionLimits
    ) -> Outcome {
        let now = clock.unixSeconds
        return connection.exchange.received.withBytes { buffer in
            let bytes = buffer.bytes(at: payload)
            let outcome = decider.decide(facts, bytes, now: now, limits: limits)
            if outcome == .answered { note(facts, bytes) }
            return outcome
        }
    }

    /// Logs and counts what is to be said of the request that was just answered.
    func note(_ facts: RequestFacts, _ bytes: Span<UInt8>) {
        if decider.isNoteworthy { denials.write(decider, facts, bytes, clock) }
        if let findings = decider.findings { remarks.note(findings, now: clock.unixSeconds) }
        if shadow.isOn { shadow.compare(decider, facts, bytes, now: clock.unixSeconds) }
    }

    private func acknowledge(_ request: SPOPRequest, on connection: Connection) {
        decider.withAnswer { connection.exchange.acknowledge(request, $0) }
    }

    // MARK: questions that wait

    /// Sets a question aside, to be served when its turn comes.
    private func hold(_ request: SPOPRequest, _ facts: RequestFacts, of connection: Connection) {
        let share = connection.exchange.received.withBytes {
            heldShares.bucket(of: $0.bytes(at: request.payload).bytes(at: facts.clientAddress))
        }
        guard heldShares.take(share, of: limits.heldMax) else {
            refuse(request, facts, on: connection)
            return
        }
        let place = takeFreeHeld()
        place.state = .owingVerification
        place.asker = Asker(slot: connection.slot, generation: connection.generation, share: share)
        place.pendingSPOP = request
        activeCount += 1
        connection.waitingQuestions += 1
        let isKept = connection.exchange.received.withBytes {
            place.exchange.received.append($0.bytes(at: request.payload))
        }
        guard isKept, owing.append(place) else {
            close(place)
            refuse(request, facts, on: connection)
            return
        }
    }

    /// Whoever waits for an issuer must not take the places of questions that only owe a verification, nor all of those
    /// that connections have: it takes far longer.
    func mayPark(_ connection: Connection) -> Bool {
        connection.asker == nil
            ? parkedConnections < max(1, limits.connectionsMax / 2) : parkedQuestions < limits.heldMax / 4
    }

    /// DENY: a request that should wait once more and finds no room.
    func refuseWaiting(_ connection: Connection) {
        guard let asker = connection.asker else {
            close(connection)
            return
        }
        decider.refuse(.overloaded)
        if case .request(let facts)? = connection.pendingSPOP?.question {
            connection.exchange.received.withBytes { denials.write(decider, facts, $0, clock) }
        }
        answerHeld(connection, of: asker)
    }

    /// DENY: no room to wait in.
    private func refuse(_ request: SPOPRequest, _ facts: RequestFacts, on connection: Connection) {
        decider.refuse(.overloaded)
        connection.exchange.received.withBytes { denials.write(decider, facts, $0.bytes(at: request.payload), clock) }
        acknowledge(request, on: connection)
    }

    func isThere(_ asker: Asker) -> Bool {
        connections[asker.slot].generation == asker.generation && connections[asker.slot].state != .free
    }

    /// Gives the answer to a question that has waited to the connection that it came in on.
    func answerHeld(_ place: Connection, of asker: Asker) {
        guard let request = place.pendingSPOP, isThere(asker) else {
            close(place)
            return
        }
        let connection = connections[asker.slot]
        close(place)
        if !connection.exchange.hasRoomForAnswer {
            // Its peer has not taken the answers before this one.
            close(connection)
            return
        }
        acknowledge(request, on: connection)
        guard send(connection) else { return }
        if isDraining, connection.state == .idle, connection.waitingQuestions == 0 { endIdle(connection) }
    }

    /// Closes a connection that owes nothing; HAProxy is told, since it would take a bare close for an error.
    func endIdle(_ connection: Connection) {
        if listeners[connection.listener].wire == .spop {
            guard connection.waitingQuestions == 0 else { return }
            connection.exchange.disconnectSPOP(isDraining ? .normal : .timeout)
            connection.closesAfterSending = true
            send(connection)
            return
        }
        close(connection)
    }
}
