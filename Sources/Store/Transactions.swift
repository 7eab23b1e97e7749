internal import CLMDB
internal import Glibc

/// A named database inside an environment. A small number; valid as long as its environment.
public struct Database: Sendable, Equatable {
    let handle: UInt32
    /// Which environment it belongs to: handles of two environments look alike.
    let environmentID: UInt64
}

/// Whether a key is there, where "not found" and "could not look" lead to different answers.
public enum Presence: Equatable, Sendable {
    case present
    case absent
    /// The transaction is not renewed, the database belongs elsewhere, or LMDB failed.
    case unreadable
}

/// `MDB_txn`, aborted unless it was committed.
@safe
struct TransactionHandle: ~Copyable {
    let pointer: OpaquePointer
    let environmentID: UInt64

    init(owning pointer: OpaquePointer, environmentID: UInt64) {
        unsafe self.pointer = pointer
        self.environmentID = environmentID
    }

    // SAFETY: the initialiser took the only reference; `commit` discards self.
    deinit { unsafe mdb_txn_abort(pointer) }

    /// lmdb.h on mdb_txn_commit: "The transaction handle is freed. It and its cursors must not be used
    /// again", also when it fails.
    consuming func commit() -> Int32 {
        // SAFETY: discarding self leaves this call the only one to free it.
        let handle = unsafe pointer
        discard self
        return unsafe mdb_txn_commit(handle)
    }

    /// Looks a key up. No key that LMDB cannot hold is ever found, so those are not asked for.
    func find(_ database: Database, _ key: Span<UInt8>, _ value: inout MDB_val) -> Int32 {
        guard database.environmentID == environmentID else { return EINVAL }
        guard key.count > 0, key.count <= Environment.keyBytesMax else { return MDB_NOTFOUND }
        // SAFETY: mdb_get reads the key during the call only and does not change it.
        return unsafe key.withUnsafeBufferPointer { bytes in
            var name = unsafe MDB_val(
                mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
            return unsafe mdb_get(pointer, database.handle, &name, &value)
        }
    }

    func presence(_ database: Database, _ key: Span<UInt8>) -> Presence {
        var value = unsafe MDB_val()
        // SAFETY: the value is not kept.
        switch unsafe find(database, key, &value) {
        case 0: return .present
        case MDB_NOTFOUND: return .absent
        default: return .unreadable
        }
    }
}

/// The bytes of a value or key that LMDB returned.
///
/// - Important: they stay only as long as the transaction, which the caller must state.
@_lifetime(immortal)
@unsafe
func lmdbBytes(_ value: MDB_val) -> Span<UInt8> {
    guard let start = unsafe value.mv_data, unsafe value.mv_size > 0 else { return Span() }
    // SAFETY: LMDB points at mv_size bytes of its map.
    let span = unsafe Span(_unsafeStart: start.assumingMemoryBound(to: UInt8.self), count: value.mv_size)
    return unsafe _overrideLifetime(span, copying: ())
}

/// A snapshot of the whole environment for reading. Ends when it goes out of scope. One thread at a time.
///
/// A snapshot that stays open keeps old pages from being used again, so the store grows: read, and let go.
@safe
public struct ReadTransaction: ~Copyable, ~Escapable {
    let handle: TransactionHandle
    /// Keeps the environment open.
    let environment: Environment

    @_lifetime(borrow environment)
    init(_ handle: consuming TransactionHandle, _ environment: borrowing Environment) {
        self.handle = handle
        self.environment = copy environment
    }

    /// The value of a key, in the mapped page itself, borrowed until the transaction ends.
    ///
    /// - Returns: nil when there is none. Also nil when LMDB fails, so an absence must never be a ground to
    ///   allow; `presence` tells the two apart.
    @_lifetime(borrow self)
    public borrowing func get(_ database: Database, _ key: Span<UInt8>) -> Span<UInt8>? {
        var value = unsafe MDB_val()
        // SAFETY: LMDB fills the value when the result is 0.
        guard unsafe handle.find(database, key, &value) == 0 else { return nil }
        // SAFETY: the bytes stay until the transaction ends, which self's life bounds.
        return unsafe _overrideLifetime(lmdbBytes(value), borrowing: self)
    }

    public borrowing func presence(_ database: Database, _ key: Span<UInt8>) -> Presence {
        handle.presence(database, key)
    }

    /// Every entry whose key begins with `prefix`, in byte order of the keys.
    public borrowing func forEach(
        _ database: Database, prefix: Span<UInt8> = Span(),
        _ body: (_ key: Span<UInt8>, _ value: Span<UInt8>) throws(StoreError) -> Iteration
    ) throws(StoreError) {
        try handle.forEach(database, prefix: prefix, path: environment.path, body)
    }

    /// Every entry whose key begins with `prefix` and is smaller than `end`, from the greatest key down.
    /// - Parameter end: 1 to 511 bytes; there need not be such a key.
    public borrowing func forEachDescending(
        _ database: Database, before end: Span<UInt8>, prefix: Span<UInt8> = Span(),
        _ body: (_ key: Span<UInt8>, _ value: Span<UInt8>) throws(StoreError) -> Iteration
    ) throws(StoreError) {
        try handle.forEachDescending(database, before: end, prefix: prefix, path: environment.path, body)
    }

    public borrowing func statistics(_ database: Database) throws(StoreError) -> DatabaseStatistics {
        try handle.statistics(database, path: environment.path)
    }
}

/// The one writer's transaction. Everything in it becomes visible at once, when `Environment.write` returns.
@safe
public struct WriteTransaction: ~Copyable, ~Escapable {
    let handle: TransactionHandle
    let environment: Environment

    @_lifetime(borrow environment)
    init(_ handle: consuming TransactionHandle, _ environment: borrowing Environment) {
        self.handle = handle
        self.environment = copy environment
    }

    /// As in a read transaction, this transaction's own changes included; borrowed until the next change.
    @_lifetime(borrow self)
    public borrowing func get(_ database: Database, _ key: Span<UInt8>) -> Span<UInt8>? {
        var value = unsafe MDB_val()
        // SAFETY: LMDB fills the value when the result is 0.
        guard unsafe handle.find(database, key, &value) == 0 else { return nil }
        // SAFETY: the bytes stay until the next change, which needs self exclusively.
        return unsafe _overrideLifetime(lmdbBytes(value), borrowing: self)
    }

    public borrowing func presence(_ database: Database, _ key: Span<UInt8>) -> Presence {
        handle.presence(database, key)
    }

    /// Sets the value of a key, in place of an older one.
    /// - Parameter key: 1 to 511 bytes.
    public mutating func put(
        _ database: Database, _ key: Span<UInt8>, _ value: Span<UInt8>
    ) throws(StoreError) {
        guard key.count > 0, key.count <= Environment.keyBytesMax else {
            throw failure(MDB_BAD_VALSIZE, "mdb_put")
        }
        guard database.environmentID == handle.environmentID else { throw failure(EINVAL, "mdb_put") }
        // SAFETY: mdb_put copies key and value during the call and changes neither.
        let result = unsafe key.withUnsafeBufferPointer { keyBytes in
            unsafe value.withUnsafeBufferPointer { valueBytes in
                var name = unsafe MDB_val(
                    mv_size: keyBytes.count, mv_data: UnsafeMutableRawPointer(mutating: keyBytes.baseAddress))
                var data = unsafe MDB_val(
                    mv_size: valueBytes.count,
                    mv_data: UnsafeMutableRawPointer(mutating: valueBytes.baseAddress))
                return unsafe mdb_put(handle.pointer, database.handle, &name, &data, 0)
            }
        }
        guard result == 0 else { throw failure(result, "mdb_put") }
    }

    /// - Returns: false when there was no such key.
    @discardableResult
    public mutating func delete(_ database: Database, _ key: Span<UInt8>) throws(StoreError) -> Bool {
        guard key.count > 0, key.count <= Environment.keyBytesMax else { return false }
        guard database.environmentID == handle.environmentID else { throw failure(EINVAL, "mdb_del") }
        // SAFETY: the key is read during the call only.
        let result = unsafe key.withUnsafeBufferPointer { bytes in
            var name = unsafe MDB_val(
                mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
            return unsafe mdb_del(handle.pointer, database.handle, &name, nil)
        }
        guard result != MDB_NOTFOUND else { return false }
        guard result == 0 else { throw failure(result, "mdb_del") }
        return true
    }

    /// Removes every entry of a database, which itself stays.
    public mutating func removeAll(_ database: Database) throws(StoreError) {
        guard database.environmentID == handle.environmentID else { throw failure(EINVAL, "mdb_drop") }
        // SAFETY: 0 empties the database and keeps its handle valid.
        let result = unsafe mdb_drop(handle.pointer, database.handle, 0)
        guard result == 0 else { throw failure(result, "mdb_drop") }
    }

    /// As in a read transaction; nothing can be changed meanwhile.
    public borrowing func forEach(
        _ database: Database, prefix: Span<UInt8> = Span(),
        _ body: (_ key: Span<UInt8>, _ value: Span<UInt8>) throws(StoreError) -> Iteration
    ) throws(StoreError) {
        try handle.forEach(database, prefix: prefix, path: environment.path, body)
    }

    public borrowing func statistics(_ database: Database) throws(StoreError) -> DatabaseStatistics {
        try handle.statistics(database, path: environment.path)
    }

    private func failure(_ code: Int32, _ operation: String) -> StoreError {
        StoreError(code: code, operation: operation, path: environment.path)
    }
}

extension WriteTransaction {
    consuming func finish() -> Int32 { handle.commit() }
}
