extension PolicySchema {
    /// Of services that publish themselves.
    static let publishing = [publisher, publicKey, publication]

    private static let publisher = Table(
        PublisherKey.self, "publisher", required: ["keys", "hosts", "scopes"],
        [
            "keys": Entry("Public keys that its publications are signed with", .members(.reference("publicKey"))),
            "hosts": Entry("Hosts that it may have", .members(.text)),
            "base_path": Entry("The path below which its routes must be", .text),
            "scopes": Entry("Scopes that are its own; `orders:*` stands for all with that beginning", .scopes),
            "issuers": Entry("Issuers that it may take", .oneOrMore(.text)),
            "public": Entry("Whether it may have public routes", .onlyTrue),
            "max_ttl": Entry("Longest time for which it may publish", .duration),
            "widening": Entry("What becomes of a publication that widens", .text),
        ])

    private static let publicKey = Table(
        PublicKeyKey.self, "publicKey", required: ["kty", "crv", "x", "kid"],
        [
            "kty": Entry("`OKP` or `EC`", .text),
            "crv": Entry("`Ed25519` or `P-256`", .text),
            "x": Entry("base64url", .text),
            "y": Entry("base64url, of P-256", .text),
            "kid": Entry("Whose key it is", .text),
            "alg": Entry("Its algorithm", .text),
            "use": Entry("`sig`", .text),
            "d": Entry("Private: never in a policy", .object([SchemaMember("not", .object([]))])),
        ])

    private static let publication = Table(
        PublicationKey.self, "publication", required: ["ends"],
        ["ends": Entry("From then on the service is denied", .time)])
}
