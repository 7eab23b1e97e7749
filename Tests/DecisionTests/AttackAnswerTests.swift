@testable import Decision
import Octets
import PolicyTables
import Signatures
import Testing
import Tokens

/// B21, B35, B37 and B51 to B55 from whole decisions: what an answer gives away, and what a request may say.
@Suite struct AttackAnswerTests {
    private let world: World

    init() throws { world = try World() }

    @Test("B21: an issuer of the policy that is none of the service's")
    func otherServices() throws {
        let decider = try world.decider()
        let other = try world.token(TokenPlan().with { $0.issuer = "https://other.example.com/caf\u{E9}" }, issuer: 1)
        DeciderReasonTests.check(decider.verdict(Request().bearing(other)), .issuerNotAllowed)
        // The third issuer's key has the same name and algorithm as the first's.
        let third = TokenPlan().with { $0.issuer = "https://third.example.com" }
        DeciderReasonTests.check(
            decider.verdict(Request().bearing(try world.token(third, issuer: 0))), .signatureInvalid)
        DeciderReasonTests.check(decider.verdict(Request().bearing(try world.token(third, issuer: 2))), .granted)
    }

    @Test("B35: issuers without keys deny, and a token of no issuer makes nobody wait")
    func missingKeys() throws {
        let decider = try world.decider()
        let wait = DecisionLimits(mayVerify: true, mayWaitForKey: true)
        let request = Request().bearing(try world.token())
        world.keySets[0] = nil
        world.publish()
        DeciderReasonTests.check(decider.verdict(request), .keysUnavailable)
        #expect(decider.verdict(request, limits: wait).outcome == .keyOwed(issuerIndex: 0))
        let stranger = Request().bearing(try world.token(TokenPlan().with { $0.issuer = "https://evil.example" }))
        DeciderReasonTests.check(decider.verdict(stranger, limits: wait), .unknownIssuer)
        world.keySets[0] = world.set(of: 0, named: "a")
        world.publish()
        DeciderReasonTests.check(decider.verdict(request, limits: wait), .granted)
    }

    @Test("B37: a removed key takes its tokens with it, those seen before too")
    func removedKeys() throws {
        let decider = try world.decider()
        let old = Request().bearing(try world.token())
        DeciderReasonTests.check(decider.verdict(old), .granted)
        world.keySets[0] = world.set(of: 0, named: "b")
        world.publish()
        DeciderReasonTests.check(decider.verdict(old), .unknownKey)
        let new = Request().bearing(try world.token(TokenPlan().with { $0.keyName = "b" }))
        DeciderReasonTests.check(decider.verdict(new), .granted)
    }

    @Test("B51: neither the place of a difference nor the name of a key can be told from an answer")
    func comparisons() throws {
        // Every place and length, in the comparison that secrets are compared with.
        let secret = (0..<48).map { UInt8($0) }
        func equal(_ left: [UInt8], _ right: [UInt8]) -> Bool { equalInConstantTime(left.span, right.span) }
        #expect(equal(secret, secret))
        for index in secret.indices {
            for bit in 0..<8 {
                var other = secret
                other[index] ^= 1 << UInt8(bit)
                #expect(!equal(secret, other))
            }
            let shorter = Array(secret[..<index])
            #expect(!equal(secret, shorter) && !equal(shorter, secret))
        }
        // A nonce that is wrong at any place: one refusal, one challenge, and the right nonce beside it.
        let proving = try World(proofModel())
        let decider = try proving.decider()
        let client = try ProofClient()
        let token = try client.token(proving)
        let asked = decider.verdict(try client.sign(pay("/nonce"), token))
        DeciderReasonTests.check(asked, .nonceRequired)
        let nonce = asked[.proofNonce]
        for index in 0..<nonce.utf8.count {
            var wrong = bytes(nonce)
            wrong[index] = wrong[index] == 0x41 ? 0x42 : 0x41
            let verdict = decider.verdict(try client.sign(pay("/nonce"), token) { $0.nonce = text(wrong) })
            #expect(
                verdict.reason == .nonceRequired && verdict.challenge == asked.challenge
                    && verdict[.proofNonce] == nonce)
        }
        DeciderReasonTests.check(decider.verdict(try client.sign(pay("/nonce"), token) { $0.nonce = nonce }), .granted)
        // A name that exists and one that does not, both with somebody else's signature.
        let plain = try world.decider()
        let known = plain.verdict(Request().bearing(try world.token(key: world.stranger)))
        let unknown = plain.verdict(
            Request().bearing(try world.token(TokenPlan().with { $0.keyName = "z" }, key: world.stranger)))
        DeciderReasonTests.check(known, .signatureInvalid)
        DeciderReasonTests.check(unknown, .unknownKey)
        #expect(known.challenge == unknown.challenge && known.status == unknown.status)
    }

    /// That no configuration passes a client's own copies on is shown by Integration/test_attack_ids.py.
    @Test("B52: an answer holds an identity only when it is an allow by token")
    func identities() throws {
        let decider = try world.decider()
        let token = try world.token()
        let rows: [(Reason, Request)] = [
            (.public, Request("GET", "/healthz").bearing(token)), (.noToken, Request()),
            (.insufficientScope, Request("POST").bearing(token)),
            (.observed, Request("GET", "/v1/watched").bearing(token)),
            (.signatureInvalid, Request().bearing(try world.token(key: world.stranger))),
            (.unknownHost, Request(host: "www.example.com").bearing(token)),
        ]
        for (reason, request) in rows {
            // After an allow, so that there is something that could stay behind.
            DeciderReasonTests.check(decider.verdict(Request().bearing(token)), .granted)
            let verdict = decider.verdict(request)
            DeciderReasonTests.check(verdict, reason)
            #expect(verdict.identity == ["", "", "", ""])
        }
        #expect(
            decider.verdict(Request().bearing(token)).identity == [
                "ann", "web", "https://id.example.com", "orders:read",
            ])
    }

    @Test("B53: targets that two readers could read differently")
    func targets() throws {
        let decider = try world.decider()
        let token = try world.token()
        func verdict(_ target: String, _ path: String? = nil) -> Verdict {
            decider.verdict(Request("GET", target).bearing(token).with { $0.normalizedPath = path.map(bytes) })
        }
        for target in [
            "/v1/files/a%2fb", "/v1/files/a%2Fb", "/v1/files/a%5Cb", "/v1/files/a\\b", "/v1//orders", "//v1/orders",
            "/v1/./orders", "/v1/../v1/orders", "/v1/%2e%2e/v1/orders", "/v1/files/a;x", "/v1/orders;x=1",
            "/v1/files/%00",
            "/v1/files/%c0%af", "/v1/files/%", "/v1/files/%252e%252e%2f", "/v1/files/a#b", "/v1/files/a\r\nb",
            "v1/orders", "*",
            "http://admin.example.com/v1/orders",
        ] { DeciderReasonTests.check(verdict(target), .ambiguousTarget) }
        // What the proxy routes on is another path than the one that the client sent.
        for path in ["/v1/order", "/v1/orders/", "/V1/orders", "/healthz", "/v1/orders/../admin"] {
            DeciderReasonTests.check(verdict("/v1/orders", path), .pathMismatch)
        }
        let conflict = Request().bearing(token).with { $0.conflict = true }
        DeciderReasonTests.check(decider.verdict(conflict), .conflictingFacts)
        for (target, path) in [("/v1/orders", "/v1/orders"), ("/v1/%6frders", "/v1/orders"), ("/v1/files/a%20b", nil)] {
            DeciderReasonTests.check(verdict(target, path), .granted)
        }
    }

    @Test("B54: line ends and controls of a claim end no line of an answer or the log")
    func lineEnds() throws {
        let decider = try world.decider()
        for separator in ["\r\n", "\n", "\r", "\u{85}", "\u{2028}", "\u{B}", "\u{1B}[0m", "\u{7F}", "%0d%0a", "\t"] {
            let hostile = "ann\(separator)X-Scope-Granted: orders:admin"
            let plan = TokenPlan().with {
                $0.subject = hostile
                $0.client = hostile
                $0.tokenID = hostile
            }
            let request = Request().bearing(try world.token(plan))
            let verdict = decider.verdict(request)
            // Allowed, with every byte above and below the visible ones escaped.
            DeciderReasonTests.check(verdict, .granted)
            #expect(verdict[.subject] != hostile && verdict[.subject].hasPrefix("ann%"))
            #expect(!verdict[.client].contains(" ") && verdict[.granted] == "orders:read")
            let (facts, all) = request.laidOut()
            var line = ByteWriter(capacity: 16_384)
            decider.appendLogMembers(to: &line, facts, all.span, valueBytesMax: 512)
            let isOneLine = [UInt8](copying: line.bytes).allSatisfy { $0 >= 0x20 && $0 != 0x7F }
            #expect(isOneLine)
        }
        // NUL is in no text at all.
        let zero = TokenPlan().with {
            $0.subject = nil
            $0.more = [("sub", #""ann\u0000root""#)]
        }
        DeciderReasonTests.check(decider.verdict(Request().bearing(try world.token(zero))), .claimsMalformed)
    }

    @Test("B55: which check failed is said to nobody but the log")
    func oneMessage() throws {
        let decider = try world.decider()
        var requests = try DeciderReasonTests.plans.map { plan in (plan.0, Request().bearing(try world.token(plan.1))) }
        requests += [
            (.signatureInvalid, Request().bearing(try world.token(key: world.stranger))),
            (.tokenMalformed, Request().bearing(bytes("a.b"))),
            (.tokenEncrypted, Request().bearing(bytes("a.b.c.d.e"))),
            (.tokenTooLarge, Request().bearing([UInt8](repeating: 0x61, count: 20_000))),
        ]
        var challenges: Set<String> = []
        var reasons: Set<Reason> = []
        for (reason, request) in requests {
            let verdict = decider.verdict(request)
            DeciderReasonTests.check(verdict, reason)
            challenges.insert("\(verdict.status) \(verdict.challenge)")
            reasons.insert(reason)
        }
        #expect(challenges.count == 1 && reasons.count > 12)
        let proving = try World(proofModel())
        let client = try ProofClient()
        let token = try client.token(proving)
        let proofs = try proving.decider()
        challenges = []
        let changes: [@Sendable (inout ProofClient.Plan) -> Void] = [
            { $0.uri = "https://pay.example.com/any" }, { $0.uri = "https://evil.example/free" }, { $0.uri = "/free" },
            { $0.token = bytes("x") }, { $0.issuedAt = 1 }, { $0.proofID = "" },
        ]
        for change in changes {
            let verdict = proofs.verdict(try client.sign(pay("/free"), token, change))
            DeciderReasonTests.check(verdict, .invalidProof)
            challenges.insert(verdict.challenge)
        }
        #expect(challenges.count == 1)
        #expect(decider.verdict(Request().bearing(try world.token())).isAllow)
    }
}
