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
        var numbers: [TokenEndpoint: Int] = [:]
        var parents: [Int] = []
        func root(_ index: Int) -> Int {
            var index = index
            while parents[index] != index {
                parents[index] = parents[parents[index]]
                index = parents[index]
            }
            return index
        }
        func number(_ endpoint: TokenEndpoint) -> Int {
            if let known = numbers[endpoint] { return known }
            numbers[endpoint] = parents.count
            parents.append(parents.count)
            return parents.count - 1
        }
        for scheme in schemes.values {
            var ofHost: [String: Int] = [:]
            for flow in scheme.flows {
                guard let first = flow.first.map(number) else { continue }
                for endpoint in flow {
                    let own = number(endpoint)
                    parents[root(own)] = root(first)
                    let same = ofHost[endpoint.host] ?? own
                    ofHost[endpoint.host] = same
                    parents[root(own)] = root(same)
                }
            }
        }
        for (endpoint, own) in numbers where !endpoint.isIssuer {
            // The nearest one: an issuer at the root is not that of its realms.
            guard let issuer = endpoint.issuersAbove.lazy.compactMap({ numbers[$0] }).first else { continue }
            parents[root(own)] = root(issuer)
        }
        for (name, scheme) in schemes where scheme.flows.contains(where: { !$0.isEmpty }) {
            let endpoints = scheme.flows.joined()
            groups[name] = Set(endpoints.map { root(number($0)) })
            hosts[name] = Set(endpoints.map { $0.host + $0.path }).sorted()
            issuers[name] = endpoints.first(where: \.isIssuer)
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
