/// Comments that allow a finding: `# lint: allow RULE reason`, on its line or on the line before.
///
/// Example: `# lint: allow public_write the login form posts here` allows that rule on the next line that is no comment.
struct LintAllowances {
    private struct Allowance {
        var rule: String
        var place: SourcePlace
        var isUsed = false
    }

    private var allowances: [Allowance] = []
    /// The first allowance of a rule for a line; others are of no use.
    private var byTarget: [Target: Int] = [:]
    /// Comments that begin so and are none.
    private(set) var faults: [LintFinding] = []

    /// Lines that were walked below the last allowance: comments, and the line behind them. In a row of comments each
    /// would otherwise walk over all that follow.
    private var walked = 0...0
    /// Lines that were looked at to tell whether they are comments.
    private(set) var walkedCount = 0

    private struct Target: Hashable {
        var file: String
        var line: Int
        var rule: String
    }

    static let marker = Array("lint:".utf8)
    /// Each rule that can be allowed.
    private let known = Set(LintRule.allCases.map(\.rawValue) + DiagnosticCode.allCases.map(\.rawValue))

    /// - Parameter source: what `YAMLReader` reads without an error.
    mutating func read(_ source: [UInt8], file: String) {
        guard contains(source, LintAllowances.marker), let layout = try? LineLayout.read(source) else { return }
        let lines = LineIndex(source)
        walked = 0...0
        var line = 1
        var scanned = 0
        for range in layout.commentRanges {
            while scanned < range.lowerBound {
                if source[scanned] == 0x0A { line += 1 }
                scanned += 1
            }
            let text = source[range].drop { $0 == 0x23 || $0 == 0x20 || $0 == 0x09 }
            guard text.starts(with: LintAllowances.marker) else { continue }
            let column = layout.columnOf(range.lowerBound) + 1
            let place = SourcePlace(file: file, line: line, column: column)
            add(String(decoding: text.dropFirst(LintAllowances.marker.count), as: UTF8.self), place, lines)
        }
    }

    private mutating func add(_ text: String, _ place: SourcePlace, _ lines: LineIndex) {
        let words = text.split(whereSeparator: { $0 == " " || $0 == "\t" })
        guard words.first == "allow", words.count >= 2 else {
            return fault(
                place, "a comment that begins with `lint:` and allows nothing", "write `# lint: allow RULE reason`")
        }
        let rule = String(words[1])
        guard known.contains(rule) else {
            return fault(
                place, "unknown rule \(quoted(rule))",
                didYouMean(rule, among: known.sorted(), otherwise: "write the name that the finding shows"))
        }
        guard words.count > 2 else {
            return fault(
                place, "\(quoted(rule)) is allowed without a reason",
                "write why behind it, as in `# lint: allow \(rule) INC-42, until the old client is gone`")
        }
        let index = allowances.count
        allowances.append(Allowance(rule: rule, place: place))
        for line in [place.line, lineBelowComments(from: place.line + 1, lines)] {
            let target = Target(file: place.file, line: line, rule: rule)
            byTarget[target] = byTarget[target] ?? index
        }
    }

    /// A comment over comments is for what stands below them all.
    private mutating func lineBelowComments(from first: Int, _ lines: LineIndex) -> Int {
        guard !walked.contains(first) else { return walked.upperBound }
        var line = first
        while isComment(lines.line(line)) { line += 1 }
        walkedCount += line - first + 1
        walked = first...line
        return line
    }

    private func isComment(_ line: ArraySlice<UInt8>) -> Bool {
        line.first { $0 != 0x20 && $0 != 0x09 } == 0x23
    }

    private mutating func fault(_ place: SourcePlace, _ message: String, _ mend: String) {
        faults.append(
            LintFinding(
                rule: LintRule.badAllowance.rawValue, severity: LintRule.badAllowance.severity, place: place,
                message: message, mend: mend))
    }

    /// Whether some comment allows a finding; it is then remembered as used.
    mutating func allows(_ finding: LintFinding) -> Bool {
        let target = Target(file: finding.place.file, line: finding.place.line, rule: finding.rule)
        guard let index = byTarget[target] else { return false }
        allowances[index].isUsed = true
        return true
    }

    /// What nothing was found for: it would hide what comes later.
    var unused: [LintFinding] {
        allowances.filter { !$0.isUsed }.map {
            LintFinding(
                rule: LintRule.unusedAllowance.rawValue, severity: LintRule.unusedAllowance.severity, place: $0.place,
                message: "\(quoted($0.rule)) is allowed here and not found",
                mend: "remove the comment, or move it to the line of the finding or the one before")
        }
    }

    private func contains(_ source: [UInt8], _ wanted: [UInt8]) -> Bool {
        guard source.count >= wanted.count else { return false }
        for start in 0...source.count - wanted.count
        where source[start] == wanted[0] && source[start...].starts(with: wanted) {
            return true
        }
        return false
    }
}
