@testable import Decision
import Octets
import Testing

@Suite struct TargetTests {
    /// Target, canonical path, decoded path.
    static let listed: [(String, String, String)] = [
        ("/", "/", "/"),
        ("/a", "/a", "/a"),
        ("/a/", "/a/", "/a/"),
        ("/A/b", "/A/b", "/A/b"),
        ("/?", "/", "/"),
        ("/a?", "/a", "/a"),
        ("/a?b=c", "/a", "/a"),
        ("/a/?b", "/a/", "/a/"),
        ("/a?/../b", "/a", "/a"),
        ("/a?//", "/a", "/a"),
        ("/a?%zz%00%2F", "/a", "/a"),
        ("/a?\\;|\"", "/a", "/a"),
        ("/a?a?b", "/a", "/a"),
        ("/a?\u{E9}", "/a", "/a"),
        ("/v1/caf%c3%a9/%7Eann?x=1", "/v1/caf%C3%A9/~ann", "/v1/caf\u{E9}/~ann"),
        ("/a%20b", "/a%20b", "/a b"),
        ("/%20", "/%20", "/ "),
        ("/%41%5a%61%7A%30%39", "/AZaz09", "/AZaz09"),
        ("/%2d%2E%5f%7e", "/-._~", "/-._~"),
        ("/a.b", "/a.b", "/a.b"),
        ("/a%2eb", "/a.b", "/a.b"),
        ("/a..", "/a..", "/a.."),
        ("/..a", "/..a", "/..a"),
        ("/...", "/...", "/..."),
        ("/%2e%2e%2e", "/...", "/..."),
        ("/.well-known/x", "/.well-known/x", "/.well-known/x"),
        ("/%2ewell-known", "/.well-known", "/.well-known"),
        ("/..%20", "/..%20", "/.. "),
        ("/...%3Bx", "/...%3Bx", "/...;x"),
        ("/a%3Bb", "/a%3Bb", "/a;b"),
        ("/%3b", "/%3B", "/;"),
        ("/a%3Fb?c", "/a%3Fb", "/a?b"),
        ("/a%23b", "/a%23b", "/a#b"),
        ("/a%3ab", "/a%3Ab", "/a:b"),
        ("/a:b@c", "/a:b@c", "/a:b@c"),
        ("/a%40b", "/a%40b", "/a@b"),
        ("/!$&'()*+,=", "/!$&'()*+,=", "/!$&'()*+,="),
        ("/%21%24%26%27%28%29%2a%2B%2c%3d", "/%21%24%26%27%28%29%2A%2B%2C%3D", "/!$&'()*+,="),
        ("/a+b", "/a+b", "/a+b"),
        ("/a%2bb", "/a%2Bb", "/a+b"),
        ("/\"<>^`{|}", "/%22%3C%3E%5E%60%7B%7C%7D", "/\"<>^`{|}"),
        ("/[1]", "/%5B1%5D", "/[1]"),
        ("/%22%3c%3e%5e%60%7b%7c%7d", "/%22%3C%3E%5E%60%7B%7C%7D", "/\"<>^`{|}"),
        ("/*", "/*", "/*"),
        ("/**", "/**", "/**"),
        ("/{order}", "/%7Border%7D", "/{order}"),
        ("/%e2%82%ac", "/%E2%82%AC", "/\u{20AC}"),
        ("/%f0%9f%98%80", "/%F0%9F%98%80", "/\u{1F600}"),
        ("/%f4%8f%bf%bf", "/%F4%8F%BF%BF", "/\u{10FFFF}"),
        ("/%ee%80%80", "/%EE%80%80", "/\u{E000}"),
        ("/%ed%9f%bf", "/%ED%9F%BF", "/\u{D7FF}"),
        ("/%c2%80", "/%C2%80", "/\u{80}"),
        ("/%df%bf", "/%DF%BF", "/\u{7FF}"),
        ("/%e0%a0%80", "/%E0%A0%80", "/\u{800}"),
        ("/%ef%bc%8f", "/%EF%BC%8F", "/\u{FF0F}"),
        ("/-/_/~/.a", "/-/_/~/.a", "/-/_/~/.a"),
        ("/a=1,b=2", "/a=1,b=2", "/a=1,b=2"),
        ("/http:x", "/http:x", "/http:x"),
    ]

    @Test("listed targets", arguments: TargetTests.listed)
    func listedTargets(_ row: (String, String, String)) {
        let expected = TargetReading(row.1, row.2)
        #expect(read(row.0) == expected)
        #expect(reference(bytes(row.0)) == expected)
    }

    static let absolute: [(String, TargetReading)] = [
        ("http://h/", TargetReading("/", "/", authority: "h")),
        ("https://h/a?b", TargetReading("/a", "/a", authority: "h")),
        ("HTTP://Api.Example.com:8080/%7e", TargetReading("/~", "/~", authority: "Api.Example.com:8080")),
        ("hTTps://[::1]:9443/a/", TargetReading("/a/", "/a/", authority: "[::1]:9443")),
        ("http://user@h/a", TargetReading("/a", "/a", authority: "user@h")),
    ]

    @Test("absolute form", arguments: TargetTests.absolute)
    func absoluteForm(_ row: (String, TargetReading)) {
        #expect(read(row.0) == row.1)
        #expect(reference(bytes(row.0)) == row.1)
    }

    /// Names as people and programs use them; each makes targets in several spellings.
    static let names = [
        "orders", "7", "Order-7_a.b~c", "a b", "caf\u{E9}", "\u{65E5}\u{672C}", "\u{1F600}",
        "ann@example.com",
        "urn:x:1", "a+b", "a,b", "a=b", "(1)", "it's", "a&b", "$100", "a*", "wow!", "v1.2.3", "...", ".env",
        "a..b",
        "x|y", "{id}", "[0]", "\"q\"", "a^b", "`", "<b>", "what?", "#1", "a;b",
        "0123456789abcdef0123456789abcdef", "-", "_", "~", "A", "100", "e\u{301}", "\u{E000}",
    ]

    /// As a careful client writes it: everything outside unreserved is escaped.
    private func escapingAll(_ name: String, upper: Bool) -> String {
        var result = ""
        for byte in name.utf8 {
            let character = Character(Unicode.Scalar(byte))
            let isUnreserved =
                character.isASCII && (character.isLetter || character.isNumber || "-._~".contains(character))
            let digits = String(byte, radix: 16, uppercase: upper)
            result += isUnreserved ? String(character) : "%" + digits
        }
        return result
    }

    private func escapingEvery(_ name: String) -> String {
        name.utf8.map { "%" + String($0, radix: 16) }.joined()
    }

    @Test("legitimate names in every spelling are one path", arguments: TargetTests.names)
    func everySpelling(_ name: String) {
        let upper = escapingAll(name, upper: true)
        let lower = escapingAll(name, upper: false)
        for (before, after) in [
            ("/", ""), ("/v1/", ""), ("/v1/", "/"), ("/a/b/", "/c"), ("/", "?x=1"), ("/x/", "/y?z"),
        ] {
            let end = String(after.prefix { $0 != "?" })
            let expected = TargetReading(before + upper + end, before + name + end)
            for spelling in [upper, lower, escapingEvery(name)] {
                #expect(read(before + spelling + after) == expected, "\(before)\(spelling)\(after)")
                #expect(reference(bytes(before + spelling + after)) == expected)
            }
            #expect(read("https://h" + before + lower + after)?.path == expected.path)
        }
    }

    @Test("deep and long paths")
    func deepAndLong() {
        for depth in 1...64 {
            let path = String(repeating: "/s%20", count: depth)
            #expect(read(path)?.path == path)
            #expect(read(path)?.decoded == String(repeating: "/s ", count: depth))
        }
        for length in [100, 1_000, 4_000, 8_000] {
            let path = "/" + String(repeating: "x", count: length)
            #expect(read(path) == TargetReading(path, path))
        }
    }

    @Test("segments of the decoded path by number")
    func decodedSegments() {
        let rows: [(String, [String])] = [
            ("/", [""]), ("/a", ["a"]), ("/a/", ["a", ""]), ("/a/b%20c/%C3%A9", ["a", "b c", "\u{E9}"]),
            ("http://h/x/y?z", ["x", "y"]),
        ]
        for (target, expected) in rows {
            var canonical = CanonicalTarget()
            let isTaken = canonical.read(bytes(target).span)
            #expect(isTaken)
            for number in 0..<8 {
                let place = canonical.decodedSegment(number)
                let found = String(lossy: canonical.decoded.bytes.bytes(at: place))
                #expect(found == (number < expected.count ? expected[number] : ""), "\(target) \(number)")
                #expect(place.isPresent == (number < expected.count))
            }
            #expect(!canonical.decodedSegment(Int(UInt16.max)).isPresent)
        }
    }

    @Test("the spelling that escapes nothing without need")
    func decodedSpelling() {
        let rows: [(String, String?)] = [
            ("/a", nil), ("/a%20b", nil), ("/%7e", nil), ("/a:b", nil), ("/%3F%23", nil),
            ("/a%3Ab", "/a:b"), ("/a%40b/%20", "/a@b/%20"),
            ("/%21%24%26%27%28%29%2A%2B%2C%3D%3B", "/!$&'()*+,=;"),
            ("/%3a%3F%C3%A9", "/:%3F%C3%A9"),
        ]
        for (target, expected) in rows {
            var canonical = CanonicalTarget()
            let isTaken = canonical.read(bytes(target).span)
            #expect(isTaken)
            #expect(canonical.hasReservedEscapes == (expected != nil), "\(target)")
            if let expected { #expect(String(lossy: canonical.decodedSpelling.bytes) == expected) }
        }
    }
}
