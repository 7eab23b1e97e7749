import Policy
import PolicyTables
import Testing

/// A policy with clients that are known by their tokens; every scope is required somewhere.
func clientPolicy(
    _ clients: String, roles: String = "",
    scopes: String = "  read: {}\n  write: {}\n  admin: { implies: [read, write] }",
    issuer: String = "unknown_clients: deny", service: String = "forward_token: never", rest: String = ""
) -> String {
    var text = """
        scopecheck: 1
        issuers:
          - { issuer: https://id.example.com, audience: a, keys: { discovery: true }, \(issuer) }
          - { issuer: https://b.example.com, audience: a, keys: { discovery: true }, unknown_clients: allow }
        scopes:
        \(scopes)
        services:
          api:
            hosts: [api.example.com]
            issuers: [https://id.example.com, https://b.example.com]
            \(service)
            routes:
              - { match: GET /a, scopes: read }
              - { match: PUT /a, scopes: write }
              - { match: DELETE /a, scopes: admin }

        """
    if !roles.isEmpty { text += "roles:\n\(roles)\n" }
    if !clients.isEmpty { text += "clients:\n\(clients)\n" }
    return text + rest
}

/// One client of the first issuer, called `c`.
func clientPolicy(body: String) -> String {
    clientPolicy("  c: { issuer: https://id.example.com, \(body) }")
}

@Suite struct ClientTests {
    private static let many = String(repeating: "x", count: 255)

    static let cases: [Case] = [
        Case("scopes", clientPolicy(body: "scopes: [read]")),
        Case("one scope", clientPolicy(body: "scopes: read")),
        Case("every scope", clientPolicy(body: "scopes: \"*\"")),
        Case("an identifier", clientPolicy(body: "client_id: 0oa1b2c3, scopes: read")),
        Case("an identifier with spaces and letters", clientPolicy(body: "client_id: \"Bücher & more\", scopes: read")),
        Case("an identifier of 255 bytes", clientPolicy(body: "client_id: \(many), scopes: read")),
        Case(
            "an identifier of 256 bytes", clientPolicy(body: "client_id: ‹\(many)x, scopes: read"),
            Expected(.limitExceeded, "256 bytes, 255 are the most")),
        Case("an empty identifier", clientPolicy(body: "client_id: ‹\"\", scopes: read"), Expected(.emptyValue)),
        Case("an identifier that is a list", clientPolicy(body: "client_id: ‹[a], scopes: read"), Expected(.wrongType)),
        Case(
            "a control in an identifier", clientPolicy(body: "client_id: ‹\"a\\tb\", scopes: read"),
            Expected(.badName, "`a\\u{9}b` is no identifier", mend: "1 to 255 bytes")),
        Case(
            "a mark of direction in an identifier", clientPolicy(body: "client_id: ‹\"a\\u202Eb\", scopes: read"),
            Expected(.badName, "invisible")),
        Case(
            "an unknown issuer",
            clientPolicy(
                "  c: { issuer: ‹https://id.example.co, scopes: read }\n"
                    + "  d: { issuer: https://id.example.com, scopes: read }"),
            Expected(.unknownIssuer, mend: "did you mean `https://id.example.com`?")),
        Case(
            "which issuer is not said", clientPolicy("  ‹c: { scopes: read }", issuer: "unknown_clients: allow"),
            Expected(.issuersMissing, "which of 2 issuers its tokens", mend: "add `issuer: https://id.example.com`")),
        Case(
            "nothing approved",
            clientPolicy("  ‹c: { issuer: https://b.example.com }", issuer: "unknown_clients: allow"),
            Expected(.missingKey, "a client without `scopes`, `roles` and `grants`", mend: "`scopes: [orders:read]`")),
        Case("an empty list", clientPolicy(body: "scopes: ‹[]"), Expected(.emptyValue)),
        Case("scopes as a mapping", clientPolicy(body: "scopes: ‹{ all: read }"), Expected(.wrongType)),
        Case(
            "an unknown scope", clientPolicy(body: "scopes: [‹raed]"),
            Expected(.unknownScope, mend: "did you mean `read`?")),
        Case("a scope twice", clientPolicy(body: "scopes: [read, ‹read]"), Expected(.duplicateValue)),
        Case(
            "a wildcard for nothing", clientPolicy(body: "scopes: ‹\"orders:*\""), Expected(.badWildcard, "matches no")),
        Case("a wildcard in the middle", clientPolicy(body: "scopes: ‹\"a*b\""), Expected(.badWildcard)),
        Case("deny", clientPolicy(body: "scopes: read, on_excess: deny")),
        Case("narrow", clientPolicy(body: "scopes: read, on_excess: narrow")),
        Case("alert", clientPolicy(body: "scopes: read, on_excess: alert")),
        Case(
            "another rule", clientPolicy(body: "scopes: read, on_excess: ‹narow"),
            Expected(.badChoice, "`narow` is no value of `on_excess`", mend: "did you mean `narrow`?")),
        Case("a rule that is a list", clientPolicy(body: "scopes: read, on_excess: ‹[deny]"), Expected(.wrongType)),
        Case("observed", clientPolicy(body: "scopes: read, mode: observe, until: 2027-01-01T00:00:00Z")),
        Case(
            "observed in the other form",
            clientPolicy(body: "scopes: read, mode: { observe: { until: 2027-01-01T00:00:00Z } }")),
        Case("enforced", clientPolicy(body: "scopes: read, mode: enforce")),
        Case(
            "observed for ever", clientPolicy(body: "scopes: read, mode: ‹observe"),
            Expected(.missingKey, "observe mode without its end")),
        Case(
            "an end of nothing", clientPolicy(body: "scopes: read, ‹until: 2027-01-01T00:00:00Z"),
            Expected(.noEffect, "without `mode: observe`")),
        Case(
            "observed until yesterday", clientPolicy(body: "scopes: read, mode: observe, until: ‹2026-01-01T00:00:00Z"),
            Expected(.observeEnded)),
        Case(
            "an unknown key", clientPolicy(body: "scopes: read, ‹on_exces: deny"),
            Expected(.unknownKey, mend: "`on_excess`")),
        Case(
            "a key of a grant", clientPolicy("  ‹c: { issuer: https://id.example.com, ‹scope: read }"),
            Expected(.missingKey), Expected(.unknownKey, mend: "did you mean `scopes`?")),
        Case("a client as text", clientPolicy("  c: ‹read"), Expected(.wrongType, "a client is a mapping")),
    ]

    @Test(arguments: cases) func rules(_ one: Case) { check(one) }

    static let pairs: [Case] = [
        Case(
            "one identifier at two issuers",
            clientPolicy(
                "  a: { issuer: https://id.example.com, client_id: x, scopes: read }\n"
                    + "  b: { issuer: https://b.example.com, client_id: x, scopes: read }")),
        Case(
            "one identifier for two clients",
            clientPolicy(
                "  a: { issuer: https://id.example.com, client_id: x, scopes: read }\n"
                    + "  b: { issuer: https://id.example.com, client_id: ‹x, scopes: read }"),
            Expected(
                .duplicateIdentity,
                "the client in line 19 has the same identifier `x` in tokens of `https://id.example",
                mend: "one client, or give each its own `client_id`")),
        Case(
            "an identifier that is another's name",
            clientPolicy(
                "  a: { issuer: https://id.example.com, client_id: b, scopes: read }\n"
                    + "  ‹b: { issuer: https://id.example.com, scopes: read }"),
            Expected(.duplicateIdentity, "line 19 has the same identifier `b`")),
        Case(
            "identifiers that only look alike",
            clientPolicy(
                "  a: { issuer: https://id.example.com, client_id: \"caf\\u00E9\", scopes: read }\n"
                    + "  b: { issuer: https://id.example.com, client_id: \"cafe\\u0301\", scopes: read }")),
        Case(
            "a name twice",
            clientPolicy(
                "  a: { issuer: https://id.example.com, scopes: read }\n"
                    + "  ‹a: { issuer: https://b.example.com, scopes: read }"),
            Expected(.duplicateKey, "first in line 19")),
        Case(
            "a bad name", clientPolicy("  ‹a b: { issuer: https://id.example.com, client_id: c, scopes: read }"),
            Expected(.badName, "`a b` is no name of a client")),
        Case("clients as a list", clientPolicy("  ‹- c"), Expected(.wrongType, "`clients` is a mapping")),
    ]

    @Test(arguments: pairs) func several(_ one: Case) { check(one) }

    static let issuers: [Case] = [
        Case(
            "nothing is said of unknown clients",
            clientPolicy(body: "scopes: read").replacing(", unknown_clients: deny", with: "").replacing(
                "issuer: https://id.example.com, aud", with: "issuer: ‹https://id.example.com, aud"),
            Expected(
                .missingKey, "`https://id.example.com` does not say what becomes of clients that are not listed",
                mend: "add `unknown_clients: deny`, which refuses their tokens, or `unknown_clients: allow`")),
        Case(
            "unknown clients are let in",
            clientPolicy("  c: { issuer: https://b.example.com, scopes: read }", issuer: "leeway: 1s")),
        Case(
            "another word", clientPolicy(body: "scopes: read").replacing("clients: deny", with: "clients: ‹refuse"),
            Expected(.badChoice, "`refuse` is no value of `unknown_clients`", mend: "`deny` and `allow`")),
        Case(
            "a truth value", clientPolicy(body: "scopes: read").replacing("clients: deny", with: "clients: ‹true"),
            Expected(.badChoice)),
        Case(
            "all are refused and none is listed",
            clientPolicy("  c: { issuer: https://b.example.com, scopes: read }").replacing(
                "issuer: https://id.example.com, aud", with: "issuer: ‹https://id.example.com, aud"),
            Expected(.noClients, "all its tokens are refused", mend: "under `clients`")),
        Case(
            "no clients at all", clientPolicy("", issuer: "unknown_clients: allow")),
        Case(
            "a client of an issuer that is wrong is not reported too",
            clientPolicy("  c: { scopes: read }").replacing(
                "https://id.example.com, aud", with: "‹http://id.example.com, aud"
            )
            .replacing(
                "    issuers: [https://id.example.com, https://b.example.com]",
                with: "    issuers: [https://b.example.com]"
            )
            .replacing("  c: {", with: "  c: { issuer: https://b.example.com,"),
            Expected(.badURL)),
    ]

    @Test(arguments: issuers) func unknownClients(_ one: Case) { check(one) }

    @Test func bothPlacesAreNamed() {
        let policy = load(
            clientPolicy(
                "  a: { issuer: https://id.example.com, client_id: x, scopes: read }\n"
                    + "  b: { issuer: https://id.example.com, client_id: x, scopes: read }"))
        #expect(policy.diagnostics.map(\.position) == [SourcePosition(line: 20, column: 51)])
        #expect(policy.diagnostics.first?.notes.map(\.position) == [SourcePosition(line: 19, column: 51)])
    }

    /// What the model has, by issuer and the bytes of identifiers.
    @Test func values() throws {
        let text = clientPolicy(
            """
              cert: { certificate: { dns: C.example }, roles: [all] }
              zoe: { issuer: https://id.example.com, scopes: admin, on_excess: alert }
              late: { issuer: https://b.example.com, client_id: A, scopes: read }
              eve: { issuer: https://id.example.com, client_id: Zoe, scopes: [write, read], on_excess: narrow }
              both: { certificate: { dns: a.example }, issuer: https://id.example.com, client_id: "é", roles: [all] }
              seen: { issuer: https://id.example.com, scopes: read, mode: observe, until: 2027-01-01T00:00:00Z }
            """, roles: "  all: { scopes: [\"*\"], description: Everything }")
        let model = try #require(load(text).model)
        #expect(
            model.clients == [
                ClientModel(name: "eve", issuer: 0, identifier: "Zoe", scopes: [0, 1], excess: .narrow),
                ClientModel(name: "seen", issuer: 0, identifier: "seen", scopes: [0], observeUntil: 1_798_761_600),
                ClientModel(name: "zoe", issuer: 0, identifier: "zoe", scopes: [0, 1, 2], excess: .alert),
                ClientModel(name: "both", issuer: 0, identifier: "é", scopes: [0, 1, 2]),
                ClientModel(name: "late", issuer: 1, identifier: "A", scopes: [0]),
            ])
        #expect(model.issuers.map(\.refusesUnknownClients) == [true, false])
        #expect(
            model.certificateClients == [
                CertificateClientModel(name: "cert", identity: .dns("c.example"), scopes: [0, 1, 2]),
                CertificateClientModel(name: "both", identity: .dns("a.example"), scopes: [0, 1, 2]),
            ])
    }

    /// An issuer need not be named where there is one.
    @Test func theOnlyIssuer() throws {
        let model = try #require(
            load(
                policyWith(
                    issuers:
                        "  - { issuer: https://a.example, audience: x, keys: { discovery: true }, unknown_clients: deny }",
                    tests: "clients: { c: { scopes: read } }")
            ).model)
        #expect(model.clients == [ClientModel(name: "c", issuer: 0, identifier: "c", scopes: [0])])
    }

    @Test func limits() {
        var clients = ""
        for number in 0..<65_535 { clients += "  c\(number): { issuer: https://id.example.com, scopes: read }\n" }
        #expect(load(clientPolicy(clients)).diagnostics == [])
        let policy = load(
            clientPolicy(clients + "  last: { issuer: https://id.example.com, scopes: read }\n  more: {}"))
        #expect(policy.diagnostics.map(\.code) == [.limitExceeded])
        #expect(policy.diagnostics.first?.line == 19 + 65_535)
    }

    /// Many clients with every scope must be refused before they take the machine's memory, however they come by it.
    @Test(arguments: [
        "scopes: \"*\"", "roles: [all]", "grants: [{ scope: \"*\", until: 2027-01-01T00:00:00Z, reason: r }]",
    ])
    func expansionIsBounded(_ approved: String) {
        var scopes = ""
        for number in 0..<20_000 { scopes += "  s:\(number): {}\n" }
        var clients = ""
        for number in 0..<1_000 { clients += "  c\(number): { issuer: https://id.example.com, \(approved) }\n" }
        let policy = load(
            clientPolicy(
                clients, roles: "  all: { scopes: \"*\" }\n", scopes: scopes + "  read: {}\n  write: {}\n  admin: {}"))
        #expect(policy.diagnostics.filter { $0.severity == .error }.map(\.code) == [.limitExceeded])
    }
}
