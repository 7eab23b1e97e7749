internal import PolicyTables

/// All that a route and its service demand, by names, so that demands of two policies can be compared. Paths, methods
/// and ports are not in it.
struct Requirement {
    enum Ground: Int64 {
        case token = 0
        case `public` = 1
        case preflight = 2
    }

    struct Binding: Hashable {
        var segment: Int
        /// Number of the claim's name.
        var claim: Int32
    }

    struct Detail: Hashable {
        var type: Int32
        var actions: [Int32]
        var locations: [Int32]

        /// Whether an element that meets this demand meets the other one too.
        func implies(_ other: Detail) -> Bool {
            type == other.type && other.actions.allSatisfy(actions.contains)
                && (other.locations.isEmpty
                    || !locations.isEmpty && locations.allSatisfy(other.locations.contains))
        }
    }

    var ground: Ground
    /// Scopes by the numbers of their names, ascending.
    var all: [Int]
    var any: [Int]
    /// Issuers by the numbers of their identifiers, ascending.
    var issuers: [Int32]
    /// nil leaves the issuers' own lists as the only check.
    var audience: String?
    var source: Int32
    var publicPort: UInt16
    var forwardsToken: Bool
    var hasTransactionToken: Bool
    /// Unix seconds; Int64.max is for ever.
    var serviceUntil: Int64
    /// Unix seconds; Int64.min enforces.
    var observeUntil: Int64
    var bindings: [Binding]
    var proof: ProofDemand
    var demandsNonce: Bool
    var contexts: [Int32]
    /// Seconds; nil demands nothing.
    var ageMax: UInt32?
    var details: [Detail]

    /// Whether requests pass without a token.
    func isOpen(at time: Int64) -> Bool {
        !hasEnded(at: time) && (ground != .token || time < observeUntil)
    }

    func hasEnded(at time: Int64) -> Bool { time >= serviceUntil }

    /// How tokens may be bound.
    var bindingKinds: [BindingKind] {
        switch proof {
        case .none: [.nothing, .key, .certificate]
        case .any: [.key, .certificate]
        case .dpop: [.key]
        case .certificate: [.certificate]
        }
    }
}

enum BindingKind: String {
    case nothing = "bound to nothing"
    case key = "bound to a key and sent with its proof"
    case certificate = "bound to the client's certificate"
}
