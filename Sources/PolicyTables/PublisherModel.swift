public import Signatures

/// A service that may publish its own routes and scopes, and how far it may go. Not compiled: whoever takes a
/// publication reads it from the source of the version in force.
public struct PublisherModel: Sendable, Equatable {
    /// What becomes of a publication that would allow something that is denied.
    public enum Widening: UInt8, Sendable {
        /// It is kept until a person approves or rejects it.
        case propose = 0
        case refuse = 1
    }

    /// A public key whose owner speaks for the service: Ed25519, or P-256 for ES256.
    public struct Key: Sendable, Equatable {
        /// How publications name it; no two keys of a publisher share one.
        public var keyID: String
        public var algorithm: SignatureAlgorithm
        /// The `x` of the JWK, 32 bytes.
        public var x: [UInt8]
        /// The `y` of the JWK, 32 bytes; empty for Ed25519.
        public var y: [UInt8]

        public init(keyID: String, algorithm: SignatureAlgorithm, x: [UInt8], y: [UInt8] = []) {
            self.keyID = keyID
            self.algorithm = algorithm
            self.x = x
            self.y = y
        }

        /// - Throws: when the numbers are no key of the algorithm.
        public func publicKey() throws(KeyError) -> PublicKey {
            algorithm == .ed25519
                ? try PublicKey.ed25519(x.span) : try PublicKey.ec(curve: .p256, x: x.span, y: y.span)
        }
    }

    /// Of the service.
    public var name: String
    /// Never empty.
    public var keys: [Key]
    /// The service's hosts are among these, exactly as written. Never empty.
    public var hosts: [String]
    /// Every route lies below; empty sets no limit.
    public var basePath: [RouteModel.Segment] = []
    /// Names, and prefixes that end with `*`: what routes may require and what may be declared. Never empty.
    public var scopes: [String]
    /// Identifiers of issuers that may speak for the service; nil is all of the policy.
    public var issuers: [String]?
    /// Whether routes may be public.
    public var allowsPublic = false
    /// Longest time that a publication holds, seconds, which it must then state; nil sets no limit.
    public var ttlSecondsMax: Int?
    public var widening = Widening.propose

    public static let keysMax = 16
    public static let namesMax = 1_024

    public init(name: String, keys: [Key], hosts: [String], scopes: [String]) {
        self.name = name
        self.keys = keys
        self.hosts = hosts
        self.scopes = scopes
    }

    /// Whether a scope of this name is the publisher's to declare and to require.
    public func covers(scope: String) -> Bool {
        scopes.contains { pattern in
            guard pattern.utf8.last == 0x2A else { return pattern.utf8.elementsEqual(scope.utf8) }
            let prefix = pattern.utf8.dropLast()
            return scope.utf8.count > prefix.count && scope.utf8.starts(with: prefix)
        }
    }
}
