import Policy
import Testing

@Suite struct RenderingTests {
    @Test func textForPeople() {
        let text = route("{ match: GET /a, scopes: raed }")
        let policy = load(text)
        #expect(
            diagnosticsText(policy) == """
                policy.yaml:12:34: error: unknown scope `raed`
                      - { match: GET /a, scopes: raed }
                                                 ^
                  mend: did you mean `read`?

                """)
    }

    @Test func notesNameTheOtherPlace() {
        let text = scopes("  read: {}\n  read: {}")
        let rendered = diagnosticsText(load(text))
        #expect(
            rendered == """
                policy.yaml:6:3: error: the key `read` stands twice, first in line 5
                  read: {}
                  ^
                  mend: keep one of the two
                  note: policy.yaml:5:3: the first one

                """)
    }

    @Test func json() {
        let text = scopes("  read: {}\n  read: {}")
        let policy = loadPolicy(source: Array(text.utf8), file: "a\"b\\c\u{1}é.yaml", now: testNow)
        #expect(
            diagnosticsJSON(policy) == """
                {"diagnostics":[{"severity":"error","code":"duplicate_key","file":"a\\"b\\\\c\\u0001é.yaml","line":6,\
                "column":3,"message":"the key `read` stands twice, first in line 5","mend":"keep one of the two",\
                "notes":[{"file":"a\\"b\\\\c\\u0001é.yaml","line":5,"column":3,"message":"the first one"}]}],\
                "errors":1,"warnings":0,"omitted":0}
                """)
        #expect(
            diagnosticsJSON(load(policyWith())) == #"{"diagnostics":[],"errors":0,"warnings":0,"omitted":0}"#)
    }

    /// What a source holds must not reach a terminal as it is.
    @Test func controlsDoNotReachTheTerminal() {
        for text in [
            "a: \u{1B}]0;owned\u{7}\n", "# \u{202E}x\n", "a: x\u{85}y\n", "\"\\e[2J\": 1\n", "\"a\\nb\": 1\n",
        ] {
            let policy = load(text)
            #expect(policy.hasErrors)
            let rendered =
                diagnosticsText(policy) + policy.diagnostics.map(\.message).joined()
            #expect(
                !rendered.unicodeScalars.contains {
                    ($0.value < 0x20 && $0 != "\n") || $0.value == 0x202E || $0.value == 0x85
                })
            #expect(!policy.diagnostics.contains { $0.message.contains("\n") })
        }
    }

    @Test func longLinesAreCut() {
        let text = policyWith(tests: "\(String(repeating: "k", count: 900)): 1")
        let policy = load(text)
        #expect(policy.diagnostics.map(\.code) == [.unknownKey])
        #expect(diagnosticsText(policy).utf8.count < 800)
        // The mark stands under its place in the part that is shown.
        let deep = "scopecheck: 1\nx: [" + String(repeating: "1, ", count: 300) + "&a b]\n"
        let lines = diagnosticsText(load(deep)).split(
            separator: "\n", omittingEmptySubsequences: false)
        let index = lines.firstIndex { $0.hasPrefix("policy.yaml:2:905: error: the anchor") }
        if let index {
            let place = lines[index + 2].count
            #expect(Array(lines[index + 1])[place - 1] == "&")
        }
        #expect(index != nil)
    }

    @Test func codesAreStableNames() {
        for code in DiagnosticCode.allCases {
            #expect(code.name.utf8.allSatisfy { ($0 >= 0x61 && $0 <= 0x7A) || $0 == 0x5F || $0 == 0x38 })
        }
    }

    @Test func effectiveTableOfTheSample() throws {
        let table = effectiveTable(try #require(load(sampleText).model))
        #expect(
            table.text == """
                HOST             PORTS  METHOD   PATH                     REQUIRES
                api.example.com  any    GET      /v1/orders               orders:read (or orders:admin, orders:write)
                api.example.com  any    GET      /v1/orders/{order}       orders:read (or orders:admin, orders:write)
                api.example.com  any    POST     /v1/orders               orders:write (or orders:admin) and payments:charge
                api.example.com  any    DELETE   /v1/orders/{order}       one of orders:admin, support:admin
                api.example.com  any    GET      /v1/users/{user}/orders  orders:read (or orders:admin, orders:write); {user} = sub
                api.example.com  9443   GET      /v1/metrics              read:metrics
                api.example.com  any    OPTIONS  /v1/**                   preflight
                api.example.com  any    GET      /v1/healthz              public
                api.example.com  any    PUT      /v1/orders/{order}       orders:write (or orders:admin); observed until 2027-12-01T00:00:00Z

                """)
        #expect(
            table.rows[4].bindings.map(\.parameter) == ["user"]
                && table.rows[4].bindings.map(\.claim) == ["sub"])
        #expect(table.rows[3].any.map(\.scope) == ["orders:admin", "support:admin"])
    }

    @Test func effectiveTableForPrograms() throws {
        let text = policyWith(
            service: "    hosts: [a.example, b.example]\n    ports: [443]\n    base_path: /caf%C3%A9 ",
            routes: "      - { match: \"GET /a%20b/{x}/**\", scopes: { all: [read], any: [write] } }")
        let table = effectiveTable(try #require(load(text).model))
        #expect(table.rows.map(\.host) == ["a.example", "b.example"])
        #expect(table.rows.first?.requirementText == "read and write")
        let row = """
            "ports":[443],"method":"GET","path":"/caf%C3%A9/a%20b/{x}/**","ground":"scopes",\
            "all":[{"scope":"read","accepted":["read"]}],"any":[{"scope":"write","accepted":["write"]}],"where":[],\
            "proof":"none","acr":[],"mode":"enforce","label":"GET /a%20b/{x}/**"}
            """
        #expect(
            table.json
                == #"{"routes":[{"service":"api","host":"a.example",\#(row),{"service":"api","host":"b.example",\#(row)],"#
                + #""connections":[],"clients":[],"token_clients":[],"unknown_clients":[],"ending_scopes":[]}"#)
    }
}
