import Testing

@testable import Policy

/// What `policy fmt` costs: in step with the length of a source, however it is broken into lines.
@Suite struct FormatWorkTests {
    /// One line with a mark every few bytes.
    private static func line(_ count: Int) -> [UInt8] {
        Array(("a: [" + String(repeating: "é, \"b\" ,", count: count) + "c] # d\n").utf8)
    }

    @Test(arguments: [100, 10_000]) func columnsOfOneLongLine(_ count: Int) throws {
        let source = FormatWorkTests.line(count)
        let layout = try LineLayout.read(source)
        #expect(layout.countedBytes == source.count - "# d\n".count, "each byte once, up to the last mark")
        #expect(layout.lines.last?.commentColumn == "a: [".count + 8 * count + "c] ".count)
    }

    @Test func oneLongLineIsFormatted() throws {
        let count = 20_000
        let source = FormatWorkTests.line(count)
        let expected = Array(("a: [" + String(repeating: "é, \"b\", ", count: count) + "c] # d\n").utf8)
        #expect(try formatPolicy(source: source, file: "p.yaml") == expected)
        // What is written is read again.
        let countedBytes = try LineLayout.read(source).countedBytes + LineLayout.read(expected).countedBytes
        #expect(countedBytes == source.count + expected.count - 2 * "# d\n".count)
    }

    /// Blank lines that go, above a line with as many bytes.
    @Test func differenceBesideOneLongLine() throws {
        let count = 40_000
        let list = String(repeating: "c,", count: count) + "d]\n"
        let written = String(repeating: "c, ", count: count) + "d]\n"
        let before = Array(("a: 1\n" + String(repeating: "\n", count: count) + "b:   [" + list).utf8)
        let after = Array(("a: 1\n\nb:   [" + written).utf8)
        #expect(try formatPolicy(source: before, file: "p.yaml") == after)
        let expected =
            "--- p.yaml\n+++ p.yaml (formatted)\n@@ -1,\(count + 2) +1,3 @@\n a: 1\n \n"
            + String(repeating: "-\n", count: count - 1) + "-b:   [" + list + "+b:   [" + written
        #expect(formatDifference(before: before, after: after, file: "p.yaml") == expected)
        let countedBytes = LineDifference(before, after).countedBytes
        #expect(countedBytes <= 3 * (before.count + after.count), "not the long line again beside each blank one")
    }
}
