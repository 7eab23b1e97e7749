internal import Octets
@testable internal import Policy
@testable internal import PolicyTables
internal import Signatures
internal import Tokens

/// What services publish. The first byte chooses what the rest is.
///
/// * A publication as it is sent: it means the same when it is written again.
/// * A file that the target signs for one of the publishers of a fixed policy, with the right key or another, for a
///   time, published or withdrawn: what is taken lies within the publisher's limits, changes nothing that is not the
///   service's own, ends when it was said to end, and is taken again to the same effect. Without the publisher's
///   signature nothing is.
@Sendable func fuzzPublications(_ bytes: Span<UInt8>) {
    var input = Input(bytes)
    let choice = input.byte()
    guard choice & 1 != 0 else { return fuzzSent(input.rest()) }
    let service = ["orders", "shop", "pay", "nobody"][Int(input.byte() % 4)]
    let ttl = [0, 1, 3_600, 86_400, 86_401, PublicationStatement.ttlSecondsLimit][Int(input.byte() % 6)]
    let environment = choice & 2 == 0 ? nil : "prod"
    let file = input.rest()
    let statement = PublicationStatement(
        action: choice & 4 == 0 ? .publish(file: sha256(file.span), ttlSeconds: ttl) : .withdraw, service: service,
        environment: environment, serial: UInt64(choice) + 1)
    let isEdwards = choice & 8 == 0
    guard let key = isEdwards ? FixedKeys.signing : FixedKeys.signingCurve, let active = FixedPublishers.active(choice),
        let publication = try? SignedPublication.sign(
            statement, file: choice & 4 == 0 ? file : [], key: key.key, algorithm: key.algorithm, keyID: key.keyID)
    else { return check(false, "the fixed policy or its keys cannot be used") }
    check((try? SignedPublication.read(publication.text)) == publication, "a publication changes when it is sent")
    guard let judgement = judge(publication, active) else { return }
    checkForged(publication, active)
    let old = loadPolicy(bundle: active, now: FixedKeys.now).model
    guard let old, let publisher = old.publishers.first(where: { $0.name == service }) else {
        return check(false, "someone publishes who is no publisher")
    }
    check(publisher.keys.contains { $0.keyID == key.keyID }, "a key that is not the publisher's")
    check(active.environment == environment, "published for another environment")
    checkEnd(judgement, publisher, statement)
    checkBundle(judgement, publication)
    checkOthers(judgement.model, old, publisher)
    if case .publish = statement.action { checkLimits(judgement.model, publisher) }
}

private func fuzzSent(_ text: [UInt8]) {
    guard let publication = try? SignedPublication.read(text) else { return }
    check((try? SignedPublication.read(publication.text)) == publication, "a publication changes when it is written")
    check(PolicyStatement(publication.statement.text) == nil, "a publication that is a policy's statement too")
    if case .publish(let digest, _) = publication.statement.action {
        check(sha256(publication.file.span) == digest, "another file than the one that was signed")
    } else {
        check(publication.file.isEmpty, "a withdrawal with a file")
    }
    if let active = FixedPublishers.active(0) { checkForged(publication, active) }
}

private func judge(_ publication: SignedPublication, _ active: PolicyBundle) -> PublicationReview.Judgement? {
    let review = PublicationReview(active: active, folder: nil, now: FixedKeys.now, widenings: { _, _ in [] })
    return try? review.judge(publication)
}

/// The same with another bit of its signature, and under another key's name.
private func checkForged(_ publication: SignedPublication, _ active: PolicyBundle) {
    guard let last = publication.signature.indices.last else { return }
    var signature = publication.signature
    signature[last / 2] ^= 1
    for (keyID, bytes) in [
        (publication.keyID, signature), (publication.keyID == "o1" ? "e1" : "o1", publication.signature),
    ] {
        let forged = SignedPublication(publication.statement, keyID: keyID, signature: bytes, file: publication.file)
        check(judge(forged, active) == nil, "a publication is taken that its publisher has not signed")
    }
}

private func checkEnd(
    _ judgement: PublicationReview.Judgement, _ publisher: PublisherModel, _ statement: PublicationStatement
) {
    let service = judgement.model.services.first { $0.name == publisher.name }
    guard let service else { return check(false, "the service that was published is not there") }
    check(service.until == judgement.ends, "the service ends at another time than is said")
    guard case .publish(_, let ttl) = statement.action else {
        return check(judgement.ends == FixedKeys.now, "what was withdrawn does not end now")
    }
    check(judgement.ends == (ttl == 0 ? nil : FixedKeys.now + Int64(ttl)), "another time than was signed")
    check(publisher.ttlSecondsMax.map { (1...$0).contains(ttl) } ?? true, "longer than the publisher may")
}

private func checkBundle(_ judgement: PublicationReview.Judgement, _ publication: SignedPublication) {
    let bundle = judgement.bundle
    check(PolicyBundle(decoding: bundle.encoded) == bundle, "a policy with publications changes when it is stored")
    check(bundle.hasPublication(of: publication.statement.service), "what was published is not in the policy")
    check(
        judge(publication, bundle)?.bundle == bundle, "the same publication is refused afterwards, or changes something"
    )
}

// MARK: Limits

private func checkLimits(_ model: PolicyModel, _ publisher: PublisherModel) {
    guard let service = model.services.first(where: { $0.name == publisher.name }) else { return }
    check(service.hosts.allSatisfy(publisher.hosts.contains), "a host beyond the publisher's")
    if let allowed = publisher.issuers {
        check(
            service.issuers.allSatisfy { allowed.contains(model.issuers[Int($0)].issuer) },
            "an issuer beyond the publisher's")
    }
    for route in service.routes {
        // The service's metadata, which nobody wrote.
        if route.ground == .public, service.resource != nil, route.segments.first == .literal(".well-known") {
            continue
        }
        check(route.observeUntil == nil, "what is published is not enforced")
        check(
            zip(publisher.basePath, route.segments).allSatisfy { $0 == $1 }
                && route.segments.count >= publisher.basePath.count, "a route that does not lie below the base path")
        switch route.ground {
        case .preflight: break
        case .public: check(publisher.allowsPublic, "a public route that the publisher may not have")
        case .scopes(let all, let any):
            for scope in all + any {
                check(publisher.covers(scope: model.scopes[Int(scope)].name), "a scope beyond the publisher's")
            }
        }
    }
}

/// What is not the service's own means what it meant. Scopes are told by their names, since their numbers may change.
private func checkOthers(_ new: PolicyModel, _ old: PolicyModel, _ publisher: PublisherModel) {
    check(new.issuers == old.issuers && new.publishers == old.publishers, "issuers or publishers change")
    check(new.portServices.count == old.portServices.count, "ports without HTTP change")
    func others(_ model: PolicyModel) -> [[String]] {
        model.services.filter { $0.name != publisher.name }.map { service in
            ["\(service.name) \(service.hosts) \(service.issuers) \(service.until ?? 0)"]
                + service.routes.map { route in
                    guard case .scopes(let all, let any) = route.ground else { return "\(route.label) \(route.ground)" }
                    func names(_ list: [UInt16]) -> [String] { list.map { model.scopes[Int($0)].name }.sorted() }
                    return "\(route.label) \(names(all)) \(names(any))"
                }
        }
    }
    check(others(new) == others(old), "another service changes")
    check(new.clients.count == old.clients.count, "clients come or go")
    for (one, other) in zip(new.clients, old.clients) {
        let before = Set(other.scopes.map { old.scopes[Int($0)].name })
        let added = Set(one.scopes.map { new.scopes[Int($0)].name }).subtracting(before)
        check(one.identifier == other.identifier && one.excess == other.excess, "a client changes")
        check(added.allSatisfy(publisher.covers(scope:)), "a client is granted what is not the publisher's")
    }
    // Whoever holds a scope of others holds nothing more of others.
    for scope in old.scopes {
        guard let now = new.scopes.first(where: { $0.name == scope.name }) else {
            check(publisher.covers(scope: scope.name), "a scope of others is gone")
            continue
        }
        let before = Set(scope.closure.map { old.scopes[Int($0)].name })
        let added = Set(now.closure.map { new.scopes[Int($0)].name }).subtracting(before)
        check(added.allSatisfy(publisher.covers(scope:)), "a scope implies what it did not and is not the publisher's")
    }
}

/// A policy with two publishers, one of which has published before.
private enum FixedPublishers {
    private static let keys = """
        [{ kty: OKP, crv: Ed25519, kid: o1, x: ebVWLo_mVPlAeLES6KmLp5AfhTrmlb7X4OORC60ElmQ }, \
        { kty: EC, crv: P-256, kid: e1, x: UVw9brnjlrkE0_7Kf1T9zQzB6Ze_N13KUVrQpsO0A18, \
        y: RTa-OlDzGPv5pUdZAqIhUCvvDVfgjFOyzApW8X2fk1Q }]
        """
    private static let policy = """
        scopecheck: 1
        issuers:
          - { issuer: https://id.example.com, audience: https://a.example.com, keys: { discovery: true }, \
        unknown_clients: allow }
          - { issuer: https://id2.example.com, audience: https://a.example.com, keys: { discovery: true } }
        environments: { prod: , test: }
        scopes:
          orders:read: {}
          shop:all: { implies: orders:read }
          pay:all: { implies: "*" }
        clients:
          web: { issuer: https://id.example.com, scopes: ["orders:*"], on_excess: alert }
        services:
          pay:
            issuers: [https://id.example.com]
            hosts: [pay.example.com, shared.example.com, "*.wild.example.com"]
            routes:
              - { match: "POST /charges/{id}", scopes: pay:all }
              - { match: GET /v1/pay/**, scopes: { any: [pay:all, shop:all] } }
        publishers:
          orders:
            keys: \(keys)
            hosts: [orders.example.com, shared.example.com, a.wild.example.com, "*.wild.example.com"]
            scopes: ["orders:*"]
          shop:
            keys: \(keys.replacing(", { kty: EC", with: "] # { kty: EC"))
            hosts: [shop.example.com, "*.shop.example.com"]
            base_path: /v1
            scopes: ["shop:*", orders:read]
            issuers: [https://id.example.com]
            public: true
            max_ttl: 24h
            widening: refuse
        """
    private static let published = """
        scopecheck: 1
        scopes: { orders:admin: { implies: orders:read } }
        services:
          orders:
            hosts: [orders.example.com]
            issuers: [https://id.example.com]
            routes:
              - { match: GET /v1/orders, scopes: orders:admin }
        """

    private static func bundle(_ environment: String?, hasPublished: Bool) -> PolicyBundle? {
        // Without environments where none is chosen.
        let text = environment == nil ? policy.replacing("environments: { prod: , test: }\n", with: "") : policy
        let bundle = PolicyBundle(
            files: [.init(name: "policy.yaml", bytes: Array(text.utf8))], environment: environment)
        return hasPublished ? bundle?.publishing(Array(published.utf8), of: "orders", ends: nil) : bundle
    }
    private static let bundles = [false, true].map { hasPublished in
        [nil, "prod"].map { environment -> PolicyBundle? in
            guard let bundle = bundle(environment, hasPublished: hasPublished),
                loadPolicy(bundle: bundle, now: FixedKeys.now).model != nil
            else { return nil }
            return bundle
        }
    }

    /// - Parameter choice: bit 4 is whether it has publications, bit 5 whether it is read for an environment.
    static func active(_ choice: UInt8) -> PolicyBundle? {
        bundles[choice & 16 == 0 ? 0 : 1][choice & 32 == 0 ? 0 : 1]
    }
}
