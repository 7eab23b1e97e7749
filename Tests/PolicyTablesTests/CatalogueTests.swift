import Octets
import PolicyTables
import Signatures
import Testing
import Tokens

@Suite struct CatalogueTests {
    static var policy: PolicyModel {
        var policy = PolicyModel()
        policy.issuers = [
            IssuerModel(
                issuer: "https://one.example", audiences: ["a", "b"], keySource: .file("keys/one.json"),
                algorithms: [.es256, .ed25519, .rs256], leewaySeconds: 30),
            IssuerModel(
                issuer: "https://two.example", audiences: ["c"], keySource: .discovery, algorithms: [.ps512],
                profile: .compat, scopeClaim: "scp", clientClaim: "azp", certificateAuthorityFile: "ca.pem"),
            IssuerModel(
                issuer: "https://three.example", audiences: ["é"], keySource: .uri("https://k.example/jwks"),
                algorithms: [.es384]),
        ]
        policy.scopes = [
            ScopeModel(name: "orders:write", description: "Create", closure: [0, 2]),
            ScopeModel(name: "orders", closure: [1]), ScopeModel(name: "orders:read", closure: [2]),
            ScopeModel(name: "*", closure: [3]), ScopeModel(name: "admin", closure: [0, 1, 2, 3, 4]),
        ]
        policy.services = [
            ServiceModel(
                name: "orders", hosts: ["a.example", "*.example"], issuers: [0, 2], audience: "https://api",
                routes: [
                    route(
                        "GET /t/{t}", .scopes(all: [0], any: []),
                        bindings: [.init(segment: 1, claim: "tenant")]),
                    route(
                        "GET /u/{u}", .scopes(all: [0], any: []),
                        bindings: [.init(segment: 1, claim: "sub")]),
                ]),
            ServiceModel(
                name: "web", hosts: ["b.example"], ports: [443, 8443], issuers: [1],
                tokenSource: .cookie("session"), routes: [route("GET /x", .scopes(all: [], any: [1]))]),
            ServiceModel(
                name: "live", hosts: ["b.example"], issuers: [], tokenSource: .webSocketProtocol("bearer"),
                routes: [route("GET /y")]),
        ]
        policy.issuers[1].proofs = CatalogueTests.proofs([.ed25519, .es512], age: 600, ahead: 0, nonce: true)
        policy.issuers[2].proofs = CatalogueTests.proofs([.rs256], age: 1, ahead: 60, nonce: false)
        policy.services[1].publicPort = 443
        policy.services[2].publicPort = 65_535
        policy.issuers[0].lifetimeSecondsMax = 3_600
        policy.issuers[0].introspection = introspection(.all, .mutualTLS, jwt: true)
        policy.issuers[0].statusLists = ["https://status.example/", "https://other.example/list?x=1"]
        policy.issuers[1].introspection = introspection(.opaque, .basic, jwt: false)
        policy.services[0].resource = "https://a.example/v1"
        policy.services[0].hasTransactionToken = true
        policy.services[1].forwardsToken = false
        policy.details = [
            DetailModel(type: "payment", actions: ["initiate", "é"], locations: ["https://a.example"]),
            DetailModel(type: "account"), DetailModel(type: "payment", locations: ["x", "y", "z"]),
        ]
        policy.services[0].routes[0].details = [2, 0]
        return policy
    }

    static func introspection(
        _ use: IntrospectionModel.Use, _ authentication: IntrospectionModel.Authentication, jwt: Bool
    ) -> IntrospectionModel {
        var result = IntrospectionModel(
            endpoint: "https://i.example/ask", clientID: "us", authentication: authentication)
        result.use = use
        result.demandsJWT = jwt
        switch authentication {
        case .basic, .post: result.secretFile = "secret"
        case .privateKeyJWT: result.keyFile = "key.jwk"
        case .mutualTLS: (result.keyFile, result.certificateFile) = ("key.pem", "client.pem")
        }
        result.certificateAuthorityFile = jwt ? "ca.pem" : nil
        result.cacheSecondsMax = jwt ? 3_600 : 1
        result.negativeSecondsMax = jwt ? 60 : 0
        result.timeoutMilliseconds = jwt ? 5_000 : 50
        return result
    }

    static func proofs(
        _ algorithms: [SignatureAlgorithm], age: UInt16 = 60, ahead: UInt16 = 10, nonce: Bool = false
    ) -> ProofModel {
        var result = ProofModel()
        result.algorithms = algorithms
        result.ageSecondsMax = age
        result.aheadSecondsMax = ahead
        result.demandsNonce = nonce
        return result
    }

    @Test func issuersComeBackWhole() throws {
        let bytes = try PolicyCompiler(CatalogueTests.policy).catalogue()
        let issuers = Catalogue(bytes.span)?.issuers()
        #expect(issuers == CatalogueTests.policy.issuers)
        let settings = Catalogue(bytes.span)?.issuerSettings() ?? []
        #expect(settings.count == 3)
        #expect(settings.allSatisfy { $0.boundClaims == [Array("sub".utf8), Array("tenant".utf8)] })
        #expect(settings[0].leewaySeconds == 30 && settings[0].profile == .rfc9068)
        #expect(settings[0].algorithms == [.es256, .ed25519, .rs256])
        #expect(settings[0].audiences == [Array("a".utf8), Array("b".utf8)])
        #expect(settings[1].profile == .compat && settings[1].clientClaim == Array("azp".utf8))
        #expect(settings[1].scopeClaim == Array("scp".utf8))
        #expect(settings[2].issuer == Array("https://three.example".utf8))
    }

    @Test func proofRulesOfEachIssuer() throws {
        let bytes = try PolicyCompiler(CatalogueTests.policy).catalogue()
        let settings = Catalogue(bytes.span)?.issuerSettings() ?? []
        #expect(settings.map(\.demandsProofNonce) == [false, true, false])
        let algorithms: [[SignatureAlgorithm]] = [
            [.es256, .es384, .es512, .ed25519, .ps256, .rs256], [.ed25519, .es512], [.rs256],
        ]
        let ages: [(age: Int64, ahead: Int64)] = [(60, 10), (600, 0), (1, 60)]
        for (index, one) in settings.enumerated() {
            #expect(
                one.proofRules
                    == ProofRules(
                        algorithms: algorithms[index], ageSecondsMax: ages[index].age,
                        aheadSecondsMax: ages[index].ahead))
            for algorithm in SignatureAlgorithm.allCases {
                #expect(one.proofRules.allows(algorithm) == algorithms[index].contains(algorithm))
            }
        }
    }

    /// What is beyond the limits is not written, and not read either: a proof would be good for longer than any policy
    /// may say.
    @Test(arguments: [(0, 0), (601, 0), (60, 61), (65_535, 65_535)] as [(UInt16, UInt16)])
    func proofAgesBeyondTheirLimits(_ age: UInt16, _ ahead: UInt16) throws {
        var policy = CatalogueTests.policy
        policy.issuers[0].proofs = CatalogueTests.proofs([.es256], age: age, ahead: ahead)
        #expect(throws: PolicyTableError.self) { try PolicyCompiler(policy).catalogue() }
        var bytes = try PolicyCompiler(CatalogueTests.policy).catalogue()
        // The first issuer stands behind the header; its ages 8 bytes on.
        #expect(bytes[68 + 8] == 60 && bytes[68 + 10] == 10)
        for (offset, value) in [(76, age), (78, ahead)] {
            bytes[offset] = UInt8(truncatingIfNeeded: value)
            bytes[offset + 1] = UInt8(truncatingIfNeeded: value >> 8)
        }
        let issuers = Catalogue(bytes.span)?.issuers()
        let settings = Catalogue(bytes.span)?.issuerSettings()
        #expect(issuers == nil && settings == nil)
    }

    @Test func publicPorts() throws {
        let bytes = try PolicyCompiler(CatalogueTests.policy).catalogue()
        #expect((0..<4).map { publicPort(bytes, $0) } == [0, 443, 65_535, nil])
    }

    func publicPort(_ bytes: [UInt8], _ index: Int) -> UInt16? {
        guard let catalogue = Catalogue(bytes.span), let service = catalogue.service(index) else { return nil }
        return service.publicPort
    }

    @Test func counts() throws {
        let bytes = try PolicyCompiler(CatalogueTests.policy).catalogue()
        let catalogue = try #require(Counts(bytes))
        #expect(catalogue.numbers == [3, 5, 3, 2, 3, 4])
    }

    /// The counts of a catalogue, since a test cannot hold what it borrows from.
    struct Counts {
        var numbers: [Int]
        init?(_ bytes: [UInt8]) {
            guard let found = Catalogue(bytes.span) else { return nil }
            numbers = [
                found.issuerCount, found.scopeCount, found.serviceCount, found.boundClaimCount,
                found.hostCount, found.routeCount,
            ]
        }
    }

    @Test(
        arguments: [
            ("orders", [1]), ("orders:write", [0, 2]), ("orders:read", [2]), ("*", [3]),
            ("admin", [0, 1, 2, 3, 4]),
            ("", []), ("order", []), ("orders:", []), ("orders:writes", []), ("ORDERS", []), ("zzz", []),
            ("!", []),
        ] as [(String, [UInt16])])
    func scopes(_ name: String, _ implied: [UInt16]) throws {
        let bytes = try PolicyCompiler(CatalogueTests.policy).catalogue()
        let id = scopeID(bytes, name)
        #expect((id == nil) == implied.isEmpty)
        guard let id else { return }
        #expect(closure(bytes, id) == implied)
        #expect(scopeName(bytes, id) == name)
    }

    func scopeID(_ bytes: [UInt8], _ name: String) -> UInt16? {
        Catalogue(bytes.span)?.scopeID(of: Array(name.utf8).span)
    }

    func closure(_ bytes: [UInt8], _ id: UInt16) -> [UInt16] {
        var result: [UInt16] = []
        Catalogue(bytes.span)?.forEachImplied(by: id) { result.append($0) }
        return result
    }

    func scopeName(_ bytes: [UInt8], _ id: UInt16) -> String? {
        guard let catalogue = Catalogue(bytes.span) else { return nil }
        return String(lossy: catalogue.scopeName(id))
    }

    func service(_ bytes: [UInt8], _ index: Int) -> String? {
        guard let catalogue = Catalogue(bytes.span), let service = catalogue.service(index) else {
            return nil
        }
        let texts = [
            String(lossy: service.name), String(lossy: service.audience),
            String(lossy: service.tokenSourceName),
        ]
        let issuers = (0..<service.issuerCount + 1).map { service.issuer($0) ?? -1 }
        let ports = (0..<service.portCount + 1).map { Int(service.port($0) ?? 0) }
        let allowed = (0..<4).map { service.allows(issuer: $0) ? 1 : 0 }
        return "\(texts) \(service.tokenSource) \(issuers) \(ports) \(service.routeCount) \(allowed)"
    }

    @Test func services() throws {
        let bytes = try PolicyCompiler(CatalogueTests.policy).catalogue()
        #expect(
            service(bytes, 0) == #"["orders", "https://api", ""] header [0, 2, -1] [0] 2 [1, 0, 1, 0]"#)
        #expect(service(bytes, 1) == #"["web", "", "session"] cookie [1, -1] [443, 8443, 0] 1 [0, 1, 0, 0]"#)
        #expect(service(bytes, 2) == #"["live", "", "bearer"] webSocketProtocol [-1] [0] 1 [0, 0, 0, 0]"#)
        #expect(service(bytes, 3) == nil && service(bytes, -1) == nil)
    }

    @Test func absentIdsAreEmpty() throws {
        let bytes = try PolicyCompiler(CatalogueTests.policy).catalogue()
        #expect(scopeName(bytes, 5) == "" && closure(bytes, 5) == [])
        #expect(Counts([]) == nil && Counts(Array(bytes.dropLast())) == nil)
        var other = bytes
        other[4] += 1
        #expect(Counts(other) == nil)
    }

    @Test func manyScopes() throws {
        var policy = PolicyModel()
        policy.scopes = (0..<5_000).map { ScopeModel(name: "s\($0 * 7_919 % 5_000)", closure: [UInt16($0)]) }
        let bytes = try PolicyCompiler(policy).catalogue()
        for (id, scope) in policy.scopes.enumerated() { #expect(scopeID(bytes, scope.name) == UInt16(id)) }
        #expect(scopeID(bytes, "s5000") == nil)
    }
}

extension CatalogueTests.Counts: Equatable {}
