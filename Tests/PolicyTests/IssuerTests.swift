import Policy
import PolicyTables
import Signatures
import Testing

@Suite struct IssuerTests {
    private static func keys(_ text: String) -> String {
        issuer("  - { issuer: https://i.example, audience: a, keys: \(text) }")
    }

    private static func extra(_ text: String) -> String {
        issuer("  - { issuer: https://i.example, audience: a, keys: { discovery: true }, \(text) }")
    }

    private static func identifier(_ text: String) -> String {
        issuer("  - { issuer: \(text), audience: a, keys: { discovery: true } }")
    }

    static let cases: [Case] = [
        Case("a port and a path", identifier("https://i.example:8443/tenant/1/")),
        Case("http on this machine", identifier("http://localhost:8080")),
        Case("http on this machine by address", identifier("http://127.0.0.1/x")),
        Case(
            "http elsewhere", identifier("‹http://i.example"),
            Expected(.badURL, "not https", mend: "https://")),
        Case(
            "http on a name that only looks local", identifier("‹http://localhost.example"),
            Expected(.badURL, "not https")),
        Case(
            "no URL", identifier("‹id.example.com"),
            Expected(.badURL, "no https URL", mend: "https://id.example.com")),
        Case("another scheme", identifier("‹urn:issuer"), Expected(.badURL, "no https URL")),
        Case("a query", identifier("https://i.example/‹?a=b"), Expected(.badURL, "has a query")),
        Case("a fragment", identifier("\"https://i.example/‹#x\""), Expected(.badURL, "has a fragment")),
        Case("user information", identifier("https://‹u:p@i.example"), Expected(.badURL, "user information")),
        Case("no host", identifier("https://‹/x"), Expected(.badURL, "an empty host")),
        Case("a port that is none", identifier("https://‹i.example:0"), Expected(.badURL, "no port")),
        Case(
            "a space", identifier("\"https://i.example‹ /x\""), Expected(.badURL, "character that no URL has")
        ),
        Case(
            "letters beyond ASCII", identifier("https://‹é.example"),
            Expected(.badURL, "character that no URL has")),
        Case("an empty identifier", identifier("‹\"\""), Expected(.emptyValue, "`issuer` is empty")),
        Case(
            "no identifier", issuer("  - ‹{ audience: a, keys: { discovery: true } }"),
            Expected(.missingKey, "without its identifier", mend: "`iss`")),
        Case(
            "the same issuer twice",
            issuer(
                "  - { issuer: https://i.example, audience: a, keys: { discovery: true } }\n"
                    + "  - { issuer: ‹https://i.example, audience: b, keys: { discovery: true } }"),
            Expected(.duplicateValue, "`https://i.example` is listed twice")),
        Case(
            "no audience", issuer("  - ‹{ issuer: https://i.example, keys: { discovery: true } }"),
            Expected(.missingKey, "without `audience`")),
        Case(
            "audiences as a list",
            issuer("  - { issuer: https://i.example, audience: [a, b], keys: { discovery: true } }")),
        Case(
            "an empty list of audiences",
            issuer("  - { issuer: https://i.example, audience: ‹[], keys: { discovery: true } }"),
            Expected(.emptyValue, "empty list")),
        Case(
            "an audience of 4,097 bytes",
            issuer(
                "  - { issuer: https://i.example, audience: ‹\(String(repeating: "a", count: 4_097)), keys: { discovery: true } }"
            ), Expected(.limitExceeded, "4097 bytes")),
        Case(
            "an audience twice",
            issuer("  - { issuer: https://i.example, audience: [a, ‹a], keys: { discovery: true } }"),
            Expected(.duplicateValue, "the audience `a`")),
        Case(
            "no keys", issuer("  - ‹{ issuer: https://i.example, audience: a }"),
            Expected(.missingKey, "without `keys`")),
        Case("keys by URL", keys("{ jwks_uri: \"https://i.example/jwks?x=1\", ca_file: ca.pem }")),
        Case("keys by http", keys("{ jwks_uri: ‹http://i.example/jwks }"), Expected(.badURL, "not https")),
        Case("keys from a file", keys("{ jwks_file: keys.json }")),
        Case(
            "keys from two places", keys("{ jwks_file: keys.json, ‹discovery: true }"),
            Expected(.conflictingKeys)),
        Case("keys from nowhere", keys("‹{ ca_file: x }"), Expected(.missingKey, "nothing of where")),
        Case("keys that are text", keys("‹https://i.example/jwks"), Expected(.wrongType)),
        Case("discovery off", keys("{ discovery: ‹false }"), Expected(.wrongType, "can only be `true`")),
        Case(
            "discovery as text", keys("{ discovery: ‹\"true\" }"),
            Expected(.wrongType, mend: "without quotes")),
        Case(
            "discovery as another language's truth", keys("{ discovery: ‹yes }"),
            Expected(.wrongType, "`yes`")),
        Case("authorities for a file", keys("{ jwks_file: a, ‹ca_file: b }"), Expected(.noEffect)),
        Case(
            "all algorithms",
            extra("algorithms: [RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA]")),
        Case(
            "no signature", extra("algorithms: [ES256, ‹none]"),
            Expected(.badAlgorithm, "without a signature")),
        Case("symmetric", extra("algorithms: [‹HS256]"), Expected(.badAlgorithm, "could forge")),
        Case(
            "an algorithm in lower case", extra("algorithms: [‹es256]"),
            Expected(.badAlgorithm, mend: "write `ES256`")),
        Case(
            "an unknown algorithm", extra("algorithms: [‹ES255]"),
            Expected(.badAlgorithm, mend: "did you mean `ES256`?")),
        Case(
            "one algorithm by both names", extra("algorithms: [EdDSA, ‹Ed25519]"), Expected(.duplicateValue)),
        Case("no algorithms", extra("algorithms: ‹[]"), Expected(.emptyValue)),
        Case(
            "one algorithm, no list", extra("algorithms: ‹ES256"),
            Expected(.wrongType, "`algorithms` is a list")),
        Case("compat", extra("profile: compat")),
        Case("an unknown profile", extra("profile: ‹compact"), Expected(.badChoice, mend: "`compat`")),
        Case("claims", extra("scope_claim: scp, client_claim: azp")),
        Case("a claim without name", extra("scope_claim: ‹\"\""), Expected(.emptyValue)),
        Case("a claim of two lines", extra("scope_claim: ‹\"a\\nb\""), Expected(.badName)),
        Case("leeway", extra("leeway: 5m")),
        Case(
            "leeway beyond its limit", extra("leeway: ‹6m"),
            Expected(.badDuration, "more than 300 seconds", mend: "300s")),
        Case("leeway without unit", extra("leeway: ‹30"), Expected(.badDuration, "no", mend: "`30s`")),
        Case("leeway below nothing", extra("leeway: ‹-1s"), Expected(.badDuration)),
        Case(
            "a key in the wrong place", extra("‹hosts: [a]"),
            Expected(.unknownKey, mend: "belongs in a service")),
        Case(
            "a key that is not enforced", extra("‹required_claims: {}"),
            Expected(.notEnforced, "`required_claims`")),
        Case(
            "a key mistyped", extra("‹algoritms: [ES256]"),
            Expected(.unknownKey, mend: "did you mean `algorithms`?")),
        Case("a key twice", extra("leeway: 1s, ‹leeway: 2s"), Expected(.duplicateKey, "first in line 3")),
        Case("issuers that are no list", issuer("  ‹a: {}"), Expected(.wrongType)),
    ]

    @Test(arguments: cases) func rules(_ one: Case) { check(one) }

    @Test func values() throws {
        let text = issuer(
            "  - { issuer: https://i.example, audience: [b, a], keys: { jwks_file: k.json }, profile: compat,\n"
                + "      scope_claim: scp, client_claim: azp, leeway: 90s, algorithms: [EdDSA, PS512] }")
        let model = try #require(load(text).model)
        #expect(
            model.issuers == [
                IssuerModel(
                    issuer: "https://i.example", audiences: ["b", "a"], keySource: .file("k.json"),
                    algorithms: [.ed25519, .ps512], profile: .compat, scopeClaim: "scp", clientClaim: "azp",
                    leewaySeconds: 90)
            ])
        let defaults = try #require(
            load(IssuerTests.keys("{ jwks_uri: https://i.example/k, ca_file: ca.pem }")).model)
        #expect(
            defaults.issuers == [
                IssuerModel(
                    issuer: "https://i.example", audiences: ["a"], keySource: .uri("https://i.example/k"),
                    algorithms: [.es256, .rs256, .ps256, .ed25519], certificateAuthorityFile: "ca.pem")
            ])
    }

    @Test(arguments: [
        ("k.json", "/etc/policy", "/etc/policy/k.json"), ("k.json", "/etc/policy/", "/etc/policy/k.json"),
        ("/k.json", "/etc/policy", "/k.json"), ("../k.json", ".", "./../k.json"),
    ]) func relativePaths(_ path: String, _ folder: String, _ expected: String) throws {
        let text = IssuerTests.keys("{ jwks_file: \(path) }")
        let policy = loadPolicy(source: Array(text.utf8), file: "p", folder: folder, now: testNow)
        #expect(try #require(policy.model).issuers.first?.keySource == .file(expected))
    }
}
