internal import Octets
@testable internal import Tokens

/// A JSON value as a tree of copies, for oracles: slow, and without the readers that look members up in place.
indirect enum JSONTree {
    case object([(name: [UInt8], value: JSONTree)], text: [UInt8])
    case array([JSONTree], text: [UInt8])
    case string([UInt8], text: [UInt8])
    case number(Double, text: [UInt8])
    case other(text: [UInt8])

    /// An object; nil for every other text, and for one that is beyond the limits of claims.
    init?(_ text: [UInt8]) {
        var index = JSONIndex()
        guard (try? index.read(text.span, limits: .claims)) != nil, let root = index.root,
            root.kind == .object
        else { return nil }
        self = JSONTree(root, index, text)
    }

    /// Recursion ends at the depth limit of the text.
    private init(_ value: JSONValue, _ index: borrowing JSONIndex, _ source: [UInt8]) {
        let text = [UInt8](copying: source.span.bytes(at: value.range))
        switch value.kind {
        case .object:
            var members: [(name: [UInt8], value: JSONTree)] = []
            var item = index.child(after: nil, of: value)
            while let current = item {
                var name: [UInt8] = []
                var bytes = UnescapedBytes(source.span.bytes(at: index.nameRange(of: current)))
                while let byte = bytes.next() { name.append(byte) }
                members.append((name, JSONTree(current, index, source)))
                item = index.child(after: current, of: value)
            }
            self = .object(members, text: text)
        case .array:
            var items: [JSONTree] = []
            var item = index.child(after: nil, of: value)
            while let current = item {
                items.append(JSONTree(current, index, source))
                item = index.child(after: current, of: value)
            }
            self = .array(items, text: text)
        case .string: self = .string(value.string(in: source.span).map { Array($0) } ?? [], text: text)
        case .number: self = .number(Double(String(decoding: text, as: UTF8.self)) ?? .nan, text: text)
        default: self = .other(text: text)
        }
    }

    /// The member of an object; nil for everything else.
    subscript(name: String) -> JSONTree? { self[Array(name.utf8)] }

    subscript(name: [UInt8]) -> JSONTree? {
        guard case .object(let members, _) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    var members: [(name: [UInt8], value: JSONTree)]? {
        guard case .object(let members, _) = self else { return nil }
        return members
    }

    var items: [JSONTree]? {
        guard case .array(let items, _) = self else { return nil }
        return items
    }

    var string: [UInt8]? {
        guard case .string(let string, _) = self else { return nil }
        return string
    }

    var number: Double? {
        guard case .number(let number, _) = self else { return nil }
        return number
    }

    /// The bytes of the value; a string without its quotes.
    var text: [UInt8] {
        switch self {
        case .object(_, let text), .array(_, let text), .string(_, let text), .number(_, let text), .other(let text):
            text
        }
    }
}
