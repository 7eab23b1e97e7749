import Policy
import PolicyTables
import Testing

/// What a service tells clients of itself (`resource`), and what its backend sees of a token.
@Suite struct BackendTests {
    private static func extra(_ text: String) -> String {
        service("    hosts: [a.example, \"*.w.example\"]\n    \(text)")
    }

    private static func resource(_ text: String) -> String { extra("resource: \(text)") }

    static let resources: [Case] = [
        Case("a host", resource("https://a.example")), Case("with a slash", resource("https://a.example/")),
        Case("a path", resource("https://a.example/v1/x")), Case("a port", resource("https://a.example:8443/v1")),
        Case("below a wildcard", resource("https://b.w.example")),
        Case(
            "another host", resource("‹https://b.example/v1"),
            Expected(
                .badHost, "`https://b.example/v1` is not at a host of its service", mend: "`a.example` or `*.w.example`"
            )),
        Case("the wildcard's own name", resource("‹https://w.example"), Expected(.badHost)),
        Case("two labels below a wildcard", resource("‹https://c.b.w.example"), Expected(.badHost)),
        Case("upper case", resource("‹https://A.example"), Expected(.badHost, mend: "spelled exactly so")),
        Case("upper case below a wildcard", resource("‹https://B.w.example"), Expected(.badHost)),
        Case("a wildcard", resource("https://‹*.w.example"), Expected(.badURL, "`*` in the host")),
        Case(
            "http", resource("‹http://a.example"),
            Expected(.badURL, "anyone on the way could change what clients are told")),
        Case("http on this machine", service("    hosts: [localhost]\n    resource: http://localhost:8080/v1")),
        Case("a query", resource("https://a.example/‹?x=1"), Expected(.badURL, "has a query")),
        Case("a fragment", resource("\"https://a.example/‹#x\""), Expected(.badURL, "has a fragment")),
        Case("no URL", resource("‹a.example"), Expected(.badURL, "no https URL")),
        Case("empty", resource("‹\"\""), Expected(.emptyValue)),
        Case("a list", resource("‹[https://a.example]"), Expected(.wrongType, "`resource` is one text")),
        Case(
            "a segment that clients take out", resource("https://a.example/x/‹../y"),
            Expected(.badURL, "has the segment `..`", mend: "without it")),
        Case(
            "all paths", resource("https://a.example/x/‹**"),
            Expected(.badURL, "has a `*`", mend: "write one resource")),
        Case("a dot at the end", resource("https://a.example/‹."), Expected(.badURL, "has the segment `.`")),
        Case("dots within a segment", resource("https://a.example/..x/y..")),
        Case("a path of 200 bytes", resource("https://a.example/\(String(repeating: "p", count: 199))")),
        Case(
            "a path of 201 bytes", resource("‹https://a.example/\(String(repeating: "p", count: 200))"),
            Expected(.limitExceeded, "has more than 200 bytes", mend: "a shorter one")),
        Case(
            "beside hosts that are wrong", service("    hosts: [‹A.example]\n    resource: https://b.example"),
            Expected(.badHost)),
    ]

    private static func two(_ one: String, _ other: String) -> String {
        service("    hosts: [a.example]\n    resource: \(one)")
            + "\n  other: { hosts: [a.example], resource: \(other), routes: [{ match: GET /b, scopes: read }] }\n"
    }

    static let pairs: [Case] = [
        Case("two paths", two("https://a.example/x", "https://a.example/x/")),
        Case(
            "the same", two("https://a.example/x", "‹https://a.example/x"),
            Expected(
                .duplicateValue, "the resource `https://a.example/x` is already that of the service `api` in line 10")),
        Case(
            "the same but for a slash", two("https://a.example", "‹https://a.example/"),
            Expected(
                .duplicateValue, "has its metadata at the same place as that of the service `api`",
                mend: "do not tell them apart")),
        Case(
            "the same but for the port", two("https://a.example/x", "‹https://a.example:8443/x"),
            Expected(.duplicateValue)),
    ]

    static let tokens: [Case] = [
        Case("always", extra("forward_token: always")), Case("never", extra("forward_token: never")),
        Case(
            "sometimes", extra("forward_token: ‹sometimes"),
            Expected(.badChoice, "no value of `forward_token`", mend: "write one of `always` and `never`")),
        Case("a truth", extra("forward_token: ‹false"), Expected(.badChoice)),
        Case(
            "never from a cookie", extra("token_from: { cookie: s }\n    forward_token: ‹never"),
            Expected(.conflictingKeys, "`token_from` is not the header", mend: "`Authorization` header")),
        Case(
            "never from a subprotocol", extra("token_from: { websocket_protocol: b }\n    forward_token: ‹never"),
            Expected(.conflictingKeys)),
        Case("always from a cookie", extra("token_from: { cookie: s }\n    forward_token: always")),
        Case("a transaction token", extra("transaction_token: true")),
        Case("beside a cookie", extra("token_from: { cookie: s }\n    transaction_token: true")),
        Case("false", extra("transaction_token: ‹false"), Expected(.wrongType, mend: "remove the key")),
        Case("in quotes", extra("transaction_token: ‹\"true\""), Expected(.wrongType)),
        Case(
            "for routes without token",
            "scopecheck: 1\nservices:\n  a:\n    hosts: [a.example]\n    ‹transaction_token: true\n"
                + "    forward_token: never\n    routes: [{ match: GET /, public: true }]\n",
            Expected(.noEffect, "`transaction_token` has no effect on a service whose routes need no token")),
        Case(
            "for routes that cannot be read",
            "scopecheck: 1\nservices:\n  a:\n    hosts: [a.example]\n    transaction_token: true\n"
                + "    routes: [{ match: GET /, scopes: ‹nothing }]\n", Expected(.unknownScope)),
        Case(
            "on ports without HTTP",
            policyWith(service: "    hosts: [a.example]")
                + "\n  other: { kind: tcp, ports: [1], scopes: read, ‹resource: https://a.example, ‹forward_token: never, "
                + "‹transaction_token: true }\nclients: { c: { certificate: { dns: c.example }, scopes: read } }",
            Expected(.wrongKind, "`resource` has no meaning", mend: "no URL"),
            Expected(.wrongKind, "`forward_token` has no meaning", mend: "no token"),
            Expected(.wrongKind, "`transaction_token` has no meaning", mend: "no token")),
        Case(
            "a key of a service on a route", route("{ match: GET /a, scopes: read, ‹forward_token: never }"),
            Expected(.unknownKey, mend: "belongs in a service")),
    ]

    @Test(arguments: resources) func resourceRules(_ one: Case) { check(one) }
    @Test(arguments: pairs) func pairRules(_ one: Case) { check(one) }
    @Test(arguments: tokens) func tokenRules(_ one: Case) { check(one) }

    @Test func values() throws {
        let all = BackendTests.extra(
            "forward_token: never\n    transaction_token: true\n    resource: https://a.example/")
        let found = try #require(load(all).model?.services.first)
        #expect(!found.forwardsToken && found.hasTransactionToken && found.resource == "https://a.example/")
        let plain = try #require(load(policyWith()).model?.services.first)
        #expect(plain.forwardsToken && !plain.hasTransactionToken && plain.resource == nil)
        let always = try #require(load(BackendTests.extra("forward_token: always")).model?.services.first)
        #expect(always.forwardsToken)
        let compiled = try PolicyCompiler(try #require(load(all).model)).metadata
        #expect(compiled.map(\.place.url) == ["https://a.example/.well-known/oauth-protected-resource"])
        #expect(
            compiled.map { String(decoding: $0.document, as: UTF8.self) } == [
                #"{"resource":"https://a.example/","authorization_servers":["https://id.example.com"],"#
                    + #""scopes_supported":["read","write"],"bearer_methods_supported":["header"],"resource_name":"api","#
                    + #""dpop_signing_alg_values_supported":["ES256","ES384","ES512","Ed25519","PS256","RS256"]}"#
            ])
    }

    @Test func shownToPeopleAndPrograms() throws {
        let text = policyWith(
            service: "    hosts: [a.example]\n    forward_token: never\n    transaction_token: true",
            routes: "      - { match: GET /a, scopes: [read, write] }\n      - { match: GET /b, public: true }")
        let table = effectiveTable(try #require(load(text).model))
        #expect(
            table.rows.map(\.requirementText)
                == ["read and write; forward_token never; transaction_token", "public; forward_token never"])
        #expect(
            table.json.contains(#""mode":"enforce","forward_token":"never","transaction_token":true,"label":"GET /a""#))
        #expect(table.json.contains(#""mode":"enforce","forward_token":"never","label":"GET /b""#))
        let plain = effectiveTable(try #require(load(policyWith()).model))
        #expect(plain.json.contains(#""mode":"enforce","label":"#))
    }
}
