public import Decision
internal import Octets
internal import PolicyTables
internal import Signatures
internal import Tokens

/// What became of one of a policy's own tests.
public struct PolicyTestResult: Sendable {
    public var test: PolicyTest
    public var reason: Reason
    /// `GET /orders/{order}`, where a route was found.
    public var route: String?
    public var passed: Bool

    /// `allow`, or the reason of the denial.
    public var outcome: String { reason.status == 200 && reason != .observed ? "allow" : "\(reason.name)" }
}

/// Runs the tests of a policy through the whole decision: each test's token is really signed, by a key made for
/// the run, and verified like any other.
public final class PolicyTestRunner {
    private let trial: PolicyTrial
    private let decider: Decider
    private var keys: [PrivateJWK] = []
    private let now: Int64

    /// - Parameter now: Unix seconds for tests that name no time.
    public init(_ trial: PolicyTrial, now: Int64) throws {
        self.trial = trial
        self.now = now
        var sets: [KeySet?] = []
        for issuer in trial.model.issuers {
            // RSA keys take long to make.
            let quick: [SignatureAlgorithm] = [.es256, .ed25519, .es384, .es512]
            let algorithm: SignatureAlgorithm =
                quick.first(where: { issuer.algorithms.contains($0) }) ?? issuer.algorithms[0]
            let key = try PrivateKey.generate(algorithm)
            let jwk = try PrivateJWK(key: key, algorithm: algorithm, keyID: "policy-test")
            let document = JWKText.set([try jwk.publicText()])
            sets.append(try KeySet.parse(jwks: document.span, algorithms: issuer.algorithms, fetchedAt: now))
            keys.append(jwk)
        }
        try trial.setKeys(sets)
        decider = try trial.makeDecider()
    }

    public func run(_ test: PolicyTest) throws -> PolicyTestResult {
        let time = test.time ?? now
        var bytes: [UInt8] = []
        var facts = RequestFacts()
        func place(_ text: String) -> ByteRange {
            let start = bytes.count
            bytes.append(contentsOf: text.utf8)
            return ByteRange(start: start, count: bytes.count - start)
        }
        facts.method = place(test.method)
        facts.target = place(test.target)
        facts.host = place(test.host)
        facts.scheme = place(test.scheme)
        facts.port = place("\(test.port)")
        if let origin = test.origin {
            facts.origin = place(origin)
            facts.originCount = 1
        }
        if let method = test.accessControlRequestMethod {
            facts.accessControlRequestMethod = place(method)
            facts.accessControlRequestMethodCount = 1
        }
        if let token = test.token {
            facts.authorization = place("Bearer \(try mint(token, for: test, at: time))")
            facts.authorizationCount = 1
        }
        _ = decider.decide(facts, bytes.span, now: time, limits: DecisionLimits())
        let reason = decider.reason
        let passed =
            switch test.expectation {
            case .allow: reason.status == 200 && reason != .observed
            case .deny: reason.status != 200
            case .reason(let expected): reason == expected
            }
        return PolicyTestResult(
            test: test, reason: reason, route: decider.details.route.map { String(decoding: $0, as: UTF8.self) },
            passed: passed)
    }

    private func service(for test: PolicyTest) -> ServiceModel? {
        let host = test.host.lowercased()
        let wildcard = host.firstIndex(of: ".").map { "*" + host[$0...] }
        let candidates = trial.model.services.filter { service in
            service.hosts.contains(host) || (wildcard.map { service.hosts.contains($0) } ?? false)
        }
        return candidates.first { $0.ports.isEmpty || $0.ports.contains(test.port) } ?? candidates.first
    }

    private func mint(_ token: TestToken, for test: PolicyTest, at time: Int64) throws -> String {
        let service = service(for: test)
        let issuerIndex =
            token.issuer.flatMap { name in trial.model.issuers.firstIndex { $0.issuer == name } }
            ?? service?.issuers.first.map { Int($0) } ?? 0
        guard issuerIndex < trial.model.issuers.count else { return "" }
        let issuer = trial.model.issuers[issuerIndex]
        var audiences = token.audiences
        if audiences.isEmpty { audiences = issuer.audiences + (service?.audience.map { [$0] } ?? []) }
        var claims = JSONObjectWriter()
        let own = Set(token.claims.map(\.name))
        func add(_ name: String, _ value: String) {
            if !own.contains(name) { claims.add(name, string: value) }
        }
        add("iss", issuer.issuer)
        add("sub", token.subject ?? "policy-test")
        add(issuer.clientClaim, token.client ?? "policy-test")
        if issuer.clientClaim != "client_id" { add("client_id", token.client ?? "policy-test") }
        add("jti", "policy-test")
        add(issuer.scopeClaim, token.scopes.joined(separator: " "))
        claims.add("aud", strings: Array(Set(audiences)).sorted())
        let leeway = Int64(issuer.leewaySeconds)
        switch token.state {
        case .valid:
            claims.add("iat", number: time)
            claims.add("exp", number: time + 3_600)
        case .expired:
            claims.add("iat", number: time - 7_200)
            claims.add("exp", number: time - leeway - 1)
        case .notYetValid:
            claims.add("iat", number: time)
            claims.add("nbf", number: time + leeway + 3_600)
            claims.add("exp", number: time + leeway + 7_200)
        }
        for claim in token.claims { claims.add(claim.name, string: claim.value) }
        let jwk = keys[issuerIndex]
        let text = try TokenMint.token(
            claims: claims.text().span, key: jwk.key, algorithm: jwk.algorithm, keyID: jwk.keyID)
        return String(decoding: text, as: UTF8.self)
    }
}
