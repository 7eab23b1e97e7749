@testable import Decision
import Octets
import PolicyTables
import Testing

/// What is written down about connections, and about requests from a proxy that sends numbers: logs and explanations.
@Suite struct ConnectionRecordTests {
    @Test("the log line of a denial")
    func log() throws {
        let world = try World(samplePortModel())
        let decider = try world.decider()
        let connection = Connection(
            CertificateWriter(uris: ["u:reader", "u:x\""], dns: ["a.example"], commonName: "r")
        )
        .with {
            $0.clientAddress = [192, 0, 2, 7]
            $0.addressForm = .ipv4
            $0.requestID = bytes("id-1")
        }
        let verdict = decider.verdict(connection)
        #expect(verdict.reason == .ambiguousCertificate)
        #expect(
            decider.logMembers(connection)
                == #","verdict":"deny","reason":"ambiguous_certificate","status":403,"#
                + #""route":"metrics tcp/9443","policy":""#
                + verdict[.policy] + #"","audit_id":""# + verdict[.auditID]
                + #"","request_id":"id-1","client_address":"192.0.2.7","port":"9443","certificate_subject":"CN=r","#
                + #""certificate_uri":"u:reader","certificate_dns":"a.example""#)

        let known = Connection(CertificateWriter(uris: ["u:reader"]))
        _ = decider.verdict(known)
        #expect(
            decider.logMembers(known).hasSuffix(
                #","port":"9443","subject":"u:reader","client":"reader","certificate_uri":"u:reader""#))
        #expect(decider.logMembers(known, valueBytesMax: 3).hasSuffix(#","client":"rea","certificate_uri":"u:r""#))
        let bare = Connection(port: -1)
        _ = decider.verdict(bare)
        #expect(decider.logMembers(bare).hasSuffix(decider.lastVerdict[.auditID] + "\""))
    }

    @Test("what an explanation is told")
    func details() throws {
        let world = try World(samplePortModel())
        let decider = try world.decider()
        decider.collectsDetails = true
        _ = decider.verdict(Connection(CertificateWriter(dns: ["WORKER.example.org"]), port: 5671))
        var details = decider.details
        #expect(details.service == bytes("queue") && details.route == bytes("tcp/5671") && details.ground == .scopes)
        #expect(details.requiredAll == [bytes("orders:read")])
        #expect(details.requiredAny == ["orders:write", "payments:charge"].map { bytes($0) })
        #expect(details.granted == ["orders:read", "orders:write", "read:metrics"].map { bytes($0) })
        #expect(details.client == bytes("worker") && details.identity == bytes("worker.example.org"))
        #expect(details.observeUntil == nil && details.observedReason == nil)
        _ = decider.verdict(Connection(CertificateWriter(), port: 7000))
        details = decider.details
        #expect(details.observeUntil == observeEnd && details.observedReason == .unknownCertificate)
        #expect(details.client == nil && details.identity == nil && details.granted == [])
        _ = decider.verdict(Connection(port: 1))
        #expect(decider.details.service == nil && decider.details.route == nil)
        decider.collectsDetails = false
    }

    @Test("addresses as RFC 5952 writes them")
    func addresses() {
        let rows: [([UInt16], String)] = [
            ([0, 0, 0, 0, 0, 0, 0, 0], "::"), ([0, 0, 0, 0, 0, 0, 0, 1], "::1"), ([1, 0, 0, 0, 0, 0, 0, 0], "1::"),
            ([0x2001, 0xDB8, 0, 0, 0, 0, 0, 1], "2001:db8::1"),
            ([0x2001, 0xDB8, 0, 1, 1, 1, 1, 1], "2001:db8:0:1:1:1:1:1"),
            ([0x2001, 0xDB8, 0, 0, 1, 0, 0, 1], "2001:db8::1:0:0:1"), ([0x2001, 0, 0, 1, 0, 0, 0, 1], "2001:0:0:1::1"),
            ([1, 2, 3, 4, 5, 6, 7, 8], "1:2:3:4:5:6:7:8"),
            ([0xABCD, 0xF, 0xA0, 0x100, 0, 5, 6, 7], "abcd:f:a0:100:0:5:6:7"),
            ([0, 0, 3, 4, 5, 6, 7, 8], "::3:4:5:6:7:8"), ([1, 2, 3, 4, 5, 6, 0, 0], "1:2:3:4:5:6::"),
            ([0, 2, 0, 4, 0, 6, 0, 8], "0:2:0:4:0:6:0:8"),
            ([0, 0, 0, 0, 0, 0xFFFF, 0xC000, 0x201], "::ffff:192.0.2.1"),
            ([0, 0, 0, 0, 0, 0, 0xC000, 0x201], "::c000:201"), ([0xFE80, 0, 0, 0, 0, 0, 0, 0xFFFF], "fe80::ffff"),
        ]
        for (groups, expected) in rows {
            let address = groups.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }
            var line = ByteWriter(capacity: 64)
            line.append(address: address.span)
            #expect(String(lossy: line.bytes) == expected)
        }
        for (address, expected) in [([0, 10, 100, 255], "0.10.100.255"), ([1, 2, 3], ""), ([], "")]
            as [([UInt8], String)]
        {
            var line = ByteWriter(capacity: 64)
            line.append(address: address.span)
            #expect(String(lossy: line.bytes) == expected)
        }
    }

    // MARK: requests with numbers

    private func log(_ decider: Decider, _ facts: RequestFacts, _ bytes: [UInt8]) -> String {
        var line = ByteWriter(capacity: 4_096)
        decider.appendLogMembers(to: &line, facts, bytes.span, valueBytesMax: 256)
        return String(lossy: line.bytes)
    }

    @Test("the port of a request as a number")
    func portNumbers() throws {
        let world = try World()
        let decider = try world.decider()
        let good = Request().bearing(try world.token())
        func reason(_ port: [UInt8]?, _ number: Int64, _ request: Request) -> Reason {
            var (facts, bytes) = request.with { $0.port = port }.laidOut()
            facts.portNumber = number
            _ = decider.decide(facts, bytes.span, now: World.now, limits: DecisionLimits())
            return decider.reason
        }
        let rows: [([UInt8]?, Int64, Reason)] = [
            (nil, 443, .granted), (nil, 65_535, .granted), (nil, -1, .missingFact), (nil, .min, .missingFact),
            (nil, 0, .conflictingFacts), (nil, 65_536, .conflictingFacts), (nil, .max, .conflictingFacts),
            (bytes("443"), 443, .conflictingFacts), (bytes("443"), -1, .granted), ([], 443, .conflictingFacts),
            ([], -1, .missingFact),
        ]
        for (port, number, expected) in rows { #expect(reason(port, number, good) == expected, "\(number)") }
        let metrics = Request("GET", "/v1/metrics").bearing(try world.token(.scopes("read:metrics")))
        #expect(reason(nil, 9443, metrics) == .granted)
        #expect(reason(nil, 443, metrics) == .portNotAllowed)
    }

    @Test("the path as received must be that of the target")
    func rawPaths() throws {
        let world = try World()
        let decider = try world.decider()
        let token = try world.token()
        let rows: [(String, String?, Reason)] = [
            ("/v1/orders", "/v1/orders", .granted), ("/v1/orders?a=/b", "/v1/orders", .granted),
            ("/v1/orders", nil, .granted), ("/v1/orders", "", .pathMismatch),
            ("/v1/orders", "/v1/order", .pathMismatch),
            ("/v1/orders?a", "/v1/orders?a", .pathMismatch), ("/v1/orders", "/v1/orders/", .pathMismatch),
            ("/v1/%6Frders", "/v1/%6Frders", .granted), ("/v1/%6Frders", "/v1/orders", .pathMismatch),
            ("/v1/orders", "/v1/%6Frders", .pathMismatch), ("http://api.example.com/v1/orders", "/v1/orders", .granted),
            ("https://api.example.com/v1/orders?x", "/v1/orders", .granted),
            ("https://api.example.com/v1/orders", "//api.example.com/v1/orders", .pathMismatch),
            ("/v1//orders", "/v1//orders", .ambiguousTarget),
        ]
        for (target, path, expected) in rows {
            var (facts, all) = Request("GET", target).bearing(token).laidOut()
            if let path {
                facts.rawPath = ByteRange(start: all.count, count: path.utf8.count)
                all += bytes(path)
            }
            _ = decider.decide(facts, all.span, now: World.now, limits: DecisionLimits())
            #expect(decider.reason == expected, "\(target) \(path ?? "-")")
        }
    }

    @Test("the log line of a request with numbers")
    func requestLog() throws {
        let world = try World()
        let decider = try world.decider()
        func line(_ address: [UInt8], _ form: AddressForm, port: Int64) -> String {
            var (facts, all) = Request().with { $0.port = nil }.laidOut()
            facts.clientAddress = ByteRange(start: all.count, count: address.count)
            facts.clientAddressForm = form
            facts.portNumber = port
            all += address
            _ = decider.decide(facts, all.span, now: World.now, limits: DecisionLimits())
            return log(decider, facts, all)
        }
        #expect(line([10, 0, 0, 1], .ipv4, port: 443).contains(#","client_address":"10.0.0.1","method":"GET","#))
        #expect(line([10, 0, 0, 1], .ipv4, port: 443).contains(#","port":"443","target":"#))
        let local = [UInt8](repeating: 0, count: 15) + [1]
        #expect(line(local, .ipv6, port: 70_000).contains(#","client_address":"::1","#))
        #expect(line(local, .ipv6, port: 70_000).contains(#","port":"70000","#))
        #expect(line(bytes("10.0.0.9"), .text, port: 1).contains(#","client_address":"10.0.0.9","#))
        // Of the wrong length: no address at all.
        #expect(!line([10, 0, 0], .ipv4, port: 1).contains("client_address"))
        #expect(!line([10, 0, 0, 1], .ipv6, port: 1).contains("client_address"))
    }
}

/// Port tables that are damaged, gone or of another layout.
@Suite struct ConnectionDamageTests {
    private static func isPorts(_ key: [UInt8]) -> Bool { key.count == 17 && key.last == 0x70 }

    @Test("a port table that is none", arguments: DamageTests.damages.indices)
    func none(_ number: Int) throws {
        let world = try World(samplePortModel())
        let decider = try world.decider()
        ConnectionTests.check(decider.verdict(Connection()), .granted)
        try world.folder.damage(Self.isPorts, DamageTests.damages[number])
        // A table that is gone is a policy without ports.
        let reason: Reason = number == 0 ? .portNotAllowed : .policyUnreadable
        for connection in [Connection(), Connection(port: 7000)] {
            ConnectionTests.check(decider.verdict(connection), reason)
        }
        #expect(decider.verdict(Request("GET", "/healthz")).reason == .public)
    }

    @Test("a catalogue that is none")
    func catalogue() throws {
        let world = try World(samplePortModel())
        try world.folder.damage({ $0.count == 17 && $0.last == 0x63 }, { Array($0.dropLast()) })
        ConnectionTests.check(try world.decider().verdict(Connection()), .policyUnreadable)
    }

    @Test("damage in any one byte, or the loss of the rest, never makes an allow of a denial")
    func everyByte() throws {
        let world = try World(samplePortModel())
        var original: [UInt8] = []
        try world.folder.damage(Self.isPorts) { value in
            original = value
            return value
        }
        let decider = try world.decider()
        let denied = [
            Connection(port: 5671), Connection(CertificateWriter(uris: ["u:guest"])), Connection(port: 443),
            Connection(CertificateWriter(uris: ["u:nobody"])), Connection().with { $0.isUsed = false },
            Connection(CertificateWriter(dns: ["a.example.org"])),
        ]
        var answers = 0
        func expectDenials(_ changed: [UInt8]) throws {
            try world.folder.damage(Self.isPorts) { _ in changed }
            for connection in denied where !decider.verdict(connection).isAllow { answers += 1 }
            // What was allowed may be denied, or allowed as the same client.
            let verdict = decider.verdict(Connection())
            if verdict.isAllow { #expect(verdict[.client] == "prometheus") }
        }
        for index in original.indices {
            for mask: UInt8 in [0x01, 0x80, 0xFF] {
                var changed = original
                changed[index] ^= mask
                try expectDenials(changed)
            }
        }
        for count in stride(from: 0, to: original.count, by: 3) { try expectDenials(Array(original[..<count])) }
        #expect(answers == denied.count * (3 * original.count + (original.count + 2) / 3))
    }
}
