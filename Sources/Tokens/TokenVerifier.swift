public import Signatures

/// What became of one token.
public enum TokenResult: Sendable {
    case verified(VerifiedToken)
    case refused(TokenRefusal)
    /// The issuer's keys have none that the token could mean. A newer set may; until then it is refused.
    case unknownKey(issuerIndex: Int)
    /// The issuer's keys have never been fetched.
    case keysUnavailable(issuerIndex: Int)
    /// The issuer's keys are older than they may be used.
    case keysStale(issuerIndex: Int)
}

/// Checks access tokens: JWS in compact serialisation, signed by a key of their issuer (RFC 7515, RFC 7519,
/// RFC 9068, with the practices of RFC 8725).
///
/// Not Sendable: each worker has its own. Buffers and prepared key contexts are used again, so that a token
/// costs little more than the check of its signature and allocates only the `VerifiedToken`.
public final class TokenVerifier {
    /// One value, so that a token takes it exclusively once instead of each of its parts.
    private var parts = VerifierParts()
    private let takesBoundTokens: Bool

    /// - Parameter takesBoundTokens: true promises that the caller looks at `VerifiedToken.confirmation` and demands
    ///   the proof. Without that promise a bound token is refused with `proofRequired`.
    public init(takesBoundTokens: Bool = false) {
        self.takesBoundTokens = takesBoundTokens
    }

    /// Checks everything about a token that does not depend on the request.
    ///
    /// In this order, and the first failure is the answer: size; three non-empty parts; strict base64url of
    /// all three; header JSON, `alg`, `kid`, `typ`, `crit`, `cty`; claims JSON; `iss`, not yet believed,
    /// which chooses the issuer; its profile's `typ`; its `alg` list; the key by (issuer, `kid`, `alg`);
    /// signature; then the claims: types, presence, `exp`, `nbf`, `iat`, `aud`, `cnf`, which must be an object of
    /// exactly one member, `jkt` or `x5t#S256`, with the base64url of 32 bytes.
    /// - Parameters:
    ///   - token: the exact bytes; nothing is trimmed.
    ///   - digest: their SHA-256; goes into the result.
    ///   - signed: where the caller has hashed a part of them on the way, which may be the part that is signed.
    ///   - now: Unix seconds.
    public func verify(
        _ token: Span<UInt8>, digest: Digest, signed: HashedPart? = nil, issuers: IssuerSnapshot, now: Int64
    ) -> TokenResult {
        parts.verify(
            token, digest: digest, signed: signed, issuers: issuers, takesBoundTokens: takesBoundTokens, now: now)
    }
}

/// SHA-256 of the first bytes of a token.
public struct HashedPart: Sendable {
    let count: Int
    let digest: Digest

    /// - Parameter digest: of the first `count` bytes of the very token that is verified with it. That is taken on trust:
    ///   with a wrong one the signature would be checked over other bytes.
    public init(count: Int, digest: Digest) {
        self.count = count
        self.digest = digest
    }
}

private struct VerifierParts: ~Copyable {
    private var verification = Verification()
    private var contexts = KeyContexts()

    mutating func verify(
        _ token: Span<UInt8>, digest: Digest, signed: HashedPart?, issuers: IssuerSnapshot, takesBoundTokens: Bool,
        now: Int64
    ) -> TokenResult {
        do throws(TokenRefusal) {
            let found = try verification.readToken(token, issuers)
            let issuer = issuers.issuers[found.issuerIndex]
            guard let keys = issuer.keys, issuer.status != .unavailable else {
                return .keysUnavailable(issuerIndex: found.issuerIndex)
            }
            guard issuer.status != .stale else { return .keysStale(issuerIndex: found.issuerIndex) }
            let keyIndex: Int
            switch verification.findKey(found.header, found.algorithm, keys) {
            case .found(let index): keyIndex = index
            case .unknown: return .unknownKey(issuerIndex: found.issuerIndex)
            case .otherAlgorithm: throw .algorithmNotAllowed
            case .ambiguous: throw .unknownKey
            }
            contexts.fit(issuerCount: issuers.issuers.count)
            let context = try contexts.context(found.issuerIndex, keys, keyIndex)
            try verification.checkSignature(token, found, context, signed)
            let claims = try verification.checkedClaims(
                found, issuer, takesBoundTokens: takesBoundTokens, now)
            return .verified(
                try verification.makeToken(
                    claims, found, issuer, digest: digest, keysGeneration: keys.generation,
                    issuersGeneration: issuers.generation))
        } catch {
            return .refused(error)
        }
    }
}

/// Prepared contexts of the keys that one worker has used, by issuer index.
private struct KeyContexts: ~Copyable {
    private struct IssuerContexts {
        var generation: UInt64 = 0
        var verifiers: [PreparedVerifier?] = []
    }

    private var issuers: [IssuerContexts] = []

    mutating func fit(issuerCount: Int) {
        if issuers.count > issuerCount { issuers.removeLast(issuers.count - issuerCount) }
        while issuers.count < issuerCount { issuers.append(IssuerContexts()) }
    }

    /// Contexts of an older key set of that issuer are let go.
    mutating func context(
        _ issuerIndex: Int, _ keys: KeySet, _ keyIndex: Int
    ) throws(TokenRefusal) -> PreparedVerifier {
        if issuers[issuerIndex].generation != keys.generation {
            issuers[issuerIndex] = IssuerContexts(
                generation: keys.generation, verifiers: Array(repeating: nil, count: keys.keys.count))
        }
        if let verifier = issuers[issuerIndex].verifiers[keyIndex] { return verifier }
        let key = keys.keys[keyIndex]
        do throws(KeyError) {
            let verifier = try PreparedVerifier(key: key.key, algorithm: key.algorithm)
            issuers[issuerIndex].verifiers[keyIndex] = verifier
            return verifier
        } catch {
            // DENY: a key that cannot be prepared checks nothing.
            throw .unknownKey
        }
    }
}
