import Decision
import Glibc
import Kernel
import Octets
import Signatures
import Synchronization
import Testing
import Tokens

@testable import Server

/// Keys in a folder of their own, under a clock that the test moves.
private final class KeysWorld: Sendable {
    let folder: Kernel.TemporaryFolder
    let clock = TestClock()
    let log: TestLog
    let published = Mutex<[String?]>([])
    /// What the next saves do: before writing, after writing, or nothing special.
    let crash = Mutex<Crash?>(nil)

    enum Crash { case beforeWriting, afterWriting }

    init() throws {
        folder = try Kernel.TemporaryFolder(prefix: "scopecheck-transactions-")
        log = TestLog(folder.path + "/log")
    }

    var file: String { folder.path + "/transaction-keys/keys.json" }

    func open(
        lifetime: Int64 = 60, rotation: Int64 = 86_400, algorithm: SignatureAlgorithm = .es256
    ) -> TransactionKeys {
        var settings = TransactionKeys.Settings(issuer: "https://gateway", lifetimeSeconds: lifetime)
        settings.rotationSeconds = rotation
        settings.algorithm = algorithm
        return TransactionKeys(
            folder: folder.path, settings, clock: { [clock] in clock.now }, log: log.log,
            save: { [weak self] path, text throws(SystemError) in
                let failure = SystemError(code: ENOSPC, call: "write", path: path)
                let crash = self?.crash.withLock { $0 }
                if crash == .beforeWriting { throw failure }
                try TransactionKeys.replace(path, text)
                if crash == .afterWriting { throw failure }
            }, publish: { [weak self] signer in self?.published.withLock { $0.append(signer?.keyID) } })
    }

    var signing: String? { published.withLock { $0.last ?? nil } }

    func write(_ text: String) throws {
        try TransactionKeys.replace(file, Array(text.utf8))
    }
}

/// IDs of the keys in a JWK set, in its order; each must be public and read as a key.
private func keyIDs(_ keys: TransactionKeys) throws -> [String] {
    let text = keys.jwks
    #expect(!String(decoding: text, as: UTF8.self).contains("\"d\":"))
    if text.elementsEqual("{\"keys\":[]}".utf8) { return [] }
    let set = try KeySet.parse(jwks: text.span, algorithms: [.es256, .ed25519])
    #expect(set.dropped.isEmpty)
    return set.keys.map { String(decoding: $0.keyID ?? [], as: UTF8.self) }
}

private func mode(_ path: String) -> UInt32 {
    var status = stat()
    // SAFETY: the string and the structure live for the call.
    return unsafe lstat(path, &status) == 0 ? UInt32(status.st_mode & 0o7777) : 0
}

@Suite struct TransactionKeysTests {
    @Test func theFirstKeySignsAtOnceAndStays() throws {
        let world = try KeysWorld()
        var first: String?
        do {
            let keys = world.open()
            first = world.signing
            #expect(first != nil)
            #expect(try keyIDs(keys) == [first])
            #expect(mode(world.file) == 0o600)
            #expect(mode(Files.split(world.file).folder) == 0o700)
            keys.tick()
            #expect(world.published.withLock { $0.count } == 1)
        }
        let again = world.open()
        #expect(world.signing == first)
        #expect(try keyIDs(again) == [first])
    }

    @Test func rotatesWithNoticeAndKeepsThePreviousOne() throws {
        let world = try KeysWorld()
        let keys = world.open(lifetime: 60, rotation: 86_400)
        let first = try #require(world.signing)
        world.clock.advance(86_400 - 901)
        keys.tick()
        #expect(try keyIDs(keys) == [first])
        world.clock.advance(1)
        keys.tick()
        let both = try keyIDs(keys)
        #expect(both.count == 2)
        #expect(both.first == first)
        #expect(world.signing == first)
        // A restart between notice and turn changes nothing.
        let restarted = world.open()
        #expect(try keyIDs(restarted) == both)
        #expect(world.signing == first)
        world.clock.advance(899)
        restarted.tick()
        #expect(world.signing == first)
        world.clock.advance(1)
        restarted.tick()
        #expect(world.signing == both[1])
        #expect(try keyIDs(restarted) == both)
        // The last token of the first key ends after 60 s, the last cache after 600 s.
        world.clock.advance(659)
        restarted.tick()
        #expect(try keyIDs(restarted) == both)
        world.clock.advance(1)
        restarted.tick()
        #expect(try keyIDs(restarted) == [both[1]])
        #expect(!String(decoding: try Files.read(world.file, bytesMax: 1 << 20).bytes, as: UTF8.self).contains(first))
    }

    @Test func aLateTurnGivesNoticeAllTheSame() throws {
        let world = try KeysWorld()
        _ = world.open()
        let first = try #require(world.signing)
        world.clock.advance(10 * 86_400)
        let keys = world.open()
        #expect(world.signing == first)
        let both = try keyIDs(keys)
        #expect(both.count == 2)
        world.clock.advance(299)
        keys.tick()
        #expect(world.signing == first)
        world.clock.advance(1)
        keys.tick()
        #expect(world.signing == both[1])
    }

    @Test func anotherAlgorithmComesWithNotice() throws {
        let world = try KeysWorld()
        _ = world.open()
        let first = try #require(world.signing)
        let keys = world.open(algorithm: .ed25519)
        let both = try keyIDs(keys)
        #expect(both.count == 2)
        #expect(world.signing == first)
        world.clock.advance(300)
        keys.tick()
        #expect(world.signing == both[1])
        #expect(String(decoding: keys.jwks, as: UTF8.self).contains("\"alg\":\"Ed25519\""))
    }

    @Test func noKeySignsThatIsNotKept() throws {
        let world = try KeysWorld()
        world.crash.withLock { $0 = .beforeWriting }
        let keys = world.open()
        #expect(world.published.withLock { $0 } == [nil])
        #expect(try keyIDs(keys) == [])
        #expect(world.log.text.contains("transaction_keys_failed"))
        keys.tick()
        // Told once.
        #expect(world.log.text.split(separator: "\n").count == 1)
        world.crash.withLock { $0 = nil }
        keys.tick()
        #expect(world.signing != nil)
    }

    @Test func survivesAnEndAfterEachStep() throws {
        for crash in [KeysWorld.Crash.beforeWriting, .afterWriting] {
            // While the first key is made.
            let world = try KeysWorld()
            world.crash.withLock { $0 = crash }
            #expect(world.open().jwks.elementsEqual("{\"keys\":[]}".utf8))
            world.crash.withLock { $0 = nil }
            let keys = world.open()
            let first = try #require(world.signing)
            #expect(try keyIDs(keys) == [first])
            // While the next one is.
            world.clock.advance(86_400 - 900)
            world.crash.withLock { $0 = crash }
            keys.tick()
            #expect(world.signing == first)
            #expect(try keyIDs(keys) == [first])
            world.crash.withLock { $0 = nil }
            let restarted = world.open()
            #expect(world.signing == first)
            let both = try keyIDs(restarted)
            #expect(both.count == 2)
            // While the first one is removed.
            world.clock.advance(900 + 660)
            world.crash.withLock { $0 = crash }
            restarted.tick()
            #expect(world.signing == both[1])
            #expect(try keyIDs(restarted) == both)
            world.crash.withLock { $0 = nil }
            #expect(try keyIDs(world.open()) == [both[1]])
            #expect(world.signing == both[1])
        }
    }

    @Test func rotationGoesOnWithTheOldKeyWhenTheDiskIsFull() throws {
        let world = try KeysWorld()
        let keys = world.open()
        let first = world.signing
        world.crash.withLock { $0 = .beforeWriting }
        world.clock.advance(5 * 86_400)
        keys.tick()
        #expect(world.signing == first)
        #expect(try keyIDs(keys) == [first])
    }

    static let damages: [@Sendable (String) -> String] = [
        { _ in "" }, { _ in "{" }, { _ in "{}" }, { String($0.dropLast(3)) },
        { $0.replacing("\"layout\":1", with: "\"layout\":2") }, { $0.replacing("\"ES256\"", with: "\"RS256\"") },
        { $0.replacing("\"d\":\"", with: "\"d\":\"A") },
        { $0.replacing("\"signs_from\":1", with: "\"signs_from\":-1") },
        { $0.replacing("\"signs_from\"", with: "\"signs\"") }, { _ in "{\"layout\":1,\"keys\":[]}" },
        { $0.replacing("]}", with: "],\"x\":1}") },
        { text in
            // Twice the same key.
            let start = text.firstIndex(of: "[").map { text.index(after: $0) } ?? text.startIndex
            let end = text.lastIndex(of: "]") ?? text.endIndex
            return text.replacing("]}", with: ",\(text[start..<end])]}")
        },
    ]

    @Test(arguments: damages.indices)
    func aDamagedFileIsNotReplaced(_ index: Int) throws {
        let world = try KeysWorld()
        _ = world.open()
        let first = try #require(world.signing)
        let good = String(decoding: try Files.read(world.file, bytesMax: 1 << 20).bytes, as: UTF8.self)
        let bad = TransactionKeysTests.damages[index](good)
        #expect(bad != good)
        try world.write(bad)
        let keys = world.open()
        #expect(world.published.withLock { $0.last } == .some(nil))
        #expect(try keyIDs(keys) == [])
        world.clock.advance(100_000)
        keys.tick()
        #expect(String(decoding: try Files.read(world.file, bytesMax: 1 << 20).bytes, as: UTF8.self) == bad)
        #expect(world.log.text.contains("damaged"))
        // A person mends it, or says that a new key is to be made by removing it.
        if index.isMultiple(of: 2) {
            try world.write(good)
            keys.tick()
            #expect(world.signing == first)
        } else {
            try Files.remove(world.file)
            keys.tick()
            #expect(world.signing != nil)
            #expect(world.signing != first)
        }
    }

    @Test func aClockThatWasAheadStopsNothing() throws {
        let world = try KeysWorld()
        world.clock.advance(1_000_000_000)
        _ = world.open()
        let wrong = try #require(world.signing)
        world.clock.advance(-1_000_000_000)
        let keys = world.open()
        let right = try #require(world.signing)
        #expect(right != wrong)
        #expect(try keyIDs(keys) == [right])
    }

    @Test func keysInPublicStayFewAndTheFileReadable() throws {
        let world = try KeysWorld()
        let keys = world.open(lifetime: 3_600, rotation: 1)
        for _ in 0..<200 {
            world.clock.advance(100)
            keys.tick()
            #expect(try keyIDs(keys).count <= TransactionKeyFile.keysMax / 2)
        }
        let text = try Files.read(world.file, bytesMax: TransactionKeyFile.bytesMax).bytes
        _ = try TransactionKeyFile.read(text.span)
        #expect(world.published.withLock { Set($0).count } > 5)
    }
}
