internal import Octets
internal import PolicyTables
internal import Signatures
internal import Tokens

/// The `error` of a challenge (RFC 6750 §3.1, RFC 9449 §7.1, RFC 9470 §3); none when the request carried no token.
enum ChallengeError {
    /// Longest list of scopes put into one challenge; a longer one is left out as a whole, since a part of it would
    /// be a wrong statement.
    static let scopeBytesMax = 1_024

    case none
    case invalidRequest
    case invalidToken
    case insufficientScope
    /// More scopes are no help: the client may not have them.
    case unapprovedClient
    case invalidProof
    case nonceRequired
    case insufficientAuthentication

    init?(_ reason: Reason) {
        switch reason {
        case .noToken, .unsupportedScheme: self = .none
        case .multipleCredentials, .malformedAuthorization: self = .invalidRequest
        case .insufficientScope, .bindingMismatch, .insufficientDetails: self = .insufficientScope
        case .overScoped, .unknownClient: self = .unapprovedClient
        case .invalidProof, .proofReplayed: self = .invalidProof
        case .nonceRequired: self = .nonceRequired
        case .stepUpRequired: self = .insufficientAuthentication
        default:
            guard reason.status == 401 else { return nil }
            self = .invalidToken
        }
    }

    /// One public sentence for each kind of refusal: which check failed is said in the log alone.
    var text: StaticString {
        switch self {
        case .none: ""
        case .invalidRequest:
            ", error=\"invalid_request\", error_description=\"The request must carry exactly one well-formed access token\""
        case .invalidToken:
            ", error=\"invalid_token\", error_description=\"The access token is not valid for this request\""
        case .insufficientScope:
            ", error=\"insufficient_scope\", error_description=\"The access token does not carry what this request requires\""
        case .unapprovedClient:
            ", error=\"insufficient_scope\", error_description=\"The access token is not approved for its client\""
        case .invalidProof:
            ", error=\"invalid_dpop_proof\", error_description=\"The DPoP proof is not valid for this request\""
        case .nonceRequired:
            ", error=\"use_dpop_nonce\", error_description=\"The DPoP proof must carry the nonce of this answer\""
        case .insufficientAuthentication:
            ", error=\"insufficient_user_authentication\", error_description=\"The user must authenticate once more\""
        }
    }
}

// `Bearer realm="orders", error="…", error_description="…", scope="orders:read"` (RFC 6750 §3): the realm is the
// service's name; the scopes are those of the very route, and of it alone. With DPoP, `algs` follows the realm, then
// `resource_metadata` where the service publishes any, and `acr_values` and `max_age` follow the error where the user
// has to authenticate again.
//
// An error is said in the scheme that was used. A request without one is told of both where the route takes both:
// `Bearer realm="orders", scope="orders:read", DPoP algs="ES256 RS256"`, in one field line.

extension DecisionState {
    mutating func writeChallenge(
        _ reason: Reason, table: borrowing HostTable, rule: RouteRule, service: borrowing ServiceRecord,
        catalogue: borrowing Catalogue, issuers: IssuerSnapshot
    ) {
        guard let error = ChallengeError(reason) else { return }
        let start = answer.text.count
        let isDPoP = isChallengedAsDPoP(reason, rule.proof)
        answer.text.append(isDPoP ? "DPoP realm=\"" : "Bearer realm=\"")
        answer.text.append(service.name)
        answer.text.append(0x22)
        if isDPoP { appendAlgorithms(", algs=\"", service, issuers) }
        appendMetadata(service.metadataURL)
        answer.text.append(error.text)
        // An answer that does not fit so far must stay known as one.
        guard answer.isComplete else { return }
        if error == .insufficientAuthentication { appendAuthentication(table, rule) }
        // Whoever is told of scopes asks for them.
        if error != .unapprovedClient { appendScopes(table, rule, catalogue) }
        let isOpen = error == .none || (error == .invalidRequest && scheme == .none)
        if !isDPoP, isOpen, rule.proof != .certificate {
            let mark = answer.text.count
            appendAlgorithms(", DPoP algs=\"", service, issuers)
            if answer.text.count > mark { answer.text.append(error.text) }
            if answer.text.overflowed { answer.text.rewind(to: mark) }
        }
        answer.close(.challenge, from: start)
    }

    /// `, scope="…"`, where the list is not too long.
    private mutating func appendScopes(
        _ table: borrowing HostTable, _ rule: RouteRule, _ catalogue: borrowing Catalogue
    ) {
        let mark = answer.text.count
        answer.text.append(", scope=\"")
        appendRequired(table, rule, catalogue, heldBy: nil)
        answer.text.append(0x22)
        if answer.text.count - mark > ChallengeError.scopeBytesMax || answer.text.overflowed {
            answer.text.rewind(to: mark)
        }
    }

    private func isChallengedAsDPoP(_ reason: Reason, _ demand: ProofDemand) -> Bool {
        if demand == .dpop || scheme == .dpop { return true }
        // A client that sent as Bearer what must not be sent so needs to know how else.
        return reason == .proofRequired && demand != .certificate && token != nil
    }

    /// `, resource_metadata="…"` (RFC 9728 §5.1), where the service has metadata and room stays for the rest.
    private mutating func appendMetadata(_ url: Span<UInt8>) {
        guard url.count > 0, answer.isComplete else { return }
        for index in url.indices {
            // What a quoted string cannot hold as it is comes from no policy.
            guard url[index] > 0x20, url[index] < 0x7F, url[index] != 0x22, url[index] != 0x5C else { return }
        }
        let mark = answer.text.count
        answer.text.append(", resource_metadata=\"")
        answer.text.append(url)
        answer.text.append(0x22)
        if answer.text.overflowed || answer.freeCount < ChallengeError.scopeBytesMax { answer.text.rewind(to: mark) }
    }

    /// What the issuer of the token takes; without one, what all issuers of the service take, in the order of the
    /// first. Nothing is written when that is none.
    private mutating func appendAlgorithms(
        _ name: StaticString, _ service: borrowing ServiceRecord, _ issuers: IssuerSnapshot
    ) {
        guard let first = token?.issuerIndex ?? service.issuer(0), first < issuers.issuers.count else { return }
        let start = answer.text.count
        answer.text.append(name)
        let listed = answer.text.count
        var index = 0
        while let algorithm = issuers.issuers[first].settings.proofRules.algorithm(index) {
            index += 1
            guard token != nil || isTaken(algorithm, service, issuers) else { continue }
            if answer.text.count > listed { answer.text.append(0x20) }
            for byte in algorithm.name.utf8 { answer.text.append(byte) }
        }
        guard answer.text.count > listed else { return answer.text.truncate(to: start) }
        answer.text.append(0x22)
    }

    private func isTaken(
        _ algorithm: SignatureAlgorithm, _ service: borrowing ServiceRecord, _ issuers: IssuerSnapshot
    ) -> Bool {
        for index in 0..<service.issuerCount {
            guard let issuer = service.issuer(index), issuer < issuers.issuers.count,
                issuers.issuers[issuer].settings.proofRules.allows(algorithm)
            else { return false }
        }
        return true
    }

    /// `, acr_values="…", max_age="300"`.
    private mutating func appendAuthentication(_ table: borrowing HostTable, _ rule: RouteRule) {
        let mark = answer.text.count
        for index in 0..<rule.acrCount {
            answer.text.append(index == 0 ? ", acr_values=\"" : " ")
            if let value = table.acr(of: rule, index) { answer.text.append(value) }
        }
        if rule.acrCount > 0 { answer.text.append(0x22) }
        // As with scopes, a part of them would be a wrong statement; and room must stay for the rest.
        if answer.text.overflowed || answer.freeCount < ChallengeError.scopeBytesMax { answer.text.rewind(to: mark) }
        if rule.authenticationAgeSecondsMax > 0 {
            answer.text.append(", max_age=\"")
            answer.text.append(decimal: UInt64(rule.authenticationAgeSecondsMax))
            answer.text.append(0x22)
        }
    }
}
