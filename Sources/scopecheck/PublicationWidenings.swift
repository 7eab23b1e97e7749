internal import PolicyComparison
internal import PolicyTables

/// What the second policy allows and the first denies, from now on, each thing in one line: as many as a proposal keeps, the
/// last of which says how many more there are.
func publicationWidenings(_ old: PolicyModel, _ new: PolicyModel, at now: Int64) -> [String] {
    let plan = planChange(from: old, to: new, at: now)
    let count = plan.findings.count + plan.omittedCount
    guard count > PublicationProposal.findingsMax else { return plan.findings.map(\.summary) }
    let shown = plan.findings.prefix(PublicationProposal.findingsMax - 1).map(\.summary)
    return shown + [furtherWidenings(count - shown.count)]
}

func furtherWidenings(_ count: Int) -> String { "and \(count) more" }

/// How many things stand behind the first `shown` of a proposal's lines; 0 when there are none.
func widenings(behind shown: Int, in lines: [String]) -> Int {
    guard lines.count > shown, let last = lines.last else { return 0 }
    let words = last.split(separator: " ")
    guard words.count == 3, let further = Int(words[1]), further > 0, last == furtherWidenings(further) else {
        return lines.count - shown
    }
    return lines.count - 1 - shown + further
}
