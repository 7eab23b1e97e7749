public import PolicyTables

/// Something that the new policy allows and the old one did not.
public struct Finding: Sendable, Equatable {
    public enum Basis: String, Sendable {
        /// Its examples are denied by the old policy and allowed by the new one.
        case example = "example"
        /// What changed has no order, or allows nothing by itself, so that it counts as wider. Examples show where it
        /// takes part.
        case unordered = "unordered"
    }

    public var kind: WideningKind
    public var basis: Basis
    /// What has changed, in words.
    public var change: String
    /// Unix seconds of the first moment at or after the comparison's own at which it is so.
    public var from: Int64
    /// Unix seconds from which on it is so no more; nil is for ever.
    public var until: Int64?
    /// Different routes of the new policy that it is about; ports for connections without HTTP.
    public var count: Int
    /// The first few of them.
    public var examples: [Example]

    /// One request or connection that comes out otherwise.
    public struct Example: Sendable, Equatable {
        public var request: ExampleRequest
        public var token: ExampleToken?
        /// Names of the reason of the old policy's denial, and of the new one's ground to allow.
        public var was: String
        public var becomes: String
        /// nil where the policy has none that answers.
        public var oldRoute: RouteLocation?
        public var newRoute: RouteLocation?
    }
}

/// A route by its place in a `PolicyModel`; `route` is nil for a service without HTTP.
public struct RouteLocation: Sendable, Hashable {
    public var service: Int
    public var route: Int?
}

public enum ExampleRequest: Sendable, Equatable {
    /// - Parameters:
    ///   - path: percent-encoded.
    ///   - requestedMethod: of a CORS preflight: `Access-Control-Request-Method`, with an `Origin`.
    case http(method: String, host: String, port: UInt16, path: String, requestedMethod: String?)
    /// - Parameter identities: names in the certificate; nil without certificate.
    case connection(port: UInt16, identities: [String]?)
}

/// What a token has to be like where an example needs one; whatever is not said is as the new policy wants it.
public struct ExampleToken: Sendable, Equatable {
    public var issuer: String
    /// The exact value of the client claim; nil is any that neither policy lists.
    public var client: String?
    /// Whether it matters that neither lists it, since one of them lists others.
    public var isUnlisted: Bool
    public var scopes: [String]
    /// The token's claims that paths are held against, but for those of its issuer and client.
    public var claims: [Claim]
    /// What else makes the difference, e.g. `signed with RS256`.
    public var note: String?
    /// All that `aud` names; empty where any audience of the issuer will do.
    public var audiences: [String] = []
    /// What it is bound to; nil is nothing.
    public var proof: Proof?
    /// `acr`; nil is a token without.
    public var authenticationContext: String?
    /// How long before the request the user authenticated (`auth_time`); nil where that plays no part.
    public var authenticationAgeSeconds: Int64?
    /// `authorization_details`; empty is a token without.
    public var details: [DetailModel] = []

    /// By the names that policy tests use.
    public enum Proof: String, Sendable {
        /// A key, with a DPoP proof (RFC 9449), and with a nonce where one is demanded.
        case dpop
        /// The client's certificate (RFC 8705).
        case mtls
    }

    public struct Claim: Sendable, Equatable {
        public var name: String
        public var value: String
    }
}

/// What comparing two policies has found.
public struct PolicyPlan: Sendable, Equatable {
    /// By kind and place, at most `findingsMax`.
    public var findings: [Finding]
    /// Further findings that were not kept.
    public var omittedCount: Int
    /// Unix seconds that the comparison starts at; it reaches to the end of time.
    public var at: Int64

    public static let findingsMax = 1_000
    public static let examplesMax = 3

    public var isWider: Bool { !findings.isEmpty }
}
