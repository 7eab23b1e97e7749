import Decision
import Policy
import Testing

/// Policy tests whose token is bound, or says how and when its user authenticated.
@Suite struct ProofTrialTests {
    private static func one(_ text: String) -> String { tests("  - { \(text), expect: deny }") }
    private static let ask = "request: GET https://api.example.com/a"

    static let cases: [Case] = [
        Case("everything", one("\(ask), scopes: [read], proof: dpop, acr: mfa, auth_age: 10m")),
        Case("a certificate", one("\(ask), proof: mtls, auth_age: 0s")),
        Case("days", one("\(ask), auth_age: 400d")),
        Case(
            "a proof that is none", one("\(ask), proof: ‹none"),
            Expected(.badChoice, "`none` is no value of `proof`", mend: "write one of `dpop` and `mtls`")),
        Case("an empty acr", one("\(ask), acr: ‹\"\""), Expected(.emptyValue)),
        Case("acr as a list", one("\(ask), acr: ‹[mfa]"), Expected(.wrongType)),
        Case("an age without unit", one("\(ask), auth_age: ‹5"), Expected(.badDuration, mend: "`10m`")),
        Case(
            "a proof without token", one("\(ask), token: none, ‹proof: dpop"), Expected(.conflictingKeys)),
        Case("an age without token", one("\(ask), token: none, ‹auth_age: 5m"), Expected(.conflictingKeys)),
        Case(
            "claims that have keys", one("\(ask), claims: { ‹cnf: x, ‹acr: y, ‹auth_time: z }"),
            Expected(.unknownKey, "the claim `cnf`", mend: "`proof:`"),
            Expected(.unknownKey, "the claim `acr`", mend: "`acr:`"),
            Expected(.unknownKey, "the claim `auth_time`", mend: "`auth_age:`")),
        Case(
            "a key of the language", one("\(ask), ‹max_age: 5m"),
            Expected(.unknownKey, mend: "belongs in an issuer's `dpop` or a route")),
        Case(
            "on a connection", one("connect: 9443, ‹proof: mtls, ‹acr: mfa"),
            Expected(.conflictingKeys, "`proof` in a test of a connection"), Expected(.conflictingKeys, "`acr`")),
    ]

    @Test(arguments: cases) func rules(_ one: Case) { check(one) }

    private func request(_ text: String) throws -> TestRequest {
        let test = try #require(load(ProofTrialTests.one(text)).tests.first)
        guard case .request(let request) = test.attempt else { throw WrongAttempt() }
        return request
    }

    private struct WrongAttempt: Error {}

    @Test func values() throws {
        let token = try request("\(ProofTrialTests.ask), proof: dpop, acr: urn:mfa, auth_age: 10m").token
        #expect(token?.proof == .dpop && token?.authenticationContext == "urn:mfa")
        #expect(token?.authenticationAgeSeconds == 600)
        let certificate = try request("\(ProofTrialTests.ask), proof: mtls").token
        #expect(certificate?.proof == .mtls && certificate?.authenticationContext == nil)
        #expect(certificate?.authenticationAgeSeconds == nil)
        let plain = try request("\(ProofTrialTests.ask), scopes: []").token
        #expect(plain?.proof == nil)
    }

    @Test(arguments: [
        ("GET https://a.example", "https://a.example"), ("\"GET https://a.example/b?c=d\"", "https://a.example/b"),
        ("\"GET http://A.example:8080/b#c\"", "http://A.example:8080/b"),
        ("\"GET https://[::1]:8443?x\"", "https://[::1]:8443"),
    ]) func whatTheProofNames(_ text: String, _ uri: String) throws {
        #expect(try request("request: \(text), port: 9443").uri == uri)
    }

    static let policy = """
        scopecheck: 1
        issuers:
          - issuer: https://id.example.com
            audience: https://api.example.com
            keys: { discovery: true }
          - issuer: https://nonce.example.com
            audience: https://api.example.com
            keys: { discovery: true }
            dpop: { algorithms: [EdDSA], nonce: required }
        scopes: { read: {} }
        services:
          api:
            hosts: [api.example.com]
            issuers: [https://id.example.com, https://nonce.example.com]
            routes:
              - { match: "GET /open", scopes: read }
              - { match: "GET /any", scopes: read, proof: any }
              - { match: "GET /dpop", scopes: read, proof: dpop }
              - { match: "GET /nonce", scopes: read, proof: dpop, dpop_nonce: required }
              - { match: "GET /mtls", scopes: read, proof: mtls }
              - { match: "GET /acr", scopes: read, acr: [mfa, hwk] }
              - { match: "GET /fresh", scopes: read, max_age: 5m }
          behind:
            hosts: [behind.example.com]
            ports: [8443]
            public_port: 443
            proof: dpop
            issuers: [https://id.example.com]
            routes:
              - { match: "GET /{id}", scopes: read }
        tests:
        """

    static let api = "request: \"GET https://api.example.com"
    static let behind = "request: \"GET https://behind.example.com"
    static let nonceIssuer = "issuer: https://nonce.example.com"

    /// What the test of a request with the scope `read` comes to.
    static let trials: [(test: String, outcome: String)] = [
        ("\(api)/open\"", "allow"), ("\(api)/open\", proof: dpop", "allow"), ("\(api)/open\", proof: mtls", "allow"),
        ("\(api)/any\"", "proof_required"), ("\(api)/any\", proof: dpop", "allow"),
        ("\(api)/any\", proof: mtls", "allow"), ("\(api)/dpop\"", "proof_required"),
        ("\(api)/dpop?a=b\", proof: dpop", "allow"), ("\(api)/dpop\", proof: mtls", "proof_required"),
        ("\(api)/nonce\", proof: dpop", "allow"), ("\(api)/mtls\"", "proof_required"),
        ("\(api)/mtls\", proof: dpop", "proof_required"), ("\(api)/mtls\", proof: mtls", "allow"),
        ("\(api)/dpop\", proof: dpop, \(nonceIssuer)", "allow"),
        ("\(api)/open\", proof: dpop, \(nonceIssuer), at: 2001-01-01T00:00:00Z", "allow"),
        ("\(api)/dpop\", proof: dpop, token: expired", "expired"),
        ("\(api)/acr\"", "insufficient_user_authentication"),
        ("\(api)/acr\", acr: pwd", "insufficient_user_authentication"), ("\(api)/acr\", acr: hwk", "allow"),
        ("\(api)/acr\", acr: mfa, proof: dpop", "allow"), ("\(api)/fresh\"", "insufficient_user_authentication"),
        ("\(api)/fresh\", auth_age: 0s", "allow"), ("\(api)/fresh\", auth_age: 300s", "allow"),
        ("\(api)/fresh\", auth_age: 301s", "insufficient_user_authentication"),
        ("\(behind)/7\", port: 8443, proof: dpop", "allow"), ("\(behind)/7\", port: 8443", "proof_required"),
        ("\(behind):8443/7\", proof: dpop", "invalid_dpop_proof"),
    ]

    @Test(arguments: trials) func outcomes(_ test: String, _ outcome: String) throws {
        let text = ProofTrialTests.policy + "\n  - { \(test), scopes: [read], expect: \(outcome) }\n"
        let policy = load(text)
        #expect(policy.diagnostics == [])
        let trial = try PolicyTrial(model: try #require(policy.model), source: Array(text.utf8), now: testNow)
        let runner = try PolicyTestRunner(trial, now: testNow)
        // Twice: a proof is made for each run, and nothing of the first one is in the way of the second.
        for _ in 0..<2 {
            let result = try runner.run(try #require(policy.tests.first))
            #expect(result.outcome == outcome)
            #expect(result.passed)
        }
        var other = try #require(policy.tests.first)
        other.expectation = outcome == "allow" ? .deny : .allow
        #expect(try !runner.run(other).passed)
    }
}
