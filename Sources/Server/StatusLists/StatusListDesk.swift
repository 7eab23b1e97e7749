internal import Decision
internal import Kernel
internal import PolicyTables
internal import Signatures
internal import Synchronization
internal import Tokens

/// What `scopecheck status` says of the lists of one issuer.
struct StatusListStatus: Sendable {
    var uri: String
    var issuer: String
    /// usable or unavailable.
    var state: String
    /// Unix seconds; nil without a list.
    var expiresAt: Int64?
    /// nil when the last fetch was good.
    var lastError: String?
}

/// Fetches the status lists that tokens name, and refreshes them in the background.
///
/// The last good list is kept through failures until it expires; then its tokens are denied.
final class StatusListDesk: Sendable {
    /// No list is fetched more often than this, whether it came or not.
    static let cooldownMilliseconds: Int64 = 10_000
    /// Lists that nobody has wanted for this long are not refreshed.
    static let idleMilliseconds: Int64 = 3_600_000
    static let timeoutMilliseconds: Int64 = 10_000
    /// At once: each may take a token and an inflated list of memory.
    static let fetchesMax = 8
    static let fetchesOfIssuerMax = 2
    /// One list, inflated.
    static let listBytesMax = 16 << 20

    private struct State {
        var models: [IssuerModel] = []
        var folder = ""
        var snapshot: IssuerSnapshot?
        var shelf = StatusListShelf()
        var line: [Digest] = []
        var fetching = 0
        /// The same by issuer.
        var fetchingByIssuer: [String: Int] = [:]
        var isStopped = false
    }

    private let clock: AnchoredClock
    private let log: EventLog
    private let defaultAuthorityFile: String?
    private let clients = HTTPSClients(timeoutMilliseconds: StatusListDesk.timeoutMilliseconds)
    private let milliseconds: @Sendable () -> Int64
    private let publish: @Sendable (StatusListTable) -> Void
    private let state = Mutex(State())
    /// Tables are published one after the other, the newest last.
    private let publishing = Mutex(())
    private let ticker = Mutex<Task<Void, Never>?>(nil)

    /// - Parameters:
    ///   - nanoseconds: a clock that never goes back.
    ///   - ticks: whether lists are refreshed, and let go when they expire, without anybody calling `tick`.
    ///   - publish: called with every new table, on any thread.
    init(
        clock: AnchoredClock, log: EventLog, defaultAuthorityFile: String?,
        nanoseconds: @escaping @Sendable () -> Int64 = SystemClock.boottimeNanoseconds, ticks: Bool = true,
        publish: @escaping @Sendable (StatusListTable) -> Void
    ) {
        self.clock = clock
        self.log = log
        self.defaultAuthorityFile = defaultAuthorityFile
        milliseconds = { nanoseconds() / 1_000_000 }
        self.publish = publish
        if ticks { tickEverySecond() }
    }

    private func tickEverySecond() {
        ticker.withLock { ticker in
            ticker = Task.detached { [weak self] in
                while !Task.isCancelled {
                    try? await Task.sleep(nanoseconds: 1_000_000_000)
                    guard let self else { return }
                    self.tick()
                }
            }
        }
    }

    /// Takes the issuers of a policy and their keys. Lists that the policy has no place for any more are let go.
    func use(models: [IssuerModel], snapshot: IssuerSnapshot, folder: String) {
        let waiting = state.withLock { state -> [@Sendable () -> Void]? in
            guard !state.isStopped else { return nil }
            let before = state.snapshot
            state.snapshot = snapshot
            guard models != state.models || folder != state.folder || before == nil else {
                StatusListDesk.noteNewKeys(&state, before)
                return nil
            }
            state.models = models
            state.folder = folder
            StatusListDesk.noteNewKeys(&state, before)
            let gone = state.shelf.keep { entry in
                models.contains { StatusListDesk.allows(entry.uri, of: entry.issuer, $0) }
            }
            return gone.isEmpty ? nil : gone.compactMap(\.done)
        }
        guard let waiting else { return }
        // Elsewhere: the caller may hold a lock that publishing takes.
        Task.detached { [self] in
            publishLists()
            for done in waiting { done() }
        }
    }

    private static func allows(_ uri: [UInt8], of issuer: String, _ model: IssuerModel) -> Bool {
        model.issuer == issuer
            && StatusListAddress.isAllowed(
                uri, prefixes: model.statusLists.map { Array($0.utf8) }, issuer: model.issuer)
    }

    /// A list may have been signed by a key that is gone: it is fetched again at the next opportunity.
    private static func noteNewKeys(_ state: inout State, _ before: IssuerSnapshot?) {
        guard let before, let after = state.snapshot, before !== after else { return }
        for (digest, entry) in state.shelf.entries where entry.list != nil {
            if keys(of: entry.issuer, before)?.keys !== keys(of: entry.issuer, after)?.keys {
                state.shelf[digest]?.isRefreshDue = true
            }
        }
    }

    private static func keys(of issuer: String, _ snapshot: IssuerSnapshot?) -> IssuerKeys? {
        snapshot?.issuers.first { $0.settings.issuer == Array(issuer.utf8) }
    }

    // MARK: fetching

    /// A request waits for a list that the present table does not have.
    /// - Parameter done: called when the fetch has ended, well or not; of several callers that wait for one fetch,
    ///   only the first one's is, so it must wake all.
    /// - Returns: whether there is a fetch to wait for.
    func want(_ question: StatusListQuestion, _ done: @escaping @Sendable () -> Void) -> Bool {
        let now = milliseconds()
        let wall = clock.nowSeconds()
        var hasCome = false
        let isTaken = state.withLock { state -> Bool in
            guard !state.isStopped, let snapshot = state.snapshot, snapshot.generation == question.generation,
                question.issuerIndex >= 0, question.issuerIndex < state.models.count,
                question.issuerIndex < snapshot.issuers.count
            else { return false }
            let model = state.models[question.issuerIndex]
            let issuer = snapshot.issuers[question.issuerIndex].settings.issuer
            guard question.list == StatusReference.listKey(uri: question.uri.span, issuer: issuer.span) else {
                return false
            }
            guard StatusListDesk.allows(question.uri, of: model.issuer, model) else { return false }
            let digest = question.list
            if state.shelf[digest] == nil {
                guard state.shelf.makePlace() else { return false }
                state.shelf[digest] = StatusListEntry(
                    uri: question.uri, issuer: model.issuer, wantedMilliseconds: now)
            }
            guard var entry = state.shelf[digest] else { return false }
            defer { state.shelf[digest] = entry }
            entry.wantedMilliseconds = now
            if let list = entry.list, list.expiresAt > wall {
                // It has come since the request was decided.
                hasCome = true
                return true
            }
            if entry.isOwed {
                if entry.done == nil { entry.done = done }
                return true
            }
            guard now >= entry.mayFetchMilliseconds else { return false }
            entry.issuer = model.issuer
            entry.isOwed = true
            entry.done = done
            state.line.append(digest)
            return true
        }
        if hasCome {
            Task.detached { [self] in
                // After the table that has it was published.
                publishing.withLock { _ in }
                done()
            }
        }
        fetchFromLine()
        return isTaken
    }

    /// Starts the refreshes that are due, and lets lists go that have expired.
    func tick() {
        let now = milliseconds()
        let wall = clock.nowSeconds()
        let hasDropped = state.withLock { state -> Bool in
            guard !state.isStopped else { return false }
            state.shelf.noteUses(milliseconds: now)
            let hasDropped = state.shelf.dropExpired(now: wall)
            // Of those that never came only the last failures are worth telling.
            _ = state.shelf.keep { entry in
                entry.list != nil || entry.isOwed
                    || now - entry.wantedMilliseconds < StatusListDesk.idleMilliseconds
            }
            for (digest, entry) in state.shelf.entries {
                guard let list = entry.list, entry.isRefreshDue || list.refreshAt <= wall, !entry.isOwed,
                    now >= entry.mayFetchMilliseconds,
                    now - entry.wantedMilliseconds < StatusListDesk.idleMilliseconds
                else { continue }
                state.shelf[digest]?.isOwed = true
                state.line.append(digest)
            }
            return hasDropped
        }
        if hasDropped { publishLists() }
        fetchFromLine()
    }

    private struct Fetch {
        var digest: Digest
        var uri: [UInt8]
        var model: IssuerModel
        var folder: String
    }

    private func fetchFromLine() {
        let due = state.withLock { state in
            var due: [Fetch] = []
            var waiting: [Digest] = []
            while !state.isStopped, !state.line.isEmpty, state.fetching < StatusListDesk.fetchesMax {
                let digest = state.line.removeFirst()
                guard let entry = state.shelf[digest], entry.isOwed,
                    let model = state.models.first(where: { $0.issuer == entry.issuer })
                else { continue }
                // One issuer whose server hangs must not hold up the lists of all others.
                guard state.fetchingByIssuer[entry.issuer, default: 0] < StatusListDesk.fetchesOfIssuerMax else {
                    waiting.append(digest)
                    continue
                }
                state.fetching += 1
                state.fetchingByIssuer[entry.issuer, default: 0] += 1
                due.append(Fetch(digest: digest, uri: entry.uri, model: model, folder: state.folder))
            }
            state.line.insert(contentsOf: waiting, at: 0)
            return due
        }
        for fetch in due {
            Task.detached { [self] in finish(fetch, await list(fetch)) }
        }
    }

    private typealias Found = Result<StatusList, StatusListProblem>

    private func list(_ fetch: Fetch) async -> Found {
        let url = String(decoding: fetch.uri, as: UTF8.self)
        let file = fetch.model.certificateAuthorityFile.map { Files.resolve($0, against: fetch.folder) }
        let reply: HTTPSReply
        do throws(HTTPSError) {
            reply = try await clients.exchange(
                HTTPSRequest(
                    url: url, issuer: fetch.model.issuer, headers: [("accept", "application/statuslist+jwt")],
                    replyBytesMax: StatusList.tokenBytesMax,
                    timeoutMilliseconds: StatusListDesk.timeoutMilliseconds),
                authorityFile: file ?? defaultAuthorityFile)
        } catch {
            return .failure(StatusListProblem(description: "\(error)"))
        }
        guard reply.status == 200 else {
            return .failure(StatusListProblem(description: "`\(url)` answered \(reply.status)"))
        }
        guard reply.mediaType == "application/statuslist+jwt" else {
            return .failure(
                StatusListProblem(description: "`\(url)` answered with another type than application/statuslist+jwt"))
        }
        guard let issuer = state.withLock({ StatusListDesk.keys(of: fetch.model.issuer, $0.snapshot) }) else {
            return .failure(StatusListProblem(description: "its issuer is not in the policy any more"))
        }
        do throws(StatusListError) {
            return .success(
                try StatusList.read(
                    reply.body.span, uri: fetch.uri.span, issuer: issuer, now: clock.nowSeconds(),
                    listBytesMax: StatusListDesk.listBytesMax))
        } catch {
            return .failure(StatusListProblem(description: "`\(url)`: \(error)"))
        }
    }

    private func finish(_ fetch: Fetch, _ found: Found) {
        let now = milliseconds()
        var done: (@Sendable () -> Void)?
        var report: String?
        let isNew = state.withLock { state in
            state.fetching -= 1
            state.fetchingByIssuer[fetch.model.issuer, default: 1] -= 1
            // Another policy may have let it go meanwhile.
            guard !state.isStopped, var entry = state.shelf[fetch.digest], entry.issuer == fetch.model.issuer else {
                return false
            }
            done = entry.done
            entry.done = nil
            entry.isOwed = false
            entry.mayFetchMilliseconds = now + StatusListDesk.cooldownMilliseconds
            switch found {
            case .success(let list) where list.issuedAt < entry.list?.issuedAt ?? Int64.min:
                // An old one, signed long ago, would bring tokens back to life.
                report = "it answered with an older list than the one in use"
                entry.lastError = report
                state.shelf[fetch.digest] = entry
                return false
            case .success(let list):
                entry.list = list
                entry.isRefreshDue = false
                entry.lastError = nil
                state.shelf[fetch.digest] = entry
                state.shelf.makeRoom(beside: fetch.digest)
                return true
            case .failure(let problem):
                if entry.lastError != problem.description { report = problem.description }
                entry.lastError = problem.description
                state.shelf[fetch.digest] = entry
                return false
            }
        }
        if let report {
            log.write(
                .warning, "status_list_not_fetched",
                "a status list could not be fetched; the last good one is used until it expires",
                [("issuer", fetch.model.issuer), ("why", report)])
        }
        // The table first: whoever is woken looks there.
        if isNew { publishLists() }
        done?()
        fetchFromLine()
    }

    private func publishLists() {
        publishing.withLock { _ in
            let lists = state.withLock { $0.isStopped ? nil : $0.shelf.lists }
            if let lists { publish(StatusListTable(lists)) }
        }
    }

    /// By URI.
    var status: [StatusListStatus] {
        let now = clock.nowSeconds()
        let entries = state.withLock { Array($0.shelf.entries.values) }
        return entries.map { entry in
            StatusListStatus(
                uri: String(decoding: entry.uri, as: UTF8.self), issuer: entry.issuer,
                state: (entry.list?.expiresAt ?? 0) > now ? "usable" : "unavailable",
                expiresAt: entry.list?.expiresAt, lastError: entry.lastError)
        }.sorted { $0.uri < $1.uri }
    }

    /// Whoever waits is woken; nothing is fetched from now on.
    func stop() {
        ticker.withLock { $0?.cancel() }
        let waiting = state.withLock { state in
            state.isStopped = true
            state.line = []
            return state.shelf.keep { _ in false }.compactMap(\.done)
        }
        for done in waiting { done() }
        clients.stop()
    }
}

private struct StatusListProblem: Error {
    var description: String
}
