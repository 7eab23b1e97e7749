@testable import Decision
import Octets
import PolicyTables
import Signatures
import Testing
import Tokens

/// B45 to B50: what a token allows, and what a memory of tokens may not add.
@Suite struct AttackScopeTests {
    private let world: World

    init() throws { world = try World() }

    /// `GET /v1/orders` demands `orders:read`.
    private func reason(_ decider: Decider, _ plan: TokenPlan) throws -> Reason {
        decider.verdict(Request().bearing(try world.token(plan))).reason
    }

    @Test("B45: a scope or a path that contains, begins or ends another is another")
    func prefixes() throws {
        let decider = try world.decider()
        for scope in [
            "orders", "orders:", "orders:rea", "orders:reads", "orders:read:", "orders:read:all", "xorders:read",
            "read",
            ":read", "nonorders:read", "orders:readorders:read", "orders:read/", "/orders:read", "orders:read,",
            "orders",
        ] { #expect(try reason(decider, .scopes(scope)) == .insufficientScope, "\(scope)") }
        for scope in ["orders:read", "x orders:read", "orders:read x", "orders:write", "nonorders:read orders:read"] {
            #expect(try reason(decider, .scopes(scope)) == .granted, "\(scope)")
        }
        // CVE-2026-32716: `/john` is no prefix of `/johnathan`.
        let rows: [(String, Reason)] = [
            ("ann", .granted), ("anna", .bindingMismatch), ("an", .bindingMismatch), ("annann", .bindingMismatch),
            ("ann%2E", .bindingMismatch),
        ]
        let token = try world.token()
        for (user, expected) in rows {
            let request = Request("GET", "/v1/users/\(user)/orders").bearing(token)
            #expect(decider.verdict(request).reason == expected, "\(user)")
        }
    }

    @Test("B46: scopes come from one claim, and from a text or a list of texts")
    func claims() throws {
        let decider = try world.decider()
        let elsewhere = TokenPlan().with {
            $0.scope = "read:metrics"
            $0.more = [
                ("scp", #""orders:read""#), ("scopes", #"["orders:read"]"#), ("roles", #"["orders:read"]"#),
                ("permissions", #"["orders:read"]"#), ("groups", #"["orders:read"]"#), ("Scope", #""orders:read""#),
            ]
        }
        #expect(try reason(decider, elsewhere) == .insufficientScope)
        #expect(try reason(decider, elsewhere.with { $0.scope = nil }) == .insufficientScope)
        #expect(try reason(decider, elsewhere.with { $0.scope = "orders:read" }) == .granted)
        let typed: [(String, Reason)] = [
            (#"["orders:read"]"#, .granted), (#"["orders:read",1]"#, .claimsMalformed), ("7", .claimsMalformed),
            ("null", .claimsMalformed), (#"{"orders:read":true}"#, .claimsMalformed), ("true", .claimsMalformed),
            ("[]", .insufficientScope), (#"["x"]"#, .insufficientScope),
        ]
        for (value, expected) in typed {
            let plan = TokenPlan().with {
                $0.scope = nil
                $0.more = [("scope", value)]
            }
            #expect(try reason(decider, plan) == expected, "\(value)")
        }
    }

    @Test("B47: as many scopes as there may be, and one more")
    func manyScopes() throws {
        let decider = try world.decider()
        func list(_ count: Int) -> String { (1..<count).map { "s\($0)" }.joined(separator: " ") + " orders:read" }
        #expect(try reason(decider, .scopes(list(1_024))) == .granted)
        #expect(try reason(decider, .scopes(list(1_025))) == .claimsMalformed)
        let large = String(repeating: "a ", count: 6_000) + "orders:read"
        #expect(try reason(decider, .scopes(large)) == .tokenTooLarge)
        // The same scope a thousand times is one.
        let same = String(repeating: "orders:read ", count: 900) + "orders:read"
        let verdict = decider.verdict(Request().bearing(try world.token(.scopes(same))))
        #expect(verdict.reason == .granted && verdict[.granted] == "orders:read")
    }

    @Test("B48: look-alikes, and blanks that are none")
    func lookAlikes() throws {
        let decider = try world.decider()
        let texts = [
            "ORDERS:READ", "Orders:read", "orders:Read", " orders:read", "orders:read ", "x  orders:read",
            "x\torders:read",
            "x\norders:read", "x\u{A0}orders:read", "x\u{2003}orders:read", "x\u{3000}orders:read", "x,orders:read",
            "orders\u{FF1A}read", "\u{43E}rders:read", "orders:re\u{430}d", "orders:read\u{200B}", "orders:read\u{AD}",
            "\u{FEFF}orders:read", "orders:rea\u{301}d", "orders%3Aread", "orders:read\"", "\"orders:read\"",
            "orders:read\\",
            "orders:read\u{7F}", "", " ",
        ]
        for text in texts {
            #expect(try reason(decider, .scopes(text)) == .insufficientScope, "\(text.debugDescription)")
        }
        // The edges of what a scope may hold (RFC 6749 §3.3) do no harm beside a good one.
        for byte in ["!", "#", "[", "]", "~"] {
            #expect(try reason(decider, .scopes("\(byte) orders:read")) == .granted)
        }
    }

    @Test("B49: a token is found again by all of its bytes and nothing else")
    func collisions() throws {
        let decider = try world.decider()
        let strong = try world.token(.scopes("orders:write payments:charge"))
        // Every claim but the scope is the same, `jti` and subject too.
        let weak = try world.token(.scopes("orders:read"))
        let post = Request("POST", "/v1/orders")
        for _ in 0..<3 {
            let allowed = decider.verdict(post.bearing(strong))
            let denied = decider.verdict(post.bearing(weak))
            #expect(allowed.reason == .granted && allowed[.granted] == "orders:read orders:write payments:charge")
            #expect(denied.reason == .insufficientScope)
        }
        // Parts of a cached token in other places, and its bytes with any one changed.
        let parts = text(strong).split(separator: ".").map(String.init)
        let other = text(weak).split(separator: ".").map(String.init)
        #expect(parts[0] == other[0])
        let mixed = bytes("\(parts[0]).\(parts[1]).\(other[2])")
        #expect(decider.verdict(post.bearing(mixed)).reason == .signatureInvalid)
        let hits = decider.counts.tokenCacheHits
        for index in strong.indices {
            var changed = strong
            changed[index] = changed[index] == 0x41 ? 0x42 : 0x41
            #expect(!decider.verdict(post.bearing(changed)).isAllow, "\(index)")
        }
        #expect(decider.counts.tokenCacheHits == hits)
        #expect(decider.verdict(post.bearing(strong)).reason == .granted)
    }

    @Test("B50: policy, keys, revocations and time hold for a token that was seen before")
    func changes() throws {
        let decider = try world.decider()
        let request = Request().bearing(try world.token())
        func expect(_ reason: Reason, now: Int64 = World.now) {
            for _ in 0..<2 { #expect(decider.verdict(request, now: now).reason == reason) }
        }
        expect(.granted)
        var stricter = sampleModel()
        stricter.services[0].routes[0] = route("GET /v1/orders", all: [Scope.admin])
        try world.activate(stricter)
        expect(.insufficientScope)
        try world.activate(sampleModel())
        expect(.granted)
        world.keySets[0] = world.set(of: 0, named: "b")
        world.publish()
        expect(.unknownKey)
        world.keySets[0] = world.set(of: 0, named: "a", world.stranger)
        world.publish()
        expect(.signatureInvalid)
        world.keySets[0] = world.set(of: 0, named: "a")
        world.statuses[0] = .stale
        world.publish()
        expect(.keysStale)
        world.statuses[0] = .usable
        world.publish()
        expect(.granted)
        expect(.expired, now: World.now + 1_010)
        world.revoke(Revocation(kind: .subject, issuer: bytes("https://id.example.com"), value: bytes("ann")))
        expect(.revoked)
        world.revocations = .empty
        world.publish()
        expect(.granted)
        var foreign = sampleModel()
        foreign.services[0].issuers = [2]
        try world.activate(foreign)
        expect(.issuerNotAllowed)
    }
}
