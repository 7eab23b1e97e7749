internal import Octets
internal import PolicyTables
internal import Tokens

// How what a token amounts to is held against what the policy approves for its client.

extension GrantTable {
    /// What the token amounts to for its client.
    /// - Parameter issuer: the identifier of the token's issuer.
    /// - Returns: nil when the policy says something of the issuer's clients that cannot be read.
    mutating func grant(
        for token: VerifiedToken, catalogue: borrowing Catalogue, reader: borrowing PolicyReader, activation: UInt64,
        issuer: [UInt8], now: Int64
    ) -> Grant? {
        guard let clients = catalogue.issuerClients(token.issuerIndex) else { return nil }
        if clients.areListed, let record = reader.client(issuer: token.issuerIndex, identifier: token.client) {
            guard record.isReadable else { return nil }
            return grant(
                for: token, listedAs: record, catalogue: catalogue, activation: activation, issuer: issuer, now: now)
        }
        if clients.refusesUnknown {
            return grant(refusing: token, catalogue: catalogue, activation: activation, now: now)
        }
        let grant = grant(
            forScopes: token.scopeText, activation: activation, catalogue: catalogue, now: now)
        guard grant.hasOldNames else { return grant }
        // Whose tokens still carry old names is worth knowing.
        return self.grant(
            noting: token, catalogue: catalogue, activation: activation, issuer: issuer, now: now)
    }

    private mutating func grant(
        for token: VerifiedToken, listedAs record: borrowing ClientRecord, catalogue: borrowing Catalogue,
        activation: UInt64, issuer: [UInt8], now: Int64
    ) -> Grant {
        follow(activation)
        let key = GrantTable.key(token, client: token.client)
        if let known = grant(key, now: now) { return known }
        var expansion = ScopeExpansion(token.scopeText, catalogue, now: now)
        let approved = ScopeSet(approvedBy: record, catalogue: catalogue, now: now)
        for index in 0..<record.grantCount {
            if let grant = record.grant(index) { expansion.note(end: grant.until, now: now) }
        }
        let excess = excess(of: expansion, approved, catalogue)
        var effective = expansion.scopes
        var refusal: Reason?
        if !excess.isEmpty {
            switch record.rule {
            case .deny: refusal = .overScoped
            case .narrow: effective.removeAll { !approved.contains($0) }
            case .alert: break
            }
        }
        let remarks = GrantRemarks(
            issuer: issuer, client: [UInt8](copying: token.client), clientName: [UInt8](copying: record.name),
            excess: sortedNames(of: excess, catalogue), oldScopes: sortedNames(of: expansion.oldNames, catalogue))
        let grant = expansion.grant(
            activation: activation, catalogue: catalogue, effective: effective, refusal: refusal,
            observeUntil: record.observeUntil, remarks: remarks)
        keep(grant, key)
        return grant
    }

    /// The same for all clients that are not listed: who they are plays no part.
    private mutating func grant(
        refusing token: VerifiedToken, catalogue: borrowing Catalogue, activation: UInt64, now: Int64
    ) -> Grant {
        follow(activation)
        let key = GrantTable.key(token, client: Span())
        if let known = grant(key, now: now) { return known }
        let grant = ScopeExpansion(token.scopeText, catalogue, now: now).grant(
            activation: activation, catalogue: catalogue, refusal: .unknownClient)
        keep(grant, key)
        return grant
    }

    private mutating func grant(
        noting token: VerifiedToken, catalogue: borrowing Catalogue, activation: UInt64, issuer: [UInt8], now: Int64
    ) -> Grant {
        follow(activation)
        // Beyond this, two clients are one in what is said of them, and nowhere else.
        let client = Array([UInt8](copying: token.client).prefix(ClientModel.identifierBytesMax))
        let key = GrantTable.key(token, client: client.span)
        if let known = grant(key, now: now) { return known }
        let expansion = ScopeExpansion(token.scopeText, catalogue, now: now)
        let remarks = GrantRemarks(
            issuer: issuer, client: client, clientName: [], excess: [],
            oldScopes: sortedNames(of: expansion.oldNames, catalogue))
        let grant = expansion.grant(activation: activation, catalogue: catalogue, remarks: remarks)
        keep(grant, key)
        return grant
    }

    /// `scopes · NUL · issuer · client`. A list of scopes has no NUL, so that no two of them meet, nor one with a list
    /// alone.
    private static func key(_ token: VerifiedToken, client: Span<UInt8>) -> [UInt8] {
        var key = [UInt8](copying: token.scopeText)
        key.append(0)
        key.append(littleEndian32: UInt32(truncatingIfNeeded: token.issuerIndex))
        key += [UInt8](copying: client)
        return key
    }
}

/// What a token amounts to beyond what is approved, ascending. An old name is what stands in its place, and that is
/// looked at by itself.
func excess(of expansion: ScopeExpansion, _ approved: ScopeSet, _ catalogue: borrowing Catalogue) -> [UInt16] {
    var excess: [UInt16] = []
    for scope in expansion.scopes where !approved.contains(scope) {
        if let term = catalogue.scopeTerm(scope), term.isOldName { continue }
        excess.append(scope)
    }
    return excess
}

/// A set of scopes as the policy numbers them.
struct ScopeSet {
    private var words: [UInt64]

    /// - Parameter count: of the policy's scopes.
    init(count: Int) {
        words = [UInt64](repeating: 0, count: (count + 63) / 64)
    }

    /// What is approved for a client at this time: its own scopes and those of grants that are not over.
    init(approvedBy record: borrowing ClientRecord, catalogue: borrowing Catalogue, now: Int64) {
        self.init(count: catalogue.scopeCount)
        for index in 0..<record.scopeCount {
            if let scope = record.scope(index) { insert(scope) }
        }
        for index in 0..<record.grantCount {
            guard let grant = record.grant(index), now < grant.until else { continue }
            for place in 0..<grant.scopeCount {
                if let scope = record.scope(of: grant, place) { insert(scope) }
            }
        }
    }

    /// A scope that the policy does not have is left out.
    mutating func insert(_ scope: UInt16) {
        guard Int(scope) >> 6 < words.count else { return }
        words[Int(scope) >> 6] |= 1 << UInt64(scope & 63)
    }

    func contains(_ scope: UInt16) -> Bool {
        Int(scope) >> 6 < words.count && words[Int(scope) >> 6] & 1 << UInt64(scope & 63) != 0
    }
}
