internal import PolicyTables

/// Groups of services that share hosts, directly or through others: only those can have routes in common.
struct HostClusters {
    /// The services of each group, ascending; groups in the order of their first services.
    let members: [[Int]]

    init(_ services: [ServiceModel]) {
        var parent = Array(services.indices)
        func root(_ service: Int) -> Int {
            var current = service
            while parent[current] != current {
                parent[current] = parent[parent[current]]
                current = parent[current]
            }
            return current
        }
        var owner: [String: Int] = [:]
        for (index, service) in services.enumerated() {
            for host in service.hosts {
                if let first = owner[host] { parent[root(index)] = root(first) } else { owner[host] = index }
            }
        }
        var groups: [[Int]] = []
        var groupOfRoot: [Int: Int] = [:]
        for service in services.indices {
            let root = root(service)
            if let group = groupOfRoot[root] {
                groups[group].append(service)
            } else {
                groupOfRoot[root] = groups.count
                groups.append([service])
            }
        }
        members = groups
    }
}

/// For pairs of services some host that both have, found once for each pair.
struct SharedHosts {
    private var known: [UInt64: String?] = [:]

    mutating func shared(_ left: Int32, _ right: Int32, _ services: [ServiceModel]) -> String? {
        let one = services[Int(left)].hosts
        if left == right { return one.first ?? "" }
        let key = UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
        if let answer = known[key] { return answer }
        let hosts = Set(one)
        let answer = services[Int(right)].hosts.first { hosts.contains($0) }
        known.updateValue(answer, forKey: key)
        return answer
    }
}

/// Which route holds which port, for one method and path.
struct PortTable {
    private var onAnyPort: ModelReader.RouteShape?
    private var byPort: [UInt16: ModelReader.RouteShape] = [:]

    /// A route that is open on one of `ports`; no ports means all of them.
    func conflict(_ ports: [UInt16]) -> ModelReader.RouteShape? {
        if let onAnyPort { return onAnyPort }
        if ports.isEmpty { return byPort.min { $0.key < $1.key }?.value }
        for port in ports {
            if let route = byPort[port] { return route }
        }
        return nil
    }

    mutating func add(_ route: ModelReader.RouteShape, _ ports: [UInt16]) {
        if ports.isEmpty { onAnyPort = onAnyPort ?? route }
        for port in ports where byPort[port] == nil { byPort[port] = route }
    }
}
