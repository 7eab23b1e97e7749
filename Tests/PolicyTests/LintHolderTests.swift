import Policy
import PolicyTables
import Testing

/// Rules over who may hold what, and over what ends.
@Suite struct LintHolderTests {
    /// 2026-11-14T00:00:00Z is `testNow` or shortly before; the 20th is within two weeks.
    private static func policy(
        scopes: String = "  read: {}\n  write: {}", clients: String, unknown: String = "deny", roles: String = "",
        service: String = "", routes: String = ""
    ) -> String {
        """
        scopecheck: 1
        issuers:
          - issuer: https://id.example.com
            audience: https://api.example.com
            keys: { discovery: true }
            unknown_clients: \(unknown)
        scopes:
        \(scopes)
        services:
          api:
            hosts: [api.example.com]
            forward_token: never
        \(service)
            routes:
              - { match: GET /a, scopes: read }
              - { match: POST /a, scopes: write }
        \(routes)
        \(roles)
        clients:
        \(clients)
        tests: [{ request: GET https://api.example.com/a, token: none, expect: deny }]
        """
    }

    static let rules: [LintTests.Rule] = [
        LintTests.Rule("all is granted", policy(clients: "  web: { scopes: [read, write] }")),
        LintTests.Rule(
            "required and granted to nobody",
            policy(scopes: "  read: {}\n  ‹write: {}", clients: "  web: { scopes: read }"),
            ("required_but_not_granted", "`write` is required by `POST /a` (line 17) and granted to nobody")),
        LintTests.Rule(
            "unknown clients may hold anything", policy(clients: "  web: { scopes: read }", unknown: "allow")),
        LintTests.Rule(
            "a client whose excess counts may hold anything",
            policy(clients: "  web: { scopes: read, on_excess: alert }")),
        LintTests.Rule(
            "never granted, and nothing requires it itself",
            policy(
                scopes: "  read: {}\n  write: {}\n  ‹admin: { implies: [read, write] }",
                clients: "  web: { scopes: [read, write] }"),
            ("never_granted", "no client is granted `admin`")),
        LintTests.Rule(
            "a route that needs more than any client has",
            policy(
                clients: "  web: { scopes: read }\n  job: { scopes: write }",
                routes: "      - { match: ‹PUT /a, scopes: [read, write] }"),
            ("closed_route", "no client can use `PUT /a`")),
        LintTests.Rule(
            "a client for whom no route opens",
            policy(
                scopes: "  read: {}\n  write: {}\n  both: {}",
                clients: "  web: { scopes: [read, write, both] }\n  ‹job: { scopes: both }",
                routes: "      - { match: PUT /a, scopes: [read, both] }"),
            ("idle_client", "no route opens with what `job` is granted")),
        LintTests.Rule(
            "a grant about to end",
            policy(
                clients:
                    "  web:\n    scopes: read\n    grants:\n      - { scope: write, until: 2027-12-01T00:00:00Z, reason: X-1 }"
                    + "\n      - ‹{ scope: write, until: 2026-11-20T00:00:00Z, reason: INC-42 }"),
            ("grant_ending", "a grant to `web` (`write`, `INC-42`) ends at 2026-11-20T00:00:00Z, in")),
        LintTests.Rule(
            "an old name about to end, and who lists it",
            policy(
                scopes: "  read: { replaces: ‹old:read, until: 2026-11-20T00:00:00Z }\n  write: {}",
                clients: "  web: { scopes: write, roles: reader }\n  job: { scopes: [read, ‹old:read] }",
                roles: "roles:\n  reader: { scopes: [‹old:read] }"),
            ("scope_ending", "the old name `old:read` of `read` counts for nothing from 2026-11-20T00:00:00Z"),
            ("old_scope_listed", "`reader` lists `old:read`, an old name of `read`"),
            ("old_scope_listed", "`job` lists `old:read`")),
        LintTests.Rule(
            "a scope about to end",
            policy(
                scopes: "  read: {}\n  write: { until: ‹2026-11-20T00:00:00Z }",
                clients: "  web: { scopes: [read, write] }"),
            ("scope_ending", "the scope `write` counts for nothing from 2026-11-20T00:00:00Z")),
        LintTests.Rule(
            "observe modes about to end",
            policy(
                clients: "  web: { scopes: [read, write], mode: observe, until: ‹2026-11-20T00:00:00Z }",
                routes: """
                          - { match: ‹"PUT,DELETE /a", scopes: write, mode: observe, until: 2026-11-21T00:00:00Z }
                          - { match: PATCH /a, scopes: write, mode: observe, until: 2027-11-21T00:00:00Z }
                    """),
            ("observe_ending", "`PUT /a` and 1 more of `api` will be enforced from 2026-11-21T00:00:00Z"),
            ("observe_ending", "`web` is enforced again from 2026-11-20T00:00:00Z")),
        LintTests.Rule(
            "a service about to end",
            policy(
                clients: "  web: { scopes: [read, write] }", service: "    ends: ‹2026-11-20T00:00:00Z"),
            ("service_ending", "everything of `api` is denied from 2026-11-20T00:00:00Z")),
    ]

    @Test(arguments: rules) func found(_ rule: LintTests.Rule) throws {
        try LintTests.check(rule)
    }

    @Test func closedAtTheIssuerOfTheService() throws {
        func text(_ unknown: String) -> String {
            """
            scopecheck: 1
            issuers:
              - issuer: https://a.example.com
                audience: https://api.example.com
                keys: { discovery: true }
                unknown_clients: \(unknown)
              - issuer: https://b.example.com
                audience: https://api.example.com
                keys: { discovery: true }
                unknown_clients: deny
            scopes: { x: {}, y: {} }
            services:
              one:
                hosts: [api.example.com]
                forward_token: never
                issuers: [https://b.example.com]
                routes:
                  - { match: GET /x, scopes: x }
                  - { match: GET /y, scopes: y }
            clients:
              ca: { issuer: https://a.example.com, scopes: [x] }
              cb: { issuer: https://b.example.com, scopes: [y] }
            tests: [{ request: GET https://api.example.com/y, token: none, expect: deny }]
            """
        }
        for unknown in ["deny", "allow"] {
            let found = try LintTests.lint(text(unknown)).findings.filter { $0.rule == "closed_route" }
            #expect(
                found.map(\.message) == ["no client can use `GET /x`: none is granted all that it requires"],
                "\(unknown)")
        }
    }

    @Test func whatHasEndedIsHeldByNobody() throws {
        let text = LintHolderTests.policy(
            scopes: "  read: {}\n  write: { until: 2026-11-01T00:00:00Z }",
            clients: "  web: { scopes: read }\n  job: { scopes: write }")
        let messages = try LintTests.lint(text).findings.filter { $0.rule != "scope_ended" }.map(\.message)
        #expect(
            messages == [
                "no client can use `POST /a`: none is granted all that it requires",
                "no route opens with what `job` is granted",
            ])
    }

    @Test func exactlyTwoWeeks() throws {
        let text = LintHolderTests.policy(
            clients:
                "  web:\n    scopes: read\n    grants: [{ scope: write, until: 2026-11-20T00:00:00Z, reason: X-1 }]")
        let end: Int64 = 1_795_132_800
        func rules(_ now: Int64) throws -> [String] { try LintTests.lint(text, now: now).findings.map(\.rule) }
        #expect(try rules(end - 14 * 86_400 - 1) == [])
        #expect(try rules(end - 14 * 86_400) == ["grant_ending"])
        #expect(try rules(end - 1) == ["grant_ending"])
        // Over: what it granted is granted to nobody.
        #expect(try rules(end).contains("required_but_not_granted"))
    }
}
