import Policy
import PolicyTables
import Testing

/// 2026-11-14T…: before the dates that the policies of these tests name as future.
let testNow: Int64 = 1_794_614_400

/// What one diagnostic must say.
struct Expected {
    var code: DiagnosticCode
    /// Part of the message, and part of the mend.
    var message: String
    var mend: String

    init(_ code: DiagnosticCode, _ message: String = "", mend: String = "") {
        self.code = code
        self.message = message
        self.mend = mend
    }
}

/// A policy with a `‹` before each place that a diagnostic must point at, in the order of the source.
struct Case: CustomTestStringConvertible, Sendable {
    var name: String
    var marked: String
    var expected: [Expected]

    init(_ name: String, _ marked: String, _ expected: Expected...) {
        self.name = name
        self.marked = marked
        self.expected = expected
    }

    var testDescription: String { name }

    /// The source without its marks, and where they were.
    var source: (text: String, positions: [SourcePosition]) {
        var text = ""
        var positions: [SourcePosition] = []
        var line = 1
        var column = 1
        for scalar in marked.unicodeScalars {
            if scalar == "‹" {
                positions.append(SourcePosition(line: line, column: column))
                continue
            }
            text.unicodeScalars.append(scalar)
            column += 1
            if scalar == "\n" {
                line += 1
                column = 1
            }
        }
        return (text, positions)
    }
}

extension Expected: Sendable {}

func load(_ text: String) -> PolicySource {
    loadPolicy(source: Array(text.utf8), file: "policy.yaml", now: testNow)
}

/// Every diagnostic where it must be and what it must be, and none besides.
func check(_ one: Case) {
    let (text, positions) = one.source
    let policy = load(text)
    let shown = policy.diagnostics.map {
        "\($0.line):\($0.column): \($0.severity): \($0.code.name): \($0.message); mend: \($0.mend)"
    }
    let all = shown.joined(separator: "\n")
    #expect(positions.count == one.expected.count, "the case has as many marks as expectations")
    #expect(policy.diagnostics.count == one.expected.count, "\(all)")
    for (index, expected) in one.expected.enumerated() where index < policy.diagnostics.count {
        let found = policy.diagnostics[index]
        if index < positions.count { #expect(found.position == positions[index], "\(all)") }
        #expect(found.code == expected.code, "\(all)")
        #expect(found.message.contains(expected.message), "\(all)")
        #expect(found.mend.contains(expected.mend), "\(all)")
        #expect(!found.mend.isEmpty && !found.message.isEmpty)
        #expect(!found.message.hasSuffix("."), "\(all)")
    }
    #expect((policy.model == nil) == (policy.errorCount > 0))
    // What the language lets through must compile.
    if let model = policy.model {
        #expect(throws: Never.self) { try PolicyCompiler(model).check() }
    }
}

// MARK: Frames, each a whole policy around the part that a case is about

func policyWith(
    issuers: String =
        "  - { issuer: https://id.example.com, audience: https://api.example.com, keys: { discovery: true } }",
    scopes: String = "  read: {}\n  write: {}",
    service: String = "    hosts: [api.example.com]",
    routes: String = "      - { match: GET /a, scopes: [read, write] }",
    tests: String = ""
) -> String {
    """
    scopecheck: 1
    issuers:
    \(issuers)
    scopes:
    \(scopes)
    services:
      api:
    \(service)
        routes:
    \(routes)
    \(tests)
    """
}

/// A route beside one that uses every scope, so that nothing is reported as unused.
func route(_ route: String) -> String {
    policyWith(routes: "      - { match: HEAD /used, scopes: [read, write] }\n      - \(route)")
}

func service(_ lines: String) -> String { policyWith(service: lines) }

func issuer(_ lines: String) -> String { policyWith(issuers: lines) }

func scopes(_ lines: String, required: String = "read") -> String {
    policyWith(scopes: lines, routes: "      - { match: GET /a, scopes: \(required) }")
}

func tests(_ lines: String) -> String { policyWith(tests: "tests:\n" + lines) }
