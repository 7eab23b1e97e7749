internal import Octets
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
    /// Of each of the issuers, by its index.
    let issuerFacts: [IssuerFacts]
    let issuerNames: [UInt8]
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
        var names: [UInt8] = []
        issuerFacts = issuers.issuers.map { issuer in
            let start = names.count
            names += issuer.settings.issuer
            return IssuerFacts(
                status: issuer.status, leewaySeconds: issuer.settings.leewaySeconds,
                name: ByteRange(start: start, count: names.count - start))
        }
        issuerNames = names
        self.label = Array("\(activation).\(version.description.prefix(16))".utf8)
    }
}

/// What every decision on a token asks of its issuer, as numbers alone: reading them counts no reference, and counts of
/// references are what workers would have to take turns at.
struct IssuerFacts {
    let status: IssuerKeys.Status
    let leewaySeconds: Int64
    /// Its identifier, a place in `DecisionSnapshot.issuerNames`.
    let name: ByteRange
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
    /// - Returns: whether there was a newer one.
    @inline(__always)
    func refresh(_ held: inout DecisionSnapshot?, seen: inout UInt64) -> Bool {
        let now = epoch.load(ordering: .acquiring)
        guard now != seen else { return false }
        held = current.withLock { $0 }
        seen = now
        return true
    }
}
