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
        return policy
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
