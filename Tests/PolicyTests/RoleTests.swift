import Policy
import PolicyTables
import Testing

@Suite struct RoleTests {
    private static func roles(_ roles: String, of client: String = "roles: [billing]") -> String {
        clientPolicy("  c: { issuer: https://id.example.com, \(client) }", roles: roles)
    }

    static let cases: [Case] = [
        Case("a role", roles("  billing: { scopes: [read, write] }")),
        Case("one scope", roles("  billing: { scopes: read }")),
        Case("a wildcard", roles("  billing: { scopes: \"*\" }")),
        Case("a description", roles("  billing: { description: Sends invoices, scopes: read }")),
        Case("one role without a list", roles("  billing: { scopes: read }", of: "roles: billing")),
        Case("beside scopes", roles("  billing: { scopes: read }", of: "roles: [billing], scopes: [read, write]")),
        Case(
            "roles as a list", roles("  ‹- billing", of: "scopes: read"), Expected(.wrongType, "`roles` is a mapping")),
        Case(
            "no roles in it",
            clientPolicy(body: "scopes: read").replacing("clients:\n", with: "roles: ‹{}\nclients:\n"),
            Expected(.emptyValue, "`roles` is empty")),
        Case(
            "a role without scopes", roles("  ‹billing: { description: x }"),
            Expected(.missingKey, "a role without `scopes`", mend: "`scopes: [orders:read]`")),
        Case("no scopes in it", roles("  billing: { scopes: ‹[] }"), Expected(.emptyValue, "`scopes` of a role")),
        Case("an unknown scope", roles("  billing: { scopes: [‹raed] }"), Expected(.unknownScope, mend: "`read`")),
        Case("a scope twice", roles("  billing: { scopes: [read, ‹read] }"), Expected(.duplicateValue)),
        Case("a role as text", roles("  billing: ‹read"), Expected(.wrongType, "a role is a mapping")),
        Case(
            "roles in a role", roles("  billing: { scopes: read, ‹roles: [other] }"),
            Expected(
                .unknownKey,
                mend: "it belongs in the policy or an environment or a client; known here: `description` and `scopes`")),
        Case(
            "a role twice", roles("  billing: { scopes: read }\n  ‹billing: { scopes: write }"),
            Expected(.duplicateKey, "first in line 19")),
        Case(
            "a bad name", roles("  ‹\"b l\": { scopes: read }", of: "roles: [\"b l\"]"),
            Expected(.badName, "name of a role")),
        Case(
            "a name of 65", roles("  ‹\(String(repeating: "a", count: 65)): { scopes: read }", of: "scopes: read"),
            Expected(.badName)),
        Case(
            "an unknown role", roles("  billing: { scopes: read }", of: "roles: [billing, ‹biling]"),
            Expected(.unknownRole, "unknown role `biling`", mend: "did you mean `billing`?")),
        Case(
            "no roles are declared", clientPolicy(body: "roles: [‹billing]"),
            Expected(.unknownRole, mend: "declare it under `roles`")),
        Case(
            "a role listed twice", roles("  billing: { scopes: read }", of: "roles: [billing, ‹billing]"),
            Expected(.duplicateValue, "the role `billing` is listed twice")),
        Case("an empty list of roles", roles("  billing: { scopes: read }", of: "roles: ‹[]"), Expected(.emptyValue)),
        Case(
            "a role that nobody has", roles("  ‹billing: { scopes: read }", of: "scopes: read"),
            Expected(.unusedRole, "no client has the role `billing`", mend: "remove it")),
        Case(
            "a role of a client that is known by its certificate only",
            clientPolicy(
                "  d: { issuer: https://id.example.com, scopes: read }\n"
                    + "  c: { certificate: { dns: a.example }, roles: [billing] }",
                roles: "  billing: { scopes: read }"
            ).replacing("services:\n", with: "services:\n  p: { kind: tcp, ports: [1], scopes: read }\n")),
    ]

    @Test(arguments: cases) func rules(_ one: Case) { check(one) }

    @Test func rolesAndScopesAddUp() throws {
        let text = clientPolicy(
            """
              a: { issuer: https://id.example.com, roles: [one, two] }
              b: { issuer: https://id.example.com, roles: [two], scopes: x:c }
            """, roles: "  one: { scopes: [\"x:*\"] }\n  two: { scopes: top }",
            scopes: "  read: {}\n  write: {}\n  admin: {}\n  x:a: { implies: [read] }\n  x:b: {}\n  x:c: {}\n"
                + "  top: { implies: [x:a, admin] }")
        let model = try #require(load(text).model)
        #expect(model.clients.map(\.scopes) == [[0, 2, 3, 4, 5, 6], [0, 2, 3, 5, 6]])
    }

    @Test func limits() {
        var roles = ""
        for number in 0..<4_096 { roles += "  r\(number): { scopes: read }\n" }
        let client = "scopes: read"
        #expect(load(RoleTests.roles(roles, of: client)).errorCount == 0)
        let policy = load(RoleTests.roles(roles + "  last: { scopes: read }\n  more: { scopes: read }", of: client))
        #expect(policy.diagnostics.map(\.code) == [.limitExceeded])
        #expect(policy.diagnostics.first?.message == "more than 4096 roles")
    }
}
