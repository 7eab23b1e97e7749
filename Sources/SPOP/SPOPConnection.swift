internal import Decision
public import Octets

/// What one SPOP connection may make this process hold.
public struct SPOPLimits: Sendable, Equatable {
    /// The smallest frame that either side may be held to (SPOE.txt §3.2.4).
    static let frameBytesMin = 256

    /// A frame without its length, announced when HAProxy's own is not smaller. HAProxy's is `tune.bufsize` less 4.
    public var frameBytesMax = 65_536
    /// The payload of a NOTIFY that came in fragments; more is read to its end and denied.
    public var fragmentedBytesMax = 65_536

    /// The receive buffer must have this capacity: all fragments so far and one whole frame behind them.
    public var bufferBytes: Int { fragmentedBytesMax + FrameHead.lengthBytes + frameBytesMax }

    public init() {}
}

/// The agent's side of one SPOP 2.0 connection (HAProxy, doc/SPOE.txt §3), without any I/O.
///
/// The caller fills a `ReceiveBuffer`, calls `next` until it says `.needBytes`, writes one ACK for each `.request`
/// with `acknowledge`, in any order, and sends what is in the output: whole frames, each in one write if the socket
/// takes it. Capabilities: pipelining and fragmentation.
///
/// A NOTIFY without ACK costs the client HAProxy's whole processing timeout, and two ACKs let the second win in
/// newer versions: exactly one is owed, and it is never empty. Whatever is no SPOP ends with a DISCONNECT, which
/// HAProxy takes as an error and its rules as a denial.
public struct SPOPConnection: Sendable {
    public enum Step: Sendable {
        /// Everything received is dealt with; fill the buffer and come again.
        case needBytes
        /// Decide this, then call `acknowledge`. Its payload lies in the buffer until `next` is called again.
        case request(SPOPRequest)
        /// Send what the output holds, then close.
        case close
    }

    private enum Phase {
        case hello, open, closed
    }

    public let limits: SPOPLimits
    /// As agreed with HAProxy, of a frame without its length.
    public private(set) var frameBytesMax = SPOPLimits.frameBytesMin

    private var phase = Phase.hello
    // INVARIANT: 0 <= fragmentsEnd <= position <= buffer.count. The bytes before `position` are dealt with; of
    // those, only the fragments, which start the buffer, are kept.
    private var position = 0
    private var fragmentsEnd = 0
    private var fragments: Fragments?

    /// A NOTIFY that has begun and not ended.
    private struct Fragments {
        var streamID: UInt64
        var frameID: UInt64
        var isTooLarge = false
    }

    public init(limits: SPOPLimits = SPOPLimits()) {
        self.limits = limits
    }

    /// No part of a frame or of a fragmented NOTIFY has arrived.
    public func isIdle(_ buffer: borrowing ReceiveBuffer) -> Bool {
        phase != .hello && fragments == nil && buffer.count == position
    }

    /// Reads on in the buffer. Allocates nothing.
    /// - Parameter isHealthy: asked for the HELLO of a health check; when false it is answered with a DISCONNECT.
    public mutating func next(
        _ buffer: inout ReceiveBuffer, output: inout ByteWriter, isHealthy: () -> Bool
    ) -> Step {
        while phase != .closed {
            guard buffer.count - position >= FrameHead.lengthBytes else { return compact(&buffer) }
            let length = Int(buffer.bytes.bigEndian32(at: position))
            let start = position + FrameHead.lengthBytes
            guard length <= (phase == .hello ? limits.frameBytesMax : frameBytesMax) else {
                return disconnect(.frameTooBig, &output)
            }
            guard length >= FrameHead.bytesMin else { return disconnect(.invalidFrame, &output) }
            guard buffer.count - start >= length else { return compact(&buffer) }
            guard let head = FrameHead(buffer.bytes, from: start, to: start + length) else {
                return disconnect(.invalidFrame, &output)
            }
            position = start + length
            switch head.type {
            case FrameType.haproxyHello where phase == .hello:
                if let step = greet(head, buffer, &output, isHealthy) { return step }
            case FrameType.haproxyDisconnect: return disconnect(.normal, &output)
            case FrameType.notify where phase == .open:
                if let step = notify(head, &buffer, &output) { return step }
            case FrameType.continuation where phase == .open:
                if let step = join(head, &buffer, &output) { return step }
            // Frames of other types are to be skipped once the two have met (SPOE.txt §3.2.2).
            case _ where phase == .open && isUnknown(head.type): break
            default: return disconnect(.invalidFrame, &output)
            }
        }
        return .close
    }

    /// Ends the conversation after what is in the output.
    public mutating func disconnect(_ status: DisconnectStatus, _ output: inout ByteWriter) -> Step {
        if phase != .closed { output.appendDisconnect(status) }
        phase = .closed
        return .close
    }

    private func isUnknown(_ type: UInt8) -> Bool {
        switch type {
        case FrameType.continuation, FrameType.haproxyHello, FrameType.haproxyDisconnect, FrameType.notify,
            FrameType.agentHello, FrameType.agentDisconnect, FrameType.ack:
            false
        default: true
        }
    }

    // MARK: Frames

    private mutating func greet(
        _ head: FrameHead, _ buffer: borrowing ReceiveBuffer, _ output: inout ByteWriter, _ isHealthy: () -> Bool
    ) -> Step? {
        guard head.isFinal, head.streamID == 0, head.frameID == 0 else {
            return disconnect(.invalidFrame, &output)
        }
        switch HAProxyHello.read(buffer.bytes, head.payload) {
        case .failure(let refusal): return disconnect(refusal.status, &output)
        case .success(let hello):
            if hello.isHealthCheck, !isHealthy() { return disconnect(.unknown, &output) }
            frameBytesMax = min(hello.frameBytesMax, limits.frameBytesMax)
            output.appendAgentHello(frameBytesMax: frameBytesMax)
            phase = hello.isHealthCheck ? .closed : .open
            return hello.isHealthCheck ? .close : nil
        }
    }

    @inline(__always)
    private mutating func notify(
        _ head: FrameHead, _ buffer: inout ReceiveBuffer, _ output: inout ByteWriter
    ) -> Step? {
        guard fragments == nil else { return disconnect(.interlacedFrames, &output) }
        if head.isAborted { return nil }
        guard head.isFinal else {
            fragments = Fragments(streamID: head.streamID, frameID: head.frameID)
            keepFragment(head.payload, &buffer)
            return nil
        }
        return request(head.streamID, head.frameID, head.payload, buffer, &output)
    }

    /// A continuation (type UNSET): joined to what came before it; nothing may come between.
    private mutating func join(
        _ head: FrameHead, _ buffer: inout ReceiveBuffer, _ output: inout ByteWriter
    ) -> Step? {
        guard let begun = fragments else { return disconnect(.invalidFrame, &output) }
        guard begun.streamID == head.streamID, begun.frameID == head.frameID else {
            return disconnect(.interlacedFrames, &output)
        }
        if head.isAborted {
            // HAProxy's stream has ended: nobody waits for an answer.
            fragments = nil
            fragmentsEnd = 0
            return nil
        }
        keepFragment(head.payload, &buffer)
        guard head.isFinal else { return nil }
        let whole = ByteRange(start: 0, count: fragmentsEnd)
        let isTooLarge = fragments?.isTooLarge ?? true
        fragments = nil
        fragmentsEnd = 0
        guard !isTooLarge else {
            return .request(
                SPOPRequest(
                    streamID: head.streamID, frameID: head.frameID, question: .refused(.requestTooLarge),
                    payload: ByteRange(start: 0, count: 0)))
        }
        return request(head.streamID, head.frameID, whole, buffer, &output)
    }

    private mutating func keepFragment(_ payload: ByteRange, _ buffer: inout ReceiveBuffer) {
        guard fragmentsEnd + Int(payload.count) <= limits.fragmentedBytesMax else {
            fragments?.isTooLarge = true
            return
        }
        buffer.move(from: Int(payload.start), to: fragmentsEnd, length: Int(payload.count))
        fragmentsEnd += Int(payload.count)
    }

    @inline(__always)
    private mutating func request(
        _ streamID: UInt64, _ frameID: UInt64, _ payload: ByteRange, _ buffer: borrowing ReceiveBuffer,
        _ output: inout ByteWriter
    ) -> Step {
        guard let question = SPOPQuestion(buffer.bytes.bytes(at: payload)) else {
            return disconnect(.invalidFrame, &output)
        }
        return .request(
            SPOPRequest(streamID: streamID, frameID: frameID, question: question, payload: payload))
    }

    /// Drops from the buffer whatever is dealt with and no fragment.
    private mutating func compact(_ buffer: inout ReceiveBuffer) -> Step {
        if position > fragmentsEnd {
            buffer.remove(fragmentsEnd..<position)
            position = fragmentsEnd
        }
        // A buffer of `limits.bufferBytes` cannot be full here.
        guard buffer.freeCount > 0 else {
            phase = .closed
            return .close
        }
        return .needBytes
    }
}
