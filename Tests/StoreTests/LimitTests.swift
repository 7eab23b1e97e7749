import Foundation
import Store
import Testing

@Suite("limits of the store")
struct LimitTests {
    @Test("a full map undoes the write, keeps what was there, and can be enlarged at the next opening")
    func mapFull() throws {
        let folder = try TemporaryFolder()
        let path = folder.child("policy")
        do {
            let environment = try makeEnvironment(path, mapBytes: 1 << 20)
            let database = try environment.database("hosts")
            try environment.put(database, bytes("kept"), bytes("1"))
            let error = storeError {
                try environment.write { transaction throws(StoreError) in
                    for index in 0..<100 {
                        try transaction.put(
                            database, bytes("key \(index)").span, [UInt8](repeating: 1, count: 30_000).span)
                    }
                }
            }
            #expect(error?.code == StoreError.mapFull)
            #expect(error?.path == path)
            #expect(try environment.value(database, bytes("kept")) == bytes("1"))
            #expect(try environment.value(database, bytes("key 0")) == nil)
            // A body that goes on after the failure does not commit half of the write.
            let swallowed = storeError {
                try environment.write { transaction throws(StoreError) in
                    do throws(StoreError) {
                        for index in 0..<100 {
                            try transaction.put(
                                database, bytes("key \(index)").span,
                                [UInt8](repeating: 1, count: 30_000).span)
                        }
                    } catch {
                        return
                    }
                }
            }
            #expect(swallowed != nil)
            #expect(try environment.value(database, bytes("key 0")) == nil)
            try environment.put(database, bytes("small"), bytes("2"))
        }
        let environment = try makeEnvironment(path, mapBytes: 16 << 20)
        let database = try environment.database("hosts")
        try environment.put(database, bytes("large"), [UInt8](repeating: 1, count: 3 << 20))
        #expect(try environment.value(database, bytes("large"))?.count == 3 << 20)
        #expect(try environment.value(database, bytes("small")) == bytes("2"))
    }

    @Test("reader slots run out with an error, and come back")
    func readersFull() throws {
        let folder = try TemporaryFolder()
        let environment = try makeEnvironment(folder.child("policy"), maxReaders: 3)
        let database = try environment.database("hosts")
        try environment.put(database, bytes("a"), bytes("1"))
        do {
            let first = try environment.makeReader()
            var second = try environment.makeReader()
            let third = try environment.makeReader()
            #expect(try environment.information().readerSlotsUsed == 3)
            let reader = storeError { _ = try environment.makeReader() }
            #expect(reader?.code == StoreError.readersFull)
            let snapshot = storeError { _ = try environment.beginRead() }
            #expect(snapshot?.code == StoreError.readersFull)
            // Those that have a slot go on, and so does the writer.
            try second.renew()
            #expect(second.presence(database, bytes("a").span) == .present)
            try environment.put(database, bytes("a"), bytes("2"))
            let renewed = first.isRenewed || third.isRenewed
            #expect(!renewed)
        }
        _ = try environment.makeReader()
        #expect(try environment.readerCheck() == 0)
    }

    @Test("the slot of a killed process is freed by the next write")
    func deadReaders() async throws {
        let folder = try TemporaryFolder()
        let path = folder.child("policy")
        let environment = try makeEnvironment(path, maxReaders: 2)
        let database = try environment.database("hosts")
        let first = try environment.makeReader()
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let other = try makeEnvironment(path)
            var reader = try other.makeReader()
            try reader.renew()
            kill(getpid(), SIGKILL)
            reader.reset()
        }
        let full = storeError { _ = try environment.makeReader() }
        #expect(full?.code == StoreError.readersFull)
        try environment.put(database, bytes("a"), bytes("1"))
        var second = try environment.makeReader()
        try second.renew()
        #expect(second.presence(database, bytes("a").span) == .present)
        let isRenewed = first.isRenewed
        #expect(!isRenewed)
    }

    @Test("a file system without room: the write is undone, the store goes on when there is room")
    func noRoom() async throws {
        // In a process of its own: the limit on file sizes is the process's.
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            let environment = try makeEnvironment(folder.child("policy"), mapBytes: 64 << 20)
            let database = try environment.database("hosts")
            try environment.put(database, bytes("kept"), bytes("1"))
            signal(SIGXFSZ, SIG_IGN)
            let full = rlimit(rlim_cur: 256 << 10, rlim_max: .max)
            var limit = full
            try limitFileSize(&limit)
            let large = [UInt8](repeating: 1, count: 1 << 20)
            for _ in 0..<3 {
                let error = storeError {
                    try environment.put(database, bytes("large"), large)
                }
                try #require(error?.code == EFBIG || error?.code == EIO, "\(String(describing: error))")
                try #require(try environment.value(database, bytes("kept")) == bytes("1"))
                try #require(try environment.value(database, bytes("large")) == nil)
            }
            try #require(
                storeError { try environment.copy(to: folder.child("copy")) } == nil)
            limit.rlim_cur = .max
            try limitFileSize(&limit)
            try environment.put(database, bytes("large"), large)
            try #require(try environment.value(database, bytes("large")) == large)
            try #require(try environment.check().databases[0].entries == 2)
            // `exit` runs no deinit, so that of the folder would not remove it.
            try FileManager.default.removeItem(atPath: folder.path)
            exit(0)
        }
    }
}

private func limitFileSize(_ limit: inout rlimit) throws {
    // SAFETY: the structure is read during the call only.
    let result = unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
    try #require(result == 0)
}
