import Policy
import PolicyTables
import Testing

@Suite struct RouteTests {
    private static func path(_ text: String) -> String { route("{ match: \"GET \(text)\", public: true }") }
    private static func match(_ text: String) -> String { route("{ match: \(text), public: true }") }
    private static func needs(_ text: String) -> String { route("{ match: GET /a, scopes: \(text) }") }

    static let unknownMethods: [Case] = [
        Case("known methods", match("\"GET,PROPFIND,VERSION-CONTROL,QUERY,TRACE,PURGE /a\"")),
        Case(
            "a mistyped method", match("‹GTE /a"),
            Expected(.unknownMethod, "`GTE` is no HTTP method that is known", mend: "did you mean `GET`?")),
        Case(
            "one of several", match("\"GET,‹POTS,PUT /a\""),
            Expected(.unknownMethod, "`POTS`", mend: "did you mean `POST`?")),
        Case(
            "a method of one's own", match("‹X-FROBNICATE /a"),
            Expected(.unknownMethod, "`X-FROBNICATE`", mend: "leave it if clients of yours")),
    ]

    @Test(arguments: unknownMethods) func methodsThatMayBeMeant(_ one: Case) {
        check(one)
        #expect(load(one.source.text).errorCount == 0)
    }

    static let paths: [Case] = [
        Case("the root", path("/")),
        Case("segments", path("/a/b-c/d.e/f_g/~h/i@j:k/l=m")),
        Case("a trailing slash", path("/a/")),
        Case("parameters", path("/{a}/{b-2}/{c_d}/{e.f}")),
        Case("the rest", path("/a/**")),
        Case("everything", path("/**")),
        Case("three dots are a name", path("/.../..a/.well-known")),
        Case("text beyond ASCII", path("/café/日本")),
        Case("escapes", path("/a%20b/%7Eann/caf%C3%A9/%2A/%3Ax/%22%3C%3E%3F%23")),
        Case(
            "no slash", match("GET ‹orders"), Expected(.badPath, "does not start with `/`", mend: "`/orders`")
        ),
        Case("a URL", match("GET ‹https://a.example/b"), Expected(.badPath, "does not start")),
        Case("an empty segment", path("/a/‹/b"), Expected(.badPath, "`//`")),
        Case("an empty first segment", path("/‹/a"), Expected(.badPath, "`//`")),
        Case("a dot segment", path("/a/‹./b"), Expected(.badPath, "dot segment")),
        Case("a fault behind text beyond ASCII", path("/é日/‹../b"), Expected(.badPath, "dot segment")),
        Case("two dots", path("/a/‹../b"), Expected(.badPath, "dot segment `..`")),
        Case("encoded dots", path("/a/‹%2e%2E"), Expected(.badPath, "dot segment")),
        Case("dots before a parameter", path("/a/..‹%3Bx"), Expected(.badPath, "`%3B`")),
        Case("a semicolon", path("/a‹;b=c"), Expected(.badPath, "`;`")),
        Case("a query", path("/a‹?b=c"), Expected(.badPath, "query")),
        Case("a fragment", path("/a‹#b"), Expected(.badPath, "fragment")),
        Case("a backslash", route("{ match: 'GET /a‹\\b', public: true }"), Expected(.badPath, "`\\`")),
        Case("a space", path("/a‹ b"), Expected(.badPath, "space", mend: "%20")),
        Case(
            "a tab",
            route("{ match: \"GET /a\\tb\", public: true }").replacing("\"GET /a", with: "‹\"GET /a"),
            Expected(.badPath, "control")),
        Case("an encoded slash", path("/a‹%2Fb"), Expected(.badPath, "`%2F`", mend: "cannot be part")),
        Case("an encoded backslash", path("/a‹%5cb"), Expected(.badPath, "`%5c`")),
        Case("an encoded percent sign", path("/a‹%25b"), Expected(.badPath, "`%25`")),
        Case("an encoded NUL", path("/a‹%00"), Expected(.badPath, "`%00`")),
        Case("an encoded DEL", path("/a‹%7F"), Expected(.badPath, "`%7F`")),
        Case(
            "an escaped semicolon", path("/a‹%3Bb"),
            Expected(.badPath, "cannot tell it from `;`", mend: "requests with `;` are refused")),
        Case(
            "an escaped sign that stands for itself", path("/a‹%2Bb"),
            Expected(.badPath, "cannot tell it from `+`", mend: "write `+`")),
        Case("an escaped at sign", path("/‹%40me"), Expected(.badPath, mend: "write `@`")),
        Case("half an escape", path("/a‹%4"), Expected(.badPath, "hexadecimal")),
        Case("an escape of other letters", path("/a‹%zz"), Expected(.badPath, "hexadecimal")),
        Case("escapes that are not UTF-8", path("/‹%C3x"), Expected(.badPath, "UTF-8")),
        Case("an overlong escape", path("/‹%C0%AF"), Expected(.badPath, "UTF-8")),
        Case("a brace within a segment", path("/a‹{b}"), Expected(.badPath, "within a segment")),
        Case("a parameter with an end", path("/‹{b}.json"), Expected(.badPath, "within a segment")),
        Case("an empty parameter", path("/‹{}"), Expected(.badPath, "no parameter")),
        Case("a parameter for all", path("/‹{a*}"), Expected(.badPath, "no parameter", mend: "`**`")),
        Case("a parameter twice", path("/{a}/b/‹{a}"), Expected(.badPath, "`a` stands twice")),
        Case("a parameter of another language", path("/‹:id"), Expected(.badPath, mend: "`{id}`")),
        Case("one star", path("/a/‹*"), Expected(.badPath, "`*` is no segment", mend: "`**`")),
        Case("a star within a segment", path("/a‹*"), Expected(.badPath, "`*` within", mend: "%2A")),
        Case("the rest in the middle", path("/‹**/a"), Expected(.badPath, "before the end")),
        Case("the rest before a slash", path("/‹**/"), Expected(.badPath, "before the end")),
        Case("signs that a URI has not", path("/a‹|b"), Expected(.badPath, "`|`", mend: "%7C")),
        Case("64 segments", path(String(repeating: "/a", count: 64))),
        Case(
            "65 segments", path("‹" + String(repeating: "/a", count: 65)),
            Expected(.limitExceeded, "65 segments")),
        Case("4,096 bytes", path("/" + String(repeating: "a", count: 4_095))),
        Case(
            "4,097 bytes", path("‹/" + String(repeating: "a", count: 4_096)),
            Expected(.limitExceeded, "4097 bytes")),
    ]

    static let methods: [Case] = [
        Case("several methods", match("\"GET,POST,M-SEARCH /a\"")),
        Case("several spaces", match("GET   /a")),
        Case("no method", match("‹/a"), Expected(.badMethod, mend: "`GET /a`")),
        Case("no path", match("‹GET"), Expected(.badMethod, "no method and path")),
        Case("neither", match("‹\"\""), Expected(.badMethod, "empty")),
        Case("only a space", match("‹\"GET \""), Expected(.badMethod)),
        Case("lower case", match("‹get /a"), Expected(.badMethod, "not upper case", mend: "write `GET`")),
        Case("any method", match("‹\"* /a\""), Expected(.badMethod, "`*` is no method")),
        Case(
            "a method that is none", match("\"GET,‹PO(ST /a\""), Expected(.badMethod, "no method (RFC 9110")),
        Case(
            "a space after the comma", match("\"GET,‹ POST /a\""),
            Expected(.badMethod, "` POST` is no method")),
        Case("an empty method", match("\"GET,‹,POST /a\""), Expected(.badMethod, "empty method")),
        Case("a method twice", match("\"GET,‹GET /a\""), Expected(.duplicateValue, "`GET`")),
        Case(
            "several methods without quotes", route("{ match: GET,‹POST /a, public: true }"),
            Expected(.badMethod, "no method and path"),
            Expected(.unknownKey, "`POST /a`", mend: "quote the whole match")
        ).markingMatch(),
        Case("a method of 32", match("‹\(String(repeating: "A", count: 32)) /a"), Expected(.unknownMethod)),
        Case("a method of 33", match("‹\(String(repeating: "A", count: 33)) /a"), Expected(.badMethod)),
        Case("no match", route("‹{ public: true }"), Expected(.missingKey, "without `match`")),
        Case("a match that is a list", route("{ match: ‹[GET, /a], public: true }"), Expected(.wrongType)),
        Case("a route that is text", route("‹GET /a"), Expected(.wrongType, "a route is a mapping")),
    ]

    static let grounds: [Case] = [
        Case("one scope", needs("read")),
        Case("several scopes", needs("[read, write]")),
        Case("all and any", needs("{ all: [read], any: [write] }")),
        Case("all of one", needs("{ all: read }")),
        Case("no ground", route("‹{ match: GET /a }"), Expected(.missingKey, "nothing of who")),
        Case(
            "two grounds", route("{ match: GET /a, scopes: read, ‹public: true }"), Expected(.conflictingKeys)
        ),
        Case(
            "three grounds", route("{ match: OPTIONS /a, scopes: read, public: true, ‹preflight: true }"),
            Expected(.conflictingKeys)),
        Case(
            "not public", route("{ match: GET /a, public: ‹false }"),
            Expected(.wrongType, "can only be `true`", mend: "remove")),
        Case("public in quotes", route("{ match: GET /a, public: ‹\"true\" }"), Expected(.wrongType)),
        Case("public as yes", route("{ match: GET /a, public: ‹yes }"), Expected(.wrongType)),
        Case("no scopes", needs("‹[]"), Expected(.emptyValue, "requires nothing", mend: "public: true")),
        Case("no scopes at all", route("{ match: GET /a, scopes: ‹}"), Expected(.emptyValue)),
        Case("an empty requirement", needs("‹{}"), Expected(.emptyValue)),
        Case("all of none", needs("{ all: ‹[] }"), Expected(.emptyValue)),
        Case("any of none", needs("{ all: [read], any: ‹[] }"), Expected(.emptyValue)),
        Case(
            "an unknown scope", needs("‹raed"),
            Expected(.unknownScope, "`raed`", mend: "did you mean `read`?")),
        Case("an unknown scope in upper case", needs("‹Read"), Expected(.unknownScope, mend: "write `read`")),
        Case(
            "an unknown scope like no other", needs("[read, ‹something:else]"),
            Expected(.unknownScope, mend: "declare it")),
        Case(
            "a wildcard required", needs("‹\"a:*\""),
            Expected(.badWildcard, "cannot require the wildcard `a:*`")),
        Case("scopes in one text", needs("‹read write"), Expected(.badName, "space", mend: "list")),
        Case("a scope twice", needs("[read, ‹read]"), Expected(.duplicateValue)),
        Case("a scope that is a list", needs("[‹[read]]"), Expected(.wrongType)),
        Case(
            "some other requirement", needs("{ ‹some: [read] }"),
            Expected(.unknownKey, mend: "`all` and `any`")),
        Case("a preflight", route("{ match: OPTIONS /used, preflight: true }")),
        Case(
            "a preflight by GET", route("{ match: ‹GET /a, preflight: true }"),
            Expected(.badMethod, "OPTIONS")
        ).alsoUnreachable(),
        Case(
            "step-up by another name", route("{ match: GET /a, scopes: read, ‹step_up: mfa }"),
            Expected(.notEnforced, "`step_up`")),
        Case(
            "a key of a service", route("{ match: GET /a, scopes: read, ‹hosts: [a] }"),
            Expected(.unknownKey, mend: "belongs in a service")),
        Case(
            "a key twice", route("{ match: GET /a, scopes: read, ‹scopes: write }"), Expected(.duplicateKey)),
        Case(
            "mode on a public route", route("{ match: GET /a, public: true, ‹mode: enforce }"),
            Expected(.noEffect)),
        Case(
            "observed", route("{ match: GET /a, scopes: read, mode: observe, until: 2027-01-01T00:00:00Z }")),
        Case(
            "observed for ever", route("{ match: GET /a, scopes: read, mode: ‹observe }"),
            Expected(.missingKey)),
        Case("where", route("{ match: \"GET /{a}/{b}\", scopes: read, where: { a: sub, b: tenant } }")),
        Case(
            "where of no parameter", route("{ match: \"GET /{user}\", scopes: read, where: { ‹usr: sub } }"),
            Expected(.unknownParameter, mend: "did you mean `user`?")),
        Case(
            "where without parameters", route("{ match: GET /a, scopes: read, where: { ‹user: sub } }"),
            Expected(.unknownParameter, mend: "`{user}`")),
        Case(
            "where of no claim", route("{ match: \"GET /{a}\", scopes: read, where: { a: ‹\"\" } }"),
            Expected(.emptyValue)),
        Case(
            "where of nothing", route("{ match: \"GET /{a}\", scopes: read, where: ‹{} }"),
            Expected(.emptyValue)),
        Case(
            "where as text", route("{ match: \"GET /{a}\", scopes: read, where: ‹sub }"), Expected(.wrongType)
        ),
        Case(
            "where on a public route", route("{ match: \"GET /{a}\", public: true, ‹where: { a: sub } }"),
            Expected(.noEffect)),
        Case(
            "a parameter bound twice",
            route("{ match: \"GET /{a}\", scopes: read, where: { a: sub, ‹a: tenant } }"),
            Expected(.duplicateKey)),
        Case("ports", route("{ match: GET /a, scopes: read, ports: [9443] }")),
        Case(
            "a port that is none", route("{ match: GET /a, scopes: read, ports: [‹70000] }"),
            Expected(.badPort)),
    ]

    @Test(arguments: paths) func pathRules(_ one: Case) { check(one) }
    @Test(arguments: methods) func methodRules(_ one: Case) { check(one) }
    @Test(arguments: grounds) func groundRules(_ one: Case) { check(one) }

    private func routes(_ text: String) throws -> [RouteModel] {
        let model = try #require(load(route(text)).model)
        return Array(try #require(model.services.first).routes.dropFirst())
    }

    @Test func segmentsAreDecodedOnce() throws {
        let found = try routes("{ match: \"GET /a%20b/%7Eann/caf%c3%a9/{x}/**\", public: true }")
        #expect(
            found.first?.segments == [
                .literal("a b"), .literal("~ann"), .literal("café"), .parameter("x"), .rest,
            ])
        #expect(found.first?.label == "GET /a%20b/%7Eann/caf%c3%a9/{x}/**")
    }

    @Test func oneRouteForEachMethod() throws {
        let found = try routes("{ match: \"GET,POST  /a/\", scopes: { any: [write, read] }, ports: [2, 1] }")
        #expect(
            found
                == ["GET", "POST"].map {
                    RouteModel(
                        method: $0, segments: [.literal("a"), .literal("")],
                        ground: .scopes(all: [], any: [0, 1]),
                        ports: [1, 2], label: "\($0) /a/")
                })
    }

    @Test func bindingsCountOverTheWholePath() throws {
        let text = policyWith(
            service: "    hosts: [a.example]\n    base_path: /v1/x",
            routes:
                "      - { match: \"GET /{b}/c/{d}\", scopes: [read, write], where: { d: sub, b: tenant } }")
        let found = try #require(load(text).model?.services.first?.routes.first)
        #expect(
            found.bindings == [
                RouteModel.Binding(segment: 2, claim: "tenant"), RouteModel.Binding(segment: 4, claim: "sub"),
            ])
    }

    /// The base path counts against the number of segments.
    @Test func segmentsWithBasePath() {
        func policy(_ count: Int) -> PolicySource {
            load(
                policyWith(
                    service: "    hosts: [a.example]\n    base_path: /v1",
                    routes:
                        "      - { match: GET \(String(repeating: "/a", count: count)), scopes: [read, write] }"
                ))
        }
        #expect(policy(63).errorCount == 0)
        #expect(policy(64).diagnostics.map(\.code) == [.limitExceeded])
    }
}

extension Case {
    /// For a first diagnostic at the value of `match`.
    fileprivate func markingMatch() -> Case {
        var copy = self
        copy.marked = marked.replacing("{ match: GET,", with: "{ match: ‹GET,")
        return copy
    }

    /// The same place is also reported as a preflight that nothing can reach.
    fileprivate func alsoUnreachable() -> Case {
        var copy = self
        copy.marked = marked.replacing("‹", with: "‹‹")
        copy.expected.append(Expected(.unreachableRoute))
        return copy
    }
}
