// Fixed-width loads and stores. None of them assumes alignment: values in LMDB pages and in packets
// start at any address.

extension Span where Element == UInt8 {
    /// Big-endian (network order) 16 bits at `offset`. The caller has checked the bounds; a breach traps.
    @inlinable
    @inline(always)
    public func bigEndian16(at offset: Int) -> UInt16 {
        precondition(offset >= 0 && offset <= count - 2)
        // SAFETY: checked above, as in each of these.
        return UInt16(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt16.self))
    }

    @inlinable
    @inline(always)
    public func bigEndian32(at offset: Int) -> UInt32 {
        precondition(offset >= 0 && offset <= count - 4)
        return UInt32(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self))
    }

    /// Little-endian 16 bits at `offset`, or nil when they do not lie within the span.
    @inlinable
    @inline(always)
    public func littleEndian16(at offset: Int) -> UInt16? {
        guard offset >= 0, offset <= count - 2 else { return nil }
        return UInt16(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt16.self))
    }

    @inlinable
    @inline(always)
    public func littleEndian32(at offset: Int) -> UInt32? {
        guard offset >= 0, offset <= count - 4 else { return nil }
        return UInt32(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self))
    }

    @inlinable
    @inline(always)
    public func littleEndian64(at offset: Int) -> UInt64? {
        guard offset >= 0, offset <= count - 8 else { return nil }
        return UInt64(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self))
    }
}

extension Array where Element == UInt8 {
    public mutating func append(littleEndian16 value: UInt16) {
        append(UInt8(truncatingIfNeeded: value))
        append(UInt8(truncatingIfNeeded: value >> 8))
    }

    public mutating func append(littleEndian32 value: UInt32) {
        append(littleEndian16: UInt16(truncatingIfNeeded: value))
        append(littleEndian16: UInt16(truncatingIfNeeded: value >> 16))
    }

    public mutating func append(littleEndian64 value: UInt64) {
        append(littleEndian32: UInt32(truncatingIfNeeded: value))
        append(littleEndian32: UInt32(truncatingIfNeeded: value >> 32))
    }

    public mutating func append(bigEndian16 value: UInt16) {
        append(UInt8(truncatingIfNeeded: value >> 8))
        append(UInt8(truncatingIfNeeded: value))
    }

    public mutating func append(bigEndian32 value: UInt32) {
        append(bigEndian16: UInt16(truncatingIfNeeded: value >> 16))
        append(bigEndian16: UInt16(truncatingIfNeeded: value))
    }

    /// A copy of borrowed bytes.
    public init(copying span: Span<UInt8>) {
        self.init()
        append(copying: span)
    }

    public mutating func append(copying span: Span<UInt8>) {
        // SAFETY: the bytes are read during the call only.
        unsafe span.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
    }
}

extension String {
    /// Text of borrowed bytes for people; bytes that are not UTF-8 are replaced.
    public init(lossy span: Span<UInt8>) {
        self.init(decoding: [UInt8](copying: span), as: UTF8.self)
    }
}
