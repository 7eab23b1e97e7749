import Octets
import PolicyTables
import Testing

@Suite struct MatchTests {
    static let routes = [
        route("GET /orders"), route("POST /orders"), route("GET /orders/{order}"),
        route("GET /orders/export"),
        route("PUT /orders/{order}/lines/{line}"), route("GET /files/**"), route("GET /files/readme"),
        route("GET /"), route("GET /trailing/"), route("GET /users/{user}/orders"),
        route("GET /users/me/profile"), route("DELETE /users/**"), route("GET /menu/café menu"),
        route("GET /plus/a+b"), route("HEAD /both"), route("GET /both"),
        route("BASELINE-CONTROL /long"), route("PROPFIND /long"), route("get /long"),
    ]

    @Test(arguments: [
        ("GET /orders", "GET /orders"),
        ("POST /orders", "POST /orders"),
        ("DELETE /orders", "methodNotAllowed"),
        ("GET /orders/7", "GET /orders/{order}"),
        // Literal before parameter, over all methods.
        ("GET /orders/export", "GET /orders/export"),
        ("PUT /orders/export", "methodNotAllowed"),
        // GET covers HEAD, unless HEAD is listed; nothing else covers anything.
        ("HEAD /orders", "GET /orders"),
        ("HEAD /both", "HEAD /both"),
        ("HEAD /users/x", "methodNotAllowed"),
        ("OPTIONS /orders", "methodNotAllowed"),
        ("Get /orders", "methodNotAllowed"),
        ("get /orders", "methodNotAllowed"),
        (" /orders", "methodNotAllowed"),
        ("GET\u{0} /orders", "methodNotAllowed"),
        // A parameter is one segment and not empty.
        ("GET /orders/", "unknownRoute"),
        ("GET /orders/7/", "unknownRoute"),
        ("PUT /orders/7/lines/1", "PUT /orders/{order}/lines/{line}"),
        ("PUT /orders/export/lines/1", "PUT /orders/{order}/lines/{line}"),
        ("PUT /orders/7/lines/", "unknownRoute"),
        ("PUT /orders/7/lines", "unknownRoute"),
        // `**` takes one or more segments, empty ones too.
        ("GET /files", "unknownRoute"),
        ("GET /files/", "GET /files/**"),
        ("GET /files/a", "GET /files/**"),
        ("GET /files/a/b/c/", "GET /files/**"),
        ("GET /files/readme", "GET /files/readme"),
        ("GET /files/readme/x", "GET /files/**"),
        // Root and trailing slash.
        ("GET /", "GET /"),
        ("GET /trailing/", "GET /trailing/"),
        ("GET /trailing", "unknownRoute"),
        // The literal path leads nowhere, so the search goes back.
        ("GET /users/me/orders", "GET /users/{user}/orders"),
        ("GET /users/me/profile", "GET /users/me/profile"),
        ("DELETE /users/me/other", "DELETE /users/**"),
        // The most specific path decides even when it lacks the method and a weaker one has it.
        ("DELETE /users/me/profile", "methodNotAllowed"),
        // Canonical literals.
        ("GET /menu/caf%C3%A9%20menu", "GET /menu/café menu"),
        ("GET /menu/caf%c3%a9%20menu", "unknownRoute"),
        ("GET /plus/a+b", "GET /plus/a+b"),
        ("GET /plus/a%2Bb", "unknownRoute"),
        // Methods longer than a key, and of its very length.
        ("BASELINE-CONTROL /long", "BASELINE-CONTROL /long"),
        ("BASELINE-CONTROM /long", "methodNotAllowed"),
        ("PROPFIND /long", "PROPFIND /long"),
        ("PROPFINDX /long", "methodNotAllowed"),
        ("get /long", "get /long"),
        ("HEAD /long", "methodNotAllowed"),
        // No paths at all.
        ("GET ", "unknownRoute"),
        ("GET orders", "unknownRoute"),
        ("GET //", "unknownRoute"),
        ("GET /Orders", "unknownRoute"),
    ])
    func decides(_ request: String, _ expected: String) throws {
        #expect(answer(try table(MatchTests.routes), request) == expected)
    }

    /// Segments of every length around the eight bytes that are read at once, and their near misses.
    @Test func segmentLengths() throws {
        var routes: [RouteModel] = []
        for length in 1...40 { routes.append(route("GET /\(String(repeating: "a", count: length))/x")) }
        let table = try table(routes)
        for length in 1...40 {
            let name = String(repeating: "a", count: length)
            #expect(answer(table, "GET /\(name)/x") == "GET /\(name)/x")
            #expect(answer(table, "GET /\(name.dropLast())b/x") == "unknownRoute")
            #expect(answer(table, "GET /\(name)/xx") == "unknownRoute")
            #expect(answer(table, "GET /\(name)") == "unknownRoute")
        }
        #expect(answer(table, "GET /\(String(repeating: "a", count: 41))/x") == "unknownRoute")
    }

    // MARK: Ports

    @Test func portsOfServices() throws {
        let table = try table([
            service("open", [route("GET /a"), route("GET /c")]),
            service("inner", ports: [9443, 9444], [route("GET /b"), route("GET /a/{x}")]),
            service("other", ports: [9444], [route("POST /b")]),
        ])
        #expect(answer(table, "GET /a", port: 443) == "GET /a")
        #expect(answer(table, "GET /b", port: 443) == "unknownRoute")
        #expect(answer(table, "GET /a", port: 9443) == "GET /a")
        #expect(answer(table, "GET /b", port: 9443) == "GET /b")
        #expect(answer(table, "POST /b", port: 9443) == "methodNotAllowed")
        #expect(answer(table, "POST /b", port: 9444) == "POST /b")
        #expect(answer(table, "GET /a/1", port: 9444) == "GET /a/{x}")
        #expect(answer(table, "GET /a/1", port: 0) == "unknownRoute")
    }

    @Test func noServiceOnThePort() throws {
        let table = try table([service("inner", ports: [9443], [route("GET /b")])])
        #expect(answer(table, "GET /b", port: 9443) == "GET /b")
        #expect(answer(table, "GET /b", port: 9442) == "portNotAllowed")
        #expect(answer(table, "GET /b", port: 65535) == "portNotAllowed")
    }

    @Test func portsOfRoutes() throws {
        let table = try table([
            route("GET /m", ports: [9443, 9444]), route("GET /m", ports: [9445]), route("GET /**"),
            route("HEAD /h", ports: [1]), route("GET /h"),
        ])
        #expect(answer(table, "GET /m", port: 9444) == "GET /m")
        // The weaker path does not answer for the stronger one.
        #expect(answer(table, "GET /m", port: 443) == "portNotAllowed")
        #expect(answer(table, "POST /m", port: 443) == "methodNotAllowed")
        #expect(answer(table, "HEAD /m", port: 9445) == "GET /m")
        #expect(answer(table, "HEAD /h", port: 2) == "portNotAllowed")
        let host = HostTable(table.span)
        let method = Array("GET".utf8)
        let path = Array("/m".utf8)
        guard case .matched(let first) = host.match(method: method.span, path: path.span, port: 9444),
            case .matched(let second) = host.match(method: method.span, path: path.span, port: 9445)
        else {
            Issue.record("no match")
            return
        }
        #expect(first.routeIndex == 0 && second.routeIndex == 1)
        #expect(first.portCount == 2 && host.port(of: first, 1) == 9444 && host.port(of: first, 2) == nil)
    }

    // MARK: Preflights

    @Test func preflights() throws {
        let table = try table([
            route("GET /orders", .scopes(all: [0], any: [])), route("GET /orders/{o}"),
            route("OPTIONS /**", .preflight), route("OPTIONS /inner/**", .preflight, ports: [9443]),
            route("GET /inner/a", .scopes(all: [0], any: []), ports: [9443, 443]),
            route("OPTIONS /own", .scopes(all: [1], any: [])), route("PUT /own", .scopes(all: [1], any: [])),
            route("PUT /ported", ports: [9443]),
        ])
        #expect(preflight(table, "/orders", "GET") == "OPTIONS /**")
        #expect(preflight(table, "/orders", "HEAD") == "OPTIONS /**")
        #expect(preflight(table, "/orders/7", "GET") == "OPTIONS /**")
        // The method must be listed at the most specific path.
        #expect(preflight(table, "/orders", "DELETE") == nil)
        #expect(preflight(table, "/elsewhere", "GET") == nil)
        #expect(preflight(table, "/elsewhere", "OPTIONS") == nil)
        // The more specific preflight decides, also against the port.
        #expect(preflight(table, "/inner/a", "GET", port: 9443) == "OPTIONS /inner/**")
        #expect(preflight(table, "/inner/a", "GET", port: 443) == nil)
        // A listed OPTIONS that requires scopes is not overruled from above.
        #expect(preflight(table, "/own", "PUT") == nil)
        #expect(answer(table, "OPTIONS /own") == "OPTIONS /own")
        // The requested method must be open on the port.
        #expect(preflight(table, "/ported", "PUT", port: 443) == nil)
        #expect(preflight(table, "/ported", "PUT", port: 9443) == "OPTIONS /**")
        #expect(preflight([], "/orders", "GET") == nil)
    }

    // MARK: Rules

    @Test func rulesHoldWhatTheRouteSays() throws {
        let routes = [
            route(
                "GET /a/{b}/{c}", .scopes(all: [3, 1], any: [2, 7, 0]), ports: [443],
                bindings: [.init(segment: 2, claim: "tenant"), .init(segment: 1, claim: "sub")],
                observeUntil: 1_800_000_000),
            route("GET /p"),
        ]
        var policy = model([service("zero", [route("GET /x")]), service("s", routes)])
        policy.services[0].hosts = ["other"]
        let compiler = try PolicyCompiler(policy)
        #expect(compiler.boundClaims == ["sub", "tenant"])
        let bytes = try compiler.hostTable(0)
        let host = HostTable(bytes.span)
        #expect(host.routeCount == 2)
        let method = Array("GET".utf8)
        let path = Array("/a/1/2".utf8)
        guard case .matched(let rule) = host.match(method: method.span, path: path.span, port: 443) else {
            Issue.record("no match")
            return
        }
        #expect(rule.serviceIndex == 1 && rule.routeIndex == 0 && rule.ground == .scopes)
        #expect((0..<4).map { host.scope(of: rule, all: $0) } == [3, 1, nil, nil])
        #expect((-1..<4).map { host.scope(of: rule, any: $0) } == [nil, 2, 7, 0, nil])
        #expect((0..<2).map { host.binding(of: rule, $0)?.segment } == [2, 1])
        #expect((0..<2).map { host.binding(of: rule, $0)?.claimIndex } == [1, 0])
        #expect(host.binding(of: rule, 2) == nil)
        #expect(rule.observeUntil == 1_800_000_000)
        let label = String(lossy: host.label(of: rule))
        #expect(label == "GET /a/{b}/{c}")
        let plain = Array("/p".utf8)
        guard case .matched(let open) = host.match(method: method.span, path: plain.span, port: 1) else {
            Issue.record("no match")
            return
        }
        #expect(open.ground == .public && open.observeUntil == Int64.min && open.bindingCount == 0)
    }

    @Test(arguments: [ProofDemand.none, .any, .dpop, .certificate])
    func demandsOnTheToken(_ proof: ProofDemand) throws {
        let values = ["mfa", String(repeating: "a", count: 300), "1"]
        let routes = [
            bound(
                route(
                    "GET /a/{b}", .scopes(all: [3], any: [1, 2]), ports: [443],
                    bindings: [.init(segment: 1, claim: "sub")]),
                proof, nonce: proof == .any, acr: values, ageSecondsMax: 31_622_400),
            route("GET /plain", .scopes(all: [3], any: [])),
        ]
        let bytes = try table(routes)
        #expect(acrValues(bytes, "GET /a/x") == values + [nil])
        #expect(acrValues(bytes, "GET /plain") == [nil])
        let host = HostTable(bytes.span)
        let method = Array("GET".utf8)
        let path = Array("/a/x".utf8)
        guard case .matched(let rule) = host.match(method: method.span, path: path.span, port: 443) else {
            Issue.record("no match")
            return
        }
        #expect(rule.proof == proof && rule.demandsNonce == (proof == .any) && rule.acrCount == 3)
        #expect(rule.authenticationAgeSecondsMax == 31_622_400)
        let isAbsent = host.acr(of: rule, -1) == nil && host.acr(of: rule, 3) == nil
        #expect(isAbsent)
        // What stands before the values is still where it was.
        #expect(host.port(of: rule, 0) == 443 && host.binding(of: rule, 0)?.segment == 1)
        #expect(String(lossy: host.label(of: rule)) == "GET /a/{b}")
        let plain = Array("/plain".utf8)
        guard case .matched(let other) = host.match(method: method.span, path: plain.span, port: 443) else {
            Issue.record("no match")
            return
        }
        #expect(other.proof == .none && !other.demandsNonce && other.acrCount == 0)
        #expect(other.authenticationAgeSecondsMax == 0)
    }

    @Test func pathSegments() {
        #expect((-1..<5).map { segmentText("/a//bc/", $0) } == [nil, "a", "", "bc", "", nil])
        #expect([0, 1].map { segmentText("/", $0) } == ["", nil])
        #expect([0, 1].map { segmentText("", $0) } == [nil, nil])
        #expect(segmentText("a/b", 0) == nil)
    }

    @Test func listingAndExplanation() throws {
        let bytes = try table([
            service(
                "a",
                [route("GET /users/{u}/orders"), route("GET /users/me/profile"), route("GET /users/**")]),
            service("b", ports: [9443], [route("PUT /users/me/orders"), route("GET /caf%")]),
        ])
        let labels = considered(bytes, "/users/me/orders", port: 9443)?.map { $0.routes.map(\.label) }
        #expect(labels == [["PUT /users/me/orders"], ["GET /users/{u}/orders"], ["GET /users/**"]])
        #expect(considered(bytes, "/users/me/orders", port: 443)?.count == 2)
        #expect(considered(bytes, "/nothing", port: 443) == [])
        let listed = listing(bytes)?.map { "\($0.port ?? 0) \($0.method) \($0.path)" }.sorted()
        #expect(
            listed == [
                "0 GET /users/**", "0 GET /users/me/profile", "0 GET /users/{}/orders",
                "9443 GET /caf%25", "9443 GET /users/**", "9443 GET /users/me/profile",
                "9443 GET /users/{}/orders", "9443 PUT /users/me/orders",
            ])
        #expect(listing([]) == nil)
        #expect(considered([], "/", port: 1) == nil)
    }
}
