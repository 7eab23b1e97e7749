import Octets
import Testing

@Suite struct LaneTests {
    /// The word of the marks that a rule gives byte by byte.
    private func marks(_ word: UInt64, _ isMarked: (UInt8) -> Bool) -> UInt64 {
        (0..<8).reduce(UInt64(0)) { result, place in
            let byte = UInt8(truncatingIfNeeded: word >> UInt64(8 * place))
            return isMarked(byte) ? result | 0x80 << UInt64(8 * place) : result
        }
    }

    private func isOfPaths(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x2F, 0x5F, 0x7E: true
        default: false
        }
    }

    @Test("every byte in every place, among neighbours that could carry into it")
    func everyByte() {
        for byte in UInt8.min...UInt8.max {
            for filler in [0x00, 0x2F, 0x61, 0x7F, 0x80, 0xFF] as [UInt8] {
                for place in 0..<8 {
                    let hole = ~(UInt64(0xFF) << UInt64(8 * place))
                    let word = lanes(filler) & hole | UInt64(byte) << UInt64(8 * place)
                    #expect(pathLanes(of: word) == marks(word, isOfPaths))
                    #expect(lanes(of: word, equalTo: 0x2F) == marks(word) { $0 == 0x2F })
                    #expect(lanes(of: word, equalTo: 0x00) == marks(word) { $0 == 0x00 })
                    #expect(lanes(of: word, from: 0x21, through: 0x7E) == marks(word) { 0x21...0x7E ~= $0 })
                    #expect(lanes(of: word, from: 0x00, through: 0x7F) == marks(word) { $0 < 0x80 })
                }
            }
        }
    }

    @Test("any word, any range")
    func anyWord() {
        var random = SeededGenerator(0x6C61_6E65)
        for _ in 0..<20_000 {
            let word = random.next() & (random.next() | 0x7F7F_7F7F_7F7F_7F7F)
            let first = UInt8.random(in: 0...0x7F, using: &random)
            let last = UInt8.random(in: first...0x7F, using: &random)
            let isRight =
                lanes(of: word, from: first, through: last) == marks(word) { first...last ~= $0 }
                && lanes(of: word, equalTo: first) == marks(word) { $0 == first }
                && pathLanes(of: word) == marks(word, isOfPaths)
            guard isRight else {
                Issue.record("\(word) \(first) \(last)")
                return
            }
        }
    }

    @Test("the last bytes of a text, filled up")
    func tails() {
        let text = (1...20).map { UInt8($0) }
        for count in 0...20 {
            let bytes = Array(text.prefix(count))
            for offset in max(0, count - 7)...count {
                let expected = (0..<8).reduce(UInt64(0)) { word, place in
                    let byte = offset + place < count ? bytes[offset + place] : 0xA5
                    return word | UInt64(byte) << UInt64(8 * place)
                }
                let tail = bytes.span.littleEndianTail(at: offset, filler: 0xA5)
                #expect(tail == expected, "\(count) \(offset)")
            }
        }
    }

    @Test("equality finds a difference in every place of every length")
    func equality() {
        for count in 0...40 {
            let text = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) }
            let longer = text + [0]
            let copy = Array(text)
            #expect(isEqual(text, copy) && !isEqual(text, longer) && !isEqual(longer, text))
            for place in 0..<count {
                var other = text
                other[place] ^= 0x80
                #expect(!isEqual(text, other), "\(place) of \(count)")
            }
        }
    }

    private func isEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool { equal(left.span, right.span) }

    @Test(
        "literals",
        arguments: [
            ("authorization", true, true), ("authorizatioN", false, true), ("authorizati0n", false, false),
            ("", false, false),
        ])
    func literals(_ row: (String, Bool, Bool)) {
        let text = bytes(row.0)
        let isSame = equal(text.span, "authorization")
        let isSameInAnyCase = equalIgnoringCase(text.span, "authorization")
        #expect(isSame == row.1 && isSameInAnyCase == row.2)
    }

    @Test("sixteen digits of a number")
    func digits() {
        var random = SeededGenerator(16)
        for _ in 0..<2_000 {
            let value = random.next() >> UInt64.random(in: 0..<64, using: &random)
            var writer = ByteWriter(capacity: 17)
            writer.append(0x2D)
            writer.append(hexadecimal: value)
            let digits = String(value, radix: 16)
            let text = String(lossy: writer.bytes)
            #expect(text == "-" + String(repeating: "0", count: 16 - digits.count) + digits)
        }
        var short = ByteWriter(capacity: 15)
        short.append(hexadecimal: UInt64(1))
        let isCut = short.overflowed
        #expect(isCut)
    }
}
