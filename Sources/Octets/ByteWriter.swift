internal import Glibc

/// A buffer of fixed capacity that answers are written into. Never grows: what does not fit sets
/// `overflowed` and is dropped, and the caller then gives the shorter answer or closes.
@safe
public struct ByteWriter: ~Copyable {
    @usableFromInline let base: UnsafeMutablePointer<UInt8>
    public let capacity: Int
    public internal(set) var count = 0
    public internal(set) var overflowed = false

    public init(capacity: Int) {
        precondition(capacity > 0)
        unsafe base = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        // The span below may be asked for bytes that were never written only if `count` is wrong; start zeroed.
        unsafe base.initialize(repeating: 0, count: capacity)
        self.capacity = capacity
    }

    deinit {
        unsafe base.deallocate()
    }

    /// What has been written so far, borrowed until the next write.
    public var bytes: Span<UInt8> {
        @_lifetime(borrow self)
        borrowing get {
            // SAFETY: base holds `capacity` initialised bytes for as long as self lives; count <= capacity.
            let span = unsafe Span(_unsafeStart: UnsafePointer(base), count: count)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    public mutating func removeAll() {
        count = 0
        overflowed = false
    }

    /// Forgets everything written after the first `count` bytes.
    public mutating func truncate(to newCount: Int) {
        if newCount < count { count = max(0, newCount) }
    }

    /// Takes back everything written after the first `count` bytes, and what did not fit after them too.
    public mutating func rewind(to newCount: Int) {
        truncate(to: newCount)
        overflowed = false
    }

    /// Drops the first `dropped` bytes (already sent) and moves the rest down.
    public mutating func discardFirst(_ dropped: Int) {
        guard dropped > 0 else { return }
        let kept = max(0, count - dropped)
        if kept > 0 { unsafe _ = memmove(base, base + (count - kept), kept) }
        count = kept
    }

    public mutating func append(_ byte: UInt8) {
        guard count < capacity else {
            overflowed = true
            return
        }
        unsafe base[count] = byte
        count += 1
    }

    public mutating func append(_ span: Span<UInt8>) {
        guard span.count <= capacity - count else {
            overflowed = true
            return
        }
        // SAFETY: span.count bytes fit, checked above; the two never overlap (self is held exclusively).
        unsafe span.withUnsafeBufferPointer { source in
            if let start = source.baseAddress { unsafe _ = memcpy(base + count, start, source.count) }
        }
        count += span.count
    }

    public mutating func append(_ text: StaticString) {
        let length = text.utf8CodeUnitCount
        guard length <= capacity - count else {
            overflowed = true
            return
        }
        unsafe _ = memcpy(base + count, text.utf8Start, length)
        count += length
    }

    public mutating func append(bigEndian16 value: UInt16) {
        append(UInt8(truncatingIfNeeded: value >> 8))
        append(UInt8(truncatingIfNeeded: value))
    }

    public mutating func append(bigEndian32 value: UInt32) {
        append(bigEndian16: UInt16(truncatingIfNeeded: value >> 16))
        append(bigEndian16: UInt16(truncatingIfNeeded: value))
    }

    public mutating func append(decimal value: UInt64) {
        var divisor: UInt64 = 1
        while value / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            append(UInt8(truncatingIfNeeded: 0x30 + (value / divisor) % 10))
            divisor /= 10
        }
    }

    /// Lower-case hexadecimal of every byte.
    public mutating func append(hexadecimal span: Span<UInt8>) {
        for index in span.indices { append(hexadecimal: span[index]) }
    }

    public mutating func append(hexadecimal byte: UInt8) {
        append(hexadecimalDigit(byte >> 4))
        append(hexadecimalDigit(byte & 15))
    }

    /// 16 lower-case digits.
    public mutating func append(hexadecimal value: UInt64) {
        append(bigEndian64: hexadecimalDigits(UInt32(truncatingIfNeeded: value >> 32)))
        append(bigEndian64: hexadecimalDigits(UInt32(truncatingIfNeeded: value)))
    }

    private mutating func append(bigEndian64 value: UInt64) {
        guard capacity - count >= 8 else {
            overflowed = true
            return
        }
        // SAFETY: eight bytes fit, checked above.
        unsafe UnsafeMutableRawPointer(base + count).storeBytes(of: value.bigEndian, as: UInt64.self)
        count += 8
    }

    /// Overwrites bytes already written, for lengths known only afterwards.
    public mutating func overwrite(at offset: Int, bigEndian16 value: UInt16) {
        precondition(offset >= 0 && offset + 2 <= count)
        unsafe base[offset] = UInt8(truncatingIfNeeded: value >> 8)
        unsafe base[offset + 1] = UInt8(truncatingIfNeeded: value)
    }
}

/// Eight lower-case digits, the first one in the top byte.
private func hexadecimalDigits(_ value: UInt32) -> UInt64 {
    // Each step halves what lies together, until a byte holds four bits.
    var digits = UInt64(value)
    digits = (digits << 16 | digits) & 0x0000_FFFF_0000_FFFF
    digits = (digits << 8 | digits) & 0x00FF_00FF_00FF_00FF
    digits = (digits << 4 | digits) & 0x0F0F_0F0F_0F0F_0F0F
    let areLetters = (digits &+ lanes(6)) >> 4 & lanes(1)
    return digits &+ lanes(0x30) &+ areLetters &* 0x27
}

@inlinable
public func hexadecimalDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? 0x30 + value : 0x57 + value
}

/// The value of one hexadecimal digit in either case, or nil.
@inlinable
public func hexadecimalValue(_ digit: UInt8) -> UInt8? {
    switch digit {
    case 0x30...0x39: return digit - 0x30
    case 0x41...0x46: return digit - 0x37
    case 0x61...0x66: return digit - 0x57
    default: return nil
    }
}
