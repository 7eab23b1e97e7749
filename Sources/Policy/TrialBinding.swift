internal import Octets
internal import PolicyTables
internal import Signatures
internal import Tokens

/// What the clients of one run of policy tests hold: keys for DPoP proofs and a maker of certificates, each made when
/// the first test needs it.
struct TrialClient {
    private var keys: [SignatureAlgorithm: PrivateKey] = [:]
    private var maker: TrialCertificate?

    /// Algorithms whose keys are made in no time; RSA keys take long.
    static let quickAlgorithms: [SignatureAlgorithm] = [.es256, .ed25519, .es384, .es512]

    /// The DER of a certificate with these names.
    mutating func certificate(_ names: TestCertificate, at time: Int64) throws -> [UInt8] {
        let maker = try maker ?? TrialCertificate()
        self.maker = maker
        return try maker.der(names, at: time)
    }

    /// What a token of the test is bound to.
    /// - Parameter proofs: how the issuer's proofs are checked.
    mutating func binding(_ proof: TestToken.Proof, _ proofs: ProofModel, at time: Int64) throws -> TrialBinding {
        switch proof {
        case .dpop:
            let algorithm =
                TrialClient.quickAlgorithms.first { proofs.algorithms.contains($0) }
                ?? proofs.algorithms.first ?? .es256
            let key = try keys[algorithm] ?? PrivateKey.generate(algorithm)
            keys[algorithm] = key
            return .key(key, algorithm)
        case .mtls:
            return .certificate(
                try certificate(TestCertificate(uri: nil, dns: "policy-test.example", subject: nil), at: time))
        }
    }
}

/// What a token is bound to, with what proves it.
enum TrialBinding {
    case key(PrivateKey, SignatureAlgorithm)
    /// DER.
    case certificate([UInt8])

    /// The token's `cnf`: `{"jkt":"…"}` (RFC 9449 §6.1) or `{"x5t#S256":"…"}` (RFC 8705 §3.1).
    func confirmation() throws -> [UInt8] {
        var writer = JSONObjectWriter()
        switch self {
        case .key(let key, _): writer.add("jkt", string: JWKText.thumbprint(try key.components()))
        case .certificate(let der):
            writer.add(
                "x5t#S256", string: String(decoding: Base64URL.encode(sha256(der.span).bytes.span), as: UTF8.self))
        }
        return writer.text()
    }

    var scheme: String {
        if case .key = self { "DPoP" } else { "Bearer" }
    }

    /// The `DPoP` header of one request; nil where there is none.
    func proof(_ request: TestRequest, token: String, nonce: String?, at time: Int64) throws -> String? {
        guard case .key(let key, let algorithm) = self else { return nil }
        let bytes = try ProofMint.proof(
            method: request.method, uri: request.uri, issuedAt: time, tokenDigest: sha256(Array(token.utf8).span),
            nonce: nonce, key: key, algorithm: algorithm)
        return String(decoding: bytes, as: UTF8.self)
    }
}
