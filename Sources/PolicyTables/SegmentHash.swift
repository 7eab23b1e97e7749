internal import Octets

/// Where the segment that starts at `start` ends, and the hash of its bytes.
///
/// Eight bytes at a time: splitting and hashing are most of what matching costs. The hash is part of the
/// table layout. It only has to spread; texts are compared byte by byte after it.
@inline(__always)
func scanSegment(_ path: Span<UInt8>, from start: Int) -> (end: Int, hash: UInt32) {
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    var index = start
    let count = path.count
    // SAFETY: every load lies below `count`, and the buffer outlives the closure.
    unsafe path.withUnsafeBufferPointer { buffer in
        let raw = UnsafeRawBufferPointer(buffer)
        while index + 8 <= count {
            let word = UInt64(littleEndian: unsafe raw.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            let slashes = word ^ 0x2F2F_2F2F_2F2F_2F2F
            // The top bit of each byte that is a slash; a borrow can only mark bytes above the first one.
            let marks = (slashes &- 0x0101_0101_0101_0101) & ~slashes & 0x8080_8080_8080_8080
            guard marks == 0 else {
                let length = marks.trailingZeroBitCount >> 3
                if length > 0 { state = mixed(state, word & (1 << UInt64(length * 8) &- 1)) }
                index += length
                return
            }
            state = mixed(state, word)
            index += 8
        }
        var word: UInt64 = 0
        var shift: UInt64 = 0
        while index < count, unsafe raw[index] != 0x2F {
            word |= UInt64(unsafe raw[index]) << shift
            shift += 8
            index += 1
        }
        if shift > 0 { state = mixed(state, word) }
    }
    state = mixed(state, UInt64(truncatingIfNeeded: index - start))
    return (index, UInt32(truncatingIfNeeded: state >> 32))
}

@inline(__always)
private func mixed(_ state: UInt64, _ word: UInt64) -> UInt64 {
    let product = (state ^ word) &* 0xD6E8_FEB8_6659_FD93
    return product ^ product >> 32
}

/// The hash of a whole stored value: finds bytes that changed by accident, not by intent.
///
/// Four lanes, so that a store of 100 MB is checked in some tens of milliseconds at start.
func integrityHash(_ bytes: Span<UInt8>, seed: UInt64 = 0) -> UInt64 {
    var first = seed ^ 0x243F_6A88_85A3_08D3
    var second = seed ^ 0x1319_8A2E_0370_7344
    var third = seed ^ 0xA409_3822_299F_31D0
    var fourth = seed ^ 0x082E_FA98_EC4E_6C89
    // SAFETY: every load lies below the buffer's count.
    unsafe bytes.withUnsafeBufferPointer { buffer in
        let raw = UnsafeRawBufferPointer(buffer)
        var index = 0
        while index + 32 <= raw.count {
            first = mixed(
                first, unsafe raw.loadUnaligned(fromByteOffset: index, as: UInt64.self).littleEndian)
            second = mixed(
                second, unsafe raw.loadUnaligned(fromByteOffset: index + 8, as: UInt64.self).littleEndian)
            third = mixed(
                third, unsafe raw.loadUnaligned(fromByteOffset: index + 16, as: UInt64.self).littleEndian)
            fourth = mixed(
                fourth, unsafe raw.loadUnaligned(fromByteOffset: index + 24, as: UInt64.self).littleEndian)
            index += 32
        }
        while index < raw.count {
            first = mixed(first, UInt64(unsafe raw[index]))
            index += 1
        }
    }
    let left = mixed(mixed(first, second), UInt64(truncatingIfNeeded: bytes.count))
    return mixed(left, mixed(third, fourth))
}
