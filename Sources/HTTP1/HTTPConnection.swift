public import Decision
public import Octets

/// The server's side of one HTTP/1.1 connection, without any I/O: reads request heads strictly (RFC 9112),
/// each byte once, however the bytes are cut into reads.
///
/// The bytes of a head, and what is read from them under profile `scopecheck`:
///
///     GET /check HTTP/1.1            the request line; its target is not the target that is decided on
///     Host: scopecheck
///     SC-Method: GET                 the facts, set by the proxy
///     SC-Target: /v1/orders/7
///     Authorization: Bearer eyJ…     the client's own header, passed through
///
/// Whatever two readers of one byte stream could frame differently is refused: line ends other than CRLF,
/// folded lines, blanks before a colon, controls, repeated or odd Host, any Transfer-Encoding, any body.
/// A refusal ends the connection, so that nothing behind it is read as a request.
public struct HTTPConnection: Sendable {
    public enum Step: Sendable {
        /// Fill the buffer and come again.
        case needBytes
        /// Decide this, then call `answer`.
        case request(HTTPRequest)
        /// Call `appendRefusal` with this status, send, close. Never 2xx.
        case refuse(UInt16)
        /// Close without a word.
        case close
    }

    public let limits: HTTPLimits
    public let profile: FactProfile
    /// After an answer or a refusal: send it, then close.
    public private(set) var shouldClose = false

    private var isDeciding = false
    // INVARIANT: headStart <= buffer.count. What lies before `headStart` is dealt with and not removed yet:
    // pipelined heads are parsed where they lie, since moving the rest for each would cost a quadratic copy.
    private var headStart = 0
    private var scanner = HeadScanner(at: 0)

    public init(profile: FactProfile, limits: HTTPLimits = HTTPLimits()) {
        self.profile = profile
        self.limits = limits
    }

    /// Nothing of a request has arrived: the connection may be closed without losing one.
    public var isIdle: Bool { !isDeciding && scanner.position == headStart }

    /// Reads on in the buffer. Allocates nothing.
    public mutating func next(_ buffer: inout ReceiveBuffer) -> Step {
        if isDeciding { return .needBytes }
        if shouldClose || buffer.count < headStart { return .close }
        while true {
            switch scanner.scan(buffer.bytes, limits: limits, profile: profile) {
            case .complete:
                isDeciding = true
                return .request(scanner.request)
            case .refuse(let status):
                shouldClose = true
                return .refuse(status)
            case .incomplete:
                guard headStart > 0 else {
                    if buffer.freeCount > 0 { return .needBytes }
                    shouldClose = true
                    return .refuse(431)
                }
                // Make room for the rest. The places found so far shift, so this head is read again, once.
                buffer.remove(0..<headStart)
                headStart = 0
                scanner = HeadScanner(at: 0)
            }
        }
    }

    /// Renders the answer to the request that `next` returned last.
    /// - Parameter closing: ends the connection with this answer; what follows in the buffer is never read.
    ///
    /// When the answer does not fit or is not printable, nothing is written and `shouldClose` is set: the
    /// caller then closes, which denies.
    public mutating func answer(
        _ request: HTTPRequest, _ answer: borrowing Answer, closing: Bool = false,
        into output: inout ByteWriter, buffer: inout ReceiveBuffer
    ) {
        let mark = output.count
        let keepAlive = request.keepAlive && !closing
        let isRendered = HTTPAnswer.append(answer, keepAlive: keepAlive, into: &output)
        if !isRendered || output.overflowed || output.count - mark > HTTPAnswer.bytesMax {
            // DENY: never a partial head.
            output.truncate(to: mark)
            shouldClose = true
        } else if !keepAlive {
            shouldClose = true
        }
        isDeciding = false
        headStart = min(Int(request.head.start) + Int(request.head.count), buffer.count)
        if headStart == buffer.count {
            buffer.removeAll()
            headStart = 0
        }
        scanner = HeadScanner(at: headStart)
    }

    /// A complete answer that refuses the request for its form and ends the connection.
    /// - Returns: false, and nothing is written, when it does not fit: close then.
    @discardableResult
    public static func appendRefusal(_ status: UInt16, to output: inout ByteWriter) -> Bool {
        HTTPAnswer.appendRefusal(status, to: &output)
    }
}
