internal import Octets
internal import Signatures
@testable internal import Tokens

/// Everything that reads what an issuer or a client sends. The first byte chooses what the rest is.
///
/// * JSON: what is taken can be written again and means the same.
/// * A token: never verified unless the fixed key signed it; verified means that every check holds.
/// * A header and claims, signed by the fixed key: the signature is never what is wrong.
/// * A JWK set, a private JWK: nothing usable comes of a bad one, each key is either used or named as
///   dropped.
/// * Numbers, scopes and base64url, each held against a slow reading.
@Sendable func fuzzTokens(_ bytes: Span<UInt8>) {
    var input = Input(bytes)
    let choice = input.byte()
    switch choice & 7 {
    case 0:
        fuzzJSON(input.rest(), depthMax: 1 + Int(choice >> 4) * 4, topLevel: choice & 8 == 0 ? .any : .object)
    case 1: fuzzToken(input.rest())
    case 2: fuzzMinted(header: input.take(upTo: 0), claims: input.rest())
    case 3: fuzzKeySet(input.rest())
    case 4: fuzzPrivateKey(input.rest())
    case 5: fuzzSignatureCheck(keys: input.take(upTo: 0), token: input.rest())
    case 6:
        let text = input.rest()
        fuzzNumericDate(text)
        fuzzScope(text)
        fuzzBase64(text)
    default:
        let header = "{\"alg\":\"EdDSA\",\"typ\":\"\(choice & 8 == 0 ? "at+jwt" : "JWT")\",\"kid\":\"o1\"}"
        fuzzMinted(header: Array(header.utf8), claims: input.rest())
    }
}

private func fuzzToken(_ token: [UInt8]) {
    let verifier = TokenVerifier()
    let first = outcome(of: token, verifier)
    // The second time the header is known.
    check(first == outcome(of: token, verifier), "a token is judged in two ways")
    do throws(TokenRefusal) {
        let read = try TokenDecode.read(token.span)
        let parts = [read.headerText, read.claimsText, read.signature].map {
            String(decoding: Base64URL.encode($0.span), as: UTF8.self)
        }
        check(Array(parts.joined(separator: ".").utf8) == token, "a token has a second spelling")
    } catch {
        // The verifier may name another fault, since it looks at more.
        guard case .refused = first else {
            check(false, "a token that cannot be read is taken")
            return
        }
    }
}

private enum Judgement: Equatable {
    case verified, unknownKey, unavailable, stale
    case refused(TokenRefusal)
}

private func outcome(of token: [UInt8], _ verifier: TokenVerifier) -> Judgement {
    let digest = sha256(token.span)
    switch verifier.verify(token.span, digest: digest, issuers: FixedKeys.issuers, now: FixedKeys.now) {
    case .verified(let verified):
        checkVerified(verified, digest)
        return .verified
    case .refused(let refusal): return .refused(refusal)
    case .unknownKey(let issuer):
        check(issuer == 0 || issuer == 1, "a key of an issuer without keys")
        return .unknownKey
    case .keysUnavailable(let issuer):
        check(issuer == 2, "keys that are there are missing")
        return .unavailable
    case .keysStale(let issuer):
        check(issuer == 3, "keys that are fresh are old")
        return .stale
    }
}

private func checkVerified(_ token: VerifiedToken, _ digest: Digest) {
    check(token.digest == digest, "a token with another digest")
    check(token.issuerIndex == 0 || token.issuerIndex == 1, "an issuer without keys")
    check(token.expiresAt + 30 > FixedKeys.now, "an expired token")
    check(token.notBefore - 30 <= FixedKeys.now, "a token of the future")
    let settings = FixedKeys.issuers.issuers[token.issuerIndex].settings
    let (first, second) = (settings.audiences[0], settings.audiences[1])
    check(token.hasAudience(first.span) || token.hasAudience(second.span), "a token for someone else")
    var audiences = 0
    token.forEachAudience { audience in
        audiences += 1
        return token.hasAudience(audience)
    }
    check(audiences > 0, "a token without audience")
    check(token.scopeText.isEmpty || ScopeSyntax.count(token.scopeText) != nil, "scopes of another form")
    check(settings.profile == .compat || !token.subject.isEmpty && !token.client.isEmpty, "a token of no one")
    checkText(token.subject)
    checkText(token.client)
    checkText(token.keyID)
    for claim in settings.boundClaims.indices {
        if let text = token.boundClaim(claim) { checkText(text) }
    }
    check(token.boundClaim(settings.boundClaims.count) == nil, "a claim that no one asked for")
}

private func checkText(_ text: Span<UInt8>) {
    check(isUTF8(text), "a string that is not UTF-8")
    check(text.firstIndex(of: 0, from: 0) == nil, "a NUL in a string")
}

private func fuzzMinted(header: [UInt8], claims: [UInt8]) {
    guard let key = FixedKeys.signing,
        let token = try? TokenMint.sign(
            header: header.span, payload: claims.span, key: key.key, algorithm: key.algorithm)
    else {
        check(false, "the fixed key cannot sign")
        return
    }
    let result = outcome(of: token, TokenVerifier())
    switch result {
    case .verified:
        var changed = token
        // The third last character: the last may hold bits that have one value only.
        changed[token.count - 3] = token[token.count - 3] == 0x41 ? 0x42 : 0x41
        check(
            outcome(of: changed, TokenVerifier()) == .refused(.signatureInvalid), "another signature is taken"
        )
        check((try? TokenDecode.read(token.span)) != nil, "a verified token cannot be read")
    case .refused(.signatureInvalid):
        var index = JSONIndex()
        let read = try? TokenHeader(header.span, &index)
        check(read?.algorithm != .ed25519, "a good signature is refused")
    case .refused(.malformed): check(header.isEmpty || claims.isEmpty, "a minted token is malformed")
    default: break
    }
    let minted = try? TokenMint.token(
        header: header.span, claims: claims.span, key: key.key, algorithm: key.algorithm)
    check(minted == nil || minted == token, "the same token is minted in two ways")
    check(minted != nil || result != .verified, "a token that is not minted is taken")
}

private func fuzzKeySet(_ document: [UInt8]) {
    for algorithms in [FixedKeys.algorithms, [.es256, .ps256]] {
        do throws(KeySetError) {
            let set = try KeySet.parse(jwks: document.span, algorithms: algorithms, fetchedAt: FixedKeys.now)
            check(!set.keys.isEmpty && set.keys.count <= TokenLimits.keysMax, "a set without keys")
            for (place, key) in set.keys.enumerated() {
                check(algorithms.contains(key.algorithm), "a key for an algorithm that is not allowed")
                check(key.key.fits(key.algorithm), "a key for an algorithm of other keys")
                check(
                    key.keyID == nil
                        || !set.keys[0..<place].contains {
                            $0.keyID == key.keyID && $0.algorithm == key.algorithm
                        },
                    "two keys of one name")
            }
            for dropped in set.dropped {
                check(!dropped.description.isEmpty, "a key is dropped without words")
            }
            if let key = set.keys.first,
                let verifier = try? PreparedVerifier(key: key.key, algorithm: key.algorithm)
            {
                let signature = [UInt8](repeating: 0, count: key.key.signatureBytes)
                check(
                    !verifier.verify(message: document.span, signature: signature.span),
                    "zeros are a signature")
            }
        } catch {
            check(!error.description.isEmpty, "an error without words")
        }
    }
}

private func fuzzPrivateKey(_ document: [UInt8]) {
    do throws(PrivateJWKError) {
        let key = try PrivateJWK(parsing: document.span)
        guard let text = try? key.privateText(), let again = try? PrivateJWK(parsing: text.span),
            let publicText = try? key.publicText()
        else {
            check(false, "a key cannot be written and read again")
            return
        }
        check(
            again.keyID == key.keyID && again.algorithm == key.algorithm, "a key changes when it is written")
        let set = try? KeySet.parse(jwks: JWKText.set([publicText]).span, algorithms: FixedKeys.algorithms)
        check(
            set?.keys.count == 1 || key.keyID.utf8.count > TokenLimits.keyIDBytesMax,
            "a public half is refused")
        guard let signature = try? key.key.sign(document.span, key.algorithm),
            let verifier = try? PreparedVerifier(key: key.key.publicKey, algorithm: key.algorithm)
        else {
            check(false, "a key cannot sign")
            return
        }
        check(
            verifier.verify(message: document.span, signature: signature.span),
            "a key's own signature is refused")
    } catch {
        check(!error.description.isEmpty, "an error without words")
    }
}

private func fuzzSignatureCheck(keys document: [UInt8], token: [UInt8]) {
    let text = document.isEmpty ? Array(FixedKeys.setText.utf8) : document
    guard let keys = try? SignatureCheckKeys(jwks: text.span) else { return }
    guard case .valid(let algorithm, _) = SignatureCheck.verifySignatureOnly(token.span, keys: keys) else {
        return
    }
    check(!algorithm.isEmpty, "a signature of no algorithm")
    check((try? TokenHeaderCheck(token)) != nil, "a signature is good whose token is not")
}

/// Whether the three parts of a token are spelled strictly.
private struct TokenHeaderCheck {
    init(_ token: [UInt8]) throws(TokenRefusal) {
        let parts = try CompactParts(token.span)
        for part in [parts.header, parts.payload, parts.signature] {
            guard Base64URL.decode(token.span.bytes(at: part)) != nil else { throw .malformed }
        }
    }
}
