import Octets
import SPOP
import Testing

/// The messages of one NOTIFY.
@Suite struct QuestionTests {
    private func ask(_ payload: [UInt8]) -> Transcript { converse(hello() + notify(payload)) }
    private func kind(_ payload: [UInt8]) -> String? {
        let questions = ask(payload).questions
        return questions.count == 1 ? questions[0].says["kind"] : nil
    }

    @Test func ordinary() {
        let seen = ask(ordinaryMessage)
        #expect(!seen.isClosed && seen.isIdle)
        #expect(
            seen.questions == [
                .init(
                    streamID: 2, frameID: 1,
                    says: [
                        "kind": "http", "method": "GET", "target": "/v1/orders/7?x=%41", "path": "/v1/orders/7",
                        "host": "api.example.com", "scheme": "https", "port": "443", "form": "ipv4",
                        "client_address": text([192, 0, 2, 7]), "request_id": "6f1e",
                        "authorization": "Bearer abc.def.ghi", "authorization_count": "1",
                    ])
            ])
        #expect(frames(seen.output)?.map(\.type) == [101, 103])
    }

    @Test func eachOfOurs() {
        #expect(kind(message("scopecheck-health")) == "health")
        #expect(kind(message("scopecheck-health", [("x", .int64(1))])) == "health")
        #expect(kind(message("scopecheck-tcp")) == "refused missing_fact")
        #expect(kind(message("scopecheck-http")) == "refused missing_fact")
    }

    @Test func noneIsAMissingFact() {
        #expect(kind([]) == "refused missing_fact")
        #expect(kind(message("other", ordinaryArguments)) == "refused missing_fact")
        for name in ["", "scopecheck", "scopecheck-http ", "Scopecheck-http", "scopecheck-httP", "scopecheck-http\0"] {
            #expect(kind(message(name, ordinaryArguments)) == "refused missing_fact", "`\(name)`")
        }
    }

    @Test func othersArePassedOver() {
        let other = message("other", [("method", .string("PUT")), ("x", .ipv4([1, 2, 3, 4])), ("", .null)])
        let alone = ask(ordinaryMessage).questions.map(\.says)
        #expect(ask(other + ordinaryMessage).questions.map(\.says) == alone)
        #expect(ask(ordinaryMessage + other).questions.map(\.says) == alone)
        #expect(ask(other + other + ordinaryMessage + other).questions.map(\.says) == alone)
    }

    @Test func severalOfOursAreAConflict() {
        let ours = ["scopecheck-http", "scopecheck-tcp", "scopecheck-health"]
        let arguments = ordinaryArguments + [("certificate_used", .bool(false)), ("certificate_verify", .int64(0))]
        for first in ours {
            for second in ours {
                let both = message(first, arguments) + message("other") + message(second, arguments)
                #expect(kind(both) == "refused conflicting_facts", "\(first) \(second)")
                // An even number of refusals is none either.
                for third in ours { #expect(kind(both + message(third, arguments)) == "refused conflicting_facts") }
            }
        }
    }

    static let broken: [(String, [UInt8])] = [
        ("half a name", [9, 0x61]), ("a name only", counted("scopecheck-http")),
        ("fewer arguments than said", counted("scopecheck-http") + [2] + arguments([("method", .string("GET"))])),
        ("fewer of tcp", counted("scopecheck-tcp") + [1]), ("fewer of health", counted("scopecheck-health") + [1]),
        ("fewer of others", counted("other") + [255] + arguments(ordinaryArguments)),
        ("more than said", counted("scopecheck-http") + [0] + arguments([("method", .string("GET"))])),
        ("a reserved type", counted("scopecheck-http") + [1] + counted("method") + [0x0A]),
        ("a reserved type of tcp", counted("scopecheck-tcp") + [1] + counted("port") + [0x0F, 1]),
        ("a reserved type of others", counted("other") + [1] + counted("x") + [0x0B]),
        ("a string beyond the end", counted("scopecheck-http") + [1] + counted("method") + [0x08, 4, 1, 2, 3]),
        ("a name beyond the end", [0xFF, 0xFE, 0x0F, 1]), ("bytes behind", ordinaryMessage + [1]),
        ("65 messages", (0..<65).flatMap { _ in message("other") }),
    ]

    /// Nobody knows what it asked: HAProxy takes a DISCONNECT for an error, and its rules for a denial.
    @Test(arguments: broken) func brokenListsEndTheConversation(name: String, payload: [UInt8]) {
        for bytes in [notify(payload), fragmented([payload, []]), fragmented([[], payload, []])] {
            let seen = converse(hello() + bytes + notify(ordinaryMessage))
            #expect(seen.isClosed && seen.questions.isEmpty, "\(name)")
            #expect(frames(seen.output)?.map(\.type) == [101, 102] && disconnectStatus(seen.output) == 4, "\(name)")
        }
    }

    @Test func manyMessagesAndArguments() {
        let list = (0..<255).map { number -> Argument in ("x\(number)", .int64(Int64(number))) }
        #expect(kind((0..<63).flatMap { _ in message("o") } + ordinaryMessage) == "http")
        #expect(
            kind(message("scopecheck-http", Array(list.dropLast()) + [("authorization_count", .int64(0))])) == "http")
        #expect(kind(message("scopecheck-health", list)) == "health")
    }

    @Test func idsOfAnySizeComeBack() throws {
        let ids: [UInt64] = [0, 1, 239, 240, 2_287, 2_288, 0xFFFF_FFFF, 1 << 40, UInt64.max]
        for stream in ids {
            for id in ids {
                let seen = converse(hello() + notify(ordinaryMessage, stream: stream, id: id))
                #expect(seen.questions.map(\.streamID) == [stream] && seen.questions.map(\.frameID) == [id])
                let ack = try #require(frames(seen.output)?.last)
                #expect(ack.type == 103 && ack.stream == stream && ack.id == id)
            }
        }
    }

    @Test func manyInOneBuffer() throws {
        let bytes = (1...50).flatMap { number in
            notify(number % 3 == 0 ? message("scopecheck-health") : ordinaryMessage, stream: UInt64(number), id: 7)
        }
        let seen = converse(hello() + bytes)
        #expect(seen.questions.map(\.streamID) == (1...50).map { UInt64($0) })
        #expect(Set(seen.questions.map(\.says)).count == 2)
        let sent = try #require(frames(seen.output))
        #expect(sent.dropFirst().map(\.stream) == (1...50).map { UInt64($0) })
        #expect(sent.dropFirst().allSatisfy { $0.type == 103 && $0.id == 7 && $0.flags == 1 })
        for size in [1, 7, 100, 4_096] { #expect(converse(hello() + bytes, size: size) == seen) }
    }
}
