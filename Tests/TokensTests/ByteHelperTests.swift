import Octets
import Testing

@testable import Tokens

/// The fast readers against the plain ones.
@Suite struct ByteHelperTests {
    private func inBlocks(_ text: [UInt8], room: Int? = nil) -> [UInt8]? {
        var output = [UInt8](repeating: 0xAA, count: room ?? Base64URL.decodedCount(text.count) + 8)
        var span = output.mutableSpan
        guard let count = Base64URL.decodeInBlocks(text.span, into: &span) else { return nil }
        return Array(output[..<count])
    }

    private func plain(_ text: [UInt8]) -> [UInt8]? { Base64URL.decode(text.span) }

    @Test func everyLengthAndEveryCharacterAtEveryPlace() {
        for count in 0...70 {
            let source = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }
            let text = Base64URL.encode(source.span)
            #expect(inBlocks(text) == source)
            #expect(inBlocks(text + [0x41]) == plain(text + [0x41]))
        }
        let text = bytes("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY")
        for position in text.indices {
            for value in UInt8.min...UInt8.max {
                var changed = text
                changed[position] = value
                #expect(inBlocks(changed) == plain(changed), "\(value) at \(position)")
            }
        }
    }

    @Test func roomIsChecked() {
        let text = bytes("QUJDREVGR0hJ")
        #expect(inBlocks(text, room: 17) == bytes("ABCDEFGHI"))
        #expect(inBlocks(text, room: 16) == nil)
        #expect(inBlocks(text, room: 0) == nil)
        #expect(inBlocks([], room: 8) == [])
    }

    @Test func placesOfAByte() {
        let text = bytes("..a.")
        func place(_ byte: UInt8, _ start: Int) -> Int? { text.span.firstIndex(of: byte, from: start) }
        #expect(place(0x2E, 0) == 0 && place(0x2E, 1) == 1 && place(0x2E, 2) == 3 && place(0x2E, 3) == 3)
        #expect(
            place(0x2E, 4) == nil && place(0x2E, -1) == nil && place(0x2E, .max) == nil
                && place(0x62, 0) == nil)
        let none: [UInt8] = []
        let found = none.span.firstIndex(of: 0, from: 0)
        #expect(found == nil)
    }

    @Test func wordsStartAtEveryOffset() {
        let text = [UInt8](0..<20)
        for offset in 0...12 {
            let word = text.span.littleEndianWord(at: offset)
            #expect(
                (0..<8).allSatisfy { UInt8(truncatingIfNeeded: word >> UInt64($0 * 8)) == text[offset + $0] })
        }
    }

    /// Strings are read eight bytes at a time: each byte, at each place of a word, before and after others
    /// that need care.
    @Test func everyByteAtEveryPlaceOfAString() {
        for length in [1, 7, 8, 9, 15, 16, 17, 24] {
            for position in 0..<length {
                for value in UInt8.min...0x7F {
                    var inside = [UInt8](repeating: 0x61, count: length)
                    inside[position] = value
                    let cause = JSONTests.cause([0x22] + inside + [0x22])
                    switch value {
                    case ..<0x20: #expect(cause == .controlCharacter)
                    case 0x22: #expect(cause == .trailingBytes)
                    case 0x5C:
                        #expect(cause == (position == length - 1 ? .truncated : .invalidEscape))
                    default: #expect(cause == nil)
                    }
                }
                var wide = [UInt8](repeating: 0x61, count: length)
                wide.replaceSubrange(position...position, with: [0xC3, 0xA9])
                #expect(JSONTests.cause([0x22] + wide + [0x22]) == nil)
                wide[position + 1] = 0x61
                #expect(JSONTests.cause([0x22] + wide + [0x22]) == .invalidUTF8)
            }
        }
    }
}
