internal import HTTP1
internal import Kernel
internal import Octets

/// A thread that answers HTTP/1.1 requests one by one from a closure: for commands and for public documents.
///
/// One request for each connection, with a deadline for the whole of it. Several connections are read at a time, so
/// that a peer that stalls holds up nobody; when all places are taken, the next one waits at most for one deadline.
final class PlainHTTPListener: Sendable {
    struct Settings: Sendable {
        /// Of the thread and its event.
        var name: String
        var limits = PlainLimits()
        /// From accept to close.
        var exchangeMilliseconds: Int64
        /// Users whose processes may connect to a unix socket; nil lets all who can open it.
        var peerUserIDs: [UInt32]?
        var connectionsMax = 32
    }

    private let socket: ListeningSocket
    private let stop: EventFD
    private let settings: Settings
    private let log: EventLog
    private let answer: @Sendable (PlainRequest) -> PlainAnswer
    private let stream: @Sendable (PlainUpload) -> PlainAnswer?

    /// - Parameter stream: takes connections over whose body it reads itself (`PlainLimits.streamedPaths`), or answers
    ///   at once.
    init(
        socket: ListeningSocket, _ settings: Settings, log: EventLog,
        answer: @escaping @Sendable (PlainRequest) -> PlainAnswer,
        stream: @escaping @Sendable (PlainUpload) -> PlainAnswer? = { _ in .failure(404, "no body is taken here") }
    ) throws(SystemError) {
        self.socket = socket
        self.settings = settings
        self.log = log
        self.answer = answer
        self.stream = stream
        stop = try EventFD()
    }

    func start() throws(SystemError) -> SystemThread {
        try SystemThread.start(name: settings.name, context: self) { $0.run() }
    }

    func requestStop() { stop.signal() }

    private func run() {
        do throws(SystemError) {
            // Made before descriptors can run out.
            var poll = try Epoll(capacity: settings.connectionsMax + 2)
            try poll.add(stop.raw, token: stopToken, for: .readable)
            try serve(&poll)
        } catch {
            log.write(
                .error, "\(settings.name)_failed",
                "the \(settings.name) listener has stopped: \(error); restart the daemon")
        }
    }

    private func serve(_ poll: inout Epoll) throws(SystemError) {
        var places = [PlainExchange?](repeating: nil, count: settings.connectionsMax)
        var isAccepting = false
        while true {
            let hasRoom = places.contains { $0 == nil }
            if hasRoom != isAccepting {
                if hasRoom {
                    try poll.add(socket.raw, token: acceptToken, for: .readable)
                } else {
                    try poll.remove(socket.raw)
                }
                isAccepting = hasRoom
            }
            let now = milliseconds()
            let next = places.compactMap { $0?.deadline }.min().map { Int32(clamping: max(0, $0 - now)) }
            let ready = poll.wait(timeoutMilliseconds: next)
            for index in 0..<ready {
                let token = poll.event(index).token
                switch token {
                case stopToken: return
                case acceptToken: accept(&places, poll)
                default:
                    let place = Int(truncatingIfNeeded: token - firstToken)
                    guard places.indices.contains(place), let exchange = places[place] else { continue }
                    if !exchange.advance(poll, token, answer, stream) { places[place] = nil }
                }
            }
            let after = milliseconds()
            for index in places.indices {
                guard let exchange = places[index], exchange.deadline <= after else { continue }
                exchange.refuseLate()
                places[index] = nil
            }
        }
    }

    private func accept(_ places: inout [PlainExchange?], _ poll: borrowing Epoll) {
        guard let place = places.firstIndex(where: { $0 == nil }) else { return }
        switch socket.accept() {
        case .connection(let descriptor):
            let userID = descriptor.peerCredentials()?.userID
            if case .unix = socket.address, let allowed = settings.peerUserIDs {
                guard let userID, allowed.contains(userID) else { return }
            }
            let token = firstToken + UInt64(place)
            let exchange = PlainExchange(
                descriptor, userID: userID, settings.limits, deadline: milliseconds() + settings.exchangeMilliseconds)
            guard exchange.watch(poll, token), exchange.advance(poll, token, answer, stream) else { return }
            places[place] = exchange
        // The caller waits in the kernel's queue; asking again at once would spin.
        case .exhausted: sleepMilliseconds(50)
        case .wouldBlock: break
        case .transient: break
        }
    }
}

private let stopToken: UInt64 = 1
private let acceptToken: UInt64 = 2
private let firstToken: UInt64 = 16

private func milliseconds() -> Int64 { SystemClock.monotonicNanoseconds() / 1_000_000 }

/// One connection, from accept to close.
private final class PlainExchange {
    /// How long a peer that was refused may go on sending, so that it reads why; a close with bytes unread would
    /// take the answer back.
    static let lingerMilliseconds: Int64 = 100

    private(set) var deadline: Int64
    private let descriptor: FileDescriptor
    private let userID: UInt32?
    private var buffer: ReceiveBuffer
    private var reader: PlainRequestReader
    private var output: [UInt8] = []
    private var sent = 0
    private var isAnswered = false
    private var isLingering = false
    private var isRefused = false

    init(_ descriptor: consuming FileDescriptor, userID: UInt32?, _ limits: PlainLimits, deadline: Int64) {
        self.descriptor = descriptor
        self.userID = userID
        self.deadline = deadline
        buffer = ReceiveBuffer(capacity: limits.bufferBytes)
        reader = PlainRequestReader(limits)
    }

    func watch(_ poll: borrowing Epoll, _ token: UInt64) -> Bool {
        (try? poll.add(descriptor.raw, token: token, for: .readable)) != nil
    }

    /// Goes on as far as the socket lets.
    /// - Returns: false when the connection is to be closed.
    func advance(
        _ poll: borrowing Epoll, _ token: UInt64, _ answer: (PlainRequest) -> PlainAnswer,
        _ stream: (PlainUpload) -> PlainAnswer?
    ) -> Bool {
        while !isAnswered {
            switch reader.next(&buffer) {
            case .request(var request):
                request.userID = userID
                output = answer(request).text(isHead: request.method == "HEAD")
                isAnswered = true
            case .stream(var request, let start, let count):
                request.userID = userID
                guard let refused = handOn(request, bodyStart: start, bodyBytes: count, poll, stream) else {
                    return false
                }
                output = refused.text(isHead: false)
                isAnswered = true
                isRefused = true
            case .refuse(let status):
                output = PlainExchange.refusal(status)
                isAnswered = true
                isRefused = true
            case .needBytes:
                switch descriptor.receive(into: &buffer) {
                case .bytes: break
                case .wouldBlock: return true
                case .closed, .bufferFull, .failed: return false
                }
            }
        }
        return isLingering ? linger() : send(poll, token)
    }

    /// - Returns: nil when the connection is another thread's from now on.
    private func handOn(
        _ request: PlainRequest, bodyStart: Int, bodyBytes: Int, _ poll: borrowing Epoll,
        _ stream: (PlainUpload) -> PlainAnswer?
    ) -> PlainAnswer? {
        let received = [UInt8](copying: buffer.bytes.extracting(bodyStart...))
        let copy: FileDescriptor
        do throws(SystemError) {
            copy = try descriptor.duplicate()
        } catch {
            return .failure(503, "\(error)")
        }
        let upload = PlainUpload(request, copy, received: received, bodyBytes: bodyBytes)
        if let refused = stream(upload) { return refused }
        // The copy keeps the connection open, and with it the registration.
        try? poll.remove(descriptor.raw)
        return nil
    }

    private func send(_ poll: borrowing Epoll, _ token: UInt64) -> Bool {
        let bytes = output
        while sent < bytes.count {
            switch descriptor.send(bytes.span.extracting(sent..<bytes.count)) {
            case .sent(let count): sent += count
            case .wouldBlock: return (try? poll.modify(descriptor.raw, token: token, for: .writable)) != nil
            case .closed, .failed: return false
            }
        }
        guard isRefused else { return false }
        descriptor.shutDownSending()
        isLingering = true
        deadline = min(deadline, milliseconds() + PlainExchange.lingerMilliseconds)
        guard (try? poll.modify(descriptor.raw, token: token, for: .readable)) != nil else { return false }
        return linger()
    }

    private func linger() -> Bool {
        while true {
            buffer.removeAll()
            switch descriptor.receive(into: &buffer) {
            case .bytes: guard milliseconds() < deadline else { return false }
            case .wouldBlock: return true
            case .closed, .bufferFull, .failed: return false
            }
        }
    }

    /// Says why the connection ends, when there is something to say.
    func refuseLate() {
        guard !isAnswered, buffer.count > 0 else { return }
        let text = PlainExchange.refusal(408)
        _ = descriptor.send(text.span)
    }

    private static func refusal(_ status: Int) -> [UInt8] {
        let message =
            switch status {
            case 408: "the request did not arrive in time"
            case 413: "the body is too long for this request"
            case 431: "the head of the request is too long"
            default: "the request is not of the form that is taken here"
            }
        return PlainAnswer.failure(status, message).text(isHead: false)
    }
}
