public import Decision
public import Octets

/// What one NOTIFY asks. Places count from the start of its payload.
public enum SPOPQuestion: Sendable {
    /// `scopecheck-http`
    case request(RequestFacts)
    /// `scopecheck-tcp`
    case connection(ConnectionFacts)
    /// `scopecheck-health`
    case health
    /// Nothing that could be decided on.
    case refused(Reason)
}

/// One NOTIFY that is owed exactly one ACK.
public struct SPOPRequest: Sendable {
    public let streamID: UInt64
    public let frameID: UInt64
    public let question: SPOPQuestion
    /// Its payload in the receive buffer, there until `next` is called again.
    public let payload: ByteRange
}

extension SPOPQuestion {
    /// Messages of one NOTIFY; HAProxy's configuration language has no use for more.
    static let messagesMax = 64

    /// Reads the list of messages (SPOE.txt §3.2.6): name, number of arguments (one byte), each with name and value.
    ///
    ///     0f 73 63 6f 70 65 63 68 65 63 6b 2d 68 74 74 70   "scopecheck-http"
    ///     02                                                two arguments
    ///     06 6d 65 74 68 6f 64 08 03 47 45 54               "method", string "GET"
    ///     04 70 6f 72 74 04 f0 cc 00                        …
    ///
    /// Messages and arguments with other names are passed over.
    /// - Returns: nil when the payload is not such a list.
    init?(_ bytes: Span<UInt8>) {
        self = .refused(.missingFact)
        var questions = 0
        var position = 0
        var count = 0
        while position < bytes.count {
            count += 1
            guard count <= SPOPQuestion.messagesMax,
                let name = bytes.countedRange(at: &position, end: bytes.count), position < bytes.count
            else { return nil }
            let arguments = Int(bytes[position])
            position += 1
            let message = bytes.bytes(at: name)
            if message.spells("scopecheck-http") {
                var reading = RequestReading()
                guard reading.read(bytes, at: &position, count: arguments) else { return nil }
                self = reading.question
            } else if message.spells("scopecheck-tcp") {
                var reading = ConnectionReading()
                guard reading.read(bytes, at: &position, count: arguments) else { return nil }
                self = reading.question
            } else {
                guard bytes.skipArguments(at: &position, count: arguments) else { return nil }
                guard message.spells("scopecheck-health") else { continue }
                self = .health
            }
            questions += 1
        }
        // DENY: two questions in one frame would share one answer.
        if questions > 1 { self = .refused(.conflictingFacts) }
    }
}

extension Span where Element == UInt8 {
    func skipArguments(at position: inout Int, count: Int) -> Bool {
        for _ in 0..<count {
            guard countedRange(at: &position, end: self.count) != nil,
                TypedData(self, at: &position, end: self.count) != nil
            else { return false }
        }
        return true
    }
}
