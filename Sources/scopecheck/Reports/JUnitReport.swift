internal import Policy

/// Results of a policy's tests for build servers.
enum JUnitReport {
    /// - Parameters:
    ///   - file: the test's file as messages name it.
    ///   - line: of the test in that file.
    static func row(_ result: PolicyTestResult, file: String, line: Int) -> JUnitDocument.Case {
        let expected = TestReport.expectation(result.test)
        let route = result.route.map { " at \($0)" } ?? ""
        let mend = result.mend.map { "; \($0)" } ?? ""
        return JUnitDocument.Case(
            name: "\(TestReport.attempt(result.test)): \(expected)", file: file, line: line,
            failure: result.passed ? nil : "expected \(expected), got \(result.outcome)\(route)\(mend)")
    }
}
