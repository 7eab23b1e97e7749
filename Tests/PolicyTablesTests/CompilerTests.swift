import Octets
import PolicyTables
import Testing

@Suite struct CompilerTests {
    func failure(_ services: [ServiceModel]) -> PolicyTableError? {
        do throws(PolicyTableError) {
            try PolicyCompiler(model(services)).check()
            return nil
        } catch {
            return error
        }
    }

    @Test func duplicatesNameBothRoutes() {
        let first = RouteReference(service: 0, route: 1)
        let second = RouteReference(service: 1, route: 0)
        let one = service("one", [route("GET /x"), route("GET /a/{b}")])
        #expect(
            failure([one, service("two", [route("GET /a/{c}")])])
                == .duplicateRoute(host: "h", first: first, second: second))
        // Other hosts, methods, ports or paths are no conflict.
        #expect(failure([one, service("two", hosts: ["i"], [route("GET /a/{c}")])]) == nil)
        #expect(failure([one, service("two", [route("PUT /a/{c}")])]) == nil)
        #expect(failure([one, service("two", [route("GET /a/c"), route("GET /a/**")])]) == nil)
        // A route without ports is open on every port.
        #expect(failure([one, service("two", ports: [1], [route("GET /a/{c}")])]) != nil)
        #expect(failure([one, service("two", [route("GET /a/{c}", ports: [1])])]) != nil)
        let same = route("GET /same", ports: [1, 2])
        #expect(failure([service("s", [same, route("GET /same", ports: [3, 4])])]) == nil)
        #expect(failure([service("s", [same, route("GET /same", ports: [2, 3])])]) != nil)
        #expect(
            failure([
                service("s", ports: [1], [route("GET /p")]), service("t", ports: [2], [route("GET /p")]),
            ]) == nil)
        #expect(
            failure([
                service("s", ports: [1, 2], [route("GET /p")]), service("t", ports: [2], [route("GET /p")]),
            ]) != nil)
        #expect(
            failure([
                service("s", ports: [1], [route("GET /p")]),
                service("t", ports: [1, 2], [route("GET /p", ports: [2])]),
            ]) == nil)
    }

    /// Literals beside parameters on each level: every level doubles the ways.
    static func overlapping(_ levels: Int) -> [RouteModel] {
        (0..<(1 << levels)).map { bits in
            let parts = (0..<levels).map { bits >> $0 & 1 == 1 ? "a" : "{p}" }
            return route("GET /\(parts.joined(separator: "/"))/end\(bits)")
        }
    }

    @Test func backtrackingIsBounded() throws {
        // n levels that overlap fully are 2^(n+1) - 1 nodes, and each of the 2^n at the end has one child
        // that a path can reach.
        let policy = CompilerTests.overlapping(10)
        let bytes = try table(policy)
        let path = "/" + Array(repeating: "a", count: 10).joined(separator: "/")
        #expect(answer(bytes, "GET \(path)/end1023") == "GET \(path)/end1023")
        let last = Array(repeating: "{p}", count: 10).joined(separator: "/")
        #expect(answer(bytes, "GET \(path)/end0") == "GET /\(last)/end0")
        #expect(answer(bytes, "GET \(path)/none") == "unknownRoute")
        #expect(answer(bytes, "GET \(path)") == "unknownRoute")
        guard
            case .backtrackingBound(let host, let bound, let limit) = failure([
                service("s", CompilerTests.overlapping(11))
            ])
        else {
            Issue.record("compiled")
            return
        }
        #expect(host == "h" && limit == 4_096 && bound == 4_095 + 2_048)
    }

    /// A demand that nobody would check is refused.
    @Test(
        arguments: [
            { $0.proof = .any }, { $0.demandsNonce = true }, { $0.authenticationContexts = ["mfa"] },
            { $0.authenticationAgeSecondsMax = 1 },
        ] as [@Sendable (inout RouteModel) -> Void])
    func demandsOfRoutesWithoutToken(_ demand: @Sendable (inout RouteModel) -> Void) {
        for ground: RouteModel.Ground in [.public, .preflight] {
            var one = route("OPTIONS /a", ground)
            #expect(failure([service("s", [one])]) == nil)
            demand(&one)
            guard case .invalidModel = failure([service("s", [one])]) else {
                Issue.record("compiled")
                continue
            }
            one.ground = .scopes(all: [1], any: [])
            #expect(failure([service("s", [one])]) == nil)
        }
    }

    @Test func acrValuesThatCannotStand() {
        var one = route("GET /a", .scopes(all: [1], any: []))
        one.authenticationContexts = ["mfa", ""]
        guard case .invalidModel = failure([service("s", [one])]) else {
            Issue.record("an empty value compiled")
            return
        }
        for values in [[String(repeating: "a", count: 65_536)], Array(repeating: "a", count: 65_536)] {
            one.authenticationContexts = values
            guard case .tooLarge = failure([service("s", [one])]) else {
                Issue.record("compiled")
                return
            }
        }
    }

    @Test(arguments: [
        [route("GET /")].map { one -> RouteModel in
            var one = one
            one.segments = []
            return one
        },
        [route("GET /a//b")], [route("GET /**/b")],
        [route("GET /a", .scopes(all: [8], any: []))], [route("GET /a", .scopes(all: [], any: [9]))],
        [route("GET /a", .scopes(all: [], any: []))],
        [route("GET /{a}", bindings: [.init(segment: 1, claim: "sub")])],
        [route("GET /{a}", bindings: [.init(segment: -1, claim: "sub")])],
        [route("GET /" + Array(repeating: "a", count: 65).joined(separator: "/"))],
    ])
    func uncheckedModelsAreRefused(_ routes: [RouteModel]) {
        guard case .invalidModel = failure([service("s", routes)]) else {
            Issue.record("compiled")
            return
        }
    }

    @Test func sizesAreRefused() {
        var long = route("GET /a")
        long.method = String(repeating: "M", count: 256)
        for one in [long, route("GET /\(String(repeating: "x", count: 65_536))"), route(" /a")] {
            guard case .tooLarge = failure([service("s", [one])]) else {
                Issue.record("compiled")
                return
            }
        }
        for host in ["", String(repeating: "h", count: 254)] {
            guard case .invalidModel = failure([service("s", hosts: [host], [])]) else {
                Issue.record("compiled")
                return
            }
        }
        // 3,000 ports of their own over 6,000 routes without ports.
        let ports = (1...3_000).map { service("p\($0)", ports: [UInt16($0)], []) }
        let open = service("s", (0..<6_000).map { route("GET /\($0)") })
        guard case .tooLarge = failure(ports + [open]) else {
            Issue.record("compiled")
            return
        }
    }

    @Test func indicesAreChecked() {
        var policy = model([service("s", [route("GET /a")])])
        policy.services[0].issuers = [1]
        #expect(throws: PolicyTableError.self) { try PolicyCompiler(policy).check() }
        policy.services[0].issuers = [0]
        policy.scopes[0].closure = [0, 8]
        #expect(throws: PolicyTableError.self) { try PolicyCompiler(policy).check() }
        policy.scopes[0] = policy.scopes[1]
        #expect(throws: PolicyTableError.self) { try PolicyCompiler(policy).check() }
    }

    @Test func sameModelSameBytes() throws {
        let services = [service("s", hosts: ["b", "*.a", "a", "a"], MatchTests.routes)]
        let one = try PolicyCompiler(model(services))
        let other = try PolicyCompiler(model(services))
        #expect(one.hosts == ["*.a", "a", "b"])
        #expect(try one.catalogue() == other.catalogue())
        for index in one.hosts.indices { #expect(try one.hostTable(index) == other.hostTable(index)) }
    }
}
