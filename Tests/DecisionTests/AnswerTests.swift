@testable import Decision
import Octets
import Testing

@Suite struct AnswerTests {
    private func encoded(_ value: [UInt8]) -> [UInt8] {
        var answer = Answer()
        answer.writeEncoded(.subject, value.span)
        return answer.copy(of: .subject)
    }

    private func decoded(_ value: [UInt8]) -> [UInt8]? {
        var result: [UInt8] = []
        var index = 0
        while index < value.count {
            if value[index] == UInt8(ascii: "%") {
                guard index + 2 < value.count, let high = hexadecimalValue(value[index + 1]),
                    let low = hexadecimalValue(value[index + 2])
                else { return nil }
                result.append(high << 4 | low)
                index += 3
            } else {
                result.append(value[index])
                index += 1
            }
        }
        return result
    }

    @Test("every byte is printable afterwards and comes back as itself")
    func everyByte() {
        var seen: Set<[UInt8]> = []
        for value in UInt8.min...UInt8.max {
            let text = encoded([value])
            #expect(text.allSatisfy { $0 > 0x20 && $0 < 0x7F } && decoded(text) == [value])
            #expect((text == [value]) == (value > 0x20 && value < 0x7F && value != 0x25))
            seen.insert(text)
        }
        #expect(seen.count == 256)
    }

    @Test("two different values never give one text")
    func injective() {
        var random = SeededGenerator(5)
        let alphabet: [UInt8] = bytes("%2025aF") + [0x00, 0x0A, 0x20, 0x7F, 0x80, 0xC3, 0xFF]
        var values: [[UInt8]: [UInt8]] = [:]
        for _ in 0..<30_000 {
            let value = (0..<Int.random(in: 0..<6, using: &random)).map { _ in random.pick(alphabet) }
            let text = encoded(value)
            let known = values.updateValue(value, forKey: text)
            guard known == nil || known == value, decoded(text) == value else {
                Issue.record("\(value) and \(known ?? []) are both \(text)")
                return
            }
        }
        #expect(values.count > 5_000)
    }

    @Test("a fresh answer, and one that was reset, is a denial without a word")
    func initial() {
        var answer = Answer()
        for round in 0..<2 {
            #expect(answer.status == 403)
            let isAllow = answer.isAllow
            let hasChallenge = answer.hasChallenge
            #expect(!isAllow && !hasChallenge && answer.reason == .overloaded, "\(round)")
            for field in AnswerField.allCases { #expect(answer.copy(of: field).isEmpty) }
            for field in AnswerField.allCases { answer.write(field, "x") }
            answer.status = 200
            answer.reset()
        }
    }

    @Test("fields keep their own text, and an answer that became another says the same")
    func fields() {
        var answer = Answer()
        for field in AnswerField.allCases { answer.write(field, bytes("value-\(field.rawValue)").span) }
        answer.status = 401
        answer.reason = .expired
        var copy = Answer()
        copy.write(.granted, "left over")
        copy.become(answer)
        for field in AnswerField.allCases {
            #expect(text(copy.copy(of: field)) == "value-\(field.rawValue)")
        }
        #expect(copy.status == 401 && copy.reason == .expired)
        let names = AnswerField.allCases.map { String("\($0.headerLine)".dropFirst(1).dropLast(2)) }
        #expect(
            names == [
                "X-Scope-Decision", "X-Scope-Reason", "X-Scope-Route", "X-Scope-Policy", "X-Scope-Audit-Id",
                "X-Scope-Subject", "X-Scope-Client", "X-Scope-Issuer", "X-Scope-Granted", "X-Scope-Challenge",
                "DPoP-Nonce", "Txn-Token", "X-Scope-Forward-Token",
            ])
    }

    @Test("what was taken back of an identity leaves nothing, whatever is written in its place")
    func takenBack() {
        var answer = Answer()
        answer.write(.route, "r")
        let mark = answer.text.count
        let identity: [AnswerField] = [.transactionToken, .subject, .client, .issuer, .granted]
        for field in identity { answer.write(field, "secret") }
        answer.takeBackIdentity(to: mark)
        answer.write(.challenge, [UInt8](repeating: 0x63, count: 1_000).span)
        for field in identity { #expect(answer.copy(of: field).isEmpty) }
        #expect(answer.copy(of: .route) == bytes("r") && answer.copy(of: .challenge).count == 1_000)
    }

    @Test("what does not fit is remembered, also when shorter values fit after it")
    func overflow() {
        var answer = Answer()
        let most = [UInt8](repeating: 0x61, count: Answer.textBytesMax)
        answer.write(.subject, most.span)
        var isComplete = answer.isComplete
        #expect(isComplete)
        answer.write(.client, "x")
        isComplete = answer.isComplete
        #expect(!isComplete && answer.freeCount == 0)
        answer.reset()
        let tooMany = [UInt8](repeating: 0xFF, count: Answer.textBytesMax / 3 + 1)
        answer.writeEncoded(.subject, tooMany.span)
        isComplete = answer.isComplete
        #expect(!isComplete)
        answer.reset()
        isComplete = answer.isComplete
        #expect(isComplete && answer.freeCount == Answer.textBytesMax)
    }
}
