internal import Octets
internal import Signatures
internal import Tokens

/// What the tokens of the measurement are: about 700 bytes, as large providers send them.
enum Sample {
    static let now: Int64 = 1_800_000_000
    static let issuer = "https://id.example.com"
    static let audience = "https://api.example.com"
    static let keyID = "signing-1"

    /// One claims set; each number makes another one of the same length.
    /// - Parameter more: how many of the claims that only some providers write it has.
    private static func claims(_ number: Int, more: Int) -> [UInt8] {
        let digits = String(1_000_000 + number)
        var claims = JSONObjectWriter()
        claims.add("iss", string: issuer)
        claims.add("sub", string: "u\(digits)")
        claims.add("aud", string: audience)
        claims.add("client_id", string: "0oa1b2c3d4e5")
        claims.add("iat", number: now - 30)
        claims.add("exp", number: now + 3_600)
        claims.add("jti", string: "0b\(digits)")
        claims.add("scope", string: "openid orders:read")
        if more > 0 { claims.add("tenant", string: "t-1042") }
        if more > 1 { claims.add("nbf", number: now - 30) }
        if more > 2 { claims.add("roles", strings: ["reader", "editor"]) }
        if more > 3 { claims.add("auth_time", number: now - 900) }
        if more > 4 { claims.add("acr", string: "urn:example:acr:basic") }
        if more > 5 { claims.add("sid", string: "65f1c0ffee00\(digits)") }
        if more > 6 { claims.add("email", string: "ann@example.com") }
        return claims.text()
    }

    /// As near to 700 bytes as claims can bring it: a signature by RSA takes half of them.
    static func token(_ number: Int, _ key: PrivateKey, _ algorithm: SignatureAlgorithm) throws -> [UInt8] {
        var token: [UInt8] = []
        for more in 0...7 {
            token = try TokenMint.token(
                claims: claims(number, more: more).span, key: key, algorithm: algorithm, keyID: keyID)
            if token.count >= 680 { break }
        }
        return token
    }

    /// The same with another signature; not in its last character, which may have one value only.
    static func tampered(_ token: [UInt8]) -> [UInt8] {
        var changed = token
        changed[token.count - 3] = token[token.count - 3] == 0x41 ? 0x42 : 0x41
        return changed
    }
}
