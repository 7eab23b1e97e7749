internal import Octets
public import PolicyTables
internal import Tokens

extension DriftReport {
    /// A metadata document of a protected resource (RFC 9728 §2) against the policy in force.
    /// - Throws: when the policy has no such service, or it is no such document.
    public init(metadata bytes: [UInt8], model: PolicyModel, service: String, now: Int64) throws(DocumentError) {
        self.init(service: service)
        let own = model.services[try DriftReport.index(of: service, in: model)]
        let published = try PublishedMetadata(bytes)
        comparedCount = published.memberCount
        compareResource(published, own)
        compareIssuers(published, own, model)
        compareScopes(published, own, ScopeHoldings(model, now: now))
        compareBindings(published, own)
    }

    private mutating func compareResource(_ published: PublishedMetadata, _ own: ServiceModel) {
        if let resource = own.resource {
            guard resource != published.resource else { return }
            add(
                .resourceDiffers, published.resource, "the policy says \(quoted(resource))",
                mend: "make `resource` and the metadata say the same")
        } else if case .place(let host?, _, _) = ServerPlace.read(published.resource),
            !DriftReport.isServed(host, by: own.hosts)
        {
            add(
                .hostUnknown, host,
                "it is the host of the resource \(quoted(published.resource)), and no host of the service",
                mend: "add it to `hosts`, or correct the metadata")
        }
    }

    private mutating func compareIssuers(_ published: PublishedMetadata, _ own: ServiceModel, _ model: PolicyModel) {
        guard let servers = published.authorizationServers else { return }
        let accepted = own.issuers.filter { Int($0) < model.issuers.count }.map { model.issuers[Int($0)].issuer }
        for server in servers where !accepted.contains(server) {
            add(
                .issuerRefused, server, "clients are told to get tokens there, and the service does not take them",
                mend: "add it to the service's `issuers`, or correct `authorization_servers`")
        }
        for issuer in accepted where !servers.contains(issuer) {
            add(
                .issuerNotPublished, issuer, "its tokens are taken, and clients are not told of it",
                mend: "add it to `authorization_servers`, or remove it from the service's `issuers`")
        }
    }

    private mutating func compareScopes(
        _ published: PublishedMetadata, _ own: ServiceModel, _ holdings: ScopeHoldings
    ) {
        guard let scopes = published.scopes else { return }
        var required: Set<Int> = []
        for route in own.routes {
            guard case .scopes(let all, let any) = route.ground else { continue }
            required.formUnion((all + any).map { Int($0) })
        }
        var told: Set<Int> = []
        for scope in scopes where scope != "offline_access" {
            guard let meant = holdings.wanted([scope]) else {
                add(
                    .scopeUnknown, scope, "clients are told of it, and the policy does not declare it",
                    mend: "declare it under `scopes`, or remove it from `scopes_supported`")
                continue
            }
            told.formUnion(meant)
            // A scope that implies required ones is worth asking for too.
            guard meant.isDisjoint(with: required), holdings.expanded([scope]).isDisjoint(with: required) else {
                continue
            }
            add(
                .scopeNotRequired, scope, "clients are told of it, and no route of the service requires it",
                mend: "remove it from `scopes_supported`, or require it")
        }
        for scope in required.subtracting(told).sorted() {
            let name = holdings.name(UInt16(clamping: scope))
            guard name != "offline_access" else { continue }
            add(
                .scopeNotPublished, name, "routes of the service require it, and clients are not told of it",
                mend: "add it to `scopes_supported`")
        }
    }

    private mutating func compareBindings(_ published: PublishedMetadata, _ own: ServiceModel) {
        let demands = own.routes.filter { if case .scopes = $0.ground { true } else { false } }.map(\.proof)
        func compare(_ name: String, _ isPublished: Bool?, _ proof: ProofDemand, _ word: String) {
            guard let isPublished else { return }
            let isDemanded = !demands.isEmpty && demands.allSatisfy { $0 == proof }
            if isPublished, !isDemanded {
                add(
                    .policyLooser, name, "the metadata says that all tokens are bound, and not all routes ask for it",
                    mend: "write `proof: \(word)` on the service, or correct the metadata")
            } else if !isPublished, isDemanded {
                add(
                    .policyStricter, name, "the metadata says that tokens need no binding, and all routes ask for it",
                    mend: "correct the metadata, or remove `proof: \(word)`")
            }
        }
        compare("dpop_bound_access_tokens_required", published.requiresDPoP, .dpop, "dpop")
        compare("tls_client_certificate_bound_access_tokens", published.requiresCertificate, .certificate, "mtls")
    }
}

/// The members of a metadata document that a policy has something to say about.
private struct PublishedMetadata {
    var resource = ""
    var authorizationServers: [String]?
    var scopes: [String]?
    var requiresDPoP: Bool?
    var requiresCertificate: Bool?
    var memberCount = 0

    static let bytesMax = 1 << 20

    init(_ bytes: [UInt8]) throws(DocumentError) {
        let mend = "name the document at `/.well-known/oauth-protected-resource` of the service"
        guard bytes.count <= PublishedMetadata.bytesMax else {
            throw DocumentError("the metadata has more than \(PublishedMetadata.bytesMax) bytes", mend: mend)
        }
        var index = JSONIndex()
        do throws(JSONError) {
            try index.read(bytes.span, limits: JSONLimits(depthMax: 16))
        } catch {
            throw DocumentError("the metadata is no JSON object: \(error)", mend: mend)
        }
        guard let root = index.root,
            let resource = index.member("resource", of: root, in: bytes.span)?.string(in: bytes.span)
        else { throw DocumentError("the metadata has no `resource` (RFC 9728 §2)", mend: mend) }
        self.resource = String(decoding: resource, as: UTF8.self)
        memberCount = index.childCount(of: root)
        authorizationServers = try PublishedMetadata.strings("authorization_servers", root, index, bytes)
        scopes = try PublishedMetadata.strings("scopes_supported", root, index, bytes)
        requiresDPoP = try PublishedMetadata.flag("dpop_bound_access_tokens_required", root, index, bytes)
        requiresCertificate = try PublishedMetadata.flag(
            "tls_client_certificate_bound_access_tokens", root, index, bytes)
    }

    private static func member(
        _ name: String, _ root: JSONValue, _ index: borrowing JSONIndex, _ bytes: [UInt8]
    ) -> JSONValue? {
        let name = Array(name.utf8)
        return index.member(name.span, of: root, in: bytes.span)
    }

    private static func strings(
        _ name: String, _ root: JSONValue, _ index: borrowing JSONIndex, _ bytes: [UInt8]
    ) throws(DocumentError) -> [String]? {
        guard let list = member(name, root, index, bytes) else { return nil }
        let fault = DocumentError("`\(name)` of the metadata is no list of texts", mend: "correct the metadata")
        guard list.kind == .array else { throw fault }
        var result: [String] = []
        var item = index.child(after: nil, of: list)
        while let value = item {
            guard let text = value.string(in: bytes.span) else { throw fault }
            result.append(String(decoding: text, as: UTF8.self))
            item = index.child(after: value, of: list)
        }
        return result
    }

    private static func flag(
        _ name: String, _ root: JSONValue, _ index: borrowing JSONIndex, _ bytes: [UInt8]
    ) throws(DocumentError) -> Bool? {
        guard let value = member(name, root, index, bytes) else { return nil }
        switch value.kind {
        case .true: return true
        case .false: return false
        default:
            throw DocumentError("`\(name)` of the metadata is neither true nor false", mend: "correct the metadata")
        }
    }
}
