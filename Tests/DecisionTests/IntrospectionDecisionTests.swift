@testable import Decision
import Octets
import PolicyTables
import Signatures
import Testing
import Tokens

@Suite struct IntrospectionDecisionTests {
    private static let opaque = bytes("2YotnFZFEjr1zCsicMWpAA")
    private static let good =
        #"{"active":true,"sub":"ann","azp":"web","scope":"orders:read","aud":"https://api.example.com"}"#

    @Test("an opaque token: asked once, then known, in this worker and in another")
    func active() throws {
        let world = try World(gateModel())
        let records = IntrospectionRecords(entriesMax: 64)
        let decider = try world.decider(introspections: records)
        let request = gate("opaque").bearing(Self.opaque)
        #expect(decider.verdict(request, limits: .quick).outcome == .verificationOwed)
        let owed = decider.verdict(request, limits: .waiting)
        let question = try #require(owed.introspection)
        #expect(question.issuerIndex == 1 && question.token == Self.opaque && question.timeoutMilliseconds == 750)
        #expect(question.digest == digest(Self.opaque) && question.generation == world.issuers.generation)
        // Whoever may not wait is told so.
        let refused = decider.verdict(request)
        #expect(refused.reason == .introspectionUnavailable && refused.status == 503 && !refused.hasChallenge)

        try world.answer(question, Self.good, in: records)
        let verdict = decider.verdict(request, limits: .waiting)
        #expect(verdict.reason == .granted)
        #expect(verdict.identity == ["ann", "web", "https://other.example.com/caf%c3%a9", "orders:read"])
        // From then on without a lock or a verification.
        let before = decider.counts.verifications
        #expect(decider.verdict(request, limits: .quick).isAllow && decider.counts.verifications == before)
        #expect(try world.decider(introspections: records).verdict(request, limits: .waiting).isAllow)
        #expect(try world.decider().verdict(request, limits: .waiting).introspection == question)
    }

    @Test("a misspelled JWS is never shown to an issuer: it would pass in spellings that no revocation names")
    func misspelled() throws {
        let world = try World(gateModel())
        let decider = try world.decider()
        let good = try world.token()
        for token in [good + bytes("="), good + bytes("=="), bytes("e+J.e30.AAAA"), bytes("IHs.e30.AA=")] {
            let verdict = decider.verdict(gate("opaque").bearing(token), limits: .waiting)
            #expect(verdict.introspection == nil && verdict.reason.status == 401, "\(text(token))")
        }
        for token in ["ya29.c.b0Aa", "a.b.c", "opaque", "e30.e30", "f30.e30.AA"] {
            let verdict = decider.verdict(gate("opaque").bearing(bytes(token)), limits: .waiting)
            #expect(verdict.introspection != nil, "\(token)")
        }
    }

    @Test("every reading but an active one is a denial, kept for its time")
    func negative() throws {
        let rows: [(String, Reason)] = [
            (#"{"active":false}"#, .tokenInactive),
            (#"{"active":true,"aud":"https://else.example.com"}"#, .audienceMismatch),
            (#"{"active":true,"aud":"https://api.example.com","exp":1000}"#, .expired),
            (#"{"active":true,"iss":"x","aud":"https://api.example.com"}"#, .unknownIssuer),
        ]
        for (reply, reason) in rows {
            let world = try World(gateModel())
            let records = IntrospectionRecords(entriesMax: 64)
            let decider = try world.decider(introspections: records)
            let request = gate("opaque").bearing(Self.opaque)
            let question = try #require(decider.verdict(request, limits: .waiting).introspection)
            try world.answer(question, reply, in: records)
            for now in [World.now, World.now + 4] {
                let verdict = decider.verdict(request, now: now, limits: .waiting)
                #expect(verdict.reason == reason && verdict.status == 401, "\(reply)")
                #expect(verdict.challenge.contains("invalid_token"))
            }
            #expect(decider.verdict(request, now: World.now + 5, limits: .waiting).introspection == question)
        }
    }

    @Test("an issuer that could not be asked is 503 for a moment, then asked again")
    func unavailable() throws {
        let world = try World(gateModel())
        let records = IntrospectionRecords(entriesMax: 64)
        let decider = try world.decider(introspections: records)
        let request = gate("opaque").bearing(Self.opaque)
        let question = try #require(decider.verdict(request, limits: .waiting).introspection)
        records.store(.unavailable, for: question, until: World.now + 1)
        let verdict = decider.verdict(request, limits: .waiting)
        #expect(verdict.reason == .introspectionUnavailable && verdict.status == 503)
        #expect(decider.verdict(request, now: World.now + 1, limits: .waiting).introspection == question)
        // Observe mode lets nobody in whom nobody knows.
        records.store(.unavailable, for: question, until: World.now + 9)
        #expect(decider.verdict(gate("opaque", "/watched").bearing(Self.opaque)).reason == .introspectionUnavailable)
    }

    @Test("a reply is believed until `freshUntil` and no second longer, cached or not")
    func fresh() throws {
        let world = try World(gateModel())
        let records = IntrospectionRecords(entriesMax: 64)
        let decider = try world.decider(introspections: records)
        let request = gate("opaque").bearing(Self.opaque)
        let question = try #require(decider.verdict(request, limits: .waiting).introspection)
        try world.answer(question, Self.good, in: records)
        #expect(decider.verdict(request, now: World.now + 59).isAllow)
        #expect(decider.cachedTokenCount == 1)
        #expect(decider.verdict(request, now: World.now + 60, limits: .quick).outcome == .verificationOwed)
        #expect(decider.cachedTokenCount == 0)
        #expect(decider.verdict(request, now: World.now + 60, limits: .waiting).introspection == question)
        // What the issuer says then is what holds.
        try world.answer(
            question, Self.good.replacing("orders:read", with: "none"), in: records, now: World.now + 60)
        #expect(decider.verdict(request, now: World.now + 60).reason == .insufficientScope)
        try world.answer(question, #"{"active":false}"#, in: records, now: World.now + 120)
        #expect(decider.verdict(request, now: World.now + 120).reason == .tokenInactive)
    }

    @Test("settings of another generation ask again")
    func generation() throws {
        let world = try World(gateModel())
        let records = IntrospectionRecords(entriesMax: 64)
        let decider = try world.decider(introspections: records)
        let request = gate("opaque").bearing(Self.opaque)
        let question = try #require(decider.verdict(request, limits: .waiting).introspection)
        try world.answer(question, Self.good, in: records)
        #expect(decider.verdict(request).isAllow)
        world.publish()
        let next = try #require(decider.verdict(request, limits: .waiting).introspection)
        #expect(next.generation == question.generation + 1)
        // A finding whose token belongs to other settings than its place says is none.
        guard
            case .active(let old)? = records.finding(
                for: question.digest, issuerIndex: 1, generation: question.generation, now: World.now)
        else { throw Unreadable(text: "forgotten") }
        records.store(.active(old), for: next, until: .max)
        #expect(decider.verdict(request, limits: .waiting).introspection == next)
    }

    @Test("the issuer's keys do not matter for what only it can read")
    func keys() throws {
        let world = try World(gateModel())
        world.statuses[1] = .stale
        world.publish()
        let records = IntrospectionRecords(entriesMax: 64)
        let decider = try world.decider(introspections: records)
        let request = gate("opaque").bearing(Self.opaque)
        let question = try #require(decider.verdict(request, limits: .waiting).introspection)
        try world.answer(question, Self.good, in: records)
        #expect(decider.verdict(request).isAllow && decider.verdict(request).isAllow)
        let signed = try world.token(TokenPlan().with { $0.issuer = "https://other.example.com/caf\u{E9}" }, issuer: 1)
        #expect(decider.verdict(gate("opaque").bearing(signed), limits: .waiting).reason == .keysStale)
    }

    @Test("who is asked: the one issuer of the service that introspects, and nobody about a JWS of another")
    func whom() throws {
        let world = try World(gateModel())
        let decider = try world.decider()
        #expect(decider.verdict(gate("plain").bearing(Self.opaque), limits: .waiting).reason == .tokenMalformed)
        #expect(decider.verdict(gate("two").bearing(Self.opaque), limits: .waiting).reason == .tokenMalformed)
        let asked = decider.verdict(gate("asked").bearing(Self.opaque), limits: .waiting)
        #expect(asked.introspection?.issuerIndex == 2)
        for odd in ["a.b", "a.b.c", "a.b.c.d.e", "....", "-._~+/"] {
            let found = decider.verdict(gate("opaque").bearing(bytes(odd)), limits: .waiting)
            #expect(found.introspection?.issuerIndex == 1, "\(odd)")
        }
        // What is a JWS stays with its signature: nothing that failed is shown to an issuer.
        let rows: [([UInt8], Reason)] = [
            (try world.token(key: world.stranger), .signatureInvalid),
            (try world.token(TokenPlan().with { $0.issuer = "https://unknown.example.com" }), .unknownIssuer),
            (try world.token(TokenPlan().with { $0.expiresAt = 1 }), .expired),
            (try world.token(TokenPlan().with { $0.keyName = "b" }), .unknownKey),
            (try world.token(TokenPlan().with { $0.header = #"{"alg":"none","typ":"at+jwt"}"# }), .algorithmNotAllowed),
            (try world.token(TokenPlan().with { $0.type = "jwt" }), .tokenTypeMismatch),
        ]
        for (token, reason) in rows {
            let limits = DecisionLimits(mayVerify: true, mayWaitForKey: reason != .unknownKey)
            let verdict = decider.verdict(gate("opaque").bearing(token), limits: limits)
            #expect(verdict.outcome == .answered && verdict.reason == reason)
        }
        let long = [UInt8](repeating: 0x61, count: TokenLimits.tokenBytesMax + 1)
        #expect(decider.verdict(gate("opaque").bearing(long), limits: .waiting).reason == .tokenTooLarge)
    }

    @Test("`all`: only a JWS that is good here is asked about, and only the pair is good")
    func all() throws {
        let world = try World(gateModel())
        let records = IntrospectionRecords(entriesMax: 64)
        let decider = try world.decider(introspections: records)
        let plan = TokenPlan().with { $0.issuer = "https://third.example.com" }
        let forged = try world.token(plan, issuer: 2, key: world.stranger)
        for _ in 0..<2 {
            #expect(decider.verdict(gate("asked").bearing(forged), limits: .waiting).reason == .signatureInvalid)
        }
        let token = try world.token(plan, issuer: 2)
        let request = gate("asked").bearing(token)
        let question = try #require(decider.verdict(request, limits: .waiting).introspection)
        #expect(question.issuerIndex == 2 && question.token == token)
        #expect(decider.cachedTokenCount == 0)
        try world.answer(question, #"{"active":true}"#, in: records)
        #expect(decider.verdict(request).reason == .granted)
        #expect(decider.verdict(request, now: World.now + 60, limits: .waiting).introspection == question)
        try world.answer(question, #"{"active":false}"#, in: records, now: World.now + 60)
        let verdict = decider.verdict(request, now: World.now + 60)
        #expect(verdict.reason == .tokenInactive)
        let shown = try #require(decider.verifiedToken)
        let subject = text([UInt8](copying: shown.subject))
        #expect(subject == "ann")
    }

    @Test("what is asked for every token is asked for these: revocation, issuer, audience, binding, scopes")
    func everyCheck() throws {
        let model = gateModel()
        let world = try World(model)
        let records = IntrospectionRecords(entriesMax: 64)
        let decider = try world.decider(introspections: records)
        let client = try ProofClient()
        let bound = Self.good.dropLast() + #","token_type":"DPoP","cnf":{"jkt":"\#(client.thumbprint)"}}"#
        let rows: [(String, String, Reason)] = [
            ("poor", Self.good.replacing("orders:read", with: "x"), .insufficientScope),
            ("bound", String(bound), .proofRequired),
            ("fine", Self.good, .granted),
        ]
        for (name, reply, reason) in rows {
            let request = gate("opaque").bearing(bytes(name))
            let question = try #require(decider.verdict(request, limits: .waiting).introspection)
            try world.answer(question, reply, in: records)
            for _ in 0..<2 { #expect(decider.verdict(request).reason == reason, "\(name)") }
        }
        // The token of one service's issuer is none of another's, although the cache has it.
        #expect(decider.verdict(gate("plain").bearing(bytes("fine"))).reason == .issuerNotAllowed)
        world.revoke(
            Revocation(
                kind: .subject, issuer: bytes("https://other.example.com/caf\u{E9}"), value: bytes("ann")))
        #expect(decider.verdict(gate("opaque").bearing(bytes("fine"))).reason == .revoked)
        world.revocations = .empty
        world.revoke(Revocation(kind: .token, issuer: [], value: digest(bytes("fine")).bytes))
        #expect(decider.verdict(gate("opaque").bearing(bytes("fine"))).reason == .revoked)
    }
}
