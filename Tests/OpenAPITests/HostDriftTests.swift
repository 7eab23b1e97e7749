import OpenAPI
import Policy
import PolicyTables
import Testing

/// Documents against policies whose services share some of their hosts.
@Suite struct HostDriftTests {
    /// `orders` on both hosts, `two` on one of them.
    private static func policy(_ hosts: String, _ two: String) -> String {
        """
        scopecheck: 1
        issuers:
          - issuer: https://id.example.com
            audience: https://api.example.com
            keys: { discovery: true }
        scopes: { read: {}, write: { implies: [read] } }
        services:
          orders:
            hosts: \(hosts)
            base_path: /v1
            routes:
              - { match: GET /a, scopes: read }
        \(two)
        """
    }

    private func findings(_ operations: String, servers: String, _ policy: String) throws -> [String] {
        let text = paths("  /a: { get: { security: [{ oauth: [read] }] } }\n" + operations)
            .replacing("[{ url: https://api.example.com/v1 }]", with: "[\(servers)]")
        let report = try DriftReport(
            openAPI: document(text), model: model(policy, hasIssuer: true), service: "orders", now: testNow)
        return report.findings.map { "\($0.kind.rawValue) \($0.subject): \($0.message)" }
    }

    private static let api = "{ url: https://api.example.com/v1 }"
    private static let other = "{ url: https://b.example.com/v1 }"
    private static let shared = policy(
        "[api.example.com, b.example.com]",
        "  two: { hosts: [b.example.com], routes: [{ match: GET /v1/y, scopes: read }] }")
    private static let y = "  /y: { get: { security: [{ oauth: [read] }] } }"

    @Test func aRouteOnAnotherHostIsNoAnswer() throws {
        let found = try findings(HostDriftTests.y, servers: HostDriftTests.api, HostDriftTests.shared)
        #expect(found == ["operation_denied GET /y: it is published and denied to everybody: no route has its path"])
        #expect(try findings(HostDriftTests.y, servers: HostDriftTests.other, HostDriftTests.shared) == [])
    }

    /// Each published host must answer, and all where the document names none of the service's.
    @Test(arguments: ["\(api), \(other)", "{ url: /v1 }", "{ url: https://elsewhere.example/v1 }"])
    func everyHostMustAnswer(_ servers: String) throws {
        let found = try findings(HostDriftTests.y, servers: servers, HostDriftTests.shared)
            .filter { !$0.hasPrefix("host_unknown") }
        #expect(found.count == 1, "\(found)")
        #expect(found.first?.hasPrefix("operation_denied GET /y: ") == true, "\(found)")
        #expect(found.first?.hasSuffix(" on `api.example.com`") == true, "\(found)")
    }

    /// A server of several environments, of which the policy is for one, or for none.
    @Test func hostsOfAVariable() throws {
        func unknown(_ values: String) throws -> Int {
            let server =
                "{ url: 'https://{env}.example.com/v1', variables: { env: { default: api, enum: [\(values)] } } }"
            return try findings("", servers: server, HostDriftTests.shared)
                .filter { $0.hasPrefix("host_unknown") }.count
        }
        #expect(try unknown("api, stage") == 0)
        #expect(try unknown("api, qa, stage") == 0)
        #expect(
            try findings("", servers: HostDriftTests.elsewhere, HostDriftTests.shared).filter {
                $0.hasPrefix("host_unknown")
            }.count == 2)
    }

    private static let elsewhere =
        "{ url: 'https://{env}.example.com/v1', variables: { env: { default: qa, enum: [qa, stage] } } }"

    @Test func hostsOfOneOperation() throws {
        let path = "  /y: { servers: [{ url: https://b.example.com/v2 }], get: { security: [{ oauth: [read] }] } }"
        let policy = HostDriftTests.shared.replacing("/v1/y", with: "/v2/y")
        #expect(try findings(path, servers: HostDriftTests.api, policy) == [])
        // Each base path only where it is published.
        let servers = "{ url: https://api.example.com/v1 }, { url: https://elsewhere.example/v3 }"
        let found = try findings("", servers: servers, policy).filter { !$0.hasPrefix("host_unknown") }
        #expect(found == [])
    }

    /// A host by its name is not that of `*.`, as for requests.
    @Test func aNameBeforeAWildcard() throws {
        let policy = HostDriftTests.policy(
            "[\"*.example.com\"]", "  two: { hosts: [b.example.com], routes: [{ match: GET /v1/a, public: true }] }")
        #expect(try findings("", servers: HostDriftTests.api, policy) == [])
        let found = try findings("", servers: HostDriftTests.other, policy)
        #expect(found.map { $0.prefix { $0 != ":" } } == ["policy_looser GET /a"], "\(found)")
    }
}
