internal import Glibc

/// An answer of the daemon's admin listener.
public struct LocalResponse: Equatable, Sendable {
    public let status: Int
    public let body: [UInt8]
}

/// Why there is no answer.
public enum LocalHTTPError: Error, Equatable, Sendable, CustomStringConvertible {
    case system(SystemError)
    /// Connected, but what came back is not a complete HTTP/1.1 answer; `problem` says in what way.
    case badResponse(address: ListenAddress, problem: String)
    /// The answer has more bytes than the caller takes.
    case tooLarge(address: ListenAddress, bytesMax: Int)

    /// The problem of whoever is not let in, among others.
    public static let closedAtOnce = "it closed the connection"

    /// A listener on a unix socket keeps this user out: by its file's mode, by a folder above it, or by closing without a
    /// word, as this daemon does with users who may not ask. Root and the socket's owner are kept out by none of these.
    public var isKeptOut: Bool {
        guard Accounts.ownUserID != 0 else { return false }
        switch self {
        case .system(let error): return error.call == "connect" && error.isForbidden
        case .badResponse(.unix(let path), LocalHTTPError.closedAtOnce):
            return (try? Files.ownerID(path)) != Accounts.ownUserID
        case .badResponse, .tooLarge: return false
        }
    }

    public var description: String {
        switch self {
        case .system(let error):
            error.isNobodyThere
                ? "no daemon listens at `\(error.path ?? "")`; start `scopecheck serve`, or correct the address"
                : error.description
        case .badResponse(let address, let problem):
            "`\(address)` gave no usable HTTP answer: \(problem);"
                + " see whether scopecheck's admin listener is there"
        case .tooLarge(let address, let bytesMax):
            "`\(address)` answered with more than \(bytesMax) bytes; ask for less"
        }
    }
}

/// A small HTTP/1.1 client for the commands that talk to the daemon: one request, one connection.
public enum LocalHTTP {
    /// Bytes of a status line and header fields together.
    static let headBytesMax = 16384

    /// - Parameters:
    ///   - path: the request target, already percent-encoded.
    ///   - headers: further header fields; a value with a control byte makes a request that is refused.
    ///   - contentType: nil sends none.
    ///   - deadlineMilliseconds: for the whole exchange.
    ///   - responseBytesMax: of the body.
    public static func request(
        _ method: String, _ path: String, at address: ListenAddress, headers: [(String, String)] = [],
        body: [UInt8] = [], contentType: String? = nil, deadlineMilliseconds: Int64 = 10_000,
        responseBytesMax: Int = 64 << 20
    ) throws(LocalHTTPError) -> LocalResponse {
        let head = requestHead(
            method, path, address: address, headers: headers, contentType: contentType, count: body.count)
        var received: [UInt8] = []
        do {
            let deadline = Deadline(milliseconds: deadlineMilliseconds)
            let connection = try LocalConnection(to: address, deadline: deadline)
            // A peer that refuses a body early has answered all the same.
            let request = Array(head.utf8) + body
            _ = try connection.sendAll(request.span)
            while true {
                let chunk = try connection.receive()
                if chunk.isEmpty { break }
                received.append(contentsOf: chunk)
                guard received.count <= headBytesMax + responseBytesMax else {
                    throw LocalHTTPError.tooLarge(address: address, bytesMax: responseBytesMax)
                }
                if HTTPResponseText(received)?.isComplete == true { break }
            }
        } catch let error as SystemError {
            throw .system(error)
        } catch let error as LocalHTTPError {
            throw error
        } catch {
            throw .badResponse(address: address, problem: "\(error)")
        }
        guard let response = HTTPResponseText(received) else {
            let problem = received.isEmpty ? LocalHTTPError.closedAtOnce : "it sent no complete HTTP head"
            throw .badResponse(address: address, problem: problem)
        }
        guard let body = response.body else {
            throw .badResponse(address: address, problem: "the connection ended before the body did")
        }
        guard body.count <= responseBytesMax else {
            throw .tooLarge(address: address, bytesMax: responseBytesMax)
        }
        return LocalResponse(status: response.status, body: body)
    }

    static func requestHead(
        _ method: String, _ path: String, address: ListenAddress, headers: [(String, String)] = [],
        contentType: String?, count: Int
    ) -> String {
        let host =
            switch address {
            case .unix: "localhost"
            case .tcp: address.description
            }
        var head = "\(method) \(path) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        if let contentType { head += "Content-Type: \(contentType)\r\n" }
        if count > 0 || method != "GET" { head += "Content-Length: \(count)\r\n" }
        return head + "\r\n"
    }
}

/// The received part of one HTTP/1.1 answer (RFC 9112), looked at anew as more comes in.
struct HTTPResponseText {
    let status: Int
    private let bytes: [UInt8]
    private let bodyStart: Int
    /// nil: up to the end of the connection, unless chunked.
    private let contentLength: Int?
    private let isChunked: Bool

    /// nil while the head is incomplete, and for what is no HTTP/1 head.
    init?(_ bytes: [UInt8]) {
        guard bytes.starts(with: Array("HTTP/1.".utf8)), let end = headEnd(bytes) else { return nil }
        let head = String(decoding: bytes[..<end], as: UTF8.self)
        // CR LF is one Character.
        let lines = head.split(separator: "\r\n", omittingEmptySubsequences: true)
        let words = lines[0].split(separator: " ", maxSplits: 2)
        guard words.count >= 2, words[1].utf8.count == 3, let status = Int(words[1]) else { return nil }
        var length: Int?
        var chunked = false
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let value = line[line.index(after: colon)...].split(separator: " ").joined(separator: " ")
            switch line[..<colon].lowercased() {
            case "content-length":
                guard let number = Int(value), number >= 0, length == nil else { return nil }
                length = number
            case "transfer-encoding": chunked = value.lowercased() == "chunked"
            default: break
            }
        }
        self.status = status
        self.bytes = bytes
        bodyStart = end + 4
        contentLength = length
        isChunked = chunked
    }

    /// Whether the end is known to be reached without waiting for the connection to close.
    var isComplete: Bool {
        if isChunked { return bytes.suffix(5).elementsEqual("0\r\n\r\n".utf8) && unchunked != nil }
        guard let contentLength else { return false }
        return bytes.count - bodyStart >= contentLength
    }

    /// The body; nil when it was cut off.
    var body: [UInt8]? {
        if isChunked { return unchunked }
        guard let contentLength else { return Array(bytes[bodyStart...]) }
        guard bytes.count - bodyStart >= contentLength else { return nil }
        return Array(bytes[bodyStart..<(bodyStart + contentLength)])
    }

    /// RFC 9112 §7.1. Example: `3\r\nabc\r\n0\r\n\r\n` is `abc`.
    private var unchunked: [UInt8]? {
        var body: [UInt8] = []
        var index = bodyStart
        while true {
            guard let lineEnd = lineFeed(from: index) else { return nil }
            let digits = bytes[index..<lineEnd].prefix { $0 != 0x0D && $0 != 0x3B }
            guard digits.count <= 8, let size = Int(String(decoding: digits, as: UTF8.self), radix: 16),
                size >= 0
            else { return nil }
            let start = lineEnd + 1
            if size == 0 { return bytes.count >= start + 2 ? body : nil }
            guard bytes.count >= start + size + 2 else { return nil }
            body.append(contentsOf: bytes[start..<(start + size)])
            index = start + size + 2
        }
    }

    private func lineFeed(from start: Int) -> Int? {
        guard start <= bytes.count else { return nil }
        return bytes[start...].firstIndex(of: 0x0A)
    }
}

/// Where the empty line that ends the head starts.
private func headEnd(_ bytes: [UInt8]) -> Int? {
    var index = 0
    while index + 3 < bytes.count, index < LocalHTTP.headBytesMax {
        if bytes[index] == 0x0D, bytes[index + 1] == 0x0A, bytes[index + 2] == 0x0D, bytes[index + 3] == 0x0A {
            return index
        }
        index += 1
    }
    return nil
}
