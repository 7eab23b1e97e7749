internal import Octets
internal import Signatures

/// The keys of a JWK set for checking signatures by hand. Never used for access tokens: here a key may be a
/// shared secret, and an RSA key without `alg` may be used with every RS and PS algorithm, since the person
/// who runs the check knows what they are checking.
public struct SignatureCheckKeys: Sendable {
    let publicKeys: [VerificationKey]
    let secrets: [Secret]
    /// Keys of the document that are not used, and why.
    public let dropped: [DroppedKey]

    struct Secret: Sendable {
        let keyID: [UInt8]?
        let bytes: [UInt8]
    }

    /// - Parameter jwks: a JWK set, or a single JWK.
    public init(jwks: Span<UInt8>) throws(KeySetError) {
        let reader = try JWKReader(jwks)
        var publicKeys: [VerificationKey] = []
        var secrets: [Secret] = []
        var dropped: [DroppedKey] = []
        for (position, value) in try reader.keys(takesSingleKey: true).enumerated() {
            do throws(DropReason) {
                let jwk = try reader.read(value)
                switch jwk.material {
                case .publicKey(let key):
                    publicKeys += try SignatureCheckKeys.algorithms(jwk, key).map {
                        VerificationKey(keyID: jwk.keyID, algorithm: $0, key: key)
                    }
                case .secret(let bytes):
                    try SignatureCheckKeys.check(secret: bytes, jwk.algorithmName)
                    secrets.append(Secret(keyID: jwk.keyID, bytes: bytes))
                }
            } catch {
                dropped.append(
                    DroppedKey(keyID: reader.keyID(of: value), position: position, cause: error.cause))
            }
        }
        guard !publicKeys.isEmpty || !secrets.isEmpty else { throw .noUsableKey(dropped) }
        self.publicKeys = publicKeys
        self.secrets = secrets
        self.dropped = dropped
    }

    private static func algorithms(
        _ jwk: ReadJWK, _ key: PublicKey
    ) throws(DropReason) -> [SignatureAlgorithm] {
        guard let name = jwk.algorithmName else { return SignatureAlgorithm.allCases.filter { key.fits($0) } }
        return [try KeySet.declaredAlgorithm(name, for: key)]
    }

    /// HS256 only, and a secret at least as long as its hash (RFC 7518 §3.2).
    private static func check(secret: [UInt8], _ algorithmName: [UInt8]?) throws(DropReason) {
        if let algorithmName, algorithmName != Array("HS256".utf8) { throw DropReason(.unknownAlgorithm) }
        guard secret.count >= Digest.count else { throw DropReason(.secretTooShort) }
    }
}

/// What a signature check by hand found.
public enum SignatureCheckResult: Sendable, Equatable {
    /// The signature is good. Says nothing about type, claims or expiry.
    case valid(algorithm: String, keyID: [UInt8]?)
    case refused(TokenRefusal)
}

public enum SignatureCheck {
    /// Checks the form and the signature of a JWS in compact serialisation with any payload, as strictly as
    /// for access tokens: one spelling, strict header, no `crit`, `alg` that of the key. `typ` and `cty` are
    /// free.
    ///
    /// With a `kid`, the key of that name is asked, or the only fitting one of those without a name; without
    /// a `kid`, the only one that fits `alg`.
    /// - Parameter token: at most 16 KiB. Detached payloads and JSON serialisations are refused.
    public static func verifySignatureOnly(
        _ token: Span<UInt8>, keys: SignatureCheckKeys
    ) -> SignatureCheckResult {
        do throws(TokenRefusal) {
            let parts = try CompactParts(token)
            var header = DecodedPart()
            var payload = DecodedPart()
            var signature = DecodedPart()
            try header.decode(token.bytes(at: parts.header))
            try payload.decode(token.bytes(at: parts.payload))
            try signature.decode(token.bytes(at: parts.signature))
            var index = JSONIndex()
            let head = try TokenHeader(header.bytes, &index)
            guard !head.hasCritical else { throw .criticalHeader }
            let keyID = head.keyID.flatMap { $0.string(in: header.bytes) }
            let signed = token.bytes(at: parts.signed)
            if isString(head.algorithmName, in: header.bytes, equalTo: "HS256") {
                let secret = try choose(keys.secrets, keyID) { $0.keyID }
                guard equalInConstantTime(hmacSHA256(secret.bytes, signed).span, signature.bytes) else {
                    throw .signatureInvalid
                }
                return .valid(algorithm: "HS256", keyID: keyID)
            }
            guard let algorithm = head.algorithm else { throw .algorithmNotAllowed }
            let fitting = keys.publicKeys.filter { $0.algorithm == algorithm }
            if fitting.isEmpty, let keyID, keys.publicKeys.contains(where: { $0.keyID == keyID }) {
                throw .algorithmNotAllowed
            }
            let key = try choose(fitting, keyID) { $0.keyID }
            // DENY: a key that cannot be prepared checks nothing.
            guard let verifier = try? PreparedVerifier(key: key.key, algorithm: algorithm),
                verifier.verify(message: signed, signature: signature.bytes)
            else { throw .signatureInvalid }
            return .valid(algorithm: algorithm.name, keyID: keyID)
        } catch {
            return .refused(error)
        }
    }

    private static func choose<Key>(
        _ keys: [Key], _ keyID: [UInt8]?, _ name: (Key) -> [UInt8]?
    ) throws(TokenRefusal) -> Key {
        var candidates = keys
        if let keyID {
            let named = keys.filter { name($0) == keyID }
            candidates = named.isEmpty ? keys.filter { name($0) == nil } : named
        }
        guard candidates.count == 1, let key = candidates.first else { throw .unknownKey }
        return key
    }
}

/// HMAC-SHA256 (RFC 2104).
func hmacSHA256(_ secret: [UInt8], _ message: Span<UInt8>) -> [UInt8] {
    let blockBytes = 64
    let key = secret.count > blockBytes ? sha256(secret.span).bytes : secret
    var inner = [UInt8](repeating: 0x36, count: blockBytes)
    var outer = [UInt8](repeating: 0x5C, count: blockBytes)
    for position in key.indices {
        inner[position] ^= key[position]
        outer[position] ^= key[position]
    }
    inner.append(copying: message)
    outer.append(contentsOf: sha256(inner.span).bytes)
    return sha256(outer.span).bytes
}
