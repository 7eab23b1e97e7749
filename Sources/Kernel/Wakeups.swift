internal import CLinux
internal import Glibc

/// A counter that wakes an epoll loop from other threads (eventfd(2)).
public final class EventFD: Sendable {
    private let descriptor: FileDescriptor
    /// For `Epoll.add`, with `readable`.
    public var raw: Int32 { descriptor.raw }

    public init() throws(SystemError) {
        let flags = Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC)
        let raw = try checked("eventfd") { Int(eventfd(0, flags)) }
        descriptor = FileDescriptor(owning: Int32(truncatingIfNeeded: raw))
    }

    /// Makes the descriptor readable. Any thread, any number of times before it is drained.
    public func signal() {
        var one: UInt64 = 1
        let raw = descriptor.raw
        // SAFETY: eight bytes are read. A counter that is full (EAGAIN) is readable already.
        _ = retrying { unsafe write(raw, &one, 8) }
    }

    /// Makes it unreadable again.
    /// - Returns: how often it was signalled since the last time.
    @discardableResult
    public func drain() -> UInt64 {
        var count: UInt64 = 0
        let raw = descriptor.raw
        // SAFETY: eight bytes are written.
        return retrying { unsafe read(raw, &count, 8) } == 8 ? count : 0
    }
}

/// Signals read from a descriptor (signalfd(2)).
public struct SignalFD: ~Copyable {
    private let descriptor: FileDescriptor
    public var raw: Int32 { descriptor.raw }

    /// Blocks the signals in the calling thread, and in every thread that it starts from here on: call it
    /// before any other thread exists.
    public init(_ signals: [Int32]) throws(SystemError) {
        try Signals.hold(signals)
        var set = signalSet(signals)
        let flags = Int32(SFD_NONBLOCK) | Int32(SFD_CLOEXEC)
        // SAFETY: the set lives for the call.
        let raw = try checked("signalfd") { unsafe Int(signalfd(-1, &set, flags)) }
        descriptor = FileDescriptor(owning: Int32(truncatingIfNeeded: raw))
    }

    /// The next signal that came, or nil.
    public borrowing func next() -> Int32? {
        var information = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        let raw = descriptor.raw
        // SAFETY: exactly one structure is written.
        let result = retrying { unsafe read(raw, &information, size) }
        return result == size ? Int32(truncatingIfNeeded: information.ssi_signo) : nil
    }
}

/// What the process does about signals that have no descriptor.
public enum Signals {
    /// Has signals wait until a `SignalFD` reads them, in the calling thread and in every thread that it starts from here on.
    /// Children of `ChildProcess` start without it.
    public static func hold(_ signals: [Int32]) throws(SystemError) {
        var set = signalSet(signals)
        // SAFETY: the set lives for the call; the old mask is not wanted.
        let blocked = unsafe pthread_sigmask(Int32(SIG_BLOCK), &set, nil)
        guard blocked == 0 else { throw SystemError(code: blocked, call: "pthread_sigmask") }
    }

    /// Writes to a closed pipe or socket then fail instead of ending the process.
    public static func ignoreBrokenPipe() {
        _ = signal(SIGPIPE, SIG_IGN)
    }

    /// Lets `number` interrupt a blocking call of the thread that it is sent to (EINTR), and do no more.
    public static func makeInterrupting(_ number: Int32) throws(SystemError) {
        var action = sigaction()
        unsafe action.__sigaction_handler.sa_handler = ignoreSignal
        // No SA_RESTART: the point is that the call ends.
        action.sa_flags = 0
        _ = try checked("sigaction") { unsafe Int(sigaction(number, &action, nil)) }
    }
}

private func ignoreSignal(_ number: Int32) {}

func signalSet(_ signals: [Int32]) -> sigset_t {
    var set = sigset_t()
    // SAFETY: the set lives for each call.
    unsafe sigemptyset(&set)
    for signal in signals { unsafe sigaddset(&set, signal) }
    return set
}
