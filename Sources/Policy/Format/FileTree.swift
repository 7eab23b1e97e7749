/// One file of a policy by itself: its tree, without what it means.
struct FileTree {
    /// nil when the file is no YAML that the language takes.
    let tree: SyntaxTree?
    /// What is wrong with it.
    let diagnostics: [Diagnostic]

    init(_ source: [UInt8], file: String) {
        let text = PolicyText(source, label: file)
        let sink = DiagnosticSink(text)
        let read = YAMLReader(text, sink: sink).read(lines: LineIndex(source))
        tree = sink.errorCount == 0 ? read?.tree : nil
        diagnostics = sink.shown
    }
}
