internal import Octets
internal import Signatures

/// Reads what an issuer signs and what is no access token: introspection replies and status lists. For use off the
/// request path: its buffers are as long as the document.
enum SignedDocument {
    /// The claims text of a JWS in compact serialisation, checked as strictly as an access token's: one spelling,
    /// strict header, exactly this `typ`, no `crit`, no nesting, `alg` in the issuer's list, signed by the key that
    /// (`kid`, `alg`) mean. What the claims say has not been looked at.
    /// - Parameter bytesMax: longest document.
    static func claims(
        of document: Span<UInt8>, type: TokenHeader.TypeName, issuer: IssuerKeys, bytesMax: Int
    ) throws(SignedDocumentError) -> [UInt8] {
        guard let keys = issuer.keys, issuer.status == .usable else { throw .noKeys }
        do throws(TokenRefusal) {
            let parts = try CompactParts(document, bytesMax: bytesMax)
            guard let header = Base64URL.decode(document.bytes(at: parts.header)),
                let payload = Base64URL.decode(document.bytes(at: parts.payload)),
                let signature = Base64URL.decode(document.bytes(at: parts.signature))
            else { throw .malformed }
            var index = JSONIndex()
            let head = try TokenHeader(header.span, &index)
            guard head.type == type, !head.isNested else { throw .typeMismatch }
            guard let algorithm = head.algorithm, issuer.settings.algorithms.contains(algorithm) else {
                throw .algorithmNotAllowed
            }
            guard !head.hasCritical else { throw .criticalHeader }
            let key: VerificationKey
            switch keys.find(keyID: head.keyID, in: header.span, algorithm: algorithm) {
            case .found(let position): key = keys.keys[position]
            case .otherAlgorithm: throw .algorithmNotAllowed
            case .unknown, .ambiguous: throw .unknownKey
            }
            // DENY: a key that cannot be prepared checks nothing.
            guard let verifier = try? PreparedVerifier(key: key.key, algorithm: algorithm),
                verifier.verify(message: document.bytes(at: parts.signed), signature: signature.span)
            else { throw .signatureInvalid }
            return payload
        } catch {
            throw .refused(error)
        }
    }
}

enum SignedDocumentError: Error {
    /// The issuer's keys were never fetched, or are older than they may be used.
    case noKeys
    case refused(TokenRefusal)

    /// For people: what is wrong with the document.
    var text: String {
        switch self {
        case .noKeys: "cannot be checked: there are no usable keys of the issuer"
        case .refused(let refusal): "is not taken: \(refusal.name)"
        }
    }
}
