internal import PolicyTables

/// Reading how an issuer is asked about its tokens, where their status is found, and how long they may live.
extension ModelReader {
    static let lifetimeSecondsLimit = 366 * 86_400
    static let clientBytesMax = 256
    /// Each token's URI is compared with all of them.
    static let statusListsMax = 16

    func readLifetime(_ fields: Fields<IssuerKey>) -> UInt32 {
        guard let node = fields[.lifetime] else { return 0 }
        let seconds = seconds(
            node, "`max_lifetime`", 1...ModelReader.lifetimeSecondsLimit, example: "1h", takesDays: true)
        return UInt32(clamping: seconds ?? 0)
    }

    // MARK: Introspection

    /// - Parameter isLocal: the issuer is on this machine.
    /// - Returns: nil without introspection, and when anything of it is wrong, which has been reported.
    func readIntrospection(_ fields: Fields<IssuerKey>, isLocal: Bool) -> IntrospectionModel? {
        guard let node = fields[.introspection],
            let asked = self.fields(node, IntrospectionKey.self, at: position(node))
        else { return nil }
        guard tree.after(node) > node + 1 else {
            sink.error(
                .emptyValue, at: position(node), "`introspection` says nothing",
                mend: "write `endpoint`, `client_id` and `auth`, or remove it")
            return nil
        }
        let before = sink.errorCount
        let endpoint = readEndpoint(asked, isLocal: isLocal)
        let client = readClientID(asked)
        let authentication = readAuthentication(asked)
        if let authentication { checkFiles(asked, authentication) }
        func file(_ key: IntrospectionKey, _ example: String) -> String? {
            asked[key].flatMap { text($0, "`\(key.name)`", example: example) }.map(resolved)
        }
        var result = IntrospectionModel(
            endpoint: endpoint ?? "", clientID: client ?? "", authentication: authentication?.value ?? .basic)
        result.secretFile = file(.secretFile, "introspection.secret")
        result.keyFile = file(.keyFile, "client-key.pem")
        result.certificateFile = file(.certificateFile, "client.pem")
        result.certificateAuthorityFile = file(.authorityFile, "ca.pem")
        if let node = asked[.tokens] {
            result.use = choice(node, "tokens", ["opaque", "all"]) == "all" ? .all : .opaque
        }
        if let node = asked[.replies] { result.demandsJWT = choice(node, "replies", ["json", "jwt"]) == "jwt" }
        readIntrospectionTimes(asked, &result)
        if let key = asked.keyNode(.authorityFile), endpoint?.hasPrefix("http:") ?? false {
            sink.error(
                .noEffect, at: position(key), "`ca_file` has no effect on an endpoint without https",
                mend: "remove it")
        }
        return sink.errorCount == before ? result : nil
    }

    private func readEndpoint(_ asked: Fields<IntrospectionKey>, isLocal: Bool) -> String? {
        guard let node = asked[.endpoint] else {
            sink.error(
                .missingKey, at: asked.position, "`introspection` without `endpoint`",
                mend: "add `endpoint:` with the issuer's introspection URL (RFC 7662 §2)")
            return nil
        }
        return issuerAddress(
            node, "`endpoint`", example: "https://id.example.com/introspect", isLocal: isLocal,
            risk: "read the tokens")
    }

    private func readClientID(_ asked: Fields<IntrospectionKey>) -> String? {
        guard let node = asked[.client] else {
            sink.error(
                .missingKey, at: asked.position, "`introspection` without `client_id`",
                mend: "add `client_id:` with what the issuer knows this service by")
            return nil
        }
        guard let text = text(node, "`client_id`", example: "scopecheck") else { return nil }
        let bytes = tree.bytes(node)
        guard bytes.count <= ModelReader.clientBytesMax, bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else {
            sink.error(
                .badName, at: position(node), "\(quoted(text)) is no client identifier (RFC 6749 §A.1)",
                mend: "write at most \(ModelReader.clientBytesMax) printable ASCII characters")
            return nil
        }
        return text
    }

    /// One way to authenticate, and the files that belong to it.
    struct AuthenticationWay {
        var name: String
        var value: IntrospectionModel.Authentication
        var files: [IntrospectionKey]
    }

    private static let authentications = [
        AuthenticationWay(name: "basic", value: .basic, files: [.secretFile]),
        AuthenticationWay(name: "post", value: .post, files: [.secretFile]),
        AuthenticationWay(name: "private_key_jwt", value: .privateKeyJWT, files: [.keyFile]),
        AuthenticationWay(name: "mtls", value: .mutualTLS, files: [.keyFile, .certificateFile]),
    ]

    private func readAuthentication(_ asked: Fields<IntrospectionKey>) -> AuthenticationWay? {
        let names = ModelReader.authentications.map(\.name)
        guard let node = asked[.authentication] else {
            sink.error(
                .missingKey, at: asked.position, "`introspection` without `auth`",
                mend: "add `auth:` with one of \(quotedList(names)): an issuer answers only those it knows")
            return nil
        }
        let name = choice(node, "auth", names)
        return ModelReader.authentications.first { $0.name == name }
    }

    private func checkFiles(_ asked: Fields<IntrospectionKey>, _ way: AuthenticationWay) {
        let contents: [(key: IntrospectionKey, what: String)] = [
            (.secretFile, "the client's secret"), (.keyFile, "the client's private key"),
            (.certificateFile, "the client's certificate"),
        ]
        for (key, what) in contents {
            if way.files.contains(key), asked[key] == nil {
                sink.error(
                    .missingKey, at: asked.position, "`auth: \(way.name)` without `\(key.name)`",
                    mend: "add `\(key.name):` with the path of a file that holds \(what)")
            }
            if !way.files.contains(key), let node = asked.keyNode(key) {
                let others = ModelReader.authentications.filter { $0.files.contains(key) }.map { "auth: \($0.name)" }
                sink.error(
                    .noEffect, at: position(node), "`\(key.name)` has no effect with `auth: \(way.name)`",
                    mend: "remove it, or write \(quotedList(others, joint: "or"))")
            }
        }
    }

    private func readIntrospectionTimes(_ asked: Fields<IntrospectionKey>, _ result: inout IntrospectionModel) {
        if let node = asked[.cache],
            let value = seconds(node, "`cache`", 1...IntrospectionModel.cacheSecondsLimit, example: "60s")
        {
            result.cacheSecondsMax = UInt16(clamping: value)
        }
        if let node = asked[.negativeCache],
            let value = seconds(
                node, "`negative_cache`", 0...IntrospectionModel.negativeSecondsLimit, example: "5s")
        {
            result.negativeSecondsMax = UInt16(clamping: value)
        }
        guard let node = asked[.timeout], text(node, "`timeout`", example: "800ms") != nil else { return }
        do {
            let value = try readMilliseconds(
                tree.bytes(node), IntrospectionModel.timeoutMillisecondsRange, example: "800ms")
            result.timeoutMilliseconds = UInt16(clamping: value)
        } catch {
            report(error, in: node)
        }
    }

    /// What has no effect on an issuer whose tokens are no JWS.
    func checkWithoutKeys(_ fields: Fields<IssuerKey>) {
        for (key, name) in [(IssuerKey.algorithms, "algorithms"), (.statusLists, "status_lists")] {
            guard let node = fields.keyNode(key) else { continue }
            sink.error(
                .noEffect, at: position(node),
                "`\(name)` of an issuer without `keys`: nothing of its could be verified",
                mend: "add `keys`, or remove it")
        }
    }

    // MARK: Status lists

    func readStatusLists(_ fields: Fields<IssuerKey>, isLocal: Bool) -> [String] {
        let example = "[https://status.example.com/]"
        guard let node = fields[.statusLists], let members = listOrOne(node, "`status_lists`", example: example)
        else { return [] }
        guard members.count <= ModelReader.statusListsMax else {
            sink.error(
                .limitExceeded, at: position(node), "more than \(ModelReader.statusListsMax) status lists",
                mend: "list the folders that they lie in, each with a `/` at its end")
            return []
        }
        var seen: [String: Int] = [:]
        var result: [String] = []
        for member in members {
            let address = issuerAddress(
                member, "a status list", example: "https://status.example.com/", isLocal: isLocal,
                risk: "make revoked tokens good")
            guard let address, hasPath(member, address) else { continue }
            if let first = seen[address] {
                repeated(member, "status list", first: first)
                continue
            }
            seen[address] = member
            result.append(address)
        }
        return result
    }

    /// `https://status.example.com` would stand for itself alone, which is the place of no list.
    private func hasPath(_ node: Int, _ address: String) -> Bool {
        let rest = address.utf8.drop { $0 != 0x2F }.dropFirst(2)
        if rest.contains(0x2F) { return true }
        sink.error(
            .badURL, at: position(node), "\(quoted(address)) is neither a status list nor a folder of some",
            mend: "write a `/` at its end for everything below it")
        return false
    }

    /// A URL of the issuer's: https, or http on this machine for an issuer that is there too.
    /// - Parameter risk: what anyone on the way could do without https.
    private func issuerAddress(
        _ node: Int, _ what: String, example: String, isLocal: Bool, risk: String
    ) -> String? {
        guard let address = text(node, what, example: example) else { return nil }
        do throws(TextProblem) {
            try WebAddress.check(tree.bytes(node), allowsQuery: true, risk: risk)
            guard isLocal || address.hasPrefix("https:") else {
                throw TextProblem(
                    code: .badURL, offset: 0, message: "\(quoted(address)) is not https, and its issuer is elsewhere",
                    mend: "write `https://`; http is for issuers on this machine only")
            }
            return address
        } catch {
            report(error, in: node)
            return nil
        }
    }
}

extension IntrospectionKey {
    var name: String { "\(IntrospectionKey.names[rawValue])" }
}
