import Policy
import PolicyTables
import Testing

@Suite struct ServiceTests {
    private static func host(_ text: String) -> String { service("    hosts: [\(text)]") }
    private static func extra(_ text: String) -> String { service("    hosts: [a.example]\n    \(text)") }
    private static let label63 = String(repeating: "a", count: 63)

    static let hosts: [Case] = [
        Case("names", host("a.example, localhost, xn--bcher-kva.example, 0a-1.example")),
        Case("a wildcard", host("\"*.example.com\", example.com")),
        Case("addresses", host("192.0.2.1, \"[2001:db8::1]\", \"[::1]\", \"[::]\"")),
        Case(
            "upper case", host("‹API.Example.com"),
            Expected(.badHost, "upper-case", mend: "write `api.example.com`")),
        Case(
            "a port", host("‹api.example.com:8443"),
            Expected(.badHost, "has a port", mend: "write `api.example.com`, and `ports: [8443]`")),
        Case(
            "a port after an address", host("‹\"[::1]:80\""),
            Expected(.badHost, "has a port", mend: "write `[::1]`")),
        Case(
            "a trailing dot", host("‹api.example.com."),
            Expected(.badHost, "ends with a dot", mend: "write `api.example.com`")),
        Case(
            "a URL", host("‹https://api.example.com:8443/v1"),
            Expected(.badHost, "is a URL", mend: "write `api.example.com`")),
        Case("a path", host("‹api.example.com/v1"), Expected(.badHost, "has a path", mend: "`base_path`")),
        Case("user information", host("‹me@api.example.com"), Expected(.badHost, "user information")),
        Case("an empty label", host("api.‹.example"), Expected(.badHost, "empty label")),
        Case("a leading dot", host("‹.example"), Expected(.badHost, "empty label")),
        Case("an underscore", host("api.‹my_host.example"), Expected(.badHost, "`_` in")),
        Case("a space", host("‹\"a b.example\""), Expected(.badHost, "` ` in")),
        Case("a leading dash", host("‹-a.example"), Expected(.badHost, "`-`")),
        Case("a trailing dash", host("‹a-.example"), Expected(.badHost, "`-`")),
        Case("a label of 63", host("\(label63).example")),
        Case("a label of 64", host("‹\(label63)a.example"), Expected(.badHost, "label of 64 bytes")),
        Case("a name of 253", host("\(label63).\(label63).\(label63).\(label63.dropLast(2))")),
        Case(
            "a name of 254", host("‹\(label63).\(label63).\(label63).\(label63.dropLast(1))"),
            Expected(.badHost, "host of 254 bytes")),
        Case("letters beyond ASCII", host("‹bücher.example"), Expected(.badHost, mend: "`xn--`")),
        Case("a lone wildcard", host("‹\"*\""), Expected(.badHost, "`*`")),
        Case("a wildcard in the middle", host("api.‹*.example"), Expected(.badHost, "`*`")),
        Case("a wildcard within a label", host("api‹*.example"), Expected(.badHost, "`*`")),
        Case("two wildcards", host("\"*.‹*.example\""), Expected(.badHost)),
        Case(
            "numbers that are no address", host("‹256.1.1.1"),
            Expected(.badHost, "neither a name nor an IPv4")),
        Case("a short address", host("‹127.1"), Expected(.badHost, "neither")),
        Case("an address with leading zeros", host("‹127.0.0.01"), Expected(.badHost, "neither")),
        Case("a name that ends in a number", host("‹a.1"), Expected(.badHost, "neither")),
        Case("a wildcard before an address", host("‹\"*.0.0.1\""), Expected(.badHost)),
        Case(
            "IPv6 without brackets", host("‹\"2001:DB8::1\""),
            Expected(.badHost, "no brackets", mend: "`\"[2001:db8::1]\"`")),
        Case(
            "IPv6 in another spelling", host("‹\"[2001:db8:0:0::1]\""),
            Expected(.badHost, "RFC 5952", mend: "`\"[2001:db8::1]\"`")),
        Case(
            "IPv6 in upper case", host("‹\"[2001:DB8::1]\""), Expected(.badHost, mend: "`\"[2001:db8::1]\"`")),
        Case("IPv6 with a zone", host("‹\"[fe80::1%25eth0]\""), Expected(.badHost, "no IPv6 address")),
        Case("IPv6 that is none", host("‹\"[::1::2]\""), Expected(.badHost, "no IPv6 address")),
        Case("IPv6 that is not closed", host("‹\"[::1\""), Expected(.badHost)),
        Case("an empty host", host("‹\"\""), Expected(.badHost, "empty host")),
        Case(
            "a host twice", host("a.example, ‹a.example"), Expected(.duplicateValue, "the host `a.example`")),
        Case("a host that is a list", host("‹[a.example]"), Expected(.wrongType)),
        Case(
            "no hosts", service("    audience: https://api.example.com").replacing("  api:", with: "  ‹api:"),
            Expected(.missingKey, "without `hosts`")),
        Case("hosts as text", service("    hosts: ‹a.example"), Expected(.wrongType, "`hosts` is a list")),
        Case("an empty list of hosts", service("    hosts: ‹[]"), Expected(.emptyValue)),
    ]

    static let rest: [Case] = [
        Case("ports", extra("ports: [443, 8443]")),
        Case("a port twice", extra("ports: [443, ‹443]"), Expected(.duplicateValue)),
        Case("ports as a number", extra("ports: ‹443"), Expected(.wrongType)),
        Case("no ports", extra("ports: ‹[]"), Expected(.emptyValue)),
        Case("a base path", extra("base_path: /v1/x")),
        Case("the root as base path", extra("base_path: /")),
        Case(
            "a base path that ends with a slash", extra("base_path: /v1‹/"),
            Expected(.badPath, "ends with `/`", mend: "write `/v1`")),
        Case("a base path from nowhere", extra("base_path: ‹v1"), Expected(.badPath, mend: "`/v1`")),
        Case(
            "a base path with a parameter", extra("base_path: ‹/{tenant}/v1"), Expected(.badPath, "parameter")
        ),
        Case("a base path with dots", extra("base_path: /v1/‹.."), Expected(.badPath, "dot segment")),
        Case("the token in the header", extra("token_from: header")),
        Case("the token in a cookie", extra("token_from: { cookie: __Host-session }")),
        Case("the token in a subprotocol", extra("token_from: { websocket_protocol: bearer }")),
        Case("the token in the query", extra("token_from: ‹query"), Expected(.badChoice, "`query`")),
        Case(
            "the token in two places", extra("token_from: { cookie: a, ‹websocket_protocol: b }"),
            Expected(.conflictingKeys)),
        Case("the token in no place", extra("token_from: ‹{}"), Expected(.emptyValue)),
        Case("a cookie that is no token", extra("token_from: { cookie: ‹\"a;b\" }"), Expected(.badName)),
        Case("an unknown place", extra("token_from: { ‹cooky: a }"), Expected(.unknownKey, mend: "`cookie`")),
        Case("enforced", extra("mode: enforce")),
        Case("observed", extra("mode: observe\n    until: 2027-01-01T00:00:00Z")),
        Case("observed in one mapping", extra("mode: { observe: { until: 2027-01-01T00:00:00+01:00 } }")),
        Case(
            "observed for ever", extra("mode: ‹observe"),
            Expected(.missingKey, "without its end", mend: "`until:`")),
        Case("observed for ever in one mapping", extra("mode: { observe: ‹{} }"), Expected(.missingKey)),
        Case("a mode mistyped", extra("mode: ‹obsrve"), Expected(.badChoice, mend: "`observe`")),
        Case(
            "until alone", extra("‹until: 2027-01-01T00:00:00Z"),
            Expected(.noEffect, "without `mode: observe`")),
        Case(
            "until beside enforce", extra("mode: enforce\n    ‹until: 2027-01-01T00:00:00Z"),
            Expected(.noEffect)),
        Case(
            "until twice",
            extra("mode: { observe: { until: 2027-01-01T00:00:00Z } }\n    ‹until: 2027-01-01T00:00:00Z"),
            Expected(.conflictingKeys)),
        Case(
            "until that has passed", extra("mode: observe\n    until: ‹2026-01-01T00:00:00Z"),
            Expected(.observeEnded, "has ended")),
        Case(
            "until without time", extra("mode: observe\n    until: 2027-01-01‹"),
            Expected(.badTime, mend: "2026-12-01T00:00:00Z")),
        Case(
            "until without zone", extra("mode: observe\n    until: 2027-01-01T00:00:00‹"),
            Expected(.badTime, "no zone")),
        Case(
            "until on a day that is not", extra("mode: observe\n    until: 2027-02-‹29T00:00:00Z"),
            Expected(.badTime, "exists")),
        Case("issuers by name", extra("issuers: [https://id.example.com]")),
        Case(
            "an unknown issuer", extra("issuers: [‹https://id.example.com/]"),
            Expected(.unknownIssuer, mend: "`https://id.example.com`")),
        Case(
            "an issuer twice", extra("issuers: [https://id.example.com, ‹https://id.example.com]"),
            Expected(.duplicateValue)),
        Case("an audience", extra("audience: https://api.example.com")),
        Case("several audiences", extra("audience: ‹[a, b]"), Expected(.wrongType, "one text")),
        Case(
            "an audience that the issuer does not have", extra("audience: ‹https://other.example"),
            Expected(.audienceElsewhere)),
        Case(
            "an unknown key", extra("‹host: [a.example]"),
            Expected(.unknownKey, mend: "did you mean `hosts`?")),
        Case("a relaxation", extra("‹relax: [semicolon]"), Expected(.notEnforced)),
        Case(
            "no routes", "scopecheck: 1\nservices:\n  ‹a: { hosts: [a.example] }\n",
            Expected(.missingKey, "without `routes`")),
        Case(
            "an empty list of routes", "scopecheck: 1\nservices:\n  a: { hosts: [a.example], routes: ‹[] }\n",
            Expected(.emptyValue)),
        Case(
            "routes as a mapping", "scopecheck: 1\nservices:\n  a: { hosts: [a.example], routes: ‹{} }\n",
            Expected(.wrongType)),
        Case(
            "a service without name",
            "scopecheck: 1\nservices:\n  ‹\"\": { hosts: [a.example], routes: [{ match: GET /, public: true }] }\n",
            Expected(.badName)),
        Case(
            "a service with a space",
            "scopecheck: 1\nservices:\n  ‹a b: { hosts: [a.example], routes: [{ match: GET /, public: true }] }\n",
            Expected(.badName)),
        Case(
            "services twice",
            "scopecheck: 1\nservices:\n  a: { hosts: [a.example], routes: [{ match: GET /, public: true }] }\n  ‹a: {}\n",
            Expected(.duplicateKey, "first in line 3")),
        Case("no services", "‹scopecheck: 1\n", Expected(.missingKey, "no `services`")),
        Case("an empty mapping of services", "scopecheck: 1\nservices: ‹{}\n", Expected(.emptyValue)),
        Case("a list of services", "scopecheck: 1\nservices: ‹[a]\n", Expected(.wrongType)),
        Case(
            "no version",
            "‹services:\n  a: { hosts: [a.example], routes: [{ match: GET /, public: true }] }\n",
            Expected(.missingKey, mend: "`scopecheck: 1`")),
        Case(
            "a later version", policyWith().replacing("scopecheck: 1", with: "scopecheck: ‹2"),
            Expected(.badVersion, "`2`")),
        Case(
            "a version in quotes", policyWith().replacing("scopecheck: 1", with: "scopecheck: ‹\"1\""),
            Expected(.badVersion, "`1` stands in quotes", mend: "write `scopecheck: 1`")),
        Case(
            "an unknown key at the top", policyWith(tests: "‹servces: {}"),
            Expected(.unknownKey, mend: "`services`")),
        Case(
            "what is not built yet", policyWith(tests: "‹revocation: {}"),
            Expected(.notEnforced, "`revocation` is not enforced by this build")),
        Case(
            "a token is needed and nobody issues it",
            "scopecheck: 1\nscopes:\n  r: {}\nservices:\n  ‹a: { hosts: [a.example], routes: [{ match: GET /, scopes: r }] }\n",
            Expected(.issuersMissing, "no issuers")),
        Case(
            "several issuers and none chosen",
            policyWith(
                issuers:
                    "  - { issuer: https://a.example, audience: x, keys: { discovery: true } }\n  - { issuer: https://b.example, audience: x, keys: { discovery: true } }"
            ).replacing("  api:", with: "  ‹api:"),
            Expected(.issuersMissing, "which of 2 issuers", mend: "https://a.example")),
        Case(
            "an issuer that no service takes",
            policyWith(
                issuers:
                    "  - { issuer: https://a.example, audience: x, keys: { discovery: true } }\n  - { issuer: ‹https://b.example, audience: x, keys: { discovery: true } }",
                service: "    hosts: [a.example]\n    issuers: [https://a.example]"),
            Expected(.unusedIssuer, "`https://b.example`")),
    ]

    @Test(arguments: hosts) func hostRules(_ one: Case) { check(one) }
    @Test(arguments: rest) func serviceRules(_ one: Case) { check(one) }

    @Test func values() throws {
        let lines =
            "    hosts: [\"*.a.example\", \"[::1]\"]\n    ports: [9443, 443]\n    audience: https://api.example.com\n"
            + "    token_from: { cookie: s }\n    base_path: /caf%C3%A9\n    mode: observe\n    until: 2027-01-01T00:00:00+01:00"
        let routes =
            "      - { match: GET /a, scopes: [read, write] }\n      - { match: GET /b, scopes: read, mode: enforce }\n"
            + "      - { match: GET /c, public: true }"
        let service = try #require(load(policyWith(service: lines, routes: routes)).model?.services.first)
        #expect(service.hosts == ["*.a.example", "[::1]"] && service.ports == [443, 9443])
        #expect(service.issuers == [0] && service.tokenSource == .cookie("s"))
        #expect(service.routes.map(\.observeUntil) == [1_798_758_000, nil, nil])
        #expect(service.routes.first?.segments == [.literal("café"), .literal("a")])
    }

    /// A policy of public routes needs no issuer at all.
    @Test func publicOnly() throws {
        let text =
            "scopecheck: 1\nservices:\n  a: { hosts: [a.example], routes: [{ match: GET /, public: true }] }\n"
        let model = try #require(load(text).model)
        #expect(model.services.first?.issuers == [] && model.issuers.isEmpty)
        #expect(model.services.first?.routes.first?.segments == [.literal("")])
    }

    @Test(arguments: [
        ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("0:0:0:0:0:0:0:0", "::"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("::ffff:192.0.2.1", "::ffff:c000:201"),
        ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"), ("ABCD::00EF", "abcd::ef"),
        ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
    ]) func canonicalAddresses(_ text: String, _ canonical: String) {
        let policy = load(service("    hosts: [\"[\(text)]\"]"))
        if text == canonical {
            #expect(policy.errorCount == 0)
        } else {
            #expect(policy.diagnostics.first?.mend == "write `\"[\(canonical)]\"`")
        }
    }

    @Test(arguments: [
        "", ":", ":::", "1", "1:2", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::1::", "12345::", "g::",
        "1:2:3:4:5:6:7:8::", "::1.2.3",
        "::1.2.3.256", "1.2.3.4", "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:",
    ]) func addressesThatAreNone(_ text: String) {
        let policy = load(service("    hosts: [\"[\(text)]\"]"))
        #expect(policy.diagnostics.map(\.code) == [.badHost])
    }
}
