import PolicyTables
import Testing

@testable import PolicyComparison

/// What a person is told while two policies are compared.
@Suite struct PlanProgressTests {
    /// A host of its own for each service, and routes that all change.
    private func model(services: Int, routes: Int, scope: UInt16) -> PolicyModel {
        var model = policy([])
        model.services = (0..<services).map { service in
            ServiceModel(
                name: "s\(service)", hosts: ["h\(service).test"], issuers: [0],
                routes: (0..<routes).map { route("GET /r\($0)/{id}", .scopes(all: [scope], any: [])) })
        }
        return model
    }

    private final class Calls {
        var seen: [(done: Int, total: Int)] = []
    }

    private func calls(from old: PolicyModel, to new: PolicyModel) -> (seen: [(done: Int, total: Int)], PolicyPlan) {
        let calls = Calls()
        let plan = planChange(from: old, to: new, at: 0) { calls.seen.append(($0, $1)) }
        return (calls.seen, plan)
    }

    @Test(arguments: [(10, 300), (1, 3_000), (600, 1)])
    func goesForthToItsEnd(services: Int, routes: Int) throws {
        let old = model(services: services, routes: routes, scope: 2)
        let new = model(services: services, routes: routes, scope: 0)
        let (seen, plan) = calls(from: old, to: new)
        #expect(seen.count >= 10)
        #expect(Set(seen.map(\.total)).count == 1)
        #expect(zip(seen, seen.dropFirst()).allSatisfy { $0.done <= $1.done })
        let last = try #require(seen.last)
        #expect(last.done == last.total)
        #expect(plan.findings == planChange(from: old, to: new, at: 0).findings)
    }

    /// More classes of paths than routes: what is done stays within all there is.
    @Test func neverBeyondItsEnd() {
        func overlapping(_ scope: UInt16) -> PolicyModel {
            policy(
                (0..<512).map { number in
                    let path = (0..<9).map { number >> $0 & 1 == 0 ? "/a" : "/{p\($0)}" }.joined()
                    return route("GET \(path)", .scopes(all: [scope], any: []))
                })
        }
        let (seen, _) = calls(from: overlapping(2), to: overlapping(0))
        #expect(!seen.isEmpty && seen.allSatisfy { $0.done <= $0.total })
        #expect(zip(seen, seen.dropFirst()).allSatisfy { $0.done <= $1.done })
    }

    @Test func nothingToCompare() {
        let (seen, plan) = calls(from: PolicyModel(), to: PolicyModel())
        #expect(seen.isEmpty && !plan.isWider)
    }
}
