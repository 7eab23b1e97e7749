public import Signatures
internal import Synchronization

/// All revocations at one moment. Immutable; a change makes a new one that shares most of the old one.
///
/// Two tables: a large one that is copied only when the small one is full, and the small one with what came since. With
/// a million revocations, adding one copies about 150 KB and, once in 4,096 times, 56 MB.
public final class RevocationSet: Sendable {
    public static let empty = RevocationSet(epoch: 0, base: RevocationTable(), recent: RevocationTable(), kinds: 0)

    /// Entries of the small table at the most. Copying it each time and the large one so much more seldom cost about
    /// the same then.
    static let recentEntriesMax = 4_096

    /// Greater than that of every set made before in this process; a token that was checked under it need not be
    /// checked again.
    public let epoch: UInt64
    public let count: Int

    private static let lastEpoch = Atomic<UInt64>(0)

    private static func nextEpoch() -> UInt64 { lastEpoch.add(1, ordering: .relaxed).newValue }

    private let base: RevocationTable
    /// What it says of a key goes before the base, and includes what the base says of it.
    private let recent: RevocationTable
    /// A bit for each `Revocation.Kind` that was ever added; what there is none of is not looked for.
    private let kinds: UInt8

    private init(epoch: UInt64, base: RevocationTable, recent: RevocationTable, kinds: UInt8) {
        self.epoch = epoch
        self.base = base
        self.recent = recent
        self.kinds = kinds
        count = base.entries.count + recent.entries.count - recent.knownCount
    }

    /// - Returns: a set that also has these, with an epoch of its own. Of two with the same kind, issuer and value the one
    ///   is kept that names what either names.
    public func adding(_ revocations: [Revocation]) -> RevocationSet {
        guard !revocations.isEmpty else { return self }
        var kinds = kinds
        var base = base
        var recent = recent
        for revocation in revocations {
            kinds |= 1 << revocation.kind.rawValue
            let entry = RevocationEntry(
                key: revocation.key, issuedAtMax: revocation.issuedAtMax, until: revocation.until)
            recent.add(entry, beside: base)
            guard recent.entries.count >= RevocationSet.recentEntriesMax else { continue }
            base.merge(recent)
            recent = RevocationTable()
        }
        return RevocationSet(epoch: RevocationSet.nextEpoch(), base: base, recent: recent, kinds: kinds)
    }

    /// Without those that ended by `now`, or that `isKept` refuses.
    /// - Parameter isKept: gets `Revocation.key`.
    /// - Returns: itself when none goes, or a set with an epoch of its own.
    public func filtered(now: Int64, _ isKept: (Digest) -> Bool = { _ in true }) -> RevocationSet {
        var kept = RevocationTable()
        func take(_ entry: RevocationEntry) {
            if !entry.hasEnded(now: now), isKept(entry.key) { kept.add(entry) }
        }
        for entry in base.entries { take(entry) }
        for entry in recent.entries { take(entry) }
        guard kept.entries.count < count else { return self }
        return RevocationSet(
            epoch: RevocationSet.nextEpoch(), base: kept, recent: RevocationTable(),
            kinds: kept.entries.isEmpty ? 0 : kinds)
    }

    func has(_ kind: Revocation.Kind) -> Bool { kinds & 1 << kind.rawValue != 0 }

    func find(_ key: Digest) -> RevocationEntry? { recent.find(key) ?? base.find(key) }
}

/// What a set knows of one key.
struct RevocationEntry: Equatable {
    let key: Digest
    var issuedAtMax: Int64
    var until: Int64

    func hasEnded(now: Int64) -> Bool { until != .max && until <= now }

    /// Names also what `other` names.
    mutating func widen(by other: RevocationEntry) {
        issuedAtMax = max(issuedAtMax, other.issuedAtMax)
        until = max(until, other.until)
    }
}

/// Entries in the order in which they came, and a table of places with open addressing over them. A value: whoever
/// changes one that is shared changes a copy.
private struct RevocationTable {
    private(set) var entries: [RevocationEntry] = []
    /// Entries whose key the larger table has too.
    private(set) var knownCount = 0
    /// 1 more than an index into `entries`, 0 where there is none; a power of two, at most half full. Keys are SHA-256
    /// values, so their low bits are as good as any.
    private var places: [UInt32] = [0, 0]

    func find(_ key: Digest) -> RevocationEntry? {
        let place = places[placeIndex(of: key)]
        return place == 0 ? nil : entries[Int(place) - 1]
    }

    /// Where the key stands, or the free place where it would.
    private func placeIndex(of key: Digest) -> Int {
        let mask = places.count - 1
        var index = Int(truncatingIfNeeded: key.firstWord) & mask
        // At least half of the places are free.
        while places[index] != 0, entries[Int(places[index]) - 1].key != key { index = (index + 1) & mask }
        return index
    }

    /// Adds an entry, or widens the one with its key.
    mutating func add(_ entry: RevocationEntry) {
        let index = placeIndex(of: entry.key)
        if places[index] != 0 {
            entries[Int(places[index]) - 1].widen(by: entry)
            return
        }
        entries.append(entry)
        places[index] = UInt32(truncatingIfNeeded: entries.count)
        if 2 * entries.count > places.count { grow() }
    }

    /// The same for the smaller of two tables, whose entries include what the larger one says of their keys.
    mutating func add(_ entry: RevocationEntry, beside larger: borrowing RevocationTable) {
        var entry = entry
        if find(entry.key) == nil, let known = larger.find(entry.key) {
            entry.widen(by: known)
            knownCount += 1
        }
        add(entry)
    }

    mutating func merge(_ smaller: RevocationTable) {
        // No capacity is set apart: that would copy all of it each time that many are added in one call.
        for entry in smaller.entries { add(entry) }
    }

    private mutating func grow() {
        places = [UInt32](repeating: 0, count: 2 * places.count)
        let mask = places.count - 1
        for number in entries.indices {
            var index = Int(truncatingIfNeeded: entries[number].key.firstWord) & mask
            while places[index] != 0 { index = (index + 1) & mask }
            places[index] = UInt32(truncatingIfNeeded: number + 1)
        }
    }
}
