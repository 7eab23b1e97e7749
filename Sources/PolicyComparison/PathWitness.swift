internal import PolicyTables

/// One path of a class, with the claims of a token that name its segments where they must.
struct PathWitness {
    /// Percent-encoded.
    var path: String
    /// Names by number; what the new policy binds.
    var claims: [(name: Int32, value: String)]

    /// Finds a path and claims with which all of `held` hold and, if there are any, one of `broken` does not.
    ///
    /// Segments that one claim names must be equal; all others are chosen to differ. If some choice breaks a binding,
    /// this one does: it makes equal only what has to be.
    /// - Returns: nil when there is none.
    init?(
        _ segments: [SegmentClass], held: [Requirement.Binding], broken: [Requirement.Binding], texts: TextTable
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
        guard let chosen = PathWitness.choose(segments, groupOf: segments.indices.map(root), texts) else { return nil }
        guard held.allSatisfy({ !chosen[$0.segment].isEmpty }) else { return nil }
        let breaks = broken.contains { binding in
            guard binding.segment < chosen.count, let first = firstOfClaim[binding.claim] else { return true }
            return !chosen[first].utf8.elementsEqual(chosen[binding.segment].utf8)
        }
        guard broken.isEmpty || breaks else { return nil }
        path = PathWitness.spell(segments, chosen)
        claims = firstOfClaim.sorted { $0.key < $1.key }.map { ($0.key, chosen[$0.value]) }
    }

    /// A text for each segment: one for each group, and none twice beyond that.
    private static func choose(_ segments: [SegmentClass], groupOf: [Int], _ texts: TextTable) -> [String]? {
        var fixed: [Int: String] = [:]
        var excluded: [Int: [[Int32]]] = [:]
        for (index, segment) in segments.enumerated() {
            let group = groupOf[index]
            let text: String
            switch segment {
            case .other(let names):
                excluded[group, default: []].append(names)
                continue
            case .literal(let number), .escaped(let number): text = texts.text(number)
            case .empty: text = ""
            }
            if let other = fixed[group], !other.utf8.elementsEqual(text.utf8) { return nil }
            fixed[group] = text
        }
        var used = Set(fixed.values.map { Array($0.utf8) })
        for group in Set(groupOf).sorted() {
            let lists = excluded[group] ?? []
            if let text = fixed[group] {
                // A segment of any other text cannot have one that makes it another class.
                guard lists.isEmpty || !text.isEmpty && !isExcluded(text, lists, texts) else { return nil }
                continue
            }
            var number = 0
            while true {
                let text = number == 0 ? "x" : "x\(number)"
                number += 1
                guard !used.contains(Array(text.utf8)), !isExcluded(text, lists, texts) else { continue }
                fixed[group] = text
                used.insert(Array(text.utf8))
                break
            }
        }
        return groupOf.map { fixed[$0] ?? "" }
    }

    private static func isExcluded(_ text: String, _ lists: [[Int32]], _ texts: TextTable) -> Bool {
        guard let number = texts.known(text) else { return false }
        return lists.contains { list in
            var low = 0
            var high = list.count
            while low < high {
                let middle = (low + high) / 2
                if list[middle] == number { return true }
                if list[middle] < number { low = middle + 1 } else { high = middle }
            }
            return false
        }
    }

    private static func spell(_ segments: [SegmentClass], _ chosen: [String]) -> String {
        var bytes: [UInt8] = []
        for (segment, text) in zip(segments, chosen) {
            bytes.append(0x2F)
            let start = bytes.count
            appendCanonicalLiteral(text, to: &bytes)
            guard case .escaped = segment, let place = bytes[start...].firstIndex(where: isReserved) else { continue }
            let digits = Array("0123456789ABCDEF".utf8)
            let byte = bytes[place]
            bytes.replaceSubrange(place...place, with: [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]])
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
