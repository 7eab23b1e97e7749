// Eight bytes of a text in one word, the first one lowest, and questions about all of them at once. An answer is a word of
// marks: the top bit of each byte for which it is yes, exactly, and no other bit.

/// Eight copies of one byte.
@inlinable
@inline(always)
public func lanes(_ byte: UInt8) -> UInt64 { UInt64(byte) &* 0x0101_0101_0101_0101 }

/// Marks the bytes from `lowest` to `highest`, both below 0x80.
@inlinable
@inline(always)
public func lanes(of word: UInt64, from lowest: UInt8, through highest: UInt8) -> UInt64 {
    let tops: UInt64 = 0x8080_8080_8080_8080
    // Without their top bits no sum carries into the next byte.
    let low = word & ~tops
    return (low &+ lanes(0x80 &- lowest)) & ~(low &+ lanes(0x7F &- highest)) & ~word & tops
}

/// Marks the bytes that are `byte`, which is below 0x80.
@inlinable
@inline(always)
public func lanes(of word: UInt64, equalTo byte: UInt8) -> UInt64 {
    let tops: UInt64 = 0x8080_8080_8080_8080
    let difference = word ^ lanes(byte)
    return ~((difference & ~tops) &+ ~tops | difference) & tops
}

/// Marks letters and digits of ASCII, `-`, `.`, `/`, `_` and `~`: what paths are mostly made of.
@inlinable
@inline(always)
public func pathLanes(of word: UInt64) -> UInt64 {
    // 0x20 makes letters small and turns nothing else into one.
    lanes(of: word | lanes(0x20), from: 0x61, through: 0x7A) | lanes(of: word, from: 0x2D, through: 0x39)
        | lanes(of: word, equalTo: 0x5F) | lanes(of: word, equalTo: 0x7E)
}

extension Span where Element == UInt8 {
    /// Eight bytes from `offset` in the order of the text, the first one lowest. A breach of the bounds
    /// traps.
    @inlinable
    @inline(always)
    public func littleEndianWord(at offset: Int) -> UInt64 {
        precondition(offset >= 0 && offset <= count - 8)
        // SAFETY: checked above.
        return UInt64(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self))
    }

    /// The bytes from `offset` to the end, of which there are fewer than eight, filled up with `filler`. A breach of the
    /// bounds traps.
    @inlinable
    public func littleEndianTail(at offset: Int, filler: UInt8) -> UInt64 {
        let left = count - offset
        precondition(offset >= 0 && left >= 0 && left < 8)
        guard left > 0 else { return lanes(filler) }
        let bits = UInt64(8 &* left)
        let kept = count >= 8 ? littleEndianWord(at: count &- 8) &>> (64 &- bits) : shortTail(at: offset, left)
        return kept | lanes(filler) &<< bits
    }

    /// One to seven bytes up to the end, by loads of which some read a byte again.
    @usableFromInline
    func shortTail(at offset: Int, _ left: Int) -> UInt64 {
        precondition(offset >= 0 && left > 0 && offset <= count - left)
        let last = UInt64(8 &* (left &- 1))
        // SAFETY: `left` bytes lie behind `offset`, checked above; no load reads more of them.
        if left >= 4 {
            let low = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self)
            let high = unsafe bytes.unsafeLoadUnaligned(
                fromUncheckedByteOffset: offset &+ left &- 4, as: UInt32.self)
            return UInt64(UInt32(littleEndian: low)) | UInt64(UInt32(littleEndian: high)) &<< (last &- 24)
        }
        let end = UInt64(self[offset + left - 1]) &<< last
        guard left >= 2 else { return end }
        let low = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt16.self)
        return UInt64(UInt16(littleEndian: low)) | end
    }

    /// Whether all bytes are printable ASCII, 0x20 to 0x7E.
    public var isPrintable: Bool {
        guard count >= 8 else {
            for index in indices where self[index] &- 0x20 > 0x5E { return false }
            return true
        }
        var marks: UInt64 = 0
        var offset = 0
        while offset < count {
            let word = littleEndianWord(at: Swift.min(offset, count - 8))
            // The top bit of a byte is set where it was, where the byte is below 0x20, and where it is 0x7F. A borrow
            // or carry comes only out of a byte that is itself marked, so a word without marks has none.
            marks |= word | (word &- 0x2020_2020_2020_2020) | (word &+ 0x0101_0101_0101_0101)
            offset += 8
        }
        return marks & 0x8080_8080_8080_8080 == 0
    }
}
