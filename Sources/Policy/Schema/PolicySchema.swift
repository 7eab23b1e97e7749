internal import Signatures

/// A JSON Schema of the policy language, for editors. Draft-07: the YAML language server and the editors that embed it
/// understand that one completely, later drafts in part.
///
/// It is made from the key tables that the reader itself works with, so it knows exactly the keys that `policy check`
/// knows. It refuses unknown keys and values of the wrong kind; what names mean together only `check` can say.
/// Source: JSON Schema draft-07 (Validation §6, §7).
public func policySchemaJSON() -> String {
    var text = ""
    PolicySchema.document.write(to: &text)
    return text + "\n"
}

enum PolicySchema {
    /// What an editor shows of a key, and what its value may be.
    struct Entry: Sendable {
        var help: String
        var value: SchemaValue

        init(_ help: String, _ value: SchemaValue) {
            self.help = help
            self.value = value
        }
    }

    /// The mappings of one kind: which keys they may have is said by the reader's own table.
    struct Table: Sendable {
        var definition: String
        var owner: String
        var keys: [String]
        var required: [String]
        /// Nothing at all may be written in its place, as in `orders:read:`.
        var mayBeAbsent = false
        /// By key; those that the reader's table does not have are left aside.
        var entries: [String: Entry]

        init<Key: MappingKey>(
            _ type: Key.Type, _ definition: String, required: [String] = [], mayBeAbsent: Bool = false,
            _ entries: [String: Entry]
        ) {
            self.mayBeAbsent = mayBeAbsent
            self.definition = definition
            owner = Key.owner
            keys = Key.names.map { "\($0)" }
            self.required = required
            self.entries = entries
        }

        var schema: SchemaValue {
            let type: SchemaValue = mayBeAbsent ? .list([.text("object"), .text("null")]) : .text("object")
            var members = [SchemaMember("type", type)]
            if !required.isEmpty { members.append(SchemaMember("required", .list(required.map { .text($0) }))) }
            let properties = keys.map { key in SchemaMember(key, entries[key].map(described) ?? .object([])) }
            members.append(SchemaMember("properties", .object(properties)))
            members.append(SchemaMember("additionalProperties", .flag(false)))
            return .object(members)
        }

        /// Draft-07 ignores what stands beside a `$ref`, so the reference goes one level down.
        private func described(_ entry: Entry) -> SchemaValue {
            let help = SchemaMember("description", .text(entry.help))
            if entry.value["$ref"] != nil { return .object([help, SchemaMember("allOf", .list([entry.value]))]) }
            guard case .object(let members) = entry.value else { return entry.value }
            return .object([help] + members)
        }
    }

    static let document: SchemaValue = {
        guard let top = tables.first, case .object(let topMembers) = top.schema else { return .object([]) }
        var definitions = values
        for table in tables.dropFirst() { definitions.append(SchemaMember(table.definition, table.schema)) }
        return .object(
            [
                SchemaMember("$schema", .text("http://json-schema.org/draft-07/schema#")),
                SchemaMember("title", .text("Scopecheck policy, language version 1")),
            ] + topMembers + [SchemaMember("definitions", .object(definitions))])
    }()

    /// Every kind of mapping that the language has; the policy itself first.
    static let tables: [Table] =
        [top, environment, issuer, keySource, proof, introspection, scope] + [service, tokenSource, mode, observe]
        + [route, requirement, detail, client, certificate, role, grant, test] + publishing

    // MARK: Values

    /// YAML reads `1`, `1.5` and `true` as something else than text; the language takes their letters. A name of the
    /// environment may stand in any value.
    private static let date = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
    private static let clock = #"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?"#
    private static let values: [SchemaMember] = [
        SchemaMember(
            "text",
            .object([
                SchemaMember("type", .list([.text("string"), .text("number"), .text("boolean")])),
                SchemaMember("minLength", .number(1)),
            ])),
        SchemaMember("value", .pattern(#"\$\{[^}]+\}"#)),
        SchemaMember("duration", .any(.pattern("^[0-9]+(ms|s|m|h|d)$"), .reference("value"))),
        SchemaMember(
            "time",
            .any(.pattern("^\(date)[Tt]\(clock)([Zz]|[+-][0-9]{2}:[0-9]{2})$"), .reference("value"))),
        SchemaMember(
            "port",
            .any(
                .object([
                    SchemaMember("type", .text("integer")), SchemaMember("minimum", .number(1)),
                    SchemaMember("maximum", .number(65_535)),
                ]), .reference("value"))),
        SchemaMember("algorithm", .words(SignatureAlgorithm.allCases.map { "\($0.name)" })),
        SchemaMember("scopes", .oneOrMore(.text)),
        SchemaMember("requires", .any(.scopes, .reference("requirement"))),
        SchemaMember("details", .any(.reference("detail"), .members(.reference("detail")))),
        SchemaMember("modes", .any(.words(["enforce", "observe"]), .reference("mode"))),
        SchemaMember(
            "match",
            .any(.pattern(#"^[!#$%&'*+.^_`|~0-9A-Za-z-]+(, ?[!#$%&'*+.^_`|~0-9A-Za-z-]+)* +/"#), .reference("value"))),
    ]
}
