internal import PolicyTables

/// Finds the routes that clients and scopes reach on one side only.
struct ReachComparison {
    private let comparison: Comparison
    private let groups: [Group]

    /// Routes whose demands are the same on both sides, or are changed in the same way.
    private struct Group {
        var old: Requirement?
        var new: Requirement?
        var count = 0
        var names: [String] = []
    }

    init(_ comparison: Comparison) {
        self.comparison = comparison
        let old = ReachComparison.routes(comparison, comparison.old)
        let new = ReachComparison.routes(comparison, comparison.new)
        var groups: [Group] = []
        var places: [Int64: Int] = [:]
        let names = Set(old.keys).union(new.keys).sorted { $0.lexicographicallyPrecedes($1) }
        for name in names where old[name] != new[name] {
            let key = Int64(old[name] ?? -1) << 32 | Int64(new[name] ?? -1) & 0xFFFF_FFFF
            let place = places[key] ?? groups.count
            if place == groups.count {
                places[key] = place
                groups.append(
                    Group(
                        old: old[name].map { comparison.requirements[Int($0)] },
                        new: new[name].map { comparison.requirements[Int($0)] }))
            }
            groups[place].count += 1
            if groups[place].names.count < PolicyDifference.Routes.examplesMax {
                groups[place].names.append(String(decoding: name, as: UTF8.self))
            }
        }
        self.groups = groups
    }

    /// The number of the demands of each route, by method, hosts, path and ports: whatever its service is called.
    private static func routes(_ comparison: Comparison, _ side: PolicySide) -> [[UInt8]: Int32] {
        var result: [[UInt8]: Int32] = [:]
        for service in side.model.services {
            let terms = comparison.terms(service, side)
            let hosts = service.hosts.sorted()
            let more = hosts.count > 1 ? " and \(hosts.count - 1) more hosts" : ""
            for route in service.routes {
                let ports = route.ports.isEmpty ? service.ports : route.ports
                let suffix = ports.isEmpty ? "" : " on " + ports.sorted().map(String.init).joined(separator: ", ")
                let name = "\(route.method) https://\(hosts.first ?? "")\(pathText(route.segments))\(more)\(suffix)"
                result[Array(name.utf8)] = comparison.requirement(route, of: service, terms, side)
            }
        }
        return result
    }

    func run() -> [PolicyDifference.Reach] {
        guard !groups.isEmpty else { return [] }
        var result: [PolicyDifference.Reach] = []
        let issuers = Set(comparison.old.clients.keys).union(comparison.new.clients.keys).sorted()
        for issuer in issuers {
            let identifiers = Set((comparison.old.clients[issuer] ?? [:]).keys)
                .union((comparison.new.clients[issuer] ?? [:]).keys)
            for identifier in identifiers.sorted() {
                let old = comparison.old.clients[issuer]?[identifier]
                let new = comparison.new.clients[issuer]?[identifier]
                let model = new.map { comparison.new.model.clients[$0] } ?? old.map { comparison.old.model.clients[$0] }
                add(
                    .client, model?.name ?? "", &result,
                    old: { reaches(comparison.old, $0, issuer, old) }, new: { reaches(comparison.new, $0, issuer, new) }
                )
                guard result.count < PolicyDifference.changesMax else { return result }
            }
        }
        for scope in Set(comparison.old.scopeNumbers + comparison.new.scopeNumbers).sorted() {
            add(
                .scope, comparison.scopeName(scope), &result,
                old: { opens(comparison.old, $0, scope) }, new: { opens(comparison.new, $0, scope) })
            guard result.count < PolicyDifference.changesMax else { return result }
        }
        return result
    }

    private func add(
        _ holder: PolicyDifference.Reach.Holder, _ name: String, _ result: inout [PolicyDifference.Reach],
        old: (Requirement) -> Bool, new: (Requirement) -> Bool
    ) {
        var reach = PolicyDifference.Reach(holder: holder, name: name, gained: .init(), lost: .init())
        for group in groups {
            // Everybody reaches what is public; that it is new says nothing of anybody.
            if (group.old?.ground ?? .public) == .public, (group.new?.ground ?? .public) == .public { continue }
            let before = group.old.map { isPublic($0) || old($0) } ?? false
            let now = group.new.map { isPublic($0) || new($0) } ?? false
            if now, !before { reach.gained.add(group.count, group.names) }
            if before, !now { reach.lost.add(group.count, group.names) }
        }
        if reach.gained.count + reach.lost.count > 0 { result.append(reach) }
    }

    private func isPublic(_ requirement: Requirement) -> Bool {
        requirement.ground == .public && !requirement.hasEnded(at: comparison.at)
    }

    /// Whether a token of the client is enough: with all that is approved for it, or with any scopes where this side
    /// does not list it and takes tokens of such clients.
    private func reaches(_ side: PolicySide, _ requirement: Requirement, _ issuer: Int32, _ client: Int?) -> Bool {
        let time = comparison.at
        guard !requirement.hasEnded(at: time), requirement.ground == .token, requirement.issuers.contains(issuer),
            let predicate = side.predicate(requirement, issuer: issuer, client: client, at: time)
        else { return false }
        guard let client else { return predicate.isSatisfiable }
        let held = ScopeSet(side.baseline(client, at: time).lazy.map { side.scopeNumbers[Int($0)] })
            .subtracting(predicate.forbidden)
        return predicate.clauses.allSatisfy { !$0.intersection(held).isEmpty }
    }

    private func opens(_ side: PolicySide, _ requirement: Requirement, _ scope: Int) -> Bool {
        guard !requirement.hasEnded(at: comparison.at), requirement.ground == .token else { return false }
        return side.plainPredicate(requirement, at: comparison.at).clauses.allSatisfy { $0.contains(scope) }
    }
}

/// A template as text, names of parameters left out.
func pathText(_ segments: [RouteModel.Segment]) -> String {
    segments.map { segment in
        switch segment {
        case .literal(let text):
            var bytes: [UInt8] = []
            appendCanonicalLiteral(text, to: &bytes)
            return "/" + String(decoding: bytes, as: UTF8.self)
        case .parameter: return "/{}"
        case .rest: return "/**"
        }
    }.joined()
}
