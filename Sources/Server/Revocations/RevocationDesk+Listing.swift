internal import Decision
internal import Octets
internal import Signatures
internal import Store
internal import Synchronization

// MARK: Taking back

extension RevocationDesk {
    /// Takes one back. Tokens that it named are good again, as far as nothing else is against them.
    /// - Returns: what it was; nil when there is none under that key.
    func remove(_ key: Digest, who: UInt32?) throws(RevocationError) -> RevocationRecord? {
        let now = clock()
        return try locked { count throws(RevocationError) in
            let removed = try environment.write { transaction throws(RevocationError) -> RevocationRecord? in
                guard let held = try read(&transaction, key.bytes) else { return nil }
                do throws(StoreError) {
                    try transaction.delete(database, key.bytes.span)
                } catch {
                    throw .store(error)
                }
                return held
            }
            guard let removed else { return nil }
            count -= 1
            put(current.filtered(now: now) { $0 != key })
            log.write(
                .warning, "revocation_removed",
                "a revocation was taken back: tokens that it named may be used again until they expire",
                fields(removed) + [("by", who.map { "\($0)" } ?? "unknown")])
            return removed
        }
    }

    func purgeOrLog() {
        do throws(RevocationError) {
            _ = try purge()
        } catch {
            log.write(.error, "revocations_not_removed", "ended revocations could not be removed: \(error)")
        }
    }

    /// Removes those that have ended.
    /// - Returns: how many.
    @discardableResult
    func purge() throws(RevocationError) -> Int {
        let now = clock()
        var ended: [[UInt8]] = []
        var removed = 0
        for first in UInt8.min...UInt8.max {
            try forEach(first: first) { key, record in
                if record.revocation.until <= now { ended.append(key) }
                return true
            }
            // Keys are digests, so that a part of the whole never has many more than its share.
            while ended.count >= RevocationDesk.purgeBatchMax || first == UInt8.max && !ended.isEmpty {
                let batch = Array(ended.suffix(RevocationDesk.purgeBatchMax))
                ended.removeLast(batch.count)
                removed += try removeEnded(batch, now: now)
            }
        }
        guard removed > 0 else { return 0 }
        writing.withLock { _ in put(current.filtered(now: now)) }
        log.write(.info, "revocations_ended", "\(removed) revocations have ended and were removed", [])
        return removed
    }

    private func removeEnded(_ keys: [[UInt8]], now: Int64) throws(RevocationError) -> Int {
        try locked { count throws(RevocationError) in
            let removed = try environment.write { transaction throws(RevocationError) -> Int in
                var removed = 0
                for key in keys {
                    // It may have been taken back, or made anew, since it was found.
                    guard let held = try read(&transaction, key), held.revocation.until <= now else { continue }
                    do throws(StoreError) {
                        try transaction.delete(database, key.span)
                    } catch {
                        throw .store(error)
                    }
                    removed += 1
                }
                return removed
            }
            count -= removed
            return removed
        }
    }
}

// MARK: Listing

extension RevocationDesk {
    /// The records after one, of one issuer or of all, from one moment each page.
    /// - Parameter limit: 1 to `pageRecordsMax`.
    func list(after: Digest? = nil, limit: Int, issuer: [UInt8]? = nil) throws(RevocationError) -> Page {
        let wanted = min(max(1, limit), RevocationDesk.pageRecordsMax)
        let cursor = after?.bytes ?? []
        var records: [RevocationRecord] = []
        var isMore = false
        for first in (cursor.first ?? 0)...UInt8.max where !isMore {
            try forEach(first: first) { key, record in
                guard cursor.lexicographicallyPrecedes(key) else { return true }
                guard issuer == nil || record.revocation.issuer == issuer else { return true }
                guard records.count < wanted else {
                    isMore = true
                    return false
                }
                records.append(record)
                return true
            }
        }
        return Page(records: records, next: isMore ? records.last?.revocation.key : nil, total: count)
    }

    /// Every record whose key begins with `first`, in order, until `body` returns false.
    private func forEach(
        first: UInt8, _ body: ([UInt8], RevocationRecord) -> Bool
    ) throws(RevocationError) {
        let environment = environment
        let prefix = [first]
        var refusal: RevocationError?
        do throws(StoreError) {
            let transaction = try environment.beginRead()
            try transaction.forEach(database, prefix: prefix.span) { key, value throws(StoreError) in
                do throws(RevocationRecord.Damage) {
                    let record = try RevocationRecord.read(value, key: key)
                    return body([UInt8](copying: key), record) ? .next : .stop
                } catch {
                    refusal = RevocationDesk.damaged(key, error, folder)
                    return .stop
                }
            }
        } catch {
            throw .store(error)
        }
        if let refusal { throw refusal }
    }
}
