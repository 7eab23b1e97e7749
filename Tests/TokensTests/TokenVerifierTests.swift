import Octets
import Signatures
import Testing

@testable import Tokens

@Suite struct TokenVerifierTests {
    @Test func keepsWhatDecisionsNeed() throws {
        let body = claims([
            "aud": "[\"https://a.example\",\"\(audienceName)\"]", "nbf": "1699999000.25",
            "exp": "1700000300.75",
            "iat": "1699999990.5", "tenant": "\"t-1\"", "level": "5", "sub": "\"us\\u00e9r\\/1\"",
        ])
        let bytesOfToken = try token(body)
        let found = try verified(
            bytesOfToken, snapshot(settings(boundClaims: ["tenant", "level", "absent", "sub"])))
        let kept = Kept(found)
        #expect(kept.subject == "usér/1" && kept.client == "app-1" && kept.keyID == "e1")
        #expect(kept.scopes == "orders:read orders:write")
        #expect(kept.audiences == ["https://a.example", audienceName])
        #expect(kept.hasAudience(audienceName) && kept.hasAudience("https://a.example"))
        #expect(!kept.hasAudience("https://second.example.com") && !kept.hasAudience(""))
        #expect(!kept.hasAudience("https://a.exampl") && !kept.hasAudience("https://a.example/"))
        #expect(kept.bound(0) == "t-1" && kept.bound(1) == nil && kept.bound(2) == nil)
        #expect(kept.bound(3) == "usér/1" && kept.bound(4) == nil && kept.bound(-1) == nil)
        #expect(
            found.expiresAt == 1_700_000_300 && found.notBefore == 1_699_999_001
                && found.issuedAt == 1_699_999_990)
        #expect(found.issuerIndex == 0 && found.issuerKeysGeneration == usualKeys.generation)
        #expect(found.issuersGeneration == 7)
        #expect(found.digest == sha256(bytesOfToken.span))
    }

    @Test func compatLeavesEmptyWhatIsAbsent() throws {
        let body = claims(["sub": nil, "client_id": nil, "iat": nil, "jti": nil, "scope": nil])
        let head = header(TestKeys.es256, ["typ": nil, "kid": nil])
        let found = try verified(token(body, header: head), snapshot(settings(profile: .compat)))
        let kept = Kept(found)
        #expect(kept.subject.isEmpty && kept.client.isEmpty && kept.scopes.isEmpty && kept.keyID.isEmpty)
        #expect(found.issuedAt == 0 && found.notBefore == 0 && kept.bound(0) == nil)
    }

    /// B45–B48, B11: scopes come out exactly as the token has them, or not at all.
    @Test(arguments: [
        ("\"a\"", "a"), ("\"a b\"", "a b"), ("\"b a a\"", "b a a"), ("\"! #[]~\"", "! #[]~"), ("\"*\"", "*"),
        ("\"read:/john\"", "read:/john"), ("\"\\u0061 b\"", "a b"), ("\"\"", ""), ("\" a\"", ""),
        ("\"a \"", ""),
        ("\"a  b\"", ""), ("\"a\\tb\"", ""), ("\"a\\nb\"", ""), ("\"a\\u00a0b\"", ""), ("\"a\\\"b\"", ""),
        ("\"a\\\\b\"", ""), ("\"é\"", ""), ("\"orders:r\\u0435ad\"", ""), ("\"a\\u007f\"", ""), ("\" \"", ""),
        ("\"a,b\"", "a,b"), ("\"Admin admin\"", "Admin admin"), ("[]", ""), ("[\"a\"]", "a"),
        ("[\"a\",\"b\"]", "a b"),
        ("[\"\\u0061\",\"b\"]", "a b"), ("[\"a b\"]", ""), ("[\"a\",\"\"]", ""), ("[\"\"]", ""),
        ("[\"a\",\"b c\"]", ""),
        ("[\"a\",\"é\"]", ""),
    ])
    func scopes(_ value: String, _ expected: String) throws {
        #expect(try kept(token(claims(["scope": value]))).scopes == expected)
    }

    @Test func scopesAreCounted() throws {
        func list(_ count: Int) -> String { (0..<count).map { "s\($0)" }.joined(separator: " ") }
        func array(_ count: Int) -> String {
            "[" + (0..<count).map { "\"s\($0)\"" }.joined(separator: ",") + "]"
        }
        #expect(try kept(token(claims(["scope": "\"\(list(1_024))\""]))).scopes == list(1_024))
        #expect(try kept(token(claims(["scope": array(1_024)]))).scopes == list(1_024))
        #expect(try outcome(token(claims(["scope": "\"\(list(1_025))\""]))) == "claims_malformed")
        #expect(try outcome(token(claims(["scope": array(1_025)]))) == "claims_malformed")
    }

    @Test func scopeAndClientClaimsAreTheIssuersOwn() throws {
        var entra = settings(profile: .compat, scopeClaim: "scp")
        entra.clientClaim = bytes("azp")
        let body = claims(["scp": "[\"files:read\"]", "azp": "\"app-9\""])
        let found = try kept(token(body), snapshot(entra))
        #expect(found.scopes == "files:read" && found.client == "app-9")
        #expect(try outcome(token(claims(["azp": "7"])), snapshot(entra)) == "claims_malformed")
    }

    /// Of several causes the first in the documented order is given, and none from the claims to someone who
    /// cannot sign.
    @Test func theFirstCauseIsReported() throws {
        let bad = claims(["exp": "1", "aud": "\"x\"", "sub": nil, "nbf": "\"x\"", "cnf": "{}"])
        #expect(try outcome(token(bad, signedBy: TestKeys.foreignES256)) == "signature_invalid")
        #expect(try outcome(token(bad)) == "claims_malformed")
        #expect(
            try outcome(token(claims(["exp": "1", "aud": "\"x\"", "sub": nil, "cnf": "{}"])))
                == "missing_claim")
        #expect(try outcome(token(claims(["exp": "1", "aud": "\"x\"", "cnf": "{}"]))) == "expired")
        #expect(
            try outcome(token(claims(["nbf": "1800000000", "aud": "\"x\"", "cnf": "{}"]))) == "not_yet_valid")
        #expect(try outcome(token(claims(["aud": "\"x\"", "cnf": "{}"]))) == "audience_mismatch")
        #expect(try outcome(token(claims(["cnf": "{}"]))) == "proof_required")
        let strange = header(TestKeys.es256, ["alg": "\"none\"", "typ": "\"x\"", "crit": "[]"])
        #expect(try outcome(token(bad, header: strange)) == "algorithm_not_allowed")
        let typed = header(TestKeys.es256, ["typ": "\"x\"", "crit": "[]"])
        #expect(try outcome(token(bad, header: typed)) == "token_type_mismatch")
        let unknown = claims(["iss": "\"x\"", "exp": "1"])
        #expect(
            try outcome(token(unknown, header: header(TestKeys.es256, ["kid": "\"z\""]))) == "unknown_issuer")
        #expect(try outcome(token(bad, header: header(TestKeys.es256, ["kid": "\"z\""]))) == "unknownKey 0")
    }

    @Test func withoutAudiencesNothingPasses() throws {
        var none = settings()
        none.audiences = []
        #expect(try outcome(token(), snapshot(none)) == "audience_mismatch")
    }

    @Test func withoutKeysAnIssuerIsUnavailable() {
        for status in [IssuerKeys.Status.usable, .stale, .unavailable] {
            #expect(IssuerKeys(settings: settings(), keys: nil, status: status).status == .unavailable)
            #expect(IssuerKeys(settings: settings(), keys: usualKeys, status: status).status == status)
        }
    }

    @Test func timeIsTheCallers() throws {
        let made = try token(claims(["nbf": "1699999000"]))
        let cases: [(Int64, String)] = [
            (1_700_000_299, "verified"), (1_700_000_300, "expired"), (.max, "expired"),
            (1_699_999_000, "not_yet_valid"),
            (1_699_999_690, "verified"), (1_699_999_689, "not_yet_valid"), (0, "not_yet_valid"),
            (.min, "not_yet_valid"),
        ]
        for (time, expected) in cases { #expect(outcome(made, now: time) == expected, "\(time)") }
    }

    /// One verifier sees many tokens, issuers and key sets; nothing of one token reaches the next.
    @Test func stateDoesNotLeakBetweenTokens() throws {
        let verifier = TokenVerifier()
        let long = try token(claims(["sub": "\"" + String(repeating: "s", count: 3_000) + "\""]))
        let short = try token(claims(["sub": "\"x\""]), signedBy: TestKeys.ed25519)
        let other = try token(claims(["iss": "\"\(otherIssuerName)\""]), signedBy: TestKeys.foreignES256)
        let forged = try token(signedBy: TestKeys.foreignES256)
        for _ in 0..<3 {
            #expect(try kept(long, verifier: verifier).subject.utf8.count == 3_000)
            #expect(outcome(forged, verifier: verifier) == "signature_invalid")
            #expect(try kept(short, verifier: verifier).subject == "x")
            #expect(try kept(other, verifier: verifier).issuerIndex == 1)
            #expect(outcome(bytes("x"), verifier: verifier) == "token_malformed")
        }
    }

    /// A header that was read before is not read again; whatever came in between must not show.
    @Test func knownHeadersAreTheTokensOwn() throws {
        let verifier = TokenVerifier()
        let good = try token()
        let goodText = text(good)
        let otherKey = try token(signedBy: TestKeys.ed25519)
        let between: [([UInt8], String)] = [
            (try token(header: header(TestKeys.es256, ["crit": "[]"])), "critical_header"),
            (try token(header: header(TestKeys.es256, ["kid": "\"e2\""])), "unknownKey 0"),
            (try token(header: header(TestKeys.es256, ["typ": "\"JWT\""])), "token_type_mismatch"),
            (try token(header: "{\"alg\":\"ES256\""), "header_malformed"), (otherKey, "verified"),
            (bytes("!" + String(goodText.dropFirst())), "token_malformed"),
            (bytes(String(goodText.dropFirst(4))), "header_malformed"),
            (try token(claims(["exp": "1"])), "expired"), (bytes(goodText + "!"), "token_malformed"),
            (try token(signedBy: TestKeys.foreignES256), "signature_invalid"),
            (bytes(encoded(header(TestKeys.es256)) + ".!.AAAA"), "token_malformed"),
        ]
        for (first, firstExpected) in between {
            for (second, secondExpected) in between {
                #expect(outcome(first, verifier: verifier) == firstExpected)
                #expect(outcome(second, verifier: verifier) == secondExpected)
                #expect(try kept(good, verifier: verifier).keyID == "e1")
                #expect(try kept(otherKey, verifier: verifier).keyID == "o1")
            }
        }
    }

    /// B37, B50: a new key set takes effect at once, in the verifier that has used the old one.
    @Test func rotationTakesEffectAtOnce() throws {
        let verifier = TokenVerifier()
        let old = try token()
        let renewed = KeySet(
            keys: [
                VerificationKey(
                    keyID: bytes("e1"), algorithm: .es256, key: TestKeys.foreignES256.key.publicKey)
            ],
            fetchedAt: now)
        #expect(renewed.generation != usualKeys.generation)
        #expect(outcome(old, verifier: verifier) == "verified")
        #expect(outcome(old, snapshot(keys: renewed), verifier: verifier) == "signature_invalid")
        #expect(
            try outcome(token(signedBy: TestKeys.foreignES256), snapshot(keys: renewed), verifier: verifier)
                == "verified")
        #expect(outcome(old, verifier: verifier) == "verified")
        let alone = IssuerSnapshot(
            issuers: [IssuerKeys(settings: settings(), keys: usualKeys)], generation: 8)
        #expect(outcome(old, alone, verifier: verifier) == "verified")
        #expect(
            outcome(old, IssuerSnapshot(issuers: [], generation: 9), verifier: verifier) == "unknown_issuer")
        #expect(outcome(old, verifier: verifier) == "verified")
    }

    @Test func longestClaimsFit() throws {
        // Every claim name bound many times over: more than the buffer holds is refused, never cut.
        let value = String(repeating: "v", count: 8_000)
        let body = claims(["tenant": "\"\(value)\""])
        #expect(try kept(token(body), snapshot(settings(boundClaims: ["tenant"]))).bound(0) == value)
        let often = snapshot(settings(boundClaims: [String](repeating: "tenant", count: 5)))
        #expect(try outcome(token(body), often) == "claims_malformed")
    }

    @Test func namesAreThoseOfTheReasons() {
        let names = TokenRefusal.allCases.map { "\($0.name)" }
        #expect(
            names == [
                "token_too_large", "token_malformed", "token_encrypted", "header_malformed",
                "token_type_mismatch",
                "algorithm_not_allowed", "critical_header", "claims_malformed", "unknown_issuer",
                "unknown_key",
                "signature_invalid", "missing_claim", "expired", "not_yet_valid", "audience_mismatch",
                "proof_required", "lifetime_too_long",
            ])
    }
}

@Suite struct ScopeSyntaxTests {
    /// Every byte, alone: NQCHAR of RFC 6749 is %x21 / %x23-5B / %x5D-7E, both ends included.
    @Test func everyByte() {
        for byte in UInt8.min...UInt8.max {
            let expected = byte == 0x21 || (0x23...0x5B).contains(byte) || (0x5D...0x7E).contains(byte)
            #expect(ScopeSyntax.isTokenByte(byte) == expected)
            let one = [byte]
            let (isToken, count) = (ScopeSyntax.isToken(one.span), ScopeSyntax.count(one.span))
            #expect(isToken == expected)
            #expect(count == (expected ? 1 : nil))
        }
    }
}
