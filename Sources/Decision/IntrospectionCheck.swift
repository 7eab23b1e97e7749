internal import Octets
internal import PolicyTables
internal import Signatures
internal import Tokens

extension DecisionState {
    /// What the issuer has said of a token (RFC 7662 §2.2), or that it has to be asked.
    mutating func introspect(
        _ bytes: Span<UInt8>, _ digest: Digest, _ issuerIndex: Int, _ snapshot: DecisionSnapshot, now: Int64,
        limits: DecisionLimits
    ) -> TokenCheck {
        let generation = snapshot.issuers.generation
        switch introspections.finding(for: digest, issuerIndex: issuerIndex, generation: generation, now: now) {
        case .active(let token):
            // DENY: a finding of another token, or of other settings, is none.
            guard token.digest == digest, token.issuerIndex == issuerIndex, token.issuersGeneration == generation,
                now < token.freshUntil
            else { break }
            tokens.insert(token)
            return .token(token)
        case .inactive: return .refused(.tokenInactive)
        case .refused(let refusal): return .refused(Reason(refusal))
        case .unavailable: return .refused(.introspectionUnavailable)
        case nil: break
        }
        guard limits.mayWaitForKey else { return .refused(.introspectionUnavailable) }
        let rules = snapshot.issuers.issuers[issuerIndex].settings.introspectionRules
        let question = IntrospectionQuestion(
            issuerIndex: issuerIndex, generation: generation, digest: digest, token: [UInt8](copying: bytes),
            timeoutMilliseconds: rules.timeoutMilliseconds)
        return .owed(.introspectionOwed(question))
    }

    /// The one issuer of a service that is asked about opaque tokens. With two of them neither: the token would be
    /// shown to one that has not issued it.
    func introspectingIssuer(_ service: borrowing ServiceRecord, _ issuers: IssuerSnapshot) -> Int? {
        var found: Int?
        for number in 0..<service.issuerCount {
            guard let issuer = service.issuer(number), issuer < issuers.issuers.count,
                issuers.issuers[issuer].settings.introspection != .never
            else { continue }
            guard found == nil else { return nil }
            found = issuer
        }
        return found
    }
}
