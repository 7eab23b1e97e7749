/// A YAML document as one flat array in source order: a collection is followed by its members, a mapping by
/// key, value, key, value. Small and without pointers: a policy of a million routes has six million nodes.
///
/// Example: `a: [b, c]` is mapping(end 5), `a`, sequence(end 5), `b`, `c`; node 2's members are 3 and 4.
struct SyntaxTree {
    enum Kind: UInt8 {
        case plain
        /// Quoted or block style: never a boolean or a number.
        case quoted
        case sequence
        case mapping
        /// Something that the language refuses; it has been reported, whoever meets it says nothing more.
        case refused
    }

    struct Node {
        var line: UInt32
        var column: UInt32
        /// The scalar's text within `text`.
        var start: UInt32
        var count: UInt32
        /// The first node after this one and all that it holds.
        var end: UInt32
        var kind: Kind
    }

    /// A million routes in block style with every key have 20 million nodes; each costs 24 bytes.
    static let nodesMax = 32 * 1024 * 1024
    /// The language itself needs 8; more is somebody's mistake or an attack.
    static let depthMax = 32

    private(set) var nodes: [Node] = []
    private(set) var text: [UInt8] = []

    func kind(_ node: Int) -> Kind { nodes[node].kind }

    func isScalar(_ node: Int) -> Bool {
        nodes[node].kind == .plain || nodes[node].kind == .quoted
    }

    func position(_ node: Int) -> SourcePosition {
        SourcePosition(line: Int(nodes[node].line), column: Int(nodes[node].column))
    }

    /// The text of a scalar; empty for anything else.
    func bytes(_ node: Int) -> ArraySlice<UInt8> {
        let start = Int(nodes[node].start)
        return text[start..<start + Int(nodes[node].count)]
    }

    func string(_ node: Int) -> String { String(decoding: bytes(node), as: UTF8.self) }

    /// The node after `node` and all that it holds: its next sibling, if it has one.
    func after(_ node: Int) -> Int { Int(nodes[node].end) }

    /// Nothing was written where a value could stand, as in `key:`.
    func isAbsent(_ node: Int) -> Bool { nodes[node].kind == .plain && nodes[node].count == 0 }

    /// The members of a sequence; empty for anything else.
    func members(_ node: Int) -> [Int] {
        guard nodes[node].kind == .sequence else { return [] }
        var result: [Int] = []
        var member = node + 1
        while member < after(node) {
            result.append(member)
            member = after(member)
        }
        return result
    }

    // MARK: Building

    mutating func append(_ kind: Kind, at position: SourcePosition) -> Int {
        nodes.append(
            Node(
                line: UInt32(clamping: position.line), column: UInt32(clamping: position.column),
                start: UInt32(clamping: text.count), count: 0, end: UInt32(clamping: nodes.count + 1),
                kind: kind))
        return nodes.count - 1
    }

    mutating func append(_ kind: Kind, at position: SourcePosition, text bytes: Span<UInt8>) {
        let node = append(kind, at: position)
        for index in bytes.indices { text.append(bytes[index]) }
        nodes[node].count = UInt32(clamping: bytes.count)
    }

    /// Everything appended since belongs to `node`.
    mutating func close(_ node: Int) {
        nodes[node].end = UInt32(clamping: nodes.count)
    }
}
