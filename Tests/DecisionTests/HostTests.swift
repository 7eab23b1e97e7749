@testable import Decision
import Octets
import Testing

@Suite struct HostTests {
    private func name(_ host: [UInt8]) -> String? {
        var canonical = CanonicalHost()
        return canonical.read(host.span) ? String(lossy: canonical.name.bytes) : nil
    }

    static let taken: [(String, String)] = [
        ("api.example.com", "api.example.com"), ("API.Example.COM", "api.example.com"),
        ("api.example.com.", "api.example.com"), ("api.example.com:443", "api.example.com"),
        ("Api.Example.com.:8443", "api.example.com"), ("a", "a"), ("a:1", "a"), ("a:65535", "a"),
        ("127.0.0.1", "127.0.0.1"), ("127.0.0.1:80", "127.0.0.1"),
        ("_dmarc.example.com", "_dmarc.example.com"),
        ("xn--caf-dma.example", "xn--caf-dma.example"), ("a-b", "a-b"), ("[::1]", "[::1]"),
        ("[::1]:443", "[::1]"), ("[2001:DB8::F]", "[2001:db8::f]"),
        ("[::ffff:192.0.2.1]:9", "[::ffff:192.0.2.1]"),
        ("localhost", "localhost"), ("a..", "a."),
    ]

    @Test("hosts and their canonical names", arguments: HostTests.taken)
    func hostsTaken(_ row: (String, String)) {
        #expect(name(bytes(row.0)) == row.1)
    }

    static let refused: [String] = [
        "", ":", ":443", "a:", "a:0", "a:00", "a:080", "a:65536", "a:99999", "a:100000", "a:-1", "a:+1",
        "a:4 3",
        "a:443:443", "a:443a", "a:0x1bb", "a,b", "a, b", "a b", " a", "a ", "a\t", "a\n", "a\r\nb", "a\u{0}",
        "user@a", "user:pass@a", "a/b", "a?b", "a#b", "a%2eb", "*", "*.example.com", "a\\b", "[", "[]",
        "[::1",
        "[::1]a", "[::1]:", "[::1]:0", "[::1]:443:1", "[fe80::1%25eth0]", "[v1.a]", "[g::1]", "[[::1]]",
        "::1",
        "caf\u{E9}.example", "\u{FEFF}a", "a\u{7F}", "[::1]]", "a]", "(a)", "a;b", "a\"",
    ]

    @Test("what is no host", arguments: HostTests.refused)
    func hostsRefused(_ host: String) {
        #expect(name(bytes(host)) == nil)
    }

    @Test("the longest name, with and without a port")
    func longest() {
        let longest = String(repeating: "a", count: 255)
        #expect(name(bytes(longest)) == longest)
        #expect(name(bytes(longest + ":65535")) == longest)
        #expect(name(bytes(longest + "b")) == nil)
        #expect(name(bytes(String(repeating: "a", count: 70_000))) == nil)
    }

    @Test("every single byte as a host")
    func everyByte() {
        for value in UInt8.min...UInt8.max {
            let character = Character(Unicode.Scalar(value))
            let isName =
                character.isASCII && (character.isLetter || character.isNumber || "-._".contains(character))
            #expect(name([value]) == (isName ? character.lowercased() : nil), "\(value)")
        }
    }

    @Test("a reader that refused one host reads the next as if it were the first")
    func leavesNothingBehind() {
        var canonical = CanonicalHost()
        for host in HostTests.refused + [String(repeating: "a", count: 300)] {
            let isTaken = canonical.read(bytes(host).span)
            #expect(!isTaken)
            let next = canonical.read(bytes("b.c").span)
            #expect(next && String(lossy: canonical.name.bytes) == "b.c")
        }
    }

    static let ports: [(String, UInt16?)] = [
        ("1", 1), ("80", 80), ("443", 443), ("65535", 65_535), ("9", 9), ("10", 10), ("65536", nil),
        ("99999", nil),
        ("100000", nil), ("0", nil), ("00", nil), ("01", nil), ("0443", nil), ("", nil), (" 1", nil),
        ("1 ", nil),
        ("+1", nil), ("-1", nil), ("1.0", nil), ("1e3", nil), ("0x50", nil), ("a", nil), ("4a3", nil),
        ("\u{661}", nil), ("18446744073709551617", nil), ("4294967297", nil), ("1\u{0}", nil), ("/", nil),
        (":", nil),
    ]

    @Test("ports", arguments: HostTests.ports)
    func portTexts(_ row: (String, UInt16?)) {
        let port = decimalPort(bytes(row.0).span)
        #expect(port == row.1)
    }

    @Test("every port in decimal")
    func everyPort() {
        for port in 1...UInt16.max where decimalPort(bytes("\(port)").span) != port {
            Issue.record("\(port)")
            return
        }
    }
}
