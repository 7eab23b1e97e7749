internal import Octets
internal import PolicyTables
internal import Signatures

enum PublisherKey: Int, MappingKey {
    case keys, hosts, basePath, scopes, issuers, `public`, ttl, widening
    static let names: [StaticString] = [
        "keys", "hosts", "base_path", "scopes", "issuers", "public", "max_ttl", "widening",
    ]
    static let owner = "a publisher"
}

/// Members of a public JWK (RFC 7517 §4, RFC 7518 §6.2, RFC 8037 §2); `d` is known so that it can be refused by name.
enum PublicKeyKey: Int, MappingKey {
    case type, curve, x, y, keyID, algorithm, use, d
    static let names: [StaticString] = ["kty", "crv", "x", "y", "kid", "alg", "use", "d"]
    static let owner = "a public key"
}

enum PublicationKey: Int, MappingKey {
    case ends
    static let names: [StaticString] = ["ends"]
    static let owner = "a publication"
}

/// Reading `publishers`, who may publish which service, and `publications`, when what they published ends.
extension ModelReader {
    static let publishersMax = 4_096
    static let publicationSecondsMax = 366 * 86_400

    func readPublishers(_ node: Int) {
        guard tree.kind(node) == .mapping else {
            wrongType(
                node, "`publishers` is a mapping of services to publishers", "write `orders:` and its keys below it")
            return
        }
        guard tree.after(node) > node + 1 else {
            sink.error(
                .emptyValue, at: position(node), "`publishers` is empty",
                mend: "list a service that may publish itself, or remove it")
            return
        }
        var count = 0
        forEachEntry(node) { key, value, name in
            count += 1
            guard count <= ModelReader.publishersMax else {
                if count == ModelReader.publishersMax + 1 {
                    sink.error(
                        .limitExceeded, at: position(key), "more than \(ModelReader.publishersMax) publishers",
                        mend: "split the policy for separate daemons")
                }
                return
            }
            guard checkServiceName(key, name) else { return }
            readPublisher(value, key, name)
        }
    }

    /// The name is also that of a folder in the policy's bundle.
    private func checkServiceName(_ key: Int, _ name: String) -> Bool {
        let bytes = tree.bytes(key)
        if !bytes.isEmpty, bytes.count <= 64, bytes.allSatisfy(isNameCharacter), name != ".", name != ".." {
            return true
        }
        sink.error(
            .badName, at: position(key), "\(quoted(name)) is no name of a service that publishes",
            mend: "use 1 to 64 letters, digits, `_`, `-` and `.`, more than dots")
        return false
    }

    private func readPublisher(_ node: Int, _ key: Int, _ name: String) {
        guard let fields = fields(node, PublisherKey.self, at: position(key)) else { return }
        let keys = readPublicKeys(fields)
        let hosts = readPublisherHosts(fields)
        let scopes = readPublisherScopes(fields)
        var publisher = PublisherModel(name: name, keys: keys, hosts: hosts, scopes: scopes)
        if let node = fields[.basePath] { publisher.basePath = basePath(node) }
        if let node = fields[.issuers] { publisher.issuers = readPublisherIssuers(node) }
        if let node = fields[.public] { publisher.allowsPublic = isTrue(node, "`public`") }
        if let node = fields[.ttl] { publisher.ttlSecondsMax = readTTL(node) }
        if let node = fields[.widening] { publisher.widening = readWidening(node) }
        model.publishers.append(publisher)
    }

    // MARK: Keys

    private func readPublicKeys(_ fields: Fields<PublisherKey>) -> [PublisherModel.Key] {
        guard let node = fields[.keys] else {
            sink.error(
                .missingKey, at: fields.position, "a publisher without `keys`",
                mend: "add `keys:` with the public JWK that `scopecheck keys generate` writes")
            return []
        }
        guard let members = list(node, "`keys` of a publisher", example: "[{ kty: OKP, crv: Ed25519, x: …, kid: ci }]")
        else { return [] }
        guard members.count <= PublisherModel.keysMax else {
            sink.error(
                .limitExceeded, at: position(node), "more than \(PublisherModel.keysMax) keys of one publisher",
                mend: "remove those that are not used any more")
            return []
        }
        var seen: [[UInt8]: Int] = [:]
        var result: [PublisherModel.Key] = []
        for member in members {
            guard let fields = self.fields(member, PublicKeyKey.self, at: position(member)),
                let (key, idNode) = readPublicKey(fields)
            else { continue }
            if let first = seen[Array(key.keyID.utf8)] {
                repeated(idNode, "`kid`", first: first)
                continue
            }
            seen[Array(key.keyID.utf8)] = idNode
            result.append(key)
        }
        return result
    }

    private func readPublicKey(_ fields: Fields<PublicKeyKey>) -> (PublisherModel.Key, Int)? {
        if let key = fields.keyNode(.d) {
            sink.error(
                .notEnforced, at: position(key), "this is a private key: it has `d`",
                mend:
                    "remove `d`, make a new key since this one was written down, and keep its private half out of policies"
            )
            return nil
        }
        guard let (keyID, idNode) = readKeyID(fields), let algorithm = readAlgorithm(fields),
            let x = coordinate(fields, .x, "x")
        else { return nil }
        var key = PublisherModel.Key(keyID: keyID, algorithm: algorithm, x: x)
        if algorithm == .es256 {
            guard let y = coordinate(fields, .y, "y") else { return nil }
            key.y = y
        } else if let node = fields.keyNode(.y) {
            sink.error(.noEffect, at: position(node), "an Ed25519 key has no `y`", mend: "remove it")
            return nil
        }
        do throws(KeyError) {
            _ = try key.publicKey()
        } catch {
            sink.error(
                .badChoice, at: position(fields[.x] ?? idNode), "this is no key: \(error)",
                mend: "copy the public JWK again, as `scopecheck keys generate` writes it")
            return nil
        }
        return (key, idNode)
    }

    private func readKeyID(_ fields: Fields<PublicKeyKey>) -> (String, Int)? {
        guard let node = fields[.keyID] else {
            sink.error(
                .missingKey, at: fields.position, "a publisher's key without `kid`",
                mend: "add a `kid` that says whose key it is; publications and the log name it")
            return nil
        }
        guard let keyID = text(node, "`kid`", example: "ci-2026", bytesMax: 128) else { return nil }
        guard tree.bytes(node).allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            sink.error(
                .badName, at: position(node), "\(quoted(keyID)) is no `kid` of a publisher",
                mend: "use 1 to 128 visible ASCII signs without spaces")
            return nil
        }
        return (keyID, node)
    }

    private func readAlgorithm(_ fields: Fields<PublicKeyKey>) -> SignatureAlgorithm? {
        func value(_ key: PublicKeyKey, _ name: String) -> String? {
            guard let node = fields[key] else {
                sink.error(
                    .missingKey, at: fields.position, "a publisher's key without `\(name)`",
                    mend: "copy the whole public JWK, as in `{ kty: OKP, crv: Ed25519, x: …, kid: ci-2026 }`")
                return nil
            }
            return text(node, "`\(name)`", example: name == "kty" ? "OKP" : "Ed25519", bytesMax: 64)
        }
        guard let type = value(.type, "kty"), let curve = value(.curve, "crv") else { return nil }
        let algorithm: SignatureAlgorithm
        switch (type, curve) {
        case ("OKP", "Ed25519"): algorithm = .ed25519
        case ("EC", "P-256"): algorithm = .es256
        default:
            sink.error(
                .badAlgorithm, at: fields.position, "a key of \(quoted(type)) \(quoted(curve)) signs no publications",
                mend: "use Ed25519 (`kty: OKP`) or P-256 (`kty: EC`)")
            return nil
        }
        if let node = fields[.algorithm], let name = text(node, "`alg`", example: algorithm.name, bytesMax: 64),
            SignatureAlgorithm.named(Array(name.utf8).span) != algorithm
        {
            sink.error(
                .badAlgorithm, at: position(node), "\(quoted(name)) is not the algorithm of this key",
                mend: "write `\(algorithm.name)`, or remove `alg`")
            return nil
        }
        if let node = fields[.use], let use = text(node, "`use`", example: "sig", bytesMax: 64), use != "sig" {
            sink.error(
                .badChoice, at: position(node), "a key for \(quoted(use)) signs nothing", mend: "use a key for `sig`")
            return nil
        }
        return algorithm
    }

    private func coordinate(_ fields: Fields<PublicKeyKey>, _ key: PublicKeyKey, _ name: String) -> [UInt8]? {
        guard let node = fields[key] else {
            sink.error(
                .missingKey, at: fields.position, "a publisher's key without `\(name)`",
                mend: "copy the whole public JWK, as `scopecheck keys generate` writes it")
            return nil
        }
        guard text(node, "`\(name)`", example: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", bytesMax: 128) != nil
        else {
            return nil
        }
        guard let bytes = Base64URL.decode(Array(tree.bytes(node)).span), bytes.count == 32 else {
            sink.error(
                .badChoice, at: position(node), "`\(name)` is not 32 bytes of unpadded base64url",
                mend: "copy the public JWK again, as `scopecheck keys generate` writes it")
            return nil
        }
        return bytes
    }

    // MARK: Limits

    private func readPublisherHosts(_ fields: Fields<PublisherKey>) -> [String] {
        guard let node = fields[.hosts] else {
            sink.error(
                .missingKey, at: fields.position, "a publisher without `hosts`",
                mend: "add `hosts:` with those that the service may have, as in `hosts: [orders.example.com]`")
            return []
        }
        return names(node, "`hosts` of a publisher", "host", example: "[orders.example.com]") { member in
            do throws(TextProblem) {
                try HostName.check(tree.bytes(member))
                return true
            } catch {
                report(error, in: member)
                return false
            }
        }
    }

    private func readPublisherScopes(_ fields: Fields<PublisherKey>) -> [String] {
        guard let node = fields[.scopes] else {
            sink.error(
                .missingKey, at: fields.position, "a publisher without `scopes`",
                mend: "add `scopes:` with those that are the service's own, as in `scopes: [\"orders:*\"]`")
            return []
        }
        return names(node, "`scopes` of a publisher", "scope", example: "[\"orders:*\"]") { member in
            let bytes = tree.bytes(member)
            if bytes.contains(0x2A) { return wildcardPrefix(tree.string(member), member) != nil }
            guard bytes.count <= ModelReader.scopeBytesMax, bytes.allSatisfy(isScopeCharacter) else {
                sink.error(
                    .badName, at: position(member), "\(quoted(bytes)) is no scope (RFC 6749 §3.3)",
                    mend: "use 1 to \(ModelReader.scopeBytesMax) printable ASCII signs but space, `\"` and `\\`")
                return false
            }
            return true
        }
    }

    private func readPublisherIssuers(_ node: Int) -> [String] {
        names(node, "`issuers` of a publisher", "issuer", example: "[https://id.example.com]") { member in
            guard issuerIndex[tree.string(member)] == nil else { return true }
            guard !hasBrokenIssuer else { return false }
            sink.error(
                .unknownIssuer, at: position(member), "unknown issuer \(quoted(tree.bytes(member)))",
                mend: didYouMean(
                    tree.string(member), among: model.issuers.map(\.issuer),
                    otherwise: "declare it under `issuers`, spelled exactly like this"))
            return false
        }
    }

    /// A list of texts, each once, that pass a check which reports what does not.
    private func names(
        _ node: Int, _ what: String, _ one: String, example: String, _ isGood: (Int) -> Bool
    ) -> [String] {
        guard let members = list(node, what, example: example) else { return [] }
        guard members.count <= PublisherModel.namesMax else {
            sink.error(
                .limitExceeded, at: position(node), "more than \(PublisherModel.namesMax) in \(what)",
                mend: "use fewer, or wildcards")
            return []
        }
        var seen: [[UInt8]: Int] = [:]
        var result: [String] = []
        for member in members {
            guard let name = text(member, "a \(one)", example: example), isGood(member) else { continue }
            if let first = seen[Array(name.utf8)] {
                repeated(member, one, first: first)
                continue
            }
            seen[Array(name.utf8)] = member
            result.append(name)
        }
        return result
    }

    private func readTTL(_ node: Int) -> Int? {
        guard text(node, "`max_ttl`", example: "24h") != nil else { return nil }
        do throws(TextProblem) {
            return try readDuration(
                tree.bytes(node), seconds: 1...ModelReader.publicationSecondsMax, example: "24h", takesDays: true)
        } catch {
            report(error, in: node)
            return nil
        }
    }

    private func readWidening(_ node: Int) -> PublisherModel.Widening {
        guard let name = text(node, "`widening`", example: "propose") else { return .refuse }
        switch name {
        case "propose": return .propose
        case "refuse": return .refuse
        default:
            sink.error(
                .badChoice, at: position(node), "unknown `widening` \(quoted(name))",
                mend: didYouMean(
                    name, among: ["propose", "refuse"],
                    otherwise: "write `propose` to have a person approve it, or `refuse`"))
            return .refuse
        }
    }

    // MARK: Ends

    /// `publications: { orders: { ends: 2026-12-01T00:00:00Z } }`: written by the daemon beside what was published.
    func readPublications(_ node: Int) {
        guard tree.kind(node) == .mapping else {
            wrongType(
                node, "`publications` is a mapping of services to when they end",
                "write it as in `orders: { ends: 2026-12-01T00:00:00Z }`")
            return
        }
        var serviceIndex: [String: Int] = [:]
        for (index, service) in model.services.enumerated() { serviceIndex[service.name] = index }
        forEachEntry(node) { key, value, name in
            guard let fields = fields(value, PublicationKey.self, at: position(key)) else { return }
            guard let node = fields[.ends] else {
                sink.error(
                    .missingKey, at: fields.position, "a publication without `ends`",
                    mend: "add `ends:` with date, time and zone, as in `ends: 2026-12-01T00:00:00Z`, or remove it")
                return
            }
            guard text(node, "`ends`", example: "2026-12-01T00:00:00Z") != nil else { return }
            let ends: Int64
            do throws(TextProblem) {
                ends = try readTime(tree.bytes(node))
            } catch {
                return report(error, in: node)
            }
            guard let index = serviceIndex[name] else {
                // A service that is wrong is not in the model, and was reported itself.
                guard sink.errorCount == 0 else { return }
                sink.error(
                    .unknownKey, at: position(key), "there is no service \(quoted(name)) that could end",
                    mend: didYouMean(
                        name, among: model.services.map(\.name), otherwise: "remove it, or add the service"))
                return
            }
            // Whichever comes first: an end is never put off by a second one.
            model.services[index].until = min(model.services[index].until ?? .max, ends)
        }
    }
}
