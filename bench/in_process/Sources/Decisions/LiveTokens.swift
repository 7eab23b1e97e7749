internal import Decision
internal import Glibc
internal import Kernel
internal import Octets
internal import Samples
internal import Signatures
internal import Tokens

/// Many different tokens of one length, minted by two threads.
struct TokenPool {
    let tokenBytes: Int
    let count: Int
    private let halves: [[UInt8]]

    init() {
        tokenBytes = 0
        count = 0
        halves = []
    }

    init(_ count: Int, _ key: PrivateKey) throws {
        let more = try Sample.moreClaims(key, .es256)
        let half = (count + 1) / 2
        let minters = [Minter(0..<half, key, more), Minter(half..<2 * half, key, more)]
        let threads = try minters.map { try SystemThread.start(name: "minter", context: $0) { $0.run() } }
        for thread in threads { thread.join() }
        self.count = 2 * half
        halves = minters.map { $0.tokens }
        tokenBytes = halves[0].count / half
    }

    /// Copies a token over the bytes at `start`, where there is room for one.
    func copy(_ number: Int, into bytes: inout [UInt8], at start: Int) {
        let half = count / 2
        let from = number % half * tokenBytes
        precondition(start >= 0 && start + tokenBytes <= bytes.count && number < count)
        // SAFETY: both arrays are lent for the call; there is room for a token, and each half holds whole ones.
        unsafe halves[number / half].withUnsafeBytes { source in
            unsafe bytes.withUnsafeMutableBytes { target in
                let token = unsafe UnsafeRawBufferPointer(rebasing: source[from..<from + tokenBytes])
                unsafe UnsafeMutableRawBufferPointer(rebasing: target[start...]).copyMemory(from: token)
            }
        }
    }

    /// The median of verifying alone, each token new.
    func verificationNanoseconds(_ count: Int, _ keys: KeySet) throws -> Int64 {
        let settings = IssuerSettings(
            issuer: Array(Sample.issuer.utf8), audiences: [Array(Sample.audience.utf8)],
            algorithms: SignatureAlgorithm.allCases)
        let issuers = IssuerSnapshot(issuers: [IssuerKeys(settings: settings, keys: keys)], generation: 1)
        let verifier = TokenVerifier(takesBoundTokens: true)
        var token = [UInt8](repeating: 0, count: tokenBytes)
        var times: [Int64] = []
        for number in 0..<count {
            copy(number * 7_919 % self.count, into: &token, at: 0)
            let digest = sha256(token.span)
            let start = monotonicNanoseconds()
            guard case .verified = verifier.verify(token.span, digest: digest, issuers: issuers, now: Sample.now)
            else { fail("Decisions: a good token does not verify") }
            times.append(monotonicNanoseconds() - start)
        }
        return median(&times)
    }
}

private final class Minter {
    private let numbers: Range<Int>
    private let key: PrivateKey
    private let more: Int
    private(set) var tokens: [UInt8] = []

    init(_ numbers: Range<Int>, _ key: PrivateKey, _ more: Int) {
        self.numbers = numbers
        self.key = key
        self.more = more
    }

    func run() {
        for number in numbers {
            guard let token = try? Sample.token(number, key, .es256, more: more) else { fail("Decisions: cannot sign") }
            if tokens.isEmpty { tokens.reserveCapacity(token.count * numbers.count) }
            tokens += token
        }
    }
}

// Sendable because the thread that made it touches it only before its own thread starts and after it was joined.
extension Minter: @unchecked Sendable {}

/// Numbers below a count, all alike or by Zipf's law (exponent 1, as load.c draws), the same ones in every run.
final class Draw {
    private var count = 0
    private var isZipf = false
    /// All of it is written at the start, so that the process does not grow when a larger count is drawn from.
    private var sums: [Double]

    init(countMax: Int) { sums = [Double](repeating: 0, count: countMax) }

    /// What is drawn from then on.
    func become(count: Int, isZipf: Bool) {
        let count = min(count, sums.count)
        guard count != self.count || isZipf != self.isZipf else { return }
        self.count = count
        self.isZipf = isZipf
        var sum = 0.0
        for rank in 0..<count {
            sum += 1 / Double(rank + 1)
            sums[rank] = sum
        }
    }

    func number(_ random: inout SplitMix) -> Int {
        guard isZipf else { return Int(random.next() % UInt64(max(1, count))) }
        let wanted = Double(random.next() >> 11) / Double(1 << 53) * sums[count - 1]
        var low = 0
        var high = count - 1
        while low < high {
            let middle = (low + high) / 2
            if sums[middle] < wanted { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct SplitMix {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}

/// A decider that many tokens come to. Each token is copied into one request buffer before the clock starts, as a
/// request that was just received lies in the processor's cache.
final class Crowd {
    private let decider: Decider
    private var bytes: [UInt8]
    private let places: [Questions.Places]
    private let questions: Questions
    private let tokenStart: Int
    private var random = SplitMix(42)
    private var asked = 0

    init(_ shared: Shared, _ scene: Scene, entries: Int) throws {
        decider = try Sample.decider(scene.board, shared.store, tokenCacheEntriesMax: entries)
        questions = scene.questions
        places = questions.places
        bytes = questions.bytes
        tokenStart = Int(questions.facts(places[0]).authorization.start) + "Bearer ".utf8.count
    }

    /// Asks with `count` tokens; says what the command `ask` says.
    func ask(_ tokens: TokenPool, _ draw: Draw, count: Int) -> String {
        var hits: [Int64] = []
        var misses: [Int64] = []
        hits.reserveCapacity(count)
        misses.reserveCapacity(count)
        var known = decider.counts.tokenCacheHits
        // Out of the class while it is written to, so that the timed part is the decision.
        var bytes = bytes
        self.bytes = []
        defer { self.bytes = bytes }
        for _ in 0..<count {
            tokens.copy(draw.number(&random), into: &bytes, at: tokenStart)
            let place = places[asked % places.count]
            let facts = questions.facts(place)
            let start = monotonicNanoseconds()
            let outcome = decider.decide(facts, bytes.span, now: Sample.now, limits: DecisionLimits())
            let time = monotonicNanoseconds() - start
            guard outcome == .answered, decider.status == place.status else {
                fail("Decisions: \(decider.status) \(decider.reason) instead of \(place.status)")
            }
            let counted = decider.counts.tokenCacheHits
            if counted > known { hits.append(time) } else { misses.append(time) }
            known = counted
            asked += 1
        }
        let hitCount = hits.count
        let found = [
            median(&hits), percentile(99, of: hits), median(&misses), percentile(99, of: misses),
            Int64(decider.cachedTokenCount),
        ]
        return "\(hitCount) " + found.map(String.init).joined(separator: " ")
    }
}

/// 0 of none. Sorts.
private func median(_ times: inout [Int64]) -> Int64 {
    times.sort()
    return percentile(50, of: times)
}

private func percentile(_ part: Int, of sorted: [Int64]) -> Int64 {
    sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, sorted.count * part / 100)]
}

func residentKilobytes() -> Int {
    let text = String(decoding: contents(of: "/proc/self/statm"), as: UTF8.self)
    let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    return pages * Int(sysconf(Int32(_SC_PAGESIZE))) / 1_024
}
