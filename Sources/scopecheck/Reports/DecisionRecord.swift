internal import Decision
internal import Octets
internal import PolicyTables
internal import Tokens

extension ByteWriter {
    /// `,"at":…,"request":{…},"token":{…}` behind a decision: what `policy replay` decides again. Neither the token nor
    /// the query of the target is in it.
    /// - Parameter boundClaims: names of the claims that the policy binds to paths, in its order.
    mutating func append(
        recordOf decider: Decider, _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>, boundClaims: [String],
        at now: Int64
    ) {
        append(",\"at\":")
        append(decimal: UInt64(clamping: now))
        append(",\"request\":{\"method\":")
        append(jsonString: bytes.bytes(at: facts.method))
        append(",\"scheme\":")
        append(jsonString: bytes.bytes(at: facts.scheme))
        append(",\"host\":")
        append(jsonString: bytes.bytes(at: facts.host))
        append(",\"port\":")
        append(decimal: UInt64(String(lossy: bytes.bytes(at: facts.port))) ?? 0)
        append(",\"path\":")
        let target = bytes.bytes(at: facts.target)
        append(jsonString: target.extracting(0..<(target.firstIndex(of: 0x3F, from: 0) ?? target.count)))
        if facts.originCount == 1, facts.accessControlRequestMethodCount == 1 {
            append(",\"origin\":")
            append(jsonString: bytes.bytes(at: facts.origin))
            append(",\"access_control_request_method\":")
            append(jsonString: bytes.bytes(at: facts.accessControlRequestMethod))
        }
        append("},\"token\":")
        guard let token = decider.verifiedToken, decider.reason.status != 401 || decider.isTokenGood else {
            append("null")
            return
        }
        append("{\"issuer\":")
        appendOptional(decider.issuer(of: token))
        append(",\"subject\":")
        append(jsonString: token.subject)
        append(",\"client\":")
        append(jsonString: token.client)
        append(",\"scopes\":")
        append(strings: token.scopeText.split(by: 0x20))
        append(",\"audiences\":")
        var audiences: [[UInt8]] = []
        token.forEachAudience { audience in
            audiences.append([UInt8](copying: audience))
            return true
        }
        append(strings: audiences)
        appendClaims(of: token, boundClaims)
        if token.authenticationContext.count > 0 {
            append(",\"acr\":")
            append(jsonString: token.authenticationContext)
        }
        if token.authenticatedAt > 0 {
            append(",\"auth_time\":")
            append(decimal: UInt64(clamping: token.authenticatedAt))
        }
        switch token.confirmation {
        case .none: break
        case .jwkThumbprint: append(",\"proof\":\"dpop\"")
        case .certificateThumbprint: append(",\"proof\":\"mtls\"")
        }
        append("}")
    }

    private mutating func appendClaims(of token: VerifiedToken, _ names: [String]) {
        append(",\"claims\":{")
        var isFirst = true
        for (index, name) in names.enumerated() {
            guard let value = token.boundClaim(index) else { continue }
            if !isFirst { append(0x2C) }
            isFirst = false
            append(jsonString: Array(name.utf8).span)
            append(":")
            append(jsonString: value)
        }
        append("}")
    }
}

extension Decider {
    /// Whether a denial with 401 was for something else than the token itself: it lacks a proof, or a step up.
    fileprivate var isTokenGood: Bool {
        switch reason {
        case .stepUpRequired, .proofRequired, .invalidProof, .nonceRequired, .proofReplayed, .tokenNotBound,
            .certificateRequired, .certificateMismatch, .audienceMismatch, .issuerNotAllowed:
            true
        default: false
        }
    }
}

extension Span<UInt8> {
    /// The pieces between single bytes of one value; empty ones are left out.
    fileprivate func split(by separator: UInt8) -> [[UInt8]] {
        [UInt8](copying: self).split(separator: separator).map { Array($0) }
    }
}
