internal import Decision
internal import HTTP1
internal import Kernel
internal import Octets
internal import Synchronization

/// The thread that answers commands: `status` and `explain` over HTTP/1.1 on a unix socket of mode 0600.
///
/// One connection at a time and one request for each, with a deadline for the whole of it: whoever may connect
/// is the daemon's own user, and a caller that stalls holds up other commands for that long and nothing else.
final class AdminListener: Sendable {
    static let requestMillisecondsMax: Int64 = 2_000

    private let socket: ListeningSocket
    private let stop: EventFD
    private let peerUserIDs: [UInt32]
    private let routes: AdminRoutes
    private let log: EventLog

    init(socket: ListeningSocket, peerUserIDs: [UInt32], routes: AdminRoutes, log: EventLog) throws(SystemError) {
        self.socket = socket
        self.peerUserIDs = peerUserIDs
        self.routes = routes
        self.log = log
        stop = try EventFD()
    }

    func start() throws(SystemError) -> SystemThread {
        try SystemThread.start(name: "admin", context: self) { $0.run() }
    }

    func requestStop() { stop.signal() }

    private func run() {
        do throws(SystemError) {
            var poll = try Epoll(capacity: 8)
            // Made before descriptors can run out.
            var connectionPoll = try Epoll(capacity: 1)
            try poll.add(stop.raw, token: stopToken, for: .readable)
            try poll.add(socket.raw, token: acceptToken, for: .readable)
            while true {
                let ready = poll.wait(timeoutMilliseconds: nil)
                for index in 0..<ready where poll.event(index).token == stopToken { return }
                guard ready > 0 else { continue }
                switch socket.accept() {
                case .connection(let descriptor): serve(descriptor, &connectionPoll)
                // The caller waits in the kernel's queue; asking again at once would spin.
                case .exhausted: sleepMilliseconds(50)
                case .wouldBlock: break
                case .transient: break
                }
            }
        } catch {
            log.write(.error, "admin_failed", "the admin listener has stopped: \(error); restart the daemon")
        }
    }

    private func serve(_ descriptor: consuming FileDescriptor, _ poll: inout Epoll) {
        let deadline = SystemClock.monotonicNanoseconds() / 1_000_000 + AdminListener.requestMillisecondsMax
        if case .unix = socket.address {
            guard let peer = descriptor.peerCredentials(), peerUserIDs.contains(peer.userID) else { return }
        }
        do throws(SystemError) {
            try poll.add(descriptor.raw, token: 0, for: .readable)
        } catch {
            return
        }
        let limits = HTTPLimits()
        var buffer = ReceiveBuffer(capacity: limits.bufferBytes)
        var connection = HTTPConnection(profile: .scopecheck, limits: limits)
        while true {
            switch connection.next(&buffer) {
            case .request(let request):
                reply(to: request, buffer.bytes, on: descriptor, &poll, deadline)
                return
            case .refuse(let status):
                var output = ByteWriter(capacity: 1_024)
                HTTPConnection.appendRefusal(status, to: &output)
                send(output.bytes, on: descriptor, &poll, deadline)
                return
            case .close: return
            case .needBytes: break
            }
            guard waitUntilReady(&poll, deadline) else { return }
            switch descriptor.receive(into: &buffer) {
            case .bytes, .wouldBlock: break
            case .closed, .bufferFull, .failed: return
            }
        }
    }

    private func reply(
        to request: HTTPRequest, _ bytes: Span<UInt8>, on descriptor: borrowing FileDescriptor,
        _ poll: inout Epoll, _ deadline: Int64
    ) {
        let answer = routes.answer(request, bytes)
        var head: [UInt8] = []
        head.append(contentsOf: "HTTP/1.1 \(answer.status) \(answer.phrase)\r\n".utf8)
        head.append(contentsOf: "Content-Type: application/json\r\nCache-Control: no-store\r\n".utf8)
        head.append(contentsOf: "Content-Length: \(answer.body.count)\r\nConnection: close\r\n\r\n".utf8)
        head.append(contentsOf: answer.body)
        send(head.span, on: descriptor, &poll, deadline)
    }

    private func send(
        _ bytes: Span<UInt8>, on descriptor: borrowing FileDescriptor, _ poll: inout Epoll, _ deadline: Int64
    ) {
        // It fails only for a descriptor that is not watched; the wait below then ends at the deadline.
        try? poll.modify(descriptor.raw, token: 0, for: .writable)
        var sent = 0
        while sent < bytes.count {
            switch descriptor.send(bytes.extracting(sent..<bytes.count)) {
            case .sent(let count): sent += count
            case .wouldBlock: guard waitUntilReady(&poll, deadline) else { return }
            case .closed, .failed: return
            }
        }
    }

    private func waitUntilReady(_ poll: inout Epoll, _ deadline: Int64) -> Bool {
        let left = deadline - SystemClock.monotonicNanoseconds() / 1_000_000
        return left > 0 && poll.wait(timeoutMilliseconds: Int32(clamping: left)) > 0
    }
}

private let stopToken: UInt64 = 1
private let acceptToken: UInt64 = 2

/// What a command is answered.
struct AdminAnswer: Sendable {
    var status: Int
    var body: [UInt8]

    var phrase: String {
        switch status {
        case 200: "OK"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        default: "Service Unavailable"
        }
    }
}

/// The requests that the admin listener knows.
struct AdminRoutes: Sendable {
    /// The daemon's state as a JSON object, and for people.
    var status: @Sendable () -> [UInt8]
    var statusText: @Sendable () -> [UInt8]
    /// Whether there is a policy to decide on.
    var isReady: @Sendable () -> Bool
    /// The decision on the facts that the request's headers state, explained, as a JSON object.
    var explain: @Sendable (RequestFacts, [UInt8], Int64?) -> [UInt8]

    func answer(_ request: HTTPRequest, _ bytes: Span<UInt8>) -> AdminAnswer {
        let target = String(lossy: bytes.bytes(at: request.target))
        guard equal(bytes.bytes(at: request.method), "GET") else {
            return failure(405, "only GET is known here")
        }
        let path = target.prefix { $0 != "?" }
        switch path {
        case "/": return AdminAnswer(status: isReady() ? 200 : 503, body: Array("{}".utf8))
        case "/status": return AdminAnswer(status: 200, body: status())
        case "/status.txt": return AdminAnswer(status: 200, body: statusText())
        case "/explain":
            let at = target.split(separator: "?").last.flatMap { query in
                query.hasPrefix("at=") ? Int64(query.dropFirst(3)) : nil
            }
            return AdminAnswer(status: 200, body: explain(request.facts, [UInt8](copying: bytes), at))
        default: return failure(404, "`\(path)` is not known here; there are /status, /status.txt and /explain")
        }
    }

    private func failure(_ status: Int, _ message: String) -> AdminAnswer {
        var body = Array("{\"error\":".utf8)
        body.append(jsonString: message)
        body.append(0x7D)
        return AdminAnswer(status: status, body: body)
    }
}
