internal import Octets

/// Why data could not be inflated.
enum InflateError: Error, Equatable {
    /// The data end too early.
    case truncated
    /// Not a ZLIB stream without a dictionary (RFC 1950 §2.2).
    case header
    /// A block of the reserved kind, or a stored one whose length is not what its complement says.
    case block
    /// Code lengths that make no code, or none for the end of the block.
    case code
    /// Bits that no code has, or a length or distance that is reserved.
    case symbol
    /// A distance to before the start of the output.
    case distance
    /// More output than is allowed.
    case tooLong
    case checksum
    /// Bytes behind the checksum.
    case trailingBytes
}

/// Inflates ZLIB data (RFC 1950 over RFC 1951) of a source that is not trusted: the output is bounded, and the work is
/// in proportion to input and output together. As strict as zlib itself about codes, and stricter about what follows.
///
/// Example: `78 da db b9 18 00 02 17 01 5d` is `b9 a3`.
struct Inflate: ~Copyable, ~Escapable {
    private var input: BitInput
    private let outputBytesMax: Int
    private var output: [UInt8] = []
    private var literals = HuffmanCode()
    private var distances = HuffmanCode()

    @_lifetime(copy input)
    private init(_ input: Span<UInt8>, outputBytesMax: Int) {
        self.input = BitInput(input)
        self.outputBytesMax = outputBytesMax
    }

    /// - Parameter outputBytesMax: one byte more is `tooLong`, and never stored.
    static func read(_ input: Span<UInt8>, outputBytesMax: Int) throws(InflateError) -> [UInt8] {
        var inflate = Inflate(input, outputBytesMax: outputBytesMax)
        try inflate.readHeader()
        var isLast = false
        while !isLast {
            isLast = try inflate.input.take(1) == 1
            try inflate.readBlock()
        }
        try inflate.readEnd()
        return inflate.output
    }

    @_lifetime(self: copy self)
    private mutating func readHeader() throws(InflateError) {
        let method = try input.take(8)
        let flags = try input.take(8)
        // DEFLATE with a window of at most 32 KiB, no preset dictionary.
        guard method & 0x0F == 8, method >> 4 <= 7, (method << 8 | flags) % 31 == 0, flags & 0x20 == 0 else {
            throw .header
        }
    }

    @_lifetime(self: copy self)
    private mutating func readBlock() throws(InflateError) {
        switch try input.take(2) {
        case 0: try copyStored()
        case 1:
            buildFixed()
            try readSymbols()
        case 2:
            try buildDynamic()
            try readSymbols()
        default: throw .block
        }
    }

    @_lifetime(self: copy self)
    private mutating func copyStored() throws(InflateError) {
        input.skipToByte()
        let count = try input.take(16)
        guard try input.take(16) == count ^ 0xFFFF else { throw .block }
        guard count <= outputBytesMax - output.count else { throw .tooLong }
        for _ in 0..<count { output.append(UInt8(truncatingIfNeeded: try input.take(8))) }
    }

    /// RFC 1951 §3.2.6. The symbols 286 and 287 and the distances 30 and 31 take part in the code and are never used.
    @_lifetime(self: copy self)
    private mutating func buildFixed() {
        let lengths = InlineArray<288, UInt8> { $0 < 144 ? 8 : $0 < 256 ? 9 : $0 < 280 ? 7 : 8 }
        _ = literals.build(lengths.span)
        let fives = InlineArray<32, UInt8>(repeating: 5)
        _ = distances.build(fives.span)
    }

    /// RFC 1951 §3.2.7.
    @_lifetime(self: copy self)
    private mutating func buildDynamic() throws(InflateError) {
        let literalCount = try input.take(5) + 257
        let distanceCount = try input.take(5) + 1
        let lengthCount = try input.take(4) + 4
        guard literalCount <= 286, distanceCount <= 30 else { throw .code }
        var lengths = InlineArray<320, UInt8>(repeating: 0)
        for position in 0..<lengthCount {
            lengths[Inflate.lengthOrder[position]] = UInt8(truncatingIfNeeded: try input.take(3))
        }
        // The code of the code lengths stands in the place of the literals' until it has been used.
        guard literals.build(lengths.span.extracting(0..<19)) == .complete else { throw .code }
        let total = literalCount + distanceCount
        for position in 0..<19 { lengths[position] = 0 }
        var at = 0
        while at < total {
            let symbol = try input.symbol(literals)
            if symbol < 16 {
                lengths[at] = UInt8(truncatingIfNeeded: symbol)
                at += 1
                continue
            }
            let (value, count) = try repetition(symbol, after: at == 0 ? nil : lengths[at - 1])
            guard count <= total - at else { throw .code }
            for _ in 0..<count {
                lengths[at] = value
                at += 1
            }
        }
        // Without a code for its end the block has none.
        guard lengths[256] != 0 else { throw .code }
        switch literals.build(lengths.span.extracting(0..<literalCount)) {
        case .complete, .single: break
        case .none, .incomplete, .overSubscribed: throw .code
        }
        // A block of literals alone may leave the distances without a code.
        switch distances.build(lengths.span.extracting(literalCount..<total)) {
        case .complete, .single, .none: break
        case .incomplete, .overSubscribed: throw .code
        }
    }

    @_lifetime(self: copy self)
    private mutating func repetition(
        _ symbol: Int, after previous: UInt8?
    ) throws(InflateError) -> (value: UInt8, count: Int) {
        switch symbol {
        case 16:
            guard let previous else { throw .code }
            return (previous, try input.take(2) + 3)
        case 17: return (0, try input.take(3) + 3)
        default: return (0, try input.take(7) + 11)
        }
    }

    @_lifetime(self: copy self)
    private mutating func readSymbols() throws(InflateError) {
        while true {
            let symbol = try input.symbol(literals)
            if symbol < 256 {
                guard output.count < outputBytesMax else { throw .tooLong }
                output.append(UInt8(truncatingIfNeeded: symbol))
                continue
            }
            if symbol == 256 { return }
            let lengthPlace = symbol - 257
            guard lengthPlace < Inflate.lengthBases.count else { throw .symbol }
            let length = Inflate.lengthBases[lengthPlace] + (try input.take(Inflate.lengthBits[lengthPlace]))
            let distancePlace = try input.symbol(distances)
            guard distancePlace < Inflate.distanceBases.count else { throw .symbol }
            let distance =
                Inflate.distanceBases[distancePlace] + (try input.take(Inflate.distanceBits[distancePlace]))
            guard distance <= output.count else { throw .distance }
            guard length <= outputBytesMax - output.count else { throw .tooLong }
            // The two may overlap: what was just written is read again.
            for _ in 0..<length { output.append(output[output.count - distance]) }
        }
    }

    @_lifetime(self: copy self)
    private mutating func readEnd() throws(InflateError) {
        input.skipToByte()
        var expected: UInt32 = 0
        for _ in 0..<4 { expected = expected << 8 | UInt32(truncatingIfNeeded: try input.take(8)) }
        guard adler32(output.span) == expected else { throw .checksum }
        guard input.isAtEnd else { throw .trailingBytes }
    }

    private static let lengthOrder: [Int] = [
        16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
    ]
    /// RFC 1951 §3.2.5.
    private static let lengthBases: [Int] = [
        3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227,
        258,
    ]
    private static let lengthBits: [Int] = [
        0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
    ]
    private static let distanceBases: [Int] = [
        1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097,
        6145, 8193, 12289, 16385, 24577,
    ]
    private static let distanceBits: [Int] = [
        0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
    ]
}

/// The bits of DEFLATE data: of each byte the lowest first.
private struct BitInput: ~Escapable {
    private let bytes: Span<UInt8>
    private var at = 0
    /// Bits that were loaded and not taken, the next one lowest; 0 above them.
    private var bits: UInt64 = 0
    private var bitCount = 0

    @_lifetime(copy bytes)
    init(_ bytes: Span<UInt8>) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { bitCount == 0 && at == bytes.count }

    /// - Parameter count: 0 to 16.
    @_lifetime(self: copy self)
    mutating func take(_ count: Int) throws(InflateError) -> Int {
        if bitCount < count { load() }
        guard bitCount >= count else { throw .truncated }
        let value = Int(truncatingIfNeeded: bits & (1 << UInt64(count) - 1))
        drop(count)
        return value
    }

    @_lifetime(self: copy self)
    mutating func symbol(_ code: borrowing HuffmanCode) throws(InflateError) -> Int {
        if bitCount < HuffmanCode.bitsMax { load() }
        guard let (symbol, length) = code.symbol(bits) else { throw .symbol }
        guard length <= bitCount else { throw .truncated }
        drop(length)
        return symbol
    }

    /// Drops what is left of the current byte.
    @_lifetime(self: copy self)
    mutating func skipToByte() { drop(bitCount & 7) }

    @_lifetime(self: copy self)
    private mutating func drop(_ count: Int) {
        bits >>= UInt64(count)
        bitCount -= count
    }

    @_lifetime(self: copy self)
    private mutating func load() {
        while bitCount <= 56, at < bytes.count {
            bits |= UInt64(bytes[at]) << UInt64(bitCount)
            bitCount += 8
            at += 1
        }
    }
}

/// RFC 1950 §8.2.
func adler32(_ bytes: Span<UInt8>) -> UInt32 {
    let modulus: UInt32 = 65_521
    var low: UInt32 = 1
    var high: UInt32 = 0
    var at = 0
    while at < bytes.count {
        // The sums of 5,552 bytes still fit into 32 bits.
        let stop = min(bytes.count, at + 5_552)
        while at < stop {
            low &+= UInt32(bytes[at])
            high &+= low
            at += 1
        }
        low %= modulus
        high %= modulus
    }
    return high << 16 | low
}
