import PolicyTables

/// The matching rules read off the policy, slowly and without any table.
struct Oracle {
    let services: [ServiceModel]

    struct Candidate {
        var service: Int
        var route: Int
        /// 0 literal, 1 parameter, 2 rest, segment by segment.
        var kinds: [Int]
    }

    /// Routes that match the path on the port, grouped by path, the most specific group first.
    func groups(_ path: String, _ port: UInt16) -> [[Candidate]] {
        guard path.hasPrefix("/") else { return [] }
        let parts = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        var candidates: [Candidate] = []
        for (service, one) in services.enumerated() where one.ports.isEmpty || one.ports.contains(port) {
            for (index, route) in one.routes.enumerated() {
                guard let kinds = kinds(route.segments, parts) else { continue }
                candidates.append(Candidate(service: service, route: index, kinds: kinds))
            }
        }
        let order = Set(candidates.map(\.kinds)).sorted { $0.lexicographicallyPrecedes($1) }
        return order.map { kinds in candidates.filter { $0.kinds == kinds } }
    }

    private func kinds(_ segments: [RouteModel.Segment], _ parts: [String]) -> [Int]? {
        var kinds: [Int] = []
        for (index, segment) in segments.enumerated() {
            guard index < parts.count else { return nil }
            switch segment {
            case .literal(let text):
                var encoded: [UInt8] = []
                appendCanonicalLiteral(text, to: &encoded)
                guard encoded == Array(parts[index].utf8) else { return nil }
                kinds.append(0)
            case .parameter:
                guard !parts[index].isEmpty else { return nil }
                kinds.append(1)
            case .rest: return kinds + [2]
            }
        }
        return segments.count == parts.count ? kinds : nil
    }

    private func route(_ candidate: Candidate) -> RouteModel {
        services[candidate.service].routes[candidate.route]
    }

    private func listed(_ group: [Candidate], _ method: String) -> [Candidate] {
        let own = group.filter { route($0).method == method }
        return own.isEmpty && method == "HEAD" ? group.filter { route($0).method == "GET" } : own
    }

    private func open(_ candidates: [Candidate], _ port: UInt16) -> Candidate? {
        candidates.first { route($0).ports.isEmpty || route($0).ports.contains(port) }
    }

    /// `service.route`, or the name of the refusal.
    func match(_ method: String, _ path: String, _ port: UInt16) -> String {
        let here = services.filter { !$0.routes.isEmpty && ($0.ports.isEmpty || $0.ports.contains(port)) }
        if here.isEmpty { return "portNotAllowed" }
        guard let best = groups(path, port).first else { return "unknownRoute" }
        let listed = listed(best, method)
        if listed.isEmpty { return "methodNotAllowed" }
        guard let rule = open(listed, port) else { return "portNotAllowed" }
        return "\(rule.service).\(rule.route)"
    }

    func preflight(_ path: String, _ port: UInt16, _ requested: String) -> String? {
        let groups = groups(path, port)
        guard let best = groups.first, let rule = open(listed(best, requested), port),
            route(rule).ground != .preflight,
            let options = groups.first(where: { !listed($0, "OPTIONS").isEmpty }),
            let answer = open(listed(options, "OPTIONS"), port), route(answer).ground == .preflight
        else { return nil }
        return "\(answer.service).\(answer.route)"
    }
}
