internal import Octets
public import Signatures
public import Store
internal import Synchronization

/// Policy versions with their sources and compiled tables, which of them is active, and the keys of issuers,
/// in one LMDB environment.
///
/// A version is the hash of its source. It becomes visible when its record is written, after all its tables;
/// an unfinished one does not exist. Activating moves one pointer in one durable write.
///
///     versions   version → VersionInfo                         a version without a record is incomplete
///     sources    version → source, as it was given
///     tables     first 16 bytes of version · "b" · issuer u16 big-endian · client identifier → client
///                first 16 bytes of version · "c" → catalogue
///                first 16 bytes of version · "h" · host → host table
///                first 16 bytes of version · "m" · host · path → metadata of a protected resource, JSON
///                first 16 bytes of version · "p" → port table, when there are ports without HTTP
///     state      "active" → Activation; "n" · number big-endian → Activation
///                "p" · number → statement and signatures that it was accepted under; "serial" → the highest of them
///                "r" · version → statement and signatures of a rollback to it, signed beforehand
///                "file" → version last read from the policy file; "held" → the one that is held back
///     keys       SHA-256 of issuer → StoredKeys
public final class PolicyStore: Sendable {
    /// Limits of one write while a version is stored, so that no other writer waits for long.
    static let batchTablesMax = 4_096
    static let batchBytesMax = 8 * 1_024 * 1_024

    let environment: Environment
    let versionRecords: Database
    let sources: Database
    let tables: Database
    let state: Database
    let keys: Database
    /// Held while versions are written or removed: those take several transactions.
    let writing = Mutex<Void>(())

    /// Whether no version becomes active without an `Approval`.
    public let requiresApproval: Bool

    /// - Parameters:
    ///   - environment: opened for writing at least once; it may hold other databases too.
    ///   - requiresApproval: true has `activate` refuse whatever comes without one.
    public init(_ environment: Environment, requiresApproval: Bool = false) throws(PolicyStoreError) {
        self.environment = environment
        self.requiresApproval = requiresApproval
        versionRecords = try stored { () throws(StoreError) in try environment.database("versions") }
        sources = try stored { () throws(StoreError) in try environment.database("sources") }
        tables = try stored { () throws(StoreError) in try environment.database("tables") }
        state = try stored { () throws(StoreError) in try environment.database("state") }
        keys = try stored { () throws(StoreError) in try environment.database("keys") }
    }

    /// The content address of a policy: SHA-256 of a label and the bytes of the source.
    public static func version(ofSource source: Span<UInt8>) -> Digest {
        var hasher = VersionHasher()
        hasher.update(source)
        return hasher.finish()
    }

    // MARK: Reading

    /// A complete version.
    /// - Returns: nil when there is none, or only a part of it.
    public func info(_ version: Digest) throws(PolicyStoreError) -> VersionInfo? {
        let found = try read(versionRecords, version.bytes) { VersionInfo(version: version, $0) }
        switch found {
        case .none: return nil
        case .some(.none): throw .corrupt(version, what: "its record cannot be read")
        case .some(.some(let info)): return info
        }
    }

    /// All complete versions, in the order of their hashes.
    public func versions() throws(PolicyStoreError) -> [VersionInfo] {
        var result: [VersionInfo] = []
        try forEach(versionRecords) { key, value in
            if let version = Digest(key), let info = VersionInfo(version: version, value) {
                result.append(info)
            }
            return .next
        }
        return result
    }

    /// A copy of the source of a version, byte for byte; nil when the store does not have it.
    public func source(_ version: Digest) throws(PolicyStoreError) -> [UInt8]? {
        try read(sources, version.bytes) { [UInt8](copying: $0) }
    }

    /// A part of the source of a version; empty from its end on, nil when the store does not have it.
    public func source(_ version: Digest, from start: Int, count: Int) throws(PolicyStoreError) -> [UInt8]? {
        try read(sources, version.bytes) { source in
            guard start >= 0, count >= 0, start < source.count else { return [] }
            return [UInt8](copying: source.extracting(start..<min(source.count, start + min(count, source.count))))
        }
    }

    /// The complete versions whose hash begins with these hexadecimal digits.
    public func versions(beginningWith digits: String) throws(PolicyStoreError) -> [VersionInfo] {
        try versions().filter { $0.version.description.hasPrefix(digits) }
    }

    /// The environment that a version was read for; nil for none, and for a version that is not there any more.
    public func environment(_ version: Digest) throws(PolicyStoreError) -> String? {
        try source(version, from: 0, count: PolicyBundle.headBytes).flatMap { PolicyBundle.environment(ofHead: $0) }
    }

    /// Lends the catalogue of a complete version, for commands and activation.
    /// - Throws: `unknownVersion`, `otherLayout`, `corrupt` for one that is not readable.
    public func withCatalogue<R>(
        _ version: Digest, _ body: (borrowing Catalogue) -> R
    ) throws(PolicyStoreError) -> R {
        _ = try currentInfo(version)
        let found = try read(tables, TableKey.catalogue(version)) { bytes -> R? in
            guard let catalogue = Catalogue(bytes) else { return nil }
            return body(catalogue)
        }
        guard case .some(.some(let result)) = found else {
            throw .corrupt(version, what: "its catalogue cannot be read")
        }
        return result
    }

    /// The metadata document of a protected resource (RFC 9728 §2) in a complete version.
    /// - Parameters:
    ///   - host: canonical.
    ///   - path: of the request, `/.well-known/oauth-protected-resource` and what follows, exactly.
    /// - Returns: JSON; nil when the version publishes none there.
    public func metadata(_ version: Digest, host: String, path: String) throws(PolicyStoreError) -> [UInt8]? {
        _ = try currentInfo(version)
        let key = TableKey.metadata(version, host: host, path: path)
        // What is longer has not been stored, and LMDB would take the question for a fault.
        guard key.count <= Environment.keyBytesMax, !host.isEmpty,
            path.utf8.starts(with: MetadataPlace.wellKnownPath.utf8)
        else { return nil }
        return try read(tables, key) { [UInt8](copying: $0) }
    }

    /// Lends every host's table of a complete version, in byte order of the hosts, until `body` returns
    /// `stop`.
    public func forEachHost(
        _ version: Digest, _ body: (_ host: String, _ table: borrowing HostTable) -> Iteration
    ) throws(PolicyStoreError) {
        _ = try currentInfo(version)
        let prefix = TableKey.hosts(version)
        try forEach(tables, prefix: prefix) { key, value in
            body(String(lossy: key.extracting(prefix.count...)), HostTable(value))
        }
    }

    /// A reader for one worker.
    public func makeReader() throws(PolicyStoreError) -> PolicyReader {
        do throws(StoreError) {
            return PolicyReader(try environment.makeReader(), tables: tables)
        } catch {
            throw .store(error)
        }
    }

    func currentInfo(_ version: Digest) throws(PolicyStoreError) -> VersionInfo {
        guard let info = try info(version) else { throw .unknownVersion(version) }
        guard info.isCurrentLayout else { throw .otherLayout(version, found: info.layout) }
        return info
    }

    /// Lends one value; nil when there is none.
    func read<R>(
        _ database: Database, _ key: [UInt8], _ body: (Span<UInt8>) -> R
    ) throws(PolicyStoreError) -> R? {
        let environment = environment
        return try stored { () throws(StoreError) in
            let transaction = try environment.beginRead()
            if let value = transaction.get(database, key.span) { return body(value) }
            // A failure of LMDB is not an absence.
            guard transaction.presence(database, key.span) == .absent else { throw unreadable }
            return nil
        }
    }

    var unreadable: StoreError {
        StoreError(code: StoreError.corrupted, operation: "mdb_get", path: environment.path)
    }

    func forEach(
        _ database: Database, prefix: [UInt8] = [],
        _ body: (_ key: Span<UInt8>, _ value: Span<UInt8>) throws(StoreError) -> Iteration
    ) throws(PolicyStoreError) {
        let environment = environment
        try stored { () throws(StoreError) in
            let transaction = try environment.beginRead()
            try transaction.forEach(database, prefix: prefix.span, body)
        }
    }

    /// Entries whose keys begin with `prefix` and are smaller than `end`, from the greatest key down.
    func forEachDescending(
        _ database: Database, before end: [UInt8], prefix: [UInt8],
        _ body: (_ key: Span<UInt8>, _ value: Span<UInt8>) throws(StoreError) -> Iteration
    ) throws(PolicyStoreError) {
        let environment = environment
        try stored { () throws(StoreError) in
            let transaction = try environment.beginRead()
            try transaction.forEachDescending(database, before: end.span, prefix: prefix.span, body)
        }
    }
}

/// The version of a source that comes in pieces.
public struct VersionHasher: ~Copyable {
    private var hasher = SHA256Hasher()

    public init() { hasher.update(Array("scopecheck policy source 1\n".utf8).span) }

    public mutating func update(_ source: Span<UInt8>) { hasher.update(source) }

    public mutating func finish() -> Digest { hasher.finish() }
}

/// Keys of the database `tables`.
enum TableKey {
    /// Bytes of the version in each key; enough that no two versions meet.
    static let versionBytes = 16
    static let catalogueMark: UInt8 = 0x63
    static let hostMark: UInt8 = 0x68
    static let metadataMark: UInt8 = 0x6D
    static let portMark: UInt8 = 0x70

    static func version(_ version: Digest) -> [UInt8] { Array(version.bytes.prefix(versionBytes)) }
    static func catalogue(_ version: Digest) -> [UInt8] { self.version(version) + [catalogueMark] }
    static func ports(_ version: Digest) -> [UInt8] { self.version(version) + [portMark] }
    static func hosts(_ version: Digest) -> [UInt8] { self.version(version) + [hostMark] }
    static func host(_ version: Digest, _ host: String) -> [UInt8] { hosts(version) + Array(host.utf8) }
    /// A host has no `/` and a path starts with one, so that no two pairs meet.
    static func metadata(_ version: Digest, host: String, path: String) -> [UInt8] {
        self.version(version) + [metadataMark] + Array(host.utf8) + Array(path.utf8)
    }
}
