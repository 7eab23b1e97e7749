internal import PolicyTables

/// Finds the routes that answer published operations, host by host and port by port, as requests find them.
struct AnswerSearch {
    struct Answer {
        /// Places in `routes`, each once.
        var found: [Int] = []
        /// Routes of its path, of whichever methods, where there are any.
        var places: [Int] = []
        /// A route of the path has the method, on other ports or in a service that has ended.
        var hasMethod = false
        /// Where it is published and nothing answers.
        var gaps: [Gap] = []
    }

    struct Gap {
        var hosts: [String]
        /// Nothing answers on any other host either, or there is none.
        var isOnAllHosts: Bool
        var ports: PortSet
    }

    /// Hosts that the same services have.
    private struct HostGroup {
        var hosts: Set<String> = []
        /// Of the policy, ascending.
        var services: [Int]
    }

    private let services: [ServiceModel]
    private let service: Int
    private let now: Int64
    private let hostLists: [[String]]
    private let groups: [HostGroup]
    /// Those of the service, and of all that answer on the same hosts.
    private(set) var routes: [(service: Int, route: RouteModel)] = []
    private var routesOf: [Int: Range<Int>] = [:]

    /// - Parameter hostLists: hosts that the service has, as operations name them.
    init(_ model: PolicyModel, service: Int, hostLists: [[String]], now: Int64) {
        services = model.services
        self.service = service
        self.now = now
        self.hostLists = hostLists
        groups = AnswerSearch.groups(hostLists, model.services)
        for index in Set(groups.flatMap(\.services) + [service]).sorted() {
            let start = routes.count
            routes += model.services[index].routes.map { (index, $0) }
            routesOf[index] = start..<routes.count
        }
    }

    /// A host that some service names is never that of a `*.`, whoever has that.
    private static func groups(_ hostLists: [[String]], _ services: [ServiceModel]) -> [HostGroup] {
        var owners: [String: [Int]] = [:]
        for (index, service) in services.enumerated() {
            for host in service.hosts { owners[host, default: []].append(index) }
        }
        var groups: [HostGroup] = []
        var groupOf: [[Int]: Int] = [:]
        for host in hostLists.joined() {
            let wildcard = host.firstIndex(of: ".").map { "*" + host[$0...] } ?? ""
            let members = owners[host] ?? owners[wildcard] ?? []
            let group = groupOf[members] ?? groups.count
            if group == groups.count {
                groups.append(HostGroup(services: members))
                groupOf[members] = group
            }
            groups[group].hosts.insert(host)
        }
        return groups
    }

    /// Each port has the paths of the services that are open on it, and no others.
    private func views(_ members: [Int]) -> [(services: [Int], ports: PortSet)] {
        var openOn: [UInt16: [Int]] = [:]
        for member in members {
            for port in services[member].ports { openOn[port, default: []].append(member) }
        }
        let everywhere = members.filter { services[$0].ports.isEmpty }
        var portsOf: [[Int]: [UInt16]] = [:]
        for (port, open) in openOn { portsOf[(open + everywhere).sorted(), default: []].append(port) }
        var views = portsOf.map { (services: $0.key, ports: PortSet(listed: $0.value)) }
        views.sort { $0.services.lexicographicallyPrecedes($1.services) }
        if !everywhere.isEmpty {
            let others = PortSet.all.subtracting(openOn.isEmpty ? .empty : PortSet(listed: Array(openOn.keys)))
            views.append((everywhere, others))
        }
        return views
    }

    /// What answers each of the operations.
    func answers(to operations: [PublishedOperation]) -> [Answer] {
        var answers = [Answer](repeating: Answer(), count: operations.count)
        for group in groups {
            let hosts = hostLists.map { $0.filter(group.hosts.contains) }
            var answered = [PortSet](repeating: .empty, count: operations.count)
            for view in views(group.services) {
                let trie = trie(view.services)
                for (index, operation) in operations.enumerated() where !hosts[operation.hostList].isEmpty {
                    let wanted = (operation.ports ?? .all).intersection(view.ports)
                    guard !wanted.isEmpty else { continue }
                    let places = trie.match(operation.segments)
                    let open = open(places, operation, on: wanted, &answers[index])
                    answered[index] = answered[index].union(open)
                }
            }
            for (index, operation) in operations.enumerated() where !hosts[operation.hostList].isEmpty {
                let isAnswered = !answered[index].isEmpty
                // What says nothing of ports is answered on whichever.
                let missing = operation.ports?.subtracting(answered[index]) ?? (isAnswered ? .empty : .all)
                guard !missing.isEmpty else { continue }
                let own = hosts[operation.hostList]
                let isOnAllHosts = own.count == hostLists[operation.hostList].count
                answers[index].gaps.append(Gap(hosts: own, isOnAllHosts: isOnAllHosts, ports: missing))
            }
        }
        return answers
    }

    private func trie(_ members: [Int]) -> RouteTrie {
        var trie = RouteTrie()
        for place in members.compactMap({ routesOf[$0] }).joined() {
            _ = trie.add(routes[place].route.segments.lazy.map(\.shapeInTrie), place)
        }
        return trie
    }

    /// Ports on which one of these routes answers.
    private func open(
        _ places: [Int], _ operation: PublishedOperation, on ports: PortSet, _ answer: inout Answer
    ) -> PortSet {
        if answer.places.isEmpty { answer.places = places }
        var open = PortSet.empty
        for place in answering(places, operation) {
            answer.hasMethod = true
            let shared = self.ports(of: place).intersection(ports)
            guard !shared.isEmpty, !isOver(routes[place].service) else { continue }
            open = open.union(shared)
            if !answer.found.contains(place) { answer.found.append(place) }
        }
        return open
    }

    /// The routes among these that answer the method, on whichever ports.
    private func answering(_ places: [Int], _ operation: PublishedOperation) -> [Int] {
        let method = operation.method
        let own = places.filter { routes[$0].route.method == method }
        let found = own.isEmpty && method == "HEAD" ? places.filter { routes[$0].route.method == "GET" } : own
        return found.filter { routes[$0].route.isPreflight == operation.isPreflight }
    }

    /// The service itself is reported as such.
    private func isOver(_ other: Int) -> Bool {
        other != service && services[other].until.map { $0 <= now } ?? false
    }

    func ports(of place: Int) -> PortSet {
        let (service, route) = routes[place]
        return PortSet(listed: route.ports.isEmpty ? services[service].ports : route.ports)
    }
}

extension RouteModel {
    var isPreflight: Bool { if case .preflight = ground { true } else { false } }
}
