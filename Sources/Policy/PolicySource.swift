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
    /// For each service of the model the place of each of its routes, in the order of the model. Lines count through
    /// all files of the policy; `place(of:)` finds the file.
    public var routePositions: [[SourcePosition]]
    /// The environment that the policy was read for; nil when it has none.
    public var environment: String?
    /// What it was read from, for excerpts.
    let text: PolicyText
    /// For each scope that the policy declares how many it implies by what it says itself, wildcards expanded.
    var impliedCounts: [Int] = []

    public var hasErrors: Bool { errorCount > 0 }

    /// The file and the line in it of a position in the whole policy.
    public func place(of position: SourcePosition) -> SourcePlace { text.place(of: position) }
}

/// What is done with a policy while it is read.
public enum PolicyStage: Sendable {
    /// Of so many bytes.
    case reading
    /// Of so many values.
    case checking
}

/// Called now and then while a policy is read: how much of how much is done.
public typealias PolicyProgress = (_ stage: PolicyStage, _ done: Int, _ total: Int) -> Void

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
    PolicyReading(PolicyText(source, label: file), folder: folder, now: now).source(for: nil)
}

/// Reads a policy of several files, or one that is read for an environment.
///
/// The files make one policy: each is written in the language by itself, their sections are joined, and a name that
/// two of them define is an error; none overrides another. Each file is read even when another is no YAML, the
/// joined policy only when all of them are.
/// - Parameters:
///   - labels: how messages name the files, in the bundle's order; nil takes their names.
///   - folder: where relative paths of key and authority files start; nil keeps them as written.
///   - now: Unix seconds.
public func loadPolicy(
    bundle: PolicyBundle, labels: [String]? = nil, folder: String? = nil, now: Int64, progress: PolicyProgress? = nil
) -> PolicySource {
    PolicyReading(PolicyText(bundle, labels: labels), folder: folder, now: now, progress: progress)
        .source(for: bundle.environment)
}

/// Reads a policy for each of its environments, or once when it has none; the bundle's own is left aside.
public func loadEveryEnvironment(
    bundle: PolicyBundle, labels: [String]? = nil, folder: String? = nil, now: Int64, progress: PolicyProgress? = nil
) -> [PolicySource] {
    let reading = PolicyReading(PolicyText(bundle, labels: labels), folder: folder, now: now, progress: progress)
    let names = reading.environmentNames
    return names.isEmpty ? [reading.source(for: nil)] : names.map { reading.source(for: $0) }
}
