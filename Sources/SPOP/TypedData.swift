internal import Octets

/// One value with its type (SPOE.txt §3.1, "typed data"): the type in the low four bits of the first byte, flags in
/// the high four. `11` is true, `01` false, `08 03 47 45 54` the string `GET`.
enum TypedData {
    case null
    case bool(Bool)
    case integer(Int64)
    /// 4 bytes, most significant first.
    case ipv4(ByteRange)
    /// 16 bytes, most significant first.
    case ipv6(ByteRange)
    /// String or binary.
    case bytes(ByteRange)

    /// Reads one value and moves `position` behind it.
    /// - Returns: nil when it does not end before `end`, or has a type whose length nobody knows.
    @inline(__always)
    init?(_ bytes: Span<UInt8>, at position: inout Int, end: Int) {
        guard position < end else { return nil }
        let head = bytes[position]
        position += 1
        switch head & 0x0F {
        case 0: self = .null
        case 1: self = .bool(head & 0x10 != 0)
        case 2, 3, 4, 5:
            guard let value = bytes.varint(at: &position, end: end) else { return nil }
            self = .integer(TypedData.number(value, type: head & 0x0F))
        case 6:
            guard end - position >= 4 else { return nil }
            self = .ipv4(ByteRange(start: position, count: 4))
            position += 4
        case 7:
            guard end - position >= 16 else { return nil }
            self = .ipv6(ByteRange(start: position, count: 16))
            position += 16
        case 8, 9:
            guard let range = bytes.countedRange(at: &position, end: end) else { return nil }
            self = .bytes(range)
        default: return nil
        }
    }

    /// Signed types travel as two's complement, of 32 or 64 bits.
    private static func number(_ value: UInt64, type: UInt8) -> Int64 {
        switch type {
        case 2 where value <= UInt64(UInt32.max): Int64(Int32(truncatingIfNeeded: value))
        case 2, 4: Int64(bitPattern: value)
        default: Int64(clamping: value)
        }
    }
}

extension Span where Element == UInt8 {
    /// A length and that many bytes: a string without a type.
    @inline(__always)
    func countedRange(at position: inout Int, end: Int) -> ByteRange? {
        guard let count = varint(at: &position, end: end), count <= UInt64(end - position) else { return nil }
        let range = ByteRange(start: position, count: Int(count))
        position += Int(count)
        return range
    }
}

extension ByteWriter {
    mutating func append(counted text: StaticString) {
        append(varint: UInt64(text.utf8CodeUnitCount))
        append(text)
    }

    mutating func append(string text: StaticString) {
        append(UInt8(8))
        append(counted: text)
    }

    mutating func append(string text: Span<UInt8>) {
        append(UInt8(8))
        append(varint: UInt64(text.count))
        append(text)
    }

    mutating func append(unsigned value: UInt32) {
        append(UInt8(3))
        append(varint: UInt64(value))
    }
}
