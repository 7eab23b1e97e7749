import PolicyTables
import Testing

@testable import PolicyComparison

/// Routes under many services, with parameters beside literals.
private func large(_ count: Int, scope: (Int) -> UInt16) -> PolicyModel {
    var model = policy([])
    model.services = (0..<count / 100).map { service in
        ServiceModel(
            name: "s\(service)", hosts: ["api\(service % 10).test"], issuers: [0],
            routes: (0..<100).map { number in
                let tail = ["", "/{id}", "/{id}/parts", "/{id}/parts/{part}", "/**"][number % 5]
                return route(
                    "GET /s\(service)/r\(number / 5)\(tail)", .scopes(all: [scope(service * 100 + number)], any: []))
            })
    }
    return model
}

@Suite struct ScaleTests {
    @Test func oneOfTenThousandRoutes() throws {
        let old = large(10_000) { _ in 2 }
        let new = large(10_000) { $0 == 4_711 ? 0 : 2 }
        let comparison = Comparison(old: old, new: new, at: 0)
        let plan = planChange(comparison)
        #expect(plan.findings.map(\.kind) == [.scopes])
        #expect(plan.findings.first?.count == 1)
        #expect(plan.findings.first?.examples.first?.newRoute == RouteLocation(service: 47, route: 11))
        // Only the way to the route was walked.
        #expect(Comparison.stepsMax - comparison.stepsLeft < 1_000)
    }

    @Test func allOfTenThousandRoutes() {
        let plan = planChange(from: large(10_000) { _ in 2 }, to: large(10_000) { _ in 0 }, at: 0)
        #expect(plan.findings.map(\.kind) == [.scopes])
        #expect(plan.findings.first?.count == 10_000)
    }

    @Test func manyClients() {
        func clients(_ scopes: [UInt16]) -> PolicyModel {
            policy([route("GET /a"), route("GET /b", .scopes(all: [2], any: []))]) {
                $0.clients = (0..<5_000).map {
                    ClientModel(name: "c\($0)", issuer: 0, identifier: "c\($0)", scopes: scopes)
                }
            }
        }
        let plan = planChange(from: clients([2]), to: clients([0, 2]), at: 0)
        #expect(plan.findings.map(\.kind).contains(.baseline))
        #expect(plan.findings.count < 10)
    }

    /// Every path of ten segments is matched by a thousand templates: the limit ends it, and says so.
    @Test func overlappingTemplates() {
        func overlapping(_ scope: UInt16) -> PolicyModel {
            policy(
                (0..<1_024).map { number in
                    let path = (0..<10).map { number >> $0 & 1 == 0 ? "/a" : "/{p\($0)}" }.joined()
                    return route("GET \(path)", .scopes(all: [scope], any: []))
                })
        }
        let comparison = Comparison(old: overlapping(2), new: overlapping(0), at: 0, stepsMax: 2_000)
        #expect(planChange(comparison).findings.contains { $0.kind == .undecided })
        let whole = planChange(from: overlapping(2), to: overlapping(0), at: 0)
        #expect(whole.findings.map(\.kind) == [.scopes] && whole.findings.first?.count == 1_024)
    }
}
