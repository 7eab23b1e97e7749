internal import Octets
internal import Signatures

/// The steps of checking one token, over buffers that are used again for the next one.
struct Verification: ~Copyable {
    /// What is known of a token before its signature has been checked: which key to ask, nothing more.
    struct Found {
        let parts: CompactParts
        let header: TokenHeader
        let algorithm: SignatureAlgorithm
        let places: ClaimPlaces
        let issuerIndex: Int
    }

    /// The header read last: its base64url text, decoded bytes and meaning. All tokens of one key have the
    /// same header, so it is mostly read already. None is kept of one that cannot be read.
    private var headerText: [UInt8] = []
    private var headerMeaning: TokenHeader?
    private var header = DecodedPart()
    private var payload = DecodedPart()
    private var signature = DecodedPart()
    private var headerIndex = JSONIndex()
    private var claimsIndex = JSONIndex()
    private var strings = TokenStrings()

    mutating func readToken(_ token: Span<UInt8>, _ issuers: IssuerSnapshot) throws(TokenRefusal) -> Found {
        let parts = try CompactParts(token)
        let isKnownHeader = headerMeaning != nil && equal(headerText.span, token.bytes(at: parts.header))
        if !isKnownHeader {
            headerMeaning = nil
            try header.decode(token.bytes(at: parts.header))
        }
        try payload.decode(token.bytes(at: parts.payload))
        try signature.decode(token.bytes(at: parts.signature))
        let head: TokenHeader
        if let headerMeaning {
            head = headerMeaning
        } else {
            head = try Verification.readHeader(header, &headerIndex)
            headerMeaning = head
            headerText.removeAll(keepingCapacity: true)
            headerText.append(copying: token.bytes(at: parts.header))
        }
        // What no issuer's settings could make right.
        guard let algorithm = head.algorithm else { throw .algorithmNotAllowed }
        guard head.type == .accessToken || head.type == .plain else { throw .typeMismatch }
        guard !head.hasCritical else { throw .criticalHeader }
        guard !head.isNested else { throw .typeMismatch }

        let places = try Verification.readClaims(payload, &claimsIndex)
        let issuerIndex = try findIssuer(places, issuers)
        let issuer = issuers.issuers[issuerIndex]
        guard head.type == .accessToken || issuer.settings.profile == .compat else { throw .typeMismatch }
        guard issuer.settings.algorithms.contains(algorithm) else { throw .algorithmNotAllowed }
        return Found(
            parts: parts, header: head, algorithm: algorithm, places: places, issuerIndex: issuerIndex)
    }

    // These take the parts that they touch, since a span of one part would hold all of self.

    private static func readHeader(
        _ header: borrowing DecodedPart, _ index: inout JSONIndex
    ) throws(TokenRefusal) -> TokenHeader {
        try TokenHeader(header.bytes, &index)
    }

    private static func readClaims(
        _ payload: borrowing DecodedPart, _ index: inout JSONIndex
    ) throws(TokenRefusal) -> ClaimPlaces {
        do throws(JSONError) {
            try index.read(payload.bytes, limits: .claims)
        } catch {
            throw .claimsMalformed
        }
        return index.claimPlaces(in: payload.bytes)
    }

    /// `iss` chooses whose keys are asked; it is believed only when one of them has signed it.
    private func findIssuer(_ places: ClaimPlaces, _ issuers: IssuerSnapshot) throws(TokenRefusal) -> Int {
        guard let issuer = claimsIndex.value(at: places.issuer) else { throw .missingClaim }
        guard issuer.kind == .string else { throw .claimsMalformed }
        guard let index = issuers.index(ofIssuer: issuer, in: payload.bytes) else { throw .unknownIssuer }
        return index
    }

    func findKey(_ head: TokenHeader, _ algorithm: SignatureAlgorithm, _ keys: KeySet) -> KeySet.Lookup {
        keys.find(keyID: head.keyID, in: header.bytes, algorithm: algorithm)
    }

    func checkSignature(
        _ token: Span<UInt8>, _ found: Found, _ verifier: PreparedVerifier, _ hashed: HashedPart?
    ) throws(TokenRefusal) {
        let signed = token.bytes(at: found.parts.signed)
        let digest = hashed?.count == signed.count ? hashed?.digest : nil
        guard verifier.verify(message: signed, signature: signature.bytes, digest: digest) else {
            throw .signatureInvalid
        }
    }

    func checkedClaims(
        _ found: Found, _ issuer: IssuerKeys, takesBoundTokens: Bool, _ now: Int64
    ) throws(TokenRefusal) -> TokenClaims {
        let claims = try TokenClaims(claimsIndex, found.places, payload.bytes, issuer)
        // An explicit type has said what the token is; without one, members of other kinds speak.
        guard found.header.type == .accessToken || !found.places.isOtherKind else { throw .typeMismatch }
        try claims.checkPresence(issuer.settings.profile)
        try claims.checkTimes(now: now, leewaySeconds: issuer.settings.leewaySeconds)
        try claims.checkLifetime(secondsMax: issuer.settings.lifetimeSecondsMax)
        guard let audience = claims.audience,
            claimsIndex.hasAudience(audience, among: issuer.settings.audiences, in: payload.bytes)
        else { throw .audienceMismatch }
        switch claims.confirmation {
        case .absent: return claims
        case .known where takesBoundTokens: return claims
        case .known, .unknown: throw .proofRequired
        }
    }

    /// The only place where a `VerifiedToken` is made of a JWS.
    mutating func makeToken(
        _ claims: TokenClaims, _ found: Found, _ issuer: IssuerKeys, digest: Digest, keysGeneration: UInt64,
        issuersGeneration: UInt64
    ) throws(TokenRefusal) -> VerifiedToken {
        try Verification.collect(claims, found, header, payload, claimsIndex, issuer, into: &strings)
        return VerifiedToken(
            issuerIndex: found.issuerIndex, times: claims.times, keysGeneration: keysGeneration,
            issuersGeneration: issuersGeneration, digest: digest, strings: strings.bytes,
            layout: strings.layout)
    }

    private static func collect(
        _ claims: TokenClaims, _ found: Found, _ header: borrowing DecodedPart, _ payload: borrowing DecodedPart,
        _ index: borrowing JSONIndex, _ issuer: IssuerKeys, into strings: inout TokenStrings
    ) throws(TokenRefusal) {
        try strings.collect(
            claims, found.places, keyID: found.header.keyID, in: header.bytes, payload.bytes, index, issuer)
    }
}
