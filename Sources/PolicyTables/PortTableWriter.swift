internal import Octets

/// Writes the port table of a policy. One use.
struct PortTableWriter {
    private let model: PolicyModel
    private var output: [UInt8] = []

    init(_ model: PolicyModel) { self.model = model }

    /// - Throws: `tooLarge`, `invalidModel`.
    consuming func write() throws(PolicyTableError) -> [UInt8] {
        output = [UInt8](repeating: 0, count: PortLayout.headerBytes)
        try writePorts()
        try writeClients()
        let total = try here()
        output.store(PortLayout.magic, at: 0)
        output.store(TableLayout.version, at: 4)
        output.store(total, at: PortLayout.totalBytes)
        return output
    }

    private mutating func writePorts() throws(PolicyTableError) {
        var rules: [(port: UInt16, service: PortServiceModel)] = []
        for service in model.portServices {
            guard !service.all.isEmpty || !service.any.isEmpty else {
                throw PolicyTableError.invalidModel("`\(service.name)` requires no scope")
            }
            for scope in service.all + service.any { try checkScope(scope, of: service.name) }
            for port in service.ports { rules.append((port, service)) }
        }
        rules.sort { $0.port < $1.port }
        for (one, other) in zip(rules, rules.dropFirst()) where one.port == other.port {
            throw PolicyTableError.invalidModel(
                "`\(one.service.name)` and `\(other.service.name)` have the port \(one.port)")
        }
        var places: [UInt32] = []
        for (port, service) in rules {
            places.append(try here())
            let start = openRecord()
            output.append(littleEndian16: port)
            output.append(littleEndian16: try tableNumber(service.name.utf8.count, "the name of a service"))
            output.append(littleEndian16: try tableNumber(service.all.count, "the scopes of `\(service.name)`"))
            output.append(littleEndian16: try tableNumber(service.any.count, "the scopes of `\(service.name)`"))
            output.append(littleEndian64: UInt64(bitPattern: service.observeUntil ?? Int64.min))
            for scope in service.all + service.any { output.append(littleEndian16: scope) }
            output.append(contentsOf: service.name.utf8)
            closeRecord(start)
        }
        try output.appendDirectory(
            places, count: PortLayout.portCount, at: PortLayout.portDirectory, in: "the port table")
    }

    private mutating func writeClients() throws(PolicyTableError) {
        var clients: [(key: [UInt8], client: CertificateClientModel)] = []
        var names: Set<[UInt8]> = []
        for client in model.certificateClients {
            guard names.insert(Array(client.name.utf8)).inserted else {
                throw PolicyTableError.invalidModel("two clients are named `\(client.name)`")
            }
            clients.append((try key(of: client), client))
        }
        clients.sort { $0.key.lexicographicallyPrecedes($1.key) }
        for (one, other) in zip(clients, clients.dropFirst()) where one.key == other.key {
            throw PolicyTableError.invalidModel(
                "`\(one.client.name)` and `\(other.client.name)` are known by the same name in a certificate")
        }
        var places: [UInt32] = []
        for (key, client) in clients {
            places.append(try here())
            let start = openRecord()
            output.append(key[0])
            output.append(0)
            output.append(littleEndian16: try tableNumber(key.count - 1, "the certificate's name of `\(client.name)`"))
            output.append(littleEndian16: try tableNumber(client.name.utf8.count, "the name of a client"))
            output.append(littleEndian16: try tableNumber(client.scopes.count, "the scopes of `\(client.name)`"))
            for scope in client.scopes { output.append(littleEndian16: scope) }
            for scope in inNameOrder(client.scopes) { output.append(littleEndian16: scope) }
            output.append(contentsOf: key.dropFirst())
            output.append(contentsOf: client.name.utf8)
            closeRecord(start)
        }
        try output.appendDirectory(
            places, count: PortLayout.clientCount, at: PortLayout.clientDirectory, in: "the port table")
    }

    /// What clients are ordered and found by: kind, then the name in the certificate.
    private func key(of client: CertificateClientModel) throws(PolicyTableError) -> [UInt8] {
        for (scope, next) in zip(client.scopes, client.scopes.dropFirst()) where scope >= next {
            throw PolicyTableError.invalidModel("the scopes of `\(client.name)` are not ascending")
        }
        for scope in client.scopes { try checkScope(scope, of: client.name) }
        let kind: IdentityKind
        let text: String
        switch client.identity {
        case .uri(let name): (kind, text) = (.uri, name)
        case .dns(let name): (kind, text) = (.dns, name)
        case .subject(let name): (kind, text) = (.subject, name)
        }
        let bytes = Array(text.utf8)
        guard !bytes.isEmpty else {
            throw PolicyTableError.invalidModel("`\(client.name)` is known by an empty name")
        }
        guard kind != .dns || bytes.allSatisfy({ lowercased($0) == $0 }) else {
            throw PolicyTableError.invalidModel("the DNS name of `\(client.name)` is not in lower case")
        }
        return [kind.rawValue] + bytes
    }

    private func checkScope(_ scope: UInt16, of holder: String) throws(PolicyTableError) {
        guard Int(scope) < model.scopes.count else {
            throw PolicyTableError.invalidModel("`\(holder)` names the scope number \(scope)")
        }
    }

    private func inNameOrder(_ scopes: [UInt16]) -> [UInt16] {
        scopes.sorted {
            model.scopes[Int($0)].name.utf8.lexicographicallyPrecedes(model.scopes[Int($1)].name.utf8)
        }
    }

    // MARK: Parts

    /// Leaves room for the record's check.
    /// - Returns: where the record starts.
    private mutating func openRecord() -> Int {
        let start = output.count
        output.append(littleEndian64: 0)
        return start
    }

    private mutating func closeRecord(_ start: Int) {
        let check = integrityHash(output.span.extracting((start + PortLayout.checkBytes)...))
        output.store(UInt32(truncatingIfNeeded: check), at: start)
        output.store(UInt32(truncatingIfNeeded: check >> 32), at: start + 4)
    }

    private func here() throws(PolicyTableError) -> UInt32 { try tableOffset(output.count, in: "the port table") }
}
