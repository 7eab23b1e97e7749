import Policy
import Testing

/// The bytes and their YAML.
@Suite struct SourceTests {
    static let yaml: [Case] = [
        Case("empty", "‹", Expected(.emptySource, "the policy is empty", mend: "scopecheck: 1")),
        Case("comments only", "‹# nothing\n\n", Expected(.emptySource)),
        Case("a lone document start", "‹---\n", Expected(.emptySource)),
        Case("one document start is fine", "---\n" + policyWith()),
        Case("a document end is fine", policyWith() + "\n...\n"),
        Case("line ends of both bytes", policyWith().replacing("\n", with: "\r\n")),
        Case(
            "a flow mapping is JSON",
            """
            {"scopecheck": 1, "services": {"a": {"hosts": ["a.example"], "routes": [{"match": "GET /", "public": true}]}}}
            """),
        Case("not a mapping", "‹- a\n", Expected(.wrongType, "the policy is a mapping", mend: "key: value")),
        Case("a scalar", "‹hello\n", Expected(.wrongType, "the policy is a mapping")),
        Case(
            "two documents", policyWith() + "\n‹---\na: 1\n",
            Expected(.severalDocuments, "second YAML document", mend: "---")),
        Case("a tab", "scopecheck: 1\n‹\tservices: {}\n", Expected(.tabIndentation, "tab", mend: "spaces")),
        Case("a tab after spaces", "scopecheck: 1\n  ‹\tservices: {}\n", Expected(.tabIndentation)),
        Case("a directive", "‹%TAG ! x\n---\na: 1\n", Expected(.directive, "`%`", mend: "remove")),
        Case("a lone carriage return", "a: 1‹\rb: 2\n", Expected(.lineEnding, "carriage return")),
        Case("NUL", "scopecheck: 1‹\u{0}\nservices: 2\n", Expected(.controlCharacter, "U+0000")),
        Case("escape", "a: ‹\u{1B}[2J\n", Expected(.controlCharacter, "U+001B")),
        Case("next line", "a: x‹\u{85}y\n", Expected(.controlCharacter, "U+0085")),
        Case("a line separator", "# x‹\u{2028}scopecheck: 1\n", Expected(.controlCharacter, "U+2028")),
        Case("text that runs backwards", "# x‹\u{202E}cba\n", Expected(.controlCharacter, "U+202E")),
        Case("a byte order mark within", "a: ‹\u{FEFF}b\n", Expected(.controlCharacter, "U+FEFF")),
        Case(
            "several of them", "a: ‹\u{1}\n‹\tb: ‹\u{2}\n",
            Expected(.controlCharacter), Expected(.tabIndentation), Expected(.controlCharacter)),
        Case(
            "a control brought in by an escape",
            scopes("  read: { description: ‹\"a\\0b\" }"),
            Expected(.controlCharacter, "U+0000", mend: "escape")),
        Case(
            "columns count characters", scopes("  read: { description: \"é漢😀\", ‹x: 1 }"),
            Expected(.unknownKey, "`x`")),
        Case("an anchor", scopes("  read: ‹&a {}"), Expected(.anchor, "`&a`", mend: "write the value out")),
        Case(
            "an alias", scopes("  read: ‹&a {}\n  write: ‹*a", required: "[read, write]"),
            Expected(.anchor), Expected(.alias, "`*a`")),
        Case("a merge key", scopes("  read: { ‹<<: {} }"), Expected(.mergeKey, "`<<`")),
        Case("a tag", scopes("  read: { description: ‹!!str x }"), Expected(.tag, "tag:yaml.org,2002:str")),
        Case("a tag of one's own", scopes("  read: ‹!x {}"), Expected(.tag, "`!x`")),
        Case(
            "a key that is a list",
            "scopecheck: 1\n? ‹[a]\n: b\nservices:\n  a: { hosts: [a.example], routes: [{ match: GET /, public: true }] }\n",
            Expected(.keyNotText)),
    ]

    static let syntax: [Case] = [
        Case(
            "a parameter in a flow mapping", route("{ match: GET /orders/‹{order}, scopes: read }"),
            Expected(.syntax, "holds `{` must be quoted", mend: "write `\"GET /orders/{order}\"`")),
        Case(
            "two parameters in a flow mapping", route("{ scopes: read, match: GET /a/‹{b}/c/{d} }"),
            Expected(.syntax, "must be quoted", mend: "write `\"GET /a/{b}/c/{d}\"`")),
        Case(
            "a parameter right before the end", route("{ scopes: read, match: GET /a/‹{b}}"),
            Expected(.syntax, mend: "write `\"GET /a/{b}\"`")),
        Case(
            "a parameter in a block mapping is fine",
            route("match: GET /orders/{order}\n        scopes: read")),
        Case("a quoted parameter is fine", route("{ match: \"GET /orders/{order}\", scopes: read }")),
        Case(
            "a wildcard host in a flow list", service("    hosts: [‹*.example.com]"),
            Expected(.syntax, "starts with `*`", mend: "write `\"*.example.com\"`")),
        Case(
            "a wildcard host in a block list", service("    hosts:\n      - ‹*.example.com"),
            Expected(.syntax, "starts with `*`", mend: "write `\"*.example.com\"`")),
        Case(
            "an IPv6 address without quotes", service("    hosts: [[‹::1]]"),
            Expected(.syntax, "a value was expected", mend: "quotes")),
        Case(
            "a quote that is never closed", "scopecheck: ‹\"1\nservices:\n", Expected(.syntax, "never closed")
        ),
        Case(
            "a bracket that is never closed", "scopecheck: 1\nservices: { a: {}\n‹",
            Expected(.syntax, "`}` that was opened at 2:11")),
        Case(
            "a list that is never closed", "a: [1, 2\nb‹: 3\n",
            Expected(.syntax, "`]` that was opened at 1:4")),
        Case(
            "a second colon", "scopecheck‹: a‹: 1\n".replacing("scopecheck‹", with: "scopecheck"),
            Expected(.syntax, "a second `:`", mend: "quote")),
        Case(
            "bad indentation", "scopecheck: 1\nservices:\n   a: {}\n ‹b: {}\n",
            Expected(.syntax, mend: "indent")),
        Case("a reserved sign", "a: ‹@b\n", Expected(.syntax, "cannot start with `@`", mend: "quote")),
        Case("a backtick", "a: ‹`b`\n", Expected(.syntax, "cannot start with")),
        Case("an unknown escape", "a: \"‹\\q\"\n", Expected(.syntax, "escape", mend: "single quotes")),
        Case("quotes within quotes", "a: 'it‹'s'\n".replacing("‹'s", with: "'‹s"), Expected(.syntax)),
        Case("a stray bracket", "a: ‹}\n", Expected(.syntax, "a value was expected here")),
        Case("an anchor without a name", "a: ‹& b\n", Expected(.syntax, "starts with `&`")),
    ]

    @Test(arguments: yaml) func yamlRules(_ one: Case) { check(one) }
    @Test(arguments: syntax) func syntaxFailures(_ one: Case) { check(one) }

    @Test func bytesThatAreNotUTF8() {
        let cases: [(bytes: [UInt8], code: DiagnosticCode, line: Int, column: Int)] = [
            ([0x61, 0x3A, 0x20, 0xFF], .notUTF8, 1, 4),
            (Array("é: 1\né: ".utf8) + [0xC3], .notUTF8, 2, 4),
            (Array("a: ".utf8) + [0xED, 0xA0, 0x80], .notUTF8, 1, 4),
            (Array("a: ".utf8) + [0xC0, 0x80], .notUTF8, 1, 4),
            ([0xEF, 0xBB, 0xBF] + Array("a: 1".utf8), .byteOrderMark, 1, 1),
            ([0xFF, 0xFE, 0x61, 0x00], .notUTF8, 1, 1),
            ([0xFE, 0xFF, 0x00, 0x61], .notUTF8, 1, 1),
        ]
        for one in cases {
            let policy = loadPolicy(source: one.bytes, file: "p", now: testNow)
            #expect(policy.model == nil)
            #expect(policy.diagnostics.map(\.code) == [one.code])
            #expect(policy.diagnostics.first?.position == SourcePosition(line: one.line, column: one.column))
            #expect(!diagnosticsText(policy).isEmpty)
        }
    }
}
