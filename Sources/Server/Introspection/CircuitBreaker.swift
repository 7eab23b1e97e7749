/// Stops asking a server that does not answer: after five failures in a row nothing is asked for 5 s, then once; as long
/// as that fails, for twice as long, 60 s at most. Times are milliseconds that never go back.
struct CircuitBreaker: Sendable {
    enum State: String, Sendable {
        case closed
        case open
        /// The wait is over; the next question is the trial, or it is under way.
        case halfOpen = "half-open"
    }

    static let failuresMax = 5
    static let firstWaitMilliseconds: Int64 = 5_000
    static let waitMillisecondsMax: Int64 = 60_000

    private var failures = 0
    /// nil while closed.
    private var opensAgainAt: Int64?
    private var waitMilliseconds: Int64 = 0
    private var isTrying = false

    func state(now: Int64) -> State {
        guard let opensAgainAt else { return .closed }
        return isTrying || now >= opensAgainAt ? .halfOpen : .open
    }

    /// What an exchange is for. Every one that is begun must be ended.
    enum Admission: Sendable {
        case usual
        case trial
    }

    /// - Returns: nil when nothing may be asked now.
    mutating func begin(now: Int64) -> Admission? {
        guard let opensAgainAt else { return .usual }
        guard now >= opensAgainAt, !isTrying else { return nil }
        isTrying = true
        return .trial
    }

    /// It answered, whatever it said.
    mutating func succeed(_ admission: Admission) {
        self = CircuitBreaker()
    }

    /// - Returns: whether this failure has opened it.
    mutating func fail(_ admission: Admission, now: Int64) -> Bool {
        switch admission {
        case .trial:
            isTrying = false
            waitMilliseconds = min(2 * waitMilliseconds, CircuitBreaker.waitMillisecondsMax)
        case .usual:
            // Those that began before it opened tell nothing new.
            guard opensAgainAt == nil else { return false }
            failures += 1
            guard failures >= CircuitBreaker.failuresMax else { return false }
            waitMilliseconds = CircuitBreaker.firstWaitMilliseconds
        }
        opensAgainAt = now + waitMilliseconds
        return true
    }

    /// The exchange did not take place: neither good nor bad.
    mutating func withdraw(_ admission: Admission) {
        if case .trial = admission { isTrying = false }
    }
}
