public import Signatures

/// Which claims a token of an issuer must have.
public enum TokenProfile: UInt8, Sendable {
    /// RFC 9068: `typ` at+jwt, and iss, exp, aud, sub, client_id, iat, jti all required.
    case rfc9068 = 0
    /// `typ` JWT or absent too, and sub, client_id, iat, jti may be missing. Never iss, aud or exp.
    case compat = 1
}

/// How the tokens of one issuer are checked. Names and values are UTF-8 bytes and compare exactly.
public struct IssuerSettings: Sendable, Equatable {
    /// The issuer identifier, as `iss` must have it.
    public var issuer: [UInt8]
    /// `aud` must name at least one of them. With none, no token passes.
    public var audiences: [[UInt8]]
    /// In the order of the policy; the first one of an RSA key's kind is what an `alg`-less RSA key gets.
    public var algorithms: [SignatureAlgorithm]
    public var profile: TokenProfile
    public var scopeClaim: [UInt8]
    public var clientClaim: [UInt8]
    /// Tolerance for `exp` and `nbf`, seconds, 0 to 300.
    public var leewaySeconds: Int64
    /// How DPoP proofs for this issuer's tokens are checked.
    public var proofRules = ProofRules(
        algorithms: [.es256, .es384, .es512, .ed25519, .ps256, .rs256], ageSecondsMax: 60, aheadSecondsMax: 10)
    /// Whether each proof must carry a nonce of ours.
    public var demandsProofNonce = false
    /// Longest time from `iat` to `exp`, seconds; 0 sets no limit. With one, a token without `iat` is refused.
    public var lifetimeSecondsMax: Int64 = 0
    /// Which tokens the issuer is asked about.
    public var introspection = IntrospectionUse.never
    public var introspectionRules = IntrospectionRules()
    /// Status list URIs must equal one of these, or begin with one that ends in `/`; empty leaves `status` alone.
    public var statusListPrefixes: [[UInt8]] = []
    /// Demands on `authorization_details`; a token keeps which of them it satisfies. The same for all issuers.
    public var details: [DetailRule] = []
    /// Names of claims that are kept because routes bind them to the path. `sub` is always kept.
    public var boundClaims: [[UInt8]]

    public init(
        issuer: [UInt8], audiences: [[UInt8]], algorithms: [SignatureAlgorithm],
        profile: TokenProfile = .rfc9068, scopeClaim: [UInt8] = Array("scope".utf8),
        clientClaim: [UInt8] = Array("client_id".utf8), leewaySeconds: Int64 = 0,
        boundClaims: [[UInt8]] = []
    ) {
        self.issuer = issuer
        self.audiences = audiences
        self.algorithms = algorithms
        self.profile = profile
        self.scopeClaim = scopeClaim
        self.clientClaim = clientClaim
        self.leewaySeconds = max(0, min(leewaySeconds, 300))
        self.boundClaims = boundClaims
    }
}

/// Which tokens an issuer is asked about (RFC 7662).
public enum IntrospectionUse: UInt8, Sendable {
    case never = 0
    /// Those that are no JWS.
    case opaque = 1
    /// All; a JWS is verified here first.
    case all = 2
}

/// What is expected of an issuer's introspection replies.
public struct IntrospectionRules: Sendable, Equatable {
    /// Our client identifier: `aud` of a signed reply (RFC 9701 §5).
    public var clientID: [UInt8] = []
    /// Whether only signed replies are taken.
    public var demandsJWT = false
    /// How long an active reply is believed, seconds; never beyond `exp`.
    public var cacheSecondsMax: Int64 = 60
    /// How long an inactive one is.
    public var negativeSecondsMax: Int64 = 5
    public var timeoutMilliseconds: Int64 = 800

    public init() {}
}

/// A demand on `authorization_details` (RFC 9396 §2): some element has exactly this type, every action, and, where
/// locations are listed, one of them. Bytes compare exactly.
public struct DetailRule: Sendable, Equatable {
    public var type: [UInt8]
    public var actions: [[UInt8]]
    public var locations: [[UInt8]]

    public init(type: [UInt8], actions: [[UInt8]] = [], locations: [[UInt8]] = []) {
        self.type = type
        self.actions = actions
        self.locations = locations
    }
}

/// One issuer as the verifiers see it: its settings and the keys of the moment.
public final class IssuerKeys: Sendable {
    public enum Status: UInt8, Sendable {
        case usable
        /// Never fetched.
        case unavailable
        /// Older than they may be used.
        case stale
    }

    public let settings: IssuerSettings
    public let keys: KeySet?
    public let status: Status

    /// Without keys the status is `unavailable`, whatever is said here.
    public init(settings: IssuerSettings, keys: KeySet?, status: Status = .usable) {
        self.settings = settings
        self.keys = keys
        self.status = keys == nil ? .unavailable : status
    }
}

/// All issuers at one moment. Immutable; a change makes a new one, which is swapped in as a whole.
public final class IssuerSnapshot: Sendable {
    /// A token names its issuer by the index into this list.
    public let issuers: [IssuerKeys]
    public let generation: UInt64

    public init(issuers: [IssuerKeys], generation: UInt64) {
        self.issuers = issuers
        self.generation = generation
    }

    /// The index of the issuer whose identifier the string is, exactly.
    func index(ofIssuer identifier: JSONValue, in text: Span<UInt8>) -> Int? {
        var index = 0
        while index < issuers.count {
            let issuer = issuers[index].settings.issuer
            if isString(identifier, in: text, equalTo: issuer.span) { return index }
            index += 1
        }
        return nil
    }
}
