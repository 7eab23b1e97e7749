internal import PolicyTables

/// One operation that a service publishes.
struct PublishedOperation {
    var method: String
    var segments: [RouteTrie.Segment]
    /// As the service writes it.
    var label: String
    var line: Int?
    var requirement: PublishedRequirement
    /// What a manifest says besides; nil for a document that cannot.
    var demands: RouteModel?
}

/// Holds published operations against the routes that would answer them.
struct OperationComparison {
    private let model: PolicyModel
    private let service: Int
    private let holdings: ScopeHoldings
    private let now: Int64
    /// Routes of the service, and of all that share hosts with it.
    private var routes: [(service: Int, route: RouteModel)] = []
    private var trie = RouteTrie()

    init(_ model: PolicyModel, service: Int, now: Int64) {
        self.model = model
        self.service = service
        self.now = now
        holdings = ScopeHoldings(model, now: now)
        let hosts = Set(model.services[service].hosts)
        for (index, other) in model.services.enumerated() where index == service || !hosts.isDisjoint(with: other.hosts)
        {
            for route in other.routes {
                _ = trie.add(route.segments.lazy.map(\.shapeInTrie), routes.count)
                routes.append((index, route))
            }
        }
    }

    func compare(_ operations: [PublishedOperation], _ report: inout DriftReport) {
        report.comparedCount += operations.count
        if model.services[service].until.map({ $0 <= now }) ?? false {
            report.add(
                .serviceEnded, model.services[service].name, "the policy denies all of it: its publication has ended",
                mend: "publish it again, or give it a later `ends`")
        }
        var published = RouteTrie()
        var isReached = [Bool](repeating: false, count: routes.count)
        var unknown: Set<String> = []
        for (index, operation) in operations.enumerated() {
            _ = published.add(operation.segments, index)
            reportUnknownScopes(operation, &unknown, &report)
            let places = trie.match(operation.segments)
            let found = answering(places, operation.method)
            for place in found { isReached[place] = true }
            guard !found.isEmpty else {
                if let problem = operation.requirement.beyondPolicies {
                    report.add(
                        .notComparable, operation.label,
                        "it asks for what no policy can require (\(problem)); it stays denied",
                        mend:
                            "nothing to do here; if clients are to reach it, have it ask for scopes of a token",
                        line: operation.line)
                    continue
                }
                let why = places.isEmpty ? "no route has its path" : "its path does not list the method"
                report.add(
                    .operationDenied, operation.label, "it is published and denied to everybody: \(why)",
                    mend: "add a route that requires \(operation.requirement.words), or leave it denied on purpose",
                    line: operation.line)
                continue
            }
            for place in found { compare(operation, routes[place].route, &report) }
        }
        for (place, entry) in routes.enumerated() where entry.service == service && !isReached[place] {
            reportUnreached(entry.route, operations, published, &report)
        }
    }

    /// The routes among these that answer the method, on whichever ports.
    private func answering(_ places: [Int], _ method: String) -> [Int] {
        let own = places.filter { routes[$0].route.method == method }
        return own.isEmpty && method == "HEAD" ? places.filter { routes[$0].route.method == "GET" } : own
    }

    private func reportUnknownScopes(
        _ operation: PublishedOperation, _ unknown: inout Set<String>, _ report: inout DriftReport
    ) {
        for scope in operation.requirement.alternatives.joined()
        where !holdings.isKnown(scope) && unknown.insert(scope).inserted {
            report.add(
                .scopeUnknown, scope, "\(quoted(operation.label)) asks for it, and the policy does not declare it",
                mend: "declare it under `scopes`, or correct it where it is published", line: operation.line)
        }
    }

    private func compare(_ operation: PublishedOperation, _ route: RouteModel, _ report: inout DriftReport) {
        let theirs = operation.requirement.words
        let ours = route.words(holdings)
        let said = "published: \(theirs); policy: \(ours)"
        let isObserved = route.observeUntil.map { now < $0 } ?? false
        switch operation.requirement.relation(to: route, holdings, now: now) {
        case .same: break
        case .stricter:
            report.add(
                .policyStricter, operation.label, said, mend: "require less here, or publish what is required",
                line: operation.line)
        case .looser:
            report.add(
                .policyLooser, operation.label, isObserved ? said + ", observed and not enforced" : said,
                mend: isObserved ? "enforce the route" : "require what is published, or publish what is required",
                line: operation.line)
        case .differs:
            report.add(
                .requirementDiffers, operation.label, said, mend: "make them say the same", line: operation.line)
        case .notComparable:
            report.add(
                .notComparable, operation.label, "what is published is met by no scopes of a token; policy: \(ours)",
                mend: "look at it by hand", line: operation.line)
        }
        guard let demands = operation.demands else { return }
        let others = route.otherDemands(than: demands, model)
        guard !others.isEmpty else { return }
        report.add(
            .requirementDiffers, operation.label,
            "the policy says something else of \(others.joined(separator: ", ")) than what is published",
            mend: "make them say the same", line: operation.line)
    }

    /// A route of its own for what the service publishes as part of something wider is no drift where it is as strict.
    private func reportUnreached(
        _ route: RouteModel, _ operations: [PublishedOperation], _ published: RouteTrie, _ report: inout DriftReport
    ) {
        if case .preflight = route.ground { return }
        if case .literal(".well-known") = route.segments.first { return }
        let places = published.match(route.segments.map(\.shapeInTrie)).filter { operations[$0].method == route.method }
        guard let place = places.first else {
            report.add(
                .routeStale, route.label, "the policy has it, and the service does not publish it",
                mend: "remove the route, or publish the operation")
            return
        }
        switch operations[place].requirement.relation(to: route, holdings, now: now) {
        case .looser, .differs:
            report.add(
                .policyLooser, route.label,
                "published as part of \(quoted(operations[place].label)): \(operations[place].requirement.words); "
                    + "policy: \(route.words(holdings))",
                mend: "require what is published, or publish it as an operation of its own")
        default: break
        }
    }
}

extension RouteModel {
    /// What beside scopes is not the same.
    fileprivate func otherDemands(than other: RouteModel, _ model: PolicyModel) -> [String] {
        var names: [String] = []
        if bindings != other.bindings { names.append("`where`") }
        if proof != other.proof { names.append("`proof`") }
        if demandsNonce != other.demandsNonce { names.append("`dpop_nonce`") }
        if authenticationContexts.sorted() != other.authenticationContexts.sorted() { names.append("`acr`") }
        if authenticationAgeSecondsMax != other.authenticationAgeSecondsMax { names.append("`max_age`") }
        return names
    }
}
