import Decision
import Octets
import Policy
import PolicyTables
import Signatures
import Testing
import Tokens

@testable import Server

/// What an explanation says became of each check.
@Suite struct ExplanationTests {
    private static let now: Int64 = 1_800_000_000
    private static let policy = """
        scopecheck: 1
        issuers:
          - issuer: https://id.example.com
            audience: https://api.example.com
            algorithms: [ES256]
            keys: { discovery: true }
        scopes: { read: {}, write: {} }
        services:
          a:
            hosts: [a.example]
            routes:
              - { match: GET /x, scopes: read }
              - { match: POST /x, scopes: write }
              - { match: "GET /users/{user}", scopes: read, where: { user: sub } }
              - { match: GET /fresh, scopes: read, acr: mfa }
              - { match: GET /bound, scopes: read, proof: dpop }
              - { match: GET /open, public: true }
              - { match: GET /tried, scopes: write, mode: observe, until: 2030-01-01T00:00:00Z }
        """

    private let trial: PolicyTrial
    private let key: PrivateKey

    init() throws {
        let text = Array(ExplanationTests.policy.utf8)
        let loaded = loadPolicy(source: text, file: "policy.yaml", now: ExplanationTests.now)
        trial = try PolicyTrial(
            model: try #require(loaded.model, "\(loaded.diagnostics)"), source: text, now: ExplanationTests.now)
        key = try PrivateKey.generate(.es256)
        let known = VerificationKey(keyID: Array("a".utf8), algorithm: .es256, key: key.publicKey)
        try trial.setKeys([KeySet(keys: [known], fetchedAt: ExplanationTests.now)])
    }

    private func token(
        _ more: [(String, String)] = [], leaving out: String = "", header: String? = nil, key: PrivateKey? = nil
    ) throws -> String {
        var claims: [(String, String)] = [
            ("iss", "\"https://id.example.com\""), ("aud", "\"https://api.example.com\""), ("sub", "\"ann\""),
            ("client_id", "\"web\""), ("jti", "\"1\""), ("scope", "\"read\""), ("iat", "1799999990"),
            ("exp", "1800000300"),
        ]
        claims.removeAll { claim in claim.0 == out || more.contains { $0.0 == claim.0 } }
        let text = "{" + (claims + more).map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
        let head = Array((header ?? #"{"alg":"ES256","typ":"at+jwt","kid":"a"}"#).utf8)
        let signed = try TokenMint.sign(
            header: head.span, payload: Array(text.utf8).span, key: key ?? self.key, algorithm: .es256)
        return String(decoding: signed, as: UTF8.self)
    }

    private func explain(
        _ method: String, _ path: String, _ authorization: String? = nil, host: String = "a.example",
        isDaemon: Bool = true, without left: String = ""
    ) throws -> Explanation {
        var headers = [
            ("SC-Method", method), ("SC-Target", path), ("SC-Host", host), ("SC-Scheme", "https"), ("SC-Port", "443"),
        ]
        if let authorization { headers.append(("Authorization", authorization)) }
        var bytes: [UInt8] = []
        var facts = RequestFacts()
        for (name, value) in headers where name != left {
            let nameRange = ByteRange(start: bytes.count, count: name.utf8.count)
            bytes.append(contentsOf: name.utf8)
            let valueRange = ByteRange(start: bytes.count, count: value.utf8.count)
            bytes.append(contentsOf: value.utf8)
            facts.take(header: nameRange, value: valueRange, in: bytes.span, profile: .scopecheck)
        }
        return Explanation(try trial.makeDecider(), facts, bytes, now: ExplanationTests.now, isDaemon: isDaemon)
    }

    /// The checks of an explanation, by what became of them, each list in order.
    private func checks(_ explanation: Explanation) throws -> [String: [String]] {
        let text = explanation.json
        var index = JSONIndex()
        try index.read(text.span, limits: JSONLimits(depthMax: 40))
        guard let root = index.root, let list = index.member("checks", of: root, in: text.span) else { return [:] }
        var found: [String: [String]] = [:]
        var item = index.child(after: nil, of: list)
        while let check = item {
            let name = index.member("check", of: check, in: text.span)?.string(in: text.span) ?? []
            let result = index.member("result", of: check, in: text.span)?.string(in: text.span) ?? []
            found[String(decoding: result, as: UTF8.self), default: []].append(String(decoding: name, as: UTF8.self))
            item = index.child(after: check, of: list)
        }
        #expect(found.values.map(\.count).reduce(0, +) == ExplainedCheck.allCases.count)
        return found
    }

    @Test("an allow: what the route and the token ask for is passed, and nothing else")
    func granted() throws {
        let explanation = try explain("GET", "/x", "Bearer \(try token())")
        let found = try checks(explanation)
        #expect(explanation.isAllow)
        #expect(
            found["passed"] == [
                "policy", "facts", "target", "host", "route", "credential", "token form", "issuer", "key", "signature",
                "claims", "times", "revocation", "audience", "scopes",
            ])
        #expect(
            found["does_not_apply"] == [
                "publication", "introspection", "status", "possession", "client", "bindings", "authorization details",
                "authentication", "transaction token", "replay",
            ])
        #expect(found.count == 2)
        #expect(
            explanation.text.hasSuffix(
                """
                  audience: passed
                  scopes: passed
                  does not apply: publication, introspection, status, possession, client, bindings, authorization \
                details, authentication, transaction token, replay

                """), "\(explanation.text)")
    }

    @Test("what the route asks for is passed too, and what comes behind a denial is not")
    func demands() throws {
        let own = try checks(try explain("GET", "/users/ann", "Bearer \(try token())"))
        #expect(own["passed"]?.contains("bindings") == true && own["denied_here"] == nil)
        let other = try checks(try explain("GET", "/users/bob", "Bearer \(try token())"))
        #expect(other["denied_here"] == ["bindings"] && other["passed"]?.last == "scopes")
        let fresh = try checks(try explain("GET", "/fresh", "Bearer \(try token([("acr", "\"mfa\"")]))"))
        #expect(fresh["passed"]?.contains("authentication") == true)
        let lesser = try checks(try explain("GET", "/fresh", "Bearer \(try token([("scope", "\"other\"")]))"))
        #expect(lesser["denied_here"] == ["scopes"] && lesser["not_reached"] == ["authentication"])
        #expect(lesser["does_not_apply"]?.contains("bindings") == true)
        let unbound = try checks(try explain("GET", "/bound", "Bearer \(try token())"))
        #expect(unbound["denied_here"] == ["possession"])
        #expect(unbound["not_reached"] == ["client", "scopes"])
        #expect(unbound["passed"]?.last == "audience")
    }

    @Test("where the decision ended before the token was looked at")
    func early() throws {
        let rows: [(Explanation, denied: String, passed: [String])] = [
            (try explain("GET", "/x", without: "SC-Host"), "facts", ["policy"]),
            (try explain("GET", "/a/../x"), "target", ["policy", "facts"]),
            (try explain("GET", "/x", host: "a b"), "host", ["policy", "facts"]),
            (try explain("GET", "/x", host: "b.example"), "host", ["policy", "facts", "target"]),
            (try explain("GET", "/y"), "route", ["policy", "facts", "target", "host"]),
            (try explain("GET", "/x"), "credential", ["policy", "facts", "target", "host", "route"]),
        ]
        for (explanation, denied, passed) in rows {
            let found = try checks(explanation)
            #expect(found["denied_here"] == [denied] && found["passed"] == passed, "\(explanation.text)")
            #expect(found["not_reached"]?.contains("scopes") == true)
        }
    }

    @Test("reasons that are found at more than one place")
    func ambiguous() throws {
        let head = ["policy", "facts", "target", "host", "route", "credential"]
        let verified = head + ["token form", "issuer", "key", "signature"]
        let rows: [(String, denied: String, passed: [String])] = [
            (try token(leaving: "iss"), "claims", head + ["token form"]),
            (try token([("iss", "7")]), "claims", head + ["token form"]),
            (try token(leaving: "exp"), "claims", verified),
            (try token([("exp", "\"x\"")]), "claims", verified),
            (try token([("iss", "\"https://else.example.com\"")]), "issuer", head + ["token form"]),
            (try token(header: #"{"alg":"none","typ":"at+jwt","kid":"a"}"#), "token form", head),
            (try token(header: #"{"alg":"RS256","typ":"at+jwt","kid":"a"}"#), "issuer", head + ["token form"]),
            (try token(header: #"{"alg":"ES256","typ":"at+jwt","kid":"b"}"#), "key", head + ["token form", "issuer"]),
            (try token(key: PrivateKey.generate(.es256)), "signature", head + ["token form", "issuer", "key"]),
            (try token([("exp", "1799999000")]), "times", verified + ["claims"]),
            (try token([("aud", "\"x\"")]), "audience", verified + ["claims", "times"]),
            (try token([("cnf", "{\"x\":\"y\"}")]), "possession", verified + ["claims", "times"]),
        ]
        for (token, denied, passed) in rows {
            let explanation = try explain("GET", "/x", "Bearer \(token)")
            let found = try checks(explanation)
            #expect(found["denied_here"] == [denied] && found["passed"] == passed, "\(explanation.text)")
            #expect(found["not_reached"]?.contains("revocation") == true)
        }
    }

    @Test("a public route looks at no token")
    func open() throws {
        let found = try checks(try explain("GET", "/open"))
        #expect(found["passed"] == ["policy", "facts", "target", "host", "route"])
        #expect(found["does_not_apply"]?.count == ExplainedCheck.allCases.count - 5 && found.count == 2)
    }

    @Test("observe mode lets pass what is denied, and what follows was not looked at")
    func observed() throws {
        let explanation = try explain("GET", "/tried", "Bearer \(try token())")
        let found = try checks(explanation)
        #expect(explanation.isAllow && found["denied_here"] == ["scopes"])
        #expect(explanation.text.contains("  scopes: denied here, and let through\n"))
    }

    @Test("a policy file knows neither revocations nor what issuers say")
    func offline() throws {
        let explanation = try explain("GET", "/x", "Bearer \(try token())", isDaemon: false)
        let found = try checks(explanation)
        #expect(found["not_made_here"] == ["introspection", "revocation", "status"])
        #expect(explanation.text.contains("  not made here: introspection, revocation, status\n"))
    }

    @Test("what an issuer says of a token, and tokens that only it can read")
    func introspected() {
        var details = DecisionDetails()
        details.path = Array("/x".utf8)
        details.route = Array("GET /x".utf8)
        details.ground = .scopes
        details.introspection = .refused
        func result(_ check: ExplainedCheck, _ reason: Reason) -> CheckResult {
            CheckTrail(details, reason: reason, token: nil, isDaemon: true).result(check)
        }
        // The reply's own time, not the token's.
        for reason in [Reason.expired, .tokenInactive, .audienceMismatch, .claimsMalformed] {
            #expect(result(.introspection, reason) == .denied && result(.signature, reason) == .passed)
            #expect(result(.audience, reason) == .notReached && result(.revocation, reason) == .notReached)
        }
        details.isOpaque = true
        #expect(result(.signature, .tokenInactive) == .notApplicable)
        #expect(result(.credential, .tokenInactive) == .passed)
        details.introspection = .passed
        #expect(result(.times, .expired) == .denied && result(.introspection, .expired) == .passed)
    }
}
