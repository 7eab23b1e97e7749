/// The frames of SPOP 2.0 that a checker needs: three to send, three to read. No I/O here.
///
/// A frame is its length (4 bytes, big-endian, without these 4), then type, flags (4 bytes; bit 0 FIN, bit 1 ABORT),
/// stream and frame number (varints) and what the type says. `00 00 00 11 67 00 00 00 01 02 01 01 03 02 05 61 6c 6c 6f
/// 77 11` is an ACK (0x67) of stream 2, frame 1: set-var, 3 arguments, scope txn (2), `allow`, bool true.
enum FrameKind {
    static let haproxyHello: UInt8 = 1
    static let haproxyDisconnect: UInt8 = 2
    static let notify: UInt8 = 3
    static let agentHello: UInt8 = 101
    static let agentDisconnect: UInt8 = 102
    static let acknowledge: UInt8 = 103
}

enum FrameScope {
    static let transaction: UInt8 = 2
}

enum FrameLimits {
    /// What we offer, HAProxy's own default; an agent may lower it, not below 256.
    static let announcedBytes: UInt64 = 16380
    static let announcedBytesMin: UInt64 = 256
    /// Type, flags and two varints of one byte.
    static let bytesMin = 7
    static let bytesMax = Int(announcedBytes)
}

/// One frame to be sent, whole: HAProxy and agents alike want it in a single write.
struct FrameWriter {
    private var bytes: [UInt8]

    init(_ kind: UInt8, stream: UInt8, frame: UInt8) {
        bytes = [0, 0, 0, 0, kind, 0, 0, 0, 1, stream, frame]
    }

    mutating func addByte(_ byte: UInt8) {
        bytes.append(byte)
    }

    mutating func addVarint(_ value: UInt64) {
        guard value >= 240 else { return bytes.append(UInt8(truncatingIfNeeded: value)) }
        bytes.append(UInt8(truncatingIfNeeded: value) | 0xF0)
        var rest = (value - 240) >> 4
        while rest >= 128 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest = (rest - 128) >> 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    mutating func addName(_ text: String) {
        addVarint(UInt64(text.utf8.count))
        bytes.add(text)
    }

    mutating func addString(_ name: String, _ value: String) {
        addName(name)
        bytes.append(8)
        addName(value)
    }

    /// An uint32.
    mutating func addNumber(_ name: String, _ value: UInt64) {
        addName(name)
        bytes.append(3)
        addVarint(value)
    }

    consuming func finished() -> [UInt8] {
        let length = UInt32(truncatingIfNeeded: bytes.count - 4)
        bytes[0] = UInt8(truncatingIfNeeded: length >> 24)
        bytes[1] = UInt8(truncatingIfNeeded: length >> 16)
        bytes[2] = UInt8(truncatingIfNeeded: length >> 8)
        bytes[3] = UInt8(truncatingIfNeeded: length)
        return bytes
    }
}

/// A typed value, its type in the low four bits of its first byte. The others are 0 but for true, which has bit 4.
enum FrameValue {
    case null
    case bool(Bool)
    case number(UInt64)
    case string([UInt8])
    /// IPv4, IPv6 or binary, which nothing here is.
    case other
}

/// Reads a frame from front to back. Each member returns nil when what it reads is not wholly there.
struct FrameReader {
    private let bytes: [UInt8]
    private var index = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { index == bytes.count }

    mutating func byte() -> UInt8? {
        guard index < bytes.count else { return nil }
        defer { index += 1 }
        return bytes[index]
    }

    mutating func flags() -> UInt32? {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let next = byte() else { return nil }
            value = value << 8 | UInt32(next)
        }
        return value
    }

    /// At most ten bytes and 64 bits.
    mutating func varint() -> UInt64? {
        guard let first = byte() else { return nil }
        guard first >= 240 else { return UInt64(first) }
        var value = UInt64(first)
        var shift: UInt64 = 4
        while shift <= 60 {
            guard let next = byte() else { return nil }
            let part = UInt64(next) << shift
            guard part >> shift == UInt64(next) else { return nil }
            let (sum, tooLarge) = value.addingReportingOverflow(part)
            guard !tooLarge else { return nil }
            value = sum
            if next < 128 { return value }
            shift += 7
        }
        return nil
    }

    mutating func take(_ count: UInt64) -> [UInt8]? {
        guard count <= UInt64(bytes.count - index) else { return nil }
        let end = index + Int(count)
        defer { index = end }
        return Array(bytes[index..<end])
    }

    mutating func string() -> [UInt8]? {
        guard let count = varint() else { return nil }
        return take(count)
    }

    mutating func value() -> FrameValue? {
        guard let type = byte() else { return nil }
        switch type {
        case 0: return .null
        case 0x01, 0x11: return .bool(type == 0x11)
        case 2, 3, 4, 5:
            guard let number = varint() else { return nil }
            return .number(number)
        case 6: return take(4) == nil ? nil : .other
        case 7: return take(16) == nil ? nil : .other
        case 8:
            guard let text = string() else { return nil }
            return .string(text)
        case 9: return string() == nil ? nil : .other
        default: return nil
        }
    }
}
