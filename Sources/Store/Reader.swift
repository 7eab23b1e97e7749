internal import CLMDB
internal import Glibc

/// One worker's read transaction, made once and used again for every decision.
///
/// `renew` takes the newest snapshot, `reset` lets it go; both take nanoseconds, lock nothing and allocate
/// nothing. A worker renews at the start of a decision and resets at its end, and never waits in between.
/// One thread at a time; it may be handed to another thread.
@safe
public struct Reader: ~Copyable {
    private let handle: TransactionHandle
    private let environment: Environment
    /// Whether a snapshot is held.
    public private(set) var isRenewed = false

    init(_ handle: consuming TransactionHandle, _ environment: Environment) {
        // The transaction arrives begun; a reader holds no snapshot until it is renewed.
        // SAFETY: the transaction is begun, and self is held exclusively.
        unsafe mdb_txn_reset(handle.pointer)
        self.handle = handle
        self.environment = environment
    }

    /// Takes the newest snapshot; one that was held is let go.
    /// - Throws: `StoreError`, after which nothing can be read: deny.
    public mutating func renew() throws(StoreError) {
        if isRenewed { reset() }
        // SAFETY: lmdb.h, mdb_txn_renew: for a handle "that has been released by mdb_txn_reset()".
        let result = unsafe mdb_txn_renew(handle.pointer)
        guard result == 0 else {
            throw StoreError(code: result, operation: "mdb_txn_renew", path: environment.path)
        }
        isRenewed = true
    }

    /// Lets the snapshot go. Harmless when there is none.
    public mutating func reset() {
        guard isRenewed else { return }
        isRenewed = false
        // SAFETY: the transaction is begun, and self is held exclusively.
        unsafe mdb_txn_reset(handle.pointer)
    }

    /// The number of the last write that the snapshot shows; 0 when none is held.
    public borrowing func snapshotNumber() -> Int {
        // SAFETY: the transaction is begun.
        isRenewed ? unsafe mdb_txn_id(handle.pointer) : 0
    }

    /// The value of a key, in the mapped page itself, borrowed until the next `renew` or `reset`.
    ///
    /// - Returns: nil when there is none. Also nil without a snapshot or when LMDB fails, so an absence must
    ///   never be a ground to allow; `presence` tells them apart.
    @_lifetime(borrow self)
    public borrowing func get(_ database: Database, _ key: Span<UInt8>) -> Span<UInt8>? {
        guard isRenewed else { return nil }
        var value = unsafe MDB_val()
        guard unsafe handle.find(database, key, &value) == 0 else { return nil }
        // SAFETY: the bytes stay until renew or reset, which need self exclusively.
        return unsafe _overrideLifetime(lmdbBytes(value), borrowing: self)
    }

    /// Lends the value of a key, for a reader that lives where `get` cannot be used, in a class for example.
    public borrowing func withValue<R, E: Error>(
        _ database: Database, _ key: Span<UInt8>, _ body: (Span<UInt8>?) throws(E) -> R
    ) throws(E) -> R {
        try body(get(database, key))
    }

    public borrowing func presence(_ database: Database, _ key: Span<UInt8>) -> Presence {
        isRenewed ? handle.presence(database, key) : .unreadable
    }

    /// Every entry whose key begins with `prefix`, in byte order of the keys.
    public borrowing func forEach(
        _ database: Database, prefix: Span<UInt8> = Span(),
        _ body: (_ key: Span<UInt8>, _ value: Span<UInt8>) throws(StoreError) -> Iteration
    ) throws(StoreError) {
        guard isRenewed else {
            throw StoreError(code: EINVAL, operation: "mdb_cursor_open", path: environment.path)
        }
        try handle.forEach(database, prefix: prefix, path: environment.path, body)
    }
}

// Sendable because with MDB_NOTLS a read transaction belongs to its handle and not to a thread, and a value that
// cannot be copied is used by one thread at a time.
extension Reader: @unchecked Sendable {}
