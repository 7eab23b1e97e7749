@testable import Decision
import Octets
import PolicyTables
import Testing

@Suite struct CredentialTests {
    /// The token's text, or the name of the refusal in parentheses.
    private func found(
        _ request: Request, _ source: TokenSourceKind = .header, _ name: String = ""
    ) -> String {
        let (facts, all) = request.laidOut()
        switch findCredential(facts, all.span, source: source, name: bytes(name).span) {
        case .token(let range, let scheme):
            return (scheme == .dpop ? "DPoP " : "") + String(lossy: all.span.bytes(at: range))
        case .refused(let reason, let scheme): return "(\(scheme == .dpop ? "DPoP " : "")\(reason.name))"
        }
    }

    private func header(_ values: [String]) -> Request {
        Request().with { $0.authorization = values.map(bytes) }
    }

    static let headers: [(String, String)] = [
        ("Bearer abc", "abc"), ("bearer abc", "abc"), ("BEARER abc", "abc"), ("bEaReR abc", "abc"),
        ("Bearer a.b.c", "a.b.c"), ("Bearer AZaz09-._~+/", "AZaz09-._~+/"), ("Bearer a=", "a="),
        ("Bearer a==", "a=="), ("Bearer a======", "a======"), ("Bearer /", "/"),
        ("", "(no_token)"),
        // Another scheme, well formed.
        ("Basic dXNlcjpwYXNz", "(unsupported_scheme)"),
        ("DPoP abc", "DPoP abc"), ("dpop a.b.c", "DPoP a.b.c"), ("DPOP a==", "DPoP a=="),
        ("DPoPx abc", "(unsupported_scheme)"), ("DPo abc", "(unsupported_scheme)"),
        ("DPoP", "(DPoP malformed_authorization)"), ("DPoP ", "(DPoP malformed_authorization)"),
        ("DPoP  abc", "(DPoP malformed_authorization)"), ("DPoP a b", "(DPoP malformed_authorization)"),
        ("DPoP abc, Bearer def", "(DPoP malformed_authorization)"), ("DPoP\tabc", "(DPoP malformed_authorization)"),
        ("DPoP:abc", "(DPoP malformed_authorization)"), ("DPoP \"abc\"", "(DPoP malformed_authorization)"),
        ("Digest username=\"a\", realm=\"b\"", "(unsupported_scheme)"), ("Negotiate", "(unsupported_scheme)"),
        ("Bearerx abc", "(unsupported_scheme)"), ("Beare abc", "(unsupported_scheme)"),
        ("Basic a, Bearer abc", "(unsupported_scheme)"), ("Token abc", "(unsupported_scheme)"),
        ("abc", "(unsupported_scheme)"), ("a.b.c", "(unsupported_scheme)"),
        // Not of its form.
        ("Bearer", "(malformed_authorization)"), ("Bearer ", "(malformed_authorization)"),
        ("Bearer  abc", "(malformed_authorization)"), ("Bearer\tabc", "(malformed_authorization)"),
        ("Bearer abc ", "(malformed_authorization)"), (" Bearer abc", "(malformed_authorization)"),
        ("Bearer abc,", "(malformed_authorization)"), ("Bearer a,b", "(malformed_authorization)"),
        ("Bearer abc, Bearer def", "(malformed_authorization)"),
        ("Bearer abc def", "(malformed_authorization)"),
        ("Bearer =", "(malformed_authorization)"), ("Bearer ==", "(malformed_authorization)"),
        ("Bearer a=b", "(malformed_authorization)"), ("Bearer =a", "(malformed_authorization)"),
        ("Bearer a\u{0}b", "(malformed_authorization)"), ("Bearer a\tb", "(malformed_authorization)"),
        ("Bearer a%3Db", "(malformed_authorization)"), ("Bearer \"a\"", "(malformed_authorization)"),
        ("Bearer caf\u{E9}", "(malformed_authorization)"), ("Bearer: abc", "(malformed_authorization)"),
        ("Bearer:abc", "(malformed_authorization)"), ("Bearer=abc", "(malformed_authorization)"),
        ("Basic\tabc", "(malformed_authorization)"), (",Bearer abc", "(malformed_authorization)"),
        ("\"Bearer\" abc", "(malformed_authorization)"), (" ", "(malformed_authorization)"),
        ("\t", "(malformed_authorization)"), ("Bear\u{E9}r abc", "(malformed_authorization)"),
        ("(x) abc", "(malformed_authorization)"), ("Bearer\u{A0}abc", "(malformed_authorization)"),
    ]

    @Test("one Authorization header", arguments: CredentialTests.headers)
    func oneHeader(_ row: (String, String)) {
        #expect(found(header([row.0])) == row.1)
    }

    @Test("no header, two headers, and sources that the service does not ask for")
    func counts() {
        #expect(found(Request()) == "(no_token)")
        #expect(found(header(["Bearer a", "Bearer a"])) == "(multiple_credentials)")
        #expect(found(header(["", ""])) == "(multiple_credentials)")
        #expect(found(header(["Bearer a", "Basic b"])) == "(multiple_credentials)")
        var other = Request()
        other.cookie = [bytes("session=a")]
        other.subprotocol = [bytes("token, a")]
        #expect(found(other) == "(no_token)")
        #expect(found(other.bearing(bytes("b"))) == "b")
        var facts = RequestFacts()
        facts.authorizationCount = .max
        guard
            case .refused(.multipleCredentials, .none) = findCredential(facts, Span(), source: .header, name: Span())
        else {
            Issue.record("65,535 headers were taken")
            return
        }
    }

    @Test("two proofs: refused beside a token sent as DPoP, of no account beside another")
    func twoProofs() {
        for count in 0...3 {
            let proofs = Array(repeating: bytes("p"), count: count)
            let dpop = header(["DPoP abc"]).with { $0.dpop = proofs }
            #expect(found(dpop) == (count > 1 ? "(DPoP multiple_credentials)" : "DPoP abc"))
            #expect(found(header(["Bearer abc"]).with { $0.dpop = proofs }) == "abc")
            let malformed = header(["DPoP a b"]).with { $0.dpop = proofs }
            #expect(found(malformed) == "(DPoP malformed_authorization)")
        }
    }

    @Test("every byte inside, at the end and alone in a token")
    func everyByte() {
        let allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"
        for value in UInt8.min...UInt8.max {
            let isAllowed = allowed.utf8.contains(value)
            for (token, isTaken) in [
                ([0x61, value, 0x61], isAllowed), ([0x61, value], isAllowed || value == 0x3D),
                ([value], isAllowed),
            ] {
                let request = Request().bearing(token)
                #expect(found(request) == (isTaken ? text(token) : "(malformed_authorization)"), "\(token)")
            }
        }
    }

    static let cookies: [(String, String)] = [
        ("session=abc", "abc"), ("a=1; session=abc; b=2", "abc"), ("a=1;session=abc", "abc"),
        ("session=abc;", "abc"), (" session=abc", "abc"), ("a=1;\tsession=abc", "abc"),
        (";;session=abc", "abc"),
        ("xsession=1; session=abc", "abc"), ("session2=1; session=abc", "abc"),
        ("a=session=x; session=abc", "abc"),
        ("session=a==", "a=="), ("other", "(no_token)"), ("", "(no_token)"), ("Session=abc", "(no_token)"),
        ("session", "(no_token)"), ("xsession=abc", "(no_token)"), ("session2=abc", "(no_token)"),
        ("a=session=abc", "(no_token)"), (";", "(no_token)"),
        ("session=", "(malformed_authorization)"), ("session=\"abc\"", "(malformed_authorization)"),
        ("session=a b", "(malformed_authorization)"), ("session=abc ", "(malformed_authorization)"),
        ("session= abc", "(malformed_authorization)"), ("session=abc ; b=2", "(malformed_authorization)"),
        ("session=a,b", "(malformed_authorization)"), ("session=a%3D", "(malformed_authorization)"),
        ("session==", "(malformed_authorization)"), ("session=a=b", "(malformed_authorization)"),
        ("session=a; session=a", "(multiple_credentials)"),
        ("session=a; session=b", "(multiple_credentials)"),
        ("session=a; x=1; session=", "(multiple_credentials)"),
        ("session=; session=a", "(multiple_credentials)"),
        ("session=a;\tsession=b", "(multiple_credentials)"),
        ("session=\"a\"; session=b", "(multiple_credentials)"),
    ]

    @Test("a cookie", arguments: CredentialTests.cookies)
    func oneCookie(_ row: (String, String)) {
        let request = Request().with { $0.cookie = [bytes(row.0)] }
        #expect(found(request, .cookie, "session") == row.1)
        let isPresent = row.1 != "(no_token)"
        #expect(
            found(request.bearing(bytes("b")), .cookie, "session")
                == (isPresent ? "(multiple_credentials)" : "b"))
        #expect(
            found(request.with { $0.cookie.append(bytes("x=1")) }, .cookie, "session")
                == "(multiple_credentials)")
    }

    @Test("an Authorization header where a cookie is asked for")
    func headerBesideCookie() {
        #expect(found(header(["Bearer b"]), .cookie, "session") == "b")
        #expect(found(header(["Basic b"]), .cookie, "session") == "(unsupported_scheme)")
        let empty = header([""]).with { $0.cookie = [bytes("session=a")] }
        #expect(found(empty, .cookie, "session") == "a")
        #expect(found(Request(), .cookie, "session") == "(no_token)")
    }

    static let lists: [(String, String)] = [
        ("token, abc", "abc"), ("token,abc", "abc"), ("token ,\tabc ", "abc"), ("chat, token, abc", "abc"),
        ("token, abc, chat", "abc"), (" token, abc", "abc"), ("token, a.b.c", "a.b.c"),
        ("token, token", "token"),
        ("", "(no_token)"), (",", "(no_token)"), ("chat", "(no_token)"), ("Token, abc", "(no_token)"),
        ("tokens, abc", "(no_token)"), ("token.abc", "(no_token)"), ("abc", "(no_token)"),
        ("token", "(malformed_authorization)"), ("token,", "(malformed_authorization)"),
        ("token, , abc", "(malformed_authorization)"), ("chat, token", "(malformed_authorization)"),
        ("token, a b", "(malformed_authorization)"), ("token, \"abc\"", "(malformed_authorization)"),
        ("token, =", "(malformed_authorization)"), ("token, abc, token", "(malformed_authorization)"),
        ("token, abc, token, def", "(multiple_credentials)"),
        ("token, a, token, a", "(multiple_credentials)"),
        ("token,,token,a", "(multiple_credentials)"),
    ]

    @Test("a WebSocket subprotocol", arguments: CredentialTests.lists)
    func oneList(_ row: (String, String)) {
        let request = Request().with { $0.subprotocol = [bytes(row.0)] }
        #expect(found(request, .webSocketProtocol, "token") == row.1)
        let isPresent = row.1 != "(no_token)"
        let both = found(request.bearing(bytes("b")), .webSocketProtocol, "token")
        #expect(both == (isPresent ? "(multiple_credentials)" : "b"))
        let twice = request.with { $0.subprotocol.append(bytes("chat")) }
        #expect(found(twice, .webSocketProtocol, "token") == "(multiple_credentials)")
    }

    /// RFC 9110 §11.2, byte by byte.
    private func isPlainToken68(_ text: [UInt8]) -> Bool {
        let body = text.reversed().drop { $0 == 0x3D }.reversed()
        return !body.isEmpty
            && body.allSatisfy {
                switch $0 {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                default: bytes("-._~+/").contains($0)
                }
            }
    }

    @Test func everyByteAtEveryPlace() {
        for count in [1, 7, 8, 9, 15, 16, 17, 23] {
            for place in 0..<count {
                for byte in UInt8.min...UInt8.max {
                    var text = [UInt8](repeating: 0x61, count: count)
                    text[place] = byte
                    #expect(isToken68(text.span) == isPlainToken68(text), "\(byte) at \(place) of \(count)")
                }
            }
        }
    }
}
