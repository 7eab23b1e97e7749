@testable import Decision
import Testing

@Suite struct ChallengeTests {
    /// The parameters of a Bearer challenge (RFC 9110 §11.6.1), or nil when it is not of that form. A DPoP challenge
    /// may follow it.
    private func parameters(_ challenge: String) -> [(String, String)]? {
        guard challenge.hasPrefix("Bearer ") else { return nil }
        var rest = Substring(challenge.dropFirst(7))
        if let second = challenge.firstRange(of: ", DPoP algs=\"ES256 ES384 ES512 Ed25519 PS256 RS256\"")?.lowerBound {
            rest = challenge[rest.startIndex..<second]
        }
        var result: [(String, String)] = []
        while true {
            guard let equals = rest.firstIndex(of: "="), rest[equals...].hasPrefix("=\"") else { return nil }
            let name = String(rest[..<equals])
            let value = rest[rest.index(equals, offsetBy: 2)...]
            guard let end = value.firstIndex(of: "\"") else { return nil }
            guard name.utf8.allSatisfy({ isTokenCharacter($0) }), !name.isEmpty else { return nil }
            result.append((name, String(value[..<end])))
            rest = value[value.index(after: end)...]
            if rest.isEmpty { return result }
            guard rest.hasPrefix(", ") else { return nil }
            rest = rest.dropFirst(2)
        }
    }

    @Test("every challenge is of its form: realm first, each parameter once, no forbidden byte")
    func form() throws {
        let world = try World()
        let decider = try world.decider()
        var requests = [
            Request(), Request().bearing(bytes("a b")), Request().bearing(bytes("x")).bearing(bytes("y")),
            Request().bearing(bytes("junk")), Request().bearing(try world.token(.scopes("\u{E9}\"\\"))),
            Request("GET", "/v1/users/bob/orders").bearing(try world.token()),
            Request().with { $0.authorization = [bytes("Basic \"realm=\u{E9}\r\n")] },
        ]
        for plan in DeciderReasonTests.plans { requests.append(Request().bearing(try world.token(plan.1))) }
        var errors: Set<String> = []
        for request in requests {
            let challenge = decider.verdict(request).challenge
            // RFC 6750 §3 allows %x20-21 / %x23-5B / %x5D-7E in values; the quotes stand around them.
            #expect(challenge.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F && $0 != 0x5C })
            guard let found = parameters(challenge) else {
                Issue.record("\(challenge)")
                continue
            }
            let names = found.map(\.0)
            #expect(found.first?.0 == "realm" && found.first?.1 == "orders")
            #expect(Set(names).count == names.count)
            #expect(names.last == "scope")
            #expect(names.contains("error") == names.contains("error_description"))
            errors.insert(found.first { $0.0 == "error" }?.1 ?? "")
        }
        #expect(errors == ["", "invalid_request", "invalid_token", "insufficient_scope"])
    }

    @Test("which reasons are challenged, and how")
    func kinds() {
        for reason in Reason.allCases {
            let error = ChallengeError(reason)
            let isChallenged =
                reason.status == 401
                || [.insufficientScope, .bindingMismatch, .insufficientDetails, .overScoped, .unknownClient]
                    .contains(reason)
            #expect((error != nil) == isChallenged, "\(reason)")
        }
        #expect(ChallengeError(.noToken) == ChallengeError.none)
        #expect(ChallengeError(.unsupportedScheme) == ChallengeError.none)
        #expect("\(ChallengeError.none.text)".isEmpty)
        let texts: [ChallengeError] = [
            .invalidRequest, .invalidToken, .insufficientScope, .invalidProof, .nonceRequired,
            .insufficientAuthentication, .unapprovedClient,
        ]
        for error in texts {
            let text = "\(error.text)"
            #expect(text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F && $0 != 0x5C })
            #expect(
                text.hasPrefix(", error=\"") && text.hasSuffix("\"") && text.filter { $0 == "\"" }.count == 4)
        }
    }

    @Test("the scopes are those of the very route")
    func veryRoute() throws {
        let world = try World()
        let decider = try world.decider()
        let rows: [(String, String, String)] = [
            ("GET", "/v1/orders", "orders:read"), ("POST", "/v1/orders", "orders:write payments:charge"),
            ("DELETE", "/v1/orders/7", "orders:admin support:admin"), ("HEAD", "/v1/heads", "support:admin"),
            ("HEAD", "/v1/orders", "orders:read"),
        ]
        for (method, target, scopes) in rows {
            let found = parameters(decider.verdict(Request(method, target)).challenge)
            #expect(found?.map(\.1) == ["orders", scopes])
        }
    }
}
