internal import Decision
internal import Octets
internal import SPOP

/// One SPOP connection. Input: a byte of options, a byte of splitting, then the stream, or the payload of one NOTIFY.
///
/// However the stream is cut, the same questions come out and the same bytes go back: whole frames, one ACK for each
/// question, `allow` only where the answer allows. However a payload is cut into fragments, it asks the same.
@Sendable func fuzzSPOP(_ bytes: Span<UInt8>) {
    var input = Input(bytes)
    let options = input.byte()
    let seed = input.byte()
    let rest = input.rest()
    var limits = SPOPLimits()
    limits.fragmentedBytesMax = [65_536, 4_096, 100, 0][Int(options & 3)]
    limits.frameBytesMax = [65_536, 300][Int(options >> 2 & 1)]
    let talk = Talk(limits: limits, isHealthy: options & 8 == 0)
    if options & 0x40 != 0 {
        checkFragments(rest, seed: seed, isHealthy: options & 8 == 0)
        return
    }
    let stream = options & 0x80 == 0 ? rest : ordinaryHello + rest
    let whole = talk.converse(stream, .whole)
    check(whole == talk.converse(stream, .mixed(seed: seed)), "splitting changes a conversation")
    if stream.count <= 2_048 {
        check(whole == talk.converse(stream, .single), "single bytes change a conversation")
    }
}

/// A payload in one frame, and in fragments of 0 to 63 bytes: nothing else differs, not even the closing.
private func checkFragments(_ payload: [UInt8], seed: UInt8, isHealthy: Bool) {
    let talk = Talk(limits: SPOPLimits(), isHealthy: isHealthy)
    guard payload.count <= 16_000 else { return }
    let whole = talk.converse(ordinaryHello + notify(3, flags: 1, payload), .whole)
    var splitter = Splitter(.mixed(seed: seed))
    var stream = ordinaryHello
    var start = 0
    repeat {
        let end = min(payload.count, start + splitter.next() - 1)
        stream += notify(
            start == 0 && stream.count == ordinaryHello.count ? 3 : 0, flags: 0, Array(payload[start..<end]))
        start = end
    } while start < payload.count
    stream += notify(0, flags: 1, [])
    check(whole == talk.converse(stream, .whole), "fragments change a question")
}

private func notify(_ type: UInt8, flags: UInt32, _ payload: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(bigEndian32: UInt32(payload.count + 7))
    bytes.append(type)
    bytes.append(bigEndian32: flags)
    return bytes + [2, 1] + payload
}

/// As HAProxy 3.1 says it, for 16,380 bytes.
private let ordinaryHello: [UInt8] = {
    let name = { (text: String) in [UInt8(text.utf8.count)] + Array(text.utf8) }
    let payload =
        name("supported-versions") + [8] + name("2.0") + name("max-frame-size") + [3, 0xFC, 0xF0, 6]
        + name("capabilities") + [8] + name("pipelining")
    var bytes: [UInt8] = []
    bytes.append(bigEndian32: UInt32(payload.count + 7))
    return bytes + [1, 0, 0, 0, 1, 0, 0] + payload
}()

private struct Conversation: Equatable {
    /// What each question says.
    var notes: [UInt8] = []
    var output: [UInt8] = []
    var questions = 0
    var isClosed = false
    var isIdle = false
}

private struct Talk {
    let limits: SPOPLimits
    let isHealthy: Bool

    func converse(_ stream: [UInt8], _ splitting: Splitting) -> Conversation {
        var connection = SPOPConnection(limits: limits)
        var buffer = ReceiveBuffer(capacity: limits.bufferBytes)
        var output = ByteWriter(capacity: 8_192)
        var answer = Answer()
        var splitter = Splitter(splitting)
        var conversation = Conversation()
        var fed = 0
        while fed < stream.count, !conversation.isClosed {
            let piece = min(splitter.next(), buffer.freeCount, stream.count - fed)
            check(piece > 0, "a full buffer asks for more")
            check(buffer.append(stream.span.extracting(fed..<fed + piece)), "a piece that fits is refused")
            fed += piece
            var isWanting = false
            while !isWanting, !conversation.isClosed {
                let step = connection.next(&buffer, output: &output) { isHealthy }
                drain(&output, &conversation)
                switch step {
                case .needBytes:
                    isWanting = true
                    check(buffer.freeCount > 0, "it waits for bytes that have no room")
                    check(
                        buffer.count < limits.fragmentedBytesMax + 4 + limits.frameBytesMax, "more is kept than a frame"
                    )
                case .close:
                    conversation.isClosed = true
                    if case .close = connection.next(&buffer, output: &output, isHealthy: { isHealthy }) {
                        check(output.count == 0, "a closed connection says more")
                    } else {
                        check(false, "a closed connection goes on")
                    }
                case .request(let request):
                    note(request, buffer, &conversation)
                    serve(request, connection, &answer, &output, &conversation)
                }
            }
        }
        conversation.isIdle = !conversation.isClosed && connection.isIdle(buffer)
        checkFrames(conversation.output, isClosed: conversation.isClosed, frameBytesMax: connection.frameBytesMax)
        return conversation
    }

    private func serve(
        _ request: SPOPRequest, _ connection: SPOPConnection, _ answer: inout Answer, _ output: inout ByteWriter,
        _ conversation: inout Conversation
    ) {
        var allowName: StaticString = "allow"
        var mayAllow = false
        switch request.question {
        case .health:
            allowName = "healthy"
            mayAllow = isHealthy
            connection.acknowledgeHealth(
                streamID: request.streamID, frameID: request.frameID, isHealthy: isHealthy, reason: "ready",
                policy: [0x31].span, into: &output)
        case .refused:
            fill(&answer, number: 1)
            connection.acknowledge(streamID: request.streamID, frameID: request.frameID, answer, into: &output)
        case .request, .connection:
            let number = conversation.questions &* 5 &+ Int(request.payload.count)
            fill(&answer, number: number)
            mayAllow = answer.isAllow && isSendable(number: number)
            connection.acknowledge(streamID: request.streamID, frameID: request.frameID, answer, into: &output)
        }
        conversation.questions += 1
        let frame = [UInt8](copying: output.bytes)
        drain(&output, &conversation)
        let allows = checkACK(
            frame, streamID: request.streamID, frameID: request.frameID, allowName: allowName,
            bytesMax: connection.frameBytesMax)
        check(mayAllow || !allows, "an allow that was not decided")
        check(allows || !mayAllow || connection.frameBytesMax < 4_096, "an allow that was not said")
    }

    private func drain(_ output: inout ByteWriter, _ conversation: inout Conversation) {
        check(!output.overflowed, "one step says more than its buffer holds")
        conversation.output.append(copying: output.bytes)
        output.removeAll()
    }
}

private func note(_ request: SPOPRequest, _ buffer: borrowing ReceiveBuffer, _ conversation: inout Conversation) {
    let payload = buffer.bytes.bytes(at: request.payload)
    check(payload.count == Int(request.payload.count), "a payload outside the buffer")
    conversation.notes.append(littleEndian64: request.streamID)
    conversation.notes.append(littleEndian64: request.frameID)
    let place = ByteRange(start: 0, count: payload.count)
    switch request.question {
    case .health: conversation.notes.append(1)
    case .refused(let reason):
        check(reason.status == 403, "a refusal that is none")
        conversation.notes.append(2)
        conversation.notes.append(bigEndian16: reason.rawValue)
    case .connection(let facts):
        check(facts.conflict || facts.port >= 0 && facts.certificate.verifyResult >= 0, "a fact is missing")
        conversation.notes.append(3)
        note(facts, payload, within: place, in: &conversation.notes)
    case .request(let facts):
        conversation.notes.append(4)
        note(facts, payload, within: place, in: &conversation.notes)
    }
}
