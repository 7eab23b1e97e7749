import OpenAPI
import Testing

/// Security requirements and what becomes of them.
@Suite struct RequirementTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var security: String
        /// nil for one that is left out.
        var route: String?
        var remark: String?
        var testDescription: String { security }

        init(_ security: String, _ route: String?, _ remark: String? = nil) {
            self.security = security
            self.route = route
            self.remark = remark
        }
    }

    static let cases: [Case] = [
        Case("[{ oauth: [read] }]", "scopes: read"),
        Case("[{ oauth: [read, write] }]", "scopes: [read, write]"),
        Case("[{ oauth: [read] }, { oauth: [write] }]", "scopes: { any: [read, write] }"),
        Case("[{ oauth: [read], oidc: [read] }]", "scopes: read"),
        Case("[{ oauth: [read], oidc: [write] }]", "scopes: [read, write]"),
        Case("[{ oauth: [read], bearer: [] }]", "scopes: read"),
        Case("[{ bearer: [read] }]", "scopes: read"),
        // A common scope and one of several.
        Case("[{ oauth: [admin, read] }, { oauth: [admin, write] }]", "scopes: { all: [admin], any: [read, write] }"),
        Case(
            "[{ oauth: [read, write, admin] }, { oauth: [x, write, admin] }, { oauth: [write, z, admin] }]",
            "scopes: { all: [write, admin], any: [read, x, z] }"),
        // What demands more than another alternative says nothing.
        Case("[{ oauth: [read, write] }, { oauth: [read] }]", "scopes: read"),
        Case("[{ oauth: [read] }, { oauth: [read] }]", "scopes: read"),
        Case("[{ oauth: [read, read] }]", "scopes: read"),
        // No `all` and `any`: the largest family of alternatives that is one.
        Case("[{ oauth: [read, write] }, { oauth: [admin] }]", "scopes: [read, write]", "some of them are left out"),
        Case(
            "[{ oauth: [a, b] }, { oauth: [x] }, { oauth: [z] }]", "scopes: { any: [x, z] }",
            "some of them are left out"),
        Case(
            "[{ oauth: [a, b] }, { oauth: [c, d] }, { oauth: [a, e] }]", "scopes: { all: [a], any: [b, e] }",
            "some of them are left out"),
        Case("[]", "public: true"),
        Case("[{}]", "public: true"),
        Case("[{ oauth: [read] }, {}]", "public: true"),
        // What is no access token is left out, and nothing takes its place.
        Case("[{ key: [] }, { oauth: [read] }]", "scopes: read", "`key`: apiKey in header is no access token"),
        Case("[{ key: [], oauth: [read] }, { oauth: [write] }]", "scopes: write", "`key` with `oauth`"),
        Case("[{ key: [], oauth: [read] }]", nil, "`key` with `oauth`"),
        Case("[{ basic: [] }]", nil, "http basic is no access token"),
        Case("[{ nobody: [read] }]", nil, "`nobody` is not declared"),
        Case("[{ oauth: [read], other: [write] }]", nil, "two authorities"),
        Case("[{ oauth: ['a b'] }]", nil, "no scope that a policy can name"),
        Case("[{ oauth: ['orders:*'] }]", nil, "no scope that a policy can name"),
        Case("[{ oauth: ['${a}'] }]", nil, "no scope that a policy can name"),
        Case("[{ oauth: [] }]", nil, "without naming scopes"),
        Case("[{ bearer: [] }]", nil, "--default-scope"),
        Case("[{ bearer: [] }, { oauth: [read] }]", "scopes: read", "that is left out"),
    ]

    @Test(arguments: cases) func translated(_ one: Case) throws {
        let imported = try ServiceImport(document(operation(one.security)))
        let line = imported.source.split(separator: "\n").first { $0.contains("match: GET /orders,") }
        if let route = one.route {
            #expect(line?.contains("\(route) }") == true, "\(imported.source)")
        } else {
            #expect(line == nil)
            #expect(imported.source.contains("# Left out, so denied: GET /orders"))
        }
        #expect(imported.hasReservations == (one.remark != nil))
        if let remark = one.remark {
            #expect(imported.remarks.contains { $0.reason.contains(remark) }, "\(imported.remarks)")
        }
        _ = try model(imported.source)
    }

    @Test func documentsDefault() throws {
        let text = paths(
            "  /a:\n    get: {}\n    post: { security: [{ oauth: [write] }] }\n    put: { security: [] }",
            top: "security: [{ oauth: [read] }]")
        #expect(
            try routes(text) == [
                "{ match: GET /a,  scopes: read }", "{ match: POST /a, scopes: write }",
                "{ match: PUT /a,  public: true }",
            ])
    }

    @Test func nothingSaid() throws {
        let text = paths("  /a:\n    get: {}\n  /b:\n    get: { security: [{ oauth: [read] }] }")
        let imported = try ServiceImport(document(text))
        #expect(imported.remarks.map(\.kind) == [.unstated])
        #expect(imported.hasReservations)
        var options = ImportOptions()
        options.deniesUnstated = true
        #expect(
            try routes(text, options) == [
                "# Left out, so denied: GET /a: the document says nothing of its security",
                "{ match: GET /b, scopes: read }",
            ])
    }

    @Test func defaultScope() throws {
        var options = ImportOptions()
        options.defaultScope = "api"
        #expect(try routes(operation("[{ bearer: [] }]"), options).first == "{ match: GET /orders, scopes: api }")
        let both = try routes(operation("[{ bearer: [] }, { oauth: [read] }]"), options)
        #expect(both.first == "{ match: GET /orders, scopes: { any: [read, api] } }")
        options.defaultScope = "a b"
        #expect(refusal(operation("[]"), options).contains("`a b` is no scope"))
    }

    @Test func chosenSchemes() throws {
        var options = ImportOptions()
        options.schemes = ["oauth"]
        let text = operation("[{ oidc: [admin] }, { oauth: [read] }]")
        #expect(try routes(text, options).first == "{ match: GET /orders, scopes: read }")
        options.schemes = ["oauht"]
        #expect(refusal(text, options).contains("no security scheme `oauht`"))
        options.schemes = ["key"]
        #expect(refusal(text, options).contains("is no access token"))
    }
}
