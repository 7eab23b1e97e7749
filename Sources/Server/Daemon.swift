internal import Decision
internal import FastCGI
internal import HTTP1
internal import Kernel
internal import Octets
internal import PolicyTables
internal import Signatures
internal import Store
internal import Synchronization
internal import Tokens

/// The daemon: listeners, workers, the policy in force, the issuers' keys, and the thread that looks after them.
///
/// The control thread (the caller's) waits for signals, renamed policy files and the clock; loading a policy and
/// fetching keys happen on other threads, so that it always answers a SIGTERM.
public final class Daemon {
    private let settings: DaemonSettings
    private let log: EventLog
    private let pipe: LinePipe
    private let remarks: ScopeRemarks
    private let store: PolicyStore
    private let storeLock: FileLock
    private let board = SnapshotBoard()
    private let clock = AnchoredClock()
    private let loader: PolicyLoader
    private let policies: PolicyDesk
    private let proofs: ProofRecords
    private let introspections: IntrospectionRecords
    private let revocations: RevocationDesk
    private let transactions: TransactionKeys?
    private let drift: DriftDesk?
    private let manager = ServiceManager()
    private let signals: SignalFD
    /// SIGHUP came before there was anything to read again.
    private var reloadsAtOnce = false
    private var lastSignal: Int32 = 0
    private var refusedPeers = RefusedPeersReport()
    private var listeners: [Listener] = []
    private var sideSockets = SideSockets()
    private var controls: [WorkerControl] = []
    private var threads: [SystemThread] = []
    private var libFCGIThreads: [SystemThread] = []

    /// Takes the store. Nothing is answered before `run`.
    /// - Throws: what a person must mend before the daemon can start; `EndedBeforeServing`.
    public init(_ settings: DaemonSettings) throws {
        self.settings = settings
        signals = try SignalFD(AnsweredSignals.all)
        log = EventLog(output: LineOutput(descriptor: 2))
        pipe = try LinePipe()
        remarks = ScopeRemarks(pipe: pipe)
        Signals.ignoreBrokenPipe()
        try ProcessResources.raiseOpenFileLimit()
        try Files.makeFolder(settings.store)
        storeLock = try Daemon.takeLock(settings.store + "/daemon.lock", log, signals)
        let environment = try Store.Environment(
            path: settings.store, mapBytes: settings.storeMapBytes,
            maxReaders: settings.workers * (1 + libFCGIThreadsPerWorker * settings.listeners.count) + 64)
        let signing = try SigningRule.wanted(by: settings)
        store = try PolicyStore(environment, requiresApproval: signing != nil)
        // Left behind by a daemon that was killed while a policy came in.
        try Files.remove(PolicyUploads.spoolPath(settings.store))
        loader = PolicyLoader(
            store: store, storeFolder: settings.store, mapBytes: settings.storeMapBytes, log: log)
        proofs = ProofRecords(entriesMax: settings.proofsMax, startedAt: clock.nowSeconds())
        introspections = IntrospectionRecords(entriesMax: settings.introspectionsMax)
        let policies = PolicyDesk(
            store: store, loader: loader, board: board, log: log, clock: clock,
            settings: settings.keys, places: settings.policy, environment: settings.environment, signing: signing,
            introspections: introspections)
        self.policies = policies
        let clock = self.clock
        revocations = try RevocationDesk(
            folder: RevocationFiles.folder(ofStore: settings.store), mapBytes: RevocationFiles.mapBytes,
            clock: { clock.nowSeconds() }, lifetime: { policies.lifetime(ofIssuer: $0) }, log: log,
            publish: { policies.publish($0) })
        let log = self.log
        let store = self.store
        drift = settings.drift.map { wanted in
            DriftDesk(sources: wanted.sources, everySeconds: wanted.everySeconds, log: log) {
                policies.activation.flatMap { (try? store.source($0.version)) ?? nil }
            }
        }
        transactions = settings.transactions.map { wanted in
            var keys = TransactionKeys.Settings(issuer: wanted.issuer, lifetimeSeconds: wanted.lifetimeSeconds)
            keys.rotationSeconds = wanted.rotationSeconds
            return TransactionKeys(
                folder: settings.store, keys, clock: { clock.nowSeconds() }, log: log,
                publish: { policies.publish($0) })
        }
    }

    /// Serves until a signal says to stop, then drains.
    /// - Returns: the exit code: 0 after a drain, 2 when a worker has failed.
    /// - Throws: what a person must mend before the daemon can start; `EndedBeforeServing`.
    public func run() throws -> Int32 {
        try endIfAsked()
        // Before the file is read: a file that is renamed into place meanwhile must be seen.
        var watch = try PolicyWatch(settings.policy, log: log)
        try policies.start()
        try endIfAsked()
        try openListeners()
        _ = try SystemThread.start(name: "denial-log", context: pipe) { $0.copy(to: 2) }
        // Everything that the daemon opens for itself is open before the first connection is accepted: callers could
        // take all descriptors that there are.
        var poll = try Epoll(capacity: 8)
        try startWorkers()
        let libFCGIWorkers = try makeLibFCGIWorkers()
        let publications = policies.makePublicationDesk(
            storeFolder: settings.store, mapBytes: settings.storeMapBytes)
        var sideListeners = SideListeners()
        try sideListeners.start(makeAdmin(publications))
        try sideListeners.start(makeDocuments())
        try sideListeners.start(makePublications(publications))
        try revocations.start()
        try transactions?.start()
        try drift?.start()
        try open(libFCGIWorkers)
        manager.ready(status: "serving \(policies.statusLine)")
        log.write(.info, "started", "serving on \(listeners.map(\.socket.address.description).joined(separator: ", "))")
        try control(&poll, &watch)
        manager.stopping()
        announceDrain()
        let isClean = drain()
        sideListeners.stop()
        drift?.stop()
        transactions?.stop()
        revocations.stop()
        policies.stop()
        pipe.finish(waitingMilliseconds: 1_000)
        log.write(.info, "stopped", isClean ? "drained" : "stopped with connections still open")
        return controls.contains(where: \.hasFailed) ? 2 : 0
    }

    /// Before anything is open that callers could wait for, the end needs no drain.
    private func endIfAsked() throws {
        while let signal = signals.next() {
            guard signal == AnsweredSignals.hangUp else {
                policies.stop()
                throw EndedBeforeServing(log)
            }
            reloadsAtOnce = true
        }
    }

    // MARK: control

    private func control(_ poll: inout Epoll, _ watch: inout PolicyWatch) throws {
        try poll.add(signals.raw, token: signalToken, for: .readable)
        try poll.add(watch.raw, token: folderToken, for: .readable)
        if reloadsAtOnce { reload(&watch) }
        while true {
            let ready = poll.wait(timeoutMilliseconds: 1_000)
            for index in 0..<ready {
                switch poll.event(index).token {
                case signalToken:
                    while let signal = signals.next() {
                        guard signal == AnsweredSignals.hangUp else {
                            lastSignal = signal
                            return
                        }
                        reload(&watch)
                    }
                default:
                    if watch.hasChanged() { policies.reload() }
                }
            }
            observeClock()
            refusedPeers.observe(controls, listeners, log)
            if controls.contains(where: \.hasFailed) { return }
        }
    }

    private func reload(_ watch: inout PolicyWatch) {
        let what = settings.requiredSignatures > 0 ? "the trusted keys are" : "the policy is"
        log.write(.info, "reload_asked", "SIGHUP: \(what) read again")
        watch.follow()
        policies.reload()
    }

    private func observeClock() {
        switch clock.observe() {
        case .steady: break
        case .forward(let nanoseconds):
            log.write(.warning, "clock_forward", "the system clock jumped \(nanoseconds / 1_000_000_000) s ahead")
        case .backward(let nanoseconds):
            log.write(
                .warning, "clock_backward",
                "the system clock was set back \(nanoseconds / 1_000_000_000) s; decisions keep the later time")
        }
    }

    // MARK: starting

    private func openListeners() throws {
        var inherited = try InheritedSockets.take()
        sideSockets.admin = try settings.admin.map { try socket(for: $0, &inherited) }
        sideSockets.documents = try settings.documents.map { try socket(for: $0, &inherited) }
        sideSockets.publications = try settings.publications.map { try socket(for: $0, &inherited) }
        for wanted in settings.listeners {
            let socket = try socket(for: wanted, &inherited)
            listeners.append(
                Listener(
                    socket: socket, wire: wanted.kind.wire, profile: wanted.profile,
                    peerUserIDs: wanted.isUnix ? wanted.peerUserIDs : nil, usesLibFCGI: wanted.kind == .libFCGI,
                    number: listeners.count))
        }
        for socket in inherited.untaken {
            log.write(
                .warning, "socket_unused",
                "the inherited socket `\(socket.name)` (\(socket.address)) is none of this configuration's listeners")
        }
    }

    /// The socket that the service manager passed for these settings, or one of our own.
    private func socket(
        for wanted: ListenerSettings, _ inherited: inout InheritedSockets
    ) throws -> ListeningSocket {
        if let given = inherited.take(address: wanted.address) { return given }
        if let given = inherited.take(named: wanted.name).first {
            try check(given, isLike: wanted)
            return given
        }
        return try ListeningSocket.listen(on: wanted.address, permissions: wanted.permissions)
    }

    /// A socket taken by its name alone must not open more than the configuration says.
    private func check(_ socket: ListeningSocket, isLike wanted: ListenerSettings) throws {
        let isUnix =
            switch socket.address {
            case .unix: true
            case .tcp: false
            }
        guard isUnix == wanted.isUnix, isUnix || socket.address.isLocal || settings.allowsRemote else {
            throw StartRefusal(
                description: "the inherited socket `\(wanted.name)` is on \(socket.address), the configuration says "
                    + "\(wanted.address); make the socket unit and the configuration agree")
        }
    }

    private func startWorkers() throws {
        let own = listeners.filter { !$0.usesLibFCGI }
        for number in 0..<settings.workers where !own.isEmpty {
            threads.append(try makeSeed(number, own).startThread())
        }
        while !controls.allSatisfy({ $0.isReady || $0.hasFailed }) { sleepMilliseconds(1) }
    }

    private func makeLibFCGIWorkers() throws -> [LibFCGIWorker] {
        var workers: [LibFCGIWorker] = []
        for listener in listeners where listener.usesLibFCGI {
            try Signals.makeInterrupting(LibFCGIWorker.interruptSignal)
            for number in 0..<settings.workers * libFCGIThreadsPerWorker {
                workers.append(LibFCGIWorker(try makeSeed(number, []), listener: listener))
            }
        }
        return workers
    }

    /// Lets workers accept, and starts those of the reference library, which do at once.
    private func open(_ libFCGIWorkers: [LibFCGIWorker]) throws {
        // Those of our own engine come first; to the library's threads a wake means the end.
        for control in controls.prefix(threads.count) { control.requestOpen() }
        for worker in libFCGIWorkers {
            let thread = try worker.startThread()
            threads.append(thread)
            libFCGIThreads.append(thread)
        }
    }

    private func makeSeed(_ number: Int, _ listeners: [Listener]) throws -> WorkerSeed {
        let control = try WorkerControl()
        controls.append(control)
        // To the reference library's threads a wake means the end; they look again by themselves.
        if !listeners.isEmpty { policies.addWaiter(control.wake) }
        return WorkerSeed(
            number: number, listeners: listeners, limits: settings.connectionLimits, control: control, board: board,
            store: store, tokenCacheEntriesMax: settings.tokenCacheEntries / settings.workers, denialPipe: pipe,
            denialLinesPerSecond: max(1, settings.denialLinesPerSecond / settings.workers), remarks: remarks,
            fetches: policies, proofs: proofs, introspections: introspections, shadow: policies.shadow,
            wallClock: clock, log: log)
    }

    private func makeAdmin(_ publications: PublicationDesk) throws -> AdminListener? {
        guard let socket = sideSockets.admin else { return nil }
        let desk = ExplanationDesk(board: board, store: store, clock: clock, introspections: introspections)
        let report = StatusReport(
            policies: policies, revocations: revocations,
            listeners: listeners.map { ($0.socket.address.description, $0.wire.name) } + sideSockets.listed,
            startedAt: clock.nowSeconds(), clock: clock, remarks: remarks)
        let controls = self.controls
        var routes = AdminRoutes(
            status: { report.json(controls.map(\.figures), isDraining: controls.contains(where: \.isDrainAnnounced)) },
            statusText: {
                report.text(controls.map(\.figures), isDraining: controls.contains(where: \.isDrainAnnounced))
            },
            isReady: { [board] in board.snapshot != nil && !controls.contains(where: \.isDrainAnnounced) },
            explain: { facts, bytes, at in desk.explain(facts, bytes, at) }, revocations: revocations,
            transactionKeys: transactionKeySet, policies: PolicyVersions(store: store),
            uploads: PolicyUploads(policies, storeFolder: settings.store, log: log),
            publications: PublicationUploads(publications))
        routes.shadow = policies.shadow
        return try AdminListener(socket: socket, peerUserIDs: [0, Accounts.ownUserID], routes: routes, log: log)
    }

    private func makeDocuments() throws -> DocumentListener? {
        guard let socket = sideSockets.documents else { return nil }
        let routes = DocumentRoutes(
            metadata: { [board, store] host, path in
                guard let snapshot = board.snapshot else { return nil }
                return try store.metadata(snapshot.version, host: host, path: path)
            }, transactionKeys: transactionKeySet)
        return try DocumentListener(socket: socket, routes: routes, log: log)
    }

    private func makePublications(_ desk: PublicationDesk) throws -> PublicationListener? {
        guard let socket = sideSockets.publications, let wanted = settings.publications else { return nil }
        let uploads = PublicationUploads(desk, pauseAfterRefusalMilliseconds: 100)
        return try PublicationListener(
            socket: socket, peerUserIDs: wanted.namesPeers ? wanted.peerUserIDs : nil, publications: uploads, log: log)
    }

    private var transactionKeySet: (@Sendable () -> [UInt8])? {
        guard let transactions else { return nil }
        return { transactions.jwks }
    }

    // MARK: stopping

    /// Lets health checks fail for a while before anything closes, so that a proxy asks the other agents already
    /// when this one goes. A second signal ends the wait; so does SIGINT as the first, which a person sends.
    private func announceDrain() {
        for control in controls { control.announceDrain() }
        guard settings.drainDelay > 0, lastSignal == AnsweredSignals.terminate else { return }
        log.write(.info, "draining", "health checks fail from now on; closing in \(settings.drainDelay) ms")
        let deadline = SystemClock.monotonicNanoseconds() + settings.drainDelay * 1_000_000
        while SystemClock.monotonicNanoseconds() < deadline {
            if let signal = signals.next(), signal != AnsweredSignals.hangUp { return }
            sleepMilliseconds(10)
        }
    }

    /// - Returns: whether every connection ended by itself.
    private func drain() -> Bool {
        for control in controls { control.requestDrain() }
        let deadline = SystemClock.monotonicNanoseconds() + settings.drainMilliseconds * 1_000_000
        while !controls.allSatisfy(\.hasFinished) {
            guard SystemClock.monotonicNanoseconds() < deadline else { return false }
            // A thread of the reference library may be reading from a peer that has stalled.
            for thread in libFCGIThreads { thread.send(signal: LibFCGIWorker.interruptSignal) }
            sleepMilliseconds(2)
        }
        for thread in threads { thread.join() }
        for listener in listeners { listener.socket.close() }
        return true
    }
}

private let signalToken: UInt64 = 1
private let folderToken: UInt64 = 2
/// Each of the reference library's threads serves one connection at a time, start to end.
private let libFCGIThreadsPerWorker = 4
