@testable import Decision
import PolicyTables
import Testing

/// Random policies with baselines, ends and old names against a naive reading of the rules, on one worker whose clock
/// goes back and forth.
@Suite struct BaselineOracleTests {
    private struct Held {
        var issuer: Int
        var client: String?
        var names: [String]
        var text: [UInt8]
    }

    private static let clients = ["a", "b", "c", "d"]

    private static func time(_ random: inout SeededGenerator) -> Int64 {
        World.now + 100 * Int64.random(in: 0...9, using: &random)
    }

    private static func policy(_ random: inout SeededGenerator) -> PolicyModel {
        var model = PolicyModel()
        model.issuers = sampleIssuers()
        let count = 14
        var closures = (0..<count).map { Set([UInt16($0)]) }
        for scope in (0..<10).reversed() {
            for other in scope + 1..<10 where random.chance(15) { closures[scope].formUnion(closures[other]) }
        }
        var replaced: [[UInt16]] = []
        for old in 10..<count {
            let new = (0..<10).filter { _ in random.chance(15) }.map { UInt16($0) }
            replaced.append(new.isEmpty ? [0] : new)
            for scope in replaced[old - 10] { closures[old].formUnion(closures[Int(scope)]) }
        }
        for scope in 0..<count {
            var made = ScopeModel(name: "s\(scope * 7 % 20)", closure: closures[scope].sorted())
            if random.chance(35) { made.until = time(&random) }
            if scope >= 10 { made.replacedBy = replaced[scope - 10] }
            model.scopes.append(made)
        }
        for issuer in 0..<3 {
            model.issuers[issuer].refusesUnknownClients = random.chance(40)
            for client in clients where random.chance(60) {
                func scopes() -> [UInt16] { (0..<count).filter { _ in random.chance(45) }.map { UInt16($0) } }
                var made = ClientModel(
                    name: "client \(client)", issuer: UInt16(issuer), identifier: client, scopes: scopes(),
                    excess: random.pick([.deny, .narrow, .narrow, .alert]))
                for _ in 0..<random.pick([0, 0, 1, 2]) {
                    made.grants.append(
                        ClientModel.TemporaryGrant(scopes: scopes(), until: time(&random), reason: "r"))
                }
                if random.chance(20) { made.observeUntil = time(&random) }
                model.clients.append(made)
            }
        }
        var routes: [RouteModel] = []
        for number in 0..<8 {
            let all = (0..<10).filter { _ in random.chance(15) }.map { UInt16($0) }
            let any = (0..<10).filter { _ in random.chance(15) }.map { UInt16($0) }
            routes.append(
                route(
                    "GET /r\(number)", all: all.isEmpty && any.isEmpty ? [UInt16(number)] : all, any: any,
                    observeUntil: random.chance(10) ? time(&random) : nil))
        }
        routes.append(route("GET /open", .public))
        model.services = [ServiceModel(name: "s", hosts: ["s.example.com"], issuers: [0, 1, 2], routes: routes)]
        if random.chance(20) { model.services[0].until = time(&random) }
        return model
    }

    /// The naive reading: sets, and no time but this one.
    private struct Reading {
        var reason: Reason
        var granted: String
        var excess: [String] = []
        var old: [String] = []
    }

    private static func read(_ model: PolicyModel, _ route: RouteModel, _ held: Held, _ now: Int64) -> Reading {
        func isOver(_ until: Int64?) -> Bool { until.map { $0 <= now } ?? false }
        func names(_ scopes: Set<UInt16>) -> [String] { scopes.map { model.scopes[Int($0)].name }.sorted() }
        if isOver(model.services[0].until) { return Reading(reason: .publicationEnded, granted: "") }
        guard case .scopes(let all, let any) = route.ground else { return Reading(reason: .public, granted: "") }
        let members = model.scopes.indices.filter {
            held.names.contains(model.scopes[$0].name) && !isOver(model.scopes[$0].until)
        }
        var token = Set(members.flatMap { model.scopes[$0].closure })
        token = token.filter { !isOver(model.scopes[Int($0)].until) }
        var reading = Reading(reason: .granted, granted: "")
        reading.old = names(Set(members.filter { !model.scopes[$0].replacedBy.isEmpty }.map { UInt16($0) }))
        let client = model.clients.first { Int($0.issuer) == held.issuer && $0.identifier == held.client }
        var refusal: Reason?
        if let client {
            var approved = Set(client.scopes)
            for grant in client.grants where now < grant.until { approved.formUnion(grant.scopes) }
            let excess = token.subtracting(approved).filter { model.scopes[Int($0)].replacedBy.isEmpty }
            reading.excess = names(excess)
            if !excess.isEmpty {
                switch client.excess {
                case .deny: refusal = .overScoped
                case .narrow: token.formIntersection(approved)
                case .alert: break
                }
            }
        } else if model.issuers[held.issuer].refusesUnknownClients {
            refusal = .unknownClient
            reading.old = []
        }
        let isEnough = token.isSuperset(of: all) && (any.isEmpty || !token.isDisjoint(with: any))
        if refusal == nil, !isEnough { refusal = .insufficientScope }
        if let refusal {
            reading.reason = refusal
            let isClients = client?.observeUntil.map { now < $0 } ?? false
            if route.observeUntil.map({ now < $0 }) ?? false || isClients && refusal != .unknownClient {
                reading.reason = .observed
            }
        } else {
            reading.granted = names(token).joined(separator: " ")
        }
        return reading
    }

    @Test("every answer is that of the naive reading", arguments: 1...12)
    func oracle(_ seed: UInt64) throws {
        var random = SeededGenerator(seed)
        let world = try World(nil)
        var seen: Set<Reason> = []
        for _ in 0..<3 {
            let model = BaselineOracleTests.policy(&random)
            try world.activate(model)
            let decider = try world.decider(entries: 24)
            var held: [Held] = []
            for _ in 0..<24 {
                let issuer = random.pick([0, 1, 2])
                // The compatible issuer's tokens may have no client.
                let client = issuer == 1 && random.chance(30) ? nil : random.pick(BaselineOracleTests.clients)
                let names = (model.scopes.map(\.name) + ["x", "*"]).filter { _ in random.chance(25) }
                var plan = TokenPlan.of(client, names.joined(separator: " "), issuer: model.issuers[issuer].issuer)
                plan.clientClaim = issuer == 1 ? "azp" : "client_id"
                plan.expiresAt = World.now + 100_000
                plan.audience = ["https://api.example.com"]
                let text = try world.token(plan, issuer: issuer)
                held.append(Held(issuer: issuer, client: client, names: names, text: text))
            }
            for _ in 0..<650 {
                let token = random.pick(held)
                let route = random.pick(model.services[0].routes)
                let now = BaselineOracleTests.time(&random) + random.pick([-1, 0, 0, 1, 50])
                let expected = BaselineOracleTests.read(model, route, token, now)
                let path = route.label.split(separator: " ")[1]
                let verdict = decider.verdict(
                    Request("GET", String(path), host: "s.example.com").bearing(token.text), now: now)
                seen.insert(expected.reason)
                let findings = decider.findings
                let isSame =
                    verdict.reason == expected.reason && verdict[.granted] == expected.granted
                    && decider.names(findings?.excess ?? []) == expected.excess.filter { _ in isNoted(expected) }
                    && decider.names(findings?.oldScopes ?? []) == expected.old.filter { _ in isNoted(expected) }
                guard isSame else {
                    Issue.record(
                        """
                        \(verdict.reason) \(verdict[.granted]) \(decider.names(findings?.excess ?? [])) \
                        \(decider.names(findings?.oldScopes ?? [])), not \(expected)
                        """)
                    return
                }
            }
        }
        #expect(seen.isSuperset(of: [.granted, .public, .insufficientScope]))
    }

    /// Nothing is said of a token that was not looked at.
    private func isNoted(_ reading: Reading) -> Bool {
        reading.reason != .public && reading.reason != .publicationEnded
    }
}
