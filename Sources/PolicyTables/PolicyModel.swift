public import Signatures

// The checked model of one policy: what a policy source becomes when every name in it has been resolved
// and every rule of the language holds. Compiling it cannot fail for a reason a person could mend.
// Names stand as the UTF-8 bytes of the source; indices point into the arrays of `PolicyModel`.

public struct PolicyModel: Sendable, Equatable {
    public var issuers: [IssuerModel] = []
    public var scopes: [ScopeModel] = []
    public var services: [ServiceModel] = []
    /// Services without HTTP: ports that a certificate opens.
    public var portServices: [PortServiceModel] = []
    /// Who may hold which scopes, by certificate.
    public var certificateClients: [CertificateClientModel] = []
    /// What routes demand of `authorization_details`, each different demand once. Tokens are held against all of them
    /// when they are verified.
    public var details: [DetailModel] = []
    /// Who may hold which scopes, by the client identifier of tokens. In the order of issuer and identifier.
    public var clients: [ClientModel] = []
    /// Services that may publish what they need, and how far; in the order of the source. Not compiled.
    public var publishers: [PublisherModel] = []
    public init() {}
}

/// A demand on a token's `authorization_details` (RFC 9396 §2): some element has exactly this type, every action, and,
/// where locations are listed, one of them.
public struct DetailModel: Sendable, Hashable {
    public var type: String
    public var actions: [String]
    public var locations: [String]

    /// Most demands of one policy: each token is held against all of them.
    public static let countMax = 256

    public init(type: String, actions: [String] = [], locations: [String] = []) {
        self.type = type
        self.actions = actions
        self.locations = locations
    }
}

/// How one issuer's tokens are verified. An issuer is named by its exact identifier.
public struct IssuerModel: Sendable, Equatable {
    public enum KeySource: Sendable, Equatable {
        /// Path of a JWK set file, resolved against the folder of the policy file when relative.
        case file(String)
        /// https URL of a JWK set.
        case uri(String)
        /// RFC 8414 / OpenID Connect discovery below the issuer's own URL.
        case discovery
        /// None: the issuer has only tokens that it is asked about.
        case none
    }

    public enum Profile: UInt8, Sendable {
        /// RFC 9068: typ at+jwt, and iss, exp, aud, sub, client_id, iat, jti all required.
        case rfc9068 = 0
        /// typ JWT or absent too, and sub, client_id, iat, jti may be missing. Never iss, aud or exp.
        case compat = 1
    }

    public var issuer: String
    /// A token must name at least one of these in `aud`. Never empty.
    public var audiences: [String]
    public var keySource: KeySource
    /// How DPoP proofs for this issuer's tokens are checked.
    public var proofs = ProofModel()
    /// Private certificate authorities for the key fetch, a PEM file; nil means the system's.
    public var certificateAuthorityFile: String?
    public var algorithms: [SignatureAlgorithm]
    public var profile: Profile
    /// The claim that holds the scopes: `scope` unless the policy says otherwise.
    public var scopeClaim: String
    /// The claim that holds the client: `client_id` unless the policy says otherwise.
    public var clientClaim: String
    /// Tolerance for exp and nbf, seconds, 0 to 300.
    public var leewaySeconds: UInt16
    /// Longest time from `iat` to `exp`, seconds; 0 sets no limit. Bounds how long revocations must be kept.
    public var lifetimeSecondsMax: UInt32 = 0
    /// How the issuer is asked whether a token is active (RFC 7662); nil never asks.
    public var introspection: IntrospectionModel?
    /// Status lists of this issuer's tokens lie at or below these URIs; empty leaves their `status` claims alone.
    public var statusLists: [String] = []
    /// Whether tokens of clients that `PolicyModel.clients` does not list for this issuer are refused.
    public var refusesUnknownClients = false

    public init(
        issuer: String, audiences: [String], keySource: KeySource, algorithms: [SignatureAlgorithm],
        profile: Profile = .rfc9068, scopeClaim: String = "scope", clientClaim: String = "client_id",
        leewaySeconds: UInt16 = 0, certificateAuthorityFile: String? = nil
    ) {
        self.issuer = issuer
        self.audiences = audiences
        self.keySource = keySource
        self.algorithms = algorithms
        self.profile = profile
        self.scopeClaim = scopeClaim
        self.clientClaim = clientClaim
        self.leewaySeconds = leewaySeconds
        self.certificateAuthorityFile = certificateAuthorityFile
    }
}

/// How an issuer is asked whether a token is active (RFC 7662, RFC 9701).
public struct IntrospectionModel: Sendable, Equatable {
    public enum Use: UInt8, Sendable {
        /// Tokens that are no JWS.
        case opaque = 0
        /// Every token; a JWS is verified here first.
        case all = 1
    }

    /// How we authenticate (RFC 6749 §2.3.1, RFC 7523 §2.2, RFC 8705 §2).
    public enum Authentication: UInt8, Sendable {
        case basic = 0
        case post = 1
        case privateKeyJWT = 2
        case mutualTLS = 3
    }

    /// https URL, or http to a loopback address of a loopback issuer.
    public var endpoint: String
    public var clientID: String
    public var use = Use.opaque
    public var authentication: Authentication
    /// Whether only signed replies (RFC 9701) are taken.
    public var demandsJWT = false
    /// For `basic` and `post`; relative to the policy's folder, as all of these.
    public var secretFile: String?
    /// A private JWK for `privateKeyJWT`, a PEM key for `mutualTLS`.
    public var keyFile: String?
    /// PEM chain, for `mutualTLS`.
    public var certificateFile: String?
    public var certificateAuthorityFile: String?
    /// How long an active reply is believed, seconds, 1 to 3,600; never beyond the token's `exp`.
    public var cacheSecondsMax: UInt16 = 60
    /// How long an inactive one is, seconds, 0 to 60.
    public var negativeSecondsMax: UInt16 = 5
    /// For the whole exchange, milliseconds, 50 to 5,000.
    public var timeoutMilliseconds: UInt16 = 800

    public static let cacheSecondsLimit = 3_600
    public static let negativeSecondsLimit = 60
    public static let timeoutMillisecondsRange = 50...5_000

    public init(endpoint: String, clientID: String, authentication: Authentication) {
        self.endpoint = endpoint
        self.clientID = clientID
        self.authentication = authentication
    }
}

/// How DPoP proofs are checked (RFC 9449).
public struct ProofModel: Sendable, Equatable {
    /// Signature algorithms of proofs.
    public var algorithms: [SignatureAlgorithm] = [.es256, .es384, .es512, .ed25519, .ps256, .rs256]
    /// How old `iat` may be, seconds, 1 to 600.
    public var ageSecondsMax: UInt16 = 60
    /// How far ahead it may be, seconds, 0 to 60.
    public var aheadSecondsMax: UInt16 = 10
    /// Whether each proof must carry a nonce of ours.
    public var demandsNonce = false
    public init() {}

    public static let ageSecondsLimit = 600
    public static let aheadSecondsLimit = 60

    var isWithinLimits: Bool {
        ageSecondsMax >= 1 && Int(ageSecondsMax) <= ProofModel.ageSecondsLimit
            && Int(aheadSecondsMax) <= ProofModel.aheadSecondsLimit
    }
}

public struct ScopeModel: Sendable, Equatable {
    /// RFC 6749 §3.3 scope-token.
    public var name: String
    public var description: String
    /// Every scope that holding this one grants, itself included, transitively, wildcards expanded.
    /// Indices into `PolicyModel.scopes`, ascending.
    public var closure: [UInt16]
    /// Unix seconds from which on the scope counts for nothing, in tokens and as what others imply; nil is for ever.
    public var until: Int64?
    /// The scopes that stand in place of this one, which is an old name that tokens may still carry; indices, ascending,
    /// all of them in the closure. Empty for a scope of its own.
    public var replacedBy: [UInt16] = []

    public init(name: String, description: String = "", closure: [UInt16]) {
        self.name = name
        self.description = description
        self.closure = closure
    }
}

public struct ServiceModel: Sendable, Equatable {
    /// Where the service's callers put the token.
    public enum TokenSource: Sendable, Equatable {
        case header
        /// Name of the cookie whose value is the token.
        case cookie(String)
        /// `Sec-WebSocket-Protocol: PREFIX, TOKEN`: the member after this marker is the token.
        case webSocketProtocol(String)
    }

    public var name: String
    /// Canonical: lower case, no port, no trailing dot; `*.` at the front matches exactly one label.
    public var hosts: [String]
    /// Ports of the listener the request came in on; empty means any.
    public var ports: [UInt16]
    /// Issuers that may speak for this service, indices, ascending. Never empty unless all routes are public.
    public var issuers: [UInt16]
    /// A token must name it in `aud`; nil leaves the issuer's own list as the only check.
    public var audience: String?
    public var tokenSource: TokenSource
    /// The port that clients write into URLs, where it is not the listener's; 0 when it is. Proofs name it.
    public var publicPort: UInt16 = 0
    /// Whether the backend may see the client's own token.
    public var forwardsToken = true
    /// Whether an allow carries a transaction token of ours for the backend.
    public var hasTransactionToken = false
    /// The protected resource's identifier (RFC 9728 §1.2), an https URL with a host of the service; nil publishes no
    /// metadata.
    public var resource: String?
    /// Unix seconds from which on every request to it is denied; nil is for ever.
    public var until: Int64?
    public var routes: [RouteModel]

    public init(
        name: String, hosts: [String], ports: [UInt16] = [], issuers: [UInt16], audience: String? = nil,
        tokenSource: TokenSource = .header, routes: [RouteModel]
    ) {
        self.name = name
        self.hosts = hosts
        self.ports = ports
        self.issuers = issuers
        self.audience = audience
        self.tokenSource = tokenSource
        self.routes = routes
    }
}

/// What a route demands of the token's binding to its client.
public enum ProofDemand: UInt8, Sendable {
    case none = 0
    /// Bound to a key or to a certificate.
    case any = 1
    case dpop = 2
    /// Bound to the client's certificate (RFC 8705).
    case certificate = 3
}

public struct RouteModel: Sendable, Equatable {
    public enum Segment: Sendable, Equatable, Hashable {
        /// Decoded bytes, exactly; empty only as the last one (a trailing slash).
        case literal(String)
        /// One non-empty segment.
        case parameter(String)
        /// One or more remaining segments, empty ones included. Only last.
        case rest
    }

    public enum Ground: Sendable, Equatable {
        case scopes(all: [UInt16], any: [UInt16])
        case `public`
        case preflight
    }

    /// The path's segment (counted from 0 over the whole path) must equal this string claim, exactly.
    public struct Binding: Sendable, Equatable {
        public var segment: Int
        public var claim: String
        public init(segment: Int, claim: String) {
            self.segment = segment
            self.claim = claim
        }
    }

    /// Upper-case or other literal method tokens; GET stands for HEAD too unless HEAD is listed itself.
    public var method: String
    /// Base path included. `/` is one empty literal.
    public var segments: [Segment]
    public var ground: Ground
    /// Narrows the service's ports; empty means no narrowing.
    public var ports: [UInt16]
    public var bindings: [Binding]
    /// Unix seconds until which a denial is let through and recorded; nil enforces.
    public var observeUntil: Int64?
    /// What the token must be bound to. A bound token is always held to its binding, whatever stands here.
    public var proof = ProofDemand.none
    /// Whether a DPoP proof must carry a nonce here, beside what the issuer demands.
    public var demandsNonce = false
    /// One of these must be the token's `acr`; empty demands none.
    public var authenticationContexts: [String] = []
    /// How long ago the user may have authenticated (`auth_time`), seconds, from 1; 0 demands nothing.
    public var authenticationAgeSecondsMax: UInt32 = 0
    /// Demands on `authorization_details` that must all hold: indices into `PolicyModel.details`.
    public var details: [UInt16] = []
    /// As written in the policy, e.g. `GET /orders/{order}`: the name in answers and logs.
    public var label: String

    public init(
        method: String, segments: [Segment], ground: Ground, ports: [UInt16] = [], bindings: [Binding] = [],
        observeUntil: Int64? = nil, label: String
    ) {
        self.method = method
        self.segments = segments
        self.ground = ground
        self.ports = ports
        self.bindings = bindings
        self.observeUntil = observeUntil
        self.label = label
    }
}

/// A service of `kind: tcp`: connections to its ports are decided by the client's certificate, once each.
public struct PortServiceModel: Sendable, Equatable {
    public var name: String
    /// Ports of the listener, ascending. Never empty; no two services of a policy share one.
    public var ports: [UInt16]
    /// Indices into `PolicyModel.scopes`. At least one of both lists is not empty.
    public var all: [UInt16]
    public var any: [UInt16]
    /// Unix seconds until which a denial is let through and recorded; nil enforces.
    public var observeUntil: Int64?

    public init(name: String, ports: [UInt16], all: [UInt16] = [], any: [UInt16] = [], observeUntil: Int64? = nil) {
        self.name = name
        self.ports = ports
        self.all = all
        self.any = any
        self.observeUntil = observeUntil
    }
}

/// A client that is known by a name in its certificate, and the scopes approved for it.
public struct CertificateClientModel: Sendable, Equatable {
    /// A name in a certificate, compared byte by byte; no wildcards.
    public enum Identity: Sendable, Hashable {
        /// The one URI of the subject alternative names; a SPIFFE ID, say.
        case uri(String)
        /// One of the DNS subject alternative names, lower case.
        case dns(String)
        /// The whole subject as RFC 4514 text, as `openssl x509 -noout -subject -nameopt RFC2253` prints it.
        case subject(String)
    }

    public var name: String
    /// No two clients of a policy share one.
    public var identity: Identity
    /// Every scope that it holds, implications and wildcards expanded. Indices into `PolicyModel.scopes`, ascending.
    public var scopes: [UInt16]

    public init(name: String, identity: Identity, scopes: [UInt16]) {
        self.name = name
        self.identity = identity
        self.scopes = scopes
    }
}

/// A client that is known by its identifier in tokens of one issuer, and the scopes approved for it: its baseline.
public struct ClientModel: Sendable, Equatable {
    /// What happens to a token that amounts to more than the baseline.
    public enum ExcessRule: UInt8, Sendable {
        /// The request is denied.
        case deny = 0
        /// The excess counts for nothing.
        case narrow = 1
        /// The excess counts, and is reported.
        case alert = 2
    }

    /// Scopes approved for a time.
    public struct TemporaryGrant: Sendable, Equatable {
        /// Implications and wildcards expanded. Indices into `PolicyModel.scopes`, ascending.
        public var scopes: [UInt16]
        /// Unix seconds from which on it is over.
        public var until: Int64
        public var reason: String

        public init(scopes: [UInt16], until: Int64, reason: String) {
            self.scopes = scopes
            self.until = until
            self.reason = reason
        }
    }

    /// As the policy calls it.
    public var name: String
    /// Index into `PolicyModel.issuers`.
    public var issuer: UInt16
    /// What tokens carry in the issuer's client claim, exactly. No two clients share issuer and identifier.
    public var identifier: String
    /// Every scope approved, of roles too, implications and wildcards expanded. Indices, ascending.
    public var scopes: [UInt16]
    public var grants: [TemporaryGrant]
    public var excess: ExcessRule
    /// Unix seconds until which what its tokens may not do is let through and recorded; nil enforces.
    public var observeUntil: Int64?

    public static let identifierBytesMax = 255

    public init(
        name: String, issuer: UInt16, identifier: String, scopes: [UInt16], grants: [TemporaryGrant] = [],
        excess: ExcessRule = .deny, observeUntil: Int64? = nil
    ) {
        self.name = name
        self.issuer = issuer
        self.identifier = identifier
        self.scopes = scopes
        self.grants = grants
        self.excess = excess
        self.observeUntil = observeUntil
    }
}
