// What each key says, in the order of the reader's tables. A key that a table here does not have takes any value, and a
// test fails.

extension PolicySchema {
    static let top = Table(
        TopKey.self, "policy", required: ["scopecheck"],
        [
            "scopecheck": Entry("The version of the policy language: 1", .object([SchemaMember("const", .number(1))])),
            "environments": Entry(
                "Where the policy is used; one must be named with --environment", .named(.reference("environment"))),
            "issuers": Entry("Who may issue tokens", .members(.reference("issuer"))),
            "scopes": Entry(
                "Every scope there is", .named(.reference("scope"))),
            "services": Entry(
                "What is protected; whatever is not listed is denied", .named(.reference("service"))),
            "clients": Entry("Who may hold which scopes", .named(.reference("client"))),
            "roles": Entry("Scopes that several clients are approved for", .named(.reference("role"))),
            "publishers": Entry("Services that may publish themselves, and how far", .named(.reference("publisher"))),
            "publications": Entry("When what services published ends", .named(.reference("publication"))),
            "tests": Entry(
                "Requests and what must come of them; checked by `policy test` and before a policy is used",
                .members(.reference("test"), least: 0)),
        ])

    static let environment = Table(
        EnvironmentKey.self, "environment",
        [
            "values": Entry("What `${name}` stands for in this environment", .named(.text)),
            "roles": Entry("Roles that only this environment has", .named(.reference("role"))),
            "clients": Entry("Clients that only this environment has", .named(.reference("client"))),
        ])

    static let issuer = Table(
        IssuerKey.self, "issuer", required: ["issuer", "audience"],
        [
            "issuer": Entry("Exactly what tokens carry in `iss`", .text),
            "audience": Entry("A token must name one of these in `aud`", .oneOrMore(.text)),
            "keys": Entry("Where its keys come from", .reference("keys")),
            "algorithms": Entry("Signature algorithms that are accepted", .algorithms),
            "profile": Entry(
                "`rfc9068`, or `compat` for issuers that send `typ: JWT`", .words(["rfc9068", "compat"])),
            "scope_claim": Entry("The claim that holds the scopes; `scope` unless said", .text),
            "client_claim": Entry("The claim that holds the client; `client_id` unless said", .text),
            "leeway": Entry("Tolerance for `exp` and `nbf`, as in `30s`", .duration),
            "dpop": Entry("How DPoP proofs for its tokens are checked", .reference("dpop")),
            "introspection": Entry(
                "How the issuer is asked whether a token is active (RFC 7662)", .reference("introspection")),
            "max_lifetime": Entry("Longest time from `iat` to `exp`", .duration),
            "status_lists": Entry("Where its tokens' status lists lie", .oneOrMore(.text)),
            "unknown_clients": Entry(
                "What becomes of tokens of clients that `clients` does not list", .words(["deny", "allow"])),
        ])

    static let keySource = Table(
        KeySourceKey.self, "keys",
        [
            "jwks_uri": Entry("https URL of a JWK set", .text),
            "jwks_file": Entry("A JWK set file; relative to the policy's folder", .text),
            "discovery": Entry("Find the JWK set below the issuer's URL (RFC 8414)", .onlyTrue),
            "ca_file": Entry("Certificate authorities for the fetch; the system's unless said", .text),
        ])

    static let proof = Table(
        ProofKey.self, "dpop",
        [
            "algorithms": Entry("Signature algorithms of proofs", .algorithms),
            "max_age": Entry("How old a proof may be: 1s to 10m, 60s unless said", .duration),
            "ahead": Entry("How far ahead a proof's clock may be: 0s to 60s, 10s unless said", .duration),
            "nonce": Entry("Whether each proof carries a nonce of ours", .words(["required", "optional"])),
        ])

    static let introspection = Table(
        IntrospectionKey.self, "introspection",
        [
            "endpoint": Entry("https URL of the introspection endpoint", .text),
            "tokens": Entry("Which tokens are asked about", .words(["opaque", "all"])),
            "client_id": Entry("Who we are to the issuer", .text),
            "auth": Entry("How we authenticate to it", .text),
            "secret_file": Entry("The file with our secret; a policy holds no secrets", .text),
            "key_file": Entry("The file with our private key", .text),
            "certificate_file": Entry("The file with our certificate", .text),
            "ca_file": Entry("Certificate authorities for it; the system's unless said", .text),
            "replies": Entry("`jwt` takes signed replies only (RFC 9701)", .words(["json", "jwt"])),
            "cache": Entry("How long an active reply is believed", .duration),
            "negative_cache": Entry("How long an inactive one is", .duration),
            "timeout": Entry("For the whole exchange, as in `800ms`", .duration),
        ])

    static let scope = Table(
        ScopeKey.self, "scope", mayBeAbsent: true,
        [
            "description": Entry("What holding it means, for people", .text),
            "implies": Entry("Scopes that come with it; `orders:*` stands for all with that beginning", .scopes),
            "replaces": Entry("Old names that count as this scope until `until`", .scopes),
            "until": Entry("From then on the old names, or the scope itself, count for nothing", .time),
        ])

    static let service = Table(
        ServiceKey.self, "service",
        [
            "issuers": Entry("Who may speak for it; may be left out when there is one", .members(.text)),
            "audience": Entry("A token must name it in `aud`", .text),
            "hosts": Entry("As in `api.example.com`; `*.example.com` stands for one label", .members(.text)),
            "ports": Entry("Ports of the listener; any unless said", .members(.port)),
            "base_path": Entry("Stands before the path of each route", .text),
            "token_from": Entry(
                "Where tokens come besides the `Authorization` header", .any(.words(["header"]), .reference("source"))),
            "mode": Entry("`observe` lets denials pass and records them until `until`", .reference("modes")),
            "until": Entry("When `mode: observe` ends", .time),
            "routes": Entry("What may be called, and by whom", .members(.reference("route"))),
            "kind": Entry("`tcp` for ports without HTTP", .words(["http", "tcp"])),
            "scopes": Entry("Of `kind: tcp`: what a client must hold", .reference("requires")),
            "public_port": Entry("The port in URLs, where it is not the listener's", .port),
            "proof": Entry("What tokens must be bound to", .words(["any", "dpop", "mtls", "none"])),
            "resource": Entry("Its identifier for clients (RFC 9728)", .text),
            "forward_token": Entry("Whether the backend sees the token", .words(["always", "never"])),
            "transaction_token": Entry("Whether the backend gets a transaction token", .onlyTrue),
            "ends": Entry("From then on all of it is denied", .time),
        ])

    static let tokenSource = Table(
        TokenSourceKey.self, "source",
        [
            "cookie": Entry("Name of the cookie that holds the token", .text),
            "websocket_protocol": Entry("The subprotocol before the token", .text),
        ])

    static let mode = Table(
        ModeKey.self, "mode", required: ["observe"],
        ["observe": Entry("Until when", .reference("observe"))])

    static let observe = Table(
        ObserveKey.self, "observe", required: ["until"],
        ["until": Entry("Date, time and zone, as in 2026-12-01T00:00:00Z", .time)])
}
