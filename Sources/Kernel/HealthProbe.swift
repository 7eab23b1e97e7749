internal import Glibc

/// What a listener gave as a sign of life.
public enum HealthSign: Equatable, Sendable {
    case answered(status: Int)
    /// HTTP, and not of a listener that decides.
    case foreign(httpStatus: Int)
    /// No protocol got an answer in time.
    case silent
}

/// Asks a listener for a sign of life, in the protocol that it speaks.
public enum HealthProbe {
    /// Sends `GET /` without facts and, when that gets no answer, a FastCGI request without parameters, then the
    /// HELLO of a SPOP health check.
    ///
    /// A daemon with a policy answers the first two with 403 (a fact is missing) and one without answers 503, so
    /// health needs no path of its own. A HELLO in return counts as 200, a DISCONNECT as 503.
    /// - Throws: when nobody accepts the connection.
    public static func probe(
        _ address: ListenAddress, deadlineMilliseconds: Int64 = 2000
    ) throws(SystemError) -> HealthSign {
        let third = deadlineMilliseconds / 3
        let http = try exchange(address, third, request: Array(httpRequest.utf8), parse: httpStatus)
        if let status = http.status { return .answered(status: status) }
        let fastCGI = try exchange(address, third, request: fastCGIRequest, parse: fastCGIStatus)
        if let status = fastCGI.status { return .answered(status: status) }
        let spop = try exchange(address, deadlineMilliseconds - 2 * third, request: spopHello, parse: spopStatus)
        if let status = spop.status { return .answered(status: status) }
        return HTTPResponseText(http.received).map { .foreign(httpStatus: $0.status) } ?? .silent
    }

    static let httpRequest = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    /// FastCGI 1.0 §3.3, §5: BEGIN_REQUEST id 1, Responder, no keep-alive; empty PARAMS; empty STDIN.
    static let fastCGIRequest: [UInt8] = [
        1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0,
        1, 4, 0, 1, 0, 0, 0, 0,
        1, 5, 0, 1, 0, 0, 0, 0,
    ]

    /// HAProxy, doc/SPOE.txt §3.2.4: HELLO with `supported-versions` "2.0", `max-frame-size` 16380, no
    /// `capabilities`, and `healthcheck` true.
    static let spopHello: [UInt8] =
        [0, 0, 0, 78, 1, 0, 0, 0, 1, 0, 0]
        + [18] + Array("supported-versions".utf8) + [8, 3] + Array("2.0".utf8)
        + [14] + Array("max-frame-size".utf8) + [3, 0xFC, 0xF0, 0x06]
        + [12] + Array("capabilities".utf8) + [8, 0]
        + [11] + Array("healthcheck".utf8) + [0x11]

    /// An answer is small; more than this is none.
    private static let answerBytesMax = 65536

    private static func exchange(
        _ address: ListenAddress, _ milliseconds: Int64, request: [UInt8], parse: ([UInt8]) -> Int?
    ) throws(SystemError) -> (status: Int?, received: [UInt8]) {
        let connection = try LocalConnection(to: address, deadline: Deadline(milliseconds: milliseconds))
        var received: [UInt8] = []
        do {
            _ = try connection.sendAll(request.span)
            while received.count < answerBytesMax {
                let chunk = try connection.receive()
                if chunk.isEmpty { break }
                received.append(contentsOf: chunk)
                if let status = parse(received) { return (status, received) }
            }
        } catch {
            // Connected and silent, or broken off: no answer in this protocol.
        }
        return (nil, received)
    }

    /// Of an answer that only this daemon gives: a decision, or the admin listener's `{}`.
    static func httpStatus(_ bytes: [UInt8]) -> Int? {
        guard let status = HTTPResponseText(bytes)?.status else { return nil }
        let text = String(decoding: bytes, as: UTF8.self).lowercased()
        return text.contains("\r\nx-scope-decision:") || text.hasSuffix("\r\n\r\n{}") ? status : nil
    }

    /// 200 for an AGENT-HELLO (type 101), 503 for an AGENT-DISCONNECT (102), once either is whole.
    static func spopStatus(_ bytes: [UInt8]) -> Int? {
        guard bytes.count > 4, bytes[0] == 0, bytes[1] == 0,
            bytes.count - 4 >= Int(bytes[2]) << 8 | Int(bytes[3])
        else { return nil }
        switch bytes[4] {
        case 101: return 200
        case 102: return 503
        default: return nil
        }
    }

    /// The `Status` of the CGI head in the STDOUT records; 200 when the head has none (RFC 3875 §6.3.3).
    static func fastCGIStatus(_ bytes: [UInt8]) -> Int? {
        var output: [UInt8] = []
        var index = 0
        while bytes.count - index >= 8 {
            guard bytes[index] == 1 else { return nil }
            let length = Int(bytes[index + 4]) << 8 | Int(bytes[index + 5])
            let padding = Int(bytes[index + 6])
            guard bytes.count - index - 8 >= length + padding else { break }
            // 6 is STDOUT (FastCGI 1.0 §8).
            if bytes[index + 1] == 6 { output.append(contentsOf: bytes[(index + 8)..<(index + 8 + length)]) }
            index += 8 + length + padding
        }
        let text = String(decoding: output, as: UTF8.self)
        guard let end = text.range(of: "\r\n\r\n") else { return nil }
        for line in text[..<end].split(separator: "\r\n") where line.lowercased().hasPrefix("status:") {
            return Int(line.dropFirst(7).drop { $0 == " " }.prefix(3))
        }
        return 200
    }
}

extension String {
    /// Where `text` first starts.
    fileprivate func range(of text: String) -> String.Index? {
        var index = startIndex
        while index < endIndex {
            if self[index...].hasPrefix(text) { return index }
            index = self.index(after: index)
        }
        return nil
    }
}
