import OpenAPI
import Policy
import PolicyTables
import Testing

/// What a manifest says beside methods, paths and scopes, key by key.
@Suite struct ManifestDriftTests {
    private static func source(service: String = "", route: String = "", more: String = "") -> String {
        """
        scopecheck: 1
        issuers:
          - issuer: https://id.example.com
            audience: [https://api.example.com, https://z.example.com]
            keys: { discovery: true }
        scopes: { r: {}, w: { implies: [r] } }
        services:
          orders:
            hosts: [api.example.com]
            base_path: /v1
            \(service.isEmpty ? "mode: enforce" : service)
            routes:
              - { match: "GET /a/{x}", scopes: r\(route.isEmpty ? "" : ", " + route) }
              - { match: POST /a, scopes: w }
              - { match: GET /open, public: true }
        \(more)
        """
    }

    private func drift(_ manifest: String, _ policy: String) throws -> DriftReport {
        try DriftReport(
            manifest: Array(manifest.utf8), file: "manifest.yaml", model: model(policy, hasIssuer: true),
            service: "orders", now: testNow)
    }

    private func findings(_ manifest: String, _ policy: String) throws -> [String] {
        try drift(manifest, policy).findings.map { "\($0.kind.rawValue) \($0.subject)" }
    }

    struct Key: CustomTestStringConvertible, Sendable {
        var text: String
        /// Where the manifest alone says it, and where the policy alone does.
        var published: [String]
        var inForce: [String]
        var testDescription: String { text }

        init(_ text: String, _ published: [String], _ inForce: [String]? = nil) {
            self.text = text
            self.published = published
            self.inForce = inForce ?? published
        }
    }

    static let serviceKeys = [
        Key("ports: [443]", ["requirement_differs ports"]),
        Key("audience: https://z.example.com", ["requirement_differs audience"]),
        Key("token_from: { cookie: session }", ["requirement_differs token_from"]),
        Key("token_from: { websocket_protocol: bearer }", ["requirement_differs token_from"]),
        Key("public_port: 8443", ["requirement_differs public_port"]),
        Key("forward_token: never", ["requirement_differs forward_token"]),
        Key("transaction_token: true", ["requirement_differs transaction_token"]),
        Key("ends: 2030-01-01T00:00:00Z", ["requirement_differs ends"]),
        Key("proof: mtls", ["requirement_differs GET /a/{x}", "requirement_differs POST /a"]),
        Key(
            "mode: { observe: { until: 2030-01-01T00:00:00Z } }",
            ["requirement_differs GET /a/{x}", "requirement_differs POST /a"],
            ["policy_looser GET /a/{x}", "policy_looser POST /a"]),
        Key(
            "resource: https://api.example.com",
            [
                "resource_differs https://api.example.com",
                "operation_denied GET /.well-known/oauth-protected-resource",
            ], ["resource_differs https://api.example.com"]),
    ]

    @Test(arguments: serviceKeys) func keyOfAService(_ key: Key) throws {
        let plain = ManifestDriftTests.source()
        let with = ManifestDriftTests.source(service: key.text)
        #expect(try findings(with, plain) == key.published)
        #expect(try findings(plain, with) == key.inForce)
        #expect(try findings(with, with) == [])
        #expect(try drift(with, plain).findings.allSatisfy { !$0.mend.isEmpty && !$0.message.isEmpty })
    }

    static let routeKeys = [
        Key("authorization_details: { type: pay, actions: [x] }", ["requirement_differs GET /a/{x}"]),
        Key("where: { x: sub }", ["requirement_differs GET /a/{x}"]),
        Key("proof: dpop", ["requirement_differs GET /a/{x}"]),
        Key("proof: dpop, dpop_nonce: required", ["requirement_differs GET /a/{x}"]),
        Key("acr: [mfa, hwk]", ["requirement_differs GET /a/{x}"]),
        Key("max_age: 5m", ["requirement_differs GET /a/{x}"]),
        Key(
            "mode: observe, until: 2030-01-01T00:00:00Z", ["requirement_differs GET /a/{x}"],
            ["policy_looser GET /a/{x}"]),
        Key("ports: [9999]", ["policy_looser GET /a/{x}"], ["operation_denied GET /a/{x}"]),
    ]

    @Test(arguments: routeKeys) func keyOfARoute(_ key: Key) throws {
        let plain = ManifestDriftTests.source()
        let with = ManifestDriftTests.source(route: key.text)
        #expect(try findings(with, plain) == key.published)
        #expect(try findings(plain, with) == key.inForce)
        #expect(try findings(with, with) == [])
    }

    /// The order of lists says nothing, the values do.
    @Test func details() throws {
        func source(_ details: String) -> String {
            ManifestDriftTests.source(route: "authorization_details: \(details)")
        }
        let one = "{ type: pay, actions: [a, b], locations: [https://a.example, https://b.example] }"
        let same = "{ type: pay, actions: [b, a], locations: [https://b.example, https://a.example] }"
        #expect(try findings(source(one), source(same)) == [])
        #expect(try findings(source("[\(one), { type: x }]"), source("[{ type: x }, \(same)]")) == [])
        let less = "{ type: pay, actions: [a], locations: [https://a.example, https://b.example] }"
        #expect(try findings(source(one), source(less)) == ["requirement_differs GET /a/{x}"])
    }

    /// The messages name both sides.
    @Test func words() throws {
        let report = try drift(
            ManifestDriftTests.source(service: "ports: [80, 443]"),
            ManifestDriftTests.source(
                service: "audience: https://z.example.com", route: "ports: [9999]"))
        #expect(report.text.contains("published: ports 80, 443; policy: any port"), "\(report.text)")
        #expect(report.text.contains("published: none; policy: `https://z.example.com`"), "\(report.text)")
        #expect(report.text.contains("does not list the method on ports 80, 443"), "\(report.text)")
    }

    @Test func tooManyPorts() throws {
        func source(_ count: Int) -> String {
            let ports = (1...count).map { String($0) }.joined(separator: ", ")
            return ManifestDriftTests.source(route: "ports: [\(ports)]")
        }
        #expect(try findings(source(64), source(64)) == [])
        #expect(throws: DocumentError.self) { try findings(source(65), source(65)) }
    }

    /// One path on two ports, each as it is published.
    @Test func routesByPort() throws {
        func source(_ first: String, _ second: String) -> String {
            ManifestDriftTests.source(
                more: "      - { match: GET /p, ports: [443], \(first) }\n"
                    + "      - { match: GET /p, ports: [80], \(second) }")
        }
        let policy = source("scopes: w", "public: true")
        #expect(try findings(policy, policy) == [])
        #expect(try findings(source("scopes: r", "public: true"), policy) == ["policy_stricter GET /p"])
        #expect(try findings(source("scopes: w", "scopes: r"), policy) == ["policy_looser GET /p"])
    }

    /// A route of its own for a part of what is published.
    @Test func narrowerRoutes() throws {
        func source(_ demands: String, _ own: String = "") -> String {
            ManifestDriftTests.source(
                route: demands,
                more: own.isEmpty ? "" : "      - { match: GET /a/mine, scopes: w\(own == "-" ? "" : ", " + own) }")
        }
        for demand in ["proof: dpop", "acr: mfa", "max_age: 5m", "authorization_details: { type: pay }"] {
            #expect(try findings(source(demand), source(demand, "-")) == ["policy_looser GET /a/mine"], "\(demand)")
            #expect(try findings(source(demand), source(demand, demand)) == [])
            #expect(try findings(source(""), source("", demand)) == [], "stricter is no drift")
        }
        #expect(
            try findings(source("ports: [443]"), source("ports: [443]", "-")) == ["policy_looser GET /a/mine"])
    }

    @Test func preflights() throws {
        let plain = ManifestDriftTests.source()
        let preflight = ManifestDriftTests.source(more: "      - { match: OPTIONS /a, preflight: true }")
        let ordinary = ManifestDriftTests.source(more: "      - { match: OPTIONS /a, scopes: r }")
        #expect(try findings(preflight, preflight) == [])
        #expect(try findings(preflight, plain) == ["operation_denied OPTIONS /a"])
        #expect(try findings(plain, preflight) == ["route_stale OPTIONS /a"])
        #expect(try findings(ordinary, preflight) == ["operation_denied OPTIONS /a", "route_stale OPTIONS /a"])
    }

    @Test func hostsAndIssuers() throws {
        let plain = ManifestDriftTests.source()
        let wider = plain.replacing("[api.example.com]", with: "[api.example.com, b.example.com]")
        #expect(try findings(wider, plain) == ["host_unknown b.example.com"])
        #expect(try findings(plain, wider) == ["requirement_differs b.example.com"])
        let second = plain.replacing(
            "scopes: { r",
            with: "  - { issuer: https://b.example.com, audience: x, keys: { discovery: true } }\nscopes: { r")
        let both = second.replacing(
            "base_path", with: "issuers: [https://id.example.com, https://b.example.com]\n    base_path")
        #expect(try findings(both, both) == [])
        #expect(try findings(both, plain) == ["issuer_refused https://b.example.com"])
        #expect(try findings(plain, both) == ["issuer_not_published https://b.example.com"])
        // A manifest without issuers leaves them to the policy.
        let bare = plain.split(separator: "\n").filter { !$0.contains("issuer") && !$0.contains("example.com, https") }
            .filter { !$0.contains("keys:") }.joined(separator: "\n")
        #expect(try findings(bare, plain) == [])
    }

    /// Another service may answer on the same host; then what that one says counts.
    @Test func answersOfAnotherService() throws {
        let plain = ManifestDriftTests.source()
        func policy(_ keys: String) -> String {
            plain.replacing("      - { match: POST /a, scopes: w }\n", with: "")
                + "\n  two: { hosts: [api.example.com], \(keys) routes: [{ match: POST /v1/a, scopes: w }] }"
        }
        #expect(try findings(plain, policy("")) == [])
        #expect(try findings(plain, policy("audience: https://z.example.com,")) == ["requirement_differs POST /a"])
        #expect(try findings(plain, policy("token_from: { cookie: c },")) == ["requirement_differs POST /a"])
        #expect(try findings(plain, policy("ends: 2026-01-01T00:00:00Z,")) == ["operation_denied POST /a"])
        #expect(try findings(plain, policy("ports: [9999],")) == ["operation_denied POST /a"])
    }

    /// On a port that two services share, the more specific path decides; on others it is not there.
    @Test func servicesOnPortsOfTheirOwn() throws {
        let more = "  two: { hosts: [api.example.com], ports: [9999], routes: [{ match: GET /v1/a/b, public: true }] }"
        let manifest = ManifestDriftTests.source().replacing("GET /a/{x}", with: "GET /a/b")
        let policy = ManifestDriftTests.source(more: more)
        #expect(try findings(manifest, policy) == ["policy_looser GET /a/b"])
        let elsewhere = "ports: [443]"
        #expect(
            try findings(
                ManifestDriftTests.source(service: elsewhere).replacing("GET /a/{x}", with: "GET /a/b"),
                ManifestDriftTests.source(service: elsewhere, more: more)) == [])
    }
}
