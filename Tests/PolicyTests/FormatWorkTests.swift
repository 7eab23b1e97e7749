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
        #expect(layout.countedBytes <= source.count)
        #expect(layout.lines.last?.commentColumn == "a: [".count + 8 * count + "c] ".count)
    }

    @Test func oneLongLineIsFormatted() throws {
        let count = 20_000
        let result = try formatPolicy(source: FormatWorkTests.line(count), file: "p.yaml")
        let expected = "a: [" + String(repeating: "é, \"b\", ", count: count) + "c]"
        #expect(String(decoding: result, as: UTF8.self).hasPrefix(expected))
        #expect(result.last == 0x0A)
    }

    /// Blank lines that go, above a line with as many bytes.
    @Test func differenceBesideOneLongLine() throws {
        let count = 40_000
        let text =
            "a: 1\n" + String(repeating: "\n", count: count) + "b:   [" + String(repeating: "c,", count: count) + "d]\n"
        let before = Array(text.utf8)
        let after = try formatPolicy(source: before, file: "p.yaml")
        let lines = formatDifference(before: before, after: after, file: "p.yaml").split(separator: "\n")
        #expect(lines.count { $0 == "-" } == count - 1)
    }
}
