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
        var hosts = ServiceHosts(services.map(\.place.hosts))
        for end in ends { try leaveOutWeakReads(endOf[end] ?? [], &trie, &hosts) }
        for end in ends { try shield(endOf[end] ?? [], &trie, &hosts) }
        var reading = trie.limited(to: ServiceDraft.ambiguityStepsMax)
        for index in ends.flatMap({ endOf[$0] ?? [] }) { remarkOnAmbiguity(index, &reading, &hosts) }
    }

    /// One method and path twice, under two names of parameters, say.
    private mutating func leaveOutConflicts(_ indices: [Int]) {
        if let hidden = indices.first(where: { document.operations[routes[$0].operation].isHidden }) {
            let path = quoted(document.operations[routes[hidden].operation].path)
            for index in indices where !routes[index].isLeftOut {
                routes[index].state = .leftOut("its path is the same as \(path), which has no operations")
            }
            return
        }
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
        let methods = methods(besides: route.operation)
        for other in others where !routes[other].isLeftOut {
            let otherMethod = document.operations[routes[other].operation].method
            let isAnswered = methods.contains(otherMethod) || (otherMethod == "HEAD" && methods.contains("GET"))
            // A method that the path has not is not opened to everybody there. GET stands for HEAD, on either side.
            let isOpened = !isAnswered && routes[other].state == .open
            guard
                isHidden || isOpened || otherMethod == method || (isRead(otherMethod) && isRead(method)),
                !isAsStrict(routes[other], as: route, &trie)
            else { continue }
            routes[other].state = .leftOut(
                "it would also answer for `\(name(of: route))`, which cannot be told from it and requires other things"
            )
        }
    }

    /// Of the operation's path; its operations stand together.
    private func methods(besides operation: Int) -> Set<String> {
        let path = document.operations[operation].path.utf8
        func isSame(_ index: Int) -> Bool { document.operations[index].path.utf8.elementsEqual(path) }
        var start = operation
        while start > 0, isSame(start - 1) { start -= 1 }
        return Set(document.operations[start...].prefix { $0.path.utf8.elementsEqual(path) }.map(\.method))
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
    private mutating func leaveOutWeakReads(
        _ indices: [Int], _ trie: inout RouteTrie, _ hosts: inout ServiceHosts
    ) throws(DocumentError) {
        let heads = indices.filter { document.operations[routes[$0].operation].method == "HEAD" }
        let listed = Set(heads.filter { !routes[$0].isLeftOut }.map { routes[$0].service })
        let missing = heads.filter { routes[$0].isLeftOut }
        guard !missing.isEmpty else { return }
        for index in indices where document.operations[routes[index].operation].method == "GET" {
            let service = routes[index].service
            if listed.contains(where: { hosts.isCovered(service, by: $0) }) { continue }
            for head in missing where !routes[index].isLeftOut {
                if isAsStrict(routes[index], as: routes[head], &trie) { continue }
                routes[index].state = .leftOut(
                    "it would also answer for `\(name(of: routes[head]))`, which is left out and requires something else"
                )
            }
            trie.spend(missing.count)
            try checkSteps(trie)
        }
    }

    /// A path of which nothing is left still has to keep weaker paths from answering for it: once on each host.
    private mutating func shield(
        _ indices: [Int], _ trie: inout RouteTrie, _ hosts: inout ServiceHosts
    ) throws(DocumentError) {
        let listed = indices.filter { !routes[$0].isLeftOut }
        let listing = Set(listed.map { routes[$0].service })
        var first: [Int: Int] = [:]
        for index in indices where first[routes[index].service] == nil { first[routes[index].service] = index }
        var shielding: [Int] = []
        // Who has the most hosts has those of the others, if anybody has.
        for (service, index) in first.sorted(by: { hosts.count($0.key, $0.value) > hosts.count($1.key, $1.value) }) {
            if listing.contains(where: { hosts.isCovered(service, by: $0) }) { continue }
            if shielding.contains(where: { hosts.isCovered(service, by: $0) }) { continue }
            let others = trie.overlapping(routes[index].segments)
            try checkSteps(trie)
            guard others.contains(where: { !routes[$0].isLeftOut && hosts.isShared(service, routes[$0].service) })
            else { continue }
            let preflights = listed.filter { document.operations[routes[$0].operation].method == "OPTIONS" }
            guard !(shielding + preflights.map { routes[$0].service }).contains(where: { hosts.isShared(service, $0) })
            else {
                throw DocumentError(
                    line: document.operations[routes[index].operation].line,
                    "`\(name(of: routes[index]))` is left out, and nothing can keep other paths from answering for it: its "
                        + "path is served on some of the hosts by other operations too",
                    mend: "name the hosts with --host, one import for each, or give the operations the same servers")
            }
            shields.append((service, routes[index].pattern))
            shielding.append(service)
        }
    }

    /// `/{a}/x` beside `/y/{b}`: OpenAPI leaves open whose `/y/x` is, here it is that of the path that is more specific
    /// from the left.
    private mutating func remarkOnAmbiguity(_ index: Int, _ trie: inout RouteTrie, _ hosts: inout ServiceHosts) {
        let route = routes[index]
        let method = document.operations[route.operation].method
        guard !route.isLeftOut, trie.stepsLeft >= 0 else { return }
        for other in trie.overlapping(route.segments) where !routes[other].isLeftOut {
            let otherMethod = document.operations[routes[other].operation].method
            guard otherMethod == method || (otherMethod == "HEAD" && method == "GET"),
                zip(route.segments, routes[other].segments).contains(where: isWeaker),
                hosts.isShared(route.service, routes[other].service), !isAsStrict(route, as: routes[other], &trie)
            else { continue }
            remark(
                .ambiguous,
                "some requests are those of `\(name(of: routes[other]))` too, which requires something else; this one "
                    + "decides, for its path is more specific from the left",
                operation: name(of: route))
        }
        if trie.stepsLeft < 0 {
            remark(.ambiguous, "too many paths stand for the same requests to say which one decides where")
        }
    }

    private func isWeaker(_ one: PathPattern.Segment, than other: PathPattern.Segment) -> Bool {
        guard case .parameter = one, case .literal = other else { return false }
        return true
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

/// Which services share hosts, and which have all of another's; asked for each path, and looked at once.
private struct ServiceHosts {
    private let hosts: [Set<String>]
    private var covered: [IndexPair: Bool] = [:]
    private var shared: [IndexPair: Bool] = [:]

    init(_ hosts: [[String]]) {
        self.hosts = hosts.map { Set($0) }
    }

    mutating func isCovered(_ service: Int, by other: Int) -> Bool {
        if service == other { return true }
        let pair = IndexPair(one: service, other: other)
        if let known = covered[pair] { return known }
        let isCovered = hosts[other].isSuperset(of: hosts[service])
        covered[pair] = isCovered
        return isCovered
    }

    mutating func isShared(_ service: Int, _ other: Int) -> Bool {
        if service == other { return true }
        let pair = IndexPair(one: service, other: other)
        if let known = shared[pair] { return known }
        let isShared = !hosts[service].isDisjoint(with: hosts[other])
        shared[pair] = isShared
        return isShared
    }

    /// For sorting: how many, then the earlier of equal ones.
    func count(_ service: Int, _ order: Int) -> (Int, Int) { (hosts[service].count, -order) }
}
