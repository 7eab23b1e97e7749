@testable import Decision
import Foundation
import Octets
import PolicyTables
import Testing
import Tokens

/// Answers and log lines at their limits, and with hostile bytes.
@Suite struct LimitTests {
    /// A complete answer of one kind or the other, whatever was asked.
    private func checkComplete(_ verdict: Verdict, _ comment: String) {
        #expect(verdict.outcome == .answered)
        #expect(verdict[.decision] == (verdict.isAllow ? "allow" : "deny"), "\(comment)")
        #expect(verdict[.reason] == "\(verdict.reason.name)" && verdict.status == verdict.reason.status)
        #expect(verdict[.auditID].utf8.count == 32 && verdict[.policy].hasPrefix("1."), "\(comment)")
        #expect(verdict.fields.reduce(0) { $0 + $1.utf8.count } <= Answer.textBytesMax)
        if !verdict.isAllow { #expect(verdict.identity == ["", "", "", ""], "\(comment)") }
    }

    @Test("subjects and clients of every length: the whole value or a denial", arguments: [true, false])
    func longIdentity(_ isSubject: Bool) throws {
        let world = try World()
        let decider = try world.decider()
        var allowed = 0
        var denied = 0
        let lengths =
            [1, 100, 1_000, 2_000, 3_000, 10_000, 11_000] + Array(stride(from: 3_400, to: 3_530, by: 3))
        for length in lengths {
            let value = String(repeating: "x", count: length)
            let plan = TokenPlan().with { if isSubject { $0.subject = value } else { $0.client = value } }
            let verdict = decider.verdict(Request().bearing(try world.token(plan)))
            checkComplete(verdict, "\(length)")
            if verdict.isAllow {
                allowed += 1
                #expect(
                    verdict.identity == [
                        isSubject ? value : "ann", isSubject ? "web" : value, "https://id.example.com",
                        "orders:read",
                    ])
            } else {
                denied += 1
                #expect(verdict.reason == .overloaded && verdict[.route].isEmpty && !verdict.hasChallenge)
            }
        }
        #expect(allowed > 10 && denied > 10)
        let counts = decider.counts
        #expect(
            counts.allowed == UInt64(allowed) && counts.unanswerable == UInt64(denied) && counts.denied == 0)
        let short = decider.verdict(Request().bearing(try world.token()))
        #expect(short.reason == .granted && short[.route] == "orders GET /v1/orders")
    }

    private func manyScopes(_ count: Int, bytesEach: Int) -> PolicyModel {
        var model = sampleModel()
        model.scopes = (0..<UInt16(count)).map { number in
            let name = "s\(number):" + String(repeating: "n", count: bytesEach)
            return ScopeModel(name: name, closure: number == 0 ? Array(0..<UInt16(count)) : [number])
        }
        model.services[0].routes = [
            route("GET /v1/orders", all: [1], any: [2, 3]),
            route("POST /v1/orders", all: Array(0..<UInt16(count))),
        ]
        model.services.removeLast(3)
        return model
    }

    @Test("granted scopes are whole, or those that were required and a mark that is no scope")
    func granted() throws {
        for (count, isWhole) in [(4, true), (19, true), (20, true), (21, true), (22, false), (200, false)] {
            let model = manyScopes(count, bytesEach: 93)
            let world = try World(model)
            let decider = try world.decider()
            let verdict = decider.verdict(Request().bearing(try world.token(.scopes(model.scopes[0].name))))
            checkComplete(verdict, "\(count)")
            let names = model.scopes.map(\.name)
            let whole = names.sorted().joined(separator: " ")
            let short = names[1...3].joined(separator: " ") + " \"shortened\""
            #expect(verdict.reason == .granted)
            #expect(verdict[.granted] == (isWhole ? whole : short), "\(count): \(whole.utf8.count)")
        }
    }

    @Test("a list of scopes that is too long is left out of the challenge as a whole")
    func challengeScopes() throws {
        // `, scope="` and the closing quote count.
        for (count, each, isThere) in [
            (10, 90, true), (10, 97, true), (10, 98, false), (11, 93, false), (300, 10, false),
        ] {
            let model = manyScopes(count, bytesEach: each)
            let world = try World(model)
            let decider = try world.decider()
            let list = model.scopes.map(\.name).joined(separator: " ")
            for request in [Request("POST"), Request("POST").bearing(try world.token(.scopes("none")))] {
                let verdict = decider.verdict(request)
                checkComplete(verdict, "\(count)")
                #expect(
                    verdict.challenge.contains(", scope=\"\(list)\"") == isThere,
                    "\(count) \(list.utf8.count)")
                #expect(verdict.challenge.contains("scope=") == isThere)
                #expect(
                    verdict.challenge.hasPrefix("Bearer realm=\"orders\"")
                        && verdict.challenge.hasSuffix("\""))
            }
        }
    }

    @Test("routes whose label fills the answer: complete denials, never half a field")
    func longLabels() throws {
        for length in [
            10, 1_000, 2_400, 3_300, 3_400, 3_440, 3_460, 3_480, 3_500, 3_520, 3_560, 3_600, 4_000, 30_000,
        ] {
            var model = sampleModel()
            let label = "GET /" + String(repeating: "l", count: length)
            model.services[0].routes[0].label = label
            model.services[0].routes[11].label = label
            let world = try World(model)
            let decider = try world.decider()
            let requests = [
                Request(), Request().bearing(try world.token()),
                Request().bearing(try world.token(.scopes("x"))),
                Request().bearing(bytes("a b")), Request("GET", "/healthz"),
            ]
            for (number, request) in requests.enumerated() {
                let verdict = decider.verdict(request)
                checkComplete(verdict, "\(length) \(number)")
                if length < 2_000 { #expect(verdict[.route] == "orders " + label) }
                #expect(verdict[.route].isEmpty || verdict[.route] == "orders " + label)
                if length > 3_600 { #expect(!verdict.isAllow && !verdict.hasChallenge) }
                let challenge = verdict.challenge
                #expect(challenge.isEmpty || challenge.hasPrefix("Bearer realm=\"orders\""))
                if number == 2, !challenge.isEmpty { #expect(challenge.contains("insufficient_scope")) }
            }
        }
    }

    @Test("labels outside ASCII are escaped, their spaces stay")
    func labels() throws {
        var model = sampleModel()
        model.services[0].routes[0].label = "GET /caf\u{E9} %\u{7F}\n\u{1F600}\""
        let world = try World(model)
        let verdict = try world.decider().verdict(Request())
        #expect(verdict[.route] == "orders GET /caf%c3%a9 %25%7f%0a%f0%9f%98%80\"")
    }

    @Test("identity text from tokens cannot write a header line")
    func hostileIdentity() throws {
        let world = try World()
        let decider = try world.decider()
        let hostile = "a\r\nX-Scope-Subject: root %0a\u{1}\u{7F}\u{E9}\u{2028}\"\\ b"
        let verdict = decider.verdict(
            Request().bearing(try world.token(TokenPlan().with { $0.subject = hostile })))
        #expect(verdict.reason == .granted)
        #expect(
            verdict[.subject]
                == #"a%0d%0aX-Scope-Subject:%20root%20%250a%01%7f%c3%a9%e2%80%a8"\%20b"#)
        #expect(verdict[.subject].removingPercentEncoding == hostile)
    }

    // MARK: log

    private func logged(_ decider: Decider, _ request: Request, valueBytesMax: Int = 256) throws -> [String:
        Any]
    {
        let (facts, all) = request.laidOut()
        var line = ByteWriter(capacity: 65_536)
        line.append("{\"a\":1")
        decider.appendLogMembers(to: &line, facts, all.span, valueBytesMax: valueBytesMax)
        line.append("}")
        let isWhole = !line.overflowed
        #expect(isWhole)
        let data = Data([UInt8](copying: line.bytes))
        return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    @Test("log members are JSON whatever the request holds")
    func hostileLog() throws {
        let world = try World()
        let decider = try world.decider()
        var random = SeededGenerator(99)
        let token = try world.token(TokenPlan().with { $0.subject = "a\"\\\n\u{1}\u{E9}" })
        for round in 0..<400 {
            func noise() -> [UInt8] {
                (0..<Int.random(in: 0..<40, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
            }
            var request = Request("GET", "/v1/metrics").bearing(token)
            request.port = bytes("9443")
            request.requestID = noise()
            request.clientAddress = noise()
            if round % 2 == 0 { request.target = bytes("/v1/metrics?") + noise() }
            if round % 3 == 0 { request.host = noise() }
            if round % 5 == 0 { request.method = noise() }
            if round % 7 == 0 { request.target = noise() }
            let verdict = decider.verdict(request)
            let members = try logged(decider, request, valueBytesMax: round % 11 == 0 ? round % 8 : 256)
            #expect(members["reason"] as? String == "\(verdict.reason.name)")
            #expect(members["verdict"] as? String == verdict[.decision])
            #expect(members["status"] as? Int == Int(verdict.status))
        }
    }

    @Test("what a line says; queries are left out, values are cut between characters")
    func logMembers() throws {
        let world = try World()
        let decider = try world.decider()
        var request = Request("GET", "/v1/watched?access_token=secret")
        request.requestID = bytes("r-1")
        request.clientAddress = bytes("192.0.2.1")
        _ = decider.verdict(request.bearing(try world.token(.scopes("orders:read"))))
        let members = try logged(decider, request)
        let expected: [String: String] = [
            "verdict": "allow", "reason": "observed", "would_be": "insufficient_scope", "request_id": "r-1",
            "client_address": "192.0.2.1", "method": "GET", "host": "api.example.com", "port": "443",
            "target": "/v1/watched", "subject": "ann", "client": "web", "scopes": "orders:read",
            "route": "orders GET /v1/watched",
        ]
        for (name, value) in expected { #expect(members[name] as? String == value, "\(name)") }
        #expect(
            members["status"] as? Int == 200 && members["audit_id"] is String && members["policy"] is String)
        // The next decision does not carry the last one's token on.
        _ = decider.verdict(Request())
        let next = try logged(decider, Request())
        #expect(next["subject"] == nil && next["would_be"] == nil)

        let long = Request().with { $0.requestID = bytes(String(repeating: "\u{20AC}", count: 100)) }
        _ = decider.verdict(long)
        for count in 0...12 {
            let cut = try logged(decider, long, valueBytesMax: count)["request_id"] as? String
            #expect(cut == String(repeating: "\u{20AC}", count: count / 3), "\(count)")
        }
    }

    @Test("what belongs in the log")
    func noteworthy() throws {
        let world = try World()
        let decider = try world.decider()
        let rows: [(Request, Bool)] = [
            (Request(), true), (Request("GET", "/healthz"), false),
            (Request().bearing(try world.token()), false),
            (Request("GET", "/v1/watched"), true), (Request("GET", "//"), true),
        ]
        for (request, isNoteworthy) in rows {
            _ = decider.verdict(request)
            #expect(decider.isNoteworthy == isNoteworthy)
        }
    }
}
