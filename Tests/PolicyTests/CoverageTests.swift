import Decision
import PolicyTables
import Signatures
import Testing

@testable import Policy

/// Which routes a policy's own tests reach, and what build servers read.
@Suite struct CoverageTests {
    private static let policy = """
        scopecheck: 1
        issuers:
          - { issuer: https://id.example.com, audience: https://api.example.com, keys: { discovery: true } }
        scopes: { read: {}, write: {} }
        services:
          a:
            hosts: [a.example]
            routes:
              - { match: "GET,PUT /x", scopes: read }
              - { match: GET /open, public: true }
              - { match: GET /y, scopes: read, ports: [443] }
              - { match: GET /y, scopes: write, ports: [8443] }
          b:
            hosts: [b.example]
            resource: https://b.example
            routes:
              - { match: GET /x, scopes: write }
          door: { kind: tcp, ports: [9443], scopes: read }
        clients:
          c: { certificate: { uri: spiffe://example.org/c }, scopes: [read] }
        tests:
          - { request: GET https://a.example/x, scopes: [read], expect: allow }
          - { request: GET https://a.example/x, scopes: [write], expect: insufficient_scope }
          - { request: HEAD https://a.example/x, expect: no_token }
          - { request: GET https://a.example/open, expect: allow }
          - { request: GET https://a.example:8443/y, scopes: [write], expect: allow }
          - { request: GET https://a.example/none, expect: deny }
          - { connect: 9443, certificate: { uri: spiffe://example.org/c }, expect: allow }
          - { connect: 9443, expect: deny }
        """

    private func coverage(_ text: String) throws -> RouteCoverage {
        let policy = load(text)
        let model = try #require(policy.model, "\(policy.diagnostics)")
        var coverage = RouteCoverage(model, policy: policy)
        let trial = try PolicyTrial(model: model, source: Array(text.utf8), now: testNow)
        let runner = try PolicyTestRunner(trial, now: testNow)
        for test in policy.tests {
            let result = try runner.run(test)
            #expect(result.passed, "\(result.outcome)")
            coverage.add(result)
        }
        return coverage
    }

    @Test func countsBothOutcomesOfEachRoute() throws {
        let coverage = try coverage(CoverageTests.policy)
        let rows = coverage.rows.map { "\($0.service) \($0.route) \($0.allowedCount) \($0.deniedCount)" }
        #expect(
            rows == [
                "a GET /x 1 2", "a PUT /x 0 0", "a GET /open 1 0", "a GET /y 0 0", "a GET /y 1 0", "b GET /x 0 0",
                "door tcp/9443 1 1",
            ])
        // Of 13: x 2, open 1, the second y 1, the door 2.
        #expect(coverage.sides == 13)
        #expect(coverage.reachedSides == 6)
        #expect(coverage.percent == 46)
        #expect(
            coverage.incomplete.map { "\($0.place.line) \($0.missing)" } == [
                "9 [\"allow\", \"deny\"]", "11 [\"allow\", \"deny\"]", "12 [\"deny\"]", "17 [\"allow\", \"deny\"]",
            ])
        #expect(
            coverage.text.contains("policy.yaml:12:18: not tested: `GET /y` of `a` with deny\n")
                && coverage.text.hasSuffix("coverage 46 % (6 of 13 outcomes of 7 routes)\n"), "\(coverage.text)")
        #expect(
            coverage.json.hasPrefix("{\"percent\":46,\"reached\":6,\"outcomes\":13,\"routes\":[{\"service\":\"a\","))
    }

    @Test func withoutTestsAndWithoutRoutes() throws {
        let text = policyWith()
        #expect(try coverage(text).percent == 0)
        #expect(RouteCoverage(PolicyModel(), policy: load(text)).percent == 100)
    }

    @Test func document() {
        var document = JUnitDocument(suite: "a & b")
        document.add(.init(name: "GET https://a.example/?x=<1>: allow", file: "p.yaml", line: 7, failure: nil))
        document.add(.init(name: "q\"'", file: "p.yaml", line: 8, failure: "expected allow, got\u{1}\n\u{1B}[31mdeny"))
        #expect(
            document.text == """
                <?xml version="1.0" encoding="UTF-8"?>
                <testsuites tests="2" failures="1" errors="0" skipped="0">
                  <testsuite name="a &amp; b" tests="2" failures="1" errors="0" skipped="0">
                    <testcase classname="p.yaml" name="GET https://a.example/?x=&lt;1&gt;: allow" file="p.yaml" line="7"/>
                    <testcase classname="p.yaml" name="q&quot;&apos;" file="p.yaml" line="8">
                      <failure type="policy" message="expected allow, got\u{FFFD}&#10;\u{FFFD}[31mdeny"/>
                    </testcase>
                  </testsuite>
                </testsuites>

                """)
    }

    @Test func errorsOfADocument() {
        var document = JUnitDocument(suite: "p.yaml")
        document.add(.init(name: "tests", file: "p.yaml", line: 2, failure: nil, error: "no \"routes\""))
        #expect(
            document.text.contains("tests=\"1\" failures=\"0\" errors=\"1\"")
                && document.text.contains("<error type=\"policy\" message=\"no &quot;routes&quot;\"/>"),
            "\(document.text)")
    }

    @Test func everyScalarGivesGoodXML() {
        for value in Array(0..<0x300) + [0xD7FF, 0xE000, 0xFFFD, 0xFFFE, 0xFFFF, 0x10000, 0x10FFFF] {
            guard let scalar = Unicode.Scalar(UInt32(value)) else { continue }
            let escaped = xmlEscaped(String(Character(scalar)))
            #expect(!escaped.isEmpty)
            #expect(
                escaped.unicodeScalars.allSatisfy {
                    $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) && $0 != "<" && $0 != "\""
                        && $0.value < 0xFFFE
                        || $0.value > 0xFFFF
                }, "\(value)")
        }
    }
}
