internal import Decision
internal import FastCGI
internal import HTTP1
internal import Kernel
internal import Octets
internal import SPOP

/// One thread that accepts, reads, decides and answers. Workers share the listening sockets and the snapshot
/// board, nothing else.
///
/// A turn of the loop first handles all that is ready and needs no signature checked. Requests that owe a
/// verification wait in a line that is served for a bounded time each turn, so that a flood of forged tokens
/// takes the time that is left over and no more.
final class Worker {
    let number: Int
    let listeners: [Listener]
    let limits: ConnectionLimits
    let control: WorkerControl
    let decider: Decider
    let shadow: ShadowDecider
    let denials: DenialLine
    let remarks: RemarkCounter
    let fetches: any Fetches
    let board: SnapshotBoard
    let introspections: IntrospectionRecords

    var poll: Epoll
    var connections: [Connection] = []
    var freeSlots: [Int] = []
    /// Connections, and questions that wait apart from theirs.
    var activeCount = 0
    /// Of `connections`, those with a socket.
    private var placeCount = 0
    private var freeHeldSlots: [Int] = []
    var heldShares = HeldShares()
    /// Held questions that wait for keys, or have waited.
    var parkedQuestions = 0
    /// Connections with a request of their own that waits for such a thing, or has waited and is not answered yet.
    var parkedConnections = 0
    let owing: SlotQueue
    let parked: SlotQueue
    let clock: WorkerClock
    var isDraining = false
    /// Whether it may accept at all: only when everything that the daemon opens for itself is open.
    private var isOpen = false
    /// Listening sockets are not watched while every place is taken.
    var areListenersWatched = false

    init(_ seed: WorkerSeed) throws {
        number = seed.number
        listeners = seed.listeners
        limits = seed.limits
        control = seed.control
        decider = try seed.makeDecider()
        shadow = seed.makeShadowDecider()
        denials = DenialLine(pipe: seed.denialPipe, linesPerSecond: seed.denialLinesPerSecond)
        remarks = RemarkCounter(seed.remarks)
        fetches = seed.fetches
        board = seed.board
        introspections = seed.introspections
        clock = WorkerClock(wall: seed.wallClock)
        poll = try Epoll()
        owing = SlotQueue(capacity: seed.limits.connectionsMax + seed.limits.heldMax)
        parked = SlotQueue(capacity: seed.limits.connectionsMax + seed.limits.heldMax)
        connections.reserveCapacity(seed.limits.connectionsMax + seed.limits.heldMax)
        freeSlots.reserveCapacity(seed.limits.connectionsMax)
        try poll.add(control.wake.raw, token: EventToken.wake.packed, for: .readable)
        control.ready()
    }

    /// Runs until drained: no listener watched, no connection left.
    func run() {
        while !(isDraining && activeCount == 0) { turn() }
        remarks.report(unixNanoseconds: clock.unixNanoseconds)
        control.finished()
    }

    // MARK: one turn

    private func turn() {
        let isAnyoneHere = activeCount > 0 || isDraining || !areListenersWatched || remarks.hasUnreported
        let timeout: Int32? = owing.isEmpty ? (isAnyoneHere ? tickMilliseconds : nil) : 0
        let ready = poll.wait(timeoutMilliseconds: timeout)
        clock.advance()
        for index in 0..<ready {
            let event = poll.event(index)
            switch EventToken(packed: event.token) {
            case .wake: takeOrders()
            case .listener(let number): accept(from: number)
            case .connection(let slot, let generation):
                guard slot < connections.count, connections[slot].generation & EventToken.generationMask == generation,
                    connections[slot].state != .free
                else { continue }
                handle(connections[slot], event.readiness)
            }
        }
        serveOwing()
        if clock.isTickDue(every: Int64(tickMilliseconds)) {
            endOverdue()
            remarks.report(unixNanoseconds: clock.unixNanoseconds)
            // After descriptors ran out there may be no connection of ours whose end would say so.
            if !areListenersWatched, !isDraining, !freeSlots.isEmpty || placeCount < limits.connectionsMax {
                watchListeners(true)
            }
        }
        control.report(decider: decider, connections: activeCount)
    }

    private func takeOrders() {
        control.wake.drain()
        if control.isOpenRequested, !isOpen, !isDraining {
            isOpen = true
            watchListeners(true)
        }
        if control.isDrainRequested, !isDraining { beginDraining() }
        resumeParked()
    }

    private func beginDraining() {
        isDraining = true
        watchListeners(false)
        for connection in connections where connection.state == .idle { endIdle(connection) }
    }

    func watchListeners(_ watch: Bool) {
        guard watch != areListenersWatched, isOpen else { return }
        areListenersWatched = watch
        for (index, listener) in listeners.enumerated() {
            do throws(SystemError) {
                if watch {
                    try poll.add(
                        listener.socket.raw, token: EventToken.listener(index).packed, for: [.readable, .exclusive])
                } else {
                    try poll.remove(listener.socket.raw)
                }
            } catch {
                // One that is watched already, or not any more, is as wanted; any other is tried again at the next tick.
                if watch, !error.isAlreadyThere { areListenersWatched = false }
            }
        }
    }

    // MARK: accepting

    /// Accepts a bounded batch, so that one busy socket does not starve the connections already here.
    private func accept(from number: Int) {
        let listener = listeners[number]
        for _ in 0..<acceptBatch {
            guard !isDraining else { return }
            guard let connection = takeFree() else {
                // The kernel's queue holds the callers until a place is free.
                watchListeners(false)
                return
            }
            switch listener.socket.accept() {
            case .connection(let descriptor):
                start(connection, descriptor, listener: number)
            case .wouldBlock:
                putBack(connection)
                return
            case .transient:
                putBack(connection)
            case .exhausted:
                putBack(connection)
                control.noteDescriptorsExhausted()
                watchListeners(false)
                return
            }
        }
    }

    private func start(_ connection: Connection, _ descriptor: consuming FileDescriptor, listener number: Int) {
        let listener = listeners[number]
        let check = listener.check(peerOf: descriptor)
        connection.exchange.start(descriptor)
        connection.listener = number
        connection.state = .receiving
        activeCount += 1
        if case .refused(let userID) = check {
            control.noteRefused(RefusedPeer(listener: listener.number, userID: userID))
            close(connection)
            return
        }
        connection.deadlineMilliseconds = clock.milliseconds + limits.receiveMilliseconds
        switch listener.wire {
        case .fastCGI: connection.exchange.fastCGI = FastCGIConnection(limits: limits.fastCGI)
        case .http: connection.exchange.http = HTTPConnection(profile: listener.profile, limits: limits.http)
        case .spop: connection.exchange.spop = SPOPConnection(limits: limits.spop)
        }
        // The request is usually there already; asking the kernel to watch is for those that are late.
        receive(connection)
    }

    private func takeFree() -> Connection? {
        if let slot = freeSlots.popLast() { return connections[slot] }
        guard placeCount < limits.connectionsMax else { return nil }
        let connection = Connection(slot: connections.count, receiveBytes: limits.receiveBytes)
        connections.append(connection)
        placeCount += 1
        return connection
    }

    /// A place for a question that is to wait. How many there may be is the caller's to bound.
    func takeFreeHeld() -> Connection {
        if let slot = freeHeldSlots.popLast() { return connections[slot] }
        let place = Connection(slot: connections.count, heldBytes: limits.heldBytesMax)
        connections.append(place)
        return place
    }

    private func putBack(_ connection: Connection) {
        freeSlots.append(connection.slot)
    }

    func close(_ connection: Connection) {
        guard connection.state != .free else { return }
        connection.exchange.end()
        connection.generation &+= 1
        connection.state = .free
        connection.isRegistered = false
        connection.waitsForWrite = false
        connection.closesAfterSending = false
        connection.pendingFastCGI = nil
        connection.pendingHTTP = nil
        connection.pendingSPOP = nil
        let hasParked = connection.hasParked
        connection.awaited = []
        connection.awaitDeadlineMilliseconds = 0
        connection.question = nil
        connection.hasParked = false
        connection.waitingQuestions = 0
        activeCount -= 1
        if let asker = connection.asker {
            connection.asker = nil
            heldShares.giveBack(asker.share)
            if hasParked { parkedQuestions -= 1 }
            if isThere(asker) { connections[asker.slot].waitingQuestions -= 1 }
            freeHeldSlots.append(connection.slot)
            return
        }
        if hasParked { parkedConnections -= 1 }
        freeSlots.append(connection.slot)
        if !areListenersWatched, !isDraining { watchListeners(true) }
    }

    // MARK: deadlines

    private func endOverdue() {
        for connection in connections where connection.state != .free {
            guard connection.deadlineMilliseconds <= clock.milliseconds else { continue }
            switch connection.state {
            case .parked: serve(connection, mayWait: false)
            // Its turn comes; the wait is bounded by the length of the line.
            case .owingVerification, .free: break
            case .receiving, .idle, .sending:
                if connection.state == .idle {
                    endIdle(connection)
                } else {
                    control.noteTimeout()
                    close(connection)
                }
            }
        }
    }
}

/// How often deadlines are looked at.
private let tickMilliseconds: Int32 = 50
private let acceptBatch = 16
