@testable import Decision
import Octets
import SPOP
import Testing

@Suite struct AcknowledgementTests {
    private func ack(
        _ answer: borrowing Answer, stream: UInt64 = 2, id: UInt64 = 1, frameSize: UInt32 = 16_380,
        outputBytes: Int = 8_192
    ) -> [UInt8] {
        var connection = SPOPConnection()
        var buffer = ReceiveBuffer(capacity: connection.limits.bufferBytes)
        var greeting = ByteWriter(capacity: 256)
        _ = buffer.append(hello(hello31.map { $0.name == "max-frame-size" ? ($0.name, .uint32(frameSize)) : $0 }).span)
        _ = connection.next(&buffer, output: &greeting) { true }
        var output = ByteWriter(capacity: outputBytes)
        connection.acknowledge(streamID: stream, frameID: id, answer, into: &output)
        return [UInt8](copying: output.bytes)
    }

    private func read(_ bytes: [UInt8]) -> [Action] {
        guard let list = frames(bytes), list.count == 1, list[0].type == 103, list[0].flags == 1 else { return [] }
        return actions(list[0].payload) ?? []
    }

    private func unset(_ name: String) -> Action { Action(isSet: false, scope: 2, name: name, value: .null) }
    private func set(_ name: String, _ value: Value) -> Action {
        Action(isSet: true, scope: 2, name: name, value: value)
    }
    private func set(_ list: [(String, String)]) -> [Action] { list.map { set($0.0, .string($0.1)) } }

    @Test func allow() throws {
        var answer = Answer()
        fill(&answer, status: 200)
        let bytes = ack(answer, stream: 300, id: 70_000)
        #expect(
            read(bytes) == [unset("allow"), set("status", .uint32(200))]
                + set([
                    ("decision", "allow"), ("reason", "r"), ("route", "orders GET /v1/orders/{order}"),
                    ("policy", "3.9c1a"), ("audit_id", "0123456789abcdef-1"), ("subject", "user-7"), ("client", ""),
                    ("issuer", ""), ("granted", "orders:read"), ("challenge", ""), ("dpop_nonce", ""),
                    ("txn_token", ""), ("forward_token", "yes"),
                ]) + [set("allow", .bool(true))])
        let frame = try #require(frames(bytes)?.first)
        #expect(frame.stream == 300 && frame.id == 70_000)
        // As the worked example has it: the last action, in full.
        #expect(Array(bytes.suffix(10)) == [1, 3, 2, 5, 0x61, 0x6C, 0x6C, 0x6F, 0x77, 0x11])
        #expect(Array(bytes[4..<11]) == [0x67, 0, 0, 0, 1, 0xFC, 3])
    }

    @Test func workedExample() throws {
        let bytes: [UInt8] = [
            0, 0, 0, 0x11, 0x67, 0, 0, 0, 1, 2, 1, 1, 3, 2, 5, 0x61, 0x6C, 0x6C, 0x6F, 0x77, 0x11,
        ]
        #expect(read(bytes) == [set("allow", .bool(true))])
        var answer = Answer()
        fill(&answer, status: 200)
        let written = ack(answer)
        #expect(Array(written[4..<11]) == Array(bytes[4..<11]))
        #expect(Array(written.suffix(10)) == Array(bytes.suffix(10)))
        #expect(Array(written[11..<20]) == [2, 2, 2, 5, 0x61, 0x6C, 0x6C, 0x6F, 0x77])
    }

    static let denials: [(UInt16, Reason, UInt32)] = [
        (401, .expired, 401), (401, .noToken, 401), (403, .insufficientScope, 403), (503, .noPolicy, 503),
        (401, .multipleCredentials, 400), (401, .malformedAuthorization, 400), (403, .requestTooLarge, 403),
        // A status that no decision has is no allow.
        (0, .granted, 0), (201, .granted, 201), (500, .expired, 500),
    ]

    @Test(arguments: denials) func denied(status: UInt16, reason: Reason, shown: UInt32) {
        var answer = Answer()
        fill(&answer, status: status, challenge: "Bearer realm=\"orders\"", reason: reason)
        #expect(
            read(ack(answer)) == [unset("allow"), set("status", .uint32(shown))]
                + set([
                    ("decision", "deny"), ("reason", "r"), ("route", "orders GET /v1/orders/{order}"),
                    ("policy", "3.9c1a"), ("audit_id", "0123456789abcdef-1"), ("subject", ""), ("client", ""),
                    ("issuer", ""), ("granted", ""), ("challenge", "Bearer realm=\"orders\""), ("dpop_nonce", ""),
                    ("txn_token", ""), ("forward_token", ""),
                ]))
    }

    /// RFC 9449 §8.2: with an allow as with a denial.
    @Test(arguments: [(UInt16(200), Reason.granted), (401, .nonceRequired), (403, .insufficientScope)])
    func nonce(status: UInt16, reason: Reason) {
        var answer = Answer()
        fill(&answer, status: status, nonce: "n-1", reason: reason)
        let list = read(ack(answer))
        #expect(list.filter { $0.name == "dpop_nonce" } == [set("dpop_nonce", .string("n-1"))])
        #expect((list.last == set("allow", .bool(true))) == (status == 200))
    }

    /// What does not fit its frame leaves no nonce behind.
    @Test func noNonceInAShorterDenial() {
        var answer = Answer()
        fill(&answer, status: 401, nonce: "n-1", reason: .nonceRequired)
        answer.write(.route, [UInt8](repeating: 0x61, count: 300).span)
        #expect(read(ack(answer, frameSize: 256)) == unavailable())
    }

    /// What says 400 to HAProxy's rules may not say `allow` beside it.
    @Test func anInvalidRequestIsNeverAllowed() {
        var answer = Answer()
        fill(&answer, status: 200)
        answer.reason = .multipleCredentials
        #expect(!read(ack(answer)).contains { $0.isSet && $0.name == "allow" })
    }

    @Test func anAnswerThatWasNeverMadeIsADenial() {
        let answer = Answer()
        #expect(
            read(ack(answer)) == [unset("allow"), set("status", .uint32(403))]
                + set(Self.names.map { ($0, "") }))
    }

    static let names = [
        "decision", "reason", "route", "policy", "audit_id", "subject", "client", "issuer", "granted", "challenge",
        "dpop_nonce", "txn_token", "forward_token",
    ]

    /// Status 503, and every variable set, so that none is left of an answer before it.
    private func unavailable(auditID: String = "0123456789abcdef-1") -> [Action] {
        [unset("allow"), set("status", .uint32(503))]
            + set(
                Self.names.map { name in
                    switch name {
                    case "decision": (name, "deny")
                    case "reason": (name, "overloaded")
                    case "audit_id": (name, auditID)
                    default: (name, "")
                    }
                })
    }

    @Test(arguments: [UInt8(0x0A), 0x0D, 0x00, 0x09, 0x1F, 0x7F, 0x80, 0xFF])
    func whatIsNotPrintableIsNotSent(byte: UInt8) {
        for field in AnswerField.allCases {
            for status in [UInt16(200), 401, 503] {
                for value in [[byte], [0x61, byte], [byte, 0x61], [0x20, byte, 0x7E]] {
                    var answer = Answer()
                    fill(&answer, status: status)
                    answer.write(field, value.span)
                    let bytes = ack(answer)
                    #expect(
                        read(bytes) == unavailable(auditID: field == .auditID ? "" : "0123456789abcdef-1"), "\(field)")
                    #expect(bytes.count <= 4 + 256)
                }
            }
        }
    }

    /// Wherever it stands in a value of whatever length.
    @Test(arguments: [UInt8(0x00), 0x0A, 0x1F, 0x7F, 0x80, 0xA0, 0xFF])
    func whatIsNotPrintableIsFoundAnywhere(byte: UInt8) {
        for count in 1...26 {
            for place in 0..<count {
                for other in [UInt8(0x20), 0x7E] {
                    var value = [UInt8](repeating: other, count: count)
                    value[place] = byte
                    var answer = Answer()
                    fill(&answer, status: 200)
                    answer.write(.route, value.span)
                    #expect(read(ack(answer)) == unavailable(auditID: "0123456789abcdef-1"), "\(count), \(place)")
                }
            }
        }
    }

    @Test func everyPrintableByteIsSent() {
        let all = (UInt8(0x20)...0x7E).map { $0 }
        var answer = Answer()
        fill(&answer, status: 200)
        answer.write(.route, all.span)
        #expect(read(ack(answer)).contains(set("route", .string(text(all)))))
    }

    @Test func whatDoesNotFitTheFrameIs503() throws {
        var answer = Answer()
        fill(&answer, status: 200)
        let whole = ack(answer)
        let length = UInt32(whole.count - 4)
        #expect(ack(answer, frameSize: max(256, length)) == whole)
        answer.write(.granted, [UInt8](repeating: 0x61, count: 300).span)
        let large = ack(answer)
        let largeLength = UInt32(large.count - 4)
        #expect(ack(answer, frameSize: largeLength) == large)
        for size in [256, 300, largeLength - 1] {
            let bytes = ack(answer, frameSize: size)
            #expect(read(bytes) == unavailable() && bytes.count <= 4 + 256)
        }
    }

    /// In the smallest frame, with the largest ids.
    @Test func theSmallestFrameHoldsA503() {
        var answer = Answer()
        fill(&answer, status: 200)
        answer.write(.subject, [UInt8](repeating: 0x61, count: 3_000).span)
        let bytes = ack(answer, stream: .max, id: .max, frameSize: 256)
        #expect(read(bytes) == unavailable(auditID: ""))
        #expect(bytes.count <= 4 + 256)
        // An audit id as deciders write it stands in every frame that has the room.
        let auditID = "0123456789abcdef0000000000000001"
        answer.write(.auditID, Array(auditID.utf8).span)
        for (size, isThere) in [(UInt32(256), false), (270, false), (271, true)] {
            let bytes = ack(answer, stream: .max, id: .max, frameSize: size)
            #expect(read(bytes) == unavailable(auditID: isThere ? auditID : ""), "\(size)")
            #expect(bytes.count <= 4 + Int(size))
        }
        // An audit id that could not be one is left out.
        for count in [41, 300] {
            fill(&answer, status: 200)
            answer.write(.subject, [UInt8](repeating: 0x61, count: 2_000).span)
            answer.write(.auditID, [UInt8](repeating: 0x61, count: count).span)
            #expect(read(ack(answer, stream: .max, id: .max, frameSize: 256)) == unavailable(auditID: ""))
        }
    }

    @Test func theLargestAnswerFitsAnOrdinaryFrame() {
        var answer = Answer()
        fill(&answer, status: 200)
        answer.write(.granted, [UInt8](repeating: 0x61, count: Answer.textBytesMax - 150).span)
        let list = read(ack(answer, stream: .max, id: .max))
        #expect(list.last == set("allow", .bool(true)))
        #expect(list[1] == set("status", .uint32(200)))
    }

    /// Without room nothing is sent in part: the whole answer, the shorter denial, or nothing.
    @Test func roomThatIsTooSmall() {
        var answer = Answer()
        fill(&answer, status: 200)
        answer.write(.granted, [UInt8](repeating: 0x61, count: 300).span)
        let whole = ack(answer)
        var seen: Set<Int> = []
        for room in 1...whole.count {
            let bytes = ack(answer, outputBytes: room)
            seen.insert(bytes.count)
            let isDenial = read(bytes) == unavailable() || read(bytes) == unavailable(auditID: "")
            #expect(bytes == whole || isDenial || bytes.isEmpty, "\(room)")
            #expect(!bytes.isEmpty || room < 4 + 256)
        }
        #expect(seen.count == 4)
    }

    @Test func whatIsInTheOutputStays() {
        let connection = SPOPConnection()
        var answer = Answer()
        fill(&answer, status: 200)
        var output = ByteWriter(capacity: 8_192)
        for number in 1...5 {
            connection.acknowledge(streamID: UInt64(number), frameID: 1, answer, into: &output)
            answer.write(.subject, [number == 3 ? 0x0A : 0x61].span)
        }
        let list = frames([UInt8](copying: output.bytes)) ?? []
        #expect(list.map(\.stream) == [1, 2, 3, 4, 5])
        #expect(list.allSatisfy { actions($0.payload)?.isEmpty == false })
    }

    // MARK: health

    private func health(_ isHealthy: Bool, policy: String, reason: StaticString = "ready") -> [UInt8] {
        let connection = SPOPConnection()
        var output = ByteWriter(capacity: 8_192)
        connection.acknowledgeHealth(
            streamID: .max, frameID: .max, isHealthy: isHealthy, reason: reason, policy: Array(policy.utf8).span,
            into: &output)
        return [UInt8](copying: output.bytes)
    }

    @Test func healthy() {
        #expect(
            read(health(true, policy: "12.0123456789abcdef")) == [
                unset("healthy"), set("status", .uint32(200)), set("policy", .string("12.0123456789abcdef")),
                set("reason", .string("ready")), set("healthy", .bool(true)),
            ])
    }

    @Test func unhealthy() {
        #expect(
            read(health(false, policy: "", reason: "no_policy")) == [
                unset("healthy"), set("status", .uint32(503)), set("policy", .string("")),
                set("reason", .string("no_policy")),
            ])
    }

    @Test func theLongestPolicyFits() {
        let policy = "\(UInt64.max).ffffffffffffffff"
        #expect(read(health(true, policy: policy, reason: "certificate_not_yet_valid")).count == 5)
    }
}
