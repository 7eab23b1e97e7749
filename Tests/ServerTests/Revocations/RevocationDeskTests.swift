import Glibc
import Kernel
import Signatures
import Store
import Synchronization
import Testing

@testable import Decision
@testable import Server

/// Seconds that a test moves on.
final class TestClock: Sendable {
    private let seconds: Atomic<Int64>

    init(_ seconds: Int64 = 1_800_000_000) { self.seconds = Atomic(seconds) }

    var now: Int64 { seconds.load(ordering: .relaxed) }
    func advance(_ by: Int64) { seconds.add(by, ordering: .relaxed) }
}

/// A log in a file, so that tests can read it.
final class TestLog: Sendable {
    let log: EventLog
    private let path: String
    private let descriptor: FileDescriptor

    init(_ path: String) {
        self.path = path
        // SAFETY: the string lives for the call.
        descriptor = unsafe FileDescriptor(owning: open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600))
        log = EventLog(output: LineOutput(descriptor: descriptor.raw))
    }

    var text: String {
        String(decoding: (try? Files.read(path, bytesMax: 1 << 24).bytes) ?? [], as: UTF8.self)
    }
}

/// A desk on a folder of its own, and what it has published.
final class DeskWorld: Sendable {
    let folder: Kernel.TemporaryFolder
    let clock = TestClock()
    let log: TestLog
    let published = Mutex<[RevocationSet]>([])

    init() throws {
        folder = try Kernel.TemporaryFolder(prefix: "scopecheck-revocations-")
        log = TestLog(folder.path + "/log")
    }

    var path: String { folder.path + "/revocations" }

    func open(mapBytes: Int = 16 << 20, entriesMax: Int = 1_000) throws -> RevocationDesk {
        try RevocationDesk(
            folder: path, mapBytes: mapBytes, entriesMax: entriesMax,
            // The folder stays until the files are closed.
            clock: { [clock, folder] in withExtendedLifetime(folder) { clock.now } },
            lifetime: { issuer in
                switch String(decoding: issuer, as: UTF8.self) {
                case "https://hour": .seconds(3_600)
                case "https://endless": .unlimited
                default: .unknownIssuer
                }
            }, log: log.log, publish: { [weak self] set in self?.published.withLock { $0.append(set) } })
    }

    /// Changes the bytes of every record.
    func damage(_ change: ([UInt8]) -> [UInt8]) throws -> [[UInt8]] {
        let environment = try Store.Environment(path: path, mapBytes: 16 << 20, maxReaders: 4, maxDatabases: 4)
        let database = try environment.database("revocations")
        var found: [([UInt8], [UInt8])] = []
        let transaction = try environment.beginRead()
        try transaction.forEach(database) { key, value throws(StoreError) in
            found.append((key.indices.map { key[$0] }, value.indices.map { value[$0] }))
            return .next
        }
        for (key, value) in found {
            let changed = change(value)
            try environment.write { transaction throws(StoreError) in
                try transaction.put(database, key.span, changed.span)
            }
        }
        return found.map { $0.0 }
    }
}

func subject(_ name: String, _ issuer: String = "https://hour") -> NewRevocation {
    NewRevocation(kind: .subject, issuer: Array(issuer.utf8), value: Array(name.utf8))
}

func token(_ number: UInt8, expiresAt: Int64? = nil) -> NewRevocation {
    var one = NewRevocation(kind: .token, value: [UInt8](repeating: number, count: 32))
    one.expiresAt = expiresAt
    return one
}

/// The error that `body` throws.
func revocationError(_ body: () throws -> Void) -> RevocationError? {
    do {
        try body()
        return nil
    } catch {
        return error as? RevocationError
    }
}

@Suite struct RevocationDeskTests {
    @Test func isDurableBeforeItReturnsAndPublishedOnce() throws {
        let world = try DeskWorld()
        var epoch: UInt64 = 0
        do {
            let desk = try world.open()
            #expect(world.published.withLock { $0.count } == 1)
            let outcomes = try desk.revoke([subject("al"), subject("bo")])
            #expect(outcomes.map(\.state) == [.revoked, .revoked])
            #expect(world.published.withLock { $0.count } == 2)
            #expect(world.published.withLock { $0.last?.count } == 2)
            #expect(desk.current.count == 2)
            epoch = desk.current.epoch
        }
        #expect(epoch > 0)
        let again = try world.open()
        #expect(again.current.count == 2)
        #expect(again.count == 2)
        #expect(world.published.withLock { $0.last?.count } == 2)
        let page = try again.list(limit: 10)
        #expect(page.records.map { String(decoding: $0.revocation.value, as: UTF8.self) }.sorted() == ["al", "bo"])
        #expect(page.next == nil)
    }

    @Test func howLongEachIsKept() throws {
        let world = try DeskWorld()
        let desk = try world.open()
        let now = world.clock.now
        func outcome(_ change: (inout NewRevocation) -> Void, _ kind: Revocation.Kind, _ issuer: String) throws
            -> RevocationDesk.Outcome
        {
            var one = NewRevocation(kind: kind, issuer: Array(issuer.utf8), value: kind == .issuer ? [] : [0x61])
            change(&one)
            defer { _ = try? desk.list(limit: 100).records.map { try desk.remove($0.revocation.key, who: nil) } }
            let made = try #require(try desk.revoke([one]).first)
            return made
        }
        for kind in [Revocation.Kind.subject, .client, .issuer] {
            let plain = try outcome({ _ in }, kind, "https://hour")
            // A minute ahead, where the issuer's clock may be.
            #expect(plain.record.revocation.issuedAtMax == now + 60)
            #expect(plain.record.revocation.until == now + 4_260)
            #expect(plain.term == .maxLifetime)
            let before = try outcome({ $0.issuedBefore = now - 100 }, kind, "https://hour")
            #expect(before.record.revocation.issuedAtMax == now - 100)
            #expect(before.record.revocation.until == now + 4_100)
            // Tokens to come are meant as well, so nothing ends it.
            let all = try outcome({ $0.isAll = true }, kind, "https://hour")
            #expect(all.record.revocation.issuedAtMax == .max)
            #expect(all.record.revocation.until == .max)
            #expect(all.term == .forEver)
            let endless = try outcome({ _ in }, kind, "https://endless")
            #expect(endless.record.revocation.until == .max)
            #expect(endless.warning == nil)
            let unknown = try outcome({ _ in }, kind, "https://other")
            #expect(unknown.record.revocation.until == .max)
            #expect(unknown.warning?.contains("https://other") == true)
        }
        let identifier = try outcome({ _ in }, .tokenID, "https://hour")
        #expect(identifier.record.revocation.issuedAtMax == .max)
        #expect(identifier.record.revocation.until == now + 4_200)
        // Whoever has the key makes tokens of any time.
        let key = try outcome({ _ in }, .key, "https://hour")
        #expect(key.record.revocation.issuedAtMax == .max)
        #expect(key.record.revocation.until == .max)
        let asked = try outcome({ $0.until = now + 5 }, .key, "https://hour")
        #expect(asked.record.revocation.until == now + 5)
        #expect(asked.term == .asked)
        let expiring = try #require(try desk.revoke([token(1, expiresAt: now + 50)]).first)
        #expect(expiring.record.revocation.until == now + 650)
        #expect(expiring.term == .tokenExpiry)
        let opaque = try #require(try desk.revoke([token(2)]).first)
        #expect(opaque.record.revocation.until == .max)
        let expired = try #require(try desk.revoke([token(3, expiresAt: now - 600)]).first)
        #expect(expired.state == .ended)
        #expect(try desk.list(limit: 100).records.count == 2)
    }

    @Test func aSecondOneNeverSaysLess() throws {
        let world = try DeskWorld()
        let desk = try world.open()
        let now = world.clock.now
        var long = subject("al")
        long.until = now + 10_000
        #expect(try desk.revoke([long]).first?.state == .revoked)
        // Another term, the same tokens.
        #expect(try desk.revoke([subject("al")]).first?.state == .unchanged)
        #expect(try desk.list(limit: 9).records.map(\.revocation.until) == [now + 10_000])
        let sets = world.published.withLock { $0.count }
        #expect(try desk.revoke([subject("al")]).first?.state == .unchanged)
        #expect(world.published.withLock { $0.count } == sets)
        var all = subject("al")
        all.isAll = true
        all.until = now + 5
        #expect(try desk.revoke([all]).first?.state == .extended)
        let held = try #require(try desk.list(limit: 9).records.first)
        #expect(held.revocation.issuedAtMax == .max)
        #expect(held.revocation.until == now + 10_000)
        #expect(desk.count == 1)
        // One that has ended, and is not removed yet, lends nothing.
        world.clock.advance(20_000)
        #expect(try desk.revoke([subject("al")]).first?.state == .revoked)
        #expect(try desk.list(limit: 9).records.map(\.revocation.issuedAtMax) == [now + 20_060])
        #expect(desk.current.find(held.revocation.key)?.issuedAtMax == now + 20_060)
        #expect(desk.count == 1)
    }

    @Test func takesBack() throws {
        let world = try DeskWorld()
        let desk = try world.open()
        let made = try #require(try desk.revoke([subject("al"), subject("bo")]).first)
        let key = made.record.revocation.key
        #expect(try desk.remove(key, who: 7) == made.record)
        #expect(try desk.remove(key, who: 7) == nil)
        #expect(desk.current.count == 1)
        #expect(desk.count == 1)
        #expect(world.published.withLock { $0.last?.count } == 1)
        #expect(world.log.text.contains("\"event\":\"revocation_removed\""))
        #expect(world.log.text.contains("\"by\":\"7\""))
    }

    @Test func removesEndedOnes() throws {
        let world = try DeskWorld()
        let desk = try world.open(entriesMax: 5_000)
        let now = world.clock.now
        // More than one batch.
        for start in stride(from: 0, to: 1_500, by: 250) {
            try _ = desk.revoke(
                (start..<start + 250).map { number in
                    var one = subject("u\(number)")
                    one.until = number < 1_300 ? now + 10 : now + 1_000
                    return one
                })
        }
        #expect(try desk.purge() == 0)
        world.clock.advance(10)
        let before = desk.current.epoch
        #expect(try desk.purge() == 1_300)
        #expect(desk.count == 200)
        #expect(desk.current.count == 200)
        #expect(desk.current.epoch > before)
        #expect(try desk.purge() == 0)
        #expect(try desk.list(limit: 1_000).records.allSatisfy { $0.revocation.until == now + 1_000 })
    }

    @Test func endedOnesAreNotInForceAfterAStart() throws {
        let world = try DeskWorld()
        do { _ = try world.open().revoke([token(1, expiresAt: world.clock.now), subject("al")]) }
        world.clock.advance(700)
        let desk = try world.open()
        #expect(desk.count == 2)
        #expect(desk.current.count == 1)
    }

    @Test func pages() throws {
        let world = try DeskWorld()
        let desk = try world.open()
        for number in 0..<250 {
            _ = try desk.revoke([subject("u\(number)", number < 10 ? "https://hour" : "https://x")])
        }
        for limit in [1, 7, 100, 250, 1_000] {
            var seen: [String] = []
            var after: Digest?
            repeat {
                let page = try desk.list(after: after, limit: limit)
                #expect(page.records.count <= limit)
                #expect(page.total == 250)
                seen += page.records.map { String(decoding: $0.revocation.value, as: UTF8.self) }
                after = page.next
            } while after != nil
            #expect(seen.count == 250)
            #expect(Set(seen).count == 250)
        }
        #expect(try desk.list(limit: 100, issuer: Array("https://hour".utf8)).records.count == 10)
        #expect(try desk.list(limit: 100, issuer: Array("https://none".utf8)).records.isEmpty)
        let last = try #require(digest(String(repeating: "f", count: 64)))
        #expect(try desk.list(after: last, limit: 5).records.isEmpty)
    }

    @Test func refusesWhatIsTooMuch() throws {
        let world = try DeskWorld()
        let desk = try world.open(entriesMax: 3)
        _ = try desk.revoke([subject("a"), subject("b")])
        let set = desk.current
        #expect(revocationError { _ = try desk.revoke([subject("c"), subject("d")]) } == .full(limit: 3))
        // All or none.
        #expect(desk.count == 2)
        #expect(desk.current === set)
        #expect(try desk.list(limit: 9).records.count == 2)
        _ = try desk.revoke([subject("a"), subject("c")])
        #expect(desk.count == 3)
        #expect(revocationError { _ = try desk.revoke([subject("d")]) } == .full(limit: 3))
        var one = subject("a")
        one.isAll = true
        #expect(try desk.revoke([one]).first?.state == .extended)
    }

    @Test func aFullMapChangesNothing() throws {
        let world = try DeskWorld()
        let desk = try world.open(mapBytes: 256 << 10, entriesMax: 100_000)
        var made = 0
        var failure: RevocationError?
        while failure == nil, made < 10_000 {
            failure = revocationError {
                _ = try desk.revoke([subject("\(made)" + String(repeating: "x", count: 900))])
                made += 1
            }
        }
        guard case .store(let error) = failure else {
            Issue.record("\(String(describing: failure))")
            return
        }
        #expect(error.code == StoreError.mapFull)
        #expect(made > 10)
        #expect(desk.count == made)
        #expect(desk.current.count == made)
        #expect(try desk.list(limit: 1_000).records.count == made)
    }

    @Test func refusesToStartOnDamage() throws {
        let world = try DeskWorld()
        do { _ = try world.open().revoke([subject("al")]) }
        let keys = try world.damage { $0.dropLast() }
        let failure = try #require(revocationError { _ = try world.open() })
        let key = keys[0]
        let id = hexadecimal(key.span)
        #expect("\(failure)".contains("scopecheck revocations remove \(id) --store"))
        #expect(try RevocationDesk.discard(keys[0], folder: world.path, mapBytes: 16 << 20))
        #expect(try world.open().count == 0)
    }

    @Test func aStartRefusesMoreThanTheLimit() throws {
        let world = try DeskWorld()
        do { _ = try world.open().revoke([subject("a"), subject("b")]) }
        #expect(revocationError { _ = try world.open(entriesMax: 1) } == .full(limit: 1))
    }

    @Test func concurrentRevokesKeepTheirOrder() throws {
        let world = try DeskWorld()
        let desk = try world.open()
        final class Runner: Sendable {
            let desk: RevocationDesk
            let number: Int
            let isDone = Atomic(false)
            init(_ desk: RevocationDesk, _ number: Int) {
                self.desk = desk
                self.number = number
            }
            func run() {
                for index in 0..<25 {
                    let made = try? desk.revoke([subject("\(number)-\(index)")])
                    #expect(made?.first?.state == .revoked)
                    // What has returned is in force.
                    #expect(desk.current.count > index)
                }
                isDone.store(true, ordering: .releasing)
            }
        }
        let runners = (0..<4).map { Runner(desk, $0) }
        let threads = try runners.map { try SystemThread.start(name: "revoke", context: $0) { $0.run() } }
        while !runners.allSatisfy({ $0.isDone.load(ordering: .acquiring) }) {
            let page = try desk.list(limit: 1_000)
            #expect(page.records.count <= 100)
            _ = try desk.purge()
        }
        for thread in threads { thread.join() }
        #expect(desk.count == 100)
        let sets = world.published.withLock { $0 }
        #expect(sets.count == 101)
        for (before, after) in zip(sets, sets.dropFirst()) {
            #expect(before.epoch < after.epoch)
            #expect(before.count + 1 == after.count)
        }
    }

    @Test func theLogHasDigestsAndNoTokens() throws {
        let world = try DeskWorld()
        let desk = try world.open()
        var one = token(0xAB)
        one.reason = "stolen \"laptop\"\n"
        one.who = 12
        _ = try desk.revoke([one])
        #expect(world.log.text.contains("\"digest\":\"abababababababab\""))
        #expect(!world.log.text.contains("abababababababababab"))
        #expect(world.log.text.contains("\"who\":\"12\""))
        #expect(world.log.text.contains("stolen \\\"laptop\\\"\\u000a"))
    }

    @Test(arguments: [
        NewRevocation(kind: .subject, issuer: [], value: [1]), NewRevocation(kind: .subject, issuer: [1], value: []),
        NewRevocation(kind: .issuer, issuer: [1], value: [1]), NewRevocation(kind: .issuer, issuer: [], value: []),
        NewRevocation(kind: .token, issuer: [1], value: [UInt8](repeating: 1, count: 32)),
        NewRevocation(kind: .token, value: [1]),
        NewRevocation(kind: .key, issuer: [UInt8](repeating: 1, count: 2_049), value: [1]),
        NewRevocation(kind: .key, issuer: [1], value: [UInt8](repeating: 1, count: 1_025)),
        NewRevocation(kind: .client, issuer: [1], value: [1], issuedBefore: 1, isAll: true),
        NewRevocation(kind: .client, issuer: [1], value: [1], issuedBefore: -1),
        NewRevocation(kind: .client, issuer: [1], value: [1], issuedBefore: .max),
        NewRevocation(kind: .client, issuer: [1], value: [1], until: 1_800_000_000),
        NewRevocation(kind: .client, issuer: [1], value: [1], until: .max),
        NewRevocation(kind: .client, issuer: [1], value: [1], expiresAt: 1_800_000_001),
        NewRevocation(kind: .client, issuer: [1], value: [1], reason: String(repeating: "x", count: 257)),
    ])
    func refusesNonsense(_ one: NewRevocation) throws {
        let world = try DeskWorld()
        let desk = try world.open()
        guard case .invalid = revocationError({ _ = try desk.revoke([subject("al"), one]) }) else {
            Issue.record("\(one)")
            return
        }
        #expect(desk.count == 0)
    }
}
