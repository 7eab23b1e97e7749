internal import PolicyTables

/// A text that stands for `${name}` in one environment.
struct EnvironmentValue {
    /// The name's node.
    var key: Int
    /// Where the text stands.
    var position: SourcePosition
    var bytes: [UInt8]
}

/// What a policy says for one environment, from all files.
struct EnvironmentSection {
    var name: String
    /// Where it is named first.
    var position: SourcePosition
    var values: [String: EnvironmentValue] = [:]
    /// It has more values than are kept, which was reported.
    var isOverLimit = false
    var roles: [Composition.Section] = []
    var clients: [Composition.Section] = []
}

/// The environments of a policy.
struct EnvironmentList {
    /// Some file has the key.
    var isThere = false
    /// Where the key stands first.
    var position = SourcePosition(line: 1, column: 1)
    /// In the order in which they are named first.
    var sections: [EnvironmentSection] = []
}

/// Reading `environments`, from files that are not joined yet.
extension ModelReader {
    /// A check without a choice reads the policy once for each.
    static let environmentsMax = 64
    static let valuesMax = 4_096
    static let valueBytesMax = 4_096

    func readEnvironments(_ heads: [Fields<TopKey>]) -> EnvironmentList {
        var list = EnvironmentList()
        let before = sink.errorCount
        for head in heads {
            guard let node = head[.environments], let key = head.keyNode(.environments) else { continue }
            if !list.isThere { list.position = position(key) }
            list.isThere = true
            guard tree.kind(node) == .mapping else {
                wrongType(
                    node, "`environments` is a mapping of names to what differs there",
                    "write `prod:` and its `values:` below it")
                continue
            }
            guard tree.after(node) > node + 1 else {
                sink.error(
                    .emptyValue, at: position(node), "`environments` is empty",
                    mend: "name at least one, as in `prod: { values: … }`, or remove it")
                continue
            }
            forEachEntry(node) { key, value, name in readEnvironment(key, value, name, &list) }
        }
        if sink.errorCount == before { checkValues(list.sections) }
        return list
    }

    private func readEnvironment(_ key: Int, _ node: Int, _ name: String, _ list: inout EnvironmentList) {
        guard PolicyBundle.isEnvironment(name) else {
            sink.error(
                .badName, at: position(key), "\(quoted(name)) is no name of an environment",
                mend: "use 1 to 64 letters, digits, `_`, `-` and `.`")
            return
        }
        var index = list.sections.firstIndex { $0.name == name }
        if index == nil {
            guard list.sections.count < ModelReader.environmentsMax else {
                sink.error(
                    .limitExceeded, at: position(key), "more than \(ModelReader.environmentsMax) environments",
                    mend: "write separate policies")
                return
            }
            index = list.sections.count
            list.sections.append(EnvironmentSection(name: name, position: position(key)))
        }
        // Nothing differs there.
        if tree.isAbsent(node) { return }
        guard let index, let fields = fields(node, EnvironmentKey.self, at: position(key)) else { return }
        if let values = fields[.values] { readValues(values, &list.sections[index]) }
        if let key = fields.keyNode(.roles), let value = fields[.roles] {
            list.sections[index].roles.append(Composition.Section(key: key, value: value))
        }
        if let key = fields.keyNode(.clients), let value = fields[.clients] {
            list.sections[index].clients.append(Composition.Section(key: key, value: value))
        }
    }

    private func readValues(_ node: Int, _ section: inout EnvironmentSection) {
        guard tree.kind(node) == .mapping else {
            wrongType(node, "`values` is a mapping of names to texts", "write `api_host: api.example.com` below it")
            return
        }
        forEachEntry(node) { key, value, name in
            guard Substitution.isName(tree.bytes(key)) else {
                sink.error(
                    .badName, at: position(key), "\(quoted(name)) is no name of a value",
                    mend: "use 1 to \(Substitution.nameBytesMax) letters, digits, `_`, `-` and `.`")
                return
            }
            if let first = section.values[name] { return duplicateKey(key, first: first.key) }
            guard section.values.count < ModelReader.valuesMax else {
                if !section.isOverLimit {
                    sink.error(
                        .limitExceeded, at: position(key), "more than \(ModelReader.valuesMax) values",
                        mend: "remove those that nothing uses")
                }
                section.isOverLimit = true
                return
            }
            guard
                text(
                    value, "the value `\(name)`", example: "\(name): api.example.com",
                    bytesMax: ModelReader.valueBytesMax) != nil
            else { return }
            let bytes = Array(tree.bytes(value))
            guard !bytes.indices.dropLast().contains(where: { bytes[$0] == 0x24 && bytes[$0 + 1] == 0x7B }) else {
                sink.error(
                    .badReference, at: position(value), "a `${` in the value `\(name)`",
                    mend: "write the value out; one value does not refer to another")
                return
            }
            section.values[name] = EnvironmentValue(key: key, position: position(value), bytes: bytes)
        }
    }

    // MARK: Values of several environments

    /// A value that one environment lacks would be missed there only when it is deployed.
    private func checkValues(_ sections: [EnvironmentSection]) {
        var owners: [String: EnvironmentSection] = [:]
        for section in sections {
            for name in section.values.keys where owners[name] == nil { owners[name] = section }
        }
        let used = usedValues()
        for (name, owner) in owners.sorted(by: { $0.key < $1.key }) {
            guard let value = owner.values[name] else { continue }
            let place = position(value.key)
            let lacking = sections.filter { $0.values[name] == nil }.map(\.name)
            if !lacking.isEmpty {
                sink.error(
                    .missingValue, at: place,
                    "\(quoted(owner.name)) has the value `\(name)`, \(quotedList(lacking)) "
                        + (lacking.count == 1 ? "has not" : "have not"),
                    mend: "define it under `values` of \(quotedList(lacking)) as well, or remove it")
            }
            if !used.contains(name) {
                sink.warning(
                    .unusedValue, at: place, "nothing uses the value `\(name)`",
                    mend: "write `${\(name)}` where it belongs, or remove it")
            }
        }
    }

    /// The names in all texts of all files; texts that are no good are reported when they are replaced.
    private func usedValues() -> Set<String> {
        var names: Set<String> = []
        for reference in tree.references where !reference.isKey {
            do throws(TextProblem) {
                for case .value(let name, _) in try Substitution.pieces(tree.bytes(Int(reference.node))) {
                    names.insert(name)
                }
            } catch {
                continue
            }
        }
        return names
    }
}
