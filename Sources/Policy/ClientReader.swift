internal import PolicyTables

/// Reading `clients`: who is known by what in tokens or by which certificate, and what is approved for each.
extension ModelReader {
    static let clientsMax = 65_535

    /// May be called for several mappings, behind roles and issuers; `finishClients` comes after the last.
    func readClients(_ node: Int) {
        guard tree.kind(node) == .mapping else {
            wrongType(node, "`clients` is a mapping of names to clients", "write `web-frontend:` and its keys below it")
            return
        }
        guard tree.after(node) > node + 1 else {
            sink.error(
                .emptyValue, at: position(node), "`clients` is empty", mend: "list at least one client, or remove it")
            return
        }
        approvals.prepare(model.scopes, ownCount: scopeNotes.ownCount)
        forEachEntry(node) { key, value, name in
            if let first = approvals.clientKeys[name] { return duplicateKey(key, first: first) }
            guard approvals.clientKeys.count < ModelReader.clientsMax else {
                if !approvals.hasTooManyClients {
                    sink.error(
                        .limitExceeded, at: position(key), "more than \(ModelReader.clientsMax) clients",
                        mend: "split the policy for separate daemons")
                }
                approvals.hasTooManyClients = true
                return
            }
            approvals.clientKeys[name] = key
            checkName(key, name, "a client")
            readClient(value, key, name)
        }
    }

    private func readClient(_ node: Int, _ key: Int, _ name: String) {
        guard let fields = fields(node, ClientKey.self, at: position(key)) else { return }
        let hasCertificate = fields[.certificate] != nil
        let hasTokens = !hasCertificate || fields[.clientID] != nil || fields[.issuer] != nil
        if !hasTokens { refuseKeysOfTokens(fields) }
        let identity = fields[.certificate].flatMap(readIdentity)
        let token = hasTokens ? readTokenIdentity(fields, key, name) : nil
        let scopes = readBaseline(fields, hasCertificate: hasCertificate)
        var client = ClientModel(name: name, issuer: 0, identifier: "", scopes: scopes ?? [])
        let isGood = !hasTokens || readTerms(fields, &client)
        guard isGood, scopes != nil else { return }
        if let identity {
            clientPositions.append(position(key))
            model.certificateClients.append(
                CertificateClientModel(name: name, identity: identity, scopes: client.scopes))
        }
        if let token {
            client.issuer = token.issuer
            client.identifier = token.identifier
            approvals.tokenClients.append(
                Approvals.TokenClient(
                    model: client, position: position(key),
                    excessPosition: position(fields[.excess] ?? key)))
        }
    }

    // MARK: What it may

    /// Everything of `scopes` and `roles`; nil when any of it is wrong.
    private func readBaseline(_ fields: Fields<ClientKey>, hasCertificate: Bool) -> [UInt16]? {
        guard fields[.scopes] != nil || fields[.roles] != nil || (fields[.grants] != nil && !hasCertificate) else {
            sink.error(
                .missingKey, at: fields.position,
                hasCertificate
                    ? "a client without `scopes` and `roles`" : "a client without `scopes`, `roles` and `grants`",
                mend: "add `scopes:` with those approved for it, as in `scopes: [orders:read]`")
            return nil
        }
        approvals.expansion.begin()
        var isGood = true
        if let node = fields[.scopes] { isGood = addApproved(node, "`scopes` of a client") }
        if let node = fields[.roles], !addRoles(node) { isGood = false }
        return isGood ? approvals.expansion.scopes : nil
    }

    /// What holds for a client's tokens beside its scopes.
    /// - Returns: whether all of it is good.
    private func readTerms(_ fields: Fields<ClientKey>, _ client: inout ClientModel) -> Bool {
        var isGood = true
        if let node = fields[.grants] {
            if let grants = readGrants(node, client.name) { client.grants = grants } else { isGood = false }
        }
        if let node = fields[.excess] {
            switch choice(node, "on_excess", ["deny", "narrow", "alert"]) {
            case "deny": client.excess = .deny
            case "narrow": client.excess = .narrow
            case "alert": client.excess = .alert
            default: isGood = false
            }
        }
        if case .observe(let until) = readMode(fields[.mode], fields[.until], fields.keyNode(.until)) {
            client.observeUntil = until
        }
        return isGood
    }

    /// What would say something of tokens, on a client that has none.
    private func refuseKeysOfTokens(_ fields: Fields<ClientKey>) {
        for other in [ClientKey.grants, .excess, .mode, .until] {
            guard let key = fields.keyNode(other) else { continue }
            sink.error(
                .notEnforced, at: position(key),
                "\(quoted(tree.bytes(key))) of a client that is known by its certificate only is not enforced",
                mend: "remove it; if the client has tokens too, add `client_id` with what they carry")
        }
    }

    // MARK: Who it is

    /// - Parameter node: the value of its `certificate`.
    private func readIdentity(_ node: Int) -> CertificateClientModel.Identity? {
        guard let (names, given) = readCertificateNames(node) else { return nil }
        if given.count > 1 {
            sink.error(
                .conflictingKeys, at: position(given[1]), "a client with two names in its certificate",
                mend: "keep one of `uri`, `dns` and `subject`; write two clients if there are two certificates")
            return nil
        }
        let identity: CertificateClientModel.Identity
        if let uri = names.uri {
            identity = .uri(uri)
        } else if let dns = names.dns {
            identity = .dns(dns)
        } else if let subject = names.subject {
            identity = .subject(subject)
        } else {
            return nil
        }
        let bytesInAnswer = identity.text.utf8.reduce(0) { $0 + ($1 == 0x20 || $1 == 0x25 ? 3 : 1) }
        guard bytesInAnswer <= ModelReader.identityBytesMax else {
            sink.error(
                .limitExceeded, at: position(given[0]),
                "the name takes \(bytesInAnswer) bytes in an answer, where a space and a `%` take three; "
                    + "\(ModelReader.identityBytesMax) are the most",
                mend: "name the client by something shorter in its certificate")
            return nil
        }
        if let first = clientIdentities[identity] {
            let here = position(given[0])
            sink.error(
                .duplicateIdentity, at: here,
                "the client in \(sink.lineName(of: first, from: here)) has the same name in its certificate",
                mend: "make them one client; a connection must belong to one",
                notes: [Diagnostic.Note(position: first, message: "the first one")])
            return nil
        }
        clientIdentities[identity] = position(given[0])
        return identity
    }

    /// - Returns: nil when it is not known whose tokens are meant; it has been reported.
    private func readTokenIdentity(
        _ fields: Fields<ClientKey>, _ key: Int, _ name: String
    ) -> (issuer: UInt16, identifier: String)? {
        let issuer = readClientIssuer(fields, name)
        let node = fields[.clientID] ?? key
        var identifier: String? = name
        if fields[.clientID] != nil { identifier = readClientIdentifier(node) }
        guard let issuer, let identifier else { return nil }
        let identity = Approvals.TokenIdentity(issuer: issuer, identifier: Array(identifier.utf8))
        if let first = approvals.identities[identity] {
            sink.error(
                .duplicateIdentity, at: position(node),
                "the client in \(sink.lineName(of: first, from: position(node))) has the same identifier "
                    + "\(quoted(identifier)) in tokens of \(quoted(model.issuers[Int(issuer)].issuer))",
                mend: "make them one client, or give each its own `client_id`",
                notes: [Diagnostic.Note(position: first, message: "the first one")])
            return nil
        }
        approvals.identities[identity] = position(node)
        return (issuer, identifier)
    }

    private func readClientIdentifier(_ node: Int) -> String? {
        let bytesMax = ClientModel.identifierBytesMax
        guard let identifier = text(node, "`client_id`", example: "0oa1b2c3", bytesMax: bytesMax) else { return nil }
        guard identifier.unicodeScalars.allSatisfy(isVisible) else {
            sink.error(
                .badName, at: position(node),
                "\(quoted(identifier)) is no identifier of a client: it has invisible signs",
                mend: "write exactly what tokens carry, in 1 to \(bytesMax) bytes")
            return nil
        }
        return identifier
    }

    private func readClientIssuer(_ fields: Fields<ClientKey>, _ name: String) -> UInt16? {
        guard let node = fields[.issuer] else {
            if model.issuers.count == 1 { return 0 }
            guard !hasBrokenIssuer else { return nil }
            if model.issuers.isEmpty {
                sink.error(
                    .issuersMissing, at: fields.position,
                    "the client \(quoted(name)) is known by its tokens, and the policy has no issuers",
                    mend: "add the issuer under `issuers`, or `certificate: { uri: … }` if it has a certificate")
            } else {
                sink.error(
                    .issuersMissing, at: fields.position,
                    "the client \(quoted(name)) does not say which of \(model.issuers.count) issuers its tokens come from",
                    mend: "add `issuer: \(printable(model.issuers[0].issuer, charactersMax: 80))`")
            }
            return nil
        }
        guard let issuer = text(node, "`issuer` of a client", example: "https://id.example.com") else { return nil }
        if let index = issuerIndex[issuer] { return index }
        guard !hasBrokenIssuer else { return nil }
        sink.error(
            .unknownIssuer, at: position(node), "unknown issuer \(quoted(issuer))",
            mend: didYouMean(
                issuer, among: model.issuers.map(\.issuer),
                otherwise: "declare it under `issuers`, spelled exactly like this"))
        return nil
    }
}
