internal import Policy
internal import PolicyComparison
internal import PolicyTables

/// What the second policy allows and the first denies, from now on, each thing in one line.
func publicationWidenings(_ old: PolicyModel, _ new: PolicyModel, at now: Int64) -> PublicationWidenings {
    let plan = planChange(from: old, to: new, at: now)
    return PublicationWidenings(plan.findings.map(\.summary), omittedCount: plan.omittedCount)
}
