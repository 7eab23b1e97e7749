import Octets
import Signatures
import Testing

@testable import Tokens

/// B38 to B44 as far as one proof shows them; the memory of proofs is in Tests/DecisionTests/AttackProofTests.swift.
@Suite struct AttackProofTests {
    /// Each of these is refused for `cause`, beside the proof that they start from.
    private func refuse(_ cause: String, _ rows: [ProofCase]) throws {
        for row in rows { #expect(proofOutcome(row.proof, row.asked) == cause, "\(row)") }
        #expect(proofOutcome(try proof()) == "proved")
    }

    @Test("B38: another spelling of method, URI or identifier is another proof, or the same replay key")
    func spellings() throws {
        let key = try proved(proof()).replayKey
        // The same request in other words: one replay key, so that the second of them is a replay.
        let same: [KeyValuePairs<String, String?>] = [
            ["htu": "\"HTTPS://API.example.com:443/v1/orders\""],
            ["htu": "\"https://api.example.com/v1/%6frders?x#y\""],
            ["jti": "\"\\u0070-1\""], ["htm": "\"\\u0047ET\""], ["iat": "\(now - 1)"], ["more": "1"],
        ]
        for change in same { #expect(try proved(proof(proofClaims(change))).replayKey == key, "\(change)") }
        // Identifiers are compared as they are.
        for identifier in ["P-1", "p-1 ", "p-2"] {
            #expect(try proved(proof(proofClaims(["jti": "\"\(identifier)\""]))).replayKey != key)
        }
        try refuse("htm_mismatch", proofClaimRows("B38", "", [["htm": "\"get\""], ["htm": "\"Get\""]]))
    }

    @Test("B39: an identifier is remembered with its key")
    func keyedIdentifiers() throws {
        let (own, other) = (try proof(), try proof(signedBy: TestKeys.foreignES256))
        #expect(try proved(own).replayKey != proved(other).replayKey)
        let bound = Asked().with { $0.boundKey = try? thumbprint(TestKeys.es256) }
        #expect(proofOutcome(other, bound) == "key_not_bound" && proofOutcome(own, bound) == "proved")
    }

    @Test("B40: a proof from the future lasts no longer than it may, and none is known before all of it is checked")
    func times() throws {
        try refuse(
            "iat_too_far_ahead", proofClaimRows("B40", "", [["iat": "\(now + 6)"], ["iat": "9007199254740992"]]))
        try refuse("iat_too_old", proofClaimRows("B40", "", [["iat": "\(now - 61)"], ["iat": "1"]]))
        try refuse("iat_malformed", proofClaimRows("B40", "", [["iat": "0"], ["iat": "-1"], ["iat": "\"\(now)\""]]))
        // Remembered for the whole time in which it would be taken, counted from its own date.
        for ahead in [-60, -1, 0, 5] as [Int64] {
            let found = try proved(proof(proofClaims(["iat": "\(now + ahead)"])))
            #expect(found.issuedAt == now + ahead && found.acceptableThrough == now + ahead + 60)
            let late = Asked().with { $0.now = found.acceptableThrough + 1 }
            #expect(proofOutcome(try proof(proofClaims(["iat": "\(now + ahead)"])), late) == "iat_too_old")
        }
    }

    @Test("B42: an identifier of any length costs 32 bytes, and more than 128 are not read")
    func longIdentifiers() throws {
        let long = String(repeating: "j", count: 129)
        try refuse(
            "jti_too_long", proofClaimRows("B42", "", [["jti": "\"\(long)\""], ["jti": "\"\(long)\(long)\(long)\""]]))
        try refuse("jti_empty", proofClaimRows("B42", "", [["jti": "\"\""]]))
        let asLong = try proved(proof(proofClaims(["jti": "\"\(long.dropLast())\""])))
        #expect(asLong.replayKey.bytes.count == 32)
        #expect(proofOutcome([UInt8](repeating: 0x41, count: 4_097)) == "too_large")
    }

    @Test("B43: a proof of another token, another path, another method")
    func otherRequests() throws {
        try refuse(
            "ath_mismatch", [proofRow("another token", "", Asked().with { $0.token = "another" }) { try proof() }])
        try refuse("ath_missing", proofClaimRows("B43", "", [["ath": nil]]))
        try refuse(
            "htu_mismatch",
            proofClaimRows(
                "B43", "",
                [
                    "https://api.example.com/V1/orders", "https://api.example.com/v1/Orders",
                    "https://api.example.com/v1/orders/", "https://api.example.com/v1",
                    "http://api.example.com/v1/orders",
                    "https://api.example.com.evil.example/v1/orders", "https://api.example.com:8443/v1/orders",
                ].map { ["htu": "\"\($0)\""] }))
        try refuse(
            "key_not_bound",
            [
                proofRow("another key", "", Asked().with { $0.boundKey = try? thumbprint(TestKeys.foreignES256) }) {
                    try proof()
                }
            ])
        let bound = Asked().with { $0.boundKey = try? thumbprint(TestKeys.es256) }
        #expect(proofOutcome(try proof(), bound) == "proved")
    }

    @Test("B44: a key that is no public key, and a header that is no proof's")
    func proofKeys() throws {
        let key = TestKeys.es256
        try refuse("key_private", proofKeyRows("B44", "", [["d": "\"AQAB\""], ["k": "\"AQAB\""], ["oth": "[]"]]))
        try refuse("key_symmetric", proofKeyRows("B44", "", [["kty": "\"oct\"", "k": "\"AQAB\""]]))
        try refuse("key_missing", proofHeaderRows("B44", "", [["jwk": nil, "kid": "\"e1\""]]))
        try refuse("critical_header", proofHeaderRows("B44", "", [["crit": "[\"exp\"]"], ["crit": "[]"]]))
        try refuse(
            "algorithm_not_allowed",
            proofHeaderRows("B44", "", [["alg": "\"none\""], ["alg": "\"HS256\""], ["alg": "\"es256\""]]))
        try refuse(
            "type_mismatch", proofHeaderRows("B44", "", [["typ": "\"at+jwt\""], ["typ": nil], ["typ": "\"JWT\""]]))
        try refuse(
            "signature_invalid",
            [proofRow("another's key", "") { try proof(header: proofHeader(key), signedBy: TestKeys.foreignES256) }])
        // HS256 over the very text, with the bytes of the key that it names.
        let head = try proofHeader(key, ["alg": "\"HS256\""])
        let signed = bytes("\(encoded(head)).\(encoded(proofClaims()))")
        let mac = hmacSHA256(bytes(try proofJWK(key)), signed.span)
        #expect(proofOutcome(signed + bytes(".\(encoded(mac))")) == "algorithm_not_allowed")
        for change in [["ext": "true", "kid": "\"k\""], ["use": "\"sig\"", "odd": "{}"]] as [[String: String?]] {
            #expect(proofOutcome(try proof(header: proofHeader(key, ["jwk": proofJWK(key, change)]))) == "proved")
        }
    }
}
