extension PolicySchema {
    static let route = Table(
        RouteKey.self, "route", required: ["match"],
        [
            "match": Entry(
                "Methods and path, as in `GET,POST /orders/{order}`; `**` at the end stands for all below",
                .reference("match")),
            "scopes": Entry("What the token must hold", .reference("requires")),
            "public": Entry("Everybody may use it, without a token", .onlyTrue),
            "preflight": Entry("Answers browsers that ask before a request (CORS)", .onlyTrue),
            "where": Entry("Path parameters that must equal claims, as in `{ user: sub }`", .named(.text)),
            "ports": Entry("Some of the service's ports", .members(.port)),
            "mode": Entry("`observe` lets denials pass and records them until `until`", .reference("modes")),
            "until": Entry("When `mode: observe` ends", .time),
            "proof": Entry("What the token must be bound to", .words(["any", "dpop", "mtls", "none"])),
            "dpop_nonce": Entry("Proofs carry a nonce of ours here", .words(["required"])),
            "acr": Entry("One of these must be the token's `acr` (RFC 9470)", .oneOrMore(.text)),
            "max_age": Entry("How long ago the user may have authenticated: 1s to 366d", .duration),
            "authorization_details": Entry("What the token's must hold (RFC 9396)", .reference("details")),
        ])

    static let requirement = Table(
        RequirementKey.self, "requirement",
        [
            "all": Entry("All of these", .scopes),
            "any": Entry("At least one of these", .scopes),
        ])

    static let detail = Table(
        DetailKey.self, "detail", required: ["type"],
        [
            "type": Entry("Exactly this type", .text),
            "actions": Entry("Every one of these actions", .oneOrMore(.text)),
            "locations": Entry("One of these locations", .oneOrMore(.text)),
        ])

    static let client = Table(
        ClientKey.self, "client",
        [
            "certificate": Entry("The name in its certificate that it is known by", .reference("certificate")),
            "scopes": Entry("Scopes approved for it; `orders:*` stands for all with that beginning", .scopes),
            "issuer": Entry("Whose tokens name it; may be left out when there is one issuer", .text),
            "client_id": Entry("What its tokens carry; its name here unless said", .text),
            "roles": Entry("Roles that it has", .oneOrMore(.text)),
            "grants": Entry("Scopes approved for a time", .members(.reference("grant"))),
            "on_excess": Entry(
                "What becomes of a token with more than is approved", .words(["deny", "narrow", "alert"])),
            "mode": Entry("`observe` lets its denials pass and records them until `until`", .reference("modes")),
            "until": Entry("When `mode: observe` ends", .time),
        ])

    static let certificate = Table(
        CertificateKey.self, "certificate",
        [
            "uri": Entry("The URI of the subject alternative names, as in `spiffe://example.org/a`", .text),
            "dns": Entry("A DNS name of the subject alternative names", .text),
            "subject": Entry("The whole subject as OpenSSL prints it with `-nameopt RFC2253`", .text),
        ])

    static let role = Table(
        RoleKey.self, "role", required: ["scopes"],
        [
            "description": Entry("What it is for, for people", .text),
            "scopes": Entry("What it holds; `orders:*` stands for all with that beginning", .scopes),
        ])

    static let grant = Table(
        GrantKey.self, "grant", required: ["until", "reason"],
        [
            "scope": Entry("What is granted", .text),
            "scopes": Entry("What is granted", .scopes),
            "until": Entry("From then on it is over, at the second", .time),
            "reason": Entry("Why, as in a ticket's number", .text),
        ])

    static let test = Table(
        TestKey.self, "test", required: ["expect"],
        [
            "request": Entry("Method and URL, as in `GET https://api.example.com/orders`", .text),
            "scopes": Entry("What the token holds", .any(.text, .members(.text, least: 0))),
            "subject": Entry("The token's `sub`", .text),
            "client": Entry("The token's client", .text),
            "issuer": Entry("Who issued the token", .text),
            "audience": Entry("The token's `aud`", .oneOrMore(.text)),
            "claims": Entry("More claims of the token", .named(.text)),
            "token": Entry("`none` sends no token", .words(["none"] + TestToken.State.allCases.map(\.rawValue))),
            "origin": Entry("The `Origin` header of a browser", .text),
            "access_control_request_method": Entry("What a preflight asks for", .text),
            "port": Entry("The listener's port, where it is not the URL's", .port),
            "at": Entry("When, as in 2026-12-01T00:00:00Z; now unless said", .time),
            "expect": Entry("`allow`, `deny`, or the reason of the denial", .text),
            "connect": Entry("The port of a connection without HTTP", .port),
            "certificate": Entry("Names in the client's certificate", .reference("certificate")),
            "proof": Entry("What the token is bound to", .words(TestToken.Proof.allCases.map(\.rawValue))),
            "acr": Entry("The token's `acr`", .text),
            "auth_age": Entry("How long ago the user authenticated", .duration),
            "authorization_details": Entry("What the token carries", .reference("details")),
        ])
}
