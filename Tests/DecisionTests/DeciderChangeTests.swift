@testable import Decision
import PolicyTables
import Testing
import Tokens

/// What may change between two requests with the same token: the time, the policy, the keys.
@Suite struct DeciderChangeTests {
    @Test("a token from the cache is held to its times")
    func times() throws {
        let world = try World()
        let decider = try world.decider()
        let plan = TokenPlan().with {
            $0.notBefore = World.now
            $0.expiresAt = World.now + 100
        }
        let request = Request().bearing(try world.token(plan))
        #expect(decider.verdict(request, now: World.now - 11).reason == .notYetValid)
        #expect(decider.cachedTokenCount == 0)
        // Leeway is ten seconds on either side.
        let rows: [(Int64, Reason)] = [
            (-10, .granted), (0, .granted), (109, .granted), (110, .expired), (10_000, .expired),
            (50, .granted),
            (-11, .notYetValid), (-10_000, .notYetValid), (-10, .granted),
        ]
        for (offset, reason) in rows {
            #expect(decider.verdict(request, now: World.now + offset).reason == reason, "\(offset)")
        }
        #expect(decider.verdict(request, now: .max).reason == .expired)
        #expect(decider.verdict(request, now: .min).reason == .notYetValid)
        #expect(decider.verdict(request, now: 0).reason == .notYetValid)
        #expect(decider.counts.verifications == 2 && decider.counts.tokenCacheHits == 11)
    }

    @Test("a clock that was set back finds the cache no kinder than a verification")
    func setBack() throws {
        let world = try World()
        let request = Request().bearing(try world.token(TokenPlan().with { $0.issuedAt = World.now }))
        let decider = try world.decider()
        for now in [World.now - 301, World.now - 300, World.now, World.now - 301, World.now - 300] {
            let fresh = try world.decider()
            let expected: Reason = now < World.now - 300 ? .notYetValid : .granted
            #expect(decider.verdict(request, now: now).reason == expected)
            #expect(fresh.verdict(request, now: now).reason == expected)
        }
    }

    @Test("extreme dates do not overflow")
    func extremeDates() throws {
        let world = try World()
        let decider = try world.decider()
        let plan = TokenPlan().with {
            $0.issuedAt = 1
            $0.notBefore = 1
            $0.expiresAt = 1 << 53
        }
        let request = Request().bearing(try world.token(plan))
        for _ in 0..<2 {
            #expect(decider.verdict(request).reason == .granted)
            #expect(decider.verdict(request, now: .max).reason == .expired)
            #expect(decider.verdict(request, now: .min).reason == .notYetValid)
        }
    }

    @Test("a new policy holds at once for a token seen before, and so does the old one again")
    func policySwap() throws {
        let world = try World()
        let decider = try world.decider()
        let request = Request().bearing(try world.token(.scopes("orders:write")))
        let first = decider.verdict(request)
        #expect(first.reason == .granted && first[.granted] == "orders:read orders:write")
        #expect(first[.policy].hasPrefix("1."))

        var stricter = sampleModel()
        stricter.services[0].routes[0] = route("GET /v1/orders", all: [Scope.admin])
        try world.activate(stricter)
        let second = decider.verdict(request)
        #expect(second.reason == .insufficientScope && second[.policy].hasPrefix("2."))
        #expect(second.challenge.contains(#"scope="orders:admin""#))

        // The same names, other numbers, and another meaning of orders:write.
        var renumbered = sampleModel()
        renumbered.scopes = [
            ScopeModel(name: "zz", closure: [0]), ScopeModel(name: "orders:write", closure: [1, 2]),
            ScopeModel(name: "orders:extra", closure: [2]), ScopeModel(name: "orders:read", closure: [3]),
            ScopeModel(name: "a", closure: [4]), ScopeModel(name: "b", closure: [5]),
        ]
        renumbered.services[0].routes[0] = route("GET /v1/orders", all: [2])
        try world.activate(renumbered)
        let third = decider.verdict(request)
        #expect(third.reason == .granted && third[.granted] == "orders:extra orders:write")
        #expect(
            decider.verdict(Request("POST", "/v1/orders/7").bearing(bytes("x"))).reason == .tokenMalformed)

        var without = sampleModel()
        without.services.removeFirst()
        try world.activate(without)
        #expect(decider.verdict(request).reason == .unknownHost)
        try world.activate(sampleModel())
        #expect(decider.verdict(request).reason == .granted)
        world.board.publish(nil)
        #expect(decider.verdict(request).reason == .noPolicy)
        world.publish()
        #expect(decider.verdict(request).reason == .granted)
    }

    @Test("an activation is not seen before it is published, and then by the next request")
    func publishing() throws {
        let world = try World()
        let decider = try world.decider()
        let request = Request().bearing(try world.token())
        #expect(decider.verdict(request)[.policy].hasPrefix("1."))
        var other = sampleModel()
        other.services.removeFirst()
        try world.activate(other, publishing: false)
        #expect(decider.verdict(request)[.policy].hasPrefix("1."))
        world.publish()
        #expect(decider.verdict(request).reason == .unknownHost)
    }

    @Test("new keys: cached tokens are verified again, and a removed key takes its tokens with it")
    func keySwap() throws {
        let world = try World()
        let decider = try world.decider()
        let request = Request().bearing(try world.token())
        for _ in 0..<3 { #expect(decider.verdict(request).reason == .granted) }
        #expect(decider.counts.verifications == 1 && decider.counts.tokenCacheHits == 2)
        world.publish()
        for _ in 0..<2 { #expect(decider.verdict(request).reason == .granted) }
        #expect(decider.counts.verifications == 2 && decider.counts.tokenCacheHits == 3)
        #expect(decider.cachedTokenCount == 1)

        world.keySets[0] = world.set(of: 0, named: "b")
        world.publish()
        for _ in 0..<2 { #expect(decider.verdict(request).reason == .unknownKey) }
        #expect(decider.cachedTokenCount == 0)
        // Another key under the same name.
        world.keySets[0] = world.set(of: 0, named: "a", world.stranger)
        world.publish()
        for _ in 0..<2 { #expect(decider.verdict(request).reason == .signatureInvalid) }
        // And back: what was refused under those keys is not refused under these.
        world.keySets[0] = world.set(of: 0, named: "a")
        world.publish()
        #expect(decider.verdict(request).reason == .granted)
        world.statuses[0] = .stale
        world.publish()
        #expect(decider.verdict(request).reason == .keysStale)
        world.statuses[0] = .unavailable
        world.publish()
        #expect(decider.verdict(request).reason == .keysUnavailable)
    }

    @Test("a cached token of an issuer whose keys go stale in the same generation is refused too")
    func staleInCache() throws {
        let world = try World()
        let decider = try world.decider()
        let request = Request().bearing(try world.token())
        #expect(decider.verdict(request).reason == .granted)
        let snapshot = try #require(world.board.snapshot)
        for (status, reason) in [
            (IssuerKeys.Status.stale, Reason.keysStale), (.unavailable, .keysUnavailable),
        ] {
            var issuers = snapshot.issuers.issuers
            issuers[0] = IssuerKeys(settings: world.settings[0], keys: world.keySets[0], status: status)
            world.board.publish(
                DecisionSnapshot(
                    activation: snapshot.activation, version: snapshot.version,
                    issuers: IssuerSnapshot(issuers: issuers, generation: snapshot.issuers.generation)))
            #expect(decider.verdict(request).reason == reason)
        }
        // Fewer issuers than the token's: nothing to index.
        world.board.publish(
            DecisionSnapshot(
                activation: snapshot.activation, version: snapshot.version,
                issuers: IssuerSnapshot(issuers: [], generation: snapshot.issuers.generation)))
        #expect(decider.verdict(request).reason == .unknownIssuer)
    }

    @Test("without leave to verify: owed, nothing counted, nothing kept, and the same answer afterwards")
    func verificationOwed() throws {
        let world = try World()
        let decider = try world.decider()
        let none = DecisionLimits(mayVerify: false)
        let good = Request().bearing(try world.token())
        let forged = Request().bearing(try world.token(key: world.stranger))
        for request in [good, forged, Request().bearing(bytes("junk"))] {
            let before = decider.state.auditSequence
            let owed = decider.verdict(request, limits: none)
            #expect(owed.outcome == .verificationOwed)
            #expect(
                !owed.isAllow && owed.status == 403 && owed[.decision].isEmpty
                    && owed.identity == ["", "", "", ""])
            #expect(decider.state.auditSequence == before)
        }
        let counts = decider.counts
        #expect(counts.allowed + counts.denied + counts.unanswerable + counts.verifications == 0)
        #expect(decider.cachedTokenCount == 0)
        // What needs no verification is answered.
        #expect(decider.verdict(Request(), limits: none).reason == .noToken)
        #expect(decider.verdict(Request("GET", "/healthz"), limits: none).reason == .public)
        let large = Request().bearing([UInt8](repeating: 0x61, count: 16_385))
        #expect(decider.verdict(large, limits: none).reason == .tokenTooLarge)
        // Observe mode waits for the verification as well.
        let watched = Request("GET", "/v1/watched").with { $0.authorization = good.authorization }
        #expect(decider.verdict(watched, limits: none).outcome == .verificationOwed)

        #expect(decider.verdict(good).reason == .granted)
        #expect(decider.verdict(forged).reason == .signatureInvalid)
        #expect(decider.verdict(good, limits: none).reason == .granted)
        #expect(decider.verdict(forged, limits: none).reason == .signatureInvalid)
    }

    @Test("an unknown key may be waited for, by the index of its issuer")
    func keyOwed() throws {
        let world = try World()
        let decider = try world.decider()
        let wait = DecisionLimits(mayVerify: true, mayWaitForKey: true)
        let unknown = Request().bearing(try world.token(TokenPlan().with { $0.keyName = "new" }))
        #expect(decider.verdict(unknown, limits: wait).outcome == .keyOwed(issuerIndex: 0))
        #expect(decider.verdict(unknown).reason == .unknownKey)
        world.keySets[2] = nil
        world.publish()
        let third = TokenPlan().with { $0.issuer = "https://third.example.com" }
        let later = Request().bearing(try world.token(third, issuer: 2))
        let owed = decider.verdict(later, limits: wait)
        #expect(owed.outcome == .keyOwed(issuerIndex: 2) && !owed.isAllow && owed[.decision].isEmpty)
        #expect(decider.verdict(later).reason == .keysUnavailable)
        world.keySets[0] = world.set(of: 0, named: "new")
        world.keySets[2] = world.set(of: 2, named: "a")
        world.publish()
        #expect(decider.verdict(unknown, limits: wait).reason == .granted)
        #expect(decider.verdict(later, limits: wait).reason == .granted)
        // An issuer that is none of the policy's is never waited for.
        let stranger = TokenPlan().with { $0.issuer = "https://evil.example.com" }
        #expect(
            decider.verdict(Request().bearing(try world.token(stranger)), limits: wait).reason
                == .unknownIssuer)
    }

    @Test("audit identifiers are unique, grow, and are taken by answers alone")
    func auditIDs() throws {
        let world = try World()
        let decider = try world.decider()
        var seen: [String] = []
        for request in [Request(), Request("GET", "/healthz"), Request("GET", "//"), Request(host: "x")] {
            for _ in 0..<300 { seen.append(decider.verdict(request)[.auditID]) }
        }
        #expect(Set(seen).count == seen.count && seen == seen.sorted())
        #expect(seen.allSatisfy { $0.hasPrefix("0123456789abcdef") && $0.utf8.count == 32 })
        #expect(seen.last?.hasSuffix("00000000000004b0") == true)
    }
}
