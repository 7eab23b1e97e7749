internal import Kernel

/// The time of one worker, read once a turn: the anchored wall clock for decisions, a monotonic one for
/// deadlines.
struct WorkerClock {
    let wall: AnchoredClock
    private(set) var unixSeconds: Int64
    private(set) var unixNanoseconds: Int64
    private(set) var milliseconds: Int64
    private var lastTickMilliseconds: Int64

    init(wall: AnchoredClock) {
        self.wall = wall
        unixNanoseconds = wall.nowNanoseconds()
        unixSeconds = unixNanoseconds / 1_000_000_000
        milliseconds = SystemClock.monotonicNanoseconds() / 1_000_000
        lastTickMilliseconds = milliseconds
    }

    mutating func advance() {
        unixNanoseconds = wall.nowNanoseconds()
        unixSeconds = unixNanoseconds / 1_000_000_000
        milliseconds = SystemClock.monotonicNanoseconds() / 1_000_000
    }

    mutating func isTickDue(every interval: Int64) -> Bool {
        guard milliseconds - lastTickMilliseconds >= interval else { return false }
        lastTickMilliseconds = milliseconds
        return true
    }

    /// Not the turn's time but that of the call, for bounding work within a turn.
    func preciseMicroseconds() -> Int64 { SystemClock.monotonicNanoseconds() / 1_000 }
}
