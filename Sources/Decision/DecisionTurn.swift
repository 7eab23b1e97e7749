internal import PolicyTables
internal import Tokens

/// What a decider decides with: the snapshot in force, the store's reader, and the state that the decision changes.
struct DecisionTurn: ~Copyable {
    private(set) var snapshot: DecisionSnapshot?
    /// The same in an object of this worker's own, which a decision holds on to: counting references to what all workers
    /// share would make them take turns at the count.
    private var held: HeldSnapshot?
    private var epoch: UInt64 = 0
    /// Of the snapshot whose rules for proofs were noted last.
    private var notedEpoch: UInt64 = 0
    var reader: PolicyReader
    var state: DecisionState

    init(reader: consuming PolicyReader, state: consuming DecisionState) {
        self.reader = reader
        self.state = state
    }

    mutating func decide(
        _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>, _ board: SnapshotBoard, now: Int64,
        limits: DecisionLimits
    ) -> Outcome {
        refresh(board)
        if notedEpoch != epoch, !state.isRehearsal { noteProofRules(now: now) }
        state.begin()
        guard let held else {
            finishWithoutPolicy()
            return .answered
        }
        let outcome = decide(facts, bytes, held, now: now, limits: limits)
        if case .answered = outcome { state.countAnswer() }
        return outcome
    }

    // Not inlined: what is borrowed of a parameter needs no count.
    @inline(never)
    private mutating func decide(
        _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>, _ held: HeldSnapshot, now: Int64,
        limits: DecisionLimits
    ) -> Outcome {
        guard begin(held.snapshot) else { return .answered }
        let outcome = state.decide(
            facts, bytes, snapshot: held.snapshot, reader: reader, now: now, limits: limits)
        reader.end()
        return outcome
    }

    mutating func decide(
        _ facts: borrowing ConnectionFacts, _ bytes: Span<UInt8>, _ board: SnapshotBoard, now: Int64
    ) {
        refresh(board)
        state.begin()
        guard let snapshot else { return finishWithoutPolicy() }
        if begin(snapshot) {
            _ = state.decide(facts, bytes, snapshot: snapshot, reader: reader, now: now)
            reader.end()
        }
        state.countAnswer()
    }

    mutating func refuse(_ reason: Reason, _ board: SnapshotBoard) {
        refresh(board)
        state.begin()
        // DENY: nothing was decided here, so nothing can be allowed here.
        state.finish(reason.status == 200 ? .overloaded : reason, label: snapshot?.label ?? [])
        state.countAnswer()
    }

    mutating func unreadiness(_ board: SnapshotBoard) -> Reason? {
        refresh(board)
        guard let snapshot else { return .noPolicy }
        guard reader.begin(version: snapshot.version) else { return .policyUnreadable }
        let isReadable = hasCatalogue(reader)
        reader.end()
        return isReadable ? nil : .policyUnreadable
    }

    private mutating func refresh(_ board: SnapshotBoard) {
        guard board.refresh(&snapshot, seen: &epoch) else { return }
        held = snapshot.map(HeldSnapshot.init)
    }

    /// - Returns: false when the snapshot's tables cannot be read; the answer is then finished. Otherwise the reader has to
    ///   be ended.
    private mutating func begin(_ snapshot: DecisionSnapshot) -> Bool {
        if reader.begin(version: snapshot.version) { return true }
        state.finish(.policyUnreadable, label: snapshot.label)
        return false
    }

    private mutating func finishWithoutPolicy() {
        state.finish(.noPolicy, label: [])
        state.countAnswer()
    }

    /// Before any proof is checked by the rules of a new snapshot: how long proofs are remembered depends on them.
    private mutating func noteProofRules(now: Int64) {
        notedEpoch = epoch
        guard let snapshot else { return }
        var age: Int64 = 0
        for issuer in snapshot.issuers.issuers { age = max(age, issuer.settings.proofRules.ageSecondsMax) }
        state.proofs.allow(ageSeconds: age, now: now)
    }
}

private func hasCatalogue(_ reader: borrowing PolicyReader) -> Bool { reader.catalogue() != nil }

/// A snapshot in the hands of one worker.
private final class HeldSnapshot {
    let snapshot: DecisionSnapshot

    init(_ snapshot: DecisionSnapshot) { self.snapshot = snapshot }
}
