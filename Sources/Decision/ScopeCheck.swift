internal import Octets
internal import PolicyTables
internal import Tokens

/// What became of a token that is good in itself, on one route.
enum TokenUse {
    case grant(Grant)
    case refused(Reason)
    case owed(Outcome)
}

extension DecisionState {
    /// Everything that a good token must satisfy on this route, in the order in which reasons are given.
    mutating func check(
        _ found: VerifiedToken, _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>, port: UInt16,
        table: borrowing HostTable, rule: RouteRule, service: borrowing ServiceRecord, catalogue: borrowing Catalogue,
        reader: borrowing PolicyReader, snapshot: DecisionSnapshot, now: Int64, limits: DecisionLimits
    ) -> TokenUse {
        guard service.allows(issuer: found.issuerIndex) else { return .refused(.issuerNotAllowed) }
        guard service.audience.count == 0 || found.hasAudience(service.audience) else {
            return .refused(.audienceMismatch)
        }
        let place = ProofPlace(
            demand: rule.proof, demandsNonce: rule.demandsNonce,
            port: service.publicPort > 0 ? service.publicPort : port)
        switch confirm(found, facts, bytes, place, snapshot, now: now, limits: limits) {
        case .held: break
        case .refused(let reason): return .refused(reason)
        case .owed:
            uncountHit()
            return .owed(.verificationOwed)
        }
        let grant: Grant
        if let known = tokens.grant(of: found, activation: snapshot.activation, now: now) {
            grant = known
        } else {
            // DENY: a client whose record cannot be read is not one that has none.
            guard let made = remember(found, catalogue, reader, snapshot, now: now) else {
                return .refused(.policyUnreadable)
            }
            grant = made
        }
        if grant.remarks != nil { noted = grant }
        if collectsDetails { collectGrant(grant, of: found, catalogue, reader, now: now) }
        if let refusal = grant.refusal { return .refused(refusal) }
        guard holds(grant, table, rule) else { return .refused(.insufficientScope) }
        guard bindingsHold(found, table, rule) else { return .refused(.bindingMismatch) }
        guard detailsHold(found, table, rule) else { return .refused(.insufficientDetails) }
        guard isAuthenticationEnough(found, table, rule, now: now) else { return .refused(.stepUpRequired) }
        return .grant(grant)
    }

    /// Works out what the token amounts to, and keeps it with the token.
    /// - Returns: nil when the policy says something of the client that cannot be read.
    private mutating func remember(
        _ token: VerifiedToken, _ catalogue: borrowing Catalogue, _ reader: borrowing PolicyReader,
        _ snapshot: DecisionSnapshot, now: Int64
    ) -> Grant? {
        guard
            let grant = grants.grant(
                for: token, catalogue: catalogue, reader: reader, activation: snapshot.activation,
                issuer: snapshot.issuers.issuers[token.issuerIndex].settings.issuer, now: now)
        else { return nil }
        tokens.setGrant(grant, of: token)
        return grant
    }

    private func holds(_ grant: Grant, _ table: borrowing HostTable, _ rule: RouteRule) -> Bool {
        guard rule.allCount + rule.anyCount > 0 else { return false }
        for index in 0..<rule.allCount {
            guard let scope = table.scope(of: rule, all: index), grant.contains(scope) else { return false }
        }
        guard rule.anyCount > 0 else { return true }
        for index in 0..<rule.anyCount {
            if let scope = table.scope(of: rule, any: index), grant.contains(scope) { return true }
        }
        return false
    }

    /// Exact bytes, never empty.
    private func bindingsHold(_ token: VerifiedToken, _ table: borrowing HostTable, _ rule: RouteRule) -> Bool {
        for index in 0..<rule.bindingCount {
            guard let binding = table.binding(of: rule, index) else { return false }
            let segment = target.decoded.bytes.bytes(at: target.decodedSegment(binding.segment))
            guard segment.count > 0, let claim = token.boundClaim(binding.claimIndex), equal(claim, segment)
            else { return false }
        }
        return true
    }

    /// What `authorization_details` must allow (RFC 9396 §2), worked out when the token was verified.
    private func detailsHold(_ token: VerifiedToken, _ table: borrowing HostTable, _ rule: RouteRule) -> Bool {
        for index in 0..<rule.detailCount {
            guard let detail = table.detail(of: rule, index), token.satisfies(detail: detail) else { return false }
        }
        return true
    }
}
