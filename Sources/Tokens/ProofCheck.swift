internal import Octets
internal import Signatures

/// The steps of checking one proof, over buffers that are used again for the next one.
struct ProofCheck: ~Copyable {
    /// What the signature is over, and by which algorithm.
    struct Signed {
        let bytes: ByteRange
        let algorithm: SignatureAlgorithm
    }

    /// What of the claims is used after they were checked.
    struct Claims {
        let proofID: JSONValue
        let issuedAt: Int64
        let hasPreviousNonce: Bool
    }

    private var header = DecodedPart(textBytesMax: ProofLimits.proofBytesMax)
    private var payload = DecodedPart(textBytesMax: ProofLimits.proofBytesMax)
    private var signature = DecodedPart(textBytesMax: ProofLimits.proofBytesMax)
    private var headerIndex = JSONIndex()
    private var claimsIndex = JSONIndex()
    private var key = ProofKey()
    private var cache = ProofKeyCache()
    private var hasher = SHA256Hasher()
    /// One claim, unescaped.
    private var text = ByteWriter(capacity: ProofLimits.proofBytesMax)

    var preparedKeys: Int { cache.count }

    /// Form, header and the text of the key.
    mutating func readProof(_ proof: Span<UInt8>, _ rules: ProofRules) throws(ProofRefusal) -> Signed {
        guard proof.count <= ProofLimits.proofBytesMax else { throw .tooLarge }
        let signed: ByteRange
        do throws(TokenRefusal) {
            let parts = try CompactParts(proof)
            try header.decode(proof.bytes(at: parts.header))
            try payload.decode(proof.bytes(at: parts.payload))
            try signature.decode(proof.bytes(at: parts.signature))
            signed = parts.signed
        } catch {
            throw .malformed
        }
        let algorithm = try ProofCheck.readHeader(header, &headerIndex, rules)
        try key.read(headerIndex, header, algorithm)
        return Signed(bytes: signed, algorithm: algorithm)
    }

    // These take the parts that they touch, since a span of one part would hold all of self.

    private static func readHeader(
        _ header: borrowing DecodedPart, _ index: inout JSONIndex, _ rules: ProofRules
    ) throws(ProofRefusal) -> SignatureAlgorithm {
        let text = header.bytes
        do throws(JSONError) {
            try index.read(text, limits: .header)
        } catch {
            throw .headerMalformed
        }
        guard let root = index.root, let name = index.member("alg", of: root, in: text), name.kind == .string
        else { throw .headerMalformed }
        guard let type = index.member("typ", of: root, in: text), type.kind == .string else {
            throw .typeMismatch
        }
        let typeName = text.bytes(at: type.range)
        guard
            TokenHeader.isMediaType(typeName, "dpop+jwt")
                || TokenHeader.isMediaType(typeName, "application/dpop+jwt")
        else { throw .typeMismatch }
        guard index.member("crit", of: root, in: text) == nil else { throw .criticalHeader }
        guard let algorithm = TokenHeader.algorithm(name, text), rules.allows(algorithm) else {
            throw .algorithmNotAllowed
        }
        return algorithm
    }

    mutating func readClaims(
        _ request: borrowing ProofRequest, _ tokenDigest: Digest, _ nonce: borrowing NonceRule,
        _ rules: ProofRules, _ now: Int64
    ) throws(ProofRefusal) -> Claims {
        let root = try ProofCheck.readClaimsSet(payload, &claimsIndex)
        let proofID = try ProofCheck.proofID(claimsIndex, root, payload, &text)
        try ProofCheck.checkTarget(claimsIndex, root, payload, request, &text)
        let issuedAt = try ProofCheck.issuedAt(claimsIndex, root, payload, rules, now)
        try ProofCheck.checkToken(claimsIndex, root, payload, tokenDigest)
        let hasPreviousNonce = try ProofCheck.checkNonce(claimsIndex, root, payload, nonce)
        return Claims(proofID: proofID, issuedAt: issuedAt, hasPreviousNonce: hasPreviousNonce)
    }

    private static func readClaimsSet(
        _ payload: borrowing DecodedPart, _ index: inout JSONIndex
    ) throws(ProofRefusal) -> JSONValue {
        do throws(JSONError) {
            try index.read(payload.bytes, limits: .claims)
        } catch {
            throw .claimsMalformed
        }
        guard let root = index.root else { throw .claimsMalformed }
        return root
    }

    private static func proofID(
        _ index: borrowing JSONIndex, _ root: JSONValue, _ payload: borrowing DecodedPart,
        _ text: inout ByteWriter
    ) throws(ProofRefusal) -> JSONValue {
        guard let value = index.member("jti", of: root, in: payload.bytes) else { throw .jtiMissing }
        guard value.kind == .string else { throw .jtiMalformed }
        text.removeAll()
        text.append(string: value, in: payload.bytes)
        guard text.count > 0 else { throw .jtiEmpty }
        guard text.count <= ProofLimits.proofIDBytesMax else { throw .jtiTooLong }
        return value
    }

    /// `htm` and `htu`.
    private static func checkTarget(
        _ index: borrowing JSONIndex, _ root: JSONValue, _ payload: borrowing DecodedPart,
        _ request: borrowing ProofRequest, _ text: inout ByteWriter
    ) throws(ProofRefusal) {
        let bytes = payload.bytes
        guard let method = index.member("htm", of: root, in: bytes) else { throw .htmMissing }
        guard method.kind == .string, method.range.count > 0,
            isString(method, in: bytes, equalTo: request.method)
        else { throw .htmMismatch }
        guard let uri = index.member("htu", of: root, in: bytes) else { throw .htuMissing }
        guard uri.kind == .string else { throw .htuMalformed }
        text.removeAll()
        text.append(string: uri, in: bytes)
        try ProofTarget.check(text.bytes, request)
    }

    /// - Returns: `iat`, whole seconds.
    private static func issuedAt(
        _ index: borrowing JSONIndex, _ root: JSONValue, _ payload: borrowing DecodedPart,
        _ rules: ProofRules, _ now: Int64
    ) throws(ProofRefusal) -> Int64 {
        guard let value = index.member("iat", of: root, in: payload.bytes) else { throw .iatMissing }
        guard value.kind == .number, let date = NumericDate(payload.bytes.bytes(at: value.range)) else {
            throw .iatMalformed
        }
        // Dates are 1 to 2^53 and the window at most a day: nothing is added to `now`, which may be anything.
        guard now <= date.floor + rules.ageSecondsMax else { throw .iatTooOld }
        guard now >= date.ceiling - rules.aheadSecondsMax else { throw .iatTooFarAhead }
        return date.floor
    }

    private static func checkToken(
        _ index: borrowing JSONIndex, _ root: JSONValue, _ payload: borrowing DecodedPart, _ digest: Digest
    ) throws(ProofRefusal) {
        guard let value = index.member("ath", of: root, in: payload.bytes) else { throw .athMissing }
        guard index.digest(of: value, in: payload.bytes) == digest else { throw .athMismatch }
    }

    /// - Returns: whether it is the previous one.
    private static func checkNonce(
        _ index: borrowing JSONIndex, _ root: JSONValue, _ payload: borrowing DecodedPart,
        _ rule: borrowing NonceRule
    ) throws(ProofRefusal) -> Bool {
        guard rule.isRequired else { return false }
        guard let value = index.member("nonce", of: root, in: payload.bytes) else { throw .nonceMissing }
        switch rule.match(value, in: payload.bytes) {
        case .current: return false
        case .previous: return true
        case .none: throw .nonceMismatch
        }
    }

    /// The only place where a `VerifiedProof` is made.
    mutating func checkKey(
        _ proof: Span<UInt8>, _ signed: Signed, _ claims: Claims, _ boundKey: Digest?, _ rules: ProofRules
    ) throws(ProofRefusal) -> VerifiedProof {
        let thumbprint = key.thumbprint()
        if let boundKey {
            guard thumbprint == boundKey else { throw .keyNotBound }
        }
        let known = cache.find(thumbprint, signed.algorithm)
        let verifier: PreparedVerifier
        if let known {
            verifier = known
        } else {
            verifier = try key.prepare(signed.algorithm)
        }
        let isGood = verifier.verify(message: proof.bytes(at: signed.bytes), signature: signature.bytes)
        // Keys that nothing vouches for would push out those of clients.
        if known == nil, isGood || boundKey != nil { cache.insert(verifier, thumbprint) }
        guard isGood else { throw .signatureInvalid }
        return VerifiedProof(
            thumbprint: thumbprint,
            replayKey: ProofCheck.replayKey(thumbprint, claims.proofID, payload, &text, &hasher),
            issuedAt: claims.issuedAt, acceptableThrough: claims.issuedAt + rules.ageSecondsMax,
            hasPreviousNonce: claims.hasPreviousNonce)
    }

    private static func replayKey(
        _ thumbprint: Digest, _ proofID: JSONValue, _ payload: borrowing DecodedPart, _ text: inout ByteWriter,
        _ hasher: inout SHA256Hasher
    ) -> Digest {
        text.removeAll()
        for index in 0..<Digest.count { text.append(thumbprint[index]) }
        text.append(string: proofID, in: payload.bytes)
        return hasher.digest(text.bytes)
    }
}
