@testable import Decision
import Octets
import SPOP
import Testing

@Suite struct HostileTests {
    static let seeds: [[UInt8]] =
        FrameTests.conversations.map { $0.1 } + [
            hello()
                + notify(
                    message(
                        "scopecheck-tcp",
                        [
                            ("port", .int64(9_443)), ("client_address", .ipv6([UInt8](repeating: 1, count: 16))),
                            ("certificate", .binary([UInt8](repeating: 0x30, count: 250))),
                            ("certificate_used", .bool(true)),
                            ("certificate_verify", .int64(0)),
                        ])),
            hello(hello26) + fragmented(ordinaryMessage.map { [$0] }),
        ]

    /// 40,000 damaged conversations in random pieces. None may trap or get stuck; what goes back is whole frames, one
    /// ACK for each question in its order, and `allow` only where the answer allows.
    @Test func damagedConversationsAreAnsweredWhole() throws {
        var random = Generator(state: 42)
        var questions = 0
        var closed = 0
        for round in 0..<40_000 {
            var bytes = Self.seeds[round % Self.seeds.count]
            if round % 3 == 0 {
                bytes += Self.seeds[Int.random(in: 0..<Self.seeds.count, using: &random)].dropFirst(103)
            }
            damage(&bytes, &random)
            let size = Int.random(in: 1...bytes.count, using: &random)
            let status: UInt16 = round % 2 == 0 ? 200 : 403
            let seen = converse(bytes, size: size, status: status)
            questions += seen.questions.count
            closed += seen.isClosed ? 1 : 0
            guard isWhole(seen, status: status) else {
                Issue.record("round \(round)")
                return
            }
        }
        // The damage must leave both kinds of conversation, or the test shows nothing.
        #expect(questions > 10_000)
        #expect(closed > 10_000)
    }

    /// The same damaged bytes in one piece and in small ones come to the same end.
    @Test func damageReadsTheSameHoweverItIsCut() {
        var random = Generator(state: 7)
        var limits = SPOPLimits()
        for round in 0..<10_000 {
            var bytes = Self.seeds[round % Self.seeds.count]
            damage(&bytes, &random)
            limits.fragmentedBytesMax = [0, 20, 200, 65_536][round % 4]
            limits.frameBytesMax = [65_536, 300][round / 4 % 2]
            let size = Int.random(in: 1...40, using: &random)
            #expect(
                converse(bytes, size: size, limits: limits) == converse(bytes, limits: limits),
                "round \(round), reads of \(size)")
        }
    }

    /// Random lists of arguments, whole and in fragments at random places: the same question.
    @Test func fragmentsSayTheSameAsAWhole() {
        var random = Generator(state: 11)
        let names =
            ordinaryArguments.map(\.name) + ["cookie", "cookie_count", "certificate", "x", "websocket_protocol"]
        for round in 0..<3_000 {
            let list = (0..<Int.random(in: 0...12, using: &random)).map { _ in
                Argument(names.randomElement(using: &random) ?? "", value(&random))
            }
            let content = message("scopecheck-http", list + [("authorization_count", .int64(0))])
            var cuts = (0..<Int.random(in: 0...5, using: &random)).map { _ in
                Int.random(in: 0...content.count, using: &random)
            }
            cuts = [0] + cuts.sorted() + [content.count]
            let parts = zip(cuts, cuts.dropFirst()).map { Array(content[$0..<$1]) }
            #expect(
                converse(hello() + fragmented(parts)) == converse(hello() + notify(content)), "round \(round): \(list)")
        }
    }

    private func value(_ random: inout Generator) -> Value {
        switch Int.random(in: 0..<8, using: &random) {
        case 0: .null
        case 1: .bool(Bool.random(using: &random))
        case 2: .int64(Int64.random(in: -2...2, using: &random))
        case 3: .uint64(random.next())
        case 4: .ipv4([1, 2, 3, 4])
        case 5: .binary([0, 0xFF])
        default: .string(String(repeating: "v", count: Int.random(in: 0...300, using: &random)))
        }
    }

    private func damage(_ bytes: inout [UInt8], _ random: inout Generator) {
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            let place = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 2: bytes.remove(at: place)
            case 3: bytes.insert(UInt8.random(in: 0...11, using: &random), at: place)
            case 4: bytes.removeSubrange(place...)
            default:
                let end = min(bytes.count, place + Int.random(in: 1...64, using: &random))
                bytes.insert(contentsOf: Array(bytes[place..<end]), at: place)
            }
            if bytes.isEmpty { bytes = [1] }
        }
    }

    private func isWhole(_ seen: Transcript, status: UInt16) -> Bool {
        guard let sent = frames(seen.output) else { return false }
        let acks = sent.filter { $0.type == 103 }
        guard acks.map({ [$0.stream, $0.id] }) == seen.questions.map({ [$0.streamID, $0.frameID] }) else {
            return false
        }
        for (ack, question) in zip(acks, seen.questions) {
            guard let list = actions(ack.payload), !list.isEmpty, list.allSatisfy({ $0.scope == 2 }) else {
                return false
            }
            guard list[0].isSet == false, question.says["stuck"] == nil else { return false }
            let allows = list.contains { $0.isSet && $0.name == "allow" }
            if allows != (status == 200 && question.says["kind"] != "health") { return false }
        }
        // A HELLO at the most, then ACKs, then a DISCONNECT at the most.
        let rest = sent.filter { $0.type != 103 }.map(\.type)
        guard seen.isClosed == (rest.contains(102) || seen.healthQuestions > 0) else { return false }
        return rest.isEmpty || rest == [101] || rest == [101, 102] || rest == [102]
    }
}
