internal import Octets
internal import Signatures

/// The members of one private JWK, decoded.
struct JWKMembers: ~Copyable {
    private let text: [UInt8]
    private let index: JSONIndex
    private let root: JSONValue
    let keyID: String?

    init(_ document: Span<UInt8>) throws(PrivateJWKError) {
        let read = try JWKMembers.read(document)
        guard let found = read.root else { throw .invalidJSON(JSONError(.empty, at: 0)) }
        let name = read.member("kid", of: found, in: document)
        if let name, name.kind != .string { throw .wrongType("kid") }
        keyID = name?.string(in: document).map { String(decoding: $0, as: UTF8.self) }
        root = found
        text = [UInt8](copying: document)
        index = read
    }

    private static func read(_ document: Span<UInt8>) throws(PrivateJWKError) -> JSONIndex {
        var index = JSONIndex()
        do throws(JSONError) {
            try index.read(document, limits: .keySet)
        } catch {
            throw .invalidJSON(error)
        }
        return index
    }

    func components() throws(PrivateJWKError) -> KeyComponents {
        let type = try string("kty")
        switch type {
        case "RSA":
            return .rsa(
                RSAComponents(
                    n: try octets("n"), e: try octets("e"), d: try octets("d"), p: try octets("p"),
                    q: try octets("q"), dp: try octets("dp"), dq: try octets("dq"), qi: try octets("qi")))
        case "EC":
            let name = try string("crv")
            guard let curve = Curve.allCases.first(where: { $0.name == name }) else { throw .unknownKeyType }
            return .ec(curve: curve, x: try octets("x"), y: try octets("y"), d: try octets("d"))
        case "OKP":
            guard try string("crv") == "Ed25519" else { throw .unknownKeyType }
            return .ed25519(x: try octets("x"), d: try octets("d"))
        default: throw .unknownKeyType
        }
    }

    /// The `alg` member, or the only algorithm of the key's curve; nil for an RSA key without one.
    func algorithm(_ key: PublicKey) throws(PrivateJWKError) -> SignatureAlgorithm? {
        guard index.member("alg", of: root, in: text.span) != nil else {
            let fitting = SignatureAlgorithm.allCases.filter { key.fits($0) }
            return fitting.count == 1 ? fitting.first : nil
        }
        let name = try string("alg")
        guard let algorithm = SignatureAlgorithm.named(Array(name.utf8).span) else { throw .unknownAlgorithm }
        return algorithm
    }

    private func string(_ name: String) throws(PrivateJWKError) -> String {
        guard let member = index.member(Array(name.utf8).span, of: root, in: text.span) else {
            throw .missingMember(name)
        }
        guard let bytes = member.string(in: text.span) else { throw .wrongType(name) }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func octets(_ name: String) throws(PrivateJWKError) -> [UInt8] {
        guard let bytes = Base64URL.decode(Array(try string(name).utf8).span), !bytes.isEmpty else {
            throw .badEncoding(name)
        }
        return bytes
    }
}
