import Octets
import PolicyTables
import Testing

@Suite struct OracleTests {
    static let words = ["a", "b", "ab", "orders", "longer-segment", "exactly8", "x y", "é", ""]
    static let encoded = ["a", "b", "ab", "orders", "longer-segment", "exactly8", "x%20y", "%C3%A9", "zz"]
    static let methods = ["GET", "HEAD", "POST", "OPTIONS", "BASELINE-CONTROL"]
    static let ports: [UInt16] = [80, 443, 9443]

    struct Policy {
        var services: [ServiceModel] = []
        var table: [UInt8] = []
    }

    /// A policy of one host; routes that are duplicates are left out.
    static func policy(_ generator: inout SeededGenerator) throws -> Policy {
        var services: [ServiceModel] = []
        for index in 0..<Int.random(in: 1...3, using: &generator) {
            let ports = Bool.random(using: &generator) ? [] : somePorts(&generator)
            services.append(service("s\(index)", ports: ports, []))
        }
        var result = Policy(services: services, table: try table(services))
        for _ in 0..<Int.random(in: 1...14, using: &generator) {
            var candidate = result.services
            let index = Int.random(in: 0..<services.count, using: &generator)
            candidate[index].routes.append(someRoute(&generator))
            do throws(PolicyTableError) {
                result.table = try PolicyCompiler(model(candidate)).hostTable(0)
                result.services = candidate
            } catch {
                guard case .duplicateRoute = error else { throw error }
            }
        }
        return result
    }

    static func somePorts(_ generator: inout SeededGenerator) -> [UInt16] {
        ports.filter { _ in Bool.random(using: &generator) }
    }

    static func someRoute(_ generator: inout SeededGenerator) -> RouteModel {
        var segments: [RouteModel.Segment] = []
        let count = Int.random(in: 1...4, using: &generator)
        for index in 0..<count {
            let isLast = index == count - 1
            switch Int.random(in: 0..<10, using: &generator) {
            case 0..<3: segments.append(.parameter("p"))
            case 3 where isLast: segments.append(.rest)
            default:
                // Few words, so that paths overlap.
                let limit = isLast ? words.count : words.count - 1
                let word =
                    Int.random(in: 0..<4, using: &generator) == 0
                    ? Int.random(in: 0..<limit, using: &generator) : 0
                segments.append(.literal(words[word]))
            }
        }
        let method = methods.randomElement(using: &generator) ?? "GET"
        let isPreflight = method == "OPTIONS" && Bool.random(using: &generator)
        let ports = Int.random(in: 0..<3, using: &generator) == 0 ? somePorts(&generator) : []
        let needsToken = !isPreflight && Bool.random(using: &generator)
        let ground: RouteModel.Ground =
            isPreflight ? .preflight : needsToken ? .scopes(all: [1], any: [2, 3]) : .public
        let route = RouteModel(
            method: method, segments: segments, ground: ground, ports: ports, label: "x")
        return needsToken ? someDemands(route, &generator) : route
    }

    static func someDemands(_ route: RouteModel, _ generator: inout SeededGenerator) -> RouteModel {
        let values = ["mfa", "1", "urn:example:hwk", String(repeating: "a", count: 128)]
        return bound(
            route, ProofDemand(rawValue: UInt8.random(in: 0...3, using: &generator)) ?? .none,
            nonce: Bool.random(using: &generator), acr: values.filter { _ in Bool.random(using: &generator) },
            ageSecondsMax: [0, 1, 300, .max].randomElement(using: &generator) ?? 0)
    }

    /// What a rule demands of the token beside its scopes, as the policy has it and as the table does.
    static func demands(_ route: RouteModel) -> String {
        "\(route.proof) \(route.demandsNonce) \(route.authenticationAgeSecondsMax) \(route.authenticationContexts)"
    }

    static func demands(_ table: borrowing HostTable, _ rule: RouteRule) -> String {
        let values = (0..<rule.acrCount).map { index in
            guard let value = table.acr(of: rule, index) else { return "?" }
            return String(lossy: value)
        }
        return "\(rule.proof) \(rule.demandsNonce) \(rule.authenticationAgeSecondsMax) \(values)"
    }

    /// A path that is close to those of the routes.
    static func somePath(_ policy: Policy, _ generator: inout SeededGenerator) -> String {
        var path = ""
        let routes = policy.services.flatMap(\.routes)
        let route = routes.randomElement(using: &generator)
        for segment in route?.segments ?? [.rest] {
            switch segment {
            case .literal(let text) where Int.random(in: 0..<8, using: &generator) > 0:
                var bytes: [UInt8] = []
                appendCanonicalLiteral(text, to: &bytes)
                path += "/" + String(decoding: bytes, as: UTF8.self)
            case .rest where Bool.random(using: &generator): path += "/a/b/"
            default: path += "/" + (encoded.randomElement(using: &generator) ?? "a")
            }
        }
        switch Int.random(in: 0..<12, using: &generator) {
        case 0: path += "/"
        case 1: path += "/a"
        case 2: path = String(path.prefix { $0 != "a" }) + "/"
        default: break
        }
        return path
    }

    static func compared(_ result: RouteMatch) -> String {
        switch result {
        case .matched(let rule): "\(rule.serviceIndex).\(rule.routeIndex)"
        case .unknownRoute: "unknownRoute"
        case .methodNotAllowed: "methodNotAllowed"
        case .portNotAllowed: "portNotAllowed"
        case .unreadable: "unreadable"
        }
    }

    /// 8 seeds of 125 policies and 80 requests each: 80,000 requests, each matched and tried as a preflight.
    @Test(arguments: 1...8)
    func agreesWithTheOracle(_ seed: Int) throws {
        var generator = SeededGenerator(UInt64(seed))
        var outcomes: [String: Int] = [:]
        for _ in 0..<125 {
            let policy = try OracleTests.policy(&generator)
            let oracle = Oracle(services: policy.services)
            for _ in 0..<80 {
                let path = OracleTests.somePath(policy, &generator)
                let method = OracleTests.methods.randomElement(using: &generator) ?? "GET"
                let port = OracleTests.ports.randomElement(using: &generator) ?? 80
                let pathBytes = Array(path.utf8)
                let methodBytes = Array(method.utf8)
                let host = HostTable(policy.table.span)
                let result = host.match(method: methodBytes.span, path: pathBytes.span, port: port)
                let match = OracleTests.compared(result)
                if case .matched(let rule) = result {
                    let route = policy.services[rule.serviceIndex].routes[rule.routeIndex]
                    #expect(OracleTests.demands(host, rule) == OracleTests.demands(route))
                    if rule.proof != .none { outcomes["proof", default: 0] += 1 }
                }
                let expected = oracle.match(method, path, port)
                #expect(match == expected, "\(method) \(path) on \(port), seed \(seed)")
                let rule = host.matchPreflight(
                    path: pathBytes.span, port: port, requestedMethod: methodBytes.span)
                let preflight = rule.map { "\($0.serviceIndex).\($0.routeIndex)" }
                #expect(
                    preflight == oracle.preflight(path, port, method),
                    "preflight \(method) \(path) on \(port)")
                let paths = host.considered(path: pathBytes.span, port: port)
                #expect(paths?.count == oracle.groups(path, port).count)
                outcomes[match.contains(".") ? "matched" : match, default: 0] += 1
                if preflight != nil { outcomes["preflight", default: 0] += 1 }
            }
        }
        // A generator that only misses would agree with anything.
        for outcome in ["matched", "unknownRoute", "methodNotAllowed", "portNotAllowed", "preflight", "proof"] {
            #expect(outcomes[outcome, default: 0] > 25, "\(outcome) of \(outcomes)")
        }
        #expect(outcomes["matched", default: 0] > 1_000)
    }

    @Test func listingHoldsEveryRoute() throws {
        var generator = SeededGenerator(77)
        for _ in 0..<50 {
            let policy = try OracleTests.policy(&generator)
            let listed = listing(policy.table) ?? []
            let places = Set(listed.map { "\($0.rule.serviceIndex).\($0.rule.routeIndex)" })
            let routes = policy.services.reduce(0) { $0 + $1.routes.count }
            #expect(places.count == routes && HostTable(policy.table.span).routeCount == routes)
            let ports = Set(policy.services.flatMap(\.ports))
            let expected = policy.services.reduce(0) {
                $0 + $1.routes.count * ($1.ports.isEmpty ? 1 + ports.count : Set($1.ports).count)
            }
            #expect(listed.count == expected)
        }
    }
}
