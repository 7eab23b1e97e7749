internal import PolicyTables

/// What publishers may publish beyond what they could. Nothing is allowed by that yet, so no request shows it.
func comparePublishers(_ comparison: Comparison, _ findings: inout FindingCollector) {
    var known: [[UInt8]: PublisherModel] = [:]
    for publisher in comparison.old.model.publishers { known[Array(publisher.name.utf8)] = publisher }
    for (index, publisher) in comparison.new.model.publishers.enumerated() {
        let changes: [String]
        if let before = known[Array(publisher.name.utf8)] {
            changes = publisher.widenings(from: before)
        } else {
            changes = ["is new"]
        }
        for change in changes {
            findings.add(
                Widening(
                    kind: .publisher, basis: .unordered, change: "publisher `\(publisher.name)` \(change)",
                    from: comparison.at, until: .max),
                place: RouteLocation(service: index, route: nil), example: nil)
        }
    }
}

extension PublisherModel {
    /// Each in words.
    fileprivate func widenings(from old: PublisherModel) -> [String] {
        var result: [String] = []
        if let key = keys.first(where: { !old.keys.contains($0) }) { result.append("has the key `\(key.keyID)`") }
        if let host = added(hosts, to: old.hosts) { result.append("may use the host `\(host)`") }
        if let scope = added(scopes, to: old.scopes) { result.append("may require and declare `\(scope)`") }
        if let allowed = old.issuers {
            if let issuers {
                if let issuer = added(issuers, to: allowed) { result.append("may take tokens of `\(issuer)`") }
            } else {
                result.append("may take tokens of all issuers")
            }
        }
        if !isBelow(old.basePath) { result.append("may publish below `\(pathText(basePath))`") }
        if allowsPublic, !old.allowsPublic { result.append("may make routes public") }
        if let limit = old.ttlSecondsMax, ttlSecondsMax.map({ $0 > limit }) ?? true {
            result.append("may publish for " + (ttlSecondsMax.map { "\($0) s" } ?? "ever"))
        }
        if widening == .propose, old.widening == .refuse { result.append("may propose what allows more") }
        return result
    }

    /// By bytes.
    private func added(_ texts: [String], to others: [String]) -> String? {
        let known = Set(others.map { Array($0.utf8) })
        return texts.first { !known.contains(Array($0.utf8)) }
    }

    /// Whether all paths below the publisher's own are below the other one.
    private func isBelow(_ other: [RouteModel.Segment]) -> Bool {
        guard basePath.count >= other.count else { return false }
        return zip(basePath, other).allSatisfy { own, wide in
            switch (own, wide) {
            case (.literal(let one), .literal(let other)): one.utf8.elementsEqual(other.utf8)
            default: false
            }
        }
    }
}
