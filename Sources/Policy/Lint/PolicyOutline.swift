/// Where the names of a policy stand in its files, and what clients and roles list there letter by letter: the model has
/// neither.
struct PolicyOutline {
    struct Listing {
        var name: String
        var place: SourcePlace
    }

    struct Client {
        var place: SourcePlace
        /// What it lists itself, wildcards and all.
        var scopes: [Listing] = []
        /// In the order of the source; `until` is where its end stands.
        var grants: [(place: SourcePlace, scopes: [Listing])] = []
        var until: SourcePlace?
    }

    struct Service {
        var place: SourcePlace
        var ends: SourcePlace?
        /// How many segments `base_path` has.
        var baseDepth = 0
    }

    private(set) var start: SourcePlace
    private(set) var scopes: [String: SourcePlace] = [:]
    private(set) var scopeEnds: [String: SourcePlace] = [:]
    private(set) var services: [String: Service] = [:]
    private(set) var clients: [String: Client] = [:]
    private(set) var roles: [String: [Listing]] = [:]

    /// - Parameters:
    ///   - files: each one that the language takes; others are left out.
    ///   - environment: whose roles and clients count too.
    init(files: [LintFile], environment: String?) {
        start = SourcePlace(file: files.first?.label ?? "", line: 1, column: 1)
        for file in files {
            guard let tree = FileTree(file.bytes, file: file.label).tree else { continue }
            let part = FileOutline(tree: tree, file: file.label)
            for (key, value) in part.entries(0) {
                if part.tree.bytes(key).equals("environments"), let environment {
                    for (name, body) in part.entries(value) where part.tree.string(name) == environment {
                        for (key, value) in part.entries(body) { take(part, key, value) }
                    }
                } else {
                    take(part, key, value)
                }
            }
        }
    }

    private mutating func take(_ file: FileOutline, _ key: Int, _ value: Int) {
        switch file.tree.string(key) {
        case "scopes":
            for (name, body) in file.entries(value) { takeScope(file, name, body) }
        case "services":
            for (name, body) in file.entries(value) { takeService(file, name, body) }
        case "clients":
            for (name, body) in file.entries(value) { takeClient(file, name, body) }
        case "roles":
            for (name, body) in file.entries(value) {
                roles[file.tree.string(name)] = file.value(of: "scopes", in: body).map(file.listings) ?? []
            }
        default: break
        }
    }

    private mutating func takeScope(_ file: FileOutline, _ name: Int, _ body: Int) {
        let text = file.tree.string(name)
        scopes[text] = file.place(name)
        if let until = file.value(of: "until", in: body) { scopeEnds[text] = file.place(until) }
        guard let replaced = file.value(of: "replaces", in: body) else { return }
        for old in file.listings(replaced) where scopes[old.name] == nil { scopes[old.name] = old.place }
    }

    private mutating func takeService(_ file: FileOutline, _ name: Int, _ body: Int) {
        var service = Service(place: file.place(name))
        service.ends = file.value(of: "ends", in: body).map(file.place)
        if let path = file.value(of: "base_path", in: body) {
            service.baseDepth = file.tree.bytes(path).split(separator: 0x2F).count
        }
        services[file.tree.string(name)] = service
    }

    private mutating func takeClient(_ file: FileOutline, _ name: Int, _ body: Int) {
        var client = Client(place: file.place(name))
        client.scopes = file.value(of: "scopes", in: body).map(file.listings) ?? []
        client.until = file.value(of: "until", in: body).map(file.place)
        for grant in file.value(of: "grants", in: body).map(file.tree.members) ?? [] {
            let listed = [file.value(of: "scope", in: grant), file.value(of: "scopes", in: grant)]
            client.grants.append((file.place(grant), listed.compactMap { $0 }.flatMap(file.listings)))
        }
        clients[file.tree.string(name)] = client
    }
}

/// One file of a policy with its text.
public struct LintFile: Sendable {
    /// How messages name it.
    public var label: String
    public var bytes: [UInt8]

    public init(label: String, bytes: [UInt8]) {
        self.label = label
        self.bytes = bytes
    }
}

/// One file's tree; what is not of the expected kind is empty.
private struct FileOutline {
    let tree: SyntaxTree
    let file: String

    func place(_ node: Int) -> SourcePlace {
        let position = tree.position(node)
        return SourcePlace(file: file, line: position.line, column: position.column)
    }

    /// Keys and values of a mapping.
    func entries(_ node: Int) -> [(key: Int, value: Int)] {
        guard tree.kind(node) == .mapping else { return [] }
        var result: [(key: Int, value: Int)] = []
        var key = node + 1
        while key < tree.after(node) {
            let value = tree.after(key)
            if tree.isScalar(key) { result.append((key, value)) }
            key = tree.after(value)
        }
        return result
    }

    func value(of name: StaticString, in node: Int) -> Int? {
        entries(node).first { tree.bytes($0.key).equals(name) }?.value
    }

    /// One text, or those of a list.
    func listings(_ node: Int) -> [PolicyOutline.Listing] {
        let nodes = tree.isScalar(node) ? [node] : tree.members(node).filter(tree.isScalar)
        return nodes.map { PolicyOutline.Listing(name: tree.string($0), place: place($0)) }
    }
}
