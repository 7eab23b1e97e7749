internal import PolicyTables

/// Scopes of a policy by name, with what holding them comes to at one time.
struct ScopeHoldings {
    private let model: PolicyModel
    private let now: Int64
    private let indexes: [String: Int]

    init(_ model: PolicyModel, now: Int64) {
        self.model = model
        self.now = now
        indexes = Dictionary(
            model.scopes.enumerated().map { ($0.element.name, $0.offset) }, uniquingKeysWith: { first, _ in first })
    }

    func isKnown(_ name: String) -> Bool { indexes[name] != nil }

    func name(_ scope: UInt16) -> String {
        Int(scope) < model.scopes.count ? model.scopes[Int(scope)].name : ""
    }

    private func counts(_ scope: Int) -> Bool { model.scopes[scope].until.map { now < $0 } ?? true }

    /// Every scope that counts as held by whoever holds these.
    func expanded(_ scopes: some Sequence<Int>) -> Set<Int> {
        var held: Set<Int> = []
        for scope in scopes where counts(scope) {
            for granted in model.scopes[scope].closure where counts(Int(granted)) { held.insert(Int(granted)) }
        }
        return held
    }

    func expanded(_ names: [String]) -> Set<Int> { expanded(names.compactMap { indexes[$0] }) }

    /// The scopes by index, in place of old names those that replace them; nil when one of them is unknown.
    func wanted(_ names: [String]) -> Set<Int>? {
        var result: Set<Int> = []
        for name in names {
            guard let index = indexes[name] else { return nil }
            let replaced = model.scopes[index].replacedBy
            if replaced.isEmpty { result.insert(index) } else { result.formUnion(replaced.map { Int($0) }) }
        }
        return result
    }

    func satisfies(_ held: Set<Int>, all: [UInt16], any: [UInt16]) -> Bool {
        all.allSatisfy { held.contains(Int($0)) } && (any.isEmpty || any.contains { held.contains(Int($0)) })
    }

    /// The smallest sets of scopes that satisfy a route, with what they imply; none for one that nobody can.
    func choices(all: [UInt16], any: [UInt16]) -> [Set<Int>] {
        let bases = any.isEmpty ? [all] : any.map { all + [$0] }
        return bases.filter { $0.allSatisfy { counts(Int($0)) } }.map { expanded($0.map { Int($0) }) }
    }
}

/// How the policy's requirement stands to the published one.
enum RequirementRelation {
    case same
    case stricter
    case looser
    case differs
    case notComparable
}

extension PublishedRequirement {
    /// Exact, in terms of what tokens come to under the policy's implications: whoever is let in by one side alone is
    /// found, since both sides only grow with more scopes, so that the smallest sets of each decide.
    func relation(to route: RouteModel, _ holdings: ScopeHoldings, now: Int64) -> RequirementRelation {
        let all: [UInt16]
        let any: [UInt16]
        switch route.ground {
        case .preflight: return .same
        case .public: return isOpen ? .same : .looser
        case .scopes(let required, let choice):
            all = required
            any = choice
        }
        if route.observeUntil.map({ now < $0 }) ?? false { return isOpen ? .same : .looser }
        if isOpen { return .stricter }
        if takesAnyToken { return .same }
        guard !alternatives.isEmpty else { return .notComparable }
        let wanted = alternatives.compactMap { holdings.wanted($0) }
        let policyImplies = holdings.choices(all: all, any: any).allSatisfy { held in
            wanted.contains { $0.isSubset(of: held) }
        }
        let isImplied = alternatives.allSatisfy { alternative in
            holdings.satisfies(holdings.expanded(alternative), all: all, any: any)
        }
        switch (policyImplies, isImplied) {
        case (true, true): return .same
        case (true, false): return .stricter
        case (false, true): return .looser
        case (false, false): return .differs
        }
    }

    /// What is asked for where nothing of it is scopes of a token; nil where a route can require it.
    var beyondPolicies: String? {
        guard !isOpen, !takesAnyToken, alternatives.isEmpty else { return nil }
        return leftOut.isEmpty ? "something other than scopes" : leftOut.prefix(4).joined(separator: "; ")
    }

    /// `orders:read with orders:list, or orders:admin`.
    var words: String {
        if isOpen { return "nothing" }
        if takesAnyToken { return "a token" }
        guard !alternatives.isEmpty else { return "something other than scopes" }
        let shown = alternatives.prefix(6).map { $0.prefix(8).map { quoted($0) }.joined(separator: " with ") }
        return shown.joined(separator: ", or ") + (alternatives.count > 6 ? ", or more" : "")
    }
}

extension RouteModel {
    func words(_ holdings: ScopeHoldings) -> String {
        switch ground {
        case .public: return "nothing"
        case .preflight: return "nothing of a preflight"
        case .scopes(let all, let any):
            var parts = all.prefix(8).map { quoted(holdings.name($0)) }
            if !any.isEmpty {
                parts.append("one of " + any.prefix(8).map { quoted(holdings.name($0)) }.joined(separator: ", "))
            }
            return parts.joined(separator: " with ")
        }
    }
}
