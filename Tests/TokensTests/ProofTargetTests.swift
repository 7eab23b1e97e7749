import Octets
import Testing

@testable import Tokens

/// `htu` against the request (RFC 9449 §4.3 point 9, RFC 3986 §6.2).
@Suite struct ProofTargetTests {
    static func result(_ uri: String, _ asked: Asked = Asked()) -> String {
        let (input, method) = (bytes(uri), bytes(asked.method))
        let (host, path) = (bytes(asked.host), bytes(asked.path))
        let request = ProofRequest(
            method: method.span, isSecure: asked.isSecure, host: host.span, port: asked.port, path: path.span)
        do throws(ProofRefusal) {
            try ProofTarget.check(input.span, request)
            return "same"
        } catch {
            return "\(error)"
        }
    }

    /// All against https, `api.example.com`, 443, `/v1/caf%C3%A9/~a`.
    @Test(arguments: [
        ("https://api.example.com/v1/caf%C3%A9/~a", "same"), ("HTTPS://API.Example.COM/v1/caf%C3%A9/~a", "same"),
        ("https://api.example.com:443/v1/caf%C3%A9/~a", "same"), ("https://api.example.com:/v1/caf%C3%A9/~a", "same"),
        ("https://api.example.com./v1/caf%C3%A9/~a", "same"), ("https://api.example.com/v1/caf%c3%a9/%7ea", "same"),
        ("https://api.example.com/%76%31/c%61f%C3%A9/~%61", "same"),
        ("https://api.example.com/v1/caf%C3%A9/~a?x=1&y=/../", "same"),
        ("https://api.example.com/v1/caf%C3%A9/~a#part", "same"), ("https://api.example.com/v1/caf%C3%A9/~a?#", "same"),
        ("https://api.example.com/V1/caf%C3%A9/~a", "htuMismatch"),
        ("https://api.example.com/v1/caf%C3%A9/~A", "htuMismatch"),
        ("https://api.example.com/v1/caf%C3%A9/~a/", "htuMismatch"),
        ("https://api.example.com/v1/caf%C3%A9", "htuMismatch"),
        ("https://api.example.com/v1/caf%C3%A9/~ab", "htuMismatch"),
        ("https://api.example.com//v1/caf%C3%A9/~a", "htuMismatch"),
        ("https://api.example.com/v1%2Fcaf%C3%A9/~a", "htuMismatch"),
        ("https://api.example.com/v1/caf%25C3%25A9/~a", "htuMismatch"),
        ("https://api.example.com", "htuMismatch"), ("https://api.example.com/", "htuMismatch"),
        ("http://api.example.com/v1/caf%C3%A9/~a", "htuMismatch"),
        ("http://api.example.com:443/v1/caf%C3%A9/~a", "htuMismatch"),
        ("https://api.example.com:80/v1/caf%C3%A9/~a", "htuMismatch"),
        ("https://api.example.com:8443/v1/caf%C3%A9/~a", "htuMismatch"),
        ("https://api.example.co/v1/caf%C3%A9/~a", "htuMismatch"),
        ("https://api.example.com.evil.example/v1/caf%C3%A9/~a", "htuMismatch"),
        ("https://xapi.example.com/v1/caf%C3%A9/~a", "htuMismatch"), ("https://[::1]/v1/caf%C3%A9/~a", "htuMismatch"),
        ("https://api_example.com/v1/caf%C3%A9/~a", "htuMismatch"),
        ("https://api.example.com..:443/v1/caf%C3%A9/~a", "htuMismatch"),
        // User information, and what looks like it.
        ("https://api.example.com@evil.example/v1/caf%C3%A9/~a", "htuMalformed"),
        ("https://user@api.example.com/v1/caf%C3%A9/~a", "htuMalformed"),
        ("https://u:p@api.example.com/v1/caf%C3%A9/~a", "htuMalformed"),
        ("https://evil.example\\@api.example.com/v1/caf%C3%A9/~a", "htuMalformed"),
        ("https://evil.example\\.api.example.com/v1/caf%C3%A9/~a", "htuMalformed"),
        ("https://api.example.com%2e/v1/caf%C3%A9/~a", "htuMalformed"),
        ("https://%61pi.example.com/v1/caf%C3%A9/~a", "htuMalformed"),
        ("https://api.example.com,evil.example/v1/caf%C3%A9/~a", "htuMalformed"),
        ("https://api.éxample.com/", "htuMalformed"),
        // Dot segments, in every spelling.
        ("https://api.example.com/./v1/caf%C3%A9/~a", "htuMalformed"),
        ("https://api.example.com/x/../v1/caf%C3%A9/~a", "htuMalformed"),
        ("https://api.example.com/%2e/v1/caf%C3%A9/~a", "htuMalformed"),
        ("https://api.example.com/x/%2E./v1/caf%C3%A9/~a", "htuMalformed"),
        ("https://api.example.com/v1/caf%C3%A9/~a/.", "htuMalformed"),
        ("https://api.example.com/v1/..", "htuMalformed"),
        ("https://api.example.com/v1/..?x", "htuMalformed"), ("https://api.example.com/v1/...", "htuMismatch"),
        ("https://api.example.com/v1/.a", "htuMismatch"),
        // Escapes and bytes that no path has.
        ("https://api.example.com/v1/%", "htuMalformed"), ("https://api.example.com/v1/%c", "htuMalformed"),
        ("https://api.example.com/v1/%zz", "htuMalformed"),
        ("https://api.example.com/v1/caf%C3%A9/~a%", "htuMalformed"),
        ("https://api.example.com/v1/café/~a", "htuMalformed"),
        ("https://api.example.com/v1\\caf%C3%A9/~a", "htuMalformed"),
        ("https://api.example.com/v1/caf%C3%A9/~a ", "htuMalformed"),
        ("https://api.example.com/v1/caf%C3%A9/~a\t", "htuMalformed"),
        ("https://api.example.com/v1/caf%C3%A9/~a?\u{7F}", "htuMalformed"),
        ("https://api.example.com/v1/caf%C3%A9/~a?x y", "htuMalformed"),
        (" https://api.example.com/v1/caf%C3%A9/~a", "htuMalformed"),
        ("https://api.example.com/v1/caf%C3%A9/~a#é", "htuMalformed"),
        // Ports.
        ("https://api.example.com:0443/v1/caf%C3%A9/~a", "htuMalformed"),
        ("https://api.example.com:0/v1/caf%C3%A9/~a", "htuMalformed"),
        ("https://api.example.com:65979/v1/caf%C3%A9/~a", "htuMalformed"),
        ("https://api.example.com:4430000000000000000000/", "htuMalformed"),
        ("https://api.example.com:+443/v1/caf%C3%A9/~a", "htuMalformed"),
        ("https://api.example.com:443:443/", "htuMalformed"),
        ("https://api.example.com:443x/v1/caf%C3%A9/~a", "htuMalformed"),
        // No http URI.
        ("", "htuMalformed"), ("/v1/caf%C3%A9/~a", "htuMalformed"),
        ("//api.example.com/v1/caf%C3%A9/~a", "htuMalformed"),
        ("https:/api.example.com/", "htuMalformed"), ("https:///v1/caf%C3%A9/~a", "htuMalformed"),
        ("https://", "htuMalformed"),
        ("https://:443/", "htuMalformed"), ("https://./", "htuMismatch"), ("httpss://api.example.com/", "htuMalformed"),
        ("ftp://api.example.com/v1/caf%C3%A9/~a", "htuMalformed"), ("api.example.com/v1/caf%C3%A9/~a", "htuMalformed"),
        ("wss://api.example.com/v1/caf%C3%A9/~a", "htuMalformed"), ("https://?x", "htuMalformed"),
        ("https://[", "htuMalformed"), ("https://[]/", "htuMalformed"), ("https://[::1/", "htuMalformed"),
        ("https://[::g]/", "htuMalformed"), ("https://[::1]x/", "htuMalformed"),
        ("https://[fe80::1%25eth0]/", "htuMalformed"),
    ])
    func spellings(_ uri: String, _ expected: String) {
        #expect(Self.result(uri, Asked().with { $0.path = "/v1/caf%C3%A9/~a" }) == expected)
    }

    @Test func otherTargets() {
        let plain = Asked().with {
            $0.isSecure = false
            $0.port = 80
            $0.path = "/"
        }
        #expect(Self.result("http://api.example.com", plain) == "same")
        #expect(Self.result("http://api.example.com?x", plain) == "same")
        #expect(Self.result("http://api.example.com#x", plain) == "same")
        #expect(Self.result("http://api.example.com:80", plain) == "same")
        #expect(Self.result("http://api.example.com:80/", plain) == "same")
        #expect(Self.result("http://api.example.com:443/", plain) == "htuMismatch")
        #expect(Self.result("https://api.example.com:80/", plain) == "htuMismatch")
        #expect(Self.result("http://api.example.com//", plain) == "htuMismatch")

        let high = Asked().with {
            $0.port = 65_535
            $0.path = "/a%20b%7C;"
        }
        #expect(Self.result("https://api.example.com:65535/a%20b%7c;", high) == "same")
        #expect(Self.result("https://api.example.com:65535/a%20b|;", high) == "same")
        #expect(Self.result("https://api.example.com:65535/a%20b|%3B", high) == "htuMismatch")
        #expect(Self.result("https://api.example.com/a%20b|;", high) == "htuMismatch")

        let address = Asked().with {
            $0.host = "[2001:db8::a]"
            $0.path = "/"
        }
        #expect(Self.result("https://[2001:DB8::A]/", address) == "same")
        #expect(Self.result("https://[2001:db8::a]:443", address) == "same")
        // Another spelling of the address is another name here, as it is for hosts.
        #expect(Self.result("https://[2001:db8:0::a]/", address) == "htuMismatch")
        #expect(Self.result("https://2001:db8::a/", address) == "htuMalformed")
        #expect(Self.result("https://[2001:db8::a]./", address) == "htuMalformed")
    }

    /// Every printable character raw in the path is the one that a canonical path has, or is refused.
    @Test func everyByteInThePath() {
        for byte: UInt8 in 0x00...0x7F {
            let character = String(UnicodeScalar(byte))
            let digits = String(byte, radix: 16, uppercase: true)
            let escape = "%" + (byte < 16 ? "0" : "") + digits
            let unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
            let isRaw = (unreserved + "!$&'()*+,:;=@").contains(character)
            let canonical = isRaw ? character : escape
            let asked = Asked().with { $0.path = "/a" + canonical }
            let expected =
                switch character {
                case "?", "#", "/": "htuMismatch"
                case "\\", "%": "htuMalformed"
                default: byte > 0x20 && byte < 0x7F ? "same" : "htuMalformed"
                }
            #expect(Self.result("https://api.example.com/a" + character, asked) == expected, "byte \(byte)")
            let escaped = unreserved.contains(character) || !isRaw ? "same" : "htuMismatch"
            #expect(Self.result("https://api.example.com/a" + escape, asked) == escaped, "escape \(escape)")
        }
    }

    /// Ends and insertions in every place: nothing traps, and nothing but another spelling is the same.
    @Test func everyTruncationAndByte() {
        let target = "https://api.example.com:443/v1/orders"
        let good = bytes(target + "?x#y")
        for end in good.indices {
            let isSame = Self.result(text(Array(good[..<end]))) == "same"
            #expect(isSame == (end >= target.utf8.count), "\(end) bytes")
            guard end < target.utf8.count else { continue }
            for byte: UInt8 in [0x00, 0x25, 0x2E, 0x2F, 0x3A, 0x40, 0x5B, 0x5C, 0x5D, 0x7F] {
                var changed = good
                changed.insert(byte, at: end)
                let isRooted = text(changed) == "https://api.example.com.:443/v1/orders?x#y"
                #expect((Self.result(text(changed)) == "same") == isRooted, "\(text(changed))")
            }
        }
    }
}
