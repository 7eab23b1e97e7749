internal import Octets
public import Signatures
internal import Store
internal import Synchronization

extension PolicyStore {
    /// Versions that never decided and nobody has named; whoever may store them must not push others out.
    static let neverActiveMax = 4
    /// Versions that services published, beside those that people made decide: who publishes must not push those out.
    static let publishedMax = 4

    /// Removes all versions but the active one and the one before it, the targets of rollbacks that were signed beforehand,
    /// the `keep` that people made decide last, the `publishedMax` that decided last of all, `neverActiveMax` that never did,
    /// and whatever is left of versions that were never finished. Then shortens the log of activations (`ActivationLogLimits`).
    /// - Parameter keeping: versions that stay whatever their age.
    /// - Returns: the versions removed.
    @discardableResult
    public func prune(keep: Int, keeping: Set<Digest> = []) throws(PolicyStoreError) -> [Digest] {
        try writing.withLock { _ throws(PolicyStoreError) in
            let active = try active()
            var named = keeping.union(try preparedRollbacks().map(\.target))
            for version in [active?.version, active?.previous, try? versionBefore()] {
                if let version { named.insert(version) }
            }
            let candidates = try versions().filter { !named.contains($0.version) }
            let stored = Set(candidates.map(\.version))
            let lastUse = try lastUses(of: stored)
            let chosen = try lastUses(of: stored) { $0.cause.kind != .publish }
            let recent = { (uses: [Digest: UInt64], count: Int) in
                Set(uses.sorted { $0.value > $1.value }.prefix(max(count, 0)).map(\.key))
            }
            let recentlyUsed = recent(chosen, keep).union(recent(lastUse, min(keep, PolicyStore.publishedMax)))
            let used = candidates.filter { lastUse[$0.version] != nil && !recentlyUsed.contains($0.version) }
            let unused = candidates.filter { lastUse[$0.version] == nil }.sorted {
                ($0.createdAt, $0.version.description) > ($1.createdAt, $1.version.description)
            }
            var removed: [Digest] = []
            for candidate in used + Array(unused.dropFirst(min(max(keep, 0), PolicyStore.neverActiveMax)))
            where try removeRecord(candidate.version) {
                removed.append(candidate.version)
            }
            try removeUnfinished()
            try shortenLog(ActivationLogLimits())
            return removed
        }
    }

    /// Makes a version invisible, unless it has become the active one meanwhile.
    func removeRecord(_ version: Digest) throws(PolicyStoreError) -> Bool {
        try durably("prune-record") { transaction throws(PolicyStoreError) in
            var active: Activation?
            if let bytes = try transaction.copy(state, StateKey.active) {
                active = Activation(bytes.span)
                if active == nil { throw .store(unreadable) }
            }
            guard active?.version != version else { return false }
            // One that was signed since it was chosen.
            guard try transaction.copy(state, StateKey.rollback(version)) == nil else { return false }
            let isThere = try transaction.copy(versionRecords, version.bytes) != nil
            if isThere { try transaction.set(versionRecords, version.bytes, nil) }
            return isThere
        }
    }

    /// Removes sources and tables that belong to no complete version. An active version that lost its record
    /// keeps its source, since it is made again from it.
    private func removeUnfinished() throws(PolicyStoreError) {
        var kept = Set(try versions().map(\.version.bytes))
        if let active = try active() { kept.insert(active.version.bytes) }
        var lost: [[UInt8]] = []
        try forEach(sources) { key, _ in
            let version = [UInt8](copying: key)
            if !kept.contains(version) { lost.append(version) }
            return .next
        }
        for version in lost {
            try durably("prune-source") { transaction throws(PolicyStoreError) in
                // Another process may have finished it meanwhile.
                guard try transaction.copy(versionRecords, version) == nil else { return }
                try transaction.set(sources, version, nil)
            }
        }
        let keptPrefixes = Set(kept.map { Array($0.prefix(TableKey.versionBytes)) })
        var lostPrefixes: Set<[UInt8]> = []
        try forEach(tables) { key, _ in
            let prefix = [UInt8](copying: key.extracting(0..<min(key.count, TableKey.versionBytes)))
            if !keptPrefixes.contains(prefix) { lostPrefixes.insert(prefix) }
            return .next
        }
        for prefix in lostPrefixes { try removeTables(prefix, "prune-tables", sparesComplete: true) }
    }
}
