internal import Glibc

/// Asks a listener for a sign of life, in the protocol that it speaks.
public enum HealthProbe {
    /// Sends `GET /` without facts and, when that gets no answer, a FastCGI request without parameters.
    ///
    /// A daemon with a policy answers 403 (a fact is missing) and one without answers 503, so health needs
    /// no path of its own.
    /// - Returns: the status of the answer; nil when neither protocol got one in time.
    /// - Throws: when nobody accepts the connection.
    public static func probe(
        _ address: ListenAddress, deadlineMilliseconds: Int64 = 2000
    ) throws(SystemError) -> Int? {
        let half = deadlineMilliseconds / 2
        if let status = try exchange(address, half, request: Array(httpRequest.utf8), parse: httpStatus) {
            return status
        }
        return try exchange(
            address, deadlineMilliseconds - half, request: fastCGIRequest, parse: fastCGIStatus)
    }

    static let httpRequest = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    /// FastCGI 1.0 §3.3, §5: BEGIN_REQUEST id 1, Responder, no keep-alive; empty PARAMS; empty STDIN.
    static let fastCGIRequest: [UInt8] = [
        1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0,
        1, 4, 0, 1, 0, 0, 0, 0,
        1, 5, 0, 1, 0, 0, 0, 0,
    ]

    /// An answer is small; more than this is none.
    private static let answerBytesMax = 65536

    private static func exchange(
        _ address: ListenAddress, _ milliseconds: Int64, request: [UInt8], parse: ([UInt8]) -> Int?
    ) throws(SystemError) -> Int? {
        let connection = try LocalConnection(to: address, deadline: Deadline(milliseconds: milliseconds))
        var received: [UInt8] = []
        do {
            _ = try connection.sendAll(request.span)
            while received.count < answerBytesMax {
                let chunk = try connection.receive()
                if chunk.isEmpty { break }
                received.append(contentsOf: chunk)
                if let status = parse(received) { return status }
            }
        } catch {
            // Connected and silent, or broken off: no answer in this protocol.
            return nil
        }
        return nil
    }

    static func httpStatus(_ bytes: [UInt8]) -> Int? {
        HTTPResponseText(bytes)?.status
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
