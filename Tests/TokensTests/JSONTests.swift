import Foundation
import Octets
import Testing

@testable import Tokens

@Suite struct JSONTests {
    static func cause(
        _ input: [UInt8], _ limits: JSONLimits = .claims, _ topLevel: JSONIndex.TopLevel = .any
    ) -> JSONError.Cause? {
        var index = JSONIndex()
        do throws(JSONError) {
            try index.read(input.span, limits: limits, topLevel: topLevel)
            return nil
        } catch {
            let isEmpty = index.root == nil
            #expect(isEmpty)
            #expect(error.offset >= 0 && error.offset <= input.count)
            return error.cause
        }
    }

    @Test(
        arguments: [
            ("", .empty), (" \n", .empty), ("{", .truncated), ("[1", .truncated), ("[1,", .truncated),
            ("\"a", .truncated), ("{\"a\"", .truncated), ("{\"a\":", .truncated), ("tru", .truncated),
            ("-", .truncated), ("1e", .truncated), ("[1,]", .unexpectedByte), ("{\"a\":1,}", .unexpectedByte),
            ("{,}", .unexpectedByte), ("[,]", .unexpectedByte), ("[1 2]", .unexpectedByte),
            ("{]", .unexpectedByte),
            ("[}", .unexpectedByte), ("{a:1}", .unexpectedByte), ("{'a':1}", .unexpectedByte),
            ("nul1", .unexpectedByte), ("True", .unexpectedByte), ("NaN", .unexpectedByte),
            ("{\"a\":1 \"b\":2}", .unexpectedByte), ("{\"a\" 1}", .unexpectedByte),
            ("{1:2}", .unexpectedByte),
            ("01", .trailingBytes), ("1.", .truncated), ("[1.]", .invalidNumber), ("[.5]", .unexpectedByte),
            ("[+1]", .unexpectedByte), ("[1e+]", .invalidNumber), ("[-a]", .invalidNumber),
            ("[0x1]", .unexpectedByte),
            ("{} {}", .trailingBytes), ("{}x", .trailingBytes), ("1 1", .trailingBytes),
            ("\"\\x\"", .invalidEscape), ("\"\\u12\"", .invalidEscape), ("\"\\u12G4\"", .invalidEscape),
            ("\"\\", .truncated), ("\"\\ud800\"", .loneSurrogate), ("\"\\udc00\"", .loneSurrogate),
            ("\"\\ud800\\ud800\"", .loneSurrogate), ("\"\\ud800x\"", .loneSurrogate),
            ("\"\\ud800\\n\"", .loneSurrogate), ("\"\\ud800\\u00\"", .invalidEscape),
            ("\"\\u0000\"", .nulCharacter),
            ("{\"\\u0000\":1}", .nulCharacter), ("\"a\tb\"", .controlCharacter),
            ("\"a\nb\"", .controlCharacter),
            ("{\"a\":1,\"a\":2}", .duplicateName), ("{\"a\":1,\"\\u0061\":2}", .duplicateName),
            ("{\"\":1,\"\":2}", .duplicateName), ("{\"x\":{\"a\":1,\"b\":[{}],\"a\":2}}", .duplicateName),
            ("[{\"é\":1,\"\\u00e9\":2}]", .duplicateName), ("{\"\\ud83d\\ude39\":1,\"😹\":2}", .duplicateName),
        ] as [(String, JSONError.Cause)])
    func refusesWithItsCause(_ input: String, _ expected: JSONError.Cause) {
        #expect(JSONTests.cause(bytes(input)) == expected)
    }

    @Test(
        arguments: [
            ([0xEF, 0xBB, 0xBF, 0x7B, 0x7D], .byteOrderMark),
            ([0xFF, 0xFE, 0x7B, 0, 0x7D, 0], .unexpectedByte),
            ([0xFE, 0xFF, 0, 0x7B, 0, 0x7D], .unexpectedByte), ([0x7B, 0, 0x7D, 0], .unexpectedByte),
            ([0x22, 0x80, 0x22], .invalidUTF8), ([0x22, 0xC0, 0x80, 0x22], .invalidUTF8),
            ([0x22, 0xC1, 0xBF, 0x22], .invalidUTF8), ([0x22, 0xE0, 0x9F, 0xBF, 0x22], .invalidUTF8),
            ([0x22, 0xED, 0xA0, 0x80, 0x22], .invalidUTF8),
            ([0x22, 0xF0, 0x8F, 0xBF, 0xBF, 0x22], .invalidUTF8),
            ([0x22, 0xF4, 0x90, 0x80, 0x80, 0x22], .invalidUTF8),
            ([0x22, 0xF5, 0x80, 0x80, 0x80, 0x22], .invalidUTF8),
            ([0x22, 0xE2, 0x82], .invalidUTF8), ([0x22, 0xC3, 0x22], .invalidUTF8),
            ([0x22, 0x00, 0x22], .controlCharacter),
            ([0x22, 0x1F, 0x22], .controlCharacter), ([0x7B, 0x7D, 0x00], .trailingBytes),
            ([0xC3, 0xA9], .unexpectedByte),
        ] as [([UInt8], JSONError.Cause)])
    func refusesBytesWithTheirCause(_ input: [UInt8], _ expected: JSONError.Cause) {
        #expect(JSONTests.cause(input) == expected)
    }

    @Test(arguments: [
        "{}", "[]", "0", "-0", "\"\"", "null", "true", "false", " { \"a\" : [ 1 , 2.5e-3 , \"x\" ] } \r\n\t",
        "{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":1}}", "[{\"a\":1},{\"a\":1}]",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"",
        "\"\\ud83d\\ude39\"", "\"\u{7F}\u{10FFFF}\"", "1E400", "123456789012345678901234567890",
        "{\"a\":1,\"A\":2}",
        "{\"a\":1,\"a\\u0020\":2}", "{\"e\u{301}\":1,\"\u{e9}\":2}",
    ])
    func acceptsStrictJSON(_ input: String) {
        #expect(JSONTests.cause(bytes(input)) == nil)
    }

    @Test func topLevelMustBeAnObjectUnlessAllowed() {
        for input in ["[]", "1", "\"a\"", "null", " [{}]"] {
            #expect(JSONTests.cause(bytes(input), .claims, .object) == .notAnObject)
        }
        #expect(JSONTests.cause(bytes(" {}"), .claims, .object) == nil)
        #expect(throws: JSONError(.notAnObject, at: 0)) {
            let input = bytes("[]")
            try JSON.validate(input.span, depthMax: 4)
        }
    }

    @Test func depthIsBoundedExactly() {
        for depth in [1, 2, 8, 32, 64] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let limits = JSONLimits(depthMax: depth)
                let inner = open == "[" ? "" : "1"
                func nested(_ levels: Int) -> [UInt8] {
                    bytes(
                        String(repeating: open, count: levels) + inner
                            + String(repeating: close, count: levels))
                }
                #expect(JSONTests.cause(nested(depth), limits) == nil)
                #expect(JSONTests.cause(nested(depth + 1), limits) == .tooDeep)
            }
        }
        #expect(
            JSONTests.cause([UInt8](repeating: 0x5B, count: 100_000), JSONLimits(depthMax: 1_000)) == .tooDeep
        )
    }

    @Test func membersAndNamesAndValuesAreBounded() {
        func object(_ count: Int, _ prefix: String = "n") -> String {
            "{" + (0..<count).map { "\"\(prefix)\($0)\":0" }.joined(separator: ",") + "}"
        }
        #expect(JSONTests.cause(bytes(object(64)), .header) == nil)
        #expect(JSONTests.cause(bytes(object(65)), .header) == .tooManyMembers)
        #expect(JSONTests.cause(bytes(object(256)), .claims) == nil)
        #expect(JSONTests.cause(bytes(object(257)), .claims) == .tooManyMembers)
        let full = "[" + (0..<16).map { _ in object(256) }.joined(separator: ",") + "]"
        #expect(JSONTests.cause(bytes(full), .claims) == nil)
        #expect(JSONTests.cause(bytes("[" + full + ",{\"a\":1}]"), .claims) == .tooManyNames)
        let many = "[" + [String](repeating: "0", count: 8_191).joined(separator: ",") + "]"
        #expect(JSONTests.cause(bytes(many), .claims) == nil)
        #expect(JSONTests.cause(bytes("[" + many + "]"), .claims) == .tooManyValues)
    }

    /// Around the change from comparing one by one to the hash table, and with nested objects in between that
    /// use the same names and the same table.
    @Test(arguments: [2, 15, 16, 17, 18, 64, 200, 256])
    func duplicatesAreFoundAtEveryCount(_ count: Int) {
        let inner = "{" + (0..<20).map { "\"n\($0)\":0" }.joined(separator: ",") + "}"
        for repeated in [0, (count - 1) / 2, count - 2] {
            for spelling in ["n\(repeated)", "\\u006e\(repeated)"] {
                var members = (0..<count - 1).map { "\"n\($0)\":" + ($0 % 7 == 3 ? inner : "0") }
                #expect(JSONTests.cause(bytes("{" + members.joined(separator: ",") + "}")) == nil)
                members.append("\"\(spelling)\":1")
                #expect(JSONTests.cause(bytes("{" + members.joined(separator: ",") + "}")) == .duplicateName)
            }
        }
    }

    @Test func oneIndexReadsManyTexts() throws {
        var index = JSONIndex()
        let many = bytes("{" + (0..<100).map { "\"n\($0)\":\($0)" }.joined(separator: ",") + "}")
        let twice = bytes("{\"a\":1,\"a\":1}")
        for _ in 0..<50 {
            try index.read(many.span, limits: .claims)
            var wasRefused = false
            do { try index.read(twice.span, limits: .claims) } catch { wasRefused = true }
            let isEmpty = index.root == nil
            #expect(wasRefused && isEmpty)
        }
    }

    @Test func valuesAreFoundByUnescapedName() throws {
        let read = try ReadText(
            "{\"a\":{\"b\":[1,\"\\u0078\\n\",{}]},\"sc\\u006fpe\":\"r\",\"t\":true,\"f\":false,\"n\":null}")
        let root = try #require(read.root)
        let outer = try #require(read.member("a", of: root))
        let list = try #require(read.member("b", of: outer))
        #expect(list.kind == .array && read.childCount(of: list) == 3)
        let first = try #require(read.child(after: nil, of: list))
        let second = try #require(read.child(after: first, of: list))
        let third = try #require(read.child(after: second, of: list))
        #expect(first.kind == .number && read.raw(first) == "1")
        #expect(second.hasEscapes && read.string(second) == "x\n")
        #expect(third.kind == .object && read.raw(third) == "{}")
        #expect(read.child(after: third, of: list) == nil)
        #expect(read.child(after: nil, of: third) == nil)
        let scope = try #require(read.member("scope", of: root))
        #expect(read.scopeMember(of: root) == scope)
        #expect(read.name(scope) == "sc\\u006fpe")
        #expect(read.name(first).isEmpty)
        #expect(read.member("b", of: root) == nil)
        #expect(read.member("scop", of: root) == nil)
        #expect(read.member("a", of: list) == nil)
        #expect(read.childCount(of: root) == 5)
        for (name, kind) in ["t": JSONKind.true, "f": .false, "n": .null] {
            #expect(read.member(name, of: root)?.kind == kind)
        }
    }

    @Test(arguments: [
        ("\\u00e9", "é"), ("\\u20ac", "€"), ("\\ud83d\\ude39", "😹"),
        ("\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\u{8}\u{c}\n\r\t"), ("a\\u0041b", "aAb"), ("é", "é"),
        ("\\uFFFF", "\u{FFFF}"), ("\\udbff\\udfff", "\u{10FFFF}"),
    ])
    func unescapes(_ raw: String, _ expected: String) throws {
        let read = try ReadText("\"\(raw)\"")
        let value = try #require(read.root)
        #expect(read.string(value) == expected)
        #expect(read.equals(value, expected))
        #expect(!read.equals(value, expected + "x"))
        #expect(!read.equals(value, ""))
        #expect(read.written(value) == expected)
    }

    /// Unescaping never traps, whatever the bytes are.
    @Test func unescapingOfAnythingEnds() {
        for raw in ["\\", "\\u", "\\u1", "\\ud800", "\\ud800\\u", "\\ud800\\u0041", "\\q", "\\udfff\\ud800"] {
            let input = bytes(raw)
            var cursor = UnescapedBytes(input.span)
            var count = 0
            while cursor.next() != nil { count += 1 }
            #expect(count <= raw.utf8.count)
        }
    }

    @Test func vectors() throws {
        // Accepted by JSON, refused by us on purpose.
        let duplicates = ["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"]
        var accepted = 0
        var refused = 0
        for url in Vectors.files("json", count: 142) {
            let input = [UInt8](try Data(contentsOf: url))
            let name = url.lastPathComponent
            let cause = JSONTests.cause(input, JSONLimits(depthMax: 64))
            if duplicates.contains(name) {
                #expect(cause == .duplicateName, "\(name)")
            } else if name.hasPrefix("y_") {
                #expect(cause == nil, "\(name)")
                accepted += 1
            } else if name.hasPrefix("n_") {
                #expect(cause != nil, "\(name)")
                refused += 1
            }
        }
        print("json vectors: \(accepted) accepted, \(refused) refused")
    }

    /// Every byte of a text replaced by every value, and every prefix: no trap, and what is accepted is JSON
    /// by another reader too.
    @Test func mutationsAgreeWithAnotherReader() throws {
        let input = bytes(
            "{\"a\":[1,-2.5e3,\"x\\u00e9\\n\"],\"b\":{\"c\":null,\"d\":true},\"é\":\"\\ud83d\\ude39\"}")
        for end in input.indices { #expect(JSONTests.cause(Array(input[..<end])) != nil) }
        for position in input.indices {
            for value in UInt8.min...UInt8.max {
                var changed = input
                changed[position] = value
                if JSONTests.cause(changed) == nil {
                    let other = try? JSONSerialization.jsonObject(
                        with: Data(changed), options: .fragmentsAllowed)
                    #expect(other != nil, "\(text(changed))")
                }
            }
        }
    }
}

@Suite struct NumericDateTests {
    @Test(
        arguments: [
            ("1", 1, 1), ("1700000000", 1_700_000_000, 1_700_000_000),
            ("1700000000.5", 1_700_000_000, 1_700_000_001),
            ("1700000000.0", 1_700_000_000, 1_700_000_000),
            ("1700000000.000000000000000000001", 1_700_000_000, 1_700_000_001),
            ("1.7e9", 1_700_000_000, 1_700_000_000), ("1.7E+9", 1_700_000_000, 1_700_000_000),
            ("17000000005e-1", 1_700_000_000, 1_700_000_001),
            ("17000000000e-1", 1_700_000_000, 1_700_000_000),
            ("0.17e10", 1_700_000_000, 1_700_000_000), ("1e0", 1, 1), ("1.5", 1, 2),
            ("9007199254740992", 1 << 53, 1 << 53),
            ("9007199254740992.0", 1 << 53, 1 << 53), ("9007199254740991.9", (1 << 53) - 1, 1 << 53),
            ("0.00000000000000000001e20", 1, 1), ("100000000000000000000e-20", 1, 1),
        ] as [(String, Int64, Int64)])
    func reads(_ input: String, _ floor: Int64, _ ceiling: Int64) {
        let input = bytes(input)
        let date = NumericDate(input.span)
        #expect(date?.floor == floor && date?.ceiling == ceiling)
    }

    @Test(arguments: [
        "0", "-0", "-1", "0.5", "0.999", "-1700000000", "0e5", "0.0e99", "1e-1", "1e16", "1e999",
        "1e99999999999999999999",
        "9007199254740993", "9007199254740992.1", "9223372036854775807", "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999999999999999999999", "1e-99999999999999999999", "", "e", "1e", "1e+", "x", "1x",
        "1.x", "1e1x",
        "\"1\"", "true", "-", "+1", "NaN",
    ])
    func refuses(_ input: String) {
        let input = bytes(input)
        let date = NumericDate(input.span)
        #expect(date == nil)
    }
}
