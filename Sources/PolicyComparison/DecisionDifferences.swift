/// Decisions that came out differently under two policies, counted by who asked for what, with an example of each kind.
/// Holds a bounded number of kinds; decisions of further ones are counted together.
public struct DecisionDifferences: Sendable, Equatable {
    /// Decisions of one client on one route that changed in one way.
    public struct Kind: Sendable, Hashable {
        /// As the token names it; empty without a good token.
        public var client: String
        /// `orders GET /orders/{order}`; empty where none was found.
        public var routeBefore: String
        public var routeAfter: String
        /// Reasons, as `granted` or `insufficient_scope`.
        public var before: String
        public var after: String

        public init(client: String, routeBefore: String, routeAfter: String, before: String, after: String) {
            self.client = client
            self.routeBefore = routeBefore
            self.routeAfter = routeAfter
            self.before = before
            self.after = after
        }
    }

    public enum Direction: String, Sendable {
        /// Was denied, is allowed.
        case opens
        /// Was allowed, is denied.
        case closes
        /// Allowed or denied as before, for another reason or on another route.
        case shifts
    }

    public struct Row: Sendable, Equatable {
        public var kind: Kind
        public var direction: Direction
        public var count: Int
        /// The first one, e.g. `GET https://api.example.com/v1/orders/7`.
        public var example: String
        /// Unix seconds of the first and the last one.
        public var firstAt: Int64
        public var lastAt: Int64
    }

    public static let kindsMax = 4_096
    /// Values from outside are cut; a client may send any.
    public static let textBytesMax = 512

    public private(set) var sameCount = 0
    public private(set) var differentCount = 0
    /// Nobody can say what the other policy would have decided: what it asks for was not recorded.
    public private(set) var unknownCount = 0
    /// Different ones beyond `kindsMax` kinds.
    public private(set) var othersCount = 0
    private var rows: [Kind: Row] = [:]

    public init() {}

    public mutating func addSame() { sameCount += 1 }
    public mutating func addUnknown() { unknownCount += 1 }

    /// - Parameters:
    ///   - allowedBefore: whether the request passed then, `allowedAfter` whether it would now.
    ///   - at: Unix seconds.
    ///   - example: asked for when the kind is new.
    public mutating func addDifferent(
        _ kind: Kind, allowedBefore: Bool, allowedAfter: Bool, at: Int64, example: () -> String
    ) {
        differentCount += 1
        if var known = rows[kind] {
            known.count += 1
            known.firstAt = min(known.firstAt, at)
            known.lastAt = max(known.lastAt, at)
            rows[kind] = known
            return
        }
        guard rows.count < DecisionDifferences.kindsMax else {
            othersCount += 1
            return
        }
        let direction: Direction =
            allowedBefore == allowedAfter ? .shifts : allowedAfter ? .opens : .closes
        rows[kind] = Row(kind: kind, direction: direction, count: 1, example: example(), firstAt: at, lastAt: at)
    }

    public mutating func add(_ other: DecisionDifferences) {
        sameCount += other.sameCount
        unknownCount += other.unknownCount
        othersCount += other.othersCount
        differentCount += other.differentCount
        for (kind, row) in other.rows {
            guard var known = rows[kind] else {
                if rows.count < DecisionDifferences.kindsMax {
                    rows[kind] = row
                } else {
                    othersCount += row.count
                }
                continue
            }
            known.count += row.count
            known.firstAt = min(known.firstAt, row.firstAt)
            known.lastAt = max(known.lastAt, row.lastAt)
            rows[kind] = known
        }
    }

    /// What opens first, then what closes, the most frequent first; otherwise by name, so that two runs print alike.
    public var sorted: [Row] {
        func rank(_ row: Row) -> Int {
            switch row.direction {
            case .opens: 0
            case .closes: 1
            case .shifts: 2
            }
        }
        func name(_ row: Row) -> [String] {
            [row.kind.client, row.kind.routeBefore, row.kind.routeAfter, row.kind.before, row.kind.after]
        }
        return rows.values.sorted { one, other in
            if rank(one) != rank(other) { return rank(one) < rank(other) }
            if one.count != other.count { return one.count > other.count }
            return name(one).lexicographicallyPrecedes(name(other))
        }
    }

    public func count(_ direction: Direction) -> Int {
        rows.values.reduce(0) { $0 + ($1.direction == direction ? $1.count : 0) }
    }
}
