internal import Octets

/// The bytes of one input, taken from the front. Behind the end there are zeros, so that every input means
/// something.
struct Input {
    private let bytes: [UInt8]
    private var position = 0

    init(_ span: Span<UInt8>) { bytes = [UInt8](copying: span) }
    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position >= bytes.count }

    mutating func byte() -> UInt8 {
        guard position < bytes.count else { return 0 }
        position += 1
        return bytes[position - 1]
    }

    mutating func word() -> UInt16 { UInt16(byte()) << 8 | UInt16(byte()) }

    /// As many bytes as there are, at the most `count`.
    mutating func take(_ count: Int) -> [UInt8] {
        let end = min(bytes.count, position + max(0, count))
        defer { position = end }
        return Array(bytes[position..<end])
    }

    mutating func rest() -> [UInt8] { take(bytes.count) }

    /// Up to the next `byte`, which is dropped, or to the end.
    mutating func take(upTo byte: UInt8) -> [UInt8] {
        let end = bytes[position...].firstIndex(of: byte) ?? bytes.count
        defer { position = min(bytes.count, end + 1) }
        return Array(bytes[position..<end])
    }
}

/// In which pieces a stream is fed.
enum Splitting {
    case whole
    case single
    /// 1 to 64 bytes, by a generator that starts at the seed.
    case mixed(seed: UInt8)
}

struct Splitter {
    private let splitting: Splitting
    private var state: UInt32

    init(_ splitting: Splitting) {
        self.splitting = splitting
        if case .mixed(let seed) = splitting { state = UInt32(seed) | 0x100 } else { state = 1 }
    }

    mutating func next() -> Int {
        switch splitting {
        case .whole: return .max
        case .single: return 1
        case .mixed:
            state = state &* 1_664_525 &+ 1_013_904_223
            // Short pieces most of the time, since borders matter.
            let size = Int(state >> 26)
            return state >> 8 & 1 == 0 ? 1 + size : 1 + size & 7
        }
    }
}
