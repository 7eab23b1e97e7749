public import Decision
internal import PolicyTables

/// Decides recorded decisions again under another policy, on its compiled tables: the token that was recorded is made
/// again, signed by a key made for the run, with everything that was kept of it.
///
/// What such a token cannot show is unknown: whether the real one verifies by other settings, whether another place
/// holds one, and what claims say that were not kept.
public final class PolicyReplay {
    /// What the policy would have decided.
    public enum Result: Sendable, Equatable {
        case decided(Reason, route: String)
        /// It asks for something that no record holds.
        case unknown(why: String)
    }

    /// What a route asks of a token beyond its scopes; of several with one name, what any of them does.
    private struct RouteDemands {
        var claims: Set<String> = []
        var hasDetails = false
    }

    private let model: PolicyModel
    private let settings: VerificationSettings
    private let runner: PolicyTestRunner
    private let asksIssuers: Bool
    /// By service and route.
    private let demands: [[String]: RouteDemands]

    /// - Parameters:
    ///   - settings: of the same policy.
    ///   - now: Unix seconds, for the keys alone.
    public init(_ trial: PolicyTrial, settings: VerificationSettings, now: Int64) throws {
        model = trial.model
        self.settings = settings
        runner = try PolicyTestRunner(trial, now: now)
        asksIssuers = model.issuers.contains { $0.introspection != nil }
        var demands: [[String]: RouteDemands] = [:]
        for service in trial.model.services {
            for route in service.routes where !route.bindings.isEmpty || !route.details.isEmpty {
                demands[[service.name, route.label], default: RouteDemands()].claims.formUnion(
                    route.bindings.map(\.claim))
                if !route.details.isEmpty { demands[[service.name, route.label]]?.hasDetails = true }
            }
        }
        self.demands = demands
    }

    public func decide(_ recorded: RecordedDecision) throws -> Result {
        if recorded.isConnection { return .unknown(why: "certificates of connections are not recorded") }
        if recorded.reason.isOfFactsAlone { return .decided(recorded.reason, route: recorded.route) }
        guard recorded.hasUsableTime else { return .unknown(why: "its time is before 1970 or after the year 9999") }
        let without = try run(recorded, nil)
        // Public routes, preflights and requests that are refused whatever they carry.
        guard without.reason == .noToken || without.reason == .observed else {
            // The query, which is not kept, may have made it ambiguous.
            if recorded.reason == .ambiguousTarget, without.reason != .ambiguousTarget {
                return .unknown(why: "the whole target of an ambiguous request is not recorded")
            }
            return .decided(without.reason, route: without.route ?? "")
        }
        if recorded.reason == .ambiguousTarget {
            return .unknown(why: "the whole target of an ambiguous request is not recorded")
        }
        if recorded.credentialPlaces == [] { return .decided(without.reason, route: without.route ?? "") }
        guard findsTheSameCredential(recorded, without) else {
            return .unknown(why: "the token may be looked for elsewhere than when it was recorded")
        }
        guard let token = recorded.token else { return refusal(of: recorded, without) }
        return use(token, recorded, without)
    }

    /// The Authorization header is looked at by every service; other places by some.
    private func findsTheSameCredential(_ recorded: RecordedDecision, _ found: PolicyTestResult) -> Bool {
        guard let places = recorded.credentialPlaces else { return false }
        if places.allSatisfy({ $0 == "authorization" }) { return true }
        guard let source = recorded.tokenSource else { return false }
        return source == settings.tokenSource(ofService: found.service ?? "")
    }

    /// What was wrong with a credential then is as wrong now, as far as no setting has a say in it, or none that is
    /// another one now.
    private func refusal(of recorded: RecordedDecision, _ without: PolicyTestResult) -> Result {
        let reason = recorded.observedReason ?? recorded.reason
        let isCertain =
            switch reason {
            case .noToken, .malformedAuthorization, .multipleCredentials, .unsupportedScheme, .tokenTooLarge,
                .criticalHeader:
                true
            // Where issuers are asked, it may be a token that only one of them can read.
            case .tokenMalformed, .headerMalformed, .tokenEncrypted: !asksIssuers
            case .tokenTypeMismatch, .algorithmNotAllowed, .claimsMalformed, .unknownIssuer, .unknownKey,
                .signatureInvalid, .missingClaim, .expired, .notYetValid, .audienceMismatch, .proofRequired,
                .lifetimeTooLong:
                settings.all != nil && recorded.settings == settings.all
            default: false
            }
        guard isCertain else {
            return .unknown(why: "what the request carried was not recorded: it came to `\(reason.name)`")
        }
        return .decided(without.reason == .observed ? .observed : reason, route: without.route ?? "")
    }

    private func use(
        _ token: RecordedDecision.Token, _ recorded: RecordedDecision, _ without: PolicyTestResult
    ) -> Result {
        let route = without.route ?? ""
        guard model.issuers.contains(where: { $0.issuer == token.issuer }) else {
            return .decided(without.reason == .observed ? .observed : .unknownIssuer, route: route)
        }
        guard let then = token.settings, token.times != nil, then == settings.digest(ofIssuer: token.issuer) else {
            return .unknown(why: "the token was verified by other settings of its issuer, or the record has none")
        }
        guard let result = try? run(recorded, token, service: without.service), !isOfTheTokenMade(result.reason) else {
            return .unknown(why: "a token as the recorded one could not be made again")
        }
        if let other = possession(of: token, recorded, result, isObserved: without.reason == .observed) { return other }
        let demands = demands[[result.service ?? "", route]] ?? RouteDemands()
        switch result.reason {
        case .granted, .observed, .bindingMismatch, .insufficientDetails, .stepUpRequired:
            if let first = demands.claims.subtracting(claimsKept(of: token)).min() {
                return .unknown(why: "the claim `\(first)` was not recorded")
            }
            // Without them nothing beyond them is reached either.
            if demands.hasDetails, result.reason != .bindingMismatch {
                return .unknown(why: "`authorization_details` are not recorded")
            }
        default: break
        }
        return .decided(result.reason, route: result.route ?? "")
    }

    /// What the real token's sender would have come to: the token made again always has its proof with it.
    /// - Parameter isObserved: the route lets pass what a token lacks.
    /// - Returns: nil for what `result` says.
    private func possession(
        of token: RecordedDecision.Token, _ recorded: RecordedDecision, _ result: PolicyTestResult, isObserved: Bool
    ) -> Result? {
        let reason = recorded.observedReason ?? recorded.reason
        switch result.reason {
        // Looked at before the proof.
        case .issuerNotAllowed, .audienceMismatch, .expired, .notYetValid, .lifetimeTooLong, .missingClaim: return nil
        default: break
        }
        guard token.proof != nil else {
            // Sent as DPoP and bound to nothing.
            guard reason == .tokenNotBound else { return nil }
            return .decided(isObserved ? .observed : reason, route: result.route ?? "")
        }
        let now = settings.proofDigest(
            issuer: token.issuer, service: result.service ?? "", route: result.route ?? "", port: recorded.request.port)
        guard let then = token.proofSettings, then == now else {
            return .unknown(why: "the token's proof was checked by other settings, or the record has none")
        }
        guard result.reason != .invalidProof || reason == .invalidProof else {
            return .unknown(why: "the token's proof could not be made again")
        }
        switch reason {
        case .proofRequired, .invalidProof, .nonceRequired, .proofReplayed, .tokenNotBound, .certificateRequired,
            .certificateMismatch:
            return .decided(isObserved ? .observed : reason, route: result.route ?? "")
        // The proof was not looked at.
        case .issuerNotAllowed, .audienceMismatch:
            return .unknown(why: "whether the token's proof is good was not recorded")
        default: return nil
        }
    }

    /// What is no fault of the real token, which was verified by the same settings.
    private func isOfTheTokenMade(_ reason: Reason) -> Bool {
        switch reason {
        case .tokenTooLarge, .tokenMalformed, .headerMalformed, .tokenTypeMismatch, .algorithmNotAllowed,
            .claimsMalformed, .unknownIssuer, .unknownKey, .signatureInvalid:
            true
        default: false
        }
    }

    /// Claims that the token made again has as the real one had them, or lacks as it did.
    private func claimsKept(of token: RecordedDecision.Token) -> Set<String> {
        let issuer = model.issuers.first { $0.issuer == token.issuer }
        // Every token made here has these.
        let written: Set<String> = ["jti", "client_id", issuer?.scopeClaim ?? "scope"]
        return Set(token.claims.map(\.name)).union(["sub", "acr"]).union(clientClaim(of: token))
            .union(Set(token.absentClaims).subtracting(written))
    }

    private func clientClaim(of token: RecordedDecision.Token) -> Set<String> {
        Set(model.issuers.filter { $0.issuer == token.issuer }.map(\.clientClaim))
    }

    /// - Parameter service: that the request came to without a token.
    private func run(
        _ recorded: RecordedDecision, _ token: RecordedDecision.Token?, service: String? = nil
    ) throws -> PolicyTestResult {
        let asked = recorded.request
        let publicPort = model.services.first { $0.name == service }?.publicPort ?? 0
        let port = publicPort > 0 ? publicPort : asked.port
        let request = TestRequest(
            text: recorded.example, method: asked.method, scheme: asked.scheme, host: asked.host, port: asked.port,
            target: asked.path, token: token.map { made($0, at: recorded.at) }, origin: asked.origin,
            accessControlRequestMethod: asked.accessControlRequestMethod,
            uri: "\(asked.scheme)://\(asked.host):\(port)\(asked.path)")
        let place = SourcePosition(line: 1, column: 1)
        return try runner.run(
            PolicyTest(
                position: place, attempt: .request(request), time: recorded.at, expectation: .allow,
                expectationPosition: place))
    }

    /// With what was kept of it.
    private func made(_ token: RecordedDecision.Token, at time: Int64) -> TestToken {
        var made = TestToken()
        made.times = token.times
        made.scopes = token.scopes
        made.subject = token.subject
        made.issuer = token.issuer
        made.audiences = token.audiences
        made.proof = token.proof
        made.authenticationContext = token.authenticationContext
        made.authenticationAgeSeconds = token.authenticatedAt.map { Int(clamping: time - $0) }
        made.claims = token.claims.filter { !PolicyReplay.claimsOfTheirOwn.contains($0.name) }
        // A test names clients as the policy does; a record, as the token does.
        for name in clientClaim(of: token) where !made.claims.contains(where: { $0.name == name }) {
            if !PolicyReplay.claimsOfTheirOwn.contains(name) {
                made.claims.append(TestToken.Claim(name: name, value: token.client))
            }
        }
        return made
    }

    /// Written from other members of a record.
    private static let claimsOfTheirOwn: Set<String> = [
        "iss", "sub", "aud", "iat", "nbf", "exp", "cnf", "acr", "auth_time", "authorization_details",
    ]
}
