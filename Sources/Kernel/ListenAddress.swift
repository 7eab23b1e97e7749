internal import Glibc

/// Where a listener listens or a client connects: `unix:PATH` or `HOST:PORT`.
///
/// `HOST` is an IPv4 address, an IPv6 address in brackets, or `localhost` (which is 127.0.0.1). Names are
/// not resolved: what a socket binds to must not depend on a name server.
/// Examples: `unix:/run/scopecheck/fastcgi.sock`, `127.0.0.1:9000`, `[::1]:80`.
public enum ListenAddress: Equatable, Hashable, Sendable, CustomStringConvertible {
    case unix(path: String)
    /// `host` without brackets. Port 0 lets the system choose one.
    case tcp(host: String, port: UInt16)

    /// `sun_path` has 108 bytes, one of them for the NUL (unix(7)).
    public static let unixPathBytesMax = 107

    /// - Throws: `AddressError`, whose description says what is wrong and how to mend it.
    public init(parsing text: String) throws(AddressError) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            try Self.checkUnixPath(path, text: text)
            self = .unix(path: path)
            return
        }
        self = try Self.parseTCP(text)
    }

    public var description: String {
        switch self {
        case .unix(let path): "unix:\(path)"
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        }
    }

    /// Whether only processes of this machine can connect.
    public var isLocal: Bool {
        switch self {
        case .unix: true
        case .tcp(let host, _): host == "localhost" || host == "::1" || isIPv4Loopback(host)
        }
    }

    private static func checkUnixPath(_ path: String, text: String) throws(AddressError) {
        guard !path.isEmpty else {
            throw AddressError(text: text, problem: "has no path; write `unix:/run/scopecheck/NAME.sock`")
        }
        guard !path.utf8.contains(0) else {
            throw AddressError(text: text, problem: "has a NUL in its path; remove it")
        }
        guard !path.hasPrefix("@") else {
            throw AddressError(
                text: text,
                problem: "is an abstract socket, which no file mode protects; give the path of a file")
        }
        guard !path.hasSuffix("/") else {
            throw AddressError(text: text, problem: "ends in `/`; name the socket file, not its folder")
        }
        guard path.utf8.count <= unixPathBytesMax else {
            throw AddressError(
                text: text,
                problem: "has a path of \(path.utf8.count) bytes; the system allows \(unixPathBytesMax):"
                    + " use a shorter one")
        }
    }

    private static func parseTCP(_ text: String) throws(AddressError) -> ListenAddress {
        guard let colon = text.lastIndex(of: ":") else {
            throw AddressError(text: text, problem: "has no port; write `unix:PATH` or `HOST:PORT`")
        }
        var host = String(text[..<colon])
        let portText = text[text.index(after: colon)...]
        let digits = portText.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
        guard digits, !portText.isEmpty, portText.utf8.count <= 5, let port = UInt16(portText) else {
            throw AddressError(
                text: text,
                problem: "has no port from 0 to 65535 after the last `:`; write `unix:PATH` or `HOST:PORT`")
        }
        if host.hasPrefix("[") || host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
            guard text.hasPrefix("["), text[..<colon].hasSuffix("]"), isIPv6(host) else {
                throw AddressError(text: text, problem: "has no IPv6 address between `[` and `]`")
            }
            return .tcp(host: host, port: port)
        }
        guard !host.isEmpty else {
            throw AddressError(
                text: text, problem: "has no host; write `127.0.0.1:\(port)`, or `0.0.0.0:\(port)` for all")
        }
        guard !host.contains(":") else {
            throw AddressError(
                text: text, problem: "needs brackets round an IPv6 address: `[\(host)]:\(port)`")
        }
        guard host == "localhost" || isIPv4(host) else {
            throw AddressError(
                text: text,
                problem: "names a host; names are not resolved here: write its address, or `localhost`")
        }
        return .tcp(host: host, port: port)
    }
}

/// A text that is no address.
public struct AddressError: Error, Equatable, Sendable, CustomStringConvertible {
    public let text: String
    /// What is wrong and how to mend it.
    public let problem: String

    public var description: String { "`\(text)` \(problem)" }
}

func isIPv4(_ text: String) -> Bool {
    var address = in_addr()
    // SAFETY: both arguments live for the call; inet_pton reads a NUL-ended string and writes one in_addr.
    return unsafe inet_pton(AF_INET, text, &address) == 1
}

func isIPv6(_ text: String) -> Bool {
    var address = in6_addr()
    // SAFETY: as above, with one in6_addr.
    return unsafe inet_pton(AF_INET6, text, &address) == 1
}

private func isIPv4Loopback(_ host: String) -> Bool {
    isIPv4(host) && host.hasPrefix("127.")
}
