internal import Octets
public import Signatures

/// Writes keys as JSON (RFC 7517).
public enum JWKText {
    /// A public JWK: `{"kty":"EC","crv":"P-256","x":"…","y":"…","kid":"a","alg":"ES256","use":"sig"}`.
    public static func publicKey(
        _ components: KeyComponents, keyID: String, algorithm: SignatureAlgorithm
    ) -> [UInt8] {
        finish(publicMembers(components), keyID, algorithm)
    }

    /// A public JWK of the key alone, as a proof's header has it: `{"kty":"OKP","crv":"Ed25519","x":"…"}`.
    public static func bareKey(_ components: KeyComponents) -> [UInt8] {
        publicMembers(components).text()
    }

    /// A private JWK: the same members and the secret ones. Write it to a file of mode 0600 and nowhere else.
    public static func privateKey(
        _ components: KeyComponents, keyID: String, algorithm: SignatureAlgorithm
    ) -> [UInt8] {
        var writer = publicMembers(components)
        switch components {
        case .rsa(let rsa):
            add("d", rsa.d, &writer)
            add("p", rsa.p, &writer)
            add("q", rsa.q, &writer)
            add("dp", rsa.dp, &writer)
            add("dq", rsa.dq, &writer)
            add("qi", rsa.qi, &writer)
        case .ec(_, _, _, let d): add("d", d, &writer)
        case .ed25519(_, let d): add("d", d, &writer)
        }
        return finish(writer, keyID, algorithm)
    }

    /// A JWK set of keys written by `publicKey`.
    public static func set(_ keys: [[UInt8]]) -> [UInt8] {
        var text = Array("{\"keys\":[".utf8)
        for (position, key) in keys.enumerated() {
            if position > 0 { text.append(0x2C) }
            text.append(contentsOf: key)
        }
        text.append(contentsOf: "]}".utf8)
        return text
    }

    /// The JWK thumbprint (RFC 7638 §3): base64url of the SHA-256 of the required members in order of name.
    public static func thumbprint(_ components: KeyComponents) -> String {
        var writer = JSONObjectWriter()
        switch components {
        case .rsa(let rsa):
            add("e", rsa.e, &writer)
            writer.add("kty", string: "RSA")
            add("n", rsa.n, &writer)
        case .ec(let curve, let x, let y, _):
            writer.add("crv", string: curve.name)
            writer.add("kty", string: "EC")
            add("x", x, &writer)
            add("y", y, &writer)
        case .ed25519(let x, _):
            writer.add("crv", string: "Ed25519")
            writer.add("kty", string: "OKP")
            add("x", x, &writer)
        }
        let digest = sha256(writer.text().span)
        return String(decoding: Base64URL.encode(digest.bytes.span), as: UTF8.self)
    }

    private static func publicMembers(_ components: KeyComponents) -> JSONObjectWriter {
        var writer = JSONObjectWriter()
        switch components {
        case .rsa(let rsa):
            writer.add("kty", string: "RSA")
            add("n", rsa.n, &writer)
            add("e", rsa.e, &writer)
        case .ec(let curve, let x, let y, _):
            writer.add("kty", string: "EC")
            writer.add("crv", string: curve.name)
            add("x", x, &writer)
            add("y", y, &writer)
        case .ed25519(let x, _):
            writer.add("kty", string: "OKP")
            writer.add("crv", string: "Ed25519")
            add("x", x, &writer)
        }
        return writer
    }

    private static func finish(
        _ members: JSONObjectWriter, _ keyID: String, _ algorithm: SignatureAlgorithm
    ) -> [UInt8] {
        var writer = members
        writer.add("kid", string: keyID)
        writer.add("alg", string: algorithm.name)
        writer.add("use", string: "sig")
        return writer.text()
    }

    private static func add(_ name: String, _ bytes: [UInt8], _ writer: inout JSONObjectWriter) {
        writer.add(name, string: String(decoding: Base64URL.encode(bytes.span), as: UTF8.self))
    }
}

extension PrivateJWK {
    /// The public half, for a JWK set.
    public func publicText() throws(KeyError) -> [UInt8] {
        JWKText.publicKey(try key.components(), keyID: keyID, algorithm: algorithm)
    }

    /// The whole key. Secret.
    public func privateText() throws(KeyError) -> [UInt8] {
        JWKText.privateKey(try key.components(), keyID: keyID, algorithm: algorithm)
    }
}
