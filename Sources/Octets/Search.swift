internal import Glibc

extension Span where Element == UInt8 {
    /// The first place of `byte` at or after `start`, as fast as the C library finds it; nil when there is
    /// none.
    public func firstIndex(of byte: UInt8, from start: Int) -> Int? {
        guard start >= 0, start < count else { return nil }
        // SAFETY: memchr reads the `count - start` bytes behind `start` and returns a place among them.
        return unsafe withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return nil }
            guard let found = unsafe memchr(base + start, Int32(byte), buffer.count - start) else {
                return nil
            }
            return unsafe UnsafeRawPointer(found) - UnsafeRawPointer(base)
        }
    }
}

extension Span where Element == UInt8 {
    /// Eight bytes from `offset` in the order of the text, the first one lowest. A breach of the bounds
    /// traps.
    @inlinable
    @inline(always)
    public func littleEndianWord(at offset: Int) -> UInt64 {
        precondition(offset >= 0 && offset <= count - 8)
        // SAFETY: checked above; loadUnaligned needs no alignment.
        let word = unsafe withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
        return UInt64(littleEndian: word)
    }
}
