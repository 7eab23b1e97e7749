import Octets
import PolicyTables

// Decides single requests, slowly: routes with the compiled tables of the daemon, everything else read off the model.
// Nothing here knows of the comparison.

/// One request. `decoded` is its path as a backend reads it that decodes before it routes.
struct Request: Hashable {
    var method: String
    var requestedMethod: String?
    var host: String
    var port: UInt16
    var path: String
    var decoded: String

    var segments: [String] {
        decoded.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    }
}

/// What a token is like, as far as these tests vary it.
struct Token: Hashable {
    var issuer: String
    var client: String?
    /// Bit by bit, of `scopeAlphabet`.
    var scopes: Int
    var audiences: Set<String> = ["aud"]
    var binding = Binding.nothing
    var hasNonce = true
    var claims: [String: String] = [:]
    var context: String?
    /// Seconds.
    var age: Int?
    /// Elements of `authorization_details`, all of one type, by their actions.
    var details: [Set<String>] = []

    enum Binding: CaseIterable {
        case nothing, key, certificate
    }
}

let scopeAlphabet = ["r", "w", "x", "o"]

final class Judge {
    let model: PolicyModel
    private var tables: [String: [UInt8]] = [:]
    private var expansions: [Int64: [Int]] = [:]
    private var baselines: [ClientMoment: Int] = [:]

    private struct ClientMoment: Hashable {
        var client: Int
        var time: Int64
    }

    init(_ model: PolicyModel) throws {
        self.model = model
        let compiler = try PolicyCompiler(model)
        for (index, host) in compiler.hosts.enumerated() { tables[host] = try compiler.hostTable(index) }
    }

    // MARK: Routes

    enum Route: Hashable {
        case rule(service: Int, route: Int, isPreflight: Bool)
        case denied(String)
    }

    func route(_ request: Request) -> Route {
        var host = request.host
        if tables[host] == nil { host = "*" + host.drop { $0 != "." } }
        guard let table = tables[host] else { return .denied("unknown_host") }
        let found = route(request, request.path, table)
        guard request.decoded != request.path else { return found }
        return found == route(request, request.decoded, table) ? found : .denied("ambiguous_target")
    }

    private func route(_ request: Request, _ path: String, _ table: [UInt8]) -> Route {
        let host = HostTable(table.span)
        let path = Array(path.utf8)
        if request.method == "OPTIONS", let requested = request.requestedMethod,
            let rule = host.matchPreflight(
                path: path.span, port: request.port, requestedMethod: Array(requested.utf8).span)
        {
            return .rule(service: rule.serviceIndex, route: rule.routeIndex, isPreflight: true)
        }
        switch host.match(method: Array(request.method.utf8).span, path: path.span, port: request.port) {
        case .matched(let rule):
            if rule.ground == .preflight { return .denied("method_not_allowed") }
            return .rule(service: rule.serviceIndex, route: rule.routeIndex, isPreflight: false)
        case .unknownRoute: return .denied("unknown_route")
        case .methodNotAllowed: return .denied("method_not_allowed")
        case .portNotAllowed: return .denied("port_not_allowed")
        case .unreadable: return .denied("policy_unreadable")
        }
    }

    // MARK: Tokens

    static let grounds: Set<String> = ["granted", "public", "preflight", "observed"]

    /// The name of the reason; no token is nil.
    func decide(_ found: Route, _ segments: [String], _ token: Token?, _ time: Int64) -> String {
        guard case .rule(let serviceIndex, let routeIndex, _) = found else {
            if case .denied(let reason) = found { return reason }
            return "unreachable"
        }
        let service = model.services[serviceIndex]
        let route = service.routes[routeIndex]
        if let until = service.until, until <= time { return "publication_ended" }
        let allOf: [UInt16]
        let anyOf: [UInt16]
        switch route.ground {
        case .public: return "public"
        case .preflight: return "preflight"
        case .scopes(let all, let any): (allOf, anyOf) = (all, any)
        }
        let observes = route.observeUntil.map { time < $0 } ?? false
        guard let token else { return observes ? "observed" : "no_token" }
        if let reason = refusal(token, service, route, allOf, anyOf, segments, time) {
            return observes ? "observed" : reason
        }
        return "granted"
    }

    private func refusal(
        _ token: Token, _ service: ServiceModel, _ route: RouteModel, _ all: [UInt16], _ any: [UInt16],
        _ segments: [String], _ time: Int64
    ) -> String? {
        guard let issuer = service.issuers.first(where: { model.issuers[Int($0)].issuer == token.issuer }) else {
            return "issuer_not_allowed"
        }
        let settings = model.issuers[Int(issuer)]
        guard settings.audiences.contains(where: token.audiences.contains) else { return "audience_mismatch" }
        if let audience = service.audience, !token.audiences.contains(audience) { return "audience_mismatch" }
        if let reason = bindingRefusal(token, route, settings) { return reason }
        let client = model.clients.firstIndex { $0.issuer == issuer && $0.identifier == token.client }
        var held = expansion(time)[token.scopes]
        var reason: String?
        if let client {
            let approved = baseline(client, time)
            let own = model.clients[client]
            if held & ~approved & ~oldNames != 0 {
                switch own.excess {
                case .deny: reason = "over_scoped"
                case .narrow: held &= approved
                case .alert: break
                }
            }
        } else if settings.refusesUnknownClients {
            return "unknown_client"
        }
        reason = reason ?? laterRefusal(token, route, held, all, any, segments)
        // Whatever is found from the baseline on is let through in a client's observe mode.
        if let client, let until = model.clients[client].observeUntil, time < until, reason != nil { return "observed" }
        return reason
    }

    private func bindingRefusal(_ token: Token, _ route: RouteModel, _ issuer: IssuerModel) -> String? {
        switch (token.binding, route.proof) {
        case (.nothing, .none), (.certificate, .none), (.certificate, .any), (.certificate, .certificate): return nil
        case (.key, .none), (.key, .any), (.key, .dpop):
            return (route.demandsNonce || issuer.proofs.demandsNonce) && !token.hasNonce ? "use_dpop_nonce" : nil
        default: return "proof_required"
        }
    }

    private func laterRefusal(
        _ token: Token, _ route: RouteModel, _ held: Int, _ all: [UInt16], _ any: [UInt16], _ segments: [String]
    ) -> String? {
        func holds(_ scope: UInt16) -> Bool { held & bit(Int(scope)) != 0 }
        guard all.allSatisfy(holds), any.isEmpty || any.contains(where: holds) else { return "insufficient_scope" }
        for binding in route.bindings {
            let value =
                switch binding.claim {
                case "client_id": token.client
                case "iss": token.issuer
                default: token.claims[binding.claim]
                }
            guard !segments[binding.segment].isEmpty, value == segments[binding.segment] else {
                return "binding_mismatch"
            }
        }
        for detail in route.details {
            let actions = Set(model.details[Int(detail)].actions)
            guard token.details.contains(where: actions.isSubset) else { return "insufficient_authorization_details" }
        }
        let ageMax = Int(route.authenticationAgeSecondsMax)
        if ageMax > 0, token.age.map({ $0 > ageMax }) ?? true { return "insufficient_user_authentication" }
        if !route.authenticationContexts.isEmpty, !route.authenticationContexts.contains(token.context ?? "") {
            return "insufficient_user_authentication"
        }
        return nil
    }

    // MARK: Scopes

    private func bit(_ scope: Int) -> Int { 1 << (scopeAlphabet.firstIndex(of: model.scopes[scope].name) ?? 9) }

    private lazy var oldNames = model.scopes.indices.filter { !model.scopes[$0].replacedBy.isEmpty }
        .reduce(0) { $0 | bit($1) }

    private func lasts(_ scope: Int, _ time: Int64) -> Bool { model.scopes[scope].until.map { time < $0 } ?? true }

    /// By each list of names: what it amounts to.
    private func expansion(_ time: Int64) -> [Int] {
        if let known = expansions[time] { return known }
        let result = (0..<1 << scopeAlphabet.count).map { names in
            var held = 0
            for scope in model.scopes.indices where names & bit(scope) != 0 && lasts(scope, time) {
                for implied in model.scopes[scope].closure where lasts(Int(implied), time) { held |= bit(Int(implied)) }
            }
            return held
        }
        expansions[time] = result
        return result
    }

    private func baseline(_ client: Int, _ time: Int64) -> Int {
        let key = ClientMoment(client: client, time: time)
        if let known = baselines[key] { return known }
        var scopes = model.clients[client].scopes
        for grant in model.clients[client].grants where time < grant.until { scopes += grant.scopes }
        let result = scopes.reduce(0) { $0 | bit(Int($1)) }
        baselines[key] = result
        return result
    }
}
