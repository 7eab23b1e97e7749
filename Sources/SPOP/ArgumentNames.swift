internal import Octets

// Names are compared a word at a time: a question of HAProxy's has more than twenty.

extension Span where Element == UInt8 {
    /// Whether these bytes are `name`. Inlined, so that the literal becomes a few constants.
    @inline(__always)
    func spells(_ name: StaticString) -> Bool {
        let length = name.utf8CodeUnitCount
        guard count == length else { return false }
        // SAFETY: every load below lies within the `length` bytes that both have.
        return unsafe withUnsafeBytes { bytes in
            let literal = unsafe UnsafeRawBufferPointer(start: name.utf8Start, count: length)
            guard length >= 8 else {
                guard length >= 4 else { return unsafe bytes.elementsEqual(literal) }
                // The second load overlaps the first where the name is shorter than two of them.
                return unsafe bytes.loadUnaligned(fromByteOffset: 0, as: UInt32.self)
                    == literal.loadUnaligned(fromByteOffset: 0, as: UInt32.self)
                    && bytes.loadUnaligned(fromByteOffset: length - 4, as: UInt32.self)
                        == literal.loadUnaligned(fromByteOffset: length - 4, as: UInt32.self)
            }
            var offset = 0
            while offset < length {
                let place = min(offset, length - 8)
                guard
                    unsafe bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)
                        == literal.loadUnaligned(fromByteOffset: place, as: UInt64.self)
                else { return false }
                offset += 8
            }
            return true
        }
    }
}
