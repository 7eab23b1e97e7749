import Testing

@testable import Kernel

@Suite struct ClockTests {
    static let second: Int64 = 1_000_000_000

    private func reading(_ wall: Int64, _ boot: Int64) -> ClockReading {
        ClockReading(
            realtimeNanoseconds: wall * Self.second, boottimeNanoseconds: boot * Self.second)
    }

    struct Step: Sendable {
        let wall: Int64
        let boot: Int64
        let change: ClockChange
        /// our time afterwards
        let ours: Int64

        init(_ wall: Int64, _ boot: Int64, _ change: ClockChange, _ ours: Int64) {
            self.wall = wall
            self.boot = boot
            self.change = change
            self.ours = ours
        }
    }

    /// Each row starts at wall 1000, boot 10.
    @Test(arguments: [
        [Step(1000, 10, .steady, 1000), Step(1005, 15, .steady, 1005)],
        // forward: followed and reported once
        [Step(1500, 20, .forward(nanoseconds: 490 * second), 1500), Step(1501, 21, .steady, 1501)],
        // backward: not followed, reported once
        [
            Step(500, 20, .backward(nanoseconds: 510 * second), 1010), Step(501, 21, .steady, 1011),
            // further back: reported again
            Step(101, 21, .backward(nanoseconds: 910 * second), 1011),
            // and corrected: nothing to say, nothing to change
            Step(1012, 22, .steady, 1012),
            Step(1003, 23, .backward(nanoseconds: 10 * second), 1013),
        ],
        // a whole second is tolerance, in both directions; forward is followed silently
        [Step(1002, 11, .steady, 1002), Step(1002, 12, .steady, 1003)],
        // forward by mistake, then back: time stays ahead, which denies and never revives
        [
            Step(9000, 11, .forward(nanoseconds: 7999 * second), 9000),
            Step(1002, 12, .backward(nanoseconds: 7999 * second), 9001),
        ],
        // suspended: the time since boot goes on
        [Step(5000, 4010, .steady, 5000)],
    ])
    func anchoring(_ steps: [Step]) {
        let clock = AnchoredClock(reading: reading(1000, 10))
        for step in steps {
            let now = reading(step.wall, step.boot)
            #expect(clock.observe(now) == step.change)
            #expect(
                clock.wallNanoseconds(boottimeNanoseconds: step.boot * Self.second) == step.ours * Self.second
            )
        }
    }

    @Test func floor() {
        let clock = AnchoredClock(reading: reading(1000, 10), floorSeconds: 2000)
        #expect(clock.wallNanoseconds(boottimeNanoseconds: 11 * Self.second) == 2001 * Self.second)
        let past = AnchoredClock(reading: reading(1000, 10), floorSeconds: 500)
        #expect(past.wallNanoseconds(boottimeNanoseconds: 10 * Self.second) == 1000 * Self.second)
        let absurd = AnchoredClock(reading: reading(1000, 10), floorSeconds: .max)
        #expect(absurd.wallNanoseconds(boottimeNanoseconds: 10 * Self.second) == 1000 * Self.second)
    }

    @Test func systemClocksAdvance() {
        let clock = AnchoredClock()
        let first = clock.nowNanoseconds()
        #expect(clock.nowNanoseconds() >= first)
        #expect(clock.nowSeconds() > 1_700_000_000)
        #expect(SystemClock.boottimeNanoseconds() >= SystemClock.monotonicNanoseconds() - Self.second)
    }
}
