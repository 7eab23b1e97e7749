public import PolicyTables

/// Finds everything that the new policy allows and the old one denied, from a moment on: for every request, every
/// token and every time.
///
/// Nothing is sampled. Requests, tokens and times are divided into classes that both policies treat alike, and each
/// class is decided; `RequestComparison`, `PathWalk` and `WideningSearch` say why their classes are all there are. Left
/// out of account are: keys themselves, revocations, limits of lengths and numbers, time-outs, how often an issuer
/// is asked about an inactive token, and spellings of a request that both policies refuse alike.
/// - Parameters:
///   - old, new: checked models. No route of theirs requires an old name of a scope.
///   - at: Unix seconds; what has ended by then has ended.
///   - progress: told how far requests have been compared.
/// - Returns: nothing when the new policy is not wider.
public func planChange(
    from old: PolicyModel, to new: PolicyModel, at: Int64, progress: PlanProgress? = nil
) -> PolicyPlan {
    planChange(Comparison(old: old, new: new, at: at), progress: progress)
}

func planChange(_ comparison: Comparison, progress: PlanProgress? = nil) -> PolicyPlan {
    var findings = FindingCollector(comparison)
    var requests = RequestComparison(comparison, progress: progress)
    requests.run { findings.add($0) }
    ConnectionComparison(comparison).run(&findings)
    compareResources(comparison, &findings)
    comparePublishers(comparison, &findings)
    if comparison.stepsLeft <= 0 {
        findings.add(
            Widening(
                kind: .undecided, basis: .unordered, change: "the rest was not compared", from: comparison.at,
                until: .max),
            place: RouteLocation(service: -1, route: nil), example: nil)
    }
    return findings.plan()
}

/// What is published of services under their names.
private func compareResources(_ comparison: Comparison, _ findings: inout FindingCollector) {
    var known: [[UInt8]: String?] = [:]
    for service in comparison.old.model.services {
        known.updateValue(service.resource, forKey: Array(service.name.utf8))
    }
    for (index, service) in comparison.new.model.services.enumerated() {
        guard let before = known[Array(service.name.utf8)],
            before.map({ Array($0.utf8) }) != service.resource.map({ Array($0.utf8) })
        else { continue }
        func text(_ resource: String?) -> String { resource.map { "`\($0)`" } ?? "nothing" }
        findings.add(
            Widening(
                kind: .resource, basis: .unordered,
                change: "service `\(service.name)` publishes \(text(service.resource)); \(text(before)) before",
                from: comparison.at, until: .max),
            place: RouteLocation(service: index, route: nil), example: nil)
    }
}
