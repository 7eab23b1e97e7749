@testable import Decision
import PolicyTables
import Testing
import Tokens

/// How the parts of a rule work together: order of the checks, observe mode, preflights, methods, ports,
/// bindings, audiences, places of the token.
@Suite struct DeciderRuleTests {
    private static func preflight(_ target: String, _ method: String) -> Request {
        Request("OPTIONS", target).with {
            $0.origin = [bytes("https://web.example.com")]
            $0.requestedMethod = [bytes(method)]
        }
    }

    @Test("where several checks fail, the first in the order of the design is the answer")
    func order() throws {
        let world = try World()
        let decider = try world.decider()
        // From the last check to the first: each change adds a fault that is looked for before all others so far.
        var plan = TokenPlan().with { $0.subject = "eve" }
        var request = Request("GET", "/v1/users/ann/orders")
        func expect(_ reason: Reason, key: Bool = true) throws {
            let token = try world.token(plan, key: key ? nil : world.stranger)
            let verdict = decider.verdict(request.authorization.isEmpty ? request.bearing(token) : request)
            #expect(verdict.reason == reason)
        }
        try expect(.bindingMismatch)
        plan.scope = "read:metrics"
        try expect(.insufficientScope)
        plan.audience = ["https://api.example.com"]
        try expect(.audienceMismatch)
        plan.more = [("cnf", "{}")]
        try expect(.proofRequired)
        plan.audience = ["https://elsewhere.example.com"]
        try expect(.audienceMismatch)
        plan.notBefore = World.now + 100
        try expect(.notYetValid)
        plan.expiresAt = World.now - 100
        try expect(.expired)
        plan.tokenID = nil
        try expect(.missingClaim)
        plan.more = [("cnf", "1")]
        try expect(.claimsMalformed)
        try expect(.signatureInvalid, key: false)
        plan.keyName = "zz"
        try expect(.unknownKey, key: false)
        plan.issuer = "https://unknown.example.com"
        try expect(.unknownIssuer, key: false)
        plan.type = "dpop+jwt"
        try expect(.tokenTypeMismatch, key: false)
        request.authorization = [bytes("Bearer x y")]
        try expect(.malformedAuthorization)
        request.authorization = [bytes("Bearer x y"), bytes("Basic")]
        try expect(.multipleCredentials)
        request.target = bytes("/v1/metrics")
        try expect(.portNotAllowed)
        request.method = bytes("PATCH")
        try expect(.methodNotAllowed)
        request.host = bytes("none.example.com")
        try expect(.unknownHost)
        request.normalizedPath = bytes("/other")
        try expect(.pathMismatch)
        request.target = bytes("/v1//metrics")
        try expect(.ambiguousTarget)
        request.scheme = bytes("gopher")
        try expect(.conflictingFacts)
        request.scheme = nil
        try expect(.missingFact)
        request.conflict = true
        try expect(.conflictingFacts)
    }

    @Test("observe mode lets denials of a matched route pass until its date, and nothing else")
    func observe() throws {
        let world = try World()
        let decider = try world.decider()
        let watched = Request("GET", "/v1/watched")
        let good = try world.token()
        let strange = try world.token(key: world.stranger)
        let passing: [(Request, Reason)] = [
            (watched, .noToken), (watched.bearing(good), .insufficientScope),
            (watched.bearing(strange), .signatureInvalid), (watched.bearing(bytes("x")), .tokenMalformed),
            (watched.bearing(good).bearing(good), .multipleCredentials),
            (watched.bearing(bytes("x y")), .malformedAuthorization),
            (Request("GET", "/v1/watched/bob").bearing(good), .bindingMismatch),
        ]
        for (request, wouldBe) in passing {
            let verdict = decider.verdict(request, now: observeEnd - 1)
            #expect(verdict.reason == .observed && verdict.isAllow)
            #expect(verdict.identity == ["", "", "", ""] && !verdict.hasChallenge)
            #expect(decider.isNoteworthy && decider.state.observedReason == wouldBe)
            for now in [observeEnd, observeEnd + 1] {
                let later = decider.verdict(request, now: now)
                #expect(later.reason == wouldBe && !later.isAllow)
                #expect(decider.state.observedReason == nil)
            }
        }
        let full = try world.token(.scopes("support:admin"))
        let granted = decider.verdict(watched.bearing(full))
        #expect(granted.reason == .granted && granted[.subject] == "ann" && !decider.isNoteworthy)
        let never: [(Request, Reason)] = [
            (Request("GET", "/v1/watched%2F"), .ambiguousTarget),
            (Request("GET", "//v1/watched"), .ambiguousTarget),
            (watched.with { $0.normalizedPath = bytes("/v1/watch") }, .pathMismatch),
            (watched.with { $0.host = bytes("x.example.com") }, .unknownHost),
            (watched.with { $0.method = bytes("POST") }, .methodNotAllowed),
            (Request("GET", "/v1/watching"), .methodNotAllowed),
            (watched.with { $0.port = nil }, .missingFact),
            (watched.with { $0.conflict = true }, .conflictingFacts),
            (Request("GET", "/watched", host: "inner.example.com"), .unknownRoute),
        ]
        for (request, reason) in never {
            let verdict = decider.verdict(request)
            #expect(!verdict.isAllow)
            if request.host != bytes("inner.example.com") { #expect(verdict.reason == reason) }
        }
        world.keySets[0] = nil
        world.publish()
        #expect(decider.verdict(watched.bearing(good)).reason == .keysUnavailable)
        #expect(decider.verdict(watched).reason == .observed)
        world.board.publish(nil)
        #expect(decider.verdict(watched).reason == .noPolicy)
    }

    @Test("preflights: one origin, one requested method, listed at the very path")
    func preflights() throws {
        let world = try World()
        let decider = try world.decider()
        let good = Self.preflight("/v1/orders", "GET")
        for (target, method) in [
            ("/v1/orders", "GET"), ("/v1/orders", "POST"), ("/v1/orders", "HEAD"), ("/v1/orders/7", "DELETE"),
            ("/v1/files/a/b", "GET"), ("/healthz", "GET"), ("/v1/watched", "GET"), ("/v1/heads", "HEAD"),
        ] {
            #expect(
                decider.verdict(Self.preflight(target, method)).reason == .preflight, "\(method) \(target)")
        }
        let refused: [Request] = [
            Self.preflight("/v1/orders", "DELETE"), Self.preflight("/v1/orders", "get"),
            Self.preflight("/v1/orders", ""), Self.preflight("/v1/orders", "OPTIONS"),
            Self.preflight("/v1/orders", "*"), Self.preflight("/v1/orders", "GET, POST"),
            Self.preflight("/none", "GET"), Self.preflight("/v1/orders/", "GET"),
            Self.preflight("/v1/metrics", "GET"),
            good.with { $0.origin = [] }, good.with { $0.origin = [[]] },
            good.with { $0.origin.append(bytes("https://b.example.com")) },
            good.with { $0.requestedMethod = [] }, good.with { $0.requestedMethod = [[]] },
            good.with { $0.requestedMethod.append(bytes("GET")) }, good.with { $0.method = bytes("options") },
            good.with { $0.target = bytes("*") }, good.with { $0.target = bytes("/v1//orders") },
            good.with { $0.host = bytes("app.example.com") }, good.with { $0.method = bytes("GET") },
        ]
        for request in refused {
            let verdict = decider.verdict(request)
            #expect(!verdict.isAllow && verdict.reason != .preflight, "\(request)")
        }
        #expect(
            decider.verdict(Self.preflight("/v1/metrics", "GET").with { $0.port = bytes("9443") }).reason
                == .preflight)
        // Where a path lists OPTIONS itself with scopes, a preflight needs them like any other request.
        #expect(decider.verdict(Self.preflight("/v1/plain", "GET")).reason == .noToken)
        let plain = Self.preflight("/v1/plain", "GET").bearing(try world.token())
        #expect(decider.verdict(plain).reason == .granted)
    }

    @Test("GET stands for HEAD unless HEAD is listed; methods are literal")
    func methods() throws {
        let world = try World()
        let decider = try world.decider()
        let read = try world.token()
        let support = try world.token(.scopes("support:admin"))
        let rows: [(String, String, [UInt8], Reason)] = [
            ("HEAD", "/v1/orders", read, .granted), ("HEAD", "/v1/orders", support, .insufficientScope),
            ("HEAD", "/healthz", read, .public), ("HEAD", "/v1/heads", read, .insufficientScope),
            ("HEAD", "/v1/heads", support, .granted), ("GET", "/v1/heads", read, .granted),
            ("GET", "/v1/heads", support, .insufficientScope),
            ("head", "/v1/orders", read, .methodNotAllowed),
            ("HEAD", "/v1/teams", read, .methodNotAllowed), ("POST", "/v1/plain", read, .methodNotAllowed),
            ("TRACE", "/v1/orders", read, .methodNotAllowed),
            ("OPTIONS", "/v1/orders", read, .methodNotAllowed),
            ("OPTIONS", "/v1/plain", read, .granted),
        ]
        for (method, target, token, reason) in rows {
            #expect(
                decider.verdict(Request(method, target).bearing(token)).reason == reason,
                "\(method) \(target)")
        }
    }

    @Test("an escaped `:` must not lead past the literal that a decoding backend would route it to")
    func reservedEscapes() throws {
        let world = try World()
        let decider = try world.decider()
        let write = try world.token(.scopes("orders:write"))
        let rows: [(String, Reason)] = [
            ("/v1/orders/all:purge", .insufficientScope), ("/v1/orders/all%3Apurge", .ambiguousTarget),
            ("/v1/orders/all%3apurge", .ambiguousTarget), ("/v1/orders/%61ll%3Apurge", .ambiguousTarget),
            ("/v1/orders/all%3Akeep", .granted), ("/v1/orders/all:keep", .granted),
            ("/v1/orders/ann%40example.com", .granted), ("/v1/orders/a%2Bb%2Cc%3Dd%26e", .granted),
            ("/v1/orders/a%3Bb", .granted), ("/v1%3A/orders/x", .methodNotAllowed),
        ]
        for (target, reason) in rows {
            #expect(decider.verdict(Request("POST", target).bearing(write)).reason == reason, "\(target)")
        }
        let support = try world.token(.scopes("support:admin orders:write"))
        let purge = Request("POST", "/v1/orders/all%3Apurge").bearing(support)
        #expect(decider.verdict(purge).reason == .ambiguousTarget)
    }

    @Test("ports of a route and of a service")
    func ports() throws {
        let world = try World()
        let decider = try world.decider()
        let metrics = Request("GET", "/v1/metrics").bearing(try world.token(.scopes("read:metrics")))
        for (port, reason) in [("9443", Reason.granted), ("443", .portNotAllowed), ("80", .portNotAllowed)] {
            #expect(decider.verdict(metrics.with { $0.port = bytes(port) }).reason == reason)
        }
        // The client's own port in Host decides nothing.
        #expect(
            decider.verdict(metrics.with { $0.host = bytes("api.example.com:9443") }).reason
                == .portNotAllowed)
        let inner = Request("GET", "/x", host: "inner.example.com").bearing(try world.token())
        #expect(decider.verdict(inner.with { $0.port = bytes("8443") }).reason == .granted)
        let closed = decider.verdict(inner)
        #expect(closed.reason == .portNotAllowed)
    }

    @Test("bindings: decoded bytes, exactly, all of them, never empty")
    func bindings() throws {
        let world = try World()
        let decider = try world.decider()
        func reason(_ target: String, sub: String, team: String? = nil) throws -> Reason {
            var plan = TokenPlan().with { $0.subject = sub }
            if let team { plan.more = [("team", team)] }
            return decider.verdict(Request("GET", target).bearing(try world.token(plan))).reason
        }
        let rows: [(String, String, Reason)] = [
            ("ann", "ann", .granted), ("%61nn", "ann", .granted), ("Ann", "ann", .bindingMismatch),
            ("ann%20b", "ann b", .granted), ("caf%C3%A9", "caf\u{E9}", .granted),
            ("cafe%CC%81", "caf\u{E9}", .bindingMismatch), ("ann", "anne", .bindingMismatch),
            ("anne", "ann", .bindingMismatch), ("ann%40x", "ann@x", .granted),
            ("ann@x", "ann%40x", .bindingMismatch),
            ("a%3Fb", "a?b", .granted), ("an", "ann", .bindingMismatch), ("*", "ann", .bindingMismatch),
        ]
        for (segment, sub, expected) in rows {
            #expect(try reason("/v1/users/\(segment)/orders", sub: sub) == expected, "\(segment) \(sub)")
        }
        #expect(try reason("/v1/teams/red/ann", sub: "ann", team: "\"red\"") == .granted)
        #expect(try reason("/v1/teams/red/ann", sub: "ann", team: "\"r\\u0065d\"") == .granted)
        #expect(try reason("/v1/teams/red/ann", sub: "ann", team: "\"blue\"") == .bindingMismatch)
        #expect(try reason("/v1/teams/red/ann", sub: "bob", team: "\"red\"") == .bindingMismatch)
        #expect(try reason("/v1/teams/red/ann", sub: "ann") == .bindingMismatch)
        #expect(try reason("/v1/teams/7/ann", sub: "ann", team: "7") == .bindingMismatch)
        #expect(try reason("/v1/teams/red/ann", sub: "ann", team: "[\"red\"]") == .bindingMismatch)
    }

    @Test("cookies and subprotocols where the service takes them; issuers and hosts of services")
    func services() throws {
        let world = try World()
        let decider = try world.decider()
        let other = TokenPlan().with {
            $0.issuer = "https://other.example.com/caf\u{E9}"
            $0.clientClaim = "azp"
            $0.type = "JWT"
            $0.audience = ["https://api.example.com"]
        }
        let token = try world.token(other, issuer: 1)
        let me = Request("GET", "/me", host: "app.example.com").with {
            $0.cookie = [bytes("session=") + token]
        }
        let verdict = decider.verdict(me)
        #expect(verdict.reason == .granted)
        #expect(
            verdict.identity == ["ann", "web", "https://other.example.com/caf%c3%a9", "orders:read"])
        #expect(decider.verdict(me.bearing(token)).reason == .multipleCredentials)
        let stream = Request("GET", "/stream", host: "ws.example.com").with {
            $0.subprotocol = [bytes("chat, token, ") + token]
        }
        #expect(decider.verdict(stream).reason == .granted)
        let first = try world.token()
        let strange = stream.with { $0.subprotocol = [bytes("token, ") + first] }
        #expect(decider.verdict(strange).reason == .issuerNotAllowed)
        // Without an optional claim, identity fields stand empty.
        let bare = other.with {
            $0.subject = nil
            $0.client = nil
        }
        let bareToken = try world.token(bare, issuer: 1)
        let unnamed = decider.verdict(me.with { $0.cookie = [bytes("session=") + bareToken] })
        #expect(unnamed.reason == .granted && unnamed[.subject].isEmpty && unnamed[.client].isEmpty)
        // Wildcard hosts, case, port and trailing dot.
        for host in ["a.tenant.example.com", "A.Tenant.Example.COM:8443", "a.tenant.example.com."] {
            #expect(decider.verdict(Request(host: host).bearing(first)).reason == .granted, "\(host)")
        }
        let absolute = Request("GET", "https://API.example.com:99/v1/orders?x", host: "api.example.com:443")
        #expect(decider.verdict(absolute.bearing(first)).reason == .granted)
        let mapped = Request("GET", "/v1/orders/a%20b?x").with { $0.normalizedPath = bytes("/v1/orders/a b") }
        #expect(decider.verdict(mapped.bearing(first)).reason == .granted)
    }
}
