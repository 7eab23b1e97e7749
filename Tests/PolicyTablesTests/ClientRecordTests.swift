import Octets
@testable import PolicyTables
import Signatures
import Testing

@Suite struct ClientRecordTests {
    private static let grant = ClientModel.TemporaryGrant(scopes: [3], until: 7, reason: "x")

    private static func policy(_ clients: [ClientModel]) -> PolicyModel {
        var policy = CatalogueTests.policy
        policy.clients = clients
        return policy
    }

    private static func client(
        _ identifier: String = "w", issuer: UInt16 = 1, scopes: [UInt16] = [0, 2],
        grants: [ClientModel.TemporaryGrant] = [ClientRecordTests.grant], observeUntil: Int64? = nil
    ) -> ClientModel {
        ClientModel(
            name: "web", issuer: issuer, identifier: identifier, scopes: scopes, grants: grants, excess: .narrow,
            observeUntil: observeUntil)
    }

    private static func record(_ client: ClientModel) throws -> [UInt8] {
        try PolicyCompiler(policy([client])).clientRecord(0)
    }

    /// Everything that a record says, as text; nil when it cannot be read.
    private static func read(_ bytes: [UInt8], issuer: UInt16 = 1, _ identifier: String = "w") -> String? {
        let identifier = Array(identifier.utf8)
        let record = ClientRecord(bytes.span, issuer: issuer, identifier: identifier.span)
        guard record.isReadable else { return nil }
        var text = "\(String(lossy: record.name)) \(String(lossy: record.identifier)) \(record.rule) "
        text += "\((0..<record.scopeCount + 1).map { record.scope($0) ?? 99 }) \(record.observeUntil)"
        for index in 0..<record.grantCount + 1 {
            guard let grant = record.grant(index) else {
                text += " end"
                continue
            }
            let scopes = (0..<grant.scopeCount + 1).map { record.scope(of: grant, $0) ?? 99 }
            text += " \(scopes) \(grant.until) \(String(lossy: record.reason(of: grant)))"
        }
        return text
    }

    /// The example in the description of the layout, byte by byte.
    @Test func exampleOfTheDescription() throws {
        let bytes = try ClientRecordTests.record(ClientRecordTests.client())
        var expected: [UInt8] = Array("SCCL".utf8)
        expected.append(littleEndian16: 4)
        expected += [0, 1]
        expected.append(littleEndian32: 65)
        for half: UInt16 in [1, 1, 3, 1] { expected.append(littleEndian16: half) }
        expected.append(littleEndian32: 2)
        expected.append(littleEndian64: 0x8000_0000_0000_0000)
        #expect(Array(bytes[..<32]) == expected)
        var rest: [UInt8] = []
        for half: UInt16 in [0, 2] { rest.append(littleEndian16: half) }
        rest += Array("wweb".utf8)
        rest.append(littleEndian64: 7)
        rest.append(littleEndian32: 1)
        for half: UInt16 in [1, 3] { rest.append(littleEndian16: half) }
        rest += Array("x".utf8)
        #expect(Array(bytes[40...]) == rest)
        #expect(ClientRecordTests.read(bytes) == "web w narrow [0, 2, 99] \(Int64.min) [3, 99] 7 x end")
    }

    @Test func everythingComesBack() throws {
        let grants = (0..<64).map {
            ClientModel.TemporaryGrant(scopes: Array(0..<UInt16($0 % 5)), until: Int64($0) - 5, reason: "é\($0)")
        }
        let client = ClientRecordTests.client("é id", issuer: 2, scopes: [], grants: grants, observeUntil: 12)
        let bytes = try ClientRecordTests.record(client)
        var expected = "web é id narrow [99] 12"
        for grant in grants { expected += " \(grant.scopes + [99]) \(grant.until) \(grant.reason)" }
        #expect(ClientRecordTests.read(bytes, issuer: 2, "é id") == expected + " end")
        for shift in 1..<9 {
            let moved = [UInt8](repeating: 0xFF, count: shift) + bytes
            let identifier = Array("é id".utf8)
            let record = ClientRecord(moved.span.extracting(shift...), issuer: 2, identifier: identifier.span)
            let isReadable = record.isReadable && record.grantCount == 64
            #expect(isReadable)
        }
    }

    /// No byte can be changed and none left out or added; the record of another client or issuer is none.
    @Test func damage() throws {
        let bytes = try ClientRecordTests.record(ClientRecordTests.client())
        for index in bytes.indices {
            for mask: UInt8 in [0x01, 0x02, 0x10, 0x80, 0xFF] {
                var damaged = bytes
                damaged[index] ^= mask
                #expect(ClientRecordTests.read(damaged) == nil, "\(index)")
            }
            #expect(ClientRecordTests.read(Array(bytes[..<index])) == nil)
        }
        #expect(ClientRecordTests.read(bytes + [0]) == nil && ClientRecordTests.read([]) == nil)
        #expect(ClientRecordTests.read(bytes, issuer: 0) == nil && ClientRecordTests.read(bytes, "x") == nil)
        #expect(ClientRecordTests.read(bytes, "") == nil && ClientRecordTests.read(bytes, "ww") == nil)
    }

    /// With the check put right, what the record says is what must be caught: an unknown flag, an unknown rule, another
    /// layout, counts that reach beyond the end.
    @Test(
        arguments: [
            ("another layout", 4, 3), ("a later layout", 4, 5), ("an unknown flag", 6, 1), ("any flag", 6, 0x80),
            ("an unknown rule", 7, 3), ("any rule", 7, 0xFF), ("a longer identifier", 14, 2),
            ("a shorter one", 14, 0), ("a name beyond the end", 17, 0x10), ("grants beyond the end", 18, 2),
            ("more grants than there may be", 18, 65), ("fewer grants", 18, 0), ("scopes beyond the end", 21, 1),
            ("more scopes than there can be", 22, 1), ("a grant's scopes beyond the end", 56, 9),
            ("a grant's scopes beyond all", 59, 0x80), ("a reason beyond the end", 60, 2), ("a shorter reason", 60, 0),
        ] as [(String, Int, UInt8)])
    func recordsThatCannotStand(_ fault: String, _ offset: Int, _ value: UInt8) throws {
        var damaged = try ClientRecordTests.record(ClientRecordTests.client())
        #expect(damaged[offset] != value)
        damaged[offset] = value
        damaged.store(clientCheck(damaged.span), at: ClientLayout.check)
        #expect(ClientRecordTests.read(damaged) == nil, "\(fault)")
    }

    @Test func randomBytesDoNotTrap() throws {
        let bytes = try ClientRecordTests.record(ClientRecordTests.client())
        var generator = SeededGenerator(3)
        for _ in 0..<20_000 {
            var damaged = bytes
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                damaged[Int.random(in: 12..<bytes.count, using: &generator)] =
                    UInt8.random(in: 0...255, using: &generator)
            }
            damaged.store(clientCheck(damaged.span), at: ClientLayout.check)
            _ = ClientRecordTests.read(damaged)
        }
    }

    @Test func clientsThatCannotBeWritten() {
        func refuses(_ clients: [ClientModel]) -> Bool {
            do throws(PolicyTableError) {
                _ = try PolicyCompiler(ClientRecordTests.policy(clients))
                return false
            } catch {
                return true
            }
        }
        let good = ClientRecordTests.client()
        #expect(!refuses([good]) && !refuses([good, ClientRecordTests.client(issuer: 2)]))
        #expect(refuses([good, good]))
        #expect(refuses([ClientRecordTests.client("")]))
        #expect(refuses([ClientRecordTests.client(String(repeating: "i", count: 256))]))
        #expect(!refuses([ClientRecordTests.client(String(repeating: "i", count: 255))]))
        #expect(refuses([ClientRecordTests.client(issuer: 3)]))
        #expect(
            refuses([ClientRecordTests.client(scopes: [5])]) && refuses([ClientRecordTests.client(scopes: [2, 0])]))
        #expect(refuses([ClientRecordTests.client(scopes: [2, 2])]))
        let beyond = ClientModel.TemporaryGrant(scopes: [9], until: 1, reason: "")
        #expect(refuses([ClientRecordTests.client(grants: [beyond])]))
        #expect(refuses([ClientRecordTests.client(grants: Array(repeating: ClientRecordTests.grant, count: 65))]))
    }

    /// Records stand before the catalogue, in the order of their keys; a reader finds exactly what is there.
    @Test func inTheStore() throws {
        let temporary = try TemporaryStore()
        let long = String(repeating: "i", count: 255)
        let clients = [("z", 0), ("a", 2), ("ab", 0), ("a", 0), (long, 1), ("é", 0)].map {
            ClientRecordTests.client($0.0, issuer: UInt16($0.1))
        }
        let version = try temporary.add(ClientRecordTests.policy(clients), "clients")
        let without = try temporary.add(ClientRecordTests.policy([]), "none")
        try temporary.store.verify(version, withSource: true)
        let keys = try temporary.keys("tables").filter { $0.starts(with: version.bytes.prefix(16)) && $0[16] == 0x62 }
        let order = ["a", "ab", "z", "é", long, "a"]
        #expect(keys.map { String(decoding: $0[19...], as: UTF8.self) } == order)
        #expect(keys.map { Int($0[17]) << 8 | Int($0[18]) } == [0, 0, 0, 0, 1, 2])
        var reader = try temporary.store.makeReader()
        var found = find(reader, 0, "a")
        #expect(found == "unreadable")
        var began = reader.begin(version: version)
        #expect(began)
        for client in clients {
            found = find(reader, Int(client.issuer), client.identifier)
            #expect(found == "web")
        }
        for (issuer, identifier) in [
            (0, ""), (0, "b"), (0, "A"), (1, "a"), (2, "ab"), (0, long), (1, long + "i"), (1, String(long.dropLast())),
        ] {
            found = find(reader, issuer, identifier)
            #expect(found == nil, "\(issuer) \(identifier)")
        }
        for issuer in [65_536, -1] {
            found = find(reader, issuer, "a")
            #expect(found == "unreadable")
        }
        reader.end()
        found = find(reader, 0, "a")
        #expect(found == "unreadable")
        began = reader.begin(version: without)
        found = find(reader, 0, "a")
        #expect(began && found == nil)
        reader.end()
    }

    private func find(_ reader: borrowing PolicyReader, _ issuer: Int, _ identifier: String) -> String? {
        let identifier = Array(identifier.utf8)
        guard let record = reader.client(issuer: issuer, identifier: identifier.span) else { return nil }
        return record.isReadable ? String(lossy: record.name) : "unreadable"
    }

    @Test func flagsOfIssuers() throws {
        var policy = ClientRecordTests.policy([ClientRecordTests.client(issuer: 1)])
        policy.issuers[0].refusesUnknownClients = true
        var bytes = try PolicyCompiler(policy).catalogue()
        func clients(_ index: Int) -> [Bool]? {
            guard let found = Catalogue(bytes.span)?.issuerClients(index) else { return nil }
            return [found.areListed, found.refusesUnknown]
        }
        #expect((0..<4).map(clients) == [[false, true], [true, false], [false, false], nil])
        #expect(clients(-1) == nil)
        let issuers = Catalogue(bytes.span)?.issuers()
        #expect(issuers == policy.issuers)
        // A flag that this build does not know.
        for flag: UInt8 in [4, 0x80] {
            bytes[68 + 30] ^= flag
            let settings = Catalogue(bytes.span)?.issuerSettings()
            #expect(clients(0) == nil && settings == nil)
            bytes[68 + 30] ^= flag
        }
    }

    @Test func termsOfScopesAndServices() throws {
        var policy = CatalogueTests.policy
        policy.scopes[1].until = 5
        policy.scopes[4].replacedBy = [0, 2]
        policy.services[1].until = 9
        let bytes = try PolicyCompiler(policy).catalogue()
        func term(_ id: UInt16) -> ScopeTerm? { Catalogue(bytes.span)?.scopeTerm(id) }
        #expect(term(0) == ScopeTerm(until: .max, isOldName: false))
        #expect(term(1) == ScopeTerm(until: 5, isOldName: false))
        #expect(term(4) == ScopeTerm(until: .max, isOldName: true) && term(5) == nil)
        #expect(
            term(1).map { [$0.hasEnded(at: 4), $0.hasEnded(at: 5), $0.hasEnded(at: .min)] } == [false, true, false])
        #expect(term(0)?.hasEnded(at: .max) == false)
        func hasEnded(_ index: Int, _ now: Int64) -> Bool? {
            guard let catalogue = Catalogue(bytes.span), let service = catalogue.service(index) else { return nil }
            return service.hasEnded(at: now)
        }
        #expect(hasEnded(1, 8) == false && hasEnded(1, 9) == true && hasEnded(0, .max) == false)
        policy.scopes[4].replacedBy = []
        policy.scopes[0].replacedBy = [1]
        #expect(throws: PolicyTableError.self) { try PolicyCompiler(policy).catalogue() }
    }
}
