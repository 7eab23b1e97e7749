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
    /// The service of that route.
    public var service: String?
    public var passed: Bool
    /// What the test's token carried as its client; nil without a token.
    public var client: String?
    /// Until when what would be denied is let through, and by whose mode; nil where nothing was.
    public var observation: Observation?

    public struct Observation: Sendable, Equatable {
        /// `the route`, or the client by its name.
        public var subject: String
        /// Unix seconds.
        public var until: Int64
    }

    /// How to mend a test that fails only since its denial is not enforced yet; nil for any other.
    public var mend: String? {
        guard !passed, let observation else { return nil }
        return
            "\(observation.subject) is in observe mode until \(timeText(observation.until)): expect `observed`, or "
            + "give the test an `at` behind it"
    }

    /// The test fails for nothing else than that its service has ended, as it was published to: nobody can mend that, and
    /// no other change must wait for it.
    public var isOfEndedService: Bool { !passed && reason == .publicationEnded }

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
    private let owners: TestOwners
    private var client = TrialClient()

    /// - Parameter now: Unix seconds for tests that name no time.
    public init(_ trial: PolicyTrial, now: Int64) throws {
        self.trial = trial
        self.now = now
        owners = TestOwners(trial.model)
        var sets: [KeySet?] = []
        for issuer in trial.model.issuers {
            let algorithm: SignatureAlgorithm =
                TrialClient.quickAlgorithms.first(where: { issuer.algorithms.contains($0) }) ?? issuer.algorithms[0]
            let key = try PrivateKey.generate(algorithm)
            let jwk = try PrivateJWK(key: key, algorithm: algorithm, keyID: "policy-test")
            let document = JWKText.set([try jwk.publicText()])
            sets.append(try KeySet.parse(jwks: document.span, algorithms: issuer.algorithms, fetchedAt: now))
            keys.append(jwk)
        }
        try trial.setKeys(sets, asksIssuers: false)
        decider = try trial.makeDecider()
    }

    public func run(_ test: PolicyTest) throws -> PolicyTestResult {
        let time = test.time ?? now
        let decider: Decider
        var owner: String?
        switch test.attempt {
        case .request(let request):
            if let token = request.token, let issuer = owners.issuer(of: request) {
                owner = owners.identifier(for: token, issuer: issuer, at: time, test.expectation)
            }
            decider = try decide(request, owner: owner, at: time)
        case .connection(let connection):
            try decide(connection, at: time)
            decider = self.decider
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
            service: decider.details.service.map { String(decoding: $0, as: UTF8.self) }, passed: passed, client: owner,
            observation: reason == .observed ? observation(decider.details, at: time) : nil)
    }

    private func observation(_ details: DecisionDetails, at time: Int64) -> PolicyTestResult.Observation? {
        if let until = details.observeUntil, time < until {
            return PolicyTestResult.Observation(subject: "the route", until: until)
        }
        guard let baseline = details.baseline, let until = baseline.observeUntil else { return nil }
        return PolicyTestResult.Observation(
            subject: "the client \(quoted(String(decoding: baseline.name, as: UTF8.self)))", until: until)
    }

    /// - Parameter owner: the client of its token.
    /// - Returns: who decided.
    private func decide(_ request: TestRequest, owner: String?, at time: Int64) throws -> Decider {
        let issuer = owners.issuer(of: request)
        let proofs = issuer.map { trial.model.issuers[$0].proofs } ?? ProofModel()
        let binding = try request.token?.proof.map { try client.binding($0, proofs, at: time) }
        var token: String?
        if let described = request.token {
            token = try mint(described, of: owner ?? TestOwners.anybody, binding, for: request, at: time)
        }
        guard case .key = binding else {
            try decide(request, token, binding, nonce: nil, decider, at: time)
            return decider
        }
        // What one remembers of proofs must not matter to another test, whose time may be an earlier one.
        let decider = try trial.makeDecider()
        try decide(request, token, binding, nonce: nil, decider, at: time)
        // As a client does that is told the nonce (RFC 9449 §9).
        let nonce = decider.withAnswer { String(lossy: $0.value(of: .proofNonce)) }
        if decider.reason == .nonceRequired, !nonce.isEmpty {
            try decide(request, token, binding, nonce: nonce, decider, at: time)
        }
        return decider
    }

    private func decide(
        _ request: TestRequest, _ token: String?, _ binding: TrialBinding?, nonce: String?, _ decider: Decider,
        at time: Int64
    ) throws {
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
        if let token {
            facts.authorization = place("\(binding?.scheme ?? "Bearer") \(token)")
            facts.authorizationCount = 1
            if let proof = try binding?.proof(request, token: token, nonce: nonce, at: time) {
                facts.dpop = place(proof)
                facts.dpopCount = 1
            }
        }
        if case .certificate(let der) = binding {
            facts.certificate.isUsed = true
            facts.certificate.verifyResult = 0
            facts.certificate.der = ByteRange(start: bytes.count, count: der.count)
            bytes += der
        }
        _ = decider.decide(facts, bytes.span, now: time, limits: DecisionLimits())
    }

    private func decide(_ connection: TestConnection, at time: Int64) throws {
        var bytes: [UInt8] = []
        var facts = ConnectionFacts(port: connection.port, certificateBytes: 0)
        if let names = connection.certificate {
            bytes = try client.certificate(names, at: time)
            facts = ConnectionFacts(port: connection.port, certificateBytes: bytes.count)
        }
        decider.decide(facts, bytes.span, now: time)
    }

    private func mint(
        _ token: TestToken, of owner: String, _ binding: TrialBinding?, for request: TestRequest, at time: Int64
    ) throws -> String {
        let service = owners.service(for: request)
        guard let issuerIndex = owners.issuer(of: request) else { return "" }
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
        add(issuer.clientClaim, owner)
        if issuer.clientClaim != "client_id" { add("client_id", owner) }
        add("jti", "policy-test")
        add(issuer.scopeClaim, token.scopes.joined(separator: " "))
        claims.add("aud", strings: Array(Set(audiences)).sorted())
        let times = token.times ?? self.times(of: token.state, for: issuer, at: time)
        if let issuedAt = times.issuedAt { claims.add("iat", number: issuedAt) }
        if let notBefore = times.notBefore { claims.add("nbf", number: notBefore) }
        claims.add("exp", number: times.expiresAt)
        if let binding { claims.add("cnf", json: try binding.confirmation()) }
        if let context = token.authenticationContext { claims.add("acr", string: context) }
        if let age = token.authenticationAgeSeconds { claims.add("auth_time", number: time - Int64(age)) }
        if !token.details.isEmpty { claims.add("authorization_details", json: detailsJSON(token.details)) }
        for claim in token.claims { claims.add(claim.name, string: claim.value) }
        let jwk = keys[issuerIndex]
        let text = try TokenMint.token(
            claims: claims.text().span, key: jwk.key, algorithm: jwk.algorithm, keyID: jwk.keyID)
        return String(decoding: text, as: UTF8.self)
    }

    private func times(of state: TestToken.State, for issuer: IssuerModel, at time: Int64) -> TestToken.Times {
        let leeway = Int64(issuer.leewaySeconds)
        let lifetime = issuer.lifetimeSecondsMax > 0 ? Int64(issuer.lifetimeSecondsMax) : Int64.max
        return switch state {
        case .valid: TestToken.Times(issuedAt: time, expiresAt: time + min(3_600, lifetime))
        case .expired:
            TestToken.Times(issuedAt: time - leeway - 1 - min(3_600, lifetime), expiresAt: time - leeway - 1)
        case .notYetValid:
            TestToken.Times(
                issuedAt: time, notBefore: time + leeway + 3_600, expiresAt: time + min(leeway + 7_200, lifetime))
        }
    }
}

/// An array of objects (RFC 9396 §2); empty lists are left out.
private func detailsJSON(_ details: [DetailModel]) -> [UInt8] {
    let objects = details.map { detail in
        var writer = JSONObjectWriter()
        writer.add("type", string: detail.type)
        if !detail.actions.isEmpty { writer.add("actions", strings: detail.actions) }
        if !detail.locations.isEmpty { writer.add("locations", strings: detail.locations) }
        return writer.text()
    }
    return [0x5B] + Array(objects.joined(separator: [0x2C])) + [0x5D]
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
