@testable import Decision
import PolicyTables
import Testing
import Tokens

/// Every reason, from a whole decision, with its status and its challenge.
@Suite struct DeciderReasonTests {
    static let requestError =
        #", error="invalid_request", error_description="The request must carry exactly one well-formed access token""#
    static let tokenError =
        #", error="invalid_token", error_description="The access token is not valid for this request""#
    static let scopeError =
        #", error="insufficient_scope", error_description="The access token does not carry what this request requires""#
    static let realm = #"Bearer realm="orders""#
    static let read = #", scope="orders:read""#
    static let dpop = #", DPoP algs="ES256 ES384 ES512 Ed25519 PS256 RS256""#

    /// What every answer must be like.
    static func check(_ verdict: Verdict, _ reason: Reason, policy: String = "1.") {
        #expect(verdict.reason == reason && verdict.outcome == .answered)
        #expect(verdict.status == reason.status)
        #expect(verdict[.decision] == (reason.status == 200 ? "allow" : "deny"))
        #expect(verdict[.reason] == "\(reason.name)")
        #expect(verdict[.policy].hasPrefix(policy))
        #expect(verdict[.auditID].utf8.count == 32)
        for field in verdict.fields {
            #expect(field.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }, "\(field)")
        }
        if reason != .granted { #expect(verdict.identity == ["", "", "", ""]) }
        #expect(verdict.hasChallenge == !verdict.challenge.isEmpty)
        let challenged: [Reason] = [.insufficientScope, .bindingMismatch, .overScoped, .unknownClient]
        #expect(verdict.hasChallenge == (reason.status == 401 || challenged.contains(reason)))
    }

    @Test("grounds to allow")
    func allows() throws {
        let world = try World()
        let decider = try world.decider()
        let granted = decider.verdict(Request().bearing(try world.token(.scopes("orders:write unknown:x"))))
        Self.check(granted, .granted)
        #expect(granted.identity == ["ann", "web", "https://id.example.com", "orders:read orders:write"])
        #expect(granted[.route] == "orders GET /v1/orders")
        Self.check(decider.verdict(Request("GET", "/healthz")), .public)
        Self.check(decider.verdict(Request("GET", "/healthz").bearing(bytes("junk"))), .public)
        let preflight = Request("OPTIONS", "/v1/orders").with {
            $0.origin = [bytes("https://web.example.com")]
            $0.requestedMethod = [bytes("POST")]
        }
        Self.check(decider.verdict(preflight), .preflight)
        let observed = decider.verdict(Request("GET", "/v1/watched"))
        Self.check(observed, .observed)
        #expect(observed[.route] == "orders GET /v1/watched")
    }

    @Test("facts and routes: 403 without a challenge")
    func requests() throws {
        let world = try World()
        let decider = try world.decider()
        let good = Request().bearing(try world.token())
        let rows: [(Reason, Request)] = [
            (.missingFact, good.with { $0.method = nil }), (.missingFact, good.with { $0.method = [] }),
            (.missingFact, good.with { $0.target = nil }), (.missingFact, good.with { $0.target = [] }),
            (.missingFact, good.with { $0.host = nil }), (.missingFact, good.with { $0.host = [] }),
            (.missingFact, good.with { $0.scheme = nil }), (.missingFact, good.with { $0.scheme = [] }),
            (.missingFact, good.with { $0.port = nil }), (.missingFact, good.with { $0.port = [] }),
            (.conflictingFacts, good.with { $0.conflict = true }),
            (.conflictingFacts, good.with { $0.port = bytes("0443") }),
            (.conflictingFacts, good.with { $0.port = bytes("https") }),
            (.conflictingFacts, good.with { $0.scheme = bytes("ftp") }),
            (.conflictingFacts, good.with { $0.scheme = bytes("https ") }),
            (.ambiguousTarget, good.with { $0.target = bytes("/v1//orders") }),
            (.ambiguousTarget, good.with { $0.target = bytes("http://other.example.com/v1/orders") }),
            (.ambiguousTarget, good.with { $0.target = bytes("http://u@api.example.com/v1/orders") }),
            (.ambiguousTarget, good.with { $0.target = bytes("http://api.example.com:0/v1/orders") }),
            (.pathMismatch, good.with { $0.normalizedPath = bytes("/v1/order") }),
            (.pathMismatch, good.with { $0.normalizedPath = bytes("/v1/orders/") }),
            (.pathMismatch, good.with { $0.normalizedPath = bytes("/V1/orders") }),
            (.unknownHost, good.with { $0.host = bytes("www.example.com") }),
            (.unknownHost, good.with { $0.host = bytes("a,b") }),
            (.unknownHost, good.with { $0.host = bytes("*.tenant.example.com") }),
            (.unknownHost, good.with { $0.host = bytes("a.b.tenant.example.com") }),
            (.unknownHost, good.with { $0.host = bytes("tenant.example.com") }),
            (.unknownHost, good.with { $0.host = bytes(String(repeating: "a", count: 255)) }),
            (.unknownRoute, Request("GET", "/you", host: "app.example.com")),
            (.unknownRoute, Request("GET", "/me/", host: "app.example.com")),
            (.unknownRoute, Request("GET", "/Me", host: "app.example.com")),
            (.unknownRoute, Request("OPTIONS", "/none", host: "app.example.com")),
            // `OPTIONS /**` has every path.
            (.methodNotAllowed, good.with { $0.target = bytes("/v2/orders") }),
            (.methodNotAllowed, good.with { $0.target = bytes("/v1/orders/") }),
            (.methodNotAllowed, Request("OPTIONS", "/v1/orders")),
            (.methodNotAllowed, good.with { $0.method = bytes("PATCH") }),
            (.methodNotAllowed, good.with { $0.method = bytes("get") }),
            (.methodNotAllowed, good.with { $0.method = bytes("GET ") }),
            (.methodNotAllowed, good.with { $0.method = bytes(String(repeating: "G", count: 5_000)) }),
            (.portNotAllowed, good.with { $0.target = bytes("/v1/metrics") }),
        ]
        for (reason, request) in rows {
            let verdict = decider.verdict(request)
            Self.check(verdict, reason)
            if verdict.reason != reason { Issue.record("\(verdict.reason), not \(reason): \(request)") }
            #expect(verdict[.route].isEmpty)
        }
        Self.check(decider.verdict(good), .granted)
    }

    @Test("credentials: 401; the challenge of a request without one says nothing of errors")
    func credentials() throws {
        let world = try World()
        let decider = try world.decider()
        let token = try world.token()
        let plain = Self.realm + Self.read + Self.dpop
        let faulty = Self.realm + Self.requestError + Self.read
        let both = faulty + Self.dpop + Self.requestError
        let rows: [(Reason, Request, String)] = [
            (.noToken, Request(), plain),
            (.noToken, Request("GET", "/v1/orders?access_token=\(text(token))"), plain),
            (.noToken, Request().with { $0.cookie = [bytes("session=") + token] }, plain),
            (.unsupportedScheme, Request().with { $0.authorization = [bytes("Basic YTpi")] }, plain),
            (.malformedAuthorization, Request().bearing(token + bytes(" ")), faulty),
            (.malformedAuthorization, Request().bearing(token + bytes(",") + token), faulty),
            (.multipleCredentials, Request().bearing(token).bearing(token), both),
        ]
        for (reason, request, challenge) in rows {
            let verdict = decider.verdict(request)
            Self.check(verdict, reason)
            #expect(verdict.challenge == challenge)
            #expect(verdict[.route] == "orders GET /v1/orders")
        }
    }

    static let plans: [(Reason, TokenPlan)] = {
        let good = TokenPlan()
        return [
            (.headerMalformed, good.with { $0.header = #"{"alg":1}"# }),
            (.headerMalformed, good.with { $0.header = "[]" }),
            (.tokenTypeMismatch, good.with { $0.type = "logout+jwt" }),
            (.tokenTypeMismatch, good.with { $0.type = "JWT" }),
            (.tokenTypeMismatch, good.with { $0.type = nil }),
            (.algorithmNotAllowed, good.with { $0.header = #"{"alg":"none","typ":"at+jwt","kid":"a"}"# }),
            (.algorithmNotAllowed, good.with { $0.header = #"{"alg":"HS256","typ":"at+jwt","kid":"a"}"# }),
            (.algorithmNotAllowed, good.with { $0.header = #"{"alg":"RS256","typ":"at+jwt","kid":"a"}"# }),
            (
                .criticalHeader,
                good.with { $0.header = #"{"alg":"ES256","typ":"at+jwt","kid":"a","crit":["x"]}"# }
            ),
            (.claimsMalformed, good.with { $0.more = [("nbf", #""now""#)] }),
            (.claimsMalformed, good.with { $0.more = [("sub", #""bob""#)] }),
            (.claimsMalformed, good.with { $0.more = [("cnf", "7")] }),
            (.unknownIssuer, good.with { $0.issuer = "https://id.example.com/" }),
            (.unknownIssuer, good.with { $0.issuer = "" }),
            (.missingClaim, good.with { $0.issuer = nil }),
            (.unknownKey, good.with { $0.keyName = "b" }),
            (.missingClaim, good.with { $0.expiresAt = nil }),
            (.missingClaim, good.with { $0.audience = nil }),
            (.missingClaim, good.with { $0.subject = nil }),
            (.missingClaim, good.with { $0.subject = "" }),
            (.missingClaim, good.with { $0.tokenID = nil }),
            (.expired, good.with { $0.expiresAt = World.now - 10 }),
            (.expired, good.with { $0.expiresAt = 1 }),
            (.notYetValid, good.with { $0.notBefore = World.now + 11 }),
            (.notYetValid, good.with { $0.issuedAt = World.now + 301 }),
            (.audienceMismatch, good.with { $0.audience = ["https://orders.example.com"] }),
            (.audienceMismatch, good.with { $0.audience = ["https://api.example.com"] }),
            (.audienceMismatch, good.with { $0.audience = ["https://api.example.com/"] }),
            (.proofRequired, good.with { $0.more = [("cnf", #"{"jkt":"x"}"#)] }),
        ]
    }()

    @Test("tokens: 401 with invalid_token, and the same words for all of them")
    func tokens() throws {
        let world = try World()
        let decider = try world.decider()
        func expect(_ reason: Reason, _ token: [UInt8]) {
            for _ in 0..<2 {
                let verdict = decider.verdict(Request().bearing(token))
                Self.check(verdict, reason)
                if verdict.reason != reason { Issue.record("\(verdict.reason), not \(reason)") }
                #expect(verdict.challenge == Self.realm + Self.tokenError + Self.read)
            }
        }
        for (reason, plan) in Self.plans { expect(reason, try world.token(plan)) }
        let good = try world.token()
        expect(.tokenTooLarge, [UInt8](repeating: 0x61, count: 16_385))
        expect(.tokenMalformed, [UInt8](repeating: 0x61, count: 16_384))
        expect(.tokenMalformed, bytes("a"))
        expect(.tokenMalformed, bytes("a.b"))
        expect(.tokenMalformed, good + bytes("="))
        expect(.tokenEncrypted, bytes("e30.YQ.YQ.YQ.YQ"))
        expect(.signatureInvalid, try world.token(key: world.stranger))
        expect(.signatureInvalid, try world.token(TokenPlan().with { $0.expiresAt = 1 }, key: world.stranger))
        // Good tokens of issuers that may not speak for the service, or have other keys.
        let other = TokenPlan().with { $0.issuer = "https://other.example.com/caf\u{E9}" }
        expect(.issuerNotAllowed, try world.token(other, issuer: 1))
        #expect(decider.cachedTokenCount == 2)
    }

    @Test("a good token that is not enough: 403 with the scopes of the very route")
    func notEnough() throws {
        let world = try World()
        let decider = try world.decider()
        let rows: [(Request, TokenPlan, String)] = [
            (Request(), .scopes("read:metrics"), "orders:read"),
            (Request(), TokenPlan().with { $0.scope = nil }, "orders:read"),
            (Request(), .scopes("orders:*"), "orders:read"),
            (Request(), .scopes("*"), "orders:read"),
            (Request(), .scopes("ORDERS:READ"), "orders:read"),
            (Request(), .scopes("orders:read  orders:write"), "orders:read"),
            (Request("POST"), .scopes("orders:write"), "orders:write payments:charge"),
            (Request("POST"), .scopes("orders:read payments:charge"), "orders:write payments:charge"),
            (Request("DELETE", "/v1/orders/7"), .scopes("orders:write"), "orders:admin support:admin"),
            (
                Request("PUT", "/v1/orders/7"), .scopes("payments:charge"),
                "payments:charge orders:admin support:admin"
            ),
            (
                Request("PUT", "/v1/orders/7"), .scopes("orders:admin"),
                "payments:charge orders:admin support:admin"
            ),
        ]
        for (request, plan, scopes) in rows {
            let verdict = decider.verdict(request.bearing(try world.token(plan)))
            Self.check(verdict, .insufficientScope)
            #expect(verdict.challenge == Self.realm + Self.scopeError + ", scope=\"\(scopes)\"")
        }
        let bound = decider.verdict(Request("GET", "/v1/users/bob/orders").bearing(try world.token()))
        Self.check(bound, .bindingMismatch)
        #expect(bound.challenge == Self.realm + Self.scopeError + Self.read)
    }

    @Test("what cannot be answered: 503 without a challenge")
    func unanswerable() throws {
        let empty = try World(nil)
        let verdict = try empty.decider().verdict(Request())
        Self.check(verdict, .noPolicy, policy: "")
        #expect(verdict[.policy].isEmpty)

        let world = try World()
        let decider = try world.decider()
        let request = Request().bearing(try world.token())
        Self.check(decider.verdict(request), .granted)
        world.statuses[0] = .stale
        world.publish()
        Self.check(decider.verdict(request), .keysStale)
        world.statuses[0] = .usable
        world.keySets[0] = nil
        world.publish()
        Self.check(decider.verdict(request), .keysUnavailable)

        let huge = TokenPlan().with { $0.subject = String(repeating: "s", count: 4_000) }
        world.keySets[0] = world.set(of: 0, named: "a")
        world.publish()
        Self.check(decider.verdict(Request().bearing(try world.token(huge))), .overloaded)
    }

    @Test("every reason has been seen")
    func complete() {
        let rows: [Reason] = [
            .granted, .public, .preflight, .observed, .noPolicy, .keysUnavailable, .keysStale,
            .policyUnreadable,
            .overloaded, .missingFact, .conflictingFacts, .ambiguousTarget, .pathMismatch, .unknownHost,
            .unknownRoute, .methodNotAllowed, .portNotAllowed, .multipleCredentials, .malformedAuthorization,
            .noToken, .unsupportedScheme, .tokenTooLarge, .tokenMalformed, .tokenEncrypted, .signatureInvalid,
            .issuerNotAllowed, .insufficientScope, .bindingMismatch,
        ]
        // policyUnreadable: see DamageTests.
        let seen = Set(rows).union(Self.plans.map(\.0))
        // Of connections without HTTP: see ConnectionTests. A codec alone says requestTooLarge.
        // Of proofs, certificates of requests and step-up: see ProofDecisionTests, CertificateDecisionTests,
        // StepUpTests. Of revocation, introspection, status, details and transaction tokens: see the tests of these names.
        let others =
            Reason.allCases.filter { $0.rawValue >= 70 || (34...37).contains($0.rawValue) }
            + [.requestTooLarge, .replayCacheFull, .invalidProof, .nonceRequired, .proofReplayed, .insufficientDetails]
            + [.introspectionUnavailable, .statusUnavailable, .signingUnavailable]
            // Of baselines and of what ends: see BaselineTests and EndTests.
            + [.publicationEnded, .overScoped, .unknownClient]
        #expect(seen.union(others) == Set(Reason.allCases) && seen.isDisjoint(with: others))
    }
}
