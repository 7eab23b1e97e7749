import Foundation
import Octets
import Signatures
import Testing

@testable import Tokens

/// Changes to good proofs, all of them of a kind. Nothing may trap, and nothing but the original may pass.
@Suite struct HostileProofTests {
    static let keys = [TestKeys.es256, TestKeys.rs256, TestKeys.ed25519]

    @Test(arguments: keys.indices)
    func everyTruncation(_ index: Int) throws {
        let good = try proof(signedBy: Self.keys[index])
        let verifier = ProofVerifier()
        for end in good.indices {
            #expect(proofOutcome(Array(good[..<end]), verifier: verifier) != "proved", "first \(end) bytes")
            let rest = Array(good[(end + 1)...])
            #expect(proofOutcome(rest, verifier: verifier) != "proved", "without the first \(end + 1)")
        }
        #expect(proofOutcome(good, verifier: verifier) == "proved")
    }

    @Test(arguments: keys.indices)
    func everyBitOfTheText(_ index: Int) throws {
        let good = try proof(signedBy: Self.keys[index])
        let verifier = ProofVerifier()
        for position in good.indices {
            for bit in 0..<8 {
                var changed = good
                changed[position] ^= 1 << UInt8(bit)
                #expect(proofOutcome(changed, verifier: verifier) != "proved", "bit \(bit) of byte \(position)")
            }
        }
        #expect(proofOutcome(good, verifier: verifier) == "proved")
    }

    /// Bits of the decoded parts, encoded again, so that the base64url stays good.
    @Test(arguments: keys.indices)
    func everyBitOfTheParts(_ index: Int) throws {
        let good = text(try proof(signedBy: Self.keys[index])).split(separator: ".").map(String.init)
        let verifier = ProofVerifier()
        for part in 0..<3 {
            let original = try #require(decoded(good[part]))
            for position in original.indices {
                for bit in 0..<8 {
                    var changed = original
                    changed[position] ^= 1 << UInt8(bit)
                    var parts = good
                    parts[part] = encoded(changed)
                    let result = proofOutcome(bytes(parts.joined(separator: ".")), verifier: verifier)
                    #expect(result != "proved", "part \(part), byte \(position), bit \(bit)")
                    if part == 2 { #expect(result == "signature_invalid") }
                }
            }
        }
    }

    /// Every byte of header and claims replaced or removed, then properly signed: what passes must say the same of
    /// everything that counts.
    @Test func everyByteOfSignedJSON() throws {
        let verifier = ProofVerifier()
        let key = TestKeys.ed25519
        let (head, body) = (bytes(try proofHeader(key)), bytes(proofClaims()))
        var passed = 0
        for position in body.indices {
            for value: UInt8 in [
                0x00, 0x09, 0x20, 0x22, 0x25, 0x2C, 0x2E, 0x2F, 0x30, 0x3F, 0x41, 0x5B, 0x5C, 0x5D, 0x7B, 0x7D,
                0x80, 0xFF,
            ] {
                var changed = body
                changed[position] = value
                let made = try token(changed, header: head, signedBy: key)
                guard case .proved(let found) = checkProof(made, verifier: verifier) else { continue }
                passed += 1
                let said = text(changed)
                #expect(said.contains("\"htm\":\"GET\"") && said.contains("\"ath\":\"\(tokenHash())\""))
                // The host counts in either case.
                #expect(said.lowercased().contains("\"htu\":\"https://api.example.com/v1/orders\""))
                #expect(said.contains("/v1/orders\"") && said.contains("\"jti\":\""))
                #expect(abs(found.issuedAt - now) <= 60)
            }
            var removed = body
            removed.remove(at: position)
            let made = try token(removed, header: head, signedBy: key)
            // A shorter `jti` is another one.
            if proofOutcome(made, verifier: verifier) == "proved" { #expect(text(removed).contains("\"jti\":\"")) }
        }
        #expect(passed > 0)
        for position in head.indices {
            for value: UInt8 in [0x00, 0x20, 0x22, 0x2C, 0x41, 0x5C, 0x7D, 0xFF] where head[position] != value {
                var changed = head
                changed[position] = value
                let result = proofOutcome(try token(body, header: changed, signedBy: key), verifier: verifier)
                // Letters of the media type count in either case.
                let isCase = head[position] | 0x20 == value | 0x20
                #expect(result != "proved" || isCase, "\(text(changed))")
            }
        }
    }

    /// Random changes of several bytes, random bytes, and texts of JSON's alphabet.
    @Test func randomTexts() throws {
        let verifier = ProofVerifier()
        var generator = SplitMix(state: 20_260_201)
        let good = try proof()
        let header = text(good).split(separator: ".")[0]
        let pieces = [
            "{", "}", "[", "]", ":", ",", "\"", "\"typ\"", "\"dpop+jwt\"", "\"alg\"", "\"ES256\"", "\"jwk\"", "\"kty\"",
            "\"EC\"", "\\u", "1e9", "-", "null", " ", "\"jti\":\"a\"", "\"htu\":\"https://", "é", "\u{FEFF}",
        ]
        func randomText() -> String {
            (0..<generator.next() % 24).map { _ in pieces[Int(generator.next() % UInt64(pieces.count))] }.joined()
        }
        for _ in 0..<3_000 {
            let unsigned = bytes("\(encoded(randomText())).\(encoded(randomText())).AAAA")
            #expect(proofOutcome(unsigned, verifier: verifier) != "proved")
            let body = bytes("\(header).\(encoded(randomText())).AAAA")
            #expect(proofOutcome(body, verifier: verifier) != "proved")
            let random = (0..<generator.next() % 300).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            #expect(proofOutcome(random, verifier: verifier) != "proved")
            var changed = good
            for _ in 0...generator.next() % 4 {
                changed[Int(generator.next() % UInt64(good.count))] = UInt8(truncatingIfNeeded: generator.next())
            }
            #expect(proofOutcome(changed, verifier: verifier) != "proved" || changed == good)
        }
    }

    /// Targets of random pieces, properly signed: nothing but spellings of the one target passes.
    @Test func randomTargets() throws {
        let verifier = ProofVerifier()
        var generator = SplitMix(state: 9)
        let pieces = [
            "https://", "http://", "HTTPS://", "api.example.com", "evil.example", "@", ":443", ":", "/", "/v1",
            "/orders",
            "%6f", "%2F", "%2e", "..", ".", "?", "#", "\\", "[::1]", "%", " ", "é",
        ]
        for _ in 0..<2_000 {
            let uri = (0..<generator.next() % 9).map { _ in pieces[Int(generator.next() % UInt64(pieces.count))] }
                .joined()
            let literal = uri.replacingOccurrences(of: "\\", with: "\\\\")
            let made = try proof(proofClaims(["htu": "\"\(literal)\""]), signedBy: TestKeys.ed25519)
            let result = proofOutcome(made, verifier: verifier)
            #expect(["proved", "htu_mismatch", "htu_malformed"].contains(result), "\(uri)")
            if result == "proved" {
                let plain = uri.lowercased().replacingOccurrences(of: "%6f", with: "o")
                #expect(plain.hasPrefix("https://api.example.com") && plain.contains("/v1/orders"), "\(uri)")
                #expect(!plain.contains("evil.example/") && !plain.contains("@"), "\(uri)")
            }
        }
    }
}
