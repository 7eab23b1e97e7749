import PolicyTables
import Testing

@testable import Policy

private let frame = """
    scopecheck: 1
    issuers:
      - issuer: ${issuer}
        audience: [${audience}]
        keys: { discovery: true }
    scopes:
      read: { description: 'costs $${price}, $5 and $$' }
    services:
      api:
        hosts: ["${host}"]
        routes:
          - { match: "GET /${path}/x", scopes: [read] }
          - match: "GET /b"
            scopes: read

    """

private let environments = """
    environments:
      prod:
        values:
          issuer: https://id.example.com
          audience: https://api.example.com
          host: api.example.com
          path: v1
      staging:
        values: { issuer: "https://id.example.org", audience: 'x', host: api.example.org, path: v2 }

    """

private func load(_ text: String, for environment: String?) throws -> PolicySource {
    try load([("policy.yaml", text)], environment: environment)
}

/// An otherwise good policy with some lines below `environments:`.
private func withEnvironments(_ lines: String, use: String = "") -> String {
    policyWith(tests: "environments:\n\(lines)\n\(use)")
}

@Suite struct EnvironmentTests {
    private var text: String { frame.replacing("[${audience}]", with: "[\"${audience}\"]") + environments }

    @Test func valuesStandForTheirNames() throws {
        let prod = try load(text, for: "prod")
        #expect(prod.diagnostics == [])
        #expect(prod.environment == "prod")
        let model = try #require(prod.model)
        #expect(model.issuers[0].issuer == "https://id.example.com")
        #expect(model.issuers[0].audiences == ["https://api.example.com"])
        #expect(model.scopes[0].description == "costs ${price}, $5 and $$")
        #expect(model.services[0].hosts == ["api.example.com"])
        #expect(model.services[0].routes.map(\.label) == ["GET /v1/x", "GET /b"])
        let staging = try #require(try load(text, for: "staging").model)
        #expect(staging.issuers[0].issuer == "https://id.example.org")
        #expect(staging.services[0].hosts == ["api.example.org"])
    }

    @Test func valuesAndTheirUsesMayStandInSeveralFiles() throws {
        let (one, other) = (
            frame.replacing("[${audience}]", with: "[\"${audience}\"]"), "scopecheck: 1\n" + environments
        )
        let third = """
            scopecheck: 1
            environments:
              prod: { values: { more: a.example.com } }
              staging: { values: { more: b.example.com } }
            services:
              b: { hosts: ["${more}"], routes: [{ match: GET /, public: true }] }

            """
        let policy = try load([("a.yaml", one), ("b.yaml", other), ("c.yaml", third)], environment: "staging")
        #expect(policy.diagnostics == [])
        #expect(policy.model?.services.map(\.hosts) == [["api.example.org"], ["b.example.com"]])
    }

    @Test func theEnvironmentMustBeNamed() throws {
        let none = try load(text, for: nil)
        #expect(places(none) == ["policy.yaml:15:1: unknown_environment"])
        #expect(none.diagnostics[0].message.contains("`prod` and `staging`"))
        #expect(none.diagnostics[0].mend.contains("--environment"))
        let other = try load(text, for: "prdo")
        #expect(places(other) == ["policy.yaml:15:1: unknown_environment"])
        #expect(other.diagnostics[0].mend == "did you mean `prod`?")
        #expect(try load(text, for: "zzzzzz").diagnostics[0].mend == "name one that it has: `prod` or `staging`")
        let without = try load(policyWith(), for: "prod")
        #expect(places(without) == ["policy.yaml:1:1: unknown_environment"])
        #expect(without.diagnostics[0].message == "the policy has no `environments`, and is read for `prod`")
    }

    @Test func eachEnvironmentByItself() throws {
        let files = try bundle([("policy.yaml", text.replacing("path: v2", with: "path: '{'"))])
        let policies = loadEveryEnvironment(bundle: files, now: testNow)
        #expect(policies.map(\.environment) == ["prod", "staging"])
        #expect(policies.map(\.hasErrors) == [false, true])
        let report = DiagnosticReport(policies)
        #expect(report.errorCount == 1 && report.warningCount == 0 && report.omittedCount == 0)
        #expect(report.diagnostics.map(\.environments) == [["staging"]])
        // What is wrong with a value is said where it is used, and where it is defined.
        #expect(report.diagnostics[0].line == 12)
        #expect(report.diagnostics[0].notes.map(\.position) == [SourcePosition(line: 23, column: 93)])
        #expect(diagnosticsText(report).contains(" (in `staging`)\n"))
        #expect(diagnosticsJSON(report).contains(#","environments":["staging"],"notes""#))
        // A policy without environments is read once.
        let plain = loadEveryEnvironment(bundle: PolicyBundle(source: Array(policyWith().utf8)), now: testNow)
        #expect(plain.map(\.environment) == [nil])
    }

    @Test func whatHoldsEverywhereIsSaidOnce() throws {
        let files = try bundle([("policy.yaml", text.replacing("scopes: read", with: "scopes: raed"))])
        let report = DiagnosticReport(loadEveryEnvironment(bundle: files, now: testNow))
        #expect(report.diagnostics.map(\.code) == [.unknownScope])
        #expect(report.diagnostics[0].environments == [])
        #expect(report.errorCount == 1)
        #expect(!diagnosticsText(report).contains("(in "))
    }

    @Test(arguments: [
        ("  9*: {}", "bad_name", 13, 3, "`9*` is no name of an environment"),
        ("  a: 7", "wrong_type", 13, 6, "an environment is a mapping"),
        ("  a: { valeus: {} }", "unknown_key", 13, 8, "unknown key `valeus`"),
        ("  a: { values: [] }", "wrong_type", 13, 16, "`values` is a mapping"),
        ("  a: { values: { 'b c': d } }", "bad_name", 13, 18, "`b c` is no name of a value"),
        ("  a: { values: { b: [d] } }", "wrong_type", 13, 21, "the value `b` is one text"),
        ("  a: { values: { b: '' } }", "empty_value", 13, 21, "the value `b` is empty"),
        ("  a: { values: { b: '${c}' } }", "bad_reference", 13, 21, "a `${` in the value `b`"),
        ("  a: { values: { b: c, b: d } }", "duplicate_key", 13, 24, "stands twice"),
        ("  a: {}\n  a: {}", "duplicate_key", 14, 3, "stands twice"),
    ])
    func whatIsWrongInAnEnvironment(_ lines: String, _ code: String, _ line: Int, _ column: Int, _ message: String)
        throws
    {
        let policy = try load(withEnvironments(lines), for: "a")
        let found = try #require(policy.diagnostics.first { $0.code.name == code }, "\(places(policy))")
        #expect(found.position == SourcePosition(line: line, column: column))
        #expect(found.message.contains(message))
        #expect(!found.mend.isEmpty)
    }

    @Test func environmentsThatAreNone() throws {
        for (value, code) in [("7", "wrong_type"), ("[a]", "wrong_type"), ("{}", "empty_value"), ("", "wrong_type")] {
            let text = policyWith(tests: "environments: \(value)")
            for environment in [nil, "prod"] {
                #expect(try load(text, for: environment).diagnostics.map(\.code.name) == [code])
            }
            let policies = loadEveryEnvironment(bundle: PolicyBundle(source: Array(text.utf8)), now: testNow)
            #expect(policies.map(\.hasErrors) == [true])
        }
    }

    @Test func aValueThatOneEnvironmentLacks() throws {
        let text = withEnvironments(
            "  prod: { values: { a: x } }\n  staging: { values: {} }\n  test:", use: "# ${a}")
        let policy = try load(text, for: "prod")
        #expect(places(policy) == ["policy.yaml:13:21: missing_value", "policy.yaml:13:21: unused_value"])
        #expect(policy.diagnostics[0].message == "`prod` has the value `a`, `staging` and `test` have not")
        #expect(policy.diagnostics[1].severity == .warning)
    }

    @Test(arguments: [
        ("${nope}", "unknown_value", "unknown value `${nope}`"), ("${", "bad_reference", "without its `}`"),
        ("${}", "bad_reference", "`` is no name of a value"), ("a${b c}", "bad_reference", "`b c` is no name"),
        ("${hots}", "unknown_value", "unknown value `${hots}`"),
    ])
    func textsThatAreNoGood(_ host: String, _ code: String, _ message: String) throws {
        let text = policyWith(
            service: "    hosts: [\"x\(host)\"]", tests: "environments: { prod: { values: { host: b.example.com } } }")
        let policy = try load(text, for: "prod")
        let found = try #require(policy.diagnostics.first { $0.severity == .error })
        #expect(found.code.name == code)
        #expect(found.message.contains(message))
        // At the `${` itself.
        let offset = try #require(host.firstIndex(of: "$"))
        #expect(
            found.position == SourcePosition(line: 9, column: 15 + host.distance(from: host.startIndex, to: offset)))
        if host == "${hots}" { #expect(found.mend == "did you mean `host`?") }
        #expect(policy.errorCount == 1)
    }

    @Test func withoutEnvironmentsNothingStandsForAnything() {
        let policy = load(policyWith(service: "    hosts: [\"${host}\"]"))
        #expect(policy.diagnostics.map(\.code) == [.unknownValue])
        #expect(policy.diagnostics[0].position == SourcePosition(line: 9, column: 13))
        #expect(policy.diagnostics[0].mend.contains("`$${`"))
        #expect(load(scopes("  read: { description: 'a $${b}' }")).model?.scopes.first?.description == "a ${b}")
    }

    @Test func keysAreNotReplaced() throws {
        let text = policyWith(
            scopes: "  read: {}\n  write: {}\n  \"x:${a}\": {}\n  y:$${a}: {}",
            routes: "      - { match: GET /a, scopes: [read, write, \"y:$${a}\"] }",
            tests: "environments: { prod: { values: { a: b } } }")
        let policy = try load(text, for: "prod")
        #expect(policy.diagnostics.filter { $0.severity == .error }.map(\.code) == [.valueInKey])
        let good = try load(text.replacing("  \"x:${a}\": {}\n", with: ""), for: "prod")
        #expect(good.model?.scopes.map(\.name) == ["read", "write", "y:${a}"])
        #expect(good.diagnostics.map(\.code) == [.unusedValue])
    }

    /// A value is a text: it opens no list and no mapping, and keeps the way it was quoted where it is put.
    @Test func valuesBringNoSyntax() throws {
        let text = policyWith(
            service: "    hosts: [\"${host}\"]\n    ports:\n      - ${port}",
            tests: "environments: { prod: { values: { host: 'a, b: {', port: 8443 } } }")
        let policy = try load(text, for: "prod")
        #expect(policy.diagnostics.filter { $0.severity == .error }.map(\.code) == [.badHost])
        let good = try load(text.replacing("'a, b: {'", with: "a.example.com"), for: "prod")
        #expect(good.model?.services[0].ports == [8443])
        let quoted = try load(
            text.replacing("'a, b: {'", with: "a.example.com").replacing("${port}", with: "\"${port}\""), for: "prod")
        #expect(quoted.diagnostics.filter { $0.severity == .error }.map(\.code) == [.badPort])
    }

    @Test func valuesAreNotReplacedTwice() throws {
        let text = policyWith(
            scopes: "  read: { description: '${a}${b}' }\n  write: {}",
            tests: "environments: { prod: { values: { a: '$', b: '{a}' } } }")
        #expect(try load(text, for: "prod").model?.scopes[0].description == "${a}")
    }

    @Test func clientsOfOneEnvironment() throws {
        let text = policyWith(
            tests: """
                clients:
                  a: { certificate: { dns: a.example.com }, scopes: [read] }
                environments:
                  prod: { clients: { b: { certificate: { dns: b.example.com }, scopes: [read] } } }
                  staging: { clients: { a: { certificate: { dns: c.example.com }, scopes: [read] } } }
                  test:
                """)
        #expect(try load(text, for: "prod").model?.certificateClients.map(\.name) == ["a", "b"])
        #expect(try load(text, for: "test").model?.certificateClients.map(\.name) == ["a"])
        let staging = try load(text, for: "staging")
        #expect(staging.diagnostics.map(\.code) == [.duplicateKey])
        #expect(staging.diagnostics[0].line == 16)
        let report = DiagnosticReport(
            loadEveryEnvironment(bundle: PolicyBundle(source: Array(text.utf8)), now: testNow))
        #expect(report.diagnostics.first { $0.severity == .error }?.environments == ["staging"])
    }

    @Test func limits() throws {
        let many = (0..<65).map { "  e\($0): {}" }.joined(separator: "\n")
        #expect(try load(withEnvironments(many), for: "e0").diagnostics.map(\.code) == [.limitExceeded])
        let long = String(repeating: "x", count: 4_097)
        let policy = try load(withEnvironments("  a: { values: { b: \(long) } }"), for: "a")
        #expect(policy.diagnostics.map(\.code) == [.limitExceeded])
        let values = (0..<4_100).map { "v\($0): x" }.joined(separator: ", ")
        let crowd = try load(withEnvironments("  a: { values: { \(values) } }"), for: "a")
        #expect(crowd.diagnostics.filter { $0.severity == .error }.map(\.code) == [.limitExceeded])
    }

    /// A short text that stands for a long one, many times in many texts, is refused before it takes all memory.
    @Test func expansionIsBounded() {
        var text = "a:\n"
        for _ in 0..<40 { text += "  - ${b}${b}\n" }
        let source = PolicyText(Array(text.utf8), label: "p")
        let sink = DiagnosticSink(source)
        let lines = LineIndex(source.bytes)
        guard var tree = YAMLReader(source, sink: sink).read(lines: lines)?.tree else {
            Issue.record("no tree")
            return
        }
        let value = EnvironmentValue(
            key: 0, position: SourcePosition(line: 1, column: 1), bytes: Array(repeating: 0x78, count: 10))
        var substitution = Substitution(values: ["b": value], environment: "prod", bytesMax: 399)
        substitution.run(on: &tree, sink: sink, lines: lines)
        #expect(sink.shown.map(\.code) == [.limitExceeded])
        #expect(sink.shown.first?.line == 21)
        #expect(tree.kind(21) == .plain && tree.kind(22) == .refused && tree.kind(42) == .refused)
        #expect(tree.string(3) == String(repeating: "x", count: 20))
    }
}
