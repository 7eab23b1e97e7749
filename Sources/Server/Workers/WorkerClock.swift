internal import Kernel

/// The time of one worker, read once a turn: the anchored wall clock for decisions, a monotonic one for
/// deadlines. An object, so that reading it is no access to a property of the worker.
final class WorkerClock {
    let wall: AnchoredClock
    private(set) var unixSeconds: Int64
    private(set) var unixNanoseconds: Int64
    private(set) var microseconds: Int64
    var milliseconds: Int64 { microseconds / 1_000 }
    private var lastTickMilliseconds: Int64

    init(wall: AnchoredClock) {
        self.wall = wall
        unixNanoseconds = wall.nowNanoseconds()
        unixSeconds = unixNanoseconds / 1_000_000_000
        microseconds = SystemClock.monotonicNanoseconds() / 1_000
        lastTickMilliseconds = microseconds / 1_000
    }

    func advance() {
        unixNanoseconds = wall.nowNanoseconds()
        unixSeconds = unixNanoseconds / 1_000_000_000
        microseconds = SystemClock.monotonicNanoseconds() / 1_000
    }

    func isTickDue(every interval: Int64) -> Bool {
        guard milliseconds - lastTickMilliseconds >= interval else { return false }
        lastTickMilliseconds = milliseconds
        return true
    }

    /// Since the turn began: not the turn's time but that of the call, for bounding work within a turn.
    func elapsedMicroseconds() -> Int64 { SystemClock.monotonicNanoseconds() / 1_000 - microseconds }
}
