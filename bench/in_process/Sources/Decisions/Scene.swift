internal import Decision
internal import Octets
internal import PolicyTables
internal import Samples
internal import Signatures
internal import Store
internal import Tokens

/// What all scenes of a run share: the store, the issuer's key, tokens, revocations that do not name them.
final class Shared {
    let store: PolicyStore
    let key: PrivateKey
    let keys: KeySet
    let tokens: SampleTokens
    let revocations: RevocationSet

    init(storeFolder: String) throws {
        // Address space: a million routes take about 200 MB, and a few such policies stand beside each other.
        store = try PolicyStore(try Environment(path: storeFolder, mapBytes: 8 << 30, maxReaders: 64))
        key = try PrivateKey.generate(.es256)
        let jwk = JWKText.publicKey(try key.components(), keyID: Sample.keyID, algorithm: .es256)
        keys = try KeySet.parse(
            jwks: JWKText.set([jwk]).span, algorithms: SignatureAlgorithm.allCases, fetchedAt: Sample.now)
        tokens = try SampleTokens(key)
        // Of every kind that is looked for with a token's own values, so that each of them is.
        let kinds: [Revocation.Kind] = [.tokenID, .subject, .client, .key]
        revocations = RevocationSet.empty.adding(
            (0..<1_000).map {
                Revocation(
                    kind: kinds[$0 % kinds.count], issuer: Array(Sample.issuer.utf8), value: Array("other\($0)".utf8))
            })
    }

    /// The version of a policy that the store has, or that is made now. `source` only names it: the model is made here, not
    /// read from a text.
    func version(ofSource source: String, _ make: () throws -> PolicyModel) throws -> Digest {
        let bytes = Array(source.utf8)
        let version = PolicyStore.version(ofSource: bytes.span)
        if let known = try store.info(version), known.isCurrentLayout { return version }
        return try store.add(try make(), source: bytes.span, now: Sample.now)
    }
}

/// One good token, and others that must not be taken.
struct SampleTokens {
    let good: [UInt8]
    let noScope: [UInt8]
    let expired: [UInt8]
    let forged: [UInt8]

    init(_ key: PrivateKey) throws {
        let more = try Sample.moreClaims(key, .es256)
        good = try Sample.token(0, key, .es256, more: more)
        noScope = try Sample.token(1, key, .es256, more: more, scope: "openid")
        expired = try Sample.token(2, key, .es256, more: more, lifetimeSeconds: -60)
        forged = Sample.tampered(try Sample.token(3, key, .es256, more: more))
    }
}

/// A compiled policy and questions about it.
final class Scene {
    let shared: Shared
    let board: SnapshotBoard
    private let deciding: Deciding

    init(_ shared: Shared, _ version: Digest, _ questions: Questions) throws {
        self.shared = shared
        board = try Sample.board(shared.store, version, shared.keys, shared.revocations)
        deciding = try Deciding(board, shared.store, questions, first: 0)
        // What is made once is made, and every answer is seen once.
        deciding.steps(questions.places.count)
    }

    var questions: Questions { deciding.questions }

    /// Decisions of one of several threads, with a decider of its own.
    func deciding(part: Int, of parts: Int) throws -> Deciding {
        try Deciding(board, shared.store, questions, first: part * questions.places.count / parts)
    }

    /// CPU of this thread for `count` decisions, in nanoseconds.
    func nanoseconds(_ count: Int, plants: Bool = false) -> Int64 {
        let start = threadNanoseconds()
        deciding.steps(count)
        for _ in 0..<(plants ? count : 0) { deciding.plant() }
        return threadNanoseconds() - start
    }

    /// Each decision by itself; the clock's own time, the median of reading it twice, is taken off.
    func singles(_ count: Int) -> String {
        var clock = [Int64](repeating: 0, count: 10_001)
        for number in clock.indices {
            let start = monotonicNanoseconds()
            clock[number] = monotonicNanoseconds() - start
        }
        clock.sort()
        let own = clock[clock.count / 2]
        let times = deciding.nanoseconds(count).sorted().map { $0 - own }
        return "\(times[count / 2]) \(times[count * 99 / 100]) \(times[count * 999 / 1_000]) \(own)"
    }
}

/// One decider and the questions that it is asked, in turn and without end.
final class Deciding: Repeating {
    let questions: Questions
    private let decider: Decider
    private var next: Int
    private var planted: [UInt8] = []

    init(_ board: SnapshotBoard, _ store: PolicyStore, _ questions: Questions, first: Int) throws {
        self.questions = questions
        next = first
        decider = try Sample.decider(board, store, tokenCacheEntriesMax: 1_024)
    }

    func steps(_ count: Int) {
        // Once for all of them: taking it from the class each time costs as much as a part of a decision.
        let questions = questions
        for _ in 0..<count { step(questions) }
    }

    /// Of each of so many decisions, with one reading of the clock.
    func nanoseconds(_ count: Int) -> [Int64] {
        let questions = questions
        var times = [Int64](repeating: 0, count: count)
        for number in times.indices {
            let start = monotonicNanoseconds()
            step(questions)
            times[number] = monotonicNanoseconds() - start
        }
        return times
    }

    @inline(__always)
    private func step(_ questions: borrowing Questions) {
        let place = questions.places[next]
        let outcome = decider.decide(
            questions.facts(place), questions.bytes.span, now: Sample.now, limits: DecisionLimits())
        guard outcome == .answered, decider.status == place.status else {
            fail("Decisions: \(decider.status) \(decider.reason) instead of \(place.status) to question \(next)")
        }
        next = next + 1 == questions.places.count ? 0 : next + 1
    }

    /// An allocation on purpose, so that a count of none is believed.
    @inline(never)
    func plant() { planted = [UInt8](repeating: 1, count: 100 + next % 7) }
}
