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

    private static let here = Result { try settings(of: policy) }

    private static func settings(of text: String, keyFiles: [[UInt8]?] = []) throws -> VerificationSettings {
        let loaded = loadPolicy(source: Array(text.utf8), file: "policy.yaml", now: 1_764_000_000)
        return VerificationSettings(try #require(loaded.model, "\(loaded.diagnostics)"), keyFiles: keyFiles)
    }

    /// Recorded under `policy` itself.
    private func record(
        method: String = "GET", path: String = "/orders", scopes: String = "[\"orders:read\"]",
        reason: String = "granted", status: Int = 200, more: String = "", token: String? = nil,
        settings: String? = nil, places: String = "[\"authorization\"]"
    ) throws -> String {
        let here = try ReplayTests.here.get()
        let issuer = "https://id.example.com"
        let own = try #require(here.digest(ofIssuer: issuer))
        let proof = try #require(
            here.proofDigest(issuer: issuer, service: "orders", route: "\(method) \(path)", port: 443))
        let token =
            token
            ?? "{\"issuer\":\"\(issuer)\",\"settings\":\"\(settings ?? own)\",\"iat\":1763999990,\"exp\":1764000600,\"proof_settings\":\"\(proof)\",\"subject\":\"alice\",\"client\":\"web\",\"scopes\":\(scopes),\"audiences\":[\"https://api.example.com\"]\(more)}"
        return "{\"status\":\(status),\"reason\":\"\(reason)\",\"route\":\"\(method) \(path)\",\"at\":1764000000,"
            + "\"request\":{\"method\":\"\(method)\",\"scheme\":\"https\",\"host\":\"api.example.com\",\"port\":443,"
            + "\"path\":\"\(path)\"},\"settings\":\"\(settings ?? here.all ?? "")\",\"token_from\":\"header\","
            + "\"credentials\":\(places),\"token\":\(token)}"
    }

    private func replay(_ lines: [String], policy: String = ReplayTests.policy) throws -> [PolicyReplay.Result] {
        let source = Array(policy.utf8)
        let model = try #require(loadPolicy(source: source, file: "policy.yaml", now: 1_764_000_000).model)
        let trial = try PolicyTrial(model: model, source: source, now: 1_764_000_000)
        let settings = VerificationSettings(model, keyFiles: [])
        let replay = try PolicyReplay(trial, settings: settings, now: 1_764_000_000)
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
                .unknown(why: "what the request carried was not recorded: it came to `public`"),
                .decided(.unknownRoute, route: ""),
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

    @Test func whatOtherSettingsMaySeeOtherwiseIsUnknown() throws {
        let reasons = [
            "claims_malformed", "audience_mismatch", "lifetime_too_long", "unknown_issuer", "algorithm_not_allowed",
            "expired", "unknown_key", "revoked",
        ]
        for reason in reasons {
            let same = try replay([record(reason: reason, status: 401, token: "null")])
            let other = try replay([record(reason: reason, status: 401, token: "null", settings: "0")])
            guard case .unknown? = other.first else {
                Issue.record("\(reason) is carried over")
                continue
            }
            // Nothing of a policy has revoked it.
            guard reason != "revoked" else {
                #expect(same == other)
                continue
            }
            guard case .decided(let found, "GET /orders")? = same.first, "\(found.name)" == reason else {
                Issue.record("\(reason) is not carried over under the same settings: \(same)")
                continue
            }
        }
        guard case .unknown? = try replay([record(settings: "0")]).first else {
            Issue.record("a token that other settings have verified")
            return
        }
    }

    @Test func otherPlacesThanTheHeaderNeedTheSameSource() throws {
        let policy = ReplayTests.policy.replacingOnce(", proof: dpop", "").replacingOnce(
            "    hosts: [api.example.com]\n", "    hosts: [api.example.com]\n    token_from: { cookie: t }\n")
        let lines = try ["[]", "[\"authorization\"]", "[\"cookie\"]", "null"].map {
            try record(reason: "no_token", status: 401, token: "null", places: $0)
        }
        let elsewhere = PolicyReplay.Result.unknown(
            why: "the token may be looked for elsewhere than when it was recorded")
        let same = PolicyReplay.Result.decided(.noToken, route: "GET /orders")
        #expect(try replay(lines) == [same, same, same, same])
        #expect(try replay(lines, policy: policy) == [same, same, elsewhere, same])
        let old = lines.map { $0.replacingOnce(",\"credentials\"", ",\"other\"") }
        #expect(try replay(old) == [elsewhere, elsewhere, elsewhere, elsewhere])
    }

    @Test func timesAreCheckedAgain() throws {
        let policy = { (more: String) in
            ReplayTests.policy.replacingOnce("algorithms: [ES256]\n", "algorithms: [ES256]\n    \(more)\n")
        }
        #expect(
            try replay([record()], policy: policy("max_lifetime: 609s")) == [
                .decided(.lifetimeTooLong, route: "GET /orders")
            ])
        #expect(
            try replay([record()], policy: policy("max_lifetime: 610s")) == [.decided(.granted, route: "GET /orders")])
        let over = try record().replacingOnce("1764000600", "1763999999")
        #expect(try replay([over], policy: policy("leeway: 1s")) == [.decided(.expired, route: "GET /orders")])
        #expect(try replay([over], policy: policy("leeway: 2s")) == [.decided(.granted, route: "GET /orders")])
    }

    @Test func aProofThatWasNotGoodStaysSo() throws {
        let bound = { (reason: String, status: Int) in
            try record(
                method: "POST", scopes: "[\"orders:write\"]", reason: reason, status: status,
                more: ",\"proof\":\"dpop\"")
        }
        let lines = [try bound("invalid_dpop_proof", 401), try bound("granted", 200)]
        let route = "POST /orders"
        #expect(try replay(lines) == [.decided(.invalidProof, route: route), .decided(.granted, route: route)])
        let results = try replay(
            lines, policy: ReplayTests.policy.replacingOnce("proof: dpop", "proof: dpop, dpop_nonce: required"))
        for result in results {
            guard case .unknown = result else {
                Issue.record("\(result) by other settings")
                continue
            }
        }
    }

    @Test func settingsAreOfWhatDecides() throws {
        let here = try ReplayTests.here.get()
        let issuer = "https://id.example.com"
        let changes = [
            ("algorithms: [ES256]", "algorithms: [ES256, ES384]", true),
            ("algorithms: [ES256]", "algorithms: [ES256]\n    profile: compat", true),
            ("algorithms: [ES256]", "algorithms: [ES256]\n    scope_claim: scp", true),
            ("algorithms: [ES256]", "algorithms: [ES256]\n    client_claim: azp", true),
            ("algorithms: [ES256]", "algorithms: [ES256]\n    status_lists: [\"https://s.example.com/\"]", true),
            ("/jwks }", "/other }", true),
            ("algorithms: [ES256]", "algorithms: [ES256]\n    leeway: 1s", false),
            ("algorithms: [ES256]", "algorithms: [ES256]\n    max_lifetime: 1h", false),
            ("audience: [https://api.example.com]", "audience: [https://other.example.com]", false),
        ]
        for (old, new, isOfEachToken) in changes {
            let other = try ReplayTests.settings(of: ReplayTests.policy.replacingOnce(old, new))
            #expect(other.all != nil && other.all != here.all, "\(new)")
            #expect((other.digest(ofIssuer: issuer) != here.digest(ofIssuer: issuer)) == isOfEachToken, "\(new)")
        }
        let routes = try ReplayTests.settings(of: ReplayTests.policy.replacingOnce("/healthz", "/health"))
        #expect(routes.all == here.all)

        let file = ReplayTests.policy.replacingOnce("jwks_uri: https://id.example.com/jwks", "jwks_file: a.json")
        let one = try ReplayTests.settings(of: file, keyFiles: [[1]])
        #expect(try one.all == ReplayTests.settings(of: file.replacingOnce("a.json", "b.json"), keyFiles: [[1]]).all)
        #expect(try one.all != ReplayTests.settings(of: file, keyFiles: [[2]]).all)
        for missing in [[], [nil]] as [[[UInt8]?]] {
            let none = try ReplayTests.settings(of: file, keyFiles: missing)
            #expect(none.all == nil && none.digest(ofIssuer: issuer) == nil)
        }
        #expect(here.tokenSource(ofService: "orders") == "header" && here.tokenSource(ofService: "x") == nil)
    }

    @Test func whatDecideRecordsOfBadRequestsIsRead() throws {
        let bad = { (reason: String, request: String) in
            "{\"status\":403,\"reason\":\"\(reason)\",\"at\":1764000000,\"request\":\(request),\"token\":null}"
        }
        let lines = [
            bad("missing_fact", "{\"method\":\"\",\"scheme\":\"https\",\"host\":\"\",\"port\":443,\"path\":\"\"}"),
            bad("conflicting_facts", "{\"scheme\":\"ftp\",\"port\":70000}"), bad("path_mismatch", "{}"),
            try record().replacingOnce("\"at\":1764000000", "\"at\":\(Int64.max)"),
            try record().replacingOnce("\"at\":1764000000", "\"at\":-1"),
            "{\"status\":403,\"reason\":\"unknown_client\",\"at\":1,\"connect\":9443}",
        ]
        let time = PolicyReplay.Result.unknown(why: "its time is before 1970 or after the year 9999")
        #expect(
            try replay(lines) == [
                .decided(.missingFact, route: ""), .decided(.conflictingFacts, route: ""),
                .decided(.pathMismatch, route: ""), time, time,
                .unknown(why: "certificates of connections are not recorded"),
            ])
    }

    @Test func anIssuerThatThePolicyDoesNotKnow() throws {
        let token =
            "{\"issuer\":\"https://other.example\",\"subject\":\"a\",\"client\":\"b\",\"scopes\":[\"orders:read\"]}"
        #expect(try replay([record(token: token)]) == [.decided(.unknownIssuer, route: "GET /orders")])
    }

    @Test(arguments: [
        ("", "no JSON object"), ("[]", "no JSON object"), ("{}", "no `request`"), ("{\"request\":1}", "no `request`"),
        ("{\"request\":{}}", "`at` is missing"), ("{\"request\":{},\"at\":9999999999999999999}", "within bounds"),
        ("{\"connect\":-1,\"at\":1}", "within bounds"),
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
        let line = Array(
            try record(more: ",\"claims\":{\"tenant\":\"a\"},\"acr\":\"mfa\",\"auth_time\":1763999000").utf8)
        var reader = RecordedDecisionReader()
        var random = SystemRandomNumberGenerator()
        var taken: [[UInt8]] = []
        for _ in 0..<5_000 {
            var bytes = line
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if (try? reader.read(bytes)) != nil { taken.append(bytes) }
        }
        #expect(taken.count < 5_000)
        _ = try replay(taken.prefix(100).map { String(decoding: $0, as: UTF8.self) })
    }
}

extension String {
    fileprivate func replacingOnce(_ text: String, _ other: String) -> String {
        replacing(text, with: other, maxReplacements: 1)
    }
}
