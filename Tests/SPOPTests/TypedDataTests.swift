import Octets
import Testing

@testable import SPOP

@Suite struct TypedDataTests {
    /// Values and what the codec takes them for.
    static let vectors: [(String, [UInt8])] = [
        ("null", [0x00]), ("null", [0xF0]), ("true", [0x11]), ("false", [0x01]), ("false", [0x21]), ("true", [0xF1]),
        ("7", [0x02, 7]), ("7", [0x03, 7]), ("7", [0x04, 7]), ("7", [0x05, 7]), ("7", [0xA5, 7]),
        ("443", [0x04, 0xFB, 0x0C]),
        // Minus one, of 32 and of 64 bits.
        ("-1", [0x02, 0xFF, 0xF0, 0xFE, 0xFE, 0x7E]), ("4294967295", [0x03, 0xFF, 0xF0, 0xFE, 0xFE, 0x7E]),
        ("-1", [0x02, 0xFF, 0xF0, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0x0E]),
        ("-1", [0x04, 0xFF, 0xF0, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0x0E]),
        ("4294967295", [0x04, 0xFF, 0xF0, 0xFE, 0xFE, 0x7E]),
        ("9223372036854775807", [0x05, 0xFF, 0xF0, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0x0E]),
        ("9223372036854775807", [0x03, 0xFF, 0xF0, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0x0E]),
        ("-9223372036854775808", Value.int64(.min).bytes), ("-2147483648", Value.int32(.min).bytes),
        ("-2147483648", [0x02] + varint(0x8000_0000)),
        ("ipv4 1 4", [0x06, 192, 0, 2, 7]), ("ipv6 1 16", [0x07] + [UInt8](repeating: 9, count: 16)),
        ("bytes 2 3", [0x08, 3, 0x47, 0x45, 0x54]), ("bytes 2 0", [0x08, 0]), ("bytes 2 0", [0x09, 0]),
        ("bytes 3 240", [0x09] + counted([UInt8](repeating: 1, count: 240))),
    ]

    @Test(arguments: vectors) func known(meaning: String, bytes: [UInt8]) {
        var position = 0
        #expect(read(bytes, &position, bytes.count) == meaning)
        #expect(position == bytes.count)
    }

    @Test(arguments: vectors) func cut(meaning: String, bytes: [UInt8]) {
        for end in bytes.indices {
            var position = 0
            #expect(read(bytes, &position, end) == nil, "\(end) bytes")
        }
    }

    @Test(arguments: UInt8(10)...15) func reservedTypesHaveNoLength(type: UInt8) {
        for flags in UInt8(0)...15 {
            var position = 0
            #expect(read([type | flags << 4, 1, 2, 3, 4, 5, 6], &position, 7) == nil)
        }
    }

    @Test(
        arguments: [
            [0x08, 4, 1, 2, 3], [0x09, 0xFF, 0xF0, 0xFE, 0xFE, 0x7E, 1],
            [0x08, 0xFF, 0xF0, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0x0E, 1],
            [0x04] + [UInt8](repeating: 0xFF, count: 12),
        ] as [[UInt8]])
    func lengthsBeyondTheEnd(bytes: [UInt8]) {
        var position = 0
        #expect(read(bytes, &position, bytes.count) == nil)
    }

    private func read(_ bytes: [UInt8], _ position: inout Int, _ end: Int) -> String? {
        guard let value = TypedData(bytes.span, at: &position, end: end) else { return nil }
        return switch value {
        case .null: "null"
        case .bool(let isTrue): "\(isTrue)"
        case .integer(let number): "\(number)"
        case .ipv4(let range): "ipv4 \(range.start) \(range.count)"
        case .ipv6(let range): "ipv6 \(range.start) \(range.count)"
        case .bytes(let range): "bytes \(range.start) \(range.count)"
        }
    }
}
