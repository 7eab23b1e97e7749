import Policy
import Testing

/// Policy tests under rules that need more than a key to be decided: nobody is asked, and what signs is thrown away.
@Suite struct BackendTrialTests {
    static let policy = """
        scopecheck: 1
        issuers:
          - issuer: https://id.example.com
            audience: https://api.example.com
            keys: { discovery: true }
            leeway: 30s
            max_lifetime: 1m
            status_lists: https://status.example.com/
            introspection: { endpoint: "https://id.example.com/ask", client_id: us, tokens: all, auth: post, secret_file: s }
          - issuer: https://opaque.example.com
            audience: https://opaque.example.com
            introspection: { endpoint: "https://opaque.example.com/ask", client_id: us, auth: post, secret_file: s }
        scopes: { read: {} }
        services:
          api:
            hosts: [api.example.com]
            issuers: [https://id.example.com]
            transaction_token: true
            forward_token: never
            routes:
              - { match: "GET /plain", scopes: read }
              - { match: "GET /type", scopes: read, authorization_details: { type: pay } }
              - { match: "GET /all", scopes: read, authorization_details: { type: pay, actions: [a, b], locations: [x, y] } }
              - { match: "GET /both", scopes: read, authorization_details: [{ type: pay, actions: a }, { type: see }] }
          opaque:
            hosts: [opaque.example.com]
            issuers: [https://opaque.example.com]
            routes:
              - { match: "GET /{id}", scopes: read }
        tests:
        """

    static let api = "request: \"GET https://api.example.com"
    static let lacking = "insufficient_authorization_details"

    /// What the test of a request with the scope `read` comes to.
    static let trials: [(test: String, outcome: String)] = [
        ("\(api)/plain\"", "allow"), ("\(api)/plain\", token: expired", "expired"),
        ("\(api)/plain\", token: not_yet_valid", "not_yet_valid"),
        ("\(api)/plain\", authorization_details: { type: pay }", "allow"),
        ("\(api)/plain\", claims: { status: x }", "allow"),
        ("request: \"GET https://opaque.example.com/7\"", "allow"),
        ("\(api)/type\"", lacking), ("\(api)/type\", authorization_details: { type: pay }", "allow"),
        ("\(api)/type\", authorization_details: { type: Pay }", lacking),
        ("\(api)/type\", authorization_details: [{ type: see }, { type: pay, actions: z }]", "allow"),
        ("\(api)/all\", authorization_details: { type: pay, actions: [c, b, a], locations: [z, y] }", "allow"),
        ("\(api)/all\", authorization_details: { type: pay, actions: [a, b], locations: z }", lacking),
        ("\(api)/all\", authorization_details: { type: pay, actions: [a, b] }", lacking),
        ("\(api)/all\", authorization_details: { type: pay, actions: a, locations: x }", lacking),
        (
            "\(api)/all\", authorization_details: [{ type: pay, actions: a, locations: x }, { type: pay, actions: b, locations: x }]",
            lacking
        ),
        ("\(api)/both\", authorization_details: { type: pay, actions: a }", lacking),
        ("\(api)/both\", authorization_details: [{ type: see }, { type: pay, actions: a }]", "allow"),
    ]

    @Test(arguments: trials) func outcomes(_ test: String, _ outcome: String) throws {
        let text = BackendTrialTests.policy + "\n  - { \(test), scopes: [read], expect: \(outcome) }\n"
        let policy = load(text)
        #expect(policy.diagnostics == [])
        let trial = try PolicyTrial(model: try #require(policy.model), source: Array(text.utf8), now: testNow)
        let result = try PolicyTestRunner(trial, now: testNow).run(try #require(policy.tests.first))
        #expect(result.outcome == outcome && result.passed)
    }
}
