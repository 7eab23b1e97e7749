internal import PolicyTables

/// Reading `scopes` and expanding what they imply.
extension ModelReader {
    /// Indices are 16 bits.
    static let scopesMax = 65_535
    static let scopeBytesMax = 255

    /// May be called for several mappings; `finishScopes` comes after the last.
    func readScopes(_ node: Int) {
        guard tree.kind(node) == .mapping else {
            wrongType(
                node, "`scopes` is a mapping of names to what they mean", "write them as in `orders:read: {}`"
            )
            return
        }
        forEachEntry(node) { key, value, name in
            guard checkScopeName(name, key) else { return }
            if let index = scopeIndex[name] {
                return duplicateKey(key, first: scopeNotes.keys[Int(index)])
            }
            guard hasRoomForScope(at: key) else { return }
            let index = UInt16(clamping: model.scopes.count)
            scopeIndex[name] = index
            scopePositions.append(position(key))
            scopeNotes.keys.append(key)
            readScope(value, key, name, index)
        }
    }

    func hasRoomForScope(at node: Int) -> Bool {
        guard model.scopes.count >= ModelReader.scopesMax else { return true }
        if !scopeNotes.isOverLimit {
            sink.error(
                .limitExceeded, at: position(node), "more than \(ModelReader.scopesMax) scopes",
                mend: "split the policy for separate daemons")
        }
        scopeNotes.isOverLimit = true
        return false
    }

    func checkScopeName(_ name: String, _ node: Int) -> Bool {
        let bytes = tree.bytes(node)
        guard !bytes.isEmpty, bytes.count <= ModelReader.scopeBytesMax, bytes.allSatisfy(isScopeCharacter)
        else {
            sink.error(
                .badName, at: position(node), "\(quoted(name)) is no scope (RFC 6749 §3.3)",
                mend:
                    "use 1 to \(ModelReader.scopeBytesMax) printable ASCII signs but space, `\"` and `\\`"
            )
            return false
        }
        guard !bytes.contains(0x2A) else {
            sink.error(
                .badName, at: position(node), "the scope \(quoted(name)) has a `*` in its name",
                mend: "name it without; a wildcard stands in `implies`, and a `*` in a token is a literal")
            return false
        }
        return true
    }

    private func readScope(_ node: Int, _ key: Int, _ name: String, _ index: UInt16) {
        var scope = ScopeModel(name: name, closure: [])
        var implies: Int?
        if !tree.isAbsent(node), let fields = fields(node, ScopeKey.self, at: position(key)) {
            if let node = fields[.description] {
                scope.description = text(node, "`description`", example: "Read orders") ?? ""
            }
            implies = fields[.implies]
            scope.until = readChange(fields, name, index)
        }
        model.scopes.append(scope)
        scopeNotes.implies.append(implies)
    }

    // MARK: Implications

    /// Once, after the last scope was read.
    func finishScopes() {
        scopeNotes.ownCount = model.scopes.count
        checkOldNames()
        guard let graph = makeGraph() else { return }
        scopeNotes.impliedCounts = graph.impliedCounts
        if let cycle = graph.cycle() { return reportCycle(cycle) }
        guard let closures = graph.closures() else {
            sink.error(
                .limitExceeded, at: scopePositions.first ?? SourcePosition(line: 1, column: 1),
                "what the scopes imply expands to more than \(ScopeGraph.closureEntriesMax) entries",
                mend: "imply fewer scopes from each")
            return
        }
        for scope in model.scopes.indices { model.scopes[scope].closure = closures[scope] }
        addOldNames()
    }

    /// - Returns: nil when there are too many implications; it has been reported.
    private func makeGraph() -> ScopeGraph? {
        var graph = ScopeGraph(names: model.scopes.map(\.name))
        for (scope, node) in scopeNotes.implies.enumerated() {
            guard let node, let members = listOrOne(node, "`implies`", example: "[orders:read]") else {
                continue
            }
            var seen: [String: Int] = [:]
            for member in members {
                guard let name = text(member, "an implied scope", example: "orders:read") else { continue }
                if let first = seen[name] {
                    repeated(member, "implied scope", first: first)
                    continue
                }
                seen[name] = member
                addImplied(name, member, of: scope, to: &graph)
                guard graph.edgeCount <= ScopeGraph.edgesMax else {
                    sink.error(
                        .limitExceeded, at: position(member),
                        "the scopes imply each other in more than \(ScopeGraph.edgesMax) ways",
                        mend: "use fewer wildcards, or shorter prefixes' own admin scopes")
                    return nil
                }
            }
        }
        return graph
    }

    private func addImplied(_ name: String, _ node: Int, of scope: Int, to graph: inout ScopeGraph) {
        guard name.utf8.contains(0x2A) else {
            guard let implied = scopeIndex[name] else {
                if refuseOldName(name, node, "implied") { return }
                sink.error(
                    .unknownScope, at: position(node), "unknown scope \(quoted(name))",
                    mend: mendUnknownScope(name))
                return
            }
            if Int(implied) == scope {
                sink.error(
                    .impliesCycle, at: position(node), "the scope \(quoted(name)) implies itself",
                    mend: "remove it from its own `implies`")
                return
            }
            graph.add(from: scope, to: Int(implied))
            return
        }
        guard let prefix = wildcardPrefix(name, node) else { return }
        if graph.addAll(from: scope, withPrefix: prefix) == 0 {
            sink.error(
                .badWildcard, at: position(node),
                "the wildcard \(quoted(name)) matches no other scope of the policy",
                mend: "declare the scopes that it stands for, or remove it")
        }
    }

    /// What stands before the `*` of a wildcard; reports one that is not understood.
    func wildcardPrefix(_ name: String, _ node: Int) -> String? {
        let prefix = String(name.dropLast())
        guard name.hasSuffix("*"), !prefix.utf8.contains(0x2A), prefix.isEmpty || ":./".contains(prefix.suffix(1))
        else {
            sink.error(
                .badWildcard, at: position(node), "the wildcard \(quoted(name)) is not understood",
                mend: "end it with `:*`, `.*` or `/*`, as in `orders:*`, or write `*` for every scope")
            return nil
        }
        return prefix
    }

    private func reportCycle(_ cycle: [Int]) {
        let names = cycle.map { model.scopes[$0].name }
        let chain = (names.prefix(10) + (names.count > 10 ? ["…"] : []) + names.prefix(1)).map { quoted($0) }
        guard let first = cycle.first else { return }
        sink.error(
            .impliesCycle, at: scopePositions[first],
            "scopes imply each other in a circle: \(chain.joined(separator: " → "))",
            mend: "remove one of these steps; list scopes instead of a wildcard where it matches too much",
            notes: cycle.dropFirst().prefix(9).map {
                Diagnostic.Note(
                    position: scopePositions[$0], message: "\(quoted(model.scopes[$0].name)) is declared here"
                )
            })
    }

    func mendUnknownScope(_ name: String) -> String {
        didYouMean(name, among: model.scopes.map(\.name), otherwise: "declare it under `scopes`")
    }
}
