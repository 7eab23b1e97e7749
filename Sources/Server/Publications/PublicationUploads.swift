internal import Kernel
internal import Policy
internal import PolicyTables
internal import Synchronization

/// Requests about publications, each on a thread of its own: judging one takes as long as the policy takes to compile.
///
/// Each listener has one of these. Of its publications one at a time asks for the desk's turn, so that an approval waits
/// for at most one of each listener, however many are being delivered.
final class PublicationUploads: Sendable {
    /// A publication is up to 4 MiB of memory until it is judged, and they are judged one after the other.
    static let waitingMax = 8
    /// Approvals and rejections, which have places of their own: people do not queue behind services.
    static let decisionsMax = 4
    /// With those whose peer has not read its answer yet.
    static let threadsMax = 32

    private struct Turns {
        var waiting = 0
        var decisions = 0
        var threads = 0
    }

    private let requests: PublicationRequests
    private let turns = Mutex(Turns())
    private let pauseNanoseconds: Int64
    /// Before this time none is judged, nanoseconds of the monotonic clock.
    private let notBefore = Mutex<Int64>(0)

    /// - Parameter pauseAfterRefusalMilliseconds: each refused publication is a line in the log and most of them a child
    ///   process, which whoever needs no key for it must not have as fast as the machine can.
    init(_ desk: PublicationDesk, pauseAfterRefusalMilliseconds: Int64 = 0) {
        requests = PublicationRequests(desk: desk)
        pauseNanoseconds = pauseAfterRefusalMilliseconds * 1_000_000
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
        let hasTurn = turns.withLock { turns in
            if isPublication {
                guard turns.waiting < PublicationUploads.waitingMax, turns.threads < PublicationUploads.threadsMax
                else {
                    return false
                }
                turns.waiting += 1
                turns.threads += 1
            } else {
                guard turns.decisions < PublicationUploads.decisionsMax else { return false }
                turns.decisions += 1
            }
            return true
        }
        guard hasTurn else { return .failure(503, "too many publications are being judged; try again in a while") }
        return upload.answerOnThread(
            name: "publication", endTurn: { [self] in if isPublication { turns.withLock { $0.waiting -= 1 } } },
            endThread: { [self] in
                turns.withLock { turns in
                    if isPublication { turns.threads -= 1 } else { turns.decisions -= 1 }
                }
            }
        ) { [self] upload in
            var body: [UInt8] = []
            body.reserveCapacity(upload.bodyBytes)
            try upload.read { body += $0 }
            guard isPublication else { return requests.answer(upload.request, body: body) }
            return judge(upload.request, body)
        }
    }

    private func judge(_ request: PlainRequest, _ body: [UInt8]) -> PlainAnswer {
        notBefore.withLock { notBefore in
            let early = notBefore - SystemClock.monotonicNanoseconds()
            if early > 0 { sleepMilliseconds(UInt32(clamping: (early + 999_999) / 1_000_000)) }
            let answer = requests.answer(request, body: body)
            if answer.status >= 400 { notBefore = SystemClock.monotonicNanoseconds() + pauseNanoseconds }
            return answer
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
                waitForPeople: { [hold] in hold.wait() },
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
