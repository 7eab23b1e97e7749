@testable import Decision
import Octets
import SPOP

// Bytes as HAProxy would send them, a peer that feeds them to a connection, and a reader of what comes back. Written
// from SPOE.txt, not from the codec.

func varint(_ value: UInt64) -> [UInt8] {
    if value < 240 { return [UInt8(value)] }
    var bytes = [UInt8(value % 16 + 240)]
    var rest = (value - 240) / 16
    while rest > 127 {
        bytes.append(UInt8(rest % 128 + 128))
        rest = (rest - 128) / 128
    }
    return bytes + [UInt8(rest)]
}

func counted(_ text: [UInt8]) -> [UInt8] { varint(UInt64(text.count)) + text }
func counted(_ text: String) -> [UInt8] { counted(Array(text.utf8)) }

/// A value with its type.
enum Value: Equatable {
    case null
    case bool(Bool)
    case int32(Int32)
    case uint32(UInt32)
    case int64(Int64)
    case uint64(UInt64)
    case ipv4([UInt8])
    case ipv6([UInt8])
    case string(String)
    case binary([UInt8])

    var bytes: [UInt8] {
        switch self {
        case .null: [0x00]
        case .bool(let isTrue): [isTrue ? 0x11 : 0x01]
        case .int32(let number): [0x02] + varint(UInt64(bitPattern: Int64(number)))
        case .uint32(let number): [0x03] + varint(UInt64(number))
        case .int64(let number): [0x04] + varint(UInt64(bitPattern: number))
        case .uint64(let number): [0x05] + varint(number)
        case .ipv4(let address): [0x06] + address
        case .ipv6(let address): [0x07] + address
        case .string(let text): [0x08] + counted(text)
        case .binary(let bytes): [0x09] + counted(bytes)
        }
    }
}

typealias Argument = (name: String, value: Value)

func arguments(_ list: [Argument]) -> [UInt8] {
    list.flatMap { counted($0.name) + $0.value.bytes }
}

func message(_ name: String, _ list: [Argument] = []) -> [UInt8] {
    counted(name) + [UInt8(list.count)] + arguments(list)
}

/// A frame with its length.
func frame(_ type: UInt8, flags: UInt32 = 1, stream: UInt64 = 0, id: UInt64 = 0, _ payload: [UInt8] = []) -> [UInt8] {
    let content = [type] + bigEndian(flags) + varint(stream) + varint(id) + payload
    return bigEndian(UInt32(content.count)) + content
}

func bigEndian(_ value: UInt32) -> [UInt8] {
    [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
}

func notify(_ payload: [UInt8], stream: UInt64 = 2, id: UInt64 = 1, flags: UInt32 = 1) -> [UInt8] {
    frame(3, flags: flags, stream: stream, id: id, payload)
}

/// A NOTIFY in as many fragments.
func fragmented(_ parts: [[UInt8]], stream: UInt64 = 2, id: UInt64 = 1) -> [UInt8] {
    parts.enumerated().flatMap { index, part in
        frame(index == 0 ? 3 : 0, flags: index == parts.count - 1 ? 1 : 0, stream: stream, id: id, part)
    }
}

/// As HAProxy 2.6 sends it, from each thread of its own.
let hello26: [Argument] = [
    ("supported-versions", .string("2.0")), ("max-frame-size", .uint32(16_380)),
    ("capabilities", .string("pipelining,async")), ("engine-id", .string("0e1f4f1c-0d6f-4a9c-8f5c-5d5a35f1b9a1")),
]
/// As HAProxy 3.1 and later send it.
let hello31: [Argument] = [
    ("supported-versions", .string("2.0")), ("max-frame-size", .uint32(16_380)),
    ("capabilities", .string("pipelining")), ("engine-id", .string("c1d7b3a0-6a6f-4f43-8f0e-0a9df1a5a1c4")),
]
let helloOfHealthCheck: [Argument] = [
    ("supported-versions", .string("2.0")), ("max-frame-size", .uint32(16_380)), ("capabilities", .string("")),
    ("healthcheck", .bool(true)),
]

func hello(_ list: [Argument] = hello31) -> [UInt8] { frame(1, arguments(list)) }

let ordinaryArguments: [Argument] = [
    ("method", .string("GET")), ("target", .string("/v1/orders/7?x=%41")), ("path", .string("/v1/orders/7")),
    ("host", .string("api.example.com")), ("host_count", .int64(1)), ("scheme", .string("https")),
    ("port", .int64(443)), ("client_address", .ipv4([192, 0, 2, 7])), ("request_id", .string("6f1e")),
    ("authorization", .string("Bearer abc.def.ghi")), ("authorization_count", .int64(1)), ("dpop", .null),
    ("dpop_count", .int64(0)),
]

let ordinaryMessage = message("scopecheck-http", ordinaryArguments)

/// What a connection made of the bytes that it got.
struct Transcript: Equatable {
    struct Question: Equatable {
        var streamID: UInt64
        var frameID: UInt64
        var says: [String: String]
    }
    var questions: [Question] = []
    var output: [UInt8] = []
    var isClosed = false
    var isIdle = false
    var healthQuestions = 0
}

/// Feeds `bytes` in pieces of `size` and acknowledges every question with an answer of that status.
func converse(
    _ bytes: [UInt8], size: Int = Int.max, limits: SPOPLimits = SPOPLimits(), isHealthy: Bool = true,
    status: UInt16 = 200
) -> Transcript {
    var pieces: [[UInt8]] = []
    var start = 0
    while start < bytes.count {
        let end = size > bytes.count - start ? bytes.count : start + size
        pieces.append(Array(bytes[start..<end]))
        start = end
    }
    return converse(pieces: pieces, limits: limits, isHealthy: isHealthy, status: status)
}

func converse(
    pieces: [[UInt8]], limits: SPOPLimits = SPOPLimits(), isHealthy: Bool = true, status: UInt16 = 200
) -> Transcript {
    var connection = SPOPConnection(limits: limits)
    var buffer = ReceiveBuffer(capacity: limits.bufferBytes)
    var output = ByteWriter(capacity: 8_192)
    var answer = Answer()
    fill(&answer, status: status)
    var transcript = Transcript()
    for piece in pieces {
        var start = 0
        while start < piece.count, !transcript.isClosed {
            let end = min(piece.count, start + buffer.freeCount)
            guard end > start, buffer.append(piece.span.extracting(start..<end)) else {
                transcript.questions.append(.init(streamID: 0, frameID: 0, says: ["stuck": "full"]))
                transcript.isClosed = true
                break
            }
            start = end
            step(&connection, &buffer, &output, answer, isHealthy, &transcript)
        }
    }
    transcript.isIdle = !transcript.isClosed && connection.isIdle(buffer)
    return transcript
}

private func step(
    _ connection: inout SPOPConnection, _ buffer: inout ReceiveBuffer, _ output: inout ByteWriter,
    _ answer: borrowing Answer, _ isHealthy: Bool, _ transcript: inout Transcript
) {
    var isWanting = false
    while !isWanting, !transcript.isClosed {
        var asked = 0
        let step = connection.next(&buffer, output: &output) {
            asked += 1
            return isHealthy
        }
        transcript.healthQuestions += asked
        switch step {
        case .needBytes: isWanting = true
        case .close: transcript.isClosed = true
        case .request(let request):
            transcript.questions.append(
                .init(
                    streamID: request.streamID, frameID: request.frameID,
                    says: said(request.question, buffer.bytes.bytes(at: request.payload))))
            if case .health = request.question {
                connection.acknowledgeHealth(
                    streamID: request.streamID, frameID: request.frameID, isHealthy: isHealthy, reason: "ready",
                    policy: Array("12.0123456789abcdef".utf8).span, into: &output)
            } else {
                connection.acknowledge(
                    streamID: request.streamID, frameID: request.frameID, answer, into: &output)
            }
        }
        transcript.output.append(copying: output.bytes)
        output.removeAll()
    }
}

/// An answer as the decider makes them. On a denial no identity is said.
func fill(
    _ answer: inout Answer, status: UInt16, challenge: String = "", nonce: String = "", reason: Reason = .expired
) {
    answer.reset()
    answer.status = status
    answer.reason = status == 200 ? .granted : reason
    let texts: [(AnswerField, String)] = [
        (.decision, status == 200 ? "allow" : "deny"), (.reason, "r"), (.route, "orders GET /v1/orders/{order}"),
        (.policy, "3.9c1a"), (.auditID, "0123456789abcdef-1"), (.subject, status == 200 ? "user-7" : ""),
        (.client, ""), (.issuer, ""), (.granted, status == 200 ? "orders:read" : ""), (.challenge, challenge),
        (.proofNonce, nonce), (.forwardToken, status == 200 ? "yes" : ""),
    ]
    for (field, text) in texts { answer.write(field, Array(text.utf8).span) }
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
