internal import Octets
public import Signatures
internal import Synchronization

/// A public key with the one algorithm it is used with (RFC 8725bis §3.2) and the name it goes by.
public struct VerificationKey: Sendable {
    /// Nil for a key without `kid`: only tokens without one can mean it.
    public let keyID: [UInt8]?
    public let algorithm: SignatureAlgorithm
    public let key: PublicKey

    public init(keyID: [UInt8]?, algorithm: SignatureAlgorithm, key: PublicKey) {
        self.keyID = keyID
        self.algorithm = algorithm
        self.key = key
    }
}

/// The keys of one issuer, checked once when they were loaded. Immutable, shared by all workers.
public final class KeySet: Sendable {
    /// Never empty. A verifier keeps prepared contexts by the index into this list.
    public let keys: [VerificationKey]
    /// Unix seconds of the fetch.
    public let fetchedAt: Int64
    /// Different for every set that this process has made.
    public let generation: UInt64
    /// Keys of the document that are not used, and why. For logs.
    public let dropped: [DroppedKey]

    private static let generations = Atomic<UInt64>(0)

    /// For keys that do not come from a JWK set document.
    public init(keys: [VerificationKey], fetchedAt: Int64, dropped: [DroppedKey] = []) {
        self.keys = keys
        self.fetchedAt = fetchedAt
        self.dropped = dropped
        generation = KeySet.generations.add(1, ordering: .relaxed).newValue
    }

    enum Lookup {
        case found(Int)
        /// No key of that name, or none for the algorithm: a newer set may have one.
        case unknown
        /// The name is known, for another algorithm only.
        case otherAlgorithm
        /// Without a `kid`, and more than one key fits.
        case ambiguous
    }

    /// The key that a token means by its `kid` and `alg`.
    /// - Parameter keyID: the header's string value, in `text`; nil when the header has none, which is enough
    ///   only where a single key of the set fits the algorithm.
    func find(
        keyID: JSONValue?, in text: Span<UInt8>, algorithm: SignatureAlgorithm
    ) -> Lookup {
        guard let keyID else { return findOnly(algorithm) }
        var nameIsKnown = false
        var index = 0
        while index < keys.count {
            if let candidate = keys[index].keyID, isString(keyID, in: text, equalTo: candidate.span) {
                if keys[index].algorithm == algorithm { return .found(index) }
                nameIsKnown = true
            }
            index += 1
        }
        return nameIsKnown ? .otherAlgorithm : .unknown
    }

    private func findOnly(_ algorithm: SignatureAlgorithm) -> Lookup {
        var found: Int?
        var index = 0
        while index < keys.count {
            if keys[index].algorithm == algorithm {
                guard found == nil else { return .ambiguous }
                found = index
            }
            index += 1
        }
        return found.map { .found($0) } ?? .unknown
    }
}

/// A key of a JWK set that is not used.
public struct DroppedKey: Sendable, Equatable, CustomStringConvertible {
    public enum Cause: Sendable, Equatable {
        case notAnObject
        case missingMember(String)
        case wrongType(String)
        case keyIDTooLong
        /// `kty` is none that this build knows.
        case unknownKeyType
        /// `kty` oct: whoever can check with it can also sign with it.
        case symmetricKey
        /// A secret that signs; whoever published it has given it away.
        case privateKey(member: String)
        /// `use` is not `sig`.
        case notForSignatures
        /// `key_ops` does not have `verify`, or has an entry twice.
        case notForVerification
        /// `alg` is no signature algorithm of this build.
        case unknownAlgorithm
        /// The issuer's list has no algorithm for this key.
        case algorithmNotAllowed
        /// `alg` belongs to another kind of key or another curve.
        case algorithmMismatch
        case unknownCurve
        /// Not strict base64url.
        case badEncoding(String)
        case badKey(KeyError)
        /// Symmetric, and shorter than the hash of its algorithm (RFC 7518 §3.2).
        case secretTooShort
        /// Another key of the set has the same `kid` and algorithm. Neither is used: which one is meant
        /// would depend on the order.
        case duplicateKeyID
    }

    public let keyID: [UInt8]?
    /// Place in the `keys` array, from 0.
    public let position: Int
    public let cause: Cause

    public init(keyID: [UInt8]?, position: Int, cause: Cause) {
        self.keyID = keyID
        self.position = position
        self.cause = cause
    }

    public var description: String {
        guard let keyID else { return "key \(position) without kid: \(cause)" }
        // A kid is the issuer's text: what a terminal would act on is not shown.
        let scalars = String(decoding: keyID.prefix(128), as: UTF8.self).unicodeScalars
            .map { $0.properties.generalCategory == .control ? "\u{FFFD}" : String($0) }
        return "key \(position) `\(scalars.joined())`: \(cause)"
    }
}

extension DroppedKey.Cause: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notAnObject: "not a JSON object"
        case .missingMember(let name): "has no `\(name)`"
        case .wrongType(let name): "`\(name)` is not of its type"
        case .keyIDTooLong: "`kid` is longer than \(TokenLimits.keyIDBytesMax) bytes"
        case .unknownKeyType: "`kty` is none of RSA, EC and OKP"
        case .symmetricKey: "is a shared secret; access tokens are checked with public keys only"
        case .privateKey(let member):
            "has the private member `\(member)`; publish the public half only and replace the key"
        case .notForSignatures: "`use` is not `sig`"
        case .notForVerification: "`key_ops` does not list `verify`, or lists an operation twice"
        case .unknownAlgorithm: "`alg` is no signature algorithm that this build verifies"
        case .algorithmNotAllowed: "the issuer's `algorithms` have none for this key"
        case .algorithmMismatch: "`alg` belongs to another kind of key or curve"
        case .unknownCurve: "`crv` is none of P-256, P-384, P-521 and Ed25519"
        case .badEncoding(let name): "`\(name)` is not unpadded base64url"
        case .badKey(let error): "\(error)"
        case .secretTooShort: "the secret is shorter than its hash"
        case .duplicateKeyID: "another key has the same `kid` and algorithm; neither is used"
        }
    }
}

/// Why a JWK set is not used at all. The keys known so far stay in use.
public enum KeySetError: Error, Sendable, Equatable, CustomStringConvertible {
    case tooLarge(bytes: Int)
    case invalidJSON(JSONError)
    /// No `keys` array (RFC 7517 §5.1).
    case notAKeySet
    case tooManyKeys(Int)
    /// Every key was dropped, or there was none.
    case noUsableKey([DroppedKey])

    public var description: String {
        switch self {
        case .tooLarge(let bytes):
            "the JWK set has \(bytes) bytes; at most \(TokenLimits.keySetBytesMax) are read"
        case .invalidJSON(let error): "the JWK set is not strict JSON: \(error)"
        case .notAKeySet: "the JWK set is no object with a `keys` array (RFC 7517 §5)"
        case .tooManyKeys(let count):
            "the JWK set has \(count) keys; at most \(TokenLimits.keysMax) are taken"
        case .noUsableKey(let dropped) where dropped.isEmpty: "the JWK set is empty"
        case .noUsableKey(let dropped):
            "the JWK set has no usable key: " + dropped.prefix(4).map(\.description).joined(separator: "; ")
        }
    }
}
