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
