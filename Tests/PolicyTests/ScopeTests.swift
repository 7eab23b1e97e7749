import Policy
import PolicyTables
import Testing

@Suite struct ScopeTests {
    static let cases: [Case] = [
        Case("no value at all", scopes("  read:")),
        Case("an empty mapping", scopes("  read: {}")),
        Case(
            "every character of RFC 6749",
            scopes(
                "  \"!#$%&'()+,-./09:;<=>?@AZ[]^_`az{|}~\": {}",
                required: "\"!#$%&'()+,-./09:;<=>?@AZ[]^_`az{|}~\"")),
        Case("a space in a name", scopes("  read: {}\n  ‹a b: {}"), Expected(.badName, "`a b` is no scope")),
        Case("a quote in a name", scopes("  read: {}\n  ‹'a\"b': {}"), Expected(.badName)),
        Case("letters beyond ASCII", scopes("  read: {}\n  ‹é: {}"), Expected(.badName)),
        Case("no name", scopes("  read: {}\n  ‹\"\": {}"), Expected(.badName)),
        Case("a wildcard declared", scopes("  read: {}\n  ‹\"a:*\": {}"), Expected(.badName, "has a `*`")),
        Case(
            "a name of 255",
            scopes(
                "  \(String(repeating: "a", count: 255)): {}", required: String(repeating: "a", count: 255))),
        Case(
            "a name of 256", scopes("  read: {}\n  ‹\(String(repeating: "a", count: 256)): {}"),
            Expected(.badName)),
        Case("a scope twice", scopes("  read: {}\n  ‹read: {}"), Expected(.duplicateKey, "first in line 5")),
        Case(
            "a scope that is text", scopes("  read: ‹Read things"),
            Expected(.wrongType, "a scope is a mapping")),
        Case(
            "an unknown key", scopes("  read: { ‹desription: x }"),
            Expected(.unknownKey, mend: "`description`")),
        Case("grants", scopes("  read: { ‹grants: [] }"), Expected(.unknownKey, mend: "it belongs in a client")),
        Case("a description that is a list", scopes("  read: { description: ‹[a] }"), Expected(.wrongType)),
        Case("implying one", scopes("  read: {}\n  write: { implies: read }")),
        Case(
            "implying a list",
            scopes("  read: {}\n  list: {}\n  write: { implies: [read, list] }", required: "[read, list]")),
        Case("implying what is declared later", scopes("  write: { implies: read }\n  read: {}")),
        Case(
            "implying the unknown", scopes("  read: {}\n  write: { implies: ‹raed }"),
            Expected(.unknownScope, "unknown scope `raed`", mend: "did you mean `read`?")),
        Case("implying nothing", scopes("  read: { implies: ‹[] }"), Expected(.emptyValue)),
        Case(
            "implying one twice", scopes("  read: {}\n  write: { implies: [read, ‹read] }"),
            Expected(.duplicateValue)),
        Case(
            "implying itself", scopes("  read: { implies: ‹read }"), Expected(.impliesCycle, "implies itself")
        ),
        Case(
            "a circle of two", scopes("  ‹read: { implies: write }\n  write: { implies: read }"),
            Expected(.impliesCycle, "`read` → `write` → `read`", mend: "remove one")),
        Case(
            "a circle beyond a chain",
            scopes("  read: { implies: b }\n  ‹b: { implies: c }\n  c: { implies: d }\n  d: { implies: b }"),
            Expected(.impliesCycle, "`b` → `c` → `d` → `b`")),
        Case(
            "a circle by wildcards",
            scopes(
                "  a:read: {}\n  ‹a:x: { implies: [\"a:*\"] }\n  a:y: { implies: [\"a:*\"] }",
                required: "a:read"),
            Expected(.impliesCycle, "`a:x` → `a:y` → `a:x`")),
        Case("a wildcard", scopes("  a:read: {}\n  a:admin: { implies: a:* }", required: "a:read")),
        Case(
            "a wildcard by dot and slash",
            scopes("  a.b: {}\n  a/b: {}\n  x: { implies: [a.*, a/*] }", required: "[a.b, a/b]")),
        Case("every other scope", scopes("  read: {}\n  root: { implies: \"*\" }")),
        Case(
            "a wildcard that matches only itself", scopes("  read: {}\n  a:x: { implies: ‹a:* }"),
            Expected(.badWildcard, "matches no other scope")),
        Case(
            "a wildcard within a word", scopes("  read: {}\n  x: { implies: ‹rea* }"),
            Expected(.badWildcard, "`rea*` is not understood", mend: "`:*`")),
        Case(
            "a wildcard in the middle", scopes("  read: {}\n  x: { implies: ‹a:*:b }"), Expected(.badWildcard)
        ),
        Case("two wildcards", scopes("  read: {}\n  x: { implies: ‹\"*:*\" }"), Expected(.badWildcard)),
        Case(
            "a scope that no route requires", scopes("  read: {}\n  ‹write: {}"),
            Expected(.unusedScope, "`write`")),
        Case(
            "a scope that is used through what it implies",
            scopes("  read: {}\n  b: { implies: read }\n  c: { implies: b }")),
        Case(
            "scopes as a list", scopes("  ‹- read"), Expected(.wrongType),
            Expected(.unknownScope, mend: "declare it")
        ).markingRoute(),
    ]

    @Test(arguments: cases) func rules(_ one: Case) { check(one) }

    private func closures(_ text: String, required: String) throws -> [String: [String]] {
        let model = try #require(load(scopes(text, required: required)).model)
        var result: [String: [String]] = [:]
        for scope in model.scopes { result[scope.name] = scope.closure.map { model.scopes[Int($0)].name } }
        return result
    }

    @Test func closuresAreTransitive() throws {
        let found = try closures(
            "  d: {}\n  a: { implies: [b, c] }\n  b: { implies: d }\n  c: { implies: d }\n  e: {}",
            required: "[d, e]")
        #expect(
            found == ["a": ["d", "a", "b", "c"], "b": ["d", "b"], "c": ["d", "c"], "d": ["d"], "e": ["e"]])
    }

    /// `orders:*` is `orders:` and what follows, not `orders` and not `orders2:`.
    @Test func wildcardsMatchWholePrefixes() throws {
        let found = try closures(
            "  orders: {}\n  orders:a: {}\n  orders:b:c: {}\n  orders2:a: {}\n  orders-a: {}\n  x: { implies: orders:* }",
            required: "[orders, orders:a, orders:b:c, \"orders2:a\", orders-a]")
        #expect(found["x"] == ["orders:a", "orders:b:c", "x"])
        #expect(found["orders"] == ["orders"])
    }

    /// Against a slow and obvious expansion, over graphs without circles.
    @Test func closuresMatchOracle() throws {
        var state: UInt64 = 42
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        for _ in 0..<40 {
            let count = 2 + random(20)
            let edges = (0..<count).map { scope in (0..<scope).filter { _ in random(4) == 0 } }
            var text = ""
            for scope in 0..<count {
                let implied = edges[scope].map { "s\($0)" }.joined(separator: ", ")
                text += implied.isEmpty ? "  s\(scope): {}\n" : "  s\(scope): { implies: [\(implied)] }\n"
            }
            let all = (0..<count).map { "s\($0)" }.joined(separator: ", ")
            let model = try #require(load(scopes(String(text.dropLast()), required: "[\(all)]")).model)
            for scope in 0..<count {
                var expected: Set<Int> = [scope]
                var grew = true
                while grew {
                    let more = expected.union(expected.flatMap { edges[$0] })
                    grew = more.count > expected.count
                    expected = more
                }
                #expect(model.scopes[scope].closure == expected.sorted().map(UInt16.init))
            }
        }
    }

    /// 65,535 scopes, and one more.
    @Test func limits() {
        var text = ""
        for number in 0..<65_535 { text += "  s\(number): {}\n" }
        let required = "s0"
        #expect(load(scopes(String(text.dropLast()), required: required)).errorCount == 0)
        let policy = load(scopes(text + "  s65535: {}", required: required))
        #expect(policy.diagnostics.map(\.code) == [.limitExceeded])
    }

    /// A chain of all scopes would expand to two thousand million entries.
    @Test func expansionIsBounded() {
        var text = "  s0: {}\n"
        for number in 1..<20_000 { text += "  s\(number): { implies: s\(number - 1) }\n" }
        #expect(
            load(scopes(String(text.dropLast()), required: "s0")).diagnostics.map(\.code) == [.limitExceeded])
        text = ""
        for number in 0..<3_000 { text += "  s\(number): { implies: \"*\" }\n" }
        #expect(
            load(scopes(String(text.dropLast()), required: "s0")).diagnostics.map(\.code) == [.limitExceeded])
    }

    @Test func longCircleIsFoundWithoutRecursion() {
        var text = "  s0: { implies: s59999 }\n"
        for number in 1..<60_000 { text += "  s\(number): { implies: s\(number - 1) }\n" }
        let policy = load(scopes(String(text.dropLast()), required: "s0"))
        #expect(policy.diagnostics.map(\.code) == [.impliesCycle])
    }
}

extension Case {
    /// For a second diagnostic at the scope that the frame's route requires.
    fileprivate func markingRoute() -> Case {
        var copy = self
        copy.marked = marked.replacing("scopes: read }", with: "scopes: ‹read }")
        return copy
    }
}
