internal import Octets

/// The header and claims of a token that nobody has checked. For showing to people, never for deciding:
/// there is no way from here to a `VerifiedToken`.
public struct UnverifiedToken: Sendable, Equatable {
    /// The protected header's JSON text as the token has it.
    public let headerText: [UInt8]
    /// The claims set's JSON text as the token has it.
    public let claimsText: [UInt8]
    public let signature: [UInt8]
}

public enum TokenDecode {
    /// Takes a compact JWS apart. Both texts are strict JSON objects; the header has a string `alg`.
    ///
    /// Signature, type, algorithm and claims are not looked at.
    public static func read(_ token: Span<UInt8>) throws(TokenRefusal) -> UnverifiedToken {
        let parts = try CompactParts(token)
        guard let header = Base64URL.decode(token.bytes(at: parts.header)),
            let claims = Base64URL.decode(token.bytes(at: parts.payload)),
            let signature = Base64URL.decode(token.bytes(at: parts.signature))
        else { throw .malformed }
        var index = JSONIndex()
        _ = try TokenHeader(header.span, &index)
        do throws(JSONError) {
            try index.read(claims.span, limits: .claims)
        } catch {
            throw .claimsMalformed
        }
        return UnverifiedToken(headerText: header, claimsText: claims, signature: signature)
    }
}
