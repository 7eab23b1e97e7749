@testable import Decision
import Octets
import PolicyTables
import Testing
import Tokens

/// Nonces for proofs (RFC 9449 §8, §9), from whole decisions.
@Suite struct ProofNonceTests {
    private let world: World
    private let client: ProofClient

    init() throws {
        world = try World(proofModel())
        client = try ProofClient()
    }

    private func send(
        _ decider: Decider, _ token: [UInt8], _ target: String = "/free", nonce: String?, now: Int64 = World.now
    ) throws -> Verdict {
        let request = try client.sign(pay(target), token) {
            $0.nonce = nonce
            $0.issuedAt = now
        }
        return decider.verdict(request, now: now)
    }

    @Test("who demands one: the route, the issuer, a restart; and nobody else", arguments: [0, 1, 2, 3])
    func demands(_ by: Int) throws {
        let proofs = ProofRecords(entriesMax: 64, startedAt: by == 2 ? World.now - 70 : World.now - 71)
        let decider = try world.decider(proofs: proofs)
        let plan = TokenPlan().with { if by == 1 { $0.issuer = "https://third.example.com" } }
        let token = try client.token(world, plan, issuer: by == 1 ? 2 : 0)
        let target = by == 0 ? "/nonce" : "/free"
        let first = try send(decider, token, target, nonce: nil)
        guard by < 3 else {
            #expect(first.isAllow && !first.hasProofNonce)
            // One that nobody asked for plays no part.
            #expect(try send(decider, token, target, nonce: "mine").isAllow)
            return
        }
        DeciderReasonTests.check(first, .nonceRequired)
        #expect(first.hasProofNonce && first[.proofNonce].utf8.count == 22)
        #expect(first.challenge.contains(", error=\"use_dpop_nonce\", "))
        #expect(
            first.challenge.hasPrefix(by == 1 ? "DPoP realm=\"pay\", algs=\"Ed25519 ES256\"" : "DPoP realm=\"pay\""))
        let wrong = try send(decider, token, target, nonce: "mine")
        DeciderReasonTests.check(wrong, .nonceRequired)
        #expect(wrong[.proofNonce] == first[.proofNonce])
        let second = try send(decider, token, target, nonce: first[.proofNonce])
        DeciderReasonTests.check(second, .granted)
        #expect(!second.hasProofNonce)
        // Nothing of the kind for a proof that is wrong in another way.
        let request = try client.sign(pay(target), token) {
            $0.nonce = first[.proofNonce]
            $0.method = "PUT"
        }
        let faulty = decider.verdict(request)
        #expect(faulty.reason == .invalidProof && !faulty.hasProofNonce)
    }

    @Test("a nonce is taken in its period and the next one, where it is renewed on every verdict")
    func renewal() throws {
        let decider = try world.decider()
        let token = try client.token(world)
        let weak = try client.token(world, .scopes("read:metrics"))
        // The beginning of a period.
        let start = World.now - World.now % 300
        func verdict(_ token: [UInt8], _ nonce: String?, _ seconds: Int64) throws -> Verdict {
            try send(decider, token, "/nonce", nonce: nonce, now: start + seconds)
        }
        let nonce = try verdict(token, nil, 0)[.proofNonce]
        for seconds in [0, 299] as [Int64] {
            let found = try verdict(token, nonce, seconds)
            #expect(found.isAllow && !found.hasProofNonce)
        }
        let renewed = try verdict(token, nonce, 300)
        #expect(renewed.isAllow && renewed[.proofNonce].utf8.count == 22 && renewed[.proofNonce] != nonce)
        let denied = try verdict(weak, nonce, 599)
        #expect(denied.reason == .insufficientScope && denied[.proofNonce] == renewed[.proofNonce])
        let current = try verdict(token, renewed[.proofNonce], 599)
        #expect(current.isAllow && !current.hasProofNonce)
        let late = try verdict(token, nonce, 600)
        #expect(late.reason == .nonceRequired && late[.proofNonce] != renewed[.proofNonce])
        // Another daemon's nonces are its own.
        #expect(try send(world.decider(), token, "/nonce", nonce: late[.proofNonce], now: start + 600).status == 401)
    }

    @Test("a nonce of a replayed proof's answer, and in observe mode")
    func otherVerdicts() throws {
        let decider = try world.decider()
        let token = try client.token(world)
        let start = World.now - World.now % 300
        let nonce = try send(decider, token, "/nonce", nonce: nil, now: start)[.proofNonce]
        let request = try client.sign(pay("/nonce"), token) {
            $0.nonce = nonce
            $0.issuedAt = start + 300
        }
        #expect(decider.verdict(request, now: start + 300).isAllow)
        let again = decider.verdict(request, now: start + 300)
        #expect(again.reason == .proofReplayed && again.hasProofNonce && again[.proofNonce] != nonce)
        let other = try client.token(world, TokenPlan().with { $0.issuer = "https://third.example.com" }, issuer: 2)
        let observed = try send(decider, other, "/watched-dpop", nonce: nil)
        DeciderReasonTests.check(observed, .observed)
        #expect(observed.hasProofNonce)
        // Nothing is left over for the next request.
        #expect(!decider.verdict(pay("/free").bearing(try world.token())).hasProofNonce)
    }

    @Test("an answer that does not fit keeps its nonce: without it the client would never get on")
    func overflow() throws {
        for length in stride(from: 3_300, through: 3_560, by: 20) {
            var model = proofModel()
            let service = model.services.count - 2
            let index = try #require(model.services[service].routes.firstIndex { $0.label == "GET /nonce" })
            model.services[service].routes[index].label = String(repeating: "l", count: length)
            let world = try World(model)
            let request = try client.sign(pay("/nonce"), try client.token(world))
            let verdict = try world.decider().verdict(request)
            #expect(verdict.reason == .nonceRequired && verdict.status == 401)
            #expect(verdict[.proofNonce].utf8.count == 22 && verdict[.reason] == "use_dpop_nonce")
        }
    }

    @Test("a policy that lets proofs become older demands nonces until nothing forgotten can pass")
    func olderProofs() throws {
        let proofs = ProofRecords(entriesMax: 64, startedAt: World.now - 10_000)
        let decider = try world.decider(proofs: proofs)
        let token = try client.token(world)
        let request = try client.sign(pay("/free"), token)
        #expect(decider.verdict(request).isAllow)
        var model = proofModel()
        model.issuers[0].proofs.ageSecondsMax = 600
        try world.activate(model)
        // A health check that sees the new policy first changes nothing of it.
        #expect(decider.unreadiness() == nil)
        let replayed = decider.verdict(request, now: World.now + 61)
        #expect(replayed.reason == .nonceRequired)
        #expect(decider.verdict(request, now: World.now + 600).reason == .nonceRequired)
        #expect(try send(decider, token, nonce: nil, now: World.now + 61 + 610).reason == .nonceRequired)
        #expect(try send(decider, token, nonce: nil, now: World.now + 61 + 611).isAllow)
    }
}
