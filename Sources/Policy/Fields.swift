/// The keys that one kind of mapping may have; raw values count from 0 and stay below `Fields.keysMax`.
protocol MappingKey: RawRepresentable, CaseIterable where RawValue == Int {
    /// The keys' spellings, in the order of the raw values.
    static var names: [StaticString] { get }
    /// What the mapping is, as in `a route`.
    static var owner: String { get }
}

/// Where the keys of one mapping and their values stand in the tree. Allocates nothing: each route has one.
struct Fields<Key: MappingKey> {
    static var keysMax: Int { 32 }

    private var keys = SIMD32<Int32>(repeating: -1)
    private var values = SIMD32<Int32>(repeating: -1)
    /// Where to point at when something is missing.
    let position: SourcePosition

    init(position: SourcePosition) {
        self.position = position
    }

    /// The value's node, or nil when the key is not there.
    subscript(key: Key) -> Int? {
        let node = values[key.rawValue]
        return node < 0 ? nil : Int(node)
    }

    func keyNode(_ key: Key) -> Int? {
        let node = keys[key.rawValue]
        return node < 0 ? nil : Int(node)
    }

    mutating func set(_ index: Int, key: Int, value: Int) {
        keys[index] = Int32(clamping: key)
        values[index] = Int32(clamping: value)
    }

    func key(at index: Int) -> Int? { keys[index] < 0 ? nil : Int(keys[index]) }
}

/// Keys of the language that are designed and not built yet. Each is an error of its own wherever it stands:
/// a policy that names one expects it to restrict something.
let keysNotEnforced: Set<String> = [
    "audit", "certificates", "include", "max_stale", "relax", "required_claims", "revocation", "step_up",
]

/// Which kind of mapping a key belongs to, for the mend of a key in the wrong place.
let keyOwners: [String: [String]] = {
    var result: [String: [String]] = [:]
    func add<Key: MappingKey>(_ type: Key.Type) {
        for name in type.names { result["\(name)", default: []].append(type.owner) }
    }
    add(TopKey.self)
    add(EnvironmentKey.self)
    add(IssuerKey.self)
    add(KeySourceKey.self)
    add(ProofKey.self)
    add(IntrospectionKey.self)
    add(ScopeKey.self)
    add(ServiceKey.self)
    add(RouteKey.self)
    add(DetailKey.self)
    add(ClientKey.self)
    add(RoleKey.self)
    add(PublisherKey.self)
    return result
}()

enum TopKey: Int, MappingKey {
    case scopecheck, issuers, scopes, services, clients, tests, environments, roles, publishers, publications
    static let names: [StaticString] = [
        "scopecheck", "issuers", "scopes", "services", "clients", "tests", "environments", "roles", "publishers",
        "publications",
    ]
    static let owner = "the policy"
}

enum EnvironmentKey: Int, MappingKey {
    case values, roles, clients
    static let names: [StaticString] = ["values", "roles", "clients"]
    static let owner = "an environment"
}

enum IssuerKey: Int, MappingKey {
    case issuer, audience, keys, algorithms, profile, scopeClaim, clientClaim, leeway, dpop, introspection
    case lifetime, statusLists, unknownClients
    static let names: [StaticString] = [
        "issuer", "audience", "keys", "algorithms", "profile", "scope_claim", "client_claim", "leeway", "dpop",
        "introspection", "max_lifetime", "status_lists", "unknown_clients",
    ]
    static let owner = "an issuer"
}

enum ProofKey: Int, MappingKey {
    case algorithms, age, ahead, nonce
    static let names: [StaticString] = ["algorithms", "max_age", "ahead", "nonce"]
    static let owner = "an issuer's `dpop`"
}

enum IntrospectionKey: Int, MappingKey {
    case endpoint, tokens, client, authentication, secretFile, keyFile, certificateFile, authorityFile
    case replies, cache, negativeCache, timeout
    static let names: [StaticString] = [
        "endpoint", "tokens", "client_id", "auth", "secret_file", "key_file", "certificate_file", "ca_file",
        "replies", "cache", "negative_cache", "timeout",
    ]
    static let owner = "an issuer's `introspection`"
}

enum KeySourceKey: Int, MappingKey {
    case jwksURI, jwksFile, discovery, authorityFile
    static let names: [StaticString] = ["jwks_uri", "jwks_file", "discovery", "ca_file"]
    static let owner = "an issuer's `keys`"
}

enum ScopeKey: Int, MappingKey {
    case description, implies, replaces, until
    static let names: [StaticString] = ["description", "implies", "replaces", "until"]
    static let owner = "a scope"
}

enum ServiceKey: Int, MappingKey {
    case issuers, audience, hosts, ports, basePath, tokenFrom, mode, until, routes, kind, scopes, publicPort, proof
    case resource, forwardToken, transactionToken, ends
    static let names: [StaticString] = [
        "issuers", "audience", "hosts", "ports", "base_path", "token_from", "mode", "until", "routes", "kind",
        "scopes", "public_port", "proof", "resource", "forward_token", "transaction_token",
        "ends",
    ]
    static let owner = "a service"
}

enum RouteKey: Int, MappingKey {
    case match, scopes, `public`, preflight, whereKey, ports, mode, until, proof, nonce, contexts, authenticationAge
    case details
    static let names: [StaticString] = [
        "match", "scopes", "public", "preflight", "where", "ports", "mode", "until", "proof", "dpop_nonce", "acr",
        "max_age", "authorization_details",
    ]
    static let owner = "a route"
}

enum DetailKey: Int, MappingKey {
    case type, actions, locations
    static let names: [StaticString] = ["type", "actions", "locations"]
    static let owner = "an element of `authorization_details`"
}

enum RequirementKey: Int, MappingKey {
    case all, any
    static let names: [StaticString] = ["all", "any"]
    static let owner = "required `scopes`"
}

enum ClientKey: Int, MappingKey {
    case certificate, scopes, issuer, clientID, roles, grants, excess, mode, until
    static let names: [StaticString] = [
        "certificate", "scopes", "issuer", "client_id", "roles", "grants", "on_excess", "mode", "until",
    ]
    static let owner = "a client"
}

enum GrantKey: Int, MappingKey {
    case scope, scopes, until, reason
    static let names: [StaticString] = ["scope", "scopes", "until", "reason"]
    static let owner = "a grant"
}

enum RoleKey: Int, MappingKey {
    case description, scopes
    static let names: [StaticString] = ["description", "scopes"]
    static let owner = "a role"
}

enum CertificateKey: Int, MappingKey {
    case uri, dns, subject
    static let names: [StaticString] = ["uri", "dns", "subject"]
    static let owner = "a `certificate`"
}

enum TokenSourceKey: Int, MappingKey {
    case cookie, webSocketProtocol
    static let names: [StaticString] = ["cookie", "websocket_protocol"]
    static let owner = "`token_from`"
}

enum ModeKey: Int, MappingKey {
    case observe
    static let names: [StaticString] = ["observe"]
    static let owner = "`mode`"
}

enum ObserveKey: Int, MappingKey {
    case until
    static let names: [StaticString] = ["until"]
    static let owner = "`observe`"
}

enum TestKey: Int, MappingKey {
    case request, scopes, subject, client, issuer, audience, claims, token, origin
    case requestMethod, port, at, expect, connect, certificate, proof, context, authenticationAge, details
    static let names: [StaticString] = [
        "request", "scopes", "subject", "client", "issuer", "audience", "claims", "token", "origin",
        "access_control_request_method", "port", "at", "expect", "connect", "certificate", "proof", "acr", "auth_age",
        "authorization_details",
    ]
    static let owner = "a test"
}
