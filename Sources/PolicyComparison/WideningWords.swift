internal import PolicyTables

/// How findings name what they are about.
extension WideningSearch {
    func name(of group: ClientGroup) -> String {
        let model =
            group.new.map { comparison.new.model.clients[$0] } ?? group.old.map { comparison.old.model.clients[$0] }
        guard let model else { return "a client that is not listed" }
        return "client `\(model.name)`"
            + (group.identifiers.count > 1 ? " and \(group.identifiers.count - 1) more like it" : "")
    }

    func rule(_ client: Int?, _ side: PolicySide) -> ClientModel.ExcessRule? {
        client.map { side.model.clients[$0].excess }
    }

    /// The first few of a set of names.
    func some(_ scopes: ScopeSet) -> String {
        let names = scopes.members.map { "`\(comparison.scopeName($0))`" }.sorted()
        let more = names.count > 3 ? ", or \(names.count - 3) more," : ""
        return names.prefix(3).joined(separator: " or ") + more
    }

    func demand(_ requirement: Requirement?, _ side: PolicySide) -> String {
        guard let requirement else { return "nothing" }
        switch requirement.ground {
        case .public: return "public"
        case .preflight: return "a preflight"
        case .token: break
        }
        func quoted(_ scopes: [Int]) -> [String] { scopes.map { "`\(comparison.scopeName($0))`" }.sorted() }
        var parts = quoted(requirement.all)
        if requirement.any.count == 1 { parts += quoted(requirement.any) }
        if requirement.any.count > 1 { parts.append("one of " + quoted(requirement.any).joined(separator: ", ")) }
        return "needs " + parts.joined(separator: " and ")
    }

    func bindings(_ requirement: Requirement) -> String {
        if requirement.bindings.isEmpty { return "the path names nothing of the token" }
        let parts = requirement.bindings.map { "segment \($0.segment + 1) names `\(comparison.texts.text($0.claim))`" }
        return parts.joined(separator: " and ")
    }
}
