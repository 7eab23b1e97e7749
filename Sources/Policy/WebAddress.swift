internal import Octets

/// The URLs of a policy: issuer identifiers and places to fetch keys from.
enum WebAddress {
    static let bytesMax = 2_048

    /// Checks an https URL, or an http one whose host is this machine (for development).
    /// - Parameters:
    ///   - allowsQuery: false for issuer identifiers (RFC 8414 §2: no query and no fragment).
    ///   - risk: what anyone on the way could do without https.
    static func check(
        _ text: ArraySlice<UInt8>, allowsQuery: Bool, risk: String = "change the keys"
    ) throws(TextProblem) {
        func problem(_ offset: Int, _ message: String, _ mend: String) -> TextProblem {
            TextProblem(code: .badURL, offset: offset, message: message, mend: mend)
        }
        let rest: ArraySlice<UInt8>
        let isSecure = text.starts(with: Array("https://".utf8))
        if isSecure {
            rest = text.dropFirst(8)
        } else if text.starts(with: Array("http://".utf8)) {
            rest = text.dropFirst(7)
        } else {
            throw problem(0, "\(quoted(text)) is no https URL", "write it as in `https://id.example.com`")
        }
        guard text.count <= bytesMax else {
            throw problem(0, "a URL of \(text.count) bytes; \(bytesMax) are the most", "write a shorter one")
        }
        if let wrong = text.firstIndex(where: { !isURLCharacter($0) }) {
            throw problem(
                wrong - text.startIndex, "\(quoted(text)) holds a character that no URL has",
                "percent-encode it, or write the host's ASCII form")
        }
        if let mark = text.firstIndex(where: { $0 == 0x23 || (!allowsQuery && $0 == 0x3F) }) {
            let part = text[mark] == 0x23 ? "a fragment" : "a query"
            throw problem(
                mark - text.startIndex, "\(quoted(text)) has \(part)", "remove everything from there on")
        }
        let authority = rest.prefix { $0 != 0x2F && $0 != 0x3F }
        let offset = authority.startIndex - text.startIndex
        if authority.contains(0x40) {
            throw problem(
                offset, "\(quoted(text)) has user information",
                "remove everything before the `@` from the host")
        }
        let host = try readAuthority(authority, offset: offset)
        if !isSecure, !isLoopback(host) {
            throw problem(
                0, "\(quoted(text)) is not https; anyone on the way could \(risk)",
                "write `https://`; http is for `localhost`, `127.0.0.1` and `[::1]` only")
        }
    }

    /// Checks `host` or `host:port`.
    /// - Returns: the host.
    private static func readAuthority(
        _ authority: ArraySlice<UInt8>, offset: Int
    ) throws(TextProblem) -> ArraySlice<UInt8> {
        var host = authority
        if let colon = authority.lastIndex(of: 0x3A), authority.last != 0x5D {
            host = authority[..<colon]
            guard let port = decimal(authority[(colon + 1)...]), port >= 1, port <= 65_535 else {
                throw TextProblem(
                    code: .badURL, offset: offset,
                    message: "\(quoted(authority)) has no port from 1 to 65535 after the `:`",
                    mend: "write the port, or remove the `:`")
            }
        }
        do {
            try HostName.check(host.map(lowercased)[...])
        } catch {
            throw TextProblem(code: .badURL, offset: offset, message: error.message, mend: error.mend)
        }
        guard host.first != 0x2A else {
            throw TextProblem(
                code: .badURL, offset: offset, message: "`*` in the host of a URL", mend: "write one host")
        }
        return host
    }

    /// Whether the host of a URL is this machine.
    static func isLocal(_ text: ArraySlice<UInt8>) -> Bool {
        let rest = text.drop { $0 != 0x2F }.dropFirst(2)
        var host = rest.prefix { $0 != 0x2F && $0 != 0x3F }
        if let colon = host.lastIndex(of: 0x3A), host.last != 0x5D { host = host[..<colon] }
        return isLoopback(host)
    }

    private static func isLoopback(_ host: ArraySlice<UInt8>) -> Bool {
        host.equals("localhost") || host.equals("127.0.0.1") || host.equals("[::1]")
    }

    /// RFC 3986 §2: printable ASCII but the signs that it excludes.
    static func isURLCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x22, 0x3C, 0x3E, 0x5C, 0x5E, 0x60, 0x7B...0x7D: false
        default: byte > 0x20 && byte < 0x7F
        }
    }
}
