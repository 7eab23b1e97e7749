internal import CLinux
internal import Glibc
internal import Synchronization

/// One thread of our own (pthreads), for work that must not share a pool.
///
/// It starts with every signal blocked but those that faults raise, so that signals reach the thread that
/// reads them from a `SignalFD`.
public final class SystemThread: Sendable {
    private enum State {
        case running
        case joined
    }

    private let thread: pthread_t
    private let state = Mutex(State.running)

    private init(_ thread: pthread_t) {
        self.thread = thread
    }

    deinit {
        state.withLock { state in
            // SAFETY: nobody joined it and nobody can any more.
            if state == .running { _ = pthread_detach(thread) }
        }
    }

    /// Starts a thread that calls `run` with `context` and ends when that returns.
    /// - Parameters:
    ///   - name: shown by the system's tools; the kernel keeps 15 bytes.
    ///   - stackBytes: size of the stack; pages are used as they are touched.
    ///   - unblocked: signals that this thread receives, e.g. one that interrupts a blocking call.
    ///   - run: a named function, not a closure written in top-level code (which would belong to the main
    ///     actor and trap here).
    public static func start<Context: AnyObject & Sendable>(
        name: String, stackBytes: Int = 1 << 20, unblocked: [Int32] = [], context: Context,
        run: @escaping @Sendable (Context) -> Void
    ) throws(SystemError) -> SystemThread {
        let start = ThreadStart(name: name) { run(context) }
        var attributes = pthread_attr_t()
        // SAFETY: the attributes are initialised here and destroyed below, after the thread was made.
        unsafe pthread_attr_init(&attributes)
        defer { unsafe _ = pthread_attr_destroy(&attributes) }
        let sizeCode = unsafe pthread_attr_setstacksize(&attributes, max(stackBytes, 64 << 10))
        guard sizeCode == 0 else { throw SystemError(code: sizeCode, call: "pthread_attr_setstacksize") }

        var mask = threadSignalMask(unblocked: unblocked)
        var previous = sigset_t()
        // SAFETY: a new thread inherits the mask of its maker; it is put back before anything can throw.
        unsafe pthread_sigmask(Int32(SIG_SETMASK), &mask, &previous)
        let retained = unsafe Unmanaged.passRetained(start)
        var thread = pthread_t()
        // SAFETY: the retained object is released by `threadEntry`, or below when there is no thread.
        let code = unsafe pthread_create(&thread, &attributes, threadEntry, retained.toOpaque())
        unsafe pthread_sigmask(Int32(SIG_SETMASK), &previous, nil)
        guard code == 0 else {
            unsafe retained.release()
            throw SystemError(code: code, call: "pthread_create")
        }
        return SystemThread(thread)
    }

    /// Waits until the thread has ended. Idempotent; never called from the thread itself.
    public func join() {
        state.withLock { state in
            guard state == .running else { return }
            // SAFETY: joined once only; no return value is wanted.
            _ = pthread_join(thread, nil)
            state = .joined
        }
    }

    /// Sends a signal to this thread; nothing happens when it has ended, or while another thread joins it.
    public func send(signal: Int32) {
        // A join holds the lock for as long as the thread runs, so this only tries.
        _ = state.withLockIfAvailable { state in
            if state == .running { _ = pthread_kill(thread, signal) }
        }
    }

    /// Processors that this process may run on.
    public static func processorCount() -> Int {
        var set = cpu_set_t()
        let size = MemoryLayout<cpu_set_t>.size
        // SAFETY: one set is written, its size is given.
        guard retrying({ unsafe Int(sched_getaffinity(0, size, &set)) }) >= 0 else { return 1 }
        var count = 0
        // SAFETY: every byte of the set is initialised.
        unsafe withUnsafeBytes(of: &set) { bytes in
            unsafe bytes.forEach { count += $0.nonzeroBitCount }
        }
        return max(1, count)
    }
}

/// What a new thread is handed.
private final class ThreadStart: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
    }
}

private func threadEntry(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument = unsafe argument else { return nil }
    // SAFETY: `start` passed exactly this object, retained once for us.
    let start = unsafe Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
    let name = String(decoding: start.name.utf8.prefix(15), as: UTF8.self)
    // SAFETY: the string lives for the call.
    unsafe pthread_setname_np(pthread_self(), name)
    start.body()
    return nil
}

private func threadSignalMask(unblocked: [Int32]) -> sigset_t {
    var set = sigset_t()
    // SAFETY: the set lives for each call.
    unsafe sigfillset(&set)
    let faults = [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS]
    for signal in faults + unblocked { unsafe sigdelset(&set, signal) }
    return set
}
