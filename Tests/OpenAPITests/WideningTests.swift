import OpenAPI
import Testing

/// Documents whose import could let in what they keep out: refused, or imported as they say.
@Suite struct WideningTests {
    @Test(arguments: [
        ("  /a:\n    get: { $ref: '#/x' }", "`GET /a` is a reference"),
        ("  /a:\n    security: [{ oauth: [read] }]\n    get: {}", "has `security` beside its operations"),
        ("  /v1/{name=a/*}:\n    get: { security: [{ oauth: [read] }] }", "has a `/` within `{ }`"),
        ("  /a:\n    servers: [{ description: x }]\n    get: {}", "a server has no `url`"),
        (
            "  /a:\n    servers: [{ url: https://api.example.com }, { url: 'https://api.example.com?y' }]\n    get: {}",
            "cannot be used: it has a query or fragment"
        ),
        (
            "  /a:\n    servers: [{ url: https://api.example.com }, { url: 'https://api.example.com/{' }]\n    get: {}",
            "cannot be used: its path is no base path"
        ),
        ("  /a:\n    get: { ? !!merge x : { security: [] } }", "a merge key is not read"),
        ("  /b: { x-y: &m << }\n  /a:\n    get: { ? *m : { security: [] } }", "the merge key `<<` is not read"),
    ]) func refused(_ text: String, _ message: String) {
        let found = refusal(paths(text))
        #expect(found.contains(message), "\(found)")
    }

    /// All places that a chain of references leads through count, not only where it begins and ends.
    @Test func amongReferences() throws {
        let security = "{ security: [{ oauth: [admin] }] }"
        func text(_ middle: String, _ end: String = "get: { security: [] }") -> String {
            paths("  /a: { $ref: '#/x/middle' }", top: "x: { middle: { $ref: '#/x/end', \(middle) }, end: { \(end) } }")
        }
        let twice = refusal(text("get: \(security)"))
        #expect(twice.contains("has `get` both here and where its `$ref` leads"), "\(twice)")
        let beside = refusal(text("security: [{ oauth: [admin] }]"))
        #expect(beside.contains("has `security` beside its operations"), "\(beside)")
        let servers = "servers: [{ url: https://b.example }]"
        let two = refusal(text(servers, "servers: [{ url: https://c.example }], get: { security: [] }"))
        #expect(two.contains("has `servers` both here and where its `$ref` leads"), "\(two)")
        let decided = try Decided(ServiceImport(document(text("\(servers), put: \(security)"))), host: "b.example")
        #expect(try decided.allows("GET", "/a", []))
        #expect(try !decided.allows("PUT", "/a", []))
        #expect(try decided.allows("PUT", "/a", ["admin"]))
    }

    /// Where several HEAD of one path are left out, GET must answer for none of them.
    @Test func severalHeadsThatAreLeftOut() throws {
        for names in [("x", "y"), ("y", "x")] {
            let text = paths(
                """
                  /open: { get: { security: [] } }
                  /a/{\(names.0)}: { head: { security: [] }, get: { security: [] } }
                  /a/{\(names.1)}: { head: { security: [{ oauth: [admin] }] } }
                """)
            let decided = try Decided(ServiceImport(document(text)))
            #expect(try !decided.allows("HEAD", "/v1/a/5", []))
            #expect(try decided.allows("HEAD", "/v1/open", []))
        }
    }

    /// The HEAD of one host stands for that of the other, where GET would answer.
    @Test func headsOfOtherHosts() throws {
        let text = paths(
            """
              /v1/{x}:
                servers: [{ url: https://a.example }, { url: https://b.example }]
                get: { security: [] }
              /{y}:
                servers: [{ url: https://b.example/v1 }]
                head: { security: [{ oauth: [admin] }] }
              /v1/{z}:
                servers: [{ url: https://a.example }]
                head: { security: [{ oauth: [admin] }] }
              /v1/z/z: { get: { security: [] } }
            """)
        let decided = try Decided(ServiceImport(document(text)))
        for host in ["a.example", "b.example"] { #expect(try !decided.allows("HEAD", "/v1/5", [], host: host)) }
    }

    /// The same path as one without operations, below another base path.
    @Test func hiddenPathOfTheSameShape() throws {
        for method in ["head", "get", "put"] {
            let text = paths(
                """
                  /v1/{y}: { servers: [{ url: https://api.example.com }] }
                  /{y}: { \(method): { security: [] } }
                  /x/open: { get: { security: [] } }
                """)
            let imported = try ServiceImport(document(text))
            let decided = try Decided(imported)
            #expect(try !decided.allows(method.uppercased(), "/v1/5", []))
            #expect(try decided.allows("GET", "/v1/x/open", []))
            #expect(imported.remarks.contains { $0.reason.contains("which has no operations") })
        }
    }

    /// A method that a path with a parameter within a segment has not is not open to everybody there.
    @Test(arguments: ["{x}-{z}", "z-z"]) func methodsThatAPathHasNot(_ segment: String) throws {
        let text = paths(
            """
              /\(segment): { post: { security: [{ oauth: [write] }] } }
              /{y}: { get: { security: [] } }
              /x/open: { get: { security: [] } }
            """)
        let decided = try Decided(ServiceImport(document(text)))
        #expect(try !decided.allows("GET", "/v1/z-z", []))
        #expect(try decided.allows("GET", "/v1/x/open", []))
    }

    /// What a path with a parameter within a segment requires, a weaker path does not answer for; GET stands for HEAD.
    @Test(arguments: [
        ("/{x}-{z}", "post", "post"), ("/{x}-{z}", "get", "head"), ("/{x}-{z}", "head", "get"),
        ("/report.{x}", "put", "put"), ("/v{x}", "delete", "delete"), ("/a%40", "post", "post"),
    ]) func weakerScopesWithinASegment(_ path: String, _ method: String, _ other: String) throws {
        func document(_ scope: String) -> String {
            paths(
                """
                  \(path): { \(method): { security: [{ oauth: [admin] }] } }
                  /{y}: { \(other): { security: [{ oauth: [\(scope)] }] } }
                  /x/open: { get: { security: [] } }
                """)
        }
        let request = path.replacing("{x}", with: "z").replacing("{z}", with: "z").replacing("%40", with: "@")
        let decided = try Decided(ServiceImport(OpenAPITests.document(document("read"))))
        #expect(try !decided.allows(other.uppercased(), "/v1\(request)", ["read"]))
        let strict = try Decided(ServiceImport(OpenAPITests.document(document("admin"))))
        #expect(try strict.allows(other.uppercased(), "/v1\(request)", ["admin"]))
    }

    /// `{y}` may hold a colon: a method that `/{x}:stop` has not is that of `/{y}` there, as the document says it.
    @Test func scopesBesideAPathWithoutTheMethod() throws {
        let text = paths(
            """
              /{x}:stop: { post: { security: [{ oauth: [admin] }] } }
              /{y}: { get: { security: [{ oauth: [read] }] } }
              /x/open: { get: { security: [] } }
            """)
        let imported = try ServiceImport(document(text))
        let line = imported.source.split(separator: "\n").first { $0.contains("match: \"GET /{y}\",") }
        #expect(line?.hasSuffix(" scopes: read }") == true, "\(imported.source)")
        #expect(!imported.remarks.contains { $0.kind == .stricter }, "\(imported.remarks)")
        let decided = try Decided(imported)
        #expect(try decided.allows("GET", "/v1/z:stop", ["read"]))
        #expect(try !decided.allows("POST", "/v1/z:stop", ["admin"]))
    }

    /// A query or fragment in a path makes no path of its own: only the same method is meant.
    @Test(arguments: ["/a?export", "/a#export"]) func methodsBesideAQuery(_ path: String) throws {
        let text = paths(
            "  '\(path)': { post: { security: [{ oauth: [admin] }] } }\n"
                + "  /a: { get: { security: [{ oauth: [read] }] }, post: { security: [{ oauth: [read] }] } }")
        let decided = try Decided(ServiceImport(document(text)))
        #expect(try decided.allows("GET", "/v1/a", ["read"]))
        #expect(try !decided.allows("POST", "/v1/a", ["read"]))
    }

    /// Nobody says whose `/y/x` is: the import does.
    @Test func ambiguousPaths() throws {
        let text = paths(
            """
              /{a}/x: { get: { security: [{ oauth: [admin] }] } }
              /y/{b}: { get: { security: [] } }
              /{c}/{d}: { get: { security: [{ oauth: [write] }] } }
            """)
        let imported = try ServiceImport(document(text))
        let found = imported.remarks.filter { $0.kind == .ambiguous }
        #expect(imported.hasReservations && found.map(\.operations) == [["GET /y/{b}"]], "\(imported.remarks)")
        #expect(found.first?.reason.contains("`GET /{a}/x` too") == true)
        // Whoever may do the one may do the other.
        let same = text.replacing("security: []", with: "security: [{ oauth: [admin] }]")
        #expect(try !ServiceImport(document(same)).hasReservations)
    }

    /// What keeps weaker paths from answering stands once on each host.
    @Test func shieldsOfSeveralServices() throws {
        let text = paths(
            """
              /b: { get: { security: [] } }
              /v1/b: { servers: [{ url: https://api.example.com }], get: { security: [{ oauth: [admin] }] } }
              /v1/{x}: { servers: [{ url: https://api.example.com }], get: { security: [] } }
            """)
        let decided = try Decided(ServiceImport(document(text)))
        #expect(try !decided.allows("GET", "/v1/b", []))
        #expect(try decided.allows("GET", "/v1/c", []))
        let hosts = text.replacing(
            "/b: { get",
            with: "/b: { servers: [{ url: https://a.example/v1 }, { url: https://api.example.com/v1 }], get")
        let others = try Decided(ServiceImport(document(hosts)))
        #expect(try !others.allows("GET", "/v1/b", []))
        #expect(try others.allows("GET", "/v1/c", []))
        // Each has a host that the other one has not.
        let crossed = hosts.replacing(
            "/v1/b: { servers: [", with: "/v1/b: { servers: [{ url: https://b.example }, ")
        #expect(refusal(crossed).contains("nothing can keep other paths from answering"), "\(refusal(crossed))")
    }

    /// A path is shielded on the hosts where a weaker one is.
    @Test func noShieldWhereNothingIsWeaker() throws {
        let text = paths(
            """
              /s: { servers: [{ url: https://c.example }, { url: https://b.example }], get: { security: [] } }
              /t: { servers: [{ url: https://a.example }, { url: https://b.example }], get: { security: [] } }
              /v1/b: { servers: [{ url: https://c.example }], get: { security: [{ key: [] }] } }
              /v1/{x}: { servers: [{ url: https://a.example }], get: { security: [] } }
            """)
        #expect(try !ServiceImport(document(text)).source.contains("preflight"))
    }

    @Test func portsOfSeveralHosts() throws {
        let text = paths("  /a: { get: { security: [] } }")
        func decided(_ servers: String) throws -> Decided {
            try Decided(ServiceImport(document(text.replacing("[{ url: https://api.example.com/v1 }]", with: servers))))
        }
        let two = try decided("[{ url: 'https://a.example:8443' }, { url: 'https://b.example:9443' }]")
        for (host, isAllowed) in [
            ("a.example:8443", true), ("b.example:9443", true), ("a.example:9443", false), ("b.example:8443", false),
        ] {
            #expect(try two.allows("GET", "/a", [], host: host) == isAllowed, "\(host)")
        }
        let one = try decided("[{ url: https://a.example }, { url: 'https://b.example:9443' }]")
        for (host, isAllowed) in [("a.example", true), ("b.example:9443", true), ("b.example:1", false)] {
            #expect(try one.allows("GET", "/a", [], host: host) == isAllowed, "\(host)")
        }
    }

    /// Where flows are references, the authorities of a scheme stand there.
    @Test func flowsBehindReferences() {
        let text = paths(
            "  /a:\n    get: { security: [{ far: [read] }, { oauth: [read] }] }",
            top: "x: { f: { device: { $ref: '#/x/d' } }, d: { tokenUrl: https://far.example/t } }"
        ).replacing(
            "    bearer: { type: http, scheme: Bearer }",
            with: "    bearer: { type: http, scheme: Bearer }\n    far: { type: oauth2, flows: { $ref: '#/x/f' } }")
        #expect(refusal(text).contains("tokens of 2 authorities"), "\(refusal(text))")
    }

    /// A hidden path is hidden for all methods, those of weaker paths too.
    @Test func hiddenPathWithinASegment() throws {
        let text = paths("  /{x}.json: {}\n  /{y}:\n    put: { security: [] }\n    get: { security: [] }")
        #expect(refusal(text).contains("no operation that a policy can express"), "\(refusal(text))")
    }

    /// Servers whose host is none are at the hosts that are named, with their paths.
    @Test func pathsOfServersWithOtherHosts() throws {
        let text = paths(
            """
              /secret:
                servers: [{ url: 'https://a_b.example/v9' }, { url: https://api.example.com }]
                get: { security: [{ key: [] }] }
              /{x}/secret:
                servers: [{ url: https://api.example.com }]
                get: { security: [] }
            """)
        var options = ImportOptions()
        options.hosts = ["api.example.com"]
        let decided = try Decided(ServiceImport(document(text), options))
        #expect(try decided.allows("GET", "/v8/secret", []))
        #expect(try !decided.allows("GET", "/v9/secret", []))
    }
}
