/// What must hold so that nothing is let in that the document keeps out.
extension ServiceDraft {
    /// Services that share hosts, directly or through others.
    func clusters() -> [[Int]] {
        var cluster = Array(services.indices)
        var ofHost: [String: Int] = [:]
        func root(_ index: Int) -> Int {
            var index = index
            while cluster[index] != index { index = cluster[index] }
            return index
        }
        for service in services.indices {
            for host in services[service].place.hosts {
                if let other = ofHost[host] { cluster[root(service)] = root(other) } else { ofHost[host] = service }
            }
        }
        let grouped = Dictionary(grouping: services.indices, by: root)
        return grouped.keys.sorted().map { grouped[$0] ?? [] }
    }

    mutating func settle(_ cluster: [Int]) throws(DocumentError) {
        // Services that share hosts share ports: what follows is about paths alone.
        let first = services[cluster[0]].place.ports
        if let other = cluster.first(where: { Set(services[$0].place.ports) != Set(first) }) {
            throw DocumentError(
                "operations of \(quoted(services[other].place.hosts.first ?? "")) are served at different ports, and a path "
                    + "would be opened at all of them",
                mend: "import them one by one, or give the hosts with --host where ports do not matter")
        }
        let ports = cluster.reduce(first) { ServerPlace.ports($0, services[$1].place.ports) }
        for service in cluster { services[service].place.ports = ports }
        var trie = RouteTrie()
        var endOf: [Int: [Int]] = [:]
        for service in cluster {
            for index in services[service].routes where routes[index].pattern.problem == nil {
                let end = trie.add(routes[index].segments.lazy.map(\.shapeInTrie), index)
                endOf[end, default: []].append(index)
            }
        }
        let ends = endOf.keys.sorted()
        for end in ends { leaveOutConflicts(endOf[end] ?? []) }
        // One operation for each method and path: as many names of parameters as there may be, each is asked for once.
        trie.keep { !routes[$0].isLeftOut }
        for service in cluster {
            for index in services[service].routes { try guardInexpressible(index, &trie) }
        }
        for end in ends { try leaveOutWeakReads(endOf[end] ?? [], &trie) }
        var covers = HostCovers(services.map(\.place.hosts))
        for end in ends { try shield(endOf[end] ?? [], &trie, &covers) }
    }

    /// One method and path twice, under two names of parameters, say.
    private mutating func leaveOutConflicts(_ indices: [Int]) {
        var first: [String: Int] = [:]
        for index in indices {
            let method = document.operations[routes[index].operation].method
            guard let other = first[method] else {
                first[method] = index
                continue
            }
            let earlier = name(of: routes[other])
            if routes[other].requirement == routes[index].requirement || routes[other].state == routes[index].state {
                routes[index].state = routes[other].isLeftOut ? routes[other].state : .covered(by: earlier)
            } else {
                routes[index].state = .leftOut("it is the same request as `\(earlier)`, which requires something else")
                if routes[other].isLeftOut { continue }
                routes[other].state = .leftOut(
                    "it is the same request as `\(name(of: routes[index]))`, which requires something else")
            }
        }
    }

    /// An operation whose path cannot be said must not be answered by a weaker path.
    private mutating func guardInexpressible(_ index: Int, _ trie: inout RouteTrie) throws(DocumentError) {
        let route = routes[index]
        guard route.pattern.problem != nil, !route.pattern.isNeverRequested else { return }
        let method = document.operations[route.operation].method
        let isHidden = document.operations[route.operation].isHidden
        let others = trie.overlapping(route.segments)
        try checkSteps(trie)
        for other in others where !routes[other].isLeftOut {
            let otherMethod = document.operations[routes[other].operation].method
            // GET stands for HEAD, on either side.
            guard isHidden || otherMethod == method || (isRead(otherMethod) && isRead(method)),
                !isAsStrict(routes[other], as: route, &trie)
            else { continue }
            routes[other].state = .leftOut(
                "it would also answer for `\(name(of: route))`, which cannot be told from it and requires other things"
            )
        }
    }

    private func isRead(_ method: String) -> Bool { method == "GET" || method == "HEAD" }

    /// Whether whoever gets through the first gets through the second.
    private mutating func isAsStrict(_ route: Route, as other: Route, _ trie: inout RouteTrie) -> Bool {
        let wanted = requirements[other.requirement]
        if wanted.isOpen, !(wanted.isUnstated && options.deniesUnstated) { return true }
        switch route.state {
        case .open: return false
        case .leftOut, .covered: return true
        case .scopes(let formula):
            if wanted.takesAnyToken { return true }
            // What a route demands follows from its requirement.
            let pair = IndexPair(one: route.requirement, other: other.requirement)
            if let known = implications[pair] { return known }
            trie.spend((1 + formula.any.count) * wanted.alternatives.count)
            let isImplied = formula.implies(wanted.alternatives)
            implications[pair] = isImplied
            return isImplied
        }
    }

    /// GET answers for HEAD where HEAD is not listed: one that was left out would be let in.
    private mutating func leaveOutWeakReads(_ indices: [Int], _ trie: inout RouteTrie) throws(DocumentError) {
        let heads = indices.filter { document.operations[routes[$0].operation].method == "HEAD" }
        guard let head = heads.first, heads.allSatisfy({ routes[$0].isLeftOut }) else { return }
        for index in indices where document.operations[routes[index].operation].method == "GET" {
            if routes[index].isLeftOut || isAsStrict(routes[index], as: routes[head], &trie) { continue }
            routes[index].state = .leftOut(
                "it would also answer for `\(name(of: routes[head]))`, which is left out and requires something else")
        }
        try checkSteps(trie)
    }

    /// A path of which nothing is left still has to keep weaker paths from answering for it.
    private mutating func shield(
        _ indices: [Int], _ trie: inout RouteTrie, _ covers: inout HostCovers
    ) throws(DocumentError) {
        let listed = Set(indices.filter { !routes[$0].isLeftOut }.map { routes[$0].service })
        var seen: Set<Int> = []
        for index in indices where seen.insert(routes[index].service).inserted {
            let service = routes[index].service
            if listed.contains(where: { covers.isCovered(service, by: $0) }) { continue }
            let others = trie.overlapping(routes[index].segments)
            try checkSteps(trie)
            guard others.contains(where: { !routes[$0].isLeftOut }) else { continue }
            shields.append((service, routes[index].pattern))
        }
    }

    private func checkSteps(_ trie: RouteTrie) throws(DocumentError) {
        guard trie.stepsLeft >= 0 else {
            throw DocumentError(
                "too many paths of the document stand for the same requests",
                mend: "split it, or correct paths with parameters within a segment")
        }
    }
}

/// Two places in one list.
struct IndexPair: Hashable {
    var one: Int
    var other: Int
}

/// Which services have all hosts of which others; asked for each path, and looked at once.
private struct HostCovers {
    private let hosts: [Set<String>]
    private var known: [IndexPair: Bool] = [:]

    init(_ hosts: [[String]]) {
        self.hosts = hosts.map { Set($0) }
    }

    mutating func isCovered(_ service: Int, by other: Int) -> Bool {
        if service == other { return true }
        let pair = IndexPair(one: service, other: other)
        if let known = known[pair] { return known }
        let isCovered = hosts[other].isSuperset(of: hosts[service])
        known[pair] = isCovered
        return isCovered
    }
}
