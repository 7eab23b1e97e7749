internal import Octets
internal import Signatures
@testable internal import Tokens

/// Introspection replies: what an issuer says of a token. The first byte chooses who was asked about what, and whether
/// the reply is signed here; the rest is the reply.
///
/// * Of an opaque token: active only when the reply says so and a second reader finds nothing wrong with it; what is
///   kept is what the reply says, believed no longer than it may be.
/// * Of a token that was verified here: nothing is added to it.
/// * Signed: only in an envelope for us and of this time, and only with the issuer's signature.
@Sendable func fuzzIntrospection(_ bytes: Span<UInt8>) {
    var input = Input(bytes)
    let choice = input.byte()
    let asked = Asked(issuer: Int(choice & 1), isLocal: choice & 2 != 0, demandsJWT: choice & 4 != 0)
    let reply = input.rest()
    switch choice >> 3 & 3 {
    case 0: fuzzReply(reply, asked)
    case 1: fuzzSigned(envelope: reply, asked, reply: nil)
    case 2:
        let envelope = """
            {"iss":"\(String(decoding: asked.settings.issuer, as: UTF8.self))","aud":"me","iat":1700000000,\
            "token_introspection":\(String(decoding: reply, as: UTF8.self))}
            """
        fuzzSigned(envelope: Array(envelope.utf8), asked, reply: reply)
    default: fuzzUnsigned(reply, asked)
    }
}

/// A question and who asks it.
private struct Asked {
    let issuers: IssuerSnapshot
    let issuerIndex: Int
    let local: VerifiedToken?
    let digest: Digest

    var settings: IssuerSettings { issuers.issuers[issuerIndex].settings }

    init(issuer: Int, isLocal: Bool, demandsJWT: Bool) {
        let snapshot = demandsJWT ? Asked.signed : Asked.either
        issuers = snapshot
        issuerIndex = issuer
        let token = isLocal ? Asked.token(issuer) : Array("opaque".utf8)
        digest = sha256(token.span)
        guard isLocal,
            case .verified(let verified) = TokenVerifier(takesBoundTokens: true).verify(
                token.span, digest: digest, issuers: snapshot, now: FixedKeys.now)
        else {
            check(!isLocal, "the fixed token is not verified")
            local = nil
            return
        }
        local = verified
    }

    func result(of reply: [UInt8], isJWT: Bool) -> IntrospectionResult {
        IntrospectionReader().read(
            reply.span, isJWT: isJWT, token: digest, issuers: issuers, issuerIndex: issuerIndex, local: local,
            now: FixedKeys.now)
    }

    private static let either = snapshot(demandsJWT: false)
    private static let signed = snapshot(demandsJWT: true)

    private static func snapshot(demandsJWT: Bool) -> IssuerSnapshot {
        let issuers = ClaimsIssuers.all.issuers.map { issuer in
            var settings = issuer.settings
            settings.introspection = .all
            settings.introspectionRules.clientID = Array("me".utf8)
            settings.introspectionRules.demandsJWT = demandsJWT
            return IssuerKeys(settings: settings, keys: issuer.keys)
        }
        return IssuerSnapshot(issuers: issuers, generation: 1)
    }

    private static func token(_ issuer: Int) -> [UInt8] {
        let names = issuer == 0 ? ("id", "scope", "client_id") : ("compat", "scp", "azp")
        let claims = """
            {"iss":"https://\(names.0).example.com","sub":"ann","\(names.2)":"web","aud":["https://api.example.com","second"],\
            "iat":1699999990,"exp":1700000300,"jti":"1","\(names.1)":"orders:read orders:write","tenant":"t1",\
            "authorization_details":[{"type":"pay","actions":["start","stop"]}]}
            """
        return sign(Array(claims.utf8), type: "at+jwt") ?? []
    }

    static func sign(_ claims: [UInt8], type: String) -> [UInt8]? {
        guard let key = FixedKeys.signing else { return nil }
        let header = "{\"alg\":\"EdDSA\",\"typ\":\"\(type)\",\"kid\":\"o1\"}"
        return try? TokenMint.sign(
            header: Array(header.utf8).span, payload: claims.span, key: key.key, algorithm: key.algorithm)
    }
}

/// What a result is, for comparing two.
private enum Kind: Equatable {
    case active, inactive, unreadable
    case refused(TokenRefusal)

    init(_ result: IntrospectionResult) {
        switch result {
        case .active: self = .active
        case .inactive: self = .inactive
        case .refused(let refusal): self = .refused(refusal)
        case .unreadable(let text):
            check(!text.isEmpty, "a reply is unreadable for no cause")
            self = .unreadable
        }
    }
}

// MARK: unsigned

private func fuzzReply(_ reply: [UInt8], _ asked: Asked) {
    let result = asked.result(of: reply, isJWT: false)
    check(Kind(result) == Kind(asked.result(of: reply, isJWT: false)), "a reply is judged in two ways")
    guard !asked.settings.introspectionRules.demandsJWT else {
        check(Kind(result) == .unreadable, "a reply without a signature is taken")
        return
    }
    judge(result, JSONTree(reply), asked)
}

private func judge(_ result: IntrospectionResult, _ tree: JSONTree?, _ asked: Asked) {
    guard let tree, case .other(let active)? = tree["active"], active != Array("null".utf8) else {
        check(Kind(result) == .unreadable, "a reply that does not say whether is read")
        return
    }
    guard active == Array("true".utf8) else {
        check(Kind(result) == .inactive, "an inactive token is not inactive")
        return
    }
    let scopes = tree[asked.settings.scopeClaim]?.items?.count ?? 0
    guard scopes <= TokenLimits.scopesMax else { return }
    let faults = replyFaults(tree, asked)
    switch result {
    case .active(let token):
        check(faults.isEmpty, "a reply is taken that a second reader refuses")
        checkActive(token, tree, asked)
    case .refused(let refusal):
        check(faults.contains(refusal), "a reply is refused for what a second reader does not find")
    case .inactive, .unreadable: check(false, "an active token is not active")
    }
}

private func replyFaults(_ tree: JSONTree, _ asked: Asked) -> Set<TokenRefusal> {
    var settings = asked.settings
    if asked.local != nil { settings.lifetimeSecondsMax = 0 }
    var faults = formFaults(tree, settings, keepsStatus: asked.local == nil) ?? []
    if let name = tree["iss"], name.string != settings.issuer {
        faults.insert(name.string == nil ? .claimsMalformed : .unknownIssuer)
    }
    let binding = tree["cnf"].flatMap(confirmation)
    if let type = tree["token_type"] {
        var expected = "bearer"
        if case .jwkThumbprint = binding { expected = "dpop" }
        if type.string == nil {
            faults.insert(.claimsMalformed)
        } else if String(decoding: type.string ?? [], as: UTF8.self).lowercased() != expected {
            faults.insert(.typeMismatch)
        }
    }
    if tree["cnf"] != nil, binding == nil || asked.local != nil { faults.insert(.proofRequired) }
    timeFaults(tree, settings, &faults, expiry: FixedKeys.now + 60)
    let audiences = tree["aud"]?.items?.compactMap { $0.string } ?? tree["aud"]?.string.map { [$0] } ?? []
    guard let local = asked.local else {
        if tree["aud"] == nil { faults.insert(.missingClaim) }
        if !audiences.contains(where: { settings.audiences.contains($0) }) { faults.insert(.audienceMismatch) }
        return faults
    }
    if let subject = tree["sub"], subject.string != [UInt8](copying: local.subject) { faults.insert(.claimsMalformed) }
    if let client = tree[settings.clientClaim], client.string != [UInt8](copying: local.client) {
        faults.insert(.claimsMalformed)
    }
    if tree["aud"] != nil, !audiences.contains(where: { settings.audiences.contains($0) }) {
        faults.insert(.audienceMismatch)
    }
    return faults
}

private func checkActive(_ token: VerifiedToken, _ tree: JSONTree, _ asked: Asked) {
    let now = FixedKeys.now
    check(token.digest == asked.digest && token.issuerIndex == asked.issuerIndex, "a reply about another token")
    check(token.freshUntil > now && token.freshUntil <= now + 60, "a reply is believed too long")
    check(token.freshUntil <= max(now + 1, token.expiresAt), "a reply is believed beyond the token's end")
    if let end = tree["exp"].flatMap(numericDate) {
        check(token.expiresAt <= end.floor, "a token lives longer than it is said")
    }
    for (number, rule) in ClaimsIssuers.details.enumerated() where token.satisfies(detail: number) {
        check(
            tree["authorization_details"].map { hasDetail($0, rule) }
                ?? (asked.local?.satisfies(detail: number) == true),
            "details that nobody granted")
    }
    let said = tree[asked.settings.scopeClaim].map { scopeWords($0) ?? [] }
    let kept = [UInt8](copying: token.scopeText).split(separator: 0x20).map { Array($0) }
    guard let local = asked.local else {
        check(token.isOpaque, "an opaque token that a key has signed")
        check(kept == said ?? [], "other scopes")
        check([UInt8](copying: token.subject) == tree["sub"]?.string ?? [], "another subject")
        check(token.confirmation == tree["cnf"].flatMap(confirmation) ?? .none, "another binding")
        return
    }
    let own = [UInt8](copying: local.scopeText).split(separator: 0x20).map { Array($0) }
    check(
        kept == own.filter { said?.contains($0) ?? true },
        "scopes that the reply does not grant, or the token does not have")
    check(token.expiresAt <= local.expiresAt && token.notBefore >= local.notBefore, "a reply gives a token more time")
    check([UInt8](copying: token.subject) == [UInt8](copying: local.subject), "a reply changes the subject")
    check([UInt8](copying: token.client) == [UInt8](copying: local.client), "a reply changes the client")
    check(token.confirmation == local.confirmation && token.hasActor == local.hasActor, "a reply changes the binding")
    check(!token.isOpaque, "a signed token that no key has signed")
    token.forEachAudience { audience in
        check(local.hasAudience(audience), "a reply gives a token an audience")
        return true
    }
    for number in ClaimsIssuers.details.indices {
        check(!token.satisfies(detail: number) || local.satisfies(detail: number), "a reply adds details")
    }
}

// MARK: signed

private func fuzzSigned(envelope: [UInt8], _ asked: Asked, reply: [UInt8]?) {
    guard let signed = Asked.sign(envelope, type: "token-introspection+jwt") else {
        check(false, "the fixed key cannot sign")
        return
    }
    let result = asked.result(of: signed, isJWT: true)
    guard Kind(result) != .unreadable else { return }
    guard let tree = JSONTree(envelope) else {
        check(false, "an envelope is taken that cannot be read")
        return
    }
    check(tree["iss"]?.string == asked.settings.issuer, "an envelope of another issuer is taken")
    let audiences = tree["aud"]?.items?.compactMap { $0.string } ?? [tree["aud"]?.string ?? []]
    check(audiences.contains(Array("me".utf8)), "an envelope for another client is taken")
    let issued = tree["iat"].flatMap(numericDate)
    check(
        issued.map {
            $0.floor >= FixedKeys.now - 300 && $0.ceiling <= FixedKeys.now + TokenLimits.issuedAheadSecondsMax
        } == true,
        "an envelope of another time is taken")
    check(tree["token_introspection"]?.members != nil, "an envelope without a reply is taken")
    judge(result, tree["token_introspection"], asked)
    check(Kind(asked.result(of: signed, isJWT: false)) == .unreadable, "a signed reply is taken as another one")
    var changed = signed
    changed[signed.count - 3] = signed[signed.count - 3] == 0x41 ? 0x42 : 0x41
    check(Kind(asked.result(of: changed, isJWT: true)) == .unreadable, "another signature is taken")
    for type in ["at+jwt", "JWT", "statuslist+jwt"] {
        guard let other = Asked.sign(envelope, type: type) else { continue }
        check(Kind(asked.result(of: other, isJWT: true)) == .unreadable, "a token of another kind is taken for a reply")
    }
    guard let reply, !asked.settings.introspectionRules.demandsJWT, JSONTree(reply) != nil else { return }
    // A depth less than on its own is left in an envelope, and fewer values.
    check(Kind(asked.result(of: reply, isJWT: false)) == Kind(result), "a reply means something else when it is signed")
}

private func fuzzUnsigned(_ reply: [UInt8], _ asked: Asked) {
    guard case .active = asked.result(of: reply, isJWT: true) else { return }
    let parts = reply.split(separator: 0x2E).map { Base64URL.decode(Array($0).span) ?? [] }
    check(parts.count == 3, "a reply of another form is taken")
    fuzzSigned(envelope: parts[1], asked, reply: nil)
}
