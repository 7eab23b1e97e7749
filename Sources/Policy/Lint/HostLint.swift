internal import PolicyTables

// Rules over services that share hosts. A host that is listed itself is never looked for under a wildcard.

extension PolicyLinter {
    func checkHosts() {
        checkOverlaps()
        checkSharedPaths()
    }

    private func checkOverlaps() {
        var owners: [String: [Int]] = [:]
        for (index, service) in model.services.enumerated() {
            for host in service.hosts { owners[host, default: []].append(index) }
        }
        for (index, service) in model.services.enumerated() {
            for host in service.hosts where !host.hasPrefix("*.") {
                guard let dot = host.firstIndex(of: ".") else { continue }
                for wildcard in owners["*" + host[dot...]] ?? []
                where wildcard != index && !(owners[host] ?? []).contains(wildcard) {
                    // Each asks which paths both have.
                    guard spend(model.services[index].routes.count + model.services[wildcard].routes.count) else {
                        return
                    }
                    reportOverlap(index, host, wildcard)
                }
            }
        }
    }

    private func reportOverlap(_ owner: Int, _ host: String, _ wildcard: Int) {
        let here = place(service: wildcard)
        let there = place(service: owner)
        let own = Set(model.services[owner].routes.map { PolicyLinter.shape($0.segments) })
        let shared = model.services[wildcard].routes.first { own.contains(PolicyLinter.shape($0.segments)) }
        let both = shared.map { "; \(quoted($0.label)) stands in both, and there only the one of that service counts" }
        add(
            .overlappingHosts, at: here,
            "the routes of \(quoted(model.services[wildcard].name)) do not apply on \(quoted(host)), which its wildcard "
                + "matches: \(quoted(model.services[owner].name)) (\(line(there, from: here))) lists that host itself"
                + (both ?? ""),
            mend: "list \(quoted(host)) in both services if both answer there, or allow this if it is meant")
    }

    /// One path whose methods two services share: neither file shows who may do what there.
    private func checkSharedPaths() {
        var firsts: [PathOnHost: (service: Int, route: Int)] = [:]
        let isShared = sharedHosts()
        for (service, model) in model.services.enumerated() {
            for host in model.hosts where isShared.contains(host) {
                guard spend(model.routes.count) else { return }
                for (index, one) in model.routes.enumerated() where isProtected(one) {
                    let path = PathOnHost(host: host, shape: PolicyLinter.shape(one.segments))
                    guard let first = firsts[path] else {
                        firsts[path] = (service, index)
                        continue
                    }
                    guard first.service != service, meets(first, (service, index)) else { continue }
                    let here = place(service: service, route: index)
                    let there = place(service: first.service, route: first.route)
                    add(
                        .pathInTwoServices, at: here,
                        "\(quoted(PathTemplate.text(one.segments))) on \(quoted(host)) belongs to two services: "
                            + "\(quoted(model.name)), and \(quoted(self.model.services[first.service].name)) in "
                            + line(there, from: here),
                        mend: "let one service list all methods of the path")
                }
            }
        }
    }

    private struct PathOnHost: Hashable {
        var host: String
        var shape: [RouteModel.Segment]
    }

    private func sharedHosts() -> Set<String> {
        var seen: Set<String> = []
        var shared: Set<String> = []
        for service in model.services {
            for host in service.hosts where !seen.insert(host).inserted { shared.insert(host) }
        }
        return shared
    }

    // MARK: Tests

    func checkTests() {
        guard !policy.tests.isEmpty else {
            add(
                .noTests, at: outline.start, "the policy has no `tests`",
                mend: "add some, with what must be allowed and what must not; they run before a policy is used")
            return
        }
        var requests: [TestRequest] = []
        var connected: Set<UInt16> = []
        for test in policy.tests {
            switch test.attempt {
            case .request(let request): requests.append(request)
            case .connection(let connection): connected.insert(connection.port)
            }
        }
        // Of `api.example.com` also as `.example.com`, for wildcards.
        var paths = Dictionary(grouping: requests) { $0.host.lowercased() }
        paths.merge(Dictionary(grouping: requests) { String($0.host.lowercased().drop { $0 != "." }) }) { $0 + $1 }
        for (index, service) in model.services.enumerated() where !isTested(service, paths) {
            reportUntested(service.name, place(service: index))
        }
        for service in model.portServices where !service.ports.contains(where: connected.contains) {
            reportUntested(service.name, outline.services[service.name]?.place ?? outline.start)
        }
    }

    private func reportUntested(_ name: String, _ place: SourcePlace) {
        add(
            .untestedService, at: place, "no test asks for anything of \(quoted(name))",
            mend: "add a test that is allowed and one that is denied; `policy test --coverage` shows each route")
    }

    /// Whether some test's URL begins as the service's routes do.
    private func isTested(_ service: ServiceModel, _ requests: [String: [TestRequest]]) -> Bool {
        let depth = outline.services[service.name]?.baseDepth ?? 0
        let base = service.routes.first { $0.segments.count >= depth }?.segments.prefix(depth) ?? []
        let prefix = base.isEmpty ? "/" : PathTemplate.text(Array(base))
        return service.hosts.contains { host in
            let candidates = requests[host.hasPrefix("*.") ? String(host.dropFirst()) : host] ?? []
            return candidates.contains { spend() && $0.target.hasPrefix(prefix) }
        }
    }
}
