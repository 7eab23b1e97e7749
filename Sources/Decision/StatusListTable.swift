public import Signatures
public import Tokens

/// The status lists that are known at one moment. Immutable.
public final class StatusListTable: Sendable {
    public static let empty = StatusListTable([])

    /// Ascending by `key`.
    public let lists: [StatusList]

    /// - Parameter lists: in any order; of several with one key each may be found.
    public init(_ lists: [StatusList]) {
        self.lists = lists.sorted { precedes($0.key, $1.key) }
    }

    /// - Parameter key: `StatusReference.listKey` of its URI and issuer.
    public func list(_ key: Digest) -> StatusList? {
        var low = 0
        var high = lists.count
        while low < high {
            let middle = (low + high) / 2
            if lists[middle].key == key { return lists[middle] }
            if precedes(lists[middle].key, key) { low = middle + 1 } else { high = middle }
        }
        return nil
    }
}

private func precedes(_ left: Digest, _ right: Digest) -> Bool {
    guard left.firstWord == right.firstWord else { return left.firstWord < right.firstWord }
    for index in 0..<Digest.count where left[index] != right[index] { return left[index] < right[index] }
    return false
}
