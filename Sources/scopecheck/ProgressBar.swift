internal import Kernel

/// How far long work has come, as one line on standard error that is written over. Nothing where that is no terminal,
/// and nothing of work that is done within a fifth of a second.
///
///     checking  [=============>        ]  62 %
final class ProgressBar {
    private static let delayNanoseconds: Int64 = 200_000_000
    /// A person sees no more of them.
    private static let intervalNanoseconds: Int64 = 50_000_000
    private static let width = 30

    private let isOnTerminal = isTerminal(2)
    private let startedAt = SystemClock.monotonicNanoseconds()
    private var shownAt: Int64 = 0
    private var isShown = false

    /// - Parameter task: one word or a few, as in `reading`.
    func show(_ task: String, _ done: Int, of total: Int) {
        guard isOnTerminal else { return }
        let time = SystemClock.monotonicNanoseconds()
        guard time - startedAt >= ProgressBar.delayNanoseconds,
            !isShown || time - shownAt >= ProgressBar.intervalNanoseconds
        else { return }
        isShown = true
        shownAt = time
        let share = total > 0 ? min(max(Double(done) / Double(total), 0), 1) : 0
        let filled = Int(share * Double(ProgressBar.width))
        let bar = String(repeating: "=", count: filled) + (filled < ProgressBar.width ? ">" : "")
        let rest = String(repeating: " ", count: max(0, ProgressBar.width - filled - 1))
        let percent = "\(Int(share * 100))"
        let pad = String(repeating: " ", count: max(0, 4 - percent.count))
        // Carriage return and "erase to the end of the line" (ECMA-48, EL).
        write("\r\(task)  [\(bar)\(rest)]\(pad)\(percent) %\u{1B}[K")
    }

    private func write(_ text: String) { _ = writeAll(2, Array(text.utf8).span) }

    /// Takes the bar away, before anything else is written.
    func finish() {
        guard isShown else { return }
        isShown = false
        write("\r\u{1B}[K")
    }
}
