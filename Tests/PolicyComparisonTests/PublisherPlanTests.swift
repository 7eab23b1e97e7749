import PolicyComparison
import PolicyTables
import Signatures
import Testing

/// Publishers that may publish more than they could.
@Suite struct PublisherPlanTests {
    private func model(_ change: (inout PublisherModel) -> Void = { _ in }) -> PolicyModel {
        let key = PublisherModel.Key(keyID: "ci", algorithm: .ed25519, x: [UInt8](repeating: 1, count: 32))
        var publisher = PublisherModel(
            name: "orders", keys: [key], hosts: ["orders.example.com"], scopes: ["orders:*"])
        publisher.basePath = [.literal("v1")]
        publisher.issuers = ["https://id.example.com"]
        publisher.ttlSecondsMax = 3_600
        publisher.widening = .refuse
        change(&publisher)
        var model = PolicyModel()
        model.publishers = [publisher]
        return model
    }

    private func changes(_ change: (inout PublisherModel) -> Void) -> [String] {
        let plan = planChange(from: model(), to: model(change), at: 0)
        #expect(plan.findings.allSatisfy { $0.kind == .publisher })
        return plan.findings.map(\.change)
    }

    @Test func theSameAndLessAreNotWider() {
        #expect(!planChange(from: model(), to: model(), at: 0).isWider)
        #expect(!planChange(from: model(), to: PolicyModel(), at: 0).isWider)
        #expect(
            changes {
                $0.basePath = [.literal("v1"), .literal("orders")]
                $0.issuers = []
                $0.ttlSecondsMax = 60
            }.isEmpty)
    }

    @Test func aNewOneIsWider() {
        #expect(planChange(from: PolicyModel(), to: model(), at: 0).findings.map(\.kind) == [.publisher])
    }

    @Test func eachLimitThatIsLoosened() {
        let other = PublisherModel.Key(keyID: "ci", algorithm: .ed25519, x: [UInt8](repeating: 2, count: 32))
        #expect(changes { $0.keys.append(other) } == ["publisher `orders` has the key `ci`"])
        #expect(changes { $0.hosts.append("*.example.com") } == ["publisher `orders` may use the host `*.example.com`"])
        #expect(changes { $0.scopes = ["*"] } == ["publisher `orders` may require and declare `*`"])
        #expect(changes { $0.issuers = nil } == ["publisher `orders` may take tokens of all issuers"])
        #expect(
            changes { $0.issuers?.append("https://b.example") }
                == ["publisher `orders` may take tokens of `https://b.example`"])
        #expect(changes { $0.basePath = [.literal("v2")] }.count == 1)
        #expect(changes { $0.basePath = [] }.count == 1)
        #expect(changes { $0.allowsPublic = true } == ["publisher `orders` may make routes public"])
        #expect(changes { $0.ttlSecondsMax = 3_601 } == ["publisher `orders` may publish for 3601 s"])
        #expect(changes { $0.ttlSecondsMax = nil } == ["publisher `orders` may publish for ever"])
        #expect(changes { $0.widening = .propose } == ["publisher `orders` may propose what allows more"])
    }
}
