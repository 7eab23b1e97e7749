internal import Decision
internal import HTTP1
internal import Octets

/// One HTTP/1.1 connection. Input: a byte of options, a byte of splitting, the stream.
///
/// However the stream is cut, the same requests and the same refusal come out. What is taken for a request
/// head has one reading only: CRLF line ends, one Host, no body.
@Sendable func fuzzHTTP(_ bytes: Span<UInt8>) {
    var input = Input(bytes)
    let options = input.byte()
    let seed = input.byte()
    let stream = input.rest()
    var limits = HTTPLimits()
    limits.headBytesMax = [32_768, 4_096, 256, 64][Int(options & 3)]
    limits.headerCountMax = [100, 4][Int(options >> 2 & 1)]
    let profile = options >> 3 & 1 == 0 ? FactProfile.scopecheck : .cgi
    let whole = converse(stream, limits, profile, .whole)
    check(whole == converse(stream, limits, profile, .mixed(seed: seed)), "splitting changes a conversation")
    if stream.count <= 2_048 {
        check(whole == converse(stream, limits, profile, .single), "single bytes change a conversation")
    }
}

private struct Conversation: Equatable {
    var notes: [UInt8] = []
    var output: [UInt8] = []
    var requests = 0
    var refusal: UInt16?
    var isClosed = false
    var isIdle = true
}

private func converse(
    _ stream: [UInt8], _ limits: HTTPLimits, _ profile: FactProfile, _ splitting: Splitting
) -> Conversation {
    var connection = HTTPConnection(profile: profile, limits: limits)
    var buffer = ReceiveBuffer(capacity: limits.bufferBytes)
    var output = ByteWriter(capacity: 8_192)
    var answer = Answer()
    var splitter = Splitter(splitting)
    var conversation = Conversation()
    var fed = 0
    feeding: while fed < stream.count {
        let piece = min(splitter.next(), buffer.freeCount, stream.count - fed)
        check(piece > 0, "a full buffer asks for more")
        check(buffer.append(stream.span.extracting(fed..<fed + piece)), "a piece that fits is refused")
        fed += piece
        stepping: while true {
            switch connection.next(&buffer) {
            case .needBytes: break stepping
            case .close:
                conversation.isClosed = true
                break feeding
            case .refuse(let status):
                check(status >= 400, "a refusal that is none")
                check(HTTPConnection.appendRefusal(status, to: &output), "a refusal that does not fit")
                drain(&output, &conversation)
                conversation.refusal = status
                check(isClosed(&connection, &buffer), "a refused connection goes on")
                break feeding
            case .request(let request):
                note(request, buffer, limits, &conversation)
                let number = conversation.requests &* 5 &+ Int(request.head.count)
                fill(&answer, number: number)
                connection.answer(
                    request, answer, closing: number % 13 == 12, into: &output, buffer: &buffer)
                check(
                    isSendable(number: number) || output.count == 0 && connection.shouldClose,
                    "an answer that is not printable is sent")
                check(output.count > 0 || connection.shouldClose, "a request without answer goes on")
                check(request.keepAlive || connection.shouldClose, "a connection to be closed goes on")
                drain(&output, &conversation)
                conversation.requests += 1
                if connection.shouldClose {
                    check(isClosed(&connection, &buffer), "a connection to be closed goes on")
                    conversation.isClosed = true
                    break feeding
                }
            }
        }
    }
    conversation.isIdle = connection.isIdle
    return conversation
}

private func isClosed(_ connection: inout HTTPConnection, _ buffer: inout ReceiveBuffer) -> Bool {
    if case .close = connection.next(&buffer) { true } else { false }
}

private func drain(_ output: inout ByteWriter, _ conversation: inout Conversation) {
    if output.count > 0 {
        check(equal(output.bytes.extracting(0..<9), "HTTP/1.1 "), "an answer without status line")
        check(equal(output.bytes.extracting((output.count - 4)...), "\r\n\r\n"), "an answer without end")
    }
    conversation.output.append(copying: output.bytes)
    output.removeAll()
}

private func note(
    _ request: HTTPRequest, _ buffer: borrowing ReceiveBuffer, _ limits: HTTPLimits,
    _ conversation: inout Conversation
) {
    let bytes = buffer.bytes
    let head = bytes.bytes(at: request.head)
    check(head.count == Int(request.head.count), "a head outside the buffer")
    check(head.count <= limits.headBytesMax, "a head beyond its limit")
    checkLines(head)
    conversation.notes.append(copying: head)
    conversation.notes.append(copying: bytes.bytes(at: request.method))
    conversation.notes.append(copying: bytes.bytes(at: request.target))
    conversation.notes.append(request.keepAlive ? 1 : 0)
    check(request.method.start == request.head.start && request.method.count > 0, "no method")
    check(request.target.count > 0, "no target")
    var headers = 0
    var hosts = 0
    request.forEachHeader(in: bytes) { name, value in
        headers += 1
        let name = bytes.bytes(at: name)
        check(name.count > 0, "a header without name")
        for index in name.indices {
            check(name[index] > 0x20 && name[index] < 0x7F, "a name that is no token")
        }
        if equalIgnoringCase(name, "host") { hosts += 1 }
        check(!equalIgnoringCase(name, "transfer-encoding"), "a transfer coding is accepted")
        if equalIgnoringCase(name, "content-length") {
            check(equal(bytes.bytes(at: value), "0"), "a body is accepted")
        }
    }
    check(headers <= limits.headerCountMax, "more headers than allowed")
    check(hosts <= 1, "two hosts")
    note(request.facts, bytes, within: request.head, in: &conversation.notes)
}

/// No line end but CRLF, no NUL, and an empty line at the end only.
private func checkLines(_ head: Span<UInt8>) {
    for index in head.indices {
        switch head[index] {
        case 0: check(false, "a NUL in a head")
        case 0x0A: check(index > 0 && head[index - 1] == 0x0D, "a bare line feed")
        case 0x0D: check(index + 1 < head.count && head[index + 1] == 0x0A, "a bare carriage return")
        default: break
        }
    }
    check(equal(head.extracting((head.count - 4)...), "\r\n\r\n"), "a head without empty line")
}
