/// Turns the JWS form of an ECDSA signature, r ‖ s (RFC 7518 §3.4), into the DER that OpenSSL reads.
///
/// Example: 32-byte r = 00…01 and s = 80…00 become `30 26 02 01 01 02 21 00 80 00 …`.
enum SignatureDER {
    /// Two P-521 integers of 67 bytes with their heads, and a head of three bytes.
    static let bytesMax = 3 + 2 * (2 + 67)

    /// Writes to the front of `output`, which has room for `bytesMax`. Zero stays a number: OpenSSL refuses
    /// it.
    /// - Returns: the bytes written.
    static func write(_ signature: Span<UInt8>, into output: inout OutputSpan<UInt8>) {
        let half = signature.count / 2
        let first = integer(signature, from: 0, to: half)
        let second = integer(signature, from: half, to: signature.count)
        let body = 2 + first.count + 2 + second.count
        output.append(0x30)
        // Bodies of 128 bytes and more occur with P-521 only; none reaches 256.
        if body >= 0x80 { output.append(0x81) }
        output.append(UInt8(truncatingIfNeeded: body))
        append(first, of: signature, to: &output)
        append(second, of: signature, to: &output)
    }

    private struct Integer {
        var start: Int
        var end: Int
        /// A zero byte in front keeps the number positive.
        var isPadded: Bool
        var count: Int { end - start + (isPadded ? 1 : 0) }
    }

    /// The fewest bytes of one number, at least one.
    private static func integer(_ signature: Span<UInt8>, from start: Int, to end: Int) -> Integer {
        var index = start
        while index < end - 1, signature[index] == 0 { index += 1 }
        return Integer(start: index, end: end, isPadded: signature[index] & 0x80 != 0)
    }

    private static func append(
        _ integer: Integer, of signature: Span<UInt8>, to output: inout OutputSpan<UInt8>
    ) {
        output.append(0x02)
        output.append(UInt8(truncatingIfNeeded: integer.count))
        if integer.isPadded { output.append(0) }
        for index in integer.start..<integer.end { output.append(signature[index]) }
    }
}
