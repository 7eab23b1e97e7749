internal import PolicyTables

/// One path of a class, with the claims of a token that name its segments where they must.
struct PathWitness {
    /// Percent-encoded.
    var path: String
    /// Names by number; what the new policy binds and neither issuer nor client decides.
    var claims: [(name: Int32, value: String)]
    /// The client's identifier; nil where any will do that neither policy lists.
    var client: String?

    /// Finds a path and claims with which all of `held` hold and, if there are any, one of `broken` does not.
    ///
    /// Segments that one claim names must be equal; all others are chosen to differ. If some choice breaks a binding,
    /// this one does: it makes equal only what has to be.
    /// - Returns: nil when there is none.
    init?(
        _ segments: [SegmentClass], held: [Requirement.Binding], broken: [Requirement.Binding],
        identity: TokenIdentity, texts: TextTable
    ) {
        guard held.allSatisfy({ $0.segment < segments.count }) else { return nil }
        var groups = Array(segments.indices)
        func root(_ segment: Int) -> Int {
            var current = segment
            while groups[current] != current { current = groups[current] }
            return current
        }
        var firstOfClaim: [Int32: Int] = [:]
        for binding in held {
            if let first = firstOfClaim[binding.claim] {
                groups[root(binding.segment)] = root(first)
            } else {
                firstOfClaim[binding.claim] = binding.segment
            }
        }
        var terms = Terms(used: Set(identity.values.values.map { Array(texts.text($0).utf8) }))
        for (claim, segment) in firstOfClaim {
            if let number = identity.values[claim] {
                let text = texts.text(number)
                guard isSegment(text), terms.fix(text, root(segment)) else { return nil }
            } else if let unlisted = identity.unlisted, unlisted.claim == claim {
                terms.excluded[root(segment), default: []].append(unlisted.listed)
            }
        }
        guard let chosen = PathWitness.choose(segments, groupOf: segments.indices.map(root), terms, texts) else {
            return nil
        }
        guard held.allSatisfy({ !chosen[$0.segment].isEmpty }) else { return nil }
        let breaks = broken.contains { binding in
            let value =
                identity.values[binding.claim].map { texts.text($0) } ?? firstOfClaim[binding.claim].map { chosen[$0] }
            guard binding.segment < chosen.count, let value else { return true }
            return !value.utf8.elementsEqual(chosen[binding.segment].utf8)
        }
        guard broken.isEmpty || breaks else { return nil }
        path = PathWitness.spell(segments, chosen)
        let own = firstOfClaim.filter { identity.values[$0.key] == nil && $0.key != identity.unlisted?.claim }
        claims = own.sorted { $0.key < $1.key }.map { ($0.key, chosen[$0.value]) }
        guard let unlisted = identity.unlisted else { return }
        if let segment = firstOfClaim[unlisted.claim] {
            client = chosen[segment]
        } else {
            client = PathWitness.invent([unlisted.listed], Set(chosen.map { Array($0.utf8) }), texts)
        }
    }

    /// What the token's issuer and client say of segments, before any text is chosen.
    private struct Terms {
        /// By group of segments.
        var fixed: [Int: String] = [:]
        /// Texts that segments must not be, in ascending lists.
        var excluded: [Int: [[Int32]]] = [:]
        /// Texts that segments had better not be.
        var used: Set<[UInt8]>

        /// - Returns: false when the group is another text already.
        mutating func fix(_ text: String, _ group: Int) -> Bool {
            if let other = fixed[group], !other.utf8.elementsEqual(text.utf8) { return false }
            fixed[group] = text
            return true
        }
    }

    /// A text for each segment: one for each group, and none twice beyond that.
    private static func choose(
        _ segments: [SegmentClass], groupOf: [Int], _ terms: Terms, _ texts: TextTable
    ) -> [String]? {
        var terms = terms
        for (index, segment) in segments.enumerated() {
            let group = groupOf[index]
            let text: String
            switch segment {
            case .other(let names):
                terms.excluded[group, default: []].append(names)
                continue
            case .literal(let number), .escaped(let number): text = texts.text(number)
            case .empty: text = ""
            }
            guard terms.fix(text, group) else { return nil }
        }
        var used = terms.used.union(terms.fixed.values.map { Array($0.utf8) })
        for group in Set(groupOf).sorted() {
            let lists = terms.excluded[group] ?? []
            if let text = terms.fixed[group] {
                // A segment of any other text cannot have one that makes it another class.
                guard lists.isEmpty || !text.isEmpty && !isExcluded(text, lists, texts) else { return nil }
                continue
            }
            let text = invent(lists, used, texts)
            terms.fixed[group] = text
            used.insert(Array(text.utf8))
        }
        return groupOf.map { terms.fixed[$0] ?? "" }
    }

    /// A text that is in none of the lists and not used.
    private static func invent(_ lists: [[Int32]], _ used: Set<[UInt8]>, _ texts: TextTable) -> String {
        var number = 0
        while true {
            let text = number == 0 ? "x" : "x\(number)"
            number += 1
            if !used.contains(Array(text.utf8)), !isExcluded(text, lists, texts) { return text }
        }
    }

    private static func isExcluded(_ text: String, _ lists: [[Int32]], _ texts: TextTable) -> Bool {
        guard let number = texts.known(text) else { return false }
        return lists.contains { PolicyComparison.contains($0, number) }
    }

    private static func spell(_ segments: [SegmentClass], _ chosen: [String]) -> String {
        var bytes: [UInt8] = []
        for (segment, text) in zip(segments, chosen) {
            bytes.append(0x2F)
            let start = bytes.count
            appendCanonicalLiteral(text, to: &bytes)
            if case .other = segment {
                // No request has it raw.
                let escaped = bytes[start...].flatMap { $0 == 0x3B ? Array("%3B".utf8) : [$0] }
                bytes.replaceSubrange(start..., with: escaped)
            }
            guard case .escaped = segment, let place = bytes[start...].firstIndex(where: isReserved) else { continue }
            let digits = Array("0123456789ABCDEF".utf8)
            let byte = bytes[place]
            bytes.replaceSubrange(place...place, with: [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]])
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Whether a request can have the text as a segment: what a backend could read as more than one, as none or as another
/// is refused before any route is looked for.
func isSegment(_ text: String) -> Bool {
    let refused: (UInt8) -> Bool = { $0 <= 0x1F || $0 == 0x7F || $0 == 0x25 || $0 == 0x2F || $0 == 0x5C }
    guard !text.isEmpty, !text.utf8.contains(where: refused) else { return false }
    let dots = text.utf8.prefix { $0 == 0x2E }.count
    if dots == 0 || dots > 2 { return true }
    return text.utf8.dropFirst(dots).first.map { $0 != 0x3B } ?? false
}
