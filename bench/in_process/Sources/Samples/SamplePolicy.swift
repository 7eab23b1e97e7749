public import Decision
public import PolicyTables
public import Signatures
public import Tokens

extension Sample {
    /// A policy with one issuer, Sample's, and two scopes.
    public static func policy(_ services: [ServiceModel]) -> PolicyModel {
        var model = PolicyModel()
        model.issuers = [
            IssuerModel(
                issuer: issuer, audiences: [audience], keySource: .file("jwks.json"),
                algorithms: SignatureAlgorithm.allCases)
        ]
        model.scopes = [
            ScopeModel(name: scope, closure: [0]), ScopeModel(name: "orders:write", closure: [0, 1]),
        ]
        model.services = services
        return model
    }

    public static func service(_ name: String, host: String, _ routes: [RouteModel]) -> ServiceModel {
        ServiceModel(name: name, hosts: [host], issuers: [0], audience: audience, routes: routes)
    }

    /// `GET` on these segments needs `scope`.
    public static func route(_ segments: [RouteModel.Segment]) -> RouteModel {
        let path = segments.map { segment in
            switch segment {
            case .literal(let text): text
            case .parameter(let name): "{\(name)}"
            case .rest: "**"
            }
        }
        return RouteModel(
            method: "GET", segments: segments, ground: .scopes(all: [0], any: []),
            label: "GET /" + path.joined(separator: "/"))
    }

    /// Where deciders find a version of a store and these keys.
    public static func board(
        _ store: PolicyStore, _ version: Digest, _ keys: KeySet, _ revocations: RevocationSet = .empty
    ) throws -> SnapshotBoard {
        let settings = try store.withCatalogue(version) { $0.issuerSettings() } ?? []
        let issuers = IssuerSnapshot(
            issuers: settings.map { IssuerKeys(settings: $0, keys: keys) }, generation: 1)
        let board = SnapshotBoard()
        board.publish(
            DecisionSnapshot(activation: 1, version: version, issuers: issuers, revocations: revocations))
        return board
    }

    public static func decider(
        _ board: SnapshotBoard, _ store: PolicyStore, tokenCacheEntriesMax: Int
    ) throws -> Decider {
        Decider(
            board: board, reader: try store.makeReader(), tokenCacheEntriesMax: tokenCacheEntriesMax,
            auditPrefix: Array("0000000000000000".utf8))
    }
}
