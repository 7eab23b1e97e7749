internal import Octets
public import Signatures
internal import Store
internal import Synchronization

extension PolicyStore {
    private static let activeKey = Array("active".utf8)
    private static let logMark: UInt8 = 0x6E

    /// The pointer: which version decides, and under which number.
    ///
    /// It may name a version that this build cannot read, or one whose tables were lost while they were made
    /// again; `verify` and `remake` tell and mend.
    /// - Returns: nil before the first activation.
    public func active() throws(PolicyStoreError) -> Activation? {
        let found = try read(state, PolicyStore.activeKey) { Activation($0) }
        switch found {
        case .none: return nil
        case .some(.some(let activation)): return activation
        case .some(.none): throw .store(unreadable)
        }
    }

    /// Verifies a version and makes it the active one, durably, under the next number. Rolling back is
    /// activating an older version.
    /// - Parameter now: Unix seconds.
    /// - Returns: the activation; the one in force when the version is active already.
    /// - Throws: what `verify` throws; the active version stays.
    public func activate(_ version: Digest, now: Int64) throws(PolicyStoreError) -> Activation {
        try verify(version)
        let made: Activation? = try stored { () throws(StoreError) in
            try environment.write { transaction throws(StoreError) in
                var number: UInt64 = 1
                if let bytes = transaction.get(state, PolicyStore.activeKey.span) {
                    // A pointer that cannot be read must not start the numbers again.
                    guard let held = Activation(bytes), held.number < UInt64.max else { throw unreadable }
                    if held.version == version { return held }
                    number = held.number + 1
                } else if transaction.presence(state, PolicyStore.activeKey.span) != .absent {
                    throw unreadable
                }
                // It was there when it was verified; it could have been removed since.
                guard transaction.get(versionRecords, version.bytes.span) != nil else { return nil }
                let activation = Activation(number: number, version: version, activatedAt: now)
                try transaction.put(state, PolicyStore.activeKey.span, activation.encoded.span)
                var key = [PolicyStore.logMark]
                key.append(bigEndian32: UInt32(truncatingIfNeeded: number >> 32))
                key.append(bigEndian32: UInt32(truncatingIfNeeded: number))
                try transaction.put(state, key.span, activation.encoded.span)
                return activation
            }
        }
        guard let made else { throw .unknownVersion(version) }
        return made
    }

    /// All activations, the oldest first.
    public func log() throws(PolicyStoreError) -> [Activation] {
        var result: [Activation] = []
        try forEach(state, prefix: [PolicyStore.logMark]) { _, value in
            if let activation = Activation(value) { result.append(activation) }
            return .next
        }
        return result
    }

    /// Removes all versions but the active one and the `keep` that were activated or stored last, and
    /// whatever is left of versions that were never finished.
    /// - Returns: the versions removed.
    @discardableResult
    public func prune(keep: Int) throws(PolicyStoreError) -> [Digest] {
        try writing.withLock { _ throws(PolicyStoreError) in
            let active = try active()?.version
            var lastUse: [Digest: Int64] = [:]
            for entry in try log() {
                lastUse[entry.version] = max(lastUse[entry.version] ?? 0, entry.activatedAt)
            }
            let candidates = try versions().filter { $0.version != active }.sorted {
                let one = max($0.createdAt, lastUse[$0.version] ?? 0)
                let other = max($1.createdAt, lastUse[$1.version] ?? 0)
                return one != other ? one > other : $0.version.description < $1.version.description
            }
            var removed: [Digest] = []
            for candidate in candidates.dropFirst(max(keep, 0)) where try removeRecord(candidate.version) {
                removed.append(candidate.version)
            }
            try removeUnfinished()
            return removed
        }
    }

    /// Makes a version invisible, unless it has become the active one meanwhile.
    func removeRecord(_ version: Digest) throws(PolicyStoreError) -> Bool {
        try stored { () throws(StoreError) in
            try environment.write { transaction throws(StoreError) in
                var active: Activation?
                if let bytes = transaction.get(state, PolicyStore.activeKey.span) {
                    active = Activation(bytes)
                    if active == nil { throw unreadable }
                }
                guard active?.version != version else { return false }
                return try transaction.delete(versionRecords, version.bytes.span)
            }
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
        for version in lost { try put(sources, version, nil) }
        let keptPrefixes = Set(kept.map { Array($0.prefix(TableKey.versionBytes)) })
        var lostPrefixes: Set<[UInt8]> = []
        try forEach(tables) { key, _ in
            let prefix = [UInt8](copying: key.extracting(0..<min(key.count, TableKey.versionBytes)))
            if !keptPrefixes.contains(prefix) { lostPrefixes.insert(prefix) }
            return .next
        }
        for prefix in lostPrefixes { try removeTables(prefix) }
    }
}
