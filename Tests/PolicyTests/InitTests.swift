import Decision
import Policy
import PolicyTables
import Signatures
import Testing

/// `policy init`: what it writes is a policy in every sense.
@Suite struct InitTests {
    @Test(arguments: [
        ("https://id.example.com", ["api.example.com"], nil as String?),
        ("https://id.example.com/realms/a", ["*.example.com", "api.example.org"], "urn:example:api"),
        ("http://localhost:8080", ["127.0.0.1"], "my \"own\" \\ audience, # {really}"),
        ("https://id.example.com", ["[::1]"], "yes: no"),
    ])
    func passesEverything(_ issuer: String, _ hosts: [String], _ audience: String?) throws {
        let text = try FirstPolicy(issuer: issuer, hosts: hosts, audience: audience).text
        let source = Array(text.utf8)
        let policy = load(text)
        let model = try #require(policy.model, "\(policy.diagnostics)")
        #expect(policy.diagnostics.isEmpty)
        #expect(model.issuers[0].issuer == issuer)
        #expect(model.services[0].hosts == hosts)
        if let audience { #expect(model.issuers[0].audiences == [audience]) }
        #expect(try formatPolicy(source: source, file: "") == source)
        let report = try #require(
            lintPolicy(policy, files: [LintFile(label: "policy.yaml", bytes: source)], environment: nil, now: testNow))
        #expect(report.findings.isEmpty, "\(report.text)")
        var coverage = RouteCoverage(model, policy: policy)
        let runner = try PolicyTestRunner(PolicyTrial(model: model, source: source, now: testNow), now: testNow)
        for test in policy.tests {
            let result = try runner.run(test)
            #expect(result.passed, "\(test.attempt): \(result.outcome)")
            coverage.add(result)
        }
        #expect(coverage.percent == 100, "\(coverage.text)")
    }

    @Test(arguments: [
        ("id.example.com", ["api.example.com"], nil as String?, "is no https URL"),
        ("http://id.example.com", ["api.example.com"], nil, "is not https"),
        ("https://id.example.com", [], nil, "0 hosts"),
        ("https://id.example.com", ["https://api.example.com"], nil, "api.example.com"),
        ("https://id.example.com", ["API.example.com"], nil, "API.example.com"),
        ("https://id.example.com", ["a.example", "a.example"], nil, "twice"),
        ("https://id.example.com", ["a.example"], "", "empty"),
        ("https://id.example.com\nscopes:", ["a.example"], nil, "cannot be seen"),
        ("https://id.example.com", ["a.example]"], nil, "a.example]"),
    ])
    func refused(_ issuer: String, _ hosts: [String], _ audience: String?, _ part: String) {
        #expect { try FirstPolicy(issuer: issuer, hosts: hosts, audience: audience) } throws: { error in
            "\(error)".contains(part)
        }
    }

    @Test func oneAnswerAtATime() throws {
        try FirstPolicy.check(issuer: "https://id.example.com")
        try FirstPolicy.check(hosts: ["*.example.com", "api.example.com"])
        try FirstPolicy.check(audience: "urn:example:api")
        #expect(throws: FirstPolicy.Refusal.self) { try FirstPolicy.check(issuer: "id.example.com") }
        #expect(throws: FirstPolicy.Refusal.self) { try FirstPolicy.check(hosts: []) }
        #expect(throws: FirstPolicy.Refusal.self) { try FirstPolicy.check(audience: "") }
        for url in ["https://id.example.com", "https://id.example.com:8443/x?y#z", "http:///id.example.com"] {
            #expect { try FirstPolicy.check(hosts: ["a.example", url]) } throws: { error in
                "\(error)" == "`\(url)` is a URL; give its host alone, `id.example.com`"
            }
        }
        #expect(throws: FirstPolicy.Refusal.self) { try FirstPolicy.check(hosts: ["://"]) }
        #expect(FirstPolicy.audience(ofHost: "*.example.com") == "https://www.example.com")
    }
}
