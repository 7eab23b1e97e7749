internal import Policy
internal import PolicyTables

// Which keys of a manifest are held against the policy's. A key of the language that is new belongs here.
//
// Of a route `match`, `scopes`, `public` and `preflight` are the operation itself; `ports` are compared where answers are
// searched; all others (`where`, `proof`, `dpop_nonce`, `acr`, `max_age`, `authorization_details`, `mode` with `until`) are
// `RouteDemands`.
//
// Of a service `hosts`, `ports`, `issuers`, `resource` and those of `PublishedService.values` are compared once; `base_path`,
// `proof`, `mode` and `until` are in its routes. Not compared are its name, which is what the caller says, and `kind` with
// `scopes`: a manifest is of a service with HTTP. What stands outside services, as what a scope implies and how an issuer's
// tokens are verified, is the policy's alone.

/// What a route demands beside scopes.
struct RouteDemands {
    private var bindings: [RouteModel.Binding]
    private var proof: ProofDemand
    private var demandsNonce: Bool
    private var contexts: Set<String>
    /// Seconds; 0 demands nothing.
    private var ageSecondsMax: UInt32
    private var details: Set<DetailModel>
    private var observeUntil: Int64?

    init(_ route: RouteModel, _ model: PolicyModel) {
        bindings = route.bindings.sorted { $0.segment < $1.segment }
        proof = route.proof
        demandsNonce = route.demandsNonce
        contexts = Set(route.authenticationContexts)
        ageSecondsMax = route.authenticationAgeSecondsMax
        details = Set(
            route.details.map { index in
                var detail = model.details[Int(index)]
                detail.actions.sort()
                detail.locations.sort()
                return detail
            })
        // Nothing is denied where nothing is demanded.
        if case .scopes = route.ground { observeUntil = route.observeUntil }
    }

    func isObserved(at now: Int64) -> Bool { observeUntil.map { now < $0 } ?? false }

    /// Keys that do not say the same. A policy that observes what is published as enforced is told by its scopes.
    func differences(from other: RouteDemands, now: Int64) -> [String] {
        var names: [String] = []
        if bindings != other.bindings { names.append("`where`") }
        if proof != other.proof { names.append("`proof`") }
        if demandsNonce != other.demandsNonce { names.append("`dpop_nonce`") }
        if contexts != other.contexts { names.append("`acr`") }
        if ageSecondsMax != other.ageSecondsMax { names.append("`max_age`") }
        if details != other.details { names.append("`authorization_details`") }
        if other.isObserved(at: now), observeUntil != other.observeUntil { names.append("`mode`") }
        return names
    }

    /// Keys that let in somebody whom the other's keep out.
    func gaps(beside other: RouteDemands) -> [String] {
        var names: [String] = []
        if !other.bindings.allSatisfy(bindings.contains) { names.append("`where`") }
        let isBound = other.proof == .none || proof == other.proof || (other.proof == .any && proof != .none)
        if !isBound { names.append("`proof`") }
        if other.demandsNonce, !demandsNonce { names.append("`dpop_nonce`") }
        if !other.contexts.isEmpty, contexts.isEmpty || !contexts.isSubset(of: other.contexts) {
            names.append("`acr`")
        }
        if other.ageSecondsMax > 0, ageSecondsMax == 0 || ageSecondsMax > other.ageSecondsMax {
            names.append("`max_age`")
        }
        if !details.isSuperset(of: other.details) { names.append("`authorization_details`") }
        return names
    }
}

/// What a manifest says of the service as a whole.
struct PublishedService {
    let own: ServiceModel
    /// nil where the manifest leaves them to the policy.
    let issuers: [String]?
    let ports: PortSet

    /// In one list: each operation is compared with them.
    static let portsMax = 64

    init(_ own: ServiceModel, issuers: [String]?) throws(DocumentError) {
        for (name, ports) in [(own.name, own.ports)] + own.routes.map({ ($0.label, $0.ports) })
        where ports.count > PublishedService.portsMax {
            throw DocumentError(
                "\(quoted(name)) of the manifest lists more than \(PublishedService.portsMax) ports",
                mend: "list fewer, or leave `ports` out for any port")
        }
        self.own = own
        self.issuers = issuers
        ports = PortSet(listed: own.ports)
    }

    /// What callers and backends must agree on with the gateway, in words.
    private static func values(_ service: ServiceModel) -> [(key: String, value: String)] {
        [
            ("audience", service.audience.map { quoted($0) } ?? "none"),
            ("token_from", service.tokenSource.words),
            ("public_port", service.publicPort == 0 ? "the listener's" : "\(service.publicPort)"),
            ("forward_token", service.forwardsToken ? "always" : "never"),
            ("transaction_token", "\(service.hasTransactionToken)"),
        ]
    }

    private static func end(_ service: ServiceModel) -> String {
        service.until.map(timestamp) ?? "never"
    }

    /// - Parameter isOwn: whether it is the service itself, and none that answers beside it: of that issuers count too.
    func differences(
        from service: ServiceModel, _ model: PolicyModel, isOwn: Bool, endsCount: Bool = true
    ) -> [(key: String, published: String, policy: String)] {
        var found: [(key: String, published: String, policy: String)] = []
        for (one, other) in zip(PublishedService.values(own), PublishedService.values(service))
        where one.value != other.value {
            found.append((one.key, one.value, other.value))
        }
        if !isOwn, let issuers, Set(issuers) != Set(service.issuerNames(model)) {
            found.append(("issuers", quotedList(issuers), quotedList(service.issuerNames(model))))
        }
        if endsCount, own.until != service.until {
            found.append(("ends", PublishedService.end(own), PublishedService.end(service)))
        }
        return found
    }
}

extension ServiceModel.TokenSource {
    fileprivate var words: String {
        switch self {
        case .header: "header"
        case .cookie(let name): "cookie \(quoted(name))"
        case .webSocketProtocol(let marker): "websocket_protocol \(quoted(marker))"
        }
    }
}

extension DriftReport {
    /// What is not about one operation.
    mutating func compare(_ published: PublishedService, _ own: ServiceModel, _ model: PolicyModel, now: Int64) {
        for host in published.own.hosts where !DriftReport.isServed(host, by: own.hosts) {
            add(
                .hostUnknown, host, "it is published, and the policy's service does not have it",
                mend: "add it to `hosts`")
        }
        for host in own.hosts where !DriftReport.isServed(host, by: published.own.hosts) {
            add(
                .requirementDiffers, host, "the policy's service answers on it, and it is not published",
                mend: "remove it from `hosts`, or publish it")
        }
        let ports = PortSet(listed: own.ports)
        if published.ports != ports { addDifference("ports", published.ports.words, ports.words) }
        // One that has ended is reported as such.
        let isOver = own.until.map { $0 <= now } ?? false
        for (key, theirs, ours) in published.differences(from: own, model, isOwn: true, endsCount: !isOver) {
            addDifference(key, theirs, ours)
        }
        if published.own.resource != own.resource, let subject = published.own.resource ?? own.resource {
            add(
                .resourceDiffers, subject,
                "published: \(published.own.resource.map { quoted($0) } ?? "none"); policy: "
                    + (own.resource.map { quoted($0) } ?? "none"),
                mend: "make `resource` say the same in both")
        }
        if let issuers = published.issuers { compareIssuers(issuers, own.issuerNames(model)) }
    }

    private mutating func addDifference(_ key: String, _ published: String, _ policy: String) {
        add(
            .requirementDiffers, key, "published: \(published); policy: \(policy)",
            mend: "make `\(key)` of the service say the same in both")
    }

    private mutating func compareIssuers(_ published: [String], _ accepted: [String]) {
        for issuer in published where !accepted.contains(issuer) {
            add(
                .issuerRefused, issuer,
                "its tokens are published as taken, and the policy's service does not take them",
                mend: "add it to the service's `issuers`, or correct the manifest")
        }
        for issuer in accepted where !published.contains(issuer) {
            add(
                .issuerNotPublished, issuer, "its tokens are taken, and it is not published",
                mend: "remove it from the service's `issuers`, or publish it")
        }
    }
}

extension ServiceModel {
    func issuerNames(_ model: PolicyModel) -> [String] {
        issuers.filter { Int($0) < model.issuers.count }.map { model.issuers[Int($0)].issuer }
    }
}
