/// Why a token is not taken. The names are those of the decision's reasons.
///
/// A token that fails for several causes is refused for the first in the order of `TokenVerifier.verify`:
/// form, header, issuer, key, signature, and only then what the claims say, so that someone who cannot sign
/// learns nothing about expiry or audience.
public enum TokenRefusal: UInt8, CaseIterable, Error, Sendable {
    /// More than `TokenLimits.tokenBytesMax` bytes.
    case tooLarge
    /// Not three non-empty base64url parts, strictly spelled, with two dots between.
    case malformed
    /// Five parts: a JWE. Only signed tokens are taken.
    case encrypted
    /// The protected header is not strict JSON, or `alg`, `kid`, `typ` or `cty` is not what it must be.
    case headerMalformed
    /// `typ` or `cty` says that this is no access token of the issuer's profile.
    case typeMismatch
    /// `alg` is none that this build, the issuer or the key takes.
    case algorithmNotAllowed
    /// The header has `crit`; no extension is understood (RFC 7515 §4.1.11).
    case criticalHeader
    /// The claims are not strict JSON, or a claim that is used has the wrong type or range.
    case claimsMalformed
    case unknownIssuer
    case unknownKey
    case signatureInvalid
    /// A claim that the issuer's profile demands is absent.
    case missingClaim
    case expired
    /// `nbf`, or an `iat` more than five minutes ahead, lies in the future.
    case notYetValid
    case audienceMismatch
    /// The token is bound to a key (`cnf`) by a method that is not known, or the verifier takes no bound tokens.
    case proofRequired
    /// `exp` lies further behind `iat` than the issuer's tokens may live.
    case lifetimeTooLong

    /// The stable name: snake case.
    public var name: StaticString {
        switch self {
        case .tooLarge: "token_too_large"
        case .malformed: "token_malformed"
        case .encrypted: "token_encrypted"
        case .headerMalformed: "header_malformed"
        case .typeMismatch: "token_type_mismatch"
        case .algorithmNotAllowed: "algorithm_not_allowed"
        case .criticalHeader: "critical_header"
        case .claimsMalformed: "claims_malformed"
        case .unknownIssuer: "unknown_issuer"
        case .unknownKey: "unknown_key"
        case .signatureInvalid: "signature_invalid"
        case .missingClaim: "missing_claim"
        case .expired: "expired"
        case .notYetValid: "not_yet_valid"
        case .audienceMismatch: "audience_mismatch"
        case .proofRequired: "proof_required"
        case .lifetimeTooLong: "lifetime_too_long"
        }
    }
}

/// Bounds on tokens, each checked before the bytes it bounds are looked at.
public enum TokenLimits {
    /// Proxies take header lines of 8 to 16 KiB; a token cannot be longer than its line.
    public static let tokenBytesMax = 16_384
    /// Key identifiers are names, thumbprints or URLs.
    public static let keyIDBytesMax = 1_024
    /// A grant check walks every scope of the token.
    public static let scopesMax = 1_024
    /// How far ahead of our clock an issuer's `iat` may be, seconds.
    public static let issuedAheadSecondsMax: Int64 = 300
    /// A JWK set of 256 RSA keys with certificate chains stays well below.
    public static let keySetBytesMax = 1_048_576
    public static let keysMax = 256
}
