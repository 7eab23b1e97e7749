internal import Octets
internal import PolicyTables

/// What a token's scopes amount to under one policy version, for a while: everything they imply, wildcards included,
/// without what has ended, and within what is approved for the client.
final class Grant {
    /// Longest text kept; a longer one is given as the scopes that the route required.
    static let textBytesMax = 2_048

    /// `DecisionSnapshot.activation` of the policy that it belongs to.
    let activation: UInt64
    /// Effective scopes as the policy numbers them, ascending; with a `refusal`, those of the token.
    let scopes: [UInt16]
    /// Their names in byte order, separated by single spaces; empty when longer than `textBytesMax`.
    let text: [UInt8]
    let isTextWhole: Bool
    /// Unix seconds: in `[validFrom, validUntil)` nothing that it was made of begins or ends.
    let validFrom: Int64
    let validUntil: Int64
    /// Why nothing is granted, whatever the scopes; nil otherwise.
    let refusal: Reason?
    /// Unix seconds until which what the client's tokens may not do is let through; `Int64.min` enforces.
    let observeUntil: Int64
    /// What is to be said of the token beside the decision; nil for nothing.
    let remarks: GrantRemarks?
    /// Whether the list carries old names, so that there is something to say of its client.
    let hasOldNames: Bool

    init(
        activation: UInt64, scopes: [UInt16], text: [UInt8], isTextWhole: Bool, validFrom: Int64 = .min,
        validUntil: Int64 = .max, refusal: Reason? = nil, observeUntil: Int64 = .min, remarks: GrantRemarks? = nil,
        hasOldNames: Bool = false
    ) {
        self.activation = activation
        self.scopes = scopes
        self.text = text
        self.isTextWhole = isTextWhole
        self.validFrom = validFrom
        self.validUntil = validUntil
        self.refusal = refusal
        self.observeUntil = observeUntil
        self.remarks = remarks
        self.hasOldNames = hasOldNames
    }

    /// Whether it may be used at this time, under this activation.
    func isValid(at now: Int64, activation current: UInt64) -> Bool {
        activation == current && now < validUntil && now >= validFrom
    }

    func contains(_ scope: UInt16) -> Bool {
        var low = 0
        var high = scopes.count
        while low < high {
            let middle = (low + high) / 2
            if scopes[middle] == scope { return true }
            if scopes[middle] < scope { low = middle + 1 } else { high = middle }
        }
        return false
    }
}

/// Grants of one policy version, one for each different list of scopes that tokens carry, and for each client where
/// the policy says something of it. Made on a token's first use under a version and after something has ended, not on
/// the way of any other token seen before.
struct GrantTable: ~Copyable {
    /// Different lists kept; beyond it the table starts anew.
    private static let entriesMax = 4_096
    private var activation: UInt64 = 0
    private var grants: [[UInt8]: Grant] = [:]
    /// Those asked for last, each in a place that its list chooses: tokens of one client carry one list, and finding it
    /// here neither copies nor hashes it.
    private var recentLists = [[UInt8]](repeating: [], count: GrantTable.recentMax)
    private var recent = [Grant?](repeating: nil, count: GrantTable.recentMax)
    /// A power of two.
    private static let recentMax = 64

    init() {}

    /// Of a list alone, whoever carries it.
    mutating func grant(
        forScopes text: Span<UInt8>, activation current: UInt64, catalogue: borrowing Catalogue, now: Int64
    ) -> Grant {
        follow(current)
        let place = GrantTable.place(of: text)
        let list = recentLists[place]
        if let known = recent[place], known.isValid(at: now, activation: current), equal(list.span, text) {
            return known
        }
        let key = [UInt8](copying: text)
        let grant: Grant
        if let known = self.grant(key, now: now) {
            grant = known
        } else {
            grant = ScopeExpansion(text, catalogue, now: now).grant(activation: current, catalogue: catalogue)
            grants[key] = grant
        }
        recentLists[place] = key
        recent[place] = grant
        return grant
    }

    /// Beyond `entriesMax`, and under another activation, it starts anew.
    mutating func follow(_ current: UInt64) {
        guard current != activation || grants.count >= GrantTable.entriesMax else { return }
        grants.removeAll(keepingCapacity: true)
        for place in recent.indices { recent[place] = nil }
        activation = current
    }

    /// - Returns: nil when there is none that may be used at this time.
    func grant(_ key: [UInt8], now: Int64) -> Grant? {
        guard let known = grants[key], known.isValid(at: now, activation: activation) else { return nil }
        return known
    }

    mutating func keep(_ grant: Grant, _ key: [UInt8]) { grants[key] = grant }

    /// Of its length and its last bytes, which differ more often than the first ones.
    private static func place(of text: Span<UInt8>) -> Int {
        let count = text.count
        let last = count < 8 ? text.littleEndianTail(at: 0, filler: 0) : text.littleEndianWord(at: count - 8)
        let mixed = (last ^ UInt64(truncatingIfNeeded: count)) &* 0xD6E8_FEB8_6659_FD93
        return Int(truncatingIfNeeded: mixed >> 58) & (recentMax - 1)
    }
}
