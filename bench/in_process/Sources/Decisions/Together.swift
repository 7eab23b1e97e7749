internal import Glibc
internal import Kernel
internal import Samples
internal import Synchronization

/// Something that a thread does again and again.
protocol Repeating: AnyObject, SendableMetatype {
    func steps(_ count: Int)
}

/// Arithmetic in registers: what a second thread gives on this machine when nothing is shared.
final class Spinning: Repeating {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed &* 2 &+ 1 }

    func steps(_ count: Int) {
        var value = state
        for _ in 0..<400 * count {
            value ^= value << 13
            value ^= value >> 7
            value ^= value << 17
        }
        state = value
    }
}

/// Steps a second of so many threads that run at the same time, each with an object of its own.
func together<Work: Repeating>(_ threads: Int, milliseconds: Int, _ make: (Int) throws -> Work) throws -> Double {
    let gate = Gate(nanoseconds: Int64(milliseconds) * 1_000_000)
    let runners = try (0..<threads).map { Runner(try make($0), gate) }
    let running = try runners.enumerated().map { number, runner in
        try SystemThread.start(name: "worker \(number)", context: runner) { $0.run() }
    }
    while gate.ready.load(ordering: .acquiring) < threads { sched_yield() }
    gate.isOpen.store(true, ordering: .releasing)
    for thread in running { thread.join() }
    return runners.reduce(0) { $0 + $1.stepsPerSecond }
}

private final class Gate: Sendable {
    let ready = Atomic<Int>(0)
    let isOpen = Atomic<Bool>(false)
    let nanoseconds: Int64

    init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
}

private final class Runner<Work: Repeating> {
    private let work: Work
    private let gate: Gate
    private(set) var stepsPerSecond = 0.0

    init(_ work: Work, _ gate: Gate) {
        self.work = work
        self.gate = gate
    }

    func run() {
        // What is made once is made before the others start.
        work.steps(1_000)
        gate.ready.add(1, ordering: .releasing)
        while !gate.isOpen.load(ordering: .acquiring) {}
        let start = monotonicNanoseconds()
        var steps = 0
        var now = start
        while now - start < gate.nanoseconds {
            work.steps(256)
            steps += 256
            now = monotonicNanoseconds()
        }
        stepsPerSecond = Double(steps) * 1e9 / Double(now - start)
    }
}

// Sendable because the thread that made it touches it only before its own thread starts and after it was joined.
extension Runner: @unchecked Sendable {}
