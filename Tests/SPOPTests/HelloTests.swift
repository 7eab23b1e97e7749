import Octets
import SPOP
import Testing

@Suite struct HelloTests {
    static let generations: [(String, [Argument])] = [("2.6", hello26), ("3.1", hello31)]

    @Test(arguments: generations) func bothGenerationsAreGreeted(name: String, list: [Argument]) throws {
        let seen = converse(hello(list))
        #expect(!seen.isClosed && seen.isIdle && seen.questions.isEmpty && seen.healthQuestions == 0)
        #expect(
            frames(seen.output) == [
                Frame(
                    type: 101, flags: 1, stream: 0, id: 0,
                    payload: arguments([
                        ("version", .string("2.0")), ("max-frame-size", .uint32(16_380)),
                        ("capabilities", .string("pipelining,fragmentation")),
                    ]))
            ])
        // The frame as HAProxy was seen to take it.
        #expect(seen.output.count == 4 + 78)
        #expect(Array(seen.output.prefix(13)) == [0, 0, 0, 0x4E, 0x65, 0, 0, 0, 1, 0, 0, 7, 0x76])
    }

    @Test func aHealthCheckIsGreetedAndClosed() {
        let seen = converse(hello(helloOfHealthCheck))
        #expect(seen.isClosed && seen.healthQuestions == 1)
        #expect(seen.output == converse(hello()).output)
        // Without any list of capabilities, too.
        #expect(converse(hello(helloOfHealthCheck.filter { $0.name != "capabilities" })).output == seen.output)
        // What comes behind it is not read.
        #expect(converse(hello(helloOfHealthCheck) + notify(ordinaryMessage)) == seen)
    }

    @Test func aHealthCheckFailsWhenThereIsNothingToAnswerWith() {
        let seen = converse(hello(helloOfHealthCheck), isHealthy: false)
        #expect(seen.isClosed && seen.healthQuestions == 1)
        #expect(disconnectStatus(seen.output) == 99)
        #expect(frames(seen.output)?.count == 1)
        // Only a health check asks.
        let ordinary = hello31 + [("healthcheck", .bool(false))]
        for list in [hello31, ordinary] {
            #expect(converse(hello(list), isHealthy: false) == converse(hello(list)))
            #expect(converse(hello(list)).healthQuestions == 0)
        }
    }

    static let sizes: [(Value, UInt32?)] = [
        (.uint32(256), 256), (.uint32(257), 257), (.int32(4_092), 4_092), (.int64(65_536), 65_536),
        (.uint32(65_537), 65_536), (.uint32(.max), 65_536), (.uint64(.max), 65_536), (.int64(.max), 65_536),
        (.uint32(255), nil), (.uint32(0), nil), (.uint32(1), nil),
    ]

    @Test(arguments: sizes) func frameSizes(asked: Value, agreed: UInt32?) throws {
        let seen = converse(hello(changed("max-frame-size", asked)))
        guard let agreed else {
            #expect(seen.isClosed && disconnectStatus(seen.output) == 9)
            return
        }
        let answer = try #require(frames(seen.output)?.first)
        #expect(pairs(answer.payload)?["max-frame-size"] == .uint32(agreed))
        #expect(pairs(answer.payload)?.count == 3)
    }

    @Test func ourOwnLimitIsTheLargest() throws {
        var limits = SPOPLimits()
        limits.frameBytesMax = 4_000
        let answer = try #require(frames(converse(hello(), limits: limits).output)?.first)
        #expect(pairs(answer.payload)?["max-frame-size"] == .uint32(4_000))
    }

    static let refusals: [(String, [Argument], UInt32)] = [
        ("nothing", [], 5), ("no version", without("supported-versions"), 5),
        ("a number for a version", changed("supported-versions", .int64(2)), 5),
        ("version null", changed("supported-versions", .null), 5),
        ("no size", without("max-frame-size"), 6), ("size as text", changed("max-frame-size", .string("16380")), 6),
        ("size null", changed("max-frame-size", .null), 6), ("negative size", changed("max-frame-size", .int64(-1)), 6),
        ("no capabilities", without("capabilities"), 7), ("capabilities null", changed("capabilities", .null), 7),
        (
            "health check says no", helloOfHealthCheck.filter { $0.name != "capabilities" && $0.name != "healthcheck" },
            7
        ),
        ("health check as a number", without("capabilities") + [("healthcheck", .int64(1))], 7),
        ("small frames", changed("max-frame-size", .uint32(255)), 9),
        // The version comes before everything else that is wrong.
        ("old and small", [("supported-versions", .string("1.0")), ("max-frame-size", .uint32(1))], 8),
    ]

    @Test(arguments: refusals) func refused(name: String, list: [Argument], status: UInt32) {
        for size in [Int.max, 1] {
            let seen = converse(hello(list) + notify(ordinaryMessage), size: size)
            #expect(seen.isClosed && seen.questions.isEmpty, "\(name)")
            #expect(frames(seen.output)?.count == 1, "\(name)")
            #expect(disconnectStatus(seen.output) == status, "\(name)")
        }
    }

    @Test(arguments: [
        "2.0", "1.0,2.0", "1.0, 2.0", "2.0, 1.0", " 2.0 ", ",,2.0", "2.1", "2.12", "3.0,2.9,1.0", "2.0,",
    ])
    func versionListsWith2(text: String) {
        #expect(frames(converse(hello(changed("supported-versions", .string(text)))).output)?.first?.type == 101)
    }

    @Test(arguments: [
        "", " ", ",", "1.0", "1.0,3.0", "12.0", "22.0", "2", "2.", "2. ", "2,0", "20", "x2.0", "2.x", "-2.0", ".0",
        "2..0",
    ])
    func versionListsWithout2(text: String) {
        #expect(
            disconnectStatus(converse(hello(changed("supported-versions", .string(text)))).output) == 8, "`\(text)`")
    }

    /// SPOE.txt says nothing of them: the last one holds, and what is of another type is not the key.
    @Test func keysTwice() throws {
        let list = hello31 + [("max-frame-size", .uint32(1_000)), ("max-frame-size", .string("9"))]
        let answer = try #require(frames(converse(hello(list)).output)?.first)
        #expect(pairs(answer.payload)?["max-frame-size"] == .uint32(1_000))
        #expect(disconnectStatus(converse(hello(hello31 + [("max-frame-size", .uint32(1))])).output) == 9)
        #expect(disconnectStatus(converse(hello(hello31 + [("supported-versions", .string("1.0"))])).output) == 8)
        #expect(converse(hello(hello31 + [("x", .ipv6([UInt8](repeating: 1, count: 16))), ("", .null)])).isIdle)
    }

    static let broken: [(String, [UInt8])] = [
        ("a name without value", frame(1, arguments(hello31) + counted("x"))),
        ("half a name", frame(1, arguments(hello31) + [9, 0x61])),
        ("a reserved type", frame(1, arguments(hello31) + counted("x") + [0x0A])),
        ("half a value", frame(1, Array(arguments(hello31).dropLast()))),
        ("a fragment", frame(1, flags: 0, arguments(hello31))),
        ("of a stream", frame(1, stream: 1, arguments(hello31))),
        ("with a frame id", frame(1, id: 1, arguments(hello31))),
        ("NOTIFY first", notify(ordinaryMessage)), ("a continuation first", frame(0, stream: 1, id: 1, [1])),
        ("an unknown type first", frame(77)), ("AGENT-HELLO", frame(101)), ("AGENT-DISCONNECT", frame(102)),
        ("ACK", frame(103, stream: 1, id: 1)), ("a frame of nothing", [0, 0, 0, 0]),
        ("a frame too short", [0, 0, 0, 6, 1, 0, 0, 0, 1, 0]),
        ("an id too long", [0, 0, 0, 7, 1, 0, 0, 0, 1, 0xF0, 0x80]),
    ]

    @Test(arguments: broken) func brokenStarts(name: String, bytes: [UInt8]) {
        for size in [Int.max, 1, 3] {
            let seen = converse(bytes + hello(), size: size)
            #expect(seen.isClosed && seen.questions.isEmpty && disconnectStatus(seen.output) == 4, "\(name)")
            #expect(frames(seen.output)?.count == 1, "\(name)")
        }
    }

    @Test func aDisconnectMayComeFirst() {
        let seen = converse(frame(2, arguments([("status-code", .uint32(0)), ("message", .string("normal"))])))
        #expect(seen.isClosed && disconnectStatus(seen.output) == 0)
    }

    @Test func aFrameThatIsTooBigIsNotWaitedFor() {
        let seen = converse([0, 1, 0, 1])
        #expect(seen.isClosed && disconnectStatus(seen.output) == 3)
        #expect(!converse([0, 1, 0, 0]).isClosed)
        #expect(disconnectStatus(converse([0xFF, 0xFF, 0xFF, 0xFF]).output) == 3)
        // HTTP on this port.
        #expect(disconnectStatus(converse(Array("GET / HTTP/1.1\r\n\r\n".utf8)).output) == 3)
    }
}

private func changed(_ name: String, _ value: Value) -> [Argument] {
    hello31.map { $0.name == name ? (name, value) : $0 }
}

private func without(_ name: String) -> [Argument] { hello31.filter { $0.name != name } }
