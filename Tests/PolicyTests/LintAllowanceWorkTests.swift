import Testing

@testable import Policy

/// What comments that allow findings cost: in step with the lines of a file.
@Suite struct LintAllowanceWorkTests {
    private static func finding(_ rule: String, line: Int) -> LintFinding {
        LintFinding(
            rule: rule, severity: .warning, place: SourcePlace(file: "p.yaml", line: line, column: 1), message: "",
            mend: "")
    }

    /// Each allows on the line below them all, and each line is looked at once.
    @Test func manyCommentsInARow() {
        let count = 5_000
        let rules = ["public_write", "unused_scope"]
        let comments = (0..<count).map { "  # lint: allow \(rules[$0 % 2]) reason\n" }.joined()
        var allowances = LintAllowances()
        allowances.read(Array(("a:\n" + comments + "  b: c\n").utf8), file: "p.yaml")
        #expect(allowances.walkedCount == count)
        for rule in rules {
            let allowed = (count + 2...count + 4).filter {
                allowances.allows(LintAllowanceWorkTests.finding(rule, line: $0))
            }
            #expect(allowed == [count + 2])
        }
        #expect(allowances.unused.map(\.place.line) == Array(4..<count + 2), "the first of each rule are used")
    }

    /// Rows of comments apart from one another, and the same lines of another file.
    @Test func rowsAreToldApart() {
        let text = "# lint: allow public_write x\n# y\na: b\n# lint: allow public_write x\nc: d\n"
        var allowances = LintAllowances()
        allowances.read(Array("a: b # lint: allow public_write x\n# y\n# y\n# y\nc: d\n".utf8), file: "o.yaml")
        allowances.read(Array(text.utf8), file: "p.yaml")
        let allowed = (1...6).filter { allowances.allows(LintAllowanceWorkTests.finding("public_write", line: $0)) }
        #expect(allowed == [1, 3, 4, 5])
        #expect(allowances.walkedCount == 4 + 2 + 1)
    }
}
