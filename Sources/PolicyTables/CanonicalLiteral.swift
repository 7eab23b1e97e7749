/// A literal segment as the canonical path of a request spells it.
///
/// Unreserved characters, sub-delims, `:` and `@` stand for themselves (RFC 3986 §3.3); every other byte is
/// `%` and two upper-case digits. A request that escapes a sub-delim, `:` or `@` keeps the escape and is
/// another path, since backends differ on it.
///
/// Example: `café menu` is `caf%C3%A9%20menu`; `a+b` is `a+b` and does not match `a%2Bb`.
public func appendCanonicalLiteral(_ text: String, to output: inout [UInt8]) {
    for byte in text.utf8 {
        if isPathCharacter(byte) {
            output.append(byte)
        } else {
            output.append(0x25)
            output.append(upperCaseDigit(byte >> 4))
            output.append(upperCaseDigit(byte & 15))
        }
    }
}

/// RFC 3986 §3.3 `pchar`, escapes apart.
private func isPathCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    case 0x2D, 0x2E, 0x5F, 0x7E: true
    case 0x21, 0x24, 0x26...0x2C, 0x3B, 0x3D: true
    case 0x3A, 0x40: true
    default: false
    }
}

private func upperCaseDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? 0x30 + value : 0x37 + value
}
