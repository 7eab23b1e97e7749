import Testing

@testable import Kernel

@Suite struct AddressTests {
    @Test(arguments: [
        ("unix:/run/a.sock", ListenAddress.unix(path: "/run/a.sock")),
        ("unix:run/a b.sock", .unix(path: "run/a b.sock")),
        ("unix:/a:1", .unix(path: "/a:1")),
        ("127.0.0.1:9000", .tcp(host: "127.0.0.1", port: 9000)),
        ("0.0.0.0:65535", .tcp(host: "0.0.0.0", port: 65535)),
        ("[::1]:80", .tcp(host: "::1", port: 80)),
        ("[2001:db8::5]:0", .tcp(host: "2001:db8::5", port: 0)),
        ("localhost:80", .tcp(host: "localhost", port: 80)),
    ])
    func accepted(_ text: String, _ expected: ListenAddress) throws {
        let address = try ListenAddress(parsing: text)
        #expect(address == expected)
        #expect(address.description == text)
    }

    @Test(arguments: [
        ("", "has no port"), ("unix:", "has no path"), ("unix:@abstract", "abstract"),
        ("unix:/run/", "not its folder"), ("unix:/a\0b", "NUL"), ("/run/a.sock", "has no port"),
        ("127.0.0.1", "has no port"), ("127.0.0.1:", "port from 0 to 65535"),
        ("127.0.0.1:65536", "port from 0 to 65535"), ("127.0.0.1:-1", "port from 0 to 65535"),
        ("127.0.0.1:+80", "port from 0 to 65535"), ("127.0.0.1:080000", "port from 0 to 65535"),
        (":80", "has no host"), ("::1:80", "`[::1]:80`"), ("[::1]", "port"),
        ("[::1:80", "between `[` and `]`"),
        ("[]:80", "IPv6"), ("[127.0.0.1]:80", "IPv6"), ("127.1:80", "not resolved"),
        ("example.com:80", "not resolved"), ("256.0.0.1:80", "not resolved"), ("*:80", "not resolved"),
        (" 127.0.0.1:80", "not resolved"), ("127.0.0.1:80 ", "port"),
    ])
    func refused(_ text: String, _ part: String) {
        #expect { try ListenAddress(parsing: text) } throws: { error in
            let message = "\(error)"
            return message.contains(part) && message.hasPrefix("`\(text)` ")
        }
    }

    @Test func unixPathLength() throws {
        let longest = "/" + String(repeating: "x", count: 106)
        #expect(try ListenAddress(parsing: "unix:" + longest) == .unix(path: longest))
        #expect(throws: AddressError.self) { try ListenAddress(parsing: "unix:" + longest + "x") }
        // Bytes count, not characters.
        let wide = "/" + String(repeating: "é", count: 54)
        #expect(throws: AddressError.self) { try ListenAddress(parsing: "unix:" + wide) }
    }

    @Test(arguments: [
        ("unix:/a", true), ("127.0.0.1:1", true), ("127.9.9.9:1", true), ("[::1]:1", true),
        ("localhost:1", true), ("0.0.0.0:1", false), ("[::]:1", false), ("10.0.0.1:1", false),
        ("[::ffff:127.0.0.1]:1", false),
    ])
    func locality(_ text: String, _ isLocal: Bool) throws {
        #expect(try ListenAddress(parsing: text).isLocal == isLocal)
    }

    @Test(arguments: ["unix:/run/a.sock", "127.0.0.1:9000", "[::1]:80", "[2001:db8::1]:443"])
    func socketAddressRoundTrip(_ text: String) throws {
        let address = try ListenAddress(parsing: text)
        #expect(try SocketAddress(address).listenAddress == address)
    }
}
