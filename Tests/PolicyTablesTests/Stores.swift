import Glibc
import Octets
import PolicyTables
import Signatures
import Store

/// A store in a folder of its own, removed with it.
final class TemporaryStore {
    let path: String
    private(set) var environment: Environment
    private(set) var store: PolicyStore

    init(mapBytes: Int = 64 << 20) throws {
        var name = Array("/tmp/scopecheck-tables-XXXXXX".utf8CString)
        // SAFETY: mkdtemp changes the last six characters of the name in place.
        let made = unsafe name.withUnsafeMutableBufferPointer { buffer -> String? in
            guard let start = buffer.baseAddress, unsafe mkdtemp(start) != nil else { return nil }
            return unsafe String(cString: start)
        }
        guard let made else { throw StoreError(code: EACCES, operation: "mkdtemp", path: "/tmp") }
        path = made
        environment = try Environment(path: made + "/store", mapBytes: mapBytes, maxReaders: 16)
        store = try PolicyStore(environment)
    }

    deinit {
        // SAFETY: the paths are read during the calls only.
        for name in ["/store/data.mdb", "/store/lock.mdb"] { unsafe unlink(path + name) }
        unsafe rmdir(path + "/store")
        unsafe rmdir(path)
    }

    func add(_ model: PolicyModel, _ source: String, now: Int64 = 1_000) throws -> Digest {
        try store.add(model, source: Array(source.utf8).span, now: now)
    }

    func remake(_ version: Digest, now: Int64 = 2_000, _ model: PolicyModel?) throws {
        try store.remake(version, now: now) { _ in model }
    }

    /// Every key of a database, for looking at what is there, and for damaging it.
    func keys(_ database: String) throws -> [[UInt8]] {
        let handle = try environment.database(database)
        let environment = environment
        let transaction = try environment.beginRead()
        var result: [[UInt8]] = []
        try transaction.forEach(handle) { key, _ in
            result.append([UInt8](copying: key))
            return .next
        }
        return result
    }

    func value(_ database: String, _ key: [UInt8]) throws -> [UInt8]? {
        let handle = try environment.database(database)
        let environment = environment
        let transaction = try environment.beginRead()
        guard let value = transaction.get(handle, key.span) else { return nil }
        return [UInt8](copying: value)
    }

    func set(_ database: String, _ key: [UInt8], _ value: [UInt8]?) throws {
        let handle = try environment.database(database)
        try environment.write { transaction throws(StoreError) in
            if let value {
                try transaction.put(handle, key.span, value.span)
            } else {
                try transaction.delete(handle, key.span)
            }
        }
    }
}
