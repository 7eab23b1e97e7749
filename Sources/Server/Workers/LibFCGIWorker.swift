internal import Decision
internal import Kernel
internal import LibFCGI
internal import Octets
internal import PolicyTables

/// One thread of the libfcgi engine: the same decision and the same answers, read and written by the reference
/// library, one request at a time.
final class LibFCGIWorker: Sendable {
    private let seed: WorkerSeed
    private let listener: Listener

    init(_ seed: WorkerSeed, listener: Listener) {
        self.seed = seed
        self.listener = listener
    }

    func startThread() throws(SystemError) -> SystemThread {
        try SystemThread.start(
            name: "worker-lib-\(seed.number)", unblocked: [LibFCGIWorker.interruptSignal], context: self
        ) { $0.run() }
    }

    /// Breaks a read of the library that waits for a stalled peer; its handler does nothing.
    static let interruptSignal: Int32 = 12

    private func run() {
        do {
            let decider = try seed.makeDecider()
            let shadow = seed.makeShadowDecider()
            let remarks = RemarkCounter(seed.remarks)
            let denials = DenialLine(pipe: seed.denialPipe, linesPerSecond: seed.denialLinesPerSecond)
            var engine = try LibFCGIEngine(
                listenDescriptor: listener.socket.raw, wakeDescriptor: seed.control.wake.raw,
                profile: listener.profile, limits: seed.limits.fastCGI)
            let stop = engine.run(
                admit: { [listener, seed] descriptor in
                    guard case .refused(let userID) = listener.check(peerOf: descriptor) else { return true }
                    seed.control.noteRefused(RefusedPeer(listener: listener.number, userID: userID))
                    return false
                },
                decide: { [self] facts, bytes, answer in
                    let clock = WorkerClock(wall: seed.wallClock)
                    decideWaiting(decider, facts, bytes, clock)
                    if decider.isNoteworthy { denials.write(decider, facts, bytes, clock) }
                    if shadow.isOn { shadow.compare(decider, facts, bytes, now: clock.unixSeconds) }
                    if let findings = decider.findings { remarks.note(findings, now: clock.unixSeconds) }
                    // Nothing wakes this thread between two requests.
                    remarks.report(unixNanoseconds: clock.unixNanoseconds)
                    decider.copyAnswer(into: &answer)
                    seed.control.report(decider: decider, connections: 1)
                })
            if case .failed(let error) = stop {
                seed.log.write(.error, "worker_failed", "libfcgi worker \(seed.number) has stopped: \(error)")
                seed.control.failed()
            } else if !seed.control.isDrainRequested {
                // Its socket stays open, and every question on it would hang.
                seed.log.write(
                    .error, "worker_failed", "libfcgi worker \(seed.number) has ended without being told to")
                seed.control.failed()
            } else {
                seed.control.finished()
            }
        } catch {
            seed.log.write(.error, "worker_failed", "libfcgi worker \(seed.number) cannot run: \(error)")
            seed.control.failed()
        }
    }

    /// Waits for what is being fetched: this engine's thread serves nobody else meanwhile.
    private func decideWaiting(
        _ decider: Decider, _ facts: RequestFacts, _ bytes: Span<UInt8>, _ clock: WorkerClock
    ) {
        let start = clock.milliseconds
        var limits = DecisionLimits(mayVerify: true, mayWaitForKey: true)
        while true {
            let outcome = decider.decide(facts, bytes, now: clock.unixSeconds, limits: limits)
            let isUnderWay: Bool
            switch outcome {
            case .answered, .verificationOwed: return
            case .keyOwed(let issuerIndex): isUnderWay = seed.fetches.wantKeys(issuerIndex: issuerIndex)
            case .introspectionOwed(let question): isUnderWay = seed.fetches.wantIntrospection(question)
            case .statusListOwed(let question): isUnderWay = seed.fetches.wantStatusList(question)
            }
            limits.mayWaitForKey =
                isUnderWay && clock.milliseconds - start < seed.limits.waitMilliseconds(for: outcome)
            if limits.mayWaitForKey { sleepMilliseconds(5) }
            clock.advance()
        }
    }
}
