import Octets
import Signatures
import Testing

@testable import Tokens

/// Introspection replies of opaque tokens (RFC 7662 §2.2).
@Suite struct IntrospectionTests {
    @Test func activeReplies() throws {
        let found = try active(
            reply([
                "jti": "\"j-2\"", "acr": "\"gold\"", "auth_time": "1699999000", "nbf": "1699999999",
                "act": "{\"sub\":\"svc\",\"client_id\":\"c\"}",
            ]))
        let kept = Kept(found)
        #expect(kept.subject == "user-1" && kept.client == "app-1" && kept.scopes == "orders:read orders:write")
        #expect(kept.audiences == [audienceName] && kept.keyID.isEmpty && kept.issuerIndex == 0)
        #expect(text(found.tokenID) == "j-2" && text(found.authenticationContext) == "gold")
        #expect(text(found.actorSubject) == "svc" && text(found.actorClient) == "c" && found.hasActor)
        #expect(found.expiresAt == 1_700_000_300 && found.notBefore == 1_699_999_999)
        #expect(found.issuedAt == 1_699_999_990 && found.authenticatedAt == 1_699_999_000)
        #expect(found.isOpaque && found.issuerKeysGeneration == 0 && found.issuersGeneration == 7)
        #expect(found.digest == opaqueToken && found.confirmation == .none && found.freshUntil == now + 60)
    }

    /// RFC 7662 §2.2, the first example, for the audience that it is for.
    @Test func publishedReply() throws {
        let example = """
            {"active": true, "client_id": "l238j323ds-23ij4", "username": "jdoe", "scope": "read write dolphin",
             "sub": "Z5O3upPC88QrAjx00dis", "aud": "https://protected.example.net/resource",
             "iss": "https://server.example.com/", "exp": 1419356238, "iat": 1419350238,
             "extension_field": "twenty-seven"}
            """
        var changed = settings("https://server.example.com/")
        changed.audiences = [bytes("https://protected.example.net/resource")]
        let found = Kept(try active(example, snapshot(changed), now: 1_419_350_300))
        #expect(found.subject == "Z5O3upPC88QrAjx00dis" && found.client == "l238j323ds-23ij4")
        #expect(found.scopes == "read write dolphin")
        #expect(word(example, snapshot(changed), now: 1_419_356_238) == "expired")
        #expect(word("{\"active\": false}") == "inactive")
    }

    /// A7.2: only the JSON value true is true.
    @Test(arguments: ["\"true\"", "1", "null", "[]", "[true]", "{}", "\"false\"", "0"])
    func activeIsABoolean(_ value: String) {
        #expect(word(reply(["active": value])) == "unreadable")
        #expect(word(reply(["active": nil])) == "unreadable")
        #expect(word(reply(["active": "false"])) == "inactive")
    }

    @Test(arguments: [
        "", "true", "[]", "null", "{", "{\"active\":true,\"active\":true}", "{\"active\":true}x", "\u{FEFF}{}",
        "{\"active\":tru}", "<html>",
    ])
    func whatIsNoObject(_ body: String) {
        #expect(word(body) == "unreadable")
    }

    @Test func longReplies() {
        let most = IntrospectionReader.replyBytesMax
        let short = reply(["x": "\"\""])
        for (extra, expected) in [(0, "active"), (1, "unreadable")] {
            let filler = String(repeating: "x", count: most - short.utf8.count + extra)
            #expect(word(reply(["x": "\"\(filler)\""])) == expected)
        }
        // Strings that are kept are bounded by what a token may hold.
        let long = String(repeating: "s", count: 40_000)
        #expect(word(reply(["sub": "\"\(long)\""])) == "claims_malformed")
    }

    @Test func issuers() {
        #expect(word(reply(["iss": nil])) == "active")
        #expect(word(reply(["iss": "\"\(otherIssuerName)\""])) == "unknown_issuer")
        #expect(word(reply(["iss": "\"\(issuerName)/\""])) == "unknown_issuer")
        for value in ["5", "null", "[\"\(issuerName)\"]"] {
            #expect(word(reply(["iss": value])) == "claims_malformed")
        }
        let issuers = snapshot(asked())
        let body = bytes(reply())
        let result = IntrospectionReader().read(
            body.span, isJWT: false, token: opaqueToken, issuers: issuers, issuerIndex: 2, local: nil, now: now)
        #expect(word(result) == "unreadable")
    }

    @Test func audiences() {
        #expect(word(reply(["aud": nil])) == "missing_claim")
        for value in ["5", "null", "[]", "{}", "[5]", "[\"\(audienceName)\",5]"] {
            #expect(word(reply(["aud": value])) == "claims_malformed")
        }
        for value in ["\"\"", "\"\(audienceName)/\"", "[\"x\"]", "\"\(clientName)\""] {
            #expect(word(reply(["aud": value])) == "audience_mismatch")
        }
        #expect(word(reply(["aud": "[\"x\",\"\(audienceName)\"]"])) == "active")
    }

    @Test(arguments: ["Bearer", "bearer", "BEARER", "DPoP", "dpop", "N_A", "MAC", "", "PoP", "Bearer "])
    func tokenTypes(_ name: String) {
        let isBearer = name.lowercased() == "bearer"
        let isProof = name.lowercased() == "dpop"
        let thumbprint = ConfirmationTests.thumbprint
        let bound = "{\"jkt\":\"\(thumbprint)\"}"
        let certificate = "{\"x5t#S256\":\"\(thumbprint)\"}"
        func result(_ confirmation: String?) -> String {
            word(reply(["token_type": "\"\(name)\"", "cnf": confirmation]))
        }
        #expect(result(nil) == (isBearer ? "active" : "token_type_mismatch"))
        #expect(result(certificate) == (isBearer ? "active" : "token_type_mismatch"))
        #expect(result(bound) == (isProof ? "active" : "token_type_mismatch"))
    }

    @Test func confirmations() throws {
        let thumbprint = ConfirmationTests.thumbprint
        let expected = try #require(digest(thumbprint))
        let bound = try active(reply(["token_type": nil, "cnf": "{\"jkt\":\"\(thumbprint)\"}"]))
        #expect(bound.confirmation == .jwkThumbprint(expected) && bound.freshUntil == now + 60)
        let certificate = try active(reply(["token_type": nil, "cnf": "{\"x5t#S256\":\"\(thumbprint)\"}"]))
        #expect(certificate.confirmation == .certificateThumbprint(expected))
        for value in ["{}", "{\"jwk\":{}}", "{\"jkt\":\"a\"}"] {
            #expect(word(reply(["token_type": nil, "cnf": value])) == "proof_required")
        }
        for value in ["5", "null", "[]"] { #expect(word(reply(["cnf": value])) == "claims_malformed") }
        for value in ["5", "null", "[\"Bearer\"]"] {
            #expect(word(reply(["token_type": value])) == "claims_malformed")
        }
    }

    @Test func times() throws {
        #expect(word(reply(["exp": "\(now)"])) == "expired")
        #expect(word(reply(["nbf": "\(now + 1)"])) == "not_yet_valid")
        #expect(word(reply(["iat": "\(now + 301)"])) == "not_yet_valid")
        for name in ["exp", "nbf", "iat", "auth_time"] {
            for value in ["\"1\"", "0", "-1", "1e999", "true", "null"] {
                #expect(word(reply([(name): value])) == "claims_malformed", "\(name) \(value)")
            }
        }
        #expect(word(reply(["iat": nil, "nbf": nil])) == "active")
    }

    /// A7.3: a reply is believed until `exp` at the longest.
    @Test func freshness() throws {
        let minute = snapshot(asked())
        #expect(try active(reply(["exp": "\(now + 59)"]), minute).freshUntil == now + 59)
        #expect(try active(reply(["exp": "\(now + 61)"]), minute).freshUntil == now + 60)
        let without = try active(reply(["exp": nil]), minute)
        #expect(without.expiresAt == now + 60 && without.freshUntil == now + 60)
        for (seconds, expected) in [(5, 5), (0, 1), (-9, 1), (3_600, 3_600), (Int64.max, 3_600)] as [(Int64, Int64)] {
            let issuers = snapshot(asked { $0.introspectionRules.cacheSecondsMax = seconds })
            #expect(try active(reply(["exp": "1800000000"]), issuers).freshUntil == now + expected)
        }
        // Within the leeway it is used, and asked about again at once.
        let lenient = snapshot(asked { $0.leewaySeconds = 30 })
        let late = try active(reply(["exp": "\(now - 29)"]), lenient)
        #expect(late.expiresAt == now - 29 && late.freshUntil == now + 1)
        #expect(word(reply(["exp": "\(now - 30)"]), lenient) == "expired")
    }

    @Test func lifetimes() {
        let limited = snapshot(asked { $0.lifetimeSecondsMax = 310 })
        #expect(word(reply(), limited) == "active")
        #expect(word(reply(["exp": "1700000301"]), limited) == "lifetime_too_long")
        #expect(word(reply(["iat": nil]), limited) == "missing_claim")
        // Without `exp` a token that is older than any may be has lived too long.
        #expect(word(reply(["exp": nil, "iat": "\(now - 249)"]), limited) == "active")
        #expect(word(reply(["exp": nil, "iat": "\(now - 251)"]), limited) == "lifetime_too_long")
    }

    /// Claims go by the names of the issuer's settings, as in a JWT.
    @Test func claimNames() throws {
        let issuers = snapshot(
            asked {
                $0.scopeClaim = bytes("scp")
                $0.clientClaim = bytes("azp")
                $0.boundClaims = [bytes("tenant")]
                $0.statusListPrefixes = [bytes(TokenLimitTests.prefix)]
                $0.details = TokenLimitTests.rules
            })
        let found = try active(
            reply([
                "scp": "[\"a\",\"b\"]", "azp": "\"z\"", "tenant": "\"t\"",
                "status": TokenLimitTests.status(TokenLimitTests.listURI, "3"),
                "authorization_details": "[{\"type\":\"pay\"}]",
            ]), issuers)
        let kept = Kept(found)
        #expect(kept.scopes == "a b" && kept.client == "z" && kept.bound(0) == "t")
        #expect(found.status?.index == 3 && found.satisfies(detail: 1) && !found.satisfies(detail: 0))
        #expect(found.freshUntil == now + 60)
        #expect(word(reply(["scp": "5"]), issuers) == "claims_malformed")
        #expect(word(reply(["status": "{}"]), issuers) == "claims_malformed")
        // A scope that is no scope grants nothing.
        #expect(Kept(try active(reply(["scope": "\"a  b\""]))).scopes.isEmpty)
        // Types are the same as a JWT's.
        for name in ["sub", "client_id", "scope", "jti", "act"] {
            #expect(word(reply([(name): "5"])) == "claims_malformed", "\(name)")
        }
    }

    /// RFC 7662 requires none of them, whatever the profile.
    @Test func optionalMembers() throws {
        let found = Kept(try active("{\"active\":true,\"aud\":\"\(audienceName)\"}"))
        #expect(found.subject.isEmpty && found.client.isEmpty && found.scopes.isEmpty)
    }

    @Test func nothingIsLeftOfTheReplyBefore() throws {
        let reader = IntrospectionReader()
        let issuers = snapshot(asked { $0.details = TokenLimitTests.rules })
        let full = bytes(reply(["authorization_details": "[{\"type\":\"pay\"}]", "jti": "\"j\""]))
        let small = bytes("{\"active\":true,\"aud\":\"\(audienceName)\"}")
        for body in [full, small, full, small] {
            let result = reader.read(
                body.span, isJWT: false, token: opaqueToken, issuers: issuers, issuerIndex: 0, local: nil, now: now)
            guard case .active(let found) = result else {
                Issue.record("\(result)")
                continue
            }
            #expect(found.satisfies(detail: 1) == (body == full) && found.tokenID.isEmpty == (body == small))
        }
    }

    @Test func everyTruncationIsSafe() {
        let whole = bytes(reply(["cnf": "{\"jkt\":\"\(ConfirmationTests.thumbprint)\"}", "token_type": nil]))
        for count in whole.indices {
            #expect(word(read(Array(whole.prefix(count)))) == "unreadable")
        }
    }
}
