internal import Glibc
internal import Synchronization

/// Two clocks read together, nanoseconds.
public struct ClockReading: Equatable, Sendable {
    /// CLOCK_REALTIME: wall time since 1970, may be stepped by anyone with the right to.
    public var realtimeNanoseconds: Int64
    /// CLOCK_BOOTTIME: time since boot, suspended time included; never stepped.
    public var boottimeNanoseconds: Int64

    public init(realtimeNanoseconds: Int64, boottimeNanoseconds: Int64) {
        self.realtimeNanoseconds = realtimeNanoseconds
        self.boottimeNanoseconds = boottimeNanoseconds
    }

    public static func now() -> ClockReading {
        ClockReading(
            realtimeNanoseconds: SystemClock.realtimeNanoseconds(),
            boottimeNanoseconds: SystemClock.boottimeNanoseconds())
    }
}

/// The system's clocks as they are.
public enum SystemClock {
    public static func realtimeNanoseconds() -> Int64 { read(CLOCK_REALTIME) }
    public static func boottimeNanoseconds() -> Int64 { read(CLOCK_BOOTTIME) }
    /// For deadlines and durations.
    public static func monotonicNanoseconds() -> Int64 { read(CLOCK_MONOTONIC) }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        // SAFETY: one timespec is written. These clocks exist on every Linux; the call has no other failure.
        _ = unsafe clock_gettime(clock, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}

/// What a look at the system clock showed.
public enum ClockChange: Equatable, Sendable {
    case steady
    /// The system clock was stepped forward by this much, and our time followed it.
    case forward(nanoseconds: Int64)
    /// The system clock was stepped backward and is now this much behind our time, which did not follow.
    case backward(nanoseconds: Int64)
}

/// Wall time that never goes back: an anchor plus the time since boot.
///
/// A system clock that is set back would make expired tokens valid again, so it is not followed; it can
/// only make this process's time run ahead of the system's, which denies more and never less. A step
/// forward is followed, since time that passed unseen (a virtual machine was paused) has expired tokens.
/// Any thread may read; one thread calls `observe` now and then, once a second say.
public final class AnchoredClock: Sendable {
    /// Differences up to this are no step: both clocks are read one after the other.
    public static let toleranceNanoseconds: Int64 = 1_000_000_000

    /// Wall time less time since boot.
    private let offset: Atomic<Int64>
    /// How far behind the system clock was when that was last reported; 0 when it was not.
    private let reportedBehind = Atomic<Int64>(0)

    /// - Parameter floorSeconds: a wall time known to be past, e.g. the newest one in the store; the clock
    ///   starts no earlier. Unix seconds.
    public init(reading: ClockReading = .now(), floorSeconds: Int64 = 0) {
        let (floor, overflow) = floorSeconds.multipliedReportingOverflow(by: 1_000_000_000)
        let start = overflow ? reading.realtimeNanoseconds : max(reading.realtimeNanoseconds, floor)
        offset = Atomic(start &- reading.boottimeNanoseconds)
    }

    /// Unix time, nanoseconds. One system call (through the vDSO), one atomic load.
    public func nowNanoseconds() -> Int64 {
        wallNanoseconds(boottimeNanoseconds: SystemClock.boottimeNanoseconds())
    }

    /// Unix time, whole seconds.
    public func nowSeconds() -> Int64 { nowNanoseconds() / 1_000_000_000 }

    public func wallNanoseconds(boottimeNanoseconds: Int64) -> Int64 {
        boottimeNanoseconds &+ offset.load(ordering: .acquiring)
    }

    /// Compares with the system clock and follows it forward.
    ///
    /// A step is reported once; a further step of the same kind again.
    public func observe(_ reading: ClockReading = .now()) -> ClockChange {
        let current = offset.load(ordering: .acquiring)
        let actual = reading.realtimeNanoseconds &- reading.boottimeNanoseconds
        let difference = actual &- current
        if difference > 0 { offset.store(actual, ordering: .releasing) }
        if difference > Self.toleranceNanoseconds {
            reportedBehind.store(0, ordering: .relaxed)
            return .forward(nanoseconds: difference)
        }
        guard difference < -Self.toleranceNanoseconds else {
            reportedBehind.store(0, ordering: .relaxed)
            return .steady
        }
        let behind = 0 &- difference
        let known = reportedBehind.load(ordering: .relaxed)
        guard behind > known &+ Self.toleranceNanoseconds else { return .steady }
        reportedBehind.store(behind, ordering: .relaxed)
        return .backward(nanoseconds: behind)
    }
}

/// Lets this thread rest. Not for a worker.
public func sleepMilliseconds(_ milliseconds: UInt32) {
    usleep(min(milliseconds, 10_000) * 1_000)
}
