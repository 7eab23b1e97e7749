internal import Decision
internal import Octets
internal import Policy
internal import PolicyTables
internal import Tokens

/// What of a policy goes into each record.
struct RecordedPolicy {
    let settings: VerificationSettings
    /// Names of the claims that the policy binds to paths, in its order.
    let boundClaims: [String]
}

extension ByteWriter {
    /// `,"at":…,"connect":9443` behind a decision on a connection.
    mutating func append(recordOf connection: borrowing ConnectionFacts, at now: Int64) {
        append(time: now)
        append(",\"connect\":")
        append(decimal: UInt64(clamping: connection.port))
    }

    /// `,"at":…,"request":{…},"settings":…,"token_from":…,"credentials":[…],"token":{…}` behind a decision: what
    /// `policy replay` decides again. Neither the token nor the query of the target is in it.
    mutating func append(
        recordOf decider: Decider, _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>, _ policy: RecordedPolicy,
        at now: Int64
    ) {
        append(time: now)
        append(requestOf: facts, bytes)
        if let settings = policy.settings.all {
            append(",\"settings\":")
            append(text: settings)
        }
        let details = decider.details
        let service = details.service.map { String(decoding: $0, as: UTF8.self) } ?? ""
        if let source = policy.settings.tokenSource(ofService: service) {
            append(",\"token_from\":")
            append(text: source)
        }
        append(",\"credentials\":")
        var places: [[UInt8]] = []
        if facts.authorizationCount > 0 { places.append(Array("authorization".utf8)) }
        if facts.cookieCount > 0 { places.append(Array("cookie".utf8)) }
        if facts.webSocketProtocolCount > 0 { places.append(Array("sec_websocket_protocol".utf8)) }
        append(strings: places)
        append(",\"token\":")
        guard let token = decider.verifiedToken, decider.reason.status != 401 || decider.isTokenGood else {
            append("null")
            return
        }
        let route = details.route.map { String(decoding: $0, as: UTF8.self) } ?? ""
        let port = UInt16(String(lossy: bytes.bytes(at: facts.port))) ?? 0
        let issuer = decider.issuer(of: token)
        append("{\"issuer\":")
        appendOptional(issuer)
        let name = String(decoding: issuer ?? [], as: UTF8.self)
        append(token: token, policy.boundClaims, settings: policy.settings.digest(ofIssuer: name))
        let proof: StaticString
        switch token.confirmation {
        case .none: return append("}")
        case .jwkThumbprint: proof = "dpop"
        case .certificateThumbprint: proof = "mtls"
        }
        append(",\"proof\":")
        append(jsonLiteral: proof)
        if let digest = policy.settings.proofDigest(issuer: name, service: service, route: route, port: port) {
            append(",\"proof_settings\":")
            append(text: digest)
        }
        append("}")
    }

    private mutating func append(time now: Int64) {
        append(",\"at\":")
        if now < 0 { append(0x2D) }
        append(decimal: now.magnitude)
    }

    private mutating func append(text: String) { append(jsonString: Array(text.utf8).span) }

    private mutating func append(requestOf facts: borrowing RequestFacts, _ bytes: Span<UInt8>) {
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
        append("}")
    }

    /// All but its issuer and its proof.
    private mutating func append(token: VerifiedToken, _ boundClaims: [String], settings: String?) {
        if let settings {
            append(",\"settings\":")
            append(text: settings)
        }
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
        append(",\"exp\":")
        append(decimal: UInt64(clamping: token.expiresAt))
        if token.issuedAt > 0 {
            append(",\"iat\":")
            append(decimal: UInt64(clamping: token.issuedAt))
        }
        if token.notBefore > 0 {
            append(",\"nbf\":")
            append(decimal: UInt64(clamping: token.notBefore))
        }
        appendClaims(of: token, boundClaims)
        if token.authenticationContext.count > 0 {
            append(",\"acr\":")
            append(jsonString: token.authenticationContext)
        }
        if token.authenticatedAt > 0 {
            append(",\"auth_time\":")
            append(decimal: UInt64(clamping: token.authenticatedAt))
        }
    }

    private mutating func appendClaims(of token: VerifiedToken, _ names: [String]) {
        append(",\"claims\":{")
        var isFirst = true
        for (index, name) in names.enumerated() {
            if !isFirst { append(0x2C) }
            isFirst = false
            append(text: name)
            append(":")
            if let value = token.boundClaim(index) { append(jsonString: value) } else { append("null") }
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
