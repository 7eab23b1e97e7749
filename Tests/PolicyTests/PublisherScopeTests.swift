import PolicyTables
import Testing

@testable import Policy

/// What a publisher is told of a scope that there is none of.
@Suite struct PublisherScopeTests {
    @Test func itsOwnScopesAreNamed() throws {
        let attempt = try PublisherReviewTests.Attempt(try PublisherReviewTests.policy())
        let file = PublisherReviewTests.file(route: "{ match: GET /v1/orders, scopes: billing:invoices }")
        #expect {
            try attempt.judge(file)
        } throws: { error in
            let refusal = error as? PublicationRefusal
            return refusal?.reason == .policyErrors
                && refusal?.message.contains("; its publisher may use `orders:*`") == true
        }
    }
}
