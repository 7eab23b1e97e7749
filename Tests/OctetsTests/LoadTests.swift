import Octets
import Testing

@Suite struct LoadTests {
    @Test("loads at every offset, and nil beyond the end")
    func loads() {
        var random = SeededGenerator(11)
        let all = random.bytes(20...20)
        for count in 0...20 {
            let text = Array(all.prefix(count))
            func expected(_ offset: Int, _ width: Int) -> UInt64? {
                guard offset >= 0, offset <= count - width else { return nil }
                return (0..<width).reduce(UInt64(0)) { $0 | UInt64(text[offset + $1]) << UInt64(8 * $1) }
            }
            for offset in [Int.min, -1] + Array(0...21) + [Int.max - 8, Int.max - 1, Int.max] {
                #expect(text.span.littleEndian16(at: offset).map { UInt64($0) } == expected(offset, 2))
                #expect(text.span.littleEndian32(at: offset).map { UInt64($0) } == expected(offset, 4))
                #expect(text.span.littleEndian64(at: offset) == expected(offset, 8))
                if let value = expected(offset, 2) {
                    #expect(UInt64(text.span.bigEndian16(at: offset).byteSwapped) == value)
                }
                if let value = expected(offset, 4) {
                    #expect(UInt64(text.span.bigEndian32(at: offset).byteSwapped) == value)
                }
                if let value = expected(offset, 8) {
                    #expect(text.span.littleEndianWord(at: offset) == value)
                }
            }
        }
    }

    @Test("what is appended is loaded again")
    func stores() {
        var random = SeededGenerator(12)
        for value in [0, 1, UInt64.max] + (0..<50).map({ _ in random.next() }) {
            var text: [UInt8] = [0]
            text.append(littleEndian16: UInt16(truncatingIfNeeded: value))
            text.append(littleEndian32: UInt32(truncatingIfNeeded: value))
            text.append(littleEndian64: value)
            text.append(bigEndian16: UInt16(truncatingIfNeeded: value))
            text.append(bigEndian32: UInt32(truncatingIfNeeded: value))
            #expect(text.count == 21)
            #expect(text.span.littleEndian16(at: 1) == UInt16(truncatingIfNeeded: value))
            #expect(text.span.littleEndian32(at: 3) == UInt32(truncatingIfNeeded: value))
            #expect(text.span.littleEndian64(at: 7) == value)
            #expect(text.span.bigEndian16(at: 15) == UInt16(truncatingIfNeeded: value))
            #expect(text.span.bigEndian32(at: 17) == UInt32(truncatingIfNeeded: value))
        }
    }

    @Test("comparing is what the standard library says")
    func comparing() {
        var random = SeededGenerator(13)
        for _ in 0..<5_000 {
            let left = random.bytes(0...4).map { $0 % 3 &* 100 }
            let right = random.bytes(0...4).map { $0 % 3 &* 100 }
            let order = compare(left.span, right.span)
            #expect((order < 0) == left.lexicographicallyPrecedes(right))
            #expect((order == 0) == (left == right) && (order > 0) == right.lexicographicallyPrecedes(left))
            #expect(equal(left.span, right.span) == (left == right))
            #expect(compare(right.span, left.span).signum() == -order.signum())
        }
    }

    @Test("equality with literals, with and without case")
    func literals() {
        let rows: [(String, Bool, Bool)] = [
            ("Bearer", true, true), ("bearer", false, true), ("BEARER", false, true), ("Beare", false, false),
            ("Bearerx", false, false), ("", false, false), ("Bea\u{12}er", false, false),
            ("bEARER", false, true),
            ("Bearex", false, false),
        ]
        for (text, isEqual, isAlike) in rows {
            #expect(equal(bytes(text).span, "Bearer") == isEqual)
            #expect(equalIgnoringCase(bytes(text).span, "Bearer") == isAlike)
        }
        let isEmptyEqual = equal(Span<UInt8>(), "") && equalIgnoringCase(Span<UInt8>(), "")
        #expect(isEmptyEqual)
        // Only letters fold: `[` and `{`, `@` and the grave accent stay apart.
        for (one, other) in [("[", "{"), ("@", "`"), ("\\", "|"), ("^", "~"), ("]", "}")]
            as [(String, StaticString)]
        {
            let isAlike = equalIgnoringCase(bytes(one).span, other)
            #expect(!isAlike)
        }
        for value in UInt8.min...UInt8.max {
            let isUpper = value >= 0x41 && value <= 0x5A
            #expect(lowercased(value) == (isUpper ? value + 32 : value))
        }
    }

    @Test("searching from every start")
    func searching() {
        var random = SeededGenerator(14)
        for _ in 0..<500 {
            let text = random.bytes(0...30).map { $0 % 4 }
            for start in [-1] + Array(0...31) {
                let expected = start < 0 || start >= text.count ? nil : text[start...].firstIndex(of: 2)
                #expect(text.span.firstIndex(of: 2, from: start) == expected)
            }
        }
    }

    @Test("copies and text for people")
    func copies() {
        let text = bytes("a\u{E9}")
        let copied = [UInt8](copying: text.span)
        let nothing = [UInt8](copying: Span<UInt8>())
        #expect(copied == text && nothing == [])
        var more: [UInt8] = [1]
        more.append(copying: text.span)
        #expect(more == [1] + text)
        #expect(String(lossy: text.span) == "a\u{E9}")
        #expect(String(lossy: [0x61, 0xFF].span) == "a\u{FFFD}")
    }
}
