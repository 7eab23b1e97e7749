import OpenAPI
import PolicyTables
import Testing

/// Documents that are wrong, endless or made to hurt.
@Suite struct HostileTests {
    @Test(arguments: [
        ("", "the document is empty"),
        ("  \n", "the document is empty"),
        ("7", "the document is no object"),
        ("[]", "the document is no object"),
        ("{", "ends in the middle"),
        ("{\"openapi\":\"3.0.0\",}", "where a name in quotes should be"),
        ("{\"openapi\":\"3.0.0\"} x", "after the end of the document"),
        ("{\"openapi\":nope}", "`nope` is no JSON value"),
        ("{\"a\":\"\\x\"}", "after `\\`"),
        ("{\"a\":\"\\u12", "after `\\u`"),
        ("a: [b", "this is no YAML"),
        ("a: 1\n---\nb: 2", "a second YAML document"),
        ("a: 1", "does not say `openapi"),
        ("swagger: '2.0'", "this is Swagger 2.0"),
        ("openapi: 3.2.0", "OpenAPI `3.2.0` is not read"),
        ("openapi: 3.10.0", "`3.10.0` is not read"),
        ("openapi: 3.0.0\nopenapi: 3.1.0", "stands twice"),
        ("{\"openapi\":\"3.0.0\",\"paths\":{\"/a\":{},\"/a\":{}}}", "line 1: the key `/a` stands twice"),
        ("openapi: 3.0.0\npaths: { /a: { get: {}, get: {} } }", "the key `get` stands twice"),
        ("openapi: 3.0.0\npaths: []", "`paths` is no object"),
        ("openapi: 3.0.0\npaths: { /a: [] }", "the path `/a` is no object"),
        ("openapi: 3.0.0\npaths: { /a: { get: x } }", "`GET /a` is no object"),
        ("openapi: 3.0.0\nsecurity: {}", "`security` is no list"),
        ("openapi: 3.0.0\nsecurity:", "`security` is no list"),
        ("openapi: 3.0.0\nsecurity: [{ a: read }]", "the scopes of `a` is no list"),
        ("openapi: 3.0.0\nsecurity: [{ a: [[]] }]", "a scope of `a` that is no text"),
        ("openapi: 3.0.0\nsecurity: [x]", "a member of `security` is no object"),
        ("openapi: 3.0.0\npaths: { /a: { $ref: other.yaml } }", "leads out of the document"),
        ("openapi: 3.0.0\npaths: { /a: { $ref: 'https://a.example/x' } }", "leads out of the document"),
        ("openapi: 3.0.0\npaths: { /a: { $ref: '#/nowhere' } }", "leads to nothing"),
        ("openapi: 3.0.0\npaths: { /a: { $ref: '#x' } }", "is no place in the document"),
        ("openapi: 3.0.0\npaths: { /a: { $ref: '#/paths/~1a' } }", "references lead in a circle"),
        (
            "openapi: 3.0.0\npaths: { /a: { $ref: '#/paths/~1b' }, /b: { $ref: '#/paths/~1a' } }",
            "references lead in a circle"
        ),
        (
            "openapi: 3.0.0\npaths: { /a: { $ref: '#/x', get: {} } }\nx: { get: {} }",
            "has `get` both here and where its `$ref` leads"
        ),
        ("openapi: 3.0.0\nx: &a { <<: *a }", "stands within what it stands for"),
        ("openapi: 3.0.0\nx: *a", "for nothing"),
        (
            "openapi: 3.0.0\nx: &a { security: [] }\npaths: { /a: { get: { <<: *a } } }",
            "the merge key `<<` is not read"
        ),
        ("openapi: 3.0.0\npaths:\n  ? [a]\n  : b", "a key that is no text"),
        ("openapi: 3.0.0\npaths: {}", "no operation that a policy can express"),
    ]) func refused(_ text: String, _ message: String) {
        let found = refusal(text)
        #expect(found.contains(message), "\(found)")
    }

    @Test func encodings() {
        #expect(refusal([0xFF, 0xFE, 0x61, 0x00]).contains("not UTF-8"))
        #expect(refusal([0x61, 0x3A, 0xC3]).contains("not UTF-8"))
        #expect(refusal([0xEF, 0xBB, 0xBF] + Array("{}".utf8)).contains("does not say"))
        #expect(refusal("{\"openapi\":\"3.0.0\",\"x\":\"\\ud800 \\udc00 \\ud83d\\ude00\"}").contains("no operation"))
    }

    @Test func depth() {
        #expect(refusal(String(repeating: "[", count: 100_000)).contains("deeper than"))
        #expect(refusal("{\"a\":" + String(repeating: "[", count: 100_000)).contains("deeper than"))
        #expect(refusal("a: " + String(repeating: "{a: ", count: 1_000)).contains("deeper than"))
    }

    @Test func directives() {
        #expect(refusal(String(repeating: "%TAG !a! x\n", count: 1_000) + "---\na: 1").contains("directives"))
    }

    /// Nine levels of nine aliases: nothing is expanded.
    @Test func aliasBomb() throws {
        var text = "openapi: 3.0.3\ninfo: { title: A, version: '1' }\nservers: [{ url: https://a.example }]\n"
        text += "x0: &x0 [a, a, a, a, a, a, a, a, a]\n"
        for level in 1..<12 {
            let aliases = Array(repeating: "*x\(level - 1)", count: 9).joined(separator: ", ")
            text += "x\(level): &x\(level) [\(aliases)]\n"
        }
        text += "paths: { /a: { get: { security: [], responses: *x11 } } }\n"
        #expect(try routes(text) == ["{ match: GET /a, public: true }"])
    }

    @Test func aliasesOfPartsThatMatter() throws {
        let text = paths(
            """
              /a:
                get: &op { security: &s [{ oauth: &scopes [read] }] }
                put: { security: *s }
                post: { security: [{ oauth: *scopes }] }
              /b:
                get: *op
            """)
        #expect(try routes(text).count { $0.contains("scopes: read") } == 4)
    }

    /// Few bytes that name the same schemes over and over.
    @Test func aliasesOfSecurity() {
        let scopes = (0..<256).map { "s\($0)" }.joined(separator: ", ")
        var text = "openapi: 3.0.3\nx:\n  - &a { oauth: [\(scopes)] }\npaths:\n"
        let alternatives = Array(repeating: "*a", count: 64).joined(separator: ", ")
        for number in 0..<200 { text += "  /p\(number): { get: { security: [\(alternatives)] } }\n" }
        #expect(refusal(text).contains("names schemes, scopes and servers more than"))
        let many = Array(repeating: "{}", count: 65).joined(separator: ", ")
        #expect(refusal("openapi: 3.0.3\nsecurity: [\(many)]").contains("more than 64 members"))
    }

    @Test func textsAreMadeHarmless() throws {
        let text = """
            {"openapi":"3.1.0","info":{"title":"A\\n  evil: { public: true }","version":"1\\u202e\\u001b[2J"},
            "servers":[{"url":"https://a.example"}],
            "components":{"securitySchemes":{"o":{"type":"oauth2","flows":{"implicit":{"authorizationUrl":"",
            "scopes":{"read":"${x} x\\" }\\n  b: {}","on":"\\u0000\\u2028 # no"}}}}}},
            "paths":{"/a":{"get":{"security":[{"o":["read","on"]}],"summary":"x"}},
            "/b\\n{":{"get":{"security":[],"summary":"s\\n      - { match: GET /c, public: true }"}},
            "/b":{"get":{"security":[],"summary":"s\\n      - { match: GET /c, public: true }"}}}}
            """
        let imported = try ServiceImport(document(text))
        let model = try model(imported.source)
        #expect(model.services.flatMap(\.routes).map(\.label) == ["GET /a", "GET /b"], "\(imported.source)")
        #expect(model.scopes.map(\.name).sorted() == ["on", "read"])
        #expect(!imported.source.utf8.contains(0x1B))
        #expect(!imported.source.contains("${"))
    }

    @Test func manyPathsWithinOneAnother() throws {
        var text = ""
        for number in 0..<400 {
            text += "  '/{a}.x\(number)/b': { get: { security: [{ oauth: [admin] }] } }\n"
            text += "  '/{a}/b\(number)': { get: { security: [{ oauth: [read] }] } }\n"
        }
        text += "  '/{a}/b': { get: { security: [{ oauth: [read] }] } }"
        let lines = try routes(paths(text))
        #expect(lines.count { $0.contains("match:") } == 400)
    }

    /// Bytes changed, taken out, doubled and put elsewhere: a document or a refusal, never a trap; and what is written
    /// has been read again.
    @Test(arguments: ["petstore-tokens.yaml", "jupyterhub.yaml", "google-pubsub.json"])
    func mutated(_ name: String) throws {
        let bytes = try DocumentTests.bytes(name)
        var random = SeededGenerator(seed: 0xF022 + UInt64(bytes.count))
        var options = ImportOptions()
        options.hosts = ["a.example"]
        options.defaultScope = "d"
        var importedCount = 0
        for _ in 0..<250 {
            var mutant = bytes
            for _ in 0..<Int.random(in: 1...4, using: &random) { mutate(&mutant, &random) }
            if refusal(mutant, options) == "none" { importedCount += 1 }
            do throws(DocumentError) {
                _ = try APIDocument(mutant)
            } catch {
                #expect(!"\(error)".utf8.contains { $0 < 0x20 })
            }
        }
        #expect(importedCount > 10)
    }

    private func mutate(_ bytes: inout [UInt8], _ random: inout SeededGenerator) {
        let at = Int.random(in: 0..<bytes.count, using: &random)
        let end = min(bytes.count, at + Int.random(in: 1...40, using: &random))
        let signs = Array("{}[]\"':,#&*-?|>%@`~\\/$ \n\t\u{0}é".utf8)
        switch Int.random(in: 0..<5, using: &random) {
        case 0: bytes[at] = signs.randomElement(using: &random) ?? 0
        case 1: bytes[at] = UInt8.random(in: .min ... .max, using: &random)
        case 2: if bytes.count > 100 { bytes.removeSubrange(at..<end) }
        case 3: bytes.insert(contentsOf: bytes[at..<end], at: at)
        default:
            let piece = Array(bytes[at..<end])
            bytes.insert(contentsOf: piece, at: Int.random(in: 0..<bytes.count, using: &random))
        }
    }
}
