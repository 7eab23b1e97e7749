internal import CLMDB
internal import Glibc

/// What an iteration does after an entry.
public enum Iteration: Sendable {
    case next
    case stop
}

/// Sizes of one database, from `mdb_stat`.
public struct DatabaseStatistics: Equatable, Sendable {
    public var entries: Int
    /// Levels of the tree.
    public var depth: Int
    public var branchPages: Int
    public var leafPages: Int
    /// Pages of values too long for a leaf.
    public var overflowPages: Int
    public var pageBytes: Int
}

/// `MDB_cursor`, of a transaction that outlives it.
@safe
private struct Cursor: ~Copyable {
    let pointer: OpaquePointer

    init(owning pointer: OpaquePointer) { unsafe self.pointer = pointer }

    // SAFETY: lmdb.h, mdb_cursor_open: a cursor of a read transaction "must be closed explicitly".
    deinit { unsafe mdb_cursor_close(pointer) }
}

extension TransactionHandle {
    func forEach(
        _ database: Database, prefix: Span<UInt8>, path: String,
        _ body: (_ key: Span<UInt8>, _ value: Span<UInt8>) throws(StoreError) -> Iteration
    ) throws(StoreError) {
        let cursor = try openCursor(database, path: path)
        guard prefix.count <= Environment.keyBytesMax else { return }
        var key = unsafe MDB_val()
        var value = unsafe MDB_val()
        var status = unsafe cursor.seek(prefix, &key, &value)
        while status == 0 {
            // SAFETY: both stay at least until the cursor moves, which is after the body.
            let keyBytes = unsafe lmdbBytes(key)
            guard keyBytes.begins(with: prefix) else { return }
            guard case .next = try body(keyBytes, unsafe lmdbBytes(value)) else { return }
            status = unsafe mdb_cursor_get(cursor.pointer, &key, &value, MDB_NEXT)
        }
        guard status == MDB_NOTFOUND else {
            throw StoreError(code: status, operation: "mdb_cursor_get", path: path)
        }
    }

    /// Every entry whose key begins with `prefix` and is smaller than `end`, the greatest first.
    func forEachDescending(
        _ database: Database, before end: Span<UInt8>, prefix: Span<UInt8>, path: String,
        _ body: (_ key: Span<UInt8>, _ value: Span<UInt8>) throws(StoreError) -> Iteration
    ) throws(StoreError) {
        guard (1...Environment.keyBytesMax).contains(end.count) else {
            throw StoreError(code: MDB_BAD_VALSIZE, operation: "mdb_cursor_get", path: path)
        }
        let cursor = try openCursor(database, path: path)
        var key = unsafe MDB_val()
        var value = unsafe MDB_val()
        var status = unsafe cursor.seek(end, &key, &value)
        // Where no key is as great as the end, the entry before it is the last of all.
        let step = status == MDB_NOTFOUND ? MDB_LAST : MDB_PREV
        if status == 0 || status == MDB_NOTFOUND {
            status = unsafe mdb_cursor_get(cursor.pointer, &key, &value, step)
        }
        while status == 0 {
            // SAFETY: both stay at least until the cursor moves, which is after the body.
            let keyBytes = unsafe lmdbBytes(key)
            guard keyBytes.begins(with: prefix) else { return }
            guard case .next = try body(keyBytes, unsafe lmdbBytes(value)) else { return }
            status = unsafe mdb_cursor_get(cursor.pointer, &key, &value, MDB_PREV)
        }
        guard status == MDB_NOTFOUND else {
            throw StoreError(code: status, operation: "mdb_cursor_get", path: path)
        }
    }

    private func openCursor(_ database: Database, path: String) throws(StoreError) -> Cursor {
        guard database.environmentID == environmentID else {
            throw StoreError(code: EINVAL, operation: "mdb_cursor_open", path: path)
        }
        var opened: OpaquePointer?
        // SAFETY: the transaction is borrowed for the caller's iteration and outlives the cursor.
        let result = unsafe mdb_cursor_open(pointer, database.handle, &opened)
        guard result == 0, let opened = unsafe opened else {
            throw StoreError(code: result, operation: "mdb_cursor_open", path: path)
        }
        return unsafe Cursor(owning: opened)
    }

    func statistics(_ database: Database, path: String) throws(StoreError) -> DatabaseStatistics {
        guard database.environmentID == environmentID else {
            throw StoreError(code: EINVAL, operation: "mdb_stat", path: path)
        }
        var found = MDB_stat()
        // SAFETY: the structure is filled when the result is 0.
        let result = unsafe mdb_stat(pointer, database.handle, &found)
        guard result == 0 else { throw StoreError(code: result, operation: "mdb_stat", path: path) }
        return DatabaseStatistics(
            entries: found.ms_entries, depth: Int(found.ms_depth), branchPages: found.ms_branch_pages,
            leafPages: found.ms_leaf_pages, overflowPages: found.ms_overflow_pages,
            pageBytes: Int(found.ms_psize))
    }
}

extension Cursor {
    /// Moves to the first key that is not before `prefix`.
    fileprivate func seek(
        _ prefix: Span<UInt8>, _ key: inout MDB_val, _ value: inout MDB_val
    ) -> Int32 {
        // SAFETY: the cursor is open and its transaction lives.
        guard prefix.count > 0 else { return unsafe mdb_cursor_get(pointer, &key, &value, MDB_FIRST) }
        // SAFETY: the prefix is read during the call; afterwards the key points into the map.
        return unsafe prefix.withUnsafeBufferPointer { bytes in
            unsafe key = MDB_val(
                mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
            return unsafe mdb_cursor_get(pointer, &key, &value, MDB_SET_RANGE)
        }
    }
}

extension Span where Element == UInt8 {
    fileprivate func begins(with prefix: Span<UInt8>) -> Bool {
        guard count >= prefix.count else { return false }
        for index in prefix.indices where self[index] != prefix[index] { return false }
        return true
    }
}
