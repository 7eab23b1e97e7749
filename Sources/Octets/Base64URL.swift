/// base64url without padding (RFC 4648 §5, RFC 7515 §2), strict: one byte string has one spelling.
///
/// Refused: `=`, white space, `+`, `/`, any other character, a length of 4n+1, and non-zero trailing bits.
/// Example: `f0 9f` is `8J8`.
public enum Base64URL {
    /// Bytes that `count` characters decode to at the most.
    @inlinable
    public static func decodedCount(_ count: Int) -> Int { count / 4 * 3 + (count % 4 == 0 ? 0 : count % 4 - 1) }

    /// Decodes `text` into `output` from its start.
    /// - Returns: the number of bytes, or nil when the text is refused or does not fit.
    public static func decode(_ text: Span<UInt8>, into output: inout MutableSpan<UInt8>) -> Int? {
        let remainder = text.count % 4
        guard remainder != 1 else { return nil }
        let total = decodedCount(text.count)
        guard total <= output.count else { return nil }
        var written = 0
        var index = 0
        var bad: UInt8 = 0
        while index + 4 <= text.count {
            let a = value(text[index])
            let b = value(text[index + 1])
            let c = value(text[index + 2])
            let d = value(text[index + 3])
            bad |= a | b | c | d
            output[written] = a << 2 | (b & 0x3F) >> 4
            output[written + 1] = b << 4 | (c & 0x3F) >> 2
            output[written + 2] = c << 6 | (d & 0x3F)
            written += 3
            index += 4
        }
        if remainder >= 2 {
            let a = value(text[index])
            let b = value(text[index + 1])
            bad |= a | b
            output[written] = a << 2 | (b & 0x3F) >> 4
            written += 1
            if remainder == 2 {
                guard b & 0x0F == 0 else { return nil }
            } else {
                let c = value(text[index + 2])
                bad |= c
                guard c & 0x03 == 0 else { return nil }
                output[written] = b << 4 | (c & 0x3F) >> 2
                written += 1
            }
        }
        guard bad & 0x80 == 0 else { return nil }
        return written
    }

    /// Decodes into a new array. For use off the request path.
    public static func decode(_ text: Span<UInt8>) -> [UInt8]? {
        var result = [UInt8](repeating: 0, count: decodedCount(text.count))
        var span = result.mutableSpan
        guard let written = decode(text, into: &span) else { return nil }
        guard written == result.count else { return nil }
        return result
    }

    public static func encode(_ bytes: Span<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity((bytes.count * 4 + 2) / 3)
        var index = 0
        while index < bytes.count {
            let left = bytes.count - index
            let a = bytes[index]
            let b = left > 1 ? bytes[index + 1] : 0
            let c = left > 2 ? bytes[index + 2] : 0
            result.append(character(a >> 2))
            result.append(character((a & 3) << 4 | b >> 4))
            if left > 1 { result.append(character((b & 15) << 2 | c >> 6)) }
            if left > 2 { result.append(character(c & 63)) }
            index += 3
        }
        return result
    }

    /// 0–63, or a value with the top bit set for a character outside the alphabet.
    @inline(always)
    private static func value(_ character: UInt8) -> UInt8 {
        switch character {
        case 0x41...0x5A: return character - 0x41
        case 0x61...0x7A: return character - 0x61 + 26
        case 0x30...0x39: return character - 0x30 + 52
        case 0x2D: return 62
        case 0x5F: return 63
        default: return 0xFF
        }
    }

    private static func character(_ value: UInt8) -> UInt8 {
        switch value {
        case 0..<26: return 0x41 + value
        case 26..<52: return 0x61 + value - 26
        case 52..<62: return 0x30 + value - 52
        case 62: return 0x2D
        default: return 0x5F
        }
    }
}
