/// A policy to begin with: one service on the given hosts, with comments that say why each part is there, and tests that
/// show every route allowed and denied. It passes `check`, `lint --strict` and `test`, and `fmt` leaves it as it is.
public struct FirstPolicy: Sendable {
    /// What was given and does not make a policy.
    public struct Refusal: Error, Sendable, CustomStringConvertible {
        public var description: String
    }

    public static let hostsMax = 64

    /// The file's bytes.
    public let text: String

    /// - Parameters:
    ///   - issuer: exactly as in the tokens' `iss`.
    ///   - hosts: of the service, one at least; `*.example.com` stands for one label.
    ///   - audience: what tokens name in `aud`; nil takes the first host's URL.
    /// - Throws: what is wrong with them and how to mend it.
    public init(issuer: String, hosts: [String], audience: String? = nil) throws(Refusal) {
        guard !hosts.isEmpty, hosts.count <= FirstPolicy.hostsMax else {
            throw Refusal(description: "\(hosts.count) hosts; name 1 to \(FirstPolicy.hostsMax)")
        }
        let host = FirstPolicy.example(of: hosts[0])
        for value in [issuer, audience ?? "-"] + hosts {
            guard !value.isEmpty, value.utf8.count <= 2_048, value.unicodeScalars.allSatisfy(isVisible) else {
                throw Refusal(description: "\(quoted(value)) is empty, too long, or holds what cannot be seen")
            }
        }
        let audience = audience ?? FirstPolicy.audience(ofHost: hosts[0])
        let text = FirstPolicy.render(
            issuer: FirstPolicy.scalar(issuer), audience: FirstPolicy.scalar(audience),
            hosts: hosts.map(FirstPolicy.scalar).joined(separator: ", "), host: host)
        let policy = loadPolicy(source: Array(text.utf8), file: "", now: 0)
        if let problem = policy.diagnostics.first(where: { $0.severity == .error }) {
            throw Refusal(description: "\(problem.message); \(problem.mend)")
        }
        self.text = text
    }

    /// What tokens name in `aud` unless said.
    public static func audience(ofHost host: String) -> String { "https://\(example(of: host))" }

    private static func example(of host: String) -> String {
        host.hasPrefix("*.") ? "www" + host.dropFirst() : host
    }

    // One answer, looked at before the next question: it must make a policy with good answers to the others.

    public static func check(issuer: String) throws(Refusal) {
        _ = try FirstPolicy(issuer: issuer, hosts: ["www.example.com"])
    }

    public static func check(hosts: [String]) throws(Refusal) {
        if let url = hosts.first(where: { $0.contains("://") }), let host = hostOfURL(url) {
            throw Refusal(description: "\(quoted(url)) is a URL; give its host alone, \(quoted(host))")
        }
        _ = try FirstPolicy(issuer: "https://id.example.com", hosts: hosts)
    }

    public static func check(audience: String) throws(Refusal) {
        _ = try FirstPolicy(issuer: "https://id.example.com", hosts: ["www.example.com"], audience: audience)
    }

    /// What stands between `://` and the path, without a port; nil where that is nothing.
    private static func hostOfURL(_ url: String) -> String? {
        guard let colon = url.firstIndex(of: ":") else { return nil }
        let rest = url[url.index(after: colon)...].drop { $0 == "/" }
        let host = rest.prefix { !"/:?#".contains($0) }
        return host.isEmpty || host.utf8.count > 255 ? nil : String(host)
    }

    /// In quotes unless YAML reads it letter by letter without them.
    private static func scalar(_ text: String) -> String {
        func isLetter(_ byte: UInt8) -> Bool { byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A }
        let isPlain = text.utf8.allSatisfy { isDigit($0) || isLetter($0) || Array("./:-_".utf8).contains($0) }
        let startsWithLetter = text.utf8.first.map(isLetter) ?? false
        if isPlain, startsWithLetter, text.utf8.last != 0x3A { return text }
        let escaped = text.flatMap { $0 == "\"" || $0 == "\\" ? ["\\", $0] : [$0] }
        return "\"\(String(escaped))\""
    }

    private static func render(issuer: String, audience: String, hosts: String, host: String) -> String {
        """
        # Who may call what. Whatever is not listed here is denied.

        scopecheck: 1

        # Who issues the tokens. A token must name one of `audience` in its `aud`. `discovery: true` finds the issuer's
        # keys below its URL; `jwks_uri: https://…` or `jwks_file: FILE` name them.
        issuers:
          - issuer: \(issuer)
            audience: [\(audience)]
            keys: { discovery: true }
            algorithms: [ES256, RS256]

        # Every scope that there is. Whoever holds one holds what it `implies` as well.
        scopes:
          items:read:  { description: Read items }
          items:write: { description: Create and change items, implies: [items:read] }

        # What is protected. The most specific path wins: a literal before a `{parameter}` before `**`, and then a method that
        # is not listed at that path is denied. GET covers HEAD.
        services:
          items:
            hosts: [\(hosts)]
            routes:
              - { match: GET /items,               scopes: items:read }
              - { match: POST /items,              scopes: items:write }
              - { match: "GET /items/{item}",      scopes: items:read }
              - { match: "PUT /items/{item}",      scopes: items:write }
              # Several scopes: `{ all: […] }` or `{ any: […] }`. The path must name the token's own subject:
              - { match: "GET /users/{user}/items", scopes: items:read, where: { user: sub } }
              # Open to everybody, and said so.
              - { match: GET /healthz,             public: true }

        # What must come of requests; they run before the policy is used. `expect` is `allow`, `deny`, or a reason.
        tests:
          - { request: "GET https://\(host)/items", scopes: [items:read], expect: allow }
          - { request: "GET https://\(host)/items", expect: no_token }
          - { request: "POST https://\(host)/items", scopes: [items:write], expect: allow }
          - { request: "POST https://\(host)/items", scopes: [items:read], expect: insufficient_scope }
          - { request: "GET https://\(host)/items/7", scopes: [items:write], expect: allow }
          - { request: "GET https://\(host)/items/7", scopes: [items:read], token: expired, expect: deny }
          - { request: "PUT https://\(host)/items/7", scopes: [items:write], expect: allow }
          - { request: "PUT https://\(host)/items/7", scopes: [items:read], expect: insufficient_scope }
          - { request: "GET https://\(host)/users/alice/items", scopes: [items:read], subject: alice, expect: allow }
          - { request: "GET https://\(host)/users/alice/items", scopes: [items:read], subject: bob, expect: binding_mismatch }
          - { request: "GET https://\(host)/healthz", expect: allow }
          - { request: "DELETE https://\(host)/items/7", scopes: [items:write], expect: deny }

        """
    }
}
