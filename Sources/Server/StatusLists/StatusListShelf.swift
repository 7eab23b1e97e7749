internal import PolicyTables
internal import Signatures
internal import Tokens

/// One status list: what is known of it, and when it is fetched again. Times named milliseconds never go back.
struct StatusListEntry: Sendable {
    let uri: [UInt8]
    /// The issuer that signs it, an identifier.
    var issuer: String
    var list: StatusList?
    /// The keys that it was verified with may be gone.
    var isRefreshDue = false
    var wantedMilliseconds: Int64
    /// Not fetched before then.
    var mayFetchMilliseconds: Int64 = Int64.min
    var lastError: String?
    /// In line, or under way.
    var isOwed = false
    /// One call wakes everybody.
    var done: (@Sendable () -> Void)?
}

/// The lists that are kept: a bounded number, of a bounded size together. The one that was not wanted for the longest
/// time goes first; were it still in use, it would be wanted again.
struct StatusListShelf: Sendable {
    let listsMax: Int
    /// Of inflated lists together.
    let bytesMax: Int
    private(set) var entries: [Digest: StatusListEntry] = [:]

    init(listsMax: Int = 256, bytesMax: Int = 64 << 20) {
        self.listsMax = listsMax
        self.bytesMax = bytesMax
    }

    subscript(_ list: Digest) -> StatusListEntry? {
        get { entries[list] }
        set { entries[list] = newValue }
    }

    var lists: [StatusList] { entries.values.compactMap(\.list) }

    var byteCount: Int { entries.values.reduce(0) { $0 + ($1.list?.byteCount ?? 0) } }

    /// A list that decisions are made by is wanted, though nobody asks for it.
    mutating func noteUses(milliseconds: Int64) {
        for (digest, entry) in entries where entry.list?.takeUse() ?? false {
            entries[digest]?.wantedMilliseconds = milliseconds
        }
    }

    /// - Returns: false when every place has a fetch that is not over.
    mutating func makePlace() -> Bool {
        while entries.count >= listsMax {
            guard let oldest = leastWanted({ !$0.isOwed }) else { return false }
            entries[oldest] = nil
        }
        return true
    }

    /// Lets lists go until the rest fits beside this one.
    mutating func makeRoom(beside kept: Digest) {
        var bytes = byteCount
        while bytes > bytesMax {
            guard let oldest = leastWanted({ $0.list != nil && $0.list?.key != kept }) else { return }
            bytes -= entries[oldest]?.list?.byteCount ?? 0
            entries[oldest]?.list = nil
        }
    }

    /// - Returns: whether a list has gone that was of use.
    mutating func dropExpired(now: Int64) -> Bool {
        var hasDropped = false
        for (digest, entry) in entries {
            guard let list = entry.list, list.expiresAt <= now else { continue }
            entries[digest]?.list = nil
            hasDropped = true
        }
        return hasDropped
    }

    /// Keeps those that hold.
    mutating func keep(_ holds: (StatusListEntry) -> Bool) -> [StatusListEntry] {
        let gone = entries.filter { !holds($0.value) }
        for digest in gone.keys { entries[digest] = nil }
        return Array(gone.values)
    }

    private func leastWanted(_ isCandidate: (StatusListEntry) -> Bool) -> Digest? {
        entries.filter { isCandidate($0.value) }.min { $0.value.wantedMilliseconds < $1.value.wantedMilliseconds }?.key
    }
}
