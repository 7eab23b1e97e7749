public import PolicyTables

/// What became of a policy source.
public struct PolicySource: Sendable {
    /// nil when there is any error.
    public var model: PolicyModel?
    /// The policy's own tests; only those that could be read when there are errors.
    public var tests: [PolicyTest]
    /// At most 100, by position; errors first when there are more than that.
    public var diagnostics: [Diagnostic]
    /// How many more there are.
    public var omittedCount: Int
    public var errorCount: Int
    public var warningCount: Int
    /// For each service of the model the place of each of its routes, in the order of the model.
    public var routePositions: [[SourcePosition]]

    public var hasErrors: Bool { errorCount > 0 }
}

/// Reads a policy: bytes to YAML to a checked model, with everything that is wrong at once.
///
/// Never traps and never throws: a source that is not even YAML gives the one diagnostic that says so. Time
/// and memory grow with the size of the source, whatever it holds; nothing in it is expanded (aliases are
/// refused).
/// - Parameters:
///   - source: UTF-8, at most 512 MiB.
///   - file: how messages name the source.
///   - folder: where relative paths of key and authority files start; nil keeps them as written.
///   - now: Unix seconds, to tell whether observe mode has ended.
public func loadPolicy(source: [UInt8], file: String, folder: String? = nil, now: Int64) -> PolicySource {
    let sink = DiagnosticSink(file: file)
    let lines = LineIndex(source)
    var check = SourceCheck(sink: sink)
    guard check.run(source), let tree = YAMLReader(source, sink: sink).read(lines: lines) else {
        return result(sink, nil)
    }
    let reader = ModelReader(tree: tree, sink: sink, lines: lines, now: now, folder: folder)
    reader.readPolicy()
    return result(sink, reader)
}

private func result(_ sink: DiagnosticSink, _ reader: ModelReader?) -> PolicySource {
    PolicySource(
        model: sink.errorCount == 0 ? reader?.model : nil, tests: reader?.tests ?? [],
        diagnostics: sink.shown,
        omittedCount: sink.omittedCount, errorCount: sink.errorCount, warningCount: sink.warningCount,
        routePositions: reader?.routePositions ?? [])
}
