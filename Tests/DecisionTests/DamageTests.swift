@testable import Decision
import PolicyTables
import Signatures
import Testing
import Tokens

/// Tables that are damaged, gone or of another layout: 503, never an allow.
@Suite struct DamageTests {
    private static let catalogueMark: UInt8 = 0x63

    private static func isCatalogue(_ key: [UInt8]) -> Bool { key.count == 17 && key.last == catalogueMark }

    private func expectUnreadable(_ decider: Decider, _ world: World) throws {
        let good = Request().bearing(try world.token())
        for request in [good, Request("GET", "/healthz"), Request(), Request("GET", "/v1/watched")] {
            let verdict = decider.verdict(request)
            DeciderReasonTests.check(verdict, .policyUnreadable)
        }
    }

    static let damages: [@Sendable ([UInt8]) -> [UInt8]?] = [
        { _ in nil }, { _ in [] }, { Array($0.dropLast()) }, { $0 + [0] }, { [$0[0] ^ 1] + $0.dropFirst() },
        { Array($0.prefix(20)) },
        { value in
            var changed = value
            changed[4] ^= 0xFF
            return changed
        },
    ]

    @Test("a catalogue that is none", arguments: DamageTests.damages.indices)
    func catalogue(_ number: Int) throws {
        let world = try World()
        try world.folder.damage(Self.isCatalogue, Self.damages[number])
        try expectUnreadable(try world.decider(), world)
    }

    @Test("a host's table that is none", arguments: DamageTests.damages.indices)
    func hostTable(_ number: Int) throws {
        let world = try World()
        let decider = try world.decider()
        #expect(decider.verdict(Request().bearing(try world.token())).reason == .granted)
        let name = bytes("api.example.com")
        try world.folder.damage({ $0.suffix(name.count).elementsEqual(name) }, Self.damages[number])
        if number == 0 {
            // A table that is gone is a host that the policy does not have.
            #expect(decider.verdict(Request().bearing(try world.token())).reason == .unknownHost)
        } else {
            try expectUnreadable(decider, world)
        }
        // The other hosts still answer.
        #expect(decider.verdict(Request("GET", "/", host: "app.example.com")).reason == .public)
    }

    @Test("a version that the store does not hold")
    func unknownVersion() throws {
        let world = try World()
        let decider = try world.decider()
        let snapshot = try #require(world.board.snapshot)
        world.board.publish(
            DecisionSnapshot(activation: 1, version: sha256(bytes("none").span), issuers: snapshot.issuers))
        try expectUnreadable(decider, world)
        world.board.publish(snapshot)
        #expect(decider.verdict(Request().bearing(try world.token())).reason == .granted)
    }

    @Test("damage in any one byte never makes an allow of a denial without a token")
    func everyByte() throws {
        let world = try World()
        let name = bytes("ws.example.com")
        var original: [UInt8] = []
        let isTable: ([UInt8]) -> Bool = { $0.suffix(name.count).elementsEqual(name) }
        try world.folder.damage(isTable) { value in
            original = value
            return value
        }
        let decider = try world.decider()
        let request = Request("GET", "/stream", host: "ws.example.com")
        let token = try world.token()
        var publicBytes = 0
        for index in original.indices {
            var changed = original
            changed[index] ^= 0xFF
            try world.folder.damage(isTable) { _ in changed }
            // Only the ground's own byte could say `public`; the complement of 0 is no ground.
            let verdicts = [decider.verdict(request), decider.verdict(request.bearing(token))]
            if verdicts.contains(where: \.isAllow) { publicBytes += 1 }
        }
        // The date of observe mode is one number: a changed one lets denials pass. Tables are hashed before use.
        #expect(publicBytes <= 8)
    }
}
