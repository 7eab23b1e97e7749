internal import COpenSSL

/// Why a key was not taken, or a key operation failed. The caller drops the key and names the cause.
public enum KeyError: Error, Equatable, Sendable {
    /// RSA, fewer than 2048 bits (RFC 7518 §3.3).
    case modulusTooSmall(bits: Int)
    /// RSA, more than 8192 bits: a limit of ours, because the cost of a check grows with the square.
    case modulusTooLarge(bits: Int)
    /// RSA, an even modulus is not a product of two odd primes.
    case evenModulus
    /// RSA, the public exponent must be odd and 3 ≤ e < 2^33.
    case badExponent
    /// The coordinates are no point of the curve, or the point at infinity.
    case pointNotOnCurve
    /// Ed25519, one of the points under which a signature can be made without a private key.
    case lowOrderPoint
    /// Ed25519, a second spelling of a point: a coordinate of 2^255 − 19 or more (RFC 8032 §5.1.3).
    case nonCanonicalPoint
    /// A coordinate or key is not exactly as many bytes as its curve demands.
    case wrongLength(expected: Int, actual: Int)
    /// The algorithm belongs to another kind of key or another curve.
    case algorithmMismatch(SignatureAlgorithm)
    /// A private key whose parts do not belong together.
    case inconsistentKey
    /// OpenSSL failed where no input of ours explains it.
    case openssl(operation: String, code: UInt)

    /// Takes the last error of this thread's OpenSSL error queue and empties the queue.
    @inline(never)
    static func fromQueue(_ operation: String) -> KeyError {
        let code = ERR_peek_last_error()
        ERR_clear_error()
        return .openssl(operation: operation, code: UInt(code))
    }
}

extension KeyError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .modulusTooSmall(let bits):
            "the RSA modulus has `\(bits)` bits; use a key of 2048 bits or more"
        case .modulusTooLarge(let bits):
            "the RSA modulus has `\(bits)` bits; use a key of 8192 bits or fewer"
        case .evenModulus:
            "the RSA modulus is even, so it is no RSA modulus; fetch or generate the key again"
        case .badExponent:
            "the RSA public exponent must be odd, at least 3 and below 2^33; 65537 is the usual one"
        case .pointNotOnCurve:
            "the coordinates are no point of the curve; check `crv`, `x` and `y`"
        case .lowOrderPoint:
            "the Ed25519 key is a point of low order, under which anyone can sign; generate a new key"
        case .nonCanonicalPoint:
            "the Ed25519 key is not in its canonical form; encode it as RFC 8032 says"
        case .wrongLength(let expected, let actual):
            "the key part has `\(actual)` bytes where its curve has `\(expected)`; keep leading zero bytes"
        case .algorithmMismatch(let algorithm):
            "`\(algorithm.name)` does not fit this kind of key or curve; correct `alg` or the key"
        case .inconsistentKey:
            "the parts of the private key do not belong together; export the key again"
        case .openssl(let operation, let code):
            "`\(operation)` failed with OpenSSL error `\(String(code, radix: 16))`; "
                + "look it up with `openssl errstr`"
        }
    }
}
