internal import Octets

/// The JWS algorithms that this build verifies (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2).
///
/// `EdDSA` and `Ed25519` are one: the first is the older, polymorphic name and is accepted for Ed25519 keys
/// only.
public enum SignatureAlgorithm: UInt8, CaseIterable, Sendable, Hashable {
    case rs256 = 0
    case rs384 = 1
    case rs512 = 2
    case ps256 = 3
    case ps384 = 4
    case ps512 = 5
    case es256 = 6
    case es384 = 7
    case es512 = 8
    case ed25519 = 9

    /// The registered name; `Ed25519` for the last.
    public var name: String {
        switch self {
        case .rs256: "RS256"
        case .rs384: "RS384"
        case .rs512: "RS512"
        case .ps256: "PS256"
        case .ps384: "PS384"
        case .ps512: "PS512"
        case .es256: "ES256"
        case .es384: "ES384"
        case .es512: "ES512"
        case .ed25519: "Ed25519"
        }
    }

    /// The algorithm of a registered name, compared byte by byte and so case-sensitively. Allocates nothing.
    /// - Returns: nil for every other name, `none` and the `HS` family among them.
    public static func named(_ name: Span<UInt8>) -> SignatureAlgorithm? {
        if name.count == 5 {
            if equal(name, "RS256") { return .rs256 }
            if equal(name, "ES256") { return .es256 }
            if equal(name, "PS256") { return .ps256 }
            if equal(name, "EdDSA") { return .ed25519 }
            if equal(name, "RS384") { return .rs384 }
            if equal(name, "RS512") { return .rs512 }
            if equal(name, "PS384") { return .ps384 }
            if equal(name, "PS512") { return .ps512 }
            if equal(name, "ES384") { return .es384 }
            if equal(name, "ES512") { return .es512 }
            return nil
        }
        return equal(name, "Ed25519") ? .ed25519 : nil
    }

    /// How the algorithm signs, apart from its hash.
    enum Scheme { case pkcs1, pss, ecdsa, ed25519 }

    var scheme: Scheme {
        switch self {
        case .rs256, .rs384, .rs512: .pkcs1
        case .ps256, .ps384, .ps512: .pss
        case .es256, .es384, .es512: .ecdsa
        case .ed25519: .ed25519
        }
    }

    /// The hash over the message; nil for Ed25519, which hashes inside its own definition.
    var hash: MessageHash? {
        switch self {
        case .rs256, .ps256, .es256: .sha256
        case .rs384, .ps384, .es384: .sha384
        case .rs512, .ps512, .es512: .sha512
        case .ed25519: nil
        }
    }

    /// The one curve of an ES algorithm (RFC 7518 §3.4); nil for the others.
    var curve: Curve? {
        switch self {
        case .es256: .p256
        case .es384: .p384
        case .es512: .p521
        default: nil
        }
    }
}
