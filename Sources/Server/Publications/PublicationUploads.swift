internal import Kernel
internal import Policy
internal import PolicyTables
internal import Synchronization

/// Requests about publications, each on a thread of its own: judging one takes as long as the policy takes to compile.
final class PublicationUploads: Sendable {
    /// A publication is up to 4 MiB of memory until it is judged, and they are judged one after the other.
    private static let waitingMax = 8

    private let requests: PublicationRequests
    private let waiting = Mutex(0)

    init(_ desk: PublicationDesk) {
        requests = PublicationRequests(desk: desk)
    }

    /// - Returns: nil for a request of others.
    func answer(_ request: PlainRequest) -> PlainAnswer? { requests.list(request) }

    /// Takes a request over, of which nothing but the head was read.
    /// - Returns: nil when a thread will answer it.
    func take(_ upload: PlainUpload) -> PlainAnswer? {
        let request = upload.request
        guard !request.hasOrigin else { return .failure(403, "a request from a web page is not taken") }
        guard request.method == "POST", request.contentType?.lowercased() == "application/octet-stream" else {
            return .failure(415, "send POST with `Content-Type: application/octet-stream`")
        }
        let isPublication = request.path == PublicationRequests.publishPath
        guard upload.bodyBytes <= (isPublication ? PublicationRequests.bodyBytesMax : PublicationRequests.lineBytesMax)
        else { return .failure(413, "the body is too long for this request") }
        let hasTurn = waiting.withLock { count in
            guard count < PublicationUploads.waitingMax else { return false }
            count += 1
            return true
        }
        guard hasTurn else { return .failure(503, "too many publications are being judged; try again in a while") }
        return upload.answerOnThread(
            name: "publication", endTurn: { [self] in waiting.withLock { $0 -= 1 } }
        ) { [requests] upload in
            var body: [UInt8] = []
            body.reserveCapacity(upload.bodyBytes)
            try upload.read { body += $0 }
            return requests.answer(upload.request, body: body)
        }
    }
}

extension PolicyDesk {
    /// The desk for what services publish, on this daemon's store.
    func makePublicationDesk(storeFolder: String, mapBytes: Int) -> PublicationDesk {
        let child = PublicationChild(
            loader: loader, storeFolder: storeFolder, mapBytes: mapBytes, now: { [clock] in clock.nowSeconds() },
            folder: { [self] _ in activation.map { folder(of: $0) } ?? "" })
        return PublicationDesk(
            PublicationHost(
                store: store, now: { [clock] in clock.nowSeconds() }, requiresSignatures: signing != nil,
                judge: { try child.judge($0, $1, $2, $3) },
                activate: { [self] version, cause, expecting in
                    do {
                        let folder = activation.map { self.folder(of: $0) } ?? ""
                        let change = try change(to: version, cause: cause, folder: folder, expecting: expecting)
                        return PublicationHost.Change(number: change.activation.number, isUnchanged: change.isUnchanged)
                    } catch PolicyChangeRefusal.moved {
                        throw PublicationHost.Moved()
                    }
                }, tidy: { [self] in loader.prune(shadowed: shadow.version) }, log: log))
    }
}
