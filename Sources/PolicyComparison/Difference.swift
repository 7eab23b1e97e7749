public import PolicyTables

/// What two policies have otherwise, part by part, and who may do more or less for it.
public struct PolicyDifference: Sendable, Equatable {
    public enum Part: String, CaseIterable, Sendable {
        case issuers, scopes, services, routes, clients
    }

    public struct Change: Sendable, Equatable {
        public enum Kind: String, Sendable {
            case added, removed, changed
        }

        /// One thing that is written otherwise; nil where a side has nothing.
        public struct Detail: Sendable, Equatable {
            public var name: String
            public var old: String?
            public var new: String?
        }

        public var part: Part
        public var kind: Kind
        public var name: String
        /// Of what was changed; empty for what is there on one side only.
        public var details: [Detail]
        public var oldRoute: RouteLocation?
        public var newRoute: RouteLocation?
    }

    /// Routes that somebody reaches on one side only.
    public struct Reach: Sendable, Equatable {
        public enum Holder: String, Sendable {
            /// A client whose token holds all that is approved for it; on a side that does not list the client,
            /// whatever that side lets such clients hold.
            case client
            /// A token with this scope and no other, of a client without baseline.
            case scope
        }

        public var holder: Holder
        public var name: String
        public var gained: Routes
        public var lost: Routes
    }

    /// Some routes, of which the first few are named.
    public struct Routes: Sendable, Equatable {
        public var count = 0
        public var examples: [String] = []

        public static let examplesMax = 10

        mutating func add(_ count: Int, _ names: [String]) {
            self.count += count
            examples += names.prefix(Routes.examplesMax - examples.count)
        }
    }

    /// At most `changesMax`, by part and name.
    public var changes: [Change]
    public var omittedCount: Int
    /// Clients first; at most `changesMax`.
    public var reaches: [Reach]
    /// Unix seconds that reaches are told of.
    public var at: Int64

    public static let changesMax = 10_000

    public var isEmpty: Bool { changes.isEmpty && omittedCount == 0 && reaches.isEmpty }
}

/// Compares what two policies say, by the names of their parts.
/// - Parameter at: Unix seconds, for ends of grants, scopes and publications.
public func difference(from old: PolicyModel, to new: PolicyModel, at: Int64) -> PolicyDifference {
    let comparison = Comparison(old: old, new: new, at: at)
    let before = ModelFacts(old)
    let now = ModelFacts(new)
    var changes: [PolicyDifference.Change] = []
    var omitted = 0
    func add(_ change: PolicyDifference.Change) {
        if changes.count < PolicyDifference.changesMax { changes.append(change) } else { omitted += 1 }
    }
    for part in PolicyDifference.Part.allCases {
        let left = before.entries(part)
        let right = now.entries(part)
        let names = Set(left.keys).union(right.keys).sorted { $0.lexicographicallyPrecedes($1) }
        for name in names {
            let text = String(decoding: name, as: UTF8.self)
            switch (left[name], right[name]) {
            case (let one?, let other?):
                let details = one.details(to: other)
                if details.isEmpty { continue }
                add(
                    .init(
                        part: part, kind: .changed, name: text, details: details, oldRoute: one.place,
                        newRoute: other.place))
            case (let one?, nil): add(.init(part: part, kind: .removed, name: text, details: [], oldRoute: one.place))
            case (nil, let other?): add(.init(part: part, kind: .added, name: text, details: [], newRoute: other.place))
            case (nil, nil): continue
            }
        }
    }
    return PolicyDifference(
        changes: changes, omittedCount: omitted, reaches: ReachComparison(comparison).run(), at: at)
}
