import Octets
@testable import PolicyTables
import Signatures
import Store
import Testing

func portModel(
    _ services: [PortServiceModel], _ clients: [CertificateClientModel] = [], scopes: [String]? = nil
) -> PolicyModel {
    var made = model([service("s", [route("GET /a")])])
    if let scopes {
        made.scopes = scopes.enumerated().map { ScopeModel(name: $1, closure: [UInt16($0)]) }
    }
    made.portServices = services
    made.certificateClients = clients
    return made
}

/// Services and clients of every kind.
let portExample = portModel(
    [
        PortServiceModel(name: "metrics", ports: [9443, 80], all: [3]),
        PortServiceModel(name: "queue", ports: [65535], all: [0, 1], any: [2, 4], observeUntil: 1_900_000_000),
        PortServiceModel(name: "any", ports: [1], any: [5, 6]),
    ],
    [
        CertificateClientModel(name: "prometheus", identity: .uri("spiffe://example.org/prometheus"), scopes: [3, 5]),
        CertificateClientModel(name: "worker", identity: .dns("worker.example.org"), scopes: [0, 1, 4]),
        CertificateClientModel(name: "all", identity: .dns("*.example.org"), scopes: [6]),
        CertificateClientModel(name: "cron", identity: .subject("CN=cron,O=Example"), scopes: []),
        CertificateClientModel(name: "same", identity: .subject("worker.example.org"), scopes: [2]),
    ])

@Suite struct PortTableTests {
    static func table(_ model: PolicyModel) throws -> [UInt8] {
        try #require(try PolicyCompiler(model).portTable())
    }

    /// What a table says about a port and a name of a certificate.
    static func answer(_ bytes: [UInt8], port: UInt16) -> String {
        let table = PortTable(bytes.span)
        switch table.match(port: port) {
        case .unreadable: return "unreadable"
        case .unknownPort: return "unknownPort"
        case .matched(let rule):
            let all = (0..<rule.allCount).map { "\(table.scope(of: rule, all: $0) ?? .max)" }
            let any = (0..<rule.anyCount).map { "\(table.scope(of: rule, any: $0) ?? .max)" }
            let date = rule.observeUntil == .min ? "" : " until \(rule.observeUntil)"
            return String(lossy: table.serviceName(of: rule))
                + " all \(all.joined(separator: ",")) any \(any.joined(separator: ","))\(date)"
        }
    }

    static func answer(_ bytes: [UInt8], _ kind: IdentityKind, _ name: String) -> String {
        let table = PortTable(bytes.span)
        let identity = Array(name.utf8)
        switch table.client(kind, identity.span) {
        case .unreadable: return "unreadable"
        case .unknownIdentity: return "unknown"
        case .matched(let client):
            let scopes = (0..<client.scopeCount).map { "\(table.scope(of: client, inNameOrder: $0) ?? .max)" }
            return String(lossy: table.name(of: client)) + " " + scopes.joined(separator: ",")
        }
    }

    /// The example in the description of the layout, byte by byte.
    @Test func exampleOfTheDescription() throws {
        let bytes = try Self.table(
            portModel(
                [PortServiceModel(name: "m", ports: [9443], all: [3])],
                [CertificateClientModel(name: "c", identity: .uri("u:c"), scopes: [3, 5])],
                scopes: ["a", "b", "c", "z", "e", "f"]))
        var expected: [UInt8] = Array("SCPT".utf8)
        expected.append(littleEndian16: 4)
        expected.append(littleEndian16: 0)
        for word: UInt32 in [91, 1, 55, 1, 87] { expected.append(littleEndian32: word) }
        // The rule of the port.
        expected.append(littleEndian64: 0x00B2_C3FC_7C4C_30EE)
        for half: UInt16 in [9443, 1, 1, 0] { expected.append(littleEndian16: half) }
        expected.append(littleEndian64: 0x8000_0000_0000_0000)
        expected.append(littleEndian16: 3)
        expected += Array("m".utf8)
        expected.append(littleEndian32: 28)
        // The client.
        expected.append(littleEndian64: 0x7849_A376_CB53_F925)
        expected += [0, 0]
        for half: UInt16 in [3, 1, 2, 3, 5, 5, 3] { expected.append(littleEndian16: half) }
        expected += Array("u:cc".utf8)
        expected.append(littleEndian32: 59)
        #expect(bytes == expected)
    }

    @Test func portsAndRules() throws {
        let bytes = try Self.table(portExample)
        let rows: [(UInt16, String)] = [
            (9443, "metrics all 3 any "), (80, "metrics all 3 any "), (1, "any all  any 5,6"),
            (65535, "queue all 0,1 any 2,4 until 1900000000"), (0, "unknownPort"), (2, "unknownPort"),
            (443, "unknownPort"), (9442, "unknownPort"), (65534, "unknownPort"),
        ]
        for (port, expected) in rows { #expect(Self.answer(bytes, port: port) == expected, "\(port)") }
        let table = PortTable(bytes.span)
        #expect(table.portCount == 4 && table.clientCount == 5)
        #expect((0..<5).map { table.rule($0)?.port } == [1, 80, 9443, 65535, nil])
        #expect(table.rule(-1) == nil)
    }

    @Test func identities() throws {
        let bytes = try Self.table(portExample)
        let rows: [(IdentityKind, String, String)] = [
            (.uri, "spiffe://example.org/prometheus", "prometheus 3,5"),
            (.dns, "worker.example.org", "worker 0,1,4"), (.dns, "WORKER.Example.ORG", "worker 0,1,4"),
            // A `*` is a letter like others, on either side.
            (.dns, "*.example.org", "all 6"), (.dns, "a.example.org", "unknown"),
            (.subject, "CN=cron,O=Example", "cron "), (.subject, "worker.example.org", "same 2"),
            // Only DNS names are compared without case; kinds do not mix.
            (.uri, "SPIFFE://example.org/prometheus", "unknown"), (.uri, "spiffe://example.org/Prometheus", "unknown"),
            (.subject, "cn=cron,o=example", "unknown"), (.subject, "CN=cron, O=Example", "unknown"),
            (.dns, "spiffe://example.org/prometheus", "unknown"), (.uri, "worker.example.org", "unknown"),
            // Neither a part nor more.
            (.uri, "spiffe://example.org/prometheu", "unknown"), (.uri, "spiffe://example.org/prometheus/", "unknown"),
            (.uri, "", "unknown"), (.dns, "", "unknown"), (.subject, "", "unknown"), (.dns, "worker", "unknown"),
            (.dns, "worker.example.org.", "unknown"), (.dns, "worker.example.org\u{0}", "unknown"),
        ]
        for (kind, name, expected) in rows { #expect(Self.answer(bytes, kind, name) == expected, "\(kind) \(name)") }
        let table = PortTable(bytes.span)
        let listed = (0..<6).map { index in table.client(index).map { String(lossy: table.identity(of: $0)) } }
        #expect(
            listed == [
                "spiffe://example.org/prometheus", "*.example.org", "worker.example.org", "CN=cron,O=Example",
                "worker.example.org", nil,
            ])
    }

    /// All of `all`, and one of `any` where there are any.
    @Test func holding() throws {
        let rows: [(all: [UInt16], any: [UInt16], held: [UInt16], Bool)] = [
            ([3], [], [3], true), ([3], [], [], false), ([3], [], [2, 4], false), ([1, 3], [], [1, 3, 5], true),
            ([1, 3], [], [3], false), ([], [1, 2], [2], true), ([], [1, 2], [0, 3], false),
            ([0], [1, 2], [0, 2], true), ([0], [1, 2], [0], false), ([0], [1, 2], [1, 2], false),
        ]
        for (all, any, held, expected) in rows {
            let bytes = try Self.table(
                portModel(
                    [PortServiceModel(name: "p", ports: [7], all: all, any: any)],
                    [CertificateClientModel(name: "c", identity: .uri("u"), scopes: held)]))
            let table = PortTable(bytes.span)
            guard let rule = table.rule(0), let client = table.client(0) else {
                Issue.record("\(all) \(any) \(held)")
                continue
            }
            let holds = table.holds(client, rule)
            #expect(holds == expected, "\(all) \(any) \(held)")
        }
    }

    @Test func manyOfEach() throws {
        let count = 2_000
        let services = (0..<count).map { PortServiceModel(name: "s\($0)", ports: [UInt16(1 + 7 * $0)], all: [1]) }
        let clients = (0..<count).map {
            CertificateClientModel(name: "c\($0)", identity: .uri("spiffe://example.org/\($0)"), scopes: [1])
        }
        let bytes = try Self.table(portModel(services.reversed(), clients))
        for index in 0..<count {
            #expect(Self.answer(bytes, port: UInt16(1 + 7 * index)) == "s\(index) all 1 any ")
            #expect(Self.answer(bytes, .uri, "spiffe://example.org/\(index)") == "c\(index) 1")
        }
        // The same model gives the same bytes, in whatever order it lists its parts.
        #expect(try Self.table(portModel(services, clients.reversed())) == bytes)
    }

    @Test func everyAlignment() throws {
        let bytes = try Self.table(portExample)
        for shift in 0..<9 {
            let moved = [UInt8](repeating: 0xFF, count: shift) + bytes
            let table = PortTable(moved.span.extracting(shift...))
            guard case .matched(let rule) = table.match(port: 9443) else {
                Issue.record("shift \(shift)")
                return
            }
            #expect(rule.port == 9443)
        }
    }

    @Test func modelsThatCannotStand() {
        let port = PortServiceModel(name: "p", ports: [7], all: [1])
        let client = CertificateClientModel(name: "c", identity: .uri("u"), scopes: [1])
        func changed(_ change: (inout CertificateClientModel) -> Void) -> CertificateClientModel {
            var copy = client
            change(&copy)
            return copy
        }
        let long = String(repeating: "a", count: 65_536)
        let rows: [(String, PolicyModel)] = [
            ("requires no scope", portModel([PortServiceModel(name: "p", ports: [7])])),
            ("have the port 7", portModel([port, PortServiceModel(name: "q", ports: [8, 7], all: [1])])),
            ("have the port 7", portModel([PortServiceModel(name: "p", ports: [7, 7], all: [1])])),
            ("scope number 8", portModel([PortServiceModel(name: "p", ports: [7], all: [8])])),
            ("scope number 9", portModel([PortServiceModel(name: "p", ports: [7], any: [9])])),
            ("scope number 8", portModel([port], [changed { $0.scopes = [8] }])),
            ("not ascending", portModel([port], [changed { $0.scopes = [2, 1] }])),
            ("not ascending", portModel([port], [changed { $0.scopes = [1, 1] }])),
            ("empty name", portModel([port], [changed { $0.identity = .subject("") }])),
            ("lower case", portModel([port], [changed { $0.identity = .dns("A.example") }])),
            ("two clients are named", portModel([port], [client, changed { $0.identity = .uri("v") }])),
            ("known by the same name", portModel([port], [client, changed { $0.name = "d" }])),
            ("larger than", portModel([port], [changed { $0.identity = .uri(long) }])),
            ("larger than", portModel([port], [changed { $0.name = long }])),
            ("larger than", portModel([PortServiceModel(name: long, ports: [7], all: [1])])),
        ]
        for (text, model) in rows {
            do throws(PolicyTableError) {
                try PolicyCompiler(model).check()
                Issue.record("\(text)")
            } catch {
                #expect(error.description.contains(text), "\(error)")
            }
        }
    }
}

/// A damaged table says less than it said, never more: it neither traps nor finds a rule or client that was not there.
@Suite struct PortTableDamageTests {
    static let ports: [UInt16] = [0, 1, 2, 80, 443, 9443, 65535]
    static let names: [(IdentityKind, String)] = [
        (.uri, "spiffe://example.org/prometheus"), (.dns, "worker.example.org"), (.dns, "*.example.org"),
        (.subject, "CN=cron,O=Example"), (.uri, "x"), (.dns, "worker.example.orf"),
    ]

    /// - Returns: whether every answer is the undamaged one, or a denial.
    private func saysNoMore(_ bytes: [UInt8], _ good: [String]) -> Bool {
        let table = PortTable(bytes.span)
        for index in 0..<min(table.portCount, 8) { _ = table.rule(index) }
        for index in 0..<min(table.clientCount, 8) { _ = table.client(index) }
        let denials: Set<String> = ["unreadable", "unknown", "unknownPort"]
        return zip(answers(bytes), good).allSatisfy { $0 == $1 || denials.contains($0) }
    }

    private func answers(_ bytes: [UInt8]) -> [String] {
        Self.ports.map { PortTableTests.answer(bytes, port: $0) }
            + Self.names.map { PortTableTests.answer(bytes, $0.0, $0.1) }
    }

    @Test func everyByteChanged() throws {
        let bytes = try PortTableTests.table(portExample)
        let good = answers(bytes)
        for index in bytes.indices {
            for mask: UInt8 in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF] {
                var damaged = bytes
                damaged[index] ^= mask
                #expect(saysNoMore(damaged, good), "byte \(index), mask \(mask)")
            }
        }
    }

    @Test func everyTruncation() throws {
        let bytes = try PortTableTests.table(portExample)
        let good = answers(bytes)
        for count in 0..<bytes.count {
            let cut = Array(bytes[..<count])
            #expect(PortTableTests.answer(cut, port: 9443) == "unreadable")
            // With the length put right, the lost offsets are what must be caught.
            guard count >= 12 else { continue }
            var mended = cut
            for byte in 0..<4 { mended[8 + byte] = UInt8(truncatingIfNeeded: count >> (8 * byte)) }
            #expect(saysNoMore(mended, good), "\(count)")
        }
        #expect(PortTableTests.answer(bytes + [0], port: 9443) == "unreadable")
    }

    @Test func randomWords() throws {
        let bytes = try PortTableTests.table(portExample)
        let good = answers(bytes)
        var generator = SeededGenerator(11)
        for round in 0..<5_000 {
            var damaged = bytes
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let offset = Int.random(in: 8..<bytes.count - 4, using: &generator)
                let isNear = generator.next() % 2 == 0
                let value = isNear ? UInt32.random(in: 0..<UInt32(bytes.count), using: &generator) : .max
                for byte in 0..<4 {
                    damaged[offset + byte] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(byte)))
                }
            }
            #expect(saysNoMore(damaged, good), "\(round)")
        }
    }

    @Test func otherLayoutIsUnreadable() throws {
        let bytes = try PortTableTests.table(portExample)
        for index in [0, 4, 8] {
            var changed = bytes
            changed[index] += 1
            #expect(answers(changed).allSatisfy { $0 == "unreadable" })
        }
        #expect(answers([]).allSatisfy { $0 == "unreadable" })
    }
}

@Suite struct PortTableStoreTests {
    private func portCount(_ reader: borrowing PolicyReader) -> Int? {
        guard let table = reader.portTable() else { return nil }
        return table.portCount
    }

    private func key(_ temporary: TemporaryStore) throws -> [UInt8]? {
        try temporary.keys("tables").first { $0.count == 17 && $0.last == 0x70 }
    }

    @Test func writtenOnlyWithPorts() throws {
        let temporary = try TemporaryStore()
        let without = try temporary.add(portModel([], portExample.certificateClients), "without")
        #expect(try key(temporary) == nil)
        #expect(try temporary.store.info(without)?.tableCount == 2)
        let with = try temporary.add(portExample, "with")
        let info = try #require(try temporary.store.info(with))
        #expect(info.tableCount == 3 && info.serviceCount == 4)
        #expect(try temporary.store.verify(with) == info)
        var reader = try temporary.store.makeReader()
        for (version, expected) in [(with, 4), (without, nil as Int?)] {
            let began = reader.begin(version: version)
            let count = portCount(reader)
            reader.end()
            #expect(began && count == expected)
        }
        var hosts: [String] = []
        try temporary.store.forEachHost(with) { host, _ in
            hosts.append(host)
            return .next
        }
        #expect(hosts == ["h"])
    }

    @Test func readThroughAReader() throws {
        let temporary = try TemporaryStore()
        let without = try temporary.add(portModel([]), "without")
        let with = try temporary.add(portExample, "with")
        var reader = try temporary.store.makeReader()
        func port(_ reader: borrowing PolicyReader) -> UInt16? {
            guard let table = reader.portTable() else { return nil }
            guard case .matched(let rule) = table.match(port: 9443) else { return 0 }
            return rule.port
        }
        #expect(port(reader) == nil)
        #expect(reader.begin(version: with) && port(reader) == 9443)
        reader.end()
        #expect(port(reader) == nil)
        #expect(reader.begin(version: without) && port(reader) == nil)
        reader.end()
        #expect(reader.begin(version: with) && port(reader) == 9443)
        reader.end()
    }

    /// The seal covers it: changed, lost, or added to a version that has none.
    @Test func sealed() throws {
        let temporary = try TemporaryStore()
        let version = try temporary.add(portExample, "with")
        let place = try #require(try key(temporary))
        let bytes = try #require(try temporary.value("tables", place))
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 0x10
            try temporary.set("tables", place, changed)
            #expect(throws: PolicyStoreError.self) { try temporary.store.activate(version, now: 1) }
        }
        try temporary.set("tables", place, nil)
        #expect(throws: PolicyStoreError.self) { try temporary.store.activate(version, now: 1) }
        try temporary.set("tables", place, bytes)
        #expect(try temporary.store.activate(version, now: 1).number == 1)

        let plain = try temporary.add(portModel([]), "without")
        try temporary.set("tables", plain.bytes.prefix(16) + [0x70], bytes)
        #expect(throws: PolicyStoreError.self) { try temporary.store.activate(plain, now: 1) }
    }

    @Test func prunedWithItsVersion() throws {
        let temporary = try TemporaryStore()
        _ = try temporary.add(portExample, "with")
        let other = try temporary.add(portModel([]), "without")
        _ = try temporary.store.activate(other, now: 5)
        #expect(try key(temporary) != nil)
        try temporary.store.prune(keep: 0)
        #expect(try key(temporary) == nil)
    }
}
