internal import Octets

/// `status.status_list` (draft-ietf-oauth-status-list §6.1) as it was read. Whether the URI is one that the issuer may
/// name is checked once it is unescaped.
struct StatusClaim {
    let uri: JSONValue
    let index: UInt32

    /// Longest URI of a list, bytes.
    static let uriBytesMax = 2_048
    static let indexMax: UInt32 = 1 << 31 - 1
}

extension JSONIndex {
    /// - Parameter place: of `status`; 0 when absent.
    /// - Throws: `claimsMalformed` for everything that is no reference to a status list. A `status` of another kind
    ///   is refused too: it says that there is a status, and nobody here could find out which.
    func statusClaim(at place: Int, in text: Span<UInt8>) throws(TokenRefusal) -> StatusClaim? {
        guard let status = value(at: place) else { return nil }
        guard let list = member("status_list", of: status, in: text),
            let uri = member("uri", of: list, in: text), uri.kind == .string, !uri.range.isEmpty,
            let number = member("idx", of: list, in: text), number.kind == .number,
            let index = statusIndex(text.bytes(at: number.range))
        else { throw .claimsMalformed }
        return StatusClaim(uri: uri, index: index)
    }

    /// Digits only: neither sign, fraction nor exponent.
    private func statusIndex(_ digits: Span<UInt8>) -> UInt32? {
        // The largest index has ten digits.
        guard digits.count > 0, digits.count <= 10 else { return nil }
        var value: UInt64 = 0
        for position in digits.indices {
            guard digits[position] >= 0x30, digits[position] <= 0x39 else { return nil }
            value = value * 10 + UInt64(digits[position] - 0x30)
        }
        return value <= UInt64(StatusClaim.indexMax) ? UInt32(truncatingIfNeeded: value) : nil
    }
}

extension StatusClaim {
    /// Whether an issuer with these prefixes may name the URI: it is one of them, or begins with one that ends in `/`
    /// and does not climb out of it again. Nothing is normalised; what a client might normalise is not within.
    static func isWithin(_ prefixes: [[UInt8]], _ uri: Span<UInt8>) -> Bool {
        guard uri.count <= uriBytesMax else { return false }
        for position in prefixes.indices {
            let prefix = prefixes[position]
            if equal(uri, prefix.span) { return true }
            guard prefix.last == 0x2F, uri.count > prefix.count else { continue }
            if equal(uri.extracting(0..<prefix.count), prefix.span),
                isPlain(uri.extracting(prefix.count..<uri.count))
            {
                return true
            }
        }
        return false
    }

    /// The rest of a URI behind a prefix: visible ASCII without fragment, backslash, bad escapes, escaped slashes or dot
    /// segments, escaped or not.
    private static func isPlain(_ rest: Span<UInt8>) -> Bool {
        // A segment is suspect for as long as it has nothing but dots.
        var dots = 0
        var hasOther = false
        var at = 0
        while at < rest.count {
            let byte = rest[at]
            guard byte > 0x20, byte < 0x7F, byte != 0x23, byte != 0x5C else { return false }
            if byte == 0x2F || byte == 0x3F {
                if dots > 0, !hasOther { return false }
                dots = 0
                hasOther = false
            } else if byte == 0x2E {
                dots += 1
            } else if byte == 0x25 {
                // A bare `%` would hide the two bytes behind it.
                guard at + 2 < rest.count, hexadecimalValue(rest[at + 1]) != nil, hexadecimalValue(rest[at + 2]) != nil
                else {
                    return false
                }
                switch (rest[at + 1], rest[at + 2] | 0x20) {
                case (0x32, 0x65): dots += 1
                case (0x32, 0x66), (0x35, 0x63): return false
                default: hasOther = true
                }
                at += 2
            } else {
                hasOther = true
            }
            at += 1
        }
        return dots == 0 || hasOther
    }
}
