internal import PolicyTables

/// One of the two policies that are compared, with its scopes, issuers and clients found by names.
final class PolicySide {
    let model: PolicyModel
    /// By index into the model's scopes: the number of the name, which both policies share.
    let scopeNumbers: [Int]
    /// Index into the model's scopes, by the number of the name.
    let scopeIndices: [Int: Int]
    /// By index into the model's scopes: those that imply it, itself included.
    let holders: [[Int]]
    /// Index into the model's issuers, by the number of the identifier.
    let issuerIndices: [Int32: Int]
    /// By index into the model's issuers.
    let issuerNumbers: [Int32]
    /// Index into the model's clients, by the numbers of issuer and client identifier.
    private(set) var clients: [Int32: [Int32: Int]] = [:]
    /// Moments at which scopes end, ascending.
    let scopeEnds: [Int64]

    private var activeScopes: [Int64: ScopeSet] = [:]
    private var clauses: [ClauseKey: ScopeSet] = [:]
    private var forbiddenNames: [ClientTime: ScopeSet] = [:]

    private struct ClauseKey: Hashable {
        var scope: Int
        var time: Int64
    }

    private struct ClientTime: Hashable {
        var client: Int
        var time: Int64
    }

    init(_ model: PolicyModel, scopeNames: inout TextTable, texts: inout TextTable) {
        self.model = model
        var numbers: [Int] = []
        var indices: [Int: Int] = [:]
        for (index, scope) in model.scopes.enumerated() {
            let number = Int(scopeNames.number(scope.name))
            numbers.append(number)
            indices[number] = index
        }
        var holders = [[Int]](repeating: [], count: model.scopes.count)
        for (index, scope) in model.scopes.enumerated() {
            for implied in scope.closure where Int(implied) < holders.count { holders[Int(implied)].append(index) }
        }
        scopeNumbers = numbers
        scopeIndices = indices
        self.holders = holders
        scopeEnds = Set(model.scopes.compactMap(\.until)).sorted()
        var issuers: [Int32] = []
        var issuerIndices: [Int32: Int] = [:]
        for (index, issuer) in model.issuers.enumerated() {
            let number = texts.number(issuer.issuer)
            issuers.append(number)
            issuerIndices[number] = index
        }
        issuerNumbers = issuers
        self.issuerIndices = issuerIndices
        for (index, client) in model.clients.enumerated() where Int(client.issuer) < issuers.count {
            clients[issuers[Int(client.issuer)], default: [:]][texts.number(client.identifier)] = index
        }
    }

    func issuer(_ number: Int32) -> IssuerModel? { issuerIndices[number].map { model.issuers[$0] } }

    // MARK: Scopes at a time

    /// What a token's scopes amount to is the same at all times between two ends.
    private func scopeTime(_ time: Int64) -> Int64 {
        var low = 0
        var high = scopeEnds.count
        while low < high {
            let middle = (low + high) / 2
            if scopeEnds[middle] <= time { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? .min : scopeEnds[low - 1]
    }

    private func isActive(_ scope: Int, at time: Int64) -> Bool {
        guard let until = model.scopes[scope].until else { return true }
        return time < until
    }

    /// Declared names that count.
    func active(at time: Int64) -> ScopeSet {
        let time = scopeTime(time)
        if let known = activeScopes[time] { return known }
        let result = ScopeSet(
            model.scopes.indices.lazy.filter { self.isActive($0, at: time) }.map { self.scopeNumbers[$0] })
        activeScopes[time] = result
        return result
    }

    /// Names of which a token must carry one in order to hold the scope; empty when none does.
    func clause(_ number: Int, at time: Int64) -> ScopeSet {
        guard let scope = scopeIndices[number], isActive(scope, at: time) else { return ScopeSet() }
        let key = ClauseKey(scope: scope, time: scopeTime(time))
        if let known = clauses[key] { return known }
        let result = ScopeSet(holders[scope].lazy.filter { self.isActive($0, at: time) }.map { self.scopeNumbers[$0] })
        clauses[key] = result
        return result
    }

    /// Scopes approved for the client, by index into the model's scopes.
    func baseline(_ client: Int, at time: Int64) -> Set<UInt16> {
        var result = Set(model.clients[client].scopes)
        for grant in model.clients[client].grants where time < grant.until { result.formUnion(grant.scopes) }
        return result
    }

    /// Names that a token of the client may not carry, since they amount to more than its baseline.
    ///
    /// What a list of names amounts to is the union of what each amounts to, so a list exceeds the baseline exactly
    /// when a name of it does so alone. Names that the policy does not declare, or that have ended, amount to nothing.
    func forbidden(_ client: Int, at time: Int64) -> ScopeSet {
        let key = ClientTime(client: client, time: clientTime(client, time))
        if let known = forbiddenNames[key] { return known }
        let approved = baseline(client, at: time)
        var result = ScopeSet()
        for (index, scope) in model.scopes.enumerated() where isActive(index, at: time) {
            // An old name by itself is no excess.
            let exceeds = scope.closure.contains {
                isActive(Int($0), at: time) && model.scopes[Int($0)].replacedBy.isEmpty && !approved.contains($0)
            }
            if exceeds { result.insert(scopeNumbers[index]) }
        }
        forbiddenNames[key] = result
        return result
    }

    /// The last change at or before the time, of those that matter to the client.
    private func clientTime(_ client: Int, _ time: Int64) -> Int64 {
        var result = scopeTime(time)
        for grant in model.clients[client].grants where grant.until <= time { result = max(result, grant.until) }
        return result
    }

    // MARK: What scopes a token needs

    /// What a token's scope names must be like: none of `forbidden`, and one of each clause.
    struct ScopePredicate {
        var clauses: [ScopeSet] = []
        var forbidden = ScopeSet()
        /// Everything that the policy asks of the client's tokens beyond their verification is let through.
        var isObserved = false

        var isSatisfiable: Bool { !clauses.contains(where: \.isEmpty) }
    }

    /// - Parameter client: index into the model's clients; nil is one that the policy does not list.
    /// - Returns: nil when the client is refused whatever its token holds.
    func predicate(_ requirement: Requirement, issuer: Int32, client: Int?, at time: Int64) -> ScopePredicate? {
        guard let client else {
            if self.issuer(issuer)?.refusesUnknownClients ?? true { return nil }
            return ScopePredicate(clauses: clauses(requirement, at: time) { _ in true })
        }
        let own = model.clients[client]
        if let until = own.observeUntil, time < until { return ScopePredicate(isObserved: true) }
        switch own.excess {
        case .alert: return ScopePredicate(clauses: clauses(requirement, at: time) { _ in true })
        case .narrow:
            let approved = baseline(client, at: time)
            return ScopePredicate(
                clauses: clauses(requirement, at: time) { number in
                    self.scopeIndices[number].map { approved.contains(UInt16($0)) } ?? false
                })
        case .deny:
            let forbidden = forbidden(client, at: time)
            let clauses = clauses(requirement, at: time) { _ in true }.map { $0.subtracting(forbidden) }
            return ScopePredicate(clauses: clauses, forbidden: forbidden)
        }
    }

    /// The same without any client's baseline.
    func plainPredicate(_ requirement: Requirement, at time: Int64) -> ScopePredicate {
        ScopePredicate(clauses: clauses(requirement, at: time) { _ in true })
    }

    private func clauses(
        _ requirement: Requirement, at time: Int64, where counts: (Int) -> Bool
    ) -> [ScopeSet] {
        var result = requirement.all.map { counts($0) ? clause($0, at: time) : ScopeSet() }
        if !requirement.any.isEmpty {
            var one = ScopeSet()
            for scope in requirement.any where counts(scope) { one.formUnion(clause(scope, at: time)) }
            result.append(one)
        }
        return result
    }
}
