import PolicyTables
import Testing

@testable import Decision
@testable import Server

@Suite struct IntrospectionDeskTests {
    let server: IssuerServer
    let inquiry: Inquiry

    init() throws {
        server = try IssuerServer()
        inquiry = try Inquiry(server)
        try server.answer(activeReply)
    }

    // MARK: replies

    @Test func anActiveReplyIsBelievedForItsTime() async throws {
        var model = inquiry.model()
        model.introspection?.cacheSecondsMax = 30
        inquiry.use(model)
        let question = inquiry.question()
        #expect(await inquiry.ask(question) == "active")
        #expect(inquiry.words(inquiry.finding(question, later: 20)) == "active")
        #expect(inquiry.words(inquiry.finding(question, later: 31)) == "nothing")
    }

    @Test(arguments: [
        (#"{"active":false}"#, "inactive"), (#"{"active":true,"aud":"y"}"#, "audience_mismatch"),
        (#"{"active":true,"aud":"x","exp":1}"#, "expired"),
    ])
    func aDenialIsBelievedForItsTime(_ reply: String, _ expected: String) async throws {
        try server.answer(reply)
        var model = inquiry.model()
        model.introspection?.negativeSecondsMax = 10
        inquiry.use(model)
        let question = inquiry.question()
        #expect(await inquiry.ask(question) == expected)
        #expect(inquiry.words(inquiry.finding(question, later: 5)) == expected)
        #expect(inquiry.words(inquiry.finding(question, later: 11)) == "nothing")
        #expect(inquiry.status?.failureCount == 0)
    }

    @Test func aDenialThatIsNotKeptIsSeenByWhoeverWaited() async throws {
        try server.answer(#"{"active":false}"#)
        var model = inquiry.model()
        model.introspection?.negativeSecondsMax = 0
        inquiry.use(model)
        #expect(await inquiry.ask() == "inactive")
    }

    @Test func types() async throws {
        inquiry.use(inquiry.model())
        for type in ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=\"utf-8\""] {
            try server.answer(activeReply, type: type)
            #expect(await inquiry.ask() == "active", "\(type)")
        }
        for type in [nil, "", "text/html", "text/json", "application/jsonp", "application/jwt", "json"] {
            // Another client each time, for whom nothing has failed before.
            var model = inquiry.model()
            model.introspection?.clientID = type ?? "none"
            inquiry.use(model)
            try server.answer(activeReply, type: type)
            #expect(await inquiry.ask() == "unavailable", "\(type ?? "none")")
            #expect(inquiry.status?.lastError?.contains("another type") == true)
        }
    }

    @Test func badReplies() async throws {
        for (path, part) in [
            ("/500", "answered 500"), ("/503", "answered 503"), ("/204", "answered 204"), ("/201", "answered 201"),
            ("/400", "answered 400"), ("/401", "answered 401"), ("/403", "answered 403"), ("/none", "answered 404"),
            ("/redirect", "answered 302"), ("/huge", "more than 65536 bytes"), ("/endless", "more than 65536 bytes"),
            ("/short", ""), ("/types", "another type"),
        ] {
            inquiry.use(inquiry.model(path))
            let question = inquiry.question()
            #expect(await inquiry.ask(question) == "unavailable", "\(path)")
            #expect(inquiry.words(inquiry.finding(question, later: 3)) == "nothing", "it may be asked again soon")
            let status = try #require(inquiry.status)
            #expect(part.isEmpty ? status.lastError != nil : status.lastError?.contains(part) == true, "\(path)")
            #expect(status.failureCount == 1)
            #expect(status.exchangeCount == 1)
            #expect(server.hits(path) == 1)
        }
        #expect(server.hits("/answer") == 0, "a redirect is not followed")
    }

    @Test func uselessReplies() async throws {
        inquiry.use(inquiry.model())
        for reply in ["", "garbage", "[]", "{", #"{"active":"true"}"#, #"{"active":1}"#, "{}"] {
            try server.answer(reply)
            #expect(await inquiry.ask() == "unavailable", "\(reply)")
            #expect(inquiry.status?.lastError != nil)
        }
        #expect(inquiry.kept.count("introspection_failed") == 1, "not more than once in a second")
        #expect(inquiry.status?.state == "closed")
    }

    @Test(arguments: ["/slow", "/silent"]) func oneDeadlineForAllOfIt(_ path: String) async throws {
        var model = inquiry.model(path)
        model.introspection?.timeoutMilliseconds = 400
        inquiry.use(model)
        #expect(await inquiry.ask() == "unavailable")
        #expect(inquiry.status?.failureCount == 1)
    }

    // MARK: where it asks

    @Test func plainHTTPOnlyBetweenLoopbackAddresses() async throws {
        inquiry.use(inquiry.model(isPlain: true))
        #expect(await inquiry.ask() == "active")
        var model = inquiry.model(isPlain: true)
        model.issuer = "https://id.example.com"
        inquiry.use(model)
        #expect(await inquiry.ask() == "unavailable")
        #expect(server.requests.count == 1)
    }

    @Test func certificatesAreChecked() async throws {
        let distrustful = try Inquiry(server, trusts: false)
        distrustful.use(distrustful.model())
        #expect(await distrustful.ask() == "unavailable")
        #expect(server.requests.isEmpty)
        var model = distrustful.model()
        model.introspection?.certificateAuthorityFile = "cert.pem"
        distrustful.use(model)
        #expect(await distrustful.ask() == "active")
    }

    @Test func onlyWhoIsAskedByThePolicy() throws {
        var model = inquiry.model()
        model.introspection = nil
        inquiry.use(model)
        let isAsked = inquiry.desk.want(inquiry.question()) {}
        #expect(!isAsked)
        inquiry.use(inquiry.model())
        for question in [
            inquiry.question(issuerIndex: 1), inquiry.question(issuerIndex: -1), inquiry.question(generation: 1),
        ] {
            let isAsked = inquiry.desk.want(question) {}
            #expect(!isAsked)
        }
        #expect(server.requests.isEmpty)
    }

    // MARK: tokens that are verified here first

    @Test func onlyWhatIsVerifiedHereIsAskedAbout() async throws {
        var model = inquiry.model()
        model.introspection?.use = .all
        inquiry.use(model)
        let good = try inquiry.token(model)
        let forged = String(good.dropLast(4)) + (good.hasSuffix("AAAA") ? "BBBB" : "AAAA")
        #expect(await inquiry.ask(forged) == "signature_invalid")
        #expect(await inquiry.ask(try inquiry.token(model, lifetimeSeconds: -600)) == "expired")
        #expect(server.requests.isEmpty)
        #expect(inquiry.status?.exchangeCount == 0)
        try server.answer(#"{"active":true}"#)
        #expect(await inquiry.ask(good) == "active")
        #expect(server.requests.first?.formParameters["token"] == good)
        try server.answer(activeReply)
        #expect(await inquiry.ask("opaque") == "active")
    }

    @Test func anIssuerOfOpaqueTokensIsNotAskedAboutOthers() async throws {
        let model = inquiry.model()
        inquiry.use(model)
        #expect(await inquiry.ask(try inquiry.token(model)) == "unknown_issuer")
        #expect(server.requests.isEmpty)
    }

    // MARK: many at once

    @Test func oneExchangeForAllWhoWait() async throws {
        inquiry.use(inquiry.model("/held"))
        let done = Counter()
        let question = inquiry.question()
        for _ in 0..<50 {
            let isUnderWay = inquiry.desk.want(question) { done.add() }
            #expect(isUnderWay)
        }
        let isAsked = await eventually { [server] in server.hits("/held") == 1 }
        #expect(isAsked)
        try server.release()
        #expect(await eventually { done.value > 0 })
        #expect(inquiry.words(inquiry.finding(question)) == "active", "it is there before those who wait are told")
        #expect(await inquiry.ask() == "active")
        #expect(server.hits("/held") == 2)
        #expect(done.value == 1, "one call wakes everybody; those who wait are not counted up")
    }

    @Test func exchangesAtOnceAreBounded() async throws {
        inquiry.use(inquiry.model("/held", isPlain: true))
        let done = Counter()
        for _ in 0..<100 {
            let isTaken = inquiry.desk.want(inquiry.question()) { done.add() }
            #expect(isTaken)
        }
        let isAsked = await eventually { [server] in server.hits("/held") == 64 }
        #expect(isAsked)
        try server.release()
        #expect(await eventually { done.value == 100 })
        #expect(server.hits("/held") == 100)
        #expect(server.peak == 64)
    }

    @Test func theLineIsBoundedAndNobodyIsForgotten() async throws {
        inquiry.use(inquiry.model("/silent", isPlain: true))
        let done = Counter()
        let places = IntrospectionEndpoint.exchangesMax + IntrospectionEndpoint.waitingMax
        let taken = (0..<places + 10).count { _ in inquiry.desk.want(inquiry.question()) { done.add() } }
        #expect(taken == places)
        inquiry.desk.stop()
        #expect(await eventually { done.value == places })
        let isTaken = inquiry.desk.want(inquiry.question()) { done.add() }
        #expect(!isTaken)
        #expect(done.value == places)
    }

    @Test func whoHasWaitedTooLongIsNotAskedAboutAnyMore() async throws {
        inquiry.use(inquiry.model("/held", isPlain: true))
        let done = Counter()
        for _ in 0..<70 { _ = inquiry.desk.want(inquiry.question()) { done.add() } }
        let isAsked = await eventually { [server] in server.hits("/held") == 64 }
        #expect(isAsked)
        inquiry.hand.advance(milliseconds: 30_000)
        try server.release()
        #expect(await eventually { done.value == 70 })
        #expect(server.hits("/held") == 64)
    }

    @Test func stoppingEndsWhatIsUnderWay() async throws {
        inquiry.use(inquiry.model("/silent"))
        let done = Counter()
        let question = inquiry.question()
        let isUnderWay = inquiry.desk.want(question) { done.add() }
        #expect(isUnderWay)
        let isAsked = await eventually { [server] in server.hits("/silent") == 1 }
        #expect(isAsked)
        inquiry.desk.stop()
        #expect(await eventually { done.value == 1 })
        inquiry.use(inquiry.model())
        let isAskedLater = inquiry.desk.want(inquiry.question()) {}
        #expect(!isAskedLater)
    }

    // MARK: policies

    @Test func anotherPolicyWithTheSameIssuerKeepsWhatIsKnown() async throws {
        try server.answer("", status: 500)
        let model = inquiry.model()
        inquiry.use(model)
        for _ in 0..<5 { #expect(await inquiry.ask() == "unavailable") }
        #expect(inquiry.status?.state == "open")
        var other = model
        other.audiences = ["x", "y"]
        inquiry.use(other)
        #expect(inquiry.status?.state == "open")
        other.introspection?.clientID = "another"
        inquiry.use(other)
        #expect(inquiry.status?.state == "closed")
    }

    @Test func anIssuerThatIsGoneWakesWhoeverWaits() async throws {
        inquiry.use(inquiry.model("/held", isPlain: true))
        let done = Counter()
        for _ in 0..<70 { _ = inquiry.desk.want(inquiry.question()) { done.add() } }
        inquiry.use(inquiry.model("/answer", isPlain: true))
        #expect(await eventually { done.value == 6 })
        try server.release()
        #expect(await eventually { done.value == 70 })
        #expect(await inquiry.ask() == "active")
    }

    // MARK: what is told

    @Test func aRejectedCredentialIsToldOnce() async throws {
        try server.answer("", status: 401)
        inquiry.use(inquiry.model())
        for _ in 0..<3 {
            #expect(await inquiry.ask() == "unavailable")
            inquiry.hand.advance(milliseconds: 2_000)
        }
        #expect(inquiry.kept.count("introspection_rejected") == 1)
        try server.answer(activeReply)
        #expect(await inquiry.ask() == "active")
        try server.answer("", status: 401)
        inquiry.hand.advance(milliseconds: 2_000)
        #expect(await inquiry.ask() == "unavailable")
        #expect(inquiry.kept.count("introspection_rejected") == 2)
    }

    @Test func nothingSecretIsTold() async throws {
        let token = "the-token-itself"
        inquiry.use(inquiry.model())
        for (reply, status) in [
            ("{\"active\":\"REPLY\"}", 200), ("REPLY", 200), ("REPLY", 400), ("REPLY", 401), ("REPLY", 500),
        ] {
            try server.answer(reply, status: status)
            inquiry.hand.advance(milliseconds: 2_000)
            _ = await inquiry.ask("\(token)\(status)\(reply.count)")
        }
        let text = inquiry.kept.text
        #expect(inquiry.kept.count("introspection_failed") + inquiry.kept.count("introspection_rejected") == 5)
        for secret in [token, "s3c", "REPLY", "Basic "] { #expect(!text.contains(secret)) }
    }
}
