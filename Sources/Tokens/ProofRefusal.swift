/// Why a DPoP proof (RFC 9449) is not taken. A proof that fails for several causes is refused for the first in the
/// order of `ProofVerifier.verify`.
public enum ProofRefusal: UInt8, CaseIterable, Error, Sendable {
    /// More than `ProofLimits.proofBytesMax` bytes.
    case tooLarge
    /// Not three non-empty base64url parts, strictly spelled, with two dots between.
    case malformed
    /// The header is not a strict JSON object, or has no string `alg`.
    case headerMalformed
    /// The claims are not a strict JSON object.
    case claimsMalformed
    /// `typ` is not `dpop+jwt`.
    case typeMismatch
    /// `alg` is `none`, symmetric, unknown to this build, or not one that is accepted.
    case algorithmNotAllowed
    /// The header has `crit`; no extension is understood (RFC 7515 §4.1.11).
    case criticalHeader
    /// The header has no `jwk`.
    case keyMissing
    /// `jwk` is a shared secret (`kty` oct).
    case keySymmetric
    /// `jwk` has a member of a private key; its owner has given it away.
    case keyPrivate
    /// `jwk` belongs to another algorithm than `alg`.
    case keyMismatch
    /// `jwk` is no usable public key for signatures: a member that is absent or malformed, an unknown curve, a size
    /// out of bounds, a point that is not on its curve, `use` or `key_ops` for something else.
    case keyInvalid
    case jtiMissing
    /// `jti` is no string.
    case jtiMalformed
    case jtiEmpty
    /// More than `ProofLimits.proofIDBytesMax` bytes.
    case jtiTooLong
    case htmMissing
    /// `htm` is not the request's method, in the same case.
    case htmMismatch
    case htuMissing
    /// `htu` is no absolute http or https URI that has one reading.
    case htuMalformed
    /// `htu` is another URI than the request's.
    case htuMismatch
    case iatMissing
    /// `iat` is no NumericDate.
    case iatMalformed
    case iatTooOld
    case iatTooFarAhead
    case athMissing
    /// `ath` is not the SHA-256 of the access token.
    case athMismatch
    /// A nonce is demanded, and the proof has none. Answer with `use_dpop_nonce` and a nonce (RFC 9449 §9).
    case nonceMissing
    /// The proof's nonce is none of those that are accepted. Answer as above.
    case nonceMismatch
    /// The proof's key is not the one that the access token is bound to.
    case keyNotBound
    case signatureInvalid

    /// Whether another proof with a fresh nonce may pass: the answer is then `use_dpop_nonce` (RFC 9449 §9).
    public var asksForNonce: Bool { self == .nonceMissing || self == .nonceMismatch }

    /// The stable name: snake case.
    public var name: StaticString {
        switch self {
        case .tooLarge: "proof_too_large"
        case .malformed: "proof_malformed"
        case .headerMalformed: "proof_header_malformed"
        case .claimsMalformed: "proof_claims_malformed"
        case .typeMismatch: "proof_type_mismatch"
        case .algorithmNotAllowed: "proof_algorithm_not_allowed"
        case .criticalHeader: "proof_critical_header"
        case .keyMissing: "proof_key_missing"
        case .keySymmetric: "proof_key_symmetric"
        case .keyPrivate: "proof_key_private"
        case .keyMismatch: "proof_key_mismatch"
        case .keyInvalid: "proof_key_invalid"
        case .jtiMissing: "proof_jti_missing"
        case .jtiMalformed: "proof_jti_malformed"
        case .jtiEmpty: "proof_jti_empty"
        case .jtiTooLong: "proof_jti_too_long"
        case .htmMissing: "proof_htm_missing"
        case .htmMismatch: "proof_htm_mismatch"
        case .htuMissing: "proof_htu_missing"
        case .htuMalformed: "proof_htu_malformed"
        case .htuMismatch: "proof_htu_mismatch"
        case .iatMissing: "proof_iat_missing"
        case .iatMalformed: "proof_iat_malformed"
        case .iatTooOld: "proof_iat_too_old"
        case .iatTooFarAhead: "proof_iat_too_far_ahead"
        case .athMissing: "proof_ath_missing"
        case .athMismatch: "proof_ath_mismatch"
        case .nonceMissing: "proof_nonce_missing"
        case .nonceMismatch: "proof_nonce_mismatch"
        case .keyNotBound: "proof_key_not_bound"
        case .signatureInvalid: "proof_signature_invalid"
        }
    }
}

/// Bounds on proofs, each checked before the bytes it bounds are looked at.
public enum ProofLimits {
    /// An RSA key of 8192 bits and its signature take 3 KB of it.
    public static let proofBytesMax = 4_096
    /// RFC 9449 §11.1: a server may refuse identifiers that cost it memory.
    public static let proofIDBytesMax = 128
    /// Keys that a verifier keeps prepared.
    public static let preparedKeysMax = 256
}
