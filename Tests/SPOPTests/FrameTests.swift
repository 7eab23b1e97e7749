import Octets
import SPOP
import Testing

@Suite struct FrameTests {
    /// A bit of everything, of both generations.
    static let conversations: [(String, [UInt8])] = [
        (
            "ordinary",
            hello() + notify(ordinaryMessage) + notify(message("scopecheck-health"), stream: 300, id: 70_000)
                + notify(message("other"), stream: 4)
        ),
        (
            "2.6 with fragments",
            hello(hello26) + fragmented([Array(ordinaryMessage.prefix(99)), [], Array(ordinaryMessage.dropFirst(99))])
                + frame(77, [1, 2, 3]) + frame(3, flags: 0, stream: 6, id: 1, [1])
                + frame(0, flags: 3, stream: 6, id: 1)
                + notify(ordinaryMessage, stream: 8) + frame(2, arguments([("status-code", .uint32(2))]))
        ),
        ("health check", hello(helloOfHealthCheck)),
        ("refused", hello([]) + notify(ordinaryMessage)),
        ("broken", hello() + notify(ordinaryMessage) + notify([1]) + notify(ordinaryMessage)),
        ("interlaced", hello() + frame(3, flags: 0, stream: 2, id: 1, [1]) + notify(ordinaryMessage)),
        ("too big", hello() + notify(ordinaryMessage) + [0, 0, 0x40, 0] + [UInt8](repeating: 1, count: 20)),
        ("too short", hello() + notify(ordinaryMessage) + [0, 0, 0, 6, 3, 0, 0, 0, 1, 2]),
    ]

    @Test(arguments: conversations) func splitAtEveryByte(name: String, bytes: [UInt8]) {
        let whole = converse(bytes)
        #expect(!whole.output.isEmpty)
        for cut in bytes.indices.dropFirst() {
            #expect(converse(pieces: [Array(bytes[..<cut]), Array(bytes[cut...])]) == whole, "\(name), \(cut)")
        }
        for size in 1...9 { #expect(converse(bytes, size: size) == whole, "\(name), reads of \(size)") }
    }

    @Test(arguments: conversations) func anyBeginningWaitsForMore(name: String, bytes: [UInt8]) {
        let whole = converse(bytes)
        for end in bytes.indices {
            let seen = converse(Array(bytes[..<end]))
            #expect(whole.questions.starts(with: seen.questions) && whole.output.starts(with: seen.output))
        }
    }

    @Test func theAgreedSizeHolds() {
        let list = hello31.map { $0.name == "max-frame-size" ? ($0.name, Value.uint32(300)) : $0 }
        // Type, flags and two ids of one byte.
        let filler = { count in message("other", [("x", .binary([UInt8](repeating: 1, count: count - 7 - 12)))]) }
        #expect(notify(filler(300)).count == 4 + 300)
        #expect(converse(hello(list) + notify(filler(300))).questions.count == 1)
        for bytes in [notify(filler(301)), [0, 0, 1, 45], [0xFF, 0, 0, 0], [0x80, 0, 0, 20], frame(77, filler(301))] {
            let seen = converse(hello(list) + bytes)
            #expect(seen.isClosed && seen.questions.isEmpty && disconnectStatus(seen.output) == 3)
        }
    }

    @Test(arguments: 0..<7) func tooShort(length: UInt8) {
        for type in [UInt8(0), 1, 2, 3, 77, 103] {
            let seen = converse(hello() + [0, 0, 0, length, type, 0, 0, 0, 1, 0, 0])
            #expect(seen.isClosed && disconnectStatus(seen.output) == 4)
        }
    }

    @Test(
        arguments: [
            [3, 0, 0, 0, 1, 0xF0, 0x80], [3, 0, 0, 0, 1, 1, 0xF0], [77, 0, 0, 0, 1, 0xFF, 0xFF, 0xFF],
            [3, 0, 0, 0, 1] + [UInt8](repeating: 0xFF, count: 10) + [0, 0], [2, 0, 0, 0, 1, 0xF0, 0x80],
        ] as [[UInt8]])
    func idsThatDoNotEnd(content: [UInt8]) {
        let seen = converse(hello() + [0, 0, 0, UInt8(content.count)] + content + notify(ordinaryMessage))
        #expect(seen.isClosed && seen.questions.isEmpty && disconnectStatus(seen.output) == 4)
    }

    @Test func unknownTypesAreSkipped() {
        let whole = converse(hello() + notify(ordinaryMessage))
        for type in UInt8(0)...255 where ![0, 1, 2, 3, 101, 102, 103].contains(type) {
            let noise = frame(type, flags: 0xFFFF_FFFF, stream: 9, id: 9, [1, 2, 3]) + frame(type)
            #expect(converse(hello() + noise + notify(ordinaryMessage) + noise) == whole)
        }
    }

    @Test(arguments: [1, 101, 102, 103]) func typesThatMayNotComeNow(type: UInt8) {
        for bytes in [frame(type), frame(type, arguments(hello31)), frame(type, stream: 2, id: 1)] {
            let seen = converse(hello() + bytes + notify(ordinaryMessage))
            #expect(seen.isClosed && seen.questions.isEmpty && disconnectStatus(seen.output) == 4)
        }
    }

    @Test func flagsWithoutMeaningAreIgnored() {
        let whole = converse(hello() + notify(ordinaryMessage))
        #expect(converse(hello() + notify(ordinaryMessage, flags: 0xFFFF_FFFD)) == whole)
    }

    static let farewells: [[UInt8]] = [
        arguments([("status-code", .uint32(2)), ("message", .string("a timeout occurred"))]), [], [0xFF, 0xFF],
        arguments([("status-code", .string("x"))]),
    ]

    @Test(arguments: farewells) func aDisconnectIsAnswered(payload: [UInt8]) {
        for flags in [UInt32(0), 1, 2] {
            let seen = converse(
                hello() + notify(ordinaryMessage) + frame(2, flags: flags, payload) + notify(ordinaryMessage))
            #expect(seen.isClosed && seen.questions.count == 1 && disconnectStatus(seen.output) == 0)
            #expect(frames(seen.output)?.map(\.type) == [101, 103, 102])
        }
    }

    @Test func nothingIsSaidOrReadAfterTheEnd() {
        var connection = SPOPConnection()
        var buffer = ReceiveBuffer(capacity: connection.limits.bufferBytes)
        var output = ByteWriter(capacity: 4_096)
        let isIdle = connection.isIdle(buffer)
        #expect(!isIdle)
        let bytes = hello() + notify([1]) + notify(ordinaryMessage)
        #expect(feed(bytes, &connection, &buffer, &output))
        let said = output.count
        for status in [DisconnectStatus.timeout, .normal] {
            let step = connection.disconnect(status, &output)
            #expect(isClose(step))
        }
        #expect(feed([1, 2, 3], &connection, &buffer, &output))
        let written = [UInt8](copying: output.bytes)
        #expect(written.count == said)
        #expect(disconnectStatus(written) == 4)
    }

    @Test(arguments: [DisconnectStatus.normal, .timeout, .unknown]) func theCallerMayEndIt(status: DisconnectStatus) {
        var connection = SPOPConnection()
        var output = ByteWriter(capacity: 4_096)
        _ = connection.disconnect(status, &output)
        #expect(disconnectStatus([UInt8](copying: output.bytes)) == status.rawValue)
    }

    /// All fragments that are kept and one frame that lacks its last byte fill the buffer but for that byte.
    @Test func aBufferOfTheLeastSizeIsNeverStuck() {
        var limits = SPOPLimits()
        limits.frameBytesMax = 400
        limits.fragmentedBytesMax = 500
        let large = { (type: UInt8, flags: UInt32) in
            frame(type, flags: flags, stream: 2, id: 1, [UInt8](repeating: 0x61, count: 400 - 7))
        }
        let list = hello31 + [("x", .binary([UInt8](repeating: 1, count: 255)))]
        let fitting = notify(message("scopecheck-tcp", [("x", .binary([UInt8](repeating: 1, count: 370)))]), stream: 5)
        for cut in [100, 107, 108] {
            let bytes =
                hello(list) + large(3, 0) + frame(0, flags: 0, stream: 2, id: 1, [UInt8](repeating: 1, count: cut))
                + large(0, 0) + large(0, 0) + large(0, 1) + fitting
            let whole = converse(bytes, limits: limits)
            #expect(whole.questions.map(\.streamID) == [2, 5], "\(whole.questions)")
            #expect(whole.questions.first?.says == ["kind": "refused request_too_large"])
            for size in [1, 7, 399, 400, 403, 404, 405, 903] {
                #expect(converse(bytes, size: size, limits: limits) == whole)
            }
        }
    }

    @Test func aBufferTooSmallClosesInsteadOfWaiting() {
        var connection = SPOPConnection()
        var buffer = ReceiveBuffer(capacity: 100)
        var output = ByteWriter(capacity: 4_096)
        let bytes = Array(hello().prefix(100))
        #expect(feed(bytes, &connection, &buffer, &output))
        let said = output.count
        #expect(said == 0)
    }

    /// Whether the connection closes on that.
    private func feed(
        _ bytes: [UInt8], _ connection: inout SPOPConnection, _ buffer: inout ReceiveBuffer, _ output: inout ByteWriter
    ) -> Bool {
        let isTaken = buffer.append(bytes.span)
        let step = connection.next(&buffer, output: &output) { true }
        return isTaken && isClose(step)
    }

    private func isClose(_ step: SPOPConnection.Step) -> Bool {
        if case .close = step { true } else { false }
    }
}
