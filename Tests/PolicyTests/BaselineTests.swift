@testable import Policy
import PolicyTables
import Testing

/// What clients, issuers, services and tests mean together.
@Suite struct BaselineTests {
    private static func narrow(_ scopes: String, service: String = "base_path: /v1", more: String = "") -> String {
        clientPolicy(
            "  c: { issuer: https://id.example.com, \(scopes), on_excess: ‹narrow }\(more)", service: service)
    }

    static let narrowed: [Case] = [
        Case(
            "the token is passed on", narrow("scopes: read"),
            Expected(
                .narrowForwardsToken, "what the client `c` is narrowed by still reaches the backend of `api`",
                mend: "write `forward_token: never` on the service, or `on_excess: deny`")),
        Case("the token is not passed on", narrow("scopes: read", service: "forward_token: never").unmarked),
        Case(
            "nothing is narrowed", narrow("scopes: read").replacing("‹narrow", with: "deny")),
        Case("everything is said", narrow("scopes: read").replacing("‹narrow", with: "alert")),
        Case(
            "no route of the service is in reach",
            narrow("scopes: other").unmarked.replacing("  admin:", with: "  other: {}\n  admin:").replacing(
                "{ match: DELETE /a, scopes: admin }", with: "{ match: DELETE /a, scopes: [admin, other] }")),
        Case(
            "a route is in reach by a grant",
            narrow("grants: [{ scope: read, until: 2027-01-01T00:00:00Z, reason: r }]"), Expected(.narrowForwardsToken)),
        Case(
            "once for each client",
            narrow("scopes: read", more: "\n  d: { issuer: https://b.example.com, scopes: write, on_excess: ‹narrow }"),
            Expected(.narrowForwardsToken, "`c`"), Expected(.narrowForwardsToken, "`d`")),
        Case(
            "a service that does not take the client's tokens",
            narrow("scopes: read").unmarked.replacing(
                "issuers: [https://id.example.com, https://b.example.com]", with: "issuers: [https://b.example.com]"
            ).replacing(
                "clients:\n", with: "clients:\n  e: { issuer: https://b.example.com, scopes: read }\n"
            ).replacing("- { issuer: https://id", with: "- { issuer: ‹https://id"), Expected(.unusedIssuer)),
        Case(
            "several services",
            narrow("scopes: read").replacing(
                "services:\n",
                with: "services:\n  z: { hosts: [z.example], issuers: [https://id.example.com],"
                    + " routes: [{ match: GET /, scopes: { any: [admin, read] } }] }\n"
                    + "  y: { hosts: [y.example], routes: [{ match: GET /, public: true }] }\n"),
            Expected(.narrowForwardsToken, "of `z` and `api`, in the token")),
    ]

    @Test(arguments: narrowed) func narrowing(_ one: Case) { check(one) }

    private static let web = "  web: { issuer: https://id.example.com, client_id: 0oa, scopes: read }"
    private static let job =
        "  job: { issuer: https://id.example.com, scopes: [read, write],"
        + " grants: [{ scope: admin, until: 2026-12-01T00:00:00Z, reason: r }] }"
    private static let ask = "GET https://api.example.com/a"

    private static func test(_ text: String, issuer: String = "unknown_clients: deny") -> String {
        clientPolicy(web + "\n" + job, issuer: issuer, rest: "tests:\n  - { request: \(text) }")
    }

    static let owners: [Case] = [
        Case("no token", test("\(ask), expect: no_token")),
        Case("named", test("\(ask), client: web, scopes: [read], expect: allow")),
        Case("named by identifier", test("\(ask), client: 0oa, scopes: [read], expect: allow")),
        Case("a stranger", test("\(ask), client: stranger, scopes: [read], expect: unknown_client")),
        Case("some client may hold it", test("\(ask), scopes: [write], expect: allow")),
        Case("some client may hold nothing", test("\(ask), scopes: [], expect: insufficient_scope")),
        Case("some client may hold it for a time", test("\(ask), scopes: [admin], expect: allow")),
        Case(
            "the time is over",
            test("‹\(ask), scopes: [admin], at: 2026-12-01T00:00:00Z, expect: allow"),
            Expected(
                .unknownClient, "no client of `https://id.example.com` may hold all of `admin`",
                mend: "add `client:` with one of `job` and `web`, or expect `unknown_client`")),
        Case(
            "the time is not yet over", test("\(ask), scopes: [admin], at: 2026-11-30T23:59:59Z, expect: allow")),
        Case("nobody is meant", test("\(ask), scopes: [admin], at: 2026-12-01T00:00:00Z, expect: unknown_client")),
        Case("strangers are let in", test("\(ask), scopes: [admin], expect: allow", issuer: "unknown_clients: allow")),
        Case(
            "of the other issuer", test("\(ask), scopes: [admin], issuer: https://b.example.com, expect: allow")),
        Case(
            "named in the claim",
            test(
                "\(ask), scopes: [admin], claims: { azp: job }, at: 2027-12-01T00:00:00Z, expect: over_scoped",
                issuer: "client_claim: azp, unknown_clients: deny")),
        Case(
            "a slip", test("‹\(ask), client: jbo, scopes: [read], expect: allow"),
            Expected(.unknownClient, "no client `jbo`", mend: "did you mean `job`?")),
        Case(
            "nobody is listed",
            clientPolicy(
                "  b: { issuer: https://b.example.com, scopes: read }",
                rest: "tests:\n  - { request: ‹\(ask), scopes: [], expect: allow }"
            ).replacing("- { issuer: https://id", with: "- { issuer: ‹https://id"),
            Expected(.noClients),
            Expected(.unknownClient, "`https://id.example.com` has no client", mend: "list a client under `clients`")),
    ]

    @Test(arguments: owners) func testsSayWhoseTokenItIs(_ one: Case) { check(one) }

    /// What is stored and decides must read the same when every date in it has passed.
    @Test func timeAloneMakesNoError() throws {
        let text = clientPolicy(
            "  c: { issuer: https://id.example.com, scopes: read,"
                + " grants: [{ scope: admin, until: 2026-12-01T00:00:00Z, reason: r }] }",
            scopes: "  read: { replaces: old, until: 2027-01-01T00:00:00Z }\n  write: { until: 2027-01-01T00:00:00Z }\n"
                + "  admin: { implies: [read, write] }",
            service: "mode: observe\n    until: 2027-01-01T00:00:00Z\n    ends: 2027-06-01T00:00:00Z",
            rest: "tests:\n  - { request: \(BaselineTests.ask), scopes: [admin], expect: allow }")
        let before = try #require(loadPolicy(source: Array(text.utf8), file: "", now: testNow).model)
        for now in [0, testNow + 1, 1_800_000_000, 4_000_000_000] {
            let policy = loadPolicy(source: Array(text.utf8), file: "", now: now)
            #expect(policy.model == before && policy.tests.count == 1, "\(policy.diagnostics.map(\.message))")
        }
    }

    /// Which client a token is of, where the test leaves it open.
    @Test(arguments: [
        ("client: web, scopes: [read]", "0oa"), ("client: 0oa, scopes: [read]", "0oa"), ("client: x, scopes: []", "x"),
        ("scopes: [read]", "job"), ("scopes: [write]", "job"), ("scopes: [read, unknown:scope]", "job"),
        ("scopes: [old]", "job"), ("scopes: [gone, old]", "job"), ("scopes: [later]", "late"),
        ("scopes: [admin]", "job"), ("scopes: [admin], at: 2026-12-01T00:00:00Z", "root"),
        ("scopes: [read], token: expired", "job"), ("scopes: [later], at: 2027-02-01T00:00:00Z", "job"),
        ("scopes: [read], issuer: https://b.example.com", "policy-test"),
        ("client: web, scopes: [read], issuer: https://b.example.com", "web"),
    ]) func ownerOfATest(_ token: String, _ owner: String) throws {
        let text = clientPolicy(
            [
                BaselineTests.web, BaselineTests.job, "  root: { issuer: https://id.example.com, scopes: \"*\" }",
                "  late: { issuer: https://id.example.com, scopes: [later] }",
            ].joined(separator: "\n"),
            scopes:
                "  read: { replaces: old, until: 2027-01-01T00:00:00Z }\n  write: {}\n  admin: { implies: [read, write] }\n"
                + "  gone: { until: 2026-01-01T00:00:00Z }\n  later: { until: 2027-02-01T00:00:00Z }",
            rest: "tests:\n  - { request: \(BaselineTests.ask), \(token), expect: deny }")
        let policy = load(text)
        #expect(!policy.hasErrors)
        let owners = TestOwners(try #require(policy.model))
        let test = try #require(policy.tests.first)
        guard case .request(let request) = test.attempt, let described = request.token else {
            Issue.record("no request with a token")
            return
        }
        let issuer = try #require(owners.issuer(of: request))
        #expect(
            owners.identifier(for: described, issuer: issuer, at: test.time ?? testNow, test.expectation) == owner)
    }

    @Test func table() throws {
        let text = clientPolicy(
            """
              web: { issuer: https://id.example.com, client_id: 0oa, scopes: read, on_excess: narrow }
              job: { issuer: https://b.example.com, roles: [all], mode: observe, until: 2027-01-01T00:00:00Z,
                grants: [{ scope: gone, until: 2026-12-01T00:00:00Z, reason: INC-42 },
                  { scopes: [read, write], until: 2026-11-20T00:00:00Z, reason: b }] }
            """, roles: "  all: { scopes: [write, gone] }",
            scopes: "  read: { replaces: [reed, peek], until: 2027-01-01T00:00:00Z }\n  write: {}\n  admin: {}\n"
                + "  gone: { until: 2026-11-25T00:00:00Z }",
            service: "forward_token: never\n    ends: 2028-01-01T00:00:00Z"
        ).replacing("{ match: DELETE /a, scopes: admin }", with: "{ match: DELETE /a, scopes: [admin, gone] }")
        let policy = load(text)
        #expect(policy.diagnostics == [])
        let model = try #require(policy.model)
        // 2026-11-22: one grant is over, the other is not, nor is any scope.
        let table = effectiveTable(model, now: 1_795_305_600)
        #expect(
            table.text == """
                HOST             PORTS  METHOD  PATH  REQUIRES
                api.example.com  any    GET     /a    read (or peek, reed); forward_token never; ends 2028-01-01T00:00:00Z
                api.example.com  any    PUT     /a    write; forward_token never; ends 2028-01-01T00:00:00Z
                api.example.com  any    DELETE  /a    admin and gone; forward_token never; ends 2028-01-01T00:00:00Z

                CLIENT     ISSUER                  CLIENT ID  EXCESS                                     HOLDS
                web        https://id.example.com  0oa        narrow                                     read
                job        https://b.example.com   job        deny, observed until 2027-01-01T00:00:00Z  write gone; until 2026-12-01T00:00:00Z: gone (INC-42); ended 2026-11-20T00:00:00Z: read write (b)
                any other  https://id.example.com             refused                                    \("")
                any other  https://b.example.com              not checked                                \("")

                SCOPE  COUNTS UNTIL          REPLACED BY
                gone   2026-11-25T00:00:00Z  nothing
                reed   2027-01-01T00:00:00Z  read
                peek   2027-01-01T00:00:00Z  read

                """)
        let tail = """
            "clients":[],"token_clients":[\
            {"client":"web","issuer":"https://id.example.com","client_id":"0oa","on_excess":"narrow","scopes":["read"],\
            "grants":[],"mode":"enforce"},\
            {"client":"job","issuer":"https://b.example.com","client_id":"job","on_excess":"deny","scopes":["write","gone"],\
            "grants":[{"scopes":["gone"],"until":"2026-12-01T00:00:00Z","reason":"INC-42","ended":false},\
            {"scopes":["read","write"],"until":"2026-11-20T00:00:00Z","reason":"b","ended":true}],\
            "mode":"observe","until":"2027-01-01T00:00:00Z"}],\
            "unknown_clients":[{"issuer":"https://id.example.com","rule":"deny"},\
            {"issuer":"https://b.example.com","rule":"allow"}],\
            "ending_scopes":[{"scope":"gone","until":"2026-11-25T00:00:00Z","ended":false,"replaced_by":[]},\
            {"scope":"reed","until":"2027-01-01T00:00:00Z","ended":false,"replaced_by":["read"]},\
            {"scope":"peek","until":"2027-01-01T00:00:00Z","ended":false,"replaced_by":["read"]}]}
            """
        #expect(table.json.hasSuffix(tail))
        #expect(table.json.contains(#""ends":"2028-01-01T00:00:00Z","label":"GET /a"}"#))
        // A year later nothing of it counts any more.
        let later = effectiveTable(model, now: 1_830_297_600)
        #expect(later.rows.first?.requirementText == "read; forward_token never; ends 2028-01-01T00:00:00Z")
        #expect(later.clients.clients.last?.scopes == ["write"])
        #expect(later.clients.endingScopes.map(\.hasEnded) == [true, true, true])
        #expect(later.text.contains("gone   2026-11-25T00:00:00Z (ended)  nothing"))
    }

    /// Cost that grows with clients times services would show here.
    @Test func manyClientsAndServices() {
        var clients = ""
        var services = ""
        for number in 0..<2_000 {
            clients += "  c\(number): { issuer: https://id.example.com, scopes: read, on_excess: narrow }\n"
            services +=
                "  s\(number): { hosts: [s\(number).example], issuers: [https://b.example.com],"
                + " routes: [{ match: GET /, scopes: read }] }\n"
        }
        let policy = load(clientPolicy(clients).replacing("services:\n", with: "services:\n" + services))
        #expect(policy.diagnostics == [])
    }
}

extension String {
    /// Without the mark of a place.
    fileprivate var unmarked: String { replacing("‹", with: "") }
}
