import Foundation
import Octets
import Testing

@Suite struct Base64URLTests {
    /// RFC 4648 §10, without padding, and RFC 7515 appendix C.
    static let vectors: [(String, String)] = [
        ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
        ("foobar", "Zm9vYmFy"), ("\u{3}\u{FF}", "A8O_"), ("{}", "e30"),
    ]

    /// What both decoders say; they must say the same.
    private func decode(_ text: [UInt8]) -> [UInt8]? {
        let plain = Base64URL.decode(text.span)
        var room = [UInt8](repeating: 0xAA, count: Base64URL.decodedCount(text.count) + 8)
        var span = room.mutableSpan
        let count = Base64URL.decodeInBlocks(text.span, into: &span)
        #expect(count == plain?.count, "\(text)")
        if let count { #expect(Array(room.prefix(count)) == plain, "\(text)") }
        return plain
    }

    @Test("vectors, both ways", arguments: Base64URLTests.vectors)
    func vector(_ row: (String, String)) {
        #expect(Base64URL.encode(bytes(row.0).span) == bytes(row.1))
        #expect(decode(bytes(row.1)) == bytes(row.0))
    }

    static let refused: [String] = [
        "A", "AAAAA", "AAAAAAAAA", "Zg=", "Zg==", "Zm8=", "Zm9v=", "=", "====", "Zh", "Zn", "Z_", "Zm9",
        "Zm_",
        "Zm9vYh", "Zm9vYmF", "+A8A", "/A8A", "A8O+", "A8O/", "Zm 9v", " Zm9v", "Zm9v ", "Zm9v\n", "Zm\r\n9v",
        "Zm9\t",
        "Zm9v.", "Zm.v", "Zm,v", "Zm9\u{0}", "Zm9\u{E9}", "\u{C0}AAA", "Zm9v%3D", "AAAAAAA=", "AAAA-A+A",
        "AAAAAAAAAAAAAAA=", "Zm9vYmFyZh",
    ]

    @Test("one byte string has one spelling", arguments: Base64URLTests.refused)
    func refusals(_ text: String) {
        #expect(decode(bytes(text)) == nil)
    }

    @Test("every character at every place of a group")
    func everyCharacter() {
        let alphabet = bytes("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        for length in [4, 8, 12, 16, 20] {
            for place in 0..<length {
                for value in UInt8.min...UInt8.max {
                    var text = [UInt8](repeating: 0x41, count: length)
                    text[place] = value
                    let isTaken = decode(text) != nil
                    guard isTaken == alphabet.contains(value) else {
                        Issue.record("\(value) at \(place) of \(length)")
                        return
                    }
                }
            }
        }
    }

    @Test("exactly one of the texts of two and three characters for each last value")
    func trailingBits() {
        let alphabet = bytes("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        for (value, character) in alphabet.enumerated() {
            #expect((decode([0x41, character]) != nil) == (value & 15 == 0))
            #expect((decode([0x41, 0x41, character]) != nil) == (value & 3 == 0))
        }
    }

    @Test("random bytes come back, as Foundation spells them")
    func roundTrip() {
        var random = SeededGenerator(64)
        for _ in 0..<3_000 {
            let value = random.bytes(0...200)
            let text = Base64URL.encode(value.span)
            let expected = Data(value).base64EncodedString().replacingOccurrences(of: "+", with: "-")
                .replacingOccurrences(of: "/", with: "_").replacingOccurrences(of: "=", with: "")
            guard text == bytes(expected), decode(text) == value else {
                Issue.record("\(value)")
                return
            }
        }
    }

    @Test("random texts decode to what encodes to them, or not at all")
    func strictness() {
        var random = SeededGenerator(65)
        let characters = bytes("AQgwZz09-_") + bytes("=+/. ")
        for _ in 0..<20_000 {
            let text = (0..<Int.random(in: 0..<24, using: &random)).map { _ in
                Int.random(in: 0..<20, using: &random) > 0
                    ? random.pick(Array(characters.prefix(10))) : random.pick(characters)
            }
            guard let value = decode(text) else { continue }
            guard Base64URL.encode(value.span) == text else {
                Issue.record("\(text)")
                return
            }
        }
    }

    @Test("a room that is too small is not written beyond")
    func room() {
        let text = Base64URL.encode([UInt8](repeating: 7, count: 30).span)
        for size in 0..<48 {
            var room = [UInt8](repeating: 0xAA, count: size)
            var span = room.mutableSpan
            let plain = Base64URL.decode(text.span, into: &span)
            #expect(plain == (size >= 30 ? 30 : nil))
            var other = [UInt8](repeating: 0xAA, count: size)
            var otherSpan = other.mutableSpan
            let blocks = Base64URL.decodeInBlocks(text.span, into: &otherSpan)
            #expect(blocks == (size >= 38 ? 30 : nil))
            if size < 30 { #expect(room.allSatisfy { $0 == 0xAA }) }
            if size < 38 { #expect(other.allSatisfy { $0 == 0xAA }) }
        }
    }
}
