internal import PolicyTables

/// One operation that a service publishes.
struct PublishedOperation {
    var method: String
    var segments: [RouteTrie.Segment]
    /// As the service writes it.
    var label: String
    var line: Int?
    var requirement: PublishedRequirement
    /// Place in the lists of hosts that go with the operations.
    var hostList: Int
    /// Of the listener, and what else a manifest says; nil for a document that cannot.
    var ports: PortSet?
    var demands: RouteDemands?
    var isPreflight = false
}

/// Holds published operations against the routes that would answer them.
struct OperationComparison {
    private let model: PolicyModel
    private let service: Int
    private let holdings: ScopeHoldings
    private let now: Int64
    /// nil for a document, which says nothing of it.
    private let manifest: PublishedService?
    /// Said once of the service, not of each operation.
    private let portsOfManifestAlone: PortSet
    private let portsOfPolicyAlone: PortSet
    private let search: AnswerSearch
    private var routes: [(service: Int, route: RouteModel)] { search.routes }

    /// - Parameter hostLists: hosts of the service, as operations name them.
    init(
        _ model: PolicyModel, service: Int, hostLists: [[String]], manifest: PublishedService? = nil, now: Int64
    ) {
        self.model = model
        self.service = service
        self.manifest = manifest
        self.now = now
        holdings = ScopeHoldings(model, now: now)
        let ports = PortSet(listed: model.services[service].ports)
        portsOfManifestAlone = manifest.map { $0.ports.subtracting(ports) } ?? .empty
        portsOfPolicyAlone = manifest.map { ports.subtracting($0.ports) } ?? .empty
        search = AnswerSearch(model, service: service, hostLists: hostLists, now: now)
    }

    func compare(_ operations: [PublishedOperation], _ report: inout DriftReport) {
        report.comparedCount += operations.count
        if model.services[service].until.map({ $0 <= now }) ?? false {
            report.add(
                .serviceEnded, model.services[service].name, "the policy denies all of it: its publication has ended",
                mend: "publish it again, or give it a later `ends`")
        }
        var published = RouteTrie()
        var reached = [PortSet?](repeating: nil, count: routes.count)
        let answers = search.answers(to: operations)
        var unknown: Set<String> = []
        for (index, operation) in operations.enumerated() {
            _ = published.add(operation.segments, index)
            reportUnknownScopes(operation, &unknown, &report)
            let answer = answers[index]
            let places = answer.places
            let found = answer.found
            for place in found {
                reached[place] = (reached[place] ?? .empty).union(operation.ports ?? .all)
            }
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
                    .operationDenied, operation.label,
                    "it is published and denied to everybody: \(why)\(answer.portWords(operation))",
                    mend: "add a route that requires \(operation.requirement.words), or leave it denied on purpose",
                    line: operation.line)
                continue
            }
            for place in found { compare(operation, place, &report) }
            reportGaps(operation, answer, &report)
        }
        for (place, entry) in routes.enumerated() where entry.service == service {
            if let ports = reached[place] {
                reportPorts(place, publishedOn: ports, &report)
            } else {
                reportUnreached(place, operations, published, &report)
            }
        }
    }

    /// Where only some of the hosts and ports answer what is published on all of them.
    private func reportGaps(
        _ operation: PublishedOperation, _ answer: AnswerSearch.Answer, _ report: inout DriftReport
    ) {
        let requirement = operation.requirement
        // What no policy can require is denied for good.
        guard requirement.isOpen || requirement.takesAnyToken || !requirement.alternatives.isEmpty else { return }
        let gaps = answer.gaps.compactMap { gap -> String? in
            let ports = gap.ports.subtracting(portsOfManifestAlone)
            guard !ports.isEmpty else { return nil }
            let hosts = gap.isOnAllHosts ? "" : " on \(quotedList(gap.hosts, namesMax: 4))"
            return hosts + (gap.ports == operation.ports ?? .all ? "" : " on \(ports.words)")
        }
        guard !gaps.isEmpty else { return }
        report.add(
            .operationDenied, operation.label,
            "it is published and denied to everybody" + gaps.prefix(4).joined(separator: ", and"),
            mend: "add a route that requires \(requirement.words) there, or correct where it is published",
            line: operation.line)
    }

    private func reportPorts(_ place: Int, publishedOn ports: PortSet, _ report: inout DriftReport) {
        let wider = search.ports(of: place).subtracting(ports).subtracting(portsOfPolicyAlone)
        guard !wider.isEmpty else { return }
        report.add(
            .policyLooser, routes[place].route.label,
            "published on \(ports.words); policy: on \(search.ports(of: place).words)",
            mend: "narrow its `ports`, or publish it there")
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

    private func compare(_ operation: PublishedOperation, _ place: Int, _ report: inout DriftReport) {
        var route = routes[place].route
        // What is published as observed lets in no more while it is observed.
        if operation.demands?.isObserved(at: now) ?? false { route.observeUntil = nil }
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
        var others = RouteDemands(routes[place].route, model).differences(from: demands, now: now)
        if let manifest, routes[place].service != service {
            others += manifest.differences(from: model.services[routes[place].service], model, isOwn: false)
                .map { "`\($0.key)`" }
        }
        guard !others.isEmpty else { return }
        report.add(
            .requirementDiffers, operation.label,
            "the policy says something else of \(others.joined(separator: ", ")) than what is published",
            mend: "make them say the same", line: operation.line)
    }

    /// A route of its own for what the service publishes as part of something wider is no drift where it is as strict.
    private func reportUnreached(
        _ index: Int, _ operations: [PublishedOperation], _ published: RouteTrie, _ report: inout DriftReport
    ) {
        let route = routes[index].route
        let ports = search.ports(of: index)
        // A document says nothing of preflights.
        if route.isPreflight, manifest == nil { return }
        if case .literal(".well-known") = route.segments.first { return }
        let places = published.match(route.segments.map(\.shapeInTrie)).filter { place in
            operations[place].method == route.method && operations[place].isPreflight == route.isPreflight
                && !(operations[place].ports ?? .all).intersection(ports).isEmpty
        }
        guard let place = places.first else {
            report.add(
                .routeStale, route.label, "the policy has it, and the service does not publish it",
                mend: "remove the route, or publish the operation")
            return
        }
        let operation = operations[place]
        switch operation.requirement.relation(to: route, holdings, now: now) {
        case .looser, .differs:
            report.add(
                .policyLooser, route.label,
                "published as part of \(quoted(operation.label)): \(operation.requirement.words); "
                    + "policy: \(route.words(holdings))",
                mend: "require what is published, or publish it as an operation of its own")
        default: break
        }
        guard let demands = operation.demands else { return }
        var gaps = RouteDemands(route, model).gaps(beside: demands)
        let allPublished = places.reduce(PortSet.empty) { $0.union(operations[$1].ports ?? .all) }
        if !ports.subtracting(allPublished).subtracting(portsOfPolicyAlone).isEmpty { gaps.append("`ports`") }
        guard !gaps.isEmpty else { return }
        report.add(
            .policyLooser, route.label,
            "published as part of \(quoted(operation.label)), which demands more by \(gaps.joined(separator: ", "))",
            mend: "demand what is published, or publish it as an operation of its own")
    }
}

extension AnswerSearch.Answer {
    /// Where ports are why nothing answers.
    fileprivate func portWords(_ operation: PublishedOperation) -> String {
        guard hasMethod, found.isEmpty, let ports = operation.ports else { return "" }
        return " on \(ports.words)"
    }
}
