import Decision
import OpenAPI
import Policy
import PolicyTables
import Signatures
import Testing

/// An imported policy with its compiled tables: what is really decided.
final class Decided {
    private let source: String
    private let host: String

    init(_ imported: ServiceImport, host: String = "api.example.com") throws {
        source = imported.source
        self.host = host
        _ = try model(source)
    }

    struct Question {
        var method: String
        var path: String
        /// nil sends no token.
        var scopes: [String]?
        var host: String?
    }

    func allows(_ method: String, _ path: String, _ scopes: [String], host: String? = nil) throws -> Bool {
        try allows([Question(method: method, path: path, scopes: scopes.isEmpty ? nil : scopes, host: host)])[0]
    }

    /// The questions are asked as the policy's own tests are.
    func allows(_ questions: [Question]) throws -> [Bool] {
        var text = source + issuerSection + "\ntests:\n"
        for question in questions {
            text += "  - { request: \"\(question.method) https://\(question.host ?? host)\(question.path)\""
            if let scopes = question.scopes {
                text += ", scopes: [" + scopes.map { "\"\($0)\"" }.joined(separator: ", ") + "]"
            }
            text += ", expect: allow }\n"
        }
        let policy = loadPolicy(source: Array(text.utf8), file: "policy.yaml", now: testNow)
        #expect(policy.errorCount == 0, "\(policy.diagnostics.map { "\($0.line): \($0.message)" })")
        let model = try #require(policy.model)
        try #require(policy.tests.count == questions.count)
        let trial = try PolicyTrial(model: model, source: Array(text.utf8), now: testNow)
        let runner = try PolicyTestRunner(trial, now: testNow)
        return try policy.tests.map { try runner.run($0).passed }
    }
}
