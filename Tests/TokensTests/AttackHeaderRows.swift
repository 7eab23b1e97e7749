import Octets
import Signatures
import Testing

@testable import Tokens

// MARK: B1–B4 algorithms

let algorithmRows: [AttackCase] =
    headerRows(
        "B1", "algorithm_not_allowed",
        ["none", "NONE", "nOnE", "none ", " none", "", "es256", "ES256 ", "ES256K", "HS256", "Ed448"].map {
            ["alg": "\"\($0)\""]
        })
    + headerRows(
        "B1", "header_malformed",
        [["alg": nil], ["alg": "null"], ["alg": "5"], ["alg": "[]"], ["alg": "[\"ES256\"]"], ["alg": "{}"]])
    + [
        row("B1", "none with an empty signature", "token_malformed") {
            bytes(encoded("{\"alg\":\"none\"}") + "." + encoded(claims()) + ".")
        },
        row("B1", "alg with an escape is the same alg", "verified") {
            try token(header: header(TestKeys.es256, ["alg": "\"\\u0045S256\""]))
        },
        row("B2", "HS256 with the public JWK as secret", "algorithm_not_allowed") {
            try hmacToken(secret: TestKeys.rs256.publicText(), keyID: "r1")
        },
        row("B2", "HS256 with the modulus as secret", "algorithm_not_allowed") {
            guard case .rsa(let parts) = try TestKeys.rs256.key.components() else { return [] }
            return hmacToken(secret: parts.n, keyID: "r1")
        },
        row("B3", "HS256 with an empty secret on a key without alg", "algorithm_not_allowed", algLess) {
            hmacToken(secret: [], keyID: "r1")
        },
        row("B3", "RS512 on a key that was given RS256", "algorithm_not_allowed", algLess) {
            try relabelled(.rs512, TestKeys.rs256)
        },
        row("B4", "RS256 on that key afterwards", "verified", algLess) {
            try token(signedBy: TestKeys.rs256)
        },
        row("B4", "alg of another key under its kid", "algorithm_not_allowed") {
            try token(header: header(TestKeys.rs256, ["kid": "\"e1\""]), signedBy: TestKeys.rs256)
        },
        row("B4", "alg that the key does not have", "algorithm_not_allowed") {
            try relabelled(.ps256, TestKeys.rs256)
        },
        row(
            "B4", "alg that the issuer does not list, though a key has it", "algorithm_not_allowed",
            onlyES256Listed
        ) {
            try token(signedBy: TestKeys.rs256)
        },
    ]

/// The issuer lists two RSA algorithms and publishes its key without `alg`.
private let algLess: IssuerSnapshot = {
    do {
        let algorithms: [SignatureAlgorithm] = [.rs256, .rs512, .es256]
        let document = jwks(try TestKeys.rs256.jwk(["alg": nil]))
        return snapshot(
            settings(algorithms: algorithms),
            keys: try KeySet.parse(jwks: document.span, algorithms: algorithms))
    } catch {
        preconditionFailure("\(error)")
    }
}()

private let onlyES256Listed = snapshot(settings(algorithms: [.es256]))

private func hmacToken(secret: [UInt8], keyID: String) -> [UInt8] {
    var text = bytes(
        encoded("{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"\(keyID)\"}") + "." + encoded(claims()))
    let mac = hmacSHA256(secret, text.span)
    text += bytes("." + encoded(mac))
    return text
}

/// Really signed by that algorithm, with a header that says so.
private func relabelled(_ algorithm: SignatureAlgorithm, _ key: PrivateJWK) throws -> [UInt8] {
    let head = bytes(header(key, ["alg": "\"\(algorithm.name)\""]))
    let body = bytes(claims())
    return try TokenMint.sign(header: head.span, payload: body.span, key: key.key, algorithm: algorithm)
}

// MARK: B5–B9 header members

let headerFormRows: [AttackCase] =
    [
        row("B5", "the attacker's key in the header", "signature_invalid") {
            let jwk = try TestKeys.foreignES256.jwk()
            return try token(header: header(TestKeys.es256, ["jwk": jwk]), signedBy: TestKeys.foreignES256)
        },
        row("B5", "the attacker's key in the header, without kid", "signature_invalid") {
            let jwk = try TestKeys.foreignES256.jwk()
            return try token(
                header: header(TestKeys.es256, ["kid": nil, "jwk": jwk]), signedBy: TestKeys.foreignES256)
        },
    ]
    + ["jku", "x5u"].flatMap { name in
        [
            row("B6", "\(name) of the attacker", "signature_invalid") {
                try token(
                    header: header(TestKeys.es256, ["\(name)": "\"https://evil.example/jwks\""]),
                    signedBy: TestKeys.foreignES256)
            },
            row("B6", "\(name) is ignored", "verified") {
                try token(header: header(TestKeys.es256, ["\(name)": "\"https://evil.example/jwks\""]))
            },
        ]
    }
    + headerRows("B6", "verified", [["x5c": "[\"MIIB\"]"], ["x5t": "\"a\""], ["zip": "\"DEF\""]])
    + headerRows(
        "B7", "unknownKey 0",
        [
            "../../../dev/null", "' OR 1=1 --", "{\\\"$ne\\\":null}", "*", "", "E1", "e1 ", " e1", "e", "e11",
            "e1\\n", "é",
        ]
        .map { ["kid": "\"\($0)\""] })
    + headerRows(
        "B7", "header_malformed",
        [
            ["kid": "1"], ["kid": "null"], ["kid": "true"], ["kid": "[\"e1\"]"], ["kid": "{}"],
            ["kid": "\"e1\\u0000\""],
            ["kid": "\"" + String(repeating: "k", count: 1_025) + "\""],
        ])
    + headerRows("B7", "unknownKey 0", [["kid": "\"" + String(repeating: "k", count: 1_024) + "\""]])
    + headerRows("B7", "verified", [["kid": "\"\\u0065\\u0031\""]])
    + headerRows(
        "B8", "critical_header",
        ["[]", "[\"exp\"]", "[\"b64\"]", "[\"alg\"]", "\"exp\"", "null", "1", "{}", "[1]"].map {
            ["crit": $0]
        })
    + headerRows("B8", "critical_header", [["b64": "false", "crit": "[\"b64\"]"]])
    + headerRows("B9", "verified", [["b64": "false"], ["b64": "true"]])
    + headerRows(
        "B33", "token_type_mismatch",
        [["cty": "\"JWT\""], ["cty": "\"jwt\""], ["cty": "\"application/jwt\""], ["cty": "\"\\u004aWT\""]])
    + headerRows("B33", "header_malformed", [["cty": "1"], ["typ": "1"], ["typ": "null"], ["typ": "[]"]])
    + headerRows("B33", "verified", [["cty": "\"json\""]])

// MARK: B21, B34 keys

let keyRows: [AttackCase] = [
    row("B21", "the other issuer's key of the same kid", "signature_invalid") {
        try token(signedBy: TestKeys.foreignES256)
    },
    row("B21", "our key for the other issuer", "signature_invalid") {
        try token(claims(["iss": "\"\(otherIssuerName)\""]))
    },
    row("B21", "the other issuer with its own key", "verified") {
        try token(claims(["iss": "\"\(otherIssuerName)\""]), signedBy: TestKeys.foreignES256)
    },
    row("B21", "a kid that only this issuer has, for the other", "unknownKey 1") {
        try token(claims(["iss": "\"\(otherIssuerName)\""]), signedBy: TestKeys.ed25519)
    },
    row("B34", "no kid, one key for the alg", "verified") {
        try token(header: header(TestKeys.es256, ["kid": nil]))
    },
    row("B34", "no kid, two keys for the alg", "unknown_key", twoES256) {
        try token(header: header(TestKeys.es256, ["kid": nil]))
    },
    row("B34", "no kid, no key for the alg", "unknownKey 0", onlyRS256) {
        try token(header: header(TestKeys.es256, ["kid": nil]))
    },
    row("B34", "kid, where the only key has none", "unknownKey 0", nameless) { try token() },
    row("B34", "no kid, where the only key has none", "verified", nameless) {
        try token(header: header(TestKeys.es256, ["kid": nil]))
    },
    row("B37", "a key that was removed", "unknownKey 0", onlyRS256) { try token() },
    row("B35", "keys never fetched", "keysUnavailable 0", withStatus(.unavailable, keys: nil)) {
        try token()
    },
    row("B35", "keys too old", "keysStale 0", withStatus(.stale, keys: usualKeys)) { try token() },
    row("B35", "keys too old and a forged token", "keysStale 0", withStatus(.stale, keys: usualKeys)) {
        try token(signedBy: TestKeys.foreignES256)
    },
]

private let twoES256 = snapshot(
    keys: KeySet(
        keys: [
            TestKeys.es256.verificationKey,
            VerificationKey(
                keyID: bytes("e2"), algorithm: .es256, key: TestKeys.foreignES256.key.publicKey),
        ], fetchedAt: now))
private let onlyRS256 = snapshot(keys: KeySet(keys: [TestKeys.rs256.verificationKey], fetchedAt: now))
private let nameless = snapshot(
    keys: KeySet(
        keys: [VerificationKey(keyID: nil, algorithm: .es256, key: TestKeys.es256.key.publicKey)],
        fetchedAt: now))

private func withStatus(_ status: IssuerKeys.Status, keys: KeySet?) -> IssuerSnapshot {
    IssuerSnapshot(issuers: [IssuerKeys(settings: settings(), keys: keys, status: status)], generation: 1)
}
