/// A Huffman code of DEFLATE (RFC 1951 §3.2.2), as the number of codes of each length and the symbols in the order of
/// their codes.
struct HuffmanCode: ~Copyable {
    static let bitsMax = 15
    static let symbolsMax = 288

    private var counts = InlineArray<16, UInt16>(repeating: 0)
    private var symbols = InlineArray<288, UInt16>(repeating: 0)

    /// What the lengths make of the code space.
    enum Fill {
        case complete
        /// No symbol has a code.
        case none
        /// One symbol, with a code of one bit; the other bit means nothing. The only gap that encoders leave.
        case single
        case incomplete
        case overSubscribed
    }

    /// Builds the code anew.
    /// - Parameter lengths: of each symbol's code, 0 to 15, 0 for a symbol without one; at most 288.
    mutating func build(_ lengths: Span<UInt8>) -> Fill {
        for length in 0...HuffmanCode.bitsMax { counts[length] = 0 }
        for symbol in lengths.indices { counts[Int(lengths[symbol])] += 1 }
        // Codes of the current length that are still free.
        var left = 1
        for length in 1...HuffmanCode.bitsMax {
            left = left * 2 - Int(counts[length])
            guard left >= 0 else { return .overSubscribed }
        }
        var offsets = InlineArray<16, UInt16>(repeating: 0)
        for length in 1..<HuffmanCode.bitsMax { offsets[length + 1] = offsets[length] + counts[length] }
        for symbol in lengths.indices where lengths[symbol] != 0 {
            let length = Int(lengths[symbol])
            symbols[Int(offsets[length])] = UInt16(truncatingIfNeeded: symbol)
            offsets[length] += 1
        }
        let used = lengths.count - Int(counts[0])
        guard left > 0 else { return .complete }
        if used == 0 { return .none }
        return used == Int(counts[1]) ? .single : .incomplete
    }

    /// Finds the symbol whose code the bits begin with.
    /// - Parameter bits: the next bits of the stream, the first one lowest; those behind its end are 0.
    /// - Returns: the symbol and the length of its code; nil when no code fits.
    func symbol(_ bits: UInt64) -> (symbol: Int, length: Int)? {
        var rest = bits
        // The code read so far, and of its length the first code and the place of that one's symbol.
        var code = 0
        var first = 0
        var place = 0
        for length in 1...HuffmanCode.bitsMax {
            code |= Int(truncatingIfNeeded: rest & 1)
            rest >>= 1
            let count = Int(counts[length])
            if code - first < count { return (Int(symbols[place + code - first]), length) }
            place += count
            first = (first + count) << 1
            code <<= 1
        }
        return nil
    }
}
