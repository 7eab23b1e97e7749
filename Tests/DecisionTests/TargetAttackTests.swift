@testable import Decision
import Octets
import Testing

/// Everything that a backend could read in another way, at the start, in the middle and at the end of a path.
@Suite struct TargetAttackTests {
    /// What may stand nowhere in a path.
    static let fragments: [[UInt8]] =
        [
            // Empty segments.
            "//", "///",
            // Dot segments, raw, encoded, half encoded, with parameters.
            "/./", "/../", "/%2e/", "/%2E/", "/%2e%2e/", "/%2E%2e/", "/.%2e/", "/%2e./", "/..;/", "/.;/",
            "/..;a=b/", "/%2e%2e;x/", "/..%3b/", "/..%3Bx/", "/.%3b/", "/%2e%2e%3Bjsessionid=1/",
            // Encoded separators, in either case, once and twice encoded.
            "%2f", "%2F", "/%2f/", "..%2f", "..%2F..%2f", "%5c", "%5C", "..%5c", "\\", "\\..\\", "/\\/",
            "%25", "%252f", "%252F", "%252e%252e", "%25%32%66", "%2525",
            // Parameters.
            ";", ";a=b", ";/", ";x/..", "a;b",
            // Controls, raw and encoded.
            "%00", "%01", "%09", "%0a", "%0A", "%0d", "%0D%0A", "%1b", "%1F", "%7f", "%7F", "\u{0}", "\t",
            "\n", "\r", "\r\n", "\u{1B}", "\u{7F}", " ",
            // Fragments.
            "#", "#/x", "a#b",
            // Raw bytes above ASCII.
            "\u{E9}", "\u{2215}", "\u{FF0F}", "\u{80}",
            // Escapes that are none.
            "%", "%2", "%g0", "%0g", "%zz", "%%", "%%32%66", "%u002f", "%U002F", "%-1", "%+1",
            "%2\u{66}\u{301}",
            "%x2f", "% 2f", "%\u{0}0",
            // UTF-8 that is none: overlong, surrogates, alone, cut, too large.
            "%c0%af", "%C0%AE", "%c1%9c", "%e0%80%af", "%E0%80%AE", "%f0%80%80%af", "%f8%80%80%80%af",
            "%fc%80%80%80%80%af", "%ed%a0%80", "%ED%BF%BF", "%ed%a0%bd%ed%b8%80", "%80", "%bf", "%ff", "%fe",
            "%c3", "%C3x", "%e2%82", "%e2%82/%ac", "%f0%9f%98", "%f4%90%80%80", "%f5%80%80%80", "%c3%28",
            "%c0%80", "%e0%81%81", "%c3%c3%a9", "%e9",
        ].map(bytes) + [[0x80], [0xC3], [0xC0, 0xAF], [0xFF], [0xE2, 0x82, 0xAC]]

    static let frames: [(before: String, after: String)] = [
        ("/", ""), ("/", "y"), ("/a", ""), ("/a", "z"), ("/a/", ""), ("/a/", "z"), ("/a", "/z"),
        ("/a/", "/z"),
        ("/caf%C3%A9/", "/z?x=1"), ("/a", "?x"), ("http://h/a", "/z"), ("HTTPS://h:8443/", "z"),
    ]

    @Test("nothing ambiguous passes at any place", arguments: TargetAttackTests.fragments)
    func refusedEverywhere(_ fragment: [UInt8]) {
        for frame in TargetAttackTests.frames {
            let target = bytes(frame.before) + fragment + bytes(frame.after)
            let reading = read(target)
            // `;` after `..` counts only where it begins a segment; every fragment says so itself.
            #expect(reading == nil, "\(text(target)) was read as \(String(describing: reading))")
            #expect(reference(target) == nil, "\(text(target))")
        }
    }

    static let whole: [String] = [
        "", "a", "*", "?", "?a", "?/a", "a/b", ".", "..", "./a", "../a", "%2Fa", "%2f", "\\a", "//", "//a",
        "//a/b", "///", "/..", "/.", "/a/..", "/a/.", "/a/%2e", "/a/%2e%2e", "/a/.%2E", "/..a/../b", "/a//",
        "/a/b//", "//?x", "/a//?x", "/..?x", "/.?x", "/%2e%2e?x", "/;", "/a;", "/;?", "/..;", "/%", "/%?20",
        "/%2?0", "/%2", "/a%", "/#", "/a?#", "/a?b#c", "/a? ", "/a?b c", "/a?\t", "/a?\r\nHost: x",
        "/a?\u{0}",
        "/a?\u{7F}", " /a", "/a ", "\t/a", "/a HTTP/1.1", "/a\r\nX: y", "h:443", "api.example.com:443",
        "http:/a", "http:///a", "http://", "http://h", "https://h", "http://h?x", "https://?/", "ftp://h/a",
        "http//h/a", "htt://h/a", "httpss://h/a", "ws://h/a", "http:\\\\h\\a", "file:///a", "javascript:/a",
        "http://h/..", "http://h//a", "http://h/%2e%2e/a", "https://h/a;b", "http://h#/a", "http://h /a",
        "\u{FEFF}/a", "http", "https:/", "h", "HTTP:/h/a",
    ]

    @Test("whole targets that are refused", arguments: TargetAttackTests.whole)
    func refusedWhole(_ target: String) {
        // An authority is checked as a host afterwards: here it may be anything without a slash.
        if target == "https://?/" || target == "http://h#/a" || target == "http://h /a"
            || target == "http://h?x"
        {
            var host = CanonicalHost()
            guard let authority = read(target)?.authority else { return }
            let isHost = host.read(bytes(authority).span)
            #expect(!isHost)
            return
        }
        #expect(read(target) == nil)
        #expect(reference(bytes(target)) == nil)
    }

    @Test("every escaped and every raw byte on its own")
    func everyByte() {
        for value in UInt8.min...UInt8.max {
            let character = Character(Unicode.Scalar(value))
            let isPlain = value > 0x20 && value < 0x7F
            let raw = bytes("/a") + [value] + bytes("b")
            #expect((read(raw) != nil) == (isPlain && !"\\;#%".contains(character)), "raw \(value)")
            let digits = String(value, radix: 16)
            let escape = "%" + (digits.utf8.count < 2 ? "0" : "") + digits
            for spelling in [escape, escape.uppercased()] {
                let reading = read("/a\(spelling)b")
                let isTaken = value >= 0x20 && value < 0x7F && !"\\/%".contains(character)
                #expect((reading != nil) == isTaken, "\(spelling)")
                if isTaken { #expect(reading?.decoded == "/a\(character)b") }
            }
        }
    }

    @Test("limits: bytes of the target and segments of the path")
    func limits() {
        for (count, isTaken) in [(8_191, true), (8_192, true), (8_193, false), (100_000, false)] {
            let long = "/" + String(repeating: "a", count: count - 1)
            #expect((read(long) != nil) == isTaken, "\(count)")
            let query = "/?" + String(repeating: "q", count: count - 2)
            #expect((read(query) != nil) == isTaken, "\(count)")
        }
        // Escapes of one byte that stay, and raw ones that grow threefold.
        let escapes = "/" + String(repeating: "%3A", count: 2_730)
        #expect(read(escapes)?.path == escapes)
        let growing = "/" + String(repeating: "|", count: 8_191)
        #expect(read(growing)?.path.utf8.count == 1 + 3 * 8_191)
        for (count, isTaken) in [(1, true), (63, true), (64, true), (65, false), (4_000, false)] {
            let deep = String(repeating: "/a", count: count)
            #expect((read(deep) != nil) == isTaken, "\(count)")
            #expect((read("http://h" + deep) != nil) == isTaken, "\(count)")
        }
        #expect(read(String(repeating: "/a", count: 63) + "/") != nil)
        #expect(read(String(repeating: "/a", count: 64) + "/") == nil)
    }

    @Test("a reader that refused one target reads the next as if it were the first")
    func leavesNothingBehind() {
        var canonical = CanonicalTarget()
        for fragment in TargetAttackTests.fragments {
            let refused = read(bytes("http://h/left%3Aover") + fragment, with: &canonical)
            let next = read(bytes("/b"), with: &canonical)
            let isClean = !canonical.hasReservedEscapes
            #expect(refused == nil && next == TargetReading("/b", "/b") && isClean, "\(text(fragment))")
        }
    }
}
