internal import Octets

// SPOE.txt §3.2: a frame is its length (four bytes, most significant first), then type, flags (four bytes), stream
// and frame id (varints), then what belongs to the type. The length counts everything behind itself.
//
// Worked example, the answer to frame 1 of stream 2 that sets `txn.allow` to true:
//
//     00 00 00 11                  17 bytes follow
//     67 00 00 00 01 02 01         ACK, FIN, stream 2, frame 1
//     01 03 02                     set-var, three arguments, scope txn
//     05 61 6c 6c 6f 77 11         "allow", true

enum FrameType {
    static let continuation: UInt8 = 0
    static let haproxyHello: UInt8 = 1
    static let haproxyDisconnect: UInt8 = 2
    static let notify: UInt8 = 3
    static let agentHello: UInt8 = 101
    static let agentDisconnect: UInt8 = 102
    static let ack: UInt8 = 103
}

enum FrameFlags {
    static let fin: UInt32 = 1
    static let abort: UInt32 = 2
}

/// SPOE.txt §3.2.10, "Errors & timeouts": why a side disconnects.
public enum DisconnectStatus: UInt32, Sendable {
    case normal = 0
    case timeout = 2
    case frameTooBig = 3
    case invalidFrame = 4
    case noVersion = 5
    case noFrameSize = 6
    case noCapabilities = 7
    case unsupportedVersion = 8
    case badFrameSize = 9
    case interlacedFrames = 11
    case unknown = 99

    var message: StaticString {
        switch self {
        case .normal: "normal"
        case .timeout: "a timeout occurred"
        case .frameTooBig: "frame is too big"
        case .invalidFrame: "invalid frame received"
        case .noVersion: "version value not found"
        case .noFrameSize: "max-frame-size value not found"
        case .noCapabilities: "capabilities value not found"
        case .unsupportedVersion: "unsupported version"
        case .badFrameSize: "max-frame-size too big or too small"
        case .interlacedFrames: "invalid interlaced frames"
        case .unknown: "not ready to answer"
        }
    }
}

/// Everything before a frame's payload.
struct FrameHead {
    static let lengthBytes = 4
    /// Type, flags and two ids of one byte each.
    static let bytesMin = 7

    let type: UInt8
    let flags: UInt32
    let streamID: UInt64
    let frameID: UInt64
    let payload: ByteRange

    var isFinal: Bool { flags & FrameFlags.fin != 0 }
    var isAborted: Bool { flags & FrameFlags.abort != 0 }

    /// - Parameters:
    ///   - start: behind the length.
    ///   - end: of the frame, within `bytes`.
    init?(_ bytes: Span<UInt8>, from start: Int, to end: Int) {
        guard end - start >= FrameHead.bytesMin else { return nil }
        type = bytes[start]
        flags = bytes.bigEndian32(at: start + 1)
        var position = start + 5
        guard let streamID = bytes.varint(at: &position, end: end),
            let frameID = bytes.varint(at: &position, end: end)
        else { return nil }
        self.streamID = streamID
        self.frameID = frameID
        payload = ByteRange(start: position, count: end - position)
    }
}

extension ByteWriter {
    /// Writes a frame whose payload `body` appends; nothing at all when it does not fit.
    /// - Returns: whether it is written.
    @discardableResult
    @inline(__always)
    mutating func appendFrame(
        _ type: UInt8, streamID: UInt64 = 0, frameID: UInt64 = 0, bytesMax: Int, _ body: (inout ByteWriter) -> Void
    ) -> Bool {
        let start = count
        append(bigEndian32: 0)
        append(type)
        append(bigEndian32: FrameFlags.fin)
        append(varint: streamID)
        append(varint: frameID)
        body(&self)
        let length = count - start - FrameHead.lengthBytes
        guard !overflowed, length <= bytesMax else {
            rewind(to: start)
            return false
        }
        overwrite(at: start, bigEndian16: UInt16(truncatingIfNeeded: length >> 16))
        overwrite(at: start + 2, bigEndian16: UInt16(truncatingIfNeeded: length))
        return true
    }
}
