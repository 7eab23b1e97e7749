public import PolicyTables

/// What a policy comes to on ports without HTTP: which service is on them, and which clients it lets in.
public struct EffectiveConnections: Sendable {
    public struct Port: Sendable, Equatable {
        public var service: String
        public var ports: [UInt16]
        public var all: [EffectiveTable.Requirement]
        public var any: [EffectiveTable.Requirement]
        /// Unix seconds; nil enforces.
        public var observeUntil: Int64?
        /// Names of the clients that may connect, in the order of the policy.
        public var clients: [String]
    }

    public struct Client: Sendable, Equatable {
        public var name: String
        public var identity: CertificateClientModel.Identity
        /// Everything that it holds, in the order of the policy's scopes.
        public var scopes: [String]
    }

    /// In the order of the policy, as are the clients.
    public var ports: [Port]
    public var clients: [Client]
}

extension EffectiveConnections {
    /// - Parameter accepted: for each scope the names of those that grant it.
    init(_ model: PolicyModel, accepted: [[String]]) {
        func requirements(_ scopes: [UInt16]) -> [EffectiveTable.Requirement] {
            scopes.map { EffectiveTable.Requirement(scope: model.scopes[Int($0)].name, accepted: accepted[Int($0)]) }
        }
        var holders = [[Int]](repeating: [], count: model.scopes.count)
        for (client, one) in model.certificateClients.enumerated() {
            for scope in one.scopes { holders[Int(scope)].append(client) }
        }
        ports = model.portServices.map { service in
            Port(
                service: service.name, ports: service.ports, all: requirements(service.all),
                any: requirements(service.any), observeUntil: service.observeUntil,
                clients: EffectiveConnections.admitted(by: service, holders).map { model.certificateClients[$0].name })
        }
        clients = model.certificateClients.map { client in
            Client(
                name: client.name, identity: client.identity, scopes: client.scopes.map { model.scopes[Int($0)].name })
        }
    }

    private static func admitted(by service: PortServiceModel, _ holders: [[Int]]) -> [Int] {
        var sets = service.all.map { Set(holders[Int($0)]) }
        if !service.any.isEmpty { sets.append(Set(service.any.flatMap { holders[Int($0)] })) }
        sets.sort { $0.count < $1.count }
        guard let first = sets.first else { return [] }
        return first.filter { client in sets.dropFirst().allSatisfy { $0.contains(client) } }.sorted()
    }
}

extension EffectiveConnections.Port {
    /// `read:metrics (or metrics:admin); observed until …`.
    public var requirementText: String {
        EffectiveTable.requirementText(all: all, any: any, observeUntil: observeUntil)
    }
}

extension CertificateClientModel.Identity {
    /// The key of the policy that says it.
    public var kind: String {
        switch self {
        case .uri: "uri"
        case .dns: "dns"
        case .subject: "subject"
        }
    }

    public var text: String {
        switch self {
        case .uri(let text), .dns(let text), .subject(let text): text
        }
    }
}

extension EffectiveConnections {
    /// Columns for people: the ports, then the clients; empty where the policy has neither.
    var text: String {
        var parts: [String] = []
        if !ports.isEmpty {
            let rows = ports.map {
                [
                    $0.service, $0.ports.map { String($0) }.joined(separator: ","), $0.requirementText,
                    $0.clients.isEmpty ? "nobody" : $0.clients.joined(separator: ", "),
                ]
            }
            parts.append(columns(["SERVICE", "TCP PORTS", "REQUIRES", "CLIENTS"], rows))
        }
        if !clients.isEmpty {
            let rows = clients.map {
                [$0.name, "\($0.identity.kind) \($0.identity.text)", $0.scopes.joined(separator: " ")]
            }
            parts.append(columns(["CLIENT", "CERTIFICATE", "HOLDS"], rows))
        }
        return parts.joined(separator: "\n")
    }

    func write(to writer: inout JSONText) {
        writer.array("connections", ports) { writer, port in writer.object { port.write(to: &$0) } }
        writer.array("clients", clients) { writer, client in
            writer.object {
                $0.member("client", client.name)
                $0.object("certificate") { $0.member(client.identity.kind, client.identity.text) }
                $0.member("scopes", client.scopes)
            }
        }
    }
}

extension EffectiveConnections.Port {
    fileprivate func write(to writer: inout JSONText) {
        writer.member("service", service)
        writer.array("ports", ports) { writer, port in writer.element(Int(port)) }
        writer.array("all", all) { writer, one in writer.object { one.write(to: &$0) } }
        writer.array("any", any) { writer, one in writer.object { one.write(to: &$0) } }
        writer.member("mode", observeUntil == nil ? "enforce" : "observe")
        if let observeUntil { writer.member("until", timeText(observeUntil)) }
        writer.member("clients", clients)
    }
}

/// Text in columns under headings, one line for each row; the last column is not padded.
func columns(_ headings: [String], _ rows: [[String]]) -> String {
    var widths = headings.map(\.count)
    for row in rows {
        for column in row.indices { widths[column] = max(widths[column], row[column].count) }
    }
    var result = ""
    for row in [headings] + rows {
        for (column, cell) in row.enumerated() {
            result += cell
            if column == row.count - 1 { break }
            result += String(repeating: " ", count: widths[column] - cell.count + 2)
        }
        result += "\n"
    }
    return result
}
