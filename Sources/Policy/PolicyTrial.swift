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
    /// Gone with this object, so that nobody can take what it signs for the daemon's; nil where nothing is signed.
    private let signer: TransactionSigner?

    /// - Parameters:
    ///   - source: the bytes that `model` was read from.
    ///   - storeFolder: the store to add the version to; nil makes one that goes with this object.
    ///   - mapBytes: the store's map size; a store that a daemon has open, that daemon's.
    ///   - origin: of the version in that store.
    public init(
        model: PolicyModel, source: [UInt8], now: Int64, storeFolder: String? = nil,
        mapBytes: Int = PolicyTrial.mapBytes, origin: VersionOrigin = VersionOrigin()
    ) throws {
        self.model = model
        signer = try PolicyTrial.makeSigner(model)
        folder = storeFolder == nil ? try TemporaryFolder(prefix: "scopecheck-") : nil
        let path = storeFolder ?? folder?.path ?? ""
        let environment = try Environment(path: path, mapBytes: mapBytes, maxReaders: 256)
        store = try PolicyStore(environment)
        version = try store.add(model, source: source.span, now: now, origin: origin)
    }

    private static func makeSigner(_ model: PolicyModel) throws -> TransactionSigner? {
        guard model.services.contains(where: \.hasTransactionToken) else { return nil }
        return TransactionSigner(
            key: try PrivateKey.generate(.es256), algorithm: .es256, keyID: "policy-trial",
            issuer: "https://policy-trial.invalid", lifetimeSeconds: 60)
    }

    /// Address space, not memory: the daemon's stores are opened with the same.
    public static let mapBytes = 16 << 30

    /// Sets the keys of the policy's issuers, in the policy's order; nil for one without keys.
    /// - Parameter asksIssuers: false decides as if no issuer were to be asked about its tokens, for tests whose tokens
    ///   none of them has made.
    public func setKeys(_ keys: [KeySet?], asksIssuers: Bool = true) throws {
        var settings = try store.withCatalogue(version) { $0.issuerSettings() } ?? []
        if !asksIssuers {
            for index in settings.indices {
                settings[index].introspection = .never
                settings[index].statusListPrefixes = []
            }
        }
        var issuers: [IssuerKeys] = []
        for (number, issuer) in settings.enumerated() {
            issuers.append(IssuerKeys(settings: issuer, keys: number < keys.count ? keys[number] : nil))
        }
        let snapshot = IssuerSnapshot(issuers: issuers, generation: 1)
        board.publish(
            DecisionSnapshot(activation: 1, version: version, issuers: snapshot, transactions: signer))
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
