import Octets
import PolicyTables
import Signatures
import Store
import Testing

@Suite struct PolicyReaderTests {
    func scopeNames(_ reader: borrowing PolicyReader) -> [String]? {
        guard let catalogue = reader.catalogue() else { return nil }
        var result: [String] = []
        for id in 0..<UInt16(catalogue.scopeCount) { result.append(String(lossy: catalogue.scopeName(id))) }
        return result
    }

    @Test func hosts() throws {
        let temporary = try TemporaryStore()
        let version = try temporary.add(
            model([
                service("exact", hosts: ["api.example.com", "x.y"], [route("GET /exact")]),
                service("any", hosts: ["*.example.com", "*.y"], [route("GET /any")]),
                service("long", hosts: [String(repeating: "l", count: 253)], [route("GET /long")]),
            ]), "hosts")
        var reader = try temporary.store.makeReader()
        #expect(lookUp(reader, "api.example.com", "GET /exact") == nil, "nothing before begin")
        #expect(scopeNames(reader) == nil)
        let began = reader.begin(version: version)
        #expect(began)
        let table: [(String, String, String?)] = [
            ("api.example.com", "GET /exact", "GET /exact"),
            // The host's own table alone counts, where it has one.
            ("api.example.com", "GET /any", "unknownRoute"),
            ("www.example.com", "GET /any", "GET /any"),
            ("w.example.com", "GET /any", "GET /any"),
            ("xn--longer-first-label.example.com", "GET /any", "GET /any"),
            ("x.y", "GET /exact", "GET /exact"), ("z.y", "GET /any", "GET /any"),
            // Exactly one label.
            ("a.b.example.com", "GET /any", nil), ("example.com", "GET /any", nil),
            (".example.com", "GET /any", nil),
            ("com", "GET /any", nil), ("", "GET /any", nil), (".", "GET /any", nil), ("a.", "GET /any", nil),
            ("API.example.com", "GET /exact", "unknownRoute"),
            // The name of the key itself is no host.
            ("*.example.com", "GET /any", nil), ("*.y", "GET /any", nil), ("*", "GET /any", nil),
            (String(repeating: "l", count: 253), "GET /long", "GET /long"),
            (String(repeating: "l", count: 254), "GET /long", nil),
            (String(repeating: "l", count: 100_000), "GET /long", nil),
            ("api.example.com\u{0}", "GET /exact", nil),
        ]
        for (host, request, expected) in table {
            #expect(lookUp(reader, host, request) == expected, "\(host.prefix(60))")
        }
        reader.end()
        #expect(lookUp(reader, "api.example.com", "GET /exact") == nil, "nothing after end")
        #expect(scopeNames(reader) == nil)
    }

    @Test func versionsAreApart() throws {
        let temporary = try TemporaryStore()
        var first = PolicyStoreTests.policy("/one")
        first.scopes = [ScopeModel(name: "one", closure: [0])]
        let one = try temporary.add(first, "one")
        let two = try temporary.add(PolicyStoreTests.policy("/two"), "two")
        var reader = try temporary.store.makeReader()
        for _ in 0..<3 {
            #expect(begin(&reader, one))
            #expect(lookUp(reader, "h", "GET /one") == "GET /one")
            #expect(scopeNames(reader) == ["one"])
            reader.end()
            #expect(begin(&reader, two))
            #expect(lookUp(reader, "h", "GET /one") == "unknownRoute")
            #expect(scopeNames(reader)?.count == 8)
            reader.end()
        }
        let unknown = PolicyStore.version(ofSource: Array("never".utf8).span)
        #expect(!begin(&reader, unknown))
        #expect(lookUp(reader, "h", "GET /two") == nil && scopeNames(reader) == nil)
        #expect(begin(&reader, two))
        // What is removed under a reader stays in its snapshot, and is gone in the next.
        _ = try temporary.store.activate(one, now: 1)
        try temporary.store.prune(keep: 0)
        #expect(lookUp(reader, "h", "GET /two") == "GET /two")
        reader.end()
        _ = begin(&reader, two)
        #expect(lookUp(reader, "h", "GET /two") == nil)
        reader.end()
        #expect(begin(&reader, one))
    }

    func begin(_ reader: inout PolicyReader, _ version: Digest) -> Bool { reader.begin(version: version) }

    @Test func damagedCatalogueIsNone() throws {
        let temporary = try TemporaryStore()
        let one = try temporary.add(PolicyStoreTests.policy("/one"), "one")
        for key in try temporary.keys("tables") where key.last == 0x63 {
            try temporary.set("tables", key, [1, 2, 3])
        }
        var reader = try temporary.store.makeReader()
        _ = begin(&reader, one)
        #expect(scopeNames(reader) == nil)
        for key in try temporary.keys("tables") where key.last == 0x63 {
            try temporary.set("tables", key, nil)
        }
        var other = try temporary.store.makeReader()
        #expect(!begin(&other, one))
    }

    @Test func largeCatalogueIsReadInPlace() throws {
        let temporary = try TemporaryStore()
        var policy = PolicyStoreTests.policy("/one")
        policy.scopes = (0..<70).map {
            ScopeModel(
                name: "s\($0)", description: String(repeating: "d", count: 65_000), closure: [UInt16($0)])
        }
        let version = try temporary.add(policy, "large")
        var reader = try temporary.store.makeReader()
        #expect(begin(&reader, version))
        #expect(scopeNames(reader)?.count == 70)
        reader.end()
        #expect(scopeNames(reader) == nil)
        #expect(begin(&reader, version))
        #expect(scopeNames(reader)?.last == "s69")
    }

    @Test func readersOfManyThreads() async throws {
        let temporary = try TemporaryStore()
        let store = temporary.store
        let one = try temporary.add(PolicyStoreTests.policy("/one"), "one")
        let two = try temporary.add(PolicyStoreTests.policy("/two"), "two")
        let wrong = await withTaskGroup(of: Int.self) { group in
            for worker in 0..<4 {
                group.addTask {
                    guard var reader = try? store.makeReader() else { return 1 }
                    var wrong = 0
                    for round in 0..<500 {
                        let useOne = (round + worker) % 2 == 0
                        if !reader.begin(version: useOne ? one : two) { wrong += 1 }
                        let label = useOne ? "GET /one" : "GET /two"
                        if lookUp(reader, "h", label) != label { wrong += 1 }
                        reader.end()
                    }
                    return wrong
                }
            }
            group.addTask {
                for round in 0..<50 { _ = try? store.activate(round % 2 == 0 ? one : two, now: 1) }
                return 0
            }
            return await group.reduce(0, +)
        }
        #expect(wrong == 0)
        #expect(try store.active()?.number == 50)
    }
}
