internal import CLMDB
internal import Glibc

/// The size and use of an environment, from `mdb_env_info`.
public struct EnvironmentInformation: Equatable, Sendable {
    /// The most that the data may grow to.
    public var mapBytes: Int
    /// Up to the last page ever used. Pages that became free inside it are used again before it grows.
    public var usedBytes: Int
    /// The number of the last committed write.
    public var lastWrite: Int
    public var readerSlots: Int
    /// Slots in use, reset readers included.
    public var readerSlotsUsed: Int
}

/// What a walk over every entry found.
public struct CheckReport: Equatable, Sendable {
    public struct Database: Equatable, Sendable {
        public var name: String
        public var entries: Int
        public var keyBytes: Int
        public var valueBytes: Int
        public var statistics: DatabaseStatistics
    }
    /// In byte order of the names.
    public var databases: [Database]
}

extension Environment {
    public func information() throws(StoreError) -> EnvironmentInformation {
        var info = unsafe MDB_envinfo()
        var sizes = MDB_stat()
        // SAFETY: both structures are filled during the calls.
        let infoResult = unsafe mdb_env_info(handle.pointer, &info)
        guard infoResult == 0 else { throw failure(infoResult, "mdb_env_info") }
        let statResult = unsafe mdb_env_stat(handle.pointer, &sizes)
        guard statResult == 0 else { throw failure(statResult, "mdb_env_stat") }
        return unsafe EnvironmentInformation(
            mapBytes: info.me_mapsize, usedBytes: (info.me_last_pgno + 1) * Int(sizes.ms_psize),
            lastWrite: info.me_last_txnid, readerSlots: Int(info.me_maxreaders),
            readerSlotsUsed: Int(info.me_numreaders))
    }

    /// Reads every key and value of every database in one snapshot.
    ///
    /// Checks that keys ascend and that the counts agree. What the values mean is for their owners to check.
    /// A data file that lost its tail ends the process, since the pages are mapped.
    /// - Throws: `corrupted`, and what LMDB says of a damaged page.
    public func check() throws(StoreError) -> CheckReport {
        let names = try databaseNames()
        var named: [(String, Database)] = []
        for name in names { named.append((name, try database(name))) }
        let transaction = try beginRead()
        var report = CheckReport(databases: [])
        for (name, database) in named {
            let statistics = try transaction.statistics(database)
            var found = CheckReport.Database(
                name: name, entries: 0, keyBytes: 0, valueBytes: 0, statistics: statistics)
            var previous: [UInt8] = []
            var sum: UInt8 = 0
            var ascends = true
            try transaction.forEach(database) { key, value throws(StoreError) in
                ascends = ascends && isAfter(key, previous)
                previous.removeAll(keepingCapacity: true)
                for index in key.indices { previous.append(key[index]) }
                for index in value.indices { sum &+= value[index] }
                found.entries += 1
                found.keyBytes += key.count
                found.valueBytes += value.count
                return .next
            }
            // The sum is there to touch every byte; the compiler must not know that nobody wants it.
            withExtendedLifetime(sum) {}
            guard ascends, found.entries == statistics.entries else {
                throw failure(MDB_CORRUPTED, "mdb_cursor_get")
            }
            report.databases.append(found)
        }
        return report
    }

    /// The names of all databases: the keys of LMDB's own main database, which holds nothing else.
    func databaseNames() throws(StoreError) -> [String] {
        let transaction = try begin(readOnly: true)
        var main: UInt32 = 0
        // SAFETY: the transaction is ours; no name means the main database.
        let result = unsafe mdb_dbi_open(transaction.pointer, nil, 0, &main)
        guard result == 0 else { throw failure(result, "mdb_dbi_open") }
        var names: [String] = []
        let mainDatabase = Database(handle: main, environmentID: id)
        try transaction.forEach(mainDatabase, prefix: Span(), path: path) { key, _ throws(StoreError) in
            var bytes: [UInt8] = []
            for index in key.indices { bytes.append(key[index]) }
            names.append(String(decoding: bytes, as: UTF8.self))
            return .next
        }
        return names
    }

    /// Writes a copy without free pages to a new folder, from one snapshot, while the store is in use.
    ///
    /// The folder (0700) is made when it is missing and must hold no store; the file (0600) is synced before
    /// this returns, and is removed when it could not be completed.
    public func copy(to folder: String) throws(StoreError) {
        try EnvironmentRegistry.makeFolder(folder)
        let target = folder + "/data.mdb"
        let file = try OutputFile(creating: target)
        // SAFETY: the file is open for the call. MDB_CP_COMPACT leaves out free pages.
        let result = unsafe mdb_env_copyfd2(handle.pointer, file.descriptor, UInt32(MDB_CP_COMPACT))
        guard result == 0 else {
            file.remove()
            throw StoreError(code: result, operation: "mdb_env_copyfd2", path: target)
        }
        do throws(StoreError) {
            try file.sync()
            try OutputFile(folder: folder).sync()
        } catch {
            file.remove()
            throw error
        }
    }

    private func failure(_ code: Int32, _ operation: String) -> StoreError {
        StoreError(code: code, operation: operation, path: path)
    }
}

private func isAfter(_ key: Span<UInt8>, _ previous: [UInt8]) -> Bool {
    let shorter = min(key.count, previous.count)
    for index in 0..<shorter where key[index] != previous[index] { return key[index] > previous[index] }
    return key.count > previous.count
}

/// A file descriptor, closed when the value goes.
private struct OutputFile: ~Copyable {
    let descriptor: Int32
    private let path: String

    @inline(never)
    init(creating path: String) throws(StoreError) {
        // SAFETY: the path is read during the call only.
        let opened = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard opened >= 0 else { throw StoreError(code: errno, operation: "open", path: path) }
        descriptor = opened
        self.path = path
    }

    @inline(never)
    init(folder path: String) throws(StoreError) {
        // SAFETY: the path is read during the call only.
        let opened = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard opened >= 0 else { throw StoreError(code: errno, operation: "open", path: path) }
        descriptor = opened
        self.path = path
    }

    deinit { _ = close(descriptor) }

    @inline(never)
    func sync() throws(StoreError) {
        guard fsync(descriptor) == 0 else { throw StoreError(code: errno, operation: "fsync", path: path) }
    }

    // SAFETY: the path is read during the call only.
    func remove() { unsafe _ = unlink(path) }
}
