@testable import Decision
import Foundation
import Octets
import PolicyTables
import Signatures
import Testing
import Tokens

/// What has an end: scopes, old names of scopes, grants and whole services, at the very second, with tokens that the
/// worker has seen before.
@Suite struct EndTests {
    private let world: World
    private let decider: Decider

    init() throws {
        world = try World(baselineModel())
        decider = try world.decider()
    }

    private func request(_ client: String, _ scope: String, _ target: String = "/v1/orders") throws -> Request {
        Request("GET", target).bearing(try world.token(.of(client, scope)))
    }

    @Test("a retired scope counts up to the second before its end")
    func retired() throws {
        let request = try request("web", "orders:legacy", "/v1/legacy")
        let rows: [(Int64, Reason)] = [
            (World.now, .granted), (scopeEnd - 1, .granted), (scopeEnd, .insufficientScope),
            (scopeEnd + 300, .insufficientScope),
        ]
        for (now, reason) in rows {
            #expect(decider.verdict(request, now: now).reason == reason, "\(now - scopeEnd)")
            // What is worked out anew says the same as what was kept.
            #expect(try world.decider().verdict(request, now: now).reason == reason)
        }
        // A clock that was set back sees what it would have seen: a grant is used for its own time only.
        #expect(decider.verdict(request, now: scopeEnd - 1).reason == .granted)
        #expect(decider.verdict(request, now: scopeEnd).reason == .insufficientScope)
    }

    @Test("what another scope implies ends too, and nothing else of it")
    func implied() throws {
        let legacy = try request("web", "orders:audit", "/v1/legacy")
        let audit = try request("web", "orders:audit", "/v1/audit")
        #expect(decider.verdict(legacy, now: scopeEnd - 1)[.granted] == "orders:audit orders:legacy orders:read")
        #expect(decider.verdict(legacy, now: scopeEnd).reason == .insufficientScope)
        let left = decider.verdict(audit, now: scopeEnd)
        #expect(left.reason == .granted && left[.granted] == "orders:audit orders:read")
    }

    @Test("an ended scope grants nothing that it implied")
    func endedMember() throws {
        var model = baselineModel()
        model.scopes[Int(Scope.audit)].until = scopeEnd
        try world.activate(model)
        let request = try request("web", "orders:audit")
        #expect(decider.verdict(request, now: scopeEnd - 1).reason == .granted)
        #expect(decider.verdict(request, now: scopeEnd).reason == .insufficientScope)
    }

    @Test("an old name counts as the new one until its end")
    func oldName() throws {
        let request = try request("strict-id", "read")
        let before = decider.verdict(request, now: oldNameEnd - 1)
        #expect(before.reason == .granted && before[.granted] == "orders:read read")
        #expect(decider.findings?.oldScopes == [bytes("read")] && decider.findings?.excess == [])
        #expect(decider.lastLogMembers().contains(#","client_name":"strict","old_scopes":["read"]"#))
        #expect(decider.verdict(request, now: oldNameEnd).reason == .insufficientScope)
        #expect(decider.findings == nil)
        // A split: both new scopes; one of them is not approved for this client.
        let split = try self.request("narrow-id", "write")
        let narrowed = decider.verdict(split)
        #expect(narrowed[.granted] == "orders:read")
        #expect(decider.findings?.excess == [bytes("orders:write"), bytes("read:metrics")])
        #expect(decider.findings?.oldScopes == [bytes("write")])
    }

    @Test("old names are noted for clients that the policy does not list too")
    func oldNameOfOthers() throws {
        let issuer = sampleIssuers()[2].issuer
        for client in ["one", "two", String(repeating: "c", count: 600)] {
            let token = try world.token(.of(client, "read", issuer: issuer), issuer: 2)
            for _ in 0..<2 {
                #expect(decider.verdict(Request().bearing(token)).reason == .granted)
                #expect(decider.findings?.client == bytes(String(client.prefix(255))))
                #expect(decider.findings?.clientName == [] && decider.findings?.issuer == bytes(issuer))
            }
        }
        let plain = try world.token(.of("one", "orders:read", issuer: issuer), issuer: 2)
        #expect(decider.verdict(Request().bearing(plain)).reason == .granted && decider.remarks == nil)
    }

    @Test("a grant approves up to the second before its end")
    func endOfGrant() throws {
        let request = try request("strict-id", "orders:write")
        let rows: [(Int64, Reason)] = [
            (grantEnd - 1, .granted), (grantEnd, .overScoped), (grantEnd - 1, .granted), (grantEnd + 1, .overScoped),
        ]
        for (now, reason) in rows {
            let found = decider.verdict(request, now: now).reason
            #expect(found == reason)
            #expect(try world.decider().verdict(request, now: now).reason == reason)
        }
        // What is approved without an end stays so.
        let read = try self.request("strict-id", "orders:read")
        #expect(decider.verdict(read, now: grantEnd + 1).reason == .granted)
    }

    @Test("a service that has ended denies everything, what is public among it, and is never observed")
    func service() throws {
        var model = baselineModel()
        model.services[0].until = World.now + 50
        try world.activate(model)
        let preflight = Request("OPTIONS", "/v1/orders").with {
            $0.origin = [bytes("https://web.example.com")]
            $0.requestedMethod = [bytes("POST")]
        }
        let rows: [(Request, Reason)] = [
            (try request("web", "orders:read"), .granted), (Request("GET", "/healthz"), .public),
            (preflight, .preflight), (Request("GET", "/v1/watched"), .observed), (Request(), .noToken),
            (Request().bearing(bytes("junk")), .tokenMalformed),
            (try request("try-id", "orders:admin"), .observed),
        ]
        for (request, reason) in rows {
            #expect(decider.verdict(request, now: World.now + 49).reason == reason)
            let verdict = decider.verdict(request, now: World.now + 50)
            DeciderReasonTests.check(verdict, .publicationEnded, policy: "2.")
            #expect(verdict.status == 403 && verdict[.route].hasPrefix("orders "))
        }
        // No route, no answer about its end; and other services go on.
        #expect(decider.verdict(Request("GET", "/none"), now: World.now + 50).reason == .methodNotAllowed)
        #expect(decider.verdict(Request("GET", "/", host: "app.example.com"), now: World.now + 50).reason == .public)
    }

    @Test("a certificate opens no port for a scope that has ended")
    func ports() throws {
        var model = samplePortModel()
        model.scopes[Int(Scope.metrics)].until = scopeEnd
        model.scopes[Int(Scope.write)].until = scopeEnd
        try world.activate(model)
        let metrics = Connection()
        let queue = Connection(CertificateWriter(dns: ["worker.example.org"]), port: 5671)
        #expect(decider.verdict(metrics, now: scopeEnd - 1).reason == .granted)
        #expect(decider.verdict(queue, now: scopeEnd - 1)[.granted] == "orders:read orders:write read:metrics")
        #expect(decider.verdict(metrics, now: scopeEnd).reason == .insufficientScope)
        #expect(decider.verdict(queue, now: scopeEnd).reason == .insufficientScope)
        model.portServices[1].any = [Scope.write, Scope.read]
        try world.activate(model)
        #expect(decider.verdict(queue, now: scopeEnd)[.granted] == "orders:read")
    }

    @Test("damage of a term hides the scope", arguments: [0, 1, 2, 0x80])
    func damage(_ flags: UInt8) throws {
        var catalogue = try PolicyCompiler(baselineModel()).catalogue()
        let name = bytes("orders:legacy")
        let place = try #require(catalogue.indices.first { catalogue[$0...].starts(with: name) })
        #expect(catalogue[place - 3] == 0)
        catalogue[place - 3] = flags
        guard let table = Catalogue(catalogue.span) else {
            Issue.record("no catalogue")
            return
        }
        let scopes = ScopeExpansion(bytes("orders:audit orders:legacy").span, table, now: World.now).scopes
        let term = table.scopeTerm(Scope.legacy)
        #expect(scopes == (flags <= 1 ? [0, 6, 7] : [0, 7]))
        #expect((term == nil) == (flags > 1) && term?.isOldName ?? false == (flags == 1))
    }

    @Test("for ever is for ever")
    func never() throws {
        let table = try PolicyCompiler(baselineModel()).catalogue()
        guard let catalogue = Catalogue(table.span) else { return }
        for now in [Int64.min, 0, World.now, .max - 1, .max] {
            let expansion = ScopeExpansion(bytes("orders:write").span, catalogue, now: now)
            let (scopes, from, until) = (expansion.scopes, expansion.from, expansion.until)
            #expect(scopes == [0, 1] && from == .min && until == .max)
        }
    }

    // MARK: transaction tokens

    private struct Content: Equatable {
        var scope: String?
        var end: Int64?
    }

    private func content(_ verdict: Verdict) throws -> Content {
        let token = bytes(verdict[.transactionToken])
        let decoded = try TokenDecode.read(token.span)
        let claims = try JSONSerialization.jsonObject(with: Data(decoded.claimsText)) as? [String: Any]
        return Content(scope: claims?["scope"] as? String, end: (claims?["exp"] as? NSNumber)?.int64Value)
    }

    @Test("a transaction token says what is left, and no longer than it is so")
    func transactionTokens() throws {
        var model = baselineModel()
        for index in model.services.indices { model.services[index].hasTransactionToken = true }
        model.services[0].routes.append(route("GET /v1/any", any: [Scope.read, Scope.write]))
        model.clients[0].excess = .narrow
        model.services[1].until = World.now + 7
        try world.activate(model)
        world.transactions = TransactionSigner(
            key: try PrivateKey.generate(.es256), algorithm: .es256, keyID: "k", issuer: "https://gateway.example.com",
            lifetimeSeconds: 60)
        world.publishAgain()
        let request = try request("strict-id", "orders:admin", "/v1/any")
        let long = try content(decider.verdict(request, now: grantEnd - 100))
        #expect(long == Content(scope: "orders:read orders:write", end: grantEnd - 40))
        let late = try content(decider.verdict(request, now: grantEnd - 20))
        #expect(late == Content(scope: "orders:read orders:write", end: grantEnd))
        let last = try content(decider.verdict(request, now: grantEnd - 1))
        #expect(last == Content(scope: "orders:read orders:write", end: grantEnd))
        // The same token on the same route: what was made before is not used again.
        let after = try content(decider.verdict(request, now: grantEnd))
        #expect(after == Content(scope: "orders:read", end: grantEnd + 60))
        let back = try content(decider.verdict(request, now: grantEnd - 1))
        #expect(back == Content(scope: "orders:read orders:write", end: grantEnd))
        // Nor longer than the service.
        let app = Request("GET", "/me", host: "app.example.com").with {
            $0.cookie = [bytes("session=")]
        }
        let token = try world.token(.of("web", "orders:read"))
        let ended = try content(decider.verdict(app.with { $0.cookie = [bytes("session=") + token] }))
        #expect(ended.end == World.now + 7)
    }
}
