import Octets
import Signatures
import Testing

@testable import Tokens

/// Every row of a catalogued attack against the token itself.
private let catalogue: [String: [AttackCase]] = Dictionary(
    grouping: algorithmRows + headerFormRows + keyRows + formRows + jsonRows + claimTypeRows + dateRows + issuerRows
        + audienceRows + typeRows + signatureRows, by: \.id)

/// The stable name of the reason that an outcome leads to when nothing is waited for.
private func reason(_ outcome: String) -> String {
    switch outcome.prefix(while: { $0 != " " }) {
    case "unknownKey": "unknown_key"
    case "keysUnavailable": "keys_unavailable"
    case "keysStale": "keys_stale"
    default: outcome
    }
}

/// Each row of the attack comes to what it expects. The refusals are `reasons`, all of them and no others, and at
/// least one row that differs as little is verified; without such a row the unchanged token is.
func judge(_ id: String, _ reasons: Set<String>, more: [AttackCase] = []) throws {
    let rows = catalogue[id, default: []] + more
    var seen: Set<String> = []
    for row in rows {
        #expect(row.id == id)
        let found = outcome(row.token, row.issuers)
        #expect(found == row.expected, "\(row)")
        seen.insert(reason(found))
    }
    if seen.remove("verified") == nil { #expect(try outcome(token()) == "verified") }
    #expect(seen == reasons)
}

/// B1 to B15: the form of a token and its header.
@Suite struct AttackFormTests {
    @Test("B1: no algorithm, in any spelling, with any signature")
    func noAlgorithm() throws {
        let more = ["", "AA", encoded([UInt8](repeating: 0, count: 64))].flatMap { signature in
            ["none", "NONE", "nOnE"].map { name in
                row(
                    "B1", "\(name), signature `\(signature)`",
                    signature.isEmpty ? "token_malformed" : "algorithm_not_allowed"
                ) {
                    bytes(
                        "\(encoded(header(TestKeys.es256, ["alg": "\"\(name)\""]))).\(encoded(claims())).\(signature)")
                }
            }
        }
        try judge("B1", ["algorithm_not_allowed", "header_malformed", "token_malformed"], more: more)
    }

    @Test("B2: a public key as the secret of HS256, in every text that it has")
    func publicKeyAsSecret() throws {
        guard case .rsa(let parts) = try TestKeys.rs256.key.components() else { return }
        let jwk = bytes(try TestKeys.rs256.jwk())
        let secrets: [[UInt8]] = [
            parts.n, parts.e, bytes(encoded(parts.n)), jwk, jwk + [0x0A], [0x20] + jwk,
            bytes("-----BEGIN PUBLIC KEY-----\n\(encoded(parts.n))\n-----END PUBLIC KEY-----\n"), [],
        ]
        let more = ["HS256", "HS384", "HS512", "hs256"].flatMap { name in
            secrets.map { secret in
                let head = header(TestKeys.rs256, ["alg": "\"\(name)\""])
                let signed = bytes("\(encoded(head)).\(encoded(claims()))")
                let mac = hmacSHA256(secret, signed.span)
                return row("B2", "\(name) with \(secret.count) bytes", "algorithm_not_allowed") {
                    signed + bytes(".\(encoded(mac))")
                }
            }
        }
        try judge("B2", ["algorithm_not_allowed"], more: more)
    }

    @Test("B3: a key without alg never takes it from a token")
    func keyWithoutAlgorithm() throws { try judge("B3", ["algorithm_not_allowed"]) }

    @Test("B4: a forged first token pins no algorithm to a key")
    func pinnedAlgorithm() throws {
        try judge("B4", ["algorithm_not_allowed"])
        // One verifier and one set of keys: forged, genuine, forged, genuine.
        let algorithms: [SignatureAlgorithm] = [.rs256, .rs512, .es256]
        let document = jwks(try TestKeys.rs256.jwk(["alg": nil]))
        let keys = try KeySet.parse(jwks: document.span, algorithms: algorithms)
        let issuers = snapshot(settings(algorithms: algorithms), keys: keys)
        let verifier = TokenVerifier()
        let (head, body) = (bytes(header(TestKeys.rs256, ["alg": "\"RS512\""])), bytes(claims()))
        let forged = try TokenMint.sign(
            header: head.span, payload: body.span, key: TestKeys.foreignRS256.key, algorithm: .rs512)
        for _ in 0..<2 {
            #expect(outcome(forged, issuers, verifier: verifier) == "algorithm_not_allowed")
            #expect(try outcome(token(signedBy: TestKeys.rs256), issuers, verifier: verifier) == "verified")
        }
    }

    @Test("B5: a key in the token's own header is nobody's")
    func embeddedKey() throws {
        let more = [
            row("B5", "the attacker's key under a name of its own", "unknownKey 0") {
                try token(
                    header: header(TestKeys.es256, ["kid": "\"x\"", "jwk": TestKeys.foreignES256.jwk()]),
                    signedBy: TestKeys.foreignES256)
            },
            row("B5", "the issuer's own key in the header", "verified") {
                try token(header: header(TestKeys.es256, ["jwk": TestKeys.es256.jwk()]))
            },
            row("B5", "the attacker's key beside a good signature", "verified") {
                try token(header: header(TestKeys.es256, ["jwk": TestKeys.foreignES256.jwk()]))
            },
        ]
        try judge("B5", ["signature_invalid", "unknown_key"], more: more)
    }

    /// That nothing is fetched is shown by Integration/test_attack_ids.py.
    @Test("B6: keys behind a URL or in a certificate of the header are not followed")
    func headerURLs() throws {
        let urls = ["http://127.0.0.1:1/jwks", "https://evil.example/jwks", "file:///etc/passwd", "\\u0000", ""]
        let more = urls.flatMap { url in
            [
                row("B6", "kid `\(url)`", url.hasPrefix("\\") ? "header_malformed" : "unknownKey 0") {
                    try token(
                        header: header(TestKeys.es256, ["kid": "\"\(url)\""]), signedBy: TestKeys.foreignES256)
                },
                row("B6", "x5c with `\(url)`", url.hasPrefix("\\") ? "header_malformed" : "signature_invalid") {
                    try token(
                        header: header(TestKeys.es256, ["x5c": "[\"\(url)\"]"]), signedBy: TestKeys.foreignES256)
                },
            ]
        }
        try judge("B6", ["signature_invalid", "unknown_key", "header_malformed"], more: more)
    }

    @Test("B7: a kid is bytes to compare, no path, query or pattern")
    func hostileKeyIDs() throws {
        let more = headerRows(
            "B7", "unknownKey 0",
            [
                "/dev/null", "../../e1", "e1/../e1", "e1' UNION SELECT 'k", "*)(uid=*", "e1;id", "|id", "%65%31", "e1?",
                "𝐞1",
            ]
            .map { ["kid": "\"\($0)\""] })
        let large = [
            row("B7", "a megabyte", "token_too_large") {
                try token(
                    header: header(TestKeys.es256, ["kid": "\"" + String(repeating: "k", count: 1 << 20) + "\""]))
            }
        ]
        try judge("B7", ["unknown_key", "header_malformed", "token_too_large"], more: more + large)
    }

    @Test("B8: crit in any form")
    func critical() throws {
        let more = headerRows(
            "B8", "critical_header",
            [
                ["crit": "[\"http://example.invalid/UNDEFINED\"]", "http://example.invalid/UNDEFINED": "true"],
                ["crit": "[\"kid\",\"kid\"]"], ["crit": "\"\""], ["crit": "false"],
                ["cr\\u0069t": "[\"exp\"]", "exp": "1"],
            ])
        try judge("B8", ["critical_header"], more: more)
    }

    @Test("B9: nothing but the compact serialisation, and the payload always decoded")
    func serialisations() throws {
        let parts = text(try token()).split(separator: ".").map(String.init)
        let one = "{\"protected\":\"\(parts[0])\",\"signature\":\"\(parts[2])\"}"
        let forms = [
            "{\"payload\":\"\(parts[1])\",\"signatures\":[\(one)]}",
            "{\"payload\":\"\(parts[1])\",\"protected\":\"\(parts[0])\",\"signature\":\"\(parts[2])\"}",
            // CVE-2022-39227: one text that a JSON reader and a reader of dots take for different tokens.
            "{\" \(parts[0]).\(encoded(claims(["sub": "\"root\""]))).\": \"\",\"payload\":\"\(parts[1])\"}",
            "\(parts[0]).\(claims()).\(parts[2])", "[\"\(parts.joined(separator: "."))\"]",
        ]
        let more = forms.map { form in row("B9", form, "token_malformed") { bytes(form) } }
        let raw = headerRows("B9", "critical_header", [["b64": "false", "crit": "[\"b64\"]"]])
        try judge("B9", ["token_malformed", "critical_header"], more: more + raw)
    }

    @Test("B10: a name twice, at any depth, in any spelling")
    func duplicates() throws { try judge("B10", ["header_malformed", "claims_malformed"]) }

    @Test("B11: UTF-8 only, without mark, surrogates and NUL")
    func encodings() throws {
        func utf32(_ text: String) -> [UInt8] {
            text.unicodeScalars.flatMap { [UInt8(truncatingIfNeeded: $0.value), 0, 0, 0] }
        }
        let head = bytes(header(TestKeys.es256))
        let more = [
            row("B11", "UTF-32", "claims_malformed") { try token(utf32(claims()), header: head) },
            row("B11", "an overlong slash", "claims_malformed") {
                try token(bytes(String(claims().dropLast()) + ",\"q\":\"") + [0xC0, 0xAF] + bytes("\"}"), header: head)
            },
            row("B11", "beyond the last code point", "claims_malformed") {
                try token(
                    bytes(String(claims().dropLast()) + ",\"q\":\"") + [0xF4, 0x90, 0x80, 0x80] + bytes("\"}"),
                    header: head)
            },
            row("B11", "a pair of surrogates", "verified") { try token(claims(["q": "\"\\ud83d\\ude00\""])) },
            row("B11", "characters of two to four bytes", "verified") { try token(claims(["q": "\"é€😀\""])) },
        ]
        try judge("B11", ["header_malformed", "claims_malformed"], more: more)
    }

    @Test("B12: base64url has one spelling")
    func base64() throws { try judge("B12", ["token_malformed"]) }

    @Test("B13: dots and length are bounded before anything is split")
    func manyDots() throws {
        let more = [5, 6, 7, 3_000].map { count in
            row("B13", "\(count) parts", count == 5 ? "token_encrypted" : "token_malformed") {
                bytes([String](repeating: "AAAA", count: count).joined(separator: "."))
            }
        }
        try judge("B13", ["token_malformed", "token_too_large", "token_encrypted"], more: more)
    }

    @Test("B14: three parts, none of them empty, none skipped")
    func emptyParts() throws { try judge("B14", ["token_malformed", "token_encrypted"]) }

    @Test("B15: depth, numbers, strings and members are bounded")
    func boundedJSON() throws {
        let deep = String(repeating: "[", count: 5_000) + String(repeating: "]", count: 5_000)
        let more = [
            row("B15", "a deep list in a claim nobody reads", "claims_malformed") { try token(claims(["q": deep])) },
            row("B15", "a deep object in cnf", "claims_malformed") {
                try token(
                    claims(["cnf": String(repeating: "{\"a\":", count: 40) + "1" + String(repeating: "}", count: 40)]))
            },
            row("B15", "a long string nobody reads", "verified") {
                try token(claims(["q": "\"" + String(repeating: "s", count: 8_000) + "\""]))
            },
            row("B15", "digits without end in exp", "claims_malformed") {
                try token(claims(["exp": String(repeating: "9", count: 4_000)]))
            },
        ]
        try judge("B15", ["header_malformed", "claims_malformed"], more: more)
    }
}

/// B16 to B22: what the claims say and what kind of token it is.
@Suite struct AttackClaimTests {
    @Test("B16: a claim of the wrong type is not an absent one")
    func wrongTypes() throws {
        // Where the profile leaves them out, they are refused all the same when they are there and unreadable.
        let more = claimRows(
            "B16", "claims_malformed", [["nbf": "\"9999\""], ["iat": "\"1\""], ["sub": "7"], ["client_id": "[]"]],
            compat)
        try judge("B16", ["claims_malformed"], more: more)
    }

    @Test("B17: dates outside their range, and the second at which they turn")
    func dates() throws { try judge("B17", ["claims_malformed", "expired", "not_yet_valid"]) }

    @Test("B18: without exp nothing passes, in no profile")
    func missingClaims() throws { try judge("B18", ["missing_claim"]) }

    @Test("B19: the issuer is one string, and exactly that")
    func issuers() throws { try judge("B19", ["unknown_issuer", "claims_malformed"]) }

    @Test("B20: the audience is exact, and every member of a list a string")
    func audiences() throws { try judge("B20", ["audience_mismatch", "claims_malformed"]) }

    @Test("B21: a key belongs to its issuer, whatever its name is")
    func mixedIssuers() throws { try judge("B21", ["signature_invalid", "unknown_key"]) }

    @Test("B22: tokens of every other kind, well signed by the issuer")
    func otherKinds() throws {
        let key = TestKeys.es256
        func kind(_ what: String, _ type: String?, _ body: String, _ expected: String, _ issuers: IssuerSnapshot)
            -> AttackCase
        {
            row("B22", what, expected, issuers) {
                try token(body, header: header(key, ["typ": type.map { "\"\($0)\"" }]))
            }
        }
        let identity = claims(["aud": "\"app-1\"", "nonce": "\"n\"", "at_hash": "\"a\"", "scope": nil])
        let strict = snapshot()
        let more = [
            kind("ID token", "JWT", identity, "token_type_mismatch", strict),
            kind("ID token", "JWT", identity, "audience_mismatch", compat),
            kind("ID token without typ", nil, identity, "audience_mismatch", compat),
            kind("refresh token", "rt+jwt", claims(), "token_type_mismatch", compat),
            kind("logout token", "logout+jwt", claims(["events": "{}"]), "token_type_mismatch", compat),
            kind("security event", "secevent+jwt", claims(["events": "{}"]), "token_type_mismatch", strict),
            kind("status list", "statuslist+jwt", claims(["status_list": "{}"]), "token_type_mismatch", strict),
            kind(
                "introspection reply", "token-introspection+jwt", claims(["token_introspection": claims()]),
                "token_type_mismatch", strict),
            kind("transaction token", "txntoken+jwt", claims(["txn": "\"1\""]), "token_type_mismatch", strict),
            row("B22", "refresh token without form", "token_malformed") { bytes("8xLOxBtZp8") },
            row("B22", "DPoP proof", "token_type_mismatch") { try proof(signedBy: key) },
        ]
        try judge("B22", ["token_type_mismatch", "audience_mismatch", "token_malformed"], more: more)
        // And none of them is a proof.
        for type in ["at+jwt", "JWT", "secevent+jwt", "statuslist+jwt", "token-introspection+jwt", "txntoken+jwt"] {
            #expect(proofOutcome(try proof(header: proofHeader(key, ["typ": "\"\(type)\""]))) == "type_mismatch")
        }
        #expect(proofOutcome(try proof()) == "proved")
    }

    @Test("B43: a bound token passes the verifier as bound, or by an unknown method not at all")
    func boundTokens() throws { try judge("B43", ["proof_required"]) }

    @Test("B46: scopes of another type than the claim has")
    func scopeTypes() throws {
        let more = [
            row("B46", "a list of strings is one scope each", "verified") {
                try token(claims(["scope": "[\"a\",\"b\"]"]))
            },
            row("B46", "a claim that the issuer does not name for scopes is not read", "verified") {
                try token(claims(["scp": "7", "roles": "{}", "permissions": "[1]"]))
            },
        ]
        try judge("B46", ["claims_malformed"], more: more)
    }
}
