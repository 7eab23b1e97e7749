/// JSON whose members keep their order, for documents that people compare.
indirect enum SchemaValue: Equatable, Sendable {
    case text(String)
    case number(Int)
    case flag(Bool)
    case list([SchemaValue])
    case object([SchemaMember])

    subscript(name: String) -> SchemaValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    /// The same object with one member more.
    func adding(_ name: String, _ value: SchemaValue) -> SchemaValue {
        guard case .object(let members) = self else { return self }
        return .object(members + [SchemaMember(name, value)])
    }

    /// Indented by two spaces, a line for each member; short lists of words in one line.
    func write(to text: inout String, indent: Int = 0) {
        let inner = String(repeating: " ", count: indent + 2)
        let outer = String(repeating: " ", count: indent)
        switch self {
        case .text(let value): text += SchemaValue.quoted(value)
        case .number(let value): text += String(value)
        case .flag(let value): text += value ? "true" : "false"
        case .list(let values):
            if values.allSatisfy(\.isWord) {
                text += "["
                for (index, value) in values.enumerated() {
                    text += index > 0 ? ", " : ""
                    value.write(to: &text)
                }
                text += "]"
                return
            }
            for (index, value) in values.enumerated() {
                text += (index > 0 ? ",\n" : "[\n") + inner
                value.write(to: &text, indent: indent + 2)
            }
            text += "\n\(outer)]"
        case .object(let members):
            guard !members.isEmpty else { return text += "{}" }
            for (index, member) in members.enumerated() {
                text += (index > 0 ? ",\n" : "{\n") + inner + SchemaValue.quoted(member.name) + ": "
                member.value.write(to: &text, indent: indent + 2)
            }
            text += "\n\(outer)}"
        }
    }

    private var isWord: Bool {
        switch self {
        case .text, .number, .flag: true
        case .list, .object: false
        }
    }

    private static func quoted(_ value: String) -> String {
        var writer = JSONText()
        writer.element(value)
        return writer.text
    }
}

struct SchemaMember: Equatable, Sendable {
    var name: String
    var value: SchemaValue

    init(_ name: String, _ value: SchemaValue) {
        self.name = name
        self.value = value
    }
}

// MARK: Parts of schemas

extension SchemaValue {
    static func reference(_ name: String) -> SchemaValue {
        .object([SchemaMember("$ref", .text("#/definitions/\(name)"))])
    }

    static func any(_ values: SchemaValue...) -> SchemaValue {
        .object([SchemaMember("anyOf", .list(values))])
    }

    static func members(_ value: SchemaValue, least: Int = 1) -> SchemaValue {
        .object([
            SchemaMember("type", .text("array")), SchemaMember("items", value),
            SchemaMember("minItems", .number(least)),
        ])
    }

    /// One, or a list of them.
    static func oneOrMore(_ value: SchemaValue) -> SchemaValue { any(value, members(value)) }

    /// A mapping whose keys are names of the policy's own.
    static func named(_ value: SchemaValue) -> SchemaValue {
        .object([SchemaMember("type", .text("object")), SchemaMember("additionalProperties", value)])
    }

    /// One of a few words, or a value of the environment that stands for one.
    static func words(_ words: [String]) -> SchemaValue {
        any(.object([SchemaMember("enum", .list(words.map { .text($0) }))]), reference("value"))
    }

    static func pattern(_ pattern: String) -> SchemaValue {
        .object([SchemaMember("type", .text("string")), SchemaMember("pattern", .text(pattern))])
    }

    static let text = reference("text")
    static let onlyTrue = object([SchemaMember("const", .flag(true))])
    static let duration = reference("duration")
    static let time = reference("time")
    static let port = reference("port")
    static let scopes = reference("scopes")
    static let algorithms = members(reference("algorithm"))
}
