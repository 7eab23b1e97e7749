import Policy
import PolicyTables
import Signatures
import Testing

/// The text that a service's key signs, and the envelope that it travels in.
@Suite struct PublisherStatementTests {
    private static let file = sha256(Array("file".utf8).span)

    static let statements: [PublicationStatement] = [
        PublicationStatement(action: .publish(file: file, ttlSeconds: 0), service: "orders", serial: 1),
        PublicationStatement(
            action: .publish(file: file, ttlSeconds: 43_200), service: "o-1_2.x", environment: "prod", serial: .max),
        PublicationStatement(action: .withdraw, service: "orders", serial: 7),
        PublicationStatement(action: .withdraw, service: "orders", environment: "a.b", serial: 7),
    ]

    @Test(arguments: statements) func oneTextForEach(_ statement: PublicationStatement) {
        #expect(PublicationStatement(statement.text) == statement)
    }

    @Test func theText() {
        let text = String(decoding: PublisherStatementTests.statements[1].text, as: UTF8.self)
        #expect(
            text == """
                scopecheck publication statement 1
                action publish
                service o-1_2.x
                environment prod
                sha256 \(PublisherStatementTests.file)
                serial 18446744073709551615
                ttl 43200

                """)
    }

    /// Whatever is not letter for letter a statement is none: a signature over it must not mean anything else.
    @Test func nothingElseIsOne() {
        let good = String(decoding: PublisherStatementTests.statements[0].text, as: UTF8.self)
        let upper = "\(PublisherStatementTests.file)".uppercased()
        var others = [
            "", "\n", good + "\n", " " + good, String(good.dropLast()), good + "more 1\n",
            good.replacing("ttl 0", "ttl 00"), good.replacing("ttl 0", "ttl -1"), good.replacing("ttl 0", "ttl +1"),
            good.replacing("ttl 0", "ttl 31622401"), good.replacing("serial 1", "serial 01"),
            good.replacing("serial 1", "serial 18446744073709551616"), good.replacing("serial 1", "serial -1"),
            good.replacing("\n", "\r\n"), good.replacing("statement 1", "statement 2"),
            good.replacing("publication", "policy"), good.replacing("action publish", "action withdraw"),
            good.replacing("action publish", "action Publish"), good.replacing("service orders", "service .."),
            good.replacing("service orders", "service a/b"), good.replacing("service orders", "service "),
            good.replacing("service orders", "service or ders"),
            good.replacing("service orders", "service \(String(repeating: "a", count: 65))"),
            good.replacing("\(PublisherStatementTests.file)", upper), good.replacing("sha256 ", "sha256  "),
        ]
        others.append(String(repeating: good, count: 2))
        for other in others { #expect(PublicationStatement(Array(other.utf8)) == nil, "\(other)") }
        for length in 0..<good.utf8.count {
            #expect(PublicationStatement(Array(good.utf8.prefix(length))) == nil)
        }
    }

    @Test func hostileBytesNeverTrap() {
        var generator = SeededBytes(seed: 11)
        let good = PublisherStatementTests.statements[1].text
        for _ in 0..<2_000 {
            var bytes = good
            for _ in 0..<Int(generator.next() % 4 + 1) {
                bytes[Int(generator.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: generator.next())
            }
            if let read = PublicationStatement(bytes) { #expect(read.text == bytes) }
        }
    }

    @Test func theEnvelope() throws {
        let key = try PrivateKey.generate(.ed25519)
        let statement = PublisherStatementTests.statements[0]
        let sent = try SignedPublication.sign(
            statement, file: Array("file".utf8), key: key, algorithm: .ed25519, keyID: "ci")
        #expect(try SignedPublication.read(sent.text) == sent)
        let withdrawal = try SignedPublication.sign(
            PublisherStatementTests.statements[2], file: [], key: key, algorithm: .ed25519, keyID: "ci")
        #expect(try SignedPublication.read(withdrawal.text) == withdrawal)
        let text = String(decoding: sent.text, as: UTF8.self)
        let others: [(String, PublicationRefusal.Reason)] = [
            ("", .malformed), ("[]", .malformed), ("{}", .malformed), (text + " x", .malformed),
            (text.replacing("\"kid\":\"ci\"", "\"kid\":\"\""), .malformed),
            (text.replacing("\"kid\":\"ci\"", "\"kid\":7"), .malformed),
            (text.replacing("\"kid\":\"ci\"", "\"kid\":\"ci\",\"kid\":\"ci\""), .malformed),
            (text.replacing("\"kid\":\"ci\"", "\"kid\":\"c\\u0000i\""), .malformed),
            (text.replacing("\"kid\":\"ci\"", "\"kid\":\"ci\",\"x\":\"y\""), .malformed),
            (text.replacing("ZmlsZQ", "ZmlsZR"), .malformed), (text.replacing("ZmlsZQ", "ZmlsZQ=="), .malformed),
            (text.replacing("ZmlsZQ", "ZmlsZg"), .wrongFile), (text.replacing("ZmlsZQ", ""), .wrongFile),
        ]
        for (other, reason) in others {
            do {
                _ = try SignedPublication.read(Array(other.utf8))
                Issue.record("taken: \(other)")
            } catch {
                #expect(error.reason == reason, "\(other): \(error)")
            }
        }
    }

    @Test func anEnvelopeThatIsTooLong() {
        let text = [UInt8](repeating: 0x20, count: SignedPublication.bytesMax + 1)
        #expect(throws: PublicationRefusal.self) { try SignedPublication.read(text) }
    }

    @Test func times() {
        #expect(publicationSeconds("12h") == 43_200 && publicationSeconds("366d") == 31_622_400)
        for text in ["", "0s", "367d", "12", "h", "-1h", "1.5h", "99999999999999999999d"] {
            #expect(publicationSeconds(text) == nil, "\(text)")
        }
    }
}

/// The same sequence on every run.
struct SeededBytes {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
