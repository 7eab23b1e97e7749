import Octets
import SPOP
import Testing

/// A NOTIFY that does not fit HAProxy's frame: its payload in parts, the later ones in frames of type UNSET.
@Suite struct FragmentTests {
    private let whole = converse(hello() + notify(ordinaryMessage))

    private func parts(_ bytes: [UInt8], _ cuts: Int...) -> [[UInt8]] {
        let borders = [0] + cuts + [bytes.count]
        return zip(borders, borders.dropFirst()).map { Array(bytes[$0..<$1]) }
    }

    @Test func twoAtEveryByte() {
        for cut in 0...ordinaryMessage.count {
            #expect(converse(hello() + fragmented(parts(ordinaryMessage, cut))) == whole, "\(cut)")
        }
    }

    @Test func threeAndMany() {
        #expect(converse(hello() + fragmented(parts(ordinaryMessage, 10, 100))) == whole)
        #expect(converse(hello() + fragmented(parts(ordinaryMessage, 0, 0, 0, 50, 50))) == whole)
        let single = fragmented(ordinaryMessage.map { [$0] })
        for size in [Int.max, 1, 2, 15] { #expect(converse(hello() + single, size: size) == whole) }
        #expect(converse(hello() + fragmented([[]] + ordinaryMessage.flatMap { [[$0], []] })) == whole)
    }

    @Test func nothingAtAll() {
        let seen = converse(hello() + fragmented([[], [], []]))
        #expect(seen.questions.map(\.says) == [["kind": "refused missing_fact"]])
        #expect(seen == converse(hello() + notify([])))
    }

    @Test func itWaitsForTheLast() {
        let bytes = hello() + fragmented(parts(ordinaryMessage, 10, 100))
        let seen = converse(Array(bytes.dropLast()))
        #expect(seen.questions.isEmpty && !seen.isClosed && !seen.isIdle)
        #expect(!converse(hello() + frame(3, flags: 0, stream: 2, id: 1, [])).isIdle)
    }

    @Test func oneBehindTheOther() {
        let other = message("scopecheck-health")
        let bytes =
            notify(other, stream: 8) + fragmented(parts(ordinaryMessage, 30)) + notify(other, stream: 9)
            + fragmented(parts(other, 5, 6), stream: 3) + notify(ordinaryMessage, stream: 4)
        let seen = converse(hello() + bytes)
        #expect(seen.questions.map(\.streamID) == [8, 2, 9, 3, 4] && seen.isIdle)
        #expect(
            seen.questions.filter { $0.says["kind"] == "http" }.map(\.says) == [
                whole.questions[0].says, whole.questions[0].says,
            ])
        for size in [1, 3, 50] { #expect(converse(hello() + bytes, size: size) == seen) }
    }

    /// As 2.6 does it: 16,380 bytes, and the rest. A real one is 20 KB of cookies.
    @Test func asLargeAsTheyMayBe() throws {
        let cookie = String(repeating: "c", count: 60_000)
        let large = message(
            "scopecheck-http", ordinaryArguments + [("cookie", .string(cookie)), ("cookie_count", .int64(1))])
        let pieces = stride(from: 0, to: large.count, by: 16_370).map {
            Array(large[$0..<min(large.count, $0 + 16_370)])
        }
        for size in [Int.max, 1_000] {
            let seen = converse(hello() + fragmented(pieces) + notify(ordinaryMessage, stream: 4), size: size)
            #expect(seen.questions.map(\.streamID) == [2, 4])
            #expect(seen.questions.first?.says["cookie"] == cookie)
        }
    }

    private func limits(_ fragmentedBytesMax: Int) -> SPOPLimits {
        var limits = SPOPLimits()
        limits.fragmentedBytesMax = fragmentedBytesMax
        return limits
    }

    @Test func theCap() {
        let count = ordinaryMessage.count
        #expect(converse(hello() + fragmented(parts(ordinaryMessage, 10)), limits: limits(count)) == whole)
        let refused: [String: String] = ["kind": "refused request_too_large"]
        for cap in [0, 1, 9, 10, 11, 99, 100, count - 1] {
            for size in [Int.max, 1, 64] {
                let bytes = fragmented(parts(ordinaryMessage, 10, 100)) + notify(ordinaryMessage, stream: 4)
                let seen = converse(hello() + bytes, size: size, limits: limits(cap))
                #expect(seen.questions.map(\.streamID) == [2, 4], "\(cap)")
                #expect(seen.questions.map(\.says) == [refused, whole.questions[0].says], "\(cap)")
                #expect(frames(seen.output)?.map(\.type) == [101, 103, 103], "\(cap)")
            }
        }
        // One frame is no fragment: the cap of frames holds for it.
        #expect(converse(hello() + notify(ordinaryMessage), limits: limits(0)) == whole)
    }

    /// What is past the cap is dropped as it comes, however much it is, and what fits behind it does not heal it.
    @Test func pastTheCapForLong() {
        let filler = [UInt8](repeating: 0x61, count: 16_000)
        let parts = [[UInt8]](repeating: filler, count: 40) + [[1]] + [[]]
        let seen = converse(hello() + fragmented(parts) + notify(ordinaryMessage, stream: 4), size: 7_000)
        #expect(seen.questions.map(\.streamID) == [2, 4])
        #expect(seen.questions.first?.says == ["kind": "refused request_too_large"])
        #expect(seen.questions.last?.says == whole.questions[0].says)
    }

    static let aborts: [(String, [UInt8])] = [
        ("at once", frame(3, flags: 2, stream: 2, id: 1, [1])),
        ("at once, final", frame(3, flags: 3, stream: 2, id: 1)),
        ("after one", frame(3, flags: 0, stream: 2, id: 1, [1, 2]) + frame(0, flags: 2, stream: 2, id: 1)),
        ("as the last", frame(3, flags: 0, stream: 2, id: 1, [1, 2]) + frame(0, flags: 3, stream: 2, id: 1)),
        (
            "with payload",
            frame(3, flags: 0, stream: 2, id: 1, [1]) + frame(0, flags: 0, stream: 2, id: 1, [2])
                + frame(0, flags: 3, stream: 2, id: 1, [3, 4])
        ),
    ]

    /// The client is gone: nobody waits for an answer, and nothing of it is in the next question.
    @Test(arguments: aborts) func aborted(name: String, bytes: [UInt8]) {
        for size in [Int.max, 1] {
            let seen = converse(hello() + bytes, size: size)
            #expect(seen.questions.isEmpty && !seen.isClosed && seen.isIdle, "\(name)")
            #expect(converse(hello() + bytes + notify(ordinaryMessage), size: size) == whole, "\(name)")
            #expect(converse(hello() + bytes + fragmented(parts(ordinaryMessage, 40)), size: size) == whole, "\(name)")
        }
    }

    @Test func abortedPastTheCap() {
        let begun = frame(3, flags: 0, stream: 2, id: 1, ordinaryMessage) + frame(0, flags: 3, stream: 2, id: 1)
        let seen = converse(hello() + begun + fragmented(parts([], 0)), limits: limits(5))
        #expect(seen.questions.map(\.says) == [["kind": "refused missing_fact"]])
    }

    static let begun = frame(3, flags: 0, stream: 2, id: 1, Array(ordinaryMessage.prefix(20)))
    static let end = Array(ordinaryMessage.dropFirst(20))
    static let violations: [(String, [UInt8], UInt32)] = [
        ("continuation without begin", frame(0, stream: 2, id: 1, ordinaryMessage), 4),
        ("continuation after the end", notify(ordinaryMessage, stream: 3) + frame(0, stream: 3, id: 1), 4),
        ("abort without begin", frame(0, flags: 3, stream: 2, id: 1), 4),
        (
            "abort after an abort", begun + frame(0, flags: 3, stream: 2, id: 1) + frame(0, flags: 3, stream: 2, id: 1),
            4
        ),
        ("another stream", begun + frame(0, stream: 3, id: 1, end), 11),
        ("another frame", begun + frame(0, stream: 2, id: 2, end), 11),
        ("swapped", begun + frame(0, stream: 1, id: 2, end), 11),
        ("abort of another", begun + frame(0, flags: 3, stream: 3, id: 1), 11),
        ("NOTIFY in the middle", begun + notify(ordinaryMessage, stream: 5), 11),
        ("the same NOTIFY again", begun + begun, 11),
        ("an aborted NOTIFY in the middle", begun + frame(3, flags: 3, stream: 5, id: 1), 11),
        ("HELLO in the middle", begun + hello(), 4),
    ]

    @Test(arguments: violations) func violated(name: String, bytes: [UInt8], status: UInt32) {
        for size in [Int.max, 1] {
            let seen = converse(hello() + bytes + frame(0, stream: 2, id: 1, Self.end), size: size)
            #expect(seen.isClosed && disconnectStatus(seen.output) == status, "\(name)")
            #expect(seen.questions.allSatisfy { $0.streamID == 3 }, "\(name)")
        }
    }

    @Test func aDisconnectInTheMiddle() {
        let seen = converse(hello() + Self.begun + frame(2))
        #expect(seen.isClosed && seen.questions.isEmpty && disconnectStatus(seen.output) == 0)
    }
}
