/// What is wrong with one value: where in its text, in what way, how to mend it.
struct TextProblem: Error {
    var code: DiagnosticCode
    /// Bytes from the start of the value's text.
    var offset: Int
    var message: String
    var mend: String
}

// Character classes of the RFCs that policy values come from.

/// RFC 9110 §5.6.2 `tchar`: methods, cookie names, subprotocol names.
func isTokenCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E, 0x5F, 0x60, 0x7C, 0x7E: true
    default: false
    }
}

/// RFC 6749 §3.3 `scope-token`: printable ASCII but space, `"` and `\`.
func isScopeCharacter(_ byte: UInt8) -> Bool {
    byte == 0x21 || (byte >= 0x23 && byte <= 0x5B) || (byte >= 0x5D && byte <= 0x7E)
}

/// Names of services and path parameters.
func isNameCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
    default: false
    }
}

func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

/// Decimal digits without sign, leading zero or separator, or nil; nil too when it has more than 9 digits.
func decimal(_ text: ArraySlice<UInt8>) -> Int? {
    guard let first = text.first, text.count <= 9, first != 0x30 || text.count == 1 else { return nil }
    var value = 0
    for byte in text {
        guard isDigit(byte) else { return nil }
        value = value * 10 + Int(byte - 0x30)
    }
    return value
}

extension ArraySlice where Element == UInt8 {
    /// Byte equality with a literal.
    func equals(_ literal: StaticString) -> Bool {
        guard count == literal.utf8CodeUnitCount else { return false }
        // SAFETY: a literal's bytes stay for ever; index stays below its length.
        let pointer = unsafe literal.utf8Start
        var offset = 0
        for byte in self {
            if unsafe byte != pointer[offset] { return false }
            offset += 1
        }
        return true
    }
}
