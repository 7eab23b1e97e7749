internal import PolicyTables

/// Reading `clients`: who is known by which certificate, and the scopes approved for each.
extension ModelReader {
    static let clientsMax = 65_535

    func readClients(_ node: Int) {
        guard tree.kind(node) == .mapping else {
            wrongType(node, "`clients` is a mapping of names to clients", "write `prometheus:` and its keys below it")
            return
        }
        guard tree.after(node) > node + 1 else {
            sink.error(
                .emptyValue, at: position(node), "`clients` is empty", mend: "list at least one client, or remove it")
            return
        }
        var expansion = ClientScopes(model.scopes)
        forEachEntry(node) { key, value, name in
            guard clientPositions.count < ModelReader.clientsMax else {
                if clientPositions.count == ModelReader.clientsMax {
                    sink.error(
                        .limitExceeded, at: position(key), "more than \(ModelReader.clientsMax) clients",
                        mend: "split the policy for separate daemons")
                    clientPositions.append(position(key))
                }
                return
            }
            clientPositions.append(position(key))
            let bytes = tree.bytes(key)
            if bytes.isEmpty || bytes.count > 64 || !bytes.allSatisfy(isNameCharacter) {
                sink.error(
                    .badName, at: position(key), "\(quoted(name)) is no name of a client",
                    mend: "use 1 to 64 letters, digits, `_`, `-` and `.`")
            }
            readClient(value, key, name, &expansion)
        }
    }

    private func readClient(_ node: Int, _ key: Int, _ name: String, _ expansion: inout ClientScopes) {
        guard let fields = fields(node, ClientKey.self, at: position(key)) else { return }
        let identity = readIdentity(fields, name)
        guard let scopesNode = fields[.scopes] else {
            sink.error(
                .missingKey, at: fields.position, "a client without `scopes`",
                mend: "add `scopes:` with those approved for it, as in `scopes: [read:metrics]`")
            return
        }
        guard let scopes = readApproved(scopesNode, &expansion), let identity else { return }
        model.certificateClients.append(CertificateClientModel(name: name, identity: identity, scopes: scopes))
    }

    // MARK: Who it is

    private func readIdentity(_ fields: Fields<ClientKey>, _ name: String) -> CertificateClientModel.Identity? {
        guard let node = fields[.certificate] else {
            sink.error(
                .notEnforced, at: fields.position,
                "the client \(quoted(name)) has no `certificate`; this build knows clients by certificate only",
                mend: "add `certificate: { uri: … }`, or remove the client; it is never ignored")
            return nil
        }
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
            sink.error(
                .duplicateIdentity, at: position(given[0]),
                "the client in line \(first.line) has the same name in its certificate",
                mend: "make them one client; a connection must belong to one",
                notes: [Diagnostic.Note(position: first, message: "the first one")])
            return nil
        }
        clientIdentities[identity] = position(given[0])
        return identity
    }

    // MARK: What it may

    /// Scopes by index, ascending, implications and wildcards expanded; nil when any of them is wrong.
    private func readApproved(_ node: Int, _ expansion: inout ClientScopes) -> [UInt16]? {
        guard let members = listOrOne(node, "`scopes` of a client", example: "[read:metrics]") else { return nil }
        var seen: [String: Int] = [:]
        var isGood = true
        expansion.begin()
        for member in members {
            guard let name = text(member, "an approved scope", example: "read:metrics") else {
                isGood = false
                continue
            }
            if let first = seen[name] {
                repeated(member, "scope", first: first)
                isGood = false
                continue
            }
            seen[name] = member
            if !addApproved(name, member, &expansion) { isGood = false }
            if expansion.isOverLimit {
                if !expansion.isLimitReported {
                    sink.error(
                        .limitExceeded, at: position(member),
                        "the clients' scopes expand to more than \(ClientScopes.entriesMax) entries",
                        mend: "approve fewer scopes for each client")
                }
                expansion.isLimitReported = true
                return nil
            }
        }
        return isGood ? expansion.scopes : nil
    }

    private func addApproved(_ name: String, _ node: Int, _ expansion: inout ClientScopes) -> Bool {
        guard name.utf8.contains(0x2A) else {
            guard let scope = scopeIndex[name] else {
                sink.error(
                    .unknownScope, at: position(node), "unknown scope \(quoted(name))", mend: mendUnknownScope(name))
                return false
            }
            expansion.add(Int(scope))
            return true
        }
        guard let prefix = wildcardPrefix(name, node) else { return false }
        if expansion.addAll(withPrefix: prefix) { return true }
        sink.error(
            .badWildcard, at: position(node), "the wildcard \(quoted(name)) matches no scope of the policy",
            mend: "declare the scopes that it stands for, or remove it")
        return false
    }
}

/// Expands the scopes of one client after the other, in bounded time and room for all of them.
struct ClientScopes {
    /// 32 MB of indices in the compiled policy, as for the scopes' own closures.
    static let entriesMax = ScopeGraph.closureEntriesMax
    private static let stepsMax = 268_435_456

    private let model: [ScopeModel]
    private let order: ScopeOrder
    /// For each scope the client that was last found to hold it, counted from 1.
    private var stamps: [Int32]
    private var client: Int32 = 0
    private var held: [UInt16] = []
    private var entries = 0
    private var steps = 0
    var isLimitReported = false

    init(_ scopes: [ScopeModel]) {
        model = scopes
        order = ScopeOrder(scopes.map(\.name))
        stamps = [Int32](repeating: 0, count: scopes.count)
    }

    /// The next client, who holds nothing yet.
    mutating func begin() {
        client += 1
        held.removeAll(keepingCapacity: true)
    }

    var isOverLimit: Bool { entries > ClientScopes.entriesMax || steps > ClientScopes.stepsMax }

    /// What the client holds, ascending.
    var scopes: [UInt16] { held.sorted() }

    /// Adds a scope and all that it implies.
    mutating func add(_ scope: Int) {
        steps += model[scope].closure.count
        for member in model[scope].closure where stamps[Int(member)] != client {
            guard !isOverLimit else { return }
            stamps[Int(member)] = client
            held.append(member)
            entries += 1
        }
    }

    /// - Returns: whether there is such a scope.
    mutating func addAll(withPrefix prefix: String) -> Bool {
        let run = order.run(withPrefix: prefix)
        for scope in run {
            guard !isOverLimit else { break }
            // Whoever holds it holds what it implies already.
            steps += 1
            if stamps[scope] != client { add(scope) }
        }
        return !run.isEmpty
    }
}
