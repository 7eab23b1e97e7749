internal import PolicyTables

/// Paths of routes, segment by segment, to find which of them stand for the same requests.
struct RouteTrie {
    struct Node {
        /// By bytes: Unicode knows different bytes as the same text, and requests are told apart by bytes.
        var literals: [[UInt8]: Int] = [:]
        var parameter: Int?
        /// What ends here with `**`: it stands for one or more further segments.
        var rest: [Int] = []
        /// What ends here.
        var ends: [Int] = []
    }

    enum Segment: Equatable {
        case literal(String)
        case parameter
        case rest

        static func == (left: Segment, right: Segment) -> Bool {
            switch (left, right) {
            case (.literal(let one), .literal(let other)): one.utf8.elementsEqual(other.utf8)
            case (.parameter, .parameter), (.rest, .rest): true
            default: false
            }
        }
    }

    private(set) var nodes = [Node()]
    /// How many places may still be visited, for all searches together. Below zero nothing can be said any more.
    private(set) var stepsLeft: Int

    static let stepsMax = 64 << 20
    /// Comparing so many bytes counts as one step.
    static let stepBytes = 32

    init(stepsMax: Int = RouteTrie.stepsMax) {
        stepsLeft = stepsMax
    }

    /// Forgets what searches need not find any more.
    mutating func keep(where isKept: (Int) -> Bool) {
        for node in nodes.indices { nodes[node].ends.removeAll { !isKept($0) } }
    }

    /// For searches that may go unfinished.
    func limited(to steps: Int) -> RouteTrie {
        var copy = self
        copy.stepsLeft = steps
        return copy
    }

    /// For work on what was found.
    mutating func spend(_ steps: Int) { stepsLeft -= steps }

    /// - Returns: the node where the path ends; for `**` the one that it starts from.
    mutating func add(_ path: some Sequence<Segment>, _ value: Int) -> Int {
        var node = 0
        for segment in path {
            switch segment {
            case .literal(let text):
                if let next = nodes[node].literals[Array(text.utf8)] {
                    node = next
                } else {
                    nodes.append(Node())
                    nodes[node].literals[Array(text.utf8)] = nodes.count - 1
                    node = nodes.count - 1
                }
            case .parameter:
                if let next = nodes[node].parameter {
                    node = next
                } else {
                    nodes.append(Node())
                    nodes[node].parameter = nodes.count - 1
                    node = nodes.count - 1
                }
            case .rest:
                nodes[node].rest.append(value)
                return node
            }
        }
        nodes[node].ends.append(value)
        return node
    }

    /// Values of paths that some request shares with the pattern, but those that are more specific than it at the first
    /// segment where they differ: such a path is the one that is meant.
    ///
    /// Nothing here has `**`.
    mutating func overlapping(_ pattern: [PathPattern.Segment]) -> [Int] {
        var found: [Int] = []
        let literals = pattern.map { segment in
            if case .literal(let text) = segment { Array(text.utf8) } else { [UInt8]() }
        }
        // Node, segments that it is behind, whether the path there has been less specific somewhere.
        var open: [(node: Int, depth: Int, isWeaker: Bool)] = [(0, 0, false)]
        while let place = open.popLast() {
            stepsLeft -= 1
            guard stepsLeft >= 0 else { return [] }
            guard place.depth < pattern.count else {
                stepsLeft -= nodes[place.node].ends.count
                found += nodes[place.node].ends
                continue
            }
            let next = place.depth + 1
            let parameter = nodes[place.node].parameter
            switch pattern[place.depth] {
            case .literal:
                let text = literals[place.depth]
                stepsLeft -= text.count / RouteTrie.stepBytes
                if let child = nodes[place.node].literals[text] {
                    open.append((child, next, place.isWeaker))
                }
                if let parameter, !text.isEmpty { open.append((parameter, next, true)) }
            case .parameter:
                if let parameter { open.append((parameter, next, place.isWeaker)) }
                guard place.isWeaker else { continue }
                stepsLeft -= nodes[place.node].literals.count
                for (text, child) in nodes[place.node].literals where !text.isEmpty {
                    open.append((child, next, true))
                }
            case .mixed(let prefix, let suffix):
                if let parameter { open.append((parameter, next, true)) }
                guard place.isWeaker else { continue }
                let cost = 1 + (prefix.count + suffix.count) / RouteTrie.stepBytes
                stepsLeft -= nodes[place.node].literals.count * cost
                for (bytes, child) in nodes[place.node].literals where !bytes.isEmpty {
                    guard bytes.count >= prefix.count + suffix.count, bytes.starts(with: prefix),
                        bytes.reversed().starts(with: suffix.reversed())
                    else { continue }
                    open.append((child, next, true))
                }
            }
        }
        return found
    }

    /// Where a request ends whose segments are those of the pattern, with values for parameters that no literal has:
    /// the most specific path wins, segment by segment.
    /// - Returns: the values there; empty when no path has it.
    func match(_ pattern: [Segment]) -> [Int] {
        var best: [Int] = []
        var isFound = false
        // Depth first, most specific branch first; at most two branches at each of at most 64 segments share nodes.
        func search(_ node: Int, _ depth: Int, _ visits: inout Int) {
            visits += 1
            guard visits <= 65_536 else { return }
            if depth == pattern.count {
                guard !nodes[node].ends.isEmpty else { return }
                best = nodes[node].ends
                isFound = true
                return
            }
            switch pattern[depth] {
            case .literal(let text):
                if let child = nodes[node].literals[Array(text.utf8)] { search(child, depth + 1, &visits) }
                if !isFound, !text.isEmpty, let child = nodes[node].parameter { search(child, depth + 1, &visits) }
            case .parameter:
                if let child = nodes[node].parameter { search(child, depth + 1, &visits) }
            case .rest: break
            }
            if !isFound, !nodes[node].rest.isEmpty {
                best = nodes[node].rest
                isFound = true
            }
        }
        var visits = 0
        search(0, 0, &visits)
        return best
    }
}

extension PathPattern.Segment {
    /// Mixed segments never get into a trie; what they could stand for is a parameter's.
    var shapeInTrie: RouteTrie.Segment {
        switch self {
        case .literal(let text): .literal(text)
        case .parameter, .mixed: .parameter
        }
    }
}

extension RouteModel.Segment {
    var shapeInTrie: RouteTrie.Segment {
        switch self {
        case .literal(let text): .literal(text)
        case .parameter: .parameter
        case .rest: .rest
        }
    }
}
