import Policy
import PolicyTables
import Testing

/// How an issuer is asked about its tokens, where their status lies, how long they may live: how it is read, and what
/// is refused.
@Suite struct IntrospectionTests {
    private static func extra(_ text: String) -> String {
        issuer("  - { issuer: https://i.example, audience: a, keys: { discovery: true }, \(text) }")
    }

    /// Of an issuer with keys.
    private static func asked(_ text: String) -> String { extra("introspection: \(text)") }

    /// Of an issuer without keys; a mark before it stands before the issuer.
    private static func keyless(_ text: String, mark: String = "", more: String = "") -> String {
        issuer("  - \(mark){ issuer: https://i.example, audience: a, introspection: \(text)\(more) }")
    }

    private static let start = "endpoint: https://i.example/ask, client_id: us"
    private static let basic = "\(start), auth: basic, secret_file: s"

    static let shapes: [Case] = [
        Case("as short as can be", asked("{ \(basic) }")),
        Case(
            "everything",
            asked(
                "{ \(start), tokens: all, auth: mtls, key_file: k.pem, certificate_file: c.pem, ca_file: ca.pem, "
                    + "replies: jwt, cache: 1h, negative_cache: 1m, timeout: 5s }")),
        Case("nothing", asked("‹{}"), Expected(.emptyValue, "`introspection` says nothing", mend: "`endpoint`")),
        Case("text", asked("‹yes"), Expected(.wrongType, "an issuer's `introspection` is a mapping")),
        Case(
            "no endpoint", asked("‹{ client_id: us, auth: basic, secret_file: s }"),
            Expected(.missingKey, "`introspection` without `endpoint`", mend: "RFC 7662")),
        Case(
            "no client", asked("‹{ endpoint: https://i.example/ask, auth: basic, secret_file: s }"),
            Expected(.missingKey, "`introspection` without `client_id`", mend: "add `client_id:`")),
        Case(
            "no authentication", asked("‹{ \(start), secret_file: s }"),
            Expected(
                .missingKey, "`introspection` without `auth`",
                mend: "one of `basic`, `post`, `private_key_jwt` and `mtls`")),
        Case(
            "an unknown key", asked("{ \(basic), ‹endpiont: x }"),
            Expected(.unknownKey, "an issuer's `introspection`", mend: "did you mean `endpoint`?")),
        Case(
            "a key of an issuer", asked("{ \(basic), ‹leeway: 5s }"),
            Expected(.unknownKey, mend: "belongs in an issuer")),
        Case(
            "a key of it on the issuer", extra("‹negative_cache: 5s"),
            Expected(.unknownKey, mend: "belongs in an issuer's `introspection`")),
        Case(
            "an endpoint over http",
            asked("{ endpoint: ‹http://i.example/ask, client_id: us, auth: basic, secret_file: s }"),
            Expected(.badURL, "anyone on the way could read the tokens", mend: "https://")),
        Case(
            "an endpoint on this machine of an issuer elsewhere",
            asked("{ endpoint: ‹http://127.0.0.1/ask, client_id: us, auth: basic, secret_file: s }"),
            Expected(.badURL, "not https, and its issuer is elsewhere", mend: "issuers on this machine")),
        Case(
            "an endpoint and an issuer on this machine",
            issuer(
                "  - { issuer: http://localhost:1, audience: a, introspection: "
                    + "{ endpoint: http://127.0.0.1:8080/ask, client_id: us, auth: post, secret_file: s } }")),
        Case("an endpoint with a query", asked("{ \(basic.replacing("/ask", with: "/ask?t=1")) }")),
        Case(
            "an endpoint with a fragment",
            asked("{ \(basic.replacing("https://i.example/ask", with: "\"https://i.example/‹#x\"")) }"),
            Expected(.badURL, "has a fragment")),
        Case(
            "an endpoint of two", asked("{ \(basic.replacing("https://i.example/ask", with: "‹[a, b]")) }"),
            Expected(.wrongType)),
        Case("a client with a space", asked("{ \(basic.replacing("client_id: us", with: "client_id: our service")) }")),
        Case(
            "a client beyond ASCII", asked("{ \(basic.replacing("client_id: us", with: "client_id: ‹é")) }"),
            Expected(.badName, "`é` is no client identifier", mend: "printable ASCII")),
        Case(
            "a client with a line end", asked("{ \(basic.replacing("client_id: us", with: "client_id: ‹\"a\\nb\"")) }"),
            Expected(.badName)),
        Case(
            "a client of 257 bytes",
            asked("{ \(basic.replacing("client_id: us", with: "client_id: ‹\(String(repeating: "c", count: 257))")) }"),
            Expected(.badName, mend: "at most 256")),
    ]

    static let authentications: [Case] = [
        Case("post", asked("{ \(start), auth: post, secret_file: s }")),
        Case("a key", asked("{ \(start), auth: private_key_jwt, key_file: k.jwk }")),
        Case("a certificate", asked("{ \(start), auth: mtls, key_file: k.pem, certificate_file: c.pem }")),
        Case(
            "unknown", asked("{ \(start), auth: ‹basik, secret_file: s }"),
            Expected(.badChoice, "`basik` is no value of `auth`", mend: "did you mean `basic`?")),
        Case(
            "none", asked("{ \(start), auth: ‹none }"),
            Expected(.badChoice, mend: "write one of `basic`, `post`, `private_key_jwt` and `mtls`")),
        Case(
            "basic without secret", asked("‹{ \(start), auth: basic }"),
            Expected(.missingKey, "`auth: basic` without `secret_file`", mend: "the client's secret")),
        Case(
            "post without secret", asked("‹{ \(start), auth: post }"),
            Expected(.missingKey, "`auth: post` without `secret_file`")),
        Case(
            "a key that is missing", asked("‹{ \(start), auth: private_key_jwt }"),
            Expected(.missingKey, "`auth: private_key_jwt` without `key_file`", mend: "private key")),
        Case(
            "a certificate that is missing", asked("‹{ \(start), auth: mtls, key_file: k }"),
            Expected(.missingKey, "`auth: mtls` without `certificate_file`", mend: "the client's certificate")),
        Case(
            "a key beside a secret", asked("{ \(basic), ‹key_file: k }"),
            Expected(
                .noEffect, "`key_file` has no effect with `auth: basic`",
                mend: "or write `auth: private_key_jwt` or `auth: mtls`")),
        Case(
            "a certificate beside a key",
            asked("{ \(start), auth: private_key_jwt, key_file: k, ‹certificate_file: c }"),
            Expected(.noEffect, "`certificate_file` has no effect with `auth: private_key_jwt`", mend: "`auth: mtls`")),
        Case(
            "a secret beside a certificate",
            asked("{ \(start), auth: mtls, key_file: k, certificate_file: c, ‹secret_file: s }"),
            Expected(.noEffect, "`secret_file` has no effect", mend: "`auth: basic` or `auth: post`")),
        Case("an empty path", asked("{ \(start), auth: basic, secret_file: ‹\"\" }"), Expected(.emptyValue)),
        Case(
            "a secret inline", asked("{ \(basic), ‹secret: hunter2 }"),
            Expected(.unknownKey, "unknown key `secret`", mend: "a policy holds no secrets")),
        Case(
            "a secret inline by its other name", asked("{ \(basic), ‹client_secret: hunter2 }"),
            Expected(.unknownKey, mend: "`secret_file`")),
        Case(
            "authorities for http",
            issuer(
                "  - { issuer: http://localhost:1, audience: a, introspection: "
                    + "{ endpoint: \"http://[::1]/ask\", client_id: us, auth: post, secret_file: s, ‹ca_file: ca.pem } }"
            ),
            Expected(.noEffect, "`ca_file` has no effect on an endpoint without https", mend: "remove it")),
    ]

    static let values: [Case] = [
        Case("opaque tokens", asked("{ \(basic), tokens: opaque, replies: json }")),
        Case(
            "unknown tokens", asked("{ \(basic), tokens: ‹jwt }"),
            Expected(.badChoice, "`jwt` is no value of `tokens`", mend: "write one of `opaque` and `all`")),
        Case(
            "unknown replies", asked("{ \(basic), replies: ‹jwe }"), Expected(.badChoice, mend: "did you mean `jwt`?")),
        Case("one second", asked("{ \(basic), cache: 1s, negative_cache: 0s, timeout: 50ms }")),
        Case("no cache", asked("{ \(basic), cache: ‹0s }"), Expected(.badDuration, mend: "write at least `1s`")),
        Case("a cache of more", asked("{ \(basic), cache: ‹3601s }"), Expected(.badDuration, "more than 3600 seconds")),
        Case(
            "a negative cache of more", asked("{ \(basic), negative_cache: ‹61s }"),
            Expected(.badDuration, "more than 60 seconds")),
        Case("a cache in milliseconds", asked("{ \(basic), cache: ‹500ms }"), Expected(.badDuration, "not a duration")),
        Case(
            "too little time", asked("{ \(basic), timeout: ‹49ms }"),
            Expected(.badDuration, "`49ms` is less than `50ms`", mend: "write at least `50ms`")),
        Case(
            "too much time", asked("{ \(basic), timeout: ‹5001ms }"),
            Expected(.badDuration, "`5001ms` is more than `5s`", mend: "write at most `5s`")),
        Case(
            "minutes", asked("{ \(basic), timeout: ‹1m }"),
            Expected(.badDuration, mend: "with `ms` or `s`, as in `800ms`")),
        Case("no unit", asked("{ \(basic), timeout: ‹800 }"), Expected(.badDuration, "`800` is not a duration")),
        Case("a unit alone", asked("{ \(basic), timeout: ‹ms }"), Expected(.badDuration)),
        Case("a part of a second", asked("{ \(basic), timeout: ‹0.5s }"), Expected(.badDuration)),
        Case("nine nines", asked("{ \(basic), timeout: ‹999999999s }"), Expected(.badDuration, "more than `5s`")),
        Case("time as a list", asked("{ \(basic), timeout: ‹[1s] }"), Expected(.wrongType)),
    ]

    static let keys: [Case] = [
        Case("opaque tokens need none", keyless("{ \(basic) }")),
        Case(
            "all tokens do", keyless("{ \(basic), tokens: all }", mark: "‹"),
            Expected(.missingKey, "an issuer without `keys`", mend: "only with `tokens: opaque` and `replies: json`")),
        Case(
            "signed replies do", keyless("{ \(basic), replies: jwt }", mark: "‹"),
            Expected(.missingKey, "an issuer without `keys`", mend: "`{ jwks_uri: https://… }`")),
        Case("without introspection", issuer("  - ‹{ issuer: https://i.example, audience: a }"), Expected(.missingKey)),
        Case("beside what is wrong", keyless("{ \(basic), cache: ‹x }"), Expected(.badDuration)),
        Case(
            "with DPoP and a lifetime", keyless("{ \(basic) }", more: ", max_lifetime: 1h, dpop: { nonce: required }")),
        Case(
            "algorithms of nothing", keyless("{ \(basic) }", more: ", ‹algorithms: [ES256]"),
            Expected(.noEffect, "`algorithms` of an issuer without `keys`", mend: "add `keys`")),
        Case(
            "status lists of nobody", keyless("{ \(basic) }", more: ", ‹status_lists: [https://s.example/]"),
            Expected(.noEffect, "`status_lists` of an issuer without `keys`")),
    ]

    private static func lists(_ text: String) -> String { extra("status_lists: \(text)") }

    static let statusLists: [Case] = [
        Case("a folder and a list", lists("[https://s.example/, \"https://s.example/x?y=1\"]")),
        Case("one", lists("https://s.example/lists/")),
        Case("none", lists("‹[]"), Expected(.emptyValue)),
        Case(
            "a host alone", lists("[‹https://s.example]"),
            Expected(.badURL, "neither a status list nor a folder", mend: "a `/` at its end")),
        Case(
            "over http", lists("[‹http://s.example/]"),
            Expected(.badURL, "anyone on the way could make revoked tokens good")),
        Case("on this machine", lists("[‹http://localhost/]"), Expected(.badURL, "its issuer is elsewhere")),
        Case(
            "on the issuer's machine",
            issuer(
                "  - { issuer: \"http://[::1]:1\", audience: a, keys: { discovery: true }, "
                    + "status_lists: http://127.0.0.1/s/ }")),
        Case("a fragment", lists("[\"https://s.example/‹#a\"]"), Expected(.badURL, "has a fragment")),
        Case(
            "twice", lists("[https://s.example/, ‹https://s.example/]"),
            Expected(.duplicateValue, "the status list `https://s.example/`")),
        Case("16", lists("[\((1...16).map { "https://s.example/\($0)/" }.joined(separator: ", "))]")),
        Case(
            "17", lists("‹[\((1...17).map { "https://s.example/\($0)/" }.joined(separator: ", "))]"),
            Expected(.limitExceeded, "more than 16 status lists")),
        Case(
            "a URL of 2,049 bytes", lists("[‹https://s.example/\(String(repeating: "a", count: 2_031))]"),
            Expected(.badURL, "2048 are the most")),
        Case("a mapping", lists("‹{}"), Expected(.wrongType)),
    ]

    static let lifetimes: [Case] = [
        Case("one second", extra("max_lifetime: 1s")), Case("a year and a day", extra("max_lifetime: 366d")),
        Case("no time", extra("max_lifetime: ‹0s"), Expected(.badDuration, mend: "write at least `1s`")),
        Case("longer", extra("max_lifetime: ‹367d"), Expected(.badDuration, mend: "write at most `366d`")),
        Case("no unit", extra("max_lifetime: ‹3600"), Expected(.badDuration, mend: "as in `1h`")),
    ]

    @Test(arguments: shapes) func shapeRules(_ one: Case) { check(one) }
    @Test(arguments: authentications) func authenticationRules(_ one: Case) { check(one) }
    @Test(arguments: values) func valueRules(_ one: Case) { check(one) }
    @Test(arguments: keys) func keyRules(_ one: Case) { check(one) }
    @Test(arguments: statusLists) func statusListRules(_ one: Case) { check(one) }
    @Test(arguments: lifetimes) func lifetimeRules(_ one: Case) { check(one) }

    // MARK: One issuer for opaque tokens

    private static func two(_ first: String, _ second: String, issuers: String) -> String {
        policyWith(
            issuers: """
                  - { issuer: https://a.example, audience: a, keys: { discovery: true }\(first) }
                  - { issuer: https://b.example, audience: a, keys: { discovery: true }\(second) }
                """, service: "    hosts: [api.example.com]\n    issuers: \(issuers)")
    }

    private static let with = ", introspection: { \(basic) }"
    private static let withAll = ", introspection: { \(basic), tokens: all }"

    static let services: [Case] = [
        Case("one of two", two(with, "", issuers: "[https://a.example, https://b.example]")),
        Case(
            "both", two(with, withAll, issuers: "[https://b.example, ‹https://a.example]"),
            Expected(
                .conflictingKeys,
                "two issuers of `api` would be asked about the same opaque tokens: `https://b.example` and `https://a.example`",
                mend: "write a service for each")),
    ]

    @Test(arguments: services) func serviceRules(_ one: Case) { check(one) }

    // MARK: What is read

    private func issuerModel(_ text: String, folder: String? = nil) throws -> IssuerModel {
        let policy = loadPolicy(source: Array(text.utf8), file: "p", folder: folder, now: testNow)
        return try #require(policy.model?.issuers.first)
    }

    @Test func defaults() throws {
        let found = try issuerModel(IntrospectionTests.keyless("{ \(IntrospectionTests.basic) }"))
        var expected = IntrospectionModel(endpoint: "https://i.example/ask", clientID: "us", authentication: .basic)
        expected.secretFile = "s"
        #expect(found.introspection == expected && found.keySource == IssuerModel.KeySource.none)
        #expect(expected.use == .opaque && !expected.demandsJWT && expected.timeoutMilliseconds == 800)
        #expect(expected.cacheSecondsMax == 60 && expected.negativeSecondsMax == 5)
        let plain = try issuerModel(policyWith())
        #expect(plain.introspection == nil && plain.statusLists == [] && plain.lifetimeSecondsMax == 0)
    }

    @Test func everyValue() throws {
        let text = IntrospectionTests.extra(
            "max_lifetime: 2h, status_lists: [https://s.example/b, https://s.example/a/], "
                + "introspection: { \(IntrospectionTests.start), tokens: all, auth: mtls, key_file: k.pem, "
                + "certificate_file: /c.pem, ca_file: ca.pem, replies: jwt, cache: 2m, negative_cache: 7s, timeout: 2s }"
        )
        let found = try issuerModel(text, folder: "/etc/policy")
        var expected = IntrospectionModel(endpoint: "https://i.example/ask", clientID: "us", authentication: .mutualTLS)
        expected.use = .all
        expected.demandsJWT = true
        expected.keyFile = "/etc/policy/k.pem"
        expected.certificateFile = "/c.pem"
        expected.certificateAuthorityFile = "/etc/policy/ca.pem"
        expected.cacheSecondsMax = 120
        expected.negativeSecondsMax = 7
        expected.timeoutMilliseconds = 2_000
        #expect(found.introspection == expected && found.keySource == .discovery)
        #expect(found.lifetimeSecondsMax == 7_200)
        #expect(found.statusLists == ["https://s.example/b", "https://s.example/a/"])
        let secret = try issuerModel(
            IntrospectionTests.asked("{ \(IntrospectionTests.start), auth: post, secret_file: s }"), folder: ".")
        #expect(secret.introspection?.authentication == .post && secret.introspection?.secretFile == "./s")
        let key = try issuerModel(
            IntrospectionTests.asked("{ \(IntrospectionTests.start), auth: private_key_jwt, key_file: k }"))
        #expect(key.introspection?.authentication == .privateKeyJWT && key.introspection?.keyFile == "k")
    }
}
