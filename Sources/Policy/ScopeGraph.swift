/// Which scopes imply which, and everything that follows. Bounded in edges and in work, since 65,535 scopes
/// could imply each other in four thousand million ways.
struct ScopeGraph {
    static let edgesMax = 4_194_304
    /// 32 MB of indices in the compiled policy.
    static let closureEntriesMax = 16_777_216
    private static let stepsMax = 268_435_456

    private let names: [String]
    private let order: ScopeOrder
    private var edges: [[UInt16]]
    private(set) var edgeCount = 0
    /// For each scope how many it implies by what it says itself, wildcards expanded.
    var impliedCounts: [Int] { edges.map(\.count) }

    init(names: [String]) {
        self.names = names
        edges = [[UInt16]](repeating: [], count: names.count)
        order = ScopeOrder(names)
    }

    mutating func add(from scope: Int, to implied: Int) {
        edges[scope].append(UInt16(clamping: implied))
        edgeCount += 1
    }

    /// Implies every other scope whose name starts with `prefix`.
    /// - Returns: how many there are.
    mutating func addAll(from scope: Int, withPrefix prefix: String) -> Int {
        var count = 0
        for implied in order.run(withPrefix: prefix) where implied != scope {
            add(from: scope, to: implied)
            count += 1
            if edgeCount > ScopeGraph.edgesMax { break }
        }
        return count
    }

    private enum Mark: UInt8 {
        case unseen, open, done
    }

    /// Some chain of scopes that leads back to its start, or nil. Without recursion: chains may be long.
    func cycle() -> [Int]? {
        var marks = [Mark](repeating: .unseen, count: names.count)
        for root in names.indices where marks[root] == .unseen {
            var path = [root]
            var next = [0]
            marks[root] = .open
            while let scope = path.last, let index = next.last {
                guard index < edges[scope].count else {
                    marks[scope] = .done
                    path.removeLast()
                    next.removeLast()
                    continue
                }
                next[next.count - 1] += 1
                let implied = Int(edges[scope][index])
                if marks[implied] == .open {
                    return path.firstIndex(of: implied).map { Array(path[$0...]) }
                }
                if marks[implied] == .unseen {
                    marks[implied] = .open
                    path.append(implied)
                    next.append(0)
                }
            }
        }
        return nil
    }

    /// For each scope everything that holding it grants, itself included, ascending; nil when it is too much.
    /// There must be no cycle.
    func closures() -> [[UInt16]]? {
        var result = [[UInt16]](repeating: [], count: names.count)
        var stamps = [Int32](repeating: -1, count: names.count)
        var entries = 0
        var steps = 0
        for scope in impliedFirst() {
            var closure = [UInt16(clamping: scope)]
            stamps[scope] = Int32(clamping: scope)
            for implied in edges[scope] where stamps[Int(implied)] != Int32(clamping: scope) {
                steps += result[Int(implied)].count
                guard steps <= ScopeGraph.stepsMax else { return nil }
                for member in result[Int(implied)] where stamps[Int(member)] != Int32(clamping: scope) {
                    stamps[Int(member)] = Int32(clamping: scope)
                    closure.append(member)
                }
            }
            entries += closure.count
            guard entries <= ScopeGraph.closureEntriesMax else { return nil }
            closure.sort()
            result[scope] = closure
        }
        return result
    }

    /// All scopes, each after everything that it implies.
    private func impliedFirst() -> [Int] {
        var result: [Int] = []
        result.reserveCapacity(names.count)
        var isSeen = [Bool](repeating: false, count: names.count)
        for root in names.indices where !isSeen[root] {
            var path = [root]
            var next = [0]
            isSeen[root] = true
            while let scope = path.last, let index = next.last {
                guard index < edges[scope].count else {
                    result.append(scope)
                    path.removeLast()
                    next.removeLast()
                    continue
                }
                next[next.count - 1] += 1
                let implied = Int(edges[scope][index])
                if !isSeen[implied] {
                    isSeen[implied] = true
                    path.append(implied)
                    next.append(0)
                }
            }
        }
        return result
    }
}

/// Scopes sorted by their names' bytes, so that those with one prefix are one run.
struct ScopeOrder {
    private let names: [String]
    /// Indices into `names`.
    private let sorted: [Int]

    init(_ names: [String]) {
        self.names = names
        sorted = names.indices.sorted { names[$0].utf8.lexicographicallyPrecedes(names[$1].utf8) }
    }

    /// Indices of the scopes whose name starts with `prefix`.
    func run(withPrefix prefix: String) -> ArraySlice<Int> {
        let start = partition { names[$0].utf8.lexicographicallyPrecedes(prefix.utf8) }
        let end = partition {
            names[$0].utf8.lexicographicallyPrecedes(prefix.utf8) || names[$0].utf8.starts(with: prefix.utf8)
        }
        return sorted[start..<end]
    }

    /// Where the first scope stands that is not `before`, when all that are come first.
    private func partition(_ before: (Int) -> Bool) -> Int {
        var low = 0
        var high = sorted.count
        while low < high {
            let middle = (low + high) / 2
            if before(sorted[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
