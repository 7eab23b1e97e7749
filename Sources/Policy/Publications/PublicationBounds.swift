internal import PolicyTables

/// What one service may use up of what all of a policy share: none must be able to hold up the changes of the others.
extension PublicationLimits {
    /// Declared and replaced, of the 65,535 of a policy: a service needs dozens.
    static let scopesMax = 1_024
    /// What its scopes say that they imply, wildcards expanded, of the 4,194,304 of a policy: one scope that implies
    /// all others, and some groups.
    static let impliedMax = 4_096
    /// What that comes to, of the 16,777,216 of a policy.
    static let closureEntriesMax = 65_536
    /// One for each method.
    static let routesMax = 4_096
    /// Of the 256 that a policy has, against each of which tokens are held.
    static let detailsMax = 16
    /// All are run whenever something is published.
    static let testsMax = 1_024
    /// Of at most 4,096 bytes each, where all texts of a policy may take 64 MiB.
    static let valuesMax = 1_024

    func checkAmounts(_ file: PublishedFile, _ policy: PolicySource) throws(PublicationRefusal) {
        let declared = Set(file.scopes.map { Array($0.utf8) })
        var (scopes, implied, entries) = (0, 0, 0)
        for (index, scope) in model.scopes.enumerated() {
            let isOld = scope.replacedBy.contains { declared.contains(Array(model.scopes[Int($0)].name.utf8)) }
            guard isOld || declared.contains(Array(scope.name.utf8)) else { continue }
            scopes += 1
            entries += scope.closure.count
            if policy.impliedCounts.indices.contains(index) { implied += policy.impliedCounts[index] }
        }
        let ownFile = PolicyBundle.publishedFile(of: publisher.name)
        try hold(scopes, PublicationLimits.scopesMax, "scopes, old names counted", "declare fewer")
        try hold(implied, PublicationLimits.impliedMax, "implied scopes, wildcards expanded", "imply fewer from each")
        try hold(
            entries, PublicationLimits.closureEntriesMax, "entries in what its scopes expand to",
            "imply fewer from each, and in shorter chains")
        try hold(
            service.routes.count, PublicationLimits.routesMax, "routes, each method counted",
            "use path parameters, or publish several services")
        try hold(
            Set(service.routes.flatMap(\.details)).count, PublicationLimits.detailsMax,
            "different demands on `authorization_details`", "let routes share some")
        try hold(
            policy.tests.count { $0.file.utf8.elementsEqual(ownFile.utf8) }, PublicationLimits.testsMax, "tests",
            "publish fewer, and run the others before")
        try hold(file.valueCount, PublicationLimits.valuesMax, "values of the environment", "write some of them out")
    }

    private func hold(
        _ count: Int, _ most: Int, _ what: String, _ mend: String
    ) throws(PublicationRefusal) {
        guard count > most else { return }
        throw PublicationRefusal(
            .outsideBounds,
            "what \(name) publishes has \(count) \(what), and \(most) is the most for one publisher; \(mend)")
    }
}
