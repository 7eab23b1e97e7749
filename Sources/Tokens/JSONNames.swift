internal import Octets

// Whether a member name is new in its object. Few members are compared one by one; from the seventeenth on
// they stand in a hash table, so that a text of many names costs time in proportion to its length.

extension JSONIndex {
    private static let linearMembersMax = 16
    /// Twice the names that any limits allow, and a power of two.
    private static let nameTableCount = 8_192

    /// - Parameter memberCount: members of the object, this one counted. Its value will be the next node.
    mutating func isNew(_ name: Name, in container: Int, memberCount: Int, _ text: Span<UInt8>) -> Bool {
        if memberCount <= JSONIndex.linearMembersMax {
            let bit = filterBit(name, text)
            let filter = nameFilters[depth - 1]
            nameFilters[depth - 1] = filter | bit
            if filter & bit == 0 { return true }
            var index = container + 1
            while index < nodes.count {
                if isName(name, of: index, text) { return false }
                index = Int(nodes[index].next)
            }
            return true
        }
        if nameTable.isEmpty {
            nameTable = [UInt64](repeating: 0, count: JSONIndex.nameTableCount)
        }
        if memberCount == JSONIndex.linearMembersMax + 1 {
            var index = container + 1
            while index < nodes.count {
                let slot = freeSlot(hash(nameRange(index), nodes[index].nameHasEscapes, text), container)
                nameTable[slot] = UInt64(stamp) << 32 | UInt64(index)
                index = Int(nodes[index].next)
            }
        }
        var slot = firstSlot(
            hash(ByteRange(start: name.start, count: name.count), name.hasEscapes, text), container)
        while let index = occupant(slot) {
            if nodes[index].parent == container, isName(name, of: index, text) { return false }
            slot = (slot + 1) & (JSONIndex.nameTableCount - 1)
        }
        nameTable[slot] = UInt64(stamp) << 32 | UInt64(nodes.count)
        return true
    }

    /// A bit that equal names share: of the length, first and last byte, or all bits where escapes hide them.
    private func filterBit(_ name: Name, _ text: Span<UInt8>) -> UInt64 {
        guard !name.hasEscapes else { return .max }
        guard name.count > 0 else { return 1 }
        let mixed = Int(text[name.start]) &* 7 &+ Int(text[name.start + name.count - 1]) &* 3 &+ name.count
        return 1 << UInt64(mixed & 63)
    }

    private func hash(_ name: ByteRange, _ hasEscapes: Bool, _ text: Span<UInt8>) -> UInt32 {
        hashUnescaped(text.bytes(at: name), hasEscapes, seed)
    }

    private func firstSlot(_ hash: UInt32, _ container: Int) -> Int {
        let mixed = UInt64(hash) &+ UInt64(container) &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: (mixed ^ mixed >> 32) & UInt64(JSONIndex.nameTableCount - 1))
    }

    private func occupant(_ slot: Int) -> Int? {
        let entry = nameTable[slot]
        return entry >> 32 == UInt64(stamp) ? Int(entry & 0xFFFF_FFFF) : nil
    }

    private func freeSlot(_ hash: UInt32, _ container: Int) -> Int {
        var slot = firstSlot(hash, container)
        while occupant(slot) != nil { slot = (slot + 1) & (JSONIndex.nameTableCount - 1) }
        return slot
    }

    private func isName(_ name: Name, of index: Int, _ text: Span<UInt8>) -> Bool {
        let hasEscapes = name.hasEscapes || nodes[index].nameHasEscapes
        guard hasEscapes || Int(nodes[index].nameCount) == name.count else { return false }
        let left = text.bytes(at: ByteRange(start: name.start, count: name.count))
        let right = text.bytes(at: nameRange(index))
        return hasEscapes ? equalBothUnescaped(left, right) : equal(left, right)
    }
}
