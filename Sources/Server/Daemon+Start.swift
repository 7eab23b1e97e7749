internal import Kernel

extension Daemon {
    /// Has the signals that a daemon answers wait until there is one: the first thing that `serve` does.
    ///
    /// From here on none of them ends the process by itself, and leaves sockets behind.
    public static func holdSignals() {
        // It fails for unknown signals only, and `init` would say so.
        try? Signals.hold(AnsweredSignals.all)
    }

    /// Two daemons on one store would each believe to be its only writer. One that is being replaced is waited for.
    static func takeLock(
        _ path: String, _ log: EventLog, _ signals: borrowing SignalFD
    ) throws -> FileLock {
        let deadline = SystemClock.monotonicNanoseconds() + lockWaitNanosecondsMax
        var isWaiting = false
        while true {
            do throws(SystemError) {
                return try FileLock(path: path)
            } catch {
                guard error.isWouldBlock, SystemClock.monotonicNanoseconds() < deadline else { throw error }
                if !isWaiting {
                    log.write(
                        .warning, "store_in_use",
                        "waiting up to \(lockWaitNanosecondsMax / 1_000_000_000) s for another daemon to let go of the store",
                        [("file", path)])
                }
                isWaiting = true
                // The policy is read afterwards in any case, so SIGHUP may be passed over.
                if let signal = signals.next(), signal != AnsweredSignals.hangUp { throw EndedBeforeServing(log) }
                sleepMilliseconds(5)
            }
        }
    }
}

/// A signal asked the daemon to end before it had opened anything. There is nothing to mend: the exit code is 0.
public struct EndedBeforeServing: Error {
    init(_ log: EventLog) { log.write(.info, "stopped", "asked to end before anything was served") }
}

/// The signals that a daemon reads, by their numbers on Linux.
enum AnsweredSignals {
    static let hangUp: Int32 = 1
    static let interrupt: Int32 = 2
    static let terminate: Int32 = 15
    static let all = [terminate, interrupt, hangUp]
}

private let lockWaitNanosecondsMax: Int64 = 10_000_000_000
