public import Signatures

extension KeySet {
    /// Reads a JWK set document (RFC 7517 §5) for one issuer.
    ///
    /// Keys that cannot be used are left out and named in `dropped`; unknown members, `x5c` and `x5u` are
    /// ignored. A key without `alg` gets its one algorithm here and now, never from a token: EC and OKP by
    /// the curve, RSA the first RS or PS algorithm in the issuer's list.
    ///
    /// Example: `{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"…","y":"…"}]}` with `[.rs256, .es256]` is
    /// one key `a` for ES256.
    /// - Parameters:
    ///   - jwks: the document, at most 1 MiB and 256 keys.
    ///   - algorithms: the issuer's, in the order of the policy.
    ///   - fetchedAt: Unix seconds.
    /// - Throws: when there is no usable key, or the document is none. Keep the old set then.
    public static func parse(
        jwks: Span<UInt8>, algorithms: [SignatureAlgorithm], fetchedAt: Int64 = 0
    ) throws(KeySetError) -> KeySet {
        let reader = try JWKReader(jwks)
        var found: [(position: Int, key: VerificationKey)] = []
        var dropped: [DroppedKey] = []
        for (position, value) in try reader.keys().enumerated() {
            do throws(DropReason) {
                let key = try verificationKey(try reader.read(value), algorithms)
                found.append((position, key))
            } catch {
                dropped.append(
                    DroppedKey(keyID: reader.keyID(of: value), position: position, cause: error.cause))
            }
        }
        let usable = dropDuplicates(found, &dropped)
        guard !usable.isEmpty else { throw .noUsableKey(dropped) }
        return KeySet(keys: usable, fetchedAt: fetchedAt, dropped: dropped)
    }

    private static func verificationKey(
        _ jwk: ReadJWK, _ allowed: [SignatureAlgorithm]
    ) throws(DropReason) -> VerificationKey {
        guard case .publicKey(let key) = jwk.material else { throw DropReason(.symmetricKey) }
        if let name = jwk.algorithmName {
            let algorithm = try declaredAlgorithm(name, for: key)
            guard allowed.contains(algorithm) else { throw DropReason(.algorithmNotAllowed) }
            return VerificationKey(keyID: jwk.keyID, algorithm: algorithm, key: key)
        }
        guard let algorithm = allowed.first(where: { key.fits($0) }) else {
            throw DropReason(.algorithmNotAllowed)
        }
        return VerificationKey(keyID: jwk.keyID, algorithm: algorithm, key: key)
    }

    static func declaredAlgorithm(
        _ name: [UInt8], for key: PublicKey
    ) throws(DropReason) -> SignatureAlgorithm {
        guard let algorithm = SignatureAlgorithm.named(name.span) else { throw DropReason(.unknownAlgorithm) }
        guard key.fits(algorithm) else { throw DropReason(.algorithmMismatch) }
        return algorithm
    }

    private struct Name: Hashable {
        let keyID: [UInt8]
        let algorithm: SignatureAlgorithm
    }

    private static func dropDuplicates(
        _ found: [(position: Int, key: VerificationKey)], _ dropped: inout [DroppedKey]
    ) -> [VerificationKey] {
        var counts: [Name: Int] = [:]
        for (_, key) in found {
            guard let keyID = key.keyID else { continue }
            counts[Name(keyID: keyID, algorithm: key.algorithm), default: 0] += 1
        }
        var usable: [VerificationKey] = []
        for (position, key) in found {
            if let keyID = key.keyID, counts[Name(keyID: keyID, algorithm: key.algorithm), default: 0] > 1 {
                dropped.append(DroppedKey(keyID: keyID, position: position, cause: .duplicateKeyID))
            } else {
                usable.append(key)
            }
        }
        return usable
    }
}
