internal import Decision
internal import FastCGI
internal import HTTP1
internal import Kernel
internal import Octets
internal import PolicyTables
internal import SPOP
internal import Signatures
internal import Synchronization

/// How the bytes on a listener are read.
enum Wire: Sendable {
    case fastCGI
    case http
    case spop

    /// As people know it.
    var name: String {
        switch self {
        case .fastCGI: "FastCGI"
        case .http: "HTTP"
        case .spop: "SPOP"
        }
    }
}

/// One listening socket with what is believed of those who connect to it.
struct Listener: Sendable {
    var socket: ListeningSocket
    var wire: Wire
    var profile: FactProfile
    /// Users whose processes may connect to a unix socket; nil admits whom the file's mode lets in.
    var peerUserIDs: [UInt32]?

    /// Served by threads of the reference library instead of the workers.
    var usesLibFCGI = false
    /// Its place among the daemon's listeners.
    var number = 0

    /// Whether the process at the other end may ask.
    func check(peerOf descriptor: borrowing FileDescriptor) -> PeerCheck {
        guard let peerUserIDs else { return .admitted }
        guard let peer = descriptor.peerCredentials() else { return .refused(userID: nil) }
        return peerUserIDs.contains(peer.userID) ? .admitted : .refused(userID: peer.userID)
    }

    /// The same for a descriptor that somebody else owns.
    func check(peerOf raw: Int32) -> PeerCheck {
        let descriptor = FileDescriptor(owning: raw)
        let result = check(peerOf: descriptor)
        _ = descriptor.release()
        return result
    }
}

/// What one worker's connections may take.
struct ConnectionLimits: Sendable {
    var connectionsMax: Int
    var receiveMilliseconds: Int64
    var sendMilliseconds: Int64
    var idleMilliseconds: Int64
    var parkMilliseconds: Int64
    var fastCGI: FastCGILimits
    var http: HTTPLimits
    var spop = SPOPLimits()

    var receiveBytes: Int { max(fastCGI.bufferBytes, http.bufferBytes, spop.bufferBytes) }
    /// How long a request may wait for what it owes.
    func waitMilliseconds(for outcome: Outcome) -> Int64 {
        switch outcome {
        case .answered, .verificationOwed: 0
        case .keyOwed, .statusListOwed: parkMilliseconds
        // The exchange's own deadline comes first, so that its failure is what is answered.
        case .introspectionOwed(let question): question.timeoutMilliseconds + 50
        }
    }

    /// Questions of SPOP connections that may wait for a verification or a key, each in a place of its own. Verified
    /// one after the other they take a fraction of the second that HAProxy waits.
    var heldMax = 1_024
    /// Longest question that may wait; a frame of the shipped configuration fits.
    var heldBytesMax = 32_768
}

/// Asks elsewhere for what a request needs. Each returns whether something is under way whose end will wake the
/// workers; false while nothing may be asked.
protocol Fetches: Sendable {
    func wantKeys(issuerIndex: Int) -> Bool
    func wantIntrospection(_ question: IntrospectionQuestion) -> Bool
    func wantStatusList(_ question: StatusListQuestion) -> Bool
}

/// What a request waits for. It waits once for each.
struct Awaited: OptionSet, Sendable {
    let rawValue: UInt8
    static let keys = Awaited(rawValue: 1)
    static let introspection = Awaited(rawValue: 2)
    static let statusList = Awaited(rawValue: 4)
}

/// What a worker is made from, on its own thread.
final class WorkerSeed: Sendable {
    let number: Int
    let listeners: [Listener]
    let limits: ConnectionLimits
    let control: WorkerControl
    let board: SnapshotBoard
    let store: PolicyStore
    let tokenCacheEntriesMax: Int
    let denialPipe: LinePipe
    let denialLinesPerSecond: Int
    let remarks: ScopeRemarks
    let fetches: any Fetches
    let proofs: ProofRecords
    let introspections: IntrospectionRecords
    let shadow: ShadowDesk
    let wallClock: AnchoredClock
    let log: EventLog

    init(
        number: Int, listeners: [Listener], limits: ConnectionLimits, control: WorkerControl,
        board: SnapshotBoard, store: PolicyStore, tokenCacheEntriesMax: Int, denialPipe: LinePipe,
        denialLinesPerSecond: Int, remarks: ScopeRemarks, fetches: any Fetches, proofs: ProofRecords,
        introspections: IntrospectionRecords, shadow: ShadowDesk, wallClock: AnchoredClock, log: EventLog
    ) {
        self.number = number
        self.listeners = listeners
        self.limits = limits
        self.control = control
        self.board = board
        self.store = store
        self.tokenCacheEntriesMax = tokenCacheEntriesMax
        self.denialPipe = denialPipe
        self.denialLinesPerSecond = denialLinesPerSecond
        self.remarks = remarks
        self.fetches = fetches
        self.proofs = proofs
        self.introspections = introspections
        self.shadow = shadow
        self.wallClock = wallClock
        self.log = log
    }

    func makeDecider() throws(PolicyStoreError) -> Decider {
        Decider(
            board: board, reader: try store.makeReader(), tokenCacheEntriesMax: tokenCacheEntriesMax,
            auditPrefix: makeAuditPrefix(), proofs: proofs, introspections: introspections)
    }

    /// What compares its decisions with those of a candidate version.
    func makeShadowDecider() -> ShadowDecider {
        ShadowDecider(shadow) { [self] in
            guard let reader = try? store.makeReader() else { return nil }
            return Decider(
                board: shadow.board, reader: reader, tokenCacheEntriesMax: tokenCacheEntriesMax,
                auditPrefix: makeAuditPrefix(), proofs: proofs, introspections: introspections, isRehearsal: true)
        }
    }

    func startThread() throws(SystemError) -> SystemThread {
        try SystemThread.start(name: "worker-\(number)", context: self) { $0.run() }
    }

    private func run() {
        do {
            let worker = try Worker(self)
            worker.run()
        } catch {
            log.write(.error, "worker_failed", "worker \(number) cannot run: \(error)")
            control.failed()
        }
    }
}

/// 16 hexadecimal characters that no other decider of any process has.
func makeAuditPrefix() -> [UInt8] {
    var writer = ByteWriter(capacity: 16)
    let random = randomBytes(8)
    writer.append(hexadecimal: random.span)
    return [UInt8](copying: writer.bytes)
}

/// What a worker and the control thread tell each other.
final class WorkerControl: Sendable {
    /// Wakes the worker: keys have come, or it is to drain.
    let wake: EventFD
    private let isReadyFlag = Atomic<Bool>(false)
    private let openRequested = Atomic<Bool>(false)
    private let drainRequested = Atomic<Bool>(false)
    private let drainAnnounced = Atomic<Bool>(false)
    private let isFinished = Atomic<Bool>(false)
    private let hasFailedFlag = Atomic<Bool>(false)
    private let connections = Atomic<Int>(0)
    private let timeouts = Atomic<UInt64>(0)
    private let peersRefused = Atomic<UInt64>(0)
    private let refusedPeer = Atomic<UInt64>(0)
    private let descriptorsExhausted = Atomic<UInt64>(0)
    private let allowed = Atomic<UInt64>(0)
    private let denied = Atomic<UInt64>(0)
    private let unanswerable = Atomic<UInt64>(0)
    private let tokenCacheHits = Atomic<UInt64>(0)
    private let verifications = Atomic<UInt64>(0)
    private let cachedTokens = Atomic<Int>(0)

    init() throws(SystemError) {
        wake = try EventFD()
    }

    /// The worker has all that it opens for itself.
    func ready() { isReadyFlag.store(true, ordering: .releasing) }
    var isReady: Bool { isReadyFlag.load(ordering: .acquiring) }

    /// The worker may accept from now on.
    func requestOpen() {
        openRequested.store(true, ordering: .releasing)
        wake.signal()
    }
    var isOpenRequested: Bool { openRequested.load(ordering: .acquiring) }

    /// From now on health checks fail; everything else goes on.
    func announceDrain() { drainAnnounced.store(true, ordering: .releasing) }
    var isDrainAnnounced: Bool { drainAnnounced.load(ordering: .acquiring) }

    func requestDrain() {
        drainRequested.store(true, ordering: .releasing)
        wake.signal()
    }

    var isDrainRequested: Bool { drainRequested.load(ordering: .acquiring) }

    /// The worker could not be made.
    func failed() {
        hasFailedFlag.store(true, ordering: .releasing)
        finished()
    }
    var hasFailed: Bool { hasFailedFlag.load(ordering: .acquiring) }

    func finished() { isFinished.store(true, ordering: .releasing) }
    var hasFinished: Bool { isFinished.load(ordering: .acquiring) }

    // Each counter has one writer, its worker; others only read.
    func noteTimeout() { timeouts.add(1, ordering: .relaxed) }
    func noteRefused(_ peer: RefusedPeer) {
        refusedPeer.store(peer.packed, ordering: .relaxed)
        peersRefused.add(1, ordering: .releasing)
    }
    func noteDescriptorsExhausted() { descriptorsExhausted.add(1, ordering: .relaxed) }

    func report(decider: Decider, connections active: Int) {
        let counts = decider.counts
        allowed.store(counts.allowed, ordering: .relaxed)
        denied.store(counts.denied, ordering: .relaxed)
        unanswerable.store(counts.unanswerable, ordering: .relaxed)
        tokenCacheHits.store(counts.tokenCacheHits, ordering: .relaxed)
        verifications.store(counts.verifications, ordering: .relaxed)
        cachedTokens.store(decider.cachedTokenCount, ordering: .relaxed)
        connections.store(active, ordering: .relaxed)
    }

    /// The last of `peersRefused`.
    var lastRefusedPeer: RefusedPeer { RefusedPeer(packed: refusedPeer.load(ordering: .relaxed)) }

    var figures: WorkerFigures {
        var counts = DecisionCounts()
        counts.allowed = allowed.load(ordering: .relaxed)
        counts.denied = denied.load(ordering: .relaxed)
        counts.unanswerable = unanswerable.load(ordering: .relaxed)
        counts.tokenCacheHits = tokenCacheHits.load(ordering: .relaxed)
        counts.verifications = verifications.load(ordering: .relaxed)
        return WorkerFigures(
            counts: counts, connections: connections.load(ordering: .relaxed),
            cachedTokens: cachedTokens.load(ordering: .relaxed),
            timeouts: timeouts.load(ordering: .relaxed),
            peersRefused: peersRefused.load(ordering: .acquiring),
            descriptorsExhausted: descriptorsExhausted.load(ordering: .relaxed))
    }
}

/// What a worker, or all of them together, have done.
struct WorkerFigures: Sendable {
    var counts = DecisionCounts()
    var connections = 0
    var cachedTokens = 0
    var timeouts: UInt64 = 0
    var peersRefused: UInt64 = 0
    var descriptorsExhausted: UInt64 = 0

    static func += (left: inout WorkerFigures, right: WorkerFigures) {
        left.counts += right.counts
        left.connections += right.connections
        left.cachedTokens += right.cachedTokens
        left.timeouts &+= right.timeouts
        left.peersRefused &+= right.peersRefused
        left.descriptorsExhausted &+= right.descriptorsExhausted
    }
}
