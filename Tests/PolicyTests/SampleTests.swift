import Decision
import Policy
import PolicyTables
import Signatures
import Testing

/// The policy that the design shows, in the language of this build.
let sampleText = """
    scopecheck: 1
    issuers:
      - issuer: https://id.example.com
        audience: [https://api.example.com]
        keys: { jwks_uri: https://id.example.com/jwks }     # or jwks_file, or discovery: true
        algorithms: [ES256, RS256]
        profile: rfc9068                                     # or compat, for issuers that send typ JWT
    scopes:
      orders:read:     { description: Read orders }
      orders:write:    { description: Create and change orders, implies: [orders:read] }
      orders:admin:    { implies: ["orders:*"] }
      payments:charge: {}
      support:admin:   {}
      read:metrics:    {}
    services:
      orders:
        issuers: [https://id.example.com]                    # who may speak for this service
        audience: https://api.example.com
        hosts: [api.example.com]
        base_path: /v1
        routes:
          - { match: GET /orders,                scopes: orders:read }
          - { match: "GET /orders/{order}",      scopes: orders:read }
          - { match: POST /orders,               scopes: { all: [orders:write, payments:charge] } }
          - { match: "DELETE /orders/{order}",   scopes: { any: [orders:admin, support:admin] } }
          - { match: "GET /users/{user}/orders", scopes: orders:read, where: { user: sub } }
          - { match: GET /metrics,               scopes: read:metrics, ports: [9443] }
          - { match: OPTIONS /**,                preflight: true }
          - { match: GET /healthz,               public: true }
          - match: PUT /orders/{order}
            scopes: orders:write
            mode: observe
            until: 2027-12-01T00:00:00Z
    tests:
      - { request: GET https://api.example.com/v1/orders/7, client: web-frontend, scopes: [orders:read], expect: allow }
      - { request: POST https://api.example.com/v1/orders, client: web-frontend, scopes: [orders:read], expect: insufficient_scope }
      - { request: GET https://api.example.com/v1/orders, expect: no_token }
    """

@Suite struct SampleTests {
    @Test func model() throws {
        let policy = load(sampleText)
        #expect(policy.diagnostics == [])
        let model = try #require(policy.model)
        #expect(
            model.issuers == [
                IssuerModel(
                    issuer: "https://id.example.com", audiences: ["https://api.example.com"],
                    keySource: .uri("https://id.example.com/jwks"), algorithms: [.es256, .rs256])
            ])
        // read 0, write 1, admin 2, charge 3, support 4, metrics 5.
        #expect(
            model.scopes == [
                ScopeModel(name: "orders:read", description: "Read orders", closure: [0]),
                ScopeModel(name: "orders:write", description: "Create and change orders", closure: [0, 1]),
                ScopeModel(name: "orders:admin", closure: [0, 1, 2]),
                ScopeModel(name: "payments:charge", closure: [3]),
                ScopeModel(name: "support:admin", closure: [4]),
                ScopeModel(name: "read:metrics", closure: [5]),
            ])
        #expect(model.services.count == 1)
        let service = try #require(model.services.first)
        #expect(service.name == "orders")
        #expect(service.hosts == ["api.example.com"])
        #expect(service.ports == [] && service.issuers == [0])
        #expect(service.audience == "https://api.example.com")
        #expect(service.tokenSource == .header)
        let v1 = RouteModel.Segment.literal("v1")
        #expect(
            service.routes == [
                RouteModel(
                    method: "GET", segments: [v1, .literal("orders")], ground: .scopes(all: [0], any: []),
                    label: "GET /orders"),
                RouteModel(
                    method: "GET", segments: [v1, .literal("orders"), .parameter("order")],
                    ground: .scopes(all: [0], any: []), label: "GET /orders/{order}"),
                RouteModel(
                    method: "POST", segments: [v1, .literal("orders")],
                    ground: .scopes(all: [1, 3], any: []),
                    label: "POST /orders"),
                RouteModel(
                    method: "DELETE", segments: [v1, .literal("orders"), .parameter("order")],
                    ground: .scopes(all: [], any: [2, 4]), label: "DELETE /orders/{order}"),
                RouteModel(
                    method: "GET", segments: [v1, .literal("users"), .parameter("user"), .literal("orders")],
                    ground: .scopes(all: [0], any: []),
                    bindings: [RouteModel.Binding(segment: 2, claim: "sub")],
                    label: "GET /users/{user}/orders"),
                RouteModel(
                    method: "GET", segments: [v1, .literal("metrics")], ground: .scopes(all: [5], any: []),
                    ports: [9443], label: "GET /metrics"),
                RouteModel(
                    method: "OPTIONS", segments: [v1, .rest], ground: .preflight, label: "OPTIONS /**"),
                RouteModel(
                    method: "GET", segments: [v1, .literal("healthz")], ground: .public, label: "GET /healthz"
                ),
                RouteModel(
                    method: "PUT", segments: [v1, .literal("orders"), .parameter("order")],
                    ground: .scopes(all: [1], any: []), observeUntil: 1_827_619_200,
                    label: "PUT /orders/{order}"),
            ])
        #expect(policy.routePositions.map(\.count) == [service.routes.count])
        #expect(policy.routePositions[0][0] == SourcePosition(line: 22, column: 18))
    }

    @Test func tests() throws {
        let tests = load(sampleText).tests
        #expect(tests.count == 3)
        let one = try #require(tests.first)
        guard case .request(let first) = one.attempt, case .request(let last) = tests[2].attempt else {
            Issue.record("a request was read as something else")
            return
        }
        #expect(first.text == "GET https://api.example.com/v1/orders/7")
        #expect(first.method == "GET" && first.scheme == "https" && first.host == "api.example.com")
        #expect(first.port == 443 && first.target == "/v1/orders/7")
        #expect(first.token?.scopes == ["orders:read"] && first.token?.client == "web-frontend")
        #expect(first.token?.state == .valid && first.token?.subject == nil)
        #expect(one.expectation == .allow && one.time == nil)
        #expect(tests[1].expectation == .reason(.insufficientScope))
        #expect(last.token == nil && tests[2].expectation == .reason(.noToken))
    }

    /// The design's own text: clients make the issuer say what becomes of others, and that is all that is missing.
    @Test func designAsWritten() throws {
        let clients = """

            clients:
              web-frontend: { scopes: [orders:read], on_excess: narrow }
              billing-job:
                roles: [billing]
                grants: [{ scope: orders:admin, until: 2026-12-01T00:00:00Z, reason: INC-42 }]
            roles:
              billing: { scopes: [orders:read, payments:charge] }
            """
        let text =
            sampleText.replacing(
                "any: [orders:admin, support:admin] } }",
                with: "any: [orders:admin, support:admin] }, proof: dpop, max_age: 5m }") + clients
        let policy = load(text)
        #expect(policy.model == nil)
        #expect(policy.diagnostics.map(\.code) == [.missingKey])
        #expect(policy.diagnostics.first?.mend.contains("`unknown_clients: deny`") == true)
        let ruled = load(
            text.replacing("profile: rfc9068", with: "unknown_clients: deny").replacing(
                "base_path: /v1", with: "base_path: /v1\n    forward_token: never"))
        #expect(ruled.diagnostics == [])
        let model = try #require(ruled.model)
        #expect(model.clients.map(\.name) == ["billing-job", "web-frontend"])
    }
}
