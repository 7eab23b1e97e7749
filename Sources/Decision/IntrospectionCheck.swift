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
            tokens.insert(token, for: fingerprint)
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

/// Whether these are three parts of which the first one begins as a JSON object does in base64: a JWS, though a
/// misspelled one. An issuer that is less strict could call it active, in spellings that no revocation names.
func isLikeJWS(_ token: Span<UInt8>) -> Bool {
    var dots = 0
    for index in token.indices where token[index] == 0x2E { dots += 1 }
    guard dots == 2, token.count > 2, let first = sextet(token[0]), let second = sextet(token[1]) else { return false }
    switch first << 2 | second >> 4 {
    // `{`, or the white space that JSON lets stand before it.
    case 0x7B, 0x20, 0x09, 0x0A, 0x0D: return true
    default: return false
    }
}

/// Of either alphabet of base64 (RFC 4648 §4, §5).
private func sextet(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x2D: 62
    case 0x5F: 63
    default: base64Value(byte)
    }
}
