public import Decision
internal import Kernel
internal import Octets
public import PolicyTables
public import Signatures
internal import Store
public import Tokens

/// A policy compiled into a store of its own that goes with this object, for commands that decide without a
/// daemon. They decide on the compiled tables, as the daemon does.
public final class PolicyTrial {
    public let model: PolicyModel
    public let version: Digest
    /// Removed with this object; nil when the store is somebody else's.
    private let folder: TemporaryFolder?
    private let store: PolicyStore
    private let board = SnapshotBoard()

    /// - Parameters:
    ///   - source: the bytes that `model` was read from.
    ///   - storeFolder: the store to add the version to; nil makes one that goes with this object.
    public init(model: PolicyModel, source: [UInt8], now: Int64, storeFolder: String? = nil) throws {
        self.model = model
        folder = storeFolder == nil ? try TemporaryFolder(prefix: "scopecheck-") : nil
        let path = storeFolder ?? folder?.path ?? ""
        let environment = try Environment(path: path, mapBytes: PolicyTrial.mapBytes, maxReaders: 256)
        store = try PolicyStore(environment)
        version = try store.add(model, source: source.span, now: now)
    }

    /// Address space, not memory: the daemon's stores are opened with the same.
    public static let mapBytes = 16 << 30

    /// Sets the keys of the policy's issuers, in the policy's order; nil for one without keys.
    public func setKeys(_ keys: [KeySet?]) throws {
        let settings = try store.withCatalogue(version) { $0.issuerSettings() } ?? []
        var issuers: [IssuerKeys] = []
        for (number, issuer) in settings.enumerated() {
            issuers.append(IssuerKeys(settings: issuer, keys: number < keys.count ? keys[number] : nil))
        }
        let snapshot = IssuerSnapshot(issuers: issuers, generation: 1)
        board.publish(DecisionSnapshot(activation: 1, version: version, issuers: snapshot))
    }

    /// A decider that collects details.
    public func makeDecider() throws -> Decider {
        let decider = Decider(
            board: board, reader: try store.makeReader(), tokenCacheEntriesMax: 4_096,
            auditPrefix: Array("0000000000000000".utf8),
            proofs: ProofRecords(entriesMax: 262_144, startedAt: .min))
        decider.collectsDetails = true
        return decider
    }
}
