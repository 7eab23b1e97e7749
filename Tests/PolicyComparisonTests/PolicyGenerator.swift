import PolicyTables
import Signatures

/// SplitMix64: the same numbers from the same seed, on every machine.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}

/// What random policies are made of.
struct PolicyShape {
    /// Random paths, methods, hosts and ports; otherwise one path and what its token needs.
    var variesRoutes: Bool
    /// Clients, scopes with ends, issuers.
    var variesTokens: Bool
    /// One of the demands beside scopes.
    var extra: Extra

    enum Extra: CaseIterable {
        case none, proof, context, age, details, audience, bindings
        /// Paths that name the token's client or issuer, together with other demands.
        case identity
    }

    /// One is a text that a path can name.
    var issuers: [String] {
        extra == .identity ? ["b", "https://two.test"] : ["https://one.test", "https://two.test"]
    }

    /// Of clients that policies may list.
    var clients: [String] {
        switch extra {
        case .bindings: ["c"]
        case .identity: ["a", "x"]
        default: ["c", "d"]
        }
    }

    var bindsPaths: Bool { extra == .bindings || extra == .identity }
}

let times: [Int64] = [0, 10, 20]

/// Tiny policies, of an alphabet so small that two of them have nearly everything in common.
struct PolicyGenerator {
    var random: SeededGenerator
    let shape: PolicyShape

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    mutating func pick<T>(_ values: [T]) -> T { values[Int.random(in: 0..<values.count, using: &random)] }

    mutating func until(_ percent: Int) -> Int64? { chance(percent) ? pick([-5, 10, 20]) : nil }

    /// Two policies that compile; the second is often the first one with a few changes.
    mutating func pair() -> (PolicyModel, PolicyModel) {
        let old = compiling { $0.model() }
        guard chance(75) else { return (old, compiling { $0.model() }) }
        return (old, compiling { $0.changed(old) })
    }

    private mutating func compiling(_ make: (inout PolicyGenerator) -> PolicyModel) -> PolicyModel {
        while true {
            let model = make(&self)
            do {
                try PolicyCompiler(model).check()
                return model
            } catch {
                continue
            }
        }
    }

    mutating func model() -> PolicyModel {
        var model = PolicyModel()
        model.scopes = scopes()
        let issuers = shape.variesTokens && chance(40) ? shape.issuers : [shape.issuers[0]]
        for name in issuers { model.issuers.append(issuer(name)) }
        model.details = [["a"], ["b"], ["a", "b"]].map { DetailModel(type: "t", actions: $0) }
        for number in 0..<(shape.variesRoutes ? pick([1, 1, 2]) : 1) { model.services.append(service(number, model)) }
        if shape.variesTokens { model.clients = clients(model) }
        return model
    }

    mutating func changed(_ old: PolicyModel) -> PolicyModel {
        var model = old
        for _ in 0..<pick([1, 1, 2, 3]) {
            switch Int.random(in: 0..<6, using: &random) {
            case 0 where shape.variesTokens: model.clients = clients(model)
            case 1 where shape.variesTokens:
                model.scopes = scopes()
                let count = model.scopes.count
                for service in model.services.indices {
                    for route in model.services[service].routes.indices {
                        if case .scopes = model.services[service].routes[route].ground {
                            model.services[service].routes[route].ground = ground(count)
                        }
                    }
                }
                model.clients = clients(model)
            case 2:
                let index = Int.random(in: 0..<model.issuers.count, using: &random)
                model.issuers[index] = issuer(model.issuers[index].issuer)
            case 3: model.services[0].until = until(40)
            case 4:
                let index = Int.random(in: 0..<model.services.count, using: &random)
                model.services[index] = service(index, model)
            default:
                let index = Int.random(in: 0..<model.services.count, using: &random)
                let route = Int.random(in: 0..<model.services[index].routes.count, using: &random)
                let fresh = self.route(model)
                if shape.variesRoutes, chance(50) {
                    model.services[index].routes[route] = fresh
                } else {
                    var kept = fresh
                    kept.method = model.services[index].routes[route].method
                    kept.segments = model.services[index].routes[route].segments
                    if case .preflight = model.services[index].routes[route].ground { kept.ground = .preflight }
                    if kept.segments.count < 2 { kept.bindings = [] }
                    model.services[index].routes[route] = withoutDemands(kept)
                }
            }
        }
        return model
    }

    // MARK: Parts

    /// `w` may imply `r`, `x` may imply others; `o` is an old name.
    private mutating func scopes() -> [ScopeModel] {
        var result = [ScopeModel(name: "r", closure: [0]), ScopeModel(name: "w", closure: chance(50) ? [0, 1] : [1])]
        if chance(70) {
            let implied: Set<UInt16> = chance(60) ? Set(result[pick([0, 1])].closure) : []
            result.append(ScopeModel(name: "x", closure: implied.union([2]).sorted()))
        }
        if shape.variesTokens {
            for index in result.indices { result[index].until = until(15) }
            if chance(40) {
                let target = pick(Array(result.indices))
                let own = UInt16(result.count)
                var old = ScopeModel(name: "o", closure: Set(result[target].closure).union([own]).sorted())
                old.until = until(80)
                if chance(70) { old.replacedBy = [UInt16(target)] }
                result.append(old)
            }
        }
        return result
    }

    private mutating func issuer(_ name: String) -> IssuerModel {
        var result = IssuerModel(
            issuer: name,
            audiences: shape.extra == .audience ? pick([["aud"], ["other"], ["aud", "other"]]) : ["aud"],
            keySource: .uri("\(name)/jwks"), algorithms: [.es256])
        if shape.variesTokens { result.refusesUnknownClients = chance(30) }
        if shape.extra == .proof { result.proofs.demandsNonce = chance(30) }
        return result
    }

    private mutating func service(_ number: Int, _ model: PolicyModel) -> ServiceModel {
        let isWide = shape.variesRoutes
        let issuers = model.issuers.indices.map(UInt16.init)
        var result = ServiceModel(
            name: "s\(number)", hosts: isWide ? pick([["a.test"], ["*.test"], ["a.test", "*.test"]]) : ["a.test"],
            ports: isWide ? pick([[], [], [443], [9443], [443, 9443]]) : [],
            issuers: chance(70) ? issuers : [pick(issuers)],
            audience: shape.extra == .audience ? pick([nil, "aud", "other"]) : nil, routes: [])
        result.until = until(10)
        for _ in 0..<(isWide ? pick([1, 2, 3, 4, 5]) : pick([1, 1, 2])) { result.routes.append(route(model)) }
        return result
    }

    private mutating func route(_ model: PolicyModel) -> RouteModel {
        var segments: [RouteModel.Segment] = []
        if shape.variesRoutes {
            for index in 0..<pick([1, 1, 2, 2, 3]) {
                segments.append(chance(40) ? .parameter("p\(index)") : .literal(pick(["a", "b", "a:c"])))
            }
            if chance(20) { segments.append(.rest) } else if chance(10) { segments.append(.literal("")) }
        } else {
            segments = pick([[.parameter("p"), .parameter("q")], [.literal("a"), .parameter("q")]])
        }
        let method = shape.variesRoutes ? pick(["GET", "GET", "POST", "HEAD", "OPTIONS"]) : "GET"
        var result = RouteModel(
            method: method, segments: segments, ground: ground(model.scopes.count),
            ports: shape.variesRoutes && chance(15) ? pick([[443], [9443], [9443, 443]]) : [],
            observeUntil: until(8), label: "\(method) route")
        if chance(12) { result.ground = .public }
        if method == "OPTIONS", chance(70) { result.ground = .preflight }
        switch shape.extra {
        case .none, .audience: break
        case .proof:
            result.proof = pick([.none, .any, .dpop, .certificate])
            result.demandsNonce = chance(40)
        case .context: result.authenticationContexts = pick([[], ["m"], ["n"], ["m", "n"]])
        case .age: result.authenticationAgeSecondsMax = pick([0, 5, 50])
        case .details: result.details = pick([[], [0], [1], [0, 1], [2]])
        case .bindings:
            result.bindings = bindings([(0, "sub"), (1, "sub"), (1, "tenant"), (0, "tenant")], chance: 30)
        case .identity:
            let claims = [(0, "client_id"), (1, "client_id"), (0, "sub"), (1, "sub")]
            result.bindings = bindings(claims, chance: 30) + bindings([(0, "iss"), (1, "iss")], chance: 10)
            result.proof = pick([.none, .none, .any, .dpop])
            result.authenticationContexts = pick([[], [], ["m"]])
        }
        return withoutDemands(result)
    }

    private mutating func bindings(_ places: [(Int, String)], chance percent: Int) -> [RouteModel.Binding] {
        var result: [RouteModel.Binding] = []
        for (segment, claim) in places where chance(percent) {
            result.append(RouteModel.Binding(segment: segment, claim: claim))
        }
        return result
    }

    /// What takes no token demands nothing of it.
    private func withoutDemands(_ route: RouteModel) -> RouteModel {
        var route = route
        if case .scopes = route.ground { return route }
        route.proof = .none
        route.demandsNonce = false
        route.authenticationContexts = []
        route.authenticationAgeSecondsMax = 0
        route.details = []
        route.bindings = []
        return route
    }

    /// Never an old name.
    private mutating func ground(_ count: Int) -> RouteModel.Ground {
        let scopes = (0..<UInt16(min(count, 3))).filter { $0 < 2 || count > 2 }
        let some = Array(scopes.prefix(2))
        switch Int.random(in: 0..<5, using: &random) {
        case 0: return .scopes(all: some, any: [])
        case 1: return .scopes(all: [], any: some)
        case 2: return .scopes(all: [pick(some)], any: some)
        default: return .scopes(all: [pick(some)], any: [])
        }
    }

    private mutating func clients(_ model: PolicyModel) -> [ClientModel] {
        var result: [ClientModel] = []
        for issuer in model.issuers.indices {
            for identifier in shape.clients where chance(55) {
                var client = ClientModel(
                    name: identifier, issuer: UInt16(issuer), identifier: identifier, scopes: approved(model),
                    excess: pick([.deny, .deny, .narrow, .alert]), observeUntil: until(12))
                if chance(30) {
                    client.grants = [.init(scopes: approved(model), until: pick([-5, 10, 20]), reason: "test")]
                }
                // Clients that are treated alike are one to the comparison, and not to paths that name them.
                if shape.extra == .identity, let last = result.last, last.issuer == client.issuer, chance(50) {
                    client = last
                    (client.name, client.identifier) = (identifier, identifier)
                }
                result.append(client)
            }
        }
        return result
    }

    private mutating func approved(_ model: PolicyModel) -> [UInt16] {
        var result: Set<UInt16> = []
        for index in model.scopes.indices where chance(40) { result.formUnion(model.scopes[index].closure) }
        return result.sorted()
    }
}
