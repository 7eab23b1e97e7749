import Testing

@testable import Policy

/// The JSON Schema knows exactly the keys that the reader knows, takes every good policy, and refuses what is misspelled.
@Suite struct SchemaTests {
    /// The properties of each kind of mapping are the reader's keys: none is missing, none is more.
    @Test func everyKeyOfEveryTableIsDescribed() {
        for table in PolicySchema.tables {
            #expect(Set(table.required).isSubset(of: table.keys), "\(table.owner)")
            #expect(table.schema["additionalProperties"] == .flag(false))
            guard case .object(let properties)? = table.schema["properties"] else {
                Issue.record("\(table.owner) has no properties")
                continue
            }
            #expect(properties.map(\.name) == table.keys, "\(table.owner)")
            for property in properties {
                // A key without an entry would take any value.
                #expect(property.value["description"] != nil, "\(table.owner): \(property.name)")
            }
        }
    }

    /// Every key table of the reader is one of the schema's, also one that is written tomorrow.
    @Test func everyTableOfTheReaderIsThere() throws {
        var owners: [String] = []
        for source in try WrittenPolicies.swiftSources(in: WrittenPolicies.root + "Sources/Policy") {
            var isTable = false
            for line in source.split(separator: "\n") {
                if line.hasPrefix("enum "), line.contains("MappingKey {") { isTable = true }
                guard isTable, let start = line.firstRange(of: "static let owner = \"") else { continue }
                owners.append(String(line[start.upperBound...].dropLast()))
                isTable = false
            }
        }
        #expect(owners.count >= 18)
        #expect(owners.sorted() == PolicySchema.tables.map(\.owner).sorted())
    }

    @Test func referencesLeadSomewhere() {
        let definitions = PolicySchema.document["definitions"]
        var references: Set<String> = []
        func collect(_ value: SchemaValue) {
            switch value {
            case .object(let members):
                for member in members {
                    if member.name == "$ref", case .text(let path) = member.value { references.insert(path) }
                    collect(member.value)
                }
            case .list(let values): values.forEach(collect)
            default: break
            }
        }
        collect(PolicySchema.document)
        #expect(references.count > 20)
        for reference in references {
            let name = String(reference.dropFirst("#/definitions/".count))
            #expect(definitions?[name] != nil, "\(reference)")
        }
    }

    @Test func itIsJSON() throws {
        let text = policySchemaJSON()
        #expect(text.hasPrefix("{\n  \"$schema\": \"http://json-schema.org/draft-07/schema#\""))
        // JSON is YAML, so the reader that is at hand can read it.
        let tree = try #require(FileTree(Array(text.utf8), file: "").tree)
        #expect(tree.count > 500)
    }

    // MARK: Policies

    static let language = """
        scopecheck: 1
        environments:
          prod:
            values: { api_host: api.example.com }
            roles: { billing: { scopes: [orders:read] } }
            clients: { web: { scopes: orders:read, on_excess: deny } }
          staging: { values: { api_host: staging.example.com } }
        issuers:
          - issuer: https://id.example.com
            audience: https://api.example.com
            keys: { jwks_uri: https://id.example.com/jwks, ca_file: ca.pem }
            algorithms: [ES256, RS256]
            profile: compat
            leeway: 30s
            max_lifetime: 1h
            dpop: { nonce: required, max_age: 60s, algorithms: [ES256] }
            introspection: { endpoint: https://id.example.com/i, client_id: 7, auth: basic, timeout: 800ms }
            unknown_clients: deny
            status_lists: [https://id.example.com/lists/]
        scopes:
          orders:read:
          orders:view: { replaces: orders:read, until: 2027-01-01T00:00:00Z }
          orders:admin: { description: "All", implies: ["orders:*"] }
        services:
          orders:
            hosts: ["${api_host}", "*.example.com"]
            ports: [443, "${port}"]
            base_path: /v1
            token_from: { cookie: session }
            mode: { observe: { until: 2026-12-01T00:00:00Z } }
            ends: 2026-12-01T00:00:00+01:00
            forward_token: never
            routes:
              - { match: "GET,POST /orders/{order}", scopes: { all: [orders:view], any: orders:admin }, max_age: 5m }
              - { match: OPTIONS /**, preflight: true }
              - match: GET /users/{user}
                scopes: orders:view
                where: { user: sub }
                authorization_details: [{ type: a, actions: b, locations: [c] }]
          port: { kind: tcp, ports: [9443], scopes: orders:view }
        roles:
          billing: { description: Bills, scopes: ["orders:*"] }
        clients:
          web:
            issuer: https://id.example.com
            client_id: 0oa1
            scopes: [orders:view]
            roles: billing
            grants: [{ scope: orders:admin, until: 2026-12-01T00:00:00Z, reason: INC-42 }]
            on_excess: narrow
            mode: observe
            until: 2026-12-01T00:00:00Z
          prometheus: { certificate: { uri: spiffe://a/b }, scopes: [orders:view] }
        tests:
          - { request: GET https://a.example/, scopes: [], token: expired, claims: { a: 1 }, expect: deny }
          - { connect: 9443, certificate: { dns: a.example }, at: 2026-12-01T00:00:00Z, expect: allow }
        """

    @Test func theWholeLanguageIsValid() throws {
        let problems = try SchemaCheck.problems(SchemaTests.language)
        #expect(problems.isEmpty, "\(problems)")
    }

    @Test(arguments: FormatTests.samples) func realPoliciesAreValid(_ text: String) throws {
        guard load(text).model != nil else { return }
        let problems = try SchemaCheck.problems(text)
        #expect(problems.isEmpty, "\(problems)\n\(text)")
    }

    @Test(arguments: [
        ("scopecheck: 1\nissuer: []", "issuer"), ("scopecheck: 2", "scopecheck"), ("issuers: []", "required"),
        ("scopecheck: 1\nscopes: { a: { implied: [b] } }", "implied"),
        ("scopecheck: 1\nservices: { a: { host: [b] } }", "host"),
        ("scopecheck: 1\nservices: { a: { hosts: b } }", "hosts"),
        ("scopecheck: 1\nservices: { a: { routes: [{ scopes: b }] } }", "required"),
        ("scopecheck: 1\nservices: { a: { routes: [{ match: /b, public: true }] } }", "match"),
        ("scopecheck: 1\nservices: { a: { routes: [{ match: GET /b, public: yes }] } }", "public"),
        ("scopecheck: 1\nservices: { a: { ports: [70000] } }", "ports"),
        ("scopecheck: 1\nservices: { a: { until: tomorrow } }", "until"),
        ("scopecheck: 1\nissuers: [{ issuer: a, audience: b, leeway: 30 }]", "leeway"),
        ("scopecheck: 1\nissuers: [{ issuer: a, audience: b, algorithms: [HS256] }]", "algorithms"),
        ("scopecheck: 1\nclients: { a: { grants: [{ scope: b, until: 2026-12-01T00:00:00Z }] } }", "required"),
        ("scopecheck: 1\nclients: { a: { on_excess: ignore } }", "on_excess"),
        ("scopecheck: 1\nenvironments: { a: { services: {} } }", "services"),
    ])
    func mistakesAreFound(_ text: String, _ key: String) throws {
        let problems = try SchemaCheck.problems(text)
        #expect(problems.contains { $0.contains(key) }, "\(problems)")
    }
}

/// As much of JSON Schema draft-07 as the schema uses, over a YAML tree whose plain scalars are read as YAML 1.2 reads them.
struct SchemaCheck {
    private let tree: SyntaxTree
    private var problems: [String] = []

    static func problems(_ text: String) throws -> [String] {
        let tree = try #require(FileTree(Array(text.utf8), file: "").tree)
        var check = SchemaCheck(tree: tree)
        check.check(0, PolicySchema.document, at: "policy")
        return check.problems
    }

    private init(tree: SyntaxTree) {
        self.tree = tree
    }

    private func isValid(_ node: Int, _ schema: SchemaValue) -> Bool {
        var inner = SchemaCheck(tree: tree)
        inner.check(node, schema, at: "")
        return inner.problems.isEmpty
    }

    private func type(_ node: Int) -> String {
        switch tree.kind(node) {
        case .sequence: return "array"
        case .mapping: return "object"
        case .quoted, .refused: return "string"
        case .plain:
            let text = tree.string(node)
            if text.isEmpty || text == "null" || text == "~" { return "null" }
            if text == "true" || text == "false" { return "boolean" }
            if Int(text) != nil { return "integer" }
            return Double(text) != nil ? "number" : "string"
        }
    }

    private mutating func check(_ node: Int, _ schema: SchemaValue, at path: String) {
        guard case .object(let members) = schema else { return }
        for member in members { check(node, member, schema, at: path) }
    }

    private mutating func check(_ node: Int, _ rule: SchemaMember, _ schema: SchemaValue, at path: String) {
        switch (rule.name, rule.value) {
        case ("$ref", .text(let reference)):
            let name = String(reference.dropFirst("#/definitions/".count))
            if let target = PolicySchema.document["definitions"]?[name] { check(node, target, at: path) }
        case ("allOf", .list(let schemas)): for one in schemas { check(node, one, at: path) }
        case ("items", let item): for member in tree.members(node) { check(member, item, at: path + "[]") }
        case ("properties", let properties):
            for entry in entries(node) {
                if let value = properties[entry.name] { check(entry.value, value, at: "\(path).\(entry.name)") }
            }
        case ("additionalProperties", let value):
            for entry in entries(node) where schema["properties"]?[entry.name] == nil {
                if value == .flag(false) {
                    problems.append("\(path): unknown \(entry.name)")
                } else {
                    check(entry.value, value, at: "\(path).\(entry.name)")
                }
            }
        case ("description", _), ("$schema", _), ("title", _), ("definitions", _): break
        default:
            if !holds(rule, node) {
                problems.append("\(path): \(rule.name), this is \(type(node)) `\(tree.string(node))`")
            }
        }
    }

    private func holds(_ rule: SchemaMember, _ node: Int) -> Bool {
        let type = type(node)
        let text = tree.string(node)
        switch (rule.name, rule.value) {
        case ("anyOf", .list(let schemas)): return schemas.contains { isValid(node, $0) }
        case ("not", let refused): return !isValid(node, refused)
        case ("type", .text(let wanted)): return type == wanted || (wanted == "number" && type == "integer")
        case ("type", .list(let wanted)):
            return wanted.contains(.text(type)) || (type == "integer" && wanted.contains(.text("number")))
        case ("const", .flag(let value)): return type == "boolean" && text == "\(value)"
        case ("const", .number(let value)): return type == "integer" && text == "\(value)"
        case ("enum", .list(let values)): return type == "string" && values.contains(.text(text))
        case ("pattern", .text(let pattern)):
            guard type == "string" else { return true }
            return (try? Regex(pattern)).map { text.contains($0) } ?? false
        case ("minLength", .number(let least)): return type != "string" || text.count >= least
        case ("minimum", .number(let least)): return Int(text).map { $0 >= least } ?? true
        case ("maximum", .number(let most)): return Int(text).map { $0 <= most } ?? true
        case ("minItems", .number(let least)): return type != "array" || tree.memberCount(node) >= least
        case ("required", .list(let names)):
            let present = entries(node).map { SchemaValue.text($0.name) }
            return type != "object" || names.allSatisfy(present.contains)
        default: return false
        }
    }

    private func entries(_ node: Int) -> [(name: String, value: Int)] {
        guard tree.kind(node) == .mapping else { return [] }
        var result: [(name: String, value: Int)] = []
        var key = node + 1
        while key < tree.after(node) {
            result.append((tree.string(key), tree.after(key)))
            key = tree.after(tree.after(key))
        }
        return result
    }
}
