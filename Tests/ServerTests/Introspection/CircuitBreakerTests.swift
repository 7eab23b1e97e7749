import PolicyTables
import Testing

@testable import Server

@Suite struct CircuitBreakerTests {
    private func opened(now: Int64) -> CircuitBreaker {
        var breaker = CircuitBreaker()
        for _ in 0..<5 { _ = breaker.fail(.usual, now: now) }
        return breaker
    }

    @Test func opensAfterFiveInARow() {
        var breaker = CircuitBreaker()
        for number in 1...4 {
            let hasOpened = breaker.fail(.usual, now: 0)
            #expect(!hasOpened, "failure \(number)")
        }
        breaker.succeed(.usual)
        for _ in 1...4 {
            let hasOpened = breaker.fail(.usual, now: 0)
            #expect(!hasOpened)
        }
        let mayAsk = breaker.begin(now: 0) != nil
        #expect(mayAsk)
        let hasOpened = breaker.fail(.usual, now: 0)
        #expect(hasOpened)
        #expect(breaker.state(now: 0) == .open)
        let mayStillAsk = breaker.begin(now: 4_999) != nil
        #expect(!mayStillAsk)
    }

    @Test func oneTrialAtATime() throws {
        var breaker = opened(now: 0)
        #expect(breaker.state(now: 5_000) == .halfOpen)
        let first = breaker.begin(now: 5_000)
        let trial = try #require(first)
        let hasSecond = breaker.begin(now: 50_000) != nil
        #expect(!hasSecond)
        breaker.withdraw(trial)
        let next = breaker.begin(now: 50_000)
        breaker.succeed(try #require(next))
        #expect(breaker.state(now: 50_000) == .closed)
        for _ in 0..<10 {
            let mayAsk = breaker.begin(now: 50_000) != nil
            #expect(mayAsk)
        }
    }

    @Test func waitsDoubleUpToAMinuteAndBeginAnew() throws {
        var breaker = opened(now: 0)
        var now: Int64 = 0
        for wait: Int64 in [5_000, 10_000, 20_000, 40_000, 60_000, 60_000] {
            let isEarly = breaker.begin(now: now + wait - 1) != nil
            #expect(!isEarly, "\(wait)")
            now += wait
            let trial = breaker.begin(now: now)
            let hasOpened = breaker.fail(try #require(trial, "\(wait)"), now: now)
            #expect(hasOpened)
        }
        let last = breaker.begin(now: now + 60_000)
        breaker.succeed(try #require(last))
        breaker = opened(now: now)
        let trial = breaker.begin(now: now + 5_000) != nil
        #expect(trial)
    }

    /// Of many that were under way when it opened, none makes the wait longer.
    @Test func lateFailuresCountOnce() {
        var breaker = opened(now: 0)
        for _ in 0..<50 {
            let hasOpened = breaker.fail(.usual, now: 4_000)
            #expect(!hasOpened)
        }
        let mayAsk = breaker.begin(now: 5_000) != nil
        #expect(mayAsk)
    }
}

/// The breaker at the desk.
@Suite struct IntrospectionBreakerTests {
    let server: IssuerServer
    let inquiry: Inquiry

    init() throws {
        server = try IssuerServer()
        inquiry = try Inquiry(server)
    }

    @Test func opensTriesAndCloses() async throws {
        try server.answer("", status: 500)
        inquiry.use(inquiry.model())
        for _ in 0..<5 { #expect(await inquiry.ask() == "unavailable") }
        #expect(await inquiry.ask() == "not asked")
        #expect(inquiry.status?.state == "open")
        #expect(inquiry.kept.count("introspection_paused") == 1)
        inquiry.hand.advance(milliseconds: 4_999)
        #expect(await inquiry.ask() == "not asked")
        inquiry.hand.advance(milliseconds: 1)
        #expect(inquiry.status?.state == "half-open")
        #expect(await inquiry.ask() == "unavailable")
        inquiry.hand.advance(milliseconds: 9_999)
        #expect(await inquiry.ask() == "not asked")
        #expect(server.requests.count == 6)
        inquiry.hand.advance(milliseconds: 1)
        try server.answer(activeReply)
        #expect(await inquiry.ask() == "active")
        #expect(inquiry.status?.state == "closed")
        #expect(inquiry.kept.count("introspection_resumed") == 1)
        #expect(await inquiry.ask() == "active")
    }

    @Test func onlyTheTrialIsAsked() async throws {
        try server.answer("", status: 500)
        inquiry.use(inquiry.model("/held"))
        try server.release()
        for _ in 0..<5 { #expect(await inquiry.ask() == "unavailable") }
        shell("rm '\(server.folder.file("release"))'")
        inquiry.hand.advance(milliseconds: 5_000)
        let done = Counter()
        let trial = inquiry.question()
        for _ in 0..<2 {
            let isTaken = inquiry.desk.want(trial) { done.add() }
            #expect(isTaken)
        }
        #expect(await inquiry.ask() == "not asked")
        try server.release()
        #expect(await eventually { done.value == 1 })
        #expect(server.requests.count == 6)
    }

    /// Those in line are sent away when it opens; they are not asked about one after the other.
    @Test func theLineIsSentAway() async throws {
        try server.answer("", status: 500)
        inquiry.use(inquiry.model("/held", isPlain: true))
        let done = Counter()
        for _ in 0..<200 { _ = inquiry.desk.want(inquiry.question()) { done.add() } }
        let isAsked = await eventually { [server] in server.hits("/held") == 64 }
        #expect(isAsked)
        try server.release()
        #expect(await eventually { done.value == 200 })
        #expect(server.hits("/held") <= 68)
    }

    /// What one token brings about keeps no other from being asked about.
    @Test(arguments: ["/400", "/huge"]) func onesOwnTroubleIsNotEverybodys(_ path: String) async throws {
        inquiry.use(inquiry.model(path))
        for _ in 0..<12 { #expect(await inquiry.ask() == "unavailable") }
        #expect(inquiry.status?.state == "closed")
    }

    @Test func aRejectedCredentialOpensIt() async throws {
        inquiry.use(inquiry.model("/401"))
        for _ in 0..<5 { #expect(await inquiry.ask() == "unavailable") }
        #expect(inquiry.status?.state == "open")
    }
}
