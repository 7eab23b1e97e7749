/// Exact equality of two byte strings.
public func equal(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
    let count = left.count
    guard count == right.count else { return false }
    guard count >= 8 else {
        // Both are filled up with the same byte.
        return left.littleEndianTail(at: 0, filler: 0) == right.littleEndianTail(at: 0, filler: 0)
    }
    var index = 0
    while index < count - 8 {
        if left.littleEndianWord(at: index) != right.littleEndianWord(at: index) { return false }
        index += 8
    }
    // The last eight, some of them for the second time.
    return left.littleEndianWord(at: count - 8) == right.littleEndianWord(at: count - 8)
}

/// Exact equality with a literal.
@inlinable
public func equal(_ left: Span<UInt8>, _ right: StaticString) -> Bool {
    guard left.count == right.utf8CodeUnitCount else { return false }
    // SAFETY: a StaticString with a pointer representation holds utf8CodeUnitCount bytes for ever.
    return equal(left, unsafe Span(_unsafeStart: right.utf8Start, count: right.utf8CodeUnitCount))
}

/// Equality in which ASCII letters match in either case; other bytes must be the same.
@inlinable
public func equalIgnoringCase(_ left: Span<UInt8>, _ right: StaticString) -> Bool {
    guard left.count == right.utf8CodeUnitCount else { return false }
    // Nearly everyone spells as the literal does.
    if equal(left, right) { return true }
    // SAFETY: as above.
    let pointer = unsafe right.utf8Start
    var index = 0
    while index < left.count {
        if unsafe lowercased(left[index]) != lowercased(pointer[index]) { return false }
        index += 1
    }
    return true
}

@inlinable
public func lowercased(_ byte: UInt8) -> UInt8 {
    byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
}

/// Byte-wise order, a prefix before what it is a prefix of.
/// - Returns: negative, zero or positive.
@inlinable
public func compare(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Int {
    let shorter = min(left.count, right.count)
    var index = 0
    while index < shorter {
        if left[index] != right[index] { return Int(left[index]) - Int(right[index]) }
        index += 1
    }
    return left.count - right.count
}

/// Equality whose duration does not depend on where the two differ. For secrets and digests.
public func equalInConstantTime(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
    guard left.count == right.count else { return false }
    var difference: UInt8 = 0
    var index = 0
    while index < left.count {
        difference |= left[index] ^ right[index]
        index += 1
    }
    return difference == 0
}
