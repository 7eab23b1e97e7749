@testable import Decision
import Octets
import PolicyTables
import Testing

/// Connections without HTTP: every reason, the order of the checks, and what an answer says.
@Suite struct ConnectionTests {
    private typealias Tag = CertificateWriter.Tag

    static let spiffe = "spiffe://example.org/prometheus"

    static func expired(_ writer: inout CertificateWriter) { writer.notAfter = (Tag.utcTime, "210101000000Z") }

    static func early(_ writer: inout CertificateWriter) {
        writer.notBefore = (Tag.generalizedTime, "21000101000000Z")
    }

    static func check(_ verdict: Verdict, _ reason: Reason, _ comment: Comment? = nil, policy: String = "1.") {
        #expect(verdict.reason == reason, comment)
        #expect(verdict.status == reason.status && verdict.isAllow == (reason == .granted || reason == .observed))
        #expect(verdict[.decision] == (verdict.isAllow ? "allow" : "deny"))
        #expect(verdict[.reason] == "\(reason.name)")
        #expect(verdict[.policy].hasPrefix(policy) && verdict[.auditID].utf8.count == 32)
        for field in verdict.fields { #expect(field.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }, "\(field)") }
        if reason != .granted { #expect(verdict.identity == ["", "", "", ""], comment) }
        #expect(!verdict.hasChallenge && verdict.challenge.isEmpty)
    }

    @Test("a client that is known by its URI, by a DNS name, by its subject")
    func granted() throws {
        let world = try World(samplePortModel())
        let decider = try world.decider()
        let rows: [(CertificateWriter, Int64, [String], String)] = [
            (
                CertificateWriter(uris: [Self.spiffe]), 9443, [Self.spiffe, "prometheus", "", "read:metrics"],
                "metrics tcp/9443"
            ),
            (
                CertificateWriter(dns: ["other.example", "WORKER.example.org"]), 9444,
                ["worker.example.org", "worker", "", "orders:read orders:write read:metrics"], "metrics tcp/9444"
            ),
            (
                CertificateWriter(dns: ["worker.example.org"]), 5671,
                ["worker.example.org", "worker", "", "orders:read orders:write read:metrics"], "queue tcp/5671"
            ),
            (
                CertificateWriter().with {
                    $0.subject = [
                        (CertificateWriter.organization, Tag.printable, bytes("Example")),
                        (CertificateWriter.commonName, Tag.utf8, bytes("cron 100%")),
                    ]
                }, 9443, ["CN=cron%20100%25,O=Example", "cron", "", "orders:read read:metrics"], "metrics tcp/9443"
            ),
        ]
        for (writer, port, identity, route) in rows {
            let verdict = decider.verdict(Connection(writer, port: port))
            Self.check(verdict, .granted)
            #expect(verdict.identity == identity)
            #expect(verdict[.route] == route)
        }
        #expect(decider.counts.allowed == 4 && decider.counts.denied == 0)
    }

    @Test("which names of a certificate say who it is")
    func identities() throws {
        let world = try World(samplePortModel())
        let decider = try world.decider()
        let worker = "worker.example.org"
        let rows: [(String, CertificateWriter, Reason)] = [
            ("nobody's URI", CertificateWriter(uris: ["spiffe://example.org/other"]), .unknownCertificate),
            (
                "the URI in another case", CertificateWriter(uris: ["SPIFFE://example.org/prometheus"]),
                .unknownCertificate
            ),
            ("the URI continued", CertificateWriter(uris: [Self.spiffe + "/"]), .unknownCertificate),
            ("two URIs", CertificateWriter(uris: [Self.spiffe, "u:other"]), .ambiguousCertificate),
            ("the URI twice", CertificateWriter(uris: [Self.spiffe, Self.spiffe]), .ambiguousCertificate),
            ("two URIs beside a DNS name", CertificateWriter(uris: ["u:a", "u:b"], dns: [worker]), .granted),
            ("the URI as a DNS name", CertificateWriter(dns: [Self.spiffe]), .unknownCertificate),
            ("the DNS name as URI", CertificateWriter(uris: [worker]), .unknownCertificate),
            ("the DNS name as common name", CertificateWriter(commonName: worker), .unknownCertificate),
            ("a wildcard of the certificate is a name", CertificateWriter(dns: ["*.example.org"]), .granted),
            ("it stands for no other", CertificateWriter(dns: ["*.Worker.example.org"]), .unknownCertificate),
            ("a wildcard of the policy neither", CertificateWriter(dns: ["a.example.org"]), .unknownCertificate),
            ("no name at all", CertificateWriter(), .unknownCertificate),
            ("another subject", CertificateWriter(commonName: "cron 100%"), .unknownCertificate),
            (
                "the subject's text in one attribute", CertificateWriter(commonName: "cron 100%,O=Example"),
                .unknownCertificate
            ),
            ("one client twice", CertificateWriter(dns: [worker, "Worker.Example.org"]), .granted),
            ("two clients by DNS", CertificateWriter(dns: [worker, "*.example.org"]), .ambiguousCertificate),
            ("two clients by kind", CertificateWriter(uris: [Self.spiffe], dns: [worker]), .ambiguousCertificate),
            (
                "a client beside names of nobody",
                CertificateWriter(uris: [Self.spiffe], dns: ["a.example"], commonName: "someone"), .granted
            ),
            ("a client without scopes", CertificateWriter(uris: ["u:guest"]), .insufficientScope),
        ]
        for (comment, writer, reason) in rows {
            let verdict = decider.verdict(Connection(writer))
            Self.check(verdict, reason, "\(comment)")
            #expect(verdict[.route] == "metrics tcp/9443")
        }
    }

    @Test("scopes: all, and one of any")
    func scopes() throws {
        let world = try World(samplePortModel())
        let decider = try world.decider()
        Self.check(decider.verdict(Connection(CertificateWriter(uris: [Self.spiffe]), port: 5671)), .insufficientScope)
        Self.check(decider.verdict(Connection(CertificateWriter(uris: ["u:reader"]), port: 5671)), .insufficientScope)
        Self.check(decider.verdict(Connection(CertificateWriter(uris: ["u:reader"]), port: 9443)), .insufficientScope)
        Self.check(decider.verdict(Connection(CertificateWriter(dns: ["worker.example.org"]), port: 5671)), .granted)
    }

    /// Each row has every fault of the rows behind it too, so that the order of the checks is seen.
    @Test("reasons in the order of the checks")
    func order() throws {
        let world = try World(samplePortModel())
        let decider = try world.decider()
        let ambiguous = CertificateWriter(uris: [Self.spiffe], dns: ["worker.example.org"])
        let unknown = CertificateWriter(uris: ["u:nobody"])
        let rows: [(Reason, Connection)] = [
            (
                .conflictingFacts,
                Connection(port: -1).with {
                    $0.conflict = true; $0.isUsed = false
                }
            ),
            (.missingFact, Connection(port: -1).with { $0.isUsed = false }),
            (.conflictingFacts, Connection(port: 0).with { $0.isUsed = false }),
            (.conflictingFacts, Connection(port: 65_536).with { $0.isUsed = false }),
            (.conflictingFacts, Connection(port: .max).with { $0.isUsed = false }),
            (.missingFact, Connection(port: .min)),
            (.portNotAllowed, Connection(port: 443).with { $0.isUsed = false }),
            (
                .noCertificate,
                Connection().with {
                    $0.isUsed = false; $0.verifyResult = 10
                }
            ),
            (
                .noCertificate,
                Connection().with {
                    $0.certificate = nil; $0.verifyResult = 10
                }
            ),
            (
                .noCertificate,
                Connection().with {
                    $0.certificate = []; $0.verifyResult = 10
                }
            ),
            (
                .certificateNotVerified,
                Connection().with {
                    $0.verifyResult = 10; $0.certificate = bytes("junk")
                }
            ),
            (.certificateNotVerified, Connection().with { $0.verifyResult = -1 }),
            (.certificateNotVerified, Connection().with { $0.verifyResult = .max }),
            (.certificateMalformed, Connection().with { $0.certificate = bytes("junk") }),
            (.certificateMalformed, Connection().with { $0.certificate?.append(0) }),
            (.certificateMalformed, Connection().with { $0.certificate?.removeLast() }),
            (.certificateMalformed, Connection().with { $0.certificate = [UInt8](repeating: 0x30, count: 16_385) }),
            (
                .certificateMalformed,
                Connection(CertificateWriter(uris: [Self.spiffe, "caf\u{E9}"]).with(Self.expired))
            ),
            (.certificateExpired, Connection(unknown.with(Self.expired))),
            (.certificateNotYetValid, Connection(unknown.with(Self.early))),
            (.certificateExpired, Connection(CertificateWriter(uris: [Self.spiffe]).with(Self.expired))),
            (.certificateNotYetValid, Connection(CertificateWriter(uris: [Self.spiffe]).with(Self.early))),
            (.ambiguousCertificate, Connection(ambiguous, port: 5671)),
            (.unknownCertificate, Connection(unknown, port: 5671)),
            (.insufficientScope, Connection(port: 5671)),
            (.granted, Connection()),
        ]
        for (reason, connection) in rows {
            Self.check(decider.verdict(connection), reason, "\(reason) \(connection.port)")
        }
        #expect(decider.counts.allowed == 1 && decider.counts.denied == UInt64(rows.count - 1))
    }

    @Test("both limits of the validity are valid")
    func time() throws {
        let world = try World(samplePortModel())
        let decider = try world.decider()
        // 2020-01-01 and 2120-01-01.
        for (now, reason) in [
            (1_577_836_799, .certificateNotYetValid), (1_577_836_800, .granted), (4_733_510_400, .granted),
            (4_733_510_401, .certificateExpired), (Int64.min, .certificateNotYetValid), (.max, .certificateExpired),
        ] as [(Int64, Reason)] {
            Self.check(decider.verdict(Connection(), now: now), reason, "\(now)")
        }
    }

    @Test("observe mode lets denials of the certificate pass, and nothing else")
    func observe() throws {
        let world = try World(samplePortModel())
        let decider = try world.decider()
        let rows: [(Reason, Connection)] = [
            (.noCertificate, Connection(port: 7000).with { $0.isUsed = false }),
            (.certificateNotVerified, Connection(port: 7000).with { $0.verifyResult = 18 }),
            (.certificateMalformed, Connection(port: 7000).with { $0.certificate = [1] }),
            (.certificateExpired, Connection(CertificateWriter(uris: [Self.spiffe]).with(Self.expired), port: 7000)),
            (.certificateNotYetValid, Connection(CertificateWriter(uris: [Self.spiffe]).with(Self.early), port: 7000)),
            (.unknownCertificate, Connection(CertificateWriter(), port: 7000)),
            (
                .ambiguousCertificate,
                Connection(CertificateWriter(dns: ["worker.example.org", "*.example.org"]), port: 7000)
            ),
            (.insufficientScope, Connection(port: 7000)),
        ]
        for (reason, connection) in rows {
            let verdict = decider.verdict(connection)
            Self.check(verdict, .observed)
            #expect(verdict[.route] == "watched tcp/7000")
            #expect(decider.isNoteworthy)
            #expect(decider.logMembers(connection).contains(#","reason":"observed","would_be":"\#(reason.name)""#))
            Self.check(decider.verdict(connection, now: observeEnd - 1), .observed)
            Self.check(decider.verdict(connection, now: observeEnd), reason)
        }
        Self.check(decider.verdict(Connection(port: 7001)), .portNotAllowed)
        Self.check(decider.verdict(Connection(port: 7000).with { $0.conflict = true }), .conflictingFacts)
        Self.check(decider.verdict(Connection(port: -7000)), .missingFact)
    }

    @Test("no policy, and a policy without ports")
    func without() throws {
        let world = try World(nil)
        let decider = try world.decider()
        Self.check(decider.verdict(Connection()), .noPolicy, policy: "")
        var clientsAlone = samplePortModel()
        clientsAlone.portServices = []
        try world.activate(clientsAlone)
        Self.check(decider.verdict(Connection()), .portNotAllowed)
        try world.activate(samplePortModel())
        Self.check(decider.verdict(Connection()), .granted, policy: "2.")
        world.board.publish(nil)
        Self.check(decider.verdict(Connection()), .noPolicy, policy: "")
    }

    @Test("a refusal is a denial, whatever reason is given")
    func refuse() throws {
        let world = try World(samplePortModel())
        let decider = try world.decider()
        _ = decider.verdict(Connection())
        for (count, reason) in Reason.allCases.enumerated() {
            decider.refuse(reason)
            Self.check(decider.lastVerdict, reason.status == 200 ? .overloaded : reason)
            let counts = decider.counts
            #expect(counts.allowed == 1 && counts.denied + counts.unanswerable == UInt64(count + 1))
            #expect(!decider.logMembers(Connection()).contains("prometheus"))
        }
        world.board.publish(nil)
        decider.refuse(.missingFact)
        Self.check(decider.lastVerdict, .missingFact, policy: "")
        #expect(decider.lastVerdict[.policy] == "")
    }

    @Test("nothing of a connection is left for the next request, nor the other way")
    func between() throws {
        let world = try World(samplePortModel())
        let decider = try world.decider()
        let request = Request().bearing(try world.token())
        for _ in 0..<2 {
            Self.check(decider.verdict(Connection()), .granted)
            let verdict = decider.verdict(request)
            #expect(verdict.identity == ["ann", "web", "https://id.example.com", "orders:read"])
            #expect(decider.verdict(Request()).identity == ["", "", "", ""])
            Self.check(decider.verdict(Connection().with { $0.isUsed = false }), .noCertificate)
        }
    }

    @Test("an identity that does not fit the answer denies; scopes that do not are shortened")
    func limits() throws {
        var model = samplePortModel()
        let long = "spiffe://example.org/" + String(repeating: "a", count: 4_000)
        model.certificateClients.append(
            CertificateClientModel(name: "long", identity: .uri(long), scopes: [Scope.metrics]))
        let first = UInt16(model.scopes.count)
        let more = (0..<100).map { first + UInt16($0) }
        for scope in more { model.scopes.append(ScopeModel(name: "orders:a-longer-scope-\(scope)", closure: [scope])) }
        model.certificateClients.append(
            CertificateClientModel(name: "many", identity: .uri("u:many"), scopes: [Scope.metrics] + more))
        let world = try World(model)
        let decider = try world.decider()
        Self.check(decider.verdict(Connection(CertificateWriter(uris: [long]))), .overloaded)
        let many = decider.verdict(Connection(CertificateWriter(uris: ["u:many"])))
        Self.check(many, .granted)
        #expect(many.identity == ["u:many", "many", "", #"read:metrics "shortened""#])
    }
}
