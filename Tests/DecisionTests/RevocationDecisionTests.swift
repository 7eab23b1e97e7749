@testable import Decision
import Octets
import PolicyTables
import Signatures
import Testing
import Tokens

@Suite struct RevocationDecisionTests {
    private static let issuer = bytes("https://id.example.com")
    private static let actor = ("act", #"{"sub":"bot","client_id":"robot"}"#)

    private static func revocation(
        _ kind: Revocation.Kind, _ value: String, issuer: [UInt8] = issuer, issuedAtMax: Int64 = .max,
        until: Int64 = .max
    ) -> Revocation {
        Revocation(kind: kind, issuer: issuer, value: bytes(value), issuedAtMax: issuedAtMax, until: until)
    }

    /// Each kind with the value that names the token, and neighbours that do not.
    private static let kinds: [(Revocation.Kind, String, [String])] = [
        (.tokenID, "t1", ["t2", "t", "T1", ""]), (.subject, "ann", ["an", "bob", "web", "t1", ""]),
        (.client, "web", ["ann", "we", ""]), (.key, "a", ["b", ""]), (.issuer, "", ["a", "ann"]),
        (.subject, "bot", ["robot"]), (.client, "robot", ["bot"]),
    ]

    @Test("each kind names the token, and its neighbours do not", arguments: [false, true])
    func eachKind(_ isCached: Bool) throws {
        for (kind, value, others) in Self.kinds {
            let world = try World()
            let decider = try world.decider()
            let token = try world.token(TokenPlan().with { $0.more = [Self.actor] })
            let request = Request().bearing(token)
            if isCached { #expect(decider.verdict(request).isAllow) }
            for other in others {
                world.revoke(Self.revocation(kind, other))
                #expect(decider.verdict(request).reason == .granted, "\(kind) \(other)")
            }
            // Of another issuer.
            world.revoke(Self.revocation(kind, value, issuer: bytes("https://third.example.com")))
            #expect(decider.verdict(request).reason == .granted, "\(kind)")
            world.revoke(Self.revocation(kind, value))
            let verdict = decider.verdict(request)
            #expect(verdict.reason == .revoked && verdict.status == 401, "\(kind)")
            #expect(verdict.challenge.contains("error=\"invalid_token\"") && verdict.identity == ["", "", "", ""])
            #expect(decider.verdict(request).reason == .revoked)
            // And in a worker that sees it for the first time.
            #expect(try world.decider().verdict(request).reason == .revoked)
        }
    }

    @Test("a token by its own bytes, whoever its issuer is")
    func token() throws {
        let world = try World()
        let decider = try world.decider()
        let token = try world.token()
        let other = try world.token(TokenPlan().with { $0.tokenID = "t2" })
        #expect(decider.verdict(Request().bearing(token)).isAllow)
        world.revoke(Revocation(kind: .token, issuer: [], value: sha256(token.span).bytes))
        #expect(decider.verdict(Request().bearing(token)).reason == .revoked)
        #expect(decider.verdict(Request().bearing(other)).isAllow)
    }

    @Test("without an actor, what names one names nobody")
    func noActor() throws {
        let world = try World()
        let decider = try world.decider()
        world.revoke(Self.revocation(.subject, "bot"), Self.revocation(.client, "robot"))
        #expect(decider.verdict(Request().bearing(try world.token())).isAllow)
    }

    @Test("`iat` up to the moment is named, later is not, and none at all is")
    func issuedAt() throws {
        let world = try World()
        let decider = try world.decider()
        let claims: [(Int64?, Bool)] = [(World.now - 11, true), (World.now - 10, true), (World.now - 9, false)]
        for (issuedAt, isRevoked) in claims {
            let token = try world.token(TokenPlan().with { $0.issuedAt = issuedAt })
            world.revocations = .empty
            world.revoke(Self.revocation(.subject, "ann", issuedAtMax: World.now - 10))
            #expect(decider.verdict(Request().bearing(token)).reason == (isRevoked ? .revoked : .granted))
        }
        // An issuer of the compatible profile may leave it out.
        world.revoke(
            Self.revocation(.subject, "ann", issuer: bytes("https://other.example.com/caf\u{E9}"), issuedAtMax: -1))
        let plan = TokenPlan().with {
            $0.issuer = "https://other.example.com/caf\u{E9}"
            $0.issuedAt = nil
            $0.clientClaim = "azp"
        }
        let token = try world.token(plan, issuer: 1)
        let request = Request("GET", "/x", host: "inner.example.com").with { $0.port = bytes("8443") }
        #expect(decider.verdict(request.bearing(token)).reason == .revoked)
        let dated = try world.token(plan.with { $0.issuedAt = World.now - 10 }, issuer: 1)
        #expect(decider.verdict(request.bearing(dated)).reason == .granted)
    }

    @Test("an entry ends by time, for tokens that were refused by it too")
    func expiry() throws {
        let world = try World()
        let decider = try world.decider()
        let request = Request().bearing(try world.token())
        world.revoke(Self.revocation(.subject, "ann", until: World.now + 10))
        #expect(decider.verdict(request, now: World.now).reason == .revoked)
        #expect(decider.verdict(request, now: World.now + 9).reason == .revoked)
        #expect(decider.verdict(request, now: World.now + 10).reason == .granted)
    }

    @Test("a cached token is looked up again under a new set, and a set that is taken back lets it pass")
    func epochs() throws {
        let world = try World()
        let decider = try world.decider()
        let request = Request().bearing(try world.token())
        #expect(decider.verdict(request).isAllow)
        let before = decider.counts.verifications
        world.revoke(Self.revocation(.subject, "bob"))
        #expect(decider.verdict(request).isAllow)
        world.revoke(Self.revocation(.subject, "ann"))
        #expect(decider.verdict(request).reason == .revoked)
        world.revocations = world.revocations.filtered(now: World.now) { $0 != Self.revocation(.subject, "ann").key }
        world.publishAgain()
        #expect(decider.verdict(request).isAllow)
        // None of it took a signature.
        #expect(decider.counts.verifications == before)
    }

    @Test("no check is skipped for a revoked token that is verified again")
    func verifiedAgain() throws {
        let world = try World()
        let decider = try world.decider(entries: 8)
        let token = try world.token()
        let request = Request().bearing(token)
        #expect(decider.verdict(request).isAllow)
        world.revoke(Self.revocation(.tokenID, "t1"))
        #expect(decider.verdict(request).reason == .revoked)
        // Keys of a new generation, a full cache, another worker: each verifies the token anew.
        world.publish()
        #expect(decider.verdict(request).reason == .revoked)
        for number in 0..<64 {
            let other = try world.token(TokenPlan().with { $0.tokenID = "x\(number)" })
            #expect(decider.verdict(Request().bearing(other)).isAllow)
        }
        #expect(decider.verdict(request).reason == .revoked)
        #expect(try world.decider().verdict(request).reason == .revoked)
    }

    @Test("what comes first: the token's own faults, then the revocation, then everything of the route")
    func order() throws {
        let world = try World()
        let decider = try world.decider()
        world.revoke(Self.revocation(.subject, "ann"))
        let expired = try world.token(TokenPlan().with { $0.expiresAt = World.now - 11 })
        #expect(decider.verdict(Request().bearing(expired)).reason == .expired)
        let forged = try world.token(key: world.stranger)
        #expect(decider.verdict(Request().bearing(forged)).reason == .signatureInvalid)
        let poor = try world.token(.scopes("none"))
        #expect(decider.verdict(Request().bearing(poor)).reason == .revoked)
        let elsewhere = Request("GET", "/stream", host: "app.example.com")
        #expect(decider.verdict(elsewhere.bearing(poor)).reason == .unknownRoute)
        #expect(decider.verdict(Request("GET", "/healthz").bearing(poor)).isAllow)
    }

    @Test("observe mode lets it pass and says so")
    func observed() throws {
        let world = try World()
        let decider = try world.decider()
        world.revoke(Self.revocation(.subject, "ann"))
        let verdict = decider.verdict(Request("GET", "/v1/watched").bearing(try world.token(.scopes("support:admin"))))
        #expect(verdict.reason == .observed && verdict.identity == ["", "", "", ""])
    }

    @Test("the log names the kind and the token")
    func logged() throws {
        let world = try World()
        let decider = try world.decider()
        decider.collectsDetails = true
        world.revoke(Self.revocation(.client, "web"))
        let (facts, all) = Request().bearing(try world.token()).laidOut()
        _ = decider.decide(facts, all.span, now: World.now, limits: DecisionLimits())
        var line = ByteWriter(capacity: 4_096)
        decider.appendLogMembers(to: &line, facts, all.span, valueBytesMax: 256)
        let written = String(lossy: line.bytes)
        #expect(written.contains(#""reason":"revoked""#))
        #expect(written.contains(#""subject":"ann","#) && written.contains(#","revoked_by":"client","token_id":"t1""#))
        #expect(decider.details.revokedBy == .client)
        _ = decider.verdict(Request())
        #expect(decider.details.revokedBy == nil)
    }
}
