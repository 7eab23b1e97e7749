internal import Decision
internal import Octets
internal import PolicyTables
internal import Tokens

/// What became of one check of a decision.
public enum CheckResult: String, CaseIterable, Sendable {
    case passed
    /// The decision ended here; in observe mode, enforcement would have.
    case denied = "denied here"
    case notReached = "not reached"
    /// There is nothing to check: the route, the token or the policy asks for nothing of the kind.
    case notApplicable = "does not apply"
    /// Only the running daemon, or the proxy, can tell.
    case notMade = "not made here"

    /// For JSON: snake case.
    public var name: String { rawValue.replacing(" ", with: "_") }

    /// For people: a line for each check that was made, then one for all of each other kind.
    /// - Parameter isObserved: whether the denial was let through.
    public static func lines(_ checks: [(name: String, result: CheckResult)], isObserved: Bool) -> [String] {
        var lines: [String] = []
        for check in checks where check.result == .passed || check.result == .denied {
            let isLetThrough = isObserved && check.result == .denied
            lines.append("  \(check.name): \(check.result.rawValue)\(isLetThrough ? ", and let through" : "")")
        }
        for kind in [CheckResult.notReached, .notApplicable, .notMade] {
            let names = checks.filter { $0.result == kind }.map(\.name)
            if !names.isEmpty { lines.append("  \(kind.rawValue): \(names.joined(separator: ", "))") }
        }
        return lines
    }
}

/// The checks of a decision on a request, in the order in which they are made.
enum ExplainedCheck: String, CaseIterable {
    case policy
    case facts
    case target
    case host
    case route
    case publication
    case credential
    case tokenForm = "token form"
    case issuer
    case key
    case signature
    case claims
    case times
    case introspection
    case revocation
    case status
    case audience
    case possession
    case client
    case scopes
    case bindings
    case details = "authorization details"
    case authentication
    case transactionToken = "transaction token"
    case replay

    private var reasons: [Reason] {
        switch self {
        case .policy: [.noPolicy, .policyUnreadable, .overloaded]
        case .facts: [.missingFact, .conflictingFacts]
        case .target: [.ambiguousTarget, .pathMismatch]
        case .host: [.unknownHost]
        case .route: [.unknownRoute, .methodNotAllowed, .portNotAllowed]
        case .publication: [.publicationEnded]
        case .credential: [.multipleCredentials, .malformedAuthorization, .noToken, .unsupportedScheme]
        case .tokenForm:
            [.tokenTooLarge, .tokenMalformed, .tokenEncrypted, .headerMalformed, .criticalHeader, .tokenTypeMismatch]
        case .issuer: [.unknownIssuer, .algorithmNotAllowed]
        case .key: [.keysUnavailable, .keysStale, .unknownKey]
        case .signature: [.signatureInvalid]
        case .claims: [.claimsMalformed, .missingClaim]
        case .times: [.expired, .notYetValid, .lifetimeTooLong]
        case .introspection: [.introspectionUnavailable, .tokenInactive]
        case .revocation: [.revoked]
        case .status: [.statusUnavailable, .statusInvalid, .statusSuspended]
        case .audience: [.audienceMismatch, .issuerNotAllowed]
        case .possession:
            [.proofRequired, .tokenNotBound, .invalidProof, .nonceRequired, .certificateRequired, .certificateMismatch]
        case .client: [.unknownClient, .overScoped]
        case .scopes: [.insufficientScope]
        case .bindings: [.bindingMismatch]
        case .details: [.insufficientDetails]
        case .authentication: [.stepUpRequired]
        case .transactionToken: [.signingUnavailable]
        case .replay: [.proofReplayed, .replayCacheFull]
        }
    }

    func fails(_ reason: Reason) -> Bool { reasons.contains(reason) }

    func isBefore(_ other: ExplainedCheck) -> Bool { place < other.place }

    /// Whether a route that needs no token does without it.
    var isOfToken: Bool { !isBefore(.credential) }

    private var place: Int { ExplainedCheck.allCases.firstIndex(of: self) ?? 0 }
}

/// What became of each check of one decision. A check was passed only where the decision can be seen to have come past it.
struct CheckTrail {
    private let details: DecisionDetails
    private let token: VerifiedToken?
    /// Whether issuers are asked, and revocations known.
    private let isDaemon: Bool
    /// Where it ended, with a denial or in observe mode; nil for an allow.
    private let failing: ExplainedCheck?
    /// Only the daemon asks the issuer what this decision depends on.
    private let isLeftToDaemon: Bool
    /// The first check that was not reached, apart from `failing`; nil when all were.
    private let end: ExplainedCheck?

    init(_ details: DecisionDetails, reason: Reason, token: VerifiedToken?, isDaemon: Bool) {
        self.details = details
        self.token = token
        self.isDaemon = isDaemon
        let decisive = details.observedReason ?? reason
        var failing = ExplainedCheck.allCases.first { $0.fails(decisive) }
        if details.introspection == .refused {
            // Its reply may be refused for any reason that a token may be.
            failing = .introspection
        } else if decisive == .algorithmNotAllowed, !details.isAlgorithmKnown {
            failing = .tokenForm
        }
        self.failing = failing
        isLeftToDaemon = !isDaemon && (decisive == .keysUnavailable || decisive == .introspectionUnavailable)
        if let failing {
            end = CheckTrail.end(at: failing, for: decisive, details, hasToken: token != nil) ?? failing
        } else {
            // A denial that belongs to no check shows nothing as passed.
            end = decisive.status == 200 ? nil : .policy
        }
    }

    /// Some reasons are found at more than one place. Nil where the check that failed has only one.
    private static func end(
        at failing: ExplainedCheck, for reason: Reason, _ details: DecisionDetails, hasToken: Bool
    ) -> ExplainedCheck? {
        guard failing != .introspection else { return nil }
        switch reason {
        case .policyUnreadable, .overloaded, .noPolicy:
            if details.path.isEmpty { return nil }
            if details.route == nil { return .host }
            if !hasToken { return .publication }
            return details.isGrantKnown ? .transactionToken : .client
        // The host did not spell a name: nothing was compared with it.
        case .unknownHost: return details.path.isEmpty ? .target : nil
        // Two readings of the path come to two routes, or the route is one that must be spelled plainly.
        case .ambiguousTarget: return details.path.isEmpty ? nil : details.route == nil ? .route : .credential
        // A second proof, seen when the token was known to be bound.
        case .multipleCredentials: return hasToken ? .possession : nil
        case .claimsMalformed, .missingClaim: return details.isIssuerKnown ? nil : .issuer
        // The issuer's audiences and an unknown kind of binding are looked at with the claims.
        case .audienceMismatch, .proofRequired: return hasToken ? nil : .introspection
        // What the issuer has said of an opaque token holds only for its time.
        default: return details.introspection == .passed && failing.isBefore(.introspection) ? .revocation : nil
        }
    }

    func result(_ check: ExplainedCheck) -> CheckResult {
        if check == failing { return isLeftToDaemon ? .notMade : .denied }
        if let known = applicability(check) { return known }
        guard let end else { return .passed }
        return check.isBefore(end) ? .passed : .notReached
    }

    /// Nil for a check that is made when the decision comes to it, or is not known not to be.
    private func applicability(_ check: ExplainedCheck) -> CheckResult? {
        guard let ground = details.ground else { return nil }
        if ground != .scopes, check.isOfToken { return .notApplicable }
        let isLacking: Bool
        switch check {
        case .publication: isLacking = !details.hasEnd
        case .tokenForm, .issuer, .key, .signature, .claims, .times:
            isLacking = details.introspection != .none && details.isOpaque
        case .introspection:
            isLacking = token != nil && details.introspection == .none
            if isLacking, !isDaemon { return .notMade }
        case .revocation:
            if token != nil, !isDaemon { return .notMade }
            isLacking = false
        case .status:
            if token != nil, !isDaemon { return .notMade }
            isLacking = token != nil && token?.status == nil
        case .possession: isLacking = token?.confirmation == TokenConfirmation.none && details.proof == .none
        case .replay:
            if case .jwkThumbprint = token?.confirmation { isLacking = false } else { isLacking = token != nil }
        case .client: isLacking = details.isGrantKnown && details.baseline == nil
        case .bindings: isLacking = !details.hasBindings
        case .details: isLacking = details.requiredDetails.isEmpty
        case .authentication:
            isLacking = details.requiredContexts.isEmpty && details.authenticationAgeSecondsMax == nil
        case .transactionToken: isLacking = !details.hasTransactionToken
        default: isLacking = false
        }
        return isLacking ? .notApplicable : nil
    }

    /// What to do where a check could not be made; for people.
    var advice: String? {
        guard isLeftToDaemon else { return nil }
        return failing == .key
            ? "a policy file has no keys of a network issuer; ask the daemon with --admin, or use `jwks_file`"
            : "no issuer is asked about a token for a policy file; ask the daemon with --admin"
    }

    /// `[{"check":"policy","result":"passed"},…]`, one for each check.
    func append(to out: inout ByteWriter) {
        out.append(0x5B)
        for check in ExplainedCheck.allCases {
            if check != .policy { out.append(0x2C) }
            out.append("{\"check\":")
            out.append(jsonString: Array(check.rawValue.utf8).span)
            out.append(",\"result\":")
            out.append(jsonString: Array(result(check).name.utf8).span)
            out.append("}")
        }
        out.append(0x5D)
    }

    /// For people: a line for each check that was made, then those that were not, by what became of them.
    var lines: [String] {
        CheckResult.lines(
            ExplainedCheck.allCases.map { ($0.rawValue, result($0)) }, isObserved: details.observedReason != nil)
    }
}
