public import PolicyTables
internal import Signatures
internal import Tokens

/// What of a policy decides whether a token verifies and where it is looked for, as digests that a record carries.
/// Where they differ from those of another policy, a token made again of what was kept says nothing of the real one.
///
/// Of files with keys it is the bytes that count, wherever they lie; of keys on the network the place.
public struct VerificationSettings: Sendable {
    /// Of all issuers, with all that decides on any token; nil where keys could not be read.
    public let all: String?
    private let model: PolicyModel
    /// By issuer. Without what a record lets be checked again: audiences, leeway and longest lifetime.
    private var issuers: [String: String] = [:]
    private let services: [String: ServiceModel]

    /// - Parameter keyFiles: the bytes of each issuer's key file, in the policy's order; nil for one that cannot be
    ///   read. Those of issuers without a file are not looked at.
    public init(_ model: PolicyModel, keyFiles: [[UInt8]?]) {
        self.model = model
        services = Dictionary(model.services.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        var whole: [String] = []
        var areComplete = true
        for (index, issuer) in model.issuers.enumerated() {
            let file = index < keyFiles.count ? keyFiles[index] : nil
            guard let keys = VerificationSettings.keys(of: issuer, file) else {
                areComplete = false
                continue
            }
            var writer = VerificationSettings.text(of: issuer, keys: keys)
            issuers[issuer.issuer] = VerificationSettings.digest(writer)
            writer.add("audiences", strings: issuer.audiences.sorted())
            writer.add("leeway", number: Int64(issuer.leewaySeconds))
            writer.add("lifetime", number: Int64(issuer.lifetimeSecondsMax))
            whole.append(VerificationSettings.digest(writer))
        }
        var writer = JSONObjectWriter()
        writer.add("issuers", strings: whole.sorted())
        all = areComplete ? VerificationSettings.digest(writer) : nil
    }

    /// What a token of this issuer was verified by; nil for an issuer that the policy does not know or whose keys could
    /// not be read.
    public func digest(ofIssuer issuer: String) -> String? { issuers[issuer] }

    /// Where callers of the service put the token: `header`, `cookie NAME` or `websocket_protocol MARKER`; nil for a
    /// service that is none.
    public func tokenSource(ofService name: String) -> String? {
        switch services[name]?.tokenSource {
        case .header: "header"
        case .cookie(let cookie): "cookie \(cookie)"
        case .webSocketProtocol(let marker): "websocket_protocol \(marker)"
        case nil: nil
        }
    }

    /// By what a bound token's proof is checked on a route.
    /// - Parameter port: of the listener.
    public func proofDigest(issuer: String, service: String, route: String, port: UInt16) -> String? {
        guard let rules = model.issuers.first(where: { $0.issuer == issuer })?.proofs, let service = services[service]
        else { return nil }
        var writer = JSONObjectWriter()
        writer.add("algorithms", strings: rules.algorithms.map(\.name).sorted())
        writer.add("age", number: Int64(rules.ageSecondsMax))
        writer.add("ahead", number: Int64(rules.aheadSecondsMax))
        writer.add("nonce", boolean: rules.demandsNonce)
        writer.add("port", number: Int64(service.publicPort > 0 ? service.publicPort : port))
        let demands = service.routes.filter { $0.label == route }
        writer.add("routes", strings: demands.map { "\($0.proof.rawValue) \($0.demandsNonce)" }.sorted())
        return VerificationSettings.digest(writer)
    }

    private static func text(of issuer: IssuerModel, keys: String) -> JSONObjectWriter {
        var writer = JSONObjectWriter()
        writer.add("issuer", string: issuer.issuer)
        writer.add("keys", string: keys)
        // In order: the first one of an RSA key's kind is what a key without `alg` gets.
        writer.add("algorithms", strings: issuer.algorithms.map(\.name))
        writer.add("profile", number: Int64(issuer.profile.rawValue))
        writer.add("scope_claim", string: issuer.scopeClaim)
        writer.add("client_claim", string: issuer.clientClaim)
        writer.add("status_lists", strings: issuer.statusLists.sorted())
        if let asked = issuer.introspection {
            writer.add("introspection", string: asked.endpoint)
            writer.add("introspection_client", string: asked.clientID)
            writer.add("introspection_use", number: Int64(asked.use.rawValue))
            writer.add("introspection_jwt", boolean: asked.demandsJWT)
        }
        return writer
    }

    private static func keys(of issuer: IssuerModel, _ file: [UInt8]?) -> String? {
        switch issuer.keySource {
        case .file: file.map { "file \(sha256($0.span))" }
        case .uri(let place): "uri \(place)"
        case .discovery: "discovery"
        case .none: "none"
        }
    }

    private static func digest(_ writer: JSONObjectWriter) -> String { "\(sha256(writer.text().span))" }
}
