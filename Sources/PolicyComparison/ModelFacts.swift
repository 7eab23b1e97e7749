internal import PolicyTables
internal import Signatures

/// What a policy says, as names and texts, part by part.
struct ModelFacts {
    /// One issuer, scope, service, route or client.
    struct Entry {
        var facts: [(name: String, value: String)]
        var place: RouteLocation?

        /// What the other one says otherwise; texts are compared by their bytes.
        func details(to other: Entry) -> [PolicyDifference.Change.Detail] {
            var result: [PolicyDifference.Change.Detail] = []
            for fact in facts {
                let match = other.facts.first { $0.name == fact.name }
                if let match, match.value.utf8.elementsEqual(fact.value.utf8) { continue }
                result.append(.init(name: fact.name, old: fact.value, new: match?.value))
            }
            for fact in other.facts where !facts.contains(where: { $0.name == fact.name }) {
                result.append(.init(name: fact.name, old: nil, new: fact.value))
            }
            return result
        }
    }

    private let model: PolicyModel

    init(_ model: PolicyModel) { self.model = model }

    /// By name; things of one name are one.
    func entries(_ part: PolicyDifference.Part) -> [[UInt8]: Entry] {
        var result: [[UInt8]: Entry] = [:]
        func add(_ name: String, _ facts: [(String, String?)], _ place: RouteLocation? = nil) {
            result[Array(name.utf8)] = Entry(
                facts: facts.compactMap { name, value in value.map { (name, $0) } }, place: place)
        }
        switch part {
        case .issuers: for issuer in model.issuers { add(issuer.issuer, facts(issuer)) }
        case .scopes: for (index, scope) in model.scopes.enumerated() { add(scope.name, facts(scope, index)) }
        case .services:
            for (index, service) in model.services.enumerated() {
                add(service.name, facts(service), RouteLocation(service: index, route: nil))
            }
            for service in model.portServices { add(service.name, facts(service)) }
        case .routes:
            for (index, service) in model.services.enumerated() {
                for (number, route) in service.routes.enumerated() {
                    // Routes of one path and method are told apart by their ports.
                    let ports = route.ports.isEmpty ? "" : " on \(list(route.ports.map(String.init)))"
                    add(
                        "\(service.name): \(route.method) \(pathText(route.segments))\(ports)", facts(route),
                        RouteLocation(service: index, route: number))
                }
            }
        case .clients:
            for client in model.clients { add(client.name, facts(client)) }
            for client in model.certificateClients {
                let known = result[Array(client.name.utf8)]?.facts.map { ($0.name, String?.some($0.value)) } ?? []
                add(client.name, known + facts(client))
            }
        }
        return result
    }

    private func list(_ values: [String]) -> String { values.joined(separator: ", ") }

    /// nil for none.
    private func some(_ values: [String]) -> String? { values.isEmpty ? nil : list(values) }

    private func names(_ scopes: [UInt16]) -> [String] {
        scopes.compactMap { Int($0) < model.scopes.count ? model.scopes[Int($0)].name : nil }.sorted()
    }

    private func number(_ value: Int64?) -> String? { value.map(String.init) }

    private func flag(_ value: Bool) -> String? { value ? "yes" : nil }

    private func facts(_ issuer: IssuerModel) -> [(String, String?)] {
        let keys =
            switch issuer.keySource {
            case .file(let path): "file \(path)"
            case .uri(let uri): uri
            case .discovery: "discovery"
            case .none: "none"
            }
        var result: [(String, String?)] = [
            ("audience", list(issuer.audiences)), ("keys", keys), ("ca", issuer.certificateAuthorityFile),
            ("algorithms", list(issuer.algorithms.map(\.name))),
            ("profile", issuer.profile == .rfc9068 ? "rfc9068" : "compat"), ("scope claim", issuer.scopeClaim),
            ("client claim", issuer.clientClaim), ("leeway", "\(issuer.leewaySeconds) s"),
            ("lifetime", issuer.lifetimeSecondsMax == 0 ? nil : "\(issuer.lifetimeSecondsMax) s"),
            ("status lists", some(issuer.statusLists)),
            ("unknown clients", issuer.refusesUnknownClients ? "deny" : "allow"),
            ("proof algorithms", list(issuer.proofs.algorithms.map(\.name))),
            ("proof age", "\(issuer.proofs.ageSecondsMax) s"), ("proof ahead", "\(issuer.proofs.aheadSecondsMax) s"),
            ("proof nonce", flag(issuer.proofs.demandsNonce)),
        ]
        guard let asking = issuer.introspection else { return result }
        result += [
            ("introspection", asking.endpoint), ("introspection client", asking.clientID),
            ("introspection of", asking.use == .all ? "all tokens" : "opaque tokens"),
            ("introspection authentication", "\(asking.authentication)"),
            ("introspection files", some(asking.texts.dropFirst(2).compactMap(\.self))),
            ("signed replies", flag(asking.demandsJWT)), ("replies believed", "\(asking.cacheSecondsMax) s"),
            ("inactive replies believed", "\(asking.negativeSecondsMax) s"),
            ("introspection timeout", "\(asking.timeoutMilliseconds) ms"),
        ]
        return result
    }

    private func facts(_ scope: ScopeModel, _ index: Int) -> [(String, String?)] {
        [
            ("description", scope.description.isEmpty ? nil : scope.description),
            ("implies", some(names(scope.closure.filter { Int($0) != index }))), ("until", number(scope.until)),
            ("replaced by", some(names(scope.replacedBy))),
        ]
    }

    private func facts(_ service: ServiceModel) -> [(String, String?)] {
        let source =
            switch service.tokenSource {
            case .header: "header"
            case .cookie(let name): "cookie \(name)"
            case .webSocketProtocol(let marker): "WebSocket subprotocol after \(marker)"
            }
        let issuers = service.issuers.compactMap {
            Int($0) < model.issuers.count ? model.issuers[Int($0)].issuer : nil
        }
        return [
            ("hosts", list(service.hosts.sorted())), ("ports", some(service.ports.sorted().map(String.init))),
            ("issuers", some(issuers.sorted())), ("audience", service.audience), ("token", source),
            ("public port", service.publicPort == 0 ? nil : "\(service.publicPort)"),
            ("forward token", service.forwardsToken ? "yes" : "never"),
            ("transaction token", flag(service.hasTransactionToken)), ("resource", service.resource),
            ("ends", number(service.until)),
        ]
    }

    private func facts(_ service: PortServiceModel) -> [(String, String?)] {
        [
            ("ports", list(service.ports.map(String.init))), ("all of", some(names(service.all))),
            ("one of", some(names(service.any))), ("observed until", number(service.observeUntil)),
        ]
    }

    private func facts(_ route: RouteModel) -> [(String, String?)] {
        var all: [UInt16] = []
        var any: [UInt16] = []
        let ground: String
        switch route.ground {
        case .scopes(let allScopes, let anyScopes): (ground, all, any) = ("token", allScopes, anyScopes)
        case .public: ground = "public"
        case .preflight: ground = "preflight"
        }
        let proof =
            switch route.proof {
            case .none: String?.none
            case .any: "any"
            case .dpop: "dpop"
            case .certificate: "mtls"
            }
        let details = route.details.compactMap { index -> String? in
            guard Int(index) < model.details.count else { return nil }
            let detail = model.details[Int(index)]
            let places = detail.locations.isEmpty ? "" : " at \(list(detail.locations))"
            return "\(detail.type) (\(list(detail.actions)))\(places)"
        }
        return [
            ("ground", ground), ("all of", some(names(all))), ("one of", some(names(any))),
            ("where", some(route.bindings.map { "segment \($0.segment + 1) = \($0.claim)" })),
            ("observed until", number(route.observeUntil)), ("proof", proof), ("nonce", flag(route.demandsNonce)),
            ("acr", some(route.authenticationContexts.sorted())),
            ("max age", route.authenticationAgeSecondsMax == 0 ? nil : "\(route.authenticationAgeSecondsMax) s"),
            ("authorization details", some(details.sorted())),
        ]
    }

    private func facts(_ client: ClientModel) -> [(String, String?)] {
        let issuer = Int(client.issuer) < model.issuers.count ? model.issuers[Int(client.issuer)].issuer : ""
        let grants = client.grants.map { "\(list(names($0.scopes))) until \($0.until) (\($0.reason))" }
        return [
            ("issuer", issuer), ("client id", client.identifier), ("scopes", some(names(client.scopes))),
            ("grants", some(grants.sorted())), ("on excess", "\(client.excess)"),
            ("observed until", number(client.observeUntil)),
        ]
    }

    private func facts(_ client: CertificateClientModel) -> [(String, String?)] {
        let identity =
            switch client.identity {
            case .uri(let name): "uri \(name)"
            case .dns(let name): "dns \(name)"
            case .subject(let name): "subject \(name)"
            }
        return [("certificate", identity), ("certificate scopes", some(names(client.scopes)))]
    }
}
