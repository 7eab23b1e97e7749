internal import Decision
internal import FastCGI
internal import HTTP1
internal import Kernel
internal import Octets
internal import SPOP

/// What a connection is made of: its socket, the bytes that have come and those that are to go, and the codecs between
/// them, one of which is in use.
struct Exchange: ~Copyable {
    var descriptor = FileDescriptor.none
    var received: ReceiveBuffer
    var output: ByteWriter
    var fastCGI = FastCGIConnection()
    var http = HTTPConnection(profile: .scopecheck)
    var spop = SPOPConnection()

    enum Flush {
        case all
        case rest
        case failed
    }

    init(receiveBytes: Int, outputBytes: Int) {
        received = ReceiveBuffer(capacity: receiveBytes)
        output = ByteWriter(capacity: outputBytes)
    }

    mutating func start(_ descriptor: consuming FileDescriptor) {
        self.descriptor = descriptor
    }

    /// Closes the socket and forgets all bytes.
    mutating func end() {
        descriptor = .none
        received.removeAll()
        output.removeAll()
    }

    mutating func receive() -> ReceiveOutcome {
        descriptor.receive(into: &received)
    }

    /// Sends what has been written, as far as the socket takes it.
    mutating func flush() -> Flush {
        while output.count > 0 {
            switch descriptor.send(output.bytes) {
            case .sent(let count): output.discardFirst(count)
            case .wouldBlock: return .rest
            case .closed, .failed: return .failed
            }
        }
        output.removeAll()
        return .all
    }

    /// Room for one more answer, whatever it says.
    var hasRoomForAnswer: Bool { output.capacity - output.count >= Connection.answerBytesMax }

    /// Nothing of a request has come: the connection may be closed without losing one.
    func isIdle(_ wire: Wire) -> Bool {
        switch wire {
        case .fastCGI: fastCGI.isIdle && received.count == 0
        case .http: http.isIdle
        case .spop: spop.isIdle(received)
        }
    }

    // MARK: the codecs

    func facts(of request: FastCGIRequest, _ profile: FactProfile) -> RequestFacts {
        request.facts(in: received.bytes, profile: profile)
    }

    // Each is nil while there is no room for one more answer: what is written has to be sent before.

    mutating func nextFastCGI() -> FastCGIConnection.Step? {
        hasRoomForAnswer ? fastCGI.next(&received, output: &output) : nil
    }

    mutating func nextHTTP() -> HTTPConnection.Step? {
        hasRoomForAnswer ? http.next(&received) : nil
    }

    mutating func nextSPOP(isHealthy: () -> Bool) -> SPOPConnection.Step? {
        hasRoomForAnswer ? spop.next(&received, output: &output, isHealthy: isHealthy) : nil
    }

    /// - Returns: whether the connection ends with this answer.
    mutating func answer(_ request: FastCGIRequest, _ answer: borrowing Answer) -> Bool {
        fastCGI.answer(request, answer, into: &output, buffer: &received)
        return fastCGI.shouldClose
    }

    /// - Returns: whether the connection ends with this answer.
    mutating func answer(_ request: HTTPRequest, _ answer: borrowing Answer, closing: Bool) -> Bool {
        http.answer(request, answer, closing: closing, into: &output, buffer: &received)
        return http.shouldClose
    }

    mutating func acknowledge(_ request: SPOPRequest, _ answer: borrowing Answer) {
        spop.acknowledge(streamID: request.streamID, frameID: request.frameID, answer, into: &output)
    }

    mutating func acknowledgeHealth(_ request: SPOPRequest, problem: StaticString?, policy: Span<UInt8>) {
        spop.acknowledgeHealth(
            streamID: request.streamID, frameID: request.frameID, isHealthy: problem == nil, reason: problem ?? "ready",
            policy: policy, into: &output)
    }

    mutating func disconnectSPOP(_ status: DisconnectStatus) {
        _ = spop.disconnect(status, &output)
    }
}
