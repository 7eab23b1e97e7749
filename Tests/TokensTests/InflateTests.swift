import Octets
import Testing

@testable import Tokens

/// ZLIB data (RFC 1950, RFC 1951).
@Suite struct InflateTests {
    static func inflate(_ data: [UInt8], max: Int = 8 << 20) -> Result<[UInt8], InflateError> {
        do throws(InflateError) {
            return .success(try Inflate.read(data.span, outputBytesMax: max))
        } catch {
            return .failure(error)
        }
    }

    static func checksum(_ data: [UInt8]) -> [UInt8] {
        let sum = adler32(data.span)
        return [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: sum >> $0) }
    }

    /// A ZLIB stream of a DEFLATE stream that is written bit by bit: fields of (value, number of bits), lowest first.
    static func stream(_ fields: [(value: Int, bits: Int)], of output: [UInt8] = []) -> [UInt8] {
        var result: [UInt8] = [0x78, 0x9C, 0]
        var used = 0
        for field in fields {
            for bit in 0..<field.bits {
                if used == 8 {
                    result.append(0)
                    used = 0
                }
                result[result.count - 1] |= UInt8(field.value >> bit & 1) << UInt8(used)
                used += 1
            }
        }
        return result + checksum(output)
    }

    @Test(arguments: inflateVectors.indices)
    func zlibData(_ position: Int) {
        let vector = inflateVectors[position]
        let expected = vector.expected
        #expect(Self.inflate(vector.data, max: expected.count) == .success(expected), "\(vector.name)")
        guard !expected.isEmpty else { return }
        // One byte less than it needs is never enough.
        #expect(Self.inflate(vector.data, max: expected.count - 1) == .failure(.tooLong), "\(vector.name)")
        #expect(Self.inflate(vector.data, max: 0) == .failure(.tooLong), "\(vector.name)")
    }

    @Test func everyTruncationIsRefused() {
        for vector in inflateVectors where vector.data.count <= 1_600 && vector.count <= 70_000 {
            let data = vector.data
            for count in data.indices {
                #expect(Self.inflate(Array(data.prefix(count))) == .failure(.truncated), "\(vector.name) \(count)")
            }
            #expect(Self.inflate(data + [0]) == .failure(.trailingBytes), "\(vector.name)")
        }
    }

    /// What passes with a changed bit has the same checksum, which is not strong; it is never longer than allowed.
    @Test func everyBitFlipIsSafe() {
        for vector in inflateVectors where vector.data.count <= 720 && vector.count <= 1_500 {
            let expected = vector.expected
            var data = vector.data
            for place in data.indices {
                for bit in 0..<8 {
                    data[place] ^= 1 << UInt8(bit)
                    if case .success(let found) = Self.inflate(data, max: 2_000) {
                        let isSame = found.count <= 2_000 && adler32(found.span) == adler32(expected.span)
                        #expect(isSame, "\(vector.name) \(place).\(bit)")
                    }
                    data[place] ^= 1 << UInt8(bit)
                }
            }
        }
    }

    @Test func noiseIsSafe() {
        let noise = Sample.random.bytes(6_000)
        for start in stride(from: 0, to: noise.count - 64, by: 7) {
            for first in [0x03, 0x05] as [UInt8] {
                // A last block of fixed or of dynamic codes, and then anything.
                let data = [0x78, 0x9C, noise[start] & 0xF8 | first] + noise[start + 1..<start + 64]
                guard case .failure = Self.inflate(data, max: 4_096) else {
                    Issue.record("noise at \(start) was taken")
                    continue
                }
            }
        }
    }

    /// Stored blocks of every awkward size, and several in a row.
    @Test(arguments: [0, 1, 2, 255, 65_534, 65_535, 65_536, 200_000])
    func storedBlocks(_ count: Int) {
        let data = Sample.random.bytes(count)
        var result: [UInt8] = [0x78, 0x01]
        var at = 0
        repeat {
            let size = min(65_535, count - at)
            result.append(at + size == count ? 1 : 0)
            for value in [size, size ^ 0xFFFF] { result += [UInt8(value & 0xFF), UInt8(value >> 8)] }
            result += data[at..<at + size]
            at += size
        } while at < count
        result += Self.checksum(data)
        #expect(Self.inflate(result, max: count) == .success(data))
        if count > 0 { #expect(Self.inflate(result, max: count - 1) == .failure(.tooLong)) }
        result[3] ^= 1
        #expect(Self.inflate(result, max: count) == .failure(.block))
    }

    @Test(arguments: [
        // Not DEFLATE, a window of 64 KiB, wrong check bits, a dictionary (with right check bits).
        [0x79, 0x9B], [0x88, 0x98], [0x78, 0x9D], [0x78, 0x00], [0x78, 0xBB], [0x00, 0x00], [0x1F, 0x8B],
    ])
    func headers(_ header: [UInt8]) {
        let rest = Self.stream([(1, 1), (1, 2), (0, 7)]).dropFirst(2)
        #expect(Self.inflate(header + rest) == .failure(.header))
        for good in [[0x78, 0x01], [0x78, 0x5E], [0x78, 0x9C], [0x78, 0xDA], [0x08, 0x1D]] as [[UInt8]] {
            #expect(Self.inflate(good + rest) == .success([]))
        }
        #expect(Self.inflate([]) == .failure(.truncated))
    }

    @Test func blocksAndSymbols() {
        #expect(Self.inflate(Self.stream([(1, 1), (3, 2)])) == .failure(.block))
        // Fixed codes, written with the first bit of the code first: 256 is 0000000.
        let end = (value: 0, bits: 7)
        let zero = (value: 0b0000_1100, bits: 8)  // 0: 00110000
        #expect(Self.inflate(Self.stream([(1, 1), (1, 2), zero, end], of: [0])) == .success([0]))
        // 286 and 287 (11000110, 11000111) have codes and no meaning.
        for code in [0b0110_0011, 0b1110_0011] {
            #expect(Self.inflate(Self.stream([(1, 1), (1, 2), zero, (code, 8), end])) == .failure(.symbol))
        }
        // 257 (0000001) is three bytes; distance 0 (00000) is one byte.
        let three = (value: 0b100_0000, bits: 7)
        let copy = Self.stream([(1, 1), (1, 2), zero, three, (0, 5), end], of: [0, 0, 0, 0])
        #expect(Self.inflate(copy) == .success([0, 0, 0, 0]))
        #expect(Self.inflate(copy, max: 3) == .failure(.tooLong))
        // Distances 30 and 31 (11110, 11111) have codes and no meaning.
        for code in [0b01111, 0b11111] {
            #expect(Self.inflate(Self.stream([(1, 1), (1, 2), zero, three, (code, 5), end])) == .failure(.symbol))
        }
        // Distance 1 (00001) is two bytes, and there is one; and none at all.
        #expect(Self.inflate(Self.stream([(1, 1), (1, 2), zero, three, (0b10000, 5), end])) == .failure(.distance))
        #expect(Self.inflate(Self.stream([(1, 1), (1, 2), three, (0, 5), end])) == .failure(.distance))
        #expect(Self.inflate(Self.stream([(1, 1), (1, 2), zero, end], of: [1])) == .failure(.checksum))
        // Any number of empty blocks may come first.
        let empty: [(value: Int, bits: Int)] = [(0, 1), (1, 2), end]
        let many = [[(value: Int, bits: Int)]](repeating: empty, count: 1_000).flatMap { $0 }
        #expect(Self.inflate(Self.stream(many + [(1, 1), (1, 2), end])) == .success([]))
    }

    /// A dynamic block whose code lengths have the code lengths of `order`, written as three bits each.
    private static func dynamic(
        literals: Int = 257, distances: Int = 1, lengths: [Int: Int], _ rest: [(value: Int, bits: Int)],
        of output: [UInt8] = []
    ) -> [UInt8] {
        let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
        let head: [(value: Int, bits: Int)] = [
            (1, 1), (2, 2), (literals - 257, 5), (distances - 1, 5), (15, 4),
        ]
        return stream(head + order.map { (lengths[$0] ?? 0, 3) } + rest, of: output)
    }

    /// Each differs in one thing from a block that passes.
    @Test func dynamicCodes() {
        // Code lengths: 1 → 0, 18 → 1. 138 + 118 zeros, a length of 1 for the end, and the distance's.
        let zeros: [(value: Int, bits: Int)] = [(1, 1), (127, 7), (1, 1), (107, 7)]
        let one = (value: 0, bits: 1)
        let usual = [1: 1, 18: 1]
        func outcome(_ data: [UInt8]) -> Result<[UInt8], InflateError> { Self.inflate(data, max: 100) }
        let passes = Self.dynamic(lengths: usual, zeros + [one, one, (0, 1)])
        #expect(outcome(passes) == .success([]))
        // The bit that the only code does not have.
        #expect(outcome(Self.dynamic(lengths: usual, zeros + [one, one, (1, 1)])) == .failure(.symbol))
        // More literals or distances than there are symbols.
        for (literals, distances) in [(287, 1), (288, 1), (257, 31), (257, 32)] {
            let data = Self.dynamic(literals: literals, distances: distances, lengths: usual, zeros + [one, one])
            #expect(outcome(data) == .failure(.code))
        }
        // Code lengths whose own code is over-subscribed, incomplete, of one symbol, or of none.
        for lengths in [[0: 1, 1: 1, 18: 1], [1: 1, 18: 2], [1: 1], [:]] as [[Int: Int]] {
            #expect(outcome(Self.dynamic(lengths: lengths, zeros + [one, one, (0, 1)])) == .failure(.code))
        }
        // No code for the end of the block.
        let endless = Self.dynamic(lengths: usual, [one, (1, 1), (127, 7), (1, 1), (107, 7), one, (0, 1)])
        #expect(outcome(endless) == .failure(.code))
        // A repetition of nothing, and repetitions beyond the last length.
        let repeated = Self.dynamic(lengths: [1: 1, 16: 1], [(1, 1), (0, 2)])
        #expect(outcome(repeated) == .failure(.code))
        #expect(outcome(Self.dynamic(lengths: usual, zeros + [one, (1, 1), (0, 7)])) == .failure(.code))
        // Three literals of one bit each: over-subscribed. Codes: 1 → 0, 18 → 1.
        let many = Self.dynamic(lengths: usual, [one, one, (1, 1), (127, 7), (1, 1), (105, 7), one, one, (0, 1)])
        #expect(outcome(many) == .failure(.code))
    }

    /// Literal and distance codes that leave gaps: only a single code of one bit may.
    @Test func incompleteCodes() {
        // Code lengths: 0 → 0, 1 → 10, 2 → 110, 18 → 111.
        let lengths = [0: 1, 1: 2, 2: 3, 18: 3]
        let zero = (value: 0, bits: 1)
        let one = (value: 0b01, bits: 2)
        let two = (value: 0b011, bits: 3)
        let zeros: [(value: Int, bits: Int)] = [(0b111, 3), (127, 7), (0b111, 3), (107, 7)]
        func outcome(distances: Int = 1, _ rest: [(value: Int, bits: Int)]) -> Result<[UInt8], InflateError> {
            Self.inflate(Self.dynamic(distances: distances, lengths: lengths, zeros + rest), max: 100)
        }
        #expect(outcome([one, one, (0, 1)]) == .success([]))
        // No distance has a code.
        #expect(outcome([one, zero, (0, 1)]) == .success([]))
        // The end alone, with two bits.
        #expect(outcome([two, one, (0, 2)]) == .failure(.code))
        // One distance with two bits; and one with one bit and another with two.
        #expect(outcome([one, two, (0, 1)]) == .failure(.code))
        #expect(outcome(distances: 2, [one, one, two, (0, 1)]) == .failure(.code))
        #expect(outcome(distances: 2, [one, one, one, (0, 1)]) == .success([]))
        #expect(outcome(distances: 3, [one, one, one, two, (0, 1)]) == .failure(.code))
    }

    @Test func checksums() {
        // RFC 1950 §9; and sums that are reduced often.
        #expect(adler32([UInt8]().span) == 1)
        let name = bytes("Wikipedia")
        #expect(adler32(name.span) == 0x11E6_0398)
        let high = [UInt8](repeating: 0xFF, count: 1 << 20)
        #expect(adler32(high.span) == 0x8E88_EF11)
    }
}
