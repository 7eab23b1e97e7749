/// Reads the parts of an OpenAPI document that matter here.
final class APIDocumentReader {
    let tree: DocumentTree
    var document = APIDocument()
    /// Server lists by the node that they were read from.
    var serverListIndex: [Int: Int] = [:]
    private var securityIndex: [Int: Int] = [:]
    /// How many schemes, scopes and servers were read. Aliases could name the same ones without end.
    private var mentions = 0

    /// In the order in which people list them.
    static let methods = ["get", "head", "post", "put", "patch", "delete", "options", "trace"]

    init(_ tree: DocumentTree) {
        self.tree = tree
    }

    func read() throws(DocumentError) -> APIDocument {
        guard tree.kind(DocumentTree.root) == .mapping else {
            throw DocumentError("the document is no object", mend: "name an OpenAPI document, JSON or YAML")
        }
        try readFormat()
        let root = DocumentTree.root
        if let info = try tree.member("info", of: root, what: "the document") {
            document.title = try text("title", of: info, what: "`info`")
            document.version = try text("version", of: info, what: "`info`")
        }
        try readSchemes()
        let servers = try readServers(tree.member("servers", of: root, what: "the document")) ?? addServerList([])
        let security =
            try readSecurity(tree.member("security", of: root, what: "the document")) ?? addSecurity(.unstated)
        guard let paths = try tree.member("paths", of: root, what: "the document"), !tree.isNull(paths) else {
            return document
        }
        for path in try tree.entries(paths, what: "`paths`", max: APIDocument.operationsMax)
        where !path.name.hasPrefix("x-") {
            try readPathItem(path.name, path.value, servers: servers, security: security)
        }
        return document
    }

    private func readFormat() throws(DocumentError) {
        let root = DocumentTree.root
        if let swagger = try tree.member("swagger", of: root, what: "the document") {
            throw DocumentError(
                line: tree.line(swagger), "this is Swagger \(visibleLine(tree.string(swagger), charactersMax: 20))",
                mend: "convert it to OpenAPI 3.0 or 3.1 first")
        }
        guard let node = try tree.member("openapi", of: root, what: "the document"), tree.isScalar(node) else {
            throw DocumentError("the document does not say `openapi: 3.…`", mend: "name an OpenAPI document")
        }
        document.format = tree.string(node)
        guard
            ["3.0", "3.1"].contains(document.format) || document.format.hasPrefix("3.0.")
                || document.format.hasPrefix("3.1.")
        else {
            throw DocumentError(
                line: tree.line(node), "OpenAPI \(quoted(document.format)) is not read", mend: "use 3.0 or 3.1")
        }
    }

    private func text(_ name: String, of node: Int, what: String) throws(DocumentError) -> String {
        guard let value = try tree.member(name, of: node, what: what), tree.isScalar(value) else { return "" }
        return tree.beginning(value)
    }

    // MARK: Operations

    private func readPathItem(
        _ path: String, _ node: Int, servers: Int, security: Int
    ) throws(DocumentError) {
        let what = "the path \(quoted(path))"
        guard path.utf8.count <= APIDocument.pathBytesMax else {
            throw DocumentError(
                line: tree.line(node), "\(what) is longer than \(APIDocument.pathBytesMax) bytes",
                mend: "remove it, or shorten the names of its parameters")
        }
        guard !hasSlashInBraces(path) else {
            throw DocumentError(
                line: tree.line(node), "\(what) has a `/` within `{ }`, so nobody can tell its segments",
                mend: "write one parameter for each segment")
        }
        guard !tree.isNull(node) else { return addHidden(path, node, servers: servers) }
        // Beside a reference a path may have operations of its own; which one counts for the same method is undefined.
        let items = try tree.chain(node, what: what)
        for item in items {
            guard let security = try tree.member("security", of: item, what: what) else { continue }
            throw DocumentError(
                line: tree.line(security), "\(what) has `security` beside its operations, where OpenAPI has none",
                mend: "write it within each operation")
        }
        let servers = try readServers(of: items, what) ?? servers
        let before = document.operations.count
        for method in APIDocumentReader.methods {
            var found: Int?
            for item in items {
                guard let operation = try tree.member(method, of: item, what: what) else { continue }
                guard found == nil else {
                    throw DocumentError(
                        line: tree.line(operation), "\(what) has `\(method)` both here and where its `$ref` leads",
                        mend: "keep one: nobody can say which one counts")
                }
                found = operation
            }
            guard let found else { continue }
            try readOperation(method, path, found, servers: servers, security: security)
        }
        if document.operations.count == before { addHidden(path, node, servers: servers) }
    }

    private func readServers(of items: [Int], _ what: String) throws(DocumentError) -> Int? {
        var found: Int?
        for item in items {
            guard let member = try tree.member("servers", of: item, what: what),
                let own = try readServers(member)
            else { continue }
            guard found == nil || found == own else {
                throw DocumentError(
                    line: tree.line(member), "\(what) has `servers` both here and where its `$ref` leads",
                    mend: "keep one: nobody can say which one counts")
            }
            found = own
        }
        return found
    }

    private func hasSlashInBraces(_ path: String) -> Bool {
        var isOpen = false
        for byte in path.utf8 {
            switch byte {
            case 0x7B: isOpen = true
            case 0x7D: isOpen = false
            case 0x2F: if isOpen { return true }
            default: break
            }
        }
        return false
    }

    /// A path without operations is one that is not shown to everybody (OpenAPI 3.1 §4.8.9): no weaker path may answer for
    /// it.
    private func addHidden(_ path: String, _ node: Int, servers: Int) {
        let use = APIDocument.SchemeUse(scheme: "a path without operations", scopes: [])
        document.operations.append(
            APIDocument.Operation(
                method: "GET", path: path, line: tree.line(node), summary: "", isDeprecated: false, isHidden: true,
                servers: servers, security: addSecurity(.alternatives([[use]]))))
    }

    private func readOperation(
        _ method: String, _ path: String, _ node: Int, servers: Int, security: Int
    ) throws(DocumentError) {
        let name = "\(method.uppercased()) \(path)"
        guard document.operations.count < APIDocument.operationsMax else {
            throw DocumentError(
                line: tree.line(node), "the document has more than \(APIDocument.operationsMax) operations",
                mend: "split it")
        }
        let what = quoted(name)
        if let reference = try tree.member("$ref", of: node, what: what) {
            throw DocumentError(
                line: tree.line(reference), "\(what) is a reference, which OpenAPI does not have there",
                mend: "write the operation out, or let the whole path be a reference")
        }
        let own = try readSecurity(tree.member("security", of: node, what: what))
        let ownServers = try readServers(tree.member("servers", of: node, what: what))
        let deprecated = try tree.member("deprecated", of: node, what: what)
        document.operations.append(
            APIDocument.Operation(
                method: method.uppercased(), path: path, line: tree.line(node),
                summary: visibleLine(try text("summary", of: node, what: what), charactersMax: 80),
                isDeprecated: deprecated.map(tree.isTrue) ?? false, servers: ownServers ?? servers,
                security: own ?? security))
    }

    // MARK: Security

    private func readSecurity(_ node: Int?) throws(DocumentError) -> Int? {
        guard let node else { return nil }
        let identity = tree.identity(node)
        if let known = securityIndex[identity] { return known }
        let index = addSecurity(try readAlternatives(node))
        securityIndex[identity] = index
        return index
    }

    private func addSecurity(_ security: APIDocument.Security) -> Int {
        document.securities.append(security)
        return document.securities.count - 1
    }

    private func readAlternatives(_ node: Int) throws(DocumentError) -> APIDocument.Security {
        let members = try tree.members(node, what: "`security`", max: APIDocument.alternativesMax)
        guard !members.isEmpty else { return .open }
        var alternatives: [[APIDocument.SchemeUse]] = []
        for member in members {
            var uses: [APIDocument.SchemeUse] = []
            let entries = try tree.entries(
                member, what: "a member of `security`", max: APIDocument.schemesPerAlternativeMax)
            for entry in entries {
                let scopes = try tree.members(
                    entry.value, what: "the scopes of \(quoted(entry.name))", max: APIDocument.scopesPerSchemeMax)
                for scope in scopes where !tree.isScalar(scope) {
                    throw DocumentError(
                        line: tree.line(scope), "a scope of \(quoted(entry.name)) that is no text", mend: "correct it")
                }
                let bytes = scopes.reduce(entry.name.utf8.count) { $0 + tree.bytes($1).count }
                try count(1 + scopes.count + bytes / APIDocument.mentionBytes, at: entry.key)
                uses.append(APIDocument.SchemeUse(scheme: entry.name, scopes: scopes.map(tree.string)))
            }
            if uses.isEmpty { return .open }
            alternatives.append(uses)
        }
        return .alternatives(alternatives)
    }

    func count(_ mentions: Int, at node: Int) throws(DocumentError) {
        self.mentions += mentions
        guard self.mentions <= APIDocument.mentionsMax else {
            throw DocumentError(
                line: tree.line(node),
                "the document names schemes, scopes and servers more than "
                    + "\(APIDocument.mentionsMax) times", mend: "split it")
        }
    }

    private func readSchemes() throws(DocumentError) {
        guard let components = try tree.member("components", of: DocumentTree.root, what: "the document"),
            !tree.isNull(components),
            let schemes = try tree.member("securitySchemes", of: components, what: "`components`"),
            !tree.isNull(schemes)
        else { return }
        for entry in try tree.entries(schemes, what: "`securitySchemes`", max: APIDocument.schemesMax) {
            let what = "the security scheme \(quoted(entry.name))"
            document.schemes[entry.name] = try readScheme(tree.resolved(entry.value, what: what), what)
        }
    }

    private func readScheme(_ node: Int, _ what: String) throws(DocumentError) -> APIDocument.Scheme {
        switch try text("type", of: node, what: what) {
        case "oauth2": return try readFlows(node, what)
        case "openIdConnect":
            var scheme = APIDocument.Scheme(kind: .token)
            let url = try url("openIdConnectUrl", of: node, what: what)
            if !url.isEmpty { scheme.flows = [[TokenEndpoint(discovery: url)]] }
            return scheme
        case "http":
            let name = try text("scheme", of: node, what: what)
            return APIDocument.Scheme(kind: name.lowercased() == "bearer" ? .token : .other("http \(name)"))
        case "apiKey":
            return APIDocument.Scheme(kind: .other("apiKey in \(try text("in", of: node, what: what))"))
        case let type: return APIDocument.Scheme(kind: .other(type.isEmpty ? "no type" : type))
        }
    }

    private func readFlows(_ node: Int, _ what: String) throws(DocumentError) -> APIDocument.Scheme {
        var scheme = APIDocument.Scheme(kind: .token)
        guard let member = try tree.member("flows", of: node, what: what), !tree.isNull(member) else { return scheme }
        let flows = try tree.resolved(member, what: "`flows`")
        var seen: Set<String> = []
        let named = try tree.entries(flows, what: "`flows`", max: APIDocument.flowsMax)
        for (name, _, value) in named where !name.hasPrefix("x-") && !tree.isNull(value) {
            let flow = try tree.resolved(value, what: quoted(name))
            var endpoints: [TokenEndpoint] = []
            for member in ["authorizationUrl", "tokenUrl"] {
                let url = try url(member, of: flow, what: quoted(name))
                if !url.isEmpty { endpoints.append(TokenEndpoint(endpoint: url)) }
            }
            scheme.flows.append(endpoints)
            guard let scopes = try tree.member("scopes", of: flow, what: quoted(name)), !tree.isNull(scopes) else {
                continue
            }
            let declared = try tree.entries(scopes, what: "`scopes`", max: APIDocument.declaredScopesMax)
            let bytes = declared.reduce(0) { $0 + $1.name.utf8.count }
            try count(declared.count + bytes / APIDocument.mentionBytes, at: scopes)
            for scope in declared where seen.insert(scope.name).inserted {
                scheme.scopes.append(
                    APIDocument.ScopeText(name: scope.name, description: visibleLine(tree.beginning(scope.value))))
            }
        }
        return scheme
    }

    func url(_ name: String, of node: Int, what: String) throws(DocumentError) -> String {
        guard let value = try tree.member(name, of: node, what: what), tree.isScalar(value) else { return "" }
        guard tree.bytes(value).count <= APIDocument.urlBytesMax else {
            throw DocumentError(
                line: tree.line(value), "`\(name)` is longer than \(APIDocument.urlBytesMax) bytes",
                mend: "write a shorter one")
        }
        return tree.string(value)
    }
}
