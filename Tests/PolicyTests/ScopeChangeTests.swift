import Policy
import PolicyTables
import Testing

/// Scopes that end, and names that they had before.
@Suite struct ScopeChangeTests {
    private static let end = "until: 2027-01-01T00:00:00Z"
    private static func change(_ keys: String) -> String { scopes("  read: { \(keys) }") }

    static let cases: [Case] = [
        Case("renamed", change("replaces: old:read, \(end)")),
        Case("several old names", change("replaces: [old:read, older:read], \(end)")),
        Case(
            "split",
            scopes("  read: { replaces: old, \(end) }\n  list: { replaces: old, \(end) }", required: "[read, list]")),
        Case("retired", change(end)),
        Case(
            "retired long ago", change("until: ‹2026-01-01T00:00:00Z"),
            Expected(.scopeEnded, "the scope `read` has ended at", mend: "remove the scope")),
        Case(
            "an old name that is over", change("replaces: old, until: ‹2026-01-01T00:00:00Z"),
            Expected(.scopeEnded, "the old names of `read` have ended", mend: "remove `replaces` and `until`")),
        Case(
            "without a date", change("‹replaces: old"),
            Expected(.missingKey, "`replaces` without the date", mend: "`until: 2027-01-01T00:00:00Z`")),
        Case("a date that is none", change("replaces: old, until: ‹soon"), Expected(.badTime)),
        Case("an end that is none", change("until: 2027‹"), Expected(.badTime)),
        Case("an end that is a list", change("until: ‹[a]"), Expected(.wrongType)),
        Case("replacing nothing", change("replaces: ‹[], \(end)"), Expected(.emptyValue)),
        Case("replacing a mapping", change("replaces: ‹{ a: b }, \(end)"), Expected(.wrongType)),
        Case(
            "one old name twice", change("replaces: [old, ‹old], \(end)"), Expected(.duplicateValue, "replaced scope")),
        Case("no scope", change("replaces: ‹\"a b\", \(end)"), Expected(.badName)),
        Case("a wildcard", change("replaces: ‹\"a:*\", \(end)"), Expected(.badName, "has a `*`")),
        Case("itself", change("replaces: ‹read, \(end)"), Expected(.conflictingKeys, "replaces itself")),
        Case(
            "what is declared", scopes("  old: {}\n  read: { replaces: ‹old, \(end) }", required: "[read, old]"),
            Expected(
                .conflictingKeys, "the replaced scope `old` is still declared in line 5", mend: "remove the declaration"
            )),
        Case(
            "what is declared later", scopes("  read: { replaces: ‹old, \(end) }\n  old: {}", required: "[read, old]"),
            Expected(.conflictingKeys, "line 6")),
        Case(
            "split at different times",
            scopes(
                "  read: { replaces: old, \(end) }\n  list: { replaces: ‹old, until: 2027-01-02T00:00:00Z }",
                required: "[read, list]"),
            Expected(
                .conflictingKeys, "the old name `old` ends at another time than in line 5",
                mend: "`2027-01-01T00:00:00Z` there")),
        Case(
            "required by its old name",
            scopes("  read: { replaces: old, \(end) }", required: "[read, ‹old]"),
            Expected(
                .oldScope, "`old` is an old name of `read`, which tokens may carry; it cannot be required",
                mend: "write `read`")),
        Case(
            "required after a split",
            scopes(
                "  read: { replaces: old, \(end) }\n  list: { replaces: old, \(end) }", required: "[read, list, ‹old]"),
            Expected(.oldScope, "an old name of `read` and `list`", mend: "write `read` or `list`")),
        Case(
            "implied by its old name",
            scopes("  read: { replaces: old, \(end) }\n  write: { implies: [‹old] }", required: "[read, write]"),
            Expected(.oldScope, "cannot be implied", mend: "write `read`")),
        Case(
            "a wildcard does not match old names",
            scopes(
                "  read: { replaces: \"x:old\", \(end) }\n  write: { implies: ‹\"x:*\" }", required: "[read, write]"),
            Expected(.badWildcard, "matches no other scope")),
        Case(
            "a baseline with an old name",
            clientPolicy(
                "  c: { issuer: https://id.example.com, scopes: old }",
                scopes: "  read: { replaces: old, \(end) }\n  write: {}\n  admin: {}")),
        Case(
            "a test with an old name",
            scopes("  read: { replaces: old, \(end) }")
                + "tests: [{ request: GET https://api.example.com/a, scopes: [old], expect: allow }]"),
    ]

    @Test(arguments: cases) func rules(_ one: Case) { check(one) }

    static let services: [Case] = [
        Case("a service that ends", service("    hosts: [a.example]\n    ends: 2027-01-01T00:00:00Z")),
        Case(
            "a service that has ended", service("    hosts: [a.example]\n    ends: ‹2026-01-01T00:00:00Z"),
            Expected(.serviceEnded, "the service `api` has ended", mend: "remove the service")),
        Case("an end that is none", service("    hosts: [a.example]\n    ends: ‹never"), Expected(.badTime)),
        Case("an end that is a mapping", service("    hosts: [a.example]\n    ends: ‹{ a: b }"), Expected(.wrongType)),
        Case(
            "ports without HTTP",
            policyWith().replacing(
                "  api:", with: "  p: { kind: tcp, ports: [1], scopes: read, ‹ends: 2027-01-01T00:00:00Z }\n  api:"),
            Expected(
                .wrongKind, "`ends` has no meaning on a service of `kind: tcp`", mend: "only a service with `routes`")),
        Case(
            "a route that ends", route("{ match: GET /b, scopes: read, ‹ends: 2027-01-01T00:00:00Z }"),
            Expected(.unknownKey, mend: "it belongs in a service")),
    ]

    @Test(arguments: services) func serviceEnds(_ one: Case) { check(one) }

    @Test func endOfAService() throws {
        let policy = load(service("    hosts: [a.example]\n    ends: 2027-01-01T00:00:00Z"))
        let model = try #require(policy.model)
        #expect(model.services.map(\.until) == [1_798_761_600])
        let plain = try #require(load(policyWith()).model)
        #expect(plain.services.map(\.until) == [nil])
    }

    /// Old names stand behind all declared scopes, in the order of the source, and amount to what replaces them.
    @Test func values() throws {
        let text = scopes(
            """
              view: { replaces: [reed, peek], until: 2027-01-01T00:00:00Z, implies: base }
              list: { replaces: reed, until: 2027-01-01T00:00:00Z }
              base: {}
              gone: { until: 2027-02-01T00:00:00Z }
            """, required: "[view, list, base, gone]")
        let policy = load(text)
        #expect(policy.diagnostics == [])
        let model = try #require(policy.model)
        #expect(model.scopes.map(\.name) == ["view", "list", "base", "gone", "reed", "peek"])
        #expect(model.scopes.map(\.closure) == [[0, 2], [1], [2], [3], [0, 1, 2, 4], [0, 2, 5]])
        #expect(model.scopes.map(\.replacedBy) == [[], [], [], [], [0, 1], [0]])
        #expect(model.scopes.map(\.until) == [nil, nil, nil, 1_801_440_000, 1_798_761_600, 1_798_761_600])
    }

    /// A baseline may hold on to the old name; a wildcard stands for what is declared.
    @Test func baselines() throws {
        let text = clientPolicy(
            """
              a: { issuer: https://id.example.com, scopes: x:old }
              b: { issuer: https://id.example.com, scopes: \"x:*\" }
              c: { issuer: https://id.example.com, grants: [{ scope: x:old, until: 2027-01-01T00:00:00Z, reason: r }] }
            """,
            scopes: "  read: { replaces: x:old, until: 2027-01-01T00:00:00Z }\n  write: {}\n  admin: {}\n  x:new: {}")
        let model = try #require(load(text).model)
        #expect(model.clients.map(\.scopes) == [[0, 4], [3], []])
        #expect(model.clients.last?.grants.map(\.scopes) == [[0, 4]])
    }

    /// Declared scopes and old names share the 65,535 numbers.
    @Test func limits() {
        var text = ""
        for number in 1..<65_534 { text += "  s\(number): {}\n" }
        let rest = "until: 2027-01-01T00:00:00Z }"
        #expect(load(scopes(text + "  s0: { replaces: old, \(rest)", required: "s0")).errorCount == 0)
        let policy = load(scopes(text + "  s0: { replaces: [old, older, oldest], \(rest)", required: "s0"))
        #expect(policy.diagnostics.map(\.code) == [.limitExceeded])
        #expect(policy.diagnostics.first?.message == "more than 65535 scopes")
    }

    /// Many old names for a scope that implies thousands.
    @Test func expansionIsBounded() {
        var text = "  s0: { implies: \"*\", replaces: [\((0..<2_000).map { "o\($0)" }.joined(separator: ", "))], "
        text += "until: 2027-01-01T00:00:00Z }\n"
        for number in 1..<20_000 { text += "  s\(number): {}\n" }
        let policy = load(scopes(String(text.dropLast()), required: "s0"))
        #expect(policy.diagnostics.filter { $0.severity == .error }.map(\.code) == [.limitExceeded])
    }
}
