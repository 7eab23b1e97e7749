internal import PolicyTables

/// Hosts with the same services in both policies, by index.
struct HostGroup {
    var hosts: [String]
    var old: [Int]
    var new: [Int]
}

/// Ports on which both policies have the same services and routes open.
struct PortClass {
    /// One of them.
    var port: UInt16
    var old: [Int]
    var new: [Int]
}

/// A class of requests, and what it comes to in both policies.
struct RequestClass {
    var hosts: [String]
    var port: UInt16
    var method: Int32
    /// Of a CORS preflight.
    var requestedMethod: Int32?
    var path: [SegmentClass]
    /// Whether longer paths that begin so come to the same.
    var isOpenEnded: Bool
    /// nil where it is denied before any demand; `denial` says why.
    var old: PathTrie.Rule?
    var denial: String
    var new: PathTrie.Rule
}

/// Finds all classes of requests that the new policy has a route for, but for those that both answer alike.
struct RequestComparison {
    private let comparison: Comparison
    private let methods: Methods
    private let meter: PlanMeter
    private var portLists: [[UInt16]] = []
    private var portListNumbers = MeaningTable()
    private var oldTerms: [Int: Comparison.ServiceTerms] = [:]
    private var newTerms: [Int: Comparison.ServiceTerms] = [:]
    private var escapable: [Int32: Bool] = [:]

    private struct Methods {
        let get: Int32
        let head: Int32
        let options: Int32
        let empty: Int32
    }

    init(_ comparison: Comparison, progress: PlanProgress? = nil) {
        self.comparison = comparison
        meter = PlanMeter(progress)
        methods = Methods(
            get: comparison.texts.number("GET"), head: comparison.texts.number("HEAD"),
            options: comparison.texts.number("OPTIONS"), empty: comparison.texts.number(""))
    }

    mutating func run(_ visit: (RequestClass) -> Void) {
        let groups = hostGroups()
        meter.begin(routes: groups.map(routeCount))
        for group in groups {
            meter.beginGroup(routes: routeCount(group))
            defer { meter.endGroup() }
            var tries: [[Int]: [PathTrie]] = [:]
            for classes in portClasses(group) {
                guard let first = classes.first, !first.new.isEmpty else { continue }
                if tries[[0] + first.old] == nil {
                    tries[[0] + first.old] = [trie(first.old, comparison.old, isOld: true)]
                }
                if tries[[1] + first.new] == nil {
                    tries[[1] + first.new] = [trie(first.new, comparison.new, isOld: false)]
                }
                guard let old = tries[[0] + first.old]?.first, let new = tries[[1] + first.new]?.first else { continue }
                compare(old, new, group, classes, visit)
                guard comparison.stepsLeft > 0 else { return }
            }
        }
    }

    /// In both policies.
    private func routeCount(_ group: HostGroup) -> Int {
        group.old.reduce(0) { $0 + comparison.old.model.services[$1].routes.count }
            + group.new.reduce(0) { $0 + comparison.new.model.services[$1].routes.count }
    }

    // MARK: Hosts

    /// Every host that a policy names; for each `*.` one that it alone takes. All others are denied by both.
    private func hostGroups() -> [HostGroup] {
        let old = services(comparison.old.model)
        let new = services(comparison.new.model)
        let hosts = Set(old.keys).union(new.keys)
        var groups: [HostGroup] = []
        var places: [[Int]: Int] = [:]
        for host in hosts.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            let name = host.first == 0x2A ? witness(host, hosts) : host
            let group = HostGroup(
                hosts: [String(decoding: name, as: UTF8.self)], old: lookup(name, old), new: lookup(name, new))
            let key = group.old + [-1] + group.new
            if let place = places[key] {
                groups[place].hosts += group.hosts
            } else {
                places[key] = groups.count
                groups.append(group)
            }
        }
        return groups
    }

    private func services(_ model: PolicyModel) -> [[UInt8]: [Int]] {
        var result: [[UInt8]: [Int]] = [:]
        for (index, service) in model.services.enumerated() {
            for host in service.hosts where result[Array(host.utf8)]?.last != index {
                result[Array(host.utf8), default: []].append(index)
            }
        }
        return result
    }

    /// A name that the wildcard covers and no policy lists.
    private func witness(_ wildcard: [UInt8], _ hosts: Set<[UInt8]>) -> [UInt8] {
        var number = 0
        while true {
            let label = number == 0 ? "any" : "any\(number)"
            let name = Array(label.utf8) + wildcard.dropFirst()
            if !hosts.contains(name) { return name }
            number += 1
        }
    }

    /// As `PolicyReader.hostTable` finds a table: the host's own, else that of `*.` and what follows the first label.
    private func lookup(_ host: [UInt8], _ services: [[UInt8]: [Int]]) -> [Int] {
        if let own = services[host] { return own }
        guard let dot = host.firstIndex(of: 0x2E), dot > 0, dot + 1 < host.count else { return [] }
        return services[[0x2A] + host[dot...]] ?? []
    }

    // MARK: Ports

    /// Which of some services, or lists of ports, have a port.
    private struct PortUsers {
        var everywhere: [Int] = []
        var byPort: [UInt16: [Int]] = [:]

        mutating func add(_ user: Int, _ ports: [UInt16]) {
            if ports.isEmpty { everywhere.append(user) }
            for port in Set(ports) { byPort[port, default: []].append(user) }
        }

        /// Ascending.
        func users(of port: UInt16) -> [Int] {
            guard let own = byPort[port] else { return everywhere }
            return (everywhere + own).sorted()
        }
    }

    /// Classes of ports with the same services stand together, since they share their tries.
    private func portClasses(_ group: HostGroup) -> [[PortClass]] {
        var lists: Set<[UInt16]> = []
        var old = PortUsers()
        var new = PortUsers()
        for service in group.old { old.add(service, comparison.old.model.services[service].ports) }
        for service in group.new { new.add(service, comparison.new.model.services[service].ports) }
        for (model, services) in [(comparison.old.model, group.old), (comparison.new.model, group.new)] {
            for service in services {
                for route in model.services[service].routes where !route.ports.isEmpty { lists.insert(route.ports) }
            }
        }
        var routes = PortUsers()
        for (number, list) in lists.enumerated() { routes.add(number, list) }
        let listed = Set(old.byPort.keys).union(new.byPort.keys).union(routes.byPort.keys)
        let preferred: [UInt16] = [443, 8443, 80, 8080]
        let other = preferred.first { !listed.contains($0) } ?? (1...UInt16.max).first { !listed.contains($0) }
        var known: Set<[Int]> = []
        var groups: [[PortClass]] = []
        var places: [[Int]: Int] = [:]
        for port in (other.map { [$0] } ?? []) + listed.sorted() {
            let one = PortClass(port: port, old: old.users(of: port), new: new.users(of: port))
            let services = one.old + [-1] + one.new
            guard known.insert(services + [-1] + routes.users(of: port)).inserted else { continue }
            if let place = places[services] {
                groups[place].append(one)
            } else {
                places[services] = groups.count
                groups.append([one])
            }
        }
        return groups
    }

    // MARK: Tries

    private mutating func trie(_ services: [Int], _ side: PolicySide, isOld: Bool) -> PathTrie {
        var keys: [Int32] = []
        var items: [PathTrie.Item] = []
        for index in services {
            let service = side.model.services[index]
            let known = isOld ? oldTerms[index] : newTerms[index]
            let terms = known ?? comparison.terms(service, side)
            if isOld { oldTerms[index] = terms } else { newTerms[index] = terms }
            for (number, route) in service.routes.enumerated() {
                meter.step()
                let start = keys.count
                for segment in route.segments {
                    switch segment {
                    case .literal(let text): keys.append(comparison.texts.number(text) + PathTrie.firstLiteral)
                    case .parameter: keys.append(PathTrie.parameter)
                    case .rest: keys.append(PathTrie.rest)
                    }
                }
                let requirement = comparison.requirement(route, of: service, terms, side)
                items.append(
                    PathTrie.Item(
                        start: start, end: keys.count,
                        rule: PathTrie.Rule(
                            method: comparison.texts.number(route.method), ports: ports(route.ports),
                            requirement: requirement, ground: comparison.requirements[Int(requirement)].ground,
                            place: RouteLocation(service: index, route: number))))
            }
        }
        return PathTrie(items, keys: keys, options: methods.options, meanings: &comparison.pathMeanings)
    }

    private mutating func ports(_ ports: [UInt16]) -> Int32 {
        let sorted = Set(ports).sorted()
        let number = portListNumbers.number(sorted.map(Int64.init))
        if Int(number) == portLists.count { portLists.append(sorted) }
        return number
    }

    // MARK: Paths

    private mutating func compare(
        _ old: PathTrie, _ new: PathTrie, _ group: HostGroup, _ classes: [PortClass], _ visit: (RequestClass) -> Void
    ) {
        let comparison = comparison
        let meter = meter
        let budget = comparison.stepsLeft
        var walk = PathWalk(old: old, new: new, emptyText: methods.empty, stepsLeft: comparison.stepsLeft) { text in
            comparison.texts.text(text).utf8.contains(where: isReserved)
        }
        let finder = RouteFinder(
            old: old, new: new, get: methods.get, head: methods.head, options: methods.options, portLists: portLists,
            denial: group.old.isEmpty ? "unknown_host" : nil)
        walk.run { path, state in
            meter.step()
            let isOpenEnded = [state.plain, state.decoded ?? state.plain].allSatisfy {
                !old.hasNode($0.old) && !new.hasNode($0.new)
            }
            for ports in classes {
                finder.run(state, ports) { method, requested, oldRule, denial, newRule in
                    visit(
                        RequestClass(
                            hosts: group.hosts, port: ports.port, method: method, requestedMethod: requested,
                            path: path,
                            isOpenEnded: isOpenEnded,
                            old: oldRule, denial: denial, new: newRule))
                }
            }
        }
        // What the visits have used is gone already; whichever runs out, the plan says that it was not finished.
        comparison.stepsLeft -= budget - walk.stepsLeft
    }
}

/// Characters that stand for themselves in a path and that a request may escape all the same: RFC 3986 §3.3 `pchar` but
/// for unreserved characters, and `;`.
func isReserved(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x21, 0x24, 0x26...0x2C, 0x3A, 0x3B, 0x3D, 0x40: true
    default: false
    }
}
