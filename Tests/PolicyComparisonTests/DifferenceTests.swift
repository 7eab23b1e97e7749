import PolicyTables
import Testing

@testable import PolicyComparison

@Suite struct DifferenceTests {
    @Test func nothingDiffers() {
        let one = policy([route("GET /a")])
        #expect(difference(from: one, to: one, at: 0).isEmpty)
    }

    @Test func partsByName() throws {
        let old = policy([route("GET /a"), route("GET /b")])
        let new = policy([route("GET /a", .scopes(all: [2], any: [])), route("POST /c")]) {
            $0.scopes.append(ScopeModel(name: "more", closure: [3]))
            $0.issuers[0].leewaySeconds = 5
            $0.services[0].audience = "https://s.test"
        }
        let found = difference(from: old, to: new, at: 0)
        let texts = found.changes.map { "\($0.part) \($0.kind) \($0.name)" }
        #expect(
            texts == [
                "issuers changed https://id.test", "scopes added more", "services changed api",
                "routes changed api: GET /a", "routes removed api: GET /b", "routes added api: POST /c",
            ])
        #expect(found.changes[0].details == [.init(name: "leeway", old: "0 s", new: "5 s")])
        #expect(found.changes[2].details == [.init(name: "audience", old: nil, new: "https://s.test")])
        #expect(found.changes[3].details == [.init(name: "all of", old: "read", new: "admin")])
        #expect(found.changes[4].oldRoute == RouteLocation(service: 0, route: 1))
    }

    @Test func whoGainsAndLoses() throws {
        let clients = [
            ClientModel(name: "reader", issuer: 0, identifier: "r", scopes: [0]),
            ClientModel(name: "admin", issuer: 0, identifier: "a", scopes: [2]),
        ]
        let old = policy([route("GET /a"), route("GET /b")]) { $0.clients = clients }
        let new = policy([route("GET /a", .scopes(all: [2], any: [])), route("GET /b")]) { $0.clients = clients }
        let found = difference(from: old, to: new, at: 0)
        let texts = found.reaches.map { "\($0.holder) \($0.name) +\($0.gained.examples) -\($0.lost.examples)" }
        let a = "[\"GET https://api.test/a\"]"
        #expect(
            Set(texts) == [
                "client reader +[] -\(a)", "client admin +\(a) -[]", "scope read +[] -\(a)", "scope write +[] -\(a)",
                "scope admin +\(a) -[]",
            ])
    }

    @Test(arguments: [false, true]) func aBaselineBesideUnlistedClients(refuses: Bool) throws {
        let routes = [route("GET /a"), route("POST /a", .scopes(all: [1], any: []))]
        let listed = policy(routes) {
            $0.issuers[0].refusesUnknownClients = true
            $0.clients = [ClientModel(name: "c", issuer: 0, identifier: "c", scopes: [0])]
        }
        // Where unlisted clients are let in, any scopes count; otherwise none do.
        let unlisted = policy(routes) { $0.issuers[0].refusesUnknownClients = refuses }
        let reached = refuses ? "GET https://api.test/a" : "POST https://api.test/a"
        let removed = try #require(difference(from: listed, to: unlisted, at: 0).reaches.first)
        #expect(removed.name == "c" && (refuses ? removed.lost : removed.gained).examples == [reached], "\(removed)")
        #expect((refuses ? removed.gained : removed.lost).count == 0, "\(removed)")
        let added = try #require(difference(from: unlisted, to: listed, at: 0).reaches.first)
        #expect((refuses ? added.gained : added.lost).examples == [reached], "\(added)")
        #expect((refuses ? added.lost : added.gained).count == 0, "\(added)")
    }

    @Test func anIssuerOfOneSide() throws {
        let without = policy([route("GET /a"), route("POST /a", .scopes(all: [1], any: []))])
        var with = without
        with.issuers.append(without.issuers[0])
        with.issuers[1].issuer = "https://more.test"
        with.services[0].issuers = [0, 1]
        with.clients = [ClientModel(name: "c", issuer: 1, identifier: "c", scopes: [0])]
        let added = try #require(difference(from: without, to: with, at: 0).reaches.first)
        #expect(added.name == "c" && added.gained.examples == ["GET https://api.test/a"] && added.lost.count == 0)
        let removed = try #require(difference(from: with, to: without, at: 0).reaches.first)
        #expect(removed.lost.examples == ["GET https://api.test/a"] && removed.gained.count == 0)
    }

    @Test func aBaselineChanges() {
        func approved(_ scopes: [UInt16]) -> PolicyModel {
            policy([route("GET /a")]) {
                $0.clients = [ClientModel(name: "c", issuer: 0, identifier: "c", scopes: scopes)]
            }
        }
        let found = difference(from: approved([2]), to: approved([0]), at: 0)
        #expect(found.changes.map(\.part) == [.clients])
        #expect(found.reaches.map(\.gained.count) == [1])
    }
}
