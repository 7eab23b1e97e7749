internal import Octets
internal import PolicyTables

/// What a token's list of scopes amounts to at one moment, before anything is asked of its client.
struct ScopeExpansion {
    /// Everything that the list grants, ascending: what it names and all that this implies, without what has ended.
    let scopes: [UInt16]
    /// Old names that the list itself carries and that still count, ascending.
    let oldNames: [UInt16]
    /// Unix seconds: in `[from, until)` the list amounts to the same.
    private(set) var from: Int64
    private(set) var until: Int64

    /// - Parameter text: scope-tokens separated by spaces. A name that the policy does not know grants nothing, and `*`
    ///   is a name like any other.
    init(_ text: Span<UInt8>, _ catalogue: borrowing Catalogue, now: Int64) {
        var implied = Set<UInt16>()
        var old = Set<UInt16>()
        var counting: [UInt16] = []
        var begin = Int64.min
        var end = Int64.max
        var index = 0
        while index < text.count {
            let start = index
            while index < text.count, text[index] != 0x20 { index += 1 }
            if index > start, let scope = catalogue.scopeID(of: text.extracting(start..<index)),
                let term = catalogue.scopeTerm(scope)
            {
                if term.hasEnded(at: now) {
                    begin = max(begin, term.until)
                } else {
                    if term.isOldName { old.insert(scope) }
                    catalogue.forEachImplied(by: scope) { implied.insert($0) }
                }
            }
            index += 1
        }
        for scope in implied.sorted() {
            // DENY: a scope that cannot be read counts for nothing.
            guard let term = catalogue.scopeTerm(scope) else { continue }
            guard !term.hasEnded(at: now) else {
                begin = max(begin, term.until)
                continue
            }
            end = min(end, term.until)
            counting.append(scope)
        }
        scopes = counting
        oldNames = old.sorted()
        from = begin
        until = end
    }

    /// Takes note of a moment at which something else ends that the grant is made of.
    mutating func note(end: Int64, now: Int64) {
        if end <= now { from = max(from, end) } else { until = min(until, end) }
    }

    /// What it grants where nothing stands against it.
    /// - Parameters:
    ///   - effective: instead of all of `scopes`.
    ///   - remarks: nil where nothing is known of the client.
    func grant(
        activation: UInt64, catalogue: borrowing Catalogue, effective: [UInt16]? = nil, refusal: Reason? = nil,
        observeUntil: Int64 = .min, remarks: GrantRemarks? = nil
    ) -> Grant {
        let scopes = effective ?? self.scopes
        let joined = Array(sortedNames(of: scopes, catalogue).joined(separator: [0x20]))
        let isWhole = joined.count <= Grant.textBytesMax
        return Grant(
            activation: activation, scopes: scopes, text: isWhole ? joined : [], isTextWhole: isWhole,
            validFrom: from, validUntil: until, refusal: refusal, observeUntil: observeUntil, remarks: remarks,
            hasOldNames: !oldNames.isEmpty)
    }
}

/// The names of scopes, in byte order.
func sortedNames(of scopes: [UInt16], _ catalogue: borrowing Catalogue) -> [[UInt8]] {
    var names: [[UInt8]] = []
    for scope in scopes { names.append([UInt8](copying: catalogue.scopeName(scope))) }
    names.sort { $0.lexicographicallyPrecedes($1) }
    return names
}
