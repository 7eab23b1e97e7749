internal import Octets

// Strings: scanning with every check of RFC 8259 §7 and §8.2, then unescaping and comparing what was scanned.

private let ones: UInt64 = 0x0101_0101_0101_0101

/// Scans a string from after its opening quote.
/// - Returns: the offset of the closing quote.
func scanString(
    _ text: Span<UInt8>, from start: Int, allowsNUL: Bool, _ hasEscapes: inout Bool
) throws(JSONError) -> Int {
    var at = start
    while at < text.count {
        // Eight plain characters at a time. A mark may be wrong only above one that is right.
        while at <= text.count - 8 {
            let word = text.littleEndianWord(at: at)
            let quote = word ^ 0x2222_2222_2222_2222
            let backslash = word ^ 0x5C5C_5C5C_5C5C_5C5C
            let below = (word &- 0x2020_2020_2020_2020) | (quote &- ones) | (backslash &- ones) | word
            let marks = below & 0x8080_8080_8080_8080
            guard marks == 0 else {
                at += marks.trailingZeroBitCount >> 3
                break
            }
            at += 8
        }
        guard at < text.count else { break }
        let byte = text[at]
        if byte >= 0x80 {
            at = try scanMultibyte(text, at)
        } else if byte == 0x22 {
            return at
        } else if byte == 0x5C {
            hasEscapes = true
            at = try scanEscape(text, at, allowsNUL)
        } else if byte < 0x20 {
            throw JSONError(.controlCharacter, at: at)
        } else {
            at += 1
        }
    }
    throw JSONError(.truncated, at: at)
}

/// One character of two to four bytes (RFC 3629 §4).
/// - Returns: the offset after it.
private func scanMultibyte(_ text: Span<UInt8>, _ at: Int) throws(JSONError) -> Int {
    let length: Int
    var lowest: UInt8 = 0x80
    var highest: UInt8 = 0xBF
    switch text[at] {
    case 0xC2...0xDF: length = 2
    case 0xE0:
        length = 3
        lowest = 0xA0
    case 0xE1...0xEC, 0xEE...0xEF: length = 3
    case 0xED:
        length = 3
        highest = 0x9F
    case 0xF0:
        length = 4
        lowest = 0x90
    case 0xF1...0xF3: length = 4
    case 0xF4:
        length = 4
        highest = 0x8F
    default: throw JSONError(.invalidUTF8, at: at)
    }
    guard text.count - at >= length, text[at + 1] >= lowest, text[at + 1] <= highest else {
        throw JSONError(.invalidUTF8, at: at)
    }
    var next = 2
    while next < length {
        guard text[at + next] & 0xC0 == 0x80 else { throw JSONError(.invalidUTF8, at: at) }
        next += 1
    }
    return at + length
}

/// One escape, a surrogate pair taken as one.
/// - Returns: the offset after it.
private func scanEscape(_ text: Span<UInt8>, _ at: Int, _ allowsNUL: Bool) throws(JSONError) -> Int {
    guard at + 1 < text.count else { throw JSONError(.truncated, at: at) }
    switch text[at + 1] {
    case 0x22, 0x5C, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74: return at + 2
    case 0x75: break
    default: throw JSONError(.invalidEscape, at: at)
    }
    guard let unit = hexadecimal16(text, at + 2) else { throw JSONError(.invalidEscape, at: at) }
    if unit == 0, !allowsNUL { throw JSONError(.nulCharacter, at: at) }
    guard unit >= 0xD800, unit <= 0xDFFF else { return at + 6 }
    guard unit <= 0xDBFF, at + 7 < text.count, text[at + 6] == 0x5C, text[at + 7] == 0x75 else {
        throw JSONError(.loneSurrogate, at: at)
    }
    guard let low = hexadecimal16(text, at + 8) else { throw JSONError(.invalidEscape, at: at + 6) }
    guard low >= 0xDC00, low <= 0xDFFF else { throw JSONError(.loneSurrogate, at: at) }
    return at + 12
}

private func hexadecimal16(_ text: Span<UInt8>, _ at: Int) -> UInt32? {
    guard text.count - at >= 4 else { return nil }
    var result: UInt32 = 0
    var index = at
    while index < at + 4 {
        guard let digit = hexadecimalValue(text[index]) else { return nil }
        result = result << 4 | UInt32(digit)
        index += 1
    }
    return result
}

/// The UTF-8 bytes that the inside of a JSON string stands for, one at a time.
/// Ends early, and never traps, on a text that no index has read.
struct UnescapedBytes: ~Escapable {
    private let raw: Span<UInt8>
    private var at = 0
    /// Bytes of the current character still to come, the next one lowest.
    private var pending: UInt32 = 0
    private var pendingCount = 0

    @_lifetime(copy raw)
    init(_ raw: Span<UInt8>) {
        self.raw = raw
    }

    @_lifetime(self: copy self)
    mutating func next() -> UInt8? {
        if pendingCount > 0 {
            pendingCount -= 1
            let byte = UInt8(truncatingIfNeeded: pending)
            pending >>= 8
            return byte
        }
        guard at < raw.count else { return nil }
        let byte = raw[at]
        guard byte == 0x5C else {
            at += 1
            return byte
        }
        return nextEscape()
    }

    @_lifetime(self: copy self)
    private mutating func nextEscape() -> UInt8? {
        guard at + 1 < raw.count else {
            at = raw.count
            return nil
        }
        let letter = raw[at + 1]
        guard letter == 0x75 else {
            at += 2
            switch letter {
            case 0x62: return 0x08
            case 0x66: return 0x0C
            case 0x6E: return 0x0A
            case 0x72: return 0x0D
            case 0x74: return 0x09
            default: return letter
            }
        }
        guard var scalar = hexadecimal16(raw, at + 2) else {
            at = raw.count
            return nil
        }
        at += 6
        if scalar >= 0xD800, scalar <= 0xDBFF, let low = hexadecimal16(raw, at + 2), low >= 0xDC00 {
            scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
            at += 6
        }
        return encode(scalar)
    }

    @_lifetime(self: copy self)
    private mutating func encode(_ scalar: UInt32) -> UInt8 {
        let last = 0x80 | scalar & 0x3F
        if scalar < 0x80 { return UInt8(truncatingIfNeeded: scalar) }
        if scalar < 0x800 {
            pending = last
            pendingCount = 1
            return UInt8(truncatingIfNeeded: 0xC0 | scalar >> 6)
        }
        let third = 0x80 | scalar >> 6 & 0x3F
        if scalar < 0x10000 {
            pending = third | last << 8
            pendingCount = 2
            return UInt8(truncatingIfNeeded: 0xE0 | scalar >> 12)
        }
        pending = 0x80 | scalar >> 12 & 0x3F | third << 8 | last << 16
        pendingCount = 3
        return UInt8(truncatingIfNeeded: 0xF0 | scalar >> 18)
    }
}

/// Whether the inside of a JSON string stands for exactly `plain`.
func equalUnescaped(_ raw: Span<UInt8>, _ plain: Span<UInt8>) -> Bool {
    var bytes = UnescapedBytes(raw)
    var index = 0
    while let byte = bytes.next() {
        guard index < plain.count, plain[index] == byte else { return false }
        index += 1
    }
    return index == plain.count
}

func equalUnescaped(_ raw: Span<UInt8>, _ plain: StaticString) -> Bool {
    var bytes = UnescapedBytes(raw)
    let count = plain.utf8CodeUnitCount
    var index = 0
    while let byte = bytes.next() {
        // SAFETY: a StaticString with a pointer representation holds `count` bytes for ever; index < count.
        guard index < count, unsafe plain.utf8Start[index] == byte else { return false }
        index += 1
    }
    return index == count
}

/// Whether a string value of `text` is exactly `plain`.
func isString(_ value: JSONValue, in text: Span<UInt8>, equalTo plain: Span<UInt8>) -> Bool {
    let raw = text.bytes(at: value.range)
    return value.hasEscapes ? equalUnescaped(raw, plain) : equal(raw, plain)
}

func isString(_ value: JSONValue, in text: Span<UInt8>, equalTo plain: StaticString) -> Bool {
    let raw = text.bytes(at: value.range)
    return value.hasEscapes ? equalUnescaped(raw, plain) : equal(raw, plain)
}

func equalBothUnescaped(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
    var leftBytes = UnescapedBytes(left)
    var rightBytes = UnescapedBytes(right)
    while true {
        let leftByte = leftBytes.next()
        guard leftByte == rightBytes.next() else { return false }
        if leftByte == nil { return true }
    }
}

/// FNV-1a from a secret start, folded to 32 bits.
func hashUnescaped(_ raw: Span<UInt8>, _ hasEscapes: Bool, _ seed: UInt64) -> UInt32 {
    var hash = seed
    if hasEscapes {
        var bytes = UnescapedBytes(raw)
        while let byte = bytes.next() { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    } else {
        for index in raw.indices { hash = (hash ^ UInt64(raw[index])) &* 0x100_0000_01B3 }
    }
    hash = (hash ^ hash >> 29) &* 0xBF58_476D_1CE4_E5B9
    return UInt32(truncatingIfNeeded: hash >> 32)
}

extension ByteWriter {
    /// Writes what a string value of `text` stands for.
    mutating func append(string value: JSONValue, in text: Span<UInt8>) {
        let raw = text.bytes(at: value.range)
        guard value.hasEscapes else {
            append(raw)
            return
        }
        var bytes = UnescapedBytes(raw)
        while let byte = bytes.next() { append(byte) }
    }
}

extension JSONValue {
    /// What the string stands for, copied; nil for any other kind. For use off the request path.
    public func string(in text: Span<UInt8>) -> [UInt8]? {
        guard kind == .string else { return nil }
        let raw = text.bytes(at: range)
        var result: [UInt8] = []
        result.reserveCapacity(raw.count)
        var bytes = UnescapedBytes(raw)
        while let byte = bytes.next() { result.append(byte) }
        return result
    }
}
