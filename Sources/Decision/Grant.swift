internal import Octets
internal import PolicyTables

/// What a token's scopes amount to under one policy version: everything they imply, wildcards included.
final class Grant {
    /// Longest text kept; a longer one is given as the scopes that the route required.
    static let textBytesMax = 2_048

    /// Effective scopes as the policy numbers them, ascending.
    let scopes: [UInt16]
    /// Their names in byte order, separated by single spaces; empty when longer than `textBytesMax`.
    let text: [UInt8]
    let isTextWhole: Bool

    init(scopes: [UInt16], text: [UInt8], isTextWhole: Bool) {
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

    init() {}

    mutating func grant(
        forScopes text: Span<UInt8>, activation current: UInt64, catalogue: borrowing Catalogue
    ) -> Grant {
        if current != activation || grants.count >= GrantTable.entriesMax {
            grants.removeAll(keepingCapacity: true)
            activation = current
        }
        let key = [UInt8](copying: text)
        if let known = grants[key] { return known }
        let made = GrantTable.expand(text, catalogue)
        grants[key] = made
        return made
    }

    static func expand(_ text: Span<UInt8>, _ catalogue: borrowing Catalogue) -> Grant {
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
        return Grant(scopes: scopes, text: whole ? joined : [], isTextWhole: whole)
    }
}
