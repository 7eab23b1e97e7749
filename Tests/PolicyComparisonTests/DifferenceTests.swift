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
