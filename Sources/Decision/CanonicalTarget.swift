internal import Octets

/// A request target read strictly: one path that every backend reads in the same way, or nothing.
///
/// The canonical form keeps `pchar` bytes (RFC 3986 §3.3) as they came, decodes percent-encoded unreserved
/// characters once, spells the other escapes with upper-case digits, and escapes the few printable bytes that
/// a URI may not hold raw. Refused is whatever a backend could read differently: encoded `/`, `\`, `%` or
/// controls, raw `\`, `//`, dot segments raw or encoded, `;`, `#`, raw bytes from 0x80, bad UTF-8, bad escapes.
///
/// Example: `/v1/caf%c3%a9/%7Eann?x=1` is `/v1/caf%C3%A9/~ann`, decoded `/v1/café/~ann`.
struct CanonicalTarget: ~Copyable {
    /// nginx's own limit of one header line, 8 KB, holds for the target too.
    static let targetBytesMax = 8_192
    static let segmentsMax = 64

    /// The canonical path; valid after `read` returned true.
    var path = ByteWriter(capacity: 3 * CanonicalTarget.targetBytesMax)
    /// The path with every escape decoded.
    var decoded = ByteWriter(capacity: CanonicalTarget.targetBytesMax)
    /// Whether the target escapes a character that a policy's literal spells raw: a sub-delim, `:`, `@` or `;`.
    /// A backend that decodes before it routes then sees `decodedSpelling` where another sees `path`.
    var hasReservedEscapes = false
    /// The path as a client would have written it that escapes nothing without need; only with reserved escapes.
    var decodedSpelling = ByteWriter(capacity: 3 * CanonicalTarget.targetBytesMax)
    /// The authority of an absolute-form target, in the target's own bytes.
    var authority = ByteRange.absent
    /// The path as it was received, in the target's own bytes.
    var rawPath = ByteRange.absent

    init() {}

    /// Reads a target in origin-form or absolute-form (RFC 9112 §3.2).
    /// - Returns: false when it is ambiguous or not a target at all; the rest of the state means nothing then.
    mutating func read(_ target: Span<UInt8>) -> Bool {
        path.removeAll()
        decoded.removeAll()
        authority = .absent
        rawPath = .absent
        hasReservedEscapes = false
        guard target.count > 0, target.count <= CanonicalTarget.targetBytesMax else { return false }
        if let end = plainPathEnd(target) {
            rawPath = ByteRange(start: 0, count: end)
            let plain = target.extracting(0..<end)
            path.append(plain)
            decoded.append(plain)
            return queryIsPlain(target, from: end)
        }
        var index = 0
        if target[0] != slash {
            guard let start = readAuthority(target) else { return false }
            index = start
        }
        let pathStart = index
        var segmentStart = -1
        var segments = 0
        var hasHighBytes = false
        while index < target.count {
            let byte = target[index]
            if byte == questionMark { break }
            if byte == slash {
                if segmentStart >= 0, !segmentIsPlain(from: segmentStart, isLast: false) { return false }
                segments += 1
                guard segments <= CanonicalTarget.segmentsMax else { return false }
                path.append(byte)
                decoded.append(byte)
                segmentStart = decoded.count
                index += 1
                continue
            }
            if byte == percent {
                guard let value = escapedByte(target, at: index) else { return false }
                index += 3
                if isUnreserved(value) {
                    path.append(value)
                } else {
                    guard value > 0x1F, value != 0x7F, value != slash, value != backslash, value != percent
                    else { return false }
                    hasHighBytes = hasHighBytes || value >= 0x80
                    hasReservedEscapes = hasReservedEscapes || isPathCharacter(value) || value == semicolon
                    appendEscape(value, to: &path)
                }
                decoded.append(value)
                continue
            }
            guard byte > 0x20, byte < 0x7F, byte != backslash, byte != semicolon, byte != hash else {
                return false
            }
            if isPathCharacter(byte) { path.append(byte) } else { appendEscape(byte, to: &path) }
            decoded.append(byte)
            index += 1
        }
        guard segmentStart >= 0, segmentIsPlain(from: segmentStart, isLast: true) else { return false }
        rawPath = ByteRange(start: pathStart, count: index - pathStart)
        guard queryIsPlain(target, from: index) else { return false }
        if hasHighBytes, !isUTF8(decoded.bytes) { return false }
        if hasReservedEscapes { spellDecoded() }
        return !path.overflowed && !decoded.overflowed
    }

    /// Where a path ends that needs no change, as nearly all: letters, digits, `-`, `.`, `_` and `~` in at most
    /// `segmentsMax` segments, none of which is empty, but for the last, or begins with a dot.
    /// - Returns: nil for every other target, which is then read byte by byte.
    private func plainPathEnd(_ target: Span<UInt8>) -> Int? {
        guard target[0] == slash else { return nil }
        var segments = 0
        // The mark of the byte before, in the place of a first byte.
        var slashBefore: UInt64 = 0
        var index = 0
        while index < target.count {
            let isTail = target.count - index < 8
            var word =
                isTail ? target.littleEndianTail(at: index, filler: questionMark) : target.littleEndianWord(at: index)
            var end = 8
            let others = pathLanes(of: word) ^ lanes(0x80)
            if others != 0 {
                end = others.trailingZeroBitCount >> 3
                guard word >> UInt64(8 * end) & 0xFF == UInt64(questionMark) else { return nil }
                // What follows is no path: as if it were letters.
                let kept = UInt64(1) << UInt64(8 * end) &- 1
                word = word & kept | lanes(0x61) & ~kept
            }
            let slashes = lanes(of: word, equalTo: slash)
            guard (slashes << 8 | slashBefore) & (slashes | lanes(of: word, equalTo: dot)) == 0 else { return nil }
            segments += slashes.nonzeroBitCount
            slashBefore = slashes >> 56
            if end < 8 {
                index += end
                break
            }
            index += 8
        }
        return segments <= CanonicalTarget.segmentsMax ? min(index, target.count) : nil
    }

    /// `http://authority` or `https://authority` before the path.
    /// - Returns: where the path starts, or nil when there is none.
    private mutating func readAuthority(_ target: Span<UInt8>) -> Int? {
        let start: Int
        if target.count > 7, equalIgnoringCase(target.extracting(0..<7), "http://") {
            start = 7
        } else if target.count > 8, equalIgnoringCase(target.extracting(0..<8), "https://") {
            start = 8
        } else {
            return nil
        }
        var end = start
        while end < target.count, target[end] != slash { end += 1 }
        guard end > start, end < target.count else { return nil }
        authority = ByteRange(start: start, count: end - start)
        return end
    }

    /// Whether the segment that ends at the end of `decoded` is no dot segment, not even one with parameters
    /// once it is decoded, and not empty between slashes.
    private func segmentIsPlain(from start: Int, isLast: Bool) -> Bool {
        let length = decoded.count - start
        if length == 0 { return isLast }
        let bytes = decoded.bytes
        guard bytes[start] == dot else { return true }
        var dots = 1
        while dots < length, dots < 3, bytes[start + dots] == dot { dots += 1 }
        guard dots <= 2 else { return true }
        return dots < length && bytes[start + dots] != semicolon
    }

    /// The query decides nothing, but it may not hide the end of the target from a backend.
    private func queryIsPlain(_ target: Span<UInt8>, from start: Int) -> Bool {
        var index = start
        while index < target.count {
            let isTail = target.count - index < 8
            let word =
                isTail ? target.littleEndianTail(at: index, filler: 0x61) : target.littleEndianWord(at: index)
            let refused =
                lanes(of: word, from: 0x00, through: 0x20) | lanes(of: word, equalTo: 0x7F)
                | lanes(of: word, equalTo: hash)
            guard refused == 0 else { return false }
            index += 8
        }
        return true
    }

    private func escapedByte(_ target: Span<UInt8>, at index: Int) -> UInt8? {
        guard index + 2 < target.count, let high = hexadecimalValue(target[index + 1]),
            let low = hexadecimalValue(target[index + 2])
        else { return nil }
        return high << 4 | low
    }

    private mutating func spellDecoded() {
        decodedSpelling.removeAll()
        for index in 0..<decoded.count {
            let byte = decoded.bytes[index]
            if byte == slash || byte == semicolon || isPathCharacter(byte) {
                decodedSpelling.append(byte)
            } else {
                appendEscape(byte, to: &decodedSpelling)
            }
        }
    }

    /// The decoded bytes of segment `number` (from 0), or an empty range when there are fewer segments.
    func decodedSegment(_ number: Int) -> ByteRange {
        let bytes = decoded.bytes
        var index = 1
        var current = 0
        while current < number, index <= bytes.count {
            while index < bytes.count, bytes[index] != slash { index += 1 }
            index += 1
            current += 1
        }
        guard index <= bytes.count else { return .absent }
        var end = index
        while end < bytes.count, bytes[end] != slash { end += 1 }
        return ByteRange(start: index, count: end - index)
    }
}

private let slash: UInt8 = 0x2F
private let backslash: UInt8 = 0x5C
private let percent: UInt8 = 0x25
private let semicolon: UInt8 = 0x3B
private let hash: UInt8 = 0x23
private let questionMark: UInt8 = 0x3F
private let dot: UInt8 = 0x2E

private func appendEscape(_ byte: UInt8, to output: inout ByteWriter) {
    output.append(percent)
    output.append(upperCaseDigit(byte >> 4))
    output.append(upperCaseDigit(byte & 15))
}

private func upperCaseDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? 0x30 + value : 0x37 + value
}

/// RFC 3986 §2.3.
private func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: true
    default: false
    }
}

/// RFC 3986 §3.3 `pchar` without `;` and escapes.
private func isPathCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x21, 0x24, 0x26...0x2C, 0x3A, 0x3D, 0x40: true
    default: isUnreserved(byte)
    }
}
