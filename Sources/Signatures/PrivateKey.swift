internal import COpenSSL
internal import Octets

/// A private key with its public half. For test tokens, development issuers and signed policies.
public final class PrivateKey: Sendable {
    public let publicKey: PublicKey
    let handle: KeyHandle

    init(publicKey: PublicKey, handle: consuming KeyHandle) {
        self.publicKey = publicKey
        self.handle = handle
    }

    public var kind: PublicKey.Kind { publicKey.kind }

    /// A new key that fits `algorithm`: RSA of `modulusBits`, the algorithm's curve, or Ed25519.
    /// - Parameter modulusBits: 2048 to 8192; for RSA only. 4096 takes about a second.
    public static func generate(
        _ algorithm: SignatureAlgorithm, modulusBits: Int = 2_048
    ) throws(KeyError) -> PrivateKey {
        let context: KeyContext
        switch algorithm.scheme {
        case .pkcs1, .pss:
            guard modulusBits >= PublicKey.modulusBitsMin else {
                throw KeyError.modulusTooSmall(bits: modulusBits)
            }
            guard modulusBits <= PublicKey.modulusBitsMax else {
                throw KeyError.modulusTooLarge(bits: modulusBits)
            }
            context = try generator("RSA")
            // SAFETY: the context is ours alone.
            guard unsafe EVP_PKEY_CTX_set_rsa_keygen_bits(context.pointer, Int32(modulusBits)) == 1 else {
                throw KeyError.fromQueue("EVP_PKEY_CTX_set_rsa_keygen_bits")
            }
        case .ecdsa:
            context = try generator("EC")
            let curve = algorithm.curve ?? .p256
            // SAFETY: as above; the name is static.
            guard unsafe EVP_PKEY_CTX_set_group_name(context.pointer, cString(curve.opensslName)) == 1 else {
                throw KeyError.fromQueue("EVP_PKEY_CTX_set_group_name")
            }
        case .ed25519:
            context = try generator("ED25519")
        }
        var made: OpaquePointer?
        // SAFETY: on success the new key is ours.
        guard unsafe EVP_PKEY_generate(context.pointer, &made) == 1, let key = unsafe made else {
            throw KeyError.fromQueue("EVP_PKEY_generate")
        }
        let handle = unsafe KeyHandle(owning: key)
        let components: KeyComponents
        switch algorithm.scheme {
        case .pkcs1, .pss: components = .rsa(try RSAComponents(of: handle))
        case .ecdsa: components = try .ec(of: handle, curve: algorithm.curve ?? .p256)
        case .ed25519: components = try .ed25519(of: handle)
        }
        return PrivateKey(publicKey: try components.publicKey(), handle: handle)
    }

    private static func generator(_ type: String) throws(KeyError) -> KeyContext {
        let context = try KeyContext(keyType: type)
        // SAFETY: the context is ours alone.
        guard unsafe EVP_PKEY_keygen_init(context.pointer) == 1 else {
            throw KeyError.fromQueue("EVP_PKEY_keygen_init")
        }
        return context
    }

    /// The signature in JWS form: as long as the modulus, r ‖ s, or 64 bytes.
    /// - Throws: `algorithmMismatch` when the algorithm does not belong to this kind of key and curve.
    public func sign(_ message: Span<UInt8>, _ algorithm: SignatureAlgorithm) throws(KeyError) -> [UInt8] {
        guard publicKey.fits(algorithm) else { throw KeyError.algorithmMismatch(algorithm) }
        guard let hash = algorithm.hash else { return try signWhole(message) }
        let context = try KeyContext(for: handle)
        // SAFETY: the context is ours alone.
        guard unsafe EVP_PKEY_sign_init(context.pointer) == 1 else {
            throw KeyError.fromQueue("EVP_PKEY_sign_init")
        }
        try context.choose(algorithm.scheme, hash)
        var digest = [UInt8](repeating: 0, count: hash.count)
        // SAFETY: the digest has exactly `hash.count` bytes of room.
        unsafe digest.withUnsafeMutableBufferPointer { output in
            guard let start = output.baseAddress else { return }
            unsafe message.withUnsafeBufferPointer { unsafe hash.digest($0, into: start) }
        }
        var signature = [UInt8](repeating: 0, count: max(publicKey.signatureBytes, SignatureDER.bytesMax))
        var count = signature.count
        // SAFETY: EVP_PKEY_sign is told the room and changes `count` to what it wrote.
        let done = unsafe signature.withUnsafeMutableBufferPointer { output in
            unsafe EVP_PKEY_sign(context.pointer, output.baseAddress, &count, digest, digest.count)
        }
        guard done == 1, count <= signature.count else { throw KeyError.fromQueue("EVP_PKEY_sign") }
        signature.removeLast(signature.count - count)
        guard let curve = algorithm.curve else { return signature }
        return try joined(der: signature, curve)
    }

    private func signWhole(_ message: Span<UInt8>) throws(KeyError) -> [UInt8] {
        let context = try MessageContext()
        var signature = [UInt8](repeating: 0, count: 64)
        var count = signature.count
        // SAFETY: the context takes its own reference to the key; spans are lent for the call.
        guard unsafe EVP_DigestSignInit(context.pointer, nil, nil, nil, handle.pointer) == 1 else {
            throw KeyError.fromQueue("EVP_DigestSignInit")
        }
        let done = unsafe message.withUnsafeBufferPointer { input in
            unsafe signature.withUnsafeMutableBufferPointer { output in
                unsafe EVP_DigestSign(
                    context.pointer, output.baseAddress, &count, input.baseAddress, input.count)
            }
        }
        guard done == 1, count == 64 else { throw KeyError.fromQueue("EVP_DigestSign") }
        return signature
    }

    /// r ‖ s of a DER signature that OpenSSL has just made.
    private func joined(der: [UInt8], _ curve: Curve) throws(KeyError) -> [UInt8] {
        // SAFETY: d2i reads `count` bytes; the result is freed below; r and s are borrowed from it.
        let parsed = unsafe der.withUnsafeBufferPointer { buffer in
            var start = buffer.baseAddress
            return unsafe d2i_ECDSA_SIG(nil, &start, buffer.count)
        }
        guard let parsed = unsafe parsed else { throw KeyError.fromQueue("d2i_ECDSA_SIG") }
        defer { unsafe ECDSA_SIG_free(parsed) }
        let half = curve.coordinateBytes
        var result = [UInt8](repeating: 0, count: 2 * half)
        let done = unsafe result.withUnsafeMutableBufferPointer { output in
            guard let start = output.baseAddress else { return false }
            let first = unsafe BN_bn2binpad(ECDSA_SIG_get0_r(parsed), start, Int32(half))
            let second = unsafe BN_bn2binpad(ECDSA_SIG_get0_s(parsed), start + half, Int32(half))
            return Int(first) == half && Int(second) == half
        }
        guard done else { throw KeyError.fromQueue("BN_bn2binpad") }
        return result
    }
}
