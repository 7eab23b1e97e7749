/// YAML documents as one flat array in source order: a collection is followed by its members, a mapping by
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

    private struct Node {
        var line: UInt32
        var column: UInt32
        /// Where the scalar's text begins, within the source or within `text`, and how long it is.
        var start: UInt32
        var count: UInt32
        /// `end << 4 | isInSource << 3 | kind`; the end is the first node after this one and all that it holds.
        var shape: UInt32
    }

    /// A million routes in block style with every key have 20 million nodes; each costs 20 bytes.
    static let nodesMax = 32 * 1024 * 1024
    /// The language itself needs 8; more is somebody's mistake or an attack.
    static let depthMax = 32

    /// A scalar that holds a `${`.
    struct Reference {
        var node: UInt32
        var isKey: Bool
    }

    private let source: [UInt8]
    /// In the order of the nodes.
    private(set) var references: [Reference] = []
    private var nodes: [Node] = []
    /// What scalars mean whose text does not stand in the source letter by letter: escapes, several lines.
    private var text: [UInt8] = []

    init(source: [UInt8]) {
        self.source = source
    }

    var count: Int { nodes.count }

    func kind(_ node: Int) -> Kind { Kind(rawValue: UInt8(nodes[node].shape & 7)) ?? .refused }

    func isScalar(_ node: Int) -> Bool {
        let kind = kind(node)
        return kind == .plain || kind == .quoted
    }

    func position(_ node: Int) -> SourcePosition {
        SourcePosition(line: Int(nodes[node].line), column: Int(nodes[node].column))
    }

    /// The text of a scalar; empty for anything else.
    func bytes(_ node: Int) -> ArraySlice<UInt8> {
        let start = Int(nodes[node].start)
        let end = start + Int(nodes[node].count)
        return nodes[node].shape & SyntaxTree.inSource != 0 ? source[start..<end] : text[start..<end]
    }

    func string(_ node: Int) -> String { String(decoding: bytes(node), as: UTF8.self) }

    /// The node after `node` and all that it holds: its next sibling, if it has one.
    func after(_ node: Int) -> Int { Int(nodes[node].shape >> 4) }

    /// Nothing was written where a value could stand, as in `key:`.
    func isAbsent(_ node: Int) -> Bool { kind(node) == .plain && nodes[node].count == 0 }

    /// The members of a sequence; empty for anything else.
    func members(_ node: Int) -> [Int] {
        guard kind(node) == .sequence else { return [] }
        var result: [Int] = []
        var member = node + 1
        while member < after(node) {
            result.append(member)
            member = after(member)
        }
        return result
    }

    /// How many members a sequence has.
    func memberCount(_ node: Int) -> Int {
        var count = 0
        var member = node + 1
        while member < after(node) {
            count += 1
            member = after(member)
        }
        return count
    }

    // MARK: Building

    private static let inSource: UInt32 = 8
    private static let firstNodes = 4_096

    /// Makes room before the array is full, for as many nodes as the rest of the source will have if it is like what
    /// was read: doubling would copy the array, and hold it twice, when it is largest.
    /// - Parameter progress: how much of the source has been read, characters.
    mutating func reserve(progress: Int) {
        guard nodes.count == nodes.capacity else { return }
        guard nodes.count >= SyntaxTree.firstNodes else { return nodes.reserveCapacity(SyntaxTree.firstNodes) }
        // Below 2^25 nodes and 2^29 characters.
        let expected = nodes.count * source.count / max(progress, 1)
        let wanted = max(expected + expected / 8, nodes.count + nodes.count / 2)
        // Two characters are the least that a node is written with, in the long run.
        nodes.reserveCapacity(min(wanted, SyntaxTree.nodesMax, nodes.count + source.count / 2 + 1))
    }

    @discardableResult
    mutating func append(_ kind: Kind, at position: SourcePosition) -> Int {
        nodes.append(
            Node(
                line: UInt32(clamping: position.line), column: UInt32(clamping: position.column), start: 0, count: 0,
                shape: UInt32(nodes.count + 1) << 4 | UInt32(kind.rawValue)))
        return nodes.count - 1
    }

    /// Appends a scalar.
    /// - Parameter offset: where its text may stand in the source; it is looked whether it does.
    @discardableResult
    mutating func append(_ kind: Kind, at position: SourcePosition, text bytes: Span<UInt8>, offset: Int) -> Int {
        let node = append(kind, at: position)
        nodes[node].count = UInt32(clamping: bytes.count)
        if stands(bytes, at: offset) {
            nodes[node].start = UInt32(clamping: offset)
            nodes[node].shape |= SyntaxTree.inSource
        } else {
            nodes[node].start = UInt32(clamping: text.count)
            for index in bytes.indices { text.append(bytes[index]) }
        }
        return node
    }

    private func stands(_ bytes: Span<UInt8>, at offset: Int) -> Bool {
        guard offset >= 0, source.count - offset >= bytes.count else { return false }
        let source = source.span.extracting(offset..<offset + bytes.count)
        for index in bytes.indices where source[index] != bytes[index] { return false }
        return true
    }

    /// Notes a scalar with a `${`; asked in ascending order.
    mutating func addReference(_ node: Int, isKey: Bool) {
        references.append(Reference(node: UInt32(clamping: node), isKey: isKey))
    }

    /// Everything appended since belongs to `node`.
    mutating func close(_ node: Int) {
        nodes[node].shape = UInt32(nodes.count) << 4 | nodes[node].shape & 15
    }

    // MARK: Composing

    /// An empty tree whose scalars may stand in the same source and texts as those of `other`.
    init(likeOf other: SyntaxTree, nodesMax: Int) {
        source = other.source
        text = other.text
        nodes.reserveCapacity(nodesMax)
    }

    /// Appends a node and all that it holds.
    mutating func append(copyOf node: Int, from other: SyntaxTree) {
        append(copyOf: node..<other.after(node), from: other)
    }

    /// Appends all that a collection holds, but not itself.
    mutating func append(copyOfMembersOf node: Int, from other: SyntaxTree) {
        append(copyOf: node + 1..<other.after(node), from: other)
    }

    private mutating func append(copyOf range: Range<Int>, from other: SyntaxTree) {
        // It may be negative; ends stay below 2^25 and so within their 28 bits.
        let shift = nodes.count - range.lowerBound
        for index in range {
            var copy = other.nodes[index]
            copy.shape = UInt32(Int(copy.shape >> 4) + shift) << 4 | copy.shape & 15
            nodes.append(copy)
        }
        var index = other.firstReference(from: range.lowerBound)
        while index < other.references.count, other.references[index].node < range.upperBound {
            let reference = other.references[index]
            addReference(Int(reference.node) + shift, isKey: reference.isKey)
            index += 1
        }
    }

    /// Gives a scalar another text.
    mutating func setText(_ node: Int, _ bytes: [UInt8]) {
        nodes[node].start = UInt32(clamping: text.count)
        nodes[node].count = UInt32(clamping: bytes.count)
        nodes[node].shape &= ~SyntaxTree.inSource
        text += bytes
    }

    /// Makes a node one that was reported, so that whoever meets it says nothing more.
    mutating func refuse(_ node: Int) {
        nodes[node].shape = nodes[node].shape & ~7 | UInt32(Kind.refused.rawValue)
    }

    private func firstReference(from node: Int) -> Int {
        var low = 0
        var high = references.count
        while low < high {
            let middle = (low + high) / 2
            if references[middle].node < node { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
