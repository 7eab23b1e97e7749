/// What formatting would change, as `diff -u` shows it.
///
/// A formatter moves spaces and adds or removes blank lines; so lines with the same other characters belong together, and
/// one walk through both texts finds all differences.
/// - Returns: empty when the texts are the same.
public func formatDifference(before: [UInt8], after: [UInt8], file: String) -> String {
    let steps = LineDifference(before, after).steps
    guard steps.contains(where: { $0.mark != 0x20 }) else {
        return before == after ? "" : "--- \(file)\n+++ \(file) (formatted)\nline ends differ\n"
    }
    var text = "--- \(file)\n+++ \(file) (formatted)\n"
    let changed = steps.indices.filter { steps[$0].mark != 0x20 }
    var index = 0
    while index < changed.count {
        var last = index
        while last + 1 < changed.count, changed[last + 1] - changed[last] <= 2 * contextLines { last += 1 }
        let range = max(0, changed[index] - contextLines)..<min(steps.count, changed[last] + contextLines + 1)
        append(steps[range], to: &text)
        index = last + 1
    }
    return text
}

private let contextLines = 3

/// Two texts line by line.
struct LineDifference {
    struct Step {
        /// Space, `-` or `+`.
        var mark: UInt8
        /// Lines from 1 that the step stands at in each text.
        var old: Int
        var new: Int
        var text: ArraySlice<UInt8>
    }

    private(set) var steps: [Step] = []
    /// Bytes of the lines that were looked at, a line taken whole each time: three times those of both texts at most.
    private(set) var countedBytes = 0
    /// Lines that were taken of each text.
    private var one = 0
    private var other = 0

    init(_ before: [UInt8], _ after: [UInt8]) {
        let old = splitLines(before)
        let new = splitLines(after)
        // Told once: one long line may stand beside many blank ones.
        let isBlankOld = old.map { squeezed($0).isEmpty }
        let isBlankNew = new.map { squeezed($0).isEmpty }
        while one < old.count || other < new.count {
            if one < old.count, other < new.count {
                if isSame(old[one], new[other]) {
                    add(0x20, new[other])
                    one += 1
                    other += 1
                    continue
                }
                if isBlankOld[one] == isBlankNew[other], squeezed(old[one]).elementsEqual(squeezed(new[other])) {
                    add(0x2D, old[one])
                    one += 1
                    add(0x2B, new[other])
                    other += 1
                    continue
                }
            }
            // One of the two is a blank line that the other text does not have.
            if one < old.count, other >= new.count || isBlankOld[one] {
                add(0x2D, old[one])
                one += 1
            } else if other < new.count {
                add(0x2B, new[other])
                other += 1
            }
        }
    }

    private mutating func add(_ mark: UInt8, _ text: ArraySlice<UInt8>) {
        steps.append(Step(mark: mark, old: one + 1, new: other + 1, text: text))
    }

    /// Costs no more than the line that is taken next: they are of one length.
    private mutating func isSame(_ line: ArraySlice<UInt8>, _ other: ArraySlice<UInt8>) -> Bool {
        guard line.count == other.count else { return false }
        countedBytes += line.count
        return line == other
    }

    private mutating func squeezed(_ line: ArraySlice<UInt8>) -> LazyFilterSequence<ArraySlice<UInt8>> {
        countedBytes += line.count
        return line.lazy.filter { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }
    }
}

private func splitLines(_ text: [UInt8]) -> [ArraySlice<UInt8>] {
    var lines = text.split(separator: 0x0A, omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    return lines
}

private func append(_ steps: ArraySlice<LineDifference.Step>, to text: inout String) {
    guard let first = steps.first else { return }
    let oldCount = steps.reduce(0) { $0 + ($1.mark != 0x2B ? 1 : 0) }
    let newCount = steps.reduce(0) { $0 + ($1.mark != 0x2D ? 1 : 0) }
    text += "@@ -\(first.old),\(oldCount) +\(first.new),\(newCount) @@\n"
    for step in steps {
        text.unicodeScalars.append(Unicode.Scalar(step.mark))
        text += String(decoding: step.text, as: UTF8.self) + "\n"
    }
}
