import Octets
import Signatures
import Testing

@testable import Tokens

/// Changes to good tokens, all of them of a kind. Nothing may trap, and nothing but the original may pass.
@Suite struct HostileTokenTests {
    static let keys = [TestKeys.es256, TestKeys.rs256, TestKeys.ed25519]

    @Test(arguments: keys.indices)
    func everyTruncation(_ index: Int) throws {
        let good = try token(signedBy: Self.keys[index])
        let verifier = TokenVerifier()
        for end in good.indices {
            #expect(outcome(Array(good[..<end]), verifier: verifier) != "verified", "first \(end) bytes")
            #expect(
                outcome(Array(good[(end + 1)...]), verifier: verifier) != "verified",
                "without the first \(end + 1)")
        }
        #expect(outcome(good, verifier: verifier) == "verified")
    }

    @Test(arguments: keys.indices)
    func everyBitOfTheText(_ index: Int) throws {
        let good = try token(signedBy: Self.keys[index])
        let verifier = TokenVerifier()
        for position in good.indices {
            for bit in 0..<8 {
                var changed = good
                changed[position] ^= 1 << UInt8(bit)
                #expect(outcome(changed, verifier: verifier) != "verified", "bit \(bit) of byte \(position)")
            }
        }
        #expect(outcome(good, verifier: verifier) == "verified")
    }

    /// Bits of the decoded parts, encoded again, so that the base64url stays good.
    @Test(arguments: keys.indices)
    func everyBitOfTheParts(_ index: Int) throws {
        let good = text(try token(signedBy: Self.keys[index])).split(separator: ".").map(String.init)
        let verifier = TokenVerifier()
        for part in 0..<3 {
            let original = try #require(decoded(good[part]))
            for position in original.indices {
                for bit in 0..<8 {
                    var changed = original
                    changed[position] ^= 1 << UInt8(bit)
                    var parts = good
                    parts[part] = encoded(changed)
                    let result = outcome(bytes(parts.joined(separator: ".")), verifier: verifier)
                    #expect(result != "verified", "part \(part), byte \(position), bit \(bit)")
                    if part == 2 { #expect(result == "signature_invalid") }
                }
            }
        }
    }

    /// Every byte of header and claims replaced, removed or doubled, then properly signed: what passes must
    /// still be JSON of the same claims; nothing traps.
    @Test func everyByteOfSignedJSON() throws {
        let verifier = TokenVerifier()
        let key = TestKeys.ed25519
        let (head, body) = (bytes(header(key)), bytes(claims()))
        var seen: [String: Int] = [:]
        for position in body.indices {
            for value: UInt8 in [
                0x00, 0x09, 0x20, 0x22, 0x2C, 0x30, 0x5B, 0x5C, 0x5D, 0x7B, 0x7D, 0x80, 0xED, 0xFF,
            ] {
                var changed = body
                changed[position] = value
                let made = try token(changed, header: head, signedBy: key)
                seen[outcome(made, verifier: verifier), default: 0] += 1
            }
            var removed = body
            removed.remove(at: position)
            let made = try token(removed, header: head, signedBy: key)
            seen[outcome(made, verifier: verifier), default: 0] += 1
        }
        for position in head.indices {
            for value: UInt8 in [0x00, 0x20, 0x22, 0x2C, 0x5C, 0x7D, 0xFF] {
                var changed = head
                changed[position] = value
                let result = outcome(try token(body, header: changed, signedBy: key), verifier: verifier)
                // Another name than `kid` leaves a good token without one.
                let saysTheSame = text(changed).contains("\"alg\":\"Ed25519\",\"typ\":\"at+jwt\"")
                #expect(result != "verified" || saysTheSame, "\(text(changed))")
            }
        }
        // Changes inside the value of `jti` or `scope` are still good tokens; most others are not JSON.
        #expect(seen["claims_malformed", default: 0] > seen["verified", default: 0])
    }

    /// Texts of random tokens of JSON's alphabet in place of header and claims.
    @Test func randomTexts() throws {
        let verifier = TokenVerifier()
        var generator = SplitMix(state: 20_260_101)
        let pieces = [
            "{", "}", "[", "]", ":", ",", "\"", "\"alg\"", "\"ES256\"", "\"kid\"", "\"e1\"", "\"iss\"", "\\",
            "\\u", "0",
            "1e9", "-", "null", "true", " ", "\"exp\":1700000300", "\u{FEFF}", "é", "\"\(issuerName)\"",
        ]
        for _ in 0..<3_000 {
            let (first, second) = (randomText(pieces, &generator), randomText(pieces, &generator))
            let unsigned = bytes("\(encoded(first)).\(encoded(second)).AAAA")
            #expect(outcome(unsigned, verifier: verifier) != "verified")
            let randomBytes = (0..<generator.next() % 200).map { _ in
                UInt8(truncatingIfNeeded: generator.next())
            }
            #expect(outcome(randomBytes, verifier: verifier) != "verified")
        }
    }

    /// The other entry points take the same inputs without trapping.
    @Test func otherReadersTakeAnything() throws {
        var generator = SplitMix(state: 7)
        let set = jwks(try TestKeys.es256.jwk(), try TestKeys.rs256.jwk())
        let keys = try SignatureCheckKeys(jwks: set.span)
        let good = try token()
        for _ in 0..<2_000 {
            var changedSet = set
            var changedToken = good
            for _ in 0..<generator.next() % 4 {
                changedSet[Int(generator.next() % UInt64(set.count))] = UInt8(
                    truncatingIfNeeded: generator.next())
                changedToken[Int(generator.next() % UInt64(good.count))] = UInt8(
                    truncatingIfNeeded: generator.next())
            }
            _ = try? KeySet.parse(jwks: changedSet.span, algorithms: SignatureAlgorithm.allCases)
            _ = try? PrivateJWK(parsing: changedSet.span)
            _ = try? TokenDecode.read(changedToken.span)
            let result = SignatureCheck.verifySignatureOnly(changedToken.span, keys: keys)
            if changedToken != good { #expect(result != .valid(algorithm: "ES256", keyID: bytes("e1"))) }
        }
    }

    private func randomText(_ pieces: [String], _ generator: inout SplitMix) -> String {
        (0..<generator.next() % 24).map { _ in pieces[Int(generator.next() % UInt64(pieces.count))] }.joined()
    }
}

/// A small generator with a seed, so that a failure can be seen again.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
