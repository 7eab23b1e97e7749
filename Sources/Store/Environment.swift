internal import CLMDB
internal import Glibc
internal import Synchronization

/// An LMDB environment: one folder with its data and lock file, shared by all threads of the process.
///
/// Opened once in a process; a second opening of the same folder is refused under whatever name. Every write
/// is synced to disk before it is seen as done. Not for network file systems, and not to be used after a
/// fork.
@safe
public final class Environment: Sendable {
    /// The longest key that LMDB holds, as Debian builds it.
    public static let keyBytesMax = 511

    public let path: String
    public let mapBytes: Int
    public let isReadOnly: Bool

    let handle: EnvironmentHandle
    let id: UInt64
    private let databases = Mutex<[String: Database]>([:])
    /// Held while a database is opened: lmdb.h, mdb_dbi_open, "must not be called from multiple concurrent
    /// transactions in the same process".
    private let opening = Mutex<Void>(())
    /// The thread that is inside `write`, 0 for none: LMDB's write lock would wait for itself.
    private let writingThread = Atomic<UInt>(0)
    private static let nextID = Atomic<UInt64>(1)

    /// Opens the environment in the folder `path`, which is made (0700) when it is missing, with files of
    /// mode 0600; its parent must exist. Slots of readers that died are freed.
    /// - Parameters:
    ///   - mapBytes: the most the data may grow to; address space, not memory or disk. Fixed while open.
    ///   - maxReaders: transactions for reading at one time, over all processes. What an environment that is
    ///     open elsewhere was made with wins.
    ///   - maxDatabases: named databases.
    ///   - readOnly: refuses writes; `lock.mdb` must be writable all the same.
    /// - Throws: `alreadyOpen`, `invalidFile`, and what the system says. A data file that lost its tail
    ///   opens, and the process dies when it reads there.
    public init(
        path: String, mapBytes: Int, maxReaders: Int, maxDatabases: Int = 32, readOnly: Bool = false
    ) throws(StoreError) {
        if !readOnly { try EnvironmentRegistry.makeFolder(path) }
        // LMDB wants whole pages, and a new environment needs a few to begin with.
        let pageBytes = max(Int(sysconf(Int32(_SC_PAGESIZE))), 4_096)
        let wholePages = max(mapBytes / pageBytes, 64) * pageBytes
        let opened = try EnvironmentHandle(
            path,
            EnvironmentHandle.Settings(
                mapBytes: wholePages, maxReaders: UInt32(clamping: max(maxReaders, 1)),
                maxDatabases: UInt32(clamping: max(maxDatabases, 1)), readOnly: readOnly))
        try opened.checkReaders(path)
        handle = opened
        self.path = path
        self.mapBytes = wholePages
        isReadOnly = readOnly
        id = Environment.nextID.wrappingAdd(1, ordering: .relaxed).oldValue
    }
}

// MARK: Databases

extension Environment {
    /// The database of that name, made when it is missing (a durable write, then). Off the request path.
    ///
    /// Inside `write`, only a name that was opened before; open all names at the start.
    /// - Throws: `notFound` for a missing one when the environment is read-only.
    public func database(_ name: String) throws(StoreError) -> Database {
        if let known = databases.withLock({ $0[name] }) { return known }
        try refuseNestedWrite("mdb_dbi_open")
        let outcome = opening.withLock { _ -> Result<Database, StoreError> in
            do throws(StoreError) {
                if let known = databases.withLock({ $0[name] }) { return .success(known) }
                let found = try openDatabase(name)
                databases.withLock { $0[name] = found }
                return .success(found)
            } catch {
                return .failure(error)
            }
        }
        return try outcome.get()
    }

    private func openDatabase(_ name: String) throws(StoreError) -> Database {
        // Looking first spares a durable write at every start.
        if let found = try openDatabase(name, creating: false) { return found }
        guard !isReadOnly, let made = try openDatabase(name, creating: true) else {
            throw StoreError(code: MDB_NOTFOUND, operation: "mdb_dbi_open", path: path)
        }
        return made
    }

    /// - Returns: nil when there is none and none is made.
    private func openDatabase(_ name: String, creating: Bool) throws(StoreError) -> Database? {
        let transaction = try begin(readOnly: !creating)
        var handle: UInt32 = 0
        // SAFETY: the name is read during the call only.
        let result = unsafe mdb_dbi_open(
            transaction.pointer, name, creating ? UInt32(MDB_CREATE) : 0, &handle)
        if result == MDB_NOTFOUND, !creating { return nil }
        guard result == 0 else { throw StoreError(code: result, operation: "mdb_dbi_open", path: path) }
        // The handle becomes everyone's when the transaction that opened it commits.
        let committed = transaction.commit()
        guard committed == 0 else {
            throw StoreError(code: committed, operation: "mdb_txn_commit", path: path)
        }
        return Database(handle: handle, environmentID: id)
    }
}

// MARK: Transactions

extension Environment {
    /// A snapshot for reading, for commands and start-up. Workers use `makeReader`.
    @_lifetime(borrow self)
    public borrowing func beginRead() throws(StoreError) -> ReadTransaction {
        ReadTransaction(try begin(readOnly: true), self)
    }

    /// A reader for one worker. It takes one of the reader slots for as long as it lives.
    public func makeReader() throws(StoreError) -> Reader {
        Reader(try begin(readOnly: true), self)
    }

    /// Runs `body` as the one writer and commits durably; a throw from it undoes everything.
    ///
    /// Waits for another writer to finish. Slots of dead readers are freed first, since their snapshots
    /// would keep pages from being used again. The closure names its error:
    /// `{ transaction throws(StoreError) in … }`, or a type of the caller's that can carry a `StoreError`.
    /// - Throws: `mapFull`, `nestedWrite`, what `body` throws, and what the system says; nothing was changed.
    public func write<R, E: StoreFailure>(
        _ body: (inout WriteTransaction) throws(E) -> R
    ) throws(E) -> R {
        do throws(StoreError) {
            try refuseNestedWrite("mdb_txn_begin")
            try readerCheck()
        } catch {
            throw E(error)
        }
        let begun: TransactionHandle
        do throws(StoreError) { begun = try begin(readOnly: false) } catch { throw E(error) }
        writingThread.store(UInt(pthread_self()), ordering: .relaxed)
        var transaction = WriteTransaction(begun, self)
        // The mark goes before the lock does, or it would wipe out the next writer's.
        let value: R
        do throws(E) {
            value = try body(&transaction)
        } catch {
            writingThread.store(0, ordering: .relaxed)
            throw error
        }
        writingThread.store(0, ordering: .relaxed)
        let committed = transaction.finish()
        guard committed == 0 else {
            throw E(StoreError(code: committed, operation: "mdb_txn_commit", path: path))
        }
        return value
    }

    func begin(readOnly: Bool) throws(StoreError) -> TransactionHandle {
        var begun: OpaquePointer?
        let flags = readOnly ? UInt32(MDB_RDONLY) : 0
        // SAFETY: the environment is open; on success the new transaction is ours.
        let result = unsafe mdb_txn_begin(handle.pointer, nil, flags, &begun)
        guard result == 0, let transaction = unsafe begun else {
            throw StoreError(code: result, operation: "mdb_txn_begin", path: path)
        }
        return unsafe TransactionHandle(owning: transaction, environmentID: id)
    }

    private func refuseNestedWrite(_ operation: String) throws(StoreError) {
        // Only this thread can have stored its own number, so a stale value is never equal to it.
        guard writingThread.load(ordering: .relaxed) != UInt(pthread_self()) else {
            throw StoreError(code: EDEADLK, operation: operation, path: path)
        }
    }

    /// Frees slots of readers whose process died.
    /// - Returns: how many.
    @discardableResult
    public func readerCheck() throws(StoreError) -> Int {
        try handle.checkReaders(path)
    }
}

/// An error that can carry the failure of a store.
public protocol StoreFailure: Error {
    init(_ error: StoreError)
}

extension StoreError: StoreFailure {
    public init(_ error: StoreError) { self = error }
}
