import Octets
import PolicyTables
import Testing

/// A damaged table may answer wrongly (its hash is checked before it is used), but it neither traps nor
/// hangs.
@Suite struct CorruptionTests {
    static let services = [
        service(
            "s",
            [
                bound(
                    route(
                        "GET /orders/{order}", .scopes(all: [1, 2], any: [3]), ports: [443],
                        bindings: [.init(segment: 1, claim: "sub")])),
                route("GET /orders/{order}", ports: [9443]),
                route("PROPFIND-LONG /orders/new"), route("OPTIONS /**", .preflight), route("GET /a/{x}/c"),
                route("GET /a/b/d"), route("GET /files/**"),
            ]),
        service("t", ports: [9443], (0..<12).map { route("GET /n\($0)") }),
    ]
    static let requests = [
        "/orders/7", "/orders/new", "/a/b/c", "/a/b/d", "/files/x/y/", "/n11", "/", "/none/such",
    ]

    /// Reads everything that a request or an explanation may read.
    /// - Returns: how many requests were made.
    static func readAll(
        _ bytes: [UInt8], paths: [[UInt8]], methods: [[UInt8]], port: UInt16, thorough: Bool
    ) -> Int {
        for path in paths {
            for method in methods { read(bytes, path, method, port) }
            if thorough { _ = HostTable(bytes.span).considered(path: path.span, port: port) }
        }
        if thorough { _ = listing(bytes) }
        return paths.count * methods.count
    }

    static func read(_ bytes: [UInt8], _ path: [UInt8], _ method: [UInt8], _ port: UInt16) {
        let host = HostTable(bytes.span)
        if case .matched(let rule) = host.match(method: method.span, path: path.span, port: port) {
            touch(host, rule)
        }
        _ = host.matchPreflight(path: path.span, port: port, requestedMethod: method.span)
    }

    static func touch(_ host: borrowing HostTable, _ rule: RouteRule) {
        for index in 0..<min(rule.allCount, 64) { _ = host.scope(of: rule, all: index) }
        for index in 0..<min(rule.anyCount, 64) { _ = host.scope(of: rule, any: index) }
        for index in 0..<min(rule.bindingCount, 64) { _ = host.binding(of: rule, index) }
        for index in 0..<min(rule.portCount, 64) { _ = host.port(of: rule, index) }
        for index in 0..<min(rule.detailCount, 64) { _ = host.detail(of: rule, index) }
        for index in 0..<min(rule.acrCount, 64) { _ = host.acr(of: rule, index)?.count }
        _ = host.label(of: rule).count
        _ = host.method(of: rule).count
    }

    @Test func everyByteChanged() throws {
        let bytes = try table(CorruptionTests.services)
        let paths = CorruptionTests.requests.map { Array($0.utf8) }
        let methods = ["GET", "PROPFIND-LONG"].map { Array($0.utf8) }
        var reads = 0
        for index in bytes.indices {
            for mask: UInt8 in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF] {
                var damaged = bytes
                damaged[index] ^= mask
                reads += CorruptionTests.readAll(
                    damaged, paths: paths, methods: methods, port: 9443, thorough: mask == 0xFF)
            }
        }
        #expect(reads >= 100_000)
    }

    @Test func everyTruncation() throws {
        let bytes = try table(CorruptionTests.services)
        let paths = CorruptionTests.requests.map { Array($0.utf8) }
        let methods = [Array("GET".utf8)]
        for count in 0..<bytes.count {
            let cut = Array(bytes[..<count])
            #expect(answer(cut, "GET /a/b/c") == "unreadable")
            // With the length put right, the lost offsets are what must be caught.
            guard count >= 12 else { continue }
            var mended = cut
            for byte in 0..<4 { mended[8 + byte] = UInt8(truncatingIfNeeded: count >> (8 * byte)) }
            _ = CorruptionTests.readAll(mended, paths: paths, methods: methods, port: 9443, thorough: true)
        }
        #expect(answer(bytes + [0], "GET /a/b/c") == "unreadable")
        #expect(answer(bytes, "GET /a/b/c") == "GET /a/{x}/c")
    }

    @Test func randomWords() throws {
        let bytes = try table(CorruptionTests.services)
        let paths = CorruptionTests.requests.map { Array($0.utf8) }
        let methods = ["GET", "HEAD"].map { Array($0.utf8) }
        var generator = SeededGenerator(5)
        for _ in 0..<3_000 {
            var damaged = bytes
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let offset = Int.random(in: 12..<bytes.count - 4, using: &generator)
                // Offsets that point to other records do more harm than offsets that point nowhere.
                let value = UInt32.random(in: 0..<UInt32(bytes.count), using: &generator)
                for byte in 0..<4 {
                    damaged[offset + byte] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(byte)))
                }
            }
            _ = CorruptionTests.readAll(damaged, paths: paths, methods: methods, port: 9443, thorough: true)
        }
    }

    /// A node that is its own child, in every way, is left by the length of the path and the bound.
    @Test func loops() throws {
        let bytes = try table([route("GET /a/a/{x}"), route("GET /a/{x}/a"), route("GET /{x}/**")])
        let path = Array(String(repeating: "/a", count: 200).utf8)
        let words = stride(from: 32, to: bytes.count - 4, by: 1)
        for from in words {
            for to in words where to % 7 == from % 7 {
                var damaged = bytes
                for byte in 0..<4 { damaged[from + byte] = UInt8(truncatingIfNeeded: to >> (8 * byte)) }
                let host = HostTable(damaged.span)
                let method = Array("GET".utf8)
                _ = host.match(method: method.span, path: path.span, port: 1)
            }
        }
    }

    /// The rule of the layout's example stands at 32; each of these would make it say more than it does.
    @Test(
        arguments: [
            ("no scope", 52, [0]), ("unknown ground", 48, [3]), ("label beyond the end", 50, [0xFF, 0xFF]),
            ("bindings beyond the end", 56, [0xFF, 0xFF]), ("scopes beyond the end", 54, [0xFF, 0xFF]),
            ("unknown proof", 60, [4]), ("no proof that is known", 60, [0xFF]),
            ("acr values beyond the end", 62, [0xFF, 0xFF]), ("details beyond the end", 68, [0xFF, 0xFF]),
            ("a nonce that is neither", 61, [2]), ("a nonce with another bit", 61, [0x81]),
        ] as [(String, Int, [UInt8])])
    func rulesThatCannotStand(_ fault: String, _ offset: Int, _ bytes: [UInt8]) throws {
        var damaged = try table([route("GET /a", .scopes(all: [3], any: []))])
        #expect(answer(damaged, "GET /a") == "GET /a")
        for (index, byte) in bytes.enumerated() { damaged[offset + index] = byte }
        #expect(answer(damaged, "GET /a") == "unreadable", "\(fault)")
    }

    /// Values of `acr` that cannot be read are absent: whoever asks for one of them finds none that fits.
    @Test func acrValuesThatCannotBeRead() throws {
        let bytes = try table([bound(route("GET /a", .scopes(all: [3], any: [])))])
        // The rule stands at 32, its scope, details, method and label take 15 bytes, and then its values come.
        let values = 32 + 38 + 15
        #expect(acrValues(bytes, "GET /a") == ["mfa", "urn:example:hwk", nil])
        #expect(Array(bytes[values..<values + 5]) == [3, 0] + Array("mfa".utf8))
        var damaged = bytes
        damaged[values + 1] = 0xFF
        #expect(acrValues(damaged, "GET /a") == [nil, nil, nil])
        damaged = bytes
        damaged[values + 5 + 1] = 0xFF
        #expect(acrValues(damaged, "GET /a") == ["mfa", nil, nil])
        // More of them than there are: what comes next is read as one, or nothing is.
        damaged = bytes
        damaged[62] = 3
        #expect(acrValues(damaged, "GET /a").prefix(2) == ["mfa", "urn:example:hwk"])
    }

    @Test func detailsOfARule() throws {
        let bytes = try table([bound(route("GET /a", .scopes(all: [3], any: [1]), ports: [443]))])
        #expect(detailNumbers(bytes, "GET /a") == [nil, 2, 0, nil])
        // The rule stands at 32, and its scopes and its port before its details.
        let details = 32 + 38 + 6
        #expect(Array(bytes[details..<details + 4]) == [2, 0, 0, 0])
        // An index that no settings have, for whoever asks the token to say no to.
        var damaged = bytes
        damaged[details + 1] = 0xFF
        #expect(detailNumbers(damaged, "GET /a") == [nil, 0xFF02, 0, nil])
        #expect(detailNumbers(try table([route("GET /a", .scopes(all: [3], any: []))]), "GET /a") == [nil, nil])
    }

    @Test func otherLayoutIsUnreadable() throws {
        var bytes = try table([route("GET /a")])
        for layout: UInt8 in [0, 1, 2, 3, 5] {
            bytes[4] = layout
            #expect(answer(bytes, "GET /a") == "unreadable")
        }
        #expect(listing(bytes) == nil)
    }

    @Test func catalogueEveryByteChanged() throws {
        let bytes = try PolicyCompiler(CatalogueTests.policy).catalogue()
        func read(_ bytes: [UInt8]) {
            guard let catalogue = Catalogue(bytes.span) else { return }
            _ = catalogue.issuers()
            _ = catalogue.issuerSettings()
            _ = catalogue.details()
            for id in 0..<UInt16(clamping: min(catalogue.scopeCount, 100)) {
                _ = catalogue.scopeID(of: catalogue.scopeName(id))
                _ = catalogue.scopeDescription(id).count
                catalogue.forEachImplied(by: id) { _ in }
                _ = catalogue.scopeTerm(id)
            }
            for index in 0..<min(catalogue.serviceCount, 100) {
                guard let service = catalogue.service(index) else { continue }
                _ = service.name.count + service.audience.count + service.tokenSourceName.count
                _ = service.metadataURL.count
                _ = service.allows(issuer: 1)
                _ = service.port(0)
                _ = service.publicPort
            }
            for index in 0..<min(catalogue.boundClaimCount, 100) { _ = catalogue.boundClaim(index)?.count }
        }
        for index in bytes.indices {
            for mask: UInt8 in [0x01, 0x10, 0x40, 0x80, 0xFF] {
                var damaged = bytes
                damaged[index] ^= mask
                read(damaged)
            }
            var mended = Array(bytes[..<index])
            guard index >= 12 else { continue }
            for byte in 0..<4 { mended[8 + byte] = UInt8(truncatingIfNeeded: index >> (8 * byte)) }
            read(mended)
        }
    }
}
