import Decision
import Policy
import PolicyTables
import Testing

/// `authorization_details` (RFC 9396): what routes demand, and what tokens of tests hold.
@Suite struct DetailTests {
    private static func demand(_ text: String) -> String {
        route("{ match: GET /a, scopes: read, authorization_details: \(text) }")
    }

    private static func many(_ count: Int) -> String { (1...count).map { "v\($0)" }.joined(separator: ", ") }

    static let routes: [Case] = [
        Case("a type", demand("{ type: payment }")),
        Case("everything", demand("{ type: payment, actions: [initiate, cancel], locations: [https://a.example] }")),
        Case("one text each", demand("{ type: payment, actions: initiate, locations: https://a.example }")),
        Case("two", demand("[{ type: payment }, { type: payment, actions: initiate }]")),
        Case("texts of any language", demand("{ type: Überweisung, actions: \"自動 支払い\" }")),
        Case("none", demand("‹[]"), Expected(.emptyValue, "`authorization_details` is an empty list")),
        Case(
            "text", demand("‹payment"),
            Expected(.wrongType, "`authorization_details` is a list", mend: "type: payment_initiation")),
        Case(
            "a list of texts", demand("[‹payment]"),
            Expected(.wrongType, "an element of `authorization_details` is a mapping")),
        Case(
            "nothing", demand("‹{}"),
            Expected(
                .missingKey, "an element of `authorization_details` without `type`", mend: "type: payment_initiation")),
        Case("no type", demand("‹{ actions: [initiate] }"), Expected(.missingKey)),
        Case("an empty type", demand("{ type: ‹\"\" }"), Expected(.emptyValue, "`type` is empty")),
        Case("types", demand("{ type: ‹[a, b] }"), Expected(.wrongType, "`type` is one text")),
        Case("no actions", demand("{ type: a, actions: ‹[] }"), Expected(.emptyValue)),
        Case(
            "an empty action", demand("{ type: a, actions: [b, ‹\"\"] }"),
            Expected(.emptyValue, "one of `actions` is empty")),
        Case(
            "an action twice", demand("{ type: a, actions: [b, ‹b] }"),
            Expected(.duplicateValue, "the action `b` is listed twice")),
        Case(
            "a location twice", demand("{ type: a, locations: [b, ‹b] }"), Expected(.duplicateValue, "the location `b`")
        ),
        Case("actions that only look alike", demand("{ type: a, actions: [\"\\u00e9\", \"e\\u0301\"] }")),
        Case("a mapping of locations", demand("{ type: a, locations: ‹{} }"), Expected(.wrongType)),
        Case(
            "a line end", demand("{ type: ‹\"a\\nb\" }"),
            Expected(.badName, "holds what cannot be seen", mend: "in one line")),
        Case("a direction mark", demand("{ type: a, actions: ‹\"\\u202E\" }"), Expected(.badName)),
        Case(
            "an unknown key", demand("{ type: a, ‹action: b }"),
            Expected(.unknownKey, "an element of `authorization_details`", mend: "did you mean `actions`?")),
        Case(
            "a member of other kinds", demand("{ type: a, ‹datatypes: [b] }"),
            Expected(.unknownKey, mend: "known keys are `type`")),
        Case("16 actions", demand("{ type: a, actions: [\(many(16))], locations: [\(many(16))] }")),
        Case(
            "17 actions", demand("{ type: a, actions: ‹[\(many(17))] }"),
            Expected(.limitExceeded, "more than 16 actions")),
        Case(
            "17 locations", demand("{ type: a, locations: ‹[\(many(17))] }"),
            Expected(.limitExceeded, "more than 16 locations")),
        Case("512 bytes", demand("{ type: \(String(repeating: "a", count: 512)) }")),
        Case(
            "513 bytes", demand("{ type: ‹\(String(repeating: "a", count: 513)) }"),
            Expected(.limitExceeded, "512 are the most")),
        Case("16 elements", demand("[\((1...16).map { "{ type: t\($0) }" }.joined(separator: ", "))]")),
        Case(
            "17 elements", demand("‹[\((1...17).map { "{ type: t\($0) }" }.joined(separator: ", "))]"),
            Expected(.limitExceeded, "more than 16 elements in `authorization_details`")),
        Case(
            "the same twice", demand("[{ type: a, actions: b }, ‹{ type: a, actions: [b] }]"),
            Expected(.duplicateValue, "the same `authorization_details` are demanded twice", mend: "remove one")),
        Case(
            "on a public route", route("{ match: GET /a, public: true, ‹authorization_details: { type: a } }"),
            Expected(.noEffect, "`authorization_details` has no effect on a route that needs no token")),
        Case(
            "on a preflight", route("{ match: OPTIONS /used, preflight: true, ‹authorization_details: { type: a } }"),
            Expected(.noEffect)),
        Case(
            "on a service", service("    hosts: [a.example]\n    ‹authorization_details: {}"),
            Expected(.unknownKey, mend: "belongs in a route")),
    ]

    @Test(arguments: routes) func routeRules(_ one: Case) { check(one) }

    private static func numbered(_ count: Int, mark: Int? = nil) -> String {
        let routes = (1...count).map { number in
            let mark = number == mark ? "‹" : ""
            return "      - { match: GET /\(number), scopes: read, authorization_details: \(mark){ type: t\(number) } }"
        }
        return policyWith(
            routes: "      - { match: HEAD /used, scopes: [read, write] }\n" + routes.joined(separator: "\n"))
    }

    @Test func limitOfThePolicy() {
        check(Case("256", DetailTests.numbered(256)))
        check(
            Case(
                "257", DetailTests.numbered(257, mark: 257),
                Expected(.limitExceeded, "more than 256 different demands", mend: "let routes share some")))
    }

    @Test func eachDemandOnce() throws {
        let text = policyWith(
            routes: """
                      - { match: "GET,PUT /a", scopes: [read, write], authorization_details: [{ type: b }, { type: a, actions: [y, x] }] }
                      - { match: GET /b, scopes: read }
                      - { match: GET /c, scopes: read, authorization_details: [{ type: a, actions: [y, x] }, { type: a, locations: [y, x] }] }
                      - { match: GET /d, scopes: read, authorization_details: { type: "a", actions: [x, y] } }
                      - { match: GET /e, scopes: read, authorization_details: [{ type: "\\u00e9" }, { type: "e\\u0301" }] }
                """)
        let model = try #require(load(text).model)
        #expect(
            model.details.prefix(4) == [
                DetailModel(type: "b"), DetailModel(type: "a", actions: ["y", "x"]),
                DetailModel(type: "a", locations: ["y", "x"]), DetailModel(type: "a", actions: ["x", "y"]),
            ])
        #expect(model.details.dropFirst(4).map { Array($0.type.utf8) } == [[0xC3, 0xA9], [0x65, 0xCC, 0x81]])
        #expect(model.services[0].routes.map(\.details) == [[0, 1], [0, 1], [], [1, 2], [3], [4, 5]])
    }

    @Test func shownToPeopleAndPrograms() throws {
        let text = DetailTests.demand(
            "[{ type: pay, actions: [a, b], locations: [x, y] }, { type: see }], mode: observe, until: 2027-12-01T00:00:00Z"
        )
        let table = effectiveTable(try #require(load(text).model))
        #expect(
            table.rows.last?.requirementText
                == "read; authorization_details pay (a, b) at x or y and see; observed until 2027-12-01T00:00:00Z")
        #expect(
            table.json.contains(
                #","acr":[],"authorization_details":[{"type":"pay","actions":["a","b"],"locations":["x","y"]},"#
                    + #"{"type":"see","actions":[],"locations":[]}],"mode":"observe","#))
    }

    // MARK: Policy tests

    private static func one(_ text: String) -> String { tests("  - { \(text), expect: deny }") }
    private static let ask = "request: GET https://api.example.com/a"

    static let testCases: [Case] = [
        Case("one", one("\(ask), authorization_details: { type: pay, actions: a }")),
        Case("two, the same", one("\(ask), authorization_details: [{ type: pay }, { type: pay }]")),
        Case("no type", one("\(ask), authorization_details: [‹{ actions: a }]"), Expected(.missingKey)),
        Case("without token", one("\(ask), token: none, ‹authorization_details: []"), Expected(.conflictingKeys)),
        Case("none", one("\(ask), authorization_details: ‹[]"), Expected(.emptyValue)),
        Case(
            "as a claim", one("\(ask), claims: { ‹authorization_details: x }"),
            Expected(.unknownKey, mend: "`authorization_details:` beside `claims`")),
        Case(
            "on a connection", one("connect: 9443, ‹authorization_details: { type: pay }"),
            Expected(.conflictingKeys, "`authorization_details` in a test of a connection")),
    ]

    @Test(arguments: testCases) func testRules(_ one: Case) { check(one) }

    @Test func whatTestsHold() throws {
        let text = DetailTests.one(
            "\(DetailTests.ask), authorization_details: [{ type: b, actions: [y, x] }, { type: a }]")
        guard case .request(let request) = try #require(load(text).tests.first).attempt else {
            Issue.record("no request")
            return
        }
        #expect(request.token?.details == [DetailModel(type: "b", actions: ["y", "x"]), DetailModel(type: "a")])
    }
}
