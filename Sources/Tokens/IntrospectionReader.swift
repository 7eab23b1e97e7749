internal import Octets
public import Signatures

/// What an introspection reply says of a token.
public enum IntrospectionResult: Sendable {
    /// Active, and everything in the reply is as it must be. `freshUntil` says how long that is believed.
    case active(VerifiedToken)
    /// Not active (RFC 7662 §2.2).
    case inactive
    /// Active, and refused for what the reply says, or does not say.
    case refused(TokenRefusal)
    /// No reply that could be believed; the text says why.
    case unreadable(String)
}

/// Reads introspection replies (RFC 7662 §2.2, RFC 9701 §5). Not Sendable; buffers are used again.
///
/// Whoever uses it promises to look at `VerifiedToken.confirmation` and to demand the proof.
public final class IntrospectionReader {
    /// Longest reply, bytes.
    public static let replyBytesMax = 64 << 10
    /// A signed reply is made for the question; an older one answers another. Seconds.
    static let signedReplyAgeSecondsMax: Int64 = 300
    /// Bounds of `IntrospectionRules.cacheSecondsMax`.
    static let cacheSecondsRange: ClosedRange<Int64> = 1...3_600

    private var index = JSONIndex()
    private var strings = TokenStrings()

    public init() {}

    /// Reads one reply. The members of an active one are read as the claims of a JWT are, under the issuer's settings.
    ///
    /// Of an active reply, in this order, and the first failure is the refusal: `iss`, when present, is the issuer's;
    /// types; `token_type`, when present, is `Bearer` or `DPoP` in any case, `DPoP` exactly for `cnf.jkt`; `exp`, `nbf`
    /// and `iat`; the longest lifetime; `aud`, which is required and names one of the issuer's audiences; `cnf`.
    /// Without `exp` the token expires when the reply is no longer believed.
    ///
    /// With `local`, a reply may leave all that out. `sub`, the client claim and `cnf` must be what the token has; the
    /// earlier `exp` and the later `nbf` hold; scopes, audiences and details are those of both, where the reply has
    /// them. All else is the token's.
    /// - Parameters:
    ///   - reply: the body.
    ///   - isJWT: the body is a JWS (`application/token-introspection+jwt`).
    ///   - token: SHA-256 of the token that was asked about.
    ///   - local: the token as it was verified here, when it is a JWS: the reply may narrow it, never widen it.
    ///   - now: Unix seconds.
    public func read(
        _ reply: Span<UInt8>, isJWT: Bool, token: Digest, issuers: IssuerSnapshot, issuerIndex: Int,
        local: VerifiedToken?, now: Int64
    ) -> IntrospectionResult {
        guard issuers.issuers.indices.contains(issuerIndex) else { return .unreadable("the issuer is unknown") }
        guard reply.count <= IntrospectionReader.replyBytesMax else {
            return .unreadable("the reply has more than \(IntrospectionReader.replyBytesMax) bytes")
        }
        let issuer = issuers.issuers[issuerIndex]
        if let local {
            guard local.digest == token, local.issuerIndex == issuerIndex,
                local.issuersGeneration == issuers.generation
            else { return .unreadable("the token was verified by other settings than the reply would be") }
        }
        let question = Question(
            token: token, issuer: issuer, issuerIndex: issuerIndex, generation: issuers.generation, local: local,
            now: now)
        do throws(Unreadable) {
            guard isJWT else {
                guard !issuer.settings.introspectionRules.demandsJWT else {
                    throw Unreadable("the reply is not signed")
                }
                try readJSON(reply)
                return try readObject(0, reply, question)
            }
            let claims = try signedClaims(reply, issuer)
            try readJSON(claims.span)
            return try readObject(try checkEnvelope(claims.span, issuer, now), claims.span, question)
        } catch {
            return .unreadable(error.text)
        }
    }

    private struct Unreadable: Error {
        let text: String
        init(_ text: String) { self.text = text }
    }

    private struct Question {
        let token: Digest
        let issuer: IssuerKeys
        let issuerIndex: Int
        let generation: UInt64
        let local: VerifiedToken?
        let now: Int64
    }

    private func signedClaims(_ reply: Span<UInt8>, _ issuer: IssuerKeys) throws(Unreadable) -> [UInt8] {
        do throws(SignedDocumentError) {
            return try SignedDocument.claims(
                of: reply, type: .introspection, issuer: issuer, bytesMax: IntrospectionReader.replyBytesMax)
        } catch {
            throw Unreadable("the signed reply \(error.text)")
        }
    }

    private func readJSON(_ text: Span<UInt8>) throws(Unreadable) {
        do throws(JSONError) {
            try index.read(text, limits: .claims)
        } catch {
            throw Unreadable("the reply is not a strict JSON object: \(error)")
        }
    }

    /// What stands around the reply in a signed one (RFC 9701 §5).
    /// - Returns: the node of `token_introspection`.
    private func checkEnvelope(
        _ text: Span<UInt8>, _ issuer: IssuerKeys, _ now: Int64
    ) throws(Unreadable) -> Int {
        let places = index.claimPlaces(in: text)
        let issuerName = issuer.settings.issuer
        guard let name = index.value(at: places.issuer), name.kind == .string,
            isString(name, in: text, equalTo: issuerName.span)
        else { throw Unreadable("`iss` of the signed reply is not the issuer") }
        let clientID = issuer.settings.introspectionRules.clientID
        do throws(TokenRefusal) {
            guard !clientID.isEmpty, let audience = try index.audience(places.audience),
                index.hasAudience(audience, among: [clientID], in: text)
            else { throw .audienceMismatch }
            guard let issuedAt = try index.date(places.issuedAt, text),
                issuedAt.floor >= now - IntrospectionReader.signedReplyAgeSecondsMax,
                issuedAt.ceiling <= now + TokenLimits.issuedAheadSecondsMax
            else { throw .expired }
            // Neither belongs there; whoever writes them means them.
            if let end = try index.date(places.expiresAt, text), now >= end.floor { throw .expired }
            if let start = try index.date(places.notBefore, text), now < start.ceiling { throw .notYetValid }
        } catch {
            switch error {
            case .audienceMismatch: throw Unreadable("`aud` of the signed reply does not have our client identifier")
            case .expired, .notYetValid: throw Unreadable("the signed reply is not of this time")
            default: throw Unreadable("a claim of the signed reply has the wrong type")
            }
        }
        guard let reply = index.member("token_introspection", of: index.value(places.object), in: text),
            reply.kind == .object
        else { throw Unreadable("the signed reply has no `token_introspection` object") }
        return reply.node
    }

    private func readObject(
        _ node: Int, _ text: Span<UInt8>, _ question: Question
    ) throws(Unreadable) -> IntrospectionResult {
        let active = index.member("active", of: index.value(node), in: text)
        switch active?.kind {
        case .true: break
        case .false: return .inactive
        default: throw Unreadable("`active` is not a JSON boolean")
        }
        do throws(TokenRefusal) {
            let places = index.claimPlaces(of: node, in: text)
            try checkIssuer(places, text, question.issuer)
            let claims = try TokenClaims(index, places, text, question.issuer)
            try checkTokenType(claims, places, text, question.local)
            if let local = question.local {
                return .active(try narrowed(local, by: claims, text, question))
            }
            return .active(try opaque(claims, places, text, question))
        } catch {
            return .refused(error)
        }
    }

    private func checkIssuer(
        _ places: ClaimPlaces, _ text: Span<UInt8>, _ issuer: IssuerKeys
    ) throws(TokenRefusal) {
        guard let name = index.value(at: places.issuer) else { return }
        guard name.kind == .string else { throw .claimsMalformed }
        let issuerName = issuer.settings.issuer
        guard isString(name, in: text, equalTo: issuerName.span) else { throw .unknownIssuer }
    }

    /// RFC 7662 §2.2, RFC 9449 §6.2: with a key bound by DPoP it is `DPoP`, and without one it is not.
    private func checkTokenType(
        _ claims: TokenClaims, _ places: ClaimPlaces, _ text: Span<UInt8>, _ local: VerifiedToken?
    ) throws(TokenRefusal) {
        guard let type = index.member("token_type", of: index.value(places.object), in: text) else { return }
        guard type.kind == .string else { throw .claimsMalformed }
        let name = text.bytes(at: type.range)
        var isBoundByProof = false
        if case .known(.jwkThumbprint) = claims.confirmation { isBoundByProof = true }
        if case .jwkThumbprint = local?.confirmation { isBoundByProof = true }
        // Types compare in any case (RFC 6749 §5.1).
        guard TokenHeader.isMediaType(name, isBoundByProof ? "DPoP" : "Bearer") else { throw .typeMismatch }
    }

    private func opaque(
        _ claims: TokenClaims, _ places: ClaimPlaces, _ text: Span<UInt8>, _ question: Question
    ) throws(TokenRefusal) -> VerifiedToken {
        var claims = claims
        let settings = question.issuer.settings
        if claims.expiresAt == nil { claims.expire(at: question.now + cacheSeconds(settings)) }
        try claims.checkTimes(now: question.now, leewaySeconds: settings.leewaySeconds)
        try claims.checkLifetime(secondsMax: settings.lifetimeSecondsMax)
        guard let audience = claims.audience else { throw .missingClaim }
        guard index.hasAudience(audience, among: settings.audiences, in: text) else { throw .audienceMismatch }
        if case .unknown = claims.confirmation { throw .proofRequired }
        // There is no header, and so no `kid`.
        try strings.collect(claims, places, keyID: nil, in: text.extracting(0..<0), text, index, question.issuer)
        try strings.append(freshUntil: freshUntil(claims.times, question))
        return IntrospectionReader.token(strings, claims.times, keysGeneration: 0, question)
    }

    private func narrowed(
        _ local: VerifiedToken, by claims: TokenClaims, _ text: Span<UInt8>, _ question: Question
    ) throws(TokenRefusal) -> VerifiedToken {
        let settings = question.issuer.settings
        if let subject = claims.subject, !isString(subject, in: text, equalTo: local.subject) {
            throw .claimsMalformed
        }
        if let client = claims.client, !isString(client, in: text, equalTo: local.client) { throw .claimsMalformed }
        switch claims.confirmation {
        case .absent: break
        case .known(let confirmation) where confirmation == local.confirmation: break
        case .known, .unknown: throw .proofRequired
        }
        var claims = claims
        claims.expire(at: min(local.expiresAt, claims.expiresAt ?? local.expiresAt))
        try claims.checkTimes(now: question.now, leewaySeconds: settings.leewaySeconds)
        try strings.narrow(local, by: claims, text, index, question.issuer)
        var times = VerifiedToken.Times()
        times.expiresAt = claims.times.expiresAt
        times.notBefore = max(local.notBefore, claims.times.notBefore)
        times.issuedAt = local.issuedAt
        times.authenticatedAt = local.authenticatedAt
        try strings.append(freshUntil: freshUntil(times, question))
        let token = IntrospectionReader.token(
            strings, times, keysGeneration: local.issuerKeysGeneration, question)
        for position in settings.audiences.indices {
            let audience = settings.audiences[position]
            if token.hasAudience(audience.span) { return token }
        }
        throw .audienceMismatch
    }

    // Takes the strings, since their span would not live in a class.
    private static func token(
        _ strings: borrowing TokenStrings, _ times: VerifiedToken.Times, keysGeneration: UInt64,
        _ question: Question
    ) -> VerifiedToken {
        VerifiedToken(
            issuerIndex: question.issuerIndex, times: times, keysGeneration: keysGeneration,
            issuersGeneration: question.generation, digest: question.token, strings: strings.bytes,
            layout: strings.layout)
    }

    private func cacheSeconds(_ settings: IssuerSettings) -> Int64 {
        let range = IntrospectionReader.cacheSecondsRange
        return min(max(settings.introspectionRules.cacheSecondsMax, range.lowerBound), range.upperBound)
    }

    /// Never beyond `exp` (RFC 7662 §4), save for the one second in which a token within the issuer's leeway is still
    /// used: a reply that is not believed at all would be asked for again for ever.
    private func freshUntil(_ times: VerifiedToken.Times, _ question: Question) -> Int64 {
        let longest = question.now + cacheSeconds(question.issuer.settings)
        return max(question.now + 1, min(times.expiresAt, longest))
    }
}
