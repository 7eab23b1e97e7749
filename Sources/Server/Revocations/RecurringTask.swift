internal import Kernel
internal import Synchronization

/// Work that is done again and again on a thread of its own, off every path that someone waits on.
final class RecurringTask: Sendable {
    private let name: String
    private let everyMilliseconds: Int32
    private let startsAtOnce: Bool
    private let work: @Sendable () -> Void
    private let stopSignal: EventFD
    private let thread = Mutex<SystemThread?>(nil)

    /// - Parameters:
    ///   - name: of the thread; 15 bytes are kept.
    ///   - startsAtOnce: whether `work` is called for the first time as soon as the thread runs, and not after
    ///     `everyMilliseconds`.
    init(
        name: String, everyMilliseconds: Int32, startsAtOnce: Bool = false, work: @escaping @Sendable () -> Void
    ) throws(SystemError) {
        self.name = name
        self.everyMilliseconds = everyMilliseconds
        self.startsAtOnce = startsAtOnce
        self.work = work
        stopSignal = try EventFD()
    }

    func start() throws(SystemError) {
        let started = try SystemThread.start(name: name, context: self) { $0.run() }
        thread.withLock { $0 = started }
    }

    /// No more work is begun; what is under way goes on. For work that takes long and leaves nothing half done.
    func requestStop() { stopSignal.signal() }

    /// Waits for work under way to finish. Never called from the work itself.
    func stop() {
        requestStop()
        thread.withLock { thread in
            thread?.join()
            thread = nil
        }
    }

    private func run() {
        if startsAtOnce { work() }
        guard var poll = try? Epoll(capacity: 1), (try? poll.add(stopSignal.raw, token: 1, for: .readable)) != nil
        else {
            // Without a descriptor to wait on the signal is looked at between two times.
            while stopSignal.drain() == 0 {
                sleepMilliseconds(UInt32(clamping: min(everyMilliseconds, 1_000)))
                work()
            }
            return
        }
        while poll.wait(timeoutMilliseconds: everyMilliseconds) == 0 { work() }
    }
}
