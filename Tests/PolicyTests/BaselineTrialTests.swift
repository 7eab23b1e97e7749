import Policy
import PolicyTables
import Testing

/// Policy tests of clients with a baseline, decided on the compiled tables.
@Suite struct BaselineTrialTests {
    static let policy = """
        scopecheck: 1
        issuers:
          - { issuer: https://id.example.com, audience: a, keys: { discovery: true }, unknown_clients: deny }
          - { issuer: https://open.example.com, audience: a, keys: { discovery: true }, unknown_clients: allow }
        scopes:
          read: { replaces: [reed, peek], until: 2027-01-01T00:00:00Z }
          list: { replaces: reed, until: 2027-01-01T00:00:00Z }
          write: { implies: read }
          admin: { implies: "*" }
          retired: { until: 2026-12-15T00:00:00Z }
        services:
          api:
            hosts: [api.example.com]
            issuers: [https://id.example.com, https://open.example.com]
            forward_token: never
            routes:
              - { match: GET /read, scopes: read }
              - { match: GET /list, scopes: list }
              - { match: PUT /write, scopes: write }
              - { match: GET /retired, scopes: retired }
              - { match: DELETE /all, scopes: admin }
          event:
            hosts: [event.example.com]
            issuers: [https://id.example.com]
            ends: 2027-03-01T00:00:00Z
            forward_token: never
            routes:
              - { match: GET /read, scopes: read }
              - { match: GET /open, public: true }
              - { match: OPTIONS /**, preflight: true }
        roles:
          writer: { scopes: [write] }
        clients:
          strict: { issuer: https://id.example.com, client_id: 0oa1, scopes: read }
          narrow: { issuer: https://id.example.com, scopes: read, on_excess: narrow }
          alert: { issuer: https://id.example.com, scopes: read, on_excess: alert }
          job:
            issuer: https://id.example.com
            roles: [writer]
            scopes: [list, retired]
            grants:
              - { scope: admin, until: 2026-12-01T00:00:00Z, reason: INC-42 }
          watched: { issuer: https://id.example.com, scopes: read, mode: observe, until: 2026-12-01T00:00:00Z }
          old: { issuer: https://id.example.com, scopes: peek }
          other: { issuer: https://open.example.com, scopes: read }
        tests:
        """

    private static let read = "GET https://api.example.com/read"
    private static let list = "GET https://api.example.com/list"
    private static let write = "PUT https://api.example.com/write"
    private static let all = "DELETE https://api.example.com/all"
    private static let retired = "GET https://api.example.com/retired"
    private static let open = "issuer: https://open.example.com"

    static let baselines: [(test: String, outcome: String)] = [
        // Within the baseline.
        ("\(read), client: strict, scopes: [read]", "allow"), ("\(read), client: 0oa1, scopes: [read]", "allow"),
        ("\(read), client: strict, scopes: []", "insufficient_scope"),
        ("\(read), client: strict, scopes: [read, \"unknown:scope\"]", "allow"),
        // Beyond it.
        ("\(read), client: strict, scopes: [write]", "over_scoped"),
        ("\(read), client: strict, scopes: [read, list]", "over_scoped"),
        ("\(write), client: strict, scopes: [admin]", "over_scoped"),
        ("\(read), client: narrow, scopes: [admin]", "allow"),
        ("\(write), client: narrow, scopes: [admin]", "insufficient_scope"),
        ("\(read), client: narrow, scopes: [list]", "insufficient_scope"),
        ("\(write), client: alert, scopes: [admin]", "allow"),
        ("\(all), client: alert, scopes: [write]", "insufficient_scope"),
        // Roles, and grants to the second.
        ("\(write), client: job, scopes: [write, list]", "allow"),
        ("\(all), client: job, scopes: [admin], at: 2026-11-30T23:59:59Z", "allow"),
        ("\(all), client: job, scopes: [admin], at: 2026-12-01T00:00:00Z", "over_scoped"),
        ("\(write), client: job, scopes: [write], at: 2026-12-01T00:00:00Z", "allow"),
        // Unknown clients.
        ("\(read), client: stranger, scopes: [read]", "unknown_client"),
        ("\(read), scopes: [read], client: other", "unknown_client"),
        ("\(all), client: stranger, scopes: [admin], \(open)", "allow"),
        ("\(all), client: other, scopes: [admin], \(open)", "over_scoped"),
        ("\(read), client: other, scopes: [read], \(open)", "allow"),
        // Whose token it is where nobody says: `alert` comes first by name.
        ("\(read), scopes: [read]", "allow"), ("\(list), scopes: [list]", "allow"),
        ("\(read), token: expired", "expired"),
        ("\(all), scopes: [admin]", "allow"),
        // What comes before: no route, no token.
        ("GET https://api.example.com/none, client: stranger, scopes: [read]", "unknown_route"),
    ]

    static let changes: [(test: String, outcome: String)] = [
        // Old names amount to what replaces them, until the second.
        ("\(read), client: job, scopes: [reed]", "allow"), ("\(list), client: job, scopes: [reed]", "allow"),
        ("\(read), client: job, scopes: [reed], at: 2026-12-31T23:59:59Z", "allow"),
        ("\(read), client: job, scopes: [reed], at: 2027-01-01T00:00:00Z", "insufficient_scope"),
        ("\(list), client: job, scopes: [peek]", "insufficient_scope"),
        ("\(read), client: job, scopes: [peek]", "allow"),
        ("\(read), client: strict, scopes: [peek]", "allow"),
        ("\(read), client: strict, scopes: [reed]", "over_scoped"),
        ("\(read), client: narrow, scopes: [reed]", "allow"),
        ("\(list), client: narrow, scopes: [reed]", "insufficient_scope"),
        ("\(read), client: old, scopes: [read]", "allow"), ("\(read), client: old, scopes: [peek]", "allow"),
        // A scope that ends, in the token and where others imply it.
        ("\(retired), client: job, scopes: [retired], at: 2026-12-14T23:59:59Z", "allow"),
        ("\(retired), client: job, scopes: [retired], at: 2026-12-15T00:00:00Z", "insufficient_scope"),
        ("\(retired), client: alert, scopes: [admin], at: 2026-12-14T23:59:59Z", "allow"),
        ("\(retired), client: alert, scopes: [admin], at: 2026-12-15T00:00:00Z", "insufficient_scope"),
        ("\(read), client: strict, scopes: [read, retired]", "over_scoped"),
        ("\(read), client: strict, scopes: [read, retired], at: 2026-12-15T00:00:00Z", "allow"),
        // A service that ends, open routes and preflights with it.
        ("GET https://event.example.com/read, client: strict, scopes: [read], at: 2027-02-28T23:59:59Z", "allow"),
        (
            "GET https://event.example.com/read, client: strict, scopes: [read], at: 2027-03-01T00:00:00Z",
            "publication_ended"
        ),
        ("GET https://event.example.com/read, at: 2027-03-01T00:00:00Z", "publication_ended"),
        ("GET https://event.example.com/open, at: 2027-02-28T23:59:59Z", "allow"),
        ("GET https://event.example.com/open, at: 2027-03-01T00:00:00Z", "publication_ended"),
        (
            "OPTIONS https://event.example.com/read, origin: https://a.example, access_control_request_method: GET,"
                + " at: 2027-03-01T00:00:00Z", "publication_ended"
        ),
        // Observed: what the token may not do passes, and nothing else does.
        ("\(write), client: watched, scopes: [write]", "observed"),
        ("\(write), client: watched, scopes: [read]", "observed"),
        ("\(read), client: watched, scopes: [read]", "allow"),
        ("\(write), client: watched, scopes: [write], at: 2026-12-01T00:00:00Z", "over_scoped"),
        ("\(read), client: watched, scopes: [read], token: expired", "expired"),
    ]

    @Test(arguments: baselines + changes) func outcomes(_ test: String, _ outcome: String) throws {
        let text = BaselineTrialTests.policy + "\n  - { request: \(test), expect: \(outcome) }\n"
        let policy = load(text)
        #expect(policy.diagnostics.map(\.code).allSatisfy { $0 == .unknownScope })
        let trial = try PolicyTrial(model: try #require(policy.model), source: Array(text.utf8), now: testNow)
        let runner = try PolicyTestRunner(trial, now: testNow)
        // Twice: the second time the token is known.
        for _ in 0..<2 {
            let result = try runner.run(try #require(policy.tests.first))
            #expect(result.outcome == outcome)
            #expect(result.passed)
        }
    }

    /// One runner for tests at times before and behind an end, in any order.
    @Test func timeInAnyOrder() throws {
        let ask = "request: \(BaselineTrialTests.all), client: job, scopes: [admin]"
        let text =
            BaselineTrialTests.policy + "\n  - { \(ask), at: 2026-12-01T00:00:00Z, expect: over_scoped }\n"
            + "  - { \(ask), at: 2026-11-30T23:59:59Z, expect: allow }\n"
        let policy = load(text)
        let trial = try PolicyTrial(model: try #require(policy.model), source: Array(text.utf8), now: testNow)
        let runner = try PolicyTestRunner(trial, now: testNow)
        for test in policy.tests + policy.tests.reversed() {
            let result = try runner.run(test)
            #expect(result.passed, "\(result.outcome)")
            #expect(result.client == "job")
        }
    }

    /// The time that `policy test --at` gives decides which grants hold, and who may be meant.
    @Test func theTimeOfTheRunDecides() throws {
        let text =
            BaselineTrialTests.policy + "\n  - { request: \(BaselineTrialTests.all), scopes: [admin], expect: allow }\n"
        let policy = load(text)
        let trial = try PolicyTrial(model: try #require(policy.model), source: Array(text.utf8), now: testNow)
        let test = try #require(policy.tests.first)
        let before = try PolicyTestRunner(trial, now: testNow).run(test)
        #expect(before.passed && before.client == "job")
        let after = try PolicyTestRunner(trial, now: 1_830_297_600).run(test)
        #expect(after.outcome == "unknown_client")
    }
}
