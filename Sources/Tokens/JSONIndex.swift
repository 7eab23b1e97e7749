public import Octets

/// What one reading of a JSON text keeps: a flat list of its values, in the order of the text, each with
/// the place of its bytes. Nothing is copied or decoded until asked for, and the storage is used again for
/// the next text, so that reading allocates nothing once the index has seen a text of that size.
///
/// Strict RFC 8259: one value, UTF-8 without a byte order mark, no duplicate member names at any level
/// (names compared after unescaping), bounded in depth and in number, nothing after the value.
///
/// Example: `{"a":[1,"x"]}` is kept as
/// `0: object 0..<13, next 4` · `1: "a" array 5..<12, next 4` · `2: number 6..<7` · `3: string 9..<10`.
public struct JSONIndex: ~Copyable {
    public enum TopLevel: Sendable {
        case object
        case any
    }

    struct Node {
        var nameStart: UInt32 = 0
        var nameCount: UInt32 = 0
        var start: UInt32
        var count: UInt32 = 0
        /// The node after this value and everything in it.
        var next: UInt32 = 0
        /// The container that this value stands in; its own index for the top-level value.
        var parent: UInt32 = 0
        var kind: JSONKind
        var hasEscapes = false
        var nameHasEscapes = false
    }

    /// A member name that was read and whose value has not been.
    struct Name {
        var start = 0
        var count = 0
        var hasEscapes = false
    }

    var nodes: [Node] = []
    /// The nodes of the containers that are open, outermost first, and how many members each has.
    var open = [UInt32](repeating: 0, count: JSONLimits.depthCeiling)
    var memberCounts = [UInt32](repeating: 0, count: JSONLimits.depthCeiling)
    /// One bit for each kind of name that the object has, so that most new names need no comparison.
    var nameFilters = [UInt64](repeating: 0, count: JSONLimits.depthCeiling)
    var depth = 0
    var namesSeen = 0
    /// Names of objects with many members: open addressing, a slot is `stamp << 32 | node`. A slot with
    /// another stamp is free, so that nothing needs to be cleared between texts.
    var nameTable: [UInt64] = []
    var stamp: UInt32 = 0
    /// Unknown to whoever writes tokens, so that names cannot be chosen to collide.
    let seed: UInt64

    public init() {
        seed = UInt64.random(in: .min ... .max)
        nodes.reserveCapacity(128)
    }

    /// The top-level value of the text read last; nil when that reading failed or nothing was read.
    public var root: JSONValue? {
        nodes.isEmpty ? nil : value(0)
    }

    /// The member of `object` whose unescaped name is exactly `name`.
    /// - Parameter text: the text that this index read last.
    public func member(_ name: StaticString, of object: JSONValue, in text: Span<UInt8>) -> JSONValue? {
        guard object.kind == .object, object.node < nodes.count else { return nil }
        var index = object.node + 1
        let end = Int(nodes[object.node].next)
        while index < end {
            if nodes[index].nameHasEscapes || Int(nodes[index].nameCount) == name.utf8CodeUnitCount {
                let raw = text.bytes(at: nameRange(index))
                if nodes[index].nameHasEscapes ? equalUnescaped(raw, name) : equal(raw, name) {
                    return value(index)
                }
            }
            index = Int(nodes[index].next)
        }
        return nil
    }

    /// As above, for a name that is only known at run time.
    public func member(_ name: Span<UInt8>, of object: JSONValue, in text: Span<UInt8>) -> JSONValue? {
        guard object.kind == .object, object.node < nodes.count else { return nil }
        var index = object.node + 1
        let end = Int(nodes[object.node].next)
        while index < end {
            if nodes[index].nameHasEscapes || Int(nodes[index].nameCount) == name.count {
                let raw = text.bytes(at: nameRange(index))
                if nodes[index].nameHasEscapes ? equalUnescaped(raw, name) : equal(raw, name) {
                    return value(index)
                }
            }
            index = Int(nodes[index].next)
        }
        return nil
    }

    /// The values directly in an array or object, one after the other: nil asks for the first.
    /// Example: `var item = index.child(after: nil, of: list)`, then `item = index.child(after: item, of:
    /// list)`.
    public func child(after previous: JSONValue?, of container: JSONValue) -> JSONValue? {
        guard container.kind == .object || container.kind == .array, container.node < nodes.count else {
            return nil
        }
        let end = Int(nodes[container.node].next)
        var index = container.node + 1
        if let previous {
            guard previous.node > container.node, previous.node < end else { return nil }
            index = Int(nodes[previous.node].next)
        }
        return index < end ? value(index) : nil
    }

    /// How many values stand directly in an array or object.
    public func childCount(of container: JSONValue) -> Int {
        var count = 0
        var item = child(after: nil, of: container)
        while let current = item {
            count += 1
            item = child(after: current, of: container)
        }
        return count
    }

    /// The bytes of a member's name, still escaped; absent for a value that is not a member.
    public func nameRange(of member: JSONValue) -> ByteRange {
        guard member.node < nodes.count, nodes[member.node].nameStart > 0 else { return .absent }
        return nameRange(member.node)
    }

    func nameRange(_ index: Int) -> ByteRange {
        ByteRange(start: Int(nodes[index].nameStart), count: Int(nodes[index].nameCount))
    }

    func value(_ index: Int) -> JSONValue {
        let node = nodes[index]
        return JSONValue(
            kind: node.kind, range: ByteRange(start: Int(node.start), count: Int(node.count)),
            hasEscapes: node.hasEscapes, node: index)
    }
}

/// Strict JSON, for callers that only want to know whether a text is.
public enum JSON {
    /// Reads a whole text and keeps nothing.
    /// - Parameters:
    ///   - depthMax: levels of objects and arrays, 1 to 64.
    ///   - topLevel: `.any` takes a lone number or string too.
    public static func validate(
        _ text: Span<UInt8>, depthMax: Int, topLevel: JSONIndex.TopLevel = .object
    ) throws(JSONError) {
        var index = JSONIndex()
        try index.read(text, limits: JSONLimits(depthMax: depthMax), topLevel: topLevel)
    }
}
