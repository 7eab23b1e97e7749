/// `Bearer realm="orders", error="…", error_description="…", scope="orders:read"` (RFC 6750 §3): the realm is the
/// service's name; the scopes are those of the very route, and of it alone.
///
/// This is the `error` of a Bearer challenge (RFC 6750 §3.1); none when the request carried no token.
enum ChallengeError {
    /// Longest list of scopes put into one challenge; a longer one is left out as a whole, since a part of it would
    /// be a wrong statement.
    static let scopeBytesMax = 1_024

    case none
    case invalidRequest
    case invalidToken
    case insufficientScope

    init?(_ reason: Reason) {
        switch reason {
        case .noToken, .unsupportedScheme: self = .none
        case .multipleCredentials, .malformedAuthorization: self = .invalidRequest
        case .insufficientScope, .bindingMismatch: self = .insufficientScope
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
        }
    }
}
