/// A place inside some byte buffer: where a value starts and how many bytes it has.
///
/// Requests are kept as one buffer plus ranges, so that a fact can be named without copying it and without
/// a borrowed pointer in a struct. `absent` and "present but empty" are different values.
@frozen
public struct ByteRange: Equatable, Sendable {
    public var start: UInt32
    public var count: UInt32

    @inlinable
    public init(start: Int, count: Int) {
        self.start = UInt32(truncatingIfNeeded: start)
        self.count = UInt32(truncatingIfNeeded: count)
    }

    /// The value was not given at all.
    public static let absent = ByteRange(start: Int(UInt32.max), count: 0)

    @inlinable public var isPresent: Bool { start != UInt32.max }
    @inlinable public var isEmpty: Bool { count == 0 }
}

extension Span where Element == UInt8 {
    /// The bytes of `range`; empty when it is absent or does not lie within this span.
    @inlinable
    @_lifetime(copy self)
    public func bytes(at range: ByteRange) -> Span<UInt8> {
        let start = Int(range.start)
        let end = start + Int(range.count)
        guard range.isPresent, end <= count else { return extracting(0..<0) }
        return extracting(start..<end)
    }
}
