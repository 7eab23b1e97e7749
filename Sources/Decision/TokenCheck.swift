internal import Octets
internal import Signatures
internal import Tokens

/// A token that was verified, now or before, or why there is none.
enum TokenCheck {
    case token(VerifiedToken)
    case refused(Reason)
    case owed(Outcome)
}

extension DecisionState {
    /// The verified form of a token: from the cache, with its times checked again, or by verification.
    mutating func verify(
        _ bytes: Span<UInt8>, _ snapshot: DecisionSnapshot, now: Int64, limits: DecisionLimits
    ) -> TokenCheck {
        guard bytes.count <= TokenLimits.tokenBytesMax else { return .refused(.tokenTooLarge) }
        let digest = hasher.digest(bytes)
        if let known = tokens.token(for: digest, issuers: snapshot.issuers) {
            counts.tokenCacheHits &+= 1
            return checkAgain(known, snapshot, now: now)
        }
        if let refusal = refusedTokens.refusal(for: digest, generation: snapshot.issuers.generation) {
            return .refused(Reason(refusal))
        }
        guard limits.mayVerify else { return .owed(.verificationOwed) }
        counts.verifications &+= 1
        switch verifier.verify(bytes, digest: digest, issuers: snapshot.issuers, now: now) {
        case .verified(let token):
            tokens.insert(token)
            return .token(token)
        case .refused(let refusal):
            // Only what can never come right under these keys is remembered.
            if refusal == .signatureInvalid {
                refusedTokens.insert(refusal, for: digest, generation: snapshot.issuers.generation)
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
    private func checkAgain(_ token: VerifiedToken, _ snapshot: DecisionSnapshot, now: Int64) -> TokenCheck {
        let issuer = snapshot.issuers.issuers[token.issuerIndex]
        guard issuer.status == .usable else {
            return .refused(issuer.status == .stale ? .keysStale : .keysUnavailable)
        }
        let leeway = issuer.settings.leewaySeconds
        if now >= token.expiresAt &+ leeway { return .refused(.expired) }
        if now < token.notBefore &- leeway { return .refused(.notYetValid) }
        // A clock that was set back makes the cache no kinder than a verification.
        if now < token.issuedAt &- TokenLimits.issuedAheadSecondsMax { return .refused(.notYetValid) }
        return .token(token)
    }
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
        }
    }
}
