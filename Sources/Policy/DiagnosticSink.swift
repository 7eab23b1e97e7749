/// Gathers diagnostics. Keeps a bounded number and counts the rest, so that a source of a million faults
/// costs no more than one of a hundred: texts are only made for those that are kept.
final class DiagnosticSink {
    /// Shown at most; beyond it a person mends the first ones and asks again.
    static let shownMax = 100
    /// Kept of each severity before sorting: checks over the whole policy come after the walk through it.
    private static let keptMax = 2 * DiagnosticSink.shownMax

    /// With its place in the whole text, which sorts by file and line.
    private typealias Kept = (position: SourcePosition, diagnostic: Diagnostic)

    let text: PolicyText
    private var errors: [Kept] = []
    private var warnings: [Kept] = []
    private(set) var errorCount = 0
    private(set) var warningCount = 0
    /// Of texts with `${name}` where the first of their values is defined, by the text's position.
    private var origins: [SourcePosition: SourcePosition] = [:]
    private static let originsMax = 100_000

    init(_ text: PolicyText) {
        self.text = text
    }

    /// What was found so far, to go on from twice.
    init(copying other: DiagnosticSink) {
        text = other.text
        errors = other.errors
        warnings = other.warnings
        errorCount = other.errorCount
        warningCount = other.warningCount
    }

    /// Whatever is wrong at a position from now on may be wrong with the value that was put in there.
    func explain(_ position: SourcePosition, byValueAt origin: SourcePosition) {
        guard origins.count < DiagnosticSink.originsMax else { return }
        origins[position] = origin
    }

    /// - Parameter position: in the whole text, like those of notes.
    func error(
        _ code: DiagnosticCode, at position: SourcePosition, _ message: @autoclosure () -> String,
        mend: @autoclosure () -> String, notes: @autoclosure () -> [Diagnostic.Note] = []
    ) {
        errorCount += 1
        guard errors.count < DiagnosticSink.keptMax else { return }
        errors.append((position, make(.error, code, position, message(), mend(), notes())))
    }

    func warning(
        _ code: DiagnosticCode, at position: SourcePosition, _ message: @autoclosure () -> String,
        mend: @autoclosure () -> String, notes: @autoclosure () -> [Diagnostic.Note] = []
    ) {
        warningCount += 1
        guard warnings.count < DiagnosticSink.keptMax else { return }
        warnings.append((position, make(.warning, code, position, message(), mend(), notes())))
    }

    /// `line 6`, or ``line 6 of `orders.yaml` `` when that is another file than the one of `here`.
    func lineName(of position: SourcePosition, from here: SourcePosition) -> String {
        text.lineName(of: position, from: here)
    }

    private func make(
        _ severity: Diagnostic.Severity, _ code: DiagnosticCode, _ position: SourcePosition,
        _ message: String, _ mend: String, _ notes: [Diagnostic.Note]
    ) -> Diagnostic {
        let place = text.place(of: position)
        var notes = notes
        if let origin = origins[position] {
            notes.append(Diagnostic.Note(position: origin, message: "the value is defined here"))
        }
        return Diagnostic(
            severity: severity, code: code, file: place.file, line: place.line, column: place.column,
            message: message, mend: mend, notes: notes.map(placed))
    }

    private func placed(_ note: Diagnostic.Note) -> Diagnostic.Note {
        let place = text.place(of: note.position)
        var note = note
        note.file = place.file
        note.position = SourcePosition(line: place.line, column: place.column)
        return note
    }

    /// What is shown, by position: errors first when there is no room for all.
    var shown: [Diagnostic] {
        let firstErrors = errors.sorted { $0.position < $1.position }.prefix(DiagnosticSink.shownMax)
        let room = DiagnosticSink.shownMax - firstErrors.count
        let firstWarnings = warnings.sorted { $0.position < $1.position }.prefix(room)
        return (firstErrors + firstWarnings).sorted { $0.position < $1.position }.map(\.diagnostic)
    }
}
