@testable import Decision
import Octets
import PolicyTables

/// Further scopes of the baseline policy, behind those of the sample one.
extension Scope {
    /// Retired: over at `scopeEnd`.
    static let legacy: UInt16 = 6
    /// Implies `read` and `legacy`.
    static let audit: UInt16 = 7
    /// An old name of `read`, until `oldNameEnd`.
    static let oldRead: UInt16 = 8
    /// An old name of `write` and `metrics`, for ever.
    static let oldWrite: UInt16 = 9
}

let scopeEnd = World.now + 100
let oldNameEnd = World.now + 200
let grantEnd = World.now + 300
let clientObserveEnd = World.now + 400

/// The sample policy with baselines of every rule, scopes that end and old names of scopes. Issuer 0 refuses clients
/// that it does not list, issuer 2 takes them, issuer 1 lists none.
func baselineModel() -> PolicyModel {
    var model = sampleModel()
    model.scopes.append(ScopeModel(name: "orders:legacy", closure: [6]))
    model.scopes[6].until = scopeEnd
    model.scopes.append(ScopeModel(name: "orders:audit", closure: [0, 6, 7]))
    model.scopes.append(ScopeModel(name: "read", closure: [0, 8]))
    model.scopes[8].until = oldNameEnd
    model.scopes[8].replacedBy = [0]
    model.scopes.append(ScopeModel(name: "write", closure: [0, 1, 5, 9]))
    model.scopes[9].replacedBy = [1, 5]
    model.issuers[0].refusesUnknownClients = true
    let incident = ClientModel.TemporaryGrant(scopes: [0, 1], until: grantEnd, reason: "INC-42")
    model.clients = [
        ClientModel(name: "strict", issuer: 0, identifier: "strict-id", scopes: [0], grants: [incident]),
        ClientModel(name: "narrowed", issuer: 0, identifier: "narrow-id", scopes: [0, 3], excess: .narrow),
        ClientModel(name: "alerted", issuer: 0, identifier: "alert-id", scopes: [0], excess: .alert),
        ClientModel(
            name: "tried", issuer: 0, identifier: "try-id", scopes: [0], observeUntil: clientObserveEnd),
        ClientModel(name: "web", issuer: 0, identifier: "web", scopes: Array(0...9)),
        // The same identifier at another issuer is another client.
        ClientModel(name: "third", issuer: 2, identifier: "web", scopes: [3], excess: .narrow),
        ClientModel(name: "empty", issuer: 0, identifier: "empty-id", scopes: []),
        ClientModel(
            name: "long", issuer: 0, identifier: String(repeating: "i", count: 255), scopes: [0]),
    ]
    model.services[0].routes += [
        route("GET /v1/legacy", all: [Scope.legacy]), route("GET /v1/audit", all: [Scope.audit]),
    ]
    return model
}

extension TokenPlan {
    static func of(_ client: String?, _ scope: String, issuer: String = "https://id.example.com") -> TokenPlan {
        TokenPlan().with {
            $0.client = client
            $0.scope = scope
            $0.issuer = issuer
        }
    }
}

extension Decider {
    /// The log's members about the last decision.
    func lastLogMembers(_ valueBytesMax: Int = 256) -> String {
        var line = ByteWriter(capacity: 16_384)
        appendLogMembers(to: &line, RequestFacts(), Span(), valueBytesMax: valueBytesMax)
        return String(lossy: line.bytes)
    }

    func names(_ names: [[UInt8]]) -> [String] { names.map { text($0) } }
}
