/// The index of the first byte at or after `start` that may not stand in a header value: a control other
/// than tab, or DEL (RFC 9110 §5.5). `bytes.count` when there is none.
///
/// Eight bytes at a time, since header values are most of what a request consists of.
public func indexOfNonValueByte(_ bytes: Span<UInt8>, from start: Int) -> Int {
    var index = start
    // SAFETY: every load lies below `bytes.count`, and the buffer outlives the closure.
    unsafe bytes.withUnsafeBufferPointer { buffer in
        let raw = UnsafeRawBufferPointer(buffer)
        while index + 8 <= raw.count {
            let word = unsafe raw.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            // The top bit of each byte: set where it is below 0x20, or equal to 0x7F. A borrow or carry can
            // only set bits above a byte that is itself marked, so a word without marks has none.
            let below = (word &- 0x2020_2020_2020_2020) & ~word
            let differs = word ^ 0x7F7F_7F7F_7F7F_7F7F
            let isDelete = (differs &- 0x0101_0101_0101_0101) & ~differs
            if (below | isDelete) & 0x8080_8080_8080_8080 != 0 { break }
            index += 8
        }
    }
    while index < bytes.count {
        let byte = bytes[index]
        if byte < 0x20 ? byte != 0x09 : byte == 0x7F { break }
        index += 1
    }
    return index
}
