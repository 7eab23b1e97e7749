public import Decision
internal import Octets
internal import PolicyTables
internal import Signatures
internal import Tokens

/// What became of one of a policy's own tests.
public struct PolicyTestResult: Sendable {
    public var test: PolicyTest
    public var reason: Reason
    /// `GET /orders/{order}` or `tcp/9443`, where a route or a service was found.
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
    /// Made for the first test that presents a certificate.
    private var certificate: TrialCertificate?

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
        switch test.attempt {
        case .request(let request): try decide(request, at: time)
        case .connection(let connection): try decide(connection, at: time)
        }
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

    private func decide(_ request: TestRequest, at time: Int64) throws {
        var bytes: [UInt8] = []
        var facts = RequestFacts()
        func place(_ text: String) -> ByteRange {
            let start = bytes.count
            bytes.append(contentsOf: text.utf8)
            return ByteRange(start: start, count: bytes.count - start)
        }
        facts.method = place(request.method)
        facts.target = place(request.target)
        facts.host = place(request.host)
        facts.scheme = place(request.scheme)
        facts.port = place("\(request.port)")
        if let origin = request.origin {
            facts.origin = place(origin)
            facts.originCount = 1
        }
        if let method = request.accessControlRequestMethod {
            facts.accessControlRequestMethod = place(method)
            facts.accessControlRequestMethodCount = 1
        }
        if let token = request.token {
            facts.authorization = place("Bearer \(try mint(token, for: request, at: time))")
            facts.authorizationCount = 1
        }
        _ = decider.decide(facts, bytes.span, now: time, limits: DecisionLimits())
    }

    private func decide(_ connection: TestConnection, at time: Int64) throws {
        var bytes: [UInt8] = []
        var facts = ConnectionFacts(port: connection.port, certificateBytes: 0)
        if let names = connection.certificate {
            let maker = try certificate ?? TrialCertificate()
            certificate = maker
            bytes = try maker.der(names, at: time)
            facts = ConnectionFacts(port: connection.port, certificateBytes: bytes.count)
        }
        decider.decide(facts, bytes.span, now: time)
    }

    private func service(for request: TestRequest) -> ServiceModel? {
        let host = request.host.lowercased()
        let wildcard = host.firstIndex(of: ".").map { "*" + host[$0...] }
        let candidates = trial.model.services.filter { service in
            service.hosts.contains(host) || (wildcard.map { service.hosts.contains($0) } ?? false)
        }
        return candidates.first { $0.ports.isEmpty || $0.ports.contains(request.port) } ?? candidates.first
    }

    private func mint(_ token: TestToken, for request: TestRequest, at time: Int64) throws -> String {
        let service = service(for: request)
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

extension ConnectionFacts {
    /// What a proxy says of a connection whose client presents a certificate with a good chain, or none.
    /// - Parameter certificateBytes: how many bytes from the first on are the certificate's DER; 0 without one.
    public init(port: UInt16, certificateBytes: Int) {
        self.init()
        self.port = Int64(port)
        // What `ssl_c_verify` says without a certificate too.
        certificate.verifyResult = 0
        guard certificateBytes > 0 else { return }
        certificate.isUsed = true
        certificate.der = ByteRange(start: 0, count: certificateBytes)
    }
}
