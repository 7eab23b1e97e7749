import Glibc
import Kernel
import PolicyTables
import Signatures
import Store
import Synchronization
import Testing
import Tokens

@testable import Server

/// A keyring on a store of its own, and what it has published.
private final class Ring: Sendable {
    let folder = TemporaryFolder()
    let store: PolicyStore
    let keyring: Keyring
    private let published = Mutex<[IssuerSnapshot]>([])
    private let descriptor: FileDescriptor

    init(authorityFile: String?, cooldownSeconds: Int64 = 3_600, storePath: String? = nil) throws {
        let environment = try Environment(
            path: storePath ?? folder.file("store"), mapBytes: 16 << 20, maxReaders: 8)
        store = try PolicyStore(environment)
        var settings = KeySettings()
        settings.certificateAuthorityFile = authorityFile
        settings.cooldownSeconds = cooldownSeconds
        settings.timeoutSeconds = 30
        // SAFETY: the string lives for the call.
        descriptor = unsafe FileDescriptor(owning: open("/dev/null", O_WRONLY | O_CLOEXEC))
        keyring = Keyring(
            store: store, settings: settings, log: EventLog(output: LineOutput(descriptor: descriptor.raw)),
            clock: AnchoredClock())
    }

    deinit { keyring.stop() }

    func start(_ publishing: @escaping @Sendable () -> Void = {}) {
        keyring.start { [weak self] snapshot in
            publishing()
            self?.published.withLock { $0.append(snapshot) }
        }
    }

    func use(_ models: [IssuerModel]) -> IssuerSnapshot {
        let settings = models.map {
            IssuerSettings(
                issuer: Array($0.issuer.utf8), audiences: [Array("x".utf8)], algorithms: $0.algorithms)
        }
        return keyring.use(models, settings: settings, folder: folder.path)
    }

    var newest: IssuerSnapshot? { published.withLock { $0.max { $0.generation < $1.generation } } }

    /// Key names of the first issuer in the newest snapshot.
    var names: [String] { keyNames(newest) }
}

private func keyNames(_ snapshot: IssuerSnapshot?) -> [String] {
    (snapshot?.issuers.first?.keys?.keys ?? []).map { String(decoding: $0.keyID ?? [], as: UTF8.self) }
}

private func model(_ source: IssuerModel.KeySource, issuer: String) -> IssuerModel {
    IssuerModel(issuer: issuer, audiences: ["x"], keySource: source, algorithms: [.es256])
}

@Suite struct KeyringTests {
    let server: KeyServer

    init() throws { server = try KeyServer() }

    private func remote(_ path: String = "/jwks") -> IssuerModel {
        model(.uri(server.secure + path), issuer: server.secure)
    }

    @Test func fetchesPublishesAndKeeps() async throws {
        try server.publish(try keySet("a"))
        let ring = try Ring(authorityFile: server.authorityFile)
        ring.start()
        let first = ring.use([remote()])
        #expect(first.issuers.first?.status == .unavailable)
        #expect(await eventually { ring.names == ["a"] })
        #expect(ring.newest?.issuers.first?.status == .usable)
        let issuer = server.secure
        let isKept = await eventually { ((try? ring.store.keys(ofIssuer: issuer)) ?? nil) != nil }
        #expect(isKept)
        let status = try #require(ring.keyring.status.first)
        #expect(status.keyCount == 1)
        #expect(status.state == "usable")
        #expect(status.lastError == nil)
    }

    @Test(arguments: ["/500", "/garbage", "/redirect", "/none"])
    func aFailureIsToldAndKeepsWhatTheStoreHas(_ path: String) async throws {
        try server.folder.write("garbage", "{\"keys\":[]}")
        let ring = try Ring(authorityFile: server.authorityFile)
        try save(ring, try keySet("kept"), age: 3_600, place: server.secure + path)
        ring.start()
        let snapshot = ring.use([remote(path)])
        #expect(keyNames(snapshot) == ["kept"])
        #expect(snapshot.issuers.first?.status == .usable)
        #expect(await eventually { ring.keyring.status.first?.lastError != nil })
        let status = try #require(ring.keyring.status.first)
        #expect(status.keyCount == 1)
        #expect((status.ageSeconds ?? 0) >= 3_600)
    }

    @Test func keysFromAnotherPlaceAreNotTakenOver() throws {
        let ring = try Ring(authorityFile: server.authorityFile)
        try save(ring, try keySet("foreign"), age: 10, place: "https://elsewhere.example.com/jwks")
        #expect(ring.use([remote("/500")]).issuers.first?.status == .unavailable)
    }

    /// The same keys come back after a long outage: they must be usable again, though nothing in them is new.
    @Test func staleKeysAreUsableAgainOnceConfirmed() async throws {
        let document = try keySet("a")
        try server.publish(document)
        let ring = try Ring(authorityFile: server.authorityFile)
        try save(ring, document, age: 100_000, place: server.secure + "/jwks")
        ring.start()
        let snapshot = ring.use([remote()])
        #expect(snapshot.issuers.first?.status == .stale)
        #expect(keyNames(snapshot) == ["a"])
        #expect(await eventually { ring.newest?.issuers.first?.status == .usable })
        #expect((ring.keyring.status.first?.ageSeconds ?? .max) < 3_600)
    }

    @Test func oneFetchForAllWhoWait() async throws {
        try server.publish(try keySet("a"))
        let ring = try Ring(authorityFile: server.authorityFile)
        ring.start()
        _ = ring.use([remote("/held")])
        let isHeld = await eventually { [server] in server.hits("/held") == 1 }
        #expect(isHeld)
        let done = Count()
        for _ in 0..<20 {
            let isUnderWay = ring.keyring.wantKeys(issuerIndex: 0) { done.add() }
            #expect(isUnderWay)
        }
        try server.folder.write("release", "")
        #expect(await eventually { done.value > 0 })
        #expect(server.hits("/held") == 1)
        #expect(done.value == 1, "one call wakes everybody; those who wait are not counted up")
        #expect(ring.names == ["a"], "keys are published before those who wait are told")
    }

    @Test func unknownKeysCauseOneFetchInACooldown() async throws {
        try server.publish(try keySet("a"))
        let ring = try Ring(authorityFile: server.authorityFile)
        ring.start()
        _ = ring.use([remote()])
        #expect(await eventually { ring.names == ["a"] })
        let granted = (0..<1_000).count { _ in ring.keyring.wantKeys(issuerIndex: 0) {} }
        #expect(granted == 0)
        let isUnknownGranted = ring.keyring.wantKeys(issuerIndex: 1) {}
        #expect(!isUnknownGranted)
        #expect(server.hits("/jwks") == 1)
    }

    @Test func anUnknownKeyBringsTheRotatedSet() async throws {
        try server.publish(try keySet("old"))
        let ring = try Ring(authorityFile: server.authorityFile, cooldownSeconds: 0)
        ring.start()
        _ = ring.use([remote()])
        #expect(await eventually { ring.names == ["old"] })
        try server.publish(try keySet("new"))
        let done = Count()
        #expect(await eventually { ring.keyring.wantKeys(issuerIndex: 0) { done.add() } })
        #expect(await eventually { done.value > 0 })
        #expect(ring.names == ["new"], "the removed key is gone with the same fetch")
    }

    @Test func anotherPolicyWithTheSameIssuerKeepsItsKeys() async throws {
        try server.publish(try keySet("a"))
        let ring = try Ring(authorityFile: server.authorityFile)
        ring.start()
        _ = ring.use([remote()])
        #expect(await eventually { ring.names == ["a"] })
        let generation = try #require(ring.newest?.generation)
        #expect(ring.use([remote()]).generation == generation)
        let second = model(.uri("\(server.secure)/500"), issuer: "https://second.example.com")
        let snapshot = ring.use([second, remote()])
        #expect(snapshot.generation > generation)
        #expect(snapshot.issuers.map(\.status) == [.unavailable, .usable])
        #expect(server.hits("/jwks") == 1)
    }

    @Test func filesAreReadAtOnceAndAgainWhenChanged() async throws {
        let ring = try Ring(authorityFile: nil)
        try ring.folder.write("jwks.json", try keySet("a"))
        ring.start()
        let file = model(.file("jwks.json"), issuer: "https://i")
        #expect(keyNames(ring.use([file])) == ["a"])
        try ring.folder.write("jwks.json", try keySet("b"))
        #expect(await eventually { ring.names == ["b"] })
        try ring.folder.write("jwks.json", "garbage")
        #expect(await eventually { ring.keyring.status.first?.lastError != nil })
        #expect(ring.keyring.status.first?.keyCount == 1)
        try ring.folder.write("jwks.json", try keySet("c"))
        #expect(await eventually { ring.names == ["c"] })
        #expect(await eventually { ring.keyring.status.first?.lastError == nil })
        shell("rm '\(ring.folder.file("jwks.json"))'")
        #expect(await eventually { ring.keyring.status.first?.lastError?.contains("jwks.json") == true })
        #expect(ring.names == ["c"])
        let isGranted = ring.keyring.wantKeys(issuerIndex: 0) {}
        #expect(!isGranted)
    }

    /// A policy and a key file changed together: whoever calls `use` holds the lock that publishing takes.
    @Test func takingIssuersNeverPublishesOnTheCallersThread() throws {
        let ring = try Ring(authorityFile: nil)
        let lock = Mutex(())
        try ring.folder.write("jwks.json", try keySet("a"))
        let file = model(.file("jwks.json"), issuer: "https://i")
        let caller = pthread_self()
        let isOnCaller = Atomic<Bool>(false)
        ring.keyring.start { _ in
            if pthread_equal(pthread_self(), caller) != 0 { isOnCaller.store(true, ordering: .relaxed) }
            lock.withLock { _ in }
        }
        for _ in 0..<20 {
            lock.withLock { _ in
                try? ring.folder.write("jwks.json", (try? keySet("b")) ?? [])
                _ = ring.use([file])
            }
        }
        let wasOnCaller = isOnCaller.load(ordering: .relaxed)
        #expect(!wasOnCaller)
    }

    private func save(_ ring: Ring, _ document: [UInt8], age: Int64, place: String) throws {
        let now = SystemClock.realtimeNanoseconds() / 1_000_000_000
        try ring.store.save(
            StoredKeys(issuer: server.secure, place: place, fetchedAt: now - age, document: document))
    }
}

private final class Count: Sendable {
    private let count = Atomic<Int>(0)
    var value: Int { count.load(ordering: .acquiring) }
    func add() { count.add(1, ordering: .acquiringAndReleasing) }
}
