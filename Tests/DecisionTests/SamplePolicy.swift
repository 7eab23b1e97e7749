import PolicyTables
import Signatures

/// Scopes of the sample policy by their numbers.
enum Scope {
    static let read: UInt16 = 0
    static let write: UInt16 = 1
    static let admin: UInt16 = 2
    static let charge: UInt16 = 3
    static let support: UInt16 = 4
    static let metrics: UInt16 = 5
}

let observeEnd = World.now + 500

func sampleScopes() -> [ScopeModel] {
    [
        ScopeModel(name: "orders:read", closure: [0]),
        ScopeModel(name: "orders:write", closure: [0, 1]),
        ScopeModel(name: "orders:admin", closure: [0, 1, 2]),
        ScopeModel(name: "payments:charge", closure: [3]),
        ScopeModel(name: "support:admin", closure: [4]),
        ScopeModel(name: "read:metrics", closure: [5]),
    ]
}

func sampleIssuers() -> [IssuerModel] {
    let audiences = ["https://api.example.com"]
    return [
        IssuerModel(
            issuer: "https://id.example.com", audiences: audiences, keySource: .file("a.json"),
            algorithms: [.es256], leewaySeconds: 10),
        IssuerModel(
            issuer: "https://other.example.com/caf\u{E9}", audiences: audiences, keySource: .file("b.json"),
            algorithms: [.ed25519], profile: .compat, clientClaim: "azp"),
        IssuerModel(
            issuer: "https://third.example.com", audiences: audiences, keySource: .file("c.json"),
            algorithms: [.es256]),
    ]
}

/// Every kind of route and service once.
func sampleModel() -> PolicyModel {
    var model = PolicyModel()
    model.issuers = sampleIssuers()
    model.scopes = sampleScopes()
    model.services = [
        ServiceModel(
            name: "orders", hosts: ["api.example.com", "*.tenant.example.com"], issuers: [0, 2],
            audience: "https://orders.example.com", routes: orderRoutes()),
        ServiceModel(
            name: "app", hosts: ["app.example.com"], issuers: [0, 1], tokenSource: .cookie("session"),
            routes: [route("GET /me", all: [Scope.read]), route("GET /", .public)]),
        ServiceModel(
            name: "live", hosts: ["ws.example.com"], issuers: [1], tokenSource: .webSocketProtocol("token"),
            routes: [route("GET /stream", all: [Scope.read])]),
        ServiceModel(
            name: "inner", hosts: ["inner.example.com"], ports: [8443], issuers: [0, 1],
            routes: [
                route("GET /x", all: [Scope.read]),
                route("GET /watched", all: [Scope.support], observeUntil: observeEnd),
            ]),
    ]
    return model
}

private func orderRoutes() -> [RouteModel] {
    [
        route("GET /v1/orders", all: [Scope.read]),
        route("GET /v1/orders/{order}", all: [Scope.read]),
        route("POST /v1/orders", all: [Scope.write, Scope.charge]),
        route("POST /v1/orders/{order}", all: [Scope.write]),
        route("POST /v1/orders/all:purge", all: [Scope.support]),
        route("DELETE /v1/orders/{order}", any: [Scope.admin, Scope.support]),
        route("PUT /v1/orders/{order}", all: [Scope.charge], any: [Scope.admin, Scope.support]),
        route("GET /v1/users/{user}/orders", all: [Scope.read], bindings: [(2, "sub")]),
        route("GET /v1/teams/{team}/{user}", all: [Scope.read], bindings: [(2, "team"), (3, "sub")]),
        route("GET /v1/metrics", all: [Scope.metrics], ports: [9443]),
        route("OPTIONS /**", .preflight),
        route("GET /healthz", .public),
        route("GET /v1/watched", all: [Scope.support], observeUntil: observeEnd),
        route(
            "GET /v1/watched/{user}", all: [Scope.read], bindings: [(2, "sub")], observeUntil: observeEnd),
        route("HEAD /v1/heads", all: [Scope.support]),
        route("GET /v1/heads", all: [Scope.read]),
        route("GET /v1/files/**", all: [Scope.read]),
        route("OPTIONS /v1/plain", all: [Scope.read]),
        route("GET /v1/plain", all: [Scope.read]),
    ]
}
