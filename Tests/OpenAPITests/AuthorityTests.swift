import OpenAPI
import Testing

/// Documents whose schemes are of several authorities: one issuer stands for one of them.
@Suite struct AuthorityTests {
    private static func flow(_ token: String, authorization: String? = nil) -> String {
        let first = authorization.map { "authorizationUrl: '\($0)', " } ?? ""
        return "{ \(first)tokenUrl: '\(token)', scopes: { read: '', write: '' } }"
    }

    private static func oauth(_ token: String, authorization: String? = nil) -> String {
        "{ type: oauth2, flows: { authorizationCode: \(flow(token, authorization: authorization)) } }"
    }

    private static func oidc(_ url: String) -> String { "{ type: openIdConnect, openIdConnectUrl: '\(url)' }" }

    /// `/one` needs scheme `one`, `/two` scheme `two`, `/both` either of them.
    private static func schemes(_ one: String, _ two: String) -> String {
        """
        openapi: 3.0.3
        info: { title: A, version: '1' }
        servers: [{ url: https://api.example.com }]
        components:
          securitySchemes:
            one: \(one)
            two: \(two)
            three: \(oidc("https://three.example/.well-known/openid-configuration"))
        paths:
          /one: { get: { security: [{ one: [read] }] } }
          /two: { get: { security: [{ two: [read] }] } }
          /both: { get: { security: [{ one: [write] }, { two: [write] }] } }
          /mixed: { get: { security: [{ one: [write], two: [read] }] } }
        """
    }

    @Test(arguments: [
        (oauth("https://a.example/token"), oauth("https://b.example/token")),
        (oauth("https://a.example/token"), oidc("https://b.example/.well-known/openid-configuration")),
        (
            oidc("https://a.example/.well-known/openid-configuration"),
            oidc("https://b.example/.well-known/openid-configuration")
        ),
        // Tenants of one host.
        (
            oidc("https://a.example/t1/.well-known/openid-configuration"),
            oidc("https://a.example/t2/.well-known/openid-configuration")
        ),
        (oauth("https://a.example/realms/a/token"), oauth("https://a.example/realms/b/token")),
        (oauth("https://a.example/token?p=one"), oauth("https://a.example/token?p=two")),
        (
            oidc("https://a.example/realms/a/.well-known/openid-configuration"),
            oauth("https://a.example/realms/b/token")
        ),
        // The API itself, and somebody else.
        (oauth("/token"), oauth("https://b.example/token")),
        // Between two issuers.
        (
            oidc("https://a.example/.well-known/openid-configuration"),
            "{ type: oauth2, flows: { implicit: { authorizationUrl: 'https://b.example/auth', scopes: {} }, "
                + "password: \(flow("https://a.example/token")) } }"
        ),
    ]) func severalAreRefused(_ one: String, _ two: String) throws {
        let text = AuthorityTests.schemes(one, two)
        let found = refusal(text)
        #expect(found.contains("tokens of 2 authorities"), "\(found)")
        #expect(found.contains("`one` (") && found.contains("`two` ("), "\(found)")
        #expect(found.contains("--security one"), "\(found)")
    }

    /// Only the last segments of endpoints are known to tell nothing of the authority.
    @Test(arguments: [
        ("https://a.example/tenantA", "https://a.example/tenantB"), ("/tenantA", "/tenantB"),
        ("https://a.example/x/tenantA", "https://a.example/x/tenantB"),
        ("https://a.example/token", "https://a.example/tenantB"),
        ("https://a.example/login", "https://a.example/login/token"),
        ("https://a.example", "https://a.example/token"), ("https://a.example/x/", "https://a.example/x/token"),
        ("https://a.example/Token", "https://a.example/token"),
        ("https://a.example/oauth2/v1/token", "https://a.example/oauth2/v2/token"),
        ("https://a.example/oauth/token", "https://a.example/oauth2/token"),
        ("https://a.example/x/oauth/token", "https://a.example/oauth/token"),
    ]) func endpointsBesideOneAnother(_ one: String, _ two: String) {
        let text = AuthorityTests.schemes(AuthorityTests.oauth(one), AuthorityTests.oauth(two))
        #expect(refusal(text).contains("tokens of 2 authorities"), "\(refusal(text))")
        #expect(refusal(AuthorityTests.schemes(AuthorityTests.oauth(one), AuthorityTests.oauth(one))) == "none")
    }

    @Test(arguments: [
        ("https://a.example/o/oauth2/auth", "https://a.example/o/oauth2/token"),
        ("https://a.example/login/oauth/authorize", "https://a.example/login/oauth/access_token"),
        ("https://a.example/authorize", "https://a.example/oauth/token"),
        ("https://a.example/oauth/authorize", "https://a.example/oauth/token"),
        ("https://a.example/o/authorize/", "https://a.example/o/token/"),
        ("https://a.example/as/authorization.oauth2", "https://a.example/as/token.oauth2"),
    ]) func endpointsOfOneAuthority(_ one: String, _ two: String) {
        let text = AuthorityTests.schemes(AuthorityTests.oauth(one), AuthorityTests.oauth(two))
        #expect(refusal(text) == "none", "\(refusal(text))")
    }

    /// An issuer's discovery names endpoints in folders of OAuth, and nobody says whose other folders are.
    @Test(arguments: [
        ("", "/realms/x/protocol/openid-connect/token"), ("", "/tenantA"), ("", "/tenantA/token"),
        ("", "/oauth2/default/v1/token"), ("/x", "/x/y/token"), ("/x", "/xoauth2/token"), ("", "/oauth2/tenantA"),
        ("/oauth2/default", "/oauth2/v1/token"), ("", "/token?realm=x"), ("", "/oauth2/token?realm=/oauth2"),
    ]) func belowAnotherIssuer(_ issuer: String, _ endpoint: String) {
        let text = AuthorityTests.schemes(
            AuthorityTests.oidc("https://a.example\(issuer)/.well-known/openid-configuration"),
            AuthorityTests.oauth("https://a.example\(endpoint)"))
        #expect(refusal(text).contains("tokens of 2 authorities"), "\(refusal(text))")
    }

    @Test(arguments: [
        ("", "/o/oauth2/v2/auth"), ("", "/oauth2/v1/token"), ("/oauth2/default", "/oauth2/default/v1/token"),
        ("/realms/x", "/realms/x/protocol/openid-connect/token"), ("", "/connect/token"), ("", "/authorize"),
        ("/oauth", "/oauth/token"), ("", "/oauth/token"), ("/dex", "/dex/auth"), ("/x/v2.0", "/x/v2.0/token"),
        ("/tenantA", "/tenantA"),
    ]) func belowItsIssuer(_ issuer: String, _ endpoint: String) {
        let text = AuthorityTests.schemes(
            AuthorityTests.oidc("https://a.example\(issuer)/.well-known/openid-configuration"),
            AuthorityTests.oauth("https://a.example\(endpoint)"))
        #expect(refusal(text) == "none", "\(refusal(text))")
    }

    /// An issuer of its own is nearer than the folder beside it, used or not.
    @Test func pairWithAnIssuerOfItsOwn() {
        let text = AuthorityTests.schemes(
            AuthorityTests.oauth("https://a.example/authorize"), AuthorityTests.oauth("https://a.example/oauth/token"))
        #expect(refusal(text) == "none", "\(refusal(text))")
        let own = text.replacing("https://three.example/", with: "https://a.example/oauth/")
        #expect(refusal(own).contains("tokens of 2 authorities"), "\(refusal(own))")
    }

    /// Flows of one scheme in several folders: whoever stands for all schemes alike widens nothing.
    @Test func severalFoldersOfOneScheme() {
        let two =
            "{ type: oauth2, flows: { clientCredentials: \(AuthorityTests.flow("https://a.example/x/token")), "
            + "password: \(AuthorityTests.flow("https://a.example/y/token")) } }"
        #expect(refusal(AuthorityTests.schemes(two, two)) == "none")
        let found = refusal(AuthorityTests.schemes(two, AuthorityTests.oauth("https://a.example/y/token")))
        #expect(found.contains("tokens of 2 authorities"), "\(found)")
    }

    /// Where two servers may read one URL differently, and where tenants stand behind the well-known name.
    @Test(arguments: [
        ("/.well-known/openid-configuration/a", "/.well-known/openid-configuration/b"),
        ("/.well-known/oauth-authorization-server/a", "/.well-known/openid-configuration/b"),
        ("/.well-known/openid-configuration/a", "/.well-known/openid-configuration"),
        ("/x/.well-known/openid-configuration/a", "/x/.well-known/openid-configuration/b"),
        ("/.well-known/a", "/.well-known/b"),
        ("/a;b/.well-known/openid-configuration", "/a;c/.well-known/openid-configuration"),
    ]) func tenantsBehindTheWellKnownName(_ one: String, _ two: String) {
        let text = AuthorityTests.schemes(
            AuthorityTests.oidc("https://a.example\(one)"), AuthorityTests.oidc("https://a.example\(two)"))
        #expect(refusal(text).contains("tokens of 2 authorities"), "\(refusal(text))")
    }

    @Test func discoveryOfOneIssuer() {
        let known = "https://a.example/.well-known"
        for two in [
            "https://a.example/x/.well-known/openid-configuration", "\(known)/oauth-authorization-server/x",
            "\(known)/openid-configuration/x/",
        ] {
            let text = AuthorityTests.schemes(
                AuthorityTests.oidc("\(known)/openid-configuration/x"), AuthorityTests.oidc(two))
            #expect(refusal(text) == "none", "\(refusal(text))")
        }
    }

    @Test(arguments: [
        "/../b/token", "/%2e%2e/b/token", "/.%2E/b/token", "/..%2fb/token", "\\..\\b\\token", "/./../b/token",
        "//token", "/;x/../../b/token", "#/token",
    ]) func endpointsThatOnlySeemBelowAnIssuer(_ path: String) {
        let text = AuthorityTests.schemes(
            AuthorityTests.oidc("https://a.example/realms/a/.well-known/openid-configuration"),
            AuthorityTests.oauth("https://a.example/realms/a\(path)"))
        #expect(refusal(text).contains("tokens of 2 authorities"), "\(refusal(text))")
    }

    @Test(arguments: [
        ("https:\\\\one\\token", "https:\\\\two\\token"), ("https:one/token", "https:two/token"),
        ("https:///one/token", "https:///two/token"), ("/\\one/token", "/\\two/token"),
        ("https://a.example/token;tenant=a", "https://a.example/token;tenant=b"),
        ("https://a.example/token%3Btenant=a", "https://a.example/token%3Btenant=b"),
    ]) func endpointsThatAreNotPlain(_ one: String, _ two: String) {
        let text = AuthorityTests.schemes(AuthorityTests.oauth(one), AuthorityTests.oauth(two))
        #expect(refusal(text).contains("tokens of 2 authorities"), "\(refusal(text))")
        #expect(refusal(AuthorityTests.schemes(AuthorityTests.oauth(one), AuthorityTests.oauth(one))) == "none")
    }

    @Test func whatOneSchemeSaysIsAsked() throws {
        let text = AuthorityTests.schemes(
            AuthorityTests.oauth("https://a.example/token"), AuthorityTests.oauth("https://b.example/token"))
        var options = ImportOptions()
        options.schemes = ["one"]
        let imported = try ServiceImport(document(text), options)
        let decided = try Decided(imported)
        #expect(try decided.allows("GET", "/one", ["read"]))
        #expect(try !decided.allows("GET", "/two", ["read", "write"]))
        #expect(try decided.allows("GET", "/both", ["write"]))
        #expect(try !decided.allows("GET", "/mixed", ["read", "write"]))
        #expect(imported.hasReservations)
        #expect(imported.remarks.contains { $0.kind == .leftOut && $0.reason.contains("`two` is not among") })
    }

    /// A scheme by itself may be of two: then the person says so.
    @Test func oneSchemeOfTwoAuthorities() throws {
        let two =
            "{ type: oauth2, flows: { clientCredentials: \(AuthorityTests.flow("https://a.example/token")), "
            + "password: \(AuthorityTests.flow("https://b.example/token")) } }"
        let text = AuthorityTests.schemes(two, two)
        #expect(refusal(text).contains("tokens of 2 authorities"))
        var options = ImportOptions()
        options.schemes = ["one", "two"]
        #expect(refusal(text, options) == "none")
    }

    @Test(arguments: [
        // One flow is of one server, on however many hosts.
        (
            oauth("https://tokens.example/t", authorization: "https://a.example/x"),
            oauth("https://tokens.example/t", authorization: "https://a.example/x")
        ),
        (oauth("https://a.example/x/token"), oauth("https://A.example:443/x/refresh")),
        (oauth("https://a.example/x/oauth2/token"), oidc("https://a.example/x/.well-known/openid-configuration")),
        (oauth("https://a.example/token"), oidc("https://a.example/.well-known/openid-configuration")),
        (oauth("token"), oauth("/token")),
        // Nobody is named.
        ("{ type: http, scheme: bearer }", oauth("https://a.example/token")),
        ("{ type: oauth2, flows: {} }", oauth("https://a.example/token")),
    ]) func oneIsTaken(_ one: String, _ two: String) throws {
        let text = AuthorityTests.schemes(one, two)
        #expect(refusal(text) == "none", "\(refusal(text))")
        // `three` is declared, and counts as soon as it is used.
        let used = text + "\n  /three: { get: { security: [{ three: [read] }] } }\n"
        #expect(refusal(used).contains("tokens of 2 authorities"), "\(refusal(used))")
    }

    @Test func whatIsLeftOutDoesNotCount() throws {
        let text = operation("[{ oauth: [read] }, { other: [] }]")
        #expect(refusal(text) == "none")
        var options = ImportOptions()
        options.defaultScope = "api"
        #expect(refusal(text, options).contains("tokens of 2 authorities"))
    }

    /// Each two of three have something in common, and all three nothing.
    @Test func threeWithoutACommonAuthority() throws {
        func flows(_ hosts: [String]) -> String {
            let names = ["clientCredentials", "password"]
            return zip(names, hosts).map { "\($0): \(AuthorityTests.flow("https://\($1).example/token"))" }
                .joined(separator: ", ")
        }
        let three = [("x", ["a", "b"]), ("y", ["b", "c"]), ("z", ["c", "a"])]
        let declared = three.map { "    \($0): { type: oauth2, flows: { \(flows($1)) } }" }.joined(separator: "\n")
        let text = """
            openapi: 3.0.3
            servers: [{ url: https://api.example.com }]
            components:
              securitySchemes:
            \(declared)
            paths:
              /a: { get: { security: [{ x: [read], y: [read], z: [read] }] } }
              /open: { get: { security: [] } }
            """
        #expect(try routes(text).contains { $0.hasPrefix("# Left out, so denied: GET /a:") })
    }
}
