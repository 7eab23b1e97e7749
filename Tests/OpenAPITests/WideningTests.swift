import OpenAPI
import Testing

/// Documents whose import could let in what they keep out: refused, or imported as they say.
@Suite struct WideningTests {
    @Test(arguments: [
        ("  /a:\n    get: { $ref: '#/x' }", "`GET /a` is a reference"),
        ("  /a:\n    security: [{ oauth: [read] }]\n    get: {}", "has `security` beside its operations"),
        ("  /v1/{name=a/*}:\n    get: { security: [{ oauth: [read] }] }", "has a `/` within `{ }`"),
        ("  /a:\n    servers: [{ description: x }]\n    get: {}", "a server has no `url`"),
        (
            "  /a:\n    servers: [{ url: https://api.example.com }, { url: 'https://api.example.com?y' }]\n    get: {}",
            "cannot be used: it has a query or fragment"
        ),
        (
            "  /a:\n    servers: [{ url: https://api.example.com }, { url: 'https://api.example.com/{' }]\n    get: {}",
            "cannot be used: its path is no base path"
        ),
        ("  /a:\n    get: { ? !!merge x : { security: [] } }", "a merge key is not read"),
        ("  /b: { x-y: &m << }\n  /a:\n    get: { ? *m : { security: [] } }", "the merge key `<<` is not read"),
    ]) func refused(_ text: String, _ message: String) {
        let found = refusal(paths(text))
        #expect(found.contains(message), "\(found)")
    }

    /// Where flows are references, the authorities of a scheme stand there.
    @Test func flowsBehindReferences() {
        let text = paths(
            "  /a:\n    get: { security: [{ far: [read] }, { oauth: [read] }] }",
            top: "x: { f: { device: { $ref: '#/x/d' } }, d: { tokenUrl: https://far.example/t } }"
        ).replacing(
            "    bearer: { type: http, scheme: Bearer }",
            with: "    bearer: { type: http, scheme: Bearer }\n    far: { type: oauth2, flows: { $ref: '#/x/f' } }")
        #expect(refusal(text).contains("tokens of 2 authorities"), "\(refusal(text))")
    }

    /// A hidden path is hidden for all methods, those of weaker paths too.
    @Test func hiddenPathWithinASegment() throws {
        let text = paths("  /{x}.json: {}\n  /{y}:\n    put: { security: [] }\n    get: { security: [] }")
        #expect(refusal(text).contains("no operation that a policy can express"), "\(refusal(text))")
    }

    /// Servers whose host is none are at the hosts that are named, with their paths.
    @Test func pathsOfServersWithOtherHosts() throws {
        let text = paths(
            """
              /secret:
                servers: [{ url: 'https://a_b.example/v9' }, { url: https://api.example.com }]
                get: { security: [{ key: [] }] }
              /{x}/secret:
                servers: [{ url: https://api.example.com }]
                get: { security: [] }
            """)
        var options = ImportOptions()
        options.hosts = ["api.example.com"]
        let decided = try Decided(ServiceImport(document(text), options))
        #expect(try decided.allows("GET", "/v8/secret", []))
        #expect(try !decided.allows("GET", "/v9/secret", []))
    }
}
