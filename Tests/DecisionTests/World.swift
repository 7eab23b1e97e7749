@testable import Decision
import Octets
import PolicyTables
import Signatures
import Testing
import Tokens

/// What one decision came to.
struct Verdict {
    let outcome: Outcome
    let status: UInt16
    let reason: Reason
    let fields: [String]
    let hasChallenge: Bool
    let hasProofNonce: Bool

    subscript(field: AnswerField) -> String { fields[Int(field.rawValue)] }
    var isAllow: Bool { status == 200 }
    var challenge: String { self[.challenge] }
    var identity: [String] { [self[.subject], self[.client], self[.issuer], self[.granted]] }
}

extension Decider {
    func verdict(
        _ request: Request, now: Int64 = World.now, limits: DecisionLimits = DecisionLimits()
    ) -> Verdict {
        let (facts, all) = request.laidOut()
        let outcome = decide(facts, all.span, now: now, limits: limits)
        return withAnswer { answer in
            var fields: [String] = []
            for field in AnswerField.allCases {
                fields.append(String(lossy: answer.value(of: field)))
            }
            return Verdict(
                outcome: outcome, status: answer.status, reason: answer.reason, fields: fields,
                hasChallenge: answer.hasChallenge, hasProofNonce: answer.hasProofNonce)
        }
    }
}

/// A token to be minted: good for the sample policy unless changed.
struct TokenPlan {
    var issuer: String? = "https://id.example.com"
    var subject: String? = "ann"
    var client: String? = "web"
    var audience: [String]? = ["https://api.example.com", "https://orders.example.com"]
    var scope: String? = "orders:read"
    var issuedAt: Int64? = World.now - 10
    var expiresAt: Int64? = World.now + 1_000
    var notBefore: Int64?
    var tokenID: String? = "t1"
    var clientClaim = "client_id"
    /// Further members, as JSON values.
    var more: [(String, String)] = []
    var keyName: String? = "a"
    var header: String?
    var type: String? = "at+jwt"

    func with(_ change: (inout TokenPlan) -> Void) -> TokenPlan {
        var copy = self
        change(&copy)
        return copy
    }

    static func scopes(_ scope: String) -> TokenPlan { TokenPlan().with { $0.scope = scope } }

    func claims() -> [UInt8] {
        var writer = JSONObjectWriter()
        if let issuer { writer.add("iss", string: issuer) }
        if let subject { writer.add("sub", string: subject) }
        if let client { writer.add(clientClaim, string: client) }
        if let audience { writer.add("aud", strings: audience) }
        if let scope { writer.add("scope", string: scope) }
        if let issuedAt { writer.add("iat", number: issuedAt) }
        if let expiresAt { writer.add("exp", number: expiresAt) }
        if let notBefore { writer.add("nbf", number: notBefore) }
        if let tokenID { writer.add("jti", string: tokenID) }
        for (name, value) in more { writer.add(name, json: bytes(value)) }
        return writer.text()
    }
}

/// A store with a policy, keys for its issuers, and deciders on both.
final class World {
    static let now: Int64 = 1_800_000_000

    let folder: TemporaryStore
    let board = SnapshotBoard()
    /// One for each issuer of the sample policy.
    let keys: [PrivateKey]
    /// Keys that are nobody's.
    let stranger: PrivateKey
    let otherEdwards: PrivateKey
    private var activation: UInt64 = 0
    private var generation: UInt64 = 0
    private(set) var version: Digest?
    private(set) var settings: [IssuerSettings] = []
    var keySets: [KeySet?] = []
    var statuses: [IssuerKeys.Status] = []
    private(set) var issuers = IssuerSnapshot(issuers: [], generation: 0)
    var revocations = RevocationSet.empty
    var statusLists = StatusListTable.empty
    var transactions: TransactionSigner?

    static let algorithms: [SignatureAlgorithm] = [.es256, .ed25519, .es256]

    init(_ model: PolicyModel? = sampleModel()) throws {
        folder = try TemporaryStore()
        keys = try World.algorithms.map { try PrivateKey.generate($0) }
        stranger = try PrivateKey.generate(.es256)
        otherEdwards = try PrivateKey.generate(.ed25519)
        if let model { try activate(model) }
    }

    /// Compiles, activates and publishes a policy, with a key `a` for each issuer where there was none.
    func activate(_ model: PolicyModel, publishing: Bool = true) throws {
        activation += 1
        let added = try folder.store.add(model, source: bytes("policy \(activation)").span, now: World.now)
        _ = try folder.store.activate(added, now: World.now)
        version = added
        settings = try folder.store.withCatalogue(added) { $0.issuerSettings() ?? [] }
        try #require(settings.count == model.issuers.count)
        for index in settings.indices where keySets.count <= index {
            keySets.append(set(of: index, named: "a"))
            statuses.append(.usable)
        }
        if publishing { publish() }
    }

    func set(of issuer: Int, named name: String, _ key: PrivateKey? = nil) -> KeySet {
        let key = VerificationKey(
            keyID: bytes(name), algorithm: World.algorithms[issuer], key: (key ?? keys[issuer]).publicKey)
        return KeySet(keys: [key], fetchedAt: World.now)
    }

    /// Publishes what is set now as a snapshot of a new generation.
    func publish() {
        generation += 1
        var list: [IssuerKeys] = []
        for index in settings.indices {
            list.append(IssuerKeys(settings: settings[index], keys: keySets[index], status: statuses[index]))
        }
        issuers = IssuerSnapshot(issuers: list, generation: generation)
        publishAgain()
    }

    /// Publishes a snapshot with the same issuers: tokens that were verified stay so.
    func publishAgain() {
        guard let version else { return board.publish(nil) }
        board.publish(
            DecisionSnapshot(
                activation: activation, version: version, issuers: issuers, revocations: revocations,
                statusLists: statusLists, transactions: transactions))
    }

    func revoke(_ revocations: Revocation...) {
        self.revocations = self.revocations.adding(revocations)
        publishAgain()
    }

    func decider(
        entries: Int = 64, proofs: ProofRecords? = nil,
        introspections: IntrospectionRecords = IntrospectionRecords(entriesMax: 64)
    ) throws -> Decider {
        Decider(
            board: board, reader: try folder.store.makeReader(), tokenCacheEntriesMax: entries,
            auditPrefix: bytes("0123456789abcdef"),
            proofs: proofs ?? ProofRecords(entriesMax: 1_024, startedAt: .min), introspections: introspections)
    }

    func token(_ plan: TokenPlan = TokenPlan(), issuer: Int = 0, key: PrivateKey? = nil) throws -> [UInt8] {
        let algorithm = World.algorithms[issuer]
        var header = JSONObjectWriter()
        header.add("alg", string: algorithm.name)
        if let type = plan.type { header.add("typ", string: type) }
        if let name = plan.keyName { header.add("kid", string: name) }
        let headerText = plan.header.map { bytes($0) } ?? header.text()
        let claims = plan.claims()
        return try TokenMint.sign(
            header: headerText.span, payload: claims.span, key: key ?? keys[issuer], algorithm: algorithm)
    }
}

/// `/a/{b}/**` as segments; literals are taken as decoded text.
func segments(_ path: String) -> [RouteModel.Segment] {
    path.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map { part in
        if part == "**" { return .rest }
        if part.hasPrefix("{"), part.hasSuffix("}") { return .parameter(String(part.dropFirst().dropLast())) }
        return .literal(String(part))
    }
}

/// A route from `METHOD /path`, which is its label too.
func route(
    _ match: String, all: [UInt16] = [], any: [UInt16] = [], _ ground: RouteModel.Ground? = nil,
    ports: [UInt16] = [], bindings: [(Int, String)] = [], observeUntil: Int64? = nil
) -> RouteModel {
    let space = match.firstIndex(of: " ") ?? match.startIndex
    return RouteModel(
        method: String(match[..<space]), segments: segments(String(match[match.index(after: space)...])),
        ground: ground ?? .scopes(all: all, any: any), ports: ports,
        bindings: bindings.map { RouteModel.Binding(segment: $0.0, claim: $0.1) },
        observeUntil: observeUntil, label: match)
}
