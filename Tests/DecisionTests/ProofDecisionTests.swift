@testable import Decision
import Octets
import PolicyTables
import Testing
import Tokens

/// Tokens bound to a key (RFC 9449), from whole decisions.
@Suite struct ProofDecisionTests {
    private let world: World
    private let client: ProofClient

    init() throws {
        world = try World(proofModel())
        client = try ProofClient()
    }

    private static let refused: [(Reason, String, @Sendable (inout ProofClient.Plan) -> Void)] = [
        (.invalidProof, "proof_htm_mismatch", { $0.method = "POST" }),
        (.invalidProof, "proof_htm_mismatch", { $0.method = "get" }),
        (.invalidProof, "proof_htu_mismatch", { $0.uri = "https://pay.example.com/any" }),
        (.invalidProof, "proof_htu_mismatch", { $0.uri = "http://pay.example.com/free" }),
        (.invalidProof, "proof_htu_mismatch", { $0.uri = "https://outside.example.com/free" }),
        (.invalidProof, "proof_htu_mismatch", { $0.uri = "https://pay.example.com:8443/free" }),
        (.invalidProof, "proof_htu_mismatch", { $0.uri = "https://pay.example.com/Free" }),
        (.invalidProof, "proof_htu_malformed", { $0.uri = "/free" }),
        (.invalidProof, "proof_iat_too_old", { $0.issuedAt = World.now - 61 }),
        (.invalidProof, "proof_iat_too_far_ahead", { $0.issuedAt = World.now + 11 }),
        (.invalidProof, "proof_ath_mismatch", { $0.token = bytes("another") }),
        (.invalidProof, "proof_jti_empty", { $0.proofID = "" }),
        (.invalidProof, "proof_jti_too_long", { $0.proofID = String(repeating: "j", count: 129) }),
    ]

    private func log(_ decider: Decider, _ request: Request) -> String {
        let (facts, all) = request.laidOut()
        var line = ByteWriter(capacity: 8_192)
        decider.appendLogMembers(to: &line, facts, all.span, valueBytesMax: 256)
        return String(lossy: line.bytes)
    }

    @Test("a bound token with its proof is granted, verified before or not; each proof once")
    func granted() throws {
        let decider = try world.decider()
        let token = try client.token(world)
        for target in ["/free", "/any", "/dpop", "/free?x=1", "/free"] {
            let request = try client.sign(pay(target), token)
            let verdict = decider.verdict(request)
            DeciderReasonTests.check(verdict, .granted)
            #expect(verdict.identity == ["ann", "web", "https://id.example.com", "orders:read"])
            #expect(!verdict.hasProofNonce && !verdict.hasChallenge)
            let again = decider.verdict(request)
            DeciderReasonTests.check(again, .proofReplayed)
            #expect(again.identity == ["", "", "", ""] && again[.route].hasPrefix("pay GET /"))
            #expect(again.challenge.hasPrefix("DPoP realm=\"pay\", algs=\"ES256 ES384"))
            #expect(again.challenge.contains(", error=\"invalid_dpop_proof\", "))
        }
        #expect(decider.cachedTokenCount == 1 && decider.counts.allowed == 5 && decider.counts.denied == 5)
        // In the window to the second, on both sides.
        for issuedAt in [World.now - 60, World.now + 10] {
            let request = try client.sign(pay("/free"), token) { $0.issuedAt = issuedAt }
            #expect(decider.verdict(request).isAllow)
        }
    }

    @Test("what a proof must fit; the public answer is one for all, the log says which")
    func refusals() throws {
        let decider = try world.decider()
        let token = try client.token(world)
        var challenges: Set<String> = []
        for (reason, fault, change) in Self.refused {
            let request = try client.sign(pay("/free"), token, change)
            let verdict = decider.verdict(request)
            DeciderReasonTests.check(verdict, reason)
            challenges.insert(verdict.challenge)
            let line = log(decider, request)
            #expect(line.hasSuffix(",\"confirmation\":\"jkt\",\"proof\":\"\(fault)\""), "\(line)")
        }
        let stranger = try ProofClient()
        let stolen = try stranger.sign(pay("/free"), token)
        DeciderReasonTests.check(decider.verdict(stolen), .invalidProof)
        #expect(log(decider, stolen).contains("proof_key_not_bound"))
        challenges.insert(decider.verdict(stolen).challenge)
        let good = try client.sign(pay("/free"), token)
        for proof in [[], bytes("x"), bytes("a.b.c"), bytes(" ") + good.dpop[0], good.dpop[0] + bytes(",")] {
            let verdict = decider.verdict(good.with { $0.dpop = [proof] })
            DeciderReasonTests.check(verdict, .invalidProof)
            challenges.insert(verdict.challenge)
        }
        challenges.insert(decider.verdict(good.with { $0.dpop = [] }).challenge)
        #expect(log(decider, good.with { $0.dpop = [] }).contains("\"proof\":\"proof_missing\""))
        #expect(challenges.count == 1)
        // None of all that has cost the good one anything.
        #expect(decider.verdict(good).isAllow)
    }

    @Test("how a token may be sent, by what it is bound to and what the route demands")
    func schemes() throws {
        let decider = try world.decider()
        let bound = try client.token(world)
        let plain = try world.token()
        let x5t = try world.token(
            TokenPlan().with { $0.more = [("cnf", #"{"x5t#S256":"ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"}"#)] })
        let rows: [(String, Reason, Reason, Reason, Reason, Reason, Reason)] = [
            // bound as Bearer, as DPoP; plain as Bearer, as DPoP; bound to a certificate as Bearer, as DPoP
            ("/free", .proofRequired, .granted, .granted, .tokenNotBound, .certificateRequired, .tokenNotBound),
            ("/any", .proofRequired, .granted, .proofRequired, .tokenNotBound, .certificateRequired, .tokenNotBound),
            ("/dpop", .proofRequired, .granted, .proofRequired, .tokenNotBound, .proofRequired, .tokenNotBound),
            (
                "/mtls", .proofRequired, .proofRequired, .proofRequired, .tokenNotBound, .certificateRequired,
                .tokenNotBound
            ),
        ]
        for row in rows {
            for _ in 0..<2 {
                let request = pay(row.0)
                func check(_ request: Request, _ reason: Reason) {
                    DeciderReasonTests.check(decider.verdict(request), reason)
                    if decider.reason != reason { Issue.record("\(row.0): \(decider.reason), not \(reason)") }
                }
                check(request.bearing(bound), row.1)
                // With a good proof beside it, Bearer stays a downgrade.
                let proof = try client.sign(request, bound).dpop
                check(request.bearing(bound).with { $0.dpop = proof }, row.1)
                check(try client.sign(request, bound), row.2)
                check(request.bearing(plain), row.3)
                check(try client.sign(request, plain), row.4)
                check(request.bearing(x5t), row.5)
                check(try client.sign(request, x5t), row.6)
            }
        }
        // Two proofs beside a bound token are refused in either scheme; beside a plain one they are nobody's.
        let signed = try client.sign(try client.sign(pay("/free"), bound), bound).with { $0.authorization.removeLast() }
        DeciderReasonTests.check(decider.verdict(signed), .multipleCredentials)
        let asBearer = signed.with { $0.authorization = [bytes("Bearer ") + bound] }
        DeciderReasonTests.check(decider.verdict(asBearer), .multipleCredentials)
        let unbound = signed.with { $0.authorization = [bytes("Bearer ") + plain] }
        DeciderReasonTests.check(decider.verdict(unbound), .granted)
    }

    @Test("the port is the one that clients write, the path the canonical one")
    func targets() throws {
        let decider = try world.decider()
        let token = try client.token(world)
        func verdict(_ request: Request, _ uri: String) throws -> Reason {
            decider.verdict(try client.sign(request, token) { $0.uri = uri }).reason
        }
        let outside = Request("GET", "/free", host: "outside.example.com")
        #expect(try verdict(outside, "https://outside.example.com:8443/free") == .granted)
        #expect(try verdict(outside, "https://outside.example.com/free") == .invalidProof)
        let odd = pay("/free").with { $0.port = bytes("9443") }
        #expect(try verdict(odd, "https://pay.example.com:9443/free") == .granted)
        #expect(try verdict(odd, "https://pay.example.com/free") == .invalidProof)
        let plain = pay("/free").with {
            $0.port = bytes("80")
            $0.scheme = bytes("HTTP")
        }
        #expect(try verdict(plain, "http://pay.example.com/free") == .granted)
        let loud = pay("/free").with { $0.host = bytes("PAY.example.com.") }
        #expect(try verdict(loud, "HTTPS://pay.EXAMPLE.com:443/free") == .granted)
        let escaped = pay("/free/caf%c3%a9%7e?q=%2F")
        #expect(try verdict(escaped, "https://pay.example.com/free/caf%C3%A9~") == .granted)
        #expect(try verdict(escaped, "https://pay.example.com/free/caf%C3%A8~") == .invalidProof)
    }

    @Test("a denial, observe mode and a request that has to wait leave a proof unused")
    func unused() throws {
        let decider = try world.decider()
        let eve = try client.token(world, TokenPlan().with { $0.subject = "eve" })
        let weak = try client.token(world, .scopes("read:metrics"))
        let rows: [(Reason, String, [UInt8])] = [
            (.bindingMismatch, "/users/ann", eve), (.insufficientScope, "/free", weak), (.stepUpRequired, "/acr", eve),
            (.observed, "/watched", eve),
        ]
        for (reason, target, token) in rows {
            let request = try client.sign(pay(target), token)
            for _ in 0..<3 {
                let verdict = decider.verdict(request)
                DeciderReasonTests.check(verdict, reason)
                #expect(verdict.identity == ["", "", "", ""])
                let isScheme = verdict.challenge.hasPrefix("DPoP realm=\"pay\", algs=\"") || reason == .observed
                #expect(isScheme)
            }
        }
        #expect(decider.state.proofs.count == 0)
        let fresh = try client.token(world, TokenPlan().with { $0.tokenID = "fresh" })
        let request = try client.sign(pay("/dpop"), fresh)
        let patient = DecisionLimits(mayVerify: false, mayWaitForKey: true)
        // First for the token, then, with the token known, for the proof.
        for _ in 0..<2 { #expect(decider.verdict(request, limits: patient).outcome == .verificationOwed) }
        #expect(decider.verdict(request).isAllow)
        let second = try client.sign(pay("/dpop"), fresh)
        let hits = decider.counts.tokenCacheHits
        for _ in 0..<3 { #expect(decider.verdict(second, limits: patient).outcome == .verificationOwed) }
        #expect(decider.verdict(second).isAllow && decider.counts.tokenCacheHits == hits + 1)
        #expect(decider.verdict(second).reason == .proofReplayed)
        // What costs nothing is not waited for.
        let downgraded = decider.verdict(pay("/dpop").bearing(fresh), limits: patient)
        #expect(downgraded.outcome == .answered && downgraded.reason == .proofRequired)
        let bare = second.with { $0.dpop = [] }
        #expect(decider.verdict(bare, limits: patient).reason == .invalidProof)
    }

    @Test("a proof that was used is observed where the route says so, without an identity")
    func observedReplay() throws {
        let decider = try world.decider()
        let request = try client.sign(pay("/watched-dpop"), try client.token(world))
        DeciderReasonTests.check(decider.verdict(request), .granted)
        let again = decider.verdict(request)
        DeciderReasonTests.check(again, .observed)
        #expect(again.identity == ["", "", "", ""] && decider.state.observedReason == .proofReplayed)
        #expect(decider.verdict(request, now: observeEnd - 1).reason == .observed)
        #expect(decider.state.observedReason == .invalidProof)
    }

    @Test("all deciders of a daemon share one memory, and a full one is 503 without a ground to allow")
    func shared() throws {
        let proofs = ProofRecords(entriesMax: 2, startedAt: .min)
        let deciders = try (0..<3).map { _ in try world.decider(proofs: proofs) }
        let token = try client.token(world)
        let first = try client.sign(pay("/free"), token)
        let second = try client.sign(pay("/free"), token)
        let third = try client.sign(pay("/free"), token)
        #expect(deciders[0].verdict(first).isAllow && deciders[1].verdict(second).isAllow)
        for decider in deciders {
            #expect(decider.verdict(first).reason == .proofReplayed)
            #expect(decider.verdict(second).reason == .proofReplayed)
            let verdict = decider.verdict(third)
            DeciderReasonTests.check(verdict, .replayCacheFull)
        }
        let watched = try client.sign(pay("/watched-dpop"), token)
        DeciderReasonTests.check(deciders[0].verdict(watched), .replayCacheFull)
        // A bearer token needs no memory.
        #expect(deciders[0].verdict(pay("/free").bearing(try world.token())).isAllow)
        // One second after the last moment of the two that are remembered.
        #expect(deciders[2].verdict(third, now: World.now + 60).reason == .replayCacheFull)
        let later = try client.sign(pay("/free"), token) { $0.issuedAt = World.now + 61 }
        #expect(deciders[2].verdict(later, now: World.now + 61).isAllow)
    }

    @Test("an answer that does not fit costs no proof")
    func overflow() throws {
        let decider = try world.decider()
        // Around the length at which subject and the rest fill the answer.
        var seen: Set<Reason> = []
        for length in stride(from: 3_150, through: 3_500, by: 5) {
            let plan = TokenPlan().with { $0.subject = String(repeating: "s", count: length) }
            let request = try client.sign(pay("/free"), try client.token(world, plan))
            let before = decider.state.proofs.count
            let verdict = decider.verdict(request)
            seen.insert(verdict.reason)
            #expect(decider.state.proofs.count == before + (verdict.isAllow ? 1 : 0))
            #expect(decider.verdict(request).reason == (verdict.isAllow ? .proofReplayed : .overloaded))
            #expect(decider.verdict(request).identity == ["", "", "", ""])
        }
        #expect(seen == [.granted, .overloaded])
    }

    @Test("no allow on a token of which nobody has shown that it is theirs")
    func open() throws {
        let decider = try world.decider()
        #expect(decider.verdict(pay("/free").bearing(try world.token())).isAllow)
        let snapshot = try #require(decider.snapshot)
        decider.state.possession = .open
        decider.state.answer.reset()
        _ = decider.state.allow(.granted, snapshot)
        #expect(decider.reason == .policyUnreadable && decider.status == 503)
    }
}
