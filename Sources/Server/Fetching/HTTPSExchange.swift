/// One request to an issuer's server.
struct HTTPSRequest: Sendable {
    enum Method: Sendable {
        case get
        case post
    }

    var url: String
    /// The issuer that the server speaks for: plain HTTP is allowed where it is a loopback address itself.
    var issuer: String
    var method = Method.get
    /// Names in lower case.
    var headers: [(name: String, value: String)] = []
    var body: [UInt8] = []
    var replyBytesMax: Int
    /// For everything from the connection to the last byte of the reply.
    var timeoutMilliseconds: Int64
}

/// What came back. The body is read for 200 alone.
struct HTTPSReply: Sendable {
    var status: Int
    /// Lower case, without parameters; nil when there is none, or more than one.
    var mediaType: String?
    var body: [UInt8]
}

/// Why there was no reply.
enum HTTPSError: Error, CustomStringConvertible {
    /// Neither https, nor between loopback addresses.
    case notSecure(String)
    case notReachable(String)
    case tooLarge(String, Int)

    var description: String {
        switch self {
        case .notSecure(let url): "`\(url)` is not asked: issuers are spoken to over https only"
        case .notReachable(let problem): problem
        case .tooLarge(let url, let bytesMax): "`\(url)` answered with more than \(bytesMax) bytes"
        }
    }
}

/// Where requests may go.
enum HTTPSAddress {
    /// https always; http between loopback addresses.
    static func isAllowed(_ url: String, issuer: String) -> Bool {
        url.hasPrefix("https://") || isLoopbackHTTP(url) && isLoopbackHTTP(issuer)
    }

    private static func isLoopbackHTTP(_ url: String) -> Bool {
        guard url.hasPrefix("http://") else { return false }
        let authority = url.dropFirst(7).prefix { $0 != "/" }
        guard !authority.contains("@") else { return false }
        let host = authority.hasPrefix("[") ? authority.prefix { $0 != "]" } + "]" : authority.prefix { $0 != ":" }
        return host == "localhost" || host == "127.0.0.1" || host == "[::1]"
    }
}
