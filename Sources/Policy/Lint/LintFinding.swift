/// The rules of `policy lint` beside the warnings of `policy check`, by their stable names: what is allowed in a policy and
/// is seldom meant.
public enum LintRule: String, Sendable, CaseIterable {
    // Routes.
    case shadowedRoute = "shadowed_route"
    case missingMethod = "missing_method"
    case writeWithoutRead = "write_without_read"
    case publicWildcard = "public_wildcard"
    case publicWrite = "public_write"
    case publicBesideProtected = "public_beside_protected"
    // Hosts.
    case overlappingHosts = "overlapping_hosts"
    case pathInTwoServices = "path_in_two_services"
    // Scopes and who holds them.
    case neverGranted = "never_granted"
    case requiredButNotGranted = "required_but_not_granted"
    case closedRoute = "closed_route"
    case idleClient = "idle_client"
    // Time.
    case grantEnding = "grant_ending"
    case scopeEnding = "scope_ending"
    case oldScopeListed = "old_scope_listed"
    case observeEnding = "observe_ending"
    case serviceEnding = "service_ending"
    // Tests.
    case noTests = "no_tests"
    case untestedService = "untested_service"
    // The comments that allow findings.
    case badAllowance = "bad_allowance"
    case unusedAllowance = "unused_allowance"

    /// What nobody can have meant is an error; everything else is a warning.
    public var severity: Diagnostic.Severity {
        switch self {
        case .shadowedRoute, .requiredButNotGranted, .closedRoute, .badAllowance: .error
        default: .warning
        }
    }
}

/// One thing that a rule of `policy lint` says, or a warning of `policy check`.
public struct LintFinding: Sendable, Equatable {
    /// The stable name of the rule, as `# lint: allow NAME reason` takes it.
    public var rule: String
    public var severity: Diagnostic.Severity
    public var place: SourcePlace
    /// One line, user input in backticks, no full stop at the end.
    public var message: String
    /// What to do about it; never empty.
    public var mend: String
}

/// What `policy lint` says of a policy, in the order of files and lines.
public struct LintReport: Sendable {
    /// Shown at most; beyond it a person mends the first ones and asks again.
    public static let findingsMax = 1_000

    public var findings: [LintFinding]
    /// How many more there are.
    public var omittedCount: Int
    /// Findings that a comment allows.
    public var allowedCount: Int
    public var errorCount: Int
    public var warningCount: Int

    /// For people, as `policy check` writes them.
    public var text: String {
        var text = ""
        for finding in findings {
            text += "\(finding.place.file):\(finding.place.line):\(finding.place.column): "
            text += "\(finding.severity.rawValue): \(finding.rule): \(finding.message)\n  mend: \(finding.mend)\n"
        }
        if omittedCount > 0 { text += "and \(omittedCount) more; mend these first and ask again\n" }
        let allowed = allowedCount > 0 ? ", \(allowedCount) allowed by comments" : ""
        return text + "\(errorCount) errors, \(warningCount) warnings\(allowed)\n"
    }

    /// For programs: one object with `findings`, `errors`, `warnings`, `allowed` and `omitted`.
    public var json: String {
        var writer = JSONText()
        writer.object {
            $0.array("findings", findings) { writer, finding in
                writer.object {
                    $0.member("rule", finding.rule)
                    $0.member("severity", finding.severity.rawValue)
                    $0.member("file", finding.place.file)
                    $0.member("line", finding.place.line)
                    $0.member("column", finding.place.column)
                    $0.member("message", finding.message)
                    $0.member("mend", finding.mend)
                }
            }
            $0.member("errors", errorCount)
            $0.member("warnings", warningCount)
            $0.member("allowed", allowedCount)
            $0.member("omitted", omittedCount)
        }
        return writer.text
    }
}
