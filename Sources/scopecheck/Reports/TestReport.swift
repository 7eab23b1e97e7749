internal import Decision
internal import Octets
internal import Policy

/// Results of a policy's own tests, for people and programs.
enum TestReport {
    static func text(_ result: PolicyTestResult, file: String) -> String {
        let test = result.test
        let route = result.route.map { " (route `\($0)`)" } ?? ""
        return "\(file):\(test.position.line):\(test.position.column): failed: \(test.request): expected "
            + "\(expectation(test)), got \(result.outcome)\(route)\n"
    }

    static func json(_ result: PolicyTestResult) -> [UInt8] {
        var writer = ByteWriter(capacity: 16_384)
        writer.append("{\"line\":")
        writer.append(decimal: UInt64(result.test.position.line))
        writer.append(",\"request\":")
        writer.append(jsonString: Array(result.test.request.utf8).span)
        writer.append(",\"expected\":")
        writer.append(jsonString: Array(expectation(result.test).utf8).span)
        writer.append(",\"got\":")
        writer.append(jsonString: Array(result.outcome.utf8).span)
        writer.append(",\"passed\":")
        writer.append(result.passed ? "true" : "false")
        writer.append("}")
        return [UInt8](copying: writer.bytes)
    }

    private static func expectation(_ test: PolicyTest) -> String {
        switch test.expectation {
        case .allow: "allow"
        case .deny: "deny"
        case .reason(let reason): "\(reason.name)"
        }
    }
}
