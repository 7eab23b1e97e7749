internal import Decision
internal import Kernel
internal import Octets

/// The thread that answers commands: state, explanations and revocations, over HTTP/1.1 on a unix socket of mode 0600.
///
/// Whoever may connect is the daemon's own user, or root. A browser of such a user cannot: it reaches no unix socket,
/// and over TCP a request is taken for a host of this machine only, and without `Origin` where it changes something.
final class AdminListener: SideListener {
    static let requestMillisecondsMax: Int64 = 2_000
    static let bodyBytesMax = 65_536

    private let listener: PlainHTTPListener

    init(socket: ListeningSocket, peerUserIDs: [UInt32], routes: AdminRoutes, log: EventLog) throws(SystemError) {
        var hosts: [String]?
        if case .tcp(_, let port) = socket.address {
            hosts =
                ["localhost", "127.0.0.1", "[::1]"].flatMap { [$0, "\($0):\(port)"] } + [socket.address.description]
        }
        var limits = PlainLimits()
        limits.bodyBytesMax = AdminListener.bodyBytesMax
        limits.streamedPaths = PolicyUploads.paths + PublicationRequests.paths
        limits.streamedBytesMax = PolicyUploads.bodyBytesMax
        let settings = PlainHTTPListener.Settings(
            name: "admin", limits: limits, exchangeMilliseconds: AdminListener.requestMillisecondsMax,
            peerUserIDs: peerUserIDs)
        listener = try PlainHTTPListener(
            socket: socket, settings, log: log, answer: { [hosts] in routes.answer($0, hosts: hosts) },
            stream: { [hosts] in routes.take($0, hosts: hosts) })
    }

    func start() throws(SystemError) -> SystemThread { try listener.start() }

    func requestStop() { listener.requestStop() }
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
    /// nil where the daemon keeps none.
    var revocations: RevocationDesk?
    /// nil where nothing can be compared.
    var shadow: ShadowDesk?
    /// The public keys of transaction tokens; nil where none are made.
    var transactionKeys: (@Sendable () -> [UInt8])?
    /// Versions and activations; nil where the policy is not the daemon's.
    var policies: PolicyVersions?
    var uploads: PolicyUploads?
    var publications: PublicationUploads?

    init(
        status: @escaping @Sendable () -> [UInt8], statusText: @escaping @Sendable () -> [UInt8],
        isReady: @escaping @Sendable () -> Bool,
        explain: @escaping @Sendable (RequestFacts, [UInt8], Int64?) -> [UInt8], revocations: RevocationDesk? = nil,
        transactionKeys: (@Sendable () -> [UInt8])? = nil, policies: PolicyVersions? = nil,
        uploads: PolicyUploads? = nil, publications: PublicationUploads? = nil
    ) {
        self.status = status
        self.statusText = statusText
        self.isReady = isReady
        self.explain = explain
        self.revocations = revocations
        self.transactionKeys = transactionKeys
        self.policies = policies
        self.uploads = uploads
        self.publications = publications
    }

    /// A request whose body is not read yet.
    /// - Returns: nil when it was taken over.
    func take(_ upload: PlainUpload, hosts: [String]?) -> PlainAnswer? {
        if let refused = refuseForeign(upload.request, hosts) { return refused }
        if PublicationRequests.paths.contains(upload.request.target) {
            guard let publications else { return .failure(404, "this daemon takes no publications") }
            return publications.take(upload)
        }
        guard let uploads else { return .failure(404, "this daemon takes no policies") }
        return uploads.take(upload)
    }

    private func refuseForeign(_ request: PlainRequest, _ hosts: [String]?) -> PlainAnswer? {
        guard let hosts else { return nil }
        // A page whose name was made to lead to this machine says its own name.
        guard let host = request.host?.lowercased(), hosts.contains(host) else {
            return .failure(421, "this host is not known here")
        }
        return nil
    }

    /// - Parameter hosts: what Host may say, lower case; nil where no browser can connect.
    func answer(_ request: PlainRequest, hosts: [String]?) -> PlainAnswer {
        if let refused = refuseForeign(request, hosts) { return refused }
        let path = request.path
        if path == "/revocations" || path.hasPrefix("/revocations/") {
            guard let revocations else { return .failure(404, "this daemon keeps no revocations") }
            return RevocationRoutes(revocations).answer(request)
        }
        if path == "/policy/shadow" || path == "/policy/shadow.txt" {
            guard let shadow else { return .failure(404, "this daemon compares nothing") }
            return ShadowRoutes(shadow).answer(request)
        }
        if request.method == "POST", (PolicyUploads.paths + PublicationRequests.paths).contains(path) {
            return .failure(411, "send `Content-Length` and a body")
        }
        guard request.method == "GET" else { return .failure(405, "only GET is known here") }
        guard request.body.isEmpty else { return .failure(400, "this request takes no body") }
        if let found = policies?.answer(request) { return found }
        if let found = publications?.answer(request) { return found }
        switch path {
        case "/": return PlainAnswer(isReady() ? 200 : 503, Array("{}".utf8))
        case "/status": return PlainAnswer(200, status())
        case "/status.txt": return PlainAnswer(200, statusText())
        case "/explain":
            let at = request.parameter("at").flatMap { Int64($0) }
            return PlainAnswer(200, explain(request.facts, request.head, at))
        case "/jwks.json":
            guard let transactionKeys else { return .failure(404, "this daemon makes no transaction tokens") }
            return PlainAnswer(200, transactionKeys())
        default:
            return .failure(
                404,
                "`\(path)` is not known here; there are /status, /status.txt, /explain, /revocations, /policy/log and /jwks.json"
            )
        }
    }
}
