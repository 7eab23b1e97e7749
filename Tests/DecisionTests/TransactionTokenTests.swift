@testable import Decision
import Foundation
import Octets
import PolicyTables
import Signatures
import Testing
import Tokens

@Suite struct TransactionTokenTests {
    private let key: PrivateKey
    private let world: World

    init() throws {
        key = try PrivateKey.generate(.es256)
        world = try World(gateModel())
        world.transactions = signer()
        world.publishAgain()
    }

    private func signer(
        _ keyID: String = "k1", issuer: String = "https://gateway.example.com", lifetimeSeconds: Int64 = 60
    ) -> TransactionSigner {
        TransactionSigner(
            key: key, algorithm: .es256, keyID: keyID, issuer: issuer, lifetimeSeconds: lifetimeSeconds)
    }

    private struct Content {
        let header: [String: Any]
        let claims: [String: Any]
        subscript(_ name: String) -> String? { claims[name] as? String }
        func number(_ name: String) -> Int64? { (claims[name] as? NSNumber)?.int64Value }
    }

    /// What the token says, once its signature was found good.
    private func content(_ text: String) throws -> Content {
        let token = bytes(text)
        let decoded = try TokenDecode.read(token.span)
        let dot = try #require(token.lastIndex(of: 0x2E))
        let verifier = try PreparedVerifier(key: key.publicKey, algorithm: .es256)
        let signed = Array(token[..<dot])
        let isSigned = verifier.verify(message: signed.span, signature: decoded.signature.span)
        #expect(isSigned)
        func object(_ text: [UInt8]) throws -> [String: Any] {
            try #require(try JSONSerialization.jsonObject(with: Data(text)) as? [String: Any])
        }
        return Content(header: try object(decoded.headerText), claims: try object(decoded.claimsText))
    }

    @Test("what it says")
    func claims() throws {
        let decider = try world.decider()
        let token = try world.token(.scopes("orders:write payments:charge"))
        let found = try content(decider.verdict(gate("txn").bearing(token))[.transactionToken])
        #expect(found.header as? [String: String] == ["alg": "ES256", "typ": "txntoken+jwt", "kid": "k1"])
        #expect(
            Set(found.claims.keys) == [
                "iss", "aud", "iat", "exp", "sub", "client_id", "scope", "txn", "token_issuer",
            ])
        #expect(found["iss"] == "https://gateway.example.com" && found["aud"] == "txn")
        #expect(found["sub"] == "ann" && found["client_id"] == "web")
        #expect(found["token_issuer"] == "https://id.example.com")
        #expect(found.number("iat") == World.now && found.number("exp") == World.now + 60)
        let transaction = try #require(found["txn"])
        #expect(transaction.utf8.count == 32 && transaction.utf8.allSatisfy { hexadecimalValue($0) != nil })
        // Only what the route required, and of that only what was held.
        #expect(found["scope"] == "orders:read")
        let other = try content(decider.verdict(gate("txn", "/b").bearing(token))[.transactionToken])
        #expect(other["scope"] == "orders:read orders:write" && other["txn"] != transaction)
        let named = try content(decider.verdict(gate("txnaud").bearing(token))[.transactionToken])
        #expect(named["aud"] == "https://api.example.com")
        // Never the client's own token.
        #expect(!decider.verdict(gate("txn").bearing(token))[.transactionToken].contains(text(token)))
    }

    @Test("who acts, and text that must be escaped")
    func escapes() throws {
        let decider = try world.decider()
        let hostile = "a\"\\\n\u{1}\u{7F}\u{E9}\u{2028}\",\"sub\":\"root"
        let plan = TokenPlan().with {
            $0.subject = hostile
            $0.more = [("act", #"{"sub":"b\"ot","client_id":"robot","act":{"sub":"before"}}"#)]
        }
        let verdict = decider.verdict(gate("txn").bearing(try world.token(plan)))
        let found = try content(verdict[.transactionToken])
        #expect(found["sub"] == hostile)
        #expect(found.claims["act"] as? [String: String] == ["sub": "b\"ot", "client_id": "robot"])
        let one = try world.token(TokenPlan().with { $0.more = [("act", #"{"sub":"bot"}"#)] })
        let single = try content(decider.verdict(gate("txn").bearing(one))[.transactionToken])
        #expect(single.claims["act"] as? [String: String] == ["sub": "bot"])
    }

    @Test("no subject and no client where the client's token has none")
    func absent() throws {
        let plan = TokenPlan().with {
            $0.issuer = "https://other.example.com/caf\u{E9}"
            $0.subject = nil
            $0.client = nil
        }
        let verdict = try world.decider().verdict(gate("txn").bearing(try world.token(plan, issuer: 1)))
        let found = try content(verdict[.transactionToken])
        #expect(found.claims["sub"] == nil && found.claims["client_id"] == nil)
        #expect(found["token_issuer"] == "https://other.example.com/caf\u{E9}")
    }

    @Test("one that was made is used again, as long as a quarter of its life is left")
    func cache() throws {
        let decider = try world.decider()
        let request = gate("txn").bearing(try world.token())
        let first = decider.verdict(request)[.transactionToken]
        for (now, isSame) in [(World.now, true), (World.now + 45, true), (World.now + 46, false)] {
            let verdict = decider.verdict(request, now: now, limits: isSame ? .quick : DecisionLimits())
            #expect(verdict.isAllow && (verdict[.transactionToken] == first) == isSame, "\(now - World.now)")
        }
        let second = try content(decider.verdict(request, now: World.now + 46)[.transactionToken])
        #expect(second.number("iat") == World.now + 46 && second.number("exp") == World.now + 106)
        #expect(decider.counts.signatures == 2)
        // Another client's token has its own, and so has another route of this one.
        let other = try world.token(TokenPlan().with { $0.tokenID = "t2" })
        for request in [
            gate("txn").bearing(other), gate("txn", "/b").bearing(try world.token(.scopes("orders:admin"))),
        ] {
            #expect(decider.verdict(request)[.transactionToken] != first)
        }
        // Another service with the same route too.
        let elsewhere = try content(decider.verdict(gate("txnaud").bearing(try world.token()))[.transactionToken])
        #expect(elsewhere["aud"] == "https://api.example.com")
    }

    @Test("it never outlives the client's token, which lives 10 s longer by the leeway")
    func expiry() throws {
        let decider = try world.decider()
        for (left, expected) in [(Int64(30), Int64(40)), (60, 60), (1, 11), (1_000, 60)] {
            let token = try world.token(TokenPlan().with { $0.expiresAt = World.now + left })
            let request = gate("txn").bearing(token)
            let text = decider.verdict(request)[.transactionToken]
            #expect(try content(text).number("exp") == World.now + expected)
            let through = expected - max(1, (expected + 3) / 4)
            #expect(decider.verdict(request, now: World.now + through)[.transactionToken] == text)
        }
        // Within the issuer's leeway, 10 s here, the client's token is good, and the backend's as long.
        let late = gate("txn").bearing(try world.token(TokenPlan().with { $0.expiresAt = World.now - 1 }))
        let first = decider.verdict(late)
        #expect(first.isAllow)
        #expect(try content(first[.transactionToken]).number("exp") == World.now + 9)
        #expect(decider.verdict(late)[.transactionToken] == first[.transactionToken])
    }

    @Test("another key, issuer, lifetime or policy signs again; the same in another object does not")
    func changes() throws {
        let decider = try world.decider()
        let request = gate("txn").bearing(try world.token())
        var last = decider.verdict(request)[.transactionToken]
        let changes: [(TransactionSigner, Bool)] = [
            (signer(), true), (signer("k2"), false), (signer("k2"), true), (signer("k2", issuer: "x"), false),
            (signer("k2", issuer: "x", lifetimeSeconds: 61), false), (signer(), false),
        ]
        for (signer, isSame) in changes {
            world.transactions = signer
            world.publishAgain()
            let next = decider.verdict(request)[.transactionToken]
            #expect((next == last) == isSame)
            #expect(try content(next).header["kid"] as? String == signer.keyID)
            last = next
        }
        // New keys of issuers alone are no reason.
        world.publish()
        #expect(decider.verdict(request)[.transactionToken] == last)
        try world.activate(gateModel())
        #expect(decider.verdict(request)[.transactionToken] != last)
    }

    @Test("an introspected token that says something else is signed again")
    func introspected() throws {
        let records = IntrospectionRecords(entriesMax: 64)
        let decider = try world.decider(introspections: records)
        let request = gate("txn").bearing(bytes("opaque"))
        // Both replies end with the token, in the same second.
        func reply(_ scope: String) -> String {
            #"{"active":true,"sub":"ann","scope":"\#(scope)","aud":"https://api.example.com","exp":\#(World.now + 20)}"#
        }
        let question = try #require(decider.verdict(request, limits: .waiting).introspection)
        try world.answer(question, reply("orders:admin"), in: records)
        let path = gate("txn", "/b").bearing(bytes("opaque"))
        let first = decider.verdict(path)[.transactionToken]
        #expect(decider.verdict(path, limits: .quick)[.transactionToken] == first)
        #expect(try content(first)["scope"] == "orders:read orders:admin orders:write")
        try world.answer(question, reply("orders:write"), in: records)
        // Others fill this worker's cache, so that it finds the newer reply.
        for number in 0..<512 {
            _ = decider.verdict(Request().bearing(try world.token(TokenPlan().with { $0.tokenID = "\(number)" })))
        }
        #expect(try content(decider.verdict(path)[.transactionToken])["scope"] == "orders:read orders:write")
    }

    @Test("none on a denial, on a public route, on what observe mode lets pass, and where no service wants one")
    func none() throws {
        let decider = try world.decider()
        let token = try world.token()
        let rows: [(Request, Reason)] = [
            (gate("txn").bearing(try world.token(.scopes("x"))), .insufficientScope),
            (gate("txn"), .noToken), (gate("txn", "/open").bearing(token), .public),
            (gate("txn", "/watched").bearing(token), .observed), (gate("plain").bearing(token), .granted),
            (gate("txn", "/none").bearing(token), .unknownRoute),
        ]
        _ = decider.verdict(gate("txn").bearing(token))
        for (request, reason) in rows {
            let verdict = decider.verdict(request)
            #expect(verdict.reason == reason && verdict[.transactionToken].isEmpty, "\(reason)")
        }
    }

    @Test("without a signer 503, and nobody is observed past it")
    func noSigner() throws {
        world.transactions = nil
        world.publishAgain()
        let decider = try world.decider()
        let verdict = decider.verdict(gate("txn").bearing(try world.token()))
        #expect(verdict.reason == .signingUnavailable && verdict.status == 503)
        #expect(verdict.identity == ["", "", "", ""] && !verdict.hasChallenge && verdict[.forwardToken].isEmpty)
        // Where none is wanted none is missed.
        for request in [gate("plain").bearing(try world.token()), gate("txn", "/open")] {
            #expect(decider.verdict(request).isAllow)
        }
        // A key that does not fit its algorithm signs nothing.
        world.transactions = TransactionSigner(
            key: key, algorithm: .rs256, keyID: "k", issuer: "i", lifetimeSeconds: 60)
        world.publishAgain()
        #expect(decider.verdict(gate("txn").bearing(try world.token())).reason == .signingUnavailable)
    }

    @Test("a signature is owed like a verification, and the proof is kept until the end")
    func owed() throws {
        let decider = try world.decider()
        let token = try world.token()
        #expect(decider.verdict(gate("plain").bearing(token)).isAllow)
        let hits = decider.counts.tokenCacheHits
        #expect(decider.verdict(gate("txn").bearing(token), limits: .quick).outcome == .verificationOwed)
        #expect(decider.counts.tokenCacheHits == hits && decider.counts.signatures == 0)
        #expect(decider.verdict(gate("txn").bearing(token)).isAllow)

        // A request that fails for the signer's sake has not used its proof up.
        let client = try ProofClient()
        let bound = try client.token(world)
        let request = try client.sign(gate("txn", "/dpop"), bound)
        let signer = world.transactions
        world.transactions = nil
        world.publishAgain()
        #expect(decider.verdict(request).reason == .signingUnavailable)
        world.transactions = signer
        world.publishAgain()
        let allowed = decider.verdict(request)
        #expect(allowed.isAllow && !allowed[.transactionToken].isEmpty)
        let replayed = decider.verdict(request)
        #expect(replayed.reason == .proofReplayed && replayed[.transactionToken].isEmpty)
    }

    @Test("what does not fit is no allow; granted scopes give way before it comes to that")
    func oversize() throws {
        let decider = try world.decider()
        var allowed = 0
        var denied = 0
        for length in stride(from: 1, to: 3_000, by: 61) {
            let token = try world.token(TokenPlan().with { $0.subject = String(repeating: "x", count: length) })
            let verdict = decider.verdict(gate("txn").bearing(token))
            if verdict.isAllow {
                allowed += 1
                #expect(try content(verdict[.transactionToken])["sub"]?.utf8.count == length)
                #expect(verdict.fields.reduce(0) { $0 + $1.utf8.count } <= Answer.textBytesMax)
            } else {
                denied += 1
                #expect(verdict.reason == .overloaded && verdict.identity == ["", "", "", ""])
                #expect(verdict[.transactionToken].isEmpty && verdict[.forwardToken].isEmpty)
            }
        }
        #expect(allowed > 10 && denied > 10)
        // Beyond any answer nothing is signed.
        let before = decider.counts.signatures
        let token = try world.token(TokenPlan().with { $0.subject = String(repeating: "x", count: 4_000) })
        #expect(decider.verdict(gate("txn").bearing(token)).reason == .overloaded)
        #expect(decider.counts.signatures == before)
    }

    @Test("whether the backend may see the client's token: on every allow, and on no denial")
    func forwarding() throws {
        let decider = try world.decider()
        let token = try world.token()
        let rows: [(Request, String)] = [
            (gate("plain").bearing(token), "yes"), (gate("txn").bearing(token), "yes"),
            (gate("closed").bearing(token), "no"), (gate("closed", "/open").bearing(token), "no"),
            (gate("plain", "/open"), "yes"), (gate("closed", "/watched"), "no"),
            (gate("closed", "/watched").bearing(token), "no"), (gate("plain", "/watched"), "yes"),
            (
                Request("OPTIONS", "/v1/orders").with {
                    $0.origin = [bytes("https://x")]
                    $0.requestedMethod = [bytes("GET")]
                }, "yes"
            ),
            (gate("closed"), ""), (gate("plain"), ""), (gate("closed").bearing(try world.token(.scopes("x"))), ""),
            (gate("closed", "/none"), ""), (gate("nowhere"), ""),
        ]
        for (request, expected) in rows {
            let verdict = decider.verdict(request)
            #expect(verdict.isAllow == !expected.isEmpty)
            #expect(verdict[.forwardToken] == expected, "\(text(request.host ?? [])) \(text(request.target ?? []))")
        }
    }

    @Test("challenges name the metadata, where a service has some and where it fits")
    func metadata() throws {
        let decider = try world.decider()
        let url = #"resource_metadata="https://described.example.com/.well-known/oauth-protected-resource/v1""#
        let token = try world.token(.scopes("x"))
        let open = decider.verdict(gate("described")).challenge
        #expect(open.hasPrefix("Bearer realm=\"described\", \(url), scope=\"orders:read\", DPoP algs="))
        let denied = decider.verdict(gate("described").bearing(token))
        #expect(denied.status == 403)
        #expect(denied.challenge.hasPrefix("Bearer realm=\"described\", \(url), error=\"insufficient_scope\""))
        let dpop = decider.verdict(
            gate("described").with { $0.authorization = [bytes("DPoP ") + token] })
        #expect(dpop.challenge.hasPrefix("DPoP realm=\"described\", algs=\"ES256"))
        #expect(dpop.challenge.contains("\", \(url), error=\"invalid_token\""))
        #expect(!decider.verdict(gate("plain")).challenge.contains("resource_metadata"))

        var isThere: [Bool] = []
        for length in stride(from: 2_000, to: 2_700, by: 50) {
            var model = gateModel()
            let label = "GET /" + String(repeating: "l", count: length)
            model.services[model.services.count - 1].routes[0].label = label
            let verdict = try World(model).decider().verdict(gate("described"))
            #expect(verdict.challenge.hasPrefix("Bearer realm=\"described\"") && verdict[.route].hasSuffix(label))
            #expect(verdict.challenge.contains("scope=\"orders:read\""))
            isThere.append(verdict.challenge.contains(url))
        }
        #expect(isThere.first == true && isThere.last == false)
    }

    @Test("what is public for the documents alone is so in one spelling")
    func metadataIsSpelledPlainly() throws {
        var model = gateModel()
        let path = "/.well-known/oauth-protected-resource/v1"
        model.services[model.services.count - 1].routes.append(route("GET \(path)", .public))
        let decider = try World(model).decider()
        #expect(decider.verdict(gate("described", path)).reason == .public)
        #expect(decider.verdict(gate("described", path + "?x=%2e")).reason == .public)
        for spelling in [
            "/%2ewell-known/oauth-protected-resource/v1", "/.well-known/oauth-protected-resourc%65/v1",
            "/.well-known/oauth-protected-resource/%761",
        ] {
            #expect(decider.verdict(gate("described", spelling)).reason == .ambiguousTarget, "\(spelling)")
        }
        #expect(decider.verdict(gate("described", "/%6Fpen")).reason == .public)
    }
}
