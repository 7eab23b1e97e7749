internal import PolicyTables

/// A policy on its way from text to models: its files are read once, and then joined for each environment that is asked
/// for.
struct PolicyReading {
    /// The files as they stand, each with its root.
    private struct Forest {
        let tree: SyntaxTree
        let heads: [Fields<TopKey>]
        let environments: EnvironmentList
    }

    private let text: PolicyText
    private let lines: LineIndex
    private let folder: String?
    private let now: Int64
    private let progress: PolicyProgress?
    /// What is wrong for every environment.
    private let sink: DiagnosticSink
    /// nil when some file is no policy at all.
    private let forest: Forest?

    init(_ text: PolicyText, folder: String?, now: Int64, progress: PolicyProgress? = nil) {
        self.text = text
        self.folder = folder
        self.now = now
        self.progress = progress
        let sink = DiagnosticSink(text)
        self.sink = sink
        let lines = LineIndex(text.bytes)
        self.lines = lines
        guard let (tree, roots) = YAMLReader(text, sink: sink, progress: progress).read(lines: lines) else {
            forest = nil
            return
        }
        let reader = ModelReader(tree: tree, sink: sink, lines: lines, now: now, folder: folder)
        let heads = roots.compactMap(reader.readHead)
        guard heads.count == roots.count else {
            forest = nil
            return
        }
        forest = Forest(tree: tree, heads: heads, environments: reader.readEnvironments(heads))
    }

    /// Those that the policy has, in its order; empty also when they could not be read.
    var environmentNames: [String] { forest?.environments.sections.map(\.name) ?? [] }

    /// The policy for one environment, or for none.
    func source(for environment: String?) -> PolicySource {
        let sink = DiagnosticSink(copying: sink)
        guard let forest, let choice = choose(environment, forest, sink) else { return result(sink, nil, environment) }
        let isPlain = text.parts.count == 1 && !forest.environments.isThere && forest.tree.references.isEmpty
        let reader: ModelReader
        if isPlain {
            reader = modelReader(forest.tree, sink)
            reader.readSections(forest.heads[0])
        } else {
            var composition = Composition(forest: forest.tree, sink: sink, lines: lines)
            let tree = composition.tree(forest.heads, choice.section)
            reader = modelReader(tree, sink)
            if let head = reader.fields(0, TopKey.self, at: tree.position(0)) { reader.readSections(head) }
        }
        return result(sink, reader, environment)
    }

    private func modelReader(_ tree: SyntaxTree, _ sink: DiagnosticSink) -> ModelReader {
        ModelReader(tree: tree, sink: sink, lines: lines, now: now, folder: folder, progress: progress)
    }

    /// - Returns: the environment's section, which is nil for a policy without any; nil when the one that was asked for
    ///   is not there, or none was and there must be one, which is reported.
    private func choose(
        _ environment: String?, _ forest: Forest, _ sink: DiagnosticSink
    ) -> (section: EnvironmentSection?, Void)? {
        let list = forest.environments
        guard let environment else {
            guard list.isThere else { return (nil, ()) }
            if !list.sections.isEmpty {
                sink.error(
                    .unknownEnvironment, at: list.position,
                    "the policy says different things for \(quotedList(environmentNames)), and none of them was named",
                    mend: "name the one that it is read for with `--environment`; a daemon gets it by "
                        + "`serve --environment`, `environment:` in its configuration, or `policy apply --environment`")
            }
            return nil
        }
        guard list.isThere else {
            sink.error(
                .unknownEnvironment, at: SourcePosition(line: 1, column: 1),
                "the policy has no `environments`, and is read for \(quoted(environment))",
                mend: "leave `--environment` out, or write `environments:` with \(quoted(environment)) below it")
            return nil
        }
        guard let section = list.sections.first(where: { $0.name == environment }) else {
            if !list.sections.isEmpty {
                sink.error(
                    .unknownEnvironment, at: list.position,
                    "the policy has no environment \(quoted(environment))",
                    mend: didYouMean(
                        environment, among: environmentNames,
                        otherwise: "name one that it has: \(quotedList(environmentNames, joint: "or"))"))
            }
            return nil
        }
        return (section, ())
    }

    private func result(_ sink: DiagnosticSink, _ reader: ModelReader?, _ environment: String?) -> PolicySource {
        let shown = sink.shown
        return PolicySource(
            model: sink.errorCount == 0 ? reader?.model : nil, tests: reader?.tests.map(placed) ?? [],
            diagnostics: shown, omittedCount: sink.errorCount + sink.warningCount - shown.count,
            errorCount: sink.errorCount, warningCount: sink.warningCount,
            routePositions: reader?.routePositions ?? [], environment: environment, text: text,
            impliedCounts: reader?.scopeNotes.impliedCounts ?? [])
    }

    /// A test with its place in its own file.
    private func placed(_ test: PolicyTest) -> PolicyTest {
        var test = test
        let place = text.place(of: test.position)
        test.file = place.file
        test.position = SourcePosition(line: place.line, column: place.column)
        test.expectationPosition.line = text.place(of: test.expectationPosition).line
        return test
    }
}
