internal import Decision
internal import Octets
internal import Policy

/// Results of a policy's own tests, for people and programs.
enum TestReport {
    static func text(_ result: PolicyTestResult, file: String) -> String {
        let test = result.test
        let route = result.route.map { " (route `\($0)`)" } ?? ""
        return "\(file):\(test.position.line):\(test.position.column): failed: \(attempt(test)): expected "
            + "\(expectation(test)), got \(result.outcome)\(route)\n"
            + (result.mend.map { "  mend: \($0)\n" } ?? "")
    }

    static func json(_ result: PolicyTestResult) -> [UInt8] {
        var writer = ByteWriter(capacity: 16_384)
        writer.append("{\"line\":")
        writer.append(decimal: UInt64(result.test.position.line))
        switch result.test.attempt {
        case .request(let request):
            writer.append(",\"request\":")
            writer.append(jsonString: Array(request.text.utf8).span)
        case .connection(let connection):
            writer.append(",\"connect\":")
            writer.append(decimal: UInt64(connection.port))
            writer.append(",\"certificate\":")
            append(connection.certificate, to: &writer)
        }
        writer.append(",\"expected\":")
        writer.append(jsonString: Array(expectation(result.test).utf8).span)
        writer.append(",\"got\":")
        writer.append(jsonString: Array(result.outcome.utf8).span)
        writer.append(",\"passed\":")
        writer.append(result.passed ? "true" : "false")
        if let mend = result.mend {
            writer.append(",\"mend\":")
            writer.append(jsonString: Array(mend.utf8).span)
        }
        writer.append("}")
        return [UInt8](copying: writer.bytes)
    }

    /// The names that the test presents, or null.
    private static func append(_ certificate: TestCertificate?, to writer: inout ByteWriter) {
        guard let certificate else {
            writer.append("null")
            return
        }
        writer.append("{")
        var isFirst = true
        for (key, value) in names(certificate) {
            if !isFirst { writer.append(",") }
            isFirst = false
            writer.append(jsonString: Array(key.utf8).span)
            writer.append(":")
            writer.append(jsonString: Array(value.utf8).span)
        }
        writer.append("}")
    }

    private static func names(_ certificate: TestCertificate) -> [(key: String, value: String)] {
        [("uri", certificate.uri), ("dns", certificate.dns), ("subject", certificate.subject)]
            .compactMap { key, value in value.map { (key, $0) } }
    }

    /// `GET https://api.example.com/orders`, or `connect 9443 as uri spiffe://example.org/a`.
    static func attempt(_ test: PolicyTest) -> String {
        switch test.attempt {
        case .request(let request): return request.text
        case .connection(let connection):
            guard let certificate = connection.certificate else {
                return "connect \(connection.port) without certificate"
            }
            let names = names(certificate).map { "\($0.key) \($0.value)" }
            return "connect \(connection.port) as \(names.joined(separator: ", "))"
        }
    }

    static func expectation(_ test: PolicyTest) -> String {
        switch test.expectation {
        case .allow: "allow"
        case .deny: "deny"
        case .reason(let reason): "\(reason.name)"
        }
    }
}
