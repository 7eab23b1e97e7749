import Foundation
import Store
import Testing

@Suite("an environment")
struct EnvironmentTests {
    @Test("keeps what was written, over a close and an opening")
    func persists() throws {
        let folder = try TemporaryFolder()
        let path = folder.child("policy")
        do {
            let environment = try makeEnvironment(path)
            let database = try environment.database("hosts")
            try environment.put(database, bytes("api.example.com"), bytes("table"))
        }
        let environment = try makeEnvironment(path)
        let database = try environment.database("hosts")
        #expect(try environment.value(database, bytes("api.example.com")) == bytes("table"))
        #expect(try environment.value(database, bytes("api.example.co")) == nil)
    }

    @Test("is open to its owner alone")
    func modes() throws {
        let folder = try TemporaryFolder()
        let environment = try makeEnvironment(folder.child("policy"))
        _ = try environment.database("hosts")
        #expect(try folder.mode("policy") == 0o700)
        #expect(try folder.mode("policy/data.mdb") == 0o600)
        #expect(try folder.mode("policy/lock.mdb") == 0o600)
        try environment.copy(to: folder.child("backup"))
        #expect(try folder.mode("backup") == 0o700)
        #expect(try folder.mode("backup/data.mdb") == 0o600)
    }

    @Test("is not opened twice in a process, under whatever name")
    func openedOnce() throws {
        let folder = try TemporaryFolder()
        let path = folder.child("policy")
        let link = folder.child("link")
        do {
            let environment = try makeEnvironment(path)
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
            for name in [path, path + "/", path + "/../policy", link] {
                let error = storeError { _ = try makeEnvironment(name) }
                #expect(error?.code == StoreError.alreadyOpen, "\(name)")
            }
            // A refused opening must not give up the claim of the one that holds it.
            #expect(storeError { _ = try makeEnvironment(path) } != nil)
            #expect(environment.path == path)
        }
        _ = try makeEnvironment(path)
        _ = try makeEnvironment(link)
    }

    @Test("holds its folder, whose inode could otherwise be another folder's while it is open")
    func holdsItsFolder() throws {
        let folder = try TemporaryFolder()
        let path = folder.child("policy")
        func isHeld() throws -> Bool {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").contains {
                // A descriptor of somebody else may be closed by now.
                (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)"))
                    == path + " (deleted)"
            }
        }
        do {
            let environment = try makeEnvironment(path)
            try FileManager.default.removeItem(atPath: path)
            #expect(try isHeld())
            #expect(environment.path == path)
        }
        #expect(try !isHeld())
    }

    @Test("stays open as long as a reader or a database user needs it")
    func readerKeepsItOpen() throws {
        let folder = try TemporaryFolder()
        var opened: Environment? = try makeEnvironment(folder.child("policy"))
        let database = try #require(try opened?.database("hosts"))
        try opened?.put(database, bytes("a"), bytes("1"))
        var reader = try #require(opened).makeReader()
        opened = nil
        try reader.renew()
        #expect(copied(reader.get(database, bytes("a").span)) == bytes("1"))
        let error = storeError { _ = try makeEnvironment(folder.child("policy")) }
        #expect(error?.code == StoreError.alreadyOpen)
    }

    struct DamagedFile: Sendable {
        var name: String
        var content: @Sendable () -> Data
    }

    static let damagedFiles = [
        DamagedFile(name: "text") { Data(String(repeating: "not a store ", count: 4_000).utf8) },
        DamagedFile(name: "zeros") { Data(repeating: 0, count: 65_536) },
        DamagedFile(name: "shorter than one page") { Data(repeating: 7, count: 100) },
        DamagedFile(name: "one byte") { Data([1]) },
    ]

    @Test("refuses a data file that is not LMDB's", arguments: damagedFiles.indices)
    func damaged(_ index: Int) throws {
        let damaged = EnvironmentTests.damagedFiles[index]
        let folder = try TemporaryFolder()
        try damaged.content().write(to: URL(fileURLWithPath: folder.child("data.mdb")))
        let error = storeError { _ = try makeEnvironment(folder.path) }
        #expect(error != nil, "\(damaged.name)")
        #expect(error?.operation == "mdb_env_open", "\(damaged.name)")
        // The claim was given up: with the file out of the way the same folder opens.
        try FileManager.default.removeItem(atPath: folder.child("data.mdb"))
        _ = try makeEnvironment(folder.path)
    }

    @Test("refuses a data file cut within its first page")
    func truncatedHead() throws {
        let folder = try TemporaryFolder()
        let path = folder.child("policy")
        do {
            let environment = try makeEnvironment(path)
            let database = try environment.database("hosts")
            try environment.put(database, bytes("a"), [UInt8](repeating: 1, count: 20_000))
        }
        for length in [1, 100, 160] {
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path + "/data.mdb"))
            try file.truncate(atOffset: UInt64(length))
            try file.close()
            let error = storeError { _ = try makeEnvironment(path) }
            #expect(error != nil, "\(length)")
        }
    }

    @Test("refuses paths that cannot be a store")
    func badPaths() throws {
        let folder = try TemporaryFolder()
        let file = folder.child("file")
        try Data("x".utf8).write(to: URL(fileURLWithPath: file))
        let cases: [(String, Int32)] = [
            (folder.child("missing/policy"), ENOENT), (file, ENOTDIR), (file + "/policy", ENOTDIR),
            ("", ENOENT),
        ]
        for (path, code) in cases {
            let error = storeError { _ = try makeEnvironment(path) }
            #expect(error?.code == code, "\(path)")
        }
    }

    @Test("opened for reading only, it shows everything and writes nothing")
    func readOnly() throws {
        let folder = try TemporaryFolder()
        let path = folder.child("policy")
        let missing = storeError { _ = try makeEnvironment(path, readOnly: true) }
        #expect(missing?.code == ENOENT)
        do {
            let environment = try makeEnvironment(path)
            try environment.put(try environment.database("hosts"), bytes("a"), bytes("1"))
        }
        let environment = try makeEnvironment(path, readOnly: true)
        let database = try environment.database("hosts")
        #expect(try environment.value(database, bytes("a")) == bytes("1"))
        let write = storeError {
            try environment.put(database, bytes("a"), bytes("2"))
        }
        #expect(write?.code == EACCES)
        let other = storeError { _ = try environment.database("other") }
        #expect(other?.code == StoreError.notFound)
        #expect(try environment.value(database, bytes("a")) == bytes("1"))
    }

    @Test("refuses more databases than it was opened for, and says the names of none")
    func databasesFull() throws {
        let folder = try TemporaryFolder()
        let environment = try makeEnvironment(folder.child("policy"), maxDatabases: 2)
        let first = try environment.database("one")
        _ = try environment.database("two")
        #expect(try environment.database("one") == first)
        #expect(storeError { _ = try environment.database("three") } != nil)
        #expect(try environment.check().databases.map(\.name) == ["one", "two"])
    }

    @Test("a database of another environment is not taken for its own")
    func foreignDatabase() throws {
        let folder = try TemporaryFolder()
        let first = try makeEnvironment(folder.child("first"))
        let second = try makeEnvironment(folder.child("second"))
        let mine = try first.database("hosts")
        let foreign = try second.database("hosts")
        try first.put(mine, bytes("a"), bytes("1"))
        #expect(try first.value(foreign, bytes("a")) == nil)
        #expect(storeError { try first.put(foreign, bytes("a"), bytes("2")) } != nil)
        var reader = try first.makeReader()
        try reader.renew()
        #expect(reader.presence(foreign, bytes("a").span) == .unreadable)
        #expect(reader.presence(mine, bytes("a").span) == .present)
    }

    @Test("copies without free pages, leaves a store that is there alone, and the copy opens")
    func copies() throws {
        let folder = try TemporaryFolder()
        let environment = try makeEnvironment(folder.child("policy"))
        let database = try environment.database("hosts")
        for index in 0..<50 {
            try environment.put(database, bytes("key \(index)"), [UInt8](repeating: 9, count: 30_000))
        }
        for index in 1..<50 {
            _ = try environment.write { transaction throws(StoreError) in
                try transaction.delete(database, bytes("key \(index)").span)
            }
        }
        let target = folder.child("copy")
        try environment.copy(to: target)
        let again = storeError { try environment.copy(to: target) }
        #expect(again?.code == EEXIST)
        let copy = try makeEnvironment(target)
        let copied = try copy.database("hosts")
        #expect(try copy.value(copied, bytes("key 0"))?.count == 30_000)
        #expect(try copy.value(copied, bytes("key 1")) == nil)
        let before = try environment.information()
        let after = try copy.information()
        #expect(after.usedBytes < before.usedBytes / 10)
    }

    @Test("check walks every entry and counts")
    func check() throws {
        let folder = try TemporaryFolder()
        let environment = try makeEnvironment(folder.child("policy"))
        #expect(try environment.check().databases.isEmpty)
        let hosts = try environment.database("hosts")
        _ = try environment.database("versions")
        for index in 0..<300 {
            try environment.put(hosts, bytes("key \(index)"), [UInt8](repeating: 1, count: index))
        }
        let report = try environment.check()
        #expect(report.databases.map(\.name) == ["hosts", "versions"])
        #expect(report.databases.map(\.entries) == [300, 0])
        #expect(report.databases[0].valueBytes == 299 * 300 / 2)
        #expect(report.databases[0].statistics.entries == 300)
        let information = try environment.information()
        #expect(information.usedBytes > 299 * 300 / 2)
        #expect(information.mapBytes == 16 << 20)
    }

    @Test("check tells of a damaged page")
    func checkDamaged() throws {
        let folder = try TemporaryFolder()
        let path = folder.child("policy")
        let pageBytes: Int
        do {
            let environment = try makeEnvironment(path)
            let hosts = try environment.database("hosts")
            try environment.write { transaction throws(StoreError) in
                for index in 0..<2_000 {
                    try transaction.put(hosts, bytes("key \(index)").span, bytes("value").span)
                }
            }
            pageBytes = try environment.check().databases[0].statistics.pageBytes
        }
        // Leaf pages (flag 2 at offset 10) of the tree turn into pages of no kind.
        let url = URL(fileURLWithPath: path + "/data.mdb")
        var data = try Data(contentsOf: url)
        var damaged = 0
        for page in stride(from: 2 * pageBytes, to: data.count, by: pageBytes) where data[page + 10] == 2 {
            data[page + 10] = 0
            damaged += 1
        }
        #expect(damaged > 2)
        try data.write(to: url)
        let environment = try makeEnvironment(path)
        #expect(storeError { _ = try environment.check() } != nil)
    }

    @Test("every message says what, where and how to mend it")
    func messages() {
        let codes: [Int32] = [
            StoreError.mapFull, StoreError.readersFull, StoreError.notFound, StoreError.badSize,
            StoreError.corrupted, StoreError.invalidFile, StoreError.alreadyOpen, StoreError.nestedWrite,
            ENOSPC, EACCES, ENOENT, EEXIST, EIO, -30_794, -30_791, -30_785, -30_782,
        ]
        for code in codes {
            let text = StoreError(code: code, operation: "mdb_put", path: "/var/lib/store").description
            #expect(text.hasPrefix("`mdb_put` failed on `/var/lib/store`: "), "\(text)")
            #expect(text.contains("; "), "\(text)")
            #expect(!text.hasSuffix("."), "\(text)")
        }
        let full = StoreError(code: StoreError.mapFull, operation: "mdb_put", path: "/s").description
        #expect(full.contains("larger map size"))
    }
}
