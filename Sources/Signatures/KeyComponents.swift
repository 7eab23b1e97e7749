internal import COpenSSL
internal import Octets

/// The numbers of an RSA private key under their JWK names (RFC 7518 §6.3), big-endian, fewest bytes.
public struct RSAComponents: Sendable, Equatable {
    public var n, e, d, p, q, dp, dq, qi: [UInt8]

    public init(
        n: [UInt8], e: [UInt8], d: [UInt8], p: [UInt8], q: [UInt8], dp: [UInt8], dq: [UInt8], qi: [UInt8]
    ) {
        self.n = n
        self.e = e
        self.d = d
        self.p = p
        self.q = q
        self.dp = dp
        self.dq = dq
        self.qi = qi
    }

    init(of key: borrowing KeyHandle) throws(KeyError) {
        n = try key.number("n")
        e = try key.number("e")
        d = try key.number("d")
        p = try key.number("rsa-factor1")
        q = try key.number("rsa-factor2")
        dp = try key.number("rsa-exponent1")
        dq = try key.number("rsa-exponent2")
        qi = try key.number("rsa-coefficient1")
    }
}

/// A private key as the byte strings of its JWK members; the token module writes and reads their base64url.
public enum KeyComponents: Sendable, Equatable {
    case rsa(RSAComponents)
    /// Coordinates and secret, each exactly `curve.coordinateBytes` long (RFC 7518 §6.2).
    case ec(curve: Curve, x: [UInt8], y: [UInt8], d: [UInt8])
    /// 32 bytes each (RFC 8037 §2).
    case ed25519(x: [UInt8], d: [UInt8])

    /// The public half, checked like every public key.
    public func publicKey() throws(KeyError) -> PublicKey {
        switch self {
        case .rsa(let parts): try .rsa(modulus: parts.n.span, exponent: parts.e.span)
        case .ec(let curve, let x, let y, _): try .ec(curve: curve, x: x.span, y: y.span)
        case .ed25519(let x, _): try .ed25519(x.span)
        }
    }

    static func ec(of key: borrowing KeyHandle, curve: Curve) throws(KeyError) -> KeyComponents {
        let length = curve.coordinateBytes
        return .ec(
            curve: curve, x: try key.number("qx", length: length), y: try key.number("qy", length: length),
            d: try key.number("priv", length: length))
    }

    static func ed25519(of key: borrowing KeyHandle) throws(KeyError) -> KeyComponents {
        var x = [UInt8](repeating: 0, count: 32)
        var d = [UInt8](repeating: 0, count: 32)
        var publicCount = 32
        var secretCount = 32
        // SAFETY: both calls are told the room.
        let publicDone = unsafe x.withUnsafeMutableBufferPointer {
            unsafe EVP_PKEY_get_raw_public_key(key.pointer, $0.baseAddress, &publicCount)
        }
        let secretDone = unsafe d.withUnsafeMutableBufferPointer {
            unsafe EVP_PKEY_get_raw_private_key(key.pointer, $0.baseAddress, &secretCount)
        }
        guard publicDone == 1, secretDone == 1, publicCount == 32, secretCount == 32 else {
            throw KeyError.fromQueue("EVP_PKEY_get_raw_private_key")
        }
        return .ed25519(x: x, d: d)
    }
}

extension PrivateKey {
    /// The members of this key's private JWK. Secret: never logged, never served.
    public func components() throws(KeyError) -> KeyComponents {
        switch kind {
        case .rsa: .rsa(try RSAComponents(of: handle))
        case .ec(let curve): try .ec(of: handle, curve: curve)
        case .ed25519: try .ed25519(of: handle)
        }
    }

    /// The key of a private JWK. The public half gets every check of a public key, and the halves must belong
    /// together.
    /// - Throws: `inconsistentKey` when they do not.
    public convenience init(_ components: KeyComponents) throws(KeyError) {
        let publicKey = try components.publicKey()
        let handle: KeyHandle
        switch components {
        case .rsa(let rsa): handle = try PrivateKey.makeRSA(rsa)
        case .ec(let curve, let x, let y, let d):
            guard d.count == curve.coordinateBytes else {
                throw KeyError.wrongLength(expected: curve.coordinateBytes, actual: d.count)
            }
            handle = try PrivateKey.makeEC(curve, x: x, y: y, d: d)
        case .ed25519(let x, let d):
            guard d.count == 32 else { throw KeyError.wrongLength(expected: 32, actual: d.count) }
            handle = try PrivateKey.makeEd25519(x: x, d: d)
        }
        self.init(publicKey: publicKey, handle: handle)
    }

    private static func makeRSA(_ rsa: RSAComponents) throws(KeyError) -> KeyHandle {
        var parts = try KeyParts()
        try parts.add("n", number: rsa.n.span)
        try parts.add("e", number: rsa.e.span)
        try parts.add("d", number: rsa.d.span)
        try parts.add("rsa-factor1", number: rsa.p.span)
        try parts.add("rsa-factor2", number: rsa.q.span)
        try parts.add("rsa-exponent1", number: rsa.dp.span)
        try parts.add("rsa-exponent2", number: rsa.dq.span)
        try parts.add("rsa-coefficient1", number: rsa.qi.span)
        return try checkedPair(try parts.makeKey(type: "RSA", pair: true))
    }

    private static func makeEC(_ curve: Curve, x: [UInt8], y: [UInt8], d: [UInt8]) throws(KeyError)
        -> KeyHandle
    {
        var parts = try KeyParts()
        let point = try uncompressedPoint(curve, x: x.span, y: y.span)
        try parts.add("group", text: curve.opensslName)
        try parts.add("pub", octets: point.span)
        try parts.add("priv", number: d.span)
        return try checkedPair(try parts.makeKey(type: "EC", pair: true))
    }

    private static func makeEd25519(x: [UInt8], d: [UInt8]) throws(KeyError) -> KeyHandle {
        // SAFETY: 32 bytes are read during the call only.
        let made = unsafe d.withUnsafeBufferPointer {
            unsafe EVP_PKEY_new_raw_private_key_ex(nil, "ED25519", nil, $0.baseAddress, $0.count)
        }
        guard let made = unsafe made else { throw KeyError.fromQueue("EVP_PKEY_new_raw_private_key_ex") }
        let handle = unsafe KeyHandle(owning: made)
        // OpenSSL derives the public half; it must be the one that was given.
        guard case .ed25519(let derived, _) = try KeyComponents.ed25519(of: handle), derived == x else {
            throw KeyError.inconsistentKey
        }
        return handle
    }

    private static func checkedPair(_ made: consuming KeyHandle?) throws(KeyError) -> KeyHandle {
        guard let handle = made else { throw KeyError.inconsistentKey }
        let context = try KeyContext(for: handle)
        // SAFETY: the context is ours alone.
        guard unsafe EVP_PKEY_pairwise_check(context.pointer) == 1 else {
            ERR_clear_error()
            throw KeyError.inconsistentKey
        }
        return handle
    }
}

extension KeyHandle {
    /// One number of the key by OpenSSL's name, big-endian, padded to `length` where that is given.
    func number(_ name: StaticString, length: Int? = nil) throws(KeyError) -> [UInt8] {
        var found: OpaquePointer?
        // SAFETY: the name is static; on success the number is ours.
        let done = unsafe EVP_PKEY_get_bn_param(pointer, cString(name), &found)
        guard done == 1, let number = unsafe found else {
            throw KeyError.fromQueue("EVP_PKEY_get_bn_param")
        }
        return try unsafe BigNumber(owning: number).bytes(length: length)
    }
}
