internal import Octets
public import Signatures
internal import Store

/// How much of the log of activations stays.
public struct ActivationLogLimits: Sendable {
    /// The newest entries that stay whatever they are: more than a year of one an hour, in about 2 MB where notes are short.
    public static let entriesKept = 10_000

    var kept = ActivationLogLimits.entriesKept
    /// How many more there may be, so that the log is read through once in so many activations and not at each.
    var slack = 1_000
    /// Entries removed by one write, so that no other writer waits for long.
    var batch = 1_000

    init() {}
}

/// The log of activations: one entry for each, under its number. Entries of long ago are removed, so the first number need
/// not be 1 and numbers may have gaps.
extension PolicyStore {
    /// All activations that are still there, the oldest first.
    public func log() throws(PolicyStoreError) -> [Activation] {
        var result: [Activation] = []
        try forEach(state, prefix: [StateKey.logMark]) { key, value in
            if let activation = Activation(value), [UInt8](copying: key) == StateKey.log(activation.number) {
                result.append(activation)
            }
            return .next
        }
        return result
    }

    /// One activation; nil when there is none of that number any more, or it cannot be read.
    public func activation(_ number: UInt64) throws(PolicyStoreError) -> Activation? {
        guard case .some(.some(let found)) = try read(state, StateKey.log(number), { Activation($0) }) else {
            return nil
        }
        return found.number == number ? found : nil
    }

    /// The last activations, the newest first. Reads no more of the log than it returns.
    /// - Parameters:
    ///   - before: only those with a smaller number.
    ///   - limit: how many at most.
    public func log(before: UInt64? = nil, limit: Int) throws(PolicyStoreError) -> [Activation] {
        var result: [Activation] = []
        guard limit > 0 else { return result }
        try forEachActivation(before: before) { activation in
            result.append(activation)
            return result.count < limit ? .next : .stop
        }
        return result
    }

    /// The last activation of a version; nil when it never was active.
    public func lastActivation(of version: Digest) throws(PolicyStoreError) -> Activation? {
        try newest { $0.version == version }
    }

    /// The number under which each of these versions decided last, without those that never did. Reads the log from its
    /// end, as far as it takes to find them all.
    /// - Parameter counts: which activations are looked at.
    public func lastUses(
        of versions: Set<Digest>, where counts: (Activation) -> Bool = { _ in true }
    ) throws(PolicyStoreError) -> [Digest: UInt64] {
        var result: [Digest: UInt64] = [:]
        guard !versions.isEmpty else { return result }
        try forEachActivation { activation in
            if versions.contains(activation.version), result[activation.version] == nil, counts(activation) {
                result[activation.version] = activation.number
            }
            return result.count < versions.count ? .next : .stop
        }
        return result
    }

    /// What decided before the version that decides now. After a rollback it is what decided before the version that it
    /// went back to: two in a row must not bring the version back that was left.
    /// - Throws: `nothingBefore`.
    public func versionBefore() throws(PolicyStoreError) -> Digest {
        guard let active = try active() else { throw .nothingBefore }
        var entry = try origin(of: active)
        while true {
            if let previous = entry.previous, previous != active.version { return previous }
            // Older builds did not write it down; and a version that was approved once more came after itself.
            guard let earlier = try before(entry) else { throw .nothingBefore }
            if earlier.version != active.version { return earlier.version }
            entry = earlier
        }
    }

    /// The number of the activation that a rollback to a version goes back to: the nearest on the way that rollbacks from
    /// what decides now go step by step, else the last one of that version, which lies ahead.
    /// - Returns: nil for a version that never decided.
    func originOfRollback(to version: Digest) throws(PolicyStoreError) -> UInt64? {
        guard let active = try active() else { return nil }
        var entry = try origin(of: active)
        while let earlier = try before(entry) {
            if earlier.version == version { return earlier.number }
            entry = earlier
        }
        guard let last = try lastActivation(of: version) else { return nil }
        return try origin(of: last).number
    }

    /// What decided before an activation.
    private func before(_ entry: Activation) throws(PolicyStoreError) -> Activation? {
        guard let earlier = try newest(before: entry.number, where: { _ in true }) else { return nil }
        return try origin(of: earlier)
    }

    /// The activation that a rollback went back to; of anything else it is itself.
    private func origin(of entry: Activation) throws(PolicyStoreError) -> Activation {
        guard entry.cause.kind == .rollback else { return entry }
        // An older number only: a record that names itself must not be followed for ever.
        if let number = entry.origin, number < entry.number, let found = try activation(number) { return found }
        // Older builds did not write it down: then it is the last one before that was no rollback. To a version that never
        // decided before, as a staged one, it is a step ahead.
        var found = entry
        while found.cause.kind == .rollback {
            guard let earlier = try newest(before: found.number, where: { $0.version == entry.version }) else { break }
            found = earlier
        }
        return found
    }

    private func newest(
        before number: UInt64? = nil, where matches: (Activation) -> Bool
    ) throws(PolicyStoreError) -> Activation? {
        var result: Activation?
        try forEachActivation(before: number) { activation in
            guard matches(activation) else { return .next }
            result = activation
            return .stop
        }
        return result
    }

    /// The log, the newest entry first. What cannot be read is passed over.
    private func forEachActivation(
        before number: UInt64? = nil, _ body: (Activation) -> Iteration
    ) throws(PolicyStoreError) {
        let end = number.map { StateKey.log($0) } ?? [StateKey.logMark + 1]
        try forEachDescending(state, before: end, prefix: [StateKey.logMark]) { key, value in
            // One that says another number than its own has been damaged, and would be found again and again.
            guard let activation = Activation(value), [UInt8](copying: key) == StateKey.log(activation.number) else {
                return .next
            }
            return body(activation)
        }
    }

    // MARK: shortening

    /// Removes what is older than the newest entries, with the approvals that it was accepted under.
    ///
    /// What is known of the versions that are still stored stays, however old: when each decided last, and what decided
    /// before it. So a rollback to one of them finds it, and the next one goes back from there.
    func shortenLog(_ limits: ActivationLogLimits) throws(PolicyStoreError) {
        guard try mayBeTooLong(limits) else { return }
        var entries: [LogEntry] = []
        for activation in try log() { entries.append(LogEntry(activation)) }
        var stored = Set(try versions().map(\.version))
        if let active = try active() { stored.insert(active.version) }
        let needed = LogEntry.needed(of: entries, for: stored)
        var old = entries.dropLast(limits.kept).map(\.number).filter { !needed.contains($0) }[...]
        while !old.isEmpty {
            let batch = old.prefix(limits.batch)
            try durably("prune-log") { transaction throws(PolicyStoreError) in
                for number in batch {
                    try transaction.set(state, StateKey.log(number), nil)
                    try transaction.set(state, StateKey.approval(number), nil)
                }
            }
            old = old.dropFirst(limits.batch)
        }
    }

    /// Looks at the oldest keys only: whether more than the slack lie that far behind the newest number.
    private func mayBeTooLong(_ limits: ActivationLogLimits) throws(PolicyStoreError) -> Bool {
        guard let newest = try log(limit: 1).first?.number, newest > UInt64(limits.kept) else { return false }
        let kept = StateKey.log(newest - UInt64(limits.kept) + 1)
        var count = 0
        try forEach(state, prefix: [StateKey.logMark]) { key, _ in
            guard [UInt8](copying: key).lexicographicallyPrecedes(kept) else { return .stop }
            count += 1
            return count <= limits.slack ? .next : .stop
        }
        return count > limits.slack
    }
}

/// What of an activation decides whether its entry is needed.
private struct LogEntry {
    var number: UInt64
    var version: Digest
    var isRollback: Bool
    var previous: Digest?
    var origin: UInt64?

    init(_ activation: Activation) {
        number = activation.number
        version = activation.version
        isRollback = activation.cause.kind == .rollback
        previous = activation.previous
        origin = activation.origin
    }

    /// The numbers of the entries that `versionBefore` and `lastActivation` look at, while one of these versions decides
    /// or after a rollback to it.
    /// - Parameter entries: the oldest first.
    static func needed(of entries: [LogEntry], for versions: Set<Digest>) -> Set<UInt64> {
        var places: [Digest: [Int]] = [:]
        for (place, entry) in entries.enumerated() where versions.contains(entry.version) {
            places[entry.version, default: []].append(place)
        }
        var needed: Set<UInt64> = []
        for own in places.values {
            // Where the walk over rollbacks to it ends.
            guard let last = own.last, let origin = own.last(where: { !entries[$0].isRollback }) ?? own.first else {
                continue
            }
            let entry = entries[origin]
            needed.formUnion([entries[last].number, entries[last].origin ?? entry.number, entry.number])
            guard entry.previous == nil || entry.previous == entry.version else { continue }
            let other = entries[..<origin].last { $0.version != entry.version }
            if let other { needed.insert(other.number) }
        }
        return needed
    }
}
