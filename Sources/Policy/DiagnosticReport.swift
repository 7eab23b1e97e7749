/// What is wrong with a policy, for all environments that it was read for.
public struct DiagnosticReport: Sendable {
    /// At most 100, by file and place; each once, with the environments where it was found when they are not all.
    public var diagnostics: [Diagnostic]
    /// How many more there are; of several environments those of the one that has most.
    public var omittedCount: Int
    public var errorCount: Int
    public var warningCount: Int
    let text: PolicyText

    public init(_ policy: PolicySource) {
        diagnostics = policy.diagnostics
        omittedCount = policy.omittedCount
        errorCount = policy.errorCount
        warningCount = policy.warningCount
        text = policy.text
    }

    /// - Parameter policies: what one policy is in each of its environments; one at least.
    public init(_ policies: [PolicySource]) {
        self.init(policies[0])
        guard policies.count > 1 else { return }
        var found: [Diagnostic] = []
        var environments: [Diagnostic: [String]] = [:]
        for policy in policies {
            for diagnostic in policy.diagnostics {
                if environments[diagnostic] == nil { found.append(diagnostic) }
                environments[diagnostic, default: []].append(policy.environment ?? "")
            }
        }
        let order = Dictionary(text.parts.enumerated().map { ($1.label, $0) }) { first, _ in first }
        func place(_ diagnostic: Diagnostic) -> (Int, SourcePosition) {
            (order[diagnostic.file] ?? 0, diagnostic.position)
        }
        let errors = found.filter { $0.severity == .error }
        let warnings = found.filter { $0.severity == .warning }
        let shown = (errors + warnings).prefix(DiagnosticSink.shownMax)
        diagnostics = shown.map { diagnostic in
            var diagnostic = diagnostic
            let names = environments[diagnostic] ?? []
            if names.count < policies.count { diagnostic.environments = names }
            return diagnostic
        }
        .sorted { place($0) < place($1) }
        omittedCount = (policies.map(\.omittedCount).max() ?? 0) + found.count - shown.count
        errorCount = errors.count + hidden(policies, .error, \.errorCount)
        warningCount = warnings.count + hidden(policies, .warning, \.warningCount)
    }

    /// How many of a severity are not among those that are shown, in the environment that has most of them.
    private func hidden(
        _ policies: [PolicySource], _ severity: Diagnostic.Severity, _ count: (PolicySource) -> Int
    ) -> Int {
        policies.map { policy in
            count(policy) - policy.diagnostics.count { $0.severity == severity }
        }
        .max() ?? 0
    }
}
