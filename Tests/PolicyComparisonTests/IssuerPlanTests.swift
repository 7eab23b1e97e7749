import PolicyTables
import Signatures
import Testing

@testable import PolicyComparison

/// A change of an issuer or a service, and what it is called in each direction.
struct OrderedChange: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var forth: [WideningKind]
    var back: [WideningKind]
    var old: @Sendable (inout PolicyModel) -> Void
    var new: @Sendable (inout PolicyModel) -> Void

    init(
        _ name: String, forth: [WideningKind], back: [WideningKind] = [],
        old: @escaping @Sendable (inout PolicyModel) -> Void = { _ in },
        _ new: @escaping @Sendable (inout PolicyModel) -> Void
    ) {
        testDescription = name
        self.forth = forth
        self.back = back
        self.old = old
        self.new = new
    }
}

@Sendable private func asked(_ change: (inout IntrospectionModel) -> Void = { _ in }) -> IntrospectionModel {
    var asking = IntrospectionModel(endpoint: "https://id.test/ask", clientID: "us", authentication: .basic)
    change(&asking)
    return asking
}

private let changes = [
    OrderedChange("another algorithm", forth: [.algorithms]) { $0.issuers[0].algorithms.append(.rs256) },
    OrderedChange("a weaker profile", forth: [.tokenProfile]) { $0.issuers[0].profile = .compat },
    OrderedChange("more leeway", forth: [.leeway]) { $0.issuers[0].leewaySeconds = 30 },
    OrderedChange("longer lives", forth: [.lifetime], old: { $0.issuers[0].lifetimeSecondsMax = 60 }) {
        $0.issuers[0].lifetimeSecondsMax = 90
    },
    OrderedChange("no limit of lives", forth: [.lifetime], old: { $0.issuers[0].lifetimeSecondsMax = 60 }) { _ in },
    OrderedChange("another audience", forth: [.audience]) { $0.issuers[0].audiences.append("https://else.test") },
    OrderedChange("a service without audience", forth: [.audience], old: { $0.services[0].audience = "https://s.test" })
    {
        $0.services[0].audience = nil
    },
    OrderedChange("other keys", forth: [.issuerKeys], back: [.issuerKeys]) { $0.issuers[0].keySource = .discovery },
    OrderedChange("another claim", forth: [.claimNames], back: [.claimNames]) { $0.issuers[0].scopeClaim = "scp" },
    OrderedChange("another issuer", forth: [.issuerAdmitted]) {
        $0.issuers.append($0.issuers[0])
        $0.issuers[1].issuer = "https://other.test"
        $0.services[0].issuers = [0, 1]
    },
    OrderedChange("asked about opaque tokens", forth: [.introspection]) { $0.issuers[0].introspection = asked() },
    OrderedChange(
        "asked about all tokens", forth: [], back: [.introspection], old: { $0.issuers[0].introspection = asked() }
    ) {
        $0.issuers[0].introspection = asked { $0.use = .all }
    },
    OrderedChange(
        "asked elsewhere", forth: [.introspection], back: [.introspection],
        old: { $0.issuers[0].introspection = asked() }
    ) {
        $0.issuers[0].introspection = asked { $0.endpoint = "https://id.test/else" }
    },
    OrderedChange("believed longer", forth: [.introspection], old: { $0.issuers[0].introspection = asked() }) {
        $0.issuers[0].introspection = asked { $0.cacheSecondsMax = 600 }
    },
    OrderedChange("no status lists", forth: [.statusLists], old: { $0.issuers[0].statusLists = ["https://id.test/"] }) {
        _ in
    },
    OrderedChange("older proofs", forth: [.proofRules]) { $0.issuers[0].proofs.ageSecondsMax = 600 },
    OrderedChange("proofs without nonce", forth: [.nonce], old: { $0.issuers[0].proofs.demandsNonce = true }) { _ in },
    OrderedChange("proofs of other algorithms", forth: [.proofRules]) {
        $0.issuers[0].proofs.algorithms.append(.rs512)
    },
    OrderedChange("another place", forth: [.tokenSource], back: [.tokenSource]) {
        $0.services[0].tokenSource = .cookie("t")
    },
    OrderedChange("another public port", forth: [.publicPort], back: [.publicPort]) { $0.services[0].publicPort = 443 },
    OrderedChange("a transaction token", forth: [.transactionToken], back: [.transactionToken]) {
        $0.services[0].hasTransactionToken = true
    },
    OrderedChange("the token is forwarded", forth: [.forwardedToken], old: { $0.services[0].forwardsToken = false }) {
        _ in
    },
    OrderedChange("another resource", forth: [.resource], back: [.resource]) {
        $0.services[0].resource = "https://api.test/"
    },
    OrderedChange("a longer publication", forth: [.publicationExtended], old: { $0.services[0].until = 10 }) {
        $0.services[0].until = 20
    },
    OrderedChange("unknown clients", forth: [.clientAdmitted], old: { $0.issuers[0].refusesUnknownClients = true }) {
        _ in
    },
    OrderedChange(
        "excess counts", forth: [.baseline, .grantedScopes],
        old: { $0.clients = [ClientModel(name: "c", issuer: 0, identifier: "c", scopes: [2], excess: .narrow)] }
    ) {
        $0.clients = [ClientModel(name: "c", issuer: 0, identifier: "c", scopes: [2], excess: .alert)]
    },
    OrderedChange(
        "a rule for excess", forth: [.excess],
        old: { $0.clients = [ClientModel(name: "c", issuer: 0, identifier: "c", scopes: [0])] }
    ) {
        $0.clients = [ClientModel(name: "c", issuer: 0, identifier: "c", scopes: [0], excess: .narrow)]
    },
]

@Suite struct IssuerPlanTests {
    @Test(arguments: changes) func isOrdered(change: OrderedChange) {
        let routes = [route("GET /orders/{order}")]
        let old = policy(routes, change.old)
        let new = policy(routes, change.new)
        #expect(kinds(old, new) == change.forth)
        #expect(kinds(new, old) == change.back)
        #expect(kinds(old, old).isEmpty && kinds(new, new).isEmpty)
    }

    /// With a second issuer to ask neither is; without it the first one's opaque tokens are taken.
    @Test func removingAnIssuerCanOpen() {
        let both = policy([route("GET /a")]) {
            $0.issuers[0].introspection = asked()
            $0.issuers.append($0.issuers[0])
            $0.issuers[1].issuer = "https://other.test"
            $0.services[0].issuers = [0, 1]
        }
        var one = both
        one.services[0].issuers = [0]
        #expect(kinds(both, one) == [.introspection])
    }

    @Test func demandsOfRoutes() {
        func demanding(_ change: (inout RouteModel) -> Void) -> PolicyModel {
            var one = route("GET /users/{user}/{part}")
            change(&one)
            return policy([one]) {
                $0.details = [DetailModel(type: "t", actions: ["a", "b"]), DetailModel(type: "t", actions: ["a"])]
            }
        }
        let free = demanding { _ in }
        for (demand, kind) in [
            (demanding { $0.proof = .dpop }, WideningKind.proof), (demanding { $0.demandsNonce = true }, .nonce),
            (demanding { $0.authenticationContexts = ["m"] }, .authenticationContext),
            (demanding { $0.authenticationAgeSecondsMax = 60 }, .authenticationAge),
            (demanding { $0.details = [0] }, .details),
            (demanding { $0.bindings = [.init(segment: 1, claim: "sub")] }, .binding),
        ] {
            #expect(kinds(demand, free) == [kind])
            #expect(kinds(free, demand).isEmpty)
        }
        #expect(kinds(demanding { $0.details = [0] }, demanding { $0.details = [1] }) == [.details])
        #expect(kinds(demanding { $0.details = [1] }, demanding { $0.details = [0] }).isEmpty)
        let both: [RouteModel.Binding] = [.init(segment: 1, claim: "sub"), .init(segment: 2, claim: "sub")]
        #expect(kinds(demanding { $0.bindings = both }, demanding { $0.bindings = [both[0]] }) == [.binding])
        #expect(kinds(demanding { $0.bindings = [both[0]] }, demanding { $0.bindings = both }).isEmpty)
    }
}
