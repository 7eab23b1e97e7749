import Policy
import PolicyTables
import Signatures
import Testing

/// Publications against the policy in force: who may publish what.
@Suite struct PublisherReviewTests {
    static let key: PrivateKey? = try? PrivateKey.generate(.ed25519)
    static let now: Int64 = 1_794_614_400

    static func publicKey() throws -> String {
        let key = try #require(key)
        let jwk = try PrivateJWKText.publicText(key)
        return jwk
    }

    static func policy(_ more: String = "", services: String = "") throws -> String {
        """
        scopecheck: 1
        issuers:
          - { issuer: https://id.example.com, audience: https://api.example.com, keys: { discovery: true } }
          - { issuer: https://id2.example.com, audience: https://api.example.com, keys: { discovery: true } }
        scopes:
          orders:read: {}
          payments:charge: {}
        services:
          pay:
            issuers: [https://id.example.com]
            hosts: [pay.example.com, shared.example.com]
            routes:
              - { match: POST /charges, scopes: payments:charge }
              - { match: "GET /v1/pay/{id}", scopes: payments:charge }
        \(services)
        publishers:
          orders:
            keys: [\(try publicKey())]
            hosts: [orders.example.com, shared.example.com]
            scopes: ["orders:*"]
        \(more)
        """
    }

    static func file(
        host: String = "orders.example.com", service: String = "",
        route: String = "{ match: GET /v1/orders, scopes: orders:read }",
        more: String = ""
    ) -> String {
        """
        scopecheck: 1
        services:
          orders:
            hosts: [\(host)]
            issuers: [https://id.example.com]
        \(service)
            routes:
              - \(route)
        \(more)
        """
    }

    struct Attempt {
        var active: PolicyBundle
        var widenings: PublicationWidenings = []
        var environment: String?
        var ttl = 0
        var signer: PrivateKey?
        var keyID = "ci"
        var withdraws = false
        var term = PublicationReview.Term.fromNow

        init(_ policy: String) throws { active = PolicyBundle(source: Array(policy.utf8)) }

        func judge(_ file: String) throws -> PublicationReview.Judgement {
            let bytes = withdraws ? [] : Array(file.utf8)
            let action: PublicationStatement.Action =
                withdraws ? .withdraw : .publish(file: sha256(bytes.span), ttlSeconds: ttl)
            let statement = PublicationStatement(action: action, service: "orders", environment: environment, serial: 5)
            let own = try #require(PublisherReviewTests.key)
            let sent = try SignedPublication.sign(
                statement, file: bytes, key: signer ?? own, algorithm: .ed25519, keyID: keyID)
            let found = widenings
            return try PublicationReview(active: active, folder: nil, now: PublisherReviewTests.now) { _, _ in found }
                .judge(sent, term)
        }

        func reason(_ file: String) throws -> PublicationRefusal.Reason? {
            do {
                _ = try judge(file)
                return nil
            } catch let refusal as PublicationRefusal {
                #expect(!refusal.message.isEmpty)
                return refusal.reason
            }
        }
    }

    private func reason(_ file: String, _ more: String = "") throws -> PublicationRefusal.Reason? {
        try Attempt(try PublisherReviewTests.policy(more)).reason(file)
    }

    @Test func warningsOfTheFileAreTold() throws {
        let attempt = try Attempt(try PublisherReviewTests.policy())
        #expect(try attempt.judge(PublisherReviewTests.file()).warnings.isEmpty)
        let file = PublisherReviewTests.file().replacing("match: GET ", with: "match: GTE ")
        let warnings = try attempt.judge(file).warnings
        let first = try #require(warnings.first)
        #expect(
            first.hasPrefix("published/orders/routes.yaml:") && first.contains("warning: ") && first.contains("GTE"))
        #expect(warnings.count <= PublicationReview.warningsMax && !first.contains("\n"))
    }

    // MARK: What it becomes

    @Test func theServiceJoinsThePolicy() throws {
        let file = PublisherReviewTests.file()
        let judgement = try Attempt(try PublisherReviewTests.policy()).judge(file)
        #expect(judgement.bundle.files.map(\.name) == ["policy.yaml", "published/orders/routes.yaml"])
        #expect(judgement.bundle.files[1].bytes == Array(file.utf8))
        #expect(judgement.model.services.map(\.name) == ["pay", "orders"])
        #expect(judgement.ends == nil && judgement.widenings.isEmpty)
    }

    @Test func itsEndIsInThePolicy() throws {
        var attempt = try Attempt(try PublisherReviewTests.policy("    max_ttl: 1h"))
        #expect(try attempt.reason(PublisherReviewTests.file()) == .timeLimit)
        attempt.ttl = 3_601
        #expect(try attempt.reason(PublisherReviewTests.file()) == .timeLimit)
        attempt.ttl = 3_600
        let judgement = try attempt.judge(PublisherReviewTests.file())
        #expect(judgement.ends == PublisherReviewTests.now + 3_600)
        #expect(judgement.model.services.last?.until == PublisherReviewTests.now + 3_600)
        #expect(judgement.bundle.files.map(\.name).contains("published/orders/end.yaml"))
        // Published again without an end, there is none.
        attempt = try Attempt(try PublisherReviewTests.policy())
        attempt.active = judgement.bundle
        attempt.ttl = 60
        #expect(try attempt.judge(PublisherReviewTests.file()).ends == PublisherReviewTests.now + 60)
    }

    @Test func anApprovedOneKeepsItsEnd() throws {
        var attempt = try Attempt(try PublisherReviewTests.policy())
        attempt.ttl = 3_600
        attempt.term = .approved(ends: PublisherReviewTests.now + 10)
        #expect(try attempt.judge(PublisherReviewTests.file()).ends == PublisherReviewTests.now + 10)
        attempt.term = .approved(ends: PublisherReviewTests.now)
        #expect(try attempt.reason(PublisherReviewTests.file()) == .ended)
    }

    @Test func withdrawing() throws {
        var attempt = try Attempt(try PublisherReviewTests.policy())
        attempt.withdraws = true
        #expect(try attempt.reason("") == .notPublished)
        attempt.active = try Attempt(try PublisherReviewTests.policy()).judge(PublisherReviewTests.file()).bundle
        let judgement = try attempt.judge("")
        #expect(judgement.model.services.last?.until == PublisherReviewTests.now && judgement.widenings.isEmpty)
    }

    /// The end of what was published must neither hide what comes after it nor look like more when it is put off.
    @Test func endsPlayNoPartInWhatWidens() throws {
        let policy = try PublisherReviewTests.policy()
        var first = try Attempt(policy)
        first.withdraws = true
        first.active = try Attempt(policy).judge(PublisherReviewTests.file()).bundle
        let ended = try first.judge("").bundle
        let bytes = Array(PublisherReviewTests.file().utf8)
        let statement = PublicationStatement(
            action: .publish(file: sha256(bytes.span), ttlSeconds: 60), service: "orders", serial: 6)
        let sent = try SignedPublication.sign(
            statement, file: bytes, key: try #require(PublisherReviewTests.key), algorithm: .ed25519, keyID: "ci")
        var compared = 0
        let review = PublicationReview(active: ended, folder: nil, now: PublisherReviewTests.now + 5) { old, new in
            compared += 1
            #expect(old.services.map(\.until) == [nil, nil] && new.services.map(\.until) == [nil, nil])
            #expect(old == new)
            return []
        }
        let judgement = try review.judge(sent)
        #expect(compared == 1 && judgement.model.services.last?.until == PublisherReviewTests.now + 65)
    }

    @Test func whatWidens() throws {
        var attempt = try Attempt(try PublisherReviewTests.policy())
        attempt.widenings = ["more"]
        #expect(try attempt.judge(PublisherReviewTests.file()).widenings == ["more"])
        attempt.active = try Attempt(try PublisherReviewTests.policy("    widening: refuse")).active
        #expect(try attempt.reason(PublisherReviewTests.file()) == .widens)
    }

    // MARK: Who it is

    @Test func onlyTheServiceSKeySigns() throws {
        var attempt = try Attempt(try PublisherReviewTests.policy())
        attempt.signer = try PrivateKey.generate(.ed25519)
        #expect(try attempt.reason(PublisherReviewTests.file()) == .badSignature)
        // Nothing of a file that nobody signed is read.
        #expect(try attempt.reason("\u{0}{{{") == .badSignature)
        attempt.signer = nil
        attempt.keyID = "ci2"
        #expect(try attempt.reason(PublisherReviewTests.file()) == .unknownKey)
    }

    @Test func environments() throws {
        var attempt = try Attempt(try PublisherReviewTests.policy())
        attempt.environment = "prod"
        #expect(try attempt.reason(PublisherReviewTests.file()) == .wrongEnvironment)
        let policy = try PublisherReviewTests.policy() + "\nenvironments: { prod: {}, staging: {} }\n"
        attempt.active = try #require(
            PolicyBundle(
                files: [PolicyBundle.File(name: "policy.yaml", bytes: Array(policy.utf8))], environment: "prod"))
        #expect(try attempt.reason(PublisherReviewTests.file()) == nil)
        attempt.environment = "staging"
        #expect(try attempt.reason(PublisherReviewTests.file()) == .wrongEnvironment)
        attempt.environment = nil
        #expect(try attempt.reason(PublisherReviewTests.file()) == .wrongEnvironment)
    }

    @Test func aServiceOfThePolicySOwn() throws {
        let own =
            "  orders: { hosts: [o.example], issuers: [https://id.example.com], routes: [{ match: GET /, scopes: orders:read }] }"
        let attempt = try Attempt(try PublisherReviewTests.policy(services: own))
        #expect(try attempt.reason(PublisherReviewTests.file()) == .definedElsewhere)
    }

    // MARK: How far it may go

    @Test func hosts() throws {
        #expect(try reason(PublisherReviewTests.file(host: "pay.example.com")) == .outsideHosts)
        #expect(try reason(PublisherReviewTests.file(host: "orders.example.com, \"*.example.com\"")) == .outsideHosts)
        #expect(try reason(PublisherReviewTests.file(host: "x.orders.example.com")) == .outsideHosts)
    }

    @Test func paths() throws {
        let more = "    base_path: /v1"
        #expect(try reason(PublisherReviewTests.file(), more) == nil)
        for path in ["/orders", "/v2/orders", "/{v}/orders", "/**", "/v1x/orders", "/"] {
            let file = PublisherReviewTests.file(route: "{ match: \"GET \(path)\", scopes: orders:read }")
            #expect(try reason(file, more) == .outsidePath, "\(path)")
        }
        let resource = PublisherReviewTests.file(service: "    resource: https://orders.example.com/v2")
        #expect(try reason(resource, more) == .outsidePath)
        #expect(
            try reason(PublisherReviewTests.file(service: "    resource: https://orders.example.com/v1"), more) == nil)
    }

    @Test func routes() throws {
        #expect(try reason(PublisherReviewTests.file(route: "{ match: GET /v1/x, public: true }")) == .publicRoute)
        #expect(
            try reason(PublisherReviewTests.file(route: "{ match: GET /v1/x, public: true }"), "    public: true")
                == nil)
        #expect(
            try reason(
                PublisherReviewTests.file(
                    route: "{ match: GET /x, scopes: orders:read, mode: observe, until: 2099-01-01T00:00:00Z }"))
                == .observeMode)
        for key in ["mode: enforce", "kind: http", "ends: 2099-01-01T00:00:00Z", "until: 2099-01-01T00:00:00Z"] {
            #expect(try reason(PublisherReviewTests.file(service: "    \(key)")) == .outsideFile, "\(key)")
        }
        #expect(
            try reason(
                PublisherReviewTests.file().replacing("https://id.example.com", "https://id2.example.com"),
                "    issuers: [https://id.example.com]") == .outsideIssuers)
    }

    /// The metadata of a service is public without being asked for; nothing else is, however it is called.
    @Test func metadata() throws {
        func file(_ service: String, _ route: String) -> String {
            PublisherReviewTests.file(service: service, route: "{ match: \(route), public: true }")
        }
        let resource = "    resource: https://orders.example.com/v1"
        let path = "GET /.well-known/oauth-protected-resource/v1"
        #expect(try reason(PublisherReviewTests.file(service: resource)) == nil)
        #expect(try reason(PublisherReviewTests.file(service: resource), "    base_path: /v1") == nil)
        #expect(try reason(file(resource + "\n    base_path: /v1", path)) == .publicRoute)
        #expect(try reason(file(resource + "\n    base_path: /v2", path), "    base_path: /v1") == .outsidePath)
        #expect(try reason(file(resource, path)) == .policyErrors)
        #expect(try reason(file(resource, path.replacing("GET", "POST"))) == .publicRoute)
    }

    @Test func scopes() throws {
        #expect(
            try reason(PublisherReviewTests.file(route: "{ match: GET /x, scopes: payments:charge }")) == .outsideScopes
        )
        #expect(
            try reason(
                PublisherReviewTests.file(route: "{ match: GET /x, scopes: { any: [orders:read, payments:charge] } }"))
                == .outsideScopes)
        #expect(try reason(PublisherReviewTests.file(more: "scopes: { orders:all: { implies: \"orders:*\" } }")) == nil)
        for scopes in [
            "{ payments:all: {} }", "{ orders:all: { implies: payments:charge } }",
            "{ orders:all: { implies: \"*\" } }",
            "{ orders:a: { implies: orders:b }, orders:b: { implies: [payments:charge] } }",
        ] {
            #expect(try reason(PublisherReviewTests.file(more: "scopes: \(scopes)")) == .outsideScopes, "\(scopes)")
        }
        // Nobody's scope is defined a second time.
        #expect(try reason(PublisherReviewTests.file(more: "scopes: { orders:read: {} }")) == .policyErrors)
    }

    @Test func sections() throws {
        for section in [
            "issuers: []", "clients: { a: {} }", "roles: {}", "environments: {}", "publishers: {}", "publications: {}",
            "x: y",
        ] {
            #expect(try reason(PublisherReviewTests.file(more: section)) == .outsideFile, "\(section)")
        }
        let other = PublisherReviewTests.file().replacing("  orders:\n", "  pay2:\n")
        #expect(try reason(other) == .outsideFile)
        #expect(try reason(other.replacing("services:", "scopes:")) == .outsideFile)
        #expect(try reason("scopecheck: 1\nservices: [orders]\n") == .outsideFile)
        #expect(try reason("") == .policyErrors)
        #expect(try reason("\u{0}") == .policyErrors)
        #expect(try reason("a: &a [*a]\n") == .outsideFile)
    }

    @Test func testsAreAboutTheService() throws {
        func file(_ test: String) -> String { PublisherReviewTests.file(more: "tests: [\(test)]") }
        let ask = "scopes: [orders:read], issuer: https://id.example.com, expect: deny"
        #expect(try reason(file("{ request: GET https://orders.example.com/x, \(ask) }")) == nil)
        #expect(try reason(file("{ request: GET https://pay.example.com/x, \(ask) }")) == .outsideHosts)
        #expect(try reason(file("{ connect: 9000, expect: deny }")) == .outsideFile)
    }

    /// A host of its own hides all of a wildcard.
    @Test func aHostBehindAnothersWildcard() throws {
        let users = """
              users:
                hosts: ["*.example.com"]
                routes:
                  - { match: GET /users/list, public: true }
            """
        func reason(_ services: String) throws -> PublicationRefusal.Reason? {
            try Attempt(try PublisherReviewTests.policy(services: services)).reason(PublisherReviewTests.file())
        }
        #expect(try reason(users) == .overlaps)
        #expect(try reason(users.replacing("*.example.com", with: "*.example.org")) == nil)
        // Where the host is the other's too, nothing is taken away.
        #expect(try reason(users.replacing("[\"*", with: "[orders.example.com, \"*")) == nil)
    }

    @Test func pathsAndTestsByBytes() throws {
        let base = "    base_path: /caf%C3%A9"
        func route(_ path: String, _ more: String = "") -> String {
            PublisherReviewTests.file(route: "{ match: GET \(path), scopes: orders:read }", more: more)
        }
        func test(_ path: String) -> String {
            route(
                "/caf%C3%A9/x", "tests: [{ request: \"GET https://orders.example.com\(path)\", expect: unknown_route }]"
            )
        }
        #expect(try reason(route("/caf%C3%A9/x"), base) == nil)
        #expect(try reason(route("/cafe%CC%81/x"), base) == .outsidePath)
        #expect(try reason(test("/caf%C3%A9/new"), base) == nil)
        #expect(try reason(test("/users/new"), base) == .outsideHosts)
    }

    /// On a host of both services neither takes requests from the other.
    @Test func overlaps() throws {
        func file(_ path: String) -> String {
            PublisherReviewTests.file(
                host: "shared.example.com", route: "{ match: \"GET \(path)\", scopes: orders:read }")
        }
        for path in ["/charges", "/{any}", "/**", "/v1/pay/7", "/v1/{a}/{b}", "/v1/pay/**"] {
            #expect(try reason(file(path)) == .overlaps, "\(path)")
        }
        for path in ["/orders", "/charges/7", "/v1/orders/7", "/v1/pay/7/x", "/v1/pay/", "/v1/pay"] {
            #expect(try reason(file(path)) == nil, "\(path)")
        }
        // A base path is given away whole: what lies above it is not meant.
        #expect(try reason(file("/v1/pay/7"), "    base_path: /v1/pay") == .overlaps)
        #expect(try reason(file("/v1/orders"), "    base_path: /v1/orders") == nil)
    }
}

/// Public JWKs as a policy holds them.
enum PrivateJWKText {
    static func publicText(_ key: PrivateKey) throws -> String {
        let components = try key.components()
        guard case .ed25519(let x, _) = components else { return "" }
        return "{ kty: OKP, crv: Ed25519, x: \"\(base64URL(x))\", kid: ci }"
    }

    private static func base64URL(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        var text = ""
        var bits: UInt32 = 0
        var count = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 8
            while count >= 6 {
                text.append(alphabet[Int(bits >> UInt32(count - 6)) & 63])
                count -= 6
            }
        }
        if count > 0 { text.append(alphabet[Int(bits << UInt32(6 - count)) & 63]) }
        return text
    }
}
