@testable import Decision
import Octets
import PolicyTables
@testable import Server
import Testing

@Suite struct ClientExplanationTests {
    private static var details: DecisionDetails {
        var details = DecisionDetails()
        func names(_ list: String...) -> [[UInt8]] { list.map { Array($0.utf8) } }
        details.baseline = ClientBaseline(
            name: Array("we\"b".utf8), rule: .narrow, scopes: names("orders:read"),
            grants: [
                ClientBaseline.TemporaryGrant(
                    scopes: names("a", "b"), until: 10, reason: Array("INC-42".utf8), isOver: true),
                ClientBaseline.TemporaryGrant(scopes: [], until: 20, reason: Array("x".utf8), isOver: false),
            ], observeUntil: 30)
        details.excess = names("orders:admin")
        details.oldScopes = names("read")
        return details
    }

    private static func json(_ details: DecisionDetails) -> String {
        var out = ByteWriter(capacity: 4_096)
        ClientExplanation(details).append(to: &out)
        return String(lossy: out.bytes)
    }

    @Test func json() {
        #expect(
            Self.json(Self.details)
                == #","client_name":"we\"b","baseline":{"on_excess":"narrow","scopes":["orders:read"],"grants":["#
                + #"{"scopes":["a","b"],"until":"1970-01-01T00:00:10.000Z","reason":"INC-42","over":true},"#
                + #"{"scopes":[],"until":"1970-01-01T00:00:20.000Z","reason":"x","over":false}],"#
                + #""observe_until":"1970-01-01T00:00:30.000Z"},"excess":["orders:admin"],"old_scopes":["read"]"#)
        #expect(Self.json(DecisionDetails()).isEmpty)
    }

    @Test func lines() {
        #expect(
            ClientExplanation(Self.details).lines == [
                "  client: we\"b, on excess: narrow", "  approved for the client: orders:read",
                "  granted up to 1970-01-01T00:00:10.000Z: a b (INC-42)",
                "  granted until 1970-01-01T00:00:20.000Z: none (x)",
                "  client in observe mode until: 1970-01-01T00:00:30.000Z",
                "  beyond what is approved: orders:admin", "  old names on the token: read",
            ])
        #expect(ClientExplanation(DecisionDetails()).lines.isEmpty)
    }

    @Test func checks() {
        let order = ExplainedCheck.allCases
        func place(_ check: ExplainedCheck) -> Int { order.firstIndex(of: check) ?? -1 }
        #expect(place(.route) < place(.publication) && place(.publication) < place(.credential))
        #expect(place(.possession) < place(.client) && place(.client) < place(.scopes))
        for reason in [Reason.overScoped, .unknownClient] {
            #expect(ExplainedCheck.client.fails(reason) && order.filter { $0.fails(reason) } == [.client])
        }
        #expect(order.filter { $0.fails(.publicationEnded) } == [.publication])
    }
}
