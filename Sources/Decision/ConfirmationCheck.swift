internal import Octets
internal import PolicyTables
internal import Signatures
internal import Tokens

/// What the sender of a request has shown beside a token that is good in itself.
enum Possession {
    /// Nothing yet: no allow on a token.
    case open
    /// The token is bound to nothing and the route asks for no binding, or the certificate was the right one.
    case held
    /// A proof was checked. It may have been used before.
    case proved(VerifiedProof)
    /// The same, and it was not.
    case recorded
}

/// What became of a token's binding.
enum ConfirmationResult {
    case held
    case refused(Reason)
    /// A signature has to be verified for it, and none may be now.
    case owed
}

extension DecisionState {
    /// Holds a token to what it is bound to (RFC 9449 §7.1, RFC 8705 §3), on every request: that it was verified before
    /// says nothing of who sends it now. What costs least is looked at first.
    mutating func confirm(
        _ token: VerifiedToken, _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>, _ place: ProofPlace,
        _ snapshot: DecisionSnapshot, now: Int64, limits: DecisionLimits
    ) -> ConfirmationResult {
        switch token.confirmation {
        case .none:
            guard scheme != .dpop else { return .refused(.tokenNotBound) }
            guard place.demand == .none else { return .refused(.proofRequired) }
            possession = .held
            return .held
        case .jwkThumbprint(let key):
            guard facts.dpopCount <= 1 else { return .refused(.multipleCredentials) }
            guard scheme == .dpop, place.demand != .certificate else { return .refused(.proofRequired) }
            guard facts.dpopCount == 1, !facts.dpop.isEmpty else {
                proofFault = "proof_missing"
                return .refused(.invalidProof)
            }
            guard limits.mayVerify else { return .owed }
            counts.verifications &+= 1
            return prove(token, key, facts, bytes, place, snapshot, now: now)
        case .certificateThumbprint(let thumbprint):
            guard scheme != .dpop else { return .refused(.tokenNotBound) }
            guard place.demand != .dpop else { return .refused(.proofRequired) }
            return compareCertificate(thumbprint, facts, bytes)
        }
    }

    private mutating func prove(
        _ token: VerifiedToken, _ key: Digest, _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>,
        _ place: ProofPlace, _ snapshot: DecisionSnapshot, now: Int64
    ) -> ConfirmationResult {
        let issuer = snapshot.issuers.issuers[token.issuerIndex]
        let rules = issuer.settings.proofRules
        let demandsNonce =
            place.demandsNonce || issuer.settings.demandsProofNonce || proofs.demandsNonce(rules, now: now)
        let result: ProofResult
        if demandsNonce {
            nonces.follow(proofs, now: now)
            let rule = NonceRule(required: nonces.current.bytes, or: nonces.previous.bytes)
            result = verifyProof(of: token, key, facts, bytes, port: place.port, rule, rules, now: now)
        } else {
            result = verifyProof(of: token, key, facts, bytes, port: place.port, NonceRule(), rules, now: now)
        }
        switch result {
        case .proved(let proof):
            possession = .proved(proof)
            givesNonce = proof.hasPreviousNonce
            return .held
        case .refused(let refusal):
            proofFault = refusal.name
            guard refusal.asksForNonce else { return .refused(.invalidProof) }
            givesNonce = true
            return .refused(.nonceRequired)
        }
    }

    private func verifyProof(
        of token: VerifiedToken, _ key: Digest, _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>, port: UInt16,
        _ nonce: borrowing NonceRule, _ rules: ProofRules, now: Int64
    ) -> ProofResult {
        let request = ProofRequest(
            method: bytes.bytes(at: facts.method),
            isSecure: equalIgnoringCase(bytes.bytes(at: facts.scheme), "https"), host: host.name.bytes, port: port,
            path: target.path.bytes)
        return proofVerifier.verify(
            bytes.bytes(at: facts.dpop), for: request, tokenDigest: token.digest, boundKey: key, nonce: nonce,
            rules: rules, now: now)
    }

    /// The chain plays no part: the issuer has vouched for this very certificate (RFC 8705 §6.2).
    private mutating func compareCertificate(
        _ thumbprint: Digest, _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>
    ) -> ConfirmationResult {
        let presented: Digest
        if facts.certificate.isUsed, !facts.certificate.der.isEmpty {
            presented = sha256(bytes.bytes(at: facts.certificate.der))
        } else if !facts.clientCertificate.isEmpty {
            guard certificateText.read(bytes.bytes(at: facts.clientCertificate)) else {
                return .refused(.certificateMismatch)
            }
            presented = sha256(certificateText.der.bytes)
        } else {
            return .refused(.certificateRequired)
        }
        guard presented == thumbprint else { return .refused(.certificateMismatch) }
        possession = .held
        return .held
    }

    /// The last step before an allow: remembers the proof that the request was made with, once. A denial leaves it
    /// usable, and so do observe mode and a request that has to wait and is decided again.
    /// - Returns: why the request is denied after all, or nil.
    mutating func recordProof(_ snapshot: DecisionSnapshot, now: Int64) -> Reason? {
        guard case .proved(let proof) = possession else { return nil }
        // DENY: an answer that does not fit is none, and would cost the client its proof.
        guard answer.isComplete, answer.freeCount >= finishBytes(.granted, label: snapshot.label) else {
            return .overloaded
        }
        guard !isRehearsal else {
            possession = .recorded
            return nil
        }
        switch proofs.add(proof, now: now) {
        case .added:
            possession = .recorded
            return nil
        case .known: return .proofReplayed
        case .full: return .replayCacheFull
        }
    }
}

/// What a route and its service say about proofs.
struct ProofPlace {
    let demand: ProofDemand
    let demandsNonce: Bool
    /// As clients write it.
    let port: UInt16
}

// MARK: step-up

extension DecisionState {
    /// How far ahead of our clock an issuer's may be, seconds.
    private static var authenticatedAheadSecondsMax: Int64 { 60 }

    /// Whether the user has authenticated in the way and at the time that the route demands (RFC 9470 §3).
    func isAuthenticationEnough(
        _ token: VerifiedToken, _ table: borrowing HostTable, _ rule: RouteRule, now: Int64
    ) -> Bool {
        if rule.authenticationAgeSecondsMax > 0 {
            // NumericDates end at 2^53: nothing is added to `now`, which may be anything.
            guard token.authenticatedAt != 0,
                token.authenticatedAt - DecisionState.authenticatedAheadSecondsMax <= now,
                token.authenticatedAt + Int64(rule.authenticationAgeSecondsMax) >= now
            else { return false }
        }
        guard rule.acrCount > 0 else { return true }
        guard token.authenticationContext.count > 0 else { return false }
        for index in 0..<rule.acrCount {
            if let value = table.acr(of: rule, index), equal(value, token.authenticationContext) { return true }
        }
        return false
    }
}
