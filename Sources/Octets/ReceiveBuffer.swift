internal import Glibc

/// The bytes received on one connection that are not dealt with yet: a fixed capacity, filled from the end,
/// compacted in place by the codecs. Reused from connection to connection.
@safe
public struct ReceiveBuffer: ~Copyable {
    @usableFromInline let base: UnsafeMutablePointer<UInt8>
    public let capacity: Int
    /// Bytes filled, from the start.
    public private(set) var count = 0

    public init(capacity: Int) {
        precondition(capacity > 0)
        // calloc leaves untouched pages unmapped, so a large capacity costs memory only where it is used.
        guard let memory = unsafe calloc(capacity, 1) else { preconditionFailure("out of memory at start") }
        unsafe base = memory.bindMemory(to: UInt8.self, capacity: capacity)
        self.capacity = capacity
    }

    deinit {
        unsafe free(base)
    }

    /// All bytes filled, borrowed until the next change.
    public var bytes: Span<UInt8> {
        @_lifetime(borrow self)
        borrowing get {
            // SAFETY: calloc initialised `capacity` bytes; count <= capacity.
            let span = unsafe Span(_unsafeStart: UnsafePointer(base), count: count)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// Lends all bytes filled, for a buffer that lives in a class.
    @inlinable
    public borrowing func withBytes<R>(_ body: (Span<UInt8>) -> R) -> R {
        body(bytes)
    }

    public var freeCount: Int { capacity - count }

    /// Lets `body` fill free space at the end; it returns how many bytes it wrote (or any value <= 0).
    @unsafe
    public mutating func fill(_ body: (UnsafeMutableRawBufferPointer) -> Int) -> Int {
        let space = unsafe UnsafeMutableRawBufferPointer(start: base + count, count: capacity - count)
        let written = unsafe body(space)
        if written > 0 { count = min(capacity, count + written) }
        return written
    }

    /// Appends bytes. For tests and for requests that do not come from a socket.
    /// - Returns: false, and nothing is appended, when they do not fit.
    public mutating func append(_ span: Span<UInt8>) -> Bool {
        guard span.count <= capacity - count else { return false }
        // SAFETY: checked above.
        unsafe span.withUnsafeBufferPointer { source in
            if let start = source.baseAddress { unsafe _ = memcpy(base + count, start, source.count) }
        }
        count += span.count
        return true
    }

    /// Moves `length` bytes from `source` to `destination`, both within the filled part. May overlap.
    public mutating func move(from source: Int, to destination: Int, length: Int) {
        precondition(source >= 0 && destination >= 0 && length >= 0)
        precondition(source + length <= count && destination + length <= count)
        unsafe _ = memmove(base + destination, base + source, length)
    }

    /// Forgets the bytes in `range` and moves what follows down.
    public mutating func remove(_ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        let tail = count - range.upperBound
        if tail > 0 { unsafe _ = memmove(base + range.lowerBound, base + range.upperBound, tail) }
        count = range.lowerBound + tail
    }

    public mutating func removeAll() {
        count = 0
    }
}
