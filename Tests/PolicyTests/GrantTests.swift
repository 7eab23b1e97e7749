import Policy
import PolicyTables
import Testing

@Suite struct GrantTests {
    private static func grant(_ text: String) -> String { clientPolicy(body: "scopes: read, grants: [\(text)]") }
    private static let end = "until: 2027-01-01T00:00:00Z"
    private static let long = String(repeating: "r", count: 256)

    static let cases: [Case] = [
        Case("one scope", grant("{ scope: write, \(end), reason: INC-42 }")),
        Case("a list", grant("{ scopes: [write, admin], \(end), reason: INC-42 }")),
        Case("a wildcard", grant("{ scope: \"*\", \(end), reason: INC-42 }")),
        Case("a time with its zone", grant("{ scope: write, until: 2027-01-01T00:00:00+02:00, reason: INC-42 }")),
        Case("grants alone", clientPolicy(body: "grants: [{ scope: write, \(end), reason: INC-42 }]")),
        Case("a reason of 256 bytes", grant("{ scope: write, \(end), reason: \(long) }")),
        Case(
            "a reason of 257 bytes", grant("{ scope: write, \(end), reason: ‹\(long)r }"),
            Expected(.limitExceeded, "257 bytes, 256 are the most")),
        Case(
            "no reason", grant("‹{ scope: write, \(end) }"),
            Expected(.missingKey, "a grant without `reason`", mend: "`reason: INC-42`")),
        Case("an empty reason", grant("{ scope: write, \(end), reason: ‹\"\" }"), Expected(.emptyValue)),
        Case(
            "a reason of spaces", grant("{ scope: write, \(end), reason: ‹\"  \" }"), Expected(.badName, "visible text")
        ),
        Case("a reason of two lines", grant("{ scope: write, \(end), reason: ‹\"a\\nb\" }"), Expected(.badName)),
        Case("a reason that is a list", grant("{ scope: write, \(end), reason: ‹[a] }"), Expected(.wrongType)),
        Case(
            "no end", grant("‹{ scope: write, reason: r }"),
            Expected(.missingKey, "a grant without its end", mend: "what is approved for good stands in `scopes`")),
        Case("an end that is none", grant("{ scope: write, until: ‹tomorrow, reason: r }"), Expected(.badTime)),
        Case(
            "an end without zone", grant("{ scope: write, until: 2027-01-01T00:00:00‹, reason: r }"), Expected(.badTime)
        ),
        Case(
            "a day that is none", grant("{ scope: write, until: 2027-02-‹30T00:00:00Z, reason: r }"), Expected(.badTime)
        ),
        Case(
            "over", grant("{ scope: write, until: ‹2026-01-01T00:00:00Z, reason: r }"),
            Expected(.grantEnded, "a grant to the client `c` has ended at `2026-01-01T00:00:00Z`", mend: "remove it")),
        Case(
            "over by a second", grant("{ scope: write, until: ‹2026-11-14T00:00:00Z, reason: r }"),
            Expected(.grantEnded)),
        Case("over in a second", grant("{ scope: write, until: 2026-11-14T00:00:01Z, reason: r }")),
        Case("nothing", grant("‹{ \(end), reason: r }"), Expected(.missingKey, "a grant of nothing")),
        Case(
            "scope and scopes", grant("{ scope: write, ‹scopes: [read], \(end), reason: r }"),
            Expected(.conflictingKeys, "`scope` and `scopes`")),
        Case(
            "a list of one key", grant("{ scope: ‹[write], \(end), reason: r }"),
            Expected(.wrongType, "`scope` is one scope", mend: "`scopes:`")),
        Case("an empty list", grant("{ scopes: ‹[], \(end), reason: r }"), Expected(.emptyValue)),
        Case(
            "an unknown scope", grant("{ scope: ‹wirte, \(end), reason: r }"), Expected(.unknownScope, mend: "`write`")),
        Case("a role", grant("{ ‹roles: [a], scope: write, \(end), reason: r }"), Expected(.unknownKey)),
        Case("a grant as text", grant("‹write"), Expected(.wrongType, "a grant is a mapping")),
        Case("grants as a mapping", clientPolicy(body: "grants: ‹{ scope: write }"), Expected(.wrongType, "is a list")),
        Case("no grants in it", clientPolicy(body: "scopes: read, grants: ‹[]"), Expected(.emptyValue)),
        Case(
            "a certificate alone",
            clientPolicy(
                "  d: { issuer: https://id.example.com, scopes: read }\n  c: { certificate: { dns: a.example },"
                    + " scopes: read, ‹grants: [{ scope: write, \(end), reason: r }] }"),
            Expected(
                .notEnforced, "`grants` of a client that is known by its certificate only",
                mend: "if the client has tokens too, add `client_id`")),
        Case(
            "a certificate with grants and nothing for good",
            clientPolicy(
                "  ‹c: { certificate: { dns: a.example }, client_id: c, issuer: https://id.example.com,"
                    + " grants: [{ scope: write, \(end), reason: r }] }"),
            Expected(.missingKey, "a client without `scopes` and `roles`")),
    ]

    @Test(arguments: cases) func rules(_ one: Case) { check(one) }

    @Test func values() throws {
        let text = clientPolicy(
            body: "scopes: read, grants: [{ scope: admin, \(GrantTests.end), reason: \"INC-42: héllo\" },"
                + " { scopes: [write, read], until: 1970-01-01T00:00:07Z, reason: b }]")
        let policy = load(text)
        #expect(policy.diagnostics.map(\.code) == [.grantEnded])
        let client = try #require(policy.model?.clients.first)
        #expect(client.scopes == [0])
        #expect(
            client.grants == [
                ClientModel.TemporaryGrant(scopes: [0, 1, 2], until: 1_798_761_600, reason: "INC-42: héllo"),
                ClientModel.TemporaryGrant(scopes: [0, 1], until: 7, reason: "b"),
            ])
    }

    @Test func limits() throws {
        let one = "{ scope: write, \(GrantTests.end), reason: r }"
        let most = clientPolicy(body: "grants: [\(Array(repeating: one, count: 64).joined(separator: ", "))]")
        let model = try #require(load(most).model)
        #expect(model.clients.first?.grants.count == 64)
        let more = load(clientPolicy(body: "grants: [\(Array(repeating: one, count: 65).joined(separator: ", "))]"))
        #expect(more.diagnostics.map(\.code) == [.limitExceeded])
        #expect(more.diagnostics.first?.message == "more than 64 grants for one client")
    }
}
