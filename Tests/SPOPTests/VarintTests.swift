import Octets
import Testing

@testable import SPOP

/// SPOE.txt §3.1 and the vectors that HAProxy 2.6 and 3.4 were seen to send.
@Suite struct VarintTests {
    static let vectors: [(UInt64, [UInt8])] = [
        (0, [0]), (239, [0xEF]), (240, [0xF0, 0]), (255, [0xFF, 0]), (256, [0xF0, 1]), (2_287, [0xFF, 0x7F]),
        (2_288, [0xF0, 0x80, 0]), (264_431, [0xFF, 0xFF, 0x7F]), (264_432, [0xF0, 0x80, 0x80, 0]),
        (4_294_967_295, [0xFF, 0xF0, 0xFE, 0xFE, 0x7E]),
        (UInt64.max, [0xFF, 0xF0, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0x0E]),
    ]

    @Test(arguments: vectors) func known(value: UInt64, bytes: [UInt8]) {
        var position = 0
        #expect(bytes.span.varint(at: &position, end: bytes.count) == value)
        #expect(position == bytes.count)
        #expect(written(value) == bytes)
        #expect(varint(value) == bytes)
    }

    @Test(arguments: vectors) func cut(value: UInt64, bytes: [UInt8]) {
        for end in bytes.indices {
            var position = 0
            #expect(bytes.span.varint(at: &position, end: end) == nil)
        }
        // What stands behind the end is not read.
        var position = 1
        #expect(([0xEF] + bytes + [0xEF]).span.varint(at: &position, end: bytes.count + 1) == value)
        #expect(position == bytes.count + 1)
    }

    static let tooLarge: [[UInt8]] = [
        // 2^64, one above the largest.
        [0xF0, 0xF1, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0x0E],
        [0xFF, 0xF0, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0x0F],
        [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x0E],
        [0xF0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10],
        [0xF0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7F],
        // Eleven bytes, and ones that never end.
        [0xF0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
        [UInt8](repeating: 0xFF, count: 10), [UInt8](repeating: 0xFF, count: 100),
        [0xF0] + [UInt8](repeating: 0x80, count: 99),
    ]

    @Test(arguments: tooLarge) func beyond64Bits(bytes: [UInt8]) {
        var position = 0
        #expect(bytes.span.varint(at: &position, end: bytes.count) == nil)
    }

    /// Each further byte begins where the shorter ones end, so that no number has a second spelling.
    @Test func oneSpellingForEachNumber() {
        for first in UInt8(0)...255 {
            for second in UInt8(0)...255 {
                for third in [UInt8(0), 1, 0x7F] {
                    let bytes = [first, second, third]
                    var position = 0
                    guard let value = bytes.span.varint(at: &position, end: 3) else {
                        Issue.record("\(bytes)")
                        return
                    }
                    #expect(written(value) == Array(bytes[..<position]))
                }
            }
        }
    }

    @Test func randomNumbersReadBack() {
        var random = Generator(state: 1)
        for round in 0..<20_000 {
            let value = random.next() >> UInt64(round % 64)
            let bytes = written(value)
            var position = 0
            #expect(bytes.count <= 10)
            #expect(bytes == varint(value))
            #expect(bytes.span.varint(at: &position, end: bytes.count) == value)
            var reader = Reader(bytes)
            #expect(reader.varint() == value)
        }
    }

    /// Against the reader of the tests, which works from the last byte back.
    @Test func randomBytesAreReadAsByAnother() {
        var random = Generator(state: 2)
        var taken = 0
        for _ in 0..<20_000 {
            let count = Int.random(in: 1...11, using: &random)
            var bytes = (0..<count).map { _ in UInt8.random(in: 0x70...0xFF, using: &random) }
            bytes[0] |= 0xF0
            if Bool.random(using: &random) { bytes[count - 1] &= 0x0F }
            var position = 0
            var reader = Reader(bytes)
            let value = bytes.span.varint(at: &position, end: count)
            #expect(value == reader.varint(), "\(bytes)")
            if value != nil { taken += 1 }
        }
        #expect(taken > 5_000)
    }

    private func written(_ value: UInt64) -> [UInt8] {
        var writer = ByteWriter(capacity: 16)
        writer.append(varint: value)
        return [UInt8](copying: writer.bytes)
    }
}

/// Seeded, so that a failure repeats.
struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
