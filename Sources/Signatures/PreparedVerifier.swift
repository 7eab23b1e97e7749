internal import COpenSSL

/// Verifies signatures of one key by one algorithm, with everything that does not depend on the message
/// prepared once.
///
/// For RSA and ECDSA the message is hashed on the stack and one key context is used again and again, which is
/// what `EVP_PKEY_verify` allows and what takes 13 allocations of OpenSSL's own instead of the 20 of
/// `EVP_MD_CTX_copy_ex`. Ed25519 has no such call; there a prepared context is copied for each message.
///
/// Not Sendable: one thread at a time. A worker makes its own; the key is shared.
public final class PreparedVerifier {
    public let key: PublicKey
    public let algorithm: SignatureAlgorithm
    private let method: VerifyMethod
    private let signatureBytes: Int

    /// - Throws: `algorithmMismatch` when the algorithm does not belong to this kind of key and curve.
    public init(key: PublicKey, algorithm: SignatureAlgorithm) throws(KeyError) {
        guard key.fits(algorithm) else { throw KeyError.algorithmMismatch(algorithm) }
        self.key = key
        self.algorithm = algorithm
        signatureBytes = key.signatureBytes
        if let hash = algorithm.hash {
            method = .hashed(try HashedVerification(key.handle, algorithm.scheme, hash))
        } else {
            method = .whole(try WholeVerification(key.handle))
        }
    }

    /// Whether `signature` is this key's over exactly `message`.
    ///
    /// The signature is in JWS form: as long as the modulus, r ‖ s of twice the coordinate length, or 64
    /// bytes for Ed25519; every other length is refused before anything is computed. Whatever goes wrong is
    /// false.
    /// - Parameter digest: SHA-256 of the message, where the caller has it; nil otherwise. Not used by other hashes.
    public func verify(message: Span<UInt8>, signature: Span<UInt8>, digest: Digest? = nil) -> Bool {
        guard signature.count == signatureBytes else { return false }
        let verified =
            switch method {
            case .hashed(let hashed): hashed.verify(message: message, signature: signature, known: digest)
            case .whole(let whole): whole.verify(message: message, signature: signature)
            }
        // A failure leaves errors in this thread's queue, where a later call could take them for its own.
        if !verified { ERR_clear_error() }
        return verified
    }
}

private enum VerifyMethod: ~Copyable {
    case hashed(HashedVerification)
    case whole(WholeVerification)
}

/// RSA and ECDSA: hash first, then verify the hash.
@safe
private struct HashedVerification: ~Copyable {
    private let context: KeyContext
    private let hash: MessageHash
    private let isECDSA: Bool

    init(_ key: borrowing KeyHandle, _ scheme: SignatureAlgorithm.Scheme, _ hash: MessageHash)
        throws(KeyError)
    {
        let made = try KeyContext(for: key)
        // SAFETY: the context is ours alone.
        guard unsafe EVP_PKEY_verify_init(made.pointer) == 1 else {
            throw KeyError.fromQueue("EVP_PKEY_verify_init")
        }
        try made.choose(scheme, hash)
        context = made
        self.hash = hash
        isECDSA = scheme == .ecdsa
    }

    func verify(message: Span<UInt8>, signature: Span<UInt8>, known: Digest?) -> Bool {
        // SAFETY: spans are lent for the calls; the digest buffer has room for the longest hash, and the
        // DER buffer for the longest signature, whose length was checked against the key.
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: MessageHash.longestBytes) { digest in
            guard let digestStart = digest.baseAddress else { return false }
            if case .sha256 = hash, let known {
                unsafe known.write(to: digestStart)
            } else {
                unsafe message.withUnsafeBufferPointer { unsafe hash.digest($0, into: digestStart) }
            }
            guard isECDSA else {
                return unsafe signature.withUnsafeBufferPointer { bytes in
                    unsafe check(bytes, digestStart)
                }
            }
            return unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: SignatureDER.bytesMax) {
                der in
                var output = unsafe OutputSpan(buffer: der, initializedCount: 0)
                SignatureDER.write(signature, into: &output)
                let count = unsafe output.finalize(for: der)
                return unsafe check(UnsafeBufferPointer(rebasing: der[..<count]), digestStart)
            }
        }
    }

    /// 1 is the only answer that means yes; 0 and negative values are refusals and errors.
    private func check(_ signature: UnsafeBufferPointer<UInt8>, _ digest: UnsafePointer<UInt8>) -> Bool {
        // SAFETY: both buffers are lent by `verify` for this call; the digest has `hash.count` bytes.
        unsafe EVP_PKEY_verify(
            context.pointer, signature.baseAddress, signature.count, digest, hash.count) == 1
    }
}

/// Ed25519: the message itself is verified.
@safe
private struct WholeVerification: ~Copyable {
    private let prepared: MessageContext
    private let scratch: MessageContext

    init(_ key: borrowing KeyHandle) throws(KeyError) {
        let made = try MessageContext()
        let copy = try MessageContext()
        // SAFETY: the context takes its own reference to the key.
        guard unsafe EVP_DigestVerifyInit(made.pointer, nil, nil, nil, key.pointer) == 1 else {
            throw KeyError.fromQueue("EVP_DigestVerifyInit")
        }
        prepared = made
        scratch = copy
    }

    func verify(message: Span<UInt8>, signature: Span<UInt8>) -> Bool {
        // SAFETY: spans are lent for the calls; both contexts are ours alone.
        guard unsafe EVP_MD_CTX_copy_ex(scratch.pointer, prepared.pointer) == 1 else { return false }
        return unsafe message.withUnsafeBufferPointer { messageBytes in
            unsafe signature.withUnsafeBufferPointer { bytes in
                unsafe EVP_DigestVerify(
                    scratch.pointer, bytes.baseAddress, bytes.count, messageBytes.baseAddress,
                    messageBytes.count) == 1
            }
        }
    }
}

extension KeyContext {
    /// Fixes padding, hash, mask hash and salt length of an initialised sign or verify operation.
    ///
    /// The salt is pinned to the length of the hash (RFC 7518 §3.5): OpenSSL takes any salt by default.
    func choose(_ scheme: SignatureAlgorithm.Scheme, _ hash: MessageHash) throws(KeyError) {
        // SAFETY: the hash object outlives the calls, and the context takes its own reference.
        guard let digest = unsafe EVP_MD_fetch(nil, cString(hash.opensslName), nil) else {
            throw KeyError.fromQueue("EVP_MD_fetch")
        }
        defer { unsafe EVP_MD_free(digest) }
        switch scheme {
        case .pkcs1:
            try require(unsafe EVP_PKEY_CTX_set_rsa_padding(pointer, RSA_PKCS1_PADDING), "set_rsa_padding")
        case .pss:
            try require(
                unsafe EVP_PKEY_CTX_set_rsa_padding(pointer, RSA_PKCS1_PSS_PADDING), "set_rsa_padding")
            try require(unsafe EVP_PKEY_CTX_set_rsa_mgf1_md(pointer, digest), "set_rsa_mgf1_md")
            let saltLength = unsafe EVP_PKEY_CTX_set_rsa_pss_saltlen(pointer, RSA_PSS_SALTLEN_DIGEST)
            try require(saltLength, "set_rsa_pss_saltlen")
        case .ecdsa, .ed25519:
            break
        }
        try require(unsafe EVP_PKEY_CTX_set_signature_md(pointer, digest), "set_signature_md")
    }

    private func require(_ result: Int32, _ operation: String) throws(KeyError) {
        guard result == 1 else { throw KeyError.fromQueue("EVP_PKEY_CTX_" + operation) }
    }
}
