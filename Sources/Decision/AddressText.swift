internal import Octets

extension ByteWriter {
    /// An address as text, IPv6 as RFC 5952 says.
    ///
    /// Example: `20 01 0d b8 00 … 00 01` is `2001:db8::1`, and `00 … ff ff c0 00 02 01` is `::ffff:192.0.2.1`.
    /// - Parameter address: 4 bytes are IPv4, 16 are IPv6, most significant first; of others nothing is written.
    mutating func append(address: Span<UInt8>) {
        switch address.count {
        case 4: append(dotted: address)
        case 16: append(groups: address)
        default: break
        }
    }

    private mutating func append(dotted address: Span<UInt8>) {
        for index in address.indices {
            if index > 0 { append(0x2E) }
            append(decimal: UInt64(address[index]))
        }
    }

    private mutating func append(groups address: Span<UInt8>) {
        if isMappedIPv4(address) {
            append("::ffff:")
            append(dotted: address.extracting(12..<16))
            return
        }
        let zeros = longestZeroRun(address)
        var index = 0
        var follows = false
        while index < 8 {
            if index == zeros.start, zeros.count > 1 {
                append("::")
                index += zeros.count
                follows = false
                continue
            }
            if follows { append(0x3A) }
            append(hexadecimalNumber: group(address, index))
            index += 1
            follows = true
        }
    }

    private mutating func append(hexadecimalNumber value: UInt16) {
        var shift: UInt16 = 12
        while shift > 0, value >> shift == 0 { shift -= 4 }
        while true {
            append(hexadecimalDigit(UInt8(truncatingIfNeeded: value >> shift) & 15))
            if shift == 0 { return }
            shift -= 4
        }
    }
}

private func group(_ address: Span<UInt8>, _ index: Int) -> UInt16 { address.bigEndian16(at: 2 * index) }

/// RFC 4291 §2.5.5.2, `::ffff:0:0/96`.
private func isMappedIPv4(_ address: Span<UInt8>) -> Bool {
    for index in 0..<5 where group(address, index) != 0 { return false }
    return group(address, 5) == 0xFFFF
}

/// The first of the longest runs of zero groups.
private func longestZeroRun(_ address: Span<UInt8>) -> (start: Int, count: Int) {
    var best = (start: 0, count: 0)
    var start = 0
    for index in 0..<8 {
        if group(address, index) != 0 {
            start = index + 1
        } else if index + 1 - start > best.count {
            best = (start, index + 1 - start)
        }
    }
    return best
}
