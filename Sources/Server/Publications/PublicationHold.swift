internal import Kernel
internal import Synchronization

/// People come first: while a change of theirs is made, publications wait, and also for a while after one was overtaken
/// by a publication and has to be made again. Otherwise a service that publishes often enough keeps every change from
/// being made.
final class PublicationHold: Sendable {
    /// For whoever reads, tests and sends the policy once more.
    static let retryMilliseconds: Int64 = 60_000
    /// A publication that has waited this long goes on: it will be judged against whatever decides.
    static let waitMilliseconds: Int64 = 120_000
    private static let stepMilliseconds: UInt32 = 20

    private struct State {
        var changes = 0
        /// Nanoseconds of the monotonic clock.
        var until: Int64 = 0
    }

    private let state = Mutex(State())

    /// - Parameters:
    ///   - mayBeMadeAnew: whether whoever asks for it makes it once more when it was overtaken.
    ///   - change: a change that a person or the policy file makes, compiling included.
    func during<Result>(mayBeMadeAnew: Bool = false, _ change: () throws -> Result) rethrows -> Result {
        state.withLock { $0.changes += 1 }
        defer { state.withLock { $0.changes -= 1 } }
        do {
            let result = try change()
            // What was waited for is done.
            if mayBeMadeAnew { state.withLock { $0.until = 0 } }
            return result
        } catch PolicyChangeRefusal.moved(isPublication: true) where mayBeMadeAnew {
            let until = SystemClock.monotonicNanoseconds() + PublicationHold.retryMilliseconds * 1_000_000
            state.withLock { $0.until = until }
            throw PolicyChangeRefusal.moved(isPublication: true)
        }
    }

    var isHeld: Bool {
        state.withLock { $0.changes > 0 || SystemClock.monotonicNanoseconds() < $0.until }
    }

    /// Returns when nothing of people is under way, or the longest wait is over.
    func wait() {
        let deadline = SystemClock.monotonicNanoseconds() + PublicationHold.waitMilliseconds * 1_000_000
        while isHeld, SystemClock.monotonicNanoseconds() < deadline {
            sleepMilliseconds(PublicationHold.stepMilliseconds)
        }
    }
}
