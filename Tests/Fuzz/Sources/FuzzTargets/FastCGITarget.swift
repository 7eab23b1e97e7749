internal import Decision
internal import FastCGI
internal import Octets

/// One FastCGI connection. Input: a byte of options, a byte of splitting, the stream.
///
/// However the stream is cut, the same requests come out and the same bytes go back. What goes back is whole
/// records, and no request is ended without a status line before.
@Sendable func fuzzFastCGI(_ bytes: Span<UInt8>) {
    var input = Input(bytes)
    let options = input.byte()
    let seed = input.byte()
    let stream = input.rest()
    var limits = FastCGILimits()
    limits.paramsBytesMax = [65_536, 4_096, 256, 40][Int(options & 3)]
    limits.ignoredBytesMax = [65_536, 200][Int(options >> 2 & 1)]
    limits.paramsCountMax = [512, 3][Int(options >> 3 & 1)]
    let wide = 512 * 1_024
    let whole = converse(stream, limits, .whole, outputBytes: wide)
    check(
        whole == converse(stream, limits, .mixed(seed: seed), outputBytes: wide),
        "splitting changes a conversation")
    if stream.count <= 2_048 {
        check(
            whole == converse(stream, limits, .single, outputBytes: wide),
            "single bytes change a conversation")
    }
    // Without room, less is said, and still in whole records.
    _ = converse(stream, limits, .mixed(seed: seed), outputBytes: 64 + Int(seed) * 8)
}

private struct Conversation: Equatable {
    /// What each request says.
    var notes: [UInt8] = []
    var output: [UInt8] = []
    var requests = 0
    var unsendable = 0
    var isClosed = false
    var isIdle = true
}

private func converse(
    _ stream: [UInt8], _ limits: FastCGILimits, _ splitting: Splitting, outputBytes: Int
) -> Conversation {
    var connection = FastCGIConnection(limits: limits)
    var buffer = ReceiveBuffer(capacity: limits.bufferBytes)
    var output = ByteWriter(capacity: outputBytes)
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
            let step = connection.next(&buffer, output: &output)
            drain(&output, &conversation)
            switch step {
            case .needBytes: break stepping
            case .close:
                conversation.isClosed = true
                check(connection.next(&buffer, output: &output) == .close, "a closed connection goes on")
                break feeding
            case .request(let request):
                note(request, buffer, limits, &conversation)
                check(connection.next(&buffer, output: &output) == .needBytes, "two requests at a time")
                let number = conversation.requests &* 5 &+ Int(request.params.count)
                fill(&answer, number: number)
                connection.answer(request, answer, into: &output, buffer: &buffer)
                if isSendable(number: number) {
                    check(
                        output.count > 0 || connection.shouldClose, "a request without answer goes on")
                } else if request.role == .responder || answer.isAllow {
                    check(
                        output.count == 0 && connection.shouldClose, "an answer that is not printable is sent"
                    )
                }
                drain(&output, &conversation)
                conversation.requests += 1
                if connection.shouldClose {
                    check(
                        connection.next(&buffer, output: &output) == .close,
                        "a connection to be closed goes on")
                    conversation.isClosed = true
                    break feeding
                }
            }
        }
    }
    conversation.isIdle = connection.isIdle
    checkRecords(conversation.output)
    return conversation
}

private func drain(_ output: inout ByteWriter, _ conversation: inout Conversation) {
    conversation.output.append(copying: output.bytes)
    output.removeAll()
}

private func note(
    _ request: FastCGIRequest, _ buffer: borrowing ReceiveBuffer, _ limits: FastCGILimits,
    _ conversation: inout Conversation
) {
    let bytes = buffer.bytes
    let content = bytes.bytes(at: request.params)
    check(content.count == Int(request.params.count), "parameters outside the buffer")
    check(content.count <= limits.paramsBytesMax, "more parameters than allowed")
    conversation.notes.append(bigEndian16: request.id)
    conversation.notes.append(UInt8(request.role.rawValue))
    conversation.notes.append(request.keepConnection ? 1 : 0)
    conversation.notes.append(copying: content)
    var count = 0
    var end = request.params.start
    request.forEachParameter(in: bytes) { name, value in
        count += 1
        check(name.start >= end + 2 && value.start == name.start + name.count, "pairs overlap")
        end = value.start + value.count
    }
    check(end == request.params.start + request.params.count, "bytes between pairs")
    check(count <= limits.paramsCountMax, "more pairs than allowed")
    for profile in FactProfile.allCases {
        note(
            request.facts(in: bytes, profile: profile), bytes, within: request.params, in: &conversation.notes
        )
    }
}

/// Whole records of the types that a server sends; before each END_REQUEST a status line and the end of
/// STDOUT.
private func checkRecords(_ output: [UInt8]) {
    let bytes = output.span
    var position = 0
    var isOpen = false
    var hasStatus = false
    var id: UInt16 = 0
    while position < bytes.count {
        check(bytes.count - position >= 8, "half a record header")
        check(bytes[position] == 1, "a record of another version")
        let type = bytes[position + 1]
        let recordID = bytes.bigEndian16(at: position + 2)
        let count = Int(bytes.bigEndian16(at: position + 4))
        let content = position + 8
        position = content + count + Int(bytes[position + 6])
        check(position <= bytes.count, "half a record")
        switch type {
        case 6 where count > 0:
            check(!hasStatus, "two heads")
            check(
                count > 8 && equal(bytes.extracting(content..<content + 8), "Status: "),
                "a head without status")
            hasStatus = true
            isOpen = true
            id = recordID
        case 6:
            check(hasStatus && isOpen && recordID == id, "an end of output without a head")
            isOpen = false
        case 3:
            check(hasStatus && !isOpen && recordID == id && count == 8, "an end of request without a head")
            hasStatus = false
        case 10, 11: check(recordID == 0 && !hasStatus, "a management record inside an answer")
        default: check(false, "a record that a server does not send")
        }
    }
    check(!hasStatus, "an answer without end")
}
