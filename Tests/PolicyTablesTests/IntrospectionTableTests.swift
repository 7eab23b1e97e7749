import Octets
import PolicyTables
import Testing
import Tokens

/// How issuers are asked about their tokens, through the tables and back; and what a damaged table may not make of it.
@Suite struct IntrospectionTableTests {
    private static func catalogue(_ change: (inout PolicyModel) -> Void = { _ in }) throws -> [UInt8] {
        var policy = CatalogueTests.policy
        change(&policy)
        return try PolicyCompiler(policy).catalogue()
    }

    private static func settings(_ bytes: [UInt8]) -> [IssuerSettings]? { Catalogue(bytes.span)?.issuerSettings() }

    @Test func settingsOfEachIssuer() throws {
        let settings = try #require(IntrospectionTableTests.settings(try IntrospectionTableTests.catalogue()))
        #expect(settings.map(\.introspection) == [.all, .opaque, .never])
        #expect(settings.map(\.lifetimeSecondsMax) == [3_600, 0, 0])
        #expect(settings.map(\.introspectionRules.clientID) == [Array("us".utf8), Array("us".utf8), []])
        #expect(settings.map(\.introspectionRules.demandsJWT) == [true, false, false])
        #expect(settings.map(\.introspectionRules.cacheSecondsMax) == [3_600, 1, 60])
        #expect(settings.map(\.introspectionRules.negativeSecondsMax) == [60, 0, 5])
        #expect(settings.map(\.introspectionRules.timeoutMilliseconds) == [5_000, 50, 800])
        let lists = ["https://status.example/", "https://other.example/list?x=1"].map { Array($0.utf8) }
        #expect(settings.map(\.statusListPrefixes) == [lists, [], []])
        let details = [
            DetailRule(
                type: Array("payment".utf8), actions: [Array("initiate".utf8), Array("é".utf8)],
                locations: [Array("https://a.example".utf8)]),
            DetailRule(type: Array("account".utf8)),
            DetailRule(type: Array("payment".utf8), locations: ["x", "y", "z"].map { Array($0.utf8) }),
        ]
        #expect(settings.map(\.details) == [details, details, details])
        let plain = IntrospectionTableTests.settings(try PolicyCompiler(PolicyModel()).catalogue())
        #expect(plain == [])
    }

    @Test(
        arguments: [IntrospectionModel.Authentication.basic, .post, .privateKeyJWT, .mutualTLS],
        [IntrospectionModel.Use.opaque, .all])
    func everyWayComesBack(
        _ authentication: IntrospectionModel.Authentication, _ use: IntrospectionModel.Use
    ) throws {
        for jwt in [false, true] {
            let asked = CatalogueTests.introspection(use, authentication, jwt: jwt)
            let bytes = try IntrospectionTableTests.catalogue { $0.issuers[2].introspection = asked }
            let found = Catalogue(bytes.span)?.issuers()?[2].introspection
            #expect(found == asked)
        }
    }

    @Test func anIssuerWithoutKeys() throws {
        let bytes = try IntrospectionTableTests.catalogue { $0.issuers[1].keySource = .none }
        let source = Catalogue(bytes.span)?.issuers()?[1].keySource
        #expect(source == IssuerModel.KeySource.none)
    }

    private typealias Change = @Sendable (inout PolicyModel) -> Void

    private static let unsound: [(String, Change)] = [
        ("no keys and no introspection", { $0.issuers[2].keySource = .none }),
        ("no keys and all tokens", { $0.issuers[0].keySource = .none }),
        (
            "no keys and signed replies",
            {
                $0.issuers[1].keySource = .none
                $0.issuers[1].introspection?.demandsJWT = true
            }
        ),
        (
            "no keys and status lists",
            {
                $0.issuers[1].keySource = .none
                $0.issuers[1].statusLists = ["https://s.example/"]
            }
        ),
        ("a status list without URI", { $0.issuers[0].statusLists = ["https://s.example/", ""] }),
        ("no endpoint", { $0.issuers[0].introspection?.endpoint = "" }),
        ("no client", { $0.issuers[0].introspection?.clientID = "" }),
        ("no secret", { $0.issuers[1].introspection?.secretFile = nil }),
        ("an empty secret", { $0.issuers[1].introspection?.secretFile = "" }),
        ("a key beside a secret", { $0.issuers[1].introspection?.keyFile = "k" }),
        ("no certificate", { $0.issuers[0].introspection?.certificateFile = nil }),
        ("no key", { $0.issuers[0].introspection?.keyFile = nil }),
        ("a secret beside a certificate", { $0.issuers[0].introspection?.secretFile = "s" }),
        ("nothing cached", { $0.issuers[0].introspection?.cacheSecondsMax = 0 }),
        ("cached too long", { $0.issuers[0].introspection?.cacheSecondsMax = 3_601 }),
        ("refusals cached too long", { $0.issuers[0].introspection?.negativeSecondsMax = 61 }),
        ("no time", { $0.issuers[0].introspection?.timeoutMilliseconds = 49 }),
        ("too much time", { $0.issuers[0].introspection?.timeoutMilliseconds = 5_001 }),
    ]

    @Test(arguments: unsound.indices) func unsoundModelsAreRefused(_ index: Int) {
        let (name, change) = IntrospectionTableTests.unsound[index]
        let error = #expect(throws: PolicyTableError.self, "\(name)") {
            _ = try IntrospectionTableTests.catalogue(change)
        }
        guard case .invalidModel = error else {
            Issue.record("\(name): \(String(describing: error))")
            return
        }
    }

    /// The first issuer stands behind the header of 68 bytes, and its numbers of introspection 20 bytes on.
    private static let first = 68

    /// What a byte says that this build does not know, or that contradicts the rest, must not pass for nothing.
    @Test(
        arguments: [
            ("key source", 1, 4), ("a nonce that is neither", 12, 2), ("never asked, with all that is asked", 20, 0),
            ("another use", 20, 3), ("any use", 20, 0xFF), ("another way", 21, 4), ("a secret's way", 21, 0),
            ("replies that are neither", 22, 2), ("replies with another bit", 22, 0x81),
            ("what stands for nothing", 23, 1),
            ("a cache beyond its limit", 25, 0x7F), ("a negative cache beyond it", 27, 1),
            ("a timeout beyond it", 29, 0xFF),
        ] as [(String, Int, UInt8)])
    func unknownBytesAreUnreadable(_ name: String, _ offset: Int, _ value: UInt8) throws {
        var bytes = try IntrospectionTableTests.catalogue()
        let before = Array(bytes[IntrospectionTableTests.first + 20..<IntrospectionTableTests.first + 30])
        #expect(before == [2, 3, 1, 0, 0x10, 0x0E, 60, 0, 0x88, 0x13])
        bytes[IntrospectionTableTests.first + offset] = value
        let settings = IntrospectionTableTests.settings(bytes)
        #expect(settings == nil, "\(name)")
    }

    /// An issuer without introspection that has any byte of it has lost the one that says so.
    @Test func remainsOfIntrospectionAreUnreadable() throws {
        let bytes = try IntrospectionTableTests.catalogue { $0.issuers[0].introspection = nil }
        #expect(IntrospectionTableTests.settings(bytes)?.first?.introspection == IntrospectionUse.never)
        for offset in 21..<30 {
            var damaged = bytes
            damaged[IntrospectionTableTests.first + offset] = 1
            let settings = IntrospectionTableTests.settings(damaged)
            #expect(settings == nil, "\(offset)")
        }
        var asked = try IntrospectionTableTests.catalogue()
        for offset in 20..<30 { asked[IntrospectionTableTests.first + offset] = 0 }
        let settings = IntrospectionTableTests.settings(asked)
        #expect(settings == nil)
    }

    // MARK: Services

    private func service(_ bytes: [UInt8], _ index: Int) -> String? {
        guard let catalogue = Catalogue(bytes.span), let service = catalogue.service(index) else { return nil }
        return "\(service.forwardsToken) \(service.hasTransactionToken) \(String(lossy: service.metadataURL))"
    }

    @Test func whatServicesSay() throws {
        let bytes = try IntrospectionTableTests.catalogue()
        #expect(service(bytes, 0) == "true true https://a.example/.well-known/oauth-protected-resource/v1")
        #expect(service(bytes, 1) == "false false ")
        #expect(service(bytes, 2) == "true false ")
    }

    @Test func unknownFlagsOfServicesAreUnreadable() throws {
        let bytes = try IntrospectionTableTests.catalogue()
        // Where the directory of services says that the first one stands; its flags are one byte on.
        let directory = Int(bytes[36]) | Int(bytes[37]) << 8
        let flags = (Int(bytes[directory]) | Int(bytes[directory + 1]) << 8) + 1
        #expect(bytes[flags] == 2)
        for value: UInt8 in 0...255 {
            var damaged = bytes
            damaged[flags] = value
            let expected = "\(value & 1 == 0) \(value & 2 != 0)"
            let found = service(damaged, 0)?.split(separator: " ").prefix(2).joined(separator: " ")
            #expect(found == (value < 4 ? expected : nil))
        }
    }

    // MARK: Details

    @Test func detailsComeBack() throws {
        let bytes = try IntrospectionTableTests.catalogue()
        let details = Catalogue(bytes.span)?.details()
        #expect(details == CatalogueTests.policy.details)
        let table = try PolicyCompiler(CatalogueTests.policy).hostTable(0)
        #expect(detailNumbers(table, "GET /t/x") == [nil, 2, 0, nil])
        #expect(detailNumbers(table, "GET /u/x") == [nil, nil])
    }

    @Test func detailsAreBounded() throws {
        func many(_ count: Int) throws -> [UInt8] {
            try IntrospectionTableTests.catalogue { policy in
                policy.details = (0..<count).map { DetailModel(type: "type:\($0)") }
            }
        }
        var bytes = try many(DetailModel.countMax)
        let count = Catalogue(bytes.span)?.details()?.count
        #expect(count == 256)
        #expect(
            throws: PolicyTableError.tooLarge(what: "the list of demands on `authorization_details`", limit: 256)
        ) { _ = try many(257) }
        // One more than there may be, with a place in the directory, which stands last.
        bytes += bytes.suffix(4)
        (bytes[60], bytes[61]) = (1, 1)
        for byte in 0..<4 { bytes[8 + byte] = UInt8(truncatingIfNeeded: bytes.count >> (8 * byte)) }
        let settings = IntrospectionTableTests.settings(bytes)
        #expect(settings == nil)
    }

    @Test func detailsThatCannotBeRead() throws {
        let bytes = try IntrospectionTableTests.catalogue()
        let directory = Int(bytes[64]) | Int(bytes[65]) << 8
        for (offset, value) in [(64, 0xFF), (67, 0xFF), (directory, 0), (directory + 3, 0xFF)] as [(Int, UInt8)] {
            var damaged = bytes
            damaged[offset] = value
            if offset == directory { damaged[directory + 1] = 0 }
            let settings = IntrospectionTableTests.settings(damaged)
            #expect(settings == nil, "\(offset)")
        }
    }

    @Test func routesNameDetailsThatAreThere() throws {
        #expect(throws: PolicyTableError.self) {
            try table([bound(route("GET /a", .scopes(all: [0], any: [])), details: [3])])
        }
        #expect(throws: PolicyTableError.self) {
            try table([bound(route("GET /a"), .none, nonce: false, acr: [], ageSecondsMax: 0)])
        }
        #expect(throws: PolicyTableError.self) {
            try IntrospectionTableTests.catalogue { $0.details[0].type = "" }
        }
    }
}
