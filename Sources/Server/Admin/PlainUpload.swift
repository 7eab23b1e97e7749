internal import Kernel
internal import Octets

/// A request whose body whoever takes it reads by himself, on a thread of his own, and then answers.
///
/// One thread at a time.
final class PlainUpload: Sendable {
    /// How long a peer may send nothing, and how long it may take nothing of the answer.
    static let idleMillisecondsMax: Int32 = 10_000
    /// For the whole of a body, however much each of its pieces hurries.
    static let bodyMillisecondsMax: Int64 = 10 * 60 * 1_000

    let request: PlainRequest
    let bodyBytes: Int
    /// What came together with the head.
    private let received: [UInt8]
    private let descriptor: FileDescriptor

    init(_ request: PlainRequest, _ descriptor: consuming FileDescriptor, received: [UInt8], bodyBytes: Int) {
        self.request = request
        self.descriptor = descriptor
        self.received = received
        self.bodyBytes = bodyBytes
    }

    /// Why a body did not come to its end.
    enum Failure: Error, Equatable {
        case late
        case cutOff
    }

    /// Hands the body on in pieces, in order, to its end.
    /// - Throws: `Failure`, and what `take` throws.
    func read(_ take: ([UInt8]) throws -> Void) throws {
        try take(received)
        var left = bodyBytes - received.count
        let deadline = SystemClock.monotonicNanoseconds() + PlainUpload.bodyMillisecondsMax * 1_000_000
        var buffer = ReceiveBuffer(capacity: 1 << 18)
        while left > 0 {
            guard SystemClock.monotonicNanoseconds() < deadline else { throw Failure.late }
            switch descriptor.receive(into: &buffer) {
            case .bytes(let count):
                // A byte behind the body is another request, which is not taken.
                guard count <= left else { throw Failure.cutOff }
                try take([UInt8](copying: buffer.bytes))
                left -= count
                buffer.removeAll()
            case .wouldBlock:
                guard descriptor.waitReadable(milliseconds: PlainUpload.idleMillisecondsMax) else {
                    throw Failure.late
                }
            case .closed, .bufferFull, .failed: throw Failure.cutOff
            }
        }
    }

    /// Sends the answer and ends the connection.
    func finish(_ answer: PlainAnswer) {
        let text = answer.text(isHead: false)
        var sent = 0
        while sent < text.count {
            switch descriptor.send(text.span.extracting(sent..<text.count)) {
            case .sent(let count): sent += count
            case .wouldBlock:
                guard descriptor.waitWritable(milliseconds: PlainUpload.idleMillisecondsMax) else { return }
            case .closed, .failed: return
            }
        }
        descriptor.shutDownSending()
        // What is still on its way would take the answer back when the connection is closed on it.
        let deadline = SystemClock.monotonicNanoseconds() + 200_000_000
        var buffer = ReceiveBuffer(capacity: 1 << 16)
        while SystemClock.monotonicNanoseconds() < deadline {
            buffer.removeAll()
            switch descriptor.receive(into: &buffer) {
            case .bytes: continue
            case .wouldBlock: guard descriptor.waitReadable(milliseconds: 100) else { return }
            case .closed, .bufferFull, .failed: return
            }
        }
    }
}
