import Octets
import Signatures
import Testing

@testable import Tokens

/// `cnf`, `acr`, `auth_time` and `act` of access tokens.
@Suite struct ConfirmationTests {
    static let thumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

    static func verify(_ changes: KeyValuePairs<String, String?>, _ issuers: IssuerSnapshot = snapshot()) throws
        -> VerifiedToken
    {
        try verified(token(claims(changes)), issuers, verifier: TokenVerifier(takesBoundTokens: true))
    }

    static func result(_ changes: KeyValuePairs<String, String?>, takesBoundTokens: Bool) throws -> String {
        try outcome(token(claims(changes)), verifier: TokenVerifier(takesBoundTokens: takesBoundTokens))
    }

    /// RFC 9449 §6.1, RFC 8705 §3.1.
    @Test func knownMethods() throws {
        let expected = try #require(digest(Self.thumbprint))
        #expect(try Self.verify([:]).confirmation == .none)
        for value in [
            "{\"jkt\":\"\(Self.thumbprint)\"}", " { \"\\u006akt\" : \"\\u0030\(Self.thumbprint.dropFirst())\" } ",
        ] {
            #expect(try Self.verify(["cnf": value]).confirmation == .jwkThumbprint(expected))
        }
        let certificate = "{\"x5t#S256\":\"\(Self.thumbprint)\"}"
        #expect(try Self.verify(["cnf": certificate]).confirmation == .certificateThumbprint(expected))
    }

    /// B43: whoever does not say that they look at the confirmation gets no bound token to mistake for a bearer token.
    @Test func boundTokensAreForThoseWhoAskForThem() throws {
        for name in ["jkt", "x5t#S256"] {
            let value = "{\"\(name)\":\"\(Self.thumbprint)\"}"
            #expect(try outcome(token(claims(["cnf": value]))) == "proof_required")
            #expect(try Self.result(["cnf": value], takesBoundTokens: true) == "verified")
            let late = try Self.result(["cnf": value, "exp": "1"], takesBoundTokens: true)
            #expect(late == "expired")
        }
    }

    /// A9.6: what is not exactly one known method of the right form cannot be proved.
    @Test(arguments: [
        "{}", "{\"jwk\":{}}", "{\"kid\":\"a\"}", "{\"x5t\":\"\(thumbprint)\"}", "{\"x5t#s256\":\"\(thumbprint)\"}",
        "{\"JKT\":\"\(thumbprint)\"}", "{\"jkt\":\"\(thumbprint)\",\"x5t#S256\":\"\(thumbprint)\"}",
        "{\"jkt\":\"\(thumbprint)\",\"odd\":1}", "{\"odd\":1,\"jkt\":\"\(thumbprint)\"}", "{\"jkt\":1}",
        "{\"jkt\":null}",
        "{\"jkt\":[\"\(thumbprint)\"]}", "{\"jkt\":{\"jkt\":\"\(thumbprint)\"}}", "{\"jkt\":\"\"}", "{\"jkt\":\"a\"}",
        "{\"jkt\":\"\(thumbprint)=\"}", "{\"jkt\":\"\(thumbprint)A\"}", "{\"jkt\":\"\(thumbprint.dropLast())\"}",
        "{\"jkt\":\" \(thumbprint.dropFirst())\"}", "{\"jkt\":\"+\(thumbprint.dropFirst())\"}",
        // The same 32 bytes with other trailing bits.
        "{\"jkt\":\"\(thumbprint.dropLast())J\"}",
    ])
    func unknownMethods(_ value: String) throws {
        #expect(try Self.result(["cnf": value], takesBoundTokens: true) == "proof_required")
        #expect(try Self.result(["cnf": value], takesBoundTokens: false) == "proof_required")
    }

    @Test(arguments: ["1", "null", "true", "\"\(thumbprint)\"", "[]", "[{\"jkt\":\"\(thumbprint)\"}]"])
    func noObject(_ value: String) throws {
        #expect(try Self.result(["cnf": value], takesBoundTokens: true) == "claims_malformed")
        #expect(try Self.result(["cnf": value], takesBoundTokens: false) == "claims_malformed")
    }

    @Test func duplicatesAreRefused() throws {
        let value = "{\"jkt\":\"\(Self.thumbprint)\",\"\\u006akt\":\"\(Self.thumbprint)\"}"
        #expect(try Self.result(["cnf": value], takesBoundTokens: true) == "claims_malformed")
    }

    struct StepUp: Equatable {
        let context, actorSubject, actorClient: String
        let hasActor: Bool
        let authenticatedAt: Int64

        init(_ token: VerifiedToken) {
            context = text(token.authenticationContext)
            actorSubject = text(token.actorSubject)
            actorClient = text(token.actorClient)
            hasActor = token.hasActor
            authenticatedAt = token.authenticatedAt
        }

        init(_ context: String = "", subject: String = "", client: String = "", hasActor: Bool = false, at: Int64 = 0) {
            self.context = context
            actorSubject = subject
            actorClient = client
            self.hasActor = hasActor
            authenticatedAt = at
        }
    }

    static func stepUp(
        _ changes: KeyValuePairs<String, String?>, _ issuers: IssuerSnapshot = snapshot()
    ) throws -> StepUp {
        let found = try verify(changes, issuers)
        return StepUp(found)
    }

    /// RFC 9470 §6.1.
    @Test func authentication() throws {
        #expect(try Self.stepUp([:]) == StepUp())
        #expect(try Self.stepUp(["acr": "\"myACR\"", "auth_time": "1699999000"]) == StepUp("myACR", at: 1_699_999_000))
        #expect(
            try Self.stepUp(["acr": "\"\\u0075rn:x\"", "auth_time": "1699999000.9"])
                == StepUp("urn:x", at: 1_699_999_000))
        #expect(try Self.stepUp(["auth_time": "1800000000"]) == StepUp(at: 1_800_000_000))
        #expect(try Self.stepUp(["ac\\u0072": "\"a\"", "auth_tim\\u0065": "1"]) == StepUp("a", at: 1))
        // An `acr` that cannot be compared satisfies nothing.
        for value in ["1", "null", "[\"myACR\"]", "{}", "true", "\"\""] {
            #expect(try Self.stepUp(["acr": value]) == StepUp())
        }
        for value in ["\"1699999000\"", "null", "0", "-1", "true", "[]", "1e30"] {
            #expect(try Self.result(["auth_time": value], takesBoundTokens: true) == "claims_malformed")
        }
    }

    /// RFC 8693 §4.1: the outermost actor acts; those within are history.
    @Test func actors() throws {
        let act = "{\"sub\":\"svc\",\"client_id\":\"app-9\",\"act\":{\"sub\":\"old\",\"client_id\":\"older\"}}"
        #expect(try Self.stepUp(["act": act]) == StepUp(subject: "svc", client: "app-9", hasActor: true))
        #expect(try Self.stepUp(["act": "{}"]) == StepUp(hasActor: true))
        #expect(try Self.stepUp(["act": "{\"act\":{\"sub\":\"old\"}}"]) == StepUp(hasActor: true))
        #expect(try Self.stepUp(["act": "{\"act\":7,\"iss\":7}"]) == StepUp(hasActor: true))
        var entra = settings(profile: .compat)
        entra.clientClaim = bytes("azp")
        #expect(
            try Self.stepUp(["act": "{\"azp\":\"a\",\"client_id\":\"b\"}"], snapshot(entra))
                == StepUp(client: "a", hasActor: true))
        // `may_act` says who might.
        #expect(try Self.stepUp(["may_act": "{\"sub\":\"x\"}"]) == StepUp())
        for value in ["\"svc\"", "1", "null", "[]", "{\"sub\":1}", "{\"sub\":null}", "{\"client_id\":[]}"] {
            #expect(try Self.result(["act": value], takesBoundTokens: true) == "claims_malformed", "\(value)")
        }
    }

    /// The new strings stand behind those that were there before; all of them together keep apart.
    @Test func everythingTogether() throws {
        let issuers = snapshot(settings(boundClaims: ["tenant", "absent"]))
        let found = try Self.verify(
            [
                "tenant": "\"t-1\"", "acr": "\"gold\"", "auth_time": "1699999000", "act": "{\"sub\":\"svc\"}",
                "cnf": "{\"x5t#S256\":\"\(Self.thumbprint)\"}",
            ], issuers)
        let kept = Kept(found)
        #expect(kept.subject == "user-1" && kept.client == "app-1" && kept.keyID == "e1")
        #expect(kept.scopes == "orders:read orders:write" && kept.audiences == [audienceName])
        #expect(kept.bound(0) == "t-1" && kept.bound(1) == nil && kept.bound(2) == nil)
        #expect(StepUp(found) == StepUp("gold", subject: "svc", hasActor: true, at: 1_699_999_000))
        let expected = try #require(digest(Self.thumbprint))
        #expect(found.confirmation == .certificateThumbprint(expected))
    }

    /// The next token of the same verifier has nothing of the last one.
    @Test func nothingStays() throws {
        let verifier = TokenVerifier(takesBoundTokens: true)
        let bound = try token(
            claims([
                "cnf": "{\"jkt\":\"\(Self.thumbprint)\"}", "acr": "\"gold\"", "act": "{\"sub\":\"svc\"}",
                "auth_time": "5",
            ]))
        let plain = try token()
        for _ in 0..<2 {
            let first = try verified(bound, verifier: verifier)
            #expect(first.confirmation != .none && first.hasActor)
            let second = try verified(plain, verifier: verifier)
            #expect(second.confirmation == .none && StepUp(second) == StepUp())
        }
    }

    /// Many tokens are kept: the object stays within what the allocator gave it before there were bindings.
    @Test func tokensStaySmall() throws {
        func size<Value>(_ value: Value) -> Int { MemoryLayout<Value>.size }
        let found = try Self.verify(["cnf": "{\"jkt\":\"\(Self.thumbprint)\"}"])
        let sizes = Mirror(reflecting: found).children.map { _openExistential($0.value, do: size) }
        // With the object's own 16 bytes it fits into 136.
        #expect(sizes.count > 8 && sizes.reduce(0, +) <= 120)
    }
}
