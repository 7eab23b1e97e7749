internal import Decision
internal import Kernel
internal import Octets
internal import Signatures
internal import Store
internal import Synchronization

/// Takes revocations: on disk first, durably, then to the workers, then to the caller. When `revoke` has returned, the
/// next request in every worker is decided with it, and so is every one after a restart.
///
/// They lie in an LMDB environment of their own, database `revocations`: `Revocation.key` → `RevocationRecord`.
/// Of two for the same tokens one record is kept that names what either names; it never says less than was asked.
final class RevocationDesk: Sendable {
    /// What was done about one that was asked for.
    struct Outcome: Sendable, Equatable {
        enum State: String, Sendable {
            case revoked
            /// There was one already, and together they name more.
            case extended
            /// There was one already that names as much.
            case unchanged
            /// No token that is meant can be alive, so there is nothing to keep.
            case ended
        }
        var state: State
        /// As it is in force now.
        var record: RevocationRecord
        var term: RevocationTerm
        /// nil where all is as one would expect.
        var warning: String?
    }

    struct Page: Sendable {
        /// In the order of their keys.
        var records: [RevocationRecord]
        /// To go on after; nil at the end.
        var next: Digest?
        var total: Int
    }

    static let entriesMax = 1_000_000
    /// Of one durable write, so that a revocation never waits long for the removal of ended ones.
    static let purgeBatchMax = 1_024
    static let pageRecordsMax = 1_000
    static let purgeMilliseconds: Int32 = 60_000

    let folder: String
    let environment: Store.Environment
    let database: Database
    let entriesMax: Int
    let clock: @Sendable () -> Int64
    let lifetime: @Sendable (_ issuer: [UInt8]) -> IssuerLifetime
    let log: EventLog
    let publish: @Sendable (RevocationSet) -> Void
    /// Held from before the write until after the publishing, so that sets come in the order of the writes. Holds
    /// how many records there are.
    let writing: Mutex<Int>
    /// A leaf: nothing else is locked under it.
    let published: Mutex<RevocationSet>
    let purging = Mutex<RecurringTask?>(nil)

    /// Opens the folder, which is made (0700) when it is missing, reads every record, and publishes them.
    /// - Parameters:
    ///   - mapBytes: the most that the data may grow to. A million records with short names take 500 MB.
    ///   - clock: Unix seconds.
    ///   - lifetime: of an issuer's tokens under the policy in force.
    ///   - publish: called with every new set, in order, before the call that made it returns. It must not call back.
    /// - Throws: `damaged` for a record that cannot be read: a revocation that is lost would be an allow.
    init(
        folder: String, mapBytes: Int, entriesMax: Int = RevocationDesk.entriesMax,
        clock: @escaping @Sendable () -> Int64, lifetime: @escaping @Sendable (_ issuer: [UInt8]) -> IssuerLifetime,
        log: EventLog, publish: @escaping @Sendable (RevocationSet) -> Void
    ) throws(RevocationError) {
        self.folder = folder
        self.entriesMax = entriesMax
        self.clock = clock
        self.lifetime = lifetime
        self.log = log
        self.publish = publish
        (environment, database) = try RevocationDesk.open(folder, mapBytes)
        let found = try RevocationDesk.load(environment, database, folder, now: clock(), entriesMax)
        writing = Mutex(found.count)
        let set = found.alive.isEmpty ? RevocationSet.empty : RevocationSet.empty.adding(found.alive)
        published = Mutex(set)
        publish(set)
    }

    /// The set in force.
    var current: RevocationSet { published.withLock { $0 } }
    /// Records on disk.
    var count: Int { writing.withLock { $0 } }

    /// Removes ended ones every minute, on a thread of its own.
    func start() throws(SystemError) {
        let task = try RecurringTask(name: "revocations", everyMilliseconds: RevocationDesk.purgeMilliseconds) {
            [weak self] in self?.purgeOrLog()
        }
        try task.start()
        purging.withLock { $0 = task }
    }

    func stop() {
        let task = purging.withLock { task in
            let taken = task
            task = nil
            return taken
        }
        task?.stop()
    }
}

// MARK: Opening

extension RevocationDesk {
    static func open(_ folder: String, _ mapBytes: Int) throws(RevocationError) -> (Store.Environment, Database) {
        do throws(StoreError) {
            let environment = try Store.Environment(path: folder, mapBytes: mapBytes, maxReaders: 16, maxDatabases: 4)
            return (environment, try environment.database("revocations"))
        } catch {
            throw .store(error)
        }
    }

    private static func load(
        _ environment: Store.Environment, _ database: Database, _ folder: String, now: Int64, _ entriesMax: Int
    ) throws(RevocationError) -> (alive: [Revocation], count: Int) {
        var alive: [Revocation] = []
        var count = 0
        var refusal: RevocationError?
        do throws(StoreError) {
            let transaction = try environment.beginRead()
            try transaction.forEach(database) { key, value throws(StoreError) in
                do throws(RevocationRecord.Damage) {
                    let record = try RevocationRecord.read(value, key: key)
                    count += 1
                    if record.revocation.until > now { alive.append(record.revocation) }
                } catch {
                    refusal = damaged(key, error, folder)
                }
                if count > entriesMax { refusal = .full(limit: entriesMax) }
                return refusal == nil ? .next : .stop
            }
        } catch {
            throw .store(error)
        }
        if let refusal { throw refusal }
        return (alive, count)
    }

    static func damaged(
        _ key: Span<UInt8>, _ damage: RevocationRecord.Damage, _ folder: String
    ) -> RevocationError {
        .damaged(id: hexadecimal(key), problem: damage.problem, folder: folder)
    }

    /// Removes one record whatever is in it, from files that no daemon has open.
    /// - Returns: false when there is none under that key.
    static func discard(_ key: [UInt8], folder: String, mapBytes: Int) throws(RevocationError) -> Bool {
        let (environment, database) = try open(folder, mapBytes)
        return try environment.write { transaction throws(RevocationError) in
            do throws(StoreError) {
                return try transaction.delete(database, key.span)
            } catch {
                throw .store(error)
            }
        }
    }
}
