internal import PolicyComparison
internal import PolicyTables

/// Everything that the second policy allows and the first denies, from now on, each thing in one line.
func publicationWidenings(_ old: PolicyModel, _ new: PolicyModel, at now: Int64) -> [String] {
    let plan = planChange(from: old, to: new, at: now)
    return plan.findings.map(\.summary) + (plan.omittedCount > 0 ? ["and \(plan.omittedCount) more"] : [])
}
