@testable import Decision
import FastCGI
import Octets

// Bytes as a proxy would send them, and a peer that feeds them to a connection.

func record(_ type: UInt8, id: UInt16 = 1, _ content: [UInt8] = [], padding: Int = 0, version: UInt8 = 1)
    -> [UInt8]
{
    [version, type, UInt8(id >> 8), UInt8(id & 255), UInt8(content.count >> 8), UInt8(content.count & 255)]
        + [UInt8(padding), 0] + content + [UInt8](repeating: 0xAA, count: padding)
}

func begin(id: UInt16 = 1, role: UInt16 = 1, flags: UInt8 = 0, padding: Int = 0) -> [UInt8] {
    record(1, id: id, [UInt8(role >> 8), UInt8(role & 255), flags, 0, 0, 0, 0, 0], padding: padding)
}

func length(_ count: Int) -> [UInt8] {
    if count < 128 { return [UInt8(count)] }
    return [0x80 | UInt8(count >> 24), UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255)]
}

func pair(_ name: [UInt8], _ value: [UInt8]) -> [UInt8] {
    length(name.count) + length(value.count) + name + value
}

func pairs(_ list: [(String, String)]) -> [UInt8] {
    list.flatMap { pair(Array($0.0.utf8), Array($0.1.utf8)) }
}

/// PARAMS in records of at most `size` bytes, then their end.
func params(id: UInt16 = 1, _ content: [UInt8], size: Int = 65_535, padding: Int = 0) -> [UInt8] {
    var bytes: [UInt8] = []
    var start = 0
    while start < content.count {
        let end = min(content.count, start + size)
        bytes += record(4, id: id, Array(content[start..<end]), padding: padding)
        start = end
    }
    return bytes + record(4, id: id)
}

let ordinaryPairs: [(String, String)] = [
    ("SC_METHOD", "GET"), ("SC_TARGET", "/v1/orders/7?x=%41"), ("SC_PATH", "/v1/orders/7"),
    ("SC_HOST", "api.example.com"), ("SC_PORT", "443"), ("SC_SCHEME", "https"),
    ("SC_CLIENT_ADDRESS", "192.0.2.7"), ("SC_REQUEST_ID", "6f1e"), ("SC_CLIENT_CERTIFICATE", ""),
    ("HTTP_AUTHORIZATION", "Bearer abc.def.ghi"), ("HTTP_USER_AGENT", "curl/8"),
]

func ordinaryRequest(id: UInt16 = 1, role: UInt16 = 1, flags: UInt8 = 0) -> [UInt8] {
    let stdin = role == 1 ? record(5, id: id) : []
    return begin(id: id, role: role, flags: flags) + params(id: id, pairs(ordinaryPairs)) + stdin
}

/// What a connection made of the bytes it got.
struct Transcript: Equatable {
    struct Request: Equatable {
        var id: UInt16
        var role: FastCGIRole
        var keepConnection: Bool
        var names: [[UInt8]] = []
        var values: [[UInt8]] = []
    }
    var requests: [Request] = []
    var output: [UInt8] = []
    var isClosed = false
}

/// Feeds `bytes` in pieces of `size` and answers every request with `answer`.
func converse(
    _ bytes: [UInt8], size: Int = Int.max, limits: FastCGILimits = FastCGILimits(),
    outputBytes: Int = 1 << 17,
    status: UInt16 = 200
) -> Transcript {
    var pieces: [[UInt8]] = []
    var start = 0
    while start < bytes.count {
        let end = size > bytes.count - start ? bytes.count : start + size
        pieces.append(Array(bytes[start..<end]))
        start = end
    }
    return converse(pieces: pieces, limits: limits, outputBytes: outputBytes, status: status)
}

func converse(
    pieces: [[UInt8]], limits: FastCGILimits = FastCGILimits(), outputBytes: Int = 1 << 17,
    status: UInt16 = 200
) -> Transcript {
    var connection = FastCGIConnection(limits: limits)
    var buffer = ReceiveBuffer(capacity: limits.bufferBytes)
    var output = ByteWriter(capacity: outputBytes)
    var answer = Answer()
    fill(&answer, status: status)
    var transcript = Transcript()
    for piece in pieces {
        var rest = piece[...]
        while !rest.isEmpty, !transcript.isClosed {
            let taken = rest.prefix(buffer.freeCount)
            guard !taken.isEmpty, buffer.append(Array(taken).span) else {
                transcript.isClosed = true
                break
            }
            rest = rest.dropFirst(taken.count)
            step(&connection, &buffer, &output, answer, &transcript)
        }
    }
    transcript.output = [UInt8](copying: output.bytes)
    return transcript
}

private func step(
    _ connection: inout FastCGIConnection, _ buffer: inout ReceiveBuffer, _ output: inout ByteWriter,
    _ answer: borrowing Answer, _ transcript: inout Transcript
) {
    while true {
        switch connection.next(&buffer, output: &output) {
        case .needBytes: return
        case .close:
            transcript.isClosed = true
            return
        case .request(let request):
            var seen = Transcript.Request(
                id: request.id, role: request.role, keepConnection: request.keepConnection)
            request.forEachParameter(in: buffer.bytes) { name, value in
                seen.names.append([UInt8](copying: buffer.bytes.bytes(at: name)))
                seen.values.append([UInt8](copying: buffer.bytes.bytes(at: value)))
            }
            transcript.requests.append(seen)
            connection.answer(request, answer, into: &output, buffer: &buffer)
            if connection.shouldClose {
                transcript.isClosed = true
                return
            }
        }
    }
}

func fill(
    _ answer: inout Answer, status: UInt16, challenge: String = "", nonce: String = "", reason: Reason = .expired
) {
    answer.reset()
    answer.status = status
    answer.reason = status == 200 ? .granted : reason
    let texts: [(AnswerField, String)] = [
        (.decision, status == 200 ? "allow" : "deny"), (.reason, "r"),
        (.route, "orders GET /v1/orders/{order}"),
        (.policy, "3.9c1a"), (.auditID, "a-1"), (.subject, status == 200 ? "user-7" : ""), (.client, ""),
        (.issuer, ""), (.granted, status == 200 ? "orders:read" : ""), (.challenge, challenge),
        (.proofNonce, nonce), (.forwardToken, status == 200 ? "yes" : ""),
    ]
    for (field, text) in texts { answer.write(field) { $0.append(Array(text.utf8).span) } }
}

/// The records of an output, nil when it is not whole records.
func records(_ bytes: [UInt8]) -> [(type: UInt8, id: UInt16, content: [UInt8])]? {
    var result: [(type: UInt8, id: UInt16, content: [UInt8])] = []
    var position = 0
    while position < bytes.count {
        guard bytes.count - position >= 8, bytes[position] == 1 else { return nil }
        let count = Int(bytes[position + 4]) << 8 | Int(bytes[position + 5])
        let padding = Int(bytes[position + 6])
        let start = position + 8
        guard bytes.count - start >= count + padding else { return nil }
        result.append(
            (
                bytes[position + 1], UInt16(bytes[position + 2]) << 8 | UInt16(bytes[position + 3]),
                Array(bytes[start..<start + count])
            ))
        position = start + count + padding
    }
    return result
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

extension Answer {
    /// Fills one field by appending to the text.
    mutating func write(_ field: AnswerField, _ body: (inout ByteWriter) -> Void) {
        let start = text.count
        body(&text)
        close(field, from: start)
    }
}
