/// Texts by their bytes, each with a number: `String` compares by characters, and Unicode knows different bytes as the
/// same characters.
struct TextTable {
    private var numbers: [[UInt8]: Int32] = [:]
    private var texts: [String] = []

    mutating func number(_ text: String) -> Int32 {
        let key = Array(text.utf8)
        if let known = numbers[key] { return known }
        let number = Int32(clamping: texts.count)
        numbers[key] = number
        texts.append(text)
        return number
    }

    /// nil when nobody has asked for the text's number.
    func known(_ text: String) -> Int32? { numbers[Array(text.utf8)] }

    func text(_ number: Int32) -> String { texts[Int(number)] }
}

/// Equal lists get equal numbers. What two policies mean is spelled out as such lists, so that comparing meanings is
/// comparing numbers.
struct MeaningTable {
    private var numbers: [[Int64]: Int32] = [:]

    mutating func number(_ meaning: [Int64]) -> Int32 {
        if let known = numbers[meaning] { return known }
        let number = Int32(clamping: numbers.count)
        numbers[meaning] = number
        return number
    }
}

/// A set of scope names, by the numbers that both policies share.
struct ScopeSet: Hashable, Sendable {
    private var words: [UInt64] = []

    init() {}

    init(_ members: some Sequence<Int>) {
        for member in members { insert(member) }
    }

    var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

    mutating func insert(_ member: Int) {
        while words.count <= member >> 6 { words.append(0) }
        words[member >> 6] |= 1 << UInt64(member & 63)
    }

    func contains(_ member: Int) -> Bool {
        member >> 6 < words.count && words[member >> 6] & 1 << UInt64(member & 63) != 0
    }

    func isSubset(of other: ScopeSet) -> Bool {
        for (index, word) in words.enumerated() where word & ~other.word(index) != 0 { return false }
        return true
    }

    mutating func formUnion(_ other: ScopeSet) {
        for (index, word) in other.words.enumerated() {
            if index < words.count { words[index] |= word } else { words.append(word) }
        }
    }

    func intersection(_ other: ScopeSet) -> ScopeSet {
        var result = self
        for index in words.indices { result.words[index] &= other.word(index) }
        return result
    }

    func subtracting(_ other: ScopeSet) -> ScopeSet {
        var result = self
        for index in words.indices { result.words[index] &= ~other.word(index) }
        return result
    }

    /// The lowest member.
    var first: Int? {
        for (index, word) in words.enumerated() where word != 0 { return index << 6 + word.trailingZeroBitCount }
        return nil
    }

    var members: [Int] {
        var result: [Int] = []
        for (index, word) in words.enumerated() {
            var left = word
            while left != 0 {
                result.append(index << 6 + left.trailingZeroBitCount)
                left &= left - 1
            }
        }
        return result
    }

    private func word(_ index: Int) -> UInt64 { index < words.count ? words[index] : 0 }
}
