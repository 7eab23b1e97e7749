internal import Decision
internal import Octets
internal import Signatures
internal import Store
internal import Synchronization

extension RevocationDesk {
    /// Revokes all of these or none.
    /// - Returns: one outcome for each, in their order.
    /// - Throws: `invalid`, `full`, `store`; nothing was changed then.
    func revoke(_ asked: [NewRevocation]) throws(RevocationError) -> [Outcome] {
        // Before the lock: what knows the policy has locks of its own.
        let now = clock()
        var planned: [Outcome] = []
        for one in asked {
            try one.check(now: now)
            planned.append(plan(one, now: now))
        }
        return try locked { count throws(RevocationError) in
            let (outcomes, replacesEnded) = try write(planned, now: now, &count)
            let changed = outcomes.filter { $0.state == .revoked || $0.state == .extended }.map(\.record.revocation)
            if !changed.isEmpty {
                // An ended one must not lend its bounds to the one that takes its place.
                let set = replacesEnded ? current.filtered(now: now) : current
                put(set.adding(changed))
            }
            for outcome in outcomes { logRevoked(outcome) }
            return outcomes
        }
    }

    private func plan(_ one: NewRevocation, now: Int64) -> Outcome {
        let life = one.kind == .token ? IssuerLifetime.unlimited : lifetime(one.issuer)
        let bounds = one.bounds(now: now, life)
        let revocation = Revocation(
            kind: one.kind, issuer: one.issuer, value: one.value, issuedAtMax: bounds.issuedAtMax, until: bounds.until)
        let record = RevocationRecord(revocation: revocation, revokedAt: now, who: one.who, reason: one.reason)
        var warning: String?
        switch life {
        case .unknownIssuer:
            warning =
                "the policy in force names no issuer `\(String(decoding: one.issuer, as: UTF8.self))`; check the "
                + "spelling, it is compared byte by byte"
        case .notConsulted where bounds.term == .forEver:
            warning = "no daemon was asked how long the issuer's tokens live"
        case .unlimited, .seconds, .notConsulted: break
        }
        return Outcome(
            state: bounds.until > now ? .revoked : .ended, record: record, term: bounds.term, warning: warning)
    }

    /// One durable write. Nothing is changed when it throws.
    /// - Returns: also whether one that had ended was replaced.
    private func write(
        _ planned: [Outcome], now: Int64, _ count: inout Int
    ) throws(RevocationError) -> (outcomes: [Outcome], replacesEnded: Bool) {
        guard planned.contains(where: { $0.state == .revoked }) else { return (planned, false) }
        let known = count
        let (outcomes, added, replacesEnded) = try environment.write { transaction throws(RevocationError) in
            var outcomes = planned
            var added = 0
            var replacesEnded = false
            for index in outcomes.indices where outcomes[index].state == .revoked {
                let key = outcomes[index].record.revocation.key.bytes
                if let held = try read(&transaction, key) {
                    if held.revocation.until <= now { replacesEnded = true }
                    outcomes[index].merge(held, now: now)
                } else {
                    added += 1
                    guard known + added <= entriesMax else { throw .full(limit: entriesMax) }
                }
                guard outcomes[index].state != .unchanged else { continue }
                let encoded = outcomes[index].record.encoded
                do throws(StoreError) {
                    try transaction.put(database, key.span, encoded.span)
                } catch {
                    throw .store(error)
                }
            }
            return (outcomes, added, replacesEnded)
        }
        count += added
        return (outcomes, replacesEnded)
    }

    func read(
        _ transaction: inout WriteTransaction, _ key: [UInt8]
    ) throws(RevocationError) -> RevocationRecord? {
        guard let bytes = transaction.get(database, key.span) else {
            // A failure of LMDB is not an absence.
            guard transaction.presence(database, key.span) == .absent else { throw unreadable }
            return nil
        }
        do throws(RevocationRecord.Damage) {
            return try RevocationRecord.read(bytes, key: key.span)
        } catch {
            throw RevocationDesk.damaged(key.span, error, folder)
        }
    }

    private var unreadable: RevocationError {
        .store(StoreError(code: StoreError.corrupted, operation: "mdb_get", path: folder))
    }

    /// Hands the set to the workers. Under the lock of `writing` only.
    func put(_ set: RevocationSet) {
        published.withLock { $0 = set }
        publish(set)
    }

    /// `Mutex.withLock` with a typed error.
    func locked<R: Sendable>(
        _ body: (inout Int) throws(RevocationError) -> R
    ) throws(RevocationError) -> R {
        let result = writing.withLock { count -> Result<R, RevocationError> in
            do throws(RevocationError) {
                return .success(try body(&count))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}

extension RevocationDesk.Outcome {
    /// Takes over what the record that is there already names.
    fileprivate mutating func merge(_ held: RevocationRecord, now: Int64) {
        // One that has ended names nothing any more; it is only not removed yet.
        guard held.revocation.until > now else { return }
        var merged = record
        merged.revocation.issuedAtMax = max(record.revocation.issuedAtMax, held.revocation.issuedAtMax)
        merged.revocation.until = max(record.revocation.until, held.revocation.until)
        if merged.revocation == held.revocation {
            state = .unchanged
            record = held
        } else {
            state = .extended
            record = merged
        }
    }
}
