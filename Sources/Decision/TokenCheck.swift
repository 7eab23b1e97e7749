internal import Octets
internal import PolicyTables
internal import Signatures
internal import Tokens

/// A token that was verified, now or before, or why there is none.
enum TokenCheck {
    case token(VerifiedToken)
    case refused(Reason)
    case owed(Outcome)
}

extension DecisionState {
    /// The verified form of a token that is neither revoked nor bad by its status list: from the cache, with all that
    /// may have changed checked again, or by verification.
    /// - Parameter bytes: as they were sent; whether they are of the form of a token is looked at here.
    mutating func verify(
        _ bytes: Span<UInt8>, service: borrowing ServiceRecord, _ snapshot: DecisionSnapshot, now: Int64,
        limits: DecisionLimits
    ) -> TokenCheck {
        guard bytes.count <= TokenLimits.tokenBytesMax else {
            return .refused(isToken68(bytes) ? .tokenTooLarge : .malformedAuthorization)
        }
        fingerprint = fingerprintKeys.fingerprint(of: bytes)
        let token: VerifiedToken
        if let known = freshToken(snapshot, now: now) {
            counts.tokenCacheHits &+= 1
            isKnownToken = true
            token = known
        } else {
            switch verifyAnew(bytes, service: service, snapshot, now: now, limits: limits) {
            case .token(let verified): token = verified
            case let other: return other
            }
        }
        if let reason = checkAgain(token, snapshot, now: now) { return .refused(reason) }
        if isRevoked(token, snapshot, now: now) {
            self.token = token
            return .refused(.revoked)
        }
        if let other = checkStatus(token, snapshot, now: now, limits: limits) { return other }
        return .token(token)
    }

    /// The token of the cache, unless its issuer has to be asked again.
    private mutating func freshToken(_ snapshot: DecisionSnapshot, now: Int64) -> VerifiedToken? {
        guard let known = tokens.token(for: fingerprint, issuers: snapshot.issuers) else { return nil }
        guard known.freshUntil == .max || now < known.freshUntil else {
            tokens.remove(known)
            return nil
        }
        return known
    }

    /// What is in a cache came by here and was token68; whatever is not leaves no trace.
    private mutating func verifyAnew(
        _ bytes: Span<UInt8>, service: borrowing ServiceRecord, _ snapshot: DecisionSnapshot, now: Int64,
        limits: DecisionLimits
    ) -> TokenCheck {
        if let refusal = refusedTokens.refusal(for: fingerprint, generation: snapshot.issuers.generation) {
            return .refused(Reason(refusal))
        }
        guard limits.mayVerify else {
            return isToken68(bytes) ? .owed(.verificationOwed) : .refused(.malformedAuthorization)
        }
        // What is signed ends at the second dot.
        let signedCount = bytes.firstIndex(of: 0x2E, from: 0).flatMap { bytes.firstIndex(of: 0x2E, from: $0 + 1) } ?? 0
        let digest = hasher.digest(bytes, partCount: signedCount)
        let signed = HashedPart(count: signedCount, digest: hasher.partDigest())
        let result = verifier.verify(bytes, digest: digest, signed: signed, issuers: snapshot.issuers, now: now)
        switch result {
        // Dots and base64url, which is all token68.
        case .verified: break
        default: guard isToken68(bytes) else { return .refused(.malformedAuthorization) }
        }
        counts.verifications &+= 1
        switch result {
        case .verified(let token):
            if snapshot.issuers.issuers[token.issuerIndex].settings.introspection == .all {
                // For the log, whatever the issuer says.
                self.token = token
                let check = introspect(bytes, digest, token.issuerIndex, snapshot, now: now, limits: limits)
                if collectsDetails { collectIntrospection(check, isOpaque: false) }
                return check
            }
            tokens.insert(token, for: fingerprint)
            return .token(token)
        case .refused(let refusal):
            if refusal.isNoToken, !isLikeJWS(bytes), let issuer = introspectingIssuer(service, snapshot.issuers) {
                let check = introspect(bytes, digest, issuer, snapshot, now: now, limits: limits)
                if collectsDetails { collectIntrospection(check, isOpaque: true) }
                return check
            }
            if collectsDetails { collectRefused(bytes, snapshot.issuers) }
            // Only what can never come right under these keys is remembered.
            if refusal == .signatureInvalid {
                refusedTokens.insert(refusal, for: fingerprint, generation: snapshot.issuers.generation)
            }
            return .refused(Reason(refusal))
        case .unknownKey(let issuerIndex):
            return limits.mayWaitForKey
                ? .owed(.keyOwed(issuerIndex: issuerIndex)) : .refused(.unknownKey)
        case .keysUnavailable(let issuerIndex):
            return limits.mayWaitForKey
                ? .owed(.keyOwed(issuerIndex: issuerIndex)) : .refused(.keysUnavailable)
        case .keysStale:
            return .refused(.keysStale)
        }
    }

    /// What may have changed since the token was verified: the time, and the age of the issuer's keys.
    private func checkAgain(_ token: VerifiedToken, _ snapshot: DecisionSnapshot, now: Int64) -> Reason? {
        let issuer = snapshot.issuerFacts[token.issuerIndex]
        // For an opaque token the issuer's reply speaks, and no key.
        guard token.isOpaque || issuer.status == .usable else {
            return issuer.status == .stale ? .keysStale : .keysUnavailable
        }
        if now >= token.expiresAt &+ issuer.leewaySeconds { return .expired }
        if now < token.notBefore &- issuer.leewaySeconds { return .notYetValid }
        // A clock that was set back makes the cache no kinder than a verification.
        if now < token.issuedAt &- TokenLimits.issuedAheadSecondsMax { return .notYetValid }
        return nil
    }

    /// Looks once for each token and set of revocations: what comes later is a new set.
    private mutating func isRevoked(_ token: VerifiedToken, _ snapshot: DecisionSnapshot, now: Int64) -> Bool {
        let revocations = snapshot.revocations
        if tokens.isUnrevoked(token, epoch: revocations.epoch) { return false }
        let issuer = snapshot.issuers.issuers[token.issuerIndex].settings.issuer
        if let kind = revocations.names(token: token, issuer: issuer.span, now: now) {
            revokedBy = kind
            return true
        }
        tokens.setUnrevoked(token, epoch: revocations.epoch)
        return false
    }

    /// On every request: a list may change at any time.
    /// - Returns: why the token cannot be used, or nil.
    private mutating func checkStatus(
        _ token: VerifiedToken, _ snapshot: DecisionSnapshot, now: Int64, limits: DecisionLimits
    ) -> TokenCheck? {
        guard let status = token.status else { return nil }
        self.token = token
        guard let list = snapshot.statusLists.list(status.list), now < list.expiresAt else {
            guard limits.mayWaitForKey else { return .refused(.statusUnavailable) }
            uncountHit()
            let question = StatusListQuestion(
                issuerIndex: token.issuerIndex, generation: snapshot.issuers.generation, list: status.list,
                uri: [UInt8](copying: token.statusListURI))
            return .owed(.statusListOwed(question))
        }
        list.noteUse()
        switch list.status(at: status.index) {
        case 0: return nil
        case 2: return .refused(.statusSuspended)
        // DENY: invalid, what the issuer alone knows the meaning of, and what the list does not have.
        default: return .refused(.statusInvalid)
        }
    }

    /// Before a request is set aside: its token will be found again when it is decided again.
    mutating func uncountHit() {
        if isKnownToken { counts.tokenCacheHits &-= 1 }
        isKnownToken = false
    }
}

extension TokenRefusal {
    /// Whether this is no JWS whose issuer could be known: perhaps a token that only its issuer can read.
    fileprivate var isNoToken: Bool { self == .malformed || self == .headerMalformed || self == .encrypted }
}

extension Reason {
    init(_ refusal: TokenRefusal) {
        switch refusal {
        case .tooLarge: self = .tokenTooLarge
        case .malformed: self = .tokenMalformed
        case .encrypted: self = .tokenEncrypted
        case .headerMalformed: self = .headerMalformed
        case .typeMismatch: self = .tokenTypeMismatch
        case .algorithmNotAllowed: self = .algorithmNotAllowed
        case .criticalHeader: self = .criticalHeader
        case .claimsMalformed: self = .claimsMalformed
        case .unknownIssuer: self = .unknownIssuer
        case .unknownKey: self = .unknownKey
        case .signatureInvalid: self = .signatureInvalid
        case .missingClaim: self = .missingClaim
        case .expired: self = .expired
        case .notYetValid: self = .notYetValid
        case .audienceMismatch: self = .audienceMismatch
        case .proofRequired: self = .proofRequired
        case .lifetimeTooLong: self = .lifetimeTooLong
        }
    }
}
