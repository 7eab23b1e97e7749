/// A JSON or YAML document as one flat array of nodes in source order: a collection is followed by its members, a
/// mapping by key, value, key, value.
///
/// A YAML alias is a node that says which node it stands for; nothing is expanded, so that a document of nested aliases
/// costs what its text does. Whoever walks the tree sees the node that is meant.
final class DocumentTree {
    enum Kind: UInt8 {
        /// JSON's `null`, numbers and booleans, YAML's plain scalars.
        case plain
        case quoted
        case sequence
        case mapping
        case alias
    }

    struct Node {
        var kind: Kind
        var line: UInt32
        /// Of a scalar, within `text`; of an alias, the node that it stands for.
        var start: UInt32
        var count: UInt32
        /// The first node after this one and all that it holds.
        var end: UInt32
    }

    /// The largest public documents have about a million.
    static let nodesMax = 4 << 20
    static let depthMax = 128
    /// Mappings up to this size are searched as they stand.
    private static let searchedMax = 16
    /// Nodes looked at in searches, for a whole document: aliases and references lead to one place without end. As many
    /// as an operation for each few bytes of the longest document would need.
    static let stepsMax = 1 << 27

    private(set) var nodes: [Node] = []
    private(set) var text: [UInt8] = []
    private var indexes: [Int: [String: Int]] = [:]
    /// The members of sequences that were asked for one by its number.
    private var elements: [Int: [UInt32]] = [:]
    /// Nodes that were looked at in searches.
    private(set) var stepCount = 0
    /// Bytes that were copied out as texts: aliases let many places have one long text.
    private(set) var copiedBytes = 0

    static let root = 0
    static let beginningBytesMax = 2_048

    // MARK: Looking

    /// The node itself, or what an alias stands for.
    private func meant(_ node: Int) -> Int {
        nodes[node].kind == .alias ? Int(nodes[node].start) : node
    }

    /// The same number for a node and all aliases of it.
    func identity(_ node: Int) -> Int { meant(node) }

    func kind(_ node: Int) -> Kind { nodes[meant(node)].kind }

    func line(_ node: Int) -> Int { Int(nodes[node].line) }

    func isScalar(_ node: Int) -> Bool {
        let kind = kind(node)
        return kind == .plain || kind == .quoted
    }

    /// The text of a scalar, empty for anything else.
    func string(_ node: Int) -> String {
        copy(bytes(node))
    }

    /// Its first bytes, for people to read.
    func beginning(_ node: Int) -> String {
        copy(bytes(node).prefix(DocumentTree.beginningBytesMax))
    }

    private func copy(_ bytes: ArraySlice<UInt8>) -> String {
        copiedBytes += bytes.count
        return String(decoding: bytes, as: UTF8.self)
    }

    func bytes(_ node: Int) -> ArraySlice<UInt8> {
        let node = nodes[meant(node)]
        guard node.kind == .plain || node.kind == .quoted else { return [] }
        return text[Int(node.start)..<Int(node.start) + Int(node.count)]
    }

    func isNull(_ node: Int) -> Bool {
        kind(node) == .plain && ["", "null", "~", "Null", "NULL"].contains(string(node))
    }

    func isTrue(_ node: Int) -> Bool {
        kind(node) == .plain && ["true", "True", "TRUE"].contains(string(node))
    }

    /// The members of a sequence, or an error when there are more than are taken.
    func members(_ node: Int, what: String, max: Int) throws(DocumentError) -> [Int] {
        let list = meant(node)
        guard nodes[list].kind == .sequence else {
            throw DocumentError(
                line: line(node), "\(what) is no list", mend: "correct the document; it is read as OpenAPI 3.0 or 3.1")
        }
        var result: [Int] = []
        var member = list + 1
        while member < Int(nodes[list].end) {
            guard result.count < max else {
                throw DocumentError(
                    line: line(node), "\(what) has more than \(max) members", mend: "split the document")
            }
            result.append(member)
            member = Int(nodes[member].end)
        }
        return result
    }

    /// The entries of a mapping in order; one key twice is an error.
    func entries(
        _ node: Int, what: String, max: Int
    ) throws(DocumentError) -> [(name: String, key: Int, value: Int)] {
        let mapping = try mapping(node, what: what)
        var result: [(name: String, key: Int, value: Int)] = []
        var seen: Set<String> = []
        var key = mapping + 1
        while key < Int(nodes[mapping].end) {
            let value = Int(nodes[key].end)
            guard result.count < max else {
                throw DocumentError(
                    line: line(node), "\(what) has more than \(max) entries", mend: "split the document")
            }
            let name = try name(key)
            guard seen.insert(name).inserted else { throw repeated(name, key) }
            result.append((name, key, value))
            key = Int(nodes[value].end)
        }
        return result
    }

    /// The value of a mapping's key; nil when it has none.
    func member(_ name: String, of node: Int, what: String) throws(DocumentError) -> Int? {
        let mapping = try mapping(node, what: what)
        try spend(1, at: node)
        if let index = indexes[mapping] { return index[name] }
        var found: Int?
        var count = 0
        var key = mapping + 1
        let wanted = Array(name.utf8)
        while key < Int(nodes[mapping].end) {
            count += 1
            guard count <= DocumentTree.searchedMax else { return try indexed(mapping)[name] }
            let value = Int(nodes[key].end)
            try refuseMerge(key)
            if isScalar(key), bytes(key).elementsEqual(wanted) {
                guard found == nil else { throw repeated(name, key) }
                found = value
            }
            key = Int(nodes[value].end)
        }
        try spend(count, at: node)
        return found
    }

    /// Before or behind work that is bounded by itself.
    private func spend(_ steps: Int, at node: Int) throws(DocumentError) {
        stepCount += steps
        guard stepCount <= DocumentTree.stepsMax else {
            throw DocumentError(
                line: line(node),
                "reading the document takes more than \(DocumentTree.stepsMax) steps: its references "
                    + "and aliases lead to the same places too often",
                mend: "split it, or write out what they stand for")
        }
    }

    private func indexed(_ mapping: Int) throws(DocumentError) -> [String: Int] {
        var index: [String: Int] = [:]
        var key = mapping + 1
        while key < Int(nodes[mapping].end) {
            let value = Int(nodes[key].end)
            let name = try name(key)
            guard index.updateValue(value, forKey: name) == nil else { throw repeated(name, key) }
            key = Int(nodes[value].end)
        }
        indexes[mapping] = index
        try spend(index.count, at: mapping)
        return index
    }

    /// The member of a sequence with this number, from 0.
    func element(_ number: Int?, of node: Int) throws(DocumentError) -> Int? {
        let list = meant(node)
        guard let number, nodes[list].kind == .sequence else { return nil }
        try spend(1, at: node)
        if let members = elements[list] { return number < members.count ? Int(members[number]) : nil }
        var members: [UInt32] = []
        var member = list + 1
        while member < Int(nodes[list].end) {
            members.append(UInt32(clamping: member))
            member = Int(nodes[member].end)
        }
        elements[list] = members
        try spend(members.count, at: node)
        return number < members.count ? Int(members[number]) : nil
    }

    private func mapping(_ node: Int, what: String) throws(DocumentError) -> Int {
        let mapping = meant(node)
        guard nodes[mapping].kind == .mapping else {
            throw DocumentError(
                line: line(node), "\(what) is no object",
                mend: "correct the document; it is read as OpenAPI 3.0 or 3.1")
        }
        return mapping
    }

    /// What a merge key brings in is not looked at; a `security` among it would be missed.
    private func refuseMerge(_ key: Int) throws(DocumentError) {
        guard kind(key) == .plain, bytes(key).elementsEqual([0x3C, 0x3C]) else { return }
        throw DocumentError(
            line: line(key), "the merge key `<<` is not read", mend: "write the keys out: OpenAPI has no merge keys")
    }

    private func name(_ key: Int) throws(DocumentError) -> String {
        try refuseMerge(key)
        guard isScalar(key) else {
            throw DocumentError(line: line(key), "a key that is no text", mend: "write each key as one text")
        }
        return string(key)
    }

    private func repeated(_ name: String, _ key: Int) -> DocumentError {
        DocumentError(
            line: line(key), "the key \(quoted(name)) stands twice in one object",
            mend: "remove one of the two: readers differ in which one counts")
    }

    // MARK: Building

    /// - Returns: the new node, or nil when there are too many.
    func append(_ kind: Kind, line: Int) -> Int? {
        guard nodes.count < DocumentTree.nodesMax else { return nil }
        let node = nodes.count
        nodes.append(
            Node(kind: kind, line: UInt32(clamping: line), start: 0, count: 0, end: UInt32(clamping: node + 1)))
        return node
    }

    func appendScalar(_ kind: Kind, line: Int, text bytes: some Collection<UInt8>) -> Bool {
        guard let node = append(kind, line: line) else { return false }
        nodes[node].start = UInt32(clamping: text.count)
        nodes[node].count = UInt32(clamping: bytes.count)
        text.append(contentsOf: bytes)
        return true
    }

    func appendAlias(of node: Int, line: Int) -> Bool {
        guard let alias = append(.alias, line: line) else { return false }
        // What an alias stands for is never one itself: anchors stand on scalars and collections.
        nodes[alias].start = UInt32(clamping: meant(node))
        return true
    }

    func close(_ node: Int) { nodes[node].end = UInt32(clamping: nodes.count) }

    static func tooMany(line: Int) -> DocumentError {
        DocumentError(
            line: line, "the document has more than \(nodesMax) values", mend: "split it")
    }

    static func tooDeep(line: Int) -> DocumentError {
        DocumentError(
            line: line, "nested deeper than \(depthMax) levels",
            mend: "no OpenAPI document needs that: look at what made it")
    }
}
