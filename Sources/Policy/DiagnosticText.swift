/// Diagnostics for people:
/// ```
/// policy.yaml:12:9: error: unknown scope `orders:raed`
///       - { match: GET /orders, scopes: orders:raed }
///                                       ^
///   mend: did you mean `orders:read`?
/// ```
/// What does not hold for every environment says for which: ``unknown value `${host}` (in `staging`)``.
public func diagnosticsText(_ report: DiagnosticReport) -> String {
    let lines = LineIndex(report.text.bytes)
    let firstLines = Dictionary(report.text.parts.map { ($0.label, $0.firstLine) }) { first, _ in first }
    var result = ""
    for diagnostic in report.diagnostics {
        let firstLine = firstLines[diagnostic.file] ?? 1
        append(diagnostic, lines.line(diagnostic.line + firstLine - 1), to: &result)
    }
    if report.omittedCount > 0 {
        result += "and \(report.omittedCount) more; mend these first and check again\n"
    }
    return result
}

public func diagnosticsText(_ policy: PolicySource) -> String { diagnosticsText(DiagnosticReport(policy)) }

/// Of one file that was read by itself.
public func diagnosticsText(_ diagnostics: [Diagnostic], source: [UInt8]) -> String {
    let lines = LineIndex(source)
    var result = ""
    for diagnostic in diagnostics { append(diagnostic, lines.line(diagnostic.line), to: &result) }
    return result
}

private func append(_ diagnostic: Diagnostic, _ line: ArraySlice<UInt8>, to result: inout String) {
    let place = "\(diagnostic.file):\(diagnostic.line):\(diagnostic.column)"
    let environments = diagnostic.environments.isEmpty ? "" : " (in \(quotedList(diagnostic.environments)))"
    result += "\(place): \(diagnostic.severity.rawValue): \(diagnostic.message)\(environments)\n"
    appendExcerpt(line, column: diagnostic.column, to: &result)
    result += "  mend: \(diagnostic.mend)\n"
    for note in diagnostic.notes {
        result += "  note: \(note.file):\(note.position.line):\(note.position.column): \(note.message)\n"
    }
}

/// Characters of a source line that are shown, the marked one among them: a line may have megabytes.
private let excerptCharactersMax = 120
/// Looked through for the marked character; a mark further on is shown without its line.
private let searchedBytesMax = 65_536

private func appendExcerpt(_ line: ArraySlice<UInt8>, column: Int, to result: inout String) {
    let text = String(decoding: line.prefix(searchedBytesMax), as: UTF8.self)
    let scalars = Array(text.unicodeScalars)
    guard column >= 1, column <= scalars.count + 1, !scalars.isEmpty else { return }
    var first = 0
    if column > excerptCharactersMax - 20 { first = column - excerptCharactersMax / 2 }
    let last = min(scalars.count, first + excerptCharactersMax)
    var shown = first > 0 ? "…" : ""
    var mark = first > 0 ? " " : ""
    for index in first..<last {
        let scalar = scalars[index]
        // A tab stays one, so that the mark stands below its place; other invisible characters show as one.
        shown.unicodeScalars.append(isVisible(scalar) || scalar == "\t" ? scalar : "\u{FFFD}")
        if index < column - 1 { mark += scalar == "\t" ? "\t" : " " }
    }
    if last < scalars.count { shown += "…" }
    result += shown + "\n" + mark + "^\n"
}

/// Diagnostics for programs: one JSON object with `diagnostics`, `errors`, `warnings` and `omitted`. One that does not
/// hold for every environment has `environments`.
public func diagnosticsJSON(_ report: DiagnosticReport) -> String {
    var writer = JSONText()
    writer.object {
        $0.array("diagnostics", report.diagnostics) { writer, diagnostic in
            writer.object {
                $0.member("severity", diagnostic.severity.rawValue)
                $0.member("code", diagnostic.code.name)
                $0.member("file", diagnostic.file)
                $0.member("line", diagnostic.line)
                $0.member("column", diagnostic.column)
                $0.member("message", diagnostic.message)
                $0.member("mend", diagnostic.mend)
                if !diagnostic.environments.isEmpty { $0.member("environments", diagnostic.environments) }
                $0.array("notes", diagnostic.notes) { writer, note in
                    writer.object {
                        $0.member("file", note.file)
                        $0.member("line", note.position.line)
                        $0.member("column", note.position.column)
                        $0.member("message", note.message)
                    }
                }
            }
        }
        $0.member("errors", report.errorCount)
        $0.member("warnings", report.warningCount)
        $0.member("omitted", report.omittedCount)
    }
    return writer.text
}

public func diagnosticsJSON(_ policy: PolicySource) -> String { diagnosticsJSON(DiagnosticReport(policy)) }
