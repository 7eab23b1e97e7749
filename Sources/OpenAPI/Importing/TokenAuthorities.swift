/// Which security schemes take the same authority's tokens.
///
/// The URLs of one flow are one authorization server's (RFC 6749 §3), on however many hosts. Those of one scheme on one
/// host are too; those of different schemes only where they stand in one folder, or below the issuer that discovery
/// names: one host may have an issuer for each tenant.
struct TokenAuthorities {
    /// By scheme; no entry for one that names nobody, as `http` with `bearer`.
    private var groups: [String: Set<Int>] = [:]
    private var hosts: [String: [String]] = [:]
    private var issuers: [String: TokenEndpoint] = [:]

    init(_ schemes: [String: APIDocument.Scheme]) {
        var authorities = DisjointSets<TokenEndpoint>()
        for scheme in schemes.values { TokenAuthorities.joinFlows(of: scheme, in: &authorities) }
        TokenAuthorities.joinIssuers(in: &authorities)
        for (name, scheme) in schemes where scheme.flows.contains(where: { !$0.isEmpty }) {
            let endpoints = scheme.flows.joined()
            groups[name] = Set(endpoints.map { authorities.set(of: $0) })
            hosts[name] = Set(endpoints.map { $0.host + $0.path }).sorted()
            issuers[name] = endpoints.first(where: \.isIssuer)
        }
    }

    /// One authority has all URLs of a flow, and all of a scheme that are on one host.
    private static func joinFlows(of scheme: APIDocument.Scheme, in authorities: inout DisjointSets<TokenEndpoint>) {
        var firstOfHost: [String: TokenEndpoint] = [:]
        for flow in scheme.flows {
            guard let first = flow.first else { continue }
            for endpoint in flow {
                authorities.join(endpoint, first)
                let sameHost = firstOfHost[endpoint.host] ?? endpoint
                firstOfHost[endpoint.host] = sameHost
                authorities.join(endpoint, sameHost)
            }
        }
    }

    private static func joinIssuers(in authorities: inout DisjointSets<TokenEndpoint>) {
        for endpoint in Array(authorities.members) where !endpoint.isIssuer {
            // The nearest one: an issuer at the root is not that of its realms.
            guard let issuer = endpoint.issuersAbove.first(where: { authorities.contains($0) }) else { continue }
            authorities.join(endpoint, issuer)
        }
    }

    /// What the schemes have in common; nil when none of them names anybody.
    func common(_ names: some Sequence<String>) -> Set<Int>? {
        var result: Set<Int>?
        for case let group? in names.map({ groups[$0] }) { result = result?.intersection(group) ?? group }
        return result
    }

    /// - Throws: when they name more than one, so that one issuer cannot stand for all of them.
    func requireOne(_ names: Set<String>) throws(DocumentError) {
        let named = names.filter { groups[$0] != nil }.sorted()
        let all = named.reduce(into: Set<Int>()) { $0.formUnion(groups[$1] ?? []) }
        // Others may stand between two issuers, who are two nevertheless.
        let count = max(all.count, Set(named.compactMap { issuers[$0] }).count)
        guard count > 1, let first = named.first else { return }
        let shown = named.prefix(8).map { name in
            let places = (hosts[name] ?? []).prefix(4).map { $0.isEmpty ? "the API itself" : visibleLine($0) }
            return quoted(name) + " (" + places.joined(separator: ", ") + ")"
        }
        let more = named.count > shown.count ? " and \(named.count - shown.count) more" : ""
        throw DocumentError(
            "the operations ask for tokens of \(count) authorities, and one issuer cannot stand for them: "
                + shown.joined(separator: ", ") + more,
            mend: "say with --security which schemes are the issuer's, as in `--security \(visibleLine(first))`")
    }
}
