internal import Decision
internal import PolicyTables

/// Reading `tests`.
extension ModelReader {
    /// Twice the longest target that the daemon reads, so that tests can go beyond it.
    static let requestBytesMax = 16_384

    func readTests(_ node: Int) {
        guard tree.kind(node) == .sequence else {
            wrongType(
                node, "`tests` is a list",
                "write a list, as in `- { request: GET https://api.example.com/orders, expect: deny }`")
            return
        }
        var test = node + 1
        while test < tree.after(node) {
            readTest(test)
            test = tree.after(test)
        }
    }

    private func readTest(_ node: Int) {
        guard let fields = fields(node, TestKey.self, at: position(node)) else { return }
        let expectation = readExpectation(fields)
        var time: Int64?
        if let node = fields[.at], text(node, "`at`", example: "2026-12-01T00:00:00Z") != nil {
            do { time = try readTime(tree.bytes(node)) } catch { report(error, in: node) }
        }
        let place = fields[.connect] ?? fields[.request]
        let attempt = fields[.connect] == nil ? readRequestTest(fields) : readConnectionTest(fields)
        guard let attempt, let expectation, let place, let expectNode = fields[.expect] else { return }
        tests.append(
            PolicyTest(
                position: position(place), attempt: attempt, time: time, expectation: expectation,
                expectationPosition: position(expectNode)))
    }

    private func readRequestTest(_ fields: Fields<TestKey>) -> PolicyTest.Attempt? {
        if let key = fields.keyNode(.certificate) {
            sink.error(
                .conflictingKeys, at: position(key), "`certificate` in a test without `connect`",
                mend: "write `connect: 9443` instead of `request`, or `proof: mtls` for a token that is bound to one")
        }
        let request = readRequest(fields)
        let token = readToken(fields)
        let origin = fields[.origin].flatMap { text($0, "`origin`", example: "https://app.example.com") }
        let requestMethod = readRequestMethod(fields)
        let port = fields[.port].flatMap(readPort)
        guard let request, let node = fields[.request] else { return nil }
        return .request(
            TestRequest(
                text: tree.string(node), method: request.method, scheme: request.scheme, host: request.host,
                port: port ?? request.port, target: request.target, token: token, origin: origin,
                accessControlRequestMethod: requestMethod, uri: request.uri))
    }

    private func readConnectionTest(_ fields: Fields<TestKey>) -> PolicyTest.Attempt? {
        let allowed: [TestKey] = [.connect, .certificate, .at, .expect]
        let others = TestKey.allCases.filter { !allowed.contains($0) }.compactMap { fields.keyNode($0) }.sorted()
        for key in others {
            let isPort = tree.bytes(key).equals("port")
            sink.error(
                .conflictingKeys, at: position(key),
                "\(quoted(tree.bytes(key))) in a test of a connection, which has no HTTP",
                mend: isPort
                    ? "write the port in `connect`" : "remove it; beside `connect` stand `certificate` and `at`")
        }
        guard let port = fields[.connect].flatMap(readPort) else { return nil }
        guard let node = fields[.certificate] else {
            return .connection(TestConnection(port: port, certificate: nil))
        }
        guard let (names, _) = readCertificateNames(node) else { return nil }
        return .connection(TestConnection(port: port, certificate: names))
    }

    private struct Request {
        var method: String
        var scheme: String
        var host: String
        var port: UInt16
        var target: String
        var uri: String
    }

    private func readRequest(_ fields: Fields<TestKey>) -> Request? {
        let example = "GET https://api.example.com/orders"
        guard let node = fields[.request] else {
            sink.error(
                .missingKey, at: fields.position, "a test without `request` or `connect`",
                mend: "add `request:` with method and URL, as in `\(example)`, or `connect:` with a port")
            return nil
        }
        guard text(node, "`request`", example: example, bytesMax: ModelReader.requestBytesMax) != nil else {
            return nil
        }
        do {
            return try splitRequest(tree.bytes(node))
        } catch {
            report(error, in: node)
            return nil
        }
    }

    /// `METHOD URL`. The target is taken as it is: tests may try what the daemon must refuse.
    private func splitRequest(_ text: ArraySlice<UInt8>) throws(TextProblem) -> Request {
        let mend = "write method and URL, as in `GET https://api.example.com/orders`"
        func problem(_ index: Int, _ message: String) -> TextProblem {
            TextProblem(code: .badRequest, offset: index - text.startIndex, message: message, mend: mend)
        }
        let method = text.prefix { $0 != 0x20 }
        let url = text[method.endIndex...].drop { $0 == 0x20 }
        guard !method.isEmpty, !url.isEmpty, method.allSatisfy(isTokenCharacter) else {
            throw problem(text.startIndex, "\(quoted(text)) is no method and URL")
        }
        if let wrong = url.firstIndex(where: { $0 <= 0x20 || $0 == 0x7F }) {
            throw problem(wrong, "\(quoted(text)) has a space or control within the URL")
        }
        let scheme: String
        if url.starts(with: Array("https://".utf8)) {
            scheme = "https"
        } else if url.starts(with: Array("http://".utf8)) {
            scheme = "http"
        } else {
            throw problem(url.startIndex, "\(quoted(url)) starts with neither `https://` nor `http://`")
        }
        let rest = url.dropFirst(scheme.utf8.count + 3)
        let authority = rest.prefix { $0 != 0x2F && $0 != 0x3F && $0 != 0x23 }
        var host = authority
        var port: UInt16 = scheme == "https" ? 443 : 80
        if let colon = authority.lastIndex(of: 0x3A), authority.last != 0x5D {
            host = authority[..<colon]
            guard let number = decimal(authority[(colon + 1)...]), number >= 1,
                let value = UInt16(exactly: number)
            else { throw problem(colon, "\(quoted(authority)) has no port from 1 to 65535 after the `:`") }
            port = value
        }
        guard !host.isEmpty else { throw problem(url.startIndex, "\(quoted(url)) has no host") }
        let target = rest[authority.endIndex...]
        let slash = target.first == 0x2F ? "" : "/"
        let path = target.prefix { $0 != 0x3F && $0 != 0x23 }
        return Request(
            method: String(decoding: method, as: UTF8.self), scheme: scheme,
            host: String(decoding: host, as: UTF8.self), port: port,
            target: slash + String(decoding: target, as: UTF8.self),
            uri: scheme + "://" + String(decoding: authority + path, as: UTF8.self))
    }

    private func readRequestMethod(_ fields: Fields<TestKey>) -> String? {
        guard let node = fields[.requestMethod] else { return nil }
        guard let method = text(node, "`access_control_request_method`", example: "POST") else { return nil }
        guard tree.bytes(node).allSatisfy(isTokenCharacter) else {
            sink.error(
                .badMethod, at: position(node), "\(quoted(method)) is no method",
                mend: "write it as in `POST`")
            return nil
        }
        return method
    }

    func readPort(_ node: Int) -> UInt16? {
        guard tree.kind(node) == .plain, let value = decimal(tree.bytes(node)), value >= 1,
            let port = UInt16(exactly: value)
        else {
            if tree.kind(node) != .refused {
                sink.error(
                    .badPort, at: position(node), "\(described(node)) is no port",
                    mend: "write a number from 1 to 65535 without quotes")
            }
            return nil
        }
        return port
    }

    private func readExpectation(_ fields: Fields<TestKey>) -> PolicyTest.Expectation? {
        guard let node = fields[.expect] else {
            sink.error(
                .missingKey, at: fields.position, "a test that expects nothing",
                mend: "add `expect:` with `allow`, `deny` or a reason such as `insufficient_scope`")
            return nil
        }
        guard let name = text(node, "`expect`", example: "allow") else { return nil }
        if name == "allow" { return .allow }
        if name == "deny" { return .deny }
        if let reason = reason(named: name) { return .reason(reason) }
        let names = ["allow", "deny"] + Reason.allCases.map { "\($0.name)" }
        sink.error(
            .unknownReason, at: position(node), "unknown expectation \(quoted(name))",
            mend: didYouMean(
                name, among: names,
                otherwise: "write `allow`, `deny` or a reason such as `insufficient_scope`"))
        return nil
    }

    // MARK: Token

    private func readToken(_ fields: Fields<TestKey>) -> TestToken? {
        let describing = [
            TestKey.scopes, .subject, .client, .issuer, .audience, .claims, .proof, .context, .authenticationAge,
            .details,
        ].compactMap { fields.keyNode($0) }
        var token = TestToken()
        if let node = fields[.token] {
            guard let name = text(node, "`token`", example: "expired") else { return nil }
            if name == "none" {
                if let first = describing.min() {
                    sink.error(
                        .conflictingKeys, at: position(first),
                        "a test without token says what its token holds",
                        mend: "remove it, or remove `token: none`")
                }
                return nil
            }
            guard let state = TestToken.State(rawValue: name) else {
                let names = ["none"] + TestToken.State.allCases.map(\.rawValue)
                sink.error(
                    .badChoice, at: position(node), "unknown token \(quoted(name))",
                    mend: didYouMean(
                        name, among: names, otherwise: "write one of \(quotedList(names, joint: "or"))"))
                return nil
            }
            token.state = state
        } else if describing.isEmpty {
            return nil
        }
        if let node = fields[.scopes] { token.scopes = readTestScopes(node) }
        token.subject = fields[.subject].flatMap { text($0, "`subject`", example: "alice") }
        token.client = fields[.client].flatMap { text($0, "`client`", example: "web-frontend") }
        token.issuer = fields[.issuer].flatMap { text($0, "`issuer`", example: "https://id.example.com") }
        if let node = fields[.audience] {
            let members = listOrOne(node, "`audience`", example: "https://api.example.com") ?? []
            token.audiences = members.compactMap {
                text($0, "an audience", example: "https://api.example.com")
            }
        }
        if let node = fields[.claims] { token.claims = readClaims(node) }
        readTestProof(fields, &token)
        return token
    }

    /// Scopes as a token may carry them: unknown ones are worth a word, an empty list is a token without any.
    private func readTestScopes(_ node: Int) -> [String] {
        let members: [Int]
        if tree.kind(node) == .sequence {
            members = tree.members(node)
        } else {
            members = listOrOne(node, "`scopes`", example: "[orders:read]") ?? []
        }
        var result: [String] = []
        for member in members {
            guard let name = text(member, "a scope", example: "orders:read") else { continue }
            guard tree.bytes(member).allSatisfy(isScopeCharacter) else {
                sink.error(
                    .badName, at: position(member), "\(quoted(name)) is no scope (RFC 6749 §3.3)",
                    mend: "write a list of scopes, as in `[orders:read, orders:write]`")
                continue
            }
            if scopeIndex[name] == nil {
                sink.warning(
                    .unknownScope, at: position(member), "the policy has no scope \(quoted(name))",
                    mend: mendUnknownScope(name))
            }
            result.append(name)
        }
        return result
    }

    private func readClaims(_ node: Int) -> [TestToken.Claim] {
        guard tree.kind(node) == .mapping else {
            wrongType(node, "`claims` is a mapping of claims to texts", "write it as in `{ tenant: acme }`")
            return []
        }
        let own = [
            "iss": "issuer", "sub": "subject", "aud": "audience", "scope": "scopes", "client_id": "client",
            "cnf": "proof", "acr": "acr", "auth_time": "auth_age",
            "authorization_details": "authorization_details",
        ]
        var result: [TestToken.Claim] = []
        forEachEntry(node) { key, value, name in
            if let better = own[name] {
                sink.error(
                    .unknownKey, at: position(key),
                    "the claim \(quoted(name)) has a key of its own in a test",
                    mend: "write `\(better):` beside `claims`")
                return
            }
            if ["exp", "nbf", "iat", "jti"].contains(name) {
                sink.error(
                    .unknownKey, at: position(key), "the claim \(quoted(name)) is set by the test itself",
                    mend: "write `token: expired`, `token: not_yet_valid` or `at:`")
                return
            }
            guard let claim = claimName(key, "a claim", example: "tenant") else { return }
            guard let text = text(value, "the value of a claim", example: "acme") else { return }
            result.append(TestToken.Claim(name: claim, value: text))
        }
        return result
    }
}
