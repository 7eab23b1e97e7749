@testable import Decision
import PolicyTables
import Testing
import Tokens

/// Authentication that a route demands (RFC 9470).
@Suite struct StepUpTests {
    private static let error =
        #", error="insufficient_user_authentication", error_description="The user must authenticate once more""#
    private static let scope = #", scope="orders:read""#

    @Test("kind and age of the user's authentication")
    func rows() throws {
        let world = try World(proofModel())
        let decider = try world.decider()
        let now = World.now
        let acr = #", acr_values="gold urn:acr:platinum""#
        let age = #", max_age="300""#
        let rows: [(String, String?, String?, String?)] = [
            // target, acr, auth_time, challenge or nil for an allow
            ("/acr", #""gold""#, nil, nil), ("/acr", #""urn:acr:platinum""#, nil, nil),
            ("/acr", nil, "\(now)", acr), ("/acr", #""""#, nil, acr), ("/acr", #""silver""#, nil, acr),
            ("/acr", #""Gold""#, nil, acr), ("/acr", #""gold ""#, nil, acr),
            ("/acr", #""gold urn:acr:platinum""#, nil, acr),
            ("/acr", #""gol""#, nil, acr), ("/acr", #""goldx""#, nil, acr),
            ("/age", nil, "\(now)", nil), ("/age", nil, "\(now - 300)", nil), ("/age", nil, "\(now - 301)", age),
            ("/age", nil, "\(now + 60)", nil), ("/age", nil, "\(now + 61)", age), ("/age", #""gold""#, nil, age),
            ("/age", nil, "1", age), ("/age", nil, "9007199254740992", age),
            ("/free", nil, nil, nil), ("/free", #""silver""#, "1", nil),
        ]
        for (target, context, time, expected) in rows {
            let plan = TokenPlan().with {
                if let context { $0.more.append(("acr", context)) }
                if let time { $0.more.append(("auth_time", time)) }
            }
            let request = pay(target).bearing(try world.token(plan))
            // Verified now, and known from before.
            for _ in 0..<2 {
                let verdict = decider.verdict(request)
                DeciderReasonTests.check(verdict, expected == nil ? .granted : .stepUpRequired)
                guard let expected else { continue }
                #expect(verdict.challenge == #"Bearer realm="pay""# + Self.error + expected + Self.scope)
                #expect(verdict.status == 401)
            }
        }
    }

    @Test("authentication grows too old between two requests with one token, and no time traps")
    func ages() throws {
        let world = try World(proofModel())
        let decider = try world.decider()
        let plan = TokenPlan().with {
            $0.more = [("auth_time", "\(World.now)")]
            $0.expiresAt = World.now + 5_000
        }
        let request = pay("/age").bearing(try world.token(plan))
        for (second, reason) in [(0, .granted), (300, .granted), (301, .stepUpRequired)] as [(Int64, Reason)] {
            #expect(decider.verdict(request, now: World.now + second).reason == reason)
        }
        for now in [Int64.min, -1, 0, .max] { #expect(!decider.verdict(request, now: now).isAllow) }
        // Without the claim it is no authentication at the beginning of time.
        let early = TokenPlan().with {
            $0.issuedAt = 1
            $0.expiresAt = 1_000
        }
        let unsaid = pay("/age").bearing(try world.token(early))
        #expect(decider.verdict(unsaid, now: 100).reason == .stepUpRequired)
        let last = TokenPlan().with {
            $0.more = [("auth_time", "9007199254740992")]
            $0.expiresAt = 9_007_199_254_740_992
            $0.issuedAt = nil
        }
        _ = decider.verdict(pay("/age").bearing(try world.token(last)), now: .max)
    }

    @Test("after scopes and bindings, before the proof is used up, in the scheme that was used")
    func order() throws {
        let world = try World(proofModel())
        let decider = try world.decider()
        let client = try ProofClient()
        let weak = try world.token(.scopes("read:metrics"))
        #expect(decider.verdict(pay("/acr").bearing(weak)).reason == .insufficientScope)
        // What the token is bound to comes before.
        let plain = try world.token(TokenPlan().with { $0.more = [("acr", #""gold""#)] })
        #expect(decider.verdict(pay("/both").bearing(plain)).reason == .proofRequired)
        let bound = try client.token(world, TokenPlan().with { $0.more = [("acr", #""gold""#)] })
        let verdict = decider.verdict(try client.sign(pay("/both"), bound))
        DeciderReasonTests.check(verdict, .stepUpRequired)
        #expect(verdict.challenge.hasPrefix(#"DPoP realm="pay", algs="ES256 "#))
        #expect(verdict.challenge.hasSuffix(Self.error + #", acr_values="gold", max_age="300""# + Self.scope))
    }

    @Test("a list that does not fit is left out as a whole")
    func long() throws {
        let values = (0..<16).map { String(repeating: "a", count: 126) + String(10 + $0) }.joined(separator: " ")
        let list = #", acr_values="\#(values)""#
        for (labelBytes, isThere) in [(10, true), (600, false), (3_000, false)] {
            var model = proofModel()
            let service = model.services.count - 2
            let index = try #require(model.services[service].routes.firstIndex { $0.label == "GET /long" })
            model.services[service].routes[index].label = String(repeating: "l", count: labelBytes)
            let world = try World(model)
            let verdict = try world.decider().verdict(pay("/long").bearing(try world.token()))
            DeciderReasonTests.check(verdict, .stepUpRequired)
            #expect(
                verdict.challenge
                    == #"Bearer realm="pay""# + Self.error + (isThere ? list : "") + #", max_age="1""# + Self.scope)
        }
    }
}
