internal import Octets
public import Signatures
internal import Tokens

/// What the tokens of the measurements are: about 700 bytes, as large providers send them.
public enum Sample {
    public static let now: Int64 = 1_800_000_000
    public static let issuer = "https://id.example.com"
    public static let audience = "https://api.example.com"
    public static let keyID = "signing-1"
    public static let scope = "orders:read"

    /// Claims that only some providers write: as many as bring a token nearest to 700 bytes.
    public static let moreClaimsMax = 7
    private static let tokenBytesMin = 680

    /// One claims set; each number makes another one of the same length.
    /// - Parameter more: how many of the claims that only some providers write it has.
    private static func claims(_ number: Int, more: Int, scope: String, lifetimeSeconds: Int64) -> [UInt8] {
        let digits = String(1_000_000 + number)
        var claims = JSONObjectWriter()
        claims.add("iss", string: issuer)
        claims.add("sub", string: "u\(digits)")
        claims.add("aud", string: audience)
        claims.add("client_id", string: "0oa1b2c3d4e5")
        claims.add("iat", number: now - 30)
        claims.add("exp", number: now + lifetimeSeconds)
        claims.add("jti", string: "0b\(digits)")
        claims.add("scope", string: scope)
        if more > 0 { claims.add("tenant", string: "t-1042") }
        if more > 1 { claims.add("nbf", number: now - 30) }
        if more > 2 { claims.add("roles", strings: ["reader", "editor"]) }
        if more > 3 { claims.add("auth_time", number: now - 900) }
        if more > 4 { claims.add("acr", string: "urn:example:acr:basic") }
        if more > 5 { claims.add("sid", string: "65f1c0ffee00\(digits)") }
        if more > 6 { claims.add("email", string: "ann@example.com") }
        return claims.text()
    }

    public static func token(
        _ number: Int, _ key: PrivateKey, _ algorithm: SignatureAlgorithm, more: Int,
        scope: String = "openid \(scope)", lifetimeSeconds: Int64 = 3_600
    ) throws -> [UInt8] {
        let claims = claims(number, more: more, scope: scope, lifetimeSeconds: lifetimeSeconds)
        return try TokenMint.token(claims: claims.span, key: key, algorithm: algorithm, keyID: keyID)
    }

    /// As near to 700 bytes as claims can bring it: a signature by RSA takes half of them.
    public static func moreClaims(_ key: PrivateKey, _ algorithm: SignatureAlgorithm) throws -> Int {
        for more in 0..<moreClaimsMax {
            if try token(0, key, algorithm, more: more).count >= tokenBytesMin { return more }
        }
        return moreClaimsMax
    }

    /// The same with another signature; not in its last character, which may have one value only.
    public static func tampered(_ token: [UInt8]) -> [UInt8] {
        var changed = token
        changed[token.count - 3] = token[token.count - 3] == 0x41 ? 0x42 : 0x41
        return changed
    }
}
