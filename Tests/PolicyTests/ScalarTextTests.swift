import Policy
import PolicyTables
import Testing

/// A value is the same however it is written, and whatever stands before it.
@Suite struct ScalarTextTests {
    struct Way: CustomTestStringConvertible, Sendable {
        var written: String
        var meant: String

        init(_ written: String, _ meant: String) {
            self.written = written
            self.meant = meant
        }

        var testDescription: String { written }
    }

    static let ways = [
        Way("plain words", "plain words"),
        Way("plain words # and no more", "plain words"),
        Way("over two\n      lines", "over two lines"),
        Way("\"quoted\"", "quoted"),
        Way("'quoted'", "quoted"),
        Way("\"over two\n      lines\"", "over two lines"),
        Way("'it''s'", "it's"),
        Way("\"an \\u00e9 and a \\\" in it\"", "an é and a \" in it"),
        Way("\"\\x71uoted\"", "quoted"),
        Way("\"é漢😀 as they are\"", "é漢😀 as they are"),
        Way("é漢😀 as they are", "é漢😀 as they are"),
        Way("|\n      one\n      two", "one\ntwo\n"),
        Way("|-\n      one", "one"),
        Way(">-\n      one\n      two", "one two"),
    ]

    static let before = ["", "# plain\n", "# é漢😀\n", "# 😀\n\n\n# é\n"]

    @Test(arguments: ways) func description(_ way: Way) throws {
        for before in ScalarTextTests.before {
            let text =
                before + """
                    scopecheck: 1
                    scopes:
                      read:
                        description: \(way.written)
                      write: { description: "behind it" }
                    services:
                      a: { hosts: [a.example], routes: [{ match: "GET /é/{name}", public: true }] }

                    """
            for ends in ["\n", "\r\n"] {
                let policy = load(text.replacing("\n", with: ends))
                let model = try #require(policy.model, "\(policy.diagnostics)")
                #expect(model.scopes.map(\.description) == [way.meant, "behind it"])
                #expect(model.services.first?.routes.first?.label == "GET /é/{name}")
            }
        }
    }

    /// More nodes than room is made for at first, and a beginning that says little of what comes.
    @Test func sourceThatGrowsDenser() throws {
        var text = "scopecheck: 1\n# " + String(repeating: "é", count: 200_000) + "\nscopes:\n"
        for number in 0..<100 { text += "  s:\(number): { description: \"\(number)\" }\n" }
        text += "services:\n  a:\n    hosts: [a.example]\n    routes:\n"
        for number in 0..<3_000 { text += "    - {match: GET /\(number), scopes: s:\(number % 100)}\n" }
        let policy = load(text)
        #expect(policy.errorCount == 1)
        #expect(policy.diagnostics.first?.code == .issuersMissing)
        text += "issuers:\n"
        text += "  - { issuer: https://id.example, audience: [a], keys: { jwks_file: k }, algorithms: [ES256] }\n"
        let model = try #require(load(text).model)
        #expect(model.scopes.count == 100 && model.scopes.allSatisfy { $0.name == "s:" + $0.description })
        let routes = try #require(model.services.first?.routes)
        #expect(routes.map(\.label) == (0..<3_000).map { "GET /\($0)" })
        #expect(routes.map(\.ground) == (0..<3_000).map { .scopes(all: [UInt16($0 % 100)], any: []) })
    }
}
