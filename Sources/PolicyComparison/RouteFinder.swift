/// What requests of one class of paths come to, by method: the rules of `HostTable.match`, `matchPreflight` and
/// `DecisionState.findRoute`.
struct RouteFinder {
    let old: PathTrie
    let new: PathTrie
    let get: Int32
    let head: Int32
    let options: Int32
    /// By number.
    let portLists: [[UInt16]]
    /// Why the old policy denies all of them, if it does.
    let denial: String?

    /// A route, or the name of the reason why there is none.
    private enum Found {
        case rule(PathTrie.Rule)
        case none(String)

        var rule: PathTrie.Rule? {
            if case .rule(let rule) = self { rule } else { nil }
        }
    }

    /// - Parameter visit: is given method, requested method of a preflight, the old rule or why there is none, and the
    ///   new one.
    func run(
        _ state: PathState, _ ports: PortClass,
        _ visit: (Int32, Int32?, PathTrie.Rule?, String, PathTrie.Rule) -> Void
    ) {
        let oldEndings = (plain: old.endings(state.plain.old), decoded: state.decoded.map { old.endings($0.old) })
        let newEndings = (plain: new.endings(state.plain.new), decoded: state.decoded.map { new.endings($0.new) })
        guard let best = newEndings.plain.first else { return }
        var methods = listed(best, new)
        for method in methods {
            guard let now = find(method, nil, newEndings, new, ports.port).rule else { continue }
            let before = oldRoute(method, nil, oldEndings, ports)
            if before.rule?.requirement == now.requirement { continue }
            visit(method, nil, before.rule, reason(before), now)
        }
        let oldOthers = oldEndings.decoded ?? []
        guard takesOptions(newEndings.plain, new) || takesOptions(oldEndings.plain + oldOthers, old) else { return }
        // Beside those of the new policy, the old one's own methods can make a preflight of the request.
        for oldBest in [oldEndings.plain.first, oldOthers.first].compactMap(\.self) {
            methods += listed(oldBest, old).filter { !methods.contains($0) }
        }
        for method in methods {
            guard let now = find(options, method, newEndings, new, ports.port).rule else { continue }
            let before = oldRoute(options, method, oldEndings, ports)
            if before.rule?.requirement == now.requirement { continue }
            // An ordinary request on both sides was looked at above.
            if now.ground != .preflight, before.rule?.place == oldRoute(options, nil, oldEndings, ports).rule?.place {
                continue
            }
            visit(options, method, before.rule, reason(before), now)
        }
    }

    private func reason(_ found: Found) -> String {
        if case .none(let reason) = found { denial ?? reason } else { "" }
    }

    private func takesOptions(_ endings: [Int32], _ trie: PathTrie) -> Bool {
        endings.contains { trie.terminals[Int($0)].hasOptions }
    }

    /// Methods that a path lists, and HEAD where GET stands for it.
    private func listed(_ terminal: Int32, _ trie: PathTrie) -> [Int32] {
        var result: [Int32] = []
        for rule in trie.terminals[Int(terminal)].rules where result.last != rule.method { result.append(rule.method) }
        if result.contains(get), !result.contains(head) { result.append(head) }
        return result
    }

    private func oldRoute(
        _ method: Int32, _ requested: Int32?, _ endings: (plain: [Int32], decoded: [Int32]?), _ ports: PortClass
    ) -> Found {
        if old.root < 0 { return .none("port_not_allowed") }
        return find(method, requested, endings, old, ports.port)
    }

    /// Both readings of the path must come to one route.
    private func find(
        _ method: Int32, _ requested: Int32?, _ endings: (plain: [Int32], decoded: [Int32]?), _ trie: PathTrie,
        _ port: UInt16
    ) -> Found {
        let found = find(method, requested, endings.plain, trie, port)
        guard let decoded = endings.decoded, let rule = found.rule else { return found }
        let other = find(method, requested, decoded, trie, port)
        return other.rule?.place == rule.place ? found : .none("ambiguous_target")
    }

    private func find(
        _ method: Int32, _ requested: Int32?, _ endings: [Int32], _ trie: PathTrie, _ port: UInt16
    ) -> Found {
        if let requested, let rule = preflight(requested, endings, trie, port) { return .rule(rule) }
        guard let best = endings.first else { return .none("unknown_route") }
        let found = match(best, method, trie, port)
        // A preflight route answers preflights only.
        if found.rule?.ground == .preflight { return .none("method_not_allowed") }
        return found
    }

    private func preflight(_ requested: Int32, _ endings: [Int32], _ trie: PathTrie, _ port: UInt16) -> PathTrie.Rule? {
        guard let best = endings.first, let rule = match(best, requested, trie, port).rule, rule.ground != .preflight,
            let place = endings.first(where: { trie.terminals[Int($0)].hasOptions }),
            let answer = match(place, options, trie, port).rule, answer.ground == .preflight
        else { return nil }
        return answer
    }

    private func match(_ terminal: Int32, _ method: Int32, _ trie: PathTrie, _ port: UInt16) -> Found {
        let rules = trie.terminals[Int(terminal)].rules
        var own = rules.filter { $0.method == method }
        if own.isEmpty, method == head { own = rules.filter { $0.method == get } }
        if own.isEmpty { return .none("method_not_allowed") }
        let open = own.first { rule in
            let ports = portLists[Int(rule.ports)]
            return ports.isEmpty || ports.contains(port)
        }
        return open.map { .rule($0) } ?? .none("port_not_allowed")
    }
}
