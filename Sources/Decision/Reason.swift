/// Why a decision came out as it did. The raw values and names are stable: logs, metrics, policies' own
/// tests and the answers carry them.
public enum Reason: UInt16, CaseIterable, Sendable {
    // Grounds to allow.
    /// The token carries the scopes that the route requires.
    case granted = 1
    /// The route is public.
    case `public` = 2
    /// A CORS preflight on a path that lists one.
    case preflight = 3
    /// Would have been denied; the route is in observe mode and its date has not passed.
    case observed = 4

    // Cannot answer: 503.
    /// No policy has been loaded.
    case noPolicy = 10
    /// The issuer's keys have never been fetched.
    case keysUnavailable = 11
    /// The issuer's keys are older than the longest time they may be used.
    case keysStale = 12
    /// The compiled policy could not be read.
    case policyUnreadable = 13
    /// A limit of the daemon is reached.
    case overloaded = 14
    /// No more proofs can be remembered; forgetting one would let it be used twice.
    case replayCacheFull = 15
    /// The issuer could not be asked whether the token is active.
    case introspectionUnavailable = 16
    /// The token's status list is not to be had.
    case statusUnavailable = 17
    /// The route wants a transaction token and nothing is there to sign it with.
    case signingUnavailable = 18

    // The request itself: 403, no challenge.
    /// The proxy did not send a fact that its profile demands.
    case missingFact = 20
    /// A fact was sent twice or is not of its form.
    case conflictingFacts = 21
    /// A backend could read the target in another way.
    case ambiguousTarget = 22
    /// The proxy's own reading of the path differs from ours.
    case pathMismatch = 23
    /// The host is none of the policy's.
    case unknownHost = 24
    /// The path is none of the service's.
    case unknownRoute = 25
    /// The path is known, the method is not listed there.
    case methodNotAllowed = 26
    /// The route is not open on this port.
    case portNotAllowed = 27
    /// The proxy sent more about the request than is taken.
    case requestTooLarge = 28
    /// What the service published has ended, and nothing has taken its place.
    case publicationEnded = 29

    // Credentials: 401 with `invalid_request`, 400 at the client.
    /// More than one credential, or more than one way of sending it.
    case multipleCredentials = 30
    /// The Authorization header is not of its form.
    case malformedAuthorization = 31

    // 401.
    /// No access token on the request.
    case noToken = 32
    /// The scheme is one that this issuer or build does not take.
    case unsupportedScheme = 33
    /// Sent as DPoP, and bound to no key.
    case tokenNotBound = 34
    /// The token is bound to a certificate and the client presented none.
    case certificateRequired = 35
    /// The token is bound to another certificate.
    case certificateMismatch = 36
    /// The user's authentication is too old or of the wrong kind for the route (RFC 9470).
    case stepUpRequired = 37

    // The token: 401, `invalid_token`.
    case tokenTooLarge = 40
    case tokenMalformed = 41
    case tokenEncrypted = 42
    case headerMalformed = 43
    case tokenTypeMismatch = 44
    case algorithmNotAllowed = 45
    case criticalHeader = 46
    case claimsMalformed = 47
    case unknownIssuer = 48
    case issuerNotAllowed = 49
    case unknownKey = 50
    case signatureInvalid = 51
    case missingClaim = 52
    case expired = 53
    case notYetValid = 54
    case audienceMismatch = 55
    /// The token is bound to a key (`cnf`) and sent without proof, or bound in a way that this build does not know, or
    /// the route demands a bound token.
    case proofRequired = 56
    /// The DPoP proof is missing its form, does not fit the request or the token, or its signature is wrong.
    case invalidProof = 57
    /// The DPoP proof must carry a nonce of ours (RFC 9449 §9).
    case nonceRequired = 58
    /// The DPoP proof was used before.
    case proofReplayed = 59

    // The token is good, not enough: 403, `insufficient_scope`.
    case insufficientScope = 60
    /// A claim does not equal the segment of the path that the route binds to it.
    case bindingMismatch = 61
    /// `authorization_details` do not allow what the route demands (RFC 9396).
    case insufficientDetails = 62
    /// The token amounts to more than is approved for its client.
    case overScoped = 63
    /// The client is none of the policy's, and the issuer's unknown clients are refused.
    case unknownClient = 64

    // The certificate on a connection without HTTP: closed.
    /// The client presented no certificate.
    case noCertificate = 70
    /// The proxy says that the certificate's chain does not verify.
    case certificateNotVerified = 71
    /// Not the DER of a certificate, or names in it that cannot be compared.
    case certificateMalformed = 72
    case certificateExpired = 73
    case certificateNotYetValid = 74
    /// No name in the certificate is a client of the policy.
    case unknownCertificate = 75
    /// Names in the certificate belong to different clients.
    case ambiguousCertificate = 76

    // The token again: 401, `invalid_token`.
    /// Revoked here.
    case revoked = 80
    /// The issuer says that it is not active (RFC 7662).
    case tokenInactive = 81
    /// Its status list says invalid, or something that is not known to mean valid.
    case statusInvalid = 82
    /// Its status list says suspended.
    case statusSuspended = 83
    case lifetimeTooLong = 84

    /// The stable name: snake case.
    public var name: StaticString {
        switch self {
        case .granted: "granted"
        case .public: "public"
        case .preflight: "preflight"
        case .observed: "observed"
        case .noPolicy: "no_policy"
        case .keysUnavailable: "keys_unavailable"
        case .keysStale: "keys_stale"
        case .policyUnreadable: "policy_unreadable"
        case .overloaded: "overloaded"
        case .replayCacheFull: "replay_cache_full"
        case .introspectionUnavailable: "introspection_unavailable"
        case .statusUnavailable: "status_unavailable"
        case .signingUnavailable: "signing_unavailable"
        case .missingFact: "missing_fact"
        case .conflictingFacts: "conflicting_facts"
        case .ambiguousTarget: "ambiguous_target"
        case .pathMismatch: "path_mismatch"
        case .unknownHost: "unknown_host"
        case .unknownRoute: "unknown_route"
        case .methodNotAllowed: "method_not_allowed"
        case .portNotAllowed: "port_not_allowed"
        case .requestTooLarge: "request_too_large"
        case .multipleCredentials: "multiple_credentials"
        case .malformedAuthorization: "malformed_authorization"
        case .noToken: "no_token"
        case .unsupportedScheme: "unsupported_scheme"
        case .tokenNotBound: "token_not_bound"
        case .certificateRequired: "certificate_required"
        case .certificateMismatch: "certificate_mismatch"
        case .stepUpRequired: "insufficient_user_authentication"
        case .tokenTooLarge: "token_too_large"
        case .tokenMalformed: "token_malformed"
        case .tokenEncrypted: "token_encrypted"
        case .headerMalformed: "header_malformed"
        case .tokenTypeMismatch: "token_type_mismatch"
        case .algorithmNotAllowed: "algorithm_not_allowed"
        case .criticalHeader: "critical_header"
        case .claimsMalformed: "claims_malformed"
        case .unknownIssuer: "unknown_issuer"
        case .issuerNotAllowed: "issuer_not_allowed"
        case .unknownKey: "unknown_key"
        case .signatureInvalid: "signature_invalid"
        case .missingClaim: "missing_claim"
        case .expired: "expired"
        case .notYetValid: "not_yet_valid"
        case .audienceMismatch: "audience_mismatch"
        case .proofRequired: "proof_required"
        case .invalidProof: "invalid_dpop_proof"
        case .nonceRequired: "use_dpop_nonce"
        case .proofReplayed: "proof_replayed"
        case .insufficientScope: "insufficient_scope"
        case .bindingMismatch: "binding_mismatch"
        case .insufficientDetails: "insufficient_authorization_details"
        case .noCertificate: "no_certificate"
        case .certificateNotVerified: "certificate_not_verified"
        case .certificateMalformed: "certificate_malformed"
        case .certificateExpired: "certificate_expired"
        case .certificateNotYetValid: "certificate_not_yet_valid"
        case .unknownCertificate: "unknown_certificate"
        case .ambiguousCertificate: "ambiguous_certificate"
        case .revoked: "revoked"
        case .tokenInactive: "token_inactive"
        case .statusInvalid: "status_invalid"
        case .statusSuspended: "status_suspended"
        case .lifetimeTooLong: "lifetime_too_long"
        case .publicationEnded: "publication_ended"
        case .overScoped: "over_scoped"
        case .unknownClient: "unknown_client"
        }
    }

    /// The HTTP status that the adapters answer with.
    public var status: UInt16 {
        switch rawValue {
        case 1..<10: 200
        case 10..<20: 503
        case 20..<30: 403
        case 30..<60, 80..<90: 401
        default: 403
        }
    }

    /// What the client sent is malformed (RFC 6750 §3.1 `invalid_request`): 400 at the client.
    public var isInvalidRequest: Bool {
        self == .multipleCredentials || self == .malformedAuthorization
    }

    /// The facts themselves were not as a proxy sends them, so that the bytes behind them are not to be trusted.
    public var areFactsDoubtful: Bool {
        switch self {
        case .missingFact, .conflictingFacts, .ambiguousTarget, .pathMismatch: true
        default: false
        }
    }
}
