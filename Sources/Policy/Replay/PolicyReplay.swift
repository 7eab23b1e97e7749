public import Decision
internal import PolicyTables

/// Decides recorded decisions again under another policy, on its compiled tables: the token that was recorded is made
/// again, signed by a key made for the run, with everything that was kept of it.
public final class PolicyReplay {
    /// What the policy would have decided.
    public enum Result: Sendable, Equatable {
        case decided(Reason, route: String)
        /// It asks for something that no record holds.
        case unknown(why: String)
    }

    private let model: PolicyModel
    private let runner: PolicyTestRunner
    /// Claims that each route binds to its path, by service and route.
    private let boundClaims: [[String]: Set<String>]

    /// - Parameter now: Unix seconds, for the keys alone.
    public init(_ trial: PolicyTrial, now: Int64) throws {
        model = trial.model
        runner = try PolicyTestRunner(trial, now: now)
        var claims: [[String]: Set<String>] = [:]
        for service in trial.model.services {
            for route in service.routes where !route.bindings.isEmpty {
                claims[[service.name, route.label], default: []].formUnion(route.bindings.map(\.claim))
            }
        }
        boundClaims = claims
    }

    public func decide(_ recorded: RecordedDecision) throws -> Result {
        guard let token = recorded.token else { return try decideWithoutToken(recorded) }
        let without = try run(recorded, nil)
        // Public routes, preflights and requests that are refused whatever they carry.
        if without.reason != .noToken { return .decided(without.reason, route: without.route ?? "") }
        guard model.issuers.contains(where: { $0.issuer == token.issuer }) else {
            return .decided(.unknownIssuer, route: without.route ?? "")
        }
        let result = try run(recorded, token)
        switch result.reason {
        case .bindingMismatch:
            let kept = Set(token.claims.map(\.name))
            let bound = boundClaims[[result.service ?? "", result.route ?? ""]] ?? []
            let missing = bound.subtracting(kept).subtracting(["sub", "client_id"]).sorted()
            if let first = missing.first {
                return .unknown(why: "the claim `\(first)` was not recorded")
            }
        case .insufficientDetails:
            return .unknown(why: "`authorization_details` are not recorded")
        default: break
        }
        return .decided(result.reason, route: result.route ?? "")
    }

    /// What was wrong with the credential then is as wrong under another policy, unless that needs none. What another
    /// policy may see otherwise is unknown, since the token was not kept.
    private func decideWithoutToken(_ recorded: RecordedDecision) throws -> Result {
        let result = try run(recorded, nil)
        guard result.reason == .noToken else { return .decided(result.reason, route: result.route ?? "") }
        switch recorded.reason {
        case .noToken, .malformedAuthorization, .multipleCredentials, .unsupportedScheme, .tokenTooLarge,
            .tokenMalformed, .headerMalformed, .criticalHeader, .claimsMalformed:
            return .decided(recorded.reason, route: result.route ?? "")
        case .public, .preflight, .unknownHost, .unknownRoute, .methodNotAllowed, .portNotAllowed, .publicationEnded:
            // It was not asked for a token.
            return .unknown(why: "no token was recorded, and the route needs one")
        default:
            return .unknown(why: "what the token held was not recorded: it was refused with `\(recorded.reason.name)`")
        }
    }

    private func run(_ recorded: RecordedDecision, _ token: RecordedDecision.Token?) throws -> PolicyTestResult {
        var made: TestToken?
        if let token {
            var test = TestToken()
            test.scopes = token.scopes
            test.subject = token.subject
            test.client = token.client
            test.issuer = token.issuer
            test.audiences = token.audiences
            test.claims = token.claims.filter { !["sub", "iss", "aud", "exp", "iat", "jti"].contains($0.name) }
            test.proof = token.proof
            test.authenticationContext = token.authenticationContext
            test.authenticationAgeSeconds = token.authenticatedAt.map { Int(clamping: recorded.at - $0) }
            made = test
        }
        let asked = recorded.request
        let request = TestRequest(
            text: recorded.example, method: asked.method, scheme: asked.scheme, host: asked.host, port: asked.port,
            target: asked.path, token: made, origin: asked.origin,
            accessControlRequestMethod: asked.accessControlRequestMethod,
            uri: "\(asked.scheme)://\(asked.host)\(asked.path)")
        let place = SourcePosition(line: 1, column: 1)
        return try runner.run(
            PolicyTest(
                position: place, attempt: .request(request), time: recorded.at, expectation: .allow,
                expectationPosition: place))
    }
}
