// Fixed-width loads and stores. None of them assumes alignment: values in LMDB pages and in packets
// start at any address.

extension Span where Element == UInt8 {
    /// Big-endian (network order) 16 bits at `offset`. The caller has checked the bounds; a breach traps.
    @inlinable
    public func bigEndian16(at offset: Int) -> UInt16 {
        UInt16(self[offset]) << 8 | UInt16(self[offset + 1])
    }

    @inlinable
    public func bigEndian32(at offset: Int) -> UInt32 {
        UInt32(bigEndian16(at: offset)) << 16 | UInt32(bigEndian16(at: offset + 2))
    }

    /// Little-endian 16 bits at `offset`, or nil when they do not lie within the span.
    @inlinable
    public func littleEndian16(at offset: Int) -> UInt16? {
        guard offset >= 0, count >= 2, offset <= count - 2 else { return nil }
        return UInt16(self[offset]) | UInt16(self[offset + 1]) << 8
    }

    @inlinable
    public func littleEndian32(at offset: Int) -> UInt32? {
        guard offset >= 0, count >= 4, offset <= count - 4 else { return nil }
        return UInt32(self[offset]) | UInt32(self[offset + 1]) << 8 | UInt32(self[offset + 2]) << 16
            | UInt32(self[offset + 3]) << 24
    }

    @inlinable
    public func littleEndian64(at offset: Int) -> UInt64? {
        guard let low = littleEndian32(at: offset), let high = littleEndian32(at: offset + 4) else {
            return nil
        }
        return UInt64(low) | UInt64(high) << 32
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
        reserveCapacity(count + span.count)
        for index in span.indices { append(span[index]) }
    }
}

extension String {
    /// Text of borrowed bytes for people; bytes that are not UTF-8 are replaced.
    public init(lossy span: Span<UInt8>) {
        self.init(decoding: [UInt8](copying: span), as: UTF8.self)
    }
}
