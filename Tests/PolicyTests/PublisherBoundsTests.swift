@testable import Policy
import PolicyTables
import Testing

/// What a publication may hold, by name and by number.
@Suite struct PublisherBoundsTests {
    private func refusal(_ file: String, _ policy: String? = nil) throws -> PublicationRefusal? {
        var attempt = try PublisherReviewTests.Attempt("")
        let text = try policy ?? PublisherReviewTests.policy()
        let own = PolicyBundle.File(name: "policy.yaml", bytes: Array(text.utf8))
        attempt.environment = text.contains("environments:") ? "prod" : nil
        attempt.active = try #require(PolicyBundle(files: [own], environment: attempt.environment))
        do {
            _ = try attempt.judge(file)
            return nil
        } catch let refusal as PublicationRefusal {
            return refusal
        }
    }

    private func reason(_ more: String) throws -> PublicationRefusal.Reason? {
        try refusal(PublisherReviewTests.file(more: more))?.reason
    }

    /// What is compared is what the policy says with it: `$${` is read as `${` there.
    @Test func signsInNamesHideNothing() throws {
        #expect(try reason("scopes: { \"orders:$${god}\": {} }") == nil)
        #expect(try reason("scopes: { \"orders:$${god}\": { implies: [\"payments:*\"] } }") == .outsideScopes)
        #expect(
            try reason("scopes: { orders:a: {}, \"orders:$${b}\": { implies: [orders:a, payments:charge] } }")
                == .outsideScopes)
        #expect(try reason("scopes: { \"payments:$${a}\": {} }") == .outsideScopes)
        #expect(try reason("scopes: { \"orders:${a}\": {} }") == .policyErrors)
        #expect(try reason("scopes: { \"orders:${a\": {} }") == .policyErrors)
        for (old, expected) in [("orders:$${x}", nil), ("payments:$${x}", PublicationRefusal.Reason.outsideScopes)] {
            let scope = "orders:n: { replaces: \"\(old)\", until: 2099-01-01T00:00:00Z }"
            #expect(try reason("scopes: { \(scope) }") == expected, "\(old)")
        }
        let service = PublisherReviewTests.file().replacing("  orders:\n", "  \"$${orders\":\n")
        #expect(try refusal(service)?.reason == .outsideFile)
    }

    @Test func valuesInNamesHideNothing() throws {
        let values =
            "\nenvironments: { prod: { values: { mine: orders:read, theirs: payments:charge, old: payments:x } } }\n"
        let policy = try PublisherReviewTests.policy() + values
        for (scope, expected) in [
            ("orders:a: { implies: \"${mine}\", description: \"${theirs} ${old}\" }", nil),
            ("orders:a: { implies: \"${theirs}\", description: \"${mine} ${old}\" }", .outsideScopes),
            (
                "orders:a: { replaces: \"${old}\", until: 2099-01-01T00:00:00Z, description: \"${mine} ${theirs}\" }",
                PublicationRefusal.Reason.outsideScopes
            ),
        ] {
            let found = try refusal(PublisherReviewTests.file(more: "scopes: { \(scope) }"), policy)
            #expect(found?.reason == expected, "\(scope): \(found?.message ?? "")")
        }
    }

    /// Also of what is published already, when a policy is applied.
    @Test func signsInNamesHideNothingLater() throws {
        let policy = try PublisherReviewTests.policy()
        let file = PublisherReviewTests.file(
            more: "scopes: { orders:s1: {}, \"orders:$${god}\": { implies: [\"payments:*\"] } }")
        let own = PolicyBundle.File(name: "policy.yaml", bytes: Array(policy.utf8))
        let published = PolicyBundle.File(name: "published/orders/routes.yaml", bytes: Array(file.utf8))
        let active = try #require(PolicyBundle(files: [own, published]))
        let given = PolicyBundle(source: Array(policy.utf8))
        let kept = try #require(try KeptPublications(of: active, in: given, folder: nil, now: PublisherReviewTests.now))
        #expect(kept.refusals.map(\.reason) == [.outsideScopes])
        let read = loadPolicy(bundle: active, now: PublisherReviewTests.now)
        #expect(active.publicationRefusals(read, now: PublisherReviewTests.now).map(\.reason) == [.outsideScopes])
    }

    // MARK: Bounds

    private func list(_ count: Int, _ one: (Int) -> String) -> String { (0..<count).map(one).joined(separator: "\n") }

    private func check(_ file: String, _ text: String, _ most: Int, policy: String? = nil) throws {
        let found = try refusal(file, policy)
        #expect(found?.reason == .outsideBounds, "\(text): \(found?.message ?? "taken")")
        let message = found?.message ?? ""
        #expect(message.contains("`orders`") && message.contains(text) && message.contains("and \(most) is the most"))
    }

    @Test func scopes() throws {
        let scopes = list(1_024) { "  orders:s\($0): {}" }
        #expect(try reason("scopes:\n\(scopes)") == nil)
        let more = scopes + "\n  orders:more: {}"
        try check(PublisherReviewTests.file(more: "scopes:\n\(more)"), "1025 scopes", 1_024)
        let old =
            list(1_023) { "  orders:s\($0): {}" } + "\n  orders:n: { replaces: orders:o, until: 2099-01-01T00:00:00Z }"
        try check(PublisherReviewTests.file(more: "scopes:\n\(old)"), "1025 scopes", 1_024)
    }

    @Test func implications() throws {
        let scopes = list(1_000) { "  orders:x:s\($0): {}" }
        func file(_ groups: Int) -> String {
            let groups = list(groups) { "  orders:g\($0): { implies: \"orders:x:*\" }" }
            return PublisherReviewTests.file(more: "scopes:\n\(scopes)\n\(groups)")
        }
        #expect(try refusal(file(4)) == nil)
        try check(file(5), "5000 implied scopes", 4_096)
        let chain = list(400) { "  orders:c\($0): { implies: orders:c\($0 + 1) }" } + "\n  orders:c400: {}"
        try check(PublisherReviewTests.file(more: "scopes:\n\(chain)"), "80601 entries", 65_536)
    }

    @Test func routesAndTests() throws {
        func routes(_ count: Int) -> String {
            PublisherReviewTests.file(more: list(count) { "      - { match: GET /r\($0), scopes: orders:read }" })
        }
        #expect(try refusal(routes(4_095)) == nil)
        try check(routes(4_096), "4097 routes", 4_096)
        let ask = "request: GET https://orders.example.com/v1/orders, scopes: [], expect: deny"
        let tests = list(1_025) { _ in "  - { \(ask) }" }
        try check(PublisherReviewTests.file(more: "tests:\n\(tests)"), "1025 tests", 1_024)
    }

    @Test func detailsAndValues() throws {
        let details = list(17) {
            "      - { match: GET /d\($0), scopes: orders:read, authorization_details: { type: t\($0) } }"
        }
        try check(PublisherReviewTests.file(more: details), "17 different demands", 16)
        let policy = try PublisherReviewTests.policy() + "\nenvironments: { prod: { values: { x: a } } }\n"
        let texts = String(repeating: "${x}", count: 25)
        let scopes = list(41) { "  orders:s\($0): { description: \"\(texts)\" }" }
        try check(PublisherReviewTests.file(more: "scopes:\n\(scopes)"), "1025 values", 1_024, policy: policy)
    }
}
