import Decision
import Policy
import PolicyTables
import Testing

/// Recorded decisions, read and decided again.
@Suite struct ReplayTests {
    private static let policy = """
        scopecheck: 1
        issuers:
          - issuer: https://id.example.com
            audience: [https://api.example.com]
            keys: { jwks_uri: https://id.example.com/jwks }
            algorithms: [ES256]
        scopes: { orders:read: {}, orders:write: { implies: [orders:read] } }
        services:
          orders:
            hosts: [api.example.com]
            routes:
              - { match: GET /orders, scopes: orders:read }
              - { match: POST /orders, scopes: orders:write, proof: dpop }
              - { match: "GET /users/{user}", scopes: orders:read, where: { user: sub } }
              - { match: "GET /tenants/{tenant}", scopes: orders:read, where: { tenant: tenant } }
              - { match: GET /healthz, public: true }
        """

    private func record(
        method: String = "GET", path: String = "/orders", scopes: String = "[\"orders:read\"]",
        reason: String = "granted", status: Int = 200, more: String = "", token: String? = nil
    ) -> String {
        let token =
            token
            ?? "{\"issuer\":\"https://id.example.com\",\"subject\":\"alice\",\"client\":\"web\",\"scopes\":\(scopes),\"audiences\":[\"https://api.example.com\"]\(more)}"
        return "{\"status\":\(status),\"reason\":\"\(reason)\",\"route\":\"\(method) \(path)\",\"at\":1764000000,"
            + "\"request\":{\"method\":\"\(method)\",\"scheme\":\"https\",\"host\":\"api.example.com\",\"port\":443,"
            + "\"path\":\"\(path)\"},\"token\":\(token)}"
    }

    private func replay(_ lines: [String]) throws -> [PolicyReplay.Result] {
        let source = Array(ReplayTests.policy.utf8)
        let model = try #require(loadPolicy(source: source, file: "policy.yaml", now: 1_764_000_000).model)
        let trial = try PolicyTrial(model: model, source: source, now: 1_764_000_000)
        let replay = try PolicyReplay(trial, now: 1_764_000_000)
        var reader = RecordedDecisionReader()
        var results: [PolicyReplay.Result] = []
        for line in lines { results.append(try replay.decide(try reader.read(Array(line.utf8)))) }
        withExtendedLifetime(trial) {}
        return results
    }

    @Test func decidesAgainWithTheTokenOfTheRecord() throws {
        let results = try replay([
            record(),
            record(scopes: "[]", reason: "insufficient_scope", status: 403),
            record(path: "/users/alice"), record(path: "/users/bob"),
            record(path: "/none"),
            record(method: "POST", scopes: "[\"orders:write\"]"),
            record(method: "POST", scopes: "[\"orders:write\"]", more: ",\"proof\":\"dpop\""),
        ])
        #expect(
            results == [
                .decided(.granted, route: "GET /orders"), .decided(.insufficientScope, route: "GET /orders"),
                .decided(.granted, route: "GET /users/{user}"), .decided(.bindingMismatch, route: "GET /users/{user}"),
                .decided(.unknownRoute, route: ""), .decided(.proofRequired, route: "POST /orders"),
                .decided(.granted, route: "POST /orders"),
            ])
    }

    @Test func aBadTokenStaysBadAndAPublicRouteNeedsNone() throws {
        let results = try replay([
            record(reason: "token_malformed", status: 401, token: "null"),
            record(path: "/healthz", reason: "expired", status: 401, token: "null"),
            record(reason: "public", token: "null"),
            record(path: "/none", reason: "signature_invalid", status: 401, token: "null"),
        ])
        #expect(
            results == [
                .decided(.tokenMalformed, route: "GET /orders"), .decided(.public, route: "GET /healthz"),
                .unknown(why: "no token was recorded, and the route needs one"), .decided(.unknownRoute, route: ""),
            ])
    }

    @Test func whatWasNotRecordedIsUnknownAndNotTheSame() throws {
        let results = try replay([
            record(path: "/tenants/a"), record(path: "/tenants/a", more: ",\"claims\":{\"tenant\":\"a\"}"),
            record(path: "/tenants/a", more: ",\"claims\":{\"tenant\":\"b\"}"),
        ])
        #expect(
            results == [
                .unknown(why: "the claim `tenant` was not recorded"),
                .decided(.granted, route: "GET /tenants/{tenant}"),
                .decided(.bindingMismatch, route: "GET /tenants/{tenant}"),
            ])
    }

    @Test func whatAnotherPolicyMaySeeOtherwiseIsUnknown() throws {
        for reason in ["audience_mismatch", "lifetime_too_long", "unknown_issuer", "algorithm_not_allowed", "revoked"] {
            guard case .unknown? = try replay([record(reason: reason, status: 401, token: "null")]).first else {
                Issue.record("\(reason) is carried over")
                continue
            }
        }
    }

    @Test func anIssuerThatThePolicyDoesNotKnow() throws {
        let token =
            "{\"issuer\":\"https://other.example\",\"subject\":\"a\",\"client\":\"b\",\"scopes\":[\"orders:read\"]}"
        #expect(try replay([record(token: token)]) == [.decided(.unknownIssuer, route: "GET /orders")])
    }

    @Test(arguments: [
        ("", "no JSON object"), ("[]", "no JSON object"), ("{}", "no `request`"), ("{\"request\":1}", "no `request`"),
        ("{\"request\":{}}", "`at` is missing"), ("{\"request\":{},\"at\":-1}", "within bounds"),
        ("{\"request\":{},\"at\":99999999999999}", "within bounds"),
        ("{\"request\":{},\"at\":1}", "unknown reason"),
        ("{\"request\":{},\"at\":1,\"reason\":\"granted\",\"status\":403}", "does not fit"),
        ("{\"request\":{},\"at\":1,\"reason\":\"granted\",\"status\":200}", "`method` is missing"),
        (
            "{\"request\":{\"method\":\"GET\",\"scheme\":\"ftp\",\"host\":\"h\",\"path\":\"/\",\"port\":1},\"at\":1,"
                + "\"reason\":\"granted\",\"status\":200}", "neither https nor http"
        ),
        (
            "{\"request\":{\"method\":\"GET\",\"scheme\":\"http\",\"host\":\"h\",\"path\":\"/\",\"port\":65536},\"at\":1,"
                + "\"reason\":\"granted\",\"status\":200}", "no port"
        ),
        (
            "{\"request\":{\"method\":\"GET\",\"scheme\":\"http\",\"host\":\"h\",\"path\":\"/\",\"port\":80},\"at\":1,"
                + "\"reason\":\"granted\",\"status\":200,\"token\":{\"issuer\":\"i\",\"claims\":{\"a\":1}}}",
            "is no string"
        ),
    ])
    func refusesWhatIsNoRecord(_ line: String, _ why: String) {
        var reader = RecordedDecisionReader()
        do {
            _ = try reader.read(Array(line.utf8))
            Issue.record("`\(line)` was taken")
        } catch {
            #expect(error.description.contains(why), "\(error)")
        }
    }

    @Test func mutatedRecordsNeverTrap() throws {
        let line = Array(record(more: ",\"claims\":{\"tenant\":\"a\"},\"acr\":\"mfa\",\"auth_time\":1763999000").utf8)
        var reader = RecordedDecisionReader()
        var random = SystemRandomNumberGenerator()
        var taken = 0
        for _ in 0..<5_000 {
            var bytes = line
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if (try? reader.read(bytes)) != nil { taken += 1 }
        }
        #expect(taken < 5_000)
    }
}
