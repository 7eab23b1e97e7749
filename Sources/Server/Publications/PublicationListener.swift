internal import Kernel
internal import Tokens

/// The thread that takes publications and nothing else: for whoever delivers them and shall not approve them.
///
///     POST /policy/publications        as on the admin listener
///
/// It has its own places and turns, so that whoever delivers slowly, or all the time, holds up no command.
final class PublicationListener: SideListener {
    /// For the head; what follows has a pace of its own (`PlainUpload`).
    static let requestMillisecondsMax: Int64 = 2_000
    static let connectionsMax = 32

    private let listener: PlainHTTPListener

    /// - Parameter peerUserIDs: nil lets in whom the socket's file lets in.
    init(
        socket: ListeningSocket, peerUserIDs: [UInt32]?, publications: PublicationUploads, log: EventLog
    ) throws(SystemError) {
        var limits = PlainLimits()
        limits.headBytesMax = 16_384
        limits.streamsEveryPost = true
        // What is longer than a publication is refused where it can be said what this listener takes.
        limits.streamedBytesMax = PolicyUploads.bodyBytesMax
        let settings = PlainHTTPListener.Settings(
            name: "publications", limits: limits, exchangeMilliseconds: PublicationListener.requestMillisecondsMax,
            peerUserIDs: peerUserIDs, connectionsMax: PublicationListener.connectionsMax)
        let routes = PublicationRoutes(publications: publications)
        listener = try PlainHTTPListener(
            socket: socket, settings, log: log, answer: { routes.answer($0) }, stream: { routes.take($0) })
    }

    func start() throws(SystemError) -> SystemThread { try listener.start() }

    func requestStop() { listener.requestStop() }
}

/// The one request that there is.
struct PublicationRoutes: Sendable {
    let publications: PublicationUploads

    /// A request whose body is not read yet.
    /// - Returns: nil when it was taken over.
    func take(_ upload: PlainUpload) -> PlainAnswer? {
        guard upload.request.target == PublicationRequests.publishPath else { return missing }
        return publications.take(upload)
    }

    func answer(_ request: PlainRequest) -> PlainAnswer {
        guard request.target == PublicationRequests.publishPath else { return missing }
        guard request.method == "POST" else {
            var answer = PlainAnswer.failure(405, "publications are sent with POST")
            answer.fields.append("Allow: POST")
            return answer
        }
        return .failure(411, "send `Content-Length` and a body")
    }

    private var missing: PlainAnswer {
        var object = JSONObjectWriter()
        object.add(
            "error",
            string:
                "this listener takes publications only (`scopecheck publish`); give the daemon's admin address, which "
                + "is for its own user and root")
        object.add("listener", string: "publications")
        return PlainAnswer(404, object.text())
    }
}
