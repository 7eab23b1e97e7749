internal import Octets
internal import Signatures
@testable internal import Tokens

/// The claims of access tokens that an issuer has signed: what is behind the signature. The first byte chooses header,
/// key and whether bound tokens are taken; the rest is the claims set.
///
/// A second evaluator reads the claims as a tree and lists everything that is wrong with them. A token is verified
/// exactly when nothing is; it is refused for something on the list; what is kept of it is what the tree says.
@Sendable func fuzzClaims(_ bytes: Span<UInt8>) {
    var input = Input(bytes)
    let choice = input.byte()
    let isTyped = choice & 1 == 0
    let takesBoundTokens = choice & 2 == 0
    let signer = choice & 4 == 0 ? FixedKeys.signing : FixedKeys.signingCurve
    let claims = input.rest()
    guard let signer, !claims.isEmpty,
        let token = try? TokenMint.sign(
            header: header(signer, isTyped: isTyped).span, payload: claims.span, key: signer.key,
            algorithm: signer.algorithm)
    else {
        check(claims.isEmpty, "the fixed keys cannot sign")
        return
    }
    // Where a scope of another form comes behind too many, either may be named.
    guard token.count <= TokenLimits.tokenBytesMax, claims.count(where: { $0 == 0x2C }) < TokenLimits.scopesMax else {
        return
    }
    let verifier = TokenVerifier(takesBoundTokens: takesBoundTokens)
    let digest = sha256(token.span)
    let first = verifier.verify(token.span, digest: digest, issuers: ClaimsIssuers.all, now: FixedKeys.now)
    let second = verifier.verify(token.span, digest: digest, issuers: ClaimsIssuers.all, now: FixedKeys.now)
    let faults = faults(of: claims, isTyped: isTyped, takesBoundTokens: takesBoundTokens)
    switch (first, second) {
    case (.verified(let token), .verified(let again)):
        check(faults.isEmpty, "a token is taken that a second reader refuses")
        checkContent(token, claims, keyID: signer.keyID)
        checkContent(again, claims, keyID: signer.keyID)
    case (.refused(let refusal), .refused(let again)):
        check(refusal == again, "a token is refused for two causes")
        check(faults.contains(refusal), "a token is refused for what a second reader does not find")
    default: check(false, "a token is judged in two ways, or its key is not known")
    }
}

private func header(_ signer: PrivateJWK, isTyped: Bool) -> [UInt8] {
    var header = JSONObjectWriter()
    header.add("alg", string: signer.algorithm.name)
    if isTyped { header.add("typ", string: "at+jwt") }
    header.add("kid", string: signer.keyID)
    return header.text()
}

enum ClaimsIssuers {
    /// Everything that a policy can demand of an issuer's tokens.
    static let all: IssuerSnapshot = {
        var strict = FixedKeys.settings("id", .rfc9068)
        var compat = FixedKeys.settings("compat", .compat)
        strict.lifetimeSecondsMax = 600
        strict.statusListPrefixes = [
            Array("https://status.example.com/".utf8), Array("https://id.example.com/one".utf8),
        ]
        strict.details = details
        compat.details = details
        return IssuerSnapshot(
            issuers: [
                IssuerKeys(settings: strict, keys: FixedKeys.set),
                IssuerKeys(settings: compat, keys: FixedKeys.set),
            ], generation: 1)
    }()

    static let details = [
        DetailRule(type: Array("pay".utf8)),
        DetailRule(type: Array("pay".utf8), actions: [Array("start".utf8), Array("stop".utf8)]),
        DetailRule(
            type: Array("read".utf8), actions: [Array("see".utf8)],
            locations: [Array("https://a".utf8), Array("https://b".utf8)]),
    ]
}

// MARK: what is wrong

private func faults(of claims: [UInt8], isTyped: Bool, takesBoundTokens: Bool) -> Set<TokenRefusal> {
    guard let tree = JSONTree(claims) else { return [.claimsMalformed] }
    guard let name = tree["iss"] else { return [.missingClaim] }
    guard let issuer = name.string else { return [.claimsMalformed] }
    guard let found = ClaimsIssuers.all.issuers.first(where: { $0.settings.issuer == issuer }) else {
        return [.unknownIssuer]
    }
    let settings = found.settings
    if !isTyped, settings.profile == .rfc9068 { return [.typeMismatch] }
    var faults = formFaults(tree, settings) ?? []
    if !isTyped, ["events", "token_introspection", "status_list"].contains(where: { tree[$0] != nil }) {
        faults.insert(.typeMismatch)
    }
    if tree["exp"] == nil || tree["aud"] == nil { faults.insert(.missingClaim) }
    if settings.profile == .rfc9068 {
        if tree["iat"] == nil { faults.insert(.missingClaim) }
        for name in ["sub", "client_id", "jti"] where tree[name] == nil || tree[name]?.string == [] {
            faults.insert(.missingClaim)
        }
    }
    timeFaults(tree, settings, &faults)
    let audiences = tree["aud"]?.items?.compactMap { $0.string } ?? tree["aud"]?.string.map { [$0] } ?? []
    if !audiences.contains(where: { settings.audiences.contains($0) }) { faults.insert(.audienceMismatch) }
    if let binding = tree["cnf"], !takesBoundTokens || confirmation(binding) == nil {
        faults.insert(.proofRequired)
    }
    return faults
}

/// Wrong types and forms.
/// - Parameter keepsStatus: false for a reply about a token that has a status of its own: only the form counts then.
func formFaults(
    _ tree: JSONTree, _ settings: IssuerSettings, keepsStatus: Bool = true
) -> Set<TokenRefusal>? {
    for name in ["exp", "nbf", "iat", "auth_time"] {
        if let value = tree[name], numericDate(value) == nil { return [.claimsMalformed] }
    }
    for value in [tree["sub"], tree["jti"], tree[settings.clientClaim]] where value != nil && value?.string == nil {
        return [.claimsMalformed]
    }
    if let audience = tree["aud"], audience.string == nil {
        guard let items = audience.items, !items.isEmpty, items.allSatisfy({ $0.string != nil }) else {
            return [.claimsMalformed]
        }
    }
    if let scope = tree[settings.scopeClaim] {
        guard let words = scopeWords(scope) else { return [.claimsMalformed] }
        if words.count > TokenLimits.scopesMax { return [.claimsMalformed] }
    }
    if let actor = tree["act"] {
        guard actor.members != nil else { return [.claimsMalformed] }
        for value in [actor["sub"], actor[settings.clientClaim]] where value != nil && value?.string == nil {
            return [.claimsMalformed]
        }
    }
    if let binding = tree["cnf"], binding.members == nil { return [.claimsMalformed] }
    if !settings.statusListPrefixes.isEmpty, let status = tree["status"] {
        guard statusReference(status, settings.issuer, lengthMax: keepsStatus ? 2_048 : .max) != nil else {
            return [.claimsMalformed]
        }
        if keepsStatus, !isWithin(status, settings) { return [.claimsMalformed] }
    }
    return nil
}

/// - Parameter expiry: the end of a token that need not say one.
func timeFaults(
    _ tree: JSONTree, _ settings: IssuerSettings, _ faults: inout Set<TokenRefusal>, expiry: Int64? = nil
) {
    let now = FixedKeys.now
    let leeway = settings.leewaySeconds
    let end = tree["exp"].map { numericDate($0)?.floor } ?? expiry
    let issued = tree["iat"].flatMap(numericDate)
    if let end, now >= end + leeway { faults.insert(.expired) }
    if let start = tree["nbf"].flatMap(numericDate), now < start.ceiling - leeway { faults.insert(.notYetValid) }
    if let issued, now < issued.ceiling - TokenLimits.issuedAheadSecondsMax { faults.insert(.notYetValid) }
    guard settings.lifetimeSecondsMax > 0 else { return }
    guard let issued, let end else {
        faults.insert(.missingClaim)
        return
    }
    if end - issued.floor > settings.lifetimeSecondsMax { faults.insert(.lifetimeTooLong) }
}

func numericDate(_ value: JSONTree) -> NumericDate? {
    guard value.number != nil else { return nil }
    let text = value.text
    return NumericDate(text.span)
}

/// Nil for what is neither text nor a list of texts; empty for what is no scope.
func scopeWords(_ scope: JSONTree) -> [[UInt8]]? {
    var words: [[UInt8]]
    if let text = scope.string {
        words = text.split(separator: 0x20, omittingEmptySubsequences: false).map { Array($0) }
    } else if let items = scope.items {
        words = items.compactMap { $0.string }
        guard words.count == items.count else { return nil }
    } else {
        return nil
    }
    return words.allSatisfy { ScopeSyntax.isToken($0.span) } ? words : []
}

func confirmation(_ value: JSONTree) -> TokenConfirmation? {
    guard let members = value.members, members.count == 1, let text = members[0].value.string,
        let bytes = Base64URL.decode(text.span), let digest = Digest(bytes.span)
    else { return nil }
    switch String(decoding: members[0].name, as: UTF8.self) {
    case "jkt": return .jwkThumbprint(digest)
    case "x5t#S256": return .certificateThumbprint(digest)
    default: return nil
    }
}

private func isWithin(_ status: JSONTree, _ settings: IssuerSettings) -> Bool {
    let uri = status["status_list"]?["uri"]?.string ?? []
    return settings.statusListPrefixes.contains {
        uri == $0 || $0.last == 0x2F && uri.starts(with: $0) && staysWithin(Array(uri.dropFirst($0.count)))
    }
}

private func staysWithin(_ rest: [UInt8]) -> Bool {
    guard !rest.isEmpty, rest.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x23 && $0 != 0x5C }) else { return false }
    let text = String(decoding: rest, as: UTF8.self).lowercased()
    for piece in text.split(separator: "%", omittingEmptySubsequences: false).dropFirst() {
        guard piece.count >= 2, piece.prefix(2).allSatisfy({ "0123456789abcdef".contains($0) }) else { return false }
    }
    guard !text.contains("%2f"), !text.contains("%5c") else { return false }
    return text.split(whereSeparator: { $0 == "/" || $0 == "?" }).allSatisfy { segment in
        var left = segment[...]
        while !left.isEmpty {
            if left.hasPrefix(".") {
                left = left.dropFirst()
            } else if left.hasPrefix("%2e") {
                left = left.dropFirst(3)
            } else {
                return true
            }
        }
        return false
    }
}

/// A status that is no reference to a list says that there is one, and nobody here could find out which.
private func statusReference(
    _ status: JSONTree, _ issuer: [UInt8], lengthMax: Int = 2_048
) -> StatusReference? {
    guard let list = status["status_list"], let index = list["idx"], let uri = list["uri"]?.string, !uri.isEmpty,
        index.number != nil, index.text.count <= 10, index.text.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
        let number = UInt64(String(decoding: index.text, as: UTF8.self)), number <= 0x7FFF_FFFF,
        uri.count <= lengthMax
    else { return nil }
    // SHA-256 of the issuer, a NUL and the URI.
    let place = issuer + [0] + uri
    return StatusReference(list: sha256(place.span), index: number)
}

// MARK: what is kept

private func checkContent(_ token: VerifiedToken, _ claims: [UInt8], keyID: String) {
    guard let tree = JSONTree(claims) else {
        check(false, "claims are taken that cannot be read")
        return
    }
    let settings = ClaimsIssuers.all.issuers[token.issuerIndex].settings
    func holds(_ kept: Span<UInt8>, _ value: JSONTree?, _ claim: StaticString) {
        check([UInt8](copying: kept) == value?.string ?? [], claim)
    }
    check(tree["iss"]?.string == settings.issuer, "another issuer")
    holds(token.subject, tree["sub"], "another subject")
    holds(token.client, tree[settings.clientClaim], "another client")
    holds(token.tokenID, tree["jti"], "another token identifier")
    holds(token.authenticationContext, tree["acr"], "another context")
    holds(token.actorSubject, tree["act"]?["sub"], "another actor")
    holds(token.actorClient, tree["act"]?[settings.clientClaim], "another acting client")
    check(token.hasActor == (tree["act"] != nil), "an actor is not seen")
    check([UInt8](copying: token.keyID) == Array(keyID.utf8), "another key")
    let words = tree[settings.scopeClaim].flatMap(scopeWords) ?? []
    check([UInt8](copying: token.scopeText) == Array(words.joined(separator: [0x20])), "other scopes")
    check(token.expiresAt == tree["exp"].flatMap(numericDate)?.floor, "another expiry")
    check(token.notBefore == tree["nbf"].flatMap(numericDate)?.ceiling ?? 0, "another start")
    check(token.issuedAt == tree["iat"].flatMap(numericDate)?.floor ?? 0, "another time of issue")
    check(token.authenticatedAt == tree["auth_time"].flatMap(numericDate)?.floor ?? 0, "another authentication")
    check(token.confirmation == tree["cnf"].flatMap(confirmation) ?? .none, "another binding")
    check(!token.isOpaque && token.freshUntil == .max, "a signed token that the issuer has to be asked about")
    for (number, name) in settings.boundClaims.enumerated() {
        let kept = if let text = token.boundClaim(number) { [UInt8](copying: text) } else { [UInt8]?.none }
        check(kept == tree[name]?.string, "another bound claim")
    }
    var kept: [[UInt8]] = []
    token.forEachAudience { audience in
        kept.append([UInt8](copying: audience))
        return true
    }
    let audiences = tree["aud"]?.items?.compactMap { $0.string } ?? [tree["aud"]?.string ?? []]
    check(kept == audiences, "other audiences")
    let status =
        settings.statusListPrefixes.isEmpty ? nil : tree["status"].flatMap { statusReference($0, settings.issuer) }
    check(token.status == status, "another status")
    holds(token.statusListURI, status == nil ? nil : tree["status"]?["status_list"]?["uri"], "another status list")
    for (number, rule) in ClaimsIssuers.details.enumerated() {
        check(
            token.satisfies(detail: number) == hasDetail(tree["authorization_details"], rule),
            "authorization details are judged in two ways")
    }
    check(!token.satisfies(detail: ClaimsIssuers.details.count), "a detail that no one asked for")
}

/// Details that are not a list of objects with a type each satisfy nothing; one whose actions or locations are no lists
/// of texts is a limit that nobody here could keep.
func hasDetail(_ details: JSONTree?, _ rule: DetailRule) -> Bool {
    guard let items = details?.items, items.allSatisfy({ $0["type"]?.string != nil }) else { return false }
    return items.contains { item in
        guard let actions = texts(item["actions"]), let locations = texts(item["locations"]) else { return false }
        return item["type"]?.string == rule.type && rule.actions.allSatisfy { actions.contains($0) }
            && (rule.locations.isEmpty || rule.locations.contains { locations.contains($0) })
    }
}

private func texts(_ list: JSONTree?) -> [[UInt8]]? {
    guard let list else { return [] }
    guard let items = list.items else { return nil }
    let texts = items.compactMap { $0.string }
    return texts.count == items.count ? texts : nil
}
