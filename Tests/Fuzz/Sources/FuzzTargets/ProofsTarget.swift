@testable internal import Decision
internal import Octets
internal import Signatures
@testable internal import Tokens

/// DPoP proofs (RFC 9449), which every client writes. The first byte chooses what the rest is and who demands what.
///
/// * A proof as it is sent, or header and claims that are signed here: taken only for its method, target, token, key,
///   nonce and time, each read again in another way; refused as soon as one of them is another.
/// * A target and an `htu`: equal only when a slow reading of RFC 3986 says so, and always when it is the target itself.
@Sendable func fuzzProofs(_ bytes: Span<UInt8>) {
    var input = Input(bytes)
    let choice = input.byte()
    let signer = choice & 4 == 0 ? ProofSigner.edwards : ProofSigner.curve
    guard let signer else {
        check(false, "the fixed keys cannot be used")
        return
    }
    var demand = ProofDemand(number: input.byte(), boundKey: choice & 8 == 0 ? signer.thumbprint : nil)
    switch choice & 3 {
    case 0: judge(input.rest(), demand)
    case 1: judgeMinted(header: signer.header, claims: input.rest(), signer, &demand, isOwnHeader: true)
    case 2:
        let header = input.take(upTo: 0)
        judgeMinted(header: header, claims: input.rest(), signer, &demand, isOwnHeader: false)
    default: fuzzTarget(target: input.take(upTo: 0x0A), uri: input.rest(), signer)
    }
}

/// A client with a key of constants.
private struct ProofSigner {
    let key: PrivateJWK
    let thumbprint: Digest
    let header: [UInt8]

    static let edwards = ProofSigner(FixedKeys.signing)
    static let curve = ProofSigner(FixedKeys.signingCurve)

    private init?(_ key: PrivateJWK?) {
        guard let key, let components = try? key.key.components(),
            let header = try? ProofMint.header(key: key.key, algorithm: key.algorithm),
            let thumbprint = Base64URL.decode(Array(JWKText.thumbprint(components).utf8).span),
            let digest = Digest(thumbprint.span)
        else { return nil }
        self.key = key
        self.header = header
        self.thumbprint = digest
    }

    func sign(header: [UInt8], claims: [UInt8]) -> [UInt8]? {
        try? TokenMint.sign(header: header.span, payload: claims.span, key: key.key, algorithm: key.algorithm)
    }
}

/// What a proof is held against.
private struct ProofDemand {
    var method: [UInt8]
    var isSecure = true
    var host: [UInt8]
    var port: UInt16 = 443
    var path: [UInt8]
    var token = sha256(Array("an access token".utf8).span)
    var nonces: [[UInt8]]?
    var boundKey: Digest?
    var now = FixedKeys.now

    static let rules = ProofRules(algorithms: FixedKeys.algorithms, ageSecondsMax: 60, aheadSecondsMax: 10)

    init(number: UInt8, boundKey: Digest?) {
        self.boundKey = boundKey
        switch number & 3 {
        case 0: (method, host, path) = (Array("GET".utf8), Array("api.example.com".utf8), Array("/orders/7".utf8))
        case 1:
            (method, host, path) = (Array("POST".utf8), Array("[::1]".utf8), Array("/caf%C3%A9/a%2Fb".utf8))
            (isSecure, port) = (false, 8_080)
        case 2: (method, host, path) = (Array("DELETE".utf8), Array("h".utf8), [0x2F])
        default: (method, host, path) = (Array("get".utf8), Array("a.b".utf8), Array("/~x/;y=1/a...".utf8))
        }
        switch number >> 2 & 3 {
        case 0: break
        case 1: nonces = [Array("n1".utf8)]
        case 2: nonces = [Array("n2".utf8), Array("n1".utf8)]
        default: nonces = [[]]
        }
    }

    func result(of proof: [UInt8], _ verifier: ProofVerifier) -> ProofResult {
        let request = ProofRequest(
            method: method.span, isSecure: isSecure, host: host.span, port: port, path: path.span)
        guard let nonces else {
            return verifier.verify(
                proof.span, for: request, tokenDigest: token, boundKey: boundKey, nonce: NonceRule(),
                rules: ProofDemand.rules, now: now)
        }
        let (current, previous) = (nonces[0], nonces[nonces.count - 1])
        return verifier.verify(
            proof.span, for: request, tokenDigest: token, boundKey: boundKey,
            nonce: NonceRule(required: current.span, or: previous.span), rules: ProofDemand.rules, now: now)
    }

    func with(_ change: (inout ProofDemand) -> Void) -> ProofDemand {
        var copy = self
        change(&copy)
        return copy
    }
}

// MARK: proofs

@discardableResult
private func judge(_ proof: [UInt8], _ demand: ProofDemand) -> ProofResult {
    let verifier = ProofVerifier()
    let result = demand.result(of: proof, verifier)
    // The second time the key may be prepared already.
    check(demand.result(of: proof, verifier) == result, "a proof is judged in two ways")
    guard case .proved(let proved) = result else { return result }
    checkClaims(proof, proved, demand)
    checkSignature(proof, proved)

    func refusal(_ change: (inout ProofDemand) -> Void) -> ProofRefusal? {
        guard case .refused(let refusal) = demand.with(change).result(of: proof, verifier) else { return nil }
        return refusal
    }
    check(refusal { $0.method += [0x58] } == .htmMismatch, "a proof for another method")
    check(refusal { $0.host += [0x78] } == .htuMismatch, "a proof for another host")
    check(refusal { $0.path += [0x78] } == .htuMismatch, "a proof for another path")
    check(refusal { $0.port ^= 1 } == .htuMismatch, "a proof for another port")
    check(refusal { $0.isSecure.toggle() } == .htuMismatch, "a proof for another scheme")
    check(refusal { $0.token = proved.replayKey } == .athMismatch, "a proof for another token")
    check(refusal { $0.boundKey = proved.replayKey } == .keyNotBound, "a proof of another key")
    check(refusal { $0.boundKey = proved.thumbprint } == nil, "a proof is not of its own key")
    check(refusal { $0.now = proved.acceptableThrough } == nil, "a proof is too old before its time")
    check(refusal { $0.now = proved.acceptableThrough + 1 } == .iatTooOld, "a proof is never too old")
    check(refusal { $0.now = .max } == .iatTooOld, "a proof is good for ever")
    check(refusal { $0.now = .min } == .iatTooFarAhead, "a proof was always good")
    if demand.nonces != nil {
        check(refusal { $0.nonces = [[0x7A]] }?.asksForNonce == true, "a proof with another nonce")
    }
    var changed = proof
    changed[proof.count - 3] = proof[proof.count - 3] == 0x41 ? 0x42 : 0x41
    check(demand.result(of: changed, verifier) == .refused(.signatureInvalid), "another signature is taken")
    return result
}

private func checkClaims(_ proof: [UInt8], _ proved: VerifiedProof, _ demand: ProofDemand) {
    guard let claims = part(1, of: proof) else {
        check(false, "a proof is taken that cannot be read")
        return
    }
    check(claims["htm"]?.string == demand.method && !demand.method.isEmpty, "a proof for another method is taken")
    check(claims["htu"]?.string.map { isTarget($0, demand) } == true, "a proof for another target is taken")
    check(
        claims["ath"]?.string == demand.token.withSpan { Base64URL.encode($0) },
        "a proof for another token is taken")
    let proofID = claims["jti"]?.string ?? []
    check(!proofID.isEmpty && proofID.count <= ProofLimits.proofIDBytesMax, "a proof without a name is taken")
    check(proved.replayKey == sha256((proved.thumbprint.bytes + proofID).span), "a proof has another name")
    let issuedAt = claims["iat"]?.number ?? 0
    check(abs(Double(proved.issuedAt) - issuedAt) <= 1, "a proof of another time")
    check(
        issuedAt > Double(demand.now) - 61 && issuedAt < Double(demand.now) + 11, "a proof of another time is taken")
    check(proved.acceptableThrough == proved.issuedAt + ProofDemand.rules.ageSecondsMax, "a proof with no end")
    check(demand.boundKey == nil || demand.boundKey == proved.thumbprint, "a proof of another key is taken")
    guard let nonces = demand.nonces else {
        check(!proved.hasPreviousNonce, "an old nonce where none was demanded")
        return
    }
    guard let nonce = claims["nonce"]?.string, !nonce.isEmpty, nonces.contains(nonce) else {
        check(false, "a proof with another nonce is taken")
        return
    }
    check(proved.hasPreviousNonce == (nonce != nonces[0]), "an old nonce passes for the current one")
}

private func part(_ number: Int, of proof: [UInt8]) -> JSONTree? {
    let parts = proof.split(separator: 0x2E, omittingEmptySubsequences: false)
    guard parts.count == 3 else { return nil }
    return Base64URL.decode(Array(parts[number]).span).flatMap { JSONTree($0) }
}

/// The signature once more, by the reader of issuers' keys.
private func checkSignature(_ proof: [UInt8], _ proved: VerifiedProof) {
    guard let header = part(0, of: proof), let key = header["jwk"] else {
        check(false, "a proof without a key is taken")
        return
    }
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        check(key[name] == nil, "a proof with a private key is taken")
    }
    check(header["crit"] == nil, "a proof with a critical extension is taken")
    // A name chooses among keys there, and a content type has to be text; here both play no part.
    guard header["kid"] == nil, header["cty"] == nil, key["kid"] == nil else { return }
    guard let keys = try? SignatureCheckKeys(jwks: key.text.span) else {
        check(false, "a key is taken that no issuer may have")
        return
    }
    guard case .valid = SignatureCheck.verifySignatureOnly(proof.span, keys: keys) else {
        check(false, "two readers judge one signature in two ways")
        return
    }
}

private func judgeMinted(
    header: [UInt8], claims: [UInt8], _ signer: ProofSigner, _ demand: inout ProofDemand, isOwnHeader: Bool
) {
    guard let proof = signer.sign(header: header, claims: claims) else {
        check(false, "the fixed key cannot sign")
        return
    }
    let result = judge(proof, demand)
    if case .proved(let proved) = result {
        check(proved.thumbprint == signer.thumbprint || !isOwnHeader, "a proof of a key that did not sign it")
    }
    guard isOwnHeader, proof.count <= ProofLimits.proofBytesMax, !claims.isEmpty else { return }
    guard case .refused(let refusal) = result else { return }
    check(refusal != .signatureInvalid && refusal != .keyNotBound, "a good signature is refused")
    guard let tree = JSONTree(claims) else {
        check(refusal == .claimsMalformed, "claims that cannot be read are judged")
        return
    }
    // Whatever is refused for one claim would be refused for that claim in good company too.
    let isWrong: Bool? =
        switch refusal {
        case .jtiMissing: tree["jti"] == nil
        case .jtiMalformed: tree["jti"].map { $0.string == nil }
        case .jtiEmpty: tree["jti"]?.string.map { $0.isEmpty }
        case .jtiTooLong: tree["jti"]?.string.map { $0.count > ProofLimits.proofIDBytesMax }
        case .htmMissing: tree["htm"] == nil
        case .htmMismatch: tree["htm"].map { $0.string != demand.method }
        case .htuMissing: tree["htu"] == nil
        case .htuMalformed, .htuMismatch:
            tree["htu"].map { uri in uri.string.map { !isTarget($0, demand) || !isPlain($0) } ?? true }
        case .iatMissing: tree["iat"] == nil
        case .iatMalformed: tree["iat"].map { $0.number.map { !($0 > 1 && $0 < 9e15) } ?? true }
        case .iatTooOld: tree["iat"]?.number.map { $0 < Double(demand.now) - 59 }
        case .iatTooFarAhead: tree["iat"]?.number.map { $0 > Double(demand.now) + 9 }
        case .athMissing: tree["ath"] == nil
        case .athMismatch: tree["ath"].map { $0.string != demand.token.withSpan { Base64URL.encode($0) } }
        case .nonceMissing: tree["nonce"] == nil && demand.nonces != nil
        case .nonceMismatch:
            tree["nonce"].map { nonce in
                nonce.string.map { $0.isEmpty || demand.nonces?.contains($0) != true } ?? true
            }
        default: false
        }
    check(isWrong == true, "a good proof is refused")
}

// MARK: htu

private func fuzzTarget(target: [UInt8], uri: [UInt8], _ signer: ProofSigner) {
    var canonical = CanonicalTarget()
    guard canonical.read(target.span) else { return }
    var demand = ProofDemand(number: 0, boundKey: signer.thumbprint)
    demand.path = [UInt8](copying: canonical.path.bytes)
    let request = ProofRequest(
        method: demand.method.span, isSecure: true, host: demand.host.span, port: 443, path: demand.path.span)
    if (try? ProofTarget.check(uri.span, request)) != nil {
        check(isTarget(uri, demand), "another target is taken for this one")
    }
    let own = Array("https://api.example.com".utf8) + demand.path
    check((try? ProofTarget.check(own.span, request)) != nil, "a target is not its own")
    check(isTarget(own, demand), "a target is not its own for the slow reader")
}

/// Of bytes that no reader could take for anything else, without dot segments.
private func isPlain(_ uri: [UInt8]) -> Bool {
    let bytes = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:/".utf8)
    return uri.allSatisfy { bytes.contains($0) } && !String(decoding: uri, as: UTF8.self).contains("/.")
}

/// RFC 3986 §6.2.2 and §6.2.3, one rule after the other.
private func isTarget(_ uri: [UInt8], _ demand: ProofDemand) -> Bool {
    guard uri.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return false }
    var rest = String(decoding: uri, as: UTF8.self)
    if let end = rest.firstIndex(where: { $0 == "?" || $0 == "#" }) { rest = String(rest[..<end]) }
    guard let colon = rest.firstIndex(of: ":") else { return false }
    let scheme = rest[..<colon].lowercased()
    rest = String(rest[rest.index(after: colon)...])
    guard scheme == (demand.isSecure ? "https" : "http"), rest.hasPrefix("//") else { return false }
    rest = String(rest.dropFirst(2))
    let slash = rest.firstIndex(of: "/") ?? rest.endIndex
    var authority = rest[..<slash].lowercased()
    let path = slash == rest.endIndex ? "/" : String(rest[slash...])
    guard !authority.contains("@"), !authority.contains("%") else { return false }
    var port = demand.isSecure ? "443" : "80"
    let hostEnd = authority.lastIndex(of: "]") ?? authority.startIndex
    if let colon = authority.lastIndex(of: ":"), colon >= hostEnd {
        let given = authority[authority.index(after: colon)...]
        if !given.isEmpty { port = String(given) }
        authority = String(authority[..<colon])
    }
    if authority.hasSuffix("."), authority.utf8.count > 1 { authority = String(authority.dropLast()) }
    guard port == String(demand.port), Array(authority.utf8) == demand.host else { return false }
    return normalized(Array(path.utf8)) == demand.path
}

/// Nil for an escape that is none and for dot segments.
private func normalized(_ path: [UInt8]) -> [UInt8]? {
    let unreserved = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~".utf8)
    let others = Array("!$&'()*+,;=:@/".utf8)
    let digits = Array("0123456789ABCDEF".utf8)
    var result: [UInt8] = []
    var index = 0
    while index < path.count {
        var byte = path[index]
        var isEscape = !unreserved.contains(byte) && !others.contains(byte)
        if byte == 0x25 {
            guard index + 2 < path.count,
                let value = UInt8(String(decoding: path[index + 1...index + 2], as: UTF8.self), radix: 16),
                path[index + 1] != 0x2B, path[index + 1] != 0x2D
            else { return nil }
            byte = value
            isEscape = !unreserved.contains(value)
            index += 2
        }
        result += isEscape ? [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]] : [byte]
        index += 1
    }
    let segments = result.split(separator: 0x2F, omittingEmptySubsequences: false)
    guard !segments.contains([0x2E]), !segments.contains([0x2E, 0x2E]) else { return nil }
    return result
}
