import Policy
import PolicyTables
import Signatures
import Testing

/// `publishers`: which service may publish itself, with which keys, and how far it may go.
@Suite struct PublisherReaderTests {
    /// RFC 8037 appendix A.2 and the P-256 key of RFC 7517 appendix A.1.
    static let ed25519 = "{ kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo, kid: ci }"
    static let p256 =
        "{ kty: EC, crv: P-256, x: MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4, "
        + "y: 4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM, kid: es }"

    private static func publisher(
        keys: String = "[\(ed25519)]", hosts: String = "[orders.example.com]", scopes: String = "[\"orders:*\"]",
        more: String = ""
    ) -> String {
        policyWith()
            + """

            publishers:
              orders:
                keys: \(keys)
                hosts: \(hosts)
                scopes: \(scopes)
            \(more)
            """
    }

    private static func more(_ line: String) -> String { publisher(more: "    " + line) }

    static let good: [Case] = [
        Case("the least", publisher()), Case("ES256", publisher(keys: "[\(p256)]")),
        Case("both", publisher(keys: "[\(ed25519), \(p256)]")),
        Case("alg and use", publisher(keys: "[\(ed25519.replacing(" }", ", alg: EdDSA, use: sig }"))]")),
        Case("a wildcard host", publisher(hosts: "[\"*.orders.example.com\", orders.example.com]")),
        Case("one scope", publisher(scopes: "[orders:read]")), Case("every scope", publisher(scopes: "[\"*\"]")),
        Case("base_path", more("base_path: /v1/orders")), Case("issuers", more("issuers: [https://id.example.com]")),
        Case("public", more("public: true")), Case("max_ttl", more("max_ttl: 7d")),
        Case("propose", more("widening: propose")), Case("refuse", more("widening: refuse")),
    ]

    static let bad: [Case] = [
        Case("no keys", publisher(keys: "‹[]"), Expected(.emptyValue)),
        Case(
            "a private key",
            publisher(keys: "[\(ed25519.replacing(" }", ", ‹d: nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A }"))]"),
            Expected(.notEnforced, "private key", mend: "make a new key")),
        Case(
            "RSA", publisher(keys: "[‹{ kty: RSA, crv: RSA, x: AA, kid: a }]"),
            Expected(.badAlgorithm, "signs no publications", mend: "Ed25519")),
        Case(
            "a secret", publisher(keys: "[‹{ kty: oct, crv: none, x: AA, kid: a }]"),
            Expected(.badAlgorithm, "signs no publications")),
        Case(
            "without kid", publisher(keys: "[‹{ kty: OKP, crv: Ed25519, x: AA }]"),
            Expected(.missingKey, "without `kid`")),
        Case(
            "one kid twice", publisher(keys: "[\(ed25519), \(p256.replacing("kid: es", "kid: ‹ci"))]"),
            Expected(.duplicateValue, "listed twice")),
        Case(
            "a short x", publisher(keys: "[{ kty: OKP, crv: Ed25519, x: ‹11qYAYKxCrfV, kid: a }]"),
            Expected(.badChoice, "not 32 bytes")),
        Case(
            "a point that is none",
            publisher(keys: "[\(p256.replacing("x: MK", "x: ‹AA"))]"), Expected(.badChoice, "this is no key")),
        Case(
            "a point of low order",
            publisher(keys: "[{ kty: OKP, crv: Ed25519, x: ‹AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA, kid: a }]"),
            Expected(.badChoice, "this is no key")),
        Case(
            "another algorithm", publisher(keys: "[\(ed25519.replacing(" }", ", alg: ‹ES256 }"))]"),
            Expected(.badAlgorithm, mend: "`Ed25519`")),
        Case(
            "a key for encryption", publisher(keys: "[\(ed25519.replacing(" }", ", use: ‹enc }"))]"),
            Expected(.badChoice, "signs nothing")),
        Case("a space in kid", publisher(keys: "[\(ed25519.replacing("kid: ci", "kid: ‹c i"))]"), Expected(.badName)),
        Case("no hosts", publisher(hosts: "‹[]"), Expected(.emptyValue)),
        Case("a wrong host", publisher(hosts: "[‹Orders.example.com]"), Expected(.badHost)),
        Case("a host twice", publisher(hosts: "[a.example, ‹a.example]"), Expected(.duplicateValue)),
        Case("no scopes", publisher(scopes: "‹[]"), Expected(.emptyValue)),
        Case("a wildcard in the middle", publisher(scopes: "[‹\"or*ers\"]"), Expected(.badWildcard)),
        Case("a wildcard within a word", publisher(scopes: "[‹\"ord*\"]"), Expected(.badWildcard)),
        Case("a space in a scope", publisher(scopes: "[‹\"a b\"]"), Expected(.badName)),
        Case("unknown issuer", more("issuers: [‹https://id2.example.com]"), Expected(.unknownIssuer)),
        Case("base_path with a parameter", more("base_path: ‹/v1/{x}"), Expected(.badPath)),
        Case("public false", more("public: ‹false"), Expected(.wrongType, mend: "remove the key")),
        Case("no time", more("max_ttl: ‹0s"), Expected(.badDuration)),
        Case("more than a year", more("max_ttl: ‹367d"), Expected(.badDuration)),
        Case("another widening", more("widening: ‹allow"), Expected(.badChoice)),
        Case("an unknown key", more("‹key: x"), Expected(.unknownKey)),
        Case("dots as a name", publisher().replacing("  orders:\n    keys", "  ‹..:\n    keys"), Expected(.badName)),
        Case(
            "a slash in the name", publisher().replacing("  orders:\n    keys", "  ‹a/b:\n    keys"), Expected(.badName)
        ),
    ]

    @Test(arguments: good + bad) func reads(_ one: Case) { check(one) }

    @Test func whatIsRead() throws {
        let policy = load(
            PublisherReaderTests.publisher(
                keys: "[\(PublisherReaderTests.ed25519), \(PublisherReaderTests.p256)]", scopes: "[\"orders:*\", pay]",
                more: """
                        base_path: /v1
                        issuers: [https://id.example.com]
                        public: true
                        max_ttl: 24h
                        widening: refuse
                    """))
        let publisher = try #require(policy.model?.publishers.first)
        #expect(publisher.name == "orders" && publisher.keys.map(\.keyID) == ["ci", "es"])
        #expect(publisher.keys.map(\.algorithm) == [.ed25519, .es256])
        #expect(publisher.hosts == ["orders.example.com"] && publisher.basePath == [.literal("v1")])
        #expect(publisher.issuers == ["https://id.example.com"] && publisher.allowsPublic)
        #expect(publisher.ttlSecondsMax == 86_400 && publisher.widening == .refuse)
        for key in publisher.keys { #expect(throws: Never.self) { try key.publicKey() } }
    }

    @Test func coversItsScopesOnly() {
        let publisher = PublisherModel(name: "a", keys: [], hosts: [], scopes: ["orders:*", "pay"])
        for scope in ["orders:read", "orders:a:b", "pay"] { #expect(publisher.covers(scope: scope)) }
        for scope in ["orders:", "orders", "payments", "pay:x", "Orders:read", "", "orders*", "xorders:read"] {
            #expect(!publisher.covers(scope: scope), "\(scope)")
        }
        #expect(PublisherModel(name: "a", keys: [], hosts: [], scopes: ["*"]).covers(scope: "anything"))
    }

    @Test func severalFilesEachWithPublishers() throws {
        let files = [
            PolicyBundle.File(name: "a.yaml", bytes: Array(PublisherReaderTests.publisher().utf8)),
            PolicyBundle.File(
                name: "b.yaml",
                bytes: Array(
                    """
                    scopecheck: 1
                    publishers:
                      orders: { keys: [\(PublisherReaderTests.p256)], hosts: [b.example], scopes: [b] }
                    """.utf8)),
        ]
        let bundle = try #require(PolicyBundle(files: files))
        let policy = loadPolicy(bundle: bundle, now: testNow)
        #expect(policy.model == nil && policy.diagnostics.map(\.code) == [.duplicateKey], "\(policy.diagnostics)")
    }

    /// What a service is yet to publish.
    @Test func scopesAndIssuersThatArePublishersAreUsed() {
        let declared = "  orders:read: {}\n  orders:write: {}\n  orders: {}\n  read: {}\n  write: {}"
        let other = "\n  - { issuer: https://other.example, audience: a, keys: { discovery: true } }"
        func codes(_ scopes: String, _ more: String) -> [DiagnosticCode] {
            load(
                PublisherReaderTests.publisher(scopes: scopes, more: more)
                    .replacing("  read: {}\n  write: {}", declared)
                    .replacing("keys: { discovery: true } }", "keys: { discovery: true } }" + other)
                    .replacing(
                        "hosts: [api.example.com]", "hosts: [api.example.com]\n    issuers: [https://id.example.com]")
            ).diagnostics.map(\.code)
        }
        // `orders` alone is not of `orders:*`.
        #expect(codes("[\"orders:*\"]", "") == [.unusedScope])
        #expect(codes("[orders:read, orders]", "") == [.unusedScope])
        #expect(codes("[\"*\"]", "") == [])
        #expect(codes("[\"*\"]", "    issuers: [https://id.example.com]") == [.unusedIssuer])
    }

    // MARK: Ends

    private static func ends(_ text: String) -> String { policyWith() + "\npublications: \(text)\n" }

    static let publications: [Case] = [
        Case("an end", ends("{ api: { ends: 2027-01-01T00:00:00Z } }")),
        Case("one that has passed", ends("{ api: { ends: 2020-01-01T00:00:00Z } }")),
        Case(
            "no such service", ends("{ ‹other: { ends: 2027-01-01T00:00:00Z } }"),
            Expected(.unknownKey, "no service `other`")),
        Case("no end", ends("{ ‹api: {} }"), Expected(.missingKey, "without `ends`")),
        Case("no time", ends("{ api: { ends: ‹tomorrow } }"), Expected(.badTime)),
        Case("a list", ends("‹[api]"), Expected(.wrongType)),
    ]

    @Test(arguments: publications) func readsEnds(_ one: Case) { check(one) }

    @Test func theEndIsTheService() throws {
        let policy = load(PublisherReaderTests.ends("{ api: { ends: 2027-01-01T00:00:00Z } }"))
        #expect(policy.model?.services.first?.until == 1_798_761_600)
    }
}

extension String {
    /// With the first occurrence of a text replaced.
    func replacing(_ text: String, _ other: String) -> String { replacing(text, with: other, maxReplacements: 1) }
}
