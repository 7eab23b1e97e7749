internal import Octets

/// Where the claims that are used stand in a claims set, each checked for its type. The same for a JWT and for an
/// introspection reply. What an issuer's profile
/// demands, and what the values must be, is checked afterwards.
struct TokenClaims {
    private(set) var times = VerifiedToken.Times()
    /// `nbf` and `iat`, fractions counted as one.
    private(set) var notBefore: Int64?
    private(set) var issuedAt: Int64?
    private(set) var expiresAt: Int64?
    private(set) var subject: JSONValue?
    private(set) var client: JSONValue?
    private(set) var tokenID: JSONValue?
    private(set) var audience: JSONValue?
    private(set) var scope: JSONValue?
    private(set) var confirmation = ConfirmationClaim.absent
    /// `acr`. Of another type than string it counts as absent, and an absent one satisfies no route.
    private(set) var authenticationContext: JSONValue?
    /// Whether the token has `act`: someone acts for the subject.
    private(set) var hasActor = false
    private(set) var actorSubject: JSONValue?
    private(set) var actorClient: JSONValue?
    /// Nil too where the issuer has no status lists.
    private(set) var status: StatusClaim?
    /// `authorization_details`, of whatever type; nil too where nothing demands any.
    private(set) var details: JSONValue?

    /// - Parameter index: has read `text`. A claim of the wrong type is never taken for an absent one.
    init(
        _ index: borrowing JSONIndex, _ places: ClaimPlaces, _ text: Span<UInt8>, _ issuer: IssuerKeys
    ) throws(TokenRefusal) {
        let clientClaim = issuer.settings.clientClaim
        let scopeClaim = issuer.settings.scopeClaim
        if let date = try index.date(places.expiresAt, text) {
            expiresAt = date.floor
            times.expiresAt = date.floor
        }
        if let date = try index.date(places.notBefore, text) {
            notBefore = date.ceiling
            times.notBefore = date.ceiling
        }
        if let date = try index.date(places.issuedAt, text) {
            issuedAt = date.ceiling
            times.issuedAt = date.floor
        }
        audience = try index.audience(places.audience)
        subject = try index.stringClaim(index.value(at: places.subject))
        tokenID = try index.stringClaim(index.value(at: places.tokenID))
        let root = index.value(places.object)
        client = try index.stringClaim(index.member(clientClaim.span, of: root, in: text))
        scope = try index.scope(index.member(scopeClaim.span, of: root, in: text))
        confirmation = try index.confirmation(at: places.confirmation, in: text)
        if let context = index.value(at: places.authenticationContext), context.kind == .string {
            authenticationContext = context
        }
        if let date = try index.date(places.authenticatedAt, text) { times.authenticatedAt = date.floor }
        try readActor(index, places.actor, text, clientClaim)
        if !issuer.settings.statusListPrefixes.isEmpty {
            status = try index.statusClaim(at: places.status, in: text)
        }
        if !issuer.settings.details.isEmpty { details = index.value(at: places.details) }
    }

    /// `act` (RFC 8693 §4.1): who acts now. An `act` within it is history and plays no part. One that cannot be
    /// read is refused: taken for absent, a delegated token would look like the subject's own.
    private mutating func readActor(
        _ index: borrowing JSONIndex, _ place: Int, _ text: Span<UInt8>, _ clientClaim: [UInt8]
    ) throws(TokenRefusal) {
        guard let actor = index.value(at: place) else { return }
        guard actor.kind == .object else { throw .claimsMalformed }
        hasActor = true
        actorSubject = try index.stringClaim(index.member("sub", of: actor, in: text))
        actorClient = try index.stringClaim(index.member(clientClaim.span, of: actor, in: text))
    }

    /// What the profile demands (RFC 9068 §2.2; both profiles: `exp` and `aud`). An empty `sub`,
    /// `client_id` or `jti` names nothing and counts as missing.
    func checkPresence(_ profile: TokenProfile) throws(TokenRefusal) {
        guard expiresAt != nil, audience != nil else { throw .missingClaim }
        guard profile == .rfc9068 else { return }
        guard issuedAt != nil else { throw .missingClaim }
        guard let subject, let client, let tokenID else { throw .missingClaim }
        guard !subject.range.isEmpty, !client.range.isEmpty, !tokenID.range.isEmpty else {
            throw .missingClaim
        }
    }

    /// RFC 7519 §4.1.4: at `exp` itself the token has expired. Both bounds move outwards by the leeway.
    /// - Parameter now: Unix seconds.
    func checkTimes(now: Int64, leewaySeconds: Int64) throws(TokenRefusal) {
        // None can overflow: dates are 1 to 2^53, the leeway at most 300.
        guard let expiresAt, now < expiresAt + leewaySeconds else { throw .expired }
        if let notBefore, now < notBefore - leewaySeconds { throw .notYetValid }
        if let issuedAt, now < issuedAt - TokenLimits.issuedAheadSecondsMax { throw .notYetValid }
    }

    /// - Parameter secondsMax: from `iat` to `exp`; 0 sets no limit. Without `iat` nobody knows how long it is.
    func checkLifetime(secondsMax: Int64) throws(TokenRefusal) {
        guard secondsMax > 0 else { return }
        guard issuedAt != nil, let expiresAt else { throw .missingClaim }
        let (seconds, overflows) = expiresAt.subtractingReportingOverflow(times.issuedAt)
        guard !overflows, seconds <= secondsMax else { throw .lifetimeTooLong }
    }

    /// Gives a claims set that need not have `exp` an end.
    mutating func expire(at seconds: Int64) {
        expiresAt = seconds
        times.expiresAt = seconds
    }
}

extension JSONIndex {
    func date(_ place: Int, _ text: Span<UInt8>) throws(TokenRefusal) -> NumericDate? {
        guard let value = value(at: place) else { return nil }
        guard value.kind == .number, let date = NumericDate(text.bytes(at: value.range)) else {
            throw .claimsMalformed
        }
        return date
    }

    fileprivate func stringClaim(_ value: JSONValue?) throws(TokenRefusal) -> JSONValue? {
        guard let value else { return nil }
        guard value.kind == .string else { throw .claimsMalformed }
        return value
    }

    /// `aud`: a string, or an array of one or more strings (RFC 7519 §4.1.3).
    func audience(_ place: Int) throws(TokenRefusal) -> JSONValue? {
        guard let value = value(at: place) else { return nil }
        if value.kind == .string { return value }
        guard value.kind == .array, let first = child(after: nil, of: value) else { throw .claimsMalformed }
        try checkStrings(of: value, from: first)
        return value
    }

    /// The scope claim: a string or an array of strings.
    fileprivate func scope(_ value: JSONValue?) throws(TokenRefusal) -> JSONValue? {
        guard let value else { return nil }
        if value.kind == .string { return value }
        guard value.kind == .array else { throw .claimsMalformed }
        if let first = child(after: nil, of: value) { try checkStrings(of: value, from: first) }
        return value
    }

    func hasAudience(_ audience: JSONValue, among accepted: [[UInt8]], in text: Span<UInt8>) -> Bool {
        let isList = audience.kind == .array
        var item = isList ? child(after: nil, of: audience) : audience
        while let current = item {
            for position in accepted.indices {
                let name = accepted[position]
                if isString(current, in: text, equalTo: name.span) { return true }
            }
            item = isList ? child(after: current, of: audience) : nil
        }
        return false
    }

    private func checkStrings(of list: JSONValue, from first: JSONValue) throws(TokenRefusal) {
        var item: JSONValue? = first
        while let current = item {
            guard current.kind == .string else { throw .claimsMalformed }
            item = child(after: current, of: list)
        }
    }
}
