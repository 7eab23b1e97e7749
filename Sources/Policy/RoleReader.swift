internal import PolicyTables

/// Roles, and what is gathered of clients until all are read.
struct Approvals {
    struct Role {
        /// The node of its name.
        var key: Int
        /// Indices, ascending, implications and wildcards expanded; nil when they are wrong, which has been reported.
        var scopes: [UInt16]?
        var isUsed = false
    }

    /// A client that is known by its tokens, and the places that messages about it name.
    struct TokenClient {
        var model: ClientModel
        var position: SourcePosition
        /// Of its `on_excess`, or of its name where it has none.
        var excessPosition: SourcePosition
    }

    /// Bytes: Unicode knows different bytes as the same text.
    struct TokenIdentity: Hashable {
        var issuer: UInt16
        var identifier: [UInt8]
    }

    var expansion = ScopeExpansion([], ownCount: 0)
    private var knowsScopes = false
    var roles: [String: Role] = [:]
    /// For each client the node of its name.
    var clientKeys: [String: Int] = [:]
    /// In the order of the source.
    var tokenClients: [TokenClient] = []
    var identities: [TokenIdentity: SourcePosition] = [:]
    var isLimitReported = false
    var hasTooManyClients = false
    var hasTooManyRoles = false

    /// Before the first role or client is read, when scopes are known.
    mutating func prepare(_ scopes: [ScopeModel], ownCount: Int) {
        guard !knowsScopes else { return }
        knowsScopes = true
        expansion = ScopeExpansion(scopes, ownCount: ownCount)
    }
}

/// Reading `roles`: lists of scopes that several clients hold.
extension ModelReader {
    static let rolesMax = 4_096

    /// May be called for several mappings, before the first client is read.
    func readRoles(_ node: Int) {
        guard tree.kind(node) == .mapping else {
            wrongType(
                node, "`roles` is a mapping of names to roles", "write them as in `billing: { scopes: [orders:read] }`")
            return
        }
        guard tree.after(node) > node + 1 else {
            sink.error(
                .emptyValue, at: position(node), "`roles` is empty", mend: "list at least one role, or remove it")
            return
        }
        approvals.prepare(model.scopes, ownCount: scopeNotes.ownCount)
        forEachEntry(node) { key, value, name in
            if let first = approvals.roles[name] { return duplicateKey(key, first: first.key) }
            guard approvals.roles.count < ModelReader.rolesMax else {
                if !approvals.hasTooManyRoles {
                    sink.error(
                        .limitExceeded, at: position(key), "more than \(ModelReader.rolesMax) roles",
                        mend: "approve scopes on the clients themselves, or use fewer roles")
                }
                approvals.hasTooManyRoles = true
                return
            }
            checkName(key, name, "a role")
            let scopes = readRole(value, key)
            approvals.roles[name] = Approvals.Role(key: key, scopes: scopes)
        }
    }

    private func readRole(_ node: Int, _ key: Int) -> [UInt16]? {
        guard let fields = fields(node, RoleKey.self, at: position(key)) else { return nil }
        if let node = fields[.description] { _ = text(node, "`description`", example: "Sends invoices") }
        guard let scopesNode = fields[.scopes] else {
            sink.error(
                .missingKey, at: fields.position, "a role without `scopes`",
                mend: "add `scopes:` with those that it stands for, as in `scopes: [orders:read]`")
            return nil
        }
        approvals.expansion.begin()
        return addApproved(scopesNode, "`scopes` of a role") ? approvals.expansion.scopes : nil
    }

    /// Names of roles and clients are like those of services.
    func checkName(_ node: Int, _ name: String, _ what: String) {
        let bytes = tree.bytes(node)
        guard bytes.isEmpty || bytes.count > 64 || !bytes.allSatisfy(isNameCharacter) else { return }
        sink.error(
            .badName, at: position(node), "\(quoted(name)) is no name of \(what)",
            mend: "use 1 to 64 letters, digits, `_`, `-` and `.`")
    }

    // MARK: Lists of approved scopes

    /// Adds the scopes of a list, implications and wildcards expanded, to those that are being gathered.
    /// - Returns: whether all of them are good.
    func addApproved(_ node: Int, _ what: String) -> Bool {
        eachOfList(node, what, of: ("scope", "an approved scope"), example: "orders:read") { addApprovedScope($0, $1) }
    }

    /// Adds what the roles of a list stand for.
    func addRoles(_ node: Int) -> Bool {
        eachOfList(node, "`roles` of a client", of: ("role", "a role"), example: "billing") { name, member in
            guard let role = approvals.roles[name] else {
                sink.error(
                    .unknownRole, at: position(member), "unknown role \(quoted(name))",
                    mend: didYouMean(
                        name, among: approvals.roles.keys.sorted(), otherwise: "declare it under `roles`"))
                return false
            }
            approvals.roles[name]?.isUsed = true
            guard let scopes = role.scopes else { return false }
            approvals.expansion.add(expanded: scopes)
            return true
        }
    }

    /// Adds each name of a list to what is being gathered, until there is no more room.
    /// - Parameter member: what messages call one of them, alone and with its article.
    /// - Returns: whether all of them are good, and no name is there twice.
    private func eachOfList(
        _ node: Int, _ what: String, of member: (noun: String, article: String), example: String,
        _ add: (_ name: String, _ node: Int) -> Bool
    ) -> Bool {
        guard let members = listOrOne(node, what, example: "[\(example)]") else { return false }
        var seen: [String: Int] = [:]
        var isGood = true
        for one in members {
            guard let name = text(one, member.article, example: example) else {
                isGood = false
                continue
            }
            if let first = seen[name] {
                repeated(one, member.noun, first: first)
                isGood = false
                continue
            }
            seen[name] = one
            if !add(name, one) { isGood = false }
            guard hasRoomForApproved(at: one) else { return false }
        }
        return isGood
    }

    private func hasRoomForApproved(at node: Int) -> Bool {
        guard approvals.expansion.isOverLimit else { return true }
        if !approvals.isLimitReported {
            sink.error(
                .limitExceeded, at: position(node),
                "the clients' scopes expand to more than \(ScopeExpansion.entriesMax) entries",
                mend: "approve fewer scopes for each client")
        }
        approvals.isLimitReported = true
        return false
    }

    private func addApprovedScope(_ name: String, _ node: Int) -> Bool {
        guard name.utf8.contains(0x2A) else {
            guard let scope = scopeIndex[name] else {
                // An old name without index belongs to scopes that have been reported.
                guard scopeNotes.oldNameIndex[name] == nil else { return false }
                sink.error(
                    .unknownScope, at: position(node), "unknown scope \(quoted(name))", mend: mendUnknownScope(name))
                return false
            }
            approvals.expansion.add(Int(scope))
            return true
        }
        guard let prefix = wildcardPrefix(name, node) else { return false }
        if approvals.expansion.addAll(withPrefix: prefix) { return true }
        sink.error(
            .badWildcard, at: position(node), "the wildcard \(quoted(name)) matches no scope of the policy",
            mend: "declare the scopes that it stands for, or remove it")
        return false
    }
}
