import Octets
@testable import PolicyTables
import Signatures
import Store
import Testing

/// Metadata of protected resources (RFC 9728): where it stands, what it says, and how it is kept.
@Suite struct ResourceMetadataTests {
    static let wellKnown = "/.well-known/oauth-protected-resource"

    @Test(arguments: [
        ("https://h.example", "https://h.example\(wellKnown)", "h.example", wellKnown),
        ("https://h.example/", "https://h.example\(wellKnown)", "h.example", wellKnown),
        ("https://h.example/mcp", "https://h.example\(wellKnown)/mcp", "h.example", "\(wellKnown)/mcp"),
        ("https://h.example/mcp/", "https://h.example\(wellKnown)/mcp/", "h.example", "\(wellKnown)/mcp/"),
        ("https://h.example/a/b%20c", "https://h.example\(wellKnown)/a/b%20c", "h.example", "\(wellKnown)/a/b%20c"),
        ("https://h.example:8443/v1", "https://h.example:8443\(wellKnown)/v1", "h.example", "\(wellKnown)/v1"),
        ("https://h.example:8443", "https://h.example:8443\(wellKnown)", "h.example", wellKnown),
        ("https://[::1]:8443/v1", "https://[::1]:8443\(wellKnown)/v1", "[::1]", "\(wellKnown)/v1"),
        ("https://[::1]", "https://[::1]\(wellKnown)", "[::1]", wellKnown),
        ("http://localhost/x", "http://localhost\(wellKnown)/x", "localhost", "\(wellKnown)/x"),
    ]) func places(_ resource: String, _ url: String, _ host: String, _ path: String) throws {
        let place = try #require(MetadataPlace(resource: resource))
        #expect(place.url == url && place.host == host && place.path == path)
    }

    @Test(arguments: [
        "", "h.example", "ftp://h.example", "https:/h.example", "https://", "https:///x", "https://:443/x",
        "https://h.example/?a", "https://h.example?a", "https://h.example/#a", "https://h.example/a b",
        "https://h.example/é", "https://h.example/\u{7F}", "https://\(String(repeating: "h", count: 254))",
        "https://h.example/\(String(repeating: "a", count: 200))",
    ]) func noPlaces(_ resource: String) { #expect(MetadataPlace(resource: resource) == nil) }

    /// The longest of all still has a key that the store holds.
    @Test func longestPlace() throws {
        let host = String(repeating: "h", count: 253)
        let resource = "https://\(host)/\(String(repeating: "a", count: 199))"
        let place = try #require(MetadataPlace(resource: resource))
        let version = PolicyStore.version(ofSource: [1].span)
        #expect(TableKey.metadata(version, host: place.host, path: place.path).count == 507)
        var policy = model([service("s", hosts: [host], [route("GET /a")])])
        policy.services[0].resource = resource
        let temporary = try TemporaryStore()
        let stored = try temporary.add(policy, "longest")
        #expect(try temporary.store.metadata(stored, host: host, path: place.path) != nil)
        #expect(try temporary.store.metadata(stored, host: host + "h", path: place.path + "aaaaaaaa") == nil)
    }

    /// The document of the one service that publishes one.
    static func document(_ change: (inout PolicyModel) -> Void) throws -> String {
        var policy = model([service("api", hosts: ["h.example"], [])])
        policy.services[0].resource = "https://h.example/mcp"
        change(&policy)
        let found = try PolicyCompiler(policy).metadata
        #expect(found.count == 1 && found.first?.service == "api")
        return String(decoding: found.first?.document ?? [], as: UTF8.self)
    }

    static let head = #"{"resource":"https://h.example/mcp","authorization_servers":["https://id.example.com"],"#
    static let algorithms = #""dpop_signing_alg_values_supported":["ES256","ES384","ES512","Ed25519","PS256","RS256"]"#

    @Test func nothingButPublicRoutes() throws {
        let text = try ResourceMetadataTests.document { policy in
            policy.services[0].issuers = []
            policy.services[0].routes = [route("GET /a")]
        }
        #expect(
            text == #"{"resource":"https://h.example/mcp","bearer_methods_supported":["header"],"resource_name":"api"}"#
        )
    }

    @Test func everything() throws {
        let text = try ResourceMetadataTests.document { policy in
            policy.issuers.append(policy.issuers[0])
            policy.issuers[1].issuer = "https://other.example"
            policy.issuers[1].proofs = CatalogueTests.proofs([.es512, .rs256, .es256])
            policy.issuers.append(policy.issuers[0])
            policy.services[0].issuers = [0, 1]
            policy.scopes[0].name = "offline_access"
            policy.scopes[2].name = "a\"b"
            policy.services[0].routes = [
                bound(route("GET /a", .scopes(all: [3, 0], any: [1])), details: [2]),
                bound(route("GET /b", .scopes(all: [], any: [1, 2])), details: [0, 2]), route("GET /c"),
                route("OPTIONS /**", .preflight),
            ]
        }
        #expect(
            text
                == #"{"resource":"https://h.example/mcp","#
                + #""authorization_servers":["https://id.example.com","https://other.example"],"#
                + #""scopes_supported":["a\"b","scope:1","scope:3"],"bearer_methods_supported":["header"],"#
                + #""resource_name":"api","dpop_signing_alg_values_supported":["ES256","ES512","RS256"],"#
                + #""dpop_bound_access_tokens_required":true,"#
                + #""authorization_details_types_supported":["type:0","type:2"]}"#)
    }

    @Test(
        arguments: [
            ([.dpop, .dpop], #","dpop_bound_access_tokens_required":true"#),
            ([.certificate, .certificate], #","tls_client_certificate_bound_access_tokens":true"#),
            ([.dpop, .certificate], ""), ([.dpop, .any], ""), ([.certificate, .any], ""), ([.any, .any], ""),
            ([.dpop, .none], ""), ([.certificate, .none], ""), ([.none, .none], ""),
        ] as [([ProofDemand], String)])
    func proofsOfAllRoutes(_ proofs: [ProofDemand], _ member: String) throws {
        let text = try ResourceMetadataTests.document { policy in
            policy.services[0].routes = proofs.enumerated().map { number, proof in
                bound(
                    route("GET /\(number)", .scopes(all: [0], any: [])), proof, nonce: false, acr: [], ageSecondsMax: 0,
                    details: [])
            }
        }
        #expect(
            text
                == ResourceMetadataTests.head
                + #""scopes_supported":["scope:0"],"bearer_methods_supported":["header"],"resource_name":"api","#
                + ResourceMetadataTests.algorithms + member + "}")
    }

    /// Without the header there is no way to send a proof, and none that the registry knows to send the token.
    @Test(arguments: [
        ServiceModel.TokenSource.cookie("s"), .webSocketProtocol("bearer"),
    ]) func tokensFromElsewhere(_ source: ServiceModel.TokenSource) throws {
        let text = try ResourceMetadataTests.document { $0.services[0].tokenSource = source }
        #expect(text == ResourceMetadataTests.head + #""resource_name":"api"}"#)
    }

    @Test func issuersWithoutCommonAlgorithms() throws {
        let text = try ResourceMetadataTests.document { policy in
            policy.issuers.append(policy.issuers[0])
            policy.issuers[0].proofs = CatalogueTests.proofs([.es256])
            policy.issuers[1].proofs = CatalogueTests.proofs([.rs256])
            policy.services[0].issuers = [0, 1]
        }
        #expect(!text.contains("dpop"))
    }

    // MARK: In the store

    static var several: PolicyModel {
        var policy = model([
            service("b", hosts: ["b.example", "*.wild.example"], [route("GET /a")]),
            service("a", hosts: ["a.example"], [route("GET /a")]),
            service("none", hosts: ["c.example"], [route("GET /a")]),
            service("below", hosts: ["a.example"], [route("GET /b")]),
        ])
        policy.services[0].resource = "https://x.wild.example/"
        policy.services[1].resource = "https://a.example/mcp/"
        policy.services[3].resource = "https://a.example/mcp"
        policy.portServices = [PortServiceModel(name: "tcp", ports: [9_443], all: [0])]
        return policy
    }

    func text(_ store: PolicyStore, _ version: Digest, _ host: String, _ path: String) throws -> String? {
        try store.metadata(version, host: host, path: path).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func keptByHostAndPath() throws {
        let temporary = try TemporaryStore()
        let store = temporary.store
        let version = try temporary.add(ResourceMetadataTests.several, "several")
        let known = ResourceMetadataTests.wellKnown
        let a = try text(store, version, "a.example", known + "/mcp/")
        #expect(a?.hasPrefix(#"{"resource":"https://a.example/mcp/","#) == true)
        let below = try text(store, version, "a.example", known + "/mcp")
        #expect(below?.hasPrefix(#"{"resource":"https://a.example/mcp","#) == true)
        #expect(below?.contains(#""resource_name":"below""#) == true)
        let wild = try text(store, version, "x.wild.example", known)
        #expect(wild?.hasPrefix(#"{"resource":"https://x.wild.example/","#) == true)
        for (host, path) in [
            ("a.example", known), ("a.example", known + "/"), ("a.example", known + "/mcp//"), ("a.example", "/"),
            ("a.example", ""), ("", known), ("b.example", known), ("c.example", known), ("x.wild.example", known + "/"),
            ("A.example", known + "/mcp"), ("y.wild.example", known), ("", "a.example" + known + "/mcp"),
            ("a.example" + known, "/mcp"), ("a.example", String(repeating: "/", count: 10_000)),
            ("a.example", known + String(repeating: "/", count: 10_000)),
        ] { #expect(try text(store, version, host, path) == nil, "\(host) \(path.prefix(80))") }
        let unknown = PolicyStore.version(ofSource: Array("never".utf8).span)
        #expect(throws: PolicyStoreError.unknownVersion(unknown)) {
            _ = try store.metadata(unknown, host: "a.example", path: known)
        }
        // The catalogue, four hosts, three documents, the ports.
        #expect(try temporary.keys("tables").count == 1 + 4 + 3 + 1)
        try store.verify(version)
    }

    @Test func documentsAreSealed() throws {
        let temporary = try TemporaryStore()
        let version = try temporary.add(ResourceMetadataTests.several, "several")
        let documents = try temporary.keys("tables").filter { $0[16] == 0x6D }
        #expect(documents.count == 3)
        for key in documents {
            let value = try #require(try temporary.value("tables", key))
            var damaged = value
            damaged[14] ^= 1
            try temporary.set("tables", key, damaged)
            #expect(throws: PolicyStoreError.self) { try temporary.store.verify(version) }
            #expect(throws: PolicyStoreError.self) { try temporary.store.activate(version, now: 1) }
            try temporary.set("tables", key, nil)
            #expect(throws: PolicyStoreError.self) { try temporary.store.verify(version) }
            try temporary.set("tables", key, value)
            try temporary.store.verify(version)
        }
    }

    @Test func goneWithTheirVersion() throws {
        let temporary = try TemporaryStore()
        let old = try temporary.add(ResourceMetadataTests.several, "old", now: 1)
        let new = try temporary.add(ResourceMetadataTests.several, "new", now: 2)
        _ = try temporary.store.activate(new, now: 3)
        #expect(try temporary.store.prune(keep: 0) == [old])
        #expect(try temporary.keys("tables").allSatisfy { $0.starts(with: new.bytes.prefix(16)) })
        #expect(try text(temporary.store, new, "a.example", ResourceMetadataTests.wellKnown + "/mcp") != nil)
        #expect(throws: PolicyStoreError.unknownVersion(old)) {
            _ = try temporary.store.metadata(old, host: "a.example", path: ResourceMetadataTests.wellKnown)
        }
        // An unfinished version has no documents either.
        try temporary.set("versions", new.bytes, nil)
        #expect(throws: PolicyStoreError.unknownVersion(new)) {
            _ = try temporary.store.metadata(new, host: "a.example", path: ResourceMetadataTests.wellKnown)
        }
    }

    @Test(
        arguments: [
            ["https://h.example", "https://h.example/"], ["https://h.example/a", "https://h.example:8443/a"],
            ["https://h.example/a", "https://h.example/a"], ["https://h.example/a?b", nil], ["no URL", nil],
        ] as [[String?]]) func placesThatCannotStand(_ resources: [String?]) throws
    {
        var policy = model([service("a", [route("GET /a")]), service("b", [route("GET /b")])])
        for (index, resource) in resources.enumerated() { policy.services[index].resource = resource }
        let error = #expect(throws: PolicyTableError.self) { try PolicyCompiler(policy) }
        guard case .invalidModel = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func issuersThatAreNotThere() throws {
        #expect(throws: PolicyTableError.self) {
            try ResourceMetadataTests.document { $0.services[0].issuers = [1] }
        }
    }
}
