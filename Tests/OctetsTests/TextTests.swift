import Foundation
import Octets
import Testing

@Suite struct TextTests {
    @Test("UTF-8: every text of one and two bytes, and edges of three and four")
    func edges() {
        for first in UInt8.min...UInt8.max {
            check([first])
            for second in UInt8.min...UInt8.max { check([first, second]) }
        }
        let leads: [UInt8] = [
            0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF,
        ]
        let edges: [UInt8] = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF]
        for lead in leads {
            for second in edges {
                for third in edges {
                    check([lead, second, third])
                    for fourth in edges { check([lead, second, third, fourth]) }
                }
            }
        }
    }

    private func check(_ value: [UInt8]) {
        if isUTF8(value.span) != (String(validating: value, as: UTF8.self) != nil) {
            Issue.record("\(value)")
        }
    }

    @Test("UTF-8: 40,000 texts of random pieces")
    func randomText() {
        var random = SeededGenerator(8)
        let pieces: [[UInt8]] = [
            bytes("a"), bytes("\u{E9}"), bytes("\u{20AC}"), bytes("\u{1F600}"), bytes("\u{10FFFF}"), [0x80],
            [0xC3],
            [0xE2, 0x82], [0xED, 0xA0, 0x80], [0xF0, 0x9F], [0xC0, 0xAF], [0x00], [0xF4, 0x90, 0x80, 0x80],
        ]
        var whole = 0
        for _ in 0..<40_000 {
            var value: [UInt8] = []
            for _ in 0..<Int.random(in: 0..<6, using: &random) {
                value += random.pick(
                    Int.random(in: 0..<6, using: &random) > 0 ? Array(pieces.prefix(5)) : pieces)
            }
            let isText = String(validating: value, as: UTF8.self) != nil
            whole += isText ? 1 : 0
            guard isUTF8(value.span) == isText else {
                Issue.record("\(value)")
                return
            }
        }
        #expect(whole > 10_000 && whole < 39_000)
    }

    private func parsed(_ text: [UInt8]) -> String? {
        let list = try? JSONSerialization.jsonObject(with: Data(bytes("[") + text + bytes("]"))) as? [String]
        return list?.first
    }

    @Test("JSON strings come back through another parser, whatever the bytes")
    func jsonStrings() {
        var random = SeededGenerator(9)
        for round in 0..<3_000 {
            let text = round % 2 == 0
            let value =
                text
                ? bytes(
                    String(
                        String.UnicodeScalarView(
                            (0..<8).map { _ in
                                random.pick([
                                    "\u{0}", "\"", "\\", "\n", "\r", "\t", "\u{8}", "\u{1F}", "\u{7F}", "a",
                                    "/", "\u{E9}", "\u{2028}", "\u{1F600}",
                                ])
                            })))
                : random.bytes(0...20)
            var writer = ByteWriter(capacity: 512)
            writer.append(jsonString: value.span)
            let written = [UInt8](copying: writer.bytes)
            let expected =
                String(validating: value, as: UTF8.self)
                ?? String(String.UnicodeScalarView(value.map { $0 < 0x80 ? Unicode.Scalar($0) : "\u{FFFD}" }))
            guard let found = parsed(written), Array(found.utf8) == Array(expected.utf8) else {
                Issue.record("\(value): \(String(decoding: written, as: UTF8.self))")
                return
            }
            // No control stands in it: one value is one line.
            #expect(written.allSatisfy { $0 >= 0x20 && $0 != 0x7F })
            guard let valid = String(validating: value, as: UTF8.self) else { continue }
            var array: [UInt8] = []
            array.append(jsonString: valid)
            #expect(parsed(array).map { Array($0.utf8) } == value)
        }
    }

    @Test("JSON literals")
    func jsonLiteral() {
        var writer = ByteWriter(capacity: 16)
        writer.append(jsonLiteral: "deny")
        let text = String(lossy: writer.bytes)
        #expect(text == "\"deny\"")
    }

    @Test("the first byte that may stand in no header value, at every place and length")
    func valueBytes() {
        for length in 0..<40 {
            let plain = [UInt8](repeating: 0x61, count: length)
            #expect(indexOfNonValueByte(plain.span, from: 0) == length)
            for place in 0..<length {
                for value in UInt8.min...UInt8.max {
                    var text = plain
                    text[place] = value
                    let isPlain = value == 0x09 || (value >= 0x20 && value != 0x7F)
                    for start in [0, place, length] {
                        let expected = isPlain || start > place ? length : place
                        guard indexOfNonValueByte(text.span, from: start) == expected else {
                            Issue.record("\(value) at \(place) of \(length) from \(start)")
                            return
                        }
                    }
                }
            }
        }
        var random = SeededGenerator(10)
        for _ in 0..<5_000 {
            let text = random.bytes(0...40)
            let expected = text.firstIndex { $0 == 0x7F || ($0 < 0x20 && $0 != 0x09) } ?? text.count
            guard indexOfNonValueByte(text.span, from: 0) == expected else {
                Issue.record("\(text)")
                return
            }
        }
    }
}
