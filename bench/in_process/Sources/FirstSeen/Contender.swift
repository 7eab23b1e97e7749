internal import Decision
internal import Octets
internal import PolicyTables
internal import Samples
internal import Signatures
internal import Store
internal import Tokens

/// Something that says of a token whether it is good.
protocol Contender {
    /// - Parameter number: of a token that was given when the contender was made.
    func isGood(_ number: Int) -> Bool
}

/// `TokenVerifier.verify`: parse, signature, claims. The digest of the token is the caller's, as in a decision.
final class Verifying: Contender {
    private let tokens: [[UInt8]]
    private let digests: [Digest]
    private let issuers: IssuerSnapshot
    private let verifier = TokenVerifier(takesBoundTokens: true)

    init(_ tokens: [[UInt8]], _ keys: KeySet) {
        self.tokens = tokens
        digests = tokens.map { sha256($0.span) }
        let settings = IssuerSettings(
            issuer: Array(Sample.issuer.utf8), audiences: [Array(Sample.audience.utf8)],
            algorithms: SignatureAlgorithm.allCases)
        issuers = IssuerSnapshot(issuers: [IssuerKeys(settings: settings, keys: keys)], generation: 1)
    }

    func isGood(_ number: Int) -> Bool {
        let token = tokens[number]
        if case .verified = verifier.verify(
            token.span, digest: digests[number], issuers: issuers, now: Sample.now)
        {
            return true
        }
        return false
    }
}

/// `Decider.decide`: facts, target, route, fingerprint, look-up, digest, verification, scopes, answer. The cache holds fewer tokens
/// than there are, so that each one is new.
final class Deciding: Contender {
    private let requests: [(facts: RequestFacts, bytes: [UInt8])]
    private let decider: Decider

    init(_ tokens: [[UInt8]], _ keys: KeySet, storeFolder: String) throws {
        let environment = try Environment(path: storeFolder, mapBytes: 64 << 20, maxReaders: 16)
        let store = try PolicyStore(environment)
        let version = try store.add(Deciding.policy(), source: Array("bench".utf8).span, now: Sample.now)
        decider = try Sample.decider(try Sample.board(store, version, keys), store, tokenCacheEntriesMax: 8)
        requests = tokens.map { Deciding.request($0) }
    }

    func isGood(_ number: Int) -> Bool {
        let request = requests[number]
        let outcome = decider.decide(request.facts, request.bytes.span, now: Sample.now, limits: DecisionLimits())
        return outcome == .answered && decider.status == 200
    }

    /// Whether each of so many decisions verified its token.
    func hasVerified(_ count: Int) -> Bool {
        decider.counts.verifications == UInt64(count) && decider.counts.tokenCacheHits == 0
    }

    private static func policy() -> PolicyModel {
        let routes = (0..<100).map { Sample.route([.literal("v1"), .literal("r\($0)"), .parameter("id")]) }
        return Sample.policy([Sample.service("orders", host: "api.example.com", routes)])
    }

    private static func request(_ token: [UInt8]) -> (facts: RequestFacts, bytes: [UInt8]) {
        var facts = RequestFacts()
        var bytes: [UInt8] = []
        func place(_ value: [UInt8]) -> ByteRange {
            bytes += value
            return ByteRange(start: bytes.count - value.count, count: value.count)
        }
        facts.method = place(Array("GET".utf8))
        facts.target = place(Array("/v1/r42/4711".utf8))
        facts.host = place(Array("api.example.com".utf8))
        facts.scheme = place(Array("https".utf8))
        facts.port = place(Array("443".utf8))
        facts.authorization = place(Array("Bearer ".utf8) + token)
        facts.authorizationCount = 1
        return (facts, bytes)
    }
}
