internal import PolicyTables

/// Holds what a service published, as part of the whole policy, against the limits of its publisher.
///
/// The limits are those of the policy in force, never those that come with the publication. They are looked at in the
/// finished model, in which wildcards, implications and base paths are worked out.
struct PublicationLimits {
    let publisher: PublisherModel
    let model: PolicyModel
    let service: ServiceModel

    init(_ publisher: PublisherModel, _ model: PolicyModel) throws(PublicationRefusal) {
        self.publisher = publisher
        self.model = model
        let name = publisher.name
        guard let service = model.services.first(where: { $0.name.utf8.elementsEqual(name.utf8) }) else {
            throw PublicationRefusal(.notHTTP, "\(quoted(name)) is no service with hosts and routes; publish one")
        }
        self.service = service
    }

    /// - Parameters:
    ///   - policy: what `model` was read in.
    ///   - amounts: whether it is held to the bounds of one publication too.
    func check(
        _ file: PublishedFile, _ policy: PolicySource, amounts: Bool = true
    ) throws(PublicationRefusal) {
        if amounts { try checkAmounts(file, policy) }
        try checkHosts()
        try checkIssuers()
        try checkRoutes()
        try checkScopes(file)
        try checkTests(policy.tests)
        try checkOverlaps()
    }

    var name: String { quoted(publisher.name) }

    private func checkHosts() throws(PublicationRefusal) {
        for host in service.hosts where !publisher.hosts.contains(where: { $0.utf8.elementsEqual(host.utf8) }) {
            throw PublicationRefusal(
                .outsideHosts,
                "the publisher of \(name) may not have the host \(quoted(host)); use "
                    + "\(quotedList(publisher.hosts, joint: "or")), or have it added to `publishers`")
        }
    }

    private func checkIssuers() throws(PublicationRefusal) {
        guard let allowed = publisher.issuers else { return }
        for index in service.issuers {
            let issuer = model.issuers[Int(index)].issuer
            guard !allowed.contains(where: { $0.utf8.elementsEqual(issuer.utf8) }) else { continue }
            throw PublicationRefusal(
                .outsideIssuers,
                "the issuer \(quoted(issuer)) may not speak for \(name); write "
                    + "`issuers:` with \(quotedList(allowed, joint: "or"))")
        }
    }

    // MARK: Routes

    private func checkRoutes() throws(PublicationRefusal) {
        let metadata = metadataPath(service)
        for route in service.routes {
            if let metadata, route.ground == .public, route.method == "GET", route.segments == metadata { continue }
            guard isBelowBasePath(route.segments) else {
                throw PublicationRefusal(
                    .outsidePath,
                    "the route \(quoted(route.label)) of \(name) does not lie below "
                        + "\(quoted(PathTemplate.text(publisher.basePath))); move it there")
            }
            guard route.observeUntil == nil else {
                throw PublicationRefusal(
                    .observeMode,
                    "the route \(quoted(route.label)) of \(name) has `mode: observe`; what is published is "
                        + "enforced, remove it")
            }
            switch route.ground {
            case .preflight: break
            case .public:
                guard publisher.allowsPublic else {
                    throw PublicationRefusal(
                        .publicRoute,
                        "the route \(quoted(route.label)) of \(name) is public; require a scope, or have "
                            + "`public: true` added to its publisher")
                }
            case .scopes(let all, let any):
                for scope in all + any {
                    try checkScope(model.scopes[Int(scope)].name, "the route \(quoted(route.label))")
                }
            }
        }
        guard let resource = service.resource, !publisher.basePath.isEmpty else { return }
        let path =
            resource.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: true).dropFirst(2).first ?? ""
        var base = PathTemplate.text(publisher.basePath)
        if base.hasSuffix("/") { base.removeLast() }
        guard "/\(path)" == base || "/\(path)".hasPrefix(base + "/") else {
            throw PublicationRefusal(
                .outsidePath,
                "the resource \(quoted(resource)) of \(name) does not lie below \(quoted(base)); move it there")
        }
    }

    /// Where the one route lies that nobody wrote: the service's metadata, at the place that RFC 9728 §3 gives it. By its
    /// path, since a label is what an author wrote, without the base path. A written GET at that path is refused as a
    /// second one.
    private func metadataPath(_ service: ServiceModel) -> [RouteModel.Segment]? {
        guard let resource = service.resource, let place = MetadataPlace(resource: resource) else { return nil }
        return try? PathTemplate.read(Array(place.path.utf8)[...])
    }

    /// By bytes: Unicode knows different bytes as the same text, and requests are told apart by bytes.
    private func isBelowBasePath(_ segments: [RouteModel.Segment]) -> Bool {
        guard segments.count >= publisher.basePath.count else { return false }
        return zip(publisher.basePath, segments).allSatisfy { base, segment in
            guard case .literal(let wanted) = base, case .literal(let found) = segment else { return false }
            return wanted.utf8.elementsEqual(found.utf8)
        }
    }

    /// The same of a path as a request has it.
    private func isBelowBasePath(_ path: Substring) -> Bool {
        guard !publisher.basePath.isEmpty else { return true }
        guard let segments = try? PathTemplate.read(Array(path.utf8)[...]) else { return false }
        return isBelowBasePath(segments)
    }

    // MARK: Scopes

    private func checkScope(_ scope: String, _ where: String) throws(PublicationRefusal) {
        guard publisher.covers(scope: scope) else {
            throw PublicationRefusal(
                .outsideScopes,
                "\(`where`) of \(name) names the scope \(quoted(scope)), which is not the publisher's; it has "
                    + "\(quotedList(publisher.scopes))")
        }
    }

    private func checkScopes(_ file: PublishedFile) throws(PublicationRefusal) {
        for scope in file.scopes { try checkScope(scope, "`scopes`") }
        let declared = Set(file.scopes.map { Array($0.utf8) })
        var unseen = declared
        for (index, scope) in model.scopes.enumerated() {
            let isOwn = declared.contains(Array(scope.name.utf8))
            unseen.remove(Array(scope.name.utf8))
            // Whoever holds the one holds the others: a scope of the service's own must not open what others protect.
            if isOwn {
                for implied in scope.closure where Int(implied) != index {
                    try checkScope(model.scopes[Int(implied)].name, "`implies` of \(quoted(scope.name))")
                }
            } else if scope.replacedBy.contains(where: { declared.contains(Array(model.scopes[Int($0)].name.utf8)) }) {
                try checkScope(scope.name, "`replaces`")
            }
        }
        // DENY: what the model has under another name has not been looked at above.
        guard let lost = unseen.first else { return }
        throw PublicationRefusal(
            .outsideScopes,
            "the scope \(quoted(lost[...])) of \(name) is not in the policy by that name; write its name out")
    }

    // MARK: Tests

    /// A test that pins what another service does would hold up the changes of its owners.
    private func checkTests(_ tests: [PolicyTest]) throws(PublicationRefusal) {
        let file = PolicyBundle.publishedFile(of: publisher.name)
        for test in tests where test.file == file {
            guard case .request(let request) = test.attempt else { continue }
            let path = request.target.prefix { $0 != "?" }
            guard !isHost(request.host.lowercased()) || !isBelowBasePath(path) else { continue }
            throw PublicationRefusal(
                .outsideHosts,
                "a test of \(name) asks for \(quoted(request.text)), which is not at a host of the service or not below "
                    + "the publisher's base path; test the service's own routes")
        }
    }

    private func isHost(_ host: String) -> Bool {
        service.hosts.contains { pattern in
            guard pattern.hasPrefix("*.") else { return pattern == host }
            guard let dot = host.firstIndex(of: "."), dot != host.startIndex else { return false }
            return host[dot...] == pattern.dropFirst()
        }
    }

    // MARK: Other services

    /// The more specific route wins, whoever wrote it: what is published must not take requests from a route of another
    /// service. Routes above the base path are not meant: giving the base path away is what the publisher is for.
    private func checkOverlaps() throws(PublicationRefusal) {
        let hosts = Set(service.hosts)
        try checkWildcards()
        for other in model.services where other.name != service.name && !hosts.isDisjoint(with: other.hosts) {
            let theirs = other.routes.filter { isBelowBasePath($0.segments) }
            guard !theirs.isEmpty else { continue }
            for route in service.routes {
                guard let met = theirs.first(where: { meet($0.segments[...], route.segments[...]) }) else { continue }
                throw PublicationRefusal(
                    .overlaps,
                    "the route \(quoted(route.label)) of \(name) is at paths of \(quoted(met.label)) of the service "
                        + "\(quoted(other.name)), on a host of both; move one of them, or give the publisher a `base_path`"
                )
            }
        }
    }

    /// A host of its own takes all requests away from the wildcard that answered for it: nothing of another service may be
    /// behind that.
    private func checkWildcards() throws(PublicationRefusal) {
        for host in service.hosts where !host.hasPrefix("*.") {
            guard let dot = host.firstIndex(of: ".") else { continue }
            let wildcard = "*" + host[dot...]
            let others = model.services.filter { $0.name != service.name }
            guard let other = others.first(where: { $0.hosts.contains(wildcard) }),
                !others.contains(where: { $0.hosts.contains(host) })
            else { continue }
            throw PublicationRefusal(
                .overlaps,
                "the host \(quoted(host)) of \(name) would take its requests away from the service \(quoted(other.name)), "
                    + "which answers for \(quoted(wildcard)); list \(quoted(host)) there too, or publish at another host"
            )
        }
    }

    /// Whether some path is matched by both.
    private func meet(_ one: ArraySlice<RouteModel.Segment>, _ other: ArraySlice<RouteModel.Segment>) -> Bool {
        var one = one
        var other = other
        while let first = one.first, let second = other.first {
            switch (first, second) {
            case (.rest, _), (_, .rest): return true
            case (.literal(let left), .literal(let right)): guard left == right else { return false }
            // A parameter is never empty.
            case (.literal(let text), .parameter), (.parameter, .literal(let text)):
                guard !text.isEmpty else { return false }
            case (.parameter, .parameter): break
            }
            one.removeFirst()
            other.removeFirst()
        }
        return one.isEmpty && other.isEmpty
    }
}
