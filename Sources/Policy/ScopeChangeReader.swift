internal import PolicyTables

/// What is gathered of scopes before they can be expanded.
struct ScopeNotes {
    /// Where old tokens' name for a scope was given first.
    struct OldName {
        var name: String
        var node: Int
        /// Unix seconds from which on it counts for nothing.
        var until: Int64
        /// The scopes in its place, in the order of the source.
        var successors: [UInt16]
    }

    /// For each declared scope the node of its name, and of what it implies.
    var keys: [Int] = []
    var implies: [Int?] = []
    /// Of each declared scope, once they could be expanded.
    var impliedCounts: [Int] = []
    /// Each once, in the order of the source.
    var oldNames: [OldName] = []
    var oldNameIndex: [String: Int] = [:]
    /// Declared scopes; old names stand behind them in the model.
    var ownCount = 0
    var isOverLimit = false
}

/// Reading how scopes change over time: `until` and `replaces`.
extension ModelReader {
    /// - Parameter index: of the scope that the keys belong to.
    /// - Returns: when the scope itself ends; beside `replaces` the end is that of the old names.
    func readChange(_ fields: Fields<ScopeKey>, _ name: String, _ index: UInt16) -> Int64? {
        let until = fields[.until].flatMap { readMoment($0, "`until` of a scope") }
        guard let node = fields[.replaces] else {
            if let until, until <= now, let node = fields[.until] {
                sink.warning(
                    .scopeEnded, at: position(node),
                    "the scope \(quoted(name)) has ended at \(quoted(tree.bytes(node))) and counts for nothing",
                    mend: "remove the scope and what still names it, or set a later date")
            }
            return until
        }
        let members = listOrOne(node, "`replaces`", example: "[orders:read]") ?? []
        guard fields[.until] != nil else {
            if let key = fields.keyNode(.replaces) {
                sink.error(
                    .missingKey, at: position(key), "`replaces` without the date until which the old name counts",
                    mend: "add `until:` with date, time and zone, as in `until: 2027-01-01T00:00:00Z`")
            }
            return nil
        }
        guard let until else { return nil }
        if until <= now, let node = fields[.until] {
            sink.warning(
                .scopeEnded, at: position(node),
                "the old names of \(quoted(name)) have ended at \(quoted(tree.bytes(node))) and count for nothing",
                mend: "remove `replaces` and `until`, or set a later date")
        }
        var seen: [String: Int] = [:]
        for member in members {
            guard let old = text(member, "a replaced scope", example: "orders:read") else { continue }
            if let first = seen[old] {
                repeated(member, "replaced scope", first: first)
                continue
            }
            seen[old] = member
            addOldName(old, member, until: until, successor: index)
        }
        return nil
    }

    private func addOldName(_ name: String, _ node: Int, until: Int64, successor: UInt16) {
        guard checkScopeName(name, node) else { return }
        guard let index = scopeNotes.oldNameIndex[name] else {
            scopeNotes.oldNameIndex[name] = scopeNotes.oldNames.count
            scopeNotes.oldNames.append(
                ScopeNotes.OldName(name: name, node: node, until: until, successors: [successor]))
            return
        }
        let first = scopeNotes.oldNames[index]
        guard first.until == until else {
            let line = sink.lineName(of: position(first.node), from: position(node))
            sink.error(
                .conflictingKeys, at: position(node),
                "the old name \(quoted(name)) ends at another time than in \(line), where it is replaced too",
                mend: "write the same `until` for all that replace it: \(quoted(timeText(first.until))) there",
                notes: [Diagnostic.Note(position: position(first.node), message: "the first one")])
            return
        }
        scopeNotes.oldNames[index].successors.append(successor)
    }

    /// A name cannot be old and declared. Once all are known.
    func checkOldNames() {
        for old in scopeNotes.oldNames {
            guard let index = scopeIndex[old.name] else { continue }
            let declared = scopePositions[Int(index)]
            let line = sink.lineName(of: declared, from: position(old.node))
            let isItself = old.successors == [index]
            sink.error(
                .conflictingKeys, at: position(old.node),
                isItself
                    ? "the scope \(quoted(old.name)) replaces itself"
                    : "the replaced scope \(quoted(old.name)) is still declared in \(line)",
                mend: isItself
                    ? "name the scope that it replaces"
                    : "remove the declaration: the old name is known by `replaces`, and counts until its date",
                notes: isItself ? [] : [Diagnostic.Note(position: declared, message: "declared here")])
        }
    }

    /// Each old name becomes a scope of its own behind the declared ones. Once those are expanded.
    func addOldNames() {
        guard !scopeNotes.oldNames.isEmpty else { return }
        let entries = model.scopes.reduce(0) { $0 + $1.closure.count }
        var expansion = ScopeExpansion(model.scopes, ownCount: scopeNotes.ownCount, entries: entries)
        for old in scopeNotes.oldNames where scopeIndex[old.name] == nil {
            guard hasRoomForScope(at: old.node) else { return }
            expansion.begin()
            for successor in old.successors { expansion.add(Int(successor)) }
            guard !expansion.isOverLimit else {
                sink.error(
                    .limitExceeded, at: position(old.node),
                    "what the scopes imply expands to more than \(ScopeGraph.closureEntriesMax) entries",
                    mend: "imply fewer scopes from each")
                return
            }
            let index = UInt16(clamping: model.scopes.count)
            var scope = ScopeModel(name: old.name, closure: expansion.scopes + [index])
            scope.until = old.until
            scope.replacedBy = Array(Set(old.successors)).sorted()
            scopeIndex[old.name] = index
            scopePositions.append(position(old.node))
            scopeNotes.keys.append(old.node)
            model.scopes.append(scope)
        }
    }

    /// Reports a name that only old tokens may carry where the policy must say what is meant today.
    /// - Parameter use: what would be done with it, as in `implied`.
    /// - Returns: whether it is an old name.
    func refuseOldName(_ name: String, _ node: Int, _ use: String) -> Bool {
        guard let index = scopeNotes.oldNameIndex[name] else { return false }
        // One that is declared as well has been reported for that.
        if let scope = scopeIndex[name], Int(scope) < scopeNotes.ownCount { return false }
        let successors = scopeNotes.oldNames[index].successors.map { scopeNotes.name($0, tree) }
        sink.error(
            .oldScope, at: position(node),
            "\(quoted(name)) is an old name of \(quotedList(successors)), which tokens may carry; it cannot be \(use)",
            mend: "write \(quotedList(successors, joint: "or"))")
        return true
    }

    /// RFC 3339, as Unix seconds; reports what is none.
    func readMoment(_ node: Int, _ what: String) -> Int64? {
        guard text(node, what, example: "2027-01-01T00:00:00Z") != nil else { return nil }
        do {
            return try readTime(tree.bytes(node))
        } catch {
            report(error, in: node)
            return nil
        }
    }
}

extension ScopeNotes {
    fileprivate func name(_ scope: UInt16, _ tree: SyntaxTree) -> String { tree.string(keys[Int(scope)]) }
}
