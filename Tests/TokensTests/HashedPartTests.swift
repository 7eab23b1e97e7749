import Octets
import Signatures
import Testing
import Tokens

/// A caller that hashes a token's bytes anyway may hand over the digest of the signed part.
@Suite struct HashedPartTests {
    static let keys: [PrivateJWK] = [TestKeys.es256, TestKeys.rs256, TestKeys.ed25519]

    private func outcome(_ token: [UInt8], count: Int, _ digest: Digest) -> String {
        let result = TokenVerifier().verify(
            token.span, digest: sha256(token.span), signed: HashedPart(count: count, digest: digest),
            issuers: snapshot(), now: now)
        return TokensTests.outcome(result)
    }

    @Test("the signed part's own digest verifies what is signed, and nothing else", arguments: HashedPartTests.keys)
    func ownDigest(_ key: PrivateJWK) throws {
        let good = try token(header: header(key), signedBy: key)
        let count = try #require(good.lastIndex(of: 0x2E))
        let digest = sha256(Array(good[..<count]).span)
        #expect(outcome(good, count: count, digest) == "verified")
        var forged = good
        forged[good.count - 3] = good[good.count - 3] == 0x41 ? 0x42 : 0x41
        #expect(outcome(forged, count: count, digest) == "signature_invalid")
        let other = try token(claims(["sub": "\"other\""]), header: header(key), signedBy: key)
        let otherCount = try #require(other.lastIndex(of: 0x2E))
        // Another token's claims under this one's signature, with their own digest.
        let mixed = other[...otherCount] + good[(count + 1)...]
        let otherDigest = sha256(Array(other[..<otherCount]).span)
        #expect(outcome(Array(mixed), count: otherCount, otherDigest) == "signature_invalid")
    }

    @Test("a part of another length is none", arguments: HashedPartTests.keys)
    func otherLength(_ key: PrivateJWK) throws {
        let good = try token(header: header(key), signedBy: key)
        let count = try #require(good.lastIndex(of: 0x2E))
        for other in [Int.min, 0, count - 1, count + 1, good.count] {
            #expect(outcome(good, count: other, sha256([UInt8]().span)) == "verified", "\(other)")
        }
    }

    @Test("a digest of anything else refuses, where the algorithm hashes with SHA-256")
    func wrongDigest() throws {
        for key in [TestKeys.es256, TestKeys.rs256] {
            let good = try token(header: header(key), signedBy: key)
            let count = try #require(good.lastIndex(of: 0x2E))
            #expect(outcome(good, count: count, sha256(good.span)) == "signature_invalid")
        }
        // Ed25519 signs the message itself.
        let good = try token(header: header(TestKeys.ed25519), signedBy: TestKeys.ed25519)
        let count = try #require(good.lastIndex(of: 0x2E))
        #expect(outcome(good, count: count, sha256(good.span)) == "verified")
    }
}
