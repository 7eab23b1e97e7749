import Octets
import Signatures
import Testing

@testable import Tokens

/// Signed introspection replies (RFC 9701 §5).
@Suite struct SignedIntrospectionTests {
    private func outcome(
        _ inner: String = reply(), _ changes: KeyValuePairs<String, String?> = [:],
        header: KeyValuePairs<String, String?> = [:], signedBy key: PrivateJWK = TestKeys.es256,
        _ issuers: IssuerSnapshot = snapshot(asked())
    ) throws -> String {
        word(read(try signedReply(inner, changes, header: header, signedBy: key), isJWT: true, issuers))
    }

    @Test func activeReplies() throws {
        for key in [TestKeys.es256, TestKeys.rs256, TestKeys.ed25519] {
            #expect(try outcome(signedBy: key) == "active")
        }
        #expect(try outcome("{\"active\":false}") == "inactive")
        #expect(try outcome(reply(["aud": "\"x\""])) == "audience_mismatch")
        guard case .active(let found) = read(try signedReply(), isJWT: true) else {
            throw Mismatch("not active")
        }
        // The signature is the reply's; the token itself stays opaque.
        #expect(found.isOpaque && found.keyID.isEmpty && text(found.subject) == "user-1")
    }

    /// The claims of RFC 9701 §5, figure 2, under a key of ours.
    @Test func publishedReply() throws {
        let example = """
            {"iss": "https://as.example.com/", "aud": "https://rs.example.com/resource", "iat": 1514797892,
             "token_introspection": {"active": true, "iss": "https://as.example.com/",
              "aud": "https://rs.example.com/resource", "iat": 1514797822, "exp": 1514797942,
              "client_id": "paiB2goo0a", "scope": "read write dolphin", "sub": "Z5O3upPC88QrAjx00dis",
              "birthdate": "1982-02-01", "given_name": "John", "family_name": "Doe",
              "jti": "t1FoCCaZd4Xv4ORJUWVUeTZfsKhW30CQCrWDDjwXy6w"}}
            """
        var changed = settings("https://as.example.com/")
        changed.audiences = [bytes("https://rs.example.com/resource")]
        changed.introspectionRules.clientID = bytes("https://rs.example.com/resource")
        let head = bytes("{\"typ\":\"token-introspection+jwt\",\"alg\":\"RS256\",\"kid\":\"r1\"}")
        let body = bytes(example)
        let signed = try TokenMint.sign(
            header: head.span, payload: body.span, key: TestKeys.rs256.key, algorithm: .rs256)
        guard case .active(let found) = read(signed, isJWT: true, snapshot(changed), now: 1_514_797_900) else {
            throw Mismatch("not active")
        }
        #expect(text(found.scopeText) == "read write dolphin" && text(found.client) == "paiB2goo0a")
        #expect(text(found.tokenID) == "t1FoCCaZd4Xv4ORJUWVUeTZfsKhW30CQCrWDDjwXy6w")
        #expect(found.freshUntil == 1_514_797_942)
        #expect(word(read(signed, isJWT: true, snapshot(changed), now: 1_514_797_942)) == "expired")
    }

    @Test func onlyWhatIsDemanded() throws {
        let demanding = snapshot(asked { $0.introspectionRules.demandsJWT = true })
        #expect(word(reply(), demanding) == "unreadable")
        #expect(word("{\"active\":false}", demanding) == "unreadable")
        #expect(try outcome(demanding) == "active")
        // Neither form is taken for the other.
        #expect(word(read(try signedReply())) == "unreadable")
        #expect(word(read(bytes(reply()), isJWT: true)) == "unreadable")
    }

    private func outcome(_ issuers: IssuerSnapshot) throws -> String {
        try outcome(reply(), signedBy: TestKeys.es256, issuers)
    }

    @Test func types() throws {
        for name in ["token-introspection+jwt", "Token-Introspection+JWT", "application/token-introspection+jwt"] {
            #expect(try outcome(header: ["typ": "\"\(name)\""]) == "active")
        }
        for value in ["\"at+jwt\"", "\"JWT\"", "\"jwt\"", "\"statuslist+jwt\"", "\"\"", "5", "null", nil] as [String?] {
            #expect(try outcome(header: ["typ": value]) == "unreadable")
        }
        // An access token is no reply, whatever it says.
        let access = try token(claims(["token_introspection": reply(), "aud": "\"\(clientName)\"", "iat": "\(now)"]))
        #expect(word(read(access, isJWT: true)) == "unreadable")
    }

    @Test func headers() throws {
        for change in [
            ["crit": "[\"exp\"]"], ["cty": "\"JWT\""], ["alg": "\"none\""], ["alg": "\"HS256\""], ["alg": nil],
            ["alg": "\"RS256\""], ["kid": "\"e2\""], ["kid": "5"],
        ] as [KeyValuePairs<String, String?>] {
            #expect(try outcome(header: change) == "unreadable", "\(change)")
        }
        // The only key of its kind needs no name.
        #expect(try outcome(header: ["kid": nil]) == "active")
    }

    @Test func signatures() throws {
        #expect(try outcome(signedBy: TestKeys.foreignES256) == "unreadable")
        let onlyRSA = snapshot(asked { $0.algorithms = [.rs256] })
        #expect(try outcome(onlyRSA) == "unreadable")
        var signed = try signedReply()
        signed[signed.count - 1] ^= 1
        #expect(word(read(signed, isJWT: true)) == "unreadable")
        let whole = try signedReply()
        for count in stride(from: 0, to: whole.count, by: 5) {
            #expect(word(read(Array(whole.prefix(count)), isJWT: true)) == "unreadable")
        }
        for status in [IssuerKeys.Status.stale, .unavailable] {
            let issuers = IssuerSnapshot(
                issuers: [IssuerKeys(settings: asked(), keys: usualKeys, status: status)], generation: 7)
            #expect(try outcome(issuers) == "unreadable")
        }
        let keyless = IssuerSnapshot(issuers: [IssuerKeys(settings: asked(), keys: nil)], generation: 7)
        #expect(try outcome(keyless) == "unreadable")
        #expect(word(reply(), keyless) == "active")
    }

    @Test func envelopes() throws {
        for change in [
            ["iss": nil], ["iss": "\"\(otherIssuerName)\""], ["iss": "5"], ["aud": nil], ["aud": "\"\(audienceName)\""],
            ["aud": "[]"], ["aud": "5"], ["iat": nil], ["iat": "\"\(now)\""], ["iat": "\(now - 301)"],
            ["iat": "\(now + 301)"], ["exp": "\(now)"], ["exp": "\"x\""], ["nbf": "\(now + 1)"],
            ["token_introspection": nil], ["token_introspection": "true"], ["token_introspection": "[]"],
            ["token_introspection": "\"{}\""], ["token_introspection": "{}"],
            ["token_introspection": nil, "active": "true"],
        ] as [KeyValuePairs<String, String?>] {
            #expect(try outcome(reply(), change) == "unreadable", "\(change)")
        }
        for change in [
            ["aud": "[\"x\",\"\(clientName)\"]"], ["iat": "\(now - 300)"], ["iat": "\(now + 300)"],
            ["exp": "\(now + 1)"], ["nbf": "\(now)"], ["sub": "5", "active": "false"],
        ] as [KeyValuePairs<String, String?>] {
            #expect(try outcome(reply(), change) == "active", "\(change)")
        }
        // Without a name of ours nothing is addressed to us.
        let nameless = snapshot(asked { $0.introspectionRules.clientID = [] })
        #expect(try outcome(reply(), ["aud": "\"\""], nameless) == "unreadable")
    }
}

/// Replies about a JWS that was verified here first.
@Suite struct NarrowingTests {
    private static let issuers = snapshot(
        asked {
            $0.introspection = .all
            $0.boundClaims = [bytes("tenant")]
            $0.statusListPrefixes = [bytes(TokenLimitTests.prefix)]
            $0.details = TokenLimitTests.rules
        })
    private static let thumbprint = ConfirmationTests.thumbprint
    private static let otherThumbprint = "1" + thumbprint.dropFirst()

    private static func local(_ changes: KeyValuePairs<String, String?> = [:]) throws -> VerifiedToken {
        try verified(token(claims(changes)), issuers, verifier: TokenVerifier(takesBoundTokens: true))
    }

    private static func full() throws -> VerifiedToken {
        try local([
            "aud": "[\"\(audienceName)\",\"https://more.example.com\",\"https://second.example.com\"]",
            "tenant": "\"t\"", "acr": "\"gold\"", "act": "{\"sub\":\"svc\",\"client_id\":\"c\"}",
            "status": TokenLimitTests.status(TokenLimitTests.listURI, "5"), "scope": "\"a b c d\"",
            "cnf": "{\"jkt\":\"\(thumbprint)\"}", "auth_time": "1699990000", "nbf": "1699999000",
            "authorization_details": "[{\"type\":\"pay\",\"actions\":[\"initiate\",\"cancel\"]}]",
        ])
    }

    private static func unchanged(_ found: VerifiedToken, _ token: VerifiedToken) -> Bool {
        text(found.subject) == text(token.subject) && text(found.client) == text(token.client)
            && text(found.keyID) == text(token.keyID) && text(found.tokenID) == text(token.tokenID)
            && text(found.authenticationContext) == text(token.authenticationContext)
            && text(found.actorSubject) == text(token.actorSubject)
            && text(found.actorClient) == text(token.actorClient)
            && found.hasActor == token.hasActor && Kept(found).bound(0) == Kept(token).bound(0)
            && found.status == token.status && text(found.statusListURI) == text(token.statusListURI)
            && found.confirmation == token.confirmation && found.issuedAt == token.issuedAt
            && found.authenticatedAt == token.authenticatedAt && found.digest == token.digest
            && found.issuerKeysGeneration == token.issuerKeysGeneration && !found.isOpaque
            && found.issuersGeneration == token.issuersGeneration && found.issuerIndex == token.issuerIndex
    }

    @Test func aReplyMayBeSilent() throws {
        let token = try Self.full()
        let found = try active("{\"active\":true}", Self.issuers, local: token)
        #expect(Self.unchanged(found, token) && found.freshUntil == now + 60)
        #expect(found.expiresAt == token.expiresAt && found.notBefore == token.notBefore)
        #expect(Kept(found).scopes == "a b c d" && Kept(found).audiences == Kept(token).audiences)
        #expect(found.satisfies(detail: 1) && found.satisfies(detail: 2) && !found.satisfies(detail: 0))
        #expect(word("{\"active\":false}", Self.issuers, local: token) == "inactive")
        // What was narrowed once may be narrowed again.
        let again = try active("{\"active\":true}", Self.issuers, local: found)
        #expect(Self.unchanged(again, token) && again.freshUntil == now + 60)
    }

    @Test func scopesAreThoseInBoth() throws {
        let token = try Self.full()
        for (scope, expected) in [
            ("\"b d\"", "b d"), ("\"d b e\"", "b d"), ("\"e\"", ""), ("\"a b c d\"", "a b c d"), ("[\"c\",\"x\"]", "c"),
            ("[]", ""), ("\"\"", ""), ("\"a  b\"", ""), ("\"aa bb\"", ""), ("\"A\"", ""),
        ] {
            let found = try active("{\"active\":true,\"scope\":\(scope)}", Self.issuers, local: token)
            #expect(Kept(found).scopes == expected, "\(scope)")
            #expect(Self.unchanged(found, token), "\(scope)")
        }
        // A reply gives no scope to a token without any.
        let none = try Self.local(["scope": nil])
        let found = try active("{\"active\":true,\"scope\":\"a\"}", Self.issuers, local: none)
        #expect(Kept(found).scopes.isEmpty)
    }

    @Test func audiencesAreThoseInBoth() throws {
        let token = try Self.full()
        let two = try active(
            "{\"active\":true,\"aud\":[\"https://more.example.com\",\"\(audienceName)\",\"https://new.example.com\"]}",
            Self.issuers, local: token)
        #expect(Kept(two).audiences == [audienceName, "https://more.example.com"] && Self.unchanged(two, token))
        for audience in ["\"https://more.example.com\"", "\"https://new.example.com\"", "\"\""] {
            #expect(
                word("{\"active\":true,\"aud\":\(audience)}", Self.issuers, local: token) == "audience_mismatch")
        }
        // One of ours that the token does not name is not added.
        let plain = try Self.local()
        #expect(
            word("{\"active\":true,\"aud\":\"https://second.example.com\"}", Self.issuers, local: plain)
                == "audience_mismatch")
    }

    @Test func detailsAreThoseInBoth() throws {
        let token = try Self.full()
        func met(_ details: String, _ token: VerifiedToken) throws -> [Int] {
            let found = try active(
                "{\"active\":true,\"authorization_details\":\(details)}", Self.issuers, local: token)
            #expect(Self.unchanged(found, token))
            return (0..<8).filter { found.satisfies(detail: $0) }
        }
        #expect(try met("[{\"type\":\"pay\"}]", token) == [1])
        #expect(try met("[{\"type\":\"pay\",\"actions\":[\"initiate\",\"cancel\"]}]", token) == [1, 2])
        #expect(try met("[{\"type\":\"read\",\"locations\":[\"https://a\"]}]", token) == [])
        for nothing in ["[]", "5", "[{\"type\":\"pay\"},{}]"] { #expect(try met(nothing, token) == []) }
        #expect(try met("[{\"type\":\"pay\"}]", Self.local()) == [])
    }

    @Test func times() throws {
        let token = try Self.full()
        func found(_ members: String) throws -> VerifiedToken {
            try active("{\"active\":true,\(members)}", Self.issuers, local: token)
        }
        #expect(try found("\"exp\":\(now + 10)").expiresAt == now + 10)
        #expect(try found("\"exp\":\(now + 10)").freshUntil == now + 10)
        #expect(try found("\"exp\":1800000000").expiresAt == 1_700_000_300)
        #expect(try found("\"nbf\":\(now)").notBefore == now)
        #expect(try found("\"nbf\":1").notBefore == 1_699_999_000)
        #expect(try found("\"iat\":1,\"auth_time\":1").issuedAt == token.issuedAt)
        for (members, expected) in [
            ("\"exp\":\(now)", "expired"), ("\"nbf\":\(now + 1)", "not_yet_valid"),
            ("\"iat\":\(now + 301)", "not_yet_valid"), ("\"exp\":\"1\"", "claims_malformed"),
        ] {
            #expect(word("{\"active\":true,\(members)}", Self.issuers, local: token) == expected)
        }
        // The token's own end counts too.
        #expect(
            word("{\"active\":true,\"exp\":1800000000}", Self.issuers, local: token, now: 1_700_000_300) == "expired")
    }

    @Test func contradictions() throws {
        let token = try Self.full()
        for (members, expected) in [
            ("\"iss\":\"\(issuerName)\"", "active"), ("\"iss\":\"\(otherIssuerName)\"", "unknown_issuer"),
            ("\"iss\":5", "claims_malformed"),
            ("\"sub\":\"user-1\"", "active"), ("\"sub\":\"us\\u0065r-1\"", "active"),
            ("\"sub\":\"user-2\"", "claims_malformed"), ("\"sub\":\"\"", "claims_malformed"),
            ("\"client_id\":\"app-1\"", "active"), ("\"client_id\":\"app-2\"", "claims_malformed"),
            ("\"cnf\":{\"jkt\":\"\(thumbprintText)\"}", "active"),
            ("\"cnf\":{\"jkt\":\"\(Self.otherThumbprint)\"}", "proof_required"),
            ("\"cnf\":{\"x5t#S256\":\"\(thumbprintText)\"}", "proof_required"), ("\"cnf\":{}", "proof_required"),
            ("\"token_type\":\"DPoP\"", "active"), ("\"token_type\":\"Bearer\"", "token_type_mismatch"),
            ("\"token_type\":\"N_A\"", "token_type_mismatch"), ("\"status\":5", "claims_malformed"),
        ] {
            #expect(word("{\"active\":true,\(members)}", Self.issuers, local: token) == expected, "\(members)")
        }
        let plain = try Self.local()
        let bound = "{\"active\":true,\"cnf\":{\"jkt\":\"\(thumbprintText)\"}}"
        #expect(word(bound, Self.issuers, local: plain) == "proof_required")
        #expect(word("{\"active\":true,\"token_type\":\"Bearer\"}", Self.issuers, local: plain) == "active")
    }

    private var thumbprintText: String { Self.thumbprint }

    @Test func onlyTheTokenThatWasAskedAbout() throws {
        let token = try Self.full()
        let body = bytes("{\"active\":true}")
        func result(_ digest: Digest, _ issuers: IssuerSnapshot, _ index: Int) -> String {
            word(
                IntrospectionReader().read(
                    body.span, isJWT: false, token: digest, issuers: issuers, issuerIndex: index, local: token,
                    now: now))
        }
        #expect(result(token.digest, Self.issuers, 0) == "active")
        #expect(result(opaqueToken, Self.issuers, 0) == "unreadable")
        #expect(result(token.digest, Self.issuers, 1) == "unreadable")
        let newer = IssuerSnapshot(issuers: Self.issuers.issuers, generation: 8)
        #expect(result(token.digest, newer, 0) == "unreadable")
    }
}
