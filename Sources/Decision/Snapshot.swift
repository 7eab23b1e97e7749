public import Signatures
internal import Synchronization
public import Tokens

/// What all workers decide on at one moment: a version of the policy, the keys of its issuers, what was revoked.
/// Immutable; replaced as a whole.
public final class DecisionSnapshot: Sendable {
    /// Grows with every activation.
    public let activation: UInt64
    /// Content address of the policy version.
    public let version: Digest
    /// `number.hash`, as answers carry it.
    public let label: [UInt8]
    /// In the order of the policy's own issuers.
    public let issuers: IssuerSnapshot
    public let revocations: RevocationSet
    public let statusLists: StatusListTable
    /// Signs transaction tokens; nil where none are configured.
    public let transactions: TransactionSigner?

    public init(
        activation: UInt64, version: Digest, issuers: IssuerSnapshot, revocations: RevocationSet = .empty,
        statusLists: StatusListTable = .empty, transactions: TransactionSigner? = nil
    ) {
        self.activation = activation
        self.version = version
        self.issuers = issuers
        self.revocations = revocations
        self.statusLists = statusLists
        self.transactions = transactions
        self.label = Array("\(activation).\(version.description.prefix(16))".utf8)
    }
}

/// Where the newest snapshot is found. Readers look at one number and take the lock only when it has changed.
public final class SnapshotBoard: Sendable {
    private let epoch = Atomic<UInt64>(0)
    private let current = Mutex<DecisionSnapshot?>(nil)

    public init() {}

    public func publish(_ snapshot: DecisionSnapshot?) {
        current.withLock { $0 = snapshot }
        // After the store: whoever sees the new epoch finds at least this snapshot.
        epoch.add(1, ordering: .releasing)
    }

    public var snapshot: DecisionSnapshot? { current.withLock { $0 } }

    /// - Parameter seen: the epoch that `held` belongs to; both are brought up to date together.
    @inline(__always)
    func refresh(_ held: inout DecisionSnapshot?, seen: inout UInt64) {
        let now = epoch.load(ordering: .acquiring)
        if now != seen {
            held = current.withLock { $0 }
            seen = now
        }
    }
}
