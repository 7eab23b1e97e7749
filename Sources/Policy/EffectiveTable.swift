public import PolicyTables

/// What a policy comes to, one row for each host, method and path: base paths joined, wildcards and
/// implications expanded.
public struct EffectiveTable: Sendable {
    public struct Requirement: Sendable, Equatable {
        /// The scope that the route names.
        public var scope: String
        /// Every scope that satisfies it, itself first, then by name.
        public var accepted: [String]
    }

    public struct Binding: Sendable, Equatable {
        public var parameter: String
        public var claim: String
    }

    public enum Ground: String, Sendable {
        case scopes
        case `public`
        case preflight
    }

    public struct Row: Sendable, Equatable {
        public var service: String
        public var host: String
        /// Empty means any.
        public var ports: [UInt16]
        public var method: String
        /// The whole path, base path included.
        public var path: String
        public var ground: Ground
        public var all: [Requirement]
        public var any: [Requirement]
        public var bindings: [Binding]
        /// Unix seconds; nil enforces.
        public var observeUntil: Int64?
        public var label: String
        /// What the token must be bound to.
        public var proof = ProofDemand.none
        /// Whether a DPoP proof must carry a nonce here, whatever the issuer demands.
        public var demandsNonce = false
        /// One of these must be the token's `acr`; empty demands none.
        public var authenticationContexts: [String] = []
        /// How long ago the user may have authenticated; 0 demands nothing.
        public var authenticationAgeSecondsMax: UInt32 = 0
        /// Demands on `authorization_details`, which must all hold.
        public var details: [DetailModel] = []
        /// Whether the backend may see the client's own token.
        public var forwardsToken = true
        /// Whether an allow carries a transaction token for the backend.
        public var hasTransactionToken = false
        /// Unix seconds from which on every request to the service is denied; nil is for ever.
        public var serviceUntil: Int64?
    }

    /// In the order of the policy, hosts of a service innermost.
    public var rows: [Row]
    public var connections: EffectiveConnections
    public var clients: EffectiveClients
}

/// The rows of a checked model.
/// - Parameter now: Unix seconds, to leave out what has ended; without it nothing has.
public func effectiveTable(_ model: PolicyModel, now: Int64 = .min) -> EffectiveTable {
    let accepted = acceptedScopes(model, now)
    func requirements(_ scopes: [UInt16]) -> [EffectiveTable.Requirement] {
        scopes.map {
            EffectiveTable.Requirement(scope: model.scopes[Int($0)].name, accepted: accepted[Int($0)])
        }
    }
    var rows: [EffectiveTable.Row] = []
    for service in model.services {
        for route in service.routes {
            var row = EffectiveTable.Row(
                service: service.name, host: "", ports: route.ports.isEmpty ? service.ports : route.ports,
                method: route.method, path: PathTemplate.text(route.segments), ground: .public, all: [],
                any: [],
                bindings: bindings(route), observeUntil: route.observeUntil, label: route.label)
            row.proof = route.proof
            row.demandsNonce = route.demandsNonce
            row.authenticationContexts = route.authenticationContexts
            row.authenticationAgeSecondsMax = route.authenticationAgeSecondsMax
            row.details = route.details.map { model.details[Int($0)] }
            row.forwardsToken = service.forwardsToken
            row.hasTransactionToken = service.hasTransactionToken
            row.serviceUntil = service.until
            switch route.ground {
            case .public: row.ground = .public
            case .preflight: row.ground = .preflight
            case .scopes(let all, let any):
                row.ground = .scopes
                row.all = requirements(all)
                row.any = requirements(any)
            }
            for host in service.hosts {
                row.host = host
                rows.append(row)
            }
        }
    }
    return EffectiveTable(
        rows: rows, connections: EffectiveConnections(model, accepted: accepted),
        clients: EffectiveClients(model, now: now))
}

/// For each scope the names of those whose closure holds it: itself first, the others by name; old names that count
/// are among them.
private func acceptedScopes(_ model: PolicyModel, _ now: Int64) -> [[String]] {
    var result = model.scopes.map { [$0.name] }
    let byName = model.scopes.indices.filter { model.scopes[$0].until.map { now < $0 } ?? true }
        .sorted { model.scopes[$0].name < model.scopes[$1].name }
    for scope in byName {
        for granted in model.scopes[scope].closure where Int(granted) != scope {
            result[Int(granted)].append(model.scopes[scope].name)
        }
    }
    return result
}

private func bindings(_ route: RouteModel) -> [EffectiveTable.Binding] {
    route.bindings.compactMap { binding in
        guard route.segments.indices.contains(binding.segment),
            case .parameter(let name) = route.segments[binding.segment]
        else { return nil }
        return EffectiveTable.Binding(parameter: name, claim: binding.claim)
    }
}

extension EffectiveTable.Row {
    /// `orders:read (or orders:admin) and one of …; {user} = sub; proof dpop; acr mfa or hwk; max_age 5m; observed until
    /// …`.
    public var requirementText: String {
        var parts: [String] = []
        switch ground {
        case .public: parts.append("public")
        case .preflight: parts.append("preflight")
        case .scopes: parts.append(EffectiveTable.requirementText(all: all, any: any, observeUntil: nil))
        }
        parts += bindings.map { "{\($0.parameter)} = \(printable($0.claim, charactersMax: 128))" }
        if proof != .none { parts.append("proof \(proof.name)") }
        if demandsNonce { parts.append("dpop_nonce required") }
        if !authenticationContexts.isEmpty {
            parts.append("acr \(authenticationContexts.joined(separator: " or "))")
        }
        if authenticationAgeSecondsMax > 0 {
            parts.append("max_age \(durationText(Int(authenticationAgeSecondsMax)))")
        }
        if !details.isEmpty {
            parts.append("authorization_details \(details.map(\.text).joined(separator: " and "))")
        }
        if let observeUntil { parts.append("observed until \(timeText(observeUntil))") }
        if !forwardsToken { parts.append("forward_token never") }
        if hasTransactionToken, ground == .scopes { parts.append("transaction_token") }
        if let serviceUntil { parts.append("ends \(timeText(serviceUntil))") }
        return parts.joined(separator: "; ")
    }

    fileprivate var portsText: String {
        ports.isEmpty ? "any" : ports.map { String($0) }.joined(separator: ",")
    }
}

extension EffectiveTable {
    static func requirementText(all: [Requirement], any: [Requirement], observeUntil: Int64?) -> String {
        var required = all.map(\.text)
        if any.count == 1 { required += any.map(\.text) }
        if any.count > 1 { required.append("one of " + any.map(\.text).joined(separator: ", ")) }
        let text = required.joined(separator: " and ")
        return observeUntil.map { "\(text); observed until \(timeText($0))" } ?? text
    }
}

extension EffectiveTable.Requirement {
    fileprivate var text: String {
        accepted.count > 1 ? "\(scope) (or \(accepted.dropFirst().joined(separator: ", ")))" : scope
    }
}

extension EffectiveTable {
    /// Columns for people, one line for each row; then those of ports without HTTP.
    public var text: String {
        let cells = rows.map { [$0.host, $0.portsText, $0.method, $0.path, $0.requirementText] }
        let routes = columns(["HOST", "PORTS", "METHOD", "PATH", "REQUIRES"], cells)
        let rest = [connections.text, clients.text].filter { !$0.isEmpty }
        if rest.isEmpty { return routes }
        return ((rows.isEmpty ? [] : [routes]) + rest).joined(separator: "\n")
    }

    /// One JSON object with `routes`, `connections`, `clients`, `token_clients`, `unknown_clients` and `ending_scopes`.
    public var json: String {
        var writer = JSONText()
        writer.object {
            $0.array("routes", rows) { writer, row in writer.object { row.write(to: &$0) } }
            connections.write(to: &$0)
            clients.write(to: &$0)
        }
        return writer.text
    }
}

extension EffectiveTable.Row {
    fileprivate func write(to writer: inout JSONText) {
        writer.member("service", service)
        writer.member("host", host)
        writer.array("ports", ports) { writer, port in writer.element(Int(port)) }
        writer.member("method", method)
        writer.member("path", path)
        writer.member("ground", ground.rawValue)
        writer.array("all", all) { writer, one in writer.object { one.write(to: &$0) } }
        writer.array("any", any) { writer, one in writer.object { one.write(to: &$0) } }
        writer.array("where", bindings) { writer, binding in
            writer.object {
                $0.member("parameter", binding.parameter)
                $0.member("claim", binding.claim)
            }
        }
        writer.member("proof", proof.name)
        if demandsNonce { writer.member("dpop_nonce", "required") }
        writer.member("acr", authenticationContexts)
        if authenticationAgeSecondsMax > 0 { writer.member("max_age", Int(authenticationAgeSecondsMax)) }
        if !details.isEmpty {
            writer.array("authorization_details", details) { writer, detail in
                writer.object {
                    $0.member("type", detail.type)
                    $0.member("actions", detail.actions)
                    $0.member("locations", detail.locations)
                }
            }
        }
        writer.member("mode", observeUntil == nil ? "enforce" : "observe")
        if let observeUntil { writer.member("until", timeText(observeUntil)) }
        if !forwardsToken { writer.member("forward_token", "never") }
        if hasTransactionToken, ground == .scopes { writer.member("transaction_token", true) }
        if let serviceUntil { writer.member("ends", timeText(serviceUntil)) }
        writer.member("label", label)
    }
}

extension DetailModel {
    /// `payment_initiation (initiate, cancel) at https://a.example or https://b.example`.
    fileprivate var text: String {
        let actions = actions.isEmpty ? "" : " (\(self.actions.joined(separator: ", ")))"
        let locations = locations.isEmpty ? "" : " at \(self.locations.joined(separator: " or "))"
        return type + actions + locations
    }
}

extension ProofDemand {
    /// As the language spells it.
    fileprivate var name: String {
        switch self {
        case .none: "none"
        case .any: "any"
        case .dpop: "dpop"
        case .certificate: "mtls"
        }
    }
}

extension EffectiveTable.Requirement {
    func write(to writer: inout JSONText) {
        writer.member("scope", scope)
        writer.member("accepted", accepted)
    }
}
