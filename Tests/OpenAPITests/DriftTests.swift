import OpenAPI
import Policy
import PolicyTables
import Testing

/// What a service publishes against a policy.
@Suite struct DriftTests {
    private static let policy = """
        scopecheck: 1
        issuers:
          - issuer: https://id.example.com
            audience: https://api.example.com
            keys: { discovery: true }
        scopes:
          read: {}
          write: { implies: [read] }
          admin: { implies: [read, write] }
        services:
          orders:
            hosts: [api.example.com, "*.example.org"]
            base_path: /v1
            routes:
        ROUTES
        """

    private static func model(_ routes: String...) throws -> PolicyModel {
        let lines = (routes + ["match: HEAD /used, scopes: [read, write, admin]"]).map { "      - { \($0) }" }
        let text = policy.replacing("ROUTES", with: lines.joined(separator: "\n"))
        return try OpenAPITests.model(text, hasIssuer: true)
    }

    private static func published(_ operations: String) throws -> APIDocument {
        try document(paths(operations + "\n  /used: { head: { security: [{ oauth: [read, write, admin] }] } }"))
    }

    struct Case: CustomTestStringConvertible, Sendable {
        var security: String
        var route: String
        var kind: DriftReport.Kind?
        var testDescription: String { "\(security) against \(route)" }

        init(_ security: String, _ route: String, _ kind: DriftReport.Kind?) {
            self.security = security
            self.route = route
            self.kind = kind
        }
    }

    static let cases: [Case] = [
        Case("[{ oauth: [read] }]", "scopes: read", nil),
        Case("[{ oauth: [read] }]", "scopes: write", .policyStricter),
        Case("[{ oauth: [write] }]", "scopes: read", .policyLooser),
        Case("[{ oauth: [read] }]", "public: true", .policyLooser),
        Case("[{ key: [] }]", "public: true", .policyLooser),
        Case("[{ key: [] }]", "scopes: read", .notComparable),
        Case("[]", "scopes: read", .policyStricter),
        Case("[]", "public: true", nil),
        Case("[{ bearer: [] }]", "scopes: read", nil),
        Case("[{ bearer: [] }]", "public: true", .policyLooser),
        Case("[{ oauth: [read] }, { oauth: [write] }]", "scopes: { any: [read, write] }", nil),
        // Whoever holds `write` holds `read`.
        Case("[{ oauth: [read] }, { oauth: [write] }]", "scopes: read", nil),
        Case("[{ oauth: [read, write] }]", "scopes: write", nil),
        Case("[{ oauth: [read, write] }]", "scopes: { any: [read, write] }", .policyLooser),
        Case("[{ oauth: [read] }]", "scopes: { all: [read], any: [write, admin] }", .policyStricter),
        Case("[{ oauth: [read] }]", "scopes: read, mode: observe, until: 2027-01-01T00:00:00Z", .policyLooser),
        Case("[{ oauth: [read] }]", "scopes: read, mode: observe, until: 2026-01-01T00:00:00Z", nil),
    ]

    @Test(arguments: cases) func requirement(_ one: Case) throws {
        let report = try DriftReport(
            openAPI: DriftTests.published("  /a: { get: { security: \(one.security) } }"),
            model: DriftTests.model("match: GET /a, \(one.route)"), service: "orders", now: testNow)
        #expect(report.findings.map(\.kind) == (one.kind.map { [$0] } ?? []), "\(report.text)")
        #expect(report.hasDrift == (one.kind.map(\.isDrift) ?? false))
        #expect(report.findings.allSatisfy { !$0.mend.isEmpty && $0.line != nil })
    }

    @Test func incomparableRequirements() throws {
        let text = DriftTests.policy.replacing("implies: [read]", with: "description: x")
            .replacing(
                "ROUTES",
                with: "      - { match: GET /a, scopes: read }\n      - { match: HEAD /used, scopes: [write, admin] }")
        let report = try DriftReport(
            openAPI: DriftTests.published("  /a: { get: { security: [{ oauth: [write] }] } }"),
            model: OpenAPITests.model(text, hasIssuer: true), service: "orders", now: testNow)
        #expect(report.findings.first?.kind == .requirementDiffers, "\(report.text)")
    }

    private func kinds(_ operations: String, _ routes: String...) throws -> [String] {
        var lines = routes
        lines.append("match: GET /kept, public: true")
        let text = DriftTests.policy.replacing(
            "ROUTES",
            with: (lines + ["match: HEAD /used, scopes: [read, write, admin]"]).map { "      - { \($0) }" }
                .joined(separator: "\n"))
        let report = try DriftReport(
            openAPI: DriftTests.published(operations + "\n  /kept: { get: { security: [] } }"),
            model: OpenAPITests.model(text, hasIssuer: true), service: "orders", now: testNow)
        return report.findings.map { "\($0.kind.rawValue) \($0.subject)" }
    }

    @Test func operationsAndRoutes() throws {
        #expect(
            try kinds("  /a: { get: { security: [] }, put: { security: [] } }", "match: GET /a, public: true")
                == ["operation_denied PUT /a"])
        #expect(try kinds("", "match: GET /a, public: true") == ["route_stale GET /a"])
        #expect(try kinds("  '/a/{x}': { get: { security: [] } }", "match: \"GET /a/{y}\", public: true") == [])
        #expect(try kinds("  '/a/{x}': { get: { security: [] } }", "match: GET /a/**, public: true") == [])
        // HEAD is GET's.
        #expect(try kinds("  /a: { head: { security: [] } }", "match: GET /a, public: true") == [])
        #expect(
            try kinds("  '/a.{x}': { get: { security: [] } }") == ["not_comparable GET /a.{x}"])
    }

    /// What `policy import openapi` leaves out, since no policy can say it.
    @Test func operationsThatNoPolicyCanRequire() throws {
        let operations =
            "  /k: { get: { security: [{ key: [] }] }, put: { security: [{ key: [] }, { oauth: [read] }] } }"
        #expect(try kinds(operations) == ["not_comparable GET /k", "operation_denied PUT /k"])
        #expect(try kinds(operations, "match: PUT /k, scopes: read") == ["not_comparable GET /k"])
        let report = try DriftReport(
            openAPI: DriftTests.published("  /k: { get: { security: [{ key: [] }] } }"), model: DriftTests.model(),
            service: "orders", now: testNow)
        #expect(!report.hasDrift && report.findings.count == 1, "\(report.text)")
        #expect(report.text.contains("`key`") && report.text.contains("stays denied"), "\(report.text)")
    }

    /// A route for a part of what is published as one operation.
    @Test func narrowerRoutes() throws {
        let operations = "  '/a/{x}': { get: { security: [{ oauth: [read] }] } }"
        let wide = "match: \"GET /a/{x}\", scopes: read"
        #expect(try kinds(operations, wide, "match: GET /a/mine, scopes: write") == [])
        #expect(try kinds(operations, wide, "match: GET /a/mine, public: true") == ["policy_looser GET /a/mine"])
        #expect(try kinds(operations, wide, "match: DELETE /a/mine, scopes: read") == ["route_stale DELETE /a/mine"])
    }

    @Test func scopesAndHosts() throws {
        let document = try document(
            paths("  /used: { head: { security: [{ oauth: [read, write, admin] }, { oauth: [audit] }] } }")
                .replacing(
                    "https://api.example.com/v1 }",
                    with:
                        "https://api.example.com/v1 }, { url: https://b.example.org/v1 }, { url: https://c.example/v1 }"
                ))
        let report = try DriftReport(openAPI: document, model: DriftTests.model(), service: "orders", now: testNow)
        #expect(
            report.findings.map { "\($0.kind.rawValue) \($0.subject)" } == [
                "host_unknown c.example", "scope_unknown audit", "policy_stricter HEAD /used",
            ])
        #expect(report.comparedCount == 1)
    }

    /// Values that are meant, in place of all that the document lists.
    @Test func serverVariables() throws {
        let listed = try document(
            paths("  /used: { head: { security: [{ oauth: [read, write, admin] }] } }").replacing(
                "https://api.example.com/v1 }",
                with: "'https://{h}/{v}', variables: { h: { default: api.example.com, enum: [c.example] }, "
                    + "v: { default: v2, enum: [v1] } } }"))
        func kinds(_ variables: [String: [String]]) throws -> [String] {
            let report = try DriftReport(
                openAPI: listed, model: DriftTests.model(), service: "orders", serverVariables: variables, now: testNow)
            return report.findings.map { "\($0.kind.rawValue) \($0.subject)" }
        }
        #expect(try kinds([:]) == ["operation_denied HEAD /used"])
        #expect(try kinds(["v": ["v1"]]) == [])
        #expect(try kinds(["v": ["v1"], "h": ["api.example.com"]]) == [])
        #expect(try kinds(["v": ["v1"], "h": ["api.example.com", "c.example"]]) == ["host_unknown c.example"])
        #expect(throws: DocumentError.self) { try kinds(["w": ["v1"]]) }
        #expect(throws: DocumentError.self) { try kinds(["v": ["v3"]]) }
    }

    /// One that can be anything is its default, unless somebody says what it is.
    @Test func serverVariableThatCanBeAnything() throws {
        let free = try document(
            paths("  /used: { head: { security: [{ oauth: [read, write, admin] }] } }").replacing(
                "https://api.example.com/v1 }",
                with: "'https://api.example.com{v}', variables: { v: { default: /v2 } } }"))
        for (variables, hasDrift) in [([:], true), (["v": ["/v1"]], false), (["v": ["/v3"]], true)] {
            let report = try DriftReport(
                openAPI: free, model: DriftTests.model(), service: "orders", serverVariables: variables, now: testNow)
            #expect(report.hasDrift == hasDrift, "\(report.text)")
        }
    }

    @Test func reports() throws {
        let report = try DriftReport(
            openAPI: DriftTests.published("  /a: { get: { security: [] } }"), model: DriftTests.model(),
            service: "orders", now: testNow)
        #expect(report.text.hasSuffix("orders: 2 compared, 1 difference\n"), "\(report.text)")
        let left = try DriftReport(
            openAPI: DriftTests.published("  '/a.{x}': { get: { security: [] } }"), model: DriftTests.model(),
            service: "orders", now: testNow)
        #expect(left.text.hasSuffix(", 1 not comparable, 0 differences\n"), "\(left.text)")
        #expect(report.text.contains("operation_denied: GET /a (line 19): "), "\(report.text)")
        let json = String(decoding: report.json, as: UTF8.self)
        #expect(
            json.hasPrefix(
                #"{"service":"orders","drift":true,"compared":2,"omitted":0,"findings":[{"kind":"operation_denied""#
            ))
    }

    @Test func unknownService() throws {
        let model = try DriftTests.model()
        #expect(throws: DocumentError.self) {
            try DriftReport(openAPI: DriftTests.published(""), model: model, service: "oders", now: testNow)
        }
    }

    // MARK: Metadata

    private func metadata(_ text: String, service: String = "") throws -> [String] {
        let policy = DriftTests.policy.replacing("    base_path: /v1", with: "    base_path: /v1\n\(service)")
            .replacing("ROUTES", with: "      - { match: GET /a, scopes: { any: [read, admin] } }")
            .replacing("write: { implies: [read] }", with: "write: { implies: [read] }\n  other: { implies: [write] }")
        let report = try DriftReport(
            metadata: Array(text.utf8), model: OpenAPITests.model(policy, hasIssuer: true), service: "orders",
            now: testNow)
        return report.findings.map { "\($0.kind.rawValue) \($0.subject)" }
    }

    @Test func metadataAgainstThePolicy() throws {
        let good = """
            {"resource":"https://api.example.com","authorization_servers":["https://id.example.com"],\
            "scopes_supported":["read","admin","offline_access"]}
            """
        #expect(try metadata(good) == [])
        #expect(try metadata(#"{"resource":"https://api.example.com"}"#) == [])
        #expect(try metadata(#"{"resource":"https://b.example"}"#) == ["host_unknown b.example"])
        #expect(
            try metadata(good.replacing("https://id", with: "https://ip"))
                == ["issuer_refused https://ip.example.com", "issuer_not_published https://id.example.com"])
        #expect(
            try metadata(#"{"resource":"https://api.example.com","scopes_supported":["read","write","audit"]}"#)
                == ["scope_unknown audit", "scope_not_published admin"])
        #expect(
            try metadata(#"{"resource":"https://api.example.com","dpop_bound_access_tokens_required":true}"#)
                == ["policy_looser dpop_bound_access_tokens_required"])
        #expect(
            try metadata(
                #"{"resource":"https://api.example.com/v2"}"#, service: "    resource: https://api.example.com/v1")
                == ["resource_differs https://api.example.com/v2"])
    }

    @Test(arguments: [
        "", "[]", "{}", #"{"resource":7}"#, #"{"resource":"x","scopes_supported":"read"}"#,
        #"{"resource":"x","scopes_supported":[7]}"#, #"{"resource":"x","dpop_bound_access_tokens_required":"yes"}"#,
        #"{"resource":"x","resource":"y"}"#,
    ]) func noMetadata(_ text: String) throws {
        let model = try DriftTests.model()
        #expect(throws: DocumentError.self) {
            try DriftReport(metadata: Array(text.utf8), model: model, service: "orders", now: testNow)
        }
    }

    // MARK: Manifests

    private func manifest(_ routes: String, _ policy: PolicyModel) throws -> [String] {
        let text = """
            scopecheck: 1
            scopes: { read: {}, write: {}, admin: {} }
            services:
              orders:
                hosts: [api.example.com, "*.example.org"]
                base_path: /v1
                routes:
                  - { match: HEAD /used, scopes: [read, write, admin] }
            \(routes)
            """
        let report = try DriftReport(
            manifest: Array(text.utf8), file: "manifest.yaml", model: policy, service: "orders", now: testNow)
        return report.findings.map { "\($0.kind.rawValue) \($0.subject)" }
    }

    @Test func manifestAgainstThePolicy() throws {
        let policy = try DriftTests.model(
            "match: GET /a, scopes: read", "match: PUT /a, scopes: { all: [write], any: [read, admin] }, proof: dpop")
        #expect(
            try manifest(
                """
                      - { match: GET /a, scopes: read }
                      - { match: PUT /a, scopes: { all: [write], any: [read, admin] }, proof: dpop }
                """, policy) == [])
        #expect(
            try manifest(
                """
                      - { match: GET /a, scopes: admin }
                      - { match: PUT /a, scopes: write }
                      - { match: DELETE /a, scopes: admin }
                """, policy)
                == ["policy_looser GET /a", "requirement_differs PUT /a", "operation_denied DELETE /a"])
        #expect(throws: DocumentError.self) {
            try DriftReport(
                manifest: Array("scopecheck: 2".utf8), file: "m.yaml", model: policy, service: "orders", now: testNow)
        }
    }
}
