internal import Octets
internal import PolicyTables

/// What a token's scopes amount to under one policy version: everything they imply, wildcards included.
final class Grant {
    /// Longest text kept; a longer one is given as the scopes that the route required.
    static let textBytesMax = 2_048

    /// `DecisionSnapshot.activation` of the policy that it belongs to.
    let activation: UInt64
    /// Effective scopes as the policy numbers them, ascending.
    let scopes: [UInt16]
    /// Their names in byte order, separated by single spaces; empty when longer than `textBytesMax`.
    let text: [UInt8]
    let isTextWhole: Bool

    init(activation: UInt64, scopes: [UInt16], text: [UInt8], isTextWhole: Bool) {
        self.activation = activation
        self.scopes = scopes
        self.text = text
        self.isTextWhole = isTextWhole
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

/// Grants of one policy version, one for each different list of scopes that tokens carry. Made on a token's first
/// use under a version, never on the way of a token seen before.
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

    mutating func grant(
        forScopes text: Span<UInt8>, activation current: UInt64, catalogue: borrowing Catalogue
    ) -> Grant {
        if current != activation || grants.count >= GrantTable.entriesMax {
            grants.removeAll(keepingCapacity: true)
            for place in recent.indices { recent[place] = nil }
            activation = current
        }
        let place = GrantTable.place(of: text)
        let list = recentLists[place]
        if let known = recent[place], equal(list.span, text) { return known }
        let key = [UInt8](copying: text)
        let grant: Grant
        if let known = grants[key] {
            grant = known
        } else {
            grant = GrantTable.expand(text, activation: current, catalogue)
            grants[key] = grant
        }
        recentLists[place] = key
        recent[place] = grant
        return grant
    }

    /// Of its length and its last bytes, which differ more often than the first ones.
    private static func place(of text: Span<UInt8>) -> Int {
        let count = text.count
        let last = count < 8 ? text.littleEndianTail(at: 0, filler: 0) : text.littleEndianWord(at: count - 8)
        let mixed = (last ^ UInt64(truncatingIfNeeded: count)) &* 0xD6E8_FEB8_6659_FD93
        return Int(truncatingIfNeeded: mixed >> 58) & (recentMax - 1)
    }

    static func expand(_ text: Span<UInt8>, activation: UInt64, _ catalogue: borrowing Catalogue) -> Grant {
        var effective = Set<UInt16>()
        var index = 0
        while index < text.count {
            let start = index
            while index < text.count, text[index] != 0x20 { index += 1 }
            // A name that the policy does not know grants nothing, and `*` is a name like any other.
            if index > start, let scope = catalogue.scopeID(of: text.extracting(start..<index)) {
                catalogue.forEachImplied(by: scope) { effective.insert($0) }
            }
            index += 1
        }
        let scopes = effective.sorted()
        var names: [[UInt8]] = []
        for scope in scopes { names.append([UInt8](copying: catalogue.scopeName(scope))) }
        names.sort { $0.lexicographicallyPrecedes($1) }
        let joined = Array(names.joined(separator: [0x20]))
        let whole = joined.count <= Grant.textBytesMax
        return Grant(activation: activation, scopes: scopes, text: whole ? joined : [], isTextWhole: whole)
    }
}
