internal import PolicyTables

/// Reading services of `kind: tcp`: ports without HTTP, which a client's certificate opens.
extension ModelReader {
    /// What a connection without HTTP has nothing of, and what its service says instead.
    private static let keysOfHTTP: [(key: ServiceKey, instead: String)] = [
        (.hosts, "a connection is known by its port alone; remove it"),
        (.basePath, "there is no path; remove it"),
        (.issuers, "there is no token; `clients` say by certificate who may connect"),
        (.audience, "there is no token; `clients` say by certificate who may connect"),
        (.tokenFrom, "there is no token; `clients` say by certificate who may connect"),
        (.publicPort, "there is no URL; remove it"),
        (.proof, "there is no token; the certificate that opens the port is itself the proof"),
        (.resource, "there is no URL; remove it"),
        (.forwardToken, "there is no token; remove it"),
        (.transactionToken, "there is no token; remove it"),
        (.ends, "only a service with `routes` ends by itself; remove it, and the service when it is to end"),
        (.routes, "there is no path; write the `scopes` on the service itself"),
    ]

    func readPortService(_ fields: Fields<ServiceKey>, _ key: Int, _ name: String) {
        for (other, instead) in ModelReader.keysOfHTTP {
            guard let node = fields.keyNode(other) else { continue }
            sink.error(
                .wrongKind, at: position(node),
                "\(quoted(tree.bytes(node))) has no meaning on a service of `kind: tcp`", mend: instead)
        }
        let ports = readServicePorts(fields, name)
        let requirement = readServiceScopes(fields)
        var observeUntil: Int64?
        if case .observe(let until) = readMode(fields[.mode], fields[.until], fields.keyNode(.until)) {
            observeUntil = until
        }
        guard let requirement, !ports.isEmpty else { return }
        portRequirements.append(fields[.scopes].map(requiredScopePlaces) ?? [])
        model.portServices.append(
            PortServiceModel(
                name: name, ports: ports, all: requirement.all, any: requirement.any, observeUntil: observeUntil))
    }

    private func readServicePorts(_ fields: Fields<ServiceKey>, _ name: String) -> [UInt16] {
        guard let node = fields[.ports] else {
            sink.error(
                .missingKey, at: fields.position, "a service of `kind: tcp` without `ports`",
                mend: "add `ports: [9443]`; a connection is known by its port alone")
            return []
        }
        var result: [UInt16] = []
        for (port, node) in portNodes(node, "`ports`") ?? [] {
            if let first = portOwners[port] {
                sink.error(
                    .duplicatePort, at: position(node),
                    "port \(port) is already one of the service \(quoted(first.service)) "
                        + "in \(sink.lineName(of: first.position, from: position(node)))",
                    mend: "keep it in one of the two; a connection belongs to one service",
                    notes: [Diagnostic.Note(position: first.position, message: "the first one")])
                continue
            }
            portOwners[port] = (service: name, position: position(node))
            result.append(port)
        }
        return result
    }

    private func readServiceScopes(_ fields: Fields<ServiceKey>) -> Requirement? {
        guard let node = fields[.scopes] else {
            sink.error(
                .missingKey, at: fields.position, "a service of `kind: tcp` without `scopes`",
                mend: "add `scopes:` with what a client must hold, as in `scopes: read:metrics`")
            return nil
        }
        return readRequirement(node, of: .service)
    }

    /// Every scope that a good requirement names, in the order of the source.
    private func requiredScopePlaces(_ node: Int) -> [(scope: UInt16, position: SourcePosition)] {
        var lists = [node]
        if tree.kind(node) == .mapping {
            lists = []
            var key = node + 1
            while key < tree.after(node) {
                let value = tree.after(key)
                lists.append(value)
                key = tree.after(value)
            }
        }
        let names = lists.flatMap { tree.isScalar($0) ? [$0] : tree.members($0) }
        return names.compactMap { name in
            scopeIndex[tree.string(name)].map { (scope: $0, position: position(name)) }
        }
    }
}
