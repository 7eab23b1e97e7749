/// Where operations are served.
extension APIDocumentReader {
    /// - Returns: index into the document's `serverLists`; nil where none are said.
    func readServers(_ node: Int?) throws(DocumentError) -> Int? {
        guard let node, !tree.isNull(node) else { return nil }
        let identity = tree.identity(node)
        if let known = serverListIndex[identity] { return known }
        let members = try tree.members(node, what: "`servers`", max: APIDocument.serversMax)
        guard !members.isEmpty else { return nil }
        var servers: [APIDocument.Server] = []
        try count(members.count * 16, at: node)
        for member in members { servers.append(try readServer(member)) }
        let index = addServerList(servers)
        serverListIndex[identity] = index
        return index
    }

    func addServerList(_ servers: [APIDocument.Server]) -> Int {
        document.serverLists.append(servers)
        return document.serverLists.count - 1
    }

    private func readServer(_ node: Int) throws(DocumentError) -> APIDocument.Server {
        guard try tree.member("url", of: node, what: "a server") != nil else {
            throw DocumentError(line: tree.line(node), "a server has no `url`", mend: "give it one in the document")
        }
        let template = try url("url", of: node, what: "a server")
        var server = APIDocument.Server(line: tree.line(node))
        let variables = try tree.member("variables", of: node, what: "a server")
        var rest = Substring(template)
        while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
            server.parts.append(.text(String(rest[..<open])))
            let name = String(rest[rest.index(after: open)..<close])
            if let known = server.variables.firstIndex(where: { $0.name == name }) {
                server.parts.append(.variable(known))
            } else {
                server.parts.append(.variable(server.variables.count))
                server.variables.append(try readVariable(name, variables, node))
            }
            rest = rest[rest.index(after: close)...]
        }
        server.parts.append(.text(String(rest)))
        server.url = server.url { $0.defaultValue }
        return server
    }

    private func readVariable(
        _ name: String, _ variables: Int?, _ server: Int
    ) throws(DocumentError) -> APIDocument.ServerVariable {
        let what = "the variable \(quoted(name))"
        guard let variables, let node = try tree.member(name, of: variables, what: "`variables`"),
            let value = try tree.member("default", of: node, what: what), tree.isScalar(value)
        else {
            throw DocumentError(
                line: tree.line(server), "the server variable \(quoted(name)) has no default",
                mend: "give it one in the document")
        }
        var variable = APIDocument.ServerVariable(name: name, defaultValue: try url("default", of: node, what: what))
        guard let list = try tree.member("enum", of: node, what: what) else { return variable }
        let members = try tree.members(
            list, what: "`enum` of \(what)", max: APIDocument.serverVariableValuesMax)
        guard !members.isEmpty else { return variable }
        variable.values = [variable.defaultValue]
        try count(members.count, at: list)
        for member in members {
            guard tree.isScalar(member), tree.bytes(member).count <= APIDocument.urlBytesMax else {
                throw DocumentError(
                    line: tree.line(member), "a value of \(what) that is no text, or too long", mend: "correct it")
            }
            let value = tree.string(member)
            if !variable.values.contains(value) { variable.values.append(value) }
        }
        return variable
    }
}
