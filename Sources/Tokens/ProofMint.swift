internal import Octets
public import Signatures

/// Makes DPoP proofs (RFC 9449 §4.2): for trying a policy out and for clients in tests.
public enum ProofMint {
    /// A proof for one request.
    ///
    /// Example: GET of `https://api.example.com/orders` with ES256 has the header
    /// `{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"…","y":"…"}}` and the claims
    /// `{"jti":"…","htm":"GET","htu":"https://api.example.com/orders","iat":1700000000,"ath":"…"}`.
    /// - Parameters:
    ///   - uri: the target without query and fragment.
    ///   - issuedAt: Unix seconds.
    ///   - tokenDigest: SHA-256 of the access token; nil for a proof without one, as token endpoints take it.
    ///   - proofID: `jti`; nil takes 16 random bytes.
    public static func proof(
        method: String, uri: String, issuedAt: Int64, tokenDigest: Digest?, nonce: String? = nil,
        proofID: String? = nil, key: PrivateKey, algorithm: SignatureAlgorithm
    ) throws(MintError) -> [UInt8] {
        var claims = JSONObjectWriter()
        claims.add("jti", string: proofID ?? encoded(randomBytes(16)))
        claims.add("htm", string: method)
        claims.add("htu", string: uri)
        claims.add("iat", number: issuedAt)
        if let tokenDigest { claims.add("ath", string: encoded(tokenDigest.bytes)) }
        if let nonce { claims.add("nonce", string: nonce) }
        let header = try header(key: key, algorithm: algorithm)
        return try TokenMint.token(
            header: header.span, claims: claims.text().span, key: key, algorithm: algorithm)
    }

    /// The header of every proof of a key.
    public static func header(key: PrivateKey, algorithm: SignatureAlgorithm) throws(MintError) -> [UInt8] {
        var header = JSONObjectWriter()
        header.add("typ", string: "dpop+jwt")
        header.add("alg", string: algorithm.name)
        do throws(KeyError) {
            header.add("jwk", json: JWKText.bareKey(try key.components()))
        } catch {
            throw .key(error)
        }
        return header.text()
    }

    private static func encoded(_ bytes: [UInt8]) -> String {
        String(decoding: Base64URL.encode(bytes.span), as: UTF8.self)
    }
}
