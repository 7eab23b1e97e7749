import Octets
import Signatures
import Testing

@testable import Tokens

/// `jti`, the longest lifetime, `status` and `authorization_details` of access tokens.
@Suite struct TokenLimitTests {
    static let prefix = "https://status.example.com/lists/"
    static let listURI = "https://status.example.com/lists/7"
    static let wholeURI = "https://other.example.com/list?x=1"

    static func withLists(_ prefixes: [String] = [prefix, wholeURI]) -> IssuerSnapshot {
        var changed = settings()
        changed.statusListPrefixes = prefixes.map(bytes)
        return snapshot(changed)
    }

    static func status(_ uri: String, _ index: String = "7") -> String {
        "{\"status_list\":{\"idx\":\(index),\"uri\":\"\(uri)\"}}"
    }

    @Test func tokenIDs() throws {
        let found = try verified(token(claims(["jti": "\"j-\\u0041\""])))
        #expect(text(found.tokenID) == "j-A")
        let without = try verified(token(claims(["jti": nil])), compat)
        #expect(without.tokenID.isEmpty && !without.isOpaque && without.freshUntil == .max)
    }

    // MARK: Lifetime

    @Test func lifetimes() throws {
        var limited = settings()
        limited.lifetimeSecondsMax = 600
        let issuers = snapshot(limited)
        func result(_ issuedAt: String?, _ expiresAt: String) throws -> String {
            try outcome(token(claims(["iat": issuedAt, "exp": expiresAt])), issuers)
        }
        #expect(try result("1699999900", "1700000500") == "verified")
        #expect(try result("1699999900.9", "1700000500.9") == "verified")
        #expect(try result("1699999900", "1700000501") == "lifetime_too_long")
        // Fractions are cut off on both sides.
        #expect(try result("1699999899.9", "1700000500.1") == "lifetime_too_long")
        #expect(try result("1", "9007199254740992") == "lifetime_too_long")
        // What is wrong with the times themselves is said first.
        #expect(try result("1", "1699999999") == "expired")
        #expect(try result("1700000301", "1700000302") == "not_yet_valid")
        // No limit, no refusal.
        #expect(try outcome(token(claims(["iat": "1", "exp": "9007199254740992"]))) == "verified")
    }

    @Test func aLifetimeNeedsItsStart() throws {
        var limited = settings(profile: .compat)
        limited.lifetimeSecondsMax = 600
        let body = claims(["iat": nil])
        #expect(try outcome(token(body), snapshot(limited)) == "missing_claim")
        #expect(try outcome(token(body), compat) == "verified")
    }

    // MARK: Status

    @Test func statusIsKept() throws {
        for uri in [Self.listURI, Self.wholeURI] {
            let issuers = Self.withLists()
            let (place, issuer) = (bytes(uri), issuers.issuers[0].settings.issuer)
            let key = StatusReference.listKey(uri: place.span, issuer: issuer.span)
            let found = try verified(token(claims(["status": Self.status(uri, "2147483647")])), issuers)
            #expect(found.status == StatusReference(list: key, index: 2_147_483_647))
            #expect(text(found.statusListURI) == uri)
        }
        // Escapes are a matter of spelling; other members play no part.
        let escaped =
            "{\"x\":1,\"status_list\":{\"y\":2,\"uri\":\"https:\\/\\/status.example.com\\/lists\\u002f7\",\"idx\":0}}"
        let found = try verified(token(claims(["status": escaped])), Self.withLists())
        #expect(found.status?.index == 0 && text(found.statusListURI) == Self.listURI)
        let without = try verified(token(), Self.withLists())
        #expect(without.status == nil && without.statusListURI.isEmpty)
    }

    @Test func statusNeedsPrefixes() throws {
        for value in [Self.status(Self.listURI), "5", "{}", Self.status("http://evil.example.com/")] {
            let found = try verified(token(claims(["status": value])))
            #expect(found.status == nil && found.statusListURI.isEmpty)
        }
    }

    @Test(arguments: [
        "5", "null", "\"x\"", "[]", "{}", "true", "{\"identifier_list\":{}}", "{\"status_list\":[]}",
        "{\"status_list\":null}", "{\"status_list\":{}}", "{\"status_list\":{\"idx\":1}}",
        "{\"status_list\":{\"uri\":\"\(listURI)\"}}", "{\"status_list\":{\"idx\":1,\"uri\":5}}",
        "{\"status_list\":{\"idx\":1,\"uri\":\"\"}}", "{\"status_list\":{\"idx\":1,\"uri\":[\"\(listURI)\"]}}",
    ])
    func malformedStatus(_ value: String) throws {
        #expect(try outcome(token(claims(["status": value])), Self.withLists()) == "claims_malformed")
    }

    @Test(arguments: [
        "-1", "-0", "1.0", "0.5", "1e1", "2147483648", "4294967296", "18446744073709551616", "99999999999", "\"1\"",
        "null", "true", "[1]",
    ])
    func malformedIndex(_ value: String) throws {
        let body = claims(["status": Self.status(Self.listURI, value)])
        #expect(try outcome(token(body), Self.withLists()) == "claims_malformed")
    }

    @Test(arguments: [
        "https://status.example.com/lists", "https://status.example.com/", "https://status.example.com/listsx/7",
        "http://status.example.com/lists/7", "HTTPS://status.example.com/lists/7", "https://evil.example.com/lists/7",
        "https://status.example.com/lists/../7",
        "\(prefix)%#x", "\(prefix)7%", "\(prefix)%2", "\(prefix)%%23#", "\(prefix)%g1",
        "https://status.example.com/lists/a/..", "\(prefix)./7",
        "\(prefix).", "\(prefix)..", "\(prefix)%2e%2E/7", "\(prefix)a/.%2e?x", "\(prefix)a%2Fb", "\(prefix)a%5cb",
        "\(prefix)a\\\\b", "\(prefix)a b", "\(prefix)a#b", "\(prefix)a\\u0001", "\(prefix)é",
        "\(wholeURI)2", "\(wholeURI)/2", "https://other.example.com/list?x=",
    ])
    func urisOutside(_ uri: String) throws {
        #expect(try outcome(token(claims(["status": Self.status(uri)])), Self.withLists()) == "claims_malformed")
    }

    @Test(arguments: [prefix, "\(prefix)a.b", "\(prefix)..a/b", "\(prefix)a/b?c=1", "\(prefix)%20%2a", wholeURI])
    func urisWithin(_ uri: String) throws {
        #expect(try outcome(token(claims(["status": Self.status(uri)])), Self.withLists()) == "verified")
    }

    @Test func longURIs() throws {
        for (count, expected) in [(2_048, "verified"), (2_049, "claims_malformed")] {
            let uri = Self.prefix + String(repeating: "a", count: count - Self.prefix.utf8.count)
            #expect(try outcome(token(claims(["status": Self.status(uri)])), Self.withLists()) == expected)
        }
        // A whole URI is held to the same length.
        let whole = "https://h.example.com/" + String(repeating: "a", count: 2_027)
        let body = claims(["status": Self.status(whole)])
        #expect(try outcome(token(body), Self.withLists([whole])) == "claims_malformed")
    }

    // MARK: Authorization details

    static let rules = [
        DetailRule(
            type: bytes("pay"), actions: [bytes("initiate")], locations: [bytes("https://a"), bytes("https://b")]),
        DetailRule(type: bytes("pay")),
        DetailRule(type: bytes("pay"), actions: [bytes("initiate"), bytes("cancel")]),
        DetailRule(type: bytes("read"), locations: [bytes("https://a")]),
    ]

    static func withDetails(_ rules: [DetailRule] = rules) -> IssuerSnapshot {
        var changed = settings()
        changed.details = rules
        return snapshot(changed)
    }

    static func met(_ details: String?, _ rules: [DetailRule] = rules) throws -> [Int] {
        let found = try verified(token(claims(["authorization_details": details])), withDetails(rules))
        return (-1...rules.count + 8).filter { found.satisfies(detail: $0) }
    }

    @Test func detailsAreMet() throws {
        let full =
            "{\"type\":\"pay\",\"actions\":[\"cancel\",\"initiate\"],\"locations\":[\"https://b\",\"https://c\"]}"
        #expect(try Self.met("[\(full)]") == [0, 1, 2])
        #expect(
            try Self.met("[{\"type\":\"other\"},\(full),{\"type\":\"read\",\"locations\":[\"https://a\"]}]") == [
                0, 1, 2, 3,
            ])
        #expect(try Self.met("[{\"type\":\"p\\u0061y\"}]") == [1])
        // Two elements do not add up to one.
        #expect(
            try Self.met("[{\"type\":\"pay\",\"actions\":[\"initiate\"]},{\"type\":\"pay\",\"actions\":[\"cancel\"]}]")
                == [1])
        #expect(try Self.met("[{\"type\":\"pay\",\"actions\":[\"initiate\"],\"locations\":[\"https://c\"]}]") == [1])
        for nothing in [nil, "[]", "[{\"type\":\"Pay\"}]", "[{\"type\":\"pay \"}]", "[{\"type\":\"\"}]"] as [String?] {
            #expect(try Self.met(nothing) == [])
        }
    }

    /// Of what is no list of typed objects nothing is met, and the token is not refused.
    @Test(arguments: [
        "5", "null", "\"pay\"", "{\"type\":\"pay\"}", "[\"pay\"]", "[{\"type\":\"pay\"},5]", "[{\"type\":\"pay\"},{}]",
        "[{\"type\":\"pay\"},{\"type\":null}]", "[{\"type\":[\"pay\"]}]", "[[{\"type\":\"pay\"}]]",
        // Limits that cannot be read are not taken for none.
        "[{\"type\":\"pay\",\"actions\":\"initiate\"}]", "[{\"type\":\"pay\",\"actions\":[\"initiate\",5]}]",
        "[{\"type\":\"pay\",\"locations\":null}]", "[{\"type\":\"pay\",\"locations\":{\"a\":\"https://a\"}}]",
    ])
    func malformedDetails(_ details: String) throws {
        #expect(try Self.met(details) == [])
    }

    @Test func manyDetails() throws {
        let rules = (0..<20).map { DetailRule(type: bytes("t\($0)")) }
        for count in [1, 7, 8, 9, 16, 17, 20] {
            let some = Array(rules.prefix(count))
            #expect(
                try Self.met("[{\"type\":\"t\(count - 1)\"},{\"type\":\"t0\"}]", some)
                    == Array(Set([0, count - 1])).sorted())
        }
        let plain = try verified(token(claims(["authorization_details": "[{\"type\":\"t0\"}]"])))
        #expect(!plain.satisfies(detail: 0))
    }

    /// Each part is found behind the others, and none is left over from the token before.
    @Test func everythingTogether() throws {
        var changed = settings(boundClaims: ["tenant"])
        changed.statusListPrefixes = [bytes(Self.prefix)]
        changed.details = Self.rules
        let issuers = snapshot(changed)
        let verifier = TokenVerifier(takesBoundTokens: true)
        let jkt = ConfirmationTests.thumbprint
        let full = try token(
            claims([
                "cnf": "{\"jkt\":\"\(jkt)\"}", "status": Self.status(Self.listURI, "9"), "tenant": "\"t\"",
                "authorization_details": "[{\"type\":\"pay\"}]", "act": "{\"sub\":\"svc\",\"client_id\":\"c\"}",
            ]))
        for _ in 0..<2 {
            let found = try verified(full, issuers, verifier: verifier)
            #expect(text(found.tokenID) == "j-1" && text(found.actorSubject) == "svc" && text(found.actorClient) == "c")
            #expect(found.status?.index == 9 && text(found.statusListURI) == Self.listURI)
            #expect(found.satisfies(detail: 1) && !found.satisfies(detail: 0))
            #expect(found.confirmation == .jwkThumbprint(try #require(digest(jkt))) && found.freshUntil == .max)
            let plain = try verified(token(), issuers, verifier: verifier)
            #expect(plain.status == nil && !plain.satisfies(detail: 1) && plain.confirmation == .none)
            #expect(text(plain.tokenID) == "j-1" && plain.freshUntil == .max)
        }
    }

    /// B22: what issuers sign for other purposes, in every spelling of its type and with the claims of a good token.
    @Test(arguments: ["token-introspection+jwt", "statuslist+jwt", "txntoken+jwt"])
    func otherKindsAreNoAccessTokens(_ type: String) throws {
        for name in [type, "application/" + type, type.uppercased()] {
            let head = header(TestKeys.es256, ["typ": "\"\(name)\""])
            #expect(try outcome(token(header: head)) == "token_type_mismatch")
            #expect(try outcome(token(header: head), compat) == "token_type_mismatch")
        }
    }
}
