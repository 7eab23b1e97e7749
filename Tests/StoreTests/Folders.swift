import Foundation
import Store

/// A folder for one test, removed when the test lets it go.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        let name = "scopecheck-store-\(UUID().uuidString)"
        path = FileManager.default.temporaryDirectory.appendingPathComponent(name).path
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func child(_ name: String) -> String { path + "/" + name }

    func mode(_ name: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: child(name))
        return (attributes[.posixPermissions] as? NSNumber)?.intValue ?? -1
    }
}

func makeEnvironment(
    _ path: String, mapBytes: Int = 16 << 20, maxReaders: Int = 16, maxDatabases: Int = 8,
    readOnly: Bool = false
) throws(StoreError) -> Environment {
    try Environment(
        path: path, mapBytes: mapBytes, maxReaders: maxReaders, maxDatabases: maxDatabases, readOnly: readOnly
    )
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

func copied(_ span: Span<UInt8>?) -> [UInt8]? {
    guard let span else { return nil }
    return span.indices.map { span[$0] }
}

extension Environment {
    func put(_ database: Database, _ key: [UInt8], _ value: [UInt8]) throws(StoreError) {
        try write { transaction throws(StoreError) in
            try transaction.put(database, key.span, value.span)
        }
    }

    func value(_ database: Database, _ key: [UInt8]) throws(StoreError) -> [UInt8]? {
        let transaction = try beginRead()
        return copied(transaction.get(database, key.span))
    }
}

/// The store error that `body` throws, nil when it throws none.
func storeError(_ body: () throws -> Void) -> StoreError? {
    do {
        try body()
        return nil
    } catch {
        return error as? StoreError
    }
}
