internal import Octets
public import Signatures

/// What the store knows of one complete policy version.
public struct VersionInfo: Sendable, Equatable {
    public let version: Digest
    /// Of the compiled tables.
    public let layout: UInt16
    /// Unix seconds.
    public let createdAt: Int64
    public let hostCount: Int
    public let routeCount: Int
    public let issuerCount: Int
    public let scopeCount: Int
    /// With those without HTTP.
    public let serviceCount: Int
    public let sourceBytes: Int
    /// Of all tables together.
    public let tableBytes: Int
    /// Who stored it first, and why; empty for a version that an older build stored.
    public let origin: VersionOrigin

    /// Tables, the catalogue included.
    let tableCount: Int
    /// Over all tables in the order of their keys.
    let integrity: UInt64

    /// Whether this build can decide on it.
    public var isCurrentLayout: Bool { layout == TableLayout.version }

    /// `layout u16 · 0 u16 · hosts u32 · created i64 · routes u64 · source bytes u64 · table bytes u64
    /// · tables u32 · issuers u32 · scopes u32 · services u32 · integrity u64`, 64 bytes, and behind them the origin,
    /// which builds before it did not write.
    static let bytesCount = 64

    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian16: layout)
        bytes.append(littleEndian16: 0)
        bytes.append(littleEndian32: UInt32(clamping: hostCount))
        bytes.append(littleEndian64: UInt64(bitPattern: createdAt))
        for value in [routeCount, sourceBytes, tableBytes] {
            bytes.append(littleEndian64: UInt64(clamping: value))
        }
        for value in [tableCount, issuerCount, scopeCount, serviceCount] {
            bytes.append(littleEndian32: UInt32(clamping: value))
        }
        bytes.append(littleEndian64: integrity)
        return bytes + origin.encoded
    }

    init(
        version: Digest, createdAt: Int64, compiler: PolicyCompiler, sourceBytes: Int, seal: TableSeal,
        origin: VersionOrigin
    ) {
        self.version = version
        self.origin = origin
        layout = TableLayout.version
        self.createdAt = createdAt
        hostCount = compiler.hosts.count
        routeCount = compiler.model.services.reduce(0) { $0 + $1.routes.count }
        issuerCount = compiler.model.issuers.count
        scopeCount = compiler.model.scopes.count
        serviceCount = compiler.model.services.count + compiler.model.portServices.count
        self.sourceBytes = sourceBytes
        tableBytes = seal.tableBytes
        tableCount = seal.tableCount
        integrity = seal.integrity
    }

    /// - Returns: nil when the record is damaged.
    init?(version: Digest, _ bytes: Span<UInt8>) {
        guard bytes.count >= VersionInfo.bytesCount,
            let origin = VersionOrigin(bytes.extracting(VersionInfo.bytesCount...)),
            let layout = bytes.littleEndian16(at: 0),
            let hosts = bytes.littleEndian32(at: 4), let created = bytes.littleEndian64(at: 8),
            let routes = bytes.littleEndian64(at: 16), let source = bytes.littleEndian64(at: 24),
            let tableBytes = bytes.littleEndian64(at: 32), let tables = bytes.littleEndian32(at: 40),
            let issuers = bytes.littleEndian32(at: 44), let scopes = bytes.littleEndian32(at: 48),
            let services = bytes.littleEndian32(at: 52), let integrity = bytes.littleEndian64(at: 56)
        else { return nil }
        self.version = version
        self.origin = origin
        self.layout = layout
        createdAt = Int64(bitPattern: created)
        hostCount = Int(hosts)
        routeCount = Int(clamping: routes)
        issuerCount = Int(issuers)
        scopeCount = Int(scopes)
        serviceCount = Int(services)
        sourceBytes = Int(clamping: source)
        self.tableBytes = Int(clamping: tableBytes)
        tableCount = Int(tables)
        self.integrity = integrity
    }
}

/// Count, size and hash of the tables of one version, taken in the order of their keys.
struct TableSeal: Equatable {
    var tableCount = 0
    var tableBytes = 0
    var integrity: UInt64 = 0

    mutating func add(key: Span<UInt8>, table: Span<UInt8>) {
        tableCount += 1
        tableBytes += table.count
        integrity = integrityHash(table, seed: integrityHash(key, seed: integrity))
    }
}
