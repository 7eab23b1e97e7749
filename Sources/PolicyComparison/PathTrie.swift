internal import PolicyTables

/// The routes of one policy on one host and some ports, by the segments of their paths.
///
/// Nodes and terminals carry a number of what they mean. Two subtries with one number answer every request alike,
/// whichever policy they belong to.
final class PathTrie {
    struct Node {
        /// Index into `terminals`, or -1.
        var terminal: Int32 = -1
        /// Of `**`.
        var rest: Int32 = -1
        /// Index into `nodes`, or -1.
        var parameter: Int32 = -1
        /// Place in `literals`, which are ascending by text.
        var literals: Range<Int32> = 0..<0
        var meaning: Int32 = -1
    }

    struct Literal {
        var text: Int32
        var node: Int32
    }

    /// What answers a method at one path.
    struct Rule {
        var method: Int32
        /// Number of a list of ports; open on all of them when it is empty.
        var ports: Int32
        var requirement: Int32
        var ground: Requirement.Ground
        var place: RouteLocation
    }

    struct Terminal {
        var rules: [Rule]
        var meaning: Int32
        var hasOptions: Bool
    }

    private(set) var nodes: [Node] = []
    private(set) var literals: [Literal] = []
    private(set) var terminals: [Terminal] = []
    /// Index into `nodes`; -1 when there is no route.
    private(set) var root: Int32 = -1

    /// One route, by a key of segments: 0 is a parameter, 1 is `**`, everything above a literal's text.
    struct Item {
        var start: Int
        var end: Int
        var rule: Rule
    }

    static let parameter: Int32 = 0
    static let rest: Int32 = 1
    static let firstLiteral: Int32 = 2

    private let keys: [Int32]
    private let options: Int32
    private var meanings: MeaningTable

    /// - Parameters:
    ///   - keys: of all items.
    ///   - options: number of the text `OPTIONS`.
    init(_ items: [Item], keys: [Int32], options: Int32, meanings: inout MeaningTable) {
        self.keys = keys
        self.options = options
        self.meanings = meanings
        // The caller's table is given back below: it must not be copied when it grows.
        meanings = MeaningTable()
        let sorted = items.sorted { one, other in
            keys[one.start..<one.end].lexicographicallyPrecedes(keys[other.start..<other.end])
        }
        if !sorted.isEmpty { root = makeNode(sorted[...], depth: 0) }
        meanings = self.meanings
        self.meanings = MeaningTable()
    }

    /// - Parameter items: those that share their first `depth` segments.
    private func makeNode(_ items: ArraySlice<Item>, depth: Int) -> Int32 {
        var node = Node()
        var next = items.startIndex
        while next < items.endIndex, items[next].end - items[next].start == depth { next += 1 }
        if next > items.startIndex { node.terminal = makeTerminal(items[items.startIndex..<next]) }
        var children: [Literal] = []
        while next < items.endIndex {
            let start = next
            let segment = keys[items[start].start + depth]
            while next < items.endIndex, keys[items[next].start + depth] == segment { next += 1 }
            let below = items[start..<next]
            switch segment {
            case PathTrie.parameter: node.parameter = makeNode(below, depth: depth + 1)
            case PathTrie.rest: node.rest = makeTerminal(below)
            default:
                children.append(
                    Literal(text: segment - PathTrie.firstLiteral, node: makeNode(below, depth: depth + 1)))
            }
        }
        let first = Int32(clamping: literals.count)
        literals += children
        node.literals = first..<Int32(clamping: literals.count)
        var meaning = [
            meaningOfTerminal(node.terminal), meaningOfTerminal(node.rest),
            node.parameter < 0 ? -1 : Int64(nodes[Int(node.parameter)].meaning),
        ]
        for child in children {
            meaning.append(Int64(child.text))
            meaning.append(Int64(nodes[Int(child.node)].meaning))
        }
        node.meaning = meanings.number(meaning)
        nodes.append(node)
        return Int32(clamping: nodes.count - 1)
    }

    private func meaningOfTerminal(_ terminal: Int32) -> Int64 {
        terminal < 0 ? -1 : Int64(terminals[Int(terminal)].meaning)
    }

    private func makeTerminal(_ items: ArraySlice<Item>) -> Int32 {
        let rules = items.map(\.rule).sorted { ($0.method, $0.ports) < ($1.method, $1.ports) }
        // One route can stand here twice when its service lists a host twice; it is one all the same.
        let meaning = rules.flatMap { [Int64($0.method), Int64($0.ports), Int64($0.requirement)] }
        terminals.append(
            Terminal(
                rules: rules, meaning: meanings.number([-2] + meaning),
                hasOptions: rules.contains { $0.method == options }))
        return Int32(clamping: terminals.count - 1)
    }

    /// The child of a node under a literal.
    func child(_ node: Int32, _ text: Int32) -> Int32? {
        let range = nodes[Int(node)].literals
        var low = Int(range.lowerBound)
        var high = Int(range.upperBound)
        while low < high {
            let middle = (low + high) / 2
            if literals[middle].text == text { return literals[middle].node }
            if literals[middle].text < text { low = middle + 1 } else { high = middle }
        }
        return nil
    }
}

/// Where the search for one path has come to in a trie: every template that agrees with the segments so far, the most
/// specific first. A node, or the complement of a terminal whose `**` takes whatever follows.
typealias Candidates = [Int32]

extension PathTrie {
    /// A segment as the search sees it.
    enum Step {
        case literal(Int32)
        /// No literal that the candidates know.
        case other
        /// What follows a trailing slash; with the number of the empty text, which templates have as a literal.
        case empty(Int32)
    }

    func advance(_ candidates: Candidates, _ step: Step) -> Candidates {
        var result: Candidates = []
        for candidate in candidates {
            guard candidate >= 0 else {
                result.append(candidate)
                continue
            }
            let node = nodes[Int(candidate)]
            switch step {
            case .literal(let text):
                if let child = child(candidate, text) { result.append(child) }
                if node.parameter >= 0 { result.append(node.parameter) }
            case .other: if node.parameter >= 0 { result.append(node.parameter) }
            case .empty(let text): if let child = child(candidate, text) { result.append(child) }
            }
            if node.rest >= 0 { result.append(~node.rest) }
        }
        return result
    }

    /// Where paths that end here end, the most specific first.
    func endings(_ candidates: Candidates) -> [Int32] {
        candidates.compactMap { candidate in
            guard candidate >= 0 else { return ~candidate }
            let terminal = nodes[Int(candidate)].terminal
            return terminal >= 0 ? terminal : nil
        }
    }

    func hasNode(_ candidates: Candidates) -> Bool { candidates.contains { $0 >= 0 } }

    /// What the candidates answer to everything that may follow.
    func meaning(_ candidates: Candidates) -> [Int64] {
        candidates.map { candidate in
            candidate >= 0
                ? Int64(nodes[Int(candidate)].meaning) : -3 - Int64(terminals[Int(~candidate)].meaning)
        }
    }
}
