import PolicyTables

/// A request in plain words, before it is spelled as a target.
struct PlainRequest {
    var method: String
    var segments: [String]
    var host: String
    var port: UInt16
    /// Method that a preflight asks for.
    var asks: String?
    var token: PlainToken?
    var now: Int64
}

/// What a minted token is good for, as the test made it.
struct PlainToken {
    var issuer: Int
    var subject: String
    var scopes: Set<String>
    var audiences: Set<String>
    var notBefore: Int64
    var issuedAt: Int64
    var expiresAt: Int64
    var isSigned: Bool
    var text: [UInt8]
}

/// Says from the model alone on what ground a request may pass: a second, slow reading of the rules.
struct Oracle {
    let model: PolicyModel

    /// nil is a denial.
    func ground(_ request: PlainRequest) -> String? {
        guard let service = model.services.first(where: { $0.hosts.contains(request.host) }) else {
            return nil
        }
        guard service.ports.isEmpty || service.ports.contains(request.port) else { return nil }
        let fitting = service.routes.filter { matches($0.segments, request.segments) }
        guard let best = mostSpecific(fitting) else { return nil }
        let there = fitting.filter { shape($0) == shape(best) }
        if request.method == "OPTIONS", let asked = request.asks,
            let target = listed(there, asked, request.port), target.ground != .preflight
        {
            let options = fitting.filter { $0.method == "OPTIONS" }
            if let first = mostSpecific(options) {
                let rule = options.first { shape($0) == shape(first) && isOpen($0, request.port) }
                if rule?.ground == .preflight { return "preflight" }
            }
        }
        guard let route = listed(there, request.method, request.port) else { return nil }
        switch route.ground {
        case .public: return "public"
        case .preflight: return nil
        case .scopes(let all, let any):
            if satisfies(request, service, route, all, any) { return "granted" }
            return route.observeUntil.map { $0 > request.now } ?? false ? "observed" : nil
        }
    }

    private func satisfies(
        _ request: PlainRequest, _ service: ServiceModel, _ route: RouteModel, _ all: [UInt16],
        _ any: [UInt16]
    ) -> Bool {
        guard let token = request.token, token.isSigned else { return false }
        let issuer = model.issuers[token.issuer]
        let leeway = Int64(issuer.leewaySeconds)
        guard request.now < token.expiresAt + leeway, request.now >= token.notBefore - leeway,
            request.now >= token.issuedAt - 300,
            !token.audiences.isDisjoint(with: issuer.audiences),
            service.issuers.contains(UInt16(token.issuer)),
            service.audience.map({ token.audiences.contains($0) }) ?? true
        else { return false }
        var held: Set<UInt16> = []
        for scope in model.scopes where token.scopes.contains(scope.name) { held.formUnion(scope.closure) }
        guard held.isSuperset(of: all), any.isEmpty || !held.isDisjoint(with: any) else { return false }
        return route.bindings.allSatisfy {
            $0.claim == "sub" && request.segments[$0.segment] == token.subject
        }
    }

    private func listed(_ routes: [RouteModel], _ method: String, _ port: UInt16) -> RouteModel? {
        let exact = routes.filter { $0.method == method }
        if !exact.isEmpty { return exact.first { isOpen($0, port) } }
        guard method == "HEAD" else { return nil }
        return routes.first { $0.method == "GET" && isOpen($0, port) }
    }

    private func isOpen(_ route: RouteModel, _ port: UInt16) -> Bool {
        route.ports.isEmpty || route.ports.contains(port)
    }

    private func matches(_ template: [RouteModel.Segment], _ path: [String]) -> Bool {
        for (number, segment) in template.enumerated() {
            guard number < path.count else { return false }
            switch segment {
            case .rest: return true
            case .parameter: if path[number].isEmpty { return false }
            case .literal(let text): if path[number] != text { return false }
            }
        }
        return template.count == path.count
    }

    private func shape(_ route: RouteModel) -> [Int] {
        route.segments.map { segment in
            switch segment {
            case .literal: 0
            case .parameter: 1
            case .rest: 2
            }
        }
    }

    private func mostSpecific(_ routes: [RouteModel]) -> RouteModel? {
        routes.min { shape($0).lexicographicallyPrecedes(shape($1)) }
    }
}
