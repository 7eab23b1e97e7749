internal import Octets

/// What is to be said of a token beside the decision on it: which client it is of, what it amounts to beyond what is
/// approved for that client, and which old names of scopes it still carries. One object for as long as that stays the
/// same, so that it can be counted by its identity.
public final class GrantRemarks: Sendable {
    /// Names kept of each kind; a token may carry thousands.
    public static let namesMax = 32

    /// Identifier of the token's issuer.
    public let issuer: [UInt8]
    /// The client's identifier in the token.
    public let client: [UInt8]
    /// As the policy calls the client; empty for one that it does not list.
    public let clientName: [UInt8]
    /// Scopes beyond what is approved, in byte order; the first `namesMax` of `excessCount`.
    public let excess: [[UInt8]]
    public let excessCount: Int
    /// Old names on the token, in byte order; the first `namesMax` of `oldScopeCount`.
    public let oldScopes: [[UInt8]]
    public let oldScopeCount: Int

    public init(issuer: [UInt8], client: [UInt8], clientName: [UInt8], excess: [[UInt8]], oldScopes: [[UInt8]]) {
        self.issuer = issuer
        self.client = client
        self.clientName = clientName
        self.excess = Array(excess.prefix(GrantRemarks.namesMax))
        excessCount = excess.count
        self.oldScopes = Array(oldScopes.prefix(GrantRemarks.namesMax))
        oldScopeCount = oldScopes.count
    }

    /// Whether there is more to say than who the client is.
    public var hasFindings: Bool { excessCount > 0 || oldScopeCount > 0 }
}

extension Decider {
    /// What is to be said of the last decision's token; nil for nothing, and when none came so far.
    // Not through `state`: what reads that for an optional object of it allocates.
    public var remarks: GrantRemarks? { turn.state.noted?.remarks }

    /// The same where there is something to count.
    public var findings: GrantRemarks? {
        guard let remarks, remarks.hasFindings else { return nil }
        return remarks
    }
}
