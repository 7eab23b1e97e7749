import PolicyTables
import Signatures
import Testing

@testable import PolicyComparison

/// `/a/{b}/**` as segments.
func path(_ text: String) -> [RouteModel.Segment] {
    text.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map { part in
        if part == "**" { return .rest }
        if part.hasPrefix("{"), part.hasSuffix("}") { return .parameter(String(part.dropFirst().dropLast())) }
        return .literal(String(part))
    }
}

/// A route from `METHOD /path`.
func route(_ match: String, _ ground: RouteModel.Ground = .scopes(all: [0], any: [])) -> RouteModel {
    let parts = match.split(separator: " ")
    return RouteModel(method: String(parts[0]), segments: path(String(parts[1])), ground: ground, label: match)
}

/// One issuer, the scopes `read`, `write` (which implies it) and `admin`, and one service.
func policy(_ routes: [RouteModel], _ change: (inout PolicyModel) -> Void = { _ in }) -> PolicyModel {
    var model = PolicyModel()
    model.issuers = [
        IssuerModel(
            issuer: "https://id.test", audiences: ["https://api.test"], keySource: .uri("https://id.test/jwks"),
            algorithms: [.es256])
    ]
    model.scopes = [
        ScopeModel(name: "read", closure: [0]), ScopeModel(name: "write", closure: [0, 1]),
        ScopeModel(name: "admin", closure: [2]),
    ]
    model.services = [ServiceModel(name: "api", hosts: ["api.test"], issuers: [0], routes: routes)]
    change(&model)
    return model
}

/// The kinds of what is wider, in the order of the kinds.
func kinds(_ old: PolicyModel, _ new: PolicyModel) -> [WideningKind] {
    planChange(from: old, to: new, at: 0).findings.map(\.kind)
}

private let plain = [route("GET /orders/{order}")]

@Suite struct PlanTests {
    @Test func sameIsNotWider() {
        let one = policy(plain)
        #expect(!planChange(from: one, to: one, at: 0).isWider)
        #expect(!planChange(from: one, to: policy([]), at: 0).isWider)
        #expect(!planChange(from: PolicyModel(), to: PolicyModel(), at: 0).isWider)
    }

    @Test func namesCountAndNotNumbers() {
        var moved = policy([route("GET /orders/{id}", .scopes(all: [2], any: []))])
        moved.scopes = [
            ScopeModel(name: "admin", closure: [0]), ScopeModel(name: "write", closure: [1, 2]),
            ScopeModel(name: "read", closure: [2]),
        ]
        #expect(kinds(policy(plain), moved).isEmpty)
        #expect(kinds(moved, policy(plain)).isEmpty)
    }

    @Test func aRouteIsOpened() throws {
        let finding = try #require(
            planChange(from: policy([]), to: policy(plain), at: 7).findings.first)
        #expect(finding.kind == .routeOpened && finding.basis == .example)
        #expect(finding.from == 7 && finding.until == nil && finding.count == 1)
        let example = try #require(finding.examples.first)
        #expect(
            example.request
                == .http(method: "GET", host: "api.test", port: 443, path: "/orders/x", requestedMethod: nil))
        #expect(example.token?.scopes == ["read"] && example.token?.client == nil)
        #expect(example.was == "port_not_allowed" && example.becomes == "granted")
        #expect(
            finding.summary
                == "route_opened: nothing answered before; now needs `read` (GET https://api.test/orders/x on port 443 "
                + "with scopes \"read\" from `https://id.test`: was port_not_allowed, becomes granted)")
        #expect(example.oldRoute == nil && example.newRoute == RouteLocation(service: 0, route: 0))
    }

    /// A more specific route hides a weaker one; without it the weaker one answers.
    @Test func removingARouteCanOpen() throws {
        let wide = route("GET /orders/**")
        let admin = route("GET /orders/all", .scopes(all: [2], any: []))
        let plan = planChange(from: policy([wide, admin]), to: policy([wide]), at: 0)
        let example = try #require(plan.findings.first?.examples.first)
        #expect(plan.findings.map(\.kind) == [.scopes])
        #expect(
            example.request
                == .http(method: "GET", host: "api.test", port: 443, path: "/orders/all", requestedMethod: nil))
        #expect(example.was == "insufficient_scope" && example.token?.scopes == ["read"])
        #expect(kinds(policy([wide]), policy([wide, admin])) == [.scopes])
    }

    /// `/a%3Ab` was refused since it could be `/a:b` too.
    @Test func anEscapeThatWasAmbiguous() throws {
        let both = policy([route("GET /{x}"), route("GET /a:b", .public)])
        let plan = planChange(from: both, to: policy([route("GET /{x}")]), at: 0)
        let example = try #require(plan.findings.first?.examples.first)
        #expect(plan.findings.count == 1 && example.was == "ambiguous_target")
        #expect(
            example.request
                == .http(method: "GET", host: "api.test", port: 443, path: "/a%3Ab", requestedMethod: nil))
    }

    @Test func implicationsAreCompared() throws {
        let new = policy(plain) { $0.scopes[2].closure = [0, 2] }
        let finding = try #require(planChange(from: policy(plain), to: new, at: 0).findings.first)
        #expect(finding.kind == .scopes && finding.examples.first?.token?.scopes == ["admin"])
        #expect(kinds(new, policy(plain)).isEmpty)
    }

    @Test func wildcardHosts() throws {
        let old = policy(plain) { $0.services[0].hosts = ["*.test", "any.test"] }
        let new = policy([route("GET /orders/{order}", .public)]) { $0.services[0].hosts = ["*.test"] }
        let example = try #require(planChange(from: old, to: new, at: 0).findings.first?.examples.first)
        guard case .http(_, let host, _, _, _) = example.request else { return }
        // One label that neither policy lists, and the one that only the wildcard covers now.
        #expect(["any1.test", "any.test"].contains(host))
    }

    @Test func oneFindingForManyRoutes() throws {
        func routes(_ scope: UInt16) -> [RouteModel] {
            (0..<500).map { route("GET /r\($0)", .scopes(all: [scope], any: [])) }
        }
        let plan = planChange(from: policy(routes(2)), to: policy(routes(0)), at: 0)
        let finding = try #require(plan.findings.first)
        #expect(plan.findings.count == 1 && finding.count == 500)
        #expect(finding.examples.count == PolicyPlan.examplesMax)
    }

    @Test func timesAreTold() throws {
        let old = policy(plain) { $0.scopes[1].until = 100 }
        let plan = planChange(from: old, to: policy(plain), at: 0)
        #expect(plan.findings.map(\.kind) == [.scopes])
        #expect(plan.findings.first?.from == 100 && plan.findings.first?.until == nil)
        #expect(plan.findings.first?.examples.first?.token?.scopes == ["write"])
        // What ended before the comparison's own time has always been over.
        #expect(
            !planChange(
                from: policy(plain) { $0.scopes[1].until = 5 }, to: policy(plain) { $0.scopes[1].until = 7 }, at: 9
            ).isWider)
    }

    @Test func observeModeEnds() throws {
        var watched = plain
        watched[0].observeUntil = 50
        let finding = try #require(planChange(from: policy(plain), to: policy(watched), at: 10).findings.first)
        #expect(finding.kind == .observeMode && finding.from == 10 && finding.until == 50)
        #expect(finding.examples.first?.token == nil && finding.examples.first?.becomes == "observed")
        #expect(!planChange(from: policy(plain), to: policy(watched), at: 50).isWider)
    }

    @Test func atTheEndOfTime() {
        for at in [Int64.min, 0, .max] { #expect(planChange(from: policy([]), to: policy(plain), at: at).isWider) }
    }

    @Test func grantsOfAClient() throws {
        func approved(_ until: Int64) -> PolicyModel {
            policy(plain) {
                var client = ClientModel(name: "web", issuer: 0, identifier: "0oa1", scopes: [2])
                client.grants = [.init(scopes: [0], until: until, reason: "test")]
                $0.clients = [client]
            }
        }
        let plan = planChange(from: approved(100), to: approved(200), at: 0)
        let finding = try #require(plan.findings.first { $0.kind == .baseline })
        #expect(finding.from == 100 && finding.until == 200)
        #expect(finding.examples.first?.token?.client == "0oa1")
        #expect(!planChange(from: approved(200), to: approved(100), at: 0).isWider)
    }

    @Test func limitsAreFindings() {
        let comparison = Comparison(old: policy([]), new: policy(plain), at: 0, stepsMax: 1)
        #expect(planChange(comparison).findings.contains { $0.kind == .undecided })
        var routes: [RouteModel] = []
        for number in 0..<PolicyPlan.findingsMax + 10 {
            var one = route("GET /r\(number)")
            one.observeUntil = Int64(number) + 10
            routes.append(one)
        }
        let plan = planChange(from: policy(routes.map { route($0.label) }), to: policy(routes), at: 0)
        #expect(plan.findings.count == PolicyPlan.findingsMax && plan.omittedCount == 10)
    }

    /// Texts that Unicode calls the same are not.
    @Test func bytesAreCompared() {
        let composed = policy([route("GET /caf\u{E9}")])
        let decomposed = policy([route("GET /cafe\u{301}")])
        #expect(kinds(composed, decomposed) == [.routeOpened])
    }
}
