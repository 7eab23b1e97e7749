internal import PolicyTables

extension TopKey {
    /// What stands below it is a list, not a mapping of names.
    fileprivate var isList: Bool { self == .issuers || self == .tests }
}

/// Joins the sections of several files, and of one environment, into the tree of one policy, and puts the environment's
/// values in their places.
struct Composition {
    /// A section as it stands in one file, or in an environment.
    struct Section {
        var key: Int
        var value: Int
    }

    private let forest: SyntaxTree
    private let sink: DiagnosticSink
    private let lines: LineIndex

    init(forest: SyntaxTree, sink: DiagnosticSink, lines: LineIndex) {
        self.forest = forest
        self.sink = sink
        self.lines = lines
    }

    /// - Parameters:
    ///   - heads: the top-level keys of each file.
    ///   - environment: nil for a policy that has none.
    /// - Returns: a tree with one root and each section at most once. What two files define, stands in it twice, and is
    ///   reported by whoever reads the section.
    mutating func tree(_ heads: [Fields<TopKey>], _ environment: EnvironmentSection?) -> SyntaxTree {
        var tree = SyntaxTree(likeOf: forest, nodesMax: forest.count + 2 * TopKey.allCases.count + 1)
        let root = tree.append(.mapping, at: forest.position(0))
        for name in TopKey.allCases where name != .scopecheck && name != .environments {
            var sections = heads.compactMap { head in
                head.keyNode(name).flatMap { key in head[name].map { Section(key: key, value: $0) } }
            }
            switch name {
            case .roles: sections += environment?.roles ?? []
            case .clients: sections += environment?.clients ?? []
            default: break
            }
            append(sections, name, to: &tree)
        }
        tree.close(root)
        var substitution = Substitution(values: environment?.values, environment: environment?.name)
        substitution.run(on: &tree, sink: sink, lines: lines)
        return tree
    }

    private func append(_ sections: [Section], _ name: TopKey, to tree: inout SyntaxTree) {
        guard let first = sections.first else { return }
        tree.append(copyOf: first.key, from: forest)
        guard sections.count > 1 else { return tree.append(copyOf: first.value, from: forest) }
        let kind: SyntaxTree.Kind = name.isList ? .sequence : .mapping
        let good = sections.filter { forest.kind($0.value) == kind }
        guard !good.isEmpty else { return tree.append(copyOf: first.value, from: forest) }
        for section in sections { checkShape(section, name, kind) }
        let node = tree.append(kind, at: forest.position(good[0].value))
        for section in good { tree.append(copyOfMembersOf: section.value, from: forest) }
        tree.close(node)
    }

    /// What the section's own reader would say of it, did it not stand among others.
    private func checkShape(_ section: Section, _ name: TopKey, _ kind: SyntaxTree.Kind) {
        let label = "\(TopKey.names[name.rawValue])"
        let position = forest.position(section.value)
        guard forest.kind(section.value) == kind else {
            guard forest.kind(section.value) != .refused else { return }
            sink.error(
                .wrongType, at: position, "`\(label)` is a \(kind == .mapping ? "mapping of names" : "list")",
                mend: "write it as the other files do, or remove it")
            return
        }
        let mayBeEmpty = name == .scopes || name == .tests
        guard forest.after(section.value) > section.value + 1 || mayBeEmpty else {
            sink.error(
                .emptyValue, at: position, "`\(label)` is empty", mend: "list something below it, or remove it")
            return
        }
    }
}
