internal import COpenSSL

/// Refuses every 32 bytes that are not the canonical form of a point of edwards25519 of high order.
///
/// OpenSSL takes any 32 bytes as a key. Under a point of low order anyone can make a signature that verifies,
/// so those must not get past loading; a point that is not on the curve would only fail at each check, but a
/// bad key is to be known when it is loaded.
func checkEdwardsPoint(_ key: Span<UInt8>) throws(KeyError) {
    guard key.count == 32 else { throw KeyError.wrongLength(expected: 32, actual: key.count) }
    // y without the sign bit of x, turned to big-endian.
    var y = [UInt8](repeating: 0, count: 32)
    for index in key.indices { y[31 - index] = key[index] }
    y[0] &= 0x7F
    guard isLess(y, than: fieldPrime) else { throw KeyError.nonCanonicalPoint }
    // x is zero for y = 1 and y = −1 only; with the sign bit they are second spellings of low-order points.
    guard !lowOrderCoordinates.contains(y) else { throw KeyError.lowOrderPoint }
    guard try isEdwardsCoordinate(y) else { throw KeyError.pointNotOnCurve }
}

/// p = 2^255 − 19, big-endian.
private let fieldPrime: [UInt8] = [0x7F] + [UInt8](repeating: 0xFF, count: 30) + [0xED]

/// The y of all points whose order divides the cofactor 8: 1 (order 1), −1 (order 2), 0 (order 4) and two of
/// order 8. Each stands for both signs of x.
private let lowOrderCoordinates: [[UInt8]] = [
    [UInt8](repeating: 0, count: 31) + [0x01],
    [0x7F] + [UInt8](repeating: 0xFF, count: 30) + [0xEC],
    [UInt8](repeating: 0, count: 32),
    [
        0x05, 0xFC, 0x53, 0x6D, 0x88, 0x02, 0x38, 0xB1, 0x39, 0x33, 0xC6, 0xD3, 0x05, 0xAC, 0xDF, 0xD5,
        0xF0, 0x98, 0xEF, 0xF2, 0x89, 0xF4, 0xC3, 0x45, 0xB0, 0x27, 0xB2, 0xC2, 0x8F, 0x95, 0xE8, 0x26,
    ],
    [
        0x7A, 0x03, 0xAC, 0x92, 0x77, 0xFD, 0xC7, 0x4E, 0xC6, 0xCC, 0x39, 0x2C, 0xFA, 0x53, 0x20, 0x2A,
        0x0F, 0x67, 0x10, 0x0D, 0x76, 0x0B, 0x3C, 0xBA, 0x4F, 0xD8, 0x4D, 0x3D, 0x70, 0x6A, 0x17, 0xC7,
    ],
]

/// d = −121665/121666 (RFC 8032 §5.1), big-endian.
private let curveConstant: [UInt8] = [
    0x52, 0x03, 0x6C, 0xEE, 0x2B, 0x6F, 0xFE, 0x73, 0x8C, 0xC7, 0x40, 0x79, 0x77, 0x79, 0xE8, 0x98,
    0x00, 0x70, 0x0A, 0x4D, 0x41, 0x41, 0xD8, 0xAB, 0x75, 0xEB, 0x4D, 0xCA, 0x13, 0x59, 0x78, 0xA3,
]

private func isLess(_ left: [UInt8], than right: [UInt8]) -> Bool {
    left.lexicographicallyPrecedes(right)
}

/// Whether some x fits y: x² = (y² − 1)/(d·y² + 1) has a root when (y² − 1)·(d·y² + 1) is a square, which the
/// Kronecker symbol tells (p is prime).
private func isEdwardsCoordinate(_ yBytes: [UInt8]) throws(KeyError) -> Bool {
    // SAFETY: freed once, below, on every way out.
    guard let scratch = unsafe BN_CTX_new() else { throw KeyError.fromQueue("BN_CTX_new") }
    defer { unsafe BN_CTX_free(scratch) }
    let prime = try BigNumber(fieldPrime.span)
    let constant = try BigNumber(curveConstant.span)
    let y = try BigNumber(yBytes.span)
    let numerator = try BigNumber()
    let denominator = try BigNumber()
    // SAFETY: all numbers live until the end of this function.
    var steps = unsafe BN_mod_sqr(numerator.pointer, y.pointer, prime.pointer, scratch)
    steps &= unsafe BN_mod_mul(
        denominator.pointer, numerator.pointer, constant.pointer, prime.pointer, scratch)
    steps &= unsafe BN_add_word(denominator.pointer, 1)
    steps &= unsafe BN_add(numerator.pointer, numerator.pointer, prime.pointer)
    steps &= unsafe BN_sub_word(numerator.pointer, 1)
    steps &= unsafe BN_mod_mul(
        numerator.pointer, numerator.pointer, denominator.pointer, prime.pointer, scratch)
    guard steps == 1 else { throw KeyError.fromQueue("BN_mod_mul") }
    let symbol = unsafe BN_kronecker(numerator.pointer, prime.pointer, scratch)
    guard symbol >= -1 else { throw KeyError.fromQueue("BN_kronecker") }
    return symbol != -1
}
