internal import PolicyTables

/// Says what is allowed in a policy and seldom meant: the warnings of `check`, and rules of its own (`LintRule`).
///
/// A rule that cries wolf is switched off, so each is kept to what can be told from the policy alone and is wrong nearly
/// always; what is meant all the same is allowed by a comment with its reason (`LintAllowances`).
/// - Parameters:
///   - policy: one without errors; its warnings become findings.
///   - files: what it was read from, under the labels of its messages.
///   - environment: the one that it was read for.
///   - now: Unix seconds; what ends within 14 days is reported.
/// - Returns: nil when the policy has errors, which are in its diagnostics.
public func lintPolicy(_ policy: PolicySource, files: [LintFile], environment: String?, now: Int64) -> LintReport? {
    guard let model = policy.model else { return nil }
    let outline = PolicyOutline(files: files, environment: environment)
    let linter = PolicyLinter(model: model, policy: policy, outline: outline, now: now)
    linter.run()
    var allowances = LintAllowances()
    for file in files { allowances.read(file.bytes, file: file.label) }
    var kept: [LintFinding] = []
    var allowed = 0
    for finding in linter.findings {
        if allowances.allows(finding) { allowed += 1 } else { kept.append(finding) }
    }
    kept += allowances.faults
    let omitted = linter.omittedCount + policy.omittedCount
    // What was left out may be what they are for.
    if omitted == 0 { kept += allowances.unused }
    let order = Dictionary(files.enumerated().map { ($1.label, $0) }) { first, _ in first }
    kept.sort { one, other in
        if one.place.file != other.place.file {
            return order[one.place.file] ?? files.count < order[other.place.file] ?? files.count
        }
        if one.place.line != other.place.line { return one.place.line < other.place.line }
        if one.place.column != other.place.column { return one.place.column < other.place.column }
        return one.rule < other.rule
    }
    let errors = kept.count { $0.severity == .error }
    // Errors first when there is no room for all.
    let isLong = kept.count > LintReport.findingsMax
    let shown =
        isLong
        ? Array(
            (kept.filter { $0.severity == .error } + kept.filter { $0.severity == .warning })
                .prefix(LintReport.findingsMax)) : kept
    return LintReport(
        findings: shown, omittedCount: kept.count - shown.count + omitted, allowedCount: allowed,
        errorCount: errors, warningCount: kept.count - errors + omitted)
}

/// Gathers what the rules find in one policy.
final class PolicyLinter {
    let model: PolicyModel
    let policy: PolicySource
    let outline: PolicyOutline
    let now: Int64
    private(set) var findings: [LintFinding] = []
    private(set) var omittedCount = 0
    /// A rule says a thing once, also where two ways lead to it.
    private var said: Set<Said> = []

    private struct Said: Hashable {
        var rule: String
        var place: SourcePlace
        var message: String
    }

    /// Kept at most before comments are looked at.
    private static let findingsMax = 20_000
    /// Comparisons of routes and services in pairs; beyond it a rule ends, since it warns and guards nothing.
    private var steps = 0
    private static let stepsMax = 50_000_000
    private var meetings = SharedHosts()
    private var withinHosts: [UInt64: Bool] = [:]
    static let secondsAhead: Int64 = 14 * 86_400

    init(model: PolicyModel, policy: PolicySource, outline: PolicyOutline, now: Int64) {
        self.model = model
        self.policy = policy
        self.outline = outline
        self.now = now
    }

    func run() {
        takeWarnings()
        checkRoutes()
        checkHosts()
        checkHolders()
        checkTimes()
        checkTests()
    }

    /// - Returns: whether so many steps more may be taken.
    func spend(_ count: Int = 1) -> Bool {
        steps += count
        return steps <= PolicyLinter.stepsMax
    }

    // MARK: Hosts in pairs

    /// Whether two services share a host.
    func meet(_ one: Int, _ other: Int) -> Bool {
        meetings.shared(Int32(clamping: one), Int32(clamping: other), model.services) != nil
    }

    /// Whether all hosts of one service are hosts of the other.
    func isWithin(_ one: Int, _ other: Int) -> Bool {
        guard one != other else { return true }
        let key = UInt64(UInt32(clamping: one)) << 32 | UInt64(UInt32(clamping: other))
        if let known = withinHosts[key] { return known }
        let hosts = Set(model.services[other].hosts)
        let answer = model.services[one].hosts.allSatisfy(hosts.contains)
        withinHosts[key] = answer
        return answer
    }

    private func takeWarnings() {
        for one in policy.diagnostics where one.severity == .warning {
            add(
                one.code.name, .warning, SourcePlace(file: one.file, line: one.line, column: one.column), one.message,
                one.mend)
        }
    }

    func add(_ rule: LintRule, at place: SourcePlace, _ message: String, mend: String) {
        add(rule.rawValue, rule.severity, place, message, mend)
    }

    private func add(
        _ rule: String, _ severity: Diagnostic.Severity, _ place: SourcePlace, _ message: String, _ mend: String
    ) {
        guard said.insert(Said(rule: rule, place: place, message: message)).inserted else { return }
        guard findings.count < PolicyLinter.findingsMax else { return omittedCount += 1 }
        findings.append(LintFinding(rule: rule, severity: severity, place: place, message: message, mend: mend))
    }

    // MARK: Places

    func place(service: Int) -> SourcePlace { outline.services[model.services[service].name]?.place ?? outline.start }

    func place(service: Int, route: Int) -> SourcePlace {
        guard policy.routePositions.indices.contains(service),
            policy.routePositions[service].indices.contains(route)
        else { return place(service: service) }
        return policy.place(of: policy.routePositions[service][route])
    }

    func place(scope: Int) -> SourcePlace { outline.scopes[model.scopes[scope].name] ?? outline.start }

    /// `line 6`, or ``line 6 of `orders.yaml` `` where that is another file.
    func line(_ place: SourcePlace, from here: SourcePlace) -> String {
        place.file == here.file ? "line \(place.line)" : "line \(place.line) of \(quoted(place.file))"
    }
}
