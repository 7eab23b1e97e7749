import PolicyTables
import Testing

@testable import PolicyComparison

/// Paths that are held against the claims of a token's client and issuer, which the example's client and issuer decide.
@Suite struct IdentityPlanTests {
    private let admin = RouteModel.Ground.scopes(all: [2], any: [])

    private func naming(_ claim: String, _ match: String = "GET /u/{c}") -> RouteModel {
        var result = route(match)
        result.bindings = [.init(segment: 1, claim: claim)]
        return result
    }

    /// Clients that are approved the same, so that the comparison takes them for one.
    private func policy(
        _ routes: [RouteModel], clients: [String], _ change: (inout PolicyModel) -> Void = { _ in }
    ) -> PolicyModel {
        PolicyComparisonTests.policy(routes) {
            $0.issuers[0].refusesUnknownClients = true
            $0.clients = clients.map { ClientModel(name: $0, issuer: 0, identifier: $0, scopes: [0, 2]) }
            change(&$0)
        }
    }

    private func examples(_ old: PolicyModel, _ new: PolicyModel) -> [Finding.Example] {
        planChange(from: old, to: new, at: 0).findings.flatMap(\.examples)
    }

    private func path(_ example: Finding.Example?) -> String? {
        guard case .http(_, _, _, let path, _) = example?.request else { return nil }
        return path
    }

    /// Identifiers that no segment can be name no path, however many there are: nothing is wider, for certain.
    @Test func identifiersThatAreURLs() {
        let clients = (0..<500).map { "https://c\($0).example.com/x" }
        func routes(_ ground: RouteModel.Ground) -> [RouteModel] {
            (0..<300).map { number in
                var result = route("GET /u\(number)/{c}", ground)
                result.bindings = [.init(segment: 1, claim: "client_id")]
                return result
            }
        }
        let read = RouteModel.Ground.scopes(all: [0], any: [])
        #expect(kinds(policy(routes(admin), clients: clients), policy(routes(read), clients: clients)).isEmpty)
    }

    @Test func aClientNamesItself() throws {
        let found = examples(
            policy([route("GET /u/{c}", admin)], clients: ["web", "zoo"]),
            policy([naming("client_id")], clients: ["web", "zoo"]))
        #expect(found.map(path) == ["/u/web"])
        #expect(found.first?.token?.client == "web" && found.first?.token?.claims == [])
    }

    /// The only client's own path has a route of its own, which has not changed.
    @Test func aPathThatNoClientNames() {
        let own = route("GET /u/web", admin)
        let old = [own, route("GET /u/{c}", admin)]
        let new = [own, naming("client_id")]
        #expect(kinds(policy(old, clients: ["web"]), policy(new, clients: ["web"])).isEmpty)
        let found = examples(policy(old, clients: ["web", "zoo"]), policy(new, clients: ["web", "zoo"]))
        #expect(found.map(path) == ["/u/zoo"] && found.first?.token?.client == "zoo")
    }

    /// A literal that one of two like clients is called by.
    @Test func aLiteralPicksTheClient() {
        let old = [route("GET /u/zoo", admin), route("GET /u/{c}")]
        let found = examples(
            policy(old, clients: ["web", "zoo"]) { $0.services[0].routes[1] = naming("client_id") },
            policy([naming("client_id")], clients: ["web", "zoo"]))
        #expect(found.map(path) == ["/u/zoo"] && found.first?.token?.client == "zoo")
    }

    @Test func clientsThatAreNotListed() throws {
        func open(_ routes: [RouteModel]) -> PolicyModel {
            policy(routes, clients: ["x", "x1"]) { $0.issuers[0].refusesUnknownClients = false }
        }
        let old = open([route("GET /u/{c}", admin)])
        let found = planChange(from: old, to: open([naming("client_id")]), at: 0).findings.flatMap(\.examples)
        #expect(!found.isEmpty)
        for example in found {
            let client = try #require(example.token?.client)
            #expect(path(example) == "/u/\(client)")
            #expect(example.token?.isUnlisted == !["x", "x1"].contains(client))
        }
    }

    @Test func whatNoPathCanName() {
        for client in ["a/b", "..", "100%"] {
            let old = policy([route("GET /u/{c}", admin)], clients: [client])
            #expect(kinds(old, policy([naming("client_id")], clients: [client])).isEmpty)
        }
        let old = policy([route("GET /u/{c}", admin)], clients: ["web"])
        #expect(kinds(old, policy([naming("iss")], clients: ["web"])).isEmpty)
        let plain: (inout PolicyModel) -> Void = { $0.issuers[0].issuer = "id" }
        let found = examples(
            policy([route("GET /u/{c}", admin)], clients: ["web"], plain),
            policy([naming("iss")], clients: ["web"], plain))
        #expect(found.map(path) == ["/u/id"] && found.first?.token?.claims == [])
    }

    /// Where another claim names the client, `client_id` is a claim like any other.
    @Test func anotherClientClaim() {
        let azp: (inout PolicyModel) -> Void = { $0.issuers[0].clientClaim = "azp" }
        let old = policy([route("GET /u/{c}", admin)], clients: ["web"], azp)
        let free = examples(old, policy([naming("client_id")], clients: ["web"], azp))
        #expect(free.map(path) == ["/u/x"] && free.first?.token?.claims.map(\.name) == ["client_id"])
        let own = examples(old, policy([naming("azp")], clients: ["web"], azp))
        #expect(own.map(path) == ["/u/web"] && own.first?.token?.claims == [])
    }

    @Test func aBindingIsGivenUp() {
        let old = policy([naming("client_id")], clients: ["x"])
        let found = examples(old, policy([route("GET /u/{c}")], clients: ["x"]))
        #expect(found.map(path) == ["/u/x1"] && found.first?.token?.client == "x")
        #expect(found.first?.was == "binding_mismatch")
    }

    /// Past the budget the rest counts as wider.
    @Test func theSearchIsBounded() {
        let clients = (0..<200).map { "c\($0)" }
        let own = clients.map { route("GET /u/\($0)", admin) }
        let comparison = Comparison(
            old: policy(own + [route("GET /u/{c}", admin)], clients: clients),
            new: policy(own + [naming("client_id")], clients: clients), at: 0, stepsMax: 2_000)
        let whole = Comparison(old: comparison.old.model, new: comparison.new.model, at: 0)
        #expect(planChange(whole).findings.isEmpty)
        comparison.stepsLeft = 300
        #expect(planChange(comparison).findings.map(\.kind) == [.undecided])
    }
}

/// What the token of an example is like, and the token that backends are shown.
@Suite struct ExamplePlanTests {
    @Test func standingDemandsAreTold() throws {
        func demanding(_ change: (inout PolicyModel) -> Void = { _ in }) -> PolicyModel {
            policy([route("GET /orders")]) {
                $0.details = [DetailModel(type: "payment", actions: ["pay"], locations: ["https://bank.test/"])]
                $0.services[0].audience = "https://orders.test"
                $0.services[0].routes[0].proof = .any
                $0.services[0].routes[0].authenticationContexts = ["mfa"]
                $0.services[0].routes[0].authenticationAgeSecondsMax = 60
                $0.services[0].routes[0].details = [0]
                change(&$0)
            }
        }
        let old = demanding { $0.issuers[0].refusesUnknownClients = true }
        let example = try #require(planChange(from: old, to: demanding(), at: 0).findings.first?.examples.first)
        let token = try #require(example.token)
        #expect(token.audiences == ["https://api.test", "https://orders.test"] && token.proof == .dpop)
        #expect(token.authenticationContext == "mfa" && token.authenticationAgeSeconds == 0)
        #expect(token.details == demanding().details)
        #expect(
            token.text
                == "with scopes \"read\" of a client that is not listed from `https://id.test` for `https://api.test` "
                + "and `https://orders.test` with `acr` \"mfa\" with authorization details of type `payment` for `pay` "
                + "at `https://bank.test/`, the user authenticated just now, bound to a key and sent with its proof")
        // One that both take, and what the change is about.
        let bound = demanding { $0.services[0].routes[0].proof = .certificate }
        let plain = demanding { $0.services[0].routes[0].proof = .none }
        #expect(planChange(from: bound, to: plain, at: 0).findings.first?.examples.first?.token?.proof == nil)
        let other = demanding {
            $0.services[0].routes[0].proof = .certificate
            $0.services[0].routes[0].ground = .scopes(all: [2], any: [])
        }
        let both = planChange(from: other, to: demanding(), at: 0).findings
        #expect(both.map(\.kind) == [.scopes, .proof])
        #expect(both.map { $0.examples.first?.token?.proof } == [.mtls, .dpop])
    }

    @Test func changedDemandsAreTold() {
        func token(_ change: (inout RouteModel) -> Void, _ now: (inout RouteModel) -> Void = { _ in }) -> ExampleToken?
        {
            var (one, other) = (route("GET /orders"), route("GET /orders"))
            change(&one)
            now(&other)
            return planChange(from: policy([one]), to: policy([other]), at: 0).findings.first?.examples.first?.token
        }
        #expect(token { $0.authenticationAgeSecondsMax = 60 }?.authenticationAgeSeconds == 61)
        let context = token({ $0.authenticationContexts = ["mfa"] }, { $0.authenticationContexts = ["mfa", "pin"] })
        #expect(context?.authenticationContext == "pin" && context?.note == nil)
        #expect(token { $0.authenticationContexts = ["mfa"] }?.note == "without `acr`")
    }

    /// Whether the backend is shown the client's token is said of all routes, those that want none among them.
    @Test func tokensAreForwarded() {
        func model(_ routes: [RouteModel], forwards: Bool) -> PolicyModel {
            policy(routes) { $0.services[0].forwardsToken = forwards }
        }
        var watched = route("GET /p")
        watched.observeUntil = 50
        let `public` = route("GET /p", .public)
        let preflight = route("OPTIONS /p", .preflight)
        for (old, new, found) in [
            (`public`, `public`, [WideningKind.forwardedToken]),
            (route("GET /p"), `public`, [.becamePublic, .forwardedToken]),
            (`public`, route("GET /p"), [.forwardedToken]),
            (watched, watched, [.forwardedToken]), (route("GET /p"), watched, [.observeMode, .forwardedToken]),
            (route("GET /p"), route("GET /p"), [.forwardedToken]),
        ] {
            #expect(kinds(model([old], forwards: false), model([new], forwards: true)) == found)
            #expect(!kinds(model([old], forwards: true), model([new], forwards: false)).contains(.forwardedToken))
        }
        let routes = [`public`, preflight, route("GET /q"), route("GET /r")]
        let plan = planChange(from: model(routes, forwards: false), to: model(routes, forwards: true), at: 0)
        #expect(plan.findings.map(\.kind) == [.forwardedToken] && plan.findings.first?.basis == .unordered)
        #expect(plan.findings.first?.count == 4)
        #expect(kinds(policy([]), model([`public`], forwards: true)) == [.routeOpened])
    }
}
