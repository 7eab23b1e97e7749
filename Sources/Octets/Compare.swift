/// Exact equality of two byte strings.
@inlinable
public func equal(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
    guard left.count == right.count else { return false }
    var index = 0
    while index < left.count {
        if left[index] != right[index] { return false }
        index += 1
    }
    return true
}

/// Exact equality with a literal.
@inlinable
public func equal(_ left: Span<UInt8>, _ right: StaticString) -> Bool {
    guard left.count == right.utf8CodeUnitCount else { return false }
    // SAFETY: a StaticString with a pointer representation holds utf8CodeUnitCount bytes for ever.
    let pointer = unsafe right.utf8Start
    var index = 0
    while index < left.count {
        if unsafe left[index] != pointer[index] { return false }
        index += 1
    }
    return true
}

/// Equality in which ASCII letters match in either case; other bytes must be the same.
@inlinable
public func equalIgnoringCase(_ left: Span<UInt8>, _ right: StaticString) -> Bool {
    guard left.count == right.utf8CodeUnitCount else { return false }
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
