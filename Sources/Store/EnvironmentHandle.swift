internal import CLMDB

/// `MDB_env` with the claim to its folder. Closed first, given up second, so that another opening never meets
/// it half closed.
///
/// Sendable because LMDB lets every thread use one `MDB_env`: it locks for writers and keeps a table of readers; what
/// belongs to one thread is a transaction, which has a handle of its own.
@safe
struct EnvironmentHandle: ~Copyable, @unchecked Sendable {
    struct Settings {
        var mapBytes: Int
        var maxReaders, maxDatabases: UInt32
        var readOnly: Bool
    }

    let pointer: OpaquePointer
    private let claim: EnvironmentRegistry.Claim

    init(_ path: String, _ settings: Settings) throws(StoreError) {
        let claimed = try EnvironmentRegistry.Claim(path)
        var created: OpaquePointer?
        // SAFETY: on success the new handle is ours, and closed in deinit or below.
        let result = unsafe mdb_env_create(&created)
        guard result == 0, let made = unsafe created else {
            throw StoreError(code: result, operation: "mdb_env_create", path: path)
        }
        if let failed = unsafe EnvironmentHandle.open(made, path, settings) {
            // lmdb.h, mdb_env_open: "If this function fails, mdb_env_close() must be called".
            unsafe mdb_env_close(made)
            throw failed
        }
        unsafe pointer = made
        claim = claimed
    }

    // SAFETY: transactions and readers hold the environment that holds this, so none is left.
    deinit { unsafe mdb_env_close(pointer) }

    @unsafe
    private static func open(_ made: OpaquePointer, _ path: String, _ settings: Settings) -> StoreError? {
        var flags = UInt32(MDB_NOTLS | MDB_NORDAHEAD)
        if settings.readOnly { flags |= UInt32(MDB_RDONLY) }
        var operation = "mdb_env_set_mapsize"
        // SAFETY: the handle is created and not open yet; the path is read during the call.
        var result = unsafe mdb_env_set_mapsize(made, settings.mapBytes)
        if result == 0 {
            operation = "mdb_env_set_maxreaders"
            result = unsafe mdb_env_set_maxreaders(made, settings.maxReaders)
        }
        if result == 0 {
            operation = "mdb_env_set_maxdbs"
            result = unsafe mdb_env_set_maxdbs(made, settings.maxDatabases)
        }
        if result == 0 {
            operation = "mdb_env_open"
            result = unsafe mdb_env_open(made, path, flags, 0o600)
        }
        return result == 0 ? nil : StoreError(code: result, operation: operation, path: path)
    }

    /// Frees slots of readers whose process died.
    @discardableResult
    func checkReaders(_ path: String) throws(StoreError) -> Int {
        var dead: Int32 = 0
        // SAFETY: the count is written during the call.
        let result = unsafe mdb_reader_check(pointer, &dead)
        guard result == 0 else { throw StoreError(code: result, operation: "mdb_reader_check", path: path) }
        return Int(dead)
    }
}

// EnvironmentHandle is Sendable although it holds a C pointer: lmdb.h lets threads share one environment;
// with MDB_NOTLS a read transaction is bound to its handle and not to a thread; a write transaction is begun
// and ended on the one thread that runs `Environment.write`, and LMDB's own mutex lets in one at a time.
