internal import Kernel
internal import Octets
internal import Signatures
internal import Synchronization
internal import Tokens

/// What a service publishes of itself, and where.
public struct DriftSource: Sendable, Equatable {
    public enum Kind: String, Sendable, CaseIterable {
        case openAPI = "openapi"
        case metadata
        case manifest
    }

    /// Of the policy.
    public var service: String
    public var kind: Kind
    /// An https URL, or a file.
    public var place: String
    /// Security schemes of an OpenAPI document that are this policy's tokens; empty takes all that are access tokens.
    public var schemes: [String] = []
    /// Values of variables in the URLs of an OpenAPI document's servers; the others have all that the document lists.
    public var serverVariables: [String: [String]] = [:]
    /// PEM file of private certificate authorities.
    public var authorityFile: String?

    public init(service: String, kind: Kind, place: String) {
        self.service = service
        self.kind = kind
        self.place = place
    }
}

/// Holds what services publish of themselves against the policy in force, again and again, and says in the log when
/// they drift apart: `policy_drift`, `policy_drift_ended`, and `drift_unavailable` when it cannot be told.
///
/// A child process fetches, reads and compares (`policy drift`), so that neither a document's size nor a fault in the
/// reading of it is the daemon's.
final class DriftDesk: Sendable {
    enum Condition: Sendable, Equatable {
        /// Not looked at yet.
        case unknown
        case same
        /// Of the findings, which are told again only when they change.
        case drifting(count: Int, findings: Digest)
        /// Why, for people.
        case unavailable(String)
    }

    /// How a comparison ended and what it said.
    struct Answer: Sendable {
        var end: ChildResult.End
        var output: [UInt8] = []
        var errors: [UInt8] = []
    }

    /// Longest that one comparison may take, with its fetch.
    static let childMillisecondsMax: Int64 = 60_000
    static let childOutputBytesMax = 4 << 20
    static let sourcesMax = 256

    private let sources: [DriftSource]
    private let everyMilliseconds: Int32
    private let policy: @Sendable () -> [UInt8]?
    private let run: @Sendable (_ arguments: [String], _ input: [UInt8]) throws(SystemError) -> Answer
    private let log: EventLog
    private let conditions: Mutex<[Condition]>
    private let ticking = Mutex<RecurringTask?>(nil)
    private let isStopping = Atomic<Bool>(false)

    /// - Parameters:
    ///   - everySeconds: between two comparisons, from 60.
    ///   - policy: the active version's source as it is stored; nil when there is none. Called on a thread of its own.
    ///   - run: this program as a child.
    init(
        sources: [DriftSource], everySeconds: Int64, log: EventLog, policy: @escaping @Sendable () -> [UInt8]?,
        run: @escaping @Sendable ([String], [UInt8]) throws(SystemError) -> Answer = DriftDesk.runSelf
    ) {
        self.sources = Array(sources.prefix(DriftDesk.sourcesMax))
        everyMilliseconds = Int32(clamping: max(60, min(everySeconds, 2_000_000)) * 1_000)
        self.policy = policy
        self.run = run
        self.log = log
        conditions = Mutex(Array(repeating: .unknown, count: min(sources.count, DriftDesk.sourcesMax)))
    }

    @Sendable static func runSelf(_ arguments: [String], _ input: [UInt8]) throws(SystemError) -> Answer {
        let limits = ChildLimits(
            deadlineMilliseconds: childMillisecondsMax, outputBytesMax: childOutputBytesMax)
        let result = try ChildProcess.runSelf(arguments: arguments, input: input, limits: limits)
        return Answer(end: result.end, output: result.standardOutput, errors: result.standardError)
    }

    /// How each source stood when it was last looked at.
    var states: [(source: DriftSource, condition: Condition)] {
        conditions.withLock { Array(zip(sources, $0)).map { ($0, $1) } }
    }

    func start() throws(SystemError) {
        guard !sources.isEmpty else { return }
        let task = try RecurringTask(name: "drift", everyMilliseconds: everyMilliseconds, startsAtOnce: true) {
            [weak self] in self?.compare()
        }
        try task.start()
        ticking.withLock { $0 = task }
    }

    /// Does not wait for a comparison that is under way: it changes nothing, and its child ends with the daemon.
    func stop() {
        isStopping.store(true, ordering: .relaxed)
        ticking.withLock { $0 }?.requestStop()
    }

    /// Compares every source once.
    func compare() {
        guard let policy = policy() else { return }
        for (index, source) in sources.enumerated() where !isStopping.load(ordering: .relaxed) {
            let found = condition(of: source, policy)
            let before = conditions.withLock { conditions in
                let before = conditions[index]
                conditions[index] = found
                return before
            }
            if found != before { tell(source, found, before) }
        }
    }

    static func arguments(_ source: DriftSource) -> [String] {
        var arguments = [
            "policy", "drift", "--policy-on-input", "--json", "--service=\(source.service)",
            "--\(source.kind.rawValue)=\(source.place)",
        ]
        arguments += source.schemes.map { "--security=\($0)" }
        for (name, values) in source.serverVariables.sorted(by: { $0.key < $1.key }) {
            arguments += values.map { "--server-variable=\(name)=\($0)" }
        }
        if let file = source.authorityFile { arguments.append("--ca-file=\(file)") }
        return arguments
    }

    private func condition(of source: DriftSource, _ policy: [UInt8]) -> Condition {
        let result: Answer
        do throws(SystemError) {
            result = try run(DriftDesk.arguments(source), policy)
        } catch {
            return .unavailable("\(error)")
        }
        switch result.end {
        case .exited(0): return .same
        case .exited(1):
            guard let findings = DriftDesk.findings(result.output) else {
                return .unavailable("the comparison gave no report")
            }
            return findings
        case .exited:
            let words = String(decoding: result.errors.prefix(2_000), as: UTF8.self)
            return .unavailable(words.split(separator: "\n").first.map(String.init) ?? "the comparison failed")
        case .signalled(let signal): return .unavailable("the comparison ended by signal \(signal)")
        case .deadlinePassed: return .unavailable("the comparison took too long")
        case .outputTooLong: return .unavailable("there are too many differences to list")
        }
    }

    /// How many findings a report has. The texts themselves stay with the command.
    private static func findings(_ report: [UInt8]) -> Condition? {
        var index = JSONIndex()
        guard (try? index.read(report.span, limits: JSONLimits(depthMax: 8, valuesMax: 65_536))) != nil,
            let root = index.root, let list = index.member("findings", of: root, in: report.span)
        else { return nil }
        // Lines of a document move without anything else changing.
        var told: [UInt8] = []
        var item = index.child(after: nil, of: list)
        while let finding = item {
            for name: StaticString in ["kind", "subject", "message"] {
                told += index.member(name, of: finding, in: report.span)?.string(in: report.span) ?? []
                told.append(0)
            }
            item = index.child(after: finding, of: list)
        }
        return .drifting(count: index.childCount(of: list), findings: sha256(told.span))
    }

    private func tell(_ source: DriftSource, _ found: Condition, _ before: Condition) {
        let fields = [("service", source.service), ("source", source.place)]
        let command = "scopecheck policy drift --service \(source.service) --\(source.kind.rawValue) \(source.place)"
        switch found {
        case .unknown: break
        case .same:
            if case .drifting = before {
                log.write(.info, "policy_drift_ended", "what the service publishes and the policy agree again", fields)
            }
        case .drifting(let count, _):
            log.write(
                .warning, "policy_drift",
                "what the service publishes and the policy differ; `\(command)` with the policy says in what",
                fields + [("differences", String(count))])
        case .unavailable(let problem):
            log.write(
                .warning, "drift_unavailable", "whether the service drifts from the policy cannot be told: \(problem)",
                fields)
        }
    }
}
