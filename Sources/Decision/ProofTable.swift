internal import Signatures

/// Keys of proofs that were used, each kept until its time is over. Holds a fixed number at the most, and none of them
/// makes room for another: forgetting one early would let its proof be used twice. When more than half of the room is
/// taken, the proofs of one client get an eighth of it at the most, so that none can shut the others out.
struct ProofTable: ~Copyable {
    enum Addition: Equatable {
        case added
        /// It is there already.
        case known
        /// There is no room.
        case full
    }

    private struct Entry {
        var key: Digest
        /// The last second in which it is kept.
        var through: Int64
        /// Of the client's key.
        var bucket: UInt8
        /// In its chain, or in that of free places: 1 more than an index, 0 at the end.
        var next: UInt32
    }

    private static let bucketCount = 64

    private let entriesMax: Int
    /// How many entries each bucket of clients has.
    private var shares = [UInt32](repeating: 0, count: ProofTable.bucketCount)
    private let headMask: UInt64
    /// Where each chain begins: 1 more than an index into `entries`, 0 when it is empty.
    private var heads: [UInt32]
    /// Grows up to `entriesMax` in memory that is set apart from the start.
    private var entries: [Entry] = []
    private var free: UInt32 = 0
    private var sweptAt = Int64.min
    /// Those whose time is over count until they are found.
    private(set) var count = 0

    /// - Parameter entriesMax: from 1.
    init(entriesMax: Int) {
        self.entriesMax = max(1, min(entriesMax, 1 << 30))
        var headCount = 1
        while headCount < self.entriesMax { headCount *= 2 }
        headMask = UInt64(headCount - 1)
        heads = [UInt32](repeating: 0, count: headCount)
        entries.reserveCapacity(self.entriesMax)
    }

    /// - Parameters:
    ///   - hash: of the key; its low bits choose the chain. One that clients cannot foresee, or they make chains long.
    ///   - client: a hash of the client's key; its low bits choose the bucket.
    ///   - time: Unix seconds; never less than in a call before.
    mutating func add(_ key: Digest, hash: UInt64, client: UInt64, through: Int64, time: Int64) -> Addition {
        let bucket = Int(truncatingIfNeeded: client % UInt64(ProofTable.bucketCount))
        let head = Int(truncatingIfNeeded: hash & headMask)
        if find(key, in: head, time: time) { return .known }
        // Once a second: what was not over then is not over now.
        if isFull || isGreedy(bucket), sweptAt < time {
            sweptAt = time
            for chain in heads.indices { _ = find(nil, in: chain, time: time) }
        }
        guard !isFull, !isGreedy(bucket) else { return .full }
        let entry = Entry(key: key, through: through, bucket: UInt8(bucket), next: heads[head])
        if free != 0 {
            let place = Int(free) - 1
            heads[head] = free
            free = entries[place].next
            entries[place] = entry
        } else {
            entries.append(entry)
            heads[head] = UInt32(truncatingIfNeeded: entries.count)
        }
        count += 1
        shares[bucket] += 1
        return .added
    }

    private var isFull: Bool { free == 0 && entries.count >= entriesMax }

    private func isGreedy(_ bucket: Int) -> Bool {
        // In a small table clients would meet in one bucket too often.
        entriesMax >= 1_024 && count > entriesMax / 2 && Int(shares[bucket]) >= entriesMax / 8
    }

    /// Looks through a chain and takes out what it passes whose time is over.
    /// - Parameter key: nil looks through all of it.
    private mutating func find(_ key: Digest?, in head: Int, time: Int64) -> Bool {
        var before = -1
        var link = heads[head]
        while link != 0 {
            let place = Int(link) - 1
            let next = entries[place].next
            if entries[place].through < time {
                if before < 0 { heads[head] = next } else { entries[before].next = next }
                entries[place].next = free
                free = link
                count -= 1
                shares[Int(entries[place].bucket)] -= 1
            } else {
                if let key, entries[place].key == key { return true }
                before = place
            }
            link = next
        }
        return false
    }
}
