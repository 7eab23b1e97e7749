import PolicyTables
import Testing

@testable import PolicyComparison

private func ports(
    _ services: [PortServiceModel], _ clients: [(String, CertificateClientModel.Identity, [UInt16])]
) -> PolicyModel {
    policy([]) {
        $0.portServices = services
        $0.certificateClients = clients.map { CertificateClientModel(name: $0.0, identity: $0.1, scopes: $0.2) }
    }
}

private let database = PortServiceModel(name: "db", ports: [5432], all: [0])
private let one = ("one", CertificateClientModel.Identity.uri("spiffe://a/one"), [UInt16(0)])

@Suite struct ConnectionPlanTests {
    @Test func whatOpens() {
        let open = ports([database], [one])
        #expect(kinds(ports([], [one]), open) == [.portOpened])
        #expect(kinds(ports([database], []), open) == [.certificateClient])
        #expect(
            kinds(ports([PortServiceModel(name: "db", ports: [5432], all: [2])], [one]), open) == [.certificateClient])
        #expect(kinds(ports([database], [("one", one.1, [2])]), open) == [.certificateClient])
        #expect(kinds(open, open).isEmpty)
        #expect(kinds(open, ports([database], [])).isEmpty)
        #expect(kinds(open, ports([], [one])).isEmpty)
    }

    @Test func observeMode() throws {
        let watched = PortServiceModel(name: "db", ports: [5432], all: [0], observeUntil: 30)
        let plan = planChange(from: ports([database], [one]), to: ports([watched], [one]), at: 0)
        let finding = try #require(plan.findings.first)
        #expect(plan.findings.count == 1 && finding.kind == .portObserved && finding.until == 30)
        #expect(finding.examples.first?.request == .connection(port: 5432, identities: nil))
        #expect(kinds(ports([watched], [one]), ports([database], [one])).isEmpty)
    }

    /// A certificate with names of two clients was refused; with one of them gone it belongs to the other.
    @Test func ambiguousCertificates() {
        let both = ports([database], [one, ("two", .dns("two.test"), [0])])
        #expect(kinds(both, ports([database], [one])) == [.certificateAmbiguity])
        // Of two URIs none counts, so they never made one certificate ambiguous.
        let uris = ports([database], [one, ("two", .uri("spiffe://a/two"), [0])])
        #expect(kinds(uris, ports([database], [one])).isEmpty)
    }

    @Test func endsOfScopesEitherWay() {
        func ending(_ until: Int64?) -> PolicyModel {
            var model = ports([database], [one])
            model.scopes[0].until = until
            return model
        }
        #expect(kinds(ending(20), ending(nil)) == [.certificateClient])
        #expect(kinds(ending(nil), ending(20)).isEmpty)
        // Whether or not its end counts, a new client is one.
        let none = ports([database], [])
        #expect(kinds(none, ending(-5)) == [.certificateClient])
    }
}
