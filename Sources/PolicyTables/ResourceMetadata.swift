internal import Signatures
internal import Tokens

/// Where the metadata of a protected resource is published (RFC 9728 §3.1): the well-known path stands between the
/// host and the path of the resource; a slash directly after the host is dropped.
///
/// Example: `https://api.example.com:8443/v1` is described at
/// `https://api.example.com:8443/.well-known/oauth-protected-resource/v1`.
public struct MetadataPlace: Sendable, Equatable {
    public static let wellKnownPath = "/.well-known/oauth-protected-resource"
    /// Longest path of a resource, bytes: with the longest host it still fits into a key of the store.
    public static let pathBytesMax = 200

    public let url: String
    /// Of `url`, without port.
    public let host: String
    /// Of `url`.
    public let path: String

    /// - Parameter resource: `https://HOST[:PORT][PATH]`; `http` is for development.
    /// - Returns: nil when it is none, or too long to be kept.
    public init?(resource: String) {
        let schemes = ["https://", "http://"]
        guard let scheme = schemes.first(where: { resource.utf8.starts(with: $0.utf8) }) else { return nil }
        let rest = resource.utf8.dropFirst(scheme.utf8.count)
        let authority = rest.prefix { $0 != 0x2F }
        let path = rest[authority.endIndex...]
        guard !rest.contains(where: { $0 == 0x3F || $0 == 0x23 || $0 <= 0x20 || $0 >= 0x7F }),
            path.count <= MetadataPlace.pathBytesMax
        else { return nil }
        var host = authority
        if let colon = authority.lastIndex(of: 0x3A), authority.last != 0x5D { host = authority[..<colon] }
        guard !host.isEmpty, host.count <= TableLayout.hostBytesMax else { return nil }
        let tail = path.count == 1 ? "" : String(decoding: path, as: UTF8.self)
        self.host = String(decoding: host, as: UTF8.self)
        self.path = MetadataPlace.wellKnownPath + tail
        url = scheme + String(decoding: authority, as: UTF8.self) + self.path
    }
}

/// The metadata of one service as a protected resource (RFC 9728 §2).
public struct ResourceMetadata: Sendable, Equatable {
    public let service: String
    public let place: MetadataPlace
    /// One JSON object.
    public let document: [UInt8]
}

extension ServiceModel {
    /// nil for a service that publishes nothing.
    func metadataPlace() throws(PolicyTableError) -> MetadataPlace? {
        guard let resource else { return nil }
        guard let place = MetadataPlace(resource: resource) else {
            throw PolicyTableError.invalidModel("`\(name)` is no resource with a place for its metadata")
        }
        return place
    }
}

extension PolicyModel {
    /// The metadata of all services that publish some, in the order of the store's keys.
    func resourceMetadata() throws(PolicyTableError) -> [ResourceMetadata] {
        var result: [ResourceMetadata] = []
        for service in services {
            guard let place = try service.metadataPlace() else { continue }
            result.append(
                ResourceMetadata(service: service.name, place: place, document: try document(of: service)))
        }
        result.sort { $0.place.key.lexicographicallyPrecedes($1.place.key) }
        for (one, other) in zip(result, result.dropFirst()) where one.place.key == other.place.key {
            throw PolicyTableError.invalidModel(
                "`\(one.service)` and `\(other.service)` have their metadata at one place")
        }
        return result
    }

    private func document(of service: ServiceModel) throws(PolicyTableError) -> [UInt8] {
        guard service.issuers.allSatisfy({ Int($0) < issuers.count }) else {
            throw PolicyTableError.invalidModel("`\(service.name)` names an issuer that there is not")
        }
        let own = service.issuers.map { issuers[Int($0)] }
        let isHeader = service.tokenSource == .header
        var writer = JSONObjectWriter()
        func add(_ name: String, _ values: [String]) {
            if !values.isEmpty { writer.add(name, strings: values) }
        }
        writer.add("resource", string: service.resource ?? "")
        add("authorization_servers", own.map(\.issuer))
        add("scopes_supported", scopeNames(of: service))
        if isHeader { writer.add("bearer_methods_supported", strings: ["header"]) }
        writer.add("resource_name", string: service.name)
        if isHeader { add("dpop_signing_alg_values_supported", commonAlgorithms(own)) }
        let demands = service.routes.filter(\.ground.takesToken).map(\.proof)
        if !demands.isEmpty, demands.allSatisfy({ $0 == .dpop }) {
            writer.add("dpop_bound_access_tokens_required", boolean: true)
        }
        if !demands.isEmpty, demands.allSatisfy({ $0 == .certificate }) {
            writer.add("tls_client_certificate_bound_access_tokens", boolean: true)
        }
        let types = service.routes.flatMap(\.details).compactMap {
            Int($0) < details.count ? details[Int($0)].type : nil
        }
        add("authorization_details_types_supported", sortedOnce(types))
        return writer.text()
    }

    /// Scopes that routes of the service name. `offline_access` is between a client and its issuer: a resource has no
    /// use for a refresh token.
    private func scopeNames(of service: ServiceModel) -> [String] {
        var names: [String] = []
        for route in service.routes {
            guard case .scopes(let all, let any) = route.ground else { continue }
            for scope in all + any where Int(scope) < scopes.count { names.append(scopes[Int(scope)].name) }
        }
        return sortedOnce(names).filter { $0 != "offline_access" }
    }

    /// Names of the proof algorithms that all of the issuers take, in the order of the first one.
    private func commonAlgorithms(_ issuers: [IssuerModel]) -> [String] {
        guard let first = issuers.first else { return [] }
        return first.proofs.algorithms.filter { algorithm in
            issuers.allSatisfy { $0.proofs.algorithms.contains(algorithm) }
        }.map(\.name)
    }
}

extension MetadataPlace {
    var key: [UInt8] { Array(host.utf8) + Array(path.utf8) }
}

extension RouteModel.Ground {
    fileprivate var takesToken: Bool {
        if case .scopes = self { true } else { false }
    }
}

/// In byte order, each once; texts are the same when their bytes are.
private func sortedOnce(_ texts: [String]) -> [String] {
    Set(texts.map { Array($0.utf8) }).sorted { $0.lexicographicallyPrecedes($1) }
        .map { String(decoding: $0, as: UTF8.self) }
}
