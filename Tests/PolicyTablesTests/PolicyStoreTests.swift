import Octets
@testable import PolicyTables
import Signatures
import Store
import Testing

@Suite struct PolicyStoreTests {
    static func policy(_ path: String, hosts: [String] = ["h"]) -> PolicyModel {
        model([service("s", hosts: hosts, [route("GET \(path)")])])
    }

    func error(_ body: () throws -> Void) -> PolicyStoreError? {
        do {
            try body()
            return nil
        } catch {
            return error as? PolicyStoreError
        }
    }

    @Test func versionsComeBack() throws {
        let temporary = try TemporaryStore()
        let store = temporary.store
        #expect(try store.versions() == [] && store.active() == nil && store.log() == [])
        let version = try temporary.add(CatalogueTests.policy, "source one", now: 77)
        #expect(version == PolicyStore.version(ofSource: Array("source one".utf8).span))
        let info = try #require(try store.info(version))
        #expect(info.createdAt == 77 && info.hostCount == 3 && info.routeCount == 4 && info.issuerCount == 3)
        #expect(
            info.scopeCount == 5 && info.serviceCount == 3 && info.sourceBytes == 10 && info.isCurrentLayout)
        #expect(try store.source(version) == Array("source one".utf8))
        #expect(try store.verify(version, withSource: true) == info)
        #expect(try store.versions() == [info])
        let issuers = try store.withCatalogue(version) { $0.issuers() }
        #expect(issuers == CatalogueTests.policy.issuers)
        var hosts: [String] = []
        var labels: [String] = []
        try store.forEachHost(version) { host, table in
            hosts.append(host)
            labels += table.listing()?.map(\.label) ?? ["unreadable"]
            return .next
        }
        #expect(hosts == ["*.example", "a.example", "b.example"])
        #expect(Set(labels) == ["GET /t/{t}", "GET /u/{u}", "GET /x", "GET /y"])
        // The same source again changes nothing.
        #expect(try temporary.add(CatalogueTests.policy, "source one", now: 99) == version)
        #expect(try store.info(version) == info)
        // The catalogue, three hosts and the metadata of one service.
        #expect(try temporary.keys("tables").count == 5)
    }

    @Test func activationNumbersOnlyGrow() throws {
        let temporary = try TemporaryStore()
        let store = temporary.store
        let one = try temporary.add(PolicyStoreTests.policy("/one"), "one")
        let two = try temporary.add(PolicyStoreTests.policy("/two"), "two")
        #expect(try store.active() == nil)
        let first = try store.activate(one, now: 10)
        #expect(first.number == 1 && first.version == one && first.activatedAt == 10)
        #expect(try store.active() == first)
        // Active already: the same number, and nothing new in the log.
        #expect(try store.activate(one, now: 11) == first)
        #expect(try store.activate(two, now: 12).number == 2)
        #expect(try store.activate(one, now: 13).number == 3)
        #expect(try store.log().map(\.number) == [1, 2, 3])
        #expect(try store.log().map(\.version) == [one, two, one])
        #expect(try store.active()?.number == 3)
        // Numbers sort as numbers in the log.
        for round in 0..<260 { _ = try store.activate(round % 2 == 0 ? two : one, now: 14) }
        #expect(try store.log().map(\.number) == Array(1...263))
    }

    @Test func onlyCompleteVersionsAreActivated() throws {
        let temporary = try TemporaryStore()
        let store = temporary.store
        let unknown = PolicyStore.version(ofSource: Array("never".utf8).span)
        #expect(error { _ = try store.activate(unknown, now: 1) } == .unknownVersion(unknown))
        #expect(error { try store.verify(unknown) } == .unknownVersion(unknown))
        let one = try temporary.add(PolicyStoreTests.policy("/one"), "one")
        let two = try temporary.add(PolicyStoreTests.policy("/two"), "two")
        _ = try store.activate(one, now: 1)
        // As after a crash before the last write.
        try temporary.set("versions", two.bytes, nil)
        #expect(try store.info(two) == nil && store.versions().map(\.version) == [one])
        #expect(error { _ = try store.activate(two, now: 1) } == .unknownVersion(two))
        #expect(error { try store.withCatalogue(two) { _ in } } == .unknownVersion(two))
        #expect(error { try store.forEachHost(two) { _, _ in .next } } == .unknownVersion(two))
        #expect(try store.active()?.version == one)
        // Adding it again completes it.
        #expect(try temporary.add(PolicyStoreTests.policy("/two"), "two") == two)
        #expect(try store.activate(two, now: 2).number == 2)
    }

    @Test func damageIsFound() throws {
        let temporary = try TemporaryStore()
        let store = temporary.store
        let one = try temporary.add(PolicyStoreTests.policy("/one", hosts: ["a", "b"]), "one")
        let keys = try temporary.keys("tables")
        #expect(keys.count == 3)
        for key in keys {
            let value = try #require(try temporary.value("tables", key))
            for index in value.indices {
                var damaged = value
                damaged[index] ^= 0x10
                try temporary.set("tables", key, damaged)
                #expect(
                    error { try store.verify(one) }
                        == .corrupt(one, what: "its tables have changed since they were written"))
            }
            try temporary.set("tables", key, nil)
            #expect(error { try store.verify(one) } == .corrupt(one, what: "2 of 3 tables are there"))
            // A table under another host's name is damage too.
            var moved = key
            moved[moved.count - 1] ^= 1
            try temporary.set("tables", moved, value)
            #expect(error { _ = try store.activate(one, now: 1) } != nil)
            try temporary.set("tables", moved, nil)
            try temporary.set("tables", key, value)
            #expect(error { try store.verify(one) } == nil)
        }
        try temporary.set("sources", one.bytes, Array("other".utf8))
        #expect(error { try store.verify(one) } == nil)
        #expect(error { try store.verify(one, withSource: true) } != nil)
        try temporary.set("versions", one.bytes, [1, 2, 3])
        #expect(error { try store.verify(one) } == .corrupt(one, what: "its record cannot be read"))
        #expect(try store.active() == nil)
    }

    @Test func pointerThatCannotBeRead() throws {
        let temporary = try TemporaryStore()
        let one = try temporary.add(PolicyStoreTests.policy("/one"), "one")
        _ = try temporary.store.activate(one, now: 1)
        try temporary.set("state", Array("active".utf8), [0, 1, 2])
        #expect(error { _ = try temporary.store.active() } != nil)
        // The numbers must not start again.
        #expect(error { _ = try temporary.store.activate(one, now: 2) } != nil)
    }

    @Test func olderLayoutIsMadeAgain() throws {
        let temporary = try TemporaryStore()
        let store = temporary.store
        let one = try temporary.add(PolicyStoreTests.policy("/one"), "one", now: 5)
        _ = try store.activate(one, now: 6)
        var record = try #require(try temporary.value("versions", one.bytes))
        // Before baselines; 4 is this build's.
        #expect(record[0] == 4)
        record[0] = 3
        try temporary.set("versions", one.bytes, record)
        #expect(try store.info(one)?.isCurrentLayout == false)
        #expect(error { try store.verify(one) } == .otherLayout(one, found: 3))
        #expect(error { try store.withCatalogue(one) { _ in } } == .otherLayout(one, found: 3))
        #expect(error { try temporary.remake(one, nil) } == .sourceRefused(one))
        try temporary.remake(one, PolicyStoreTests.policy("/one"))
        #expect(try store.verify(one, withSource: true).createdAt == 5)
        #expect(try store.active()?.number == 1)
        // Nothing to do the second time; a source that is refused is not even read.
        try temporary.remake(one, nil)
        // A version whose writing was cut short, with only its source left.
        try temporary.set("versions", one.bytes, nil)
        for key in try temporary.keys("tables") { try temporary.set("tables", key, nil) }
        try temporary.remake(one, now: 9, PolicyStoreTests.policy("/one"))
        #expect(try store.verify(one).createdAt == 9)
        try temporary.set("versions", one.bytes, nil)
        try temporary.set("sources", one.bytes, Array("changed".utf8))
        #expect(
            error { try temporary.remake(one, PolicyStoreTests.policy("/one")) }
                == .corrupt(one, what: "its source has changed"))
        try temporary.set("sources", one.bytes, nil)
        #expect(error { try temporary.remake(one, PolicyStoreTests.policy("/one")) } == .unknownVersion(one))
    }

    @Test func refusedModelsLeaveNothing() throws {
        let temporary = try TemporaryStore()
        let twice = model([service("s", hosts: ["a", "b"], [route("GET /x"), route("GET /x")])])
        guard case .table(.duplicateRoute) = error({ _ = try temporary.add(twice, "twice") }) else {
            Issue.record("compiled")
            return
        }
        #expect(try temporary.store.versions() == [] && temporary.keys("tables") == [])
    }

    @Test func fullMapLeavesNothingVisible() throws {
        let temporary = try TemporaryStore(mapBytes: 1 << 20)
        let large = model([service("s", (0..<20_000).map { route("GET /long-enough-to-fill-\($0)") })])
        guard case .store = error({ _ = try temporary.add(large, "large") }) else {
            Issue.record("stored")
            return
        }
        #expect(try temporary.store.versions() == [])
        let small = try temporary.add(PolicyStoreTests.policy("/small"), "small")
        #expect(try temporary.store.activate(small, now: 1).number == 1)
    }

    @Test func pruning() throws {
        let temporary = try TemporaryStore()
        let store = temporary.store
        var versions: [Digest] = []
        for number in 0..<6 {
            versions.append(
                try temporary.add(
                    PolicyStoreTests.policy("/\(number)"), "source \(number)", now: Int64(number)))
        }
        _ = try store.activate(versions[1], now: 100)
        _ = try store.activate(versions[0], now: 101)
        // One that was never finished.
        try temporary.set("versions", versions[5].bytes, nil)
        // Kept: the active one, the one before it, and the newest of those that never decided.
        #expect(try store.prune(keep: 2) == [versions[2]])
        let kept = [versions[0], versions[1], versions[3], versions[4]]
        #expect(Set(try store.versions().map(\.version)) == Set(kept))
        #expect(try temporary.keys("sources").count == 4 && temporary.keys("tables").count == 8)
        for version in kept { try store.verify(version, withSource: true) }
        #expect(try store.prune(keep: 2) == [])
        #expect(Set(try store.prune(keep: -1)) == [versions[3], versions[4]])
        #expect(try store.active()?.version == versions[0])
        // The active version's source stays even when its record is lost: it is made again from it.
        try temporary.set("versions", versions[0].bytes, nil)
        try store.prune(keep: 0)
        #expect(try store.source(versions[0]) == Array("source 0".utf8))
        #expect(try store.log().count == 2)
    }

    /// Pruning looks for what is active before it removes; an activation in between must not lose its tables.
    @Test func pruningBesideActivation() async throws {
        let temporary = try TemporaryStore()
        let store = temporary.store
        let versions = try (0..<4).map { number in
            try temporary.add(PolicyStoreTests.policy("/\(number)"), "source \(number)")
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                for round in 0..<200 { _ = try? store.activate(versions[round % 4], now: Int64(round)) }
            }
            group.addTask {
                for round in 0..<60 {
                    _ = try? store.prune(keep: 0)
                    let number = round % 4
                    let source = Array("source \(number)".utf8)
                    _ = try? store.add(PolicyStoreTests.policy("/\(number)"), source: source.span, now: 1)
                }
            }
        }
        let active = try #require(try store.active())
        try store.verify(active.version, withSource: true)
        // The step that the two meet at.
        #expect(try !store.removeRecord(active.version))
        try store.verify(active.version)
        #expect(try store.log().count == Int(active.number))
    }

    @Test func keysOfIssuers() throws {
        let temporary = try TemporaryStore()
        let store = temporary.store
        let long = "https://" + String(repeating: "x", count: 2_000)
        let one = StoredKeys(
            issuer: long, place: "https://k/é", fetchedAt: -5, document: Array(#"{"keys":[]}"#.utf8))
        try store.save(one)
        try store.save(StoredKeys(issuer: "b", place: "", fetchedAt: 7, document: []))
        #expect(try store.keys(ofIssuer: long) == one)
        #expect(try store.keys(ofIssuer: "b")?.document == [])
        #expect(try store.keys(ofIssuer: long + "/") == nil)
        #expect(try store.allKeys().count == 2)
        var newer = one
        newer.fetchedAt = 9
        try store.save(newer)
        #expect(try store.keys(ofIssuer: long)?.fetchedAt == 9)
        try store.removeKeys(ofIssuer: long)
        #expect(try store.keys(ofIssuer: long) == nil && store.allKeys().map(\.issuer) == ["b"])
        for key in try temporary.keys("keys") { try temporary.set("keys", key, [1, 2, 3]) }
        #expect(try store.keys(ofIssuer: "b") == nil && store.allKeys() == [])
    }

    /// More hosts than one write takes.
    @Test func manyHosts() throws {
        let temporary = try TemporaryStore(mapBytes: 256 << 20)
        let services = (0..<5_000).map { service("s\($0)", hosts: ["h\($0).example"], [route("GET /\($0)")]) }
        let version = try temporary.add(model(services), "many")
        let info = try temporary.store.verify(version)
        #expect(info.hostCount == 5_000 && info.routeCount == 5_000)
        var reader = try temporary.store.makeReader()
        let began = reader.begin(version: version)
        #expect(began)
        for number in stride(from: 0, to: 5_000, by: 111) {
            #expect(lookUp(reader, "h\(number).example", "GET /\(number)") == "GET /\(number)")
        }
        reader.end()
        #expect(try temporary.store.prune(keep: 0) == [version])
        #expect(try temporary.keys("tables") == [])
    }
}

/// The label that a request is matched to, or why not; nil for a host that there is none of.
func lookUp(_ reader: borrowing PolicyReader, _ host: String, _ request: String) -> String? {
    let space = request.firstIndex(of: " ") ?? request.startIndex
    let method = Array(request[..<space].utf8)
    let path = Array(request[request.index(after: space)...].utf8)
    let name = Array(host.utf8)
    guard let table = reader.hostTable(name.span) else { return nil }
    switch table.match(method: method.span, path: path.span, port: 443) {
    case .matched(let rule): return String(lossy: table.label(of: rule))
    case let other: return "\(other)"
    }
}
