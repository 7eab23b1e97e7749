internal import COpenSSL
internal import Octets

/// The NIST curves of RFC 7518 §6.2.1.1.
public enum Curve: UInt8, CaseIterable, Sendable, Hashable {
    case p256, p384, p521

    /// Bytes of one coordinate: 32, 48 or 66. A JWS signature has twice as many.
    public var coordinateBytes: Int {
        switch self {
        case .p256: 32
        case .p384: 48
        case .p521: 66
        }
    }

    /// The registered `crv` value.
    public var name: String {
        switch self {
        case .p256: "P-256"
        case .p384: "P-384"
        case .p521: "P-521"
        }
    }

    var opensslName: StaticString {
        switch self {
        case .p256: "P-256"
        case .p384: "P-384"
        case .p521: "P-521"
        }
    }
}

/// A public key that passed every check of its kind; a value of this type is never a weak or invalid key.
///
/// Made once when a key set is loaded, then shared by all threads. Numbers are big-endian bytes.
public final class PublicKey: Sendable {
    public enum Kind: Equatable, Sendable {
        case rsa(bits: Int)
        case ec(Curve)
        case ed25519
    }

    public static let modulusBitsMin = 2_048
    /// The cost of a check grows with the square of the bits; 8192 is about 16 times the usual 2048.
    public static let modulusBitsMax = 8_192

    public let kind: Kind
    let handle: KeyHandle

    init(kind: Kind, handle: consuming KeyHandle) {
        self.kind = kind
        self.handle = handle
    }

    /// An RSA key. Zero bytes in front of either number are ignored.
    ///
    /// The modulus is not tested for small factors: that takes 2 ms to 20 ms a key, which a set of a
    /// thousand keys would turn into an outage, and an issuer that chooses its own modulus badly harms
    /// itself.
    /// - Parameters:
    ///   - modulus: `n`, odd, 2048 to 8192 bits.
    ///   - exponent: `e`, odd, 3 ≤ e < 2^33.
    public static func rsa(modulus: Span<UInt8>, exponent: Span<UInt8>) throws(KeyError) -> PublicKey {
        let bits = try checkedModulusBits(modulus, exponent: exponent)
        var parts = try KeyParts()
        try parts.add("n", number: modulus)
        try parts.add("e", number: exponent)
        guard let key = try parts.makeKey(type: "RSA", pair: false) else { throw KeyError.inconsistentKey }
        return PublicKey(kind: .rsa(bits: bits), handle: key)
    }

    /// A point of a NIST curve (RFC 7518 §6.2.1): each coordinate exactly `curve.coordinateBytes` long.
    public static func ec(curve: Curve, x: Span<UInt8>, y: Span<UInt8>) throws(KeyError) -> PublicKey {
        var parts = try KeyParts()
        let point = try uncompressedPoint(curve, x: x, y: y)
        try parts.add("group", text: curve.opensslName)
        try parts.add("pub", octets: point.span)
        guard let key = try parts.makeKey(type: "EC", pair: false) else { throw KeyError.pointNotOnCurve }
        let context = try KeyContext(for: key)
        // SAFETY: the context is ours alone.
        guard unsafe EVP_PKEY_public_check(context.pointer) == 1 else {
            ERR_clear_error()
            throw KeyError.pointNotOnCurve
        }
        return PublicKey(kind: .ec(curve), handle: key)
    }

    /// An Ed25519 key (RFC 8032 §5.1.5, RFC 8037 §2), 32 bytes: canonical, on the curve, not of low order.
    public static func ed25519(_ key: Span<UInt8>) throws(KeyError) -> PublicKey {
        try checkEdwardsPoint(key)
        // SAFETY: 32 bytes are read during the call only.
        let made = unsafe key.withUnsafeBufferPointer { buffer in
            unsafe EVP_PKEY_new_raw_public_key_ex(nil, "ED25519", nil, buffer.baseAddress, buffer.count)
        }
        guard let made = unsafe made else { throw KeyError.fromQueue("EVP_PKEY_new_raw_public_key_ex") }
        return PublicKey(kind: .ed25519, handle: unsafe KeyHandle(owning: made))
    }

    /// Whether `algorithm` belongs to this kind of key and curve (RFC 7518 §3.1).
    public func fits(_ algorithm: SignatureAlgorithm) -> Bool { kind.fits(algorithm) }

    /// Bytes of a JWS signature by this key.
    public var signatureBytes: Int {
        switch kind {
        case .rsa(let bits): (bits + 7) / 8
        case .ec(let curve): 2 * curve.coordinateBytes
        case .ed25519: 64
        }
    }
}

extension PublicKey.Kind {
    public func fits(_ algorithm: SignatureAlgorithm) -> Bool {
        switch self {
        case .rsa: algorithm.scheme == .pkcs1 || algorithm.scheme == .pss
        case .ec(let curve): algorithm.curve == curve
        case .ed25519: algorithm == .ed25519
        }
    }
}

/// - Returns: the bits of the modulus, once modulus and exponent are within the limits.
func checkedModulusBits(_ modulus: Span<UInt8>, exponent: Span<UInt8>) throws(KeyError) -> Int {
    let bits = bitCount(modulus)
    guard bits >= PublicKey.modulusBitsMin else { throw KeyError.modulusTooSmall(bits: bits) }
    guard bits <= PublicKey.modulusBitsMax else { throw KeyError.modulusTooLarge(bits: bits) }
    guard modulus[modulus.count - 1] & 1 == 1 else { throw KeyError.evenModulus }
    guard bitCount(exponent) <= 33 else { throw KeyError.badExponent }
    var value: UInt64 = 0
    for index in exponent.indices { value = value << 8 | UInt64(exponent[index]) }
    guard value >= 3, value & 1 == 1 else { throw KeyError.badExponent }
    return bits
}

private func bitCount(_ number: Span<UInt8>) -> Int {
    var index = 0
    while index < number.count, number[index] == 0 { index += 1 }
    guard index < number.count else { return 0 }
    return (number.count - index) * 8 - number[index].leadingZeroBitCount
}

/// `04 ‖ x ‖ y` (SEC 1 §2.3.3).
func uncompressedPoint(_ curve: Curve, x: Span<UInt8>, y: Span<UInt8>) throws(KeyError) -> [UInt8] {
    let expected = curve.coordinateBytes
    guard x.count == expected else { throw KeyError.wrongLength(expected: expected, actual: x.count) }
    guard y.count == expected else { throw KeyError.wrongLength(expected: expected, actual: y.count) }
    var point: [UInt8] = [0x04]
    point.append(copying: x)
    point.append(copying: y)
    return point
}
