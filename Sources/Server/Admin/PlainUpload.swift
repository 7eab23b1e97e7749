internal import Kernel
internal import Octets

/// A request whose body whoever takes it reads by himself, on a thread of his own, and then answers.
///
/// One thread at a time.
final class PlainUpload: Sendable {
    /// How long a peer may take nothing of the answer.
    static let idleMillisecondsMax: Int32 = 10_000
    /// A body comes from this machine. One that trickles in would keep others waiting, a rollback among them.
    static let bodyBytesPerSecondMin: Int64 = 1 << 20
    /// For the first byte, and for pauses.
    static let bodyGraceMilliseconds: Int64 = 3_000

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
        let startedAt = SystemClock.monotonicNanoseconds()
        var buffer = ReceiveBuffer(capacity: 1 << 18)
        while left > 0 {
            let milliseconds = (SystemClock.monotonicNanoseconds() - startedAt) / 1_000_000
            let rest = PlainUpload.millisecondsMax(for: bodyBytes - left) - milliseconds
            guard rest > 0 else { throw Failure.late }
            switch descriptor.receive(into: &buffer) {
            case .bytes(let count):
                // A byte behind the body is another request, which is not taken.
                guard count <= left else { throw Failure.cutOff }
                try take([UInt8](copying: buffer.bytes))
                left -= count
                buffer.removeAll()
            case .wouldBlock:
                guard descriptor.waitReadable(milliseconds: Int32(clamping: rest)) else { throw Failure.late }
            case .closed, .bufferFull, .failed: throw Failure.cutOff
            }
        }
    }

    /// How long as much of a body may take to come in.
    static func millisecondsMax(for bytes: Int) -> Int64 {
        bodyGraceMilliseconds + Int64(bytes) * 1_000 / bodyBytesPerSecondMin
    }

    /// Has a thread of its own answer, and end the connection.
    /// - Parameters:
    ///   - endTurn: called before the answer is sent: whoever reads it may ask again at once.
    ///   - endThread: called when the answer is sent, or cannot be.
    ///   - answer: what it throws is answered too, that the body did not come to its end among it.
    /// - Returns: nil when the thread will answer.
    func answerOnThread(
        name: String, endTurn: @escaping @Sendable () -> Void, endThread: @escaping @Sendable () -> Void = {},
        _ answer: @escaping @Sendable (PlainUpload) throws -> PlainAnswer
    ) -> PlainAnswer? {
        do throws(SystemError) {
            _ = try SystemThread.start(
                name: name, stackBytes: 1 << 20,
                context: Turn(upload: self, answer: answer, endTurn: endTurn, endThread: endThread)
            ) { $0.run() }
            return nil
        } catch {
            endTurn()
            endThread()
            return .failure(503, "no thread for the request: \(error); try again in a while")
        }
    }

    private final class Turn: Sendable {
        private let upload: PlainUpload
        private let answer: @Sendable (PlainUpload) throws -> PlainAnswer
        private let endTurn: @Sendable () -> Void
        private let endThread: @Sendable () -> Void

        init(
            upload: PlainUpload, answer: @escaping @Sendable (PlainUpload) throws -> PlainAnswer,
            endTurn: @escaping @Sendable () -> Void, endThread: @escaping @Sendable () -> Void
        ) {
            self.upload = upload
            self.answer = answer
            self.endTurn = endTurn
            self.endThread = endThread
        }

        func run() {
            let result: PlainAnswer
            do {
                result = try answer(upload)
            } catch let failure as Failure {
                result = .failure(
                    failure == .late ? 408 : 400, "the body did not come to its end; nothing was changed")
            } catch {
                result = .failure(503, "\(error)")
            }
            endTurn()
            upload.finish(result)
            endThread()
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
