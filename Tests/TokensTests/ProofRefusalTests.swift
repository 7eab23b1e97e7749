import Octets
import Signatures
import Testing

@testable import Tokens

/// Rows of proofs that must be refused, each for its own reason, beside those that differ as little and pass.
@Suite struct ProofRefusalTests {
    @Test(arguments: formRows + headerRows)
    func formAndHeader(_ row: ProofCase) { #expect(proofOutcome(row.proof, row.asked) == row.expected) }

    @Test(arguments: keyRows + privateKeyRows + rsaKeyRows)
    func keys(_ row: ProofCase) { #expect(proofOutcome(row.proof, row.asked) == row.expected) }

    @Test(arguments: claimRows + timeRows)
    func claims(_ row: ProofCase) { #expect(proofOutcome(row.proof, row.asked) == row.expected) }

    @Test(arguments: bindingRows)
    func binding(_ row: ProofCase) { #expect(proofOutcome(row.proof, row.asked) == row.expected) }

    static func joined(_ header: String, _ claims: String, _ signature: String = "AAAA") -> [UInt8] {
        bytes("\(encoded(header)).\(encoded(claims)).\(signature)")
    }

    static let formRows: [ProofCase] = [
        proofRow("the proof that the rows start from", "proved") { try proof() },
        proofRow("empty", "malformed") { [] },
        proofRow("two dots", "malformed") { bytes("..") },
        proofRow("no signature", "malformed") {
            bytes(text(try proof()).split(separator: ".").prefix(2).joined(separator: "."))
        },
        proofRow("empty signature", "malformed") { joined(try proofHeader(), proofClaims(), "") },
        proofRow("encrypted", "malformed") { bytes("e30.e30.e30.e30.e30") },
        proofRow("a space behind", "malformed") { try proof() + [0x20] },
        proofRow("a comma and a second proof", "malformed") { try proof() + [0x2C] + proof() },
        proofRow("padding", "malformed") { try proof() + [0x3D] },
        proofRow("too large by one", "too_large") { [UInt8](repeating: 0x41, count: 4_097) },
        proofRow("as large as may be", "malformed") { [UInt8](repeating: 0x41, count: 4_096) },
        proofRow("header no JSON", "header_malformed") { joined("{", proofClaims()) },
        proofRow("header no object", "header_malformed") { joined("[]", proofClaims()) },
        proofRow("header with a BOM", "header_malformed") { joined("\u{FEFF}" + (try proofHeader()), proofClaims()) },
        proofRow("claims no JSON", "claims_malformed") { try proof("{\"jti\":") },
        proofRow("claims no object", "claims_malformed") { try proof("[]") },
        proofRow("claims with NUL", "claims_malformed") { try proof(proofClaims(["x": "\"\\u0000\""])) },
        proofRow("duplicate in header", "header_malformed") {
            joined("{\"typ\":\"dpop+jwt\"," + (try proofHeader()).dropFirst(), proofClaims())
        },
        proofRow("duplicate in jwk", "header_malformed") {
            try proof(header: proofHeader(TestKeys.es256, ["jwk": "{\"kty\":\"EC\"," + proofJWK().dropFirst()]))
        },
        proofRow("duplicate in jwk by escape", "header_malformed") {
            try proof(header: proofHeader(TestKeys.es256, ["jwk": "{\"kt\\u0079\":\"EC\"," + proofJWK().dropFirst()]))
        },
        proofRow("duplicate jti", "claims_malformed") { try proof("{\"jti\":\"a\"," + proofClaims().dropFirst()) },
        proofRow("duplicate deep in an unknown claim", "claims_malformed") {
            try proof(proofClaims(["x": "[{\"a\":1,\"\\u0061\":2}]"]))
        },
    ]

    static let headerRows: [ProofCase] =
        proofHeaderRows(
            "B44", "header_malformed", [["alg": nil], ["alg": "1"], ["alg": "[\"ES256\"]"], ["alg": "null"]])
        + proofHeaderRows(
            "A8.3", "type_mismatch",
            [
                ["typ": nil], ["typ": "\"JWT\""], ["typ": "\"at+jwt\""], ["typ": "\"dpop\""], ["typ": "\"\""],
                ["typ": "\"dpop+jwt \""], ["typ": "\"dpop+jwt;a=b\""], ["typ": "\"text/dpop+jwt\""], ["typ": "1"],
                ["typ": "null"], ["typ": "[\"dpop+jwt\"]"],
            ])
        + proofHeaderRows(
            "A8.3", "proved",
            [
                ["typ": "\"DPoP+JWT\""], ["typ": "\"application/dpop+jwt\""], ["typ": "\"dpop\\u002bjwt\""],
                ["typ": "\"dpop+jwt\"", "x": "{\"y\":[1]}"], ["kid": "\"other\""], ["jku": "\"https://evil.example/\""],
                ["x5c": "[]"], ["alg": "\"\\u0045S256\""],
            ])
        + proofHeaderRows(
            "B44", "algorithm_not_allowed",
            [
                ["alg": "\"none\""], ["alg": "\"None\""], ["alg": "\"HS256\""], ["alg": "\"HS512\""], ["alg": "\"\""],
                ["alg": "\"es256\""], ["alg": "\"ES256K\""], ["alg": "\"RSA1_5\""], ["alg": "\"Ed448\""],
            ])
        + proofHeaderRows(
            "B44", "critical_header",
            [["crit": "[]"], ["crit": "[\"b64\"]"], ["crit": "[\"exp\"]"], ["crit": "null"], ["crit": "\"\""]])
        + [
            proofRow(
                "an algorithm that is not accepted", "algorithm_not_allowed", Asked().with { $0.algorithms = [.rs256] }
            ) {
                try proof()
            },
            proofRow("no algorithm is accepted", "algorithm_not_allowed", Asked().with { $0.algorithms = [] }) {
                try proof()
            },
            proofRow("type before algorithm and crit", "type_mismatch") {
                try proof(header: proofHeader(TestKeys.es256, ["typ": "\"x\"", "alg": "\"none\"", "crit": "[]"]))
            },
        ]

    static let keyRows: [ProofCase] =
        proofHeaderRows("B44", "key_missing", [["jwk": nil], ["jwk": nil, "kid": "\"e1\""]])
        + proofHeaderRows(
            "B44", "key_invalid",
            [["jwk": "null"], ["jwk": "\"a\""], ["jwk": "[]"], ["jwk": "{}"], ["jwk": "{\"kty\":\"EC\"}"]])
        + proofKeyRows(
            "B44", "key_symmetric",
            [["kty": "\"oct\""], ["kty": "\"oct\"", "k": "\"AAAA\""], ["kty": "\"o\\u0063t\""]])
        + proofKeyRows(
            "A8.6", "key_invalid",
            [
                ["kty": nil], ["kty": "1"], ["kty": "\"ec\""], ["kty": "\"XYZ\""], ["kty": "\"OKP\""],
                ["crv": nil], ["crv": "\"P-257\""], ["crv": "\"secp256k1\""], ["crv": "256"],
                ["x": nil], ["y": nil], ["x": "\"\""], ["x": "1"], ["y": "\"AAAA\""], ["x": "\"AA==\""],
                ["x": "\"not base64url!\""], ["use": "\"enc\""], ["use": "1"], ["key_ops": "[]"],
                ["key_ops": "[\"sign\"]"], ["key_ops": "[\"verify\",\"verify\"]"], ["key_ops": "\"verify\""],
                ["key_ops": "[1]"], ["alg": "1"],
                // A point that is not on the curve.
                ["y": "\"\(encoded([UInt8](repeating: 7, count: 32)))\""],
                // Longer than its curve's coordinates, by a zero in front.
                ["x": "\"\(encoded([UInt8](repeating: 0, count: 33)))\""],
            ])
        + proofKeyRows(
            "A8.6", "proved",
            [
                ["use": "\"sig\""], ["key_ops": "[\"verify\"]"], ["key_ops": "[\"sign\",\"verify\"]"], ["ext": "true"],
                ["kid": "\"k\""], ["kid": "7"], ["alg": "\"ES256\""], ["x5t": "[]"], ["kty": "\"\\u0045C\""],
            ])
        + proofKeyRows(
            "B44", "key_mismatch",
            [
                ["alg": "\"ES384\""], ["alg": "\"RS256\""], ["alg": "\"none\""], ["crv": "\"P-384\""],
                ["kty": "\"RSA\""], ["kty": "\"OKP\"", "crv": "\"Ed25519\""],
            ])
        + proofHeaderRows("B44", "key_mismatch", [["alg": "\"RS256\""], ["alg": "\"ES384\""], ["alg": "\"EdDSA\""]])
        + proofKeyRows(
            "A8.6", "key_invalid", [["x": "\"AA\""], ["crv": "\"Ed448\""], ["crv": "\"X25519\""]],
            signedBy: TestKeys.ed25519)
        // A point of low order, under which anyone can sign.
        + proofKeyRows(
            "A8.6", "key_invalid", [["x": "\"\(encoded([1] + [UInt8](repeating: 0, count: 31)))\""]],
            signedBy: TestKeys.ed25519)

    static let privateKeyRows: [ProofCase] =
        ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].flatMap { name in
            proofKeyRows("A8.6 B44", "key_private", [[name: "\"AA\""], [name: "null"]])
                + proofKeyRows("A8.6 B44", "key_private", [[name: "\"AA\""]], signedBy: TestKeys.rs256)
                + proofKeyRows("A8.6 B44", "key_private", [[name: "\"AA\""]], signedBy: TestKeys.ed25519)
        }
        + proofKeyRows("A8.6 B44", "key_private", [["\\u0064": "\"AA\""]])

    static let rsaKeyRows: [ProofCase] =
        proofKeyRows(
            "A8.6", "key_invalid",
            [
                ["n": nil], ["e": nil], ["e": "\"AA\""], ["e": "\"\""], ["e": "\"Ag\""],
                ["e": "\"____________\""], ["n": "\"AAAA\""],
                ["n": "\"\(encoded([UInt8](repeating: 0xFF, count: 128)))\""],
                ["n": "\"\(encoded([UInt8](repeating: 0xFF, count: 1_025)))\""],
                ["n": "\"\(encoded([UInt8](repeating: 0xFF, count: 1_100)))\""],
            ], signedBy: TestKeys.rs256)
        + proofKeyRows("A8.6", "proved", [[:], ["alg": "\"RS256\""]], signedBy: TestKeys.rs256)
        + proofKeyRows("B44", "key_mismatch", [["alg": "\"PS256\""]], signedBy: TestKeys.rs256)
        + proofHeaderRows("B44", "signature_invalid", [["alg": "\"PS256\""]], signedBy: TestKeys.rs256)

    static let long = String(repeating: "j", count: 128)

    static let claimRows: [ProofCase] =
        proofClaimRows("A8.2", "jti_missing", [["jti": nil]])
        + proofClaimRows("A8.2", "jti_malformed", [["jti": "1"], ["jti": "null"], ["jti": "[\"a\"]"], ["jti": "{}"]])
        + proofClaimRows("A8.2", "jti_empty", [["jti": "\"\""]])
        + proofClaimRows("B42", "jti_too_long", [["jti": "\"\(long)j\""], ["jti": "\"\(long)\\u0061\""]])
        + proofClaimRows(
            "B42", "proved",
            [
                ["jti": "\"\(long)\""], ["jti": "\"\(String(repeating: "\\u0061", count: 128))\""], ["jti": "\" \""],
                ["jti": "\"é\""],
            ])
        + proofClaimRows("A8.2", "htm_missing", [["htm": nil]])
        + proofClaimRows(
            "A8.7", "htm_mismatch",
            [
                ["htm": "\"POST\""], ["htm": "\"get\""], ["htm": "\"Get\""], ["htm": "\"GET \""], ["htm": "\"\""],
                ["htm": "\"GE\""], ["htm": "\"GETS\""], ["htm": "null"], ["htm": "[\"GET\"]"],
            ])
        + proofClaimRows("A8.7", "htm_mismatch", [["htm": "\"\""]], Asked().with { $0.method = "" })
        + proofClaimRows("A8.7", "proved", [["htm": "\"\\u0047ET\""]])
        + proofClaimRows("A8.7", "proved", [["htm": "\"get\""]], Asked().with { $0.method = "get" })
        + proofClaimRows("A8.2", "htu_missing", [["htu": nil]])
        + proofClaimRows("A8.8", "htu_malformed", [["htu": "null"], ["htu": "1"], ["htu": "[]"], ["htu": "\"\""]])
        + proofClaimRows("A8.8", "htu_mismatch", [["htu": "\"https://api.example.com/v1/Orders\""]])
        + proofClaimRows("A8.8", "proved", [["htu": "\"https:\\/\\/api.example.com\\/v1\\/orders\""]])
        + proofClaimRows("A8.11", "ath_missing", [["ath": nil]])
        + proofClaimRows(
            "B43", "ath_mismatch",
            [
                ["ath": "\"\""], ["ath": "null"], ["ath": "\"\(tokenHash("another"))\""],
                ["ath": "\"\(tokenHash())=\""],
                ["ath": "\"\(accessToken)\""], ["ath": "[\"\(tokenHash())\"]"],
                ["ath": "\"\(tokenHash().lowercased())\""],
                // Another spelling of the same bytes.
                ["ath": "\"\(tokenHash().dropLast())p\""],
            ])
        + proofClaimRows("A8.11", "ath_mismatch", [[:]], Asked().with { $0.token = "another" })
        + proofClaimRows(
            "unknown claims", "proved",
            [["exp": "1"], ["nbf": "9999999999"], ["aud": "1"], ["nonce": "1"], ["nonce": "\"any\""], ["iss": "null"]])

    static let timeRows: [ProofCase] =
        proofClaimRows("A8.2", "iat_missing", [["iat": nil]])
        + proofClaimRows(
            "A8.10", "iat_malformed",
            [
                ["iat": "\"\(now)\""], ["iat": "null"], ["iat": "true"], ["iat": "0"], ["iat": "-1"], ["iat": "1e99"],
                ["iat": "[\(now)]"], ["iat": "9007199254740993"],
            ])
        + proofClaimRows("A8.10", "iat_too_old", [["iat": "\(now - 61)"], ["iat": "\(now - 61).9"], ["iat": "1"]])
        + proofClaimRows(
            "A8.10", "proved",
            [["iat": "\(now - 60)"], ["iat": "\(now - 60).5"], ["iat": "\(now + 5)"], ["iat": "17e8"]])
        + proofClaimRows(
            "B40", "iat_too_far_ahead",
            [["iat": "\(now + 6)"], ["iat": "\(now + 5).1"], ["iat": "9007199254740992"]])
        + proofClaimRows("A8.10", "iat_too_old", [[:]], Asked().with { $0.now = .max })
        + proofClaimRows("A8.10", "iat_too_far_ahead", [[:]], Asked().with { $0.now = .min })
        + proofClaimRows(
            "A8.10", "iat_too_old", [["iat": "\(now - 1)"]], Asked().with { $0.ageSecondsMax = -5 })

    static let demanded = Asked().with { $0.nonces = ["n-1"] }
    static let either = Asked().with { $0.nonces = ["n-2", "n-1"] }

    static let bindingRows: [ProofCase] =
        proofClaimRows("A8.9", "nonce_missing", [[:]], demanded)
        + proofClaimRows(
            "A8.9", "nonce_mismatch",
            [
                ["nonce": "\"n-2\""], ["nonce": "\"N-1\""], ["nonce": "\"\""], ["nonce": "1"], ["nonce": "null"],
                ["nonce": "\"n-1 \""], ["nonce": "[\"n-1\"]"],
            ], demanded)
        + proofClaimRows("A8.9", "proved", [["nonce": "\"n-1\""], ["nonce": "\"n\\u002d1\""]], demanded)
        + proofClaimRows("A8.9", "proved", [["nonce": "\"n-1\""], ["nonce": "\"n-2\""]], either)
        + proofClaimRows("A8.9", "nonce_mismatch", [["nonce": "\"n-3\""], ["nonce": "\"n-1n-2\""]], either)
        // Nothing to compare with is no match, not even with nothing.
        + proofClaimRows("A8.9", "nonce_mismatch", [["nonce": "\"\""]], Asked().with { $0.nonces = [""] })
        + proofClaimRows("A8.9", "nonce_mismatch", [["nonce": "\"\""]], Asked().with { $0.nonces = ["n-1", ""] })
        + proofClaimRows("A8.9", "nonce_missing", [[:]], Asked().with { $0.nonces = [] })
        + [
            proofRow("A8.11 the key of the token", "proved", boundTo(TestKeys.es256)) { try proof() },
            proofRow("A8.11 B39 another key", "key_not_bound", boundTo(TestKeys.foreignES256)) { try proof() },
            proofRow("A8.11 another key with the token's in kid", "key_not_bound", boundTo(TestKeys.es256)) {
                let name = "\"\(encoded(try thumbprint(TestKeys.es256).bytes))\""
                return try proof(
                    header: proofHeader(TestKeys.foreignES256, ["kid": name]), signedBy: TestKeys.foreignES256)
            },
            proofRow(
                "a coordinate of another length is no key, rather than another key", "key_invalid",
                boundTo(TestKeys.es256)
            ) {
                try proof(header: proofHeader(TestKeys.es256, ["jwk": proofJWK(TestKeys.es256, ["y": "\"AAAA\""])]))
            },
            proofRow("A8.5 signed by another key than jwk", "signature_invalid", boundTo(TestKeys.es256)) {
                try proof(header: proofHeader(TestKeys.es256), signedBy: TestKeys.foreignES256)
            },
            proofRow("A8.5 a signature of the wrong length", "signature_invalid") {
                joined(try proofHeader(), proofClaims())
            },
            proofRow("claims of one proof, signature of another", "signature_invalid") {
                let parts = text(try proof()).split(separator: ".")
                let other = text(try proof(proofClaims(["jti": "\"p-2\""]))).split(separator: ".")
                return bytes("\(parts[0]).\(other[1]).\(parts[2])")
            },
            proofRow("cheap causes come before the signature", "nonce_missing", demanded) {
                joined(try proofHeader(), proofClaims())
            },
            proofRow("an access token is no proof", "type_mismatch") { try token() },
        ]

    static func boundTo(_ key: PrivateJWK) -> Asked { Asked().with { $0.boundKey = try? thumbprint(key) } }

    @Test func everyRefusalHasARow() {
        let rows = [
            Self.formRows, Self.headerRows, Self.keyRows, Self.privateKeyRows, Self.rsaKeyRows, Self.claimRows,
            Self.timeRows, Self.bindingRows,
        ].joined()
        let expected = Set(rows.map { "proof_" + $0.expected })
        for refusal in ProofRefusal.allCases { #expect(expected.contains("\(refusal.name)"), "\(refusal)") }
    }

    @Test func namesAreSnakeCaseAndUnique() {
        let names = ProofRefusal.allCases.map { "\($0.name)" }
        #expect(Set(names).count == names.count)
        for name in names {
            #expect(name.hasPrefix("proof_"))
            #expect(name.utf8.allSatisfy { $0 == 0x5F || (0x61...0x7A).contains($0) })
        }
        #expect(ProofRefusal.allCases.filter(\.asksForNonce) == [.nonceMissing, .nonceMismatch])
    }
}
