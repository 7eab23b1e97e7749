internal import PolicyTables

/// Claims that a token's issuer and client decide, so that a path that names them is not free.
struct TokenIdentity {
    /// Numbers of values by the numbers of the claims' names.
    var values: [Int32: Int32] = [:]
    /// The claim of a client that neither policy lists, with all identifiers that one lists, ascending.
    var unlisted: (claim: Int32, listed: [Int32])?
}

extension Comparison {
    /// What one search for a request costs of the budget.
    private static let witnessSteps = 256

    /// The claim that names the client in tokens of the issuer.
    ///
    /// It is the new policy's. Where the old one's is another, that counts as wider by itself (`claim_names`).
    private func clientClaim(of issuer: Int32) -> Int32? {
        (new.issuer(issuer) ?? old.issuer(issuer)).map { texts.number($0.clientClaim) }
    }

    /// Whether paths are held against a claim that the issuer or the client decides.
    func bindsIdentity(_ old: Requirement?, _ new: Requirement, issuer: Int32) -> Bool {
        let bindings = new.bindings + (old?.bindings ?? [])
        if bindings.isEmpty { return false }
        let claims = [texts.number("iss"), clientClaim(of: issuer)]
        return bindings.contains { claims.contains($0.claim) }
    }

    /// A path with which the widening can be seen; nil when the bindings of this class of paths do not let it be one.
    ///
    /// Of clients that are treated alike one is enough. Where the budget ends before it is found, the plan says so.
    func witness(_ request: RequestClass, _ widening: Widening) -> PathWitness? {
        var held = widening.needsBindings ? requirements[Int(request.new.requirement)].bindings : []
        let before = request.old.map { requirements[Int($0.requirement)].bindings } ?? []
        // Where the old bindings cannot hold too, they are why the request was denied, and that is found by itself.
        if widening.isAfterBindings { held += before }
        let broken = widening.breaksBindings ? before : []
        func search(_ identity: TokenIdentity, _ client: Int32?) -> PathWitness? {
            stepsLeft -= Comparison.witnessSteps
            guard stepsLeft > 0 else { return nil }
            var witness = PathWitness(request.path, held: held, broken: broken, identity: identity, texts: texts)
            if let client { witness?.client = texts.text(client) }
            return witness
        }
        guard let token = widening.token else { return search(TokenIdentity(), nil) }
        let bound = (held + broken).map(\.claim)
        var identity = TokenIdentity()
        let issuerClaim = texts.number("iss")
        if bound.contains(issuerClaim) { identity.values[issuerClaim] = token.issuer }
        guard let claim = clientClaim(of: token.issuer), bound.contains(claim) else {
            return search(identity, token.clients.first)
        }
        if token.clients.isEmpty {
            let listed = listedClients(of: token.issuer)
            if claim == issuerClaim, contains(listed, token.issuer) { return nil }
            if claim != issuerClaim { identity.unlisted = (claim, listed) }
            return search(identity, nil)
        }
        for client in candidates(token.clients, held.filter { $0.claim == claim }, request.path) {
            stepsLeft -= 1
            guard stepsLeft > 0 else { return nil }
            if claim == issuerClaim, client != token.issuer { continue }
            identity.values[claim] = client
            if let witness = search(identity, client) { return witness }
        }
        return nil
    }

    /// Those of some clients that segments can be, each by itself.
    private func candidates(
        _ clients: [Int32], _ bindings: [Requirement.Binding], _ path: [SegmentClass]
    ) -> [Int32] {
        var clients = clients
        for binding in bindings where binding.segment < path.count {
            switch path[binding.segment] {
            case .literal(let text), .escaped(let text): clients = contains(clients, text) ? [text] : []
            case .empty: clients = []
            case .other(let names):
                stepsLeft -= clients.count
                clients.removeAll { contains(names, $0) || !isSegment(texts.text($0)) }
            }
        }
        return clients
    }
}

/// Whether an ascending list has the number.
func contains(_ list: [Int32], _ number: Int32) -> Bool {
    var low = 0
    var high = list.count
    while low < high {
        let middle = (low + high) / 2
        if list[middle] == number { return true }
        if list[middle] < number { low = middle + 1 } else { high = middle }
    }
    return false
}
