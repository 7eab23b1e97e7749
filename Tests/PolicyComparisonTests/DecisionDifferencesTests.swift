import PolicyComparison
import Testing
import Tokens

@Suite struct DecisionDifferencesTests {
    private func kind(_ client: String, _ before: String = "granted", _ after: String = "insufficient_scope")
        -> DecisionDifferences.Kind
    {
        DecisionDifferences.Kind(
            client: client, routeBefore: "orders GET /orders", routeAfter: "orders GET /orders", before: before,
            after: after)
    }

    @Test func countsKeepsTheFirstExampleAndTheSpan() {
        var differences = DecisionDifferences()
        differences.addSame()
        differences.addUnknown()
        for (at, name) in [(50, "second"), (10, "first"), (70, "third")] as [(Int64, String)] {
            differences.addDifferent(kind("web"), allowedBefore: true, allowedAfter: false, at: at) { name }
        }
        let row = differences.sorted.first
        #expect(differences.sorted.count == 1)
        #expect(row?.count == 3)
        #expect(row?.example == "second")
        #expect(row?.firstAt == 10)
        #expect(row?.lastAt == 70)
        #expect(row?.direction == .closes)
        #expect(differences.sameCount == 1)
        #expect(differences.unknownCount == 1)
        #expect(differences.count(.closes) == 3)
        #expect(differences.count(.opens) == 0)
    }

    @Test func whatOpensStandsFirst() {
        var differences = DecisionDifferences()
        for _ in 0..<5 {
            differences.addDifferent(kind("a"), allowedBefore: true, allowedAfter: false, at: 1) { "" }
        }
        differences.addDifferent(
            kind("b", "insufficient_scope", "unknown_route"), allowedBefore: false, allowedAfter: false, at: 1
        ) { "" }
        differences.addDifferent(
            kind("c", "insufficient_scope", "granted"), allowedBefore: false, allowedAfter: true, at: 1
        ) { "" }
        #expect(differences.sorted.map(\.direction) == [.opens, .closes, .shifts])
    }

    @Test func kindsBeyondTheBoundAreCountedTogether() {
        var differences = DecisionDifferences()
        for number in 0..<DecisionDifferences.kindsMax + 7 {
            differences.addDifferent(kind("\(number)"), allowedBefore: false, allowedAfter: true, at: 1) { "e" }
        }
        // Known kinds go on being counted.
        differences.addDifferent(kind("0"), allowedBefore: false, allowedAfter: true, at: 2) { "e" }
        #expect(differences.sorted.count == DecisionDifferences.kindsMax)
        #expect(differences.othersCount == 7)
        #expect(differences.differentCount == DecisionDifferences.kindsMax + 8)
        #expect(differences.count(.opens) == DecisionDifferences.kindsMax + 1)
    }

    @Test func textShowsNoControlCharacters() {
        var differences = DecisionDifferences()
        differences.addDifferent(kind("a\u{1B}[2J\u{9B}\n"), allowedBefore: true, allowedAfter: false, at: 1) { "x\r" }
        let text = differences.text(rowsMax: 10) { "\($0)" }
        #expect(text.contains("client a?[2J??"))
        #expect(text.contains("as x?, last at 1"))
        #expect(text.hasSuffix("0 unknown"))
    }

    @Test func jsonIsOneObject() throws {
        var differences = DecisionDifferences()
        for number in 0..<3 {
            differences.addDifferent(kind("\"\(number)"), allowedBefore: true, allowedAfter: false, at: 1) { "e" }
        }
        var writer = JSONObjectWriter()
        differences.add(to: &writer, rowsMax: 2)
        let text = writer.text()
        try JSON.validate(text.span, depthMax: 4)
        #expect(String(decoding: text, as: UTF8.self).contains("\"closes\":3"))
    }

    @Test func addingAnotherTallyAddsKindByKind() {
        var one = DecisionDifferences()
        var other = DecisionDifferences()
        one.addDifferent(kind("a"), allowedBefore: true, allowedAfter: false, at: 5) { "e" }
        other.addDifferent(kind("a"), allowedBefore: true, allowedAfter: false, at: 3) { "f" }
        other.addDifferent(kind("b"), allowedBefore: true, allowedAfter: false, at: 9) { "g" }
        other.addSame()
        one.add(other)
        #expect(one.sorted.map(\.count) == [2, 1])
        #expect(one.sorted.first?.firstAt == 3)
        #expect(one.sameCount == 1)
        #expect(one.differentCount == 3)
    }
}
