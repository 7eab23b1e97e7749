import Octets
import Signatures
import Testing

@testable import Tokens

/// B23 to B37: signatures, keys and key sets.
@Suite struct AttackKeyTests {
    /// What a good token becomes under a key set in which `jwk` stands where the token's key should: the key is
    /// dropped for `cause`, the token has no key, and the set's other key goes on working.
    private func drops(_ jwk: String, _ cause: DroppedKey.Cause, token: [UInt8]) throws {
        let document = jwks(jwk, try TestKeys.ed25519.jwk())
        let set = try KeySet.parse(jwks: document.span, algorithms: SignatureAlgorithm.allCases)
        #expect(set.dropped.map(\.cause) == [cause], "\(jwk.prefix(160))")
        #expect(set.keys.map(\.algorithm) == [.ed25519])
        #expect(outcome(token, snapshot(keys: set)) == "unknownKey 0", "\(jwk.prefix(160))")
        #expect(try outcome(TokensTests.token(signedBy: TestKeys.ed25519), snapshot(keys: set)) == "verified")
    }

    private func signed(_ key: PrivateJWK, _ change: ([UInt8]) -> [UInt8]) throws -> [UInt8] {
        let parts = text(try token(signedBy: key)).split(separator: ".").map(String.init)
        let signature = try #require(decoded(parts[2]))
        return bytes("\(parts[0]).\(parts[1]).\(encoded(change(signature)))")
    }

    @Test("B23: halves of an ECDSA signature outside 1 to n - 1")
    func degenerateHalves() throws {
        // Under P-384 too; the table has P-256.
        let issuers = snapshot(
            settings(algorithms: [.es384]), keys: KeySet(keys: [TestKeys.es384.verificationKey], fetchedAt: now))
        let (zero, ones) = ([UInt8](repeating: 0, count: 48), [UInt8](repeating: 0xFF, count: 48))
        var more: [AttackCase] = []
        for (what, half) in [("zero", zero), ("the largest number", ones)] {
            more += [
                row("B23", "P-384 r = s = \(what)", "signature_invalid", issuers) {
                    try signed(TestKeys.es384) { _ in half + half }
                },
                row("B23", "P-384 r = \(what)", "signature_invalid", issuers) {
                    try signed(TestKeys.es384) { half + $0[48...] }
                },
                row("B23", "P-384 s = \(what)", "signature_invalid", issuers) {
                    try signed(TestKeys.es384) { $0[..<48] + half }
                },
            ]
        }
        more.append(row("B23", "P-384 as signed", "verified", issuers) { try signed(TestKeys.es384) { $0 } })
        try judge("B23", ["signature_invalid"], more: more)
    }

    @Test("B24: every length but the right one")
    func lengths() throws {
        let more = (0...140).map { count in
            row(
                "B24", "\(count) bytes", count == 0 ? "token_malformed" : count == 64 ? "verified" : "signature_invalid"
            ) {
                try signed(TestKeys.es256) { Array(($0 + [UInt8](repeating: 0, count: 80)).prefix(count)) }
            }
        }
        let halves = row("B24", "both halves padded to P-384's", "signature_invalid") {
            let pad = [UInt8](repeating: 0, count: 16)
            return try signed(TestKeys.es256) { pad + $0[..<32] + pad + $0[32...] }
        }
        try judge("B24", ["signature_invalid", "token_malformed"], more: more + [halves])
    }

    /// What follows from it for proofs is in Tests/DecisionTests/AttackProofTests.swift.
    @Test("B25: n - s is as good as s, and another token to every memory of tokens")
    func malleability() throws {
        try judge("B25", [])
        let (one, other) = (try token(), try #require(signatureRows.first { $0.id == "B25" }).token)
        #expect(sha256(one.span) != sha256(other.span))
        #expect(try kept(one).subject == kept(other).subject)
    }

    @Test("B26: PKCS#1 v1.5 encodings that are not the one")
    func paddings() throws {
        let document = jwks(cubedKey)
        let issuers = snapshot(keys: try KeySet.parse(jwks: document.span, algorithms: [.rs256]))
        let signed = "\(encoded(header(TestKeys.rs256, ["kid": "\"f\""])))"
        // The order of the members that the signatures are over.
        let head = encoded("{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"f\"}")
        #expect(signed == head)
        for (position, (what, signature)) in cubedSignatures.enumerated() {
            let found = outcome(bytes("\(head).\(encoded(claims())).\(signature)"), issuers)
            #expect(found == (position == 0 ? "verified" : "signature_invalid"), "\(what)")
        }
        #expect(cubedSignatures.count == 13)
    }

    @Test("B27: PSS with other parameters, PSS as PKCS#1 and the reverse")
    func parameters() throws {
        let key = cubedKey.replacingText("RS256", "PS256")
        let document = jwks(key)
        let issuers = snapshot(
            settings(algorithms: [.ps256]), keys: try KeySet.parse(jwks: document.span, algorithms: [.ps256]))
        let signed = encoded("{\"alg\":\"PS256\",\"typ\":\"at+jwt\",\"kid\":\"f\"}") + "." + encoded(claims())
        let more = (saltedSignatures + cubedSignatures.prefix(1)).enumerated().map { position, signature in
            AttackCase(
                id: "B27", what: signature.what, token: bytes("\(signed).\(signature.signature)"),
                expected: position == 0 ? "verified" : "signature_invalid", issuers: issuers)
        }
        try judge("B27", ["signature_invalid"], more: more)
    }

    @Test("B28: RSA keys that are too short, or with an exponent that is none")
    func weakRSA() throws {
        let key = TestKeys.rs256
        let good = try token(signedBy: key)
        func modulus(_ bits: Int) -> String { "\"\(encoded([0x80] + [UInt8](repeating: 1, count: bits / 8 - 1)))\"" }
        try drops(key.jwk(["n": modulus(1_024)]), .badKey(.modulusTooSmall(bits: 1_024)), token: good)
        try drops(key.jwk(["n": modulus(2_040)]), .badKey(.modulusTooSmall(bits: 2_040)), token: good)
        for exponent in ["AQ", "AA", "Ag", "AQAA"] {
            #expect(
                KeySetTests.single(try key.jwk(["e": "\"\(exponent)\""])) == "\(DroppedKey.Cause.badKey(.badExponent))")
        }
        #expect(KeySetTests.single(try key.jwk(["n": modulus(2_048)])) == "RS256")
        #expect(outcome(good) == "verified")
    }

    @Test("B29: RSA keys that cost too much")
    func expensiveRSA() throws {
        let key = TestKeys.rs256
        let good = try token(signedBy: key)
        func modulus(_ bytes: Int) -> String { "\"\(encoded([0x80] + [UInt8](repeating: 1, count: bytes - 1)))\"" }
        try drops(key.jwk(["n": modulus(1_025)]), .badKey(.modulusTooLarge(bits: 8_200)), token: good)
        try drops(key.jwk(["n": modulus(2_048)]), .badKey(.modulusTooLarge(bits: 16_384)), token: good)
        // 2^33 + 1 and 2^63 + 1.
        for exponent: [UInt8] in [[2, 0, 0, 0, 1], [0x80, 0, 0, 0, 0, 0, 0, 1], .init(repeating: 0xFF, count: 256)] {
            try drops(key.jwk(["e": "\"\(encoded(exponent))\""]), .badKey(.badExponent), token: good)
        }
        #expect(KeySetTests.single(try key.jwk(["n": modulus(1_024)])) == "RS256")
        #expect(KeySetTests.single(try key.jwk(["e": "\"\(encoded([1, 0xFF, 0xFF, 0xFF, 0xFF]))\""])) == "RS256")
    }

    @Test("B30: points off the curve and under another curve's name")
    func points() throws {
        let key = TestKeys.es256
        let good = try token()
        guard case .ec(_, let x, let y, _) = try key.key.components() else { return }
        var off = y
        off[31] ^= 1
        let zero = "\"\(encoded([UInt8](repeating: 0, count: 32)))\""
        try drops(key.jwk(["y": "\"\(encoded(off))\""]), .badKey(.pointNotOnCurve), token: good)
        try drops(key.jwk(["x": zero, "y": zero]), .badKey(.pointNotOnCurve), token: good)
        try drops(
            key.jwk(["x": "\"\(encoded(y))\"", "y": "\"\(encoded(x))\""]), .badKey(.pointNotOnCurve), token: good)
        try drops(
            key.jwk(["crv": "\"P-384\"", "alg": nil]), .badKey(.wrongLength(expected: 48, actual: 32)), token: good)
        let pad = [UInt8](repeating: 0, count: 16)
        let padded: [String: String?] = [
            "crv": "\"P-384\"", "alg": nil, "x": "\"\(encoded(pad + x))\"", "y": "\"\(encoded(pad + y))\"",
        ]
        try drops(key.jwk(padded), .badKey(.pointNotOnCurve), token: good)
        try drops(key.jwk(["alg": "\"ES384\""]), .algorithmMismatch, token: good)
        try drops(key.jwk(["crv": "\"secp256k1\"", "alg": nil]), .unknownCurve, token: good)
        #expect(outcome(good, snapshot(keys: try keySet(jwks(key.jwk(["alg": nil]))))) == "verified")
    }

    @Test("B31: Ed25519 with S beyond the order, and keys under which anyone can sign")
    func edwards() throws {
        // RFC 8032 §5.1: L = 2^252 + 27742317777372353535851937790883648493, little-endian.
        let order: [UInt8] = [
            0xED, 0xD3, 0xF5, 0x5C, 0x1A, 0x63, 0x12, 0x58, 0xD6, 0x9C, 0xF7, 0xA2, 0xDE, 0xF9, 0xDE, 0x14, 0, 0, 0, 0,
            0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ]
        let key = TestKeys.ed25519
        let beyond = try signed(key) { signature in
            var (sum, carry) = (Array(signature), 0)
            for index in 0..<32 {
                let digit = Int(sum[32 + index]) + Int(order[index]) + carry
                sum[32 + index] = UInt8(digit & 0xFF)
                carry = digit >> 8
            }
            return sum
        }
        #expect(outcome(beyond) == "signature_invalid")
        #expect(outcome(try signed(key) { $0[..<32] + order }) == "signature_invalid")
        #expect(outcome(try signed(key) { $0[..<32] + [UInt8](repeating: 0, count: 32) }) == "signature_invalid")
        #expect(outcome(try signed(key) { $0 }) == "verified")
        // The eight points of low order and the spellings of theirs that are not canonical.
        let points = [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000080",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        ]
        for point in points {
            let digits = Array(point)
            let octets = stride(from: 0, to: 64, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16) ?? 0 }
            let found = KeySetTests.single(try key.jwk(["x": "\"\(encoded(octets))\""]))
            let causes = [DroppedKey.Cause.badKey(.lowOrderPoint), .badKey(.nonCanonicalPoint)].map { "\($0)" }
            #expect(causes.contains(found), "\(point): \(found)")
        }
    }

    @Test("B32: keys for something else than verifying")
    func purposes() throws {
        let key = TestKeys.es256
        let good = try token()
        try drops(key.jwk(["use": "\"enc\""]), .notForSignatures, token: good)
        for operations in ["[]", "[\"sign\"]", "[\"encrypt\"]", "[\"deriveKey\",\"deriveBits\"]"] {
            try drops(key.jwk(["key_ops": operations]), .notForVerification, token: good)
        }
        try drops(key.jwk(["alg": "\"ECDH-ES\""]), .unknownAlgorithm, token: good)
        // A chain is neither needed nor believed.
        let set = try keySet(jwks(key.jwk(["x5c": "[\"MIIB\"]", "x5t#S256": "\"AA\"", "key_ops": "[\"verify\"]"])))
        #expect(outcome(good, snapshot(keys: set)) == "verified")
    }

    @Test("B33: encrypted and nested tokens are refused by their form")
    func encrypted() throws {
        let heads = [
            "{\"alg\":\"dir\",\"enc\":\"A128GCM\",\"zip\":\"DEF\"}",
            "{\"alg\":\"PBES2-HS256+A128KW\",\"enc\":\"A128GCM\",\"p2c\":2147483647,\"p2s\":\"AA\"}",
            "{\"alg\":\"RSA-OAEP\",\"enc\":\"A256GCM\",\"cty\":\"JWT\"}", "{\"alg\":\"ES256\",\"kid\":\"e1\"}",
        ]
        var more = heads.map { head in
            row("B33", head, "token_encrypted") { bytes("\(encoded(head)).AA.AA.\(encoded(claims())).AA") }
        }
        more += headerRows("B33", "algorithm_not_allowed", [["alg": "\"dir\"", "enc": "\"A128GCM\""]])
        try judge(
            "B33", ["token_encrypted", "token_type_mismatch", "header_malformed", "algorithm_not_allowed"], more: more)
    }

    @Test("B34: a token without kid where more than one key fits")
    func missingKeyID() throws { try judge("B34", ["unknown_key"]) }

    /// How often an issuer is asked is shown by Integration/test_attack_ids.py.
    @Test("B35: keys that are not there, or too old, are no ground to take a token")
    func staleKeys() throws { try judge("B35", ["keys_unavailable", "keys_stale"]) }

    @Test("B36: what a key set may hold")
    func poisonedSets() throws {
        let key = TestKeys.es256
        let good = try token()
        try drops(text(key.privateText()), .privateKey(member: "d"), token: good)
        try drops(
            "{\"kty\":\"oct\",\"kid\":\"e1\",\"alg\":\"HS256\",\"k\":\"\(encoded(claims()))\"}", .symmetricKey,
            token: good)
        try drops("{\"kty\":\"oct\",\"kid\":\"e1\",\"k\":\"\"}", .badEncoding("k"), token: good)
        try drops("[]", .notAnObject, token: good)
        // The attacker's key under the same name: neither is taken.
        let twins = jwks(try key.jwk(), try TestKeys.foreignES256.jwk(), try TestKeys.ed25519.jwk())
        let set = try keySet(twins)
        #expect(set.dropped.map(\.cause) == [.duplicateKeyID, .duplicateKeyID])
        for token in [good, try token(signedBy: TestKeys.foreignES256)] {
            #expect(outcome(token, snapshot(keys: set)) == "unknownKey 0")
        }
        let large = jwks(try key.jwk(["x5c": "\"" + String(repeating: "A", count: TokenLimits.keySetBytesMax) + "\""]))
        for document in [bytes("<html></html>"), bytes("{}"), bytes("{\"keys\":[]}"), bytes(""), large] {
            #expect(throws: KeySetError.self) { try keySet(document) }
        }
        #expect(outcome(good, snapshot(keys: try keySet(jwks(key.jwk())))) == "verified")
    }

    @Test("B37: a key that its issuer no longer publishes")
    func removedKeys() throws { try judge("B37", ["unknown_key"]) }
}

extension String {
    fileprivate func replacingText(_ old: String, _ new: String) -> String {
        var (rest, result) = (self[...], "")
        while let range = rest.firstRange(of: old) {
            result += rest[..<range.lowerBound] + new
            rest = rest[range.upperBound...]
        }
        return result + rest
    }
}
