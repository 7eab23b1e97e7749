@testable import Decision
import HTTP1
import Octets

/// What a connection made of the bytes it got.
struct Transcript: Equatable {
    struct Request: Equatable {
        var method = ""
        var target = ""
        var head = 0
        var keepAlive = true
        var headers: [[String]] = []
        var facts: [String: String] = [:]
    }
    var requests: [Request] = []
    var refusal: UInt16?
    var isClosed = false
    var output = ""
}

func converse(
    _ bytes: [UInt8], size: Int = Int.max, limits: HTTPLimits = HTTPLimits(),
    profile: FactProfile = .scopecheck, outputBytes: Int = 1 << 17, capacity: Int? = nil
) -> Transcript {
    var connection = HTTPConnection(profile: profile, limits: limits)
    var buffer = ReceiveBuffer(capacity: capacity ?? limits.bufferBytes)
    var output = ByteWriter(capacity: outputBytes)
    var answer = Answer()
    fill(&answer, status: 200)
    var transcript = Transcript()
    var rest = bytes[...]
    while !rest.isEmpty, !transcript.isClosed {
        let taken = rest.prefix(min(size, buffer.freeCount))
        guard !taken.isEmpty, buffer.append(Array(taken).span) else {
            transcript.isClosed = true
            break
        }
        rest = rest.dropFirst(taken.count)
        step(&connection, &buffer, &output, answer, &transcript)
    }
    transcript.output = String(lossy: output.bytes)
    return transcript
}

func converse(_ text: String, size: Int = Int.max, profile: FactProfile = .scopecheck) -> Transcript {
    converse(Array(text.utf8), size: size, profile: profile)
}

private func step(
    _ connection: inout HTTPConnection, _ buffer: inout ReceiveBuffer, _ output: inout ByteWriter,
    _ answer: borrowing Answer, _ transcript: inout Transcript
) {
    while true {
        switch connection.next(&buffer) {
        case .needBytes: return
        case .close:
            transcript.isClosed = true
            return
        case .refuse(let status):
            transcript.refusal = status
            transcript.isClosed = true
            HTTPConnection.appendRefusal(status, to: &output)
            return
        case .request(let request):
            transcript.requests.append(describe(request, buffer))
            connection.answer(request, answer, into: &output, buffer: &buffer)
            if connection.shouldClose {
                transcript.isClosed = true
                return
            }
        }
    }
}

private func describe(_ request: HTTPRequest, _ buffer: borrowing ReceiveBuffer) -> Transcript.Request {
    var seen = Transcript.Request()
    seen.method = String(lossy: buffer.bytes.bytes(at: request.method))
    seen.target = String(lossy: buffer.bytes.bytes(at: request.target))
    seen.head = Int(request.head.count)
    seen.keepAlive = request.keepAlive
    request.forEachHeader(in: buffer.bytes) { name, value in
        seen.headers.append([
            String(lossy: buffer.bytes.bytes(at: name)), String(lossy: buffer.bytes.bytes(at: value)),
        ])
    }
    let facts = request.facts
    if facts.conflict { seen.facts["conflict"] = "yes" }
    let places: [(String, ByteRange)] = [
        ("method", facts.method), ("target", facts.target), ("path", facts.normalizedPath),
        ("host", facts.host), ("scheme", facts.scheme), ("port", facts.port),
        ("address", facts.clientAddress), ("id", facts.requestID), ("certificate", facts.clientCertificate),
        ("authorization", facts.authorization), ("dpop", facts.dpop), ("origin", facts.origin),
        ("acrm", facts.accessControlRequestMethod), ("cookie", facts.cookie),
        ("protocol", facts.webSocketProtocol),
    ]
    for (name, place) in places where place.isPresent {
        seen.facts[name] = String(lossy: buffer.bytes.bytes(at: place))
    }
    let counts: [(String, UInt16)] = [
        ("authorization#", facts.authorizationCount), ("dpop#", facts.dpopCount),
        ("origin#", facts.originCount), ("acrm#", facts.accessControlRequestMethodCount),
        ("cookie#", facts.cookieCount), ("protocol#", facts.webSocketProtocolCount),
    ]
    for (name, count) in counts where count > 1 { seen.facts[name] = String(count) }
    return seen
}

func fill(_ answer: inout Answer, status: UInt16, challenge: String = "", nonce: String = "") {
    answer.reset()
    answer.status = status
    let texts: [(AnswerField, String)] = [
        (.decision, status == 200 ? "allow" : "deny"), (.reason, "r"), (.route, "orders GET /v1"),
        (.policy, "3.9c1a"), (.auditID, "a-1"), (.subject, status == 200 ? "user-7" : ""), (.client, ""),
        (.issuer, ""), (.granted, status == 200 ? "orders:read" : ""), (.challenge, challenge),
        (.proofNonce, nonce), (.forwardToken, status == 200 ? "yes" : ""),
    ]
    for (field, text) in texts { answer.write(field) { $0.append(Array(text.utf8).span) } }
}

/// As the shipped nginx configuration sends it.
let ordinaryHead = """
    GET /_scope HTTP/1.1\r
    Host: scopecheck\r
    SC-Method: POST\r
    SC-Target: /v1/orders?x=%41\r
    SC-Path: /v1/orders\r
    SC-Host: api.example.com\r
    SC-Scheme: https\r
    SC-Port: 443\r
    SC-Client-Address: 192.0.2.7\r
    SC-Request-Id: 6f1e\r
    SC-Client-Certificate: \r
    Authorization: Bearer abc.def.ghi\r
    User-Agent: curl/8\r
    \r

    """
let ordinaryFacts = [
    "method": "POST", "target": "/v1/orders?x=%41", "path": "/v1/orders", "host": "api.example.com",
    "scheme": "https", "port": "443", "address": "192.0.2.7", "id": "6f1e", "certificate": "",
    "authorization": "Bearer abc.def.ghi",
]

extension Answer {
    /// Fills one field by appending to the text.
    mutating func write(_ field: AnswerField, _ body: (inout ByteWriter) -> Void) {
        let start = text.count
        body(&text)
        close(field, from: start)
    }
}
