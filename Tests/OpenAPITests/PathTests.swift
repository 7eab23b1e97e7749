import OpenAPI
import Testing

/// Paths, servers, and what must not be let in by a weaker path.
@Suite struct PathTests {
    private static func get(_ path: String) -> String {
        paths("  '\(path)':\n    get: { security: [{ oauth: [read] }] }\n  /open:\n    get: { security: [] }")
    }

    @Test(arguments: [
        ("/orders/{order}", "\"GET /orders/{order}\""),
        ("/", "GET /"),
        ("/orders/", "GET /orders/"),
        ("/orders/{order id}/{order id}", "\"GET /orders/{order_id}/{order_id2}\""),
        ("/v1/{+name}", "\"GET /v1/{name}\""),
        ("/a%20b/*", "GET /a%20b/%2A"),
        ("/caf\u{E9}", "GET /caf%C3%A9"),
        ("/:id", "GET /%3Aid"),
        ("/a:b@c", "GET /a:b@c"),
        ("/a,b(c)", "\"GET /a,b(c)\""),
    ]) func written(_ path: String, _ match: String) throws {
        let text = PathTests.get(path)
        let lines = try routes(text)
        #expect(lines.first?.hasPrefix("{ match: \(match),") == true, "\(lines)")
    }

    @Test(arguments: [
        ("/report.{format}", "a parameter within a segment"),
        ("/{a}{b}", "a parameter within a segment"),
        ("/a}", "a `}` without its `{`"),
        ("/a?x=1", "a query"),
        ("/a#x", "a fragment"),
        ("/a//b", "an empty segment"),
        ("/a;b", "`;`"),
        ("/a/../b", "a dot segment"),
        ("/a%2Fb", "an encoded `/`"),
        ("/a%zz", "two hexadecimal digits"),
        ("/a%40", "an escape that a policy cannot tell"),
        ("orders", "does not start with `/`"),
    ]) func leftOut(_ path: String, _ reason: String) throws {
        let lines = try routes(PathTests.get(path))
        #expect(lines.contains { $0.hasPrefix("# Left out") && $0.contains(reason) }, "\(lines)")
        #expect(lines.count == 2)
    }

    /// `/users/me` cannot be said, and `/users/{id}` must not answer for it.
    @Test func shielded() throws {
        let text = paths(
            """
              /users/me:
                get: { security: [{ key: [] }] }
              /users/{id}:
                get: { security: [{ oauth: [read] }] }
            """)
        let imported = try ServiceImport(document(text))
        #expect(imported.source.contains("{ match: OPTIONS /users/me, preflight: true }"), "\(imported.source)")
        let decided = try Decided(imported)
        #expect(try decided.allows("GET", "/v1/users/7", ["read"]))
        #expect(try !decided.allows("GET", "/v1/users/me", ["read"]))
        #expect(try !decided.allows("OPTIONS", "/v1/users/me", ["read"]))
    }

    /// A service of which nothing is listed still stops the paths of others.
    @Test func shieldsOfAServiceWithoutRoutes() throws {
        let text = paths(
            """
              /{a}/{b}:
                get: { security: [] }
              /secret:
                servers: [{ url: https://api.example.com/v1/admin }]
                get: { security: [{ key: [] }] }
            """)
        let decided = try Decided(ServiceImport(document(text)))
        #expect(try decided.allows("GET", "/v1/x/y", []))
        #expect(try !decided.allows("GET", "/v1/admin/secret", []))
    }

    /// A path without operations is one that is not shown to everybody.
    @Test(arguments: ["{}", "null", "~", "{ summary: hidden }"])
    func hiddenPaths(_ item: String) throws {
        let text = paths("  /{a}:\n    get: { security: [] }\n  /secret: \(item)")
        let decided = try Decided(ServiceImport(document(text)))
        #expect(try decided.allows("GET", "/v1/open", []))
        #expect(try !decided.allows("GET", "/v1/secret", []))
    }

    /// Unicode knows them as the same text; requests are told apart by bytes.
    @Test func spellingsOfOneLetter() throws {
        let text = paths(
            """
              /{x}:
                get: { security: [] }
              /caf%C3%A9:
                get: { security: [{ oauth: [read] }] }
              /cafe%CC%81:
                get: { security: [{ oauth: [write] }] }
            """)
        let decided = try Decided(ServiceImport(document(text)))
        for (path, scope, other) in [("/v1/caf%C3%A9", "read", "write"), ("/v1/cafe%CC%81", "write", "read")] {
            #expect(try !decided.allows("GET", path, []), "\(path)")
            #expect(try decided.allows("GET", path, [scope]), "\(path)")
            #expect(try !decided.allows("GET", path, [other]), "\(path)")
        }
    }

    @Test func whatWouldBeWidenedIsRefused() {
        let ports = paths(
            """
              /a:
                get: { security: [] }
              /int:
                servers: [{ url: "https://api.example.com:9443/v1" }]
                get: { security: [] }
            """)
        #expect(refusal(ports).contains("different ports"), "\(refusal(ports))")
        let hosts = paths(
            """
              /{a}/{b}:
                get: { security: [] }
              /secret:
                servers: [{ url: https://other.example }, { url: /admin }]
                get: { security: [{ oauth: [read] }] }
            """)
        #expect(refusal(hosts).contains("name no host"), "\(refusal(hosts))")
    }

    @Test func noShieldWhereNothingIsWeaker() throws {
        let text = paths(
            "  /users/me:\n    get: { security: [{ key: [] }] }\n  /users/{id}/x:\n    get: { security: [] }")
        #expect(try !ServiceImport(document(text)).source.contains("preflight"))
    }

    @Test func mixedSegmentKeepsTheWeakerPathOut() throws {
        let text = paths(
            """
              /report.{format}:
                get: { security: [{ oauth: [admin] }] }
              /{page}:
                get: { security: [{ oauth: [read] }] }
                put: { security: [{ oauth: [read] }] }
                delete: { security: [{ oauth: [admin, read] }] }
              /{page}/x:
                get: { security: [{ oauth: [read] }] }
            """)
        let lines = try routes(text)
        #expect(
            lines.contains { $0.hasPrefix("# Left out, so denied: GET /{page}: it would also answer for") }, "\(lines)")
        // Where the other path has not the method, `{page}` may hold a dot.
        #expect(lines.contains { $0.contains("\"PUT /{page}\",") && $0.hasSuffix("scopes: read }") }, "\(lines)")
        #expect(lines.contains { $0.contains("\"DELETE /{page}\"") && $0.contains("scopes: [admin, read]") })
        #expect(lines.contains { $0.contains("\"GET /{page}/x\"") })
        // One that is as strict may stay.
        let strict = text.replacing("[read]", with: "[admin]")
        #expect(try routes(strict).contains { $0.contains("\"GET /{page}\"") })
    }

    @Test func headIsNotCoveredByAWeakerGet() throws {
        let text = paths(
            """
              /a:
                get: { security: [{ oauth: [read] }] }
                head: { security: [{ key: [] }] }
              /b:
                get: { security: [{ oauth: [read] }] }
                head: { security: [{ oauth: [admin] }] }
            """)
        let lines = try routes(text)
        #expect(lines.contains { $0.contains("GET /a: it would also answer for `HEAD /a`") }, "\(lines)")
        #expect(lines.contains("{ match: GET /b,  scopes: read }"))
        #expect(lines.contains("{ match: HEAD /b, scopes: admin }"))
    }

    @Test func sameRequestTwice() throws {
        let text = paths(
            """
              /a/{x}:
                get: { security: [{ oauth: [read] }] }
              /a/{y}:
                get: { security: [{ oauth: [admin] }] }
              /b/{x}:
                get: { security: [{ oauth: [read] }] }
              /b/{y}:
                get: { security: [{ oauth: [read] }] }
            """)
        let lines = try routes(text)
        let imported = try ServiceImport(document(text))
        #expect(lines.count { $0.contains("requires something else") } == 2, "\(lines)")
        #expect(lines.contains("{ match: \"GET /b/{x}\", scopes: read }"))
        #expect(imported.source.contains("# GET /b/{y}: the same request as `GET /b/{x}`\n"))
    }

    // MARK: Servers

    private static func servers(_ servers: String) -> String {
        """
        openapi: 3.1.0
        info: { title: A, version: '1' }
        servers: \(servers)
        paths: { /a: { get: { security: [] } } }
        """
    }

    @Test(arguments: [
        ("[{ url: https://API.example.com/v1/ }]", "hosts: [api.example.com]", "base_path: /v1"),
        ("[{ url: https://a.example }, { url: https://b.example/ }]", "hosts: [a.example, b.example]", "routes:"),
        ("[{ url: 'https://a.example:8443' }]", "hosts: [a.example]", "ports: [8443]"),
        ("[{ url: 'https://a.example:443/x' }]", "hosts: [a.example]", "base_path: /x"),
        ("[{ url: https://a.example }, { url: 'http://localhost:3000' }]", "hosts: [a.example]", "routes:"),
        ("[{ url: 'http://localhost:3000' }]", "hosts: [localhost]", "ports: [3000]"),
        ("[{ url: //a.example/v2 }]", "hosts: [a.example]", "base_path: /v2"),
        (
            "[{ url: 'https://{r}.a.example/{v}', variables: { r: { default: eu }, v: { default: v3, enum: [v3] } } }]",
            "hosts: [eu.a.example]", "base_path: /v3"
        ),
    ]) func placed(_ servers: String, _ hosts: String, _ other: String) throws {
        let source = try ServiceImport(document(PathTests.servers(servers))).source
        #expect(source.contains("    \(hosts)\n"), "\(source)")
        #expect(source.contains("    \(other)\n"), "\(source)")
    }

    @Test(arguments: [
        ("[{ url: /v1 }]", "servers name no host"), ("[]", "servers name no host"),
        ("[{ url: 'https://user@a.example' }]", "no server that can be used"),
        ("[{ url: 'https://a.example/{id}' }]", "server variable `id` has no default"),
        ("[{ url: 'ftp://a.example' }]", "no server that can be used"),
        ("[{ url: 'https://a.example:x' }]", "no server that can be used"),
        ("[{ url: 'https://a_b.example' }]", "no server that can be used"),
        ("[{ url: 'https://1.2.3' }]", "no server that can be used"),
        ("[{ url: 'https://a.example?x' }]", "no server that can be used"),
        ("7", "`servers` is no list"),
    ]) func withoutPlace(_ servers: String, _ message: String) {
        #expect(refusal(PathTests.servers(servers)).contains(message), "\(refusal(PathTests.servers(servers)))")
    }

    @Test func namedHosts() throws {
        var options = ImportOptions()
        options.hosts = ["*.example.com", "api.example.org"]
        let source = try ServiceImport(document(PathTests.servers("[{ url: /v1 }]")), options).source
        #expect(source.contains("hosts: [\"*.example.com\", api.example.org]\n    base_path: /v1\n"), "\(source)")
        options.hosts = ["https://a.example"]
        #expect(refusal(PathTests.servers("[{ url: /v1 }]"), options).contains("is no host"))
    }

    @Test func serversOfPathAndOperation() throws {
        let text = paths(
            """
              /a:
                get: { security: [] }
              /b:
                servers: [{ url: https://b.example }]
                get: { security: [] }
                put: { security: [], servers: [{ url: https://api.example.com/v2 }] }
            """)
        let imported = try ServiceImport(document(text))
        #expect(imported.services.map(\.name) == ["orders-api", "orders-api-2", "orders-api-v2"])
        let decided = try Decided(imported)
        #expect(try decided.allows("GET", "/v1/a", []))
        #expect(try decided.allows("PUT", "/v2/b", []))
        #expect(try !decided.allows("GET", "/v1/b", []))
        #expect(try decided.allows("GET", "/b", [], host: "b.example"))
    }
}
