internal import Octets
public import PolicyTables
public import Signatures
internal import Tokens

/// What became of one request.
public enum Outcome: Equatable, Sendable {
    /// The decider's `answer` holds the answer.
    case answered
    /// The token was not seen before and no verification was allowed now. Ask again later, with one allowed.
    case verificationOwed
    /// The token names a key that the issuer's set does not have. Worth a fetch; ask again afterwards.
    case keyOwed(issuerIndex: Int)
    /// The issuer has to say whether the token is active. Ask again when its reply is in `IntrospectionRecords`.
    case introspectionOwed(IntrospectionQuestion)
    /// The token's status list is not in the snapshot. Ask again when it is.
    case statusListOwed(StatusListQuestion)
}

/// What an issuer is to be asked (RFC 7662 §2.1).
public struct IntrospectionQuestion: Equatable, Sendable {
    /// Into the snapshot's issuers.
    public let issuerIndex: Int
    /// `IssuerSnapshot.generation` that the index belongs to.
    public let generation: UInt64
    /// SHA-256 of the token.
    public let digest: Digest
    public let token: [UInt8]
    /// How long the request may wait for the reply.
    public let timeoutMilliseconds: Int64
}

/// Which status list is to be fetched.
public struct StatusListQuestion: Equatable, Sendable {
    /// The token's issuer, whose keys sign the list.
    public let issuerIndex: Int
    public let generation: UInt64
    /// `StatusReference.listKey` of `uri` and the issuer.
    public let list: Digest
    public let uri: [UInt8]
}

/// How far a decision may go.
public struct DecisionLimits: Sendable {
    /// Whether a signature may be verified now.
    public var mayVerify: Bool
    /// Whether an unknown key may be waited for; otherwise it is a denial.
    public var mayWaitForKey: Bool

    public init(mayVerify: Bool = true, mayWaitForKey: Bool = false) {
        self.mayVerify = mayVerify
        self.mayWaitForKey = mayWaitForKey
    }
}

/// Decides requests, one at a time, on one thread. A total function of the request's facts, the policy snapshot,
/// the token and the time: every path that is not an enumerated ground to allow ends as a denial.
///
/// After the first requests have warmed its buffers, a request with a token seen before allocates nothing and
/// takes no lock.
public final class Decider {
    public static let textBytesMax = Answer.textBytesMax

    let board: SnapshotBoard
    /// One value, so that a decision takes it exclusively once instead of each of its parts.
    var turn: DecisionTurn

    /// - Parameters:
    ///   - reader: of the store that the board's snapshots live in; this decider's own.
    ///   - tokenCacheEntriesMax: verified tokens kept at the most.
    ///   - auditPrefix: 16 hexadecimal characters, unique to this decider since the daemon started.
    ///   - proofs: shared by all deciders that a client's requests may come to; by default this decider's own.
    ///   - introspections: where the replies of issuers are found; by default this decider's own.
    ///   - isRehearsal: its answers go to nobody: it uses no proof up and signs nothing.
    public init(
        board: SnapshotBoard, reader: consuming PolicyReader, tokenCacheEntriesMax: Int, auditPrefix: [UInt8],
        proofs: ProofRecords = ProofRecords(entriesMax: 1_024, startedAt: .min),
        introspections: IntrospectionRecords = IntrospectionRecords(entriesMax: 1_024), isRehearsal: Bool = false
    ) {
        self.board = board
        turn = DecisionTurn(
            reader: reader,
            state: DecisionState(
                tokenCacheEntriesMax: tokenCacheEntriesMax, auditPrefix: auditPrefix, proofs: proofs,
                introspections: introspections, isRehearsal: isRehearsal))
    }

    /// Decides on one request.
    /// - Parameters:
    ///   - facts: places in `bytes`.
    ///   - now: Unix seconds.
    public func decide(
        _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>, now: Int64, limits: DecisionLimits
    ) -> Outcome {
        turn.decide(facts, bytes, board, now: now, limits: limits)
    }

    /// What the last decision was made on.
    var snapshot: DecisionSnapshot? { turn.snapshot }

    var state: DecisionState {
        _read { yield turn.state }
        _modify { yield &turn.state }
    }

    /// The answer of the last decision; a denial before the first.
    public func withAnswer<R>(_ body: (borrowing Answer) -> R) -> R {
        body(state.answer)
    }

    /// Copies the answer of the last decision out.
    public func copyAnswer(into answer: inout Answer) {
        answer.become(state.answer)
    }

    public var reason: Reason { state.answer.reason }
    public var status: UInt16 { state.answer.status }

    /// Verified tokens held in the cache.
    public var cachedTokenCount: Int { state.tokens.count }

    /// The counters of this decider since it was made.
    public var counts: DecisionCounts { state.counts }
}

/// What a decider has done, by kind.
public struct DecisionCounts: Sendable {
    public var allowed: UInt64 = 0
    public var denied: UInt64 = 0
    public var unanswerable: UInt64 = 0
    public var tokenCacheHits: UInt64 = 0
    public var verifications: UInt64 = 0
    /// Transaction tokens signed.
    public var signatures: UInt64 = 0

    public init() {}

    public static func += (left: inout DecisionCounts, right: DecisionCounts) {
        left.allowed &+= right.allowed
        left.denied &+= right.denied
        left.unanswerable &+= right.unanswerable
        left.tokenCacheHits &+= right.tokenCacheHits
        left.verifications &+= right.verifications
        left.signatures &+= right.signatures
    }
}
