internal import Octets

/// Which terminals a search stops at.
protocol TerminalChoice {
    mutating func accepts(_ terminal: Int, in table: borrowing HostTable) -> Bool
}

struct AnyTerminal: TerminalChoice {
    @inline(__always)
    mutating func accepts(_ terminal: Int, in table: borrowing HostTable) -> Bool { true }
}

/// Paths that list OPTIONS.
struct OptionsTerminal: TerminalChoice {
    mutating func accepts(_ terminal: Int, in table: borrowing HostTable) -> Bool {
        let name = HostTable.optionsMethod
        // A terminal that cannot be read ends the search, so that nothing weaker answers in its place.
        if case .none = table.entry(in: terminal, key: methodKey(name.span)) { return false }
        return true
    }
}

/// The state of one search for a path.
struct PathSearch<Choice: TerminalChoice> {
    var choice: Choice
    /// Nodes that may still be visited; below 0 the table is corrupt.
    var visitsLeft = 0
    var isUnreadable = false
    /// Of each segment once it was split: its hash above, 1 + its end below. Backtracking comes here often.
    var segments = InlineArray<64, UInt64>(repeating: 0)

    init(choice: Choice) { self.choice = choice }
}

enum PathFound {
    case terminal(Int)
    /// No service of the host is on the port.
    case noService
    case none
    case unreadable
}

extension HostTable {
    /// The most specific terminal of the path that the search accepts.
    @inline(__always)
    func find<Choice: TerminalChoice>(
        _ path: Span<UInt8>, port: UInt16, _ search: inout PathSearch<Choice>
    ) -> PathFound {
        guard isReadable else { return .unreadable }
        guard path.count > 0, path.count <= TableLayout.pathBytesMax, path[0] == 0x2F else { return .none }
        guard let root = root(port) else { return .unreadable }
        guard root.node != 0 else { return .noService }
        search.visitsLeft = min(root.bound, TableLayout.backtrackingBoundMax)
        let terminal = walk(root.node, path, 1, 0, &search)
        if search.isUnreadable { return .unreadable }
        return terminal == 0 ? .none : .terminal(terminal)
    }

    struct Root {
        var node: Int
        var bound: Int
    }

    /// The trie of a port, or that of the services without ports.
    @inline(__always)
    func root(_ port: UInt16) -> Root? {
        guard let count = word(HostLayout.portCount), let directory = word(HostLayout.portDirectory) else {
            return nil
        }
        guard count <= Int(UInt16.max) + 1 else { return nil }
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            let entry = directory + middle * HostLayout.portBytes
            guard let found = bytes.littleEndian16(at: entry) else { return nil }
            if found == port {
                return root(at: entry + HostLayout.portRoot, bound: entry + HostLayout.portBound)
            }
            if found < port { low = middle + 1 } else { high = middle }
        }
        return root(at: HostLayout.defaultRoot, bound: HostLayout.defaultBound)
    }

    @inline(__always)
    func root(at offset: Int, bound: Int) -> Root? {
        guard let node = word(offset), let bound = word(bound) else { return nil }
        return Root(node: node, bound: bound)
    }

    /// Goes down from `start` with the segment that begins at `begin`, number `number` of the path.
    ///
    /// Each step of the recursion takes one more segment, 64 at the most.
    /// - Returns: the terminal, 0 when there is none below or the table is unreadable.
    func walk<Choice: TerminalChoice>(
        _ start: Int, _ path: Span<UInt8>, _ begin: Int, _ number: Int, _ search: inout PathSearch<Choice>
    ) -> Int {
        var node = start
        var begin = begin
        var number = number
        while true {
            search.visitsLeft -= 1
            guard search.visitsLeft >= 0,
                let literals = word(node),
                let parameter = word(node + HostLayout.nodeParameter),
                let rest = word(node + HostLayout.nodeRest),
                let terminal = word(node + HostLayout.nodeTerminal)
            else {
                search.isUnreadable = true
                return 0
            }
            if begin > path.count { return accepted(terminal, &search) }
            let literal: Int
            let end: Int
            if number < TableLayout.segmentsMax {
                let segment = segment(number, of: path, from: begin, &search)
                end = segment.end
                guard let found = self.literal(of: node, literals, path, begin, segment) else {
                    search.isUnreadable = true
                    return 0
                }
                literal = found
            } else {
                // Deeper than any policy: only a `**` on the way can match.
                return accepted(rest, &search)
            }
            let takesParameter = parameter != 0 && end > begin
            number += 1
            if literal != 0 {
                if !takesParameter, rest == 0 {
                    node = literal
                    begin = end + 1
                    continue
                }
                let found = walk(literal, path, end + 1, number, &search)
                if found != 0 || search.isUnreadable { return found }
            }
            guard takesParameter else { return accepted(rest, &search) }
            if rest == 0 {
                node = parameter
                begin = end + 1
                continue
            }
            let found = walk(parameter, path, end + 1, number, &search)
            if found != 0 || search.isUnreadable { return found }
            return accepted(rest, &search)
        }
    }

    @inline(__always)
    private func accepted<Choice: TerminalChoice>(_ terminal: Int, _ search: inout PathSearch<Choice>) -> Int {
        terminal != 0 && search.choice.accepts(terminal, in: self) ? terminal : 0
    }

    struct Segment {
        var end: Int
        var hash: UInt32
    }

    @inline(__always)
    private func segment<Choice: TerminalChoice>(
        _ number: Int, of path: Span<UInt8>, from start: Int, _ search: inout PathSearch<Choice>
    ) -> Segment {
        let known = search.segments[number]
        if known != 0 {
            return Segment(end: Int(known & 0xFFFF_FFFF) - 1, hash: UInt32(truncatingIfNeeded: known >> 32))
        }
        let found = scanSegment(path, from: start)
        search.segments[number] = UInt64(found.hash) << 32 | UInt64(truncatingIfNeeded: found.end + 1)
        return Segment(end: found.end, hash: found.hash)
    }

    /// The child of a node under a literal segment, 0 when there is none, nil when the node is unreadable.
    @inline(__always)
    private func literal(
        of node: Int, _ count: Int, _ path: Span<UInt8>, _ start: Int, _ segment: Segment
    ) -> Int? {
        if count == 0 { return 0 }
        guard let bits = word(node + HostLayout.nodeBucketBits), bits <= TableLayout.bucketBitsMax else {
            return nil
        }
        var entries = node + HostLayout.nodeBytes
        var next = 0
        var limit = count
        if bits > 0 {
            let bucket = Int(segment.hash >> UInt32(truncatingIfNeeded: 32 - bits))
            guard let low = word(entries + 4 * bucket), let high = word(entries + 4 * bucket + 4) else {
                return nil
            }
            entries += 4 * (1 << bits + 1)
            next = low
            limit = high
        }
        guard next <= limit, limit <= count, limit - next <= TableLayout.bucketLiteralsMax else { return nil }
        while next < limit {
            let entry = entries + HostLayout.literalBytes * next
            guard let hash = bytes.littleEndian32(at: entry) else { return nil }
            if hash == segment.hash {
                guard let text = word(entry + HostLayout.literalText), let length = half(text),
                    text + 2 + length <= bytes.count
                else { return nil }
                if equal(
                    bytes.extracting(text + 2..<text + 2 + length), path.extracting(start..<segment.end))
                {
                    return word(entry + HostLayout.literalNode)
                }
            }
            next += 1
        }
        return 0
    }
}
