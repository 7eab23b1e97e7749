@testable import Decision
import Octets
import Signatures
import Testing
import Tokens

@Suite struct IntrospectionRecordsTests {
    private static func question(_ number: Int, issuer: Int = 0, generation: UInt64 = 1) -> IntrospectionQuestion {
        let name = bytes("token \(number)")
        return IntrospectionQuestion(
            issuerIndex: issuer, generation: generation, digest: sha256(name.span), token: name,
            timeoutMilliseconds: 1)
    }

    private static func name(
        _ records: IntrospectionRecords, _ question: IntrospectionQuestion, now: Int64 = 0
    ) -> String {
        let finding = records.finding(
            for: question.digest, issuerIndex: question.issuerIndex, generation: question.generation, now: now)
        switch finding {
        case .active: return "active"
        case .inactive: return "inactive"
        case .refused(let refusal): return "\(refusal.name)"
        case .unavailable: return "unavailable"
        case nil: return "none"
        }
    }

    private static func token() throws -> VerifiedToken {
        let world = try World(gateModel())
        guard
            case .active(let token) = world.read(
                #"{"active":true,"aud":"https://api.example.com"}"#, of: bytes("token 1"), issuer: 1)
        else { throw Unreadable(text: "no token") }
        return token
    }

    @Test("a finding belongs to a token, an issuer and a generation, and ends by time")
    func keys() {
        let records = IntrospectionRecords(entriesMax: 8)
        let question = Self.question(1)
        #expect(Self.name(records, question) == "none")
        records.store(.inactive, for: question, until: 10)
        #expect(Self.name(records, question) == "inactive" && Self.name(records, question, now: 9) == "inactive")
        #expect(Self.name(records, question, now: 10) == "none")
        for other in [Self.question(2), Self.question(1, issuer: 1), Self.question(1, generation: 2)] {
            #expect(Self.name(records, other) == "none")
        }
        records.store(.refused(.audienceMismatch), for: question, until: 10)
        #expect(Self.name(records, question) == "audience_mismatch" && records.count == 1)
        records.store(.unavailable, for: question, until: 10)
        #expect(Self.name(records, question) == "unavailable" && records.count == 1)
    }

    @Test("the newest finding is the one, also between active and inactive")
    func newest() throws {
        let records = IntrospectionRecords(entriesMax: 8)
        let question = Self.question(1)
        let token = try Self.token()
        #expect(token.freshUntil == World.now + 60)
        records.store(.active(token), for: question, until: .max)
        #expect(Self.name(records, question) == "active")
        records.store(.inactive, for: question, until: 10)
        #expect(Self.name(records, question) == "inactive" && records.count == 1)
        records.store(.active(token), for: question, until: .max)
        #expect(Self.name(records, question) == "active" && records.count == 1)
        // Never longer than the reply is believed.
        #expect(Self.name(records, question, now: World.now + 59) == "active")
        #expect(Self.name(records, question, now: World.now + 60) == "none")
        records.store(.active(token), for: question, until: 5)
        #expect(Self.name(records, question, now: 5) == "none")
    }

    @Test(
        "bounded: the newest are there, and made-up tokens push no active one out", arguments: [Int.min, 8, 100, 5_000])
    func bounded(_ entriesMax: Int) throws {
        let records = IntrospectionRecords(entriesMax: entriesMax)
        let token = try Self.token()
        let active = Self.question(0)
        records.store(.active(token), for: active, until: .max)
        for number in 1...20_000 {
            let question = Self.question(number)
            records.store(number % 2 == 0 ? .inactive : .unavailable, for: question, until: Int64(number) + 1)
            guard Self.name(records, question, now: Int64(number)) != "none" else {
                Issue.record("\(number) was not kept")
                return
            }
        }
        #expect(Self.name(records, active) == "active")
        #expect(records.count <= 2 * max(8, entriesMax) && records.count >= 5)
    }

    @Test("findings of older issuers make room first")
    func generations() {
        let records = IntrospectionRecords(entriesMax: 8)
        for number in 0..<100 { records.store(.inactive, for: Self.question(number), until: 1_000) }
        let new = (0..<2).map { Self.question($0, generation: 2) }
        for question in new { records.store(.inactive, for: question, until: 1) }
        for question in new { #expect(Self.name(records, question) == "inactive") }
    }
}
