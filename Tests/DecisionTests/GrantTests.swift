@testable import Decision
import Octets
import PolicyTables
import Testing

@Suite struct GrantTests {
    /// Four scopes: a implies b and c, d stands alone.
    private static func catalogue(_ extra: [ScopeModel] = []) throws -> [UInt8] {
        var model = PolicyModel()
        model.issuers = sampleIssuers()
        model.scopes =
            [
                ScopeModel(name: "a", closure: [0, 1, 2]), ScopeModel(name: "b", closure: [1]),
                ScopeModel(name: "c", closure: [2]), ScopeModel(name: "D:x", closure: [3]),
            ] + extra
        return try PolicyCompiler(model).catalogue()
    }

    private static func grant(_ scopes: String, _ table: [UInt8]) -> Grant? {
        guard let catalogue = Catalogue(table.span) else { return nil }
        return ScopeExpansion(bytes(scopes).span, catalogue, now: 0).grant(activation: 1, catalogue: catalogue)
    }

    static let rows: [(String, [UInt16], String)] = [
        ("", [], ""), ("a", [0, 1, 2], "a b c"), ("b", [1], "b"), ("c b", [1, 2], "b c"), ("b b b", [1], "b"),
        ("D:x a", [0, 1, 2, 3], "D:x a b c"), ("unknown", [], ""), ("unknown b other", [1], "b"),
        ("*", [], ""),
        ("A", [], ""), ("a*", [], ""), ("D:*", [], ""), ("d:x", [], ""), ("ab", [], ""), ("b ", [1], "b"),
        (" b", [1], "b"), ("b  c", [1, 2], "b c"), ("   ", [], ""),
    ]

    @Test("lists of scopes and everything they imply", arguments: GrantTests.rows)
    func expand(_ row: (String, [UInt16], String)) throws {
        let grant = try #require(Self.grant(row.0, try Self.catalogue()))
        #expect(grant.scopes == row.1)
        #expect(text(grant.text) == row.2 && grant.isTextWhole)
        for scope in UInt16(0)..<10 { #expect(grant.contains(scope) == row.1.contains(scope)) }
        #expect(!grant.contains(.max))
    }

    @Test("a text that is too long is left out, and the scopes are held all the same")
    func longText() throws {
        // Ten names of 204 bytes and nine spaces are 2,049 bytes.
        for (count, isWhole) in [(203, true), (204, false)] {
            let extra = (0..<10).map {
                ScopeModel(
                    name: "\($0)" + String(repeating: "n", count: count - 1), closure: [UInt16(4 + $0)])
            }
            let list = extra.map(\.name).joined(separator: " ")
            let grant = try #require(Self.grant(list, try Self.catalogue(extra)))
            #expect(grant.isTextWhole == isWhole && text(grant.text) == (isWhole ? list : ""))
            #expect(grant.scopes == Array(4..<14))
        }
    }

    @Test("one grant for one list and activation")
    func table() throws {
        let catalogue = try Self.catalogue()
        var table = GrantTable()
        func grant(_ scopes: String, _ activation: UInt64) -> Grant? {
            guard let catalogue = Catalogue(catalogue.span) else { return nil }
            return table.grant(forScopes: bytes(scopes).span, activation: activation, catalogue: catalogue, now: 0)
        }
        let first = grant("a", 1)
        let again = grant("a", 1)
        let other = grant("b", 1)
        let next = grant("a", 2)
        #expect(first === again && first !== other && first !== next && next?.scopes == [0, 1, 2])
        // Far more lists than are kept.
        for number in 0..<5_000 {
            let made = grant("b x\(number)", 2)
            guard made?.scopes == [1] else {
                Issue.record("\(number)")
                return
            }
        }
        let last = grant("a", 2)
        #expect(last?.scopes == [0, 1, 2])
    }
}
