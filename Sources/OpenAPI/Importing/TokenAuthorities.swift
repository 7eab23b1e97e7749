/// Which security schemes take the same authority's tokens.
///
/// The URLs of one flow are one authorization server's (RFC 6749 §3), on however many hosts. Others are only where they
/// are the same but for an endpoint's own name, or stand in folders of OAuth below the issuer that discovery names: one
/// host may have an issuer for each tenant.
struct TokenAuthorities {
    /// What a scheme with URLs says of its authority.
    private struct Named {
        var groups: Set<Int>
        var hosts: Set<String>
        /// For people.
        var places: [String]
        var issuer: TokenEndpoint?
    }

    /// By scheme; no entry for one that names nobody, as `http` with `bearer`.
    private var named: [String: Named] = [:]

    init(_ schemes: [String: APIDocument.Scheme]) {
        var authorities = DisjointSets<TokenEndpoint>()
        for flow in schemes.values.lazy.flatMap(\.flows) {
            for endpoint in flow { authorities.join(endpoint, flow[0]) }
        }
        let members = Array(authorities.members)
        for endpoint in members where endpoint.kind != .issuer {
            // The nearest one: an issuer at the root is not that of its realms.
            let issuer = endpoint.issuersAbove.first { authorities.contains($0) }
            if let issuer { authorities.join(endpoint, issuer) }
            guard issuer?.path != endpoint.path else { continue }
            if let folder = endpoint.folderOfPair, authorities.contains(folder) { authorities.join(endpoint, folder) }
        }
        for (name, scheme) in schemes where scheme.flows.contains(where: { !$0.isEmpty }) {
            let endpoints = scheme.flows.joined()
            named[name] = Named(
                groups: Set(endpoints.map { authorities.set(of: $0) }), hosts: Set(endpoints.map(\.host)),
                places: Set(endpoints.map { $0.host + $0.path }).sorted(),
                issuer: endpoints.first { $0.kind == .issuer })
        }
    }

    /// What the schemes have in common; nil when none of them names anybody.
    func common(_ names: some Sequence<String>) -> Set<Int>? {
        var result: Set<Int>?
        for case let one? in names.map({ named[$0] }) { result = result?.intersection(one.groups) ?? one.groups }
        return result
    }

    /// - Parameter requirements: alternatives of operations, as far as tokens can meet them.
    /// - Throws: when they may ask for tokens of more than one, so that one issuer cannot stand for all of them.
    func requireOne(_ requirements: [[[APIDocument.SchemeUse]]]) throws(DocumentError) {
        let names = Set(requirements.lazy.joined().joined().map(\.scheme))
        try requireOneNamed(names.filter { named[$0] != nil }.sorted())
        try requireOneNameless(requirements)
    }

    private func requireOneNamed(_ names: [String]) throws(DocumentError) {
        let all = names.compactMap { named[$0] }
        // Others may stand between two issuers, who are two nevertheless.
        let issuerCount = Set(all.compactMap(\.issuer)).count
        let groups = all.reduce(into: Set<Int>()) { $0.formUnion($1.groups) }
        // Whoever it is of one host's, every scheme takes his tokens.
        let areAlike = all.allSatisfy { $0.groups == groups && $0.hosts.count == 1 }
        let count = max(areAlike ? 1 : groups.count, issuerCount)
        guard count > 1, let first = names.first else { return }
        let shown = names.prefix(8).map { name in
            let places = (named[name]?.places ?? []).prefix(4).map { $0.isEmpty ? "the API itself" : visibleLine($0) }
            return quoted(name) + " (" + places.joined(separator: ", ") + ")"
        }
        let more = names.count > shown.count ? " and \(names.count - shown.count) more" : ""
        throw DocumentError(
            "the operations ask for tokens of \(count) authorities, and one issuer cannot stand for them: "
                + shown.joined(separator: ", ") + more,
            mend: "say with --security which schemes are the issuer's, as in `--security \(visibleLine(first))`")
    }

    // MARK: Schemes that name nobody

    /// An alternative with one of them, without its name.
    private struct NamelessUse: Hashable {
        var requirement: Int
        var scopes: Set<String>
        var others: [String: Set<String>]
    }

    /// Several are nobody knows whose. Where each operation takes any of them alike, one issuer may be either's.
    private func requireOneNameless(_ requirements: [[[APIDocument.SchemeUse]]]) throws(DocumentError) {
        var uses: [String: Set<NamelessUse>] = [:]
        var together: Set<String> = []
        for (index, alternatives) in requirements.enumerated() {
            for alternative in alternatives {
                var scopes: [String: Set<String>] = [:]
                for use in alternative { scopes[use.scheme, default: []].formUnion(use.scopes) }
                let nameless = scopes.keys.filter { named[$0] == nil }
                if nameless.count > 1 { together.formUnion(nameless) }
                guard nameless.count == 1, let own = scopes.removeValue(forKey: nameless[0]) else { continue }
                uses[nameless[0], default: []].insert(NamelessUse(requirement: index, scopes: own, others: scopes))
            }
        }
        let names = together.union(uses.keys).sorted()
        guard let first = names.first, !together.isEmpty || names.contains(where: { uses[$0] != uses[first] }) else {
            return
        }
        throw DocumentError(
            "the operations ask for tokens of \(quotedList(names)), which name no authority and may be of several",
            mend: "say with --security which of them are the issuer's, as in `--security \(visibleLine(first))`")
    }
}
