internal import Octets
internal import Signatures
internal import Tokens

/// Keys made from constants, so that a token in the corpus stays what it was. No one else uses them.
enum FixedKeys {
    static let privateText = """
        {"kty":"OKP","crv":"Ed25519","kid":"o1","alg":"EdDSA",\
        "x":"ebVWLo_mVPlAeLES6KmLp5AfhTrmlb7X4OORC60ElmQ",\
        "d":"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"}
        """
    static let privateCurveText = """
        {"kty":"EC","crv":"P-256","kid":"e1","alg":"ES256",\
        "x":"UVw9brnjlrkE0_7Kf1T9zQzB6Ze_N13KUVrQpsO0A18","y":"RTa-OlDzGPv5pUdZAqIhUCvvDVfgjFOyzApW8X2fk1Q",\
        "d":"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"}
        """
    static let setText = """
        {"keys":[{"kty":"OKP","crv":"Ed25519","kid":"o1","x":"ebVWLo_mVPlAeLES6KmLp5AfhTrmlb7X4OORC60ElmQ"},\
        {"kty":"EC","crv":"P-256","kid":"e1","use":"sig","key_ops":["verify"],\
        "x":"UVw9brnjlrkE0_7Kf1T9zQzB6Ze_N13KUVrQpsO0A18","y":"RTa-OlDzGPv5pUdZAqIhUCvvDVfgjFOyzApW8X2fk1Q"},\
        {"kty":"EC","crv":"P-384","kid":"e3","alg":"ES384",\
        "x":"x28ig92pXNSbDtnnM9KQRHTjchbxJOE9LJq0zwECHEmtnKuz0Ll0ma7y8KsxP6Ao",\
        "y":"Jrwfg0UbXIlip1yv9zWI1EAKYpZDYVT7NDw5PpEEimx7y63IPNil8m_q6IMVb5Kh"},\
        {"kty":"RSA","kid":"r1","alg":"RS256","e":"AQAB",\
        "n":"3K38HokGg-yKcxEIO-yEZ2cCO8uu_LKVDfam3N41zEBZYhO-Ion2J-HaebeRB7eNWSIjFRJUMrzXG18U_qGeUdagEB93lYaB\
        5y6EdoIsqXRVrgSUro7jPHiD04lWuitVdeimtmSOuXcQ5LWnffHOYSrXG21PDtMSFLA_l2Cphkdk3RkUWGWAZDADx1TT7o7q\
        Yt1Ex5l7wv_HL3MrhKfYAkKNaQC2DnCAMYLvSNrUIzZhCMaU6HvdNyPbRL33gAI9zg5xYbqbfUa8WgfcjbmXgaSUKuLzDivv\
        CiT7v5TUNteHrXSZzpreYhjlYhLzG_DrR7wI1maZ-LaUDO86mbQspQ"}]}
        """
    static let now: Int64 = 1_700_000_000
    static let algorithms = SignatureAlgorithm.allCases

    static let signing: PrivateJWK? = try? PrivateJWK(parsing: Array(privateText.utf8).span)
    static let signingCurve: PrivateJWK? = try? PrivateJWK(parsing: Array(privateCurveText.utf8).span)
    static let set: KeySet? = try? KeySet.parse(jwks: Array(setText.utf8).span, algorithms: algorithms)

    static func settings(_ name: String, _ profile: TokenProfile) -> IssuerSettings {
        IssuerSettings(
            issuer: Array("https://\(name).example.com".utf8),
            audiences: [Array("https://api.example.com".utf8), Array("second".utf8)],
            algorithms: algorithms, profile: profile,
            scopeClaim: Array((profile == .compat ? "scp" : "scope").utf8),
            clientClaim: Array((profile == .compat ? "azp" : "client_id").utf8), leewaySeconds: 30,
            boundClaims: [Array("tenant".utf8), Array("team".utf8)])
    }

    /// One issuer of each profile, one without keys, one with keys that are too old.
    static let issuers = IssuerSnapshot(
        issuers: [
            IssuerKeys(settings: settings("id", .rfc9068), keys: set),
            IssuerKeys(settings: settings("compat", .compat), keys: set),
            IssuerKeys(settings: settings("none", .compat), keys: nil),
            IssuerKeys(settings: settings("old", .compat), keys: set, status: .stale),
        ], generation: 1)
}
