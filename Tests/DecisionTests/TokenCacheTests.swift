@testable import Decision
import Octets
import PolicyTables
import Signatures
import Testing
import Tokens

@Suite struct TokenCacheTests {
    /// So many verified tokens.
    private static func tokens(_ count: Int, generation: UInt64 = 1) throws -> [VerifiedToken] {
        let key = try PrivateKey.generate(.ed25519)
        let issuers = snapshot(key, generation: generation)
        let verifier = TokenVerifier()
        let plan = TokenPlan().with { $0.audience = ["https://api.example.com"] }
        let claims = plan.claims()
        let text = try TokenMint.token(claims: claims.span, key: key, algorithm: .ed25519, keyID: "a")
        return try (0..<count).map { _ in
            let result = verifier.verify(text.span, digest: sha256(text.span), issuers: issuers, now: World.now)
            guard case .verified(let token) = result else { throw Unverified() }
            return token
        }
    }

    private struct Unverified: Error {}

    private static func snapshot(_ key: PrivateKey, generation: UInt64) -> IssuerSnapshot {
        let settings = IssuerSettings(
            issuer: bytes("https://id.example.com"), audiences: [bytes("https://api.example.com")],
            algorithms: [.ed25519])
        let keys = KeySet(
            keys: [VerificationKey(keyID: bytes("a"), algorithm: .ed25519, key: key.publicKey)], fetchedAt: 0)
        return IssuerSnapshot(issuers: [IssuerKeys(settings: settings, keys: keys)], generation: generation)
    }

    private static func issuers(_ generation: UInt64) throws -> IssuerSnapshot {
        snapshot(try PrivateKey.generate(.ed25519), generation: generation)
    }

    @Test("a full set gives up the token that was not asked for the longest; other sets lose nothing")
    func eviction() throws {
        let issuers = try Self.issuers(1)
        var fingerprints: [TokenFingerprint] = []
        // Sixteen sets: the low bits of the upper half choose. Twelve of set 3, one of set 4.
        for number in 0..<12 {
            fingerprints.append(TokenFingerprint(first: 3 << 32 | UInt64(number), second: UInt64(number)))
        }
        fingerprints.append(TokenFingerprint(first: 4 << 32, second: 99))
        let tokens = try Self.tokens(fingerprints.count)
        var cache = TokenCache(entriesMax: 128)
        func holds(_ number: Int) -> Bool {
            cache.token(for: fingerprints[number], issuers: issuers) === tokens[number]
        }
        cache.insert(tokens[12], for: fingerprints[12])
        for number in 0..<8 { cache.insert(tokens[number], for: fingerprints[number]) }
        var count = cache.count
        #expect(count == 9)
        // 0 and 1 are used; 2 is then the oldest.
        #expect(holds(0))
        #expect(holds(1))
        cache.insert(tokens[8], for: fingerprints[8])
        count = cache.count
        #expect(count == 9)
        #expect(!holds(2))
        for number in [0, 1, 3, 4, 5, 6, 7, 8, 12] { #expect(holds(number), "\(number)") }
        for number in 9..<12 { cache.insert(tokens[number], for: fingerprints[number]) }
        for number in [0, 1, 3] { #expect(!holds(number), "\(number)") }
        for number in 4..<13 { #expect(holds(number), "\(number)") }
        count = cache.count
        #expect(count == 9)
    }

    @Test("tokens whose fingerprints share the first word are told apart")
    func sameWord() throws {
        let issuers = try Self.issuers(1)
        let fingerprints = (0..<8).map { TokenFingerprint(first: 7, second: UInt64($0)) }
        let tokens = try Self.tokens(fingerprints.count)
        var cache = TokenCache(entriesMax: 8)
        for number in 0..<4 { cache.insert(tokens[number], for: fingerprints[number]) }
        for number in 0..<8 {
            let found = cache.token(for: fingerprints[number], issuers: issuers)
            #expect(number < 4 ? found === tokens[number] : found == nil)
        }
        // The same token again takes no second place.
        cache.insert(tokens[0], for: fingerprints[0])
        let count = cache.count
        #expect(count == 4)
        // An empty place has the words 0, as a fingerprint may.
        let zero = cache.token(for: TokenFingerprint(first: 0, second: 0), issuers: issuers)
        #expect(zero == nil)
    }

    @Test("another generation of issuers empties a place, and fewer issuers find nothing")
    func generations() throws {
        let first = try Self.issuers(1)
        let second = try Self.issuers(2)
        let fingerprint = TokenFingerprint(first: 1, second: 1)
        let old = try Self.tokens(1)[0]
        let new = try Self.tokens(1, generation: 2)[0]
        var cache = TokenCache(entriesMax: 8)
        cache.insert(old, for: fingerprint)
        var found = cache.token(for: fingerprint, issuers: second)
        var count = cache.count
        #expect(found == nil && count == 0)
        found = cache.token(for: fingerprint, issuers: first)
        #expect(found == nil)
        cache.insert(new, for: fingerprint)
        found = cache.token(for: fingerprint, issuers: second)
        #expect(found === new)
        found = cache.token(for: fingerprint, issuers: IssuerSnapshot(issuers: [], generation: 2))
        count = cache.count
        #expect(found == nil && count == 0)
    }

    @Test("a grant belongs to one token and one activation")
    func grants() throws {
        let fingerprints = [TokenFingerprint(first: 1, second: 1), TokenFingerprint(first: 1, second: 2)]
        let tokens = try Self.tokens(fingerprints.count)
        let twin = try Self.tokens(1)[0]
        let grant = Grant(activation: 5, scopes: [1], text: [], isTextWhole: true)
        var cache = TokenCache(entriesMax: 8)
        cache.setGrant(grant, of: tokens[0])
        var found = cache.grant(of: tokens[0], activation: 5, now: 0)
        #expect(found == nil)
        cache.insert(tokens[0], for: fingerprints[0])
        cache.insert(tokens[1], for: fingerprints[1])
        // Of another token than the last one nothing is known.
        cache.setGrant(grant, of: tokens[0])
        _ = cache.token(for: fingerprints[0], issuers: try Self.issuers(1))
        found = cache.grant(of: tokens[0], activation: 5, now: 0)
        #expect(found == nil)
        found = cache.grant(of: tokens[0], activation: 0, now: 0)
        #expect(found == nil)
        cache.setGrant(grant, of: tokens[0])
        found = cache.grant(of: tokens[0], activation: 5, now: 0)
        #expect(found === grant)
        for (token, activation) in [(tokens[0], UInt64(4)), (tokens[0], 6), (tokens[1], 5), (twin, 5)] {
            found = cache.grant(of: token, activation: activation, now: 0)
            #expect(found == nil, "\(activation)")
        }
        // A token put in anew has none.
        cache.insert(tokens[0], for: fingerprints[0])
        found = cache.grant(of: tokens[0], activation: 5, now: 0)
        #expect(found == nil)
    }

    @Test("sizes", arguments: [Int.min, -1, 0, 1, 7, 8, 9, 100])
    func sizes(_ entries: Int) throws {
        let issuers = try Self.issuers(1)
        let fingerprints = (0..<64).map { TokenFingerprint(first: UInt64($0) << 32, second: UInt64($0)) }
        let tokens = try Self.tokens(fingerprints.count)
        var cache = TokenCache(entriesMax: entries)
        for (token, fingerprint) in zip(tokens, fingerprints) { cache.insert(token, for: fingerprint) }
        let count = cache.count
        #expect(count == (entries <= 8 ? 8 : entries == 9 ? 16 : 64))
        let last = cache.token(for: fingerprints[63], issuers: issuers)
        #expect(last === tokens[63])
    }

    @Test("refused tokens: the exact fingerprint, one generation, one place each")
    func refusedTokens() throws {
        var cache = RefusedTokenCache()
        let one = TokenFingerprint(first: 5, second: 1)
        let samePlace = TokenFingerprint(first: 5 + 1_024, second: 1)
        let sameWord = TokenFingerprint(first: 5, second: 2)
        cache.insert(.signatureInvalid, for: one, generation: 1)
        #expect(cache.refusal(for: one, generation: 1) == .signatureInvalid)
        for other in [samePlace, sameWord] { #expect(cache.refusal(for: other, generation: 1) == nil) }
        #expect(
            cache.refusal(for: one, generation: 2) == nil && cache.refusal(for: one, generation: 0) == nil)
        cache.insert(.signatureInvalid, for: samePlace, generation: 1)
        #expect(cache.refusal(for: one, generation: 1) == nil)
        #expect(cache.refusal(for: samePlace, generation: 1) == .signatureInvalid)
        cache.insert(.expired, for: TokenFingerprint(first: 6, second: 6), generation: 2)
        #expect(cache.refusal(for: samePlace, generation: 1) == nil)
        #expect(cache.refusal(for: samePlace, generation: 2) == nil)
        // Nothing is refused by an empty cache, whatever its generation is called.
        var empty = RefusedTokenCache()
        #expect(empty.refusal(for: TokenFingerprint(first: 0, second: 0), generation: 0) == nil)
    }
}
