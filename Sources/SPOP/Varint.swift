internal import Octets

// SPOE.txt §3.1, "variable-length integers": a value below 240 is one byte. A larger one begins with its low four
// bits above 0xF0, the rest less 240/16 follows in groups of seven bits, the top bit set on all but the last.
//
//     239  ef          2287  ff 7f             2^32 - 1  ff f0 fe fe 7e
//     240  f0 00       2288  f0 80 00          2^64 - 1  ff f0 fe fe fe fe fe fe fe 0e

extension Span where Element == UInt8 {
    /// Reads one integer, of ten bytes at the most; each has one spelling. Moves `position` behind it.
    /// - Returns: nil, and `position` means nothing, when it does not end before `end` or exceeds 64 bits.
    @inline(__always)
    func varint(at position: inout Int, end: Int) -> UInt64? {
        guard position < end else { return nil }
        let first = self[position]
        position += 1
        if first < 240 { return UInt64(first) }
        var value = UInt64(first)
        var shift: UInt64 = 4
        while true {
            guard position < end, shift < 64 else { return nil }
            let byte = self[position]
            position += 1
            let (part, isCut) = UInt64(byte).multipliedReportingOverflow(by: 1 << shift)
            let (sum, overflow) = value.addingReportingOverflow(part)
            guard !isCut, !overflow else { return nil }
            value = sum
            if byte < 0x80 { return value }
            shift += 7
        }
    }
}

extension ByteWriter {
    mutating func append(varint value: UInt64) {
        guard value >= 240 else {
            append(UInt8(truncatingIfNeeded: value))
            return
        }
        append(UInt8(truncatingIfNeeded: value) | 0xF0)
        var rest = (value - 240) >> 4
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest = (rest - 0x80) >> 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }
}
