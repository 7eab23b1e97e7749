import Policy
import PolicyTables
import Testing

/// Rules over several routes and services.
@Suite struct CrossTests {
    private static func routes(_ lines: String...) -> String {
        "scopecheck: 1\nservices:\n  a:\n    hosts: [a.example]\n    routes:\n"
            + lines.map { "      - { \($0) }\n" }.joined()
    }

    /// Services of one line each, `hosts … ports …` first.
    private static func services(_ bodies: String...) -> String {
        var text = "scopecheck: 1\nservices:\n"
        for (index, body) in bodies.enumerated() { text += "  s\(index): { \(body) }\n" }
        return text
    }

    static let cases: [Case] = [
        Case(
            "a route twice", routes("match: GET /a, public: true", "match: ‹GET /a, public: true"),
            Expected(
                .duplicateRoute, "`GET /a` on `a.example` is already the route in line 6", mend: "keep one")),
        Case(
            "parameters do not tell routes apart",
            routes("match: \"GET /a/{x}\", public: true", "match: ‹\"GET /a/{y}\", public: true"),
            Expected(.duplicateRoute, "line 6", mend: "names of parameters")),
        Case(
            "a path in two spellings",
            routes("match: GET /~a, public: true", "match: ‹GET /%7ea, public: true"),
            Expected(.duplicateRoute)),
        Case(
            "one of several methods",
            routes("match: POST /a, public: true", "match: ‹\"GET,POST /a\", public: true"),
            Expected(.duplicateRoute, "`POST /a`")),
        Case(
            "the rest twice", routes("match: GET /**, public: true", "match: ‹GET /**, public: true"),
            Expected(.duplicateRoute)),
        Case(
            "three times",
            routes(
                "match: GET /a, public: true", "match: ‹GET /a, public: true", "match: ‹GET /a, public: true"),
            Expected(.duplicateRoute, "line 6"), Expected(.duplicateRoute, "line 6")),
        Case(
            "a preflight beside OPTIONS",
            routes(
                "match: GET /a, public: true", "match: OPTIONS /a, public: true",
                "match: ‹OPTIONS /a, preflight: true"), Expected(.duplicateRoute)),
        Case(
            "literal, parameter and rest differ",
            routes(
                "match: GET /a, public: true", "match: \"GET /{x}\", public: true",
                "match: GET /**, public: true", "match: GET /a/, public: true",
                "match: GET /a/b, public: true")),
        Case(
            "methods differ",
            routes(
                "match: GET /a, public: true", "match: HEAD /a, public: true", "match: POST /a, public: true")
        ),
        Case("case differs", routes("match: GET /a, public: true", "match: GET /A, public: true")),
        Case(
            "bytes differ where the text looks alike",
            routes("match: GET /caf\u{E9}, public: true", "match: GET /cafe\u{301}, public: true")),
        Case(
            "ports differ",
            routes("match: GET /a, public: true, ports: [1]", "match: GET /a, public: true, ports: [2]")),
        Case(
            "a port is shared",
            routes(
                "match: GET /a, public: true, ports: [1, 2]", "match: ‹GET /a, public: true, ports: [2, 3]"),
            Expected(.duplicateRoute)),
        Case(
            "one is open on every port",
            routes("match: GET /a, public: true, ports: [1, 2]", "match: ‹GET /a, public: true"),
            Expected(.duplicateRoute)),
        Case(
            "the other is open on every port",
            routes("match: GET /a, public: true", "match: ‹GET /a, public: true, ports: [1, 2]"),
            Expected(.duplicateRoute)),
        Case(
            "across services",
            services(
                "hosts: [a.example], routes: [{ match: GET /a, public: true }]",
                "hosts: [b.example, a.example], routes: [{ match: ‹GET /a, public: true }]"),
            Expected(.duplicateRoute, "on `a.example` is already the route in line 3 in the service `s0`")),
        Case(
            "across services by base path",
            services(
                "hosts: [a.example], base_path: /v1, routes: [{ match: GET /a, public: true }]",
                "hosts: [a.example], routes: [{ match: ‹GET /v1/a, public: true }]"),
            Expected(.duplicateRoute)),
        Case(
            "services on other hosts",
            services(
                "hosts: [a.example], routes: [{ match: GET /a, public: true }]",
                "hosts: [b.example], routes: [{ match: GET /a, public: true }]")),
        Case(
            "a wildcard host is another host",
            services(
                "hosts: [\"*.example\"], routes: [{ match: GET /a, public: true }]",
                "hosts: [b.example], routes: [{ match: GET /a, public: true }]")),
        Case(
            "services in a chain of hosts",
            services(
                "hosts: [a.example, b.example], routes: [{ match: GET /b, public: true }]",
                "hosts: [b.example, c.example], routes: [{ match: GET /a, public: true }]",
                "hosts: [a.example], routes: [{ match: GET /a, public: true }]")),
        Case(
            "services on other ports",
            services(
                "hosts: [a.example], ports: [1], routes: [{ match: GET /a, public: true }]",
                "hosts: [a.example], ports: [2], routes: [{ match: GET /a, public: true }]")),
        Case(
            "services on a shared port",
            services(
                "hosts: [a.example], ports: [1, 2], routes: [{ match: GET /a, public: true }]",
                "hosts: [a.example], ports: [2], routes: [{ match: ‹GET /a, public: true }]"),
            Expected(.duplicateRoute)),
        Case(
            "a route that narrows away",
            services(
                "hosts: [a.example], ports: [1, 2], routes: [{ match: GET /a, public: true, ports: [1] }]",
                "hosts: [a.example], ports: [2], routes: [{ match: GET /a, public: true }]")),
        Case(
            "a port that the service has not",
            services(
                "hosts: [a.example], ports: [1, 2], routes: [{ match: GET /a, public: true, ports: ‹[3] }]"),
            Expected(.unreachableRoute, "port 3: its service is open on 1, 2 only")),
        Case(
            "one port that the service has not",
            services(
                "hosts: [a.example], ports: [1, 2], routes: [{ match: GET /a, public: true, ports: ‹[1, 3] }]"
            ),
            Expected(.unreachableRoute, "port 3")),
        Case(
            "a preflight over everything",
            routes("match: GET /a, public: true", "match: OPTIONS /**, preflight: true")),
        Case(
            "a preflight for a parameter",
            routes("match: GET /a/b, public: true", "match: \"OPTIONS /a/{x}\", preflight: true")),
        Case(
            "a preflight below the rest",
            routes("match: GET /a/**, public: true", "match: OPTIONS /a/b/c, preflight: true")),
        Case(
            "a preflight of another path",
            routes("match: GET /a, public: true", "match: ‹OPTIONS /b, preflight: true"),
            Expected(.unreachableRoute, "never be answered")),
        Case(
            "a preflight of a longer path",
            routes("match: GET /a, public: true", "match: ‹\"OPTIONS /a/{x}\", preflight: true"),
            Expected(.unreachableRoute)),
        Case(
            "a preflight of the rest below a path",
            routes("match: GET /a, public: true", "match: ‹OPTIONS /a/**, preflight: true"),
            Expected(.unreachableRoute)),
        Case(
            "a parameter is not empty",
            routes("match: GET /a/, public: true", "match: ‹\"OPTIONS /a/{x}\", preflight: true"),
            Expected(.unreachableRoute)),
        Case(
            "a preflight alone", routes("match: ‹OPTIONS /**, preflight: true"), Expected(.unreachableRoute)),
    ]

    @Test(arguments: cases) func rules(_ one: Case) { check(one) }

    @Test func duplicatesNameBothPlaces() {
        let policy = load(CrossTests.routes("match: GET /a, public: true", "match: GET /a, public: true"))
        #expect(policy.diagnostics.first?.position == SourcePosition(line: 7, column: 18))
        #expect(policy.diagnostics.first?.notes.map(\.position) == [SourcePosition(line: 6, column: 18)])
        let keys = load("scopecheck: 1\nscopecheck: 1\n")
        #expect(
            keys.diagnostics.first { $0.code == .duplicateKey }?.position
                == SourcePosition(line: 2, column: 1))
        #expect(
            keys.diagnostics.first { $0.code == .duplicateKey }?.notes.map(\.position)
                == [SourcePosition(line: 1, column: 1)])
    }

    /// More services on one host than are compared in pairs.
    @Test func manyServicesOnOneHost() {
        var text = "scopecheck: 1\nservices:\n"
        for number in 1...200 {
            text +=
                "  s\(number): { hosts: [a.example], ports: [\(number)], routes: [{ match: GET /a, public: true }] }\n"
        }
        #expect(load(text).errorCount == 0)
        text +=
            "  last: { hosts: [b.example, a.example], ports: [7], routes: [{ match: GET /a, public: true }] }\n"
        let policy = load(text)
        #expect(policy.diagnostics.map(\.code) == [.duplicateRoute])
        #expect(policy.diagnostics.first?.notes.first?.position.line == 9)
        #expect(policy.diagnostics.first?.line == 203)
    }

    /// Everything that is wrong comes at once, in the order of the source, without errors that only follow.
    @Test func severalAtOnce() {
        let one = Case(
            "",
            """
            scopecheck: 1
            issuers:
              - { issuer: ‹http://id.example.com, audience: a, keys: { discovery: true }, algorithms: [‹none] }
            scopes:
              orders:read: { ‹desription: x }
              orders:write: { implies: ‹orders:raed }
            services:
              orders:
                hosts: [‹API.example.com, ‹"api_x.example"]
                issuers: [‹https://id.example.com]
                base_path: ‹v1
                routes:
                  - { match: ‹get /orders, scopes: ‹orders:reed }
                  - { match: POST /orders/‹../x, scopes: orders:write, ‹step_up: mfa }
                  - { match: GET /a, public: ‹yes }
                  - { match: GET /b, public: true }
                  - { match: ‹GET /b, public: true }
            clients: ‹{}
            tests:
              - { request: GET https://api.example.com/a, expect: ‹alow }
            """,
            Expected(.badURL), Expected(.badAlgorithm), Expected(.unknownKey), Expected(.unknownScope),
            Expected(.badHost), Expected(.badHost), Expected(.unknownIssuer), Expected(.badPath),
            Expected(.badMethod),
            Expected(.unknownScope), Expected(.badPath), Expected(.notEnforced), Expected(.wrongType),
            Expected(.duplicateRoute), Expected(.emptyValue), Expected(.unknownReason, mend: "`allow`"))
        check(one)
    }

    @Test func capOfShownDiagnostics() {
        var text =
            "scopecheck: 1\nscopes:\n  unused: {}\nservices:\n  a:\n    hosts: [a.example]\n    routes:\n"
        for number in 0..<250 { text += "      - { match: GET /\(number), scopes: missing }\n" }
        let policy = load(text)
        #expect(policy.diagnostics.count == 100)
        #expect(policy.errorCount == 250 && policy.omittedCount == 150)
        #expect(policy.diagnostics.map(\.position) == policy.diagnostics.map(\.position).sorted())
        #expect(
            diagnosticsText(policy).hasSuffix(
                "and 150 more; mend these first and check again\n"))
    }
}
