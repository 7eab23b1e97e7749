import OpenAPI
import Testing

/// Variables in the URLs of servers.
@Suite struct ServerTests {
    private static func servers(_ servers: String, _ paths: String = "/a: { get: { security: [] } }") -> String {
        "openapi: 3.1.0\ninfo: { title: A, version: '1' }\nservers: \(servers)\npaths:\n  \(paths)\n"
    }

    @Test func everyListedValueIsTaken() throws {
        let text = ServerTests.servers(
            "[{ url: 'https://{r}.example.com/{v}', variables: { r: { default: eu, enum: [eu, us] }, "
                + "v: { default: v1, enum: [v1, v2] } } }]")
        let imported = try ServiceImport(document(text))
        #expect(!imported.hasReservations)
        let decided = try Decided(imported)
        for host in ["eu.example.com", "us.example.com"] {
            for path in ["/v1/a", "/v2/a"] { #expect(try decided.allows("GET", path, [], host: host)) }
            #expect(try !decided.allows("GET", "/v3/a", [], host: host))
        }
    }

    /// `/v2/secret` is the first server's too, and must not be let in as `/{x}/secret`.
    @Test func otherValuesKeepWeakerPathsOut() throws {
        let text = ServerTests.servers(
            "[{ url: 'https://api.example.com/{v}', variables: { v: { default: v1, enum: [v1, v2] } } }]",
            """
            /secret: { get: { security: [{ key: [] }] } }
              /{x}/secret: { servers: [{ url: https://api.example.com }], get: { security: [] } }
            """)
        let decided = try Decided(ServiceImport(document(text)))
        #expect(try decided.allows("GET", "/v3/secret", []))
        #expect(try !decided.allows("GET", "/v1/secret", []))
        #expect(try !decided.allows("GET", "/v2/secret", []))
        // The same with hosts.
        let hosts = ServerTests.servers(
            "[{ url: 'https://{h}.example.com', variables: { h: { default: a, enum: [a, b] } } }]",
            """
            /x/secret: { get: { security: [{ key: [] }] } }
              /{x}/secret: { servers: [{ url: https://b.example.com }], get: { security: [] } }
            """)
        let others = try Decided(ServiceImport(document(hosts)), host: "b.example.com")
        #expect(try others.allows("GET", "/y/secret", []))
        #expect(try !others.allows("GET", "/x/secret", []))
    }

    private static let freePath = servers(
        "[{ url: 'https://api.example.com/{v}', variables: { v: { default: v1 } } }]",
        """
        /secret: { get: { security: [{ key: [] }] } }
          /{x}/secret: { servers: [{ url: https://api.example.com }], get: { security: [] } }
        """)

    private static let freeHost = freePath.replacing("https://api.example.com/{v}", with: "https://{v}.example.com")

    @Test func whatCanBeAnythingBesideOtherPlacesIsRefused() throws {
        for text in [ServerTests.freePath, ServerTests.freeHost] {
            let found = refusal(text)
            #expect(found.contains("line 3: the server variable `v` can be anything"), "\(found)")
            #expect(found.contains("--server-variable v="), "\(found)")
        }
        // With one host for all only paths tell places apart.
        var options = ImportOptions()
        options.hosts = ["api.example.com"]
        #expect(refusal(ServerTests.freeHost, options) == "none")
        #expect(refusal(ServerTests.freePath, options).contains("can be anything"))
    }

    @Test func valuesThatAreSaid() throws {
        var options = ImportOptions()
        options.serverVariables = ["v": ["v7", "v8"]]
        let decided = try Decided(ServiceImport(document(ServerTests.freePath), options))
        for path in ["/v7/secret", "/v8/secret"] { #expect(try !decided.allows("GET", path, [])) }
        #expect(try decided.allows("GET", "/v1/secret", []))
        options.serverVariables = ["w": ["1"]]
        #expect(refusal(ServerTests.freePath, options).contains("no server variable `w`; it has `v`"))
        let listed = ServerTests.servers(
            "[{ url: 'https://a.example/{v}', variables: { v: { default: v1, enum: [v1, v2] } } }]")
        options.serverVariables = ["v": ["v2"]]
        #expect(try ServiceImport(document(listed), options).source.contains("base_path: /v2\n"))
        options.serverVariables = ["v": ["v3"]]
        let none = refusal(listed, options)
        #expect(none.contains("no server that can be used; name values with --server-variable"), "\(none)")
    }

    @Test func oneDefaultInOnePlace() throws {
        for url in ["https://{v}.example.com/x", "https://api.example.com:{v}", "https://api.example.com/{v}/x"] {
            let text = ServerTests.servers("[{ url: '\(url)', variables: { v: { default: '8443' } } }]")
            let imported = try ServiceImport(document(text))
            #expect(imported.remarks.map(\.kind) == [.stricter], "\(imported.remarks)")
            #expect(imported.remarks.first?.reason.contains("`v` can be anything") == true)
        }
    }

    @Test(arguments: [
        ("'https://a.example{v}'", "/api/v1"), ("'{v}/x'", "https://a.example"), ("'https://a.example/{v}'", "''"),
        ("'https://{v}'", "a.example/x"),
    ]) func whatHasNoEndIsRefused(_ url: String, _ value: String) throws {
        let text = ServerTests.servers("[{ url: \(url), variables: { v: { default: \(value) } } }]")
        let found = refusal(text)
        #expect(
            found.contains("can be anything, with slashes too") && found.contains("--server-variable v="), "\(found)")
        var options = ImportOptions()
        options.serverVariables = ["v": [value == "''" ? "b" : value]]
        #expect(refusal(text, options) == "none", "\(refusal(text, options))")
    }

    @Test func bounds() {
        let values = (0..<9).map { "v\($0)" }.joined(separator: ", ")
        let many = ServerTests.servers(
            "[{ url: 'https://{a}.example/{b}', variables: { a: { default: v0, enum: [\(values)] }, "
                + "b: { default: v0, enum: [\(values)] } } }]")
        #expect(
            refusal(many).contains("stands for more than 64 URLs by its variables `a` and `b`"), "\(refusal(many))")
        let long = String(repeating: "x", count: 1_500)
        let doubled = ServerTests.servers(
            "[{ url: 'https://a.example/{a}/{a}', variables: { a: { default: '\(long)' } } }]")
        #expect(refusal(doubled).contains("more than 2048 bytes"), "\(refusal(doubled))")
        let list = (0..<65).map { "'\($0)'" }.joined(separator: ", ")
        let listed = ServerTests.servers(
            "[{ url: 'https://a.example/{a}', variables: { a: { default: '0', enum: [\(list)] } } }]")
        #expect(refusal(listed).contains("more than 64 members"), "\(refusal(listed))")
        let odd = ServerTests.servers(
            "[{ url: 'https://a.example/{a}', variables: { a: { default: b, enum: [[]] } } }]")
        #expect(refusal(odd).contains("that is no text"), "\(refusal(odd))")
    }

    /// So many paths, each with a list of its own whose one server stands for 64 hosts.
    private static func serverLists(_ count: Int) -> String {
        let list = (0..<64).map { "x\($0)" }.joined(separator: ", ")
        let paths = (0..<count).map { number in
            "  /p\(number): { servers: [{ url: 'https://{a}.h\(number).example', variables: *v }], "
                + "get: { security: [] } }\n"
        }
        return "openapi: 3.0.3\nx: &v { a: { default: x0, enum: [\(list)] } }\npaths:\n" + paths.joined()
    }

    @Test func manyServices() {
        #expect(refusal(ServerTests.serverLists(64)) == "none")
        let found = refusal(ServerTests.serverLists(65))
        #expect(found.hasPrefix("the servers come to more than 64 services"), "\(found)")
    }

    /// With one host for all they are one service.
    @Test func manyURLs() {
        var options = ImportOptions()
        options.hosts = ["api.example.com"]
        #expect(refusal(ServerTests.serverLists(256), options) == "none")
        let found = refusal(ServerTests.serverLists(257), options)
        #expect(found.hasPrefix("line 260: the servers stand for more than 16384 URLs"), "\(found)")
    }
}
