@testable import Decision
import Octets
import PolicyTables
import Testing

/// What is said of a token beside the decision: in the log, in commands, and for those who count.
@Suite struct RemarkTests {
    private let world: World
    private let decider: Decider

    init() throws {
        world = try World(baselineModel())
        decider = try world.decider()
    }

    private func decide(_ client: String, _ scope: String) throws -> Verdict {
        decider.verdict(Request().bearing(try world.token(.of(client, scope))))
    }

    @Test("excess of each rule")
    func excess() throws {
        for (client, name, reason) in [
            ("strict-id", "strict", Reason.overScoped), ("narrow-id", "narrowed", .granted),
            ("alert-id", "alerted", .granted), ("try-id", "tried", .observed),
        ] {
            #expect(try decide(client, "orders:admin support:admin").reason == reason)
            let remarks = try #require(decider.findings)
            #expect(remarks.client == bytes(client) && remarks.clientName == bytes(name))
            #expect(remarks.issuer == bytes("https://id.example.com"))
            let expected =
                client == "strict-id"
                ? ["orders:admin", "support:admin"] : ["orders:admin", "orders:write", "support:admin"]
            #expect(decider.names(remarks.excess) == expected && remarks.excessCount == expected.count)
            #expect(decider.lastLogMembers().contains(#","client_name":"\#(name)","excess":["orders:admin","#))
            // One object for as long as nothing changes, whichever token of the client it is.
            _ = try decide(client, "orders:admin support:admin")
            #expect(decider.findings === remarks)
        }
    }

    @Test("nothing to say")
    func nothing() throws {
        #expect(decider.remarks == nil)
        _ = try decide("strict-id", "orders:admin")
        #expect(decider.findings != nil)
        _ = try decide("strict-id", "orders:read")
        #expect(decider.findings == nil && decider.remarks?.clientName == bytes("strict"))
        let members = decider.lastLogMembers()
        #expect(members.contains(#","client_name":"strict""#) && !members.contains("excess"))
        _ = try decide("stranger", "orders:admin")
        #expect(decider.remarks == nil && !decider.lastLogMembers().contains("client_name"))
        _ = decider.verdict(Request("GET", "/healthz"))
        #expect(decider.remarks == nil)
        // A proof of nothing: the token was refused before its client was looked at.
        let expired = TokenPlan.of("strict-id", "orders:admin").with { $0.expiresAt = World.now - 100 }
        _ = decider.verdict(Request().bearing(try world.token(expired)))
        #expect(decider.remarks == nil)
    }

    @Test("far more names than are kept")
    func many() throws {
        var model = baselineModel()
        for number in 0..<100 {
            model.scopes.append(
                ScopeModel(name: "many:\(1_000 + number)", closure: [UInt16(model.scopes.count)]))
        }
        try world.activate(model)
        let list = model.scopes.suffix(100).map(\.name).joined(separator: " ")
        #expect(try decide("strict-id", list).reason == .overScoped)
        let remarks = try #require(decider.findings)
        #expect(remarks.excess.count == GrantRemarks.namesMax && remarks.excessCount == 100)
        let long = decider.lastLogMembers()
        #expect(long.contains(#""many:1031"],"excess_left_out":68"#))
        let short = decider.lastLogMembers(32)
        #expect(short.contains(#","excess":["many:1000","many:1001","#) && short.contains(#","excess_left_out":9"#))
    }

    @Test("details for commands: the baseline, its grants, what is beyond it")
    func details() throws {
        decider.collectsDetails = true
        _ = try decide("strict-id", "orders:admin read")
        let details = decider.details
        #expect(decider.names(details.granted) == ["orders:admin", "orders:read", "orders:write", "read"])
        #expect(decider.names(details.excess) == ["orders:admin"])
        #expect(decider.names(details.oldScopes) == ["read"])
        let baseline = try #require(details.baseline)
        #expect(baseline.name == bytes("strict") && baseline.rule == .deny && baseline.observeUntil == nil)
        #expect(decider.names(baseline.scopes) == ["orders:read"])
        #expect(
            baseline.grants == [
                ClientBaseline.TemporaryGrant(
                    scopes: [bytes("orders:read"), bytes("orders:write")], until: grantEnd, reason: bytes("INC-42"),
                    isOver: false)
            ])
        let token = try world.token(.of("strict-id", "orders:read"))
        _ = decider.verdict(Request().bearing(token), now: grantEnd)
        #expect(decider.details.baseline?.grants.map(\.isOver) == [true] && decider.details.excess.isEmpty)
        _ = try decide("try-id", "")
        #expect(decider.details.baseline?.observeUntil == clientObserveEnd)
        _ = try decide("stranger", "orders:read")
        #expect(decider.details.baseline == nil && decider.names(decider.details.granted) == ["orders:read"])
    }

    @Test("a record that is damaged, gone or another's denies: 503")
    func damagedRecords() throws {
        let strict = Request().bearing(try world.token(.of("strict-id", "orders:read")))
        let other = Request().bearing(try world.token(.of("narrow-id", "orders:read")))
        let suffix = bytes("strict-id")
        let isStrict: ([UInt8]) -> Bool = { $0.suffix(suffix.count).elementsEqual(suffix) && $0[16] == 0x62 }
        var record: [UInt8] = []
        try world.folder.damage(isStrict) { value in
            record = value
            return value
        }
        try #require(!record.isEmpty)
        for index in record.indices {
            for mask: UInt8 in [0x01, 0x80, 0xFF] {
                var changed = record
                changed[index] ^= mask
                try world.folder.damage(isStrict) { _ in changed }
                let fresh = try world.decider()
                let verdict = fresh.verdict(strict)
                guard verdict.reason == .policyUnreadable, fresh.verdict(other).reason == .granted else {
                    Issue.record("byte \(index), mask \(mask): \(verdict.reason)")
                    return
                }
            }
        }
        for changed in [[], Array(record.dropLast()), record + [0], Array(record.prefix(40))] {
            try world.folder.damage(isStrict) { _ in changed }
            DeciderReasonTests.check(try world.decider().verdict(strict), .policyUnreadable)
        }
        // What could not be read is not remembered.
        let decider = try world.decider()
        #expect(decider.verdict(strict).reason == .policyUnreadable)
        try world.folder.damage(isStrict) { _ in record }
        #expect(decider.verdict(strict).reason == .granted)
        // Another client's record in its place.
        let narrow = bytes("narrow-id")
        try world.folder.damage({ $0.suffix(narrow.count).elementsEqual(narrow) && $0[16] == 0x62 }) { _ in record }
        #expect(try world.decider().verdict(other).reason == .policyUnreadable)
        try world.folder.damage(isStrict) { _ in nil }
        #expect(try world.decider().verdict(strict).reason == .unknownClient)
    }
}
