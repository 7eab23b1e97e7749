import PolicyTables
import Signatures
import Testing

@testable import PolicyComparison

/// A plan that was given up never says that nothing is wider.
@Suite struct PlanBudgetTests {
    private func model(_ last: UInt16, leeway: UInt16) -> PolicyModel {
        var model = PolicyModel()
        model.issuers = [
            IssuerModel(
                issuer: "https://id.example.com", audiences: ["https://api.example.com"], keySource: .discovery,
                algorithms: [.es256], leewaySeconds: leeway)
        ]
        model.scopes = (0..<4).map { index in
            var scope = ScopeModel(name: "s\(index)", closure: [UInt16(index)])
            scope.until = index < 3 ? Int64(1_000 + index) : nil
            return scope
        }
        var routes = (0..<12).map { index in
            RouteModel(
                method: "GET", segments: path("/r\(index)"), ground: .scopes(all: [UInt16(index % 4)], any: []),
                label: "GET /r\(index)")
        }
        routes.append(
            RouteModel(method: "GET", segments: path("/zz"), ground: .scopes(all: [last], any: []), label: "GET /zz"))
        model.services = [ServiceModel(name: "s", hosts: ["api.example.com"], issuers: [0], routes: routes)]
        return model
    }

    @Test func whateverItIsGivenUpAt() {
        let old = model(3, leeway: 60)
        let new = model(2, leeway: 30)
        #expect(planChange(from: old, to: new, at: 0).isWider)
        for steps in 0..<20_000 where steps < 2_000 || steps % 97 == 0 {
            let plan = planChange(Comparison(old: old, new: new, at: 0, stepsMax: steps))
            #expect(plan.isWider, "with \(steps) steps")
        }
    }
}
