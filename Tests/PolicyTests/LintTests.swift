import Policy
import PolicyTables
import Testing

/// `policy lint`: what is allowed and seldom meant.
@Suite struct LintTests {
    /// A policy with a `‹` before each place that a finding must point at, in the order of the source.
    struct Rule: CustomTestStringConvertible, Sendable {
        var name: String
        var marked: String
        /// The rule, and part of the message.
        var expected: [(rule: String, message: String)]

        init(_ name: String, _ marked: String, _ expected: (String, String)...) {
            self.name = name
            self.marked = marked
            self.expected = expected.map { (rule: $0.0, message: $0.1) }
        }

        var testDescription: String { name }
    }

    static func lint(_ text: String, now: Int64 = testNow) throws -> LintReport {
        let policy = load(text)
        return try #require(
            lintPolicy(
                policy, files: [LintFile(label: "policy.yaml", bytes: Array(text.utf8))], environment: nil, now: now),
            "\(policy.diagnostics)")
    }

    static func check(_ rule: Rule) throws {
        let (text, positions) = Case(rule.name, rule.marked).source
        let report = try lint(text)
        let all = report.text
        #expect(positions.count == rule.expected.count, "the case has as many marks as expectations")
        #expect(report.findings.count == rule.expected.count, "\(all)")
        for (index, expected) in rule.expected.enumerated() where index < report.findings.count {
            let found = report.findings[index]
            if index < positions.count {
                let place = SourcePosition(line: found.place.line, column: found.place.column)
                #expect(place == positions[index], "\(all)")
            }
            #expect(found.rule == expected.rule, "\(all)")
            #expect(found.message.contains(expected.message), "\(all)")
            #expect(!found.mend.isEmpty && !found.message.hasSuffix("."), "\(all)")
            #expect(found.place.file == "policy.yaml")
        }
    }

    /// Routes of one service below `/v1`, with tests for it, so that nothing else is found.
    private static func routes(_ lines: String...) -> String {
        """
        scopecheck: 1
        issuers:
          - { issuer: https://id.example.com, audience: https://api.example.com, keys: { discovery: true } }
        scopes: { read: {} }
        services:
          api:
            hosts: [api.example.com]
            base_path: /v1
            routes:
              - { match: GET /used, scopes: read }
        \(lines.map { "      - " + $0 }.joined(separator: "\n"))
        tests: [{ request: GET https://api.example.com/v1/used, expect: deny }]
        """
    }

    static let routeRules: [Rule] = [
        Rule("nothing", routes("{ match: \"GET /used/{x}\", scopes: read }")),
        Rule(
            "a wildcard of which nothing is left",
            routes(
                "{ match: ‹GET /a/**, scopes: read }", "{ match: GET /a/, scopes: read }",
                "{ match: \"GET /a/{x}\", scopes: read }", "{ match: \"GET /a/{y}/**\", scopes: read }"),
            (
                "shadowed_route",
                "`GET /a/**` can never be reached: more specific paths take all that it stands for, "
                    + "the first in line 12"
            )),
        Rule(
            "a part is left",
            routes("{ match: GET /a/**, scopes: read }", "{ match: \"GET /a/{x}\", scopes: read }")),
        Rule(
            "other ports take nothing",
            routes(
                "{ match: GET /a/**, scopes: read }", "{ match: GET /a/, scopes: read, ports: [1] }",
                "{ match: \"GET /a/{x}\", scopes: read }", "{ match: \"GET /a/{y}/**\", scopes: read }")),
        Rule(
            "a method that a whole level loses",
            routes(
                "{ match: ‹\"GET,POST /a/**\", scopes: read }", "{ match: \"GET /a/{x}\", scopes: read }",
                "{ match: GET /a/export, scopes: read }"),
            (
                "missing_method",
                "`POST /a/**` is denied wherever `/v1/a/{x}` (line 12) matches: that path is more "
                    + "specific and lists GET only"
            )),
        Rule(
            "deeper levels too",
            routes(
                "{ match: ‹\"DELETE /a/**\", scopes: read }", "{ match: \"GET /a/{x}/{y}\", scopes: read }"),
            ("missing_method", "`DELETE /a/**` is denied wherever `/v1/a/{x}/{y}`")),
        Rule(
            "preflights lose nothing",
            routes("{ match: OPTIONS /**, preflight: true }", "{ match: \"GET /{x}/{y}\", scopes: read }")),
        Rule(
            "a path that can be changed and not read",
            routes("{ match: GET /a, scopes: read }", "{ match: ‹\"PUT /a/{x}\", scopes: read }"),
            ("write_without_read", "`/v1/a/{x}` can be changed and not read")),
        Rule(
            "a collection that nobody reads either", routes("{ match: \"PUT /a/{x}\", scopes: read }")),
        Rule(
            "a public wildcard over protected paths",
            routes("{ match: ‹GET /a/**, public: true }", "{ match: GET /a/b, scopes: read }"),
            ("public_wildcard", "`GET /a/**` opens to everybody whatever is not listed beside `GET /a/b` (line 12)")),
        Rule("a public wildcard by itself", routes("{ match: GET /a/**, public: true }")),
        Rule(
            "everybody may write",
            routes("{ match: GET /a, scopes: read }", "{ match: ‹POST /a, public: true }"),
            ("public_write", "everybody may `POST /a`, and `GET /a` (line 11) needs a token")),
        Rule(
            "a public route beside a protected one",
            routes("{ match: \"GET /a/{x}\", scopes: read }", "{ match: ‹GET /a/export, public: true }"),
            ("public_beside_protected", "`GET /a/export` is public beside `GET /a/{x}` (line 11)")),
        Rule(
            "what stands right below the base path is left alone", routes("{ match: GET /healthz, public: true }")),
    ]

    @Test(arguments: routeRules) func ofRoutes(_ rule: Rule) throws { try LintTests.check(rule) }

    static let hostRules: [Rule] = [
        Rule(
            "a wildcard that a listed host takes from",
            """
            scopecheck: 1
            services:
              ‹all:
                hosts: ["*.example.com"]
                routes: [{ match: GET /a, public: true }]
              one:
                hosts: [api.example.com]
                routes: [{ match: GET /a, public: true }]
            tests: [{ request: GET https://api.example.com/a, expect: allow }]
            """,
            (
                "overlapping_hosts",
                "the routes of `all` do not apply on `api.example.com`, which its wildcard matches: "
                    + "`one` (line 6) lists that host itself; `GET /a` stands in both"
            )),
        Rule(
            "a service that lists both",
            """
            scopecheck: 1
            services:
              all:
                hosts: ["*.example.com", api.example.com]
                routes: [{ match: GET /a, public: true }]
              one:
                hosts: [api.example.com, www.example.org]
                routes: [{ match: GET /b, public: true }]
            tests: [{ request: GET https://api.example.com/a, expect: allow }]
            """),
        Rule(
            "a path of two services",
            """
            scopecheck: 1
            issuers: [{ issuer: https://id.example.com, audience: a, keys: { discovery: true } }]
            scopes: { read: {} }
            services:
              one:
                hosts: [api.example.com]
                routes: [{ match: GET /a, scopes: read }]
              two:
                hosts: [api.example.com]
                routes: [{ match: ‹POST /a, scopes: read }]
            tests: [{ request: GET https://api.example.com/a, expect: deny }]
            """,
            ("path_in_two_services", "`/a` on `api.example.com` belongs to two services: `two`, and `one` in line 7")),
        Rule(
            "no tests",
            """
            ‹scopecheck: 1
            services: { one: { hosts: [a.example], routes: [{ match: GET /a, public: true }] } }
            """,
            ("no_tests", "the policy has no `tests`")),
        Rule(
            "services without tests",
            """
            scopecheck: 1
            issuers: [{ issuer: https://id.example.com, audience: a, keys: { discovery: true } }]
            scopes: { read: {} }
            services:
              one: { hosts: [a.example], base_path: /one, routes: [{ match: GET /a, public: true }] }
              ‹two: { hosts: [a.example], base_path: /two, routes: [{ match: GET /a, public: true }] }
              three: { hosts: ["*.example.org"], routes: [{ match: GET /a, scopes: read }] }
              ‹door: { kind: tcp, ports: [9443], scopes: read }
            clients:
              c: { certificate: { uri: spiffe://example.org/c }, scopes: [read] }
            tests:
              - { request: GET https://A.example/one/a, expect: deny }
              - { request: GET https://b.example.org/, expect: deny }
            """,
            ("untested_service", "`two`"), ("untested_service", "`door`")),
    ]

    @Test(arguments: hostRules) func ofHostsAndTests(_ rule: Rule) throws { try LintTests.check(rule) }

    // MARK: Allowances

    @Test func warningsOfCheckAreFindings() throws {
        let text = LintTests.routes("{ match: GET /a, scopes: read }")
            .replacing("scopes: { read: {} }", with: "scopes:\n  read: {}\n  other: {}")
        let report = try LintTests.lint(text)
        #expect(report.findings.map(\.rule) == ["unused_scope"])
        #expect(report.warningCount == 1 && report.errorCount == 0)
        #expect(report.json.hasPrefix("{\"findings\":[{\"rule\":\"unused_scope\",\"severity\":\"warning\","))
        // A comment between stays with what it is above of.
        let allowed = text.replacing(
            "  other: {}", with: "  # lint: allow unused_scope next quarter\n  # and another comment\n  other: {}")
        let quiet = try LintTests.lint(allowed)
        #expect(quiet.findings.isEmpty && quiet.allowedCount == 1, "\(quiet.text)")
        let behind = text.replacing("  other: {}", with: "  other: {} # lint: allow unused_scope next quarter")
        #expect(try LintTests.lint(behind).findings.isEmpty)
        #expect(try LintTests.lint(behind).text == "0 errors, 0 warnings, 1 allowed by comments\n")
    }

    @Test(arguments: [
        ("# lint: allow public_write", "bad_allowance", "without a reason"),
        ("# lint: allow public_writes because", "bad_allowance", "unknown rule `public_writes`"),
        ("# lint: ignore public_write because", "bad_allowance", "allows nothing"),
        ("# lint: allow public_write because", "unused_allowance", "allowed here and not found"),
    ])
    func badAllowances(_ comment: String, _ rule: String, _ message: String) throws {
        let text = LintTests.routes("{ match: GET /a, scopes: read }")
            .replacing("\nscopes: {", with: "\n\(comment)\nscopes: {")
        let report = try LintTests.lint(text)
        #expect(report.findings.map(\.rule) == [rule], "\(report.text)")
        #expect(report.findings.first?.message.contains(message) ?? false, "\(report.text)")
        #expect(report.findings.first?.place.line == 4)
    }

    @Test func textInQuotesAllowsNothing() throws {
        let text = LintTests.routes("{ match: GET /a, scopes: read }")
            .replacing("{ read: {} }", with: "{ read: { description: \"# lint: allow nothing\" } }")
        #expect(try LintTests.lint(text).findings.isEmpty)
    }

    @Test func errorsAreNotLinted() {
        let policy = load("scopecheck: 1")
        #expect(lintPolicy(policy, files: [], environment: nil, now: testNow) == nil)
    }

    /// Findings are bounded, errors first.
    @Test func manyFindings() throws {
        var lines: [String] = []
        for number in 0..<1_200 {
            lines.append("{ match: GET /p\(number)/x, scopes: read }")
            lines.append("{ match: GET /p\(number)/y, public: true }")
        }
        let text = LintTests.routes().replacing(
            "      - { match: GET /used, scopes: read }",
            with: (["{ match: GET /used, scopes: read }"] + lines).map { "      - \($0)" }.joined(separator: "\n"))
        let report = try LintTests.lint(text)
        #expect(report.findings.count == LintReport.findingsMax)
        #expect(report.omittedCount == 200 && report.warningCount == 1_200)
        #expect(report.text.contains("and 200 more"))
    }

    /// Many services on each other's hosts: every rule ends.
    @Test func manyServices() throws {
        var text = """
            scopecheck: 1
            issuers: [{ issuer: https://id.example.com, audience: a, keys: { discovery: true } }]
            scopes: { read: {} }
            services:

            """
        for number in 0..<300 {
            let hosts = (0..<20).map { "h\((number + $0) % 300).example" }.joined(separator: ", ")
            text +=
                "  s\(number):\n    hosts: [\(hosts), \"*.w\(number).example\", x.w\(299 - number).example]\n    routes:\n"
            for route in 0..<10 { text += "      - { match: \"GET /s\(number)/r\(route)/{x}\", scopes: read }\n" }
            text += "      - { match: \"GET,POST /s\(number)/**\", scopes: read }\n"
        }
        let report = try LintTests.lint(text)
        #expect(Set(report.findings.map(\.rule)) == ["overlapping_hosts", "no_tests"], "\(report.text.prefix(2_000))")
        #expect(report.findings.count == 301)
    }

    @Test func theDesignsPolicyIsClean() throws {
        let report = try LintTests.lint(sampleText)
        #expect(report.findings.isEmpty, "\(report.text)")
    }
}
