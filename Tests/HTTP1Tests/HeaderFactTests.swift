import Decision
import HTTP1
import Testing

/// Which headers become which facts.
@Suite struct HeaderFactTests {
    private func facts(_ headers: [(String, String)], _ profile: FactProfile = .scopecheck) -> [String:
        String]
    {
        let lines = headers.map { "\($0.0): \($0.1)\r\n" }.joined()
        let seen = converse("GET / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n", profile: profile)
        return seen.requests.first?.facts ?? ["no request": ""]
    }

    static let proxySet: [(String, String)] = [
        ("SC-Method", "method"), ("SC-Target", "target"), ("SC-Path", "path"), ("SC-Host", "host"),
        ("SC-Scheme", "scheme"), ("SC-Port", "port"), ("SC-Client-Address", "address"),
        ("SC-Request-Id", "id"), ("SC-Client-Certificate", "certificate"),
    ]
    static let client: [(String, String)] = [
        ("Authorization", "authorization"), ("DPoP", "dpop"), ("Origin", "origin"),
        ("Access-Control-Request-Method", "acrm"), ("Cookie", "cookie"),
        ("Sec-WebSocket-Protocol", "protocol"),
    ]

    @Test(arguments: proxySet + client)
    func namesMatchInAnyCase(name: String, fact: String) {
        for spelling in [name, name.lowercased(), name.uppercased()] {
            #expect(facts([(spelling, " \t v w \t")]) == [fact: "v w"])
            #expect(facts([(spelling, "")]) == [fact: ""])
        }
    }

    @Test(arguments: proxySet)
    func aRepeatedFactIsAConflict(name: String, fact: String) {
        let other = String(name.map { $0 == "-" ? "_" : $0 })
        #expect(facts([(name, "a"), (name, "a")]) == [fact: "a", "conflict": "yes"])
        #expect(facts([(name, "a"), (other, "b")]) == [fact: "a", "conflict": "yes"])
        #expect(facts([(other.lowercased(), "b"), (name, "a")]) == [fact: "a", "conflict": "yes"])
        // nginx leaves out a fact that is empty: a client's spelling of it may then stand there alone.
        #expect(facts([(other, "b")]) == (other == name ? [fact: "b"] : ["conflict": "yes"]))
        #expect(facts([(name, ""), (other, "b")]) == [fact: "", "conflict": "yes"])
    }

    @Test(arguments: client)
    func aRepeatedClientHeaderIsCounted(name: String, fact: String) {
        let seen = facts([(name, "a"), ("X", "y"), (name.uppercased(), "b"), (name, "")])
        #expect(seen == [fact: "a", fact + "#": "3"])
    }

    @Test(arguments: [
        "Access_Control-Request-Method", "Access_Control_Request_Method", "Sec_WebSocket_Protocol",
    ])
    func aClientHeaderUnderAnotherSpellingIsAConflict(name: String) {
        #expect(facts([(name, "a")]) == ["conflict": "yes"])
    }

    static let unknown = [
        "S", "SC", "SC-", "SC-X", "SC-P", "SC-Client-", "SC-Client-X", "SC-Methods", "SC.Method",
        "XSC-Method",
        "SCMethod", "Sc-", "A", "Au", "Auth", "Authorizations", "Proxy-Authorization", "DPoP-Nonce",
        "Origins",
        "Cookie2", "Cookies", "Sec-Fetch-Mode", "X-Forwarded-Uri", "X-Original-URI", "Host2",
    ]

    @Test(arguments: unknown)
    func unknownNamesAreIgnored(name: String) {
        #expect(facts([(name, "x"), (name, "y")]) == [:])
    }

    @Test func profileCGIHasNoFactsOverHTTP() {
        let all = (Self.proxySet + Self.client).map { ($0.0, "v") }
        let expected = Dictionary(uniqueKeysWithValues: Self.client.map { ($0.1, "v") })
        #expect(facts(all + all, .cgi).filter { !$0.key.hasSuffix("#") } == expected)
    }
}
