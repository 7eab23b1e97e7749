internal import PolicyTables

/// Expands one list of scopes after the other, in bounded time and room for all of them.
struct ScopeExpansion {
    /// 32 MB of indices in the compiled policy, as for the scopes' own closures.
    static let entriesMax = ScopeGraph.closureEntriesMax
    private static let stepsMax = 268_435_456

    private let model: [ScopeModel]
    private let order: ScopeOrder
    /// For each scope the list that was last found to hold it, counted from 1.
    private var stamps: [Int32]
    private var list: Int32 = 0
    private var held: [UInt16] = []
    private var entries: Int
    private var steps = 0

    /// - Parameters:
    ///   - ownCount: wildcards stand for the first so many scopes; old names come behind them.
    ///   - entries: how many are used up already.
    init(_ scopes: [ScopeModel], ownCount: Int, entries: Int = 0) {
        model = scopes
        order = ScopeOrder(scopes.prefix(ownCount).map(\.name))
        stamps = [Int32](repeating: 0, count: scopes.count)
        self.entries = entries
    }

    /// The next list, with nothing in it yet.
    mutating func begin() {
        list += 1
        held.removeAll(keepingCapacity: true)
    }

    var isOverLimit: Bool { entries > ScopeExpansion.entriesMax || steps > ScopeExpansion.stepsMax }

    /// What is in the list, ascending.
    var scopes: [UInt16] { held.sorted() }

    /// Adds a scope and all that it implies.
    mutating func add(_ scope: Int) { add(expanded: model[scope].closure) }

    /// Adds scopes with which all that they imply is listed too.
    mutating func add(expanded scopes: [UInt16]) {
        steps += scopes.count
        for member in scopes where stamps[Int(member)] != list {
            guard !isOverLimit else { return }
            stamps[Int(member)] = list
            held.append(member)
            entries += 1
        }
    }

    /// - Returns: whether there is such a scope.
    mutating func addAll(withPrefix prefix: String) -> Bool {
        let run = order.run(withPrefix: prefix)
        for scope in run {
            guard !isOverLimit else { break }
            // Whoever holds it holds what it implies already.
            steps += 1
            if stamps[scope] != list { add(scope) }
        }
        return !run.isEmpty
    }
}
