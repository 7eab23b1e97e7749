internal import PolicyTables

/// Walks a tree and builds the model, reporting everything that breaks a rule of the language. Values that
/// are wrong are left out of the model, which is only handed on when nothing was wrong at all.
final class ModelReader {
    let tree: SyntaxTree
    let sink: DiagnosticSink
    let lines: LineIndex
    /// Unix seconds, for dates that have passed.
    let now: Int64
    /// The folder that relative paths of key files start from; nil leaves them as they are.
    let folder: String?

    var model = PolicyModel()
    var tests: [PolicyTest] = []
    var issuerIndex: [String: UInt16] = [:]
    var issuerPositions: [SourcePosition] = []
    /// Some issuer is not in the model; what refers to issuers is then not reported for that.
    var hasBrokenIssuer = false
    var scopeIndex: [String: UInt16] = [:]
    var scopePositions: [SourcePosition] = []
    var servicePositions: [SourcePosition] = []
    /// For each client of the model that is known by certificate the place of its name.
    var clientPositions: [SourcePosition] = []
    /// What is gathered of scopes before they can be expanded.
    var scopeNotes = ScopeNotes()
    /// Issuers that say what becomes of clients that the policy does not list.
    var issuersWithRule: Set<UInt16> = []
    /// Roles, and what is gathered of clients. Not lazy: changing what is in a lazy property copies it.
    var approvals = Approvals()
    /// The service and the place that a port of a `kind: tcp` service was first listed at.
    var portOwners: [UInt16: (service: String, position: SourcePosition)] = [:]
    /// For each `kind: tcp` service of the model the scopes that it requires and where they stand.
    var portRequirements: [[(scope: UInt16, position: SourcePosition)]] = []
    var clientIdentities: [CertificateClientModel.Identity: SourcePosition] = [:]
    /// Each demand on `authorization_details` by its bytes: Unicode knows different bytes as the same text.
    var detailIndex: [[[UInt8]]: UInt16] = [:]
    /// Where metadata is published, by host and path, and by whom.
    var metadataPlaces: [String: (service: String, resource: String, position: SourcePosition)] = [:]
    private let progress: PolicyProgress?
    /// Mappings read so far, for `progress`.
    private var mappingCount = 0
    /// Lists of required scopes, each once: most routes require what many others do.
    private var requiredLists: Set<[UInt16]> = []
    /// For each service the place of each of its routes, in the order of the model.
    var routePositions: [[SourcePosition]] = []

    init(
        tree: SyntaxTree, sink: DiagnosticSink, lines: LineIndex, now: Int64, folder: String?,
        progress: PolicyProgress? = nil
    ) {
        self.tree = tree
        self.sink = sink
        self.lines = lines
        self.now = now
        self.folder = folder
        self.progress = progress
    }

    /// The sections of a file, which must say first which language it is written in.
    /// - Returns: nil when the file is no mapping, which is reported.
    func readHead(_ root: Int) -> Fields<TopKey>? {
        guard let fields = fields(root, TopKey.self, at: tree.position(root)) else { return nil }
        readVersion(fields)
        return fields
    }

    /// Everything but `scopecheck` and `environments`, which are read before.
    func readSections(_ fields: Fields<TopKey>) {
        if let node = fields[.issuers] { readIssuers(node) }
        if let node = fields[.scopes] { readScopes(node) }
        finishScopes()
        if let node = fields[.services] {
            readServices(node)
        } else {
            sink.error(
                .missingKey, at: fields.position, "the policy has no `services`",
                mend: "add `services:` with at least one service; what is not listed is denied")
        }
        if let node = fields[.publications] { readPublications(node) }
        if let node = fields[.publishers] { readPublishers(node) }
        if let node = fields[.roles] { readRoles(node) }
        if let node = fields[.clients] { readClients(node) }
        finishClients()
        if let node = fields[.tests] { readTests(node) }
        checkRoutes()
        if sink.errorCount == 0 {
            warnOfUnused()
            warnOfClosedPorts()
            warnOfClients()
            checkTestClients()
        }
    }

    private func readVersion(_ fields: Fields<TopKey>) {
        guard let node = fields[.scopecheck] else {
            sink.error(
                .missingKey, at: fields.position,
                "the \(sink.text.parts.count == 1 ? "policy" : "file") does not say which language it is written in",
                mend: "start it with `scopecheck: 1`")
            return
        }
        guard tree.kind(node) != .refused else { return }
        guard tree.kind(node) == .plain, tree.bytes(node).equals("1") else {
            guard tree.kind(node) != .quoted || !tree.bytes(node).equals("1") else {
                sink.error(
                    .badVersion, at: tree.position(node), "`1` stands in quotes, which makes a text of it",
                    mend: "write `scopecheck: 1`")
                return
            }
            sink.error(
                .badVersion, at: tree.position(node),
                "this build does not know the policy language \(described(node))",
                mend: "write `scopecheck: 1`, or use a build that knows it")
            return
        }
    }

    // MARK: Mappings

    /// The keys of a mapping that must be one. Reports unknown and repeated ones.
    /// - Parameter position: where to point at when a key is missing.
    func fields<Key: MappingKey>(_ node: Int, _ type: Key.Type, at position: SourcePosition) -> Fields<Key>? {
        guard tree.kind(node) == .mapping else {
            wrongType(node, "\(Key.owner) is a mapping of keys to values", "write `key: value` pairs")
            return nil
        }
        mappingCount += 1
        if let progress, mappingCount & 0xFFF == 0 { progress(.checking, node, tree.count) }
        var result = Fields<Key>(position: position)
        var key = node + 1
        while key < tree.after(node) {
            let value = tree.after(key)
            if let index = keyIndex(key, Key.self) {
                if let first = result.key(at: index) {
                    duplicateKey(key, first: first)
                } else {
                    result.set(index, key: key, value: value)
                }
            }
            key = tree.after(value)
        }
        return result
    }

    private func keyIndex<Key: MappingKey>(_ node: Int, _ type: Key.Type) -> Int? {
        guard isTextKey(node) else { return nil }
        let text = tree.bytes(node)
        for (index, name) in Key.names.enumerated() where text.equals(name) { return index }
        reportUnknownKey(node, Key.self)
        return nil
    }

    /// Whether a key is plain text; reports it when not.
    func isTextKey(_ node: Int) -> Bool {
        switch tree.kind(node) {
        case .refused: return false
        case .sequence, .mapping:
            sink.error(
                .keyNotText, at: tree.position(node), "a key must be text",
                mend: "write a name before the `:`; quote it if it holds brackets")
            return false
        case .plain:
            guard tree.bytes(node).equals("<<") else { return true }
            sink.error(
                .mergeKey, at: tree.position(node), "the merge key `<<` is refused",
                mend: "write the keys out where they are needed")
            return false
        case .quoted: return true
        }
    }

    func duplicateKey(_ node: Int, first: Int) {
        let (here, there) = (tree.position(node), tree.position(first))
        sink.error(
            .duplicateKey, at: here,
            "the key \(quoted(tree.bytes(node))) stands twice, first in \(sink.lineName(of: there, from: here))",
            mend: "keep one of the two",
            notes: [Diagnostic.Note(position: there, message: "the first one")])
    }

    private func reportUnknownKey<Key: MappingKey>(_ node: Int, _ type: Key.Type) {
        let name = tree.string(node)
        if keysNotEnforced.contains(name) {
            sink.error(
                .notEnforced, at: tree.position(node), "`\(name)` is not enforced by this build",
                mend: "remove it, or use a build that enforces it; it is never ignored")
            return
        }
        let known = Key.names.map { "\($0)" }
        sink.error(
            .unknownKey, at: tree.position(node), "unknown key \(quoted(name)) in \(Key.owner)",
            mend: mendUnknownKey(name, known: known, owner: Key.owner))
    }

    private func mendUnknownKey(_ name: String, known: [String], owner: String) -> String {
        if owner == RouteKey.owner, name.contains(" /") {
            return "quote the whole match, as in `match: \"GET,POST /path\"`: a `,` ends a value inside `{ }`"
        }
        if owner == CertificateKey.owner, name.contains("=") {
            return "quote the whole subject, as in `subject: 'CN=a,O=b'`: a `,` ends a value inside `{ }`"
        }
        if owner == IntrospectionKey.owner, ["secret", "client_secret", "password", "key"].contains(name) {
            return "write it into a file and name that with `secret_file` or `key_file`; a policy holds no secrets"
        }
        if owner == ClientKey.owner, CertificateKey.names.contains(where: { "\($0)" == name }) {
            return "write it below `certificate`, as in `certificate: { \(name): … }`"
        }
        if let owners = keyOwners[name], !owners.contains(owner) {
            return "it belongs in \(owners.joined(separator: " or ")); "
                + "known here: \(quotedList(known, namesMax: 20))"
        }
        return didYouMean(name, among: known, otherwise: "known keys are \(quotedList(known, namesMax: 20))")
    }

    // MARK: Values

    func position(_ node: Int) -> SourcePosition { tree.position(node) }

    func report(_ problem: TextProblem, in node: Int, offset: Int = 0) {
        let place = lines.position(of: offset + problem.offset, in: tree.bytes(node), at: position(node))
        sink.error(problem.code, at: place, problem.message, mend: problem.mend)
    }

    /// Reports a value of the wrong shape, unless it was reported before.
    func wrongType(_ node: Int, _ rule: String, _ mend: String) {
        guard tree.kind(node) != .refused else { return }
        sink.error(.wrongType, at: position(node), "\(rule), this is \(described(node))", mend: mend)
    }

    func described(_ node: Int) -> String {
        switch tree.kind(node) {
        case .sequence: "a list"
        case .mapping: "a mapping"
        case .refused: "refused"
        case .plain, .quoted: tree.bytes(node).isEmpty ? "empty" : quoted(tree.bytes(node))
        }
    }

    /// Longer than any description or file name has reason to be; what the compiled policy holds is bounded.
    static let textBytesMax = 4_096

    /// The text of a value that must be text and not empty; `what` as in "`audience` of a service".
    func text(
        _ node: Int, _ what: String, example: String, bytesMax: Int = ModelReader.textBytesMax
    ) -> String? {
        guard tree.isScalar(node) else {
            wrongType(node, "\(what) is one text", "write one value, as in `\(example)`")
            return nil
        }
        guard !tree.bytes(node).isEmpty else {
            sink.error(
                .emptyValue, at: position(node), "\(what) is empty", mend: "write a value, as in `\(example)`"
            )
            return nil
        }
        guard tree.bytes(node).count <= bytesMax else {
            sink.error(
                .limitExceeded, at: position(node),
                "\(what) has \(tree.bytes(node).count) bytes, \(bytesMax) are the most", mend: "write less")
            return nil
        }
        return tree.string(node)
    }

    /// The members of a value that must be a list and not empty.
    func list(_ node: Int, _ what: String, example: String) -> [Int]? {
        guard tree.kind(node) == .sequence else {
            wrongType(node, "\(what) is a list", "write a list, as in `\(example)`")
            return nil
        }
        let members = tree.members(node)
        guard !members.isEmpty else {
            sink.error(
                .emptyValue, at: position(node), "\(what) is an empty list",
                mend: "write a list, as in `\(example)`")
            return nil
        }
        return members
    }

    /// A list, or one value that stands for a list of one.
    func listOrOne(_ node: Int, _ what: String, example: String) -> [Int]? {
        if tree.isScalar(node) { return [node] }
        return list(node, what, example: example)
    }

    /// Whether the value is the boolean `true`, the only thing that it may be.
    func isTrue(_ node: Int, _ what: String) -> Bool {
        guard tree.kind(node) != .refused else { return false }
        if tree.kind(node) == .plain, tree.bytes(node).equals("true") { return true }
        let isFalse = tree.kind(node) == .plain && tree.bytes(node).equals("false")
        sink.error(
            .wrongType, at: position(node), "\(what) can only be `true`, this is \(described(node))",
            mend: isFalse ? "remove the key" : "write `true` without quotes, or remove the key")
        return false
    }

    /// TCP ports, ascending, each once.
    func ports(_ node: Int, _ what: String) -> [UInt16]? {
        portNodes(node, what).map { $0.map(\.port) }
    }

    /// The same with the place of each.
    func portNodes(_ node: Int, _ what: String) -> [(port: UInt16, node: Int)]? {
        guard let members = list(node, what, example: "[443, 8443]") else { return nil }
        var seen: [UInt16: Int] = [:]
        var isGood = true
        for member in members {
            guard tree.kind(member) == .plain, let value = decimal(tree.bytes(member)), value >= 1,
                let port = UInt16(exactly: value)
            else {
                isGood = false
                guard tree.kind(member) != .refused else { continue }
                sink.error(
                    .badPort, at: position(member), "\(described(member)) is no port",
                    mend: "write a number from 1 to 65535 without quotes")
                continue
            }
            if let first = seen[port] {
                repeated(member, "port", first: first)
                isGood = false
            }
            seen[port] = member
        }
        return isGood ? seen.sorted { $0.key < $1.key }.map { (port: $0.key, node: $0.value) } : nil
    }

    /// The same list, sharing its memory with equal ones.
    func shared(_ scopes: [UInt16]) -> [UInt16] { requiredLists.insert(scopes).memberAfterInsert }

    /// Reports a value that stands twice in one list.
    func repeated(_ node: Int, _ what: String, first: Int) {
        sink.error(
            .duplicateValue, at: position(node), "the \(what) \(quoted(tree.bytes(node))) is listed twice",
            mend: "remove one of the two",
            notes: [Diagnostic.Note(position: position(first), message: "the first one")])
    }

    /// Visits keys and values of a mapping whose keys are names of the policy's own; reports repeated ones.
    func forEachEntry(_ node: Int, _ body: (_ key: Int, _ value: Int, _ name: String) -> Void) {
        var seen: [String: Int] = [:]
        var key = node + 1
        while key < tree.after(node) {
            let value = tree.after(key)
            if isTextKey(key) {
                let name = tree.string(key)
                if let first = seen[name] {
                    duplicateKey(key, first: first)
                } else {
                    seen[name] = key
                    body(key, value, name)
                }
            }
            key = tree.after(value)
        }
    }
}
