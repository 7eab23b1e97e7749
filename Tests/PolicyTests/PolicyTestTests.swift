import Decision
import Policy
import Testing

/// The section `tests` of a policy.
@Suite struct PolicyTestTests {
    private static func one(_ text: String) -> String { tests("  - { \(text) }") }
    private static let ask = "request: GET https://api.example.com/a"

    static let cases: [Case] = [
        Case("no token", one("\(ask), expect: no_token")),
        Case(
            "everything at once",
            one(
                "request: \"POST http://api.example.com:8080/a?b=c\", scopes: [read], subject: alice, client: web, issuer: https://other.example,"
                    + " audience: [x, y], claims: { tenant: acme }, token: expired, origin: https://app.example,"
                    + " access_control_request_method: PUT, port: 9443, at: 2026-12-01T00:00:00Z, expect: expired"
            )),
        Case("no request", tests("  - ‹{ expect: allow }"), Expected(.missingKey, "without `request`")),
        Case("no expectation", tests("  - ‹{ \(ask) }"), Expected(.missingKey, "expects nothing")),
        Case(
            "an unknown expectation", one("\(ask), expect: ‹insufficent_scope"),
            Expected(.unknownReason, mend: "did you mean `insufficient_scope`?")),
        Case(
            "an unknown expectation like no other", one("\(ask), expect: ‹perhaps-not"),
            Expected(.unknownReason, mend: "`allow`, `deny` or a reason")),
        Case(
            "a request without method", one("request: ‹https://api.example.com/a, expect: deny"),
            Expected(.badRequest, "no method and URL")),
        Case("a request without URL", one("request: ‹GET, expect: deny"), Expected(.badRequest)),
        Case(
            "a request to a path", one("request: GET ‹/a, expect: deny"),
            Expected(.badRequest, "neither `https://`")),
        Case(
            "a request without host", one("request: GET ‹https:///a, expect: deny"),
            Expected(.badRequest, "no host")),
        Case(
            "a request to a bad port", one("request: \"GET https://a.example‹:0/a\", expect: deny"),
            Expected(.badRequest, "no port")),
        Case(
            "a space in the URL", one("request: GET https://a.example/a‹ b, expect: deny"),
            Expected(.badRequest, "space")),
        Case(
            "targets that the daemon refuses",
            one("request: \"GET https://api.example.com/a/../b%2f;x\", expect: ambiguous_target")),
        Case(
            "a scope that the policy has not", one("\(ask), scopes: [‹raed], expect: deny"),
            Expected(.unknownScope, "no scope `raed`", mend: "`read`")),
        Case("a scope that is none", one("\(ask), scopes: [‹a b], expect: deny"), Expected(.badName)),
        Case(
            "an unknown token", one("\(ask), token: ‹expird, expect: deny"),
            Expected(.badChoice, mend: "`expired`")),
        Case(
            "no token with scopes", one("\(ask), token: none, ‹scopes: [read], expect: deny"),
            Expected(.conflictingKeys)),
        Case(
            "a claim with a key of its own", one("\(ask), claims: { ‹sub: alice }, expect: deny"),
            Expected(.unknownKey, mend: "`subject:`")),
        Case(
            "a claim of time", one("\(ask), claims: { ‹exp: 1 }, expect: deny"),
            Expected(.unknownKey, mend: "`token: expired`")),
        Case("claims as text", one("\(ask), claims: ‹acme, expect: deny"), Expected(.wrongType)),
        Case(
            "a claim that is a list", one("\(ask), claims: { a: ‹[b] }, expect: deny"), Expected(.wrongType)),
        Case("a bad time", one("\(ask), at: ‹tomorrow, expect: deny"), Expected(.badTime)),
        Case("a bad port", one("\(ask), port: ‹http, expect: deny"), Expected(.badPort)),
        Case(
            "a bad method to ask for", one("\(ask), access_control_request_method: ‹\"P T\", expect: deny"),
            Expected(.badMethod)),
        Case(
            "an unknown key", one("\(ask), ‹scope: read, expect: deny"),
            Expected(.unknownKey, mend: "did you mean `scopes`?")),
        Case(
            "tests as a mapping", policyWith(tests: "tests: ‹{ a: b }"),
            Expected(.wrongType, "`tests` is a list")),
        Case("no tests", policyWith(tests: "tests: []")),
    ]

    @Test(arguments: cases) func rules(_ one: Case) { check(one) }

    @Test(arguments: Reason.allCases) func everyReasonIsKnown(_ reason: Reason) {
        let policy = load(PolicyTestTests.one("\(PolicyTestTests.ask), expect: \(reason.name)"))
        #expect(policy.tests.first?.expectation == .reason(reason))
    }

    private func test(_ text: String) throws -> PolicyTest {
        try #require(load(PolicyTestTests.one(text + ", expect: deny")).tests.first)
    }

    private func request(_ test: PolicyTest) throws -> TestRequest {
        guard case .request(let request) = test.attempt else { throw WrongAttempt() }
        return request
    }

    private struct WrongAttempt: Error {}

    @Test func values() throws {
        let one = try test(
            "request: \"POST http://API.example.com:8080/a/../b?c=d\", scopes: [read, write], subject: alice, client: web,"
                + " issuer: https://other.example, audience: x, claims: { tenant: acme, b: c }, token: not_yet_valid,"
                + " origin: https://app.example, access_control_request_method: PUT, port: 9443, at: 2026-12-01T00:00:00Z"
        )
        let found = try request(one)
        #expect(found.method == "POST" && found.scheme == "http" && found.host == "API.example.com")
        #expect(found.port == 9443 && found.target == "/a/../b?c=d")
        #expect(found.origin == "https://app.example" && found.accessControlRequestMethod == "PUT")
        #expect(one.time == 1_796_083_200 && one.expectation == .deny)
        let token = try #require(found.token)
        #expect(token.scopes == ["read", "write"] && token.subject == "alice" && token.client == "web")
        #expect(
            token.issuer == "https://other.example" && token.audiences == ["x"] && token.state == .notYetValid
        )
        #expect(token.claims.map(\.name) == ["tenant", "b"] && token.claims.map(\.value) == ["acme", "c"])
    }

    @Test func targetsPortsAndTokens() throws {
        #expect(try request(test("request: GET https://a.example")).target == "/")
        #expect(try request(test("request: \"GET https://a.example?x=1\"")).target == "/?x=1")
        #expect(try request(test("request: GET https://a.example")).port == 443)
        #expect(try request(test("request: GET http://a.example")).port == 80)
        #expect(try request(test("request: \"GET https://[::1]:8443/a\"")).host == "[::1]")
        #expect(try request(test("request: \"GET https://[::1]:8443/a\"")).port == 8443)
        #expect(try request(test("request: GET https://a.example")).token == nil)
        #expect(try request(test("request: GET https://a.example, token: none")).token == nil)
        #expect(try request(test("request: GET https://a.example, scopes: []")).token?.scopes == [])
        #expect(try request(test("request: GET https://a.example, client: web")).token?.state == .valid)
    }

    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0), ("2000-02-29T12:34:56Z", 951_827_696),
        ("2026-12-01t00:00:00z", 1_796_083_200),
        ("2026-12-01T00:00:00.999999Z", 1_796_083_200), ("2026-12-01T01:30:00+01:30", 1_796_083_200),
        ("2026-11-30T23:00:00-01:00", 1_796_083_200), ("9999-12-31T23:59:59Z", 253_402_300_799),
    ]) func times(_ text: String, _ seconds: Int64) throws {
        #expect(try test("request: GET https://a.example, at: \(text)").time == seconds)
    }

    @Test(arguments: [
        "2026-12-01", "2026-12-01T00:00:00", "2026-12-01 00:00:00Z", "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-11-31T00:00:00Z", "2100-02-29T00:00:00Z", "2026-12-01T24:00:00Z", "2026-12-01T00:60:00Z",
        "2026-12-01T00:00:60Z", "2026-12-01T00:00:00.Z", "2026-12-01T00:00:00+1:00",
        "2026-12-01T00:00:00+24:00",
        "2026-12-01T00:00:00Zx", "1969-12-31T23:59:59Z", "10000-01-01T00:00:00Z", "١٩٧٠-01-01T00:00:00Z",
        "1796083200",
    ]) func timesThatAreNone(_ text: String) {
        let policy = load(PolicyTestTests.one("\(PolicyTestTests.ask), at: \"\(text)\", expect: deny"))
        #expect(policy.diagnostics.map(\.code) == [.badTime])
    }
}
