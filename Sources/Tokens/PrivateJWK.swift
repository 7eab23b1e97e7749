internal import Octets
public import Signatures

/// A private key with the name and algorithm that its tokens carry: what `keys generate` writes and minting
/// reads.
public struct PrivateJWK: Sendable {
    public let key: PrivateKey
    public let keyID: String
    public let algorithm: SignatureAlgorithm

    /// - Parameter keyID: nil names the key by its thumbprint.
    public init(key: PrivateKey, algorithm: SignatureAlgorithm, keyID: String? = nil) throws(KeyError) {
        guard key.publicKey.fits(algorithm) else { throw .algorithmMismatch(algorithm) }
        self.key = key
        self.algorithm = algorithm
        if let keyID {
            self.keyID = keyID
        } else {
            self.keyID = JWKText.thumbprint(try key.components())
        }
    }
}

/// Why a text is no private JWK.
public enum PrivateJWKError: Error, Sendable, Equatable, CustomStringConvertible {
    case invalidJSON(JSONError)
    case missingMember(String)
    case wrongType(String)
    case badEncoding(String)
    case unknownKeyType
    case unknownAlgorithm
    case key(KeyError)

    public var description: String {
        switch self {
        case .invalidJSON(let error): "the private key is not a strict JSON object: \(error)"
        case .missingMember(let name): "the private key has no `\(name)`; give a private JWK (RFC 7517)"
        case .wrongType(let name): "`\(name)` of the private key is not a string"
        case .badEncoding(let name): "`\(name)` of the private key is not unpadded base64url"
        case .unknownKeyType: "the key's `kty` and `crv` are none of RSA, EC P-256, P-384, P-521, OKP Ed25519"
        case .unknownAlgorithm: "the key's `alg` is no signature algorithm of this build"
        case .key(let error): "\(error)"
        }
    }
}

extension PrivateJWK {
    /// Reads a private JWK (RFC 7517 §4). Without `alg`, EC and OKP keys get their curve's algorithm and RSA
    /// keys RS256; without `kid`, the thumbprint.
    public init(parsing text: Span<UInt8>) throws(PrivateJWKError) {
        let members = try JWKMembers(text)
        let components = try members.components()
        let key: PrivateKey
        do throws(KeyError) {
            key = try PrivateKey(components)
        } catch {
            throw .key(error)
        }
        let algorithm = try members.algorithm(key.publicKey)
        do throws(KeyError) {
            try self.init(key: key, algorithm: algorithm ?? .rs256, keyID: members.keyID)
        } catch {
            throw .key(error)
        }
    }
}
