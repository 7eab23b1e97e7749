import Policy
import PolicyTables
import Testing

/// A bundle of files given by name.
func bundle(_ files: [(name: String, text: String)], environment: String? = nil) throws -> PolicyBundle {
    try #require(
        PolicyBundle(
            files: files.map { PolicyBundle.File(name: $0.name, bytes: Array($0.text.utf8)) }, environment: environment)
    )
}

func load(_ files: [(name: String, text: String)], environment: String? = nil) throws -> PolicySource {
    loadPolicy(bundle: try bundle(files, environment: environment), now: testNow)
}

/// `file:line:column: code` of each.
func places(_ policy: PolicySource) -> [String] {
    policy.diagnostics.map { "\($0.file):\($0.line):\($0.column): \($0.code.name)" }
}

private let common = """
    scopecheck: 1
    issuers:
      - { issuer: https://id.example.com, audience: https://api.example.com, keys: { discovery: true } }
    scopes:
      read: {}
      write: { implies: read }

    """

private func service(_ name: String, host: String, scope: String = "read") -> String {
    """
    scopecheck: 1
    services:
      \(name):
        hosts: [\(host)]
        routes:
          - { match: GET /a, scopes: [\(scope)] }

    """
}

@Suite struct CompositionTests {
    @Test func filesMakeOnePolicy() throws {
        let tests = """
            scopecheck: 1
            tests:
              - { request: GET https://b.example.com/a, scopes: [read], expect: allow }

            """
        let policy = try load([
            ("team/b.yaml", service("b", host: "b.example.com", scope: "write")), ("common.yaml", common),
            ("a.yaml", service("a", host: "a.example.com")), ("tests.yaml", tests),
        ])
        #expect(policy.diagnostics == [])
        let model = try #require(policy.model)
        #expect(model.services.map(\.name) == ["a", "b"])
        #expect(model.scopes.map(\.name) == ["read", "write"])
        #expect(model.services[1].issuers == [0])
        #expect(policy.tests.map(\.file) == ["tests.yaml"])
        #expect(policy.tests.first?.position == SourcePosition(line: 3, column: 16))
        #expect(policy.place(of: policy.routePositions[0][0]) == .init(file: "a.yaml", line: 6, column: 18))
        #expect(policy.place(of: policy.routePositions[1][0]) == .init(file: "team/b.yaml", line: 6, column: 18))
    }

    /// The model does not depend on how the policy is cut into files.
    @Test func oneFileOrSeveral() throws {
        let one = common + service("a", host: "a.example.com", scope: "write").dropFirst("scopecheck: 1\n".count)
        let several = try load([
            ("x.yaml", common), ("y.yaml", service("a", host: "a.example.com", scope: "write")),
        ])
        #expect(try #require(several.model) == #require(load(one).model))
    }

    @Test(arguments: [
        ("scopes:\n  read: {}", "scopes:\n  read: {}", "duplicate_key", 3, 3),
        ("roles:\n  r: { scopes: [read] }", "roles:\n  r: { scopes: [read] }", "duplicate_key", 3, 3),
        (
            "clients:\n  c: { certificate: { dns: c.example.com }, scopes: [read] }",
            "clients:\n  c: { certificate: { dns: d.example.com }, scopes: [read] }", "duplicate_key", 3, 3
        ),
        (
            "issuers:\n  - { issuer: https://a.example.com, audience: x, keys: { discovery: true } }",
            "issuers:\n  - { issuer: https://a.example.com, audience: y, keys: { discovery: true } }",
            "duplicate_value", 3, 15
        ),
        (
            "services:\n  s: { hosts: [a.example.com], routes: [{ match: GET /, public: true }] }",
            "services:\n  s: { hosts: [b.example.com], routes: [{ match: GET /, public: true }] }", "duplicate_key", 3,
            3
        ),
        (
            "services:\n  s: { hosts: [a.example.com], routes: [{ match: GET /, public: true }] }",
            "services:\n  t: { hosts: [a.example.com], routes: [{ match: GET /, public: true }] }", "duplicate_route",
            3, 50
        ),
    ])
    func nobodyOverridesAnother(_ one: String, _ other: String, _ code: String, _ line: Int, _ column: Int) throws {
        let policy = try load([("a.yaml", "scopecheck: 1\n\(one)\n"), ("b.yaml", "scopecheck: 1\n\(other)\n")])
        #expect(policy.model == nil)
        let found = try #require(policy.diagnostics.first { $0.code.name == code })
        #expect(found.file == "b.yaml")
        #expect(found.position == SourcePosition(line: line, column: column))
        #expect(found.message.contains("line \(line) of `a.yaml`"))
        let note = try #require(found.notes.first)
        #expect(note.file == "a.yaml")
        #expect(note.position == found.position)
        #expect(diagnosticsText(policy).contains("  note: a.yaml:\(line):\(column): "))
    }

    @Test func aDiagnosticShowsItsOwnFile() throws {
        let policy = try load([
            ("a.yaml", common), ("b.yaml", "# one line more\n" + service("b", host: "b.example.com", scope: "raed")),
        ])
        #expect(
            diagnosticsText(policy).hasPrefix(
                """
                b.yaml:7:34: error: unknown scope `raed`
                      - { match: GET /a, scopes: [raed] }
                                                 ^
                  mend: did you mean `read`?

                """.replacing("7:34", with: "7:35").replacing("                ^", with: "                 ^")))
        #expect(diagnosticsJSON(policy).contains(#""file":"b.yaml","line":7,"column":35"#))
    }

    /// A file that is no YAML does not hide what is no YAML in another; what the rest means is not asked then.
    @Test func everyFileIsRead() throws {
        let policy = try load([
            ("a.yaml", "scopecheck: 1\nscopes: [\n"), ("b.yaml", service("b", host: "b", scope: "nowhere")),
            ("c.yaml", "scopecheck: 1\n\tx: 1\n"), ("d.yaml", ""), ("e.yaml", "scopecheck: 1\n---\na: 1\n"),
            ("f.yaml", "a: \u{1}\n"),
        ])
        #expect(
            places(policy) == [
                "a.yaml:3:1: syntax", "c.yaml:2:1: tab_indentation", "d.yaml:1:1: empty_source",
                "e.yaml:2:1: several_documents", "f.yaml:1:4: control_character",
            ])
        #expect(policy.diagnostics[2].message == "the file is empty")
    }

    /// What is wrong at the very end of a file is in that file, whether or not it ends its last line.
    @Test(arguments: ["scopecheck: 1\nscopes: {", "scopecheck: 1\nscopes: {\n"])
    func theEndOfAFile(_ text: String) throws {
        let policy = try load([("a.yaml", text), ("b.yaml", common)])
        #expect(policy.diagnostics.map(\.file) == ["a.yaml"])
        #expect(policy.diagnostics.allSatisfy { $0.line <= 3 })
    }

    @Test func bytesThatAreNoTextAreThoseOfTheirFile() throws {
        let files = [
            PolicyBundle.File(name: "a.yaml", bytes: Array(common.utf8)),
            PolicyBundle.File(name: "b.yaml", bytes: Array("scopecheck: 1\n# ".utf8) + [0xFF]),
            PolicyBundle.File(name: "c.yaml", bytes: [0xEF, 0xBB, 0xBF] + Array("scopecheck: 1".utf8)),
        ]
        let policy = loadPolicy(bundle: try #require(PolicyBundle(files: files)), now: testNow)
        #expect(places(policy) == ["b.yaml:2:3: not_utf8", "c.yaml:1:1: byte_order_mark"])
    }

    @Test func eachFileNamesItsLanguage() throws {
        let policy = try load([
            ("a.yaml", common), ("b.yaml", "services: {}\n"), ("c.yaml", "scopecheck: 2\n"), ("d.yaml", "[1]\n"),
        ])
        #expect(places(policy) == ["b.yaml:1:1: missing_key", "c.yaml:1:13: bad_version", "d.yaml:1:1: wrong_type"])
        #expect(policy.diagnostics[0].message == "the file does not say which language it is written in")
    }

    @Test func aliasesDoNotCrossFiles() throws {
        let policy = try load([
            ("a.yaml", "scopecheck: 1\nscopes: &s\n  read: {}\n"), ("b.yaml", "scopecheck: 1\nscopes: *s\n"),
        ])
        let found = places(policy).filter { !$0.hasSuffix("missing_key") }
        #expect(found == ["a.yaml:2:9: anchor", "b.yaml:2:9: alias"])
    }

    @Test func sectionsOfAnotherShape() throws {
        let good = service("s", host: "a.example.com") + "scopes: { read: {} }\n"
        let policy = try load([
            ("a.yaml", common + "clients: { c: { certificate: { dns: c.example.com }, scopes: [read] } }\n"),
            ("b.yaml", "scopecheck: 1\nscopes: [read]\nservices: 7\nclients: {}\nissuers: { a: 1 }\ntests:\n"),
            ("c.yaml", good.replacing("scopes: { read", with: "scopes: { other")),
        ])
        #expect(
            places(policy).filter { $0.hasPrefix("b.") } == [
                "b.yaml:2:9: wrong_type", "b.yaml:3:11: wrong_type", "b.yaml:4:10: empty_value",
                "b.yaml:5:10: wrong_type", "b.yaml:6:7: wrong_type",
            ])
    }

    @Test func textsThatDoNotStandInTheSourceAreKept() throws {
        let policy = try load([
            ("a.yaml", common),
            (
                "b.yaml",
                "scopecheck: 1\nservices:\n  \"b\\x62\":\n    hosts: [\"b.example\\x2ecom\"]\n    routes:\n      - "
                    + "{ match: \"GET /\\x61\", scopes: [\"r\\x65ad\", write] }\n"
            ),
        ])
        let model = try #require(policy.model)
        #expect(model.services[0].name == "bb")
        #expect(model.services[0].hosts == ["b.example.com"])
        #expect(model.services[0].routes.map(\.label) == ["GET /a"])
    }

    @Test func labelsNameFiles() throws {
        let files = try bundle([("a.yaml", "x"), ("b.yaml", "y")])
        let policy = loadPolicy(bundle: files, labels: ["policies/a.yaml", "policies/b.yaml"], now: testNow)
        #expect(policy.diagnostics.map(\.file) == ["policies/a.yaml", "policies/b.yaml"])
        // Not as many labels as files: nobody can say which belongs to which.
        #expect(loadPolicy(bundle: files, labels: ["x"], now: testNow).diagnostics.map(\.file) == ["a.yaml", "b.yaml"])
    }

    /// Whatever a file holds, joining never traps, and every place lies in the file that it names.
    @Test(arguments: 0..<8)
    func hostileFiles(_ seed: Int) throws {
        let pieces = [
            "scopecheck: 1\n", "scopes:\n", "  read: {}\n", "services: ", "{", "}", "[", "${x}", "$${", "\"", "- a\n",
            "environments:\n  prod:\n    values: { x: y }\n", "clients:\n", "tests: []\n", "issuers:\n", ": ", "\n",
            "é",
        ]
        var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 &+ 1
        func next(_ count: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % count
        }
        for _ in 0..<200 {
            let files = (0..<1 + next(4)).map { number in
                (name: "\(number).yaml", text: (0..<next(12)).map { _ in pieces[next(pieces.count)] }.joined())
            }
            let lineCounts = files.map { $0.text.count { $0 == "\n" } }
            let policy = try load(files, environment: next(2) == 0 ? nil : "prod")
            #expect((policy.model == nil) == policy.hasErrors)
            for diagnostic in policy.diagnostics {
                let number = try #require(Int(diagnostic.file.prefix { $0 != "." }))
                #expect(diagnostic.line >= 1 && diagnostic.line <= lineCounts[number] + 2)
            }
            #expect(diagnosticsText(policy).isEmpty == policy.diagnostics.isEmpty)
        }
    }
}
