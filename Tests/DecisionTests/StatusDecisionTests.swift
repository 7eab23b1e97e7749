@testable import Decision
import Octets
import PolicyTables
import Signatures
import Testing
import Tokens

@Suite struct StatusDecisionTests {
    private static let uri = "https://status.example.com/1"

    private static func plan(_ index: Int, _ uri: String = uri) -> TokenPlan {
        TokenPlan().with { $0.more = [("status", #"{"status_list":{"idx":\#(index),"uri":"\#(uri)"}}"#)] }
    }

    @Test("0 is good; 1, what has no meaning and what is beyond the list is invalid; 2 is suspended")
    func statuses() throws {
        let world = try World(gateModel())
        world.statusLists = StatusListTable([try world.statusList(Self.uri, [0, 1, 2, 3, 255, 0])])
        world.publishAgain()
        let decider = try world.decider()
        let rows: [(Int, Reason)] = [
            (0, .granted), (1, .statusInvalid), (2, .statusSuspended), (3, .statusInvalid), (4, .statusInvalid),
            (5, .granted), (6, .statusInvalid), (1 << 31 - 1, .statusInvalid),
        ]
        for (index, reason) in rows {
            let request = gate("plain").bearing(try world.token(Self.plan(index)))
            for _ in 0..<2 {
                let verdict = decider.verdict(request, limits: .waiting)
                #expect(verdict.outcome == .answered && verdict.reason == reason, "\(index)")
                #expect(reason == .granted || verdict.challenge.contains("invalid_token"))
            }
        }
    }

    @Test("a list that is not there, or no longer, is waited for, or answered 503")
    func missing() throws {
        let world = try World(gateModel())
        let decider = try world.decider()
        let request = gate("plain").bearing(try world.token(Self.plan(0)))
        for _ in 0..<2 {
            let owed = try #require(decider.verdict(request, limits: .waiting).statusList)
            #expect(owed.issuerIndex == 0 && owed.uri == bytes(Self.uri) && owed.list == listKey(Self.uri))
            #expect(owed.generation == world.issuers.generation)
            let verdict = decider.verdict(request)
            #expect(verdict.reason == .statusUnavailable && verdict.status == 503 && !verdict.hasChallenge)
        }
        // What is asked again is counted once.
        let hits = decider.counts.tokenCacheHits
        _ = decider.verdict(request, limits: .waiting)
        #expect(decider.counts.tokenCacheHits == hits)

        world.statusLists = StatusListTable([try world.statusList(Self.uri, [0], expiresAt: World.now + 100)])
        world.publishAgain()
        #expect(decider.verdict(request, now: World.now + 99, limits: .waiting).isAllow)
        #expect(decider.verdict(request, now: World.now + 100, limits: .waiting).statusList != nil)
        #expect(decider.verdict(request, now: World.now + 100).reason == .statusUnavailable)
        #expect(
            decider.verdict(gate("plain", "/watched").bearing(try world.token(Self.plan(0))), now: World.now + 100)
                .reason == .statusUnavailable)
    }

    @Test("a new list holds for a token that was seen before")
    func changes() throws {
        let world = try World(gateModel())
        let decider = try world.decider()
        let request = gate("plain").bearing(try world.token(Self.plan(1)))
        for (statuses, reason) in [
            ([0, 0], Reason.granted), ([0, 2], .statusSuspended), ([1, 0], .granted), ([0], .statusInvalid),
        ] {
            world.statusLists = StatusListTable([try world.statusList(Self.uri, statuses.map { UInt8($0) })])
            world.publishAgain()
            #expect(decider.verdict(request).reason == reason)
        }
    }

    @Test("each token has its own list")
    func table() throws {
        let world = try World(gateModel())
        let uris = (0..<20).map { "https://status.example.com/\($0)" }
        let lists = try uris.enumerated().map { try world.statusList($1, [UInt8($0 % 2)]) }
        for order in [lists, lists.reversed()] {
            world.statusLists = StatusListTable(order)
            #expect(world.statusLists.lists.count == 20)
            for (number, uri) in uris.enumerated() {
                #expect(world.statusLists.list(listKey(uri)) === lists[number])
            }
            #expect(world.statusLists.list(listKey(Self.uri + "0")) === lists[10])
            #expect(world.statusLists.list(listKey("x")) == nil)
            // The same place, as another issuer's list.
            #expect(world.statusLists.list(listKey(Self.uri, issuer: "https://third.example.com")) == nil)
        }
        #expect(StatusListTable.empty.list(listKey("x")) == nil)
        world.publishAgain()
        let decider = try world.decider()
        for (number, uri) in uris.enumerated() {
            let verdict = decider.verdict(gate("plain").bearing(try world.token(Self.plan(0, uri))))
            #expect(verdict.reason == (number % 2 == 0 ? .granted : .statusInvalid))
        }
    }

    @Test("revocation is said before the status, everything of the route after it")
    func order() throws {
        let world = try World(gateModel())
        world.statusLists = StatusListTable([try world.statusList(Self.uri, [1])])
        world.publishAgain()
        let decider = try world.decider()
        let request = gate("plain").bearing(try world.token(Self.plan(0).with { $0.scope = "none" }))
        #expect(decider.verdict(request).reason == .statusInvalid)
        #expect(decider.verdict(gate("asked").bearing(try world.token(Self.plan(0)))).reason == .statusInvalid)
        world.revoke(Revocation(kind: .issuer, issuer: bytes("https://id.example.com"), value: []))
        #expect(decider.verdict(request).reason == .revoked)
    }

    @Test("an issuer without lists has its `status` left alone; the log names the list of a denial")
    func alone() throws {
        let plain = try World()
        #expect(try plain.decider().verdict(Request().bearing(try plain.token(Self.plan(1)))).isAllow)
        let world = try World(gateModel())
        world.statusLists = StatusListTable([try world.statusList(Self.uri, [0, 1])])
        world.publishAgain()
        let decider = try world.decider()
        for index in 0..<2 {
            let (facts, all) = gate("plain").bearing(try world.token(Self.plan(index))).laidOut()
            _ = decider.decide(facts, all.span, now: World.now, limits: DecisionLimits())
            var line = ByteWriter(capacity: 4_096)
            decider.appendLogMembers(to: &line, facts, all.span, valueBytesMax: 256)
            let named = String(lossy: line.bytes).contains(#","status_list":"\#(Self.uri)","status_index":1"#)
            #expect(named == (index == 1))
        }
    }

    @Test("`authorization_details`: every demand of the route, on a cached token too")
    func details() throws {
        let world = try World(gateModel())
        let decider = try world.decider()
        let payment = #"{"type":"payment","actions":["initiate"]}"#
        let report = #"{"type":"report"}"#
        let rows: [(String?, [Bool])] = [
            (nil, [false, false, false]), ("[\(payment)]", [true, false, false]),
            ("[\(report)]", [false, true, false]),
            ("[\(report),\(payment)]", [true, true, true]), (#"[{"type":"payment"}]"#, [false, false, false]),
            (payment, [false, false, false]), ("[]", [false, false, false]), (#""payment""#, [false, false, false]),
        ]
        for (details, expected) in rows {
            let plan = TokenPlan().with { if let details { $0.more = [("authorization_details", details)] } }
            let token = try world.token(plan)
            for (path, isGranted) in zip(["/paid", "/reported", "/both"], expected) {
                let verdict = decider.verdict(gate("plain", path).bearing(token))
                #expect(verdict.reason == (isGranted ? .granted : .insufficientDetails), "\(details ?? "none") \(path)")
                if !isGranted {
                    #expect(verdict.status == 403 && verdict.challenge.contains("error=\"insufficient_scope\""))
                }
            }
            #expect(decider.verdict(gate("plain").bearing(token)).isAllow)
        }
        decider.collectsDetails = true
        let poor = try world.token(.scopes("none"))
        #expect(decider.verdict(gate("plain", "/both").bearing(poor)).reason == .insufficientScope)
        #expect(decider.details.requiredDetails.map { text($0.type) } == ["payment", "report"])
    }
}
