internal import Octets
public import Signatures

/// What a proof has proved: that its sender holds the private key of this thumbprint, for one request and one access
/// token. Only `ProofVerifier` makes one. Whether the proof was seen before is still to be asked.
public struct VerifiedProof: Sendable, Equatable {
    /// The key's JWK thumbprint (RFC 7638, SHA-256), to be compared with `TokenConfirmation.jwkThumbprint`.
    public let thumbprint: Digest
    /// SHA-256 of thumbprint and `jti`: what a replay cache keeps. The same `jti` of another key is another value.
    public let replayKey: Digest
    /// `iat`, Unix seconds, fractions cut off.
    public let issuedAt: Int64
    /// The last second, Unix time, at which `iat` lets the same proof pass again: a replay cache keeps its key until
    /// this second is over.
    public let acceptableThrough: Int64
    /// A nonce was demanded, and it is the previous one: time for the client to get the current one.
    public let hasPreviousNonce: Bool
}

public enum ProofResult: Sendable, Equatable {
    case proved(VerifiedProof)
    case refused(ProofRefusal)
}

/// Checks DPoP proofs (RFC 9449 §4.3), all but whether one was used before.
///
/// Not Sendable: each worker has its own. Buffers are used again and the keys of the last clients are kept prepared,
/// so that the next proof of a client allocates nothing.
public final class ProofVerifier {
    private var check = ProofCheck()

    public init() {}

    /// Checks one proof.
    ///
    /// In this order, and the first failure is the answer: size; three non-empty parts; strict base64url of all
    /// three; header JSON and `alg`; `typ`; `crit`; algorithm; `jwk`: presence, shared or private, kind, `alg`,
    /// purpose, spelling; claims JSON; `jti`, `htm`, `htu`, `iat`, `ath`, `nonce`; then what costs more: the
    /// thumbprint and the key that the token is bound to, the key itself, the signature. Members that are not named
    /// here play no part, `exp` and `nbf` among them (RFC 9449 §4.2).
    /// - Parameters:
    ///   - proof: the exact bytes of the one `DPoP` field; nothing is trimmed.
    ///   - tokenDigest: SHA-256 of the access token's exact bytes.
    ///   - boundKey: the `jwkThumbprint` of the access token. With nil, the caller compares `thumbprint` itself.
    ///   - now: Unix seconds.
    public func verify(
        _ proof: Span<UInt8>, for request: borrowing ProofRequest, tokenDigest: Digest, boundKey: Digest?,
        nonce: borrowing NonceRule, rules: ProofRules, now: Int64
    ) -> ProofResult {
        do throws(ProofRefusal) {
            let signed = try check.readProof(proof, rules)
            let claims = try check.readClaims(request, tokenDigest, nonce, rules, now)
            return .proved(try check.checkKey(proof, signed, claims, boundKey, rules))
        } catch {
            return .refused(error)
        }
    }

    /// How many keys are kept prepared; at most `ProofLimits.preparedKeysMax`.
    public var preparedKeys: Int { check.preparedKeys }
}
