import Octets
import Signatures
import Testing

@testable import Tokens

/// Examples that RFCs print, and what becomes of them as access tokens. (`PublishedTokenTests` checks the signatures
/// of RFC 7515 A.1 to A.4, RFC 7520 and RFC 7638; `ProofVerifierTests` the figures of RFC 9449.)
@Suite struct KnownAnswerTests {
    private static let examples = PublishedTokenTests.examples

    /// Everything that could still refuse a token signed by the example's key is as lenient as it can be.
    private func lenient(_ jwk: String, _ algorithm: SignatureAlgorithm, issuer: String = "joe") throws
        -> IssuerSnapshot
    {
        var rules = settings(issuer, profile: .compat, algorithms: [algorithm])
        rules.audiences = [bytes("any")]
        let document = jwks(jwk)
        let keys = try KeySet.parse(jwks: document.span, algorithms: [algorithm])
        return IssuerSnapshot(issuers: [IssuerKeys(settings: rules, keys: keys)], generation: 1)
    }

    /// A second before `exp` of RFC 7519 §3.1.
    private let inTime: Int64 = 1_300_819_379

    @Test("RFC 7515 A.1: HS256 is no algorithm of access tokens")
    func hmac() throws {
        let (_, jwk, token) = Self.examples[0]
        let issuers = try lenient(try TestKeys.rs256.jwk(), .rs256)
        #expect(outcome(bytes(token), issuers, now: inTime) == "algorithm_not_allowed")
        let document = jwks(jwk)
        #expect(throws: KeySetError.self) { try keySet(document) }
    }

    @Test("RFC 7515 A.2 and A.3: the signature is good, the token is for nobody")
    func audience() throws {
        for (index, algorithm) in [(1, SignatureAlgorithm.rs256), (2, .es256)] {
            let (_, jwk, token) = Self.examples[index]
            let issuers = try lenient(jwk, algorithm)
            // `aud` is missing, which is told to nobody who could not sign.
            #expect(outcome(bytes(token), issuers, now: inTime) == "missing_claim")
            var forged = bytes(token)
            forged[forged.count - 10] ^= 1
            #expect(outcome(forged, issuers, now: inTime) == "signature_invalid")
            #expect(outcome(bytes(token), try lenient(jwk, algorithm, issuer: "jane"), now: inTime) == "unknown_issuer")
        }
    }

    @Test("RFC 7515 A.4: a payload that is no JSON, under a good signature")
    func payload() throws {
        let (_, jwk, token) = Self.examples[3]
        #expect(outcome(bytes(token), try lenient(jwk, .es512), now: inTime) == "claims_malformed")
        #expect(PublishedTokenTests.checked(token, jwk) == .valid(algorithm: "ES512", keyID: nil))
    }

    @Test("RFC 7515 A.5 and RFC 7519 §6.1: unsecured")
    func unsecured() throws {
        let token = "eyJhbGciOiJub25lIn0.\(PublishedTokenTests.joe)."
        let issuers = try lenient(Self.examples[2].jwk, .es256)
        #expect(outcome(bytes(token), issuers, now: inTime) == "token_malformed")
        #expect(outcome(bytes(token + "AA"), issuers, now: inTime) == "algorithm_not_allowed")
        #expect(PublishedTokenTests.checked(token, Self.examples[2].jwk) == .refused(.malformed))
    }

    @Test("RFC 7515 A.6 and A.7: JSON serialisations of good signatures")
    func serialisations() throws {
        let parts = Self.examples[2].token.split(separator: ".").map(String.init)
        let (head, payload, signature) = (parts[0], parts[1], parts[2])
        let one =
            """
            "protected":"\(head)","header":{"kid":"e9bc097a-ce51-4036-9562-d2ade882db0d"},"signature":"\(signature)"
            """
        let issuers = try lenient(Self.examples[2].jwk, .es256)
        for text in ["{\"payload\":\"\(payload)\",\"signatures\":[{\(one)}]}", "{\"payload\":\"\(payload)\",\(one)}"] {
            #expect(outcome(bytes(text), issuers, now: inTime) == "token_malformed")
            #expect(PublishedTokenTests.checked(text, Self.examples[2].jwk) == .refused(.malformed))
        }
    }

    @Test("RFC 7515 appendix E: an extension that must be understood")
    func critical() throws {
        let head =
            """
            eyJhbGciOiJub25lIiwNCiAiY3JpdCI6WyJodHRwOi8vZXhhbXBsZS5jb20vVU5ERUZJTkVEIl0sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9\
            VTkRFRklORUQiOnRydWUNCn0
            """
        let issuers = try lenient(Self.examples[2].jwk, .es256)
        #expect(outcome(bytes("\(head).RkFJTA."), issuers) == "token_malformed")
        // With a signature the algorithm is refused, and with a good algorithm the extension.
        #expect(outcome(bytes("\(head).RkFJTA.AAAA"), issuers) == "algorithm_not_allowed")
        let extended = text(decoded(head) ?? []).replacing("none", with: "ES256")
        #expect(outcome(try token("FAIL", header: extended), issuers) == "critical_header")
        #expect(text(decoded("RkFJTA") ?? []) == "FAIL")
    }

    @Test("RFC 7797 §4: an unencoded payload, detached and inside")
    func unencoded() throws {
        let head = "eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19"
        let signature = "A5dxf2s96_n5FLueVuW1Z_vh161FwXZC4YLPff6dmDY"
        let secret = try #require(
            decoded("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"))
        let signed = bytes("\(head).$.02")
        #expect(encoded(hmacSHA256(secret, signed.span)) == signature)
        #expect(text(decoded(head) ?? []) == #"{"alg":"HS256","b64":false,"crit":["b64"]}"#)
        for payload in ["", "$.02", "JC4wMg"] {
            guard case .refused = PublishedTokenTests.checked("\(head).\(payload).\(signature)", Self.examples[0].jwk)
            else {
                Issue.record("`\(payload)` was taken")
                continue
            }
        }
    }

    @Test("RFC 8037 A.1 to A.5: the private key has that public key and makes that one signature")
    func edwards() throws {
        let (x, d) = ("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
        let key = try PrivateKey(.ed25519(x: decoded(x) ?? [], d: decoded(d) ?? []))
        #expect(JWKText.thumbprint(try key.components()) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
        let signed = bytes("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc")
        let signature = encoded(try key.sign(signed.span, .ed25519))
        #expect(
            signature == "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")
        let token = text(signed) + "." + signature
        #expect(Self.examples[4].token == token)
        #expect(PublishedTokenTests.checked(token, Self.examples[4].jwk) == .valid(algorithm: "Ed25519", keyID: nil))
        var other = decoded(d) ?? []
        other[0] ^= 1
        #expect(throws: KeyError.self) { try PrivateKey(.ed25519(x: decoded(x) ?? [], d: other)) }
    }

    @Test("RFC 7515 A.2: the private key makes that one signature")
    func rsa() throws {
        let parts = [
            "n": """
            ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2l\
            ZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBE\
            Ma2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kz\
            k2PAcDTW9gb54h4FRWyuXpoQ
            """,
            "d": """
            Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_\
            GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHH\
            zQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeW\
            jnczT0QU91p1DhOVRuOopznQ
            """,
            "p": """
            4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ou\
            Z2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc
            """,
            "q": """
            uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmp\
            e_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc
            """,
            "dp": """
            BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3\
            vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0
            """,
            "dq": """
            h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w\
            9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU
            """,
            "qi": """
            IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEd\
            fnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U
            """,
        ].mapValues { decoded($0) ?? [] }
        func part(_ name: String) -> [UInt8] { parts[name, default: []] }
        let key = try PrivateKey(
            .rsa(
                RSAComponents(
                    n: part("n"), e: [1, 0, 1], d: part("d"), p: part("p"), q: part("q"), dp: part("dp"),
                    dq: part("dq"), qi: part("qi"))))
        let token = Self.examples[1].token
        let signed = bytes(token.split(separator: ".").dropLast().joined(separator: "."))
        #expect(token == text(signed) + "." + encoded(try key.sign(signed.span, .rs256)))
    }

    @Test("RFC 9068 figure 2: the printed header and claims, signed here, since no signature is printed")
    func accessToken() throws {
        let head = #"{"typ":"at+JWT","alg":"RS256","kid":"RjEwOwOA"}"#
        let body =
            """
            {
              "iss": "https://authorization-server.example.com/",
              "sub": "5ba552d67",
              "aud":   "https://rs.example.com/",
              "exp": 1639528912,
              "iat": 1618354090,
              "jti" : "dbe39bf3a3ba4238a513f51d6e1691c4",
              "client_id": "s6BhdRkqt3",
              "scope": "openid profile reademail"
            }
            """
        let key = try PrivateJWK(key: TestKeys.rs256.key, algorithm: .rs256, keyID: "RjEwOwOA")
        let issued = try token(bytes(body), header: bytes(head), signedBy: key)
        func issuers(_ issuer: String, _ audience: String) -> IssuerSnapshot {
            var rules = settings(issuer)
            rules.audiences = [bytes(audience)]
            let keys = KeySet(keys: [key.verificationKey], fetchedAt: now)
            return IssuerSnapshot(issuers: [IssuerKeys(settings: rules, keys: keys)], generation: 1)
        }
        let (issuer, audience) = ("https://authorization-server.example.com/", "https://rs.example.com/")
        let good = issuers(issuer, audience)
        for (second, expected) in [
            (1_639_528_911, "verified"), (1_639_528_912, "expired"), (1_618_354_090, "verified"),
        ] as [(Int64, String)] { #expect(outcome(issued, good, now: second) == expected) }
        let result = check(issued, good, now: 1_618_354_090)
        guard case .verified(let verified) = result else {
            Issue.record("not verified")
            return
        }
        let found = Kept(verified)
        #expect(found.subject == "5ba552d67" && found.client == "s6BhdRkqt3" && found.keyID == "RjEwOwOA")
        #expect(found.scopes == "openid profile reademail" && found.audiences == [audience])
        let other = issuers(issuer, "https://rs.example.com")
        #expect(outcome(issued, other, now: 1_618_354_090) == "audience_mismatch")
        let elsewhere = issuers("https://authorization-server.example.com", audience)
        #expect(outcome(issued, elsewhere, now: 1_618_354_090) == "unknown_issuer")
    }

    @Test("RFC 8705 appendix A: the thumbprint of the certificate, as in cnf")
    func certificate() throws {
        let pem =
            """
            MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAxODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEA\
            wwEbXRsczBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ/Au08/coZwxS7LfA4vOLS9Wune\
            IXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwIDSQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOVbUlJSGQ\
            gjwD5vaUaKlLR50Q2DmFfQj1L+SY=
            """
        let plain = pem.replacing("=", with: "").replacing("+", with: "-").replacing("/", with: "_")
        let der = try #require(decoded(plain))
        let thumbprint = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"
        #expect(encoded(sha256(der.span).bytes) == thumbprint)
        // RFC 8705 figure 3 §3.1: the member as a token has it.
        let cnf = "{\"x5t#S256\":\"\(thumbprint)\"}"
        #expect(outcome(try token(claims(["cnf": cnf]))) == "proof_required")
    }
}
