@testable import Decision
import Octets
import PolicyTables
import Testing

/// What is approved for a client, and what becomes of a token that amounts to more.
@Suite struct BaselineTests {
    private let world: World

    init() throws { world = try World(baselineModel()) }

    private func verdict(
        _ client: String?, _ scope: String, _ target: String = "GET /v1/orders", now: Int64 = World.now,
        issuer: Int = 0
    ) throws -> Verdict {
        try world.decider().verdict(request(client, scope, target, issuer: issuer), now: now)
    }

    private func request(
        _ client: String?, _ scope: String, _ target: String = "GET /v1/orders", issuer: Int = 0
    ) throws -> Request {
        let parts = target.split(separator: " ").map(String.init)
        let plan = TokenPlan.of(client, scope, issuer: sampleIssuers()[issuer].issuer)
        return Request(parts[0], parts[1]).bearing(try world.token(plan, issuer: issuer))
    }

    static let rows: [(String, String, String, Reason, String)] = [
        ("strict-id", "orders:read", "GET /v1/orders", .granted, "orders:read"),
        ("strict-id", "", "GET /v1/orders", .insufficientScope, ""),
        // The grant is not over: writing is approved.
        ("strict-id", "orders:write", "POST /v1/orders/7", .granted, "orders:read orders:write"),
        ("strict-id", "orders:admin", "GET /v1/orders", .overScoped, ""),
        ("strict-id", "orders:read payments:charge", "GET /v1/orders", .overScoped, ""),
        // What the policy does not declare is no excess.
        ("strict-id", "orders:read other:x *", "GET /v1/orders", .granted, "orders:read"),
        ("narrow-id", "orders:admin payments:charge", "GET /v1/orders", .granted, "orders:read payments:charge"),
        ("narrow-id", "orders:admin payments:charge", "POST /v1/orders/7", .insufficientScope, ""),
        ("narrow-id", "support:admin", "GET /v1/orders", .insufficientScope, ""),
        ("alert-id", "orders:admin", "DELETE /v1/orders/7", .granted, "orders:admin orders:read orders:write"),
        ("empty-id", "", "GET /v1/orders", .insufficientScope, ""),
        ("empty-id", "orders:read", "GET /v1/orders", .overScoped, ""),
        ("stranger", "orders:read", "GET /v1/orders", .unknownClient, ""),
        ("strict-i", "orders:read", "GET /v1/orders", .unknownClient, ""),
        ("strict-id\u{0}", "orders:read", "GET /v1/orders", .claimsMalformed, ""),
        ("STRICT-ID", "orders:read", "GET /v1/orders", .unknownClient, ""),
        (String(repeating: "i", count: 255), "orders:read", "GET /v1/orders", .granted, "orders:read"),
        (String(repeating: "i", count: 256), "orders:read", "GET /v1/orders", .unknownClient, ""),
        (String(repeating: "i", count: 254), "orders:read", "GET /v1/orders", .unknownClient, ""),
        (String(repeating: "i", count: 900), "orders:read", "GET /v1/orders", .unknownClient, ""),
    ]

    @Test("each rule", arguments: BaselineTests.rows.indices)
    func rules(_ number: Int) throws {
        let (client, scope, target, reason, granted) = BaselineTests.rows[number]
        let verdict = try verdict(client, scope, target)
        DeciderReasonTests.check(verdict, reason)
        #expect(verdict[.granted] == granted)
    }

    @Test("the same identifier at another issuer is another client")
    func otherIssuer() throws {
        let narrowed = try verdict("web", "payments:charge orders:read", issuer: 2)
        #expect(narrowed.reason == .insufficientScope)
        // Issuer 2 takes clients that it does not list.
        let other = try verdict("strict-id", "orders:admin", issuer: 2)
        #expect(other.reason == .granted && other[.granted] == "orders:admin orders:read orders:write")
    }

    @Test("a token without a client is one of an unknown client")
    func noClient() throws {
        var model = baselineModel()
        model.issuers[1].refusesUnknownClients = true
        let world = try World(model)
        let plan = TokenPlan.of(nil, "orders:read", issuer: sampleIssuers()[1].issuer).with { $0.clientClaim = "azp" }
        let bearing = try world.token(plan, issuer: 1)
        let request = Request("GET", "/stream", host: "ws.example.com").with {
            $0.subprotocol = [bytes("token, ") + bearing]
        }
        #expect(try world.decider().verdict(request).reason == .unknownClient)
        try world.activate(baselineModel())
        #expect(try world.decider().verdict(request).reason == .granted)
    }

    @Test("whoever is refused for the client is told of no scopes")
    func challenges() throws {
        for (client, reason) in [("strict-id", Reason.overScoped), ("stranger", .unknownClient)] {
            let verdict = try verdict(client, "orders:admin")
            #expect(verdict.reason == reason && verdict.status == 403)
            #expect(
                verdict.challenge
                    == #"Bearer realm="orders", error="insufficient_scope", "#
                    + #"error_description="The access token is not approved for its client""#)
        }
    }

    @Test("in this order: the token's own faults, the client, the scopes, the bindings")
    func order() throws {
        let decider = try world.decider()
        let expired = TokenPlan.of("stranger", "orders:admin").with { $0.expiresAt = World.now - 100 }
        #expect(decider.verdict(Request().bearing(try world.token(expired))).reason == .expired)
        let elsewhere = TokenPlan.of("stranger", "orders:admin").with { $0.audience = ["https://api.example.com"] }
        #expect(decider.verdict(Request().bearing(try world.token(elsewhere))).reason == .audienceMismatch)
        // Neither the scope that is missing nor the binding that does not hold is looked at.
        let target = "GET /v1/users/bob/orders"
        #expect(try verdict("stranger", "support:admin", target).reason == .unknownClient)
        #expect(try verdict("strict-id", "support:admin", target).reason == .overScoped)
        #expect(try verdict("strict-id", "", target).reason == .insufficientScope)
        #expect(try verdict("strict-id", "orders:read", target).reason == .bindingMismatch)
        // Public routes ask nobody.
        #expect(try verdict("stranger", "orders:admin", "GET /healthz").reason == .public)
    }

    @Test("a binding that is not proved comes before the client")
    func possession() throws {
        var model = baselineModel()
        model.services[0].routes[0].proof = .dpop
        try world.activate(model)
        #expect(try verdict("stranger", "orders:admin").reason == .proofRequired)
    }

    @Test("observe mode of a client lets through what its tokens may not do, and nothing else")
    func observe() throws {
        let rows: [(String, String, Reason)] = [
            ("orders:admin", "GET /v1/orders", .overScoped), ("", "GET /v1/orders", .insufficientScope),
            ("orders:read", "GET /v1/users/bob/orders", .bindingMismatch),
        ]
        for (scope, target, reason) in rows {
            let decider = try world.decider()
            decider.collectsDetails = true
            let request = try request("try-id", scope, target)
            let observed = decider.verdict(request, now: clientObserveEnd - 1)
            DeciderReasonTests.check(observed, .observed)
            #expect(observed.identity == ["", "", "", ""] && decider.details.observedReason == reason)
            #expect(decider.lastLogMembers().contains("\"would_be\":\"\(reason.name)\""))
            // From that second on it is enforced, on the same worker and the same token.
            DeciderReasonTests.check(decider.verdict(request, now: clientObserveEnd), reason)
            #expect(decider.details.observedReason == nil)
        }
        let expired = TokenPlan.of("try-id", "orders:read").with { $0.expiresAt = World.now - 100 }
        #expect(try world.decider().verdict(Request().bearing(try world.token(expired))).reason == .expired)
        // What it may do is no observation.
        let allowed = try verdict("try-id", "orders:read")
        #expect(allowed.reason == .granted && allowed[.client] == "try-id")
        // Another client's date is its own.
        #expect(try verdict("strict-id", "orders:admin").reason == .overScoped)
        // A route's observe mode lets everything through, unknown clients too.
        #expect(try verdict("stranger", "orders:read", "GET /v1/watched").reason == .observed)
        #expect(try verdict("strict-id", "orders:admin", "GET /v1/watched").reason == .observed)
    }

    @Test("step-up and details are observed for a client, and no other refusal of a token")
    func observeMore() throws {
        var model = baselineModel()
        model.details = [DetailModel(type: "payment")]
        var details = route("GET /v1/pay", all: [Scope.read])
        details.details = [0]
        var stepUp = route("GET /v1/step", all: [Scope.read])
        stepUp.authenticationContexts = ["mfa"]
        var bound = route("GET /v1/bound", all: [Scope.read])
        bound.proof = .any
        model.services[0].routes += [details, stepUp, bound]
        try world.activate(model)
        for (target, reason) in [
            ("GET /v1/pay", Reason.insufficientDetails), ("GET /v1/step", .stepUpRequired),
        ] {
            let decider = try world.decider()
            let request = try request("try-id", "orders:read", target)
            #expect(decider.verdict(request, now: clientObserveEnd - 1).reason == .observed)
            #expect(decider.verdict(request, now: clientObserveEnd).reason == reason)
            #expect(try verdict("web", "orders:read", target).reason == reason)
        }
        #expect(try verdict("try-id", "orders:read", "GET /v1/bound").reason == .proofRequired)
        world.revoke(Revocation(kind: .client, issuer: bytes("https://id.example.com"), value: bytes("try-id")))
        #expect(try verdict("try-id", "orders:admin").reason == .revoked)
    }

    @Test("an activation changes what is approved for a token that is cached")
    func activation() throws {
        let decider = try world.decider()
        let request = try request("strict-id", "orders:read")
        let admin = try self.request("strict-id", "orders:admin")
        #expect(decider.verdict(request).reason == .granted && decider.verdict(admin).reason == .overScoped)
        var model = baselineModel()
        model.clients[0].scopes = []
        model.clients[0].grants = []
        try world.activate(model, publishing: false)
        world.publishAgain()
        #expect(decider.verdict(request).reason == .overScoped)
        model.clients[0].excess = .alert
        try world.activate(model, publishing: false)
        world.publishAgain()
        #expect(decider.verdict(request).reason == .granted && decider.verdict(admin).reason == .granted)
        model.clients.remove(at: 0)
        try world.activate(model, publishing: false)
        world.publishAgain()
        #expect(decider.verdict(request).reason == .unknownClient)
        model.issuers[0].refusesUnknownClients = false
        try world.activate(model)
        #expect(decider.verdict(admin).reason == .granted)
    }

    @Test("one list of scopes amounts to something else for each client")
    func sameList() throws {
        let decider = try world.decider()
        let expected: [(String, Reason)] = [
            ("strict-id", .overScoped), ("narrow-id", .granted), ("alert-id", .granted), ("stranger", .unknownClient),
            ("web", .granted), ("empty-id", .overScoped),
        ]
        for round in 0..<3 {
            for (client, reason) in expected {
                let verdict = decider.verdict(try request(client, "orders:admin"))
                #expect(verdict.reason == reason, "\(client) in round \(round)")
                #expect((verdict[.granted] == "orders:read") == (client == "narrow-id"))
            }
        }
    }

    @Test("far more lists and clients than are kept")
    func many() throws {
        let decider = try world.decider()
        let narrowed = try request("narrow-id", "orders:admin")
        for number in 0..<4_200 {
            let plan = TokenPlan.of(number % 2 == 0 ? "narrow-id" : "stranger", "orders:admin x\(number)")
            let verdict = decider.verdict(Request().bearing(try world.token(plan)))
            guard verdict.reason == (number % 2 == 0 ? .granted : .unknownClient) else {
                Issue.record("\(number): \(verdict.reason)")
                return
            }
        }
        #expect(decider.verdict(narrowed)[.granted] == "orders:read")
    }
}
