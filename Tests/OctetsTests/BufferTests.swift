import Octets
import Testing

@Suite struct BufferTests {
    private func contents(_ writer: borrowing ByteWriter) -> String { String(lossy: writer.bytes) }
    private func contents(_ buffer: borrowing ReceiveBuffer) -> String { String(lossy: buffer.bytes) }

    @Test("what does not fit is dropped as a whole and remembered")
    func overflow() {
        var writer = ByteWriter(capacity: 4)
        writer.append("abc")
        writer.append("de")
        var state = (contents(writer), writer.overflowed, writer.count)
        #expect(state == ("abc", true, 3))
        writer.append(bytes("xy").span)
        writer.append(0x7A)
        state = (contents(writer), writer.overflowed, writer.count)
        #expect(state == ("abcz", true, 4))
        writer.append(0x21)
        writer.append(bytes("").span)
        writer.append("")
        state = (contents(writer), writer.overflowed, writer.count)
        #expect(state == ("abcz", true, 4))
        writer.truncate(to: 1)
        state = (contents(writer), writer.overflowed, writer.count)
        #expect(state == ("a", true, 1))
        writer.removeAll()
        state = (contents(writer), writer.overflowed, writer.count)
        #expect(state == ("", false, 0))
        writer.append(bytes("wxyz").span)
        state = (contents(writer), writer.overflowed, writer.count)
        #expect(state == ("wxyz", false, 4))
    }

    @Test("taking back and moving down")
    func rewinding() {
        var writer = ByteWriter(capacity: 8)
        writer.append("abcdef")
        for (count, expected) in [(10, "abcdef"), (6, "abcdef"), (4, "abcd"), (-3, "")] {
            writer.truncate(to: count)
            let state = contents(writer)
            #expect(state == expected)
        }
        writer.append("abcdefgh")
        writer.append("i")
        writer.rewind(to: 3)
        var state = (contents(writer), writer.overflowed)
        #expect(state == ("abc", false))
        writer.append("defgh")
        for (dropped, expected) in [(0, "abcdefgh"), (-1, "abcdefgh"), (3, "defgh"), (4, "h"), (9, "")] {
            writer.discardFirst(dropped)
            let state = contents(writer)
            #expect(state == expected)
        }
        writer.append("new")
        state = (contents(writer), writer.overflowed)
        #expect(state == ("new", false))
    }

    @Test("numbers")
    func numbers() {
        let decimals: [UInt64] = [
            0, 1, 9, 10, 99, 100, 12_345, 1 << 32, UInt64.max / 10, UInt64.max - 1, UInt64.max,
        ]
        for value in decimals + (0..<20).map({ UInt64(1) << UInt64(3 * $0) }) {
            var writer = ByteWriter(capacity: 20)
            writer.append(decimal: value)
            let state = (contents(writer), writer.overflowed)
            #expect(state == ("\(value)", false))
        }
        for value in UInt8.min...UInt8.max {
            var writer = ByteWriter(capacity: 2)
            writer.append(hexadecimal: value)
            let text = contents(writer)
            #expect(UInt8(text, radix: 16) == value && text == text.lowercased() && text.utf8.count == 2)
            let digit = Character(Unicode.Scalar(value))
            let expected = digit.isASCII ? digit.hexDigitValue.map { UInt8($0) } : nil
            #expect(hexadecimalValue(value) == expected)
        }
        var writer = ByteWriter(capacity: 16)
        writer.append(bigEndian16: 0x0102)
        writer.append(bigEndian32: 0xA0B0_C0D0)
        writer.overwrite(at: 0, bigEndian16: 0xFFFE)
        writer.overwrite(at: 4, bigEndian16: 0x0001)
        let written = [UInt8](copying: writer.bytes)
        #expect(written == [0xFF, 0xFE, 0xA0, 0xB0, 0x00, 0x01])
    }

    @Test("a receive buffer takes what fits, whole")
    func receiving() {
        var buffer = ReceiveBuffer(capacity: 8)
        var taken = buffer.append(bytes("abcdef").span)
        #expect(taken)
        taken = buffer.append(bytes("ghi").span)
        #expect(!taken)
        taken = buffer.append(bytes("gh").span)
        var state = (contents(buffer), buffer.freeCount)
        #expect(taken && state == ("abcdefgh", 0))
        taken = buffer.append(bytes("").span)
        #expect(taken)
        buffer.remove(2..<5)
        state = (contents(buffer), buffer.freeCount)
        #expect(state == ("abfgh", 3))
        buffer.remove(0..<0)
        buffer.remove(5..<5)
        buffer.move(from: 0, to: 2, length: 3)
        state = (contents(buffer), buffer.freeCount)
        #expect(state == ("ababf", 3))
        buffer.move(from: 4, to: 0, length: 1)
        buffer.move(from: 5, to: 5, length: 0)
        state = (contents(buffer), buffer.freeCount)
        #expect(state == ("fbabf", 3))
        buffer.remove(0..<5)
        state = (contents(buffer), buffer.freeCount)
        #expect(state == ("", 8))
        taken = buffer.append(bytes("x").span)
        let first = buffer.withBytes { $0.count > 0 ? $0[0] : 0 }
        #expect(taken && first == 0x78)
        buffer.removeAll()
        #expect(contents(buffer) == "")
    }

    @Test("filling counts what was written, and no more than there is room for")
    func filling() {
        var buffer = ReceiveBuffer(capacity: 4)
        var written: [Int] = []
        for claim in [2, 0, -1, 100] {
            // SAFETY: the closure writes within the space it is given.
            let result = unsafe buffer.fill { space in
                for index in 0..<min(max(claim, 0), space.count) { unsafe space[index] = 0x61 }
                return claim
            }
            written.append(result)
        }
        let state = (written, buffer.count, contents(buffer))
        #expect(state == ([2, 0, -1, 100], 4, "aaaa"))
    }

    @Test("ranges never reach outside a span")
    func ranges() {
        let text = bytes("abcdef")
        let rows: [(ByteRange, String)] = [
            (.absent, ""), (ByteRange(start: 0, count: 6), "abcdef"), (ByteRange(start: 2, count: 2), "cd"),
            (ByteRange(start: 6, count: 0), ""), (ByteRange(start: 5, count: 1), "f"),
            (ByteRange(start: 5, count: 2), ""),
            (ByteRange(start: 7, count: 0), ""), (ByteRange(start: 0, count: 7), ""),
            (ByteRange(start: 1, count: Int(UInt32.max)), ""),
            (ByteRange(start: Int(UInt32.max) - 1, count: 1), ""),
            (ByteRange(start: -1, count: 3), ""), (ByteRange(start: 3, count: -1), ""),
        ]
        for (range, expected) in rows {
            #expect(String(lossy: text.span.bytes(at: range)) == expected, "\(range)")
        }
        #expect(!ByteRange.absent.isPresent && ByteRange.absent.isEmpty)
        #expect(ByteRange(start: 3, count: 0).isPresent && ByteRange(start: 3, count: 0).isEmpty)
        #expect(ByteRange(start: 3, count: 0) != .absent)
    }
}
