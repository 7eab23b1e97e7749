/// Compiles a checked model: one record for each client, one catalogue, one table for each host, the metadata of
/// services, and one table for all ports without HTTP. Tables are made on demand, one host at a time, so that a large
/// policy never stands twice in memory.
///
/// The same model gives the same bytes.
public struct PolicyCompiler: Sendable {
    public let model: PolicyModel
    /// Every host once, in byte order; `*.` hosts under that name.
    public let hosts: [String]
    /// Names of the claims that routes bind, in byte order; `RouteBinding.claimIndex` counts here.
    public let boundClaims: [String]
    /// Of all services that publish some, in the order of host and path.
    public let metadata: [ResourceMetadata]

    private let clients: ClientTableWriter
    private let servicesByHost: [[Int]]
    private let claimNumbers: [[UInt8]: UInt16]

    public init(_ model: PolicyModel) throws(PolicyTableError) {
        self.model = model
        var services: [[UInt8]: [Int]] = [:]
        var claims: Set<[UInt8]> = []
        for (index, service) in model.services.enumerated() {
            for host in service.hosts where services[Array(host.utf8)]?.last != index {
                services[Array(host.utf8), default: []].append(index)
            }
            for route in service.routes {
                for binding in route.bindings { claims.insert(Array(binding.claim.utf8)) }
            }
        }
        let names = services.keys.sorted { $0.lexicographicallyPrecedes($1) }
        hosts = names.map { String(decoding: $0, as: UTF8.self) }
        servicesByHost = names.map { services[$0] ?? [] }
        for name in names where name.isEmpty || name.count > TableLayout.hostBytesMax {
            throw .invalidModel("a host has \(name.count) bytes")
        }
        guard claims.count <= Int(UInt16.max) else {
            throw .tooLarge(what: "the list of bound claims", limit: Int(UInt16.max))
        }
        let sortedClaims = claims.sorted { $0.lexicographicallyPrecedes($1) }
        boundClaims = sortedClaims.map { String(decoding: $0, as: UTF8.self) }
        var numbers: [[UInt8]: UInt16] = [:]
        for (number, claim) in sortedClaims.enumerated() { numbers[claim] = UInt16(number) }
        claimNumbers = numbers
        metadata = try model.resourceMetadata()
        clients = try ClientTableWriter(model)
    }

    /// Clients that are known by their identifier.
    public var clientCount: Int { clients.count }

    /// A client by its place in the order of the store's keys: of issuer and identifier.
    func client(_ index: Int) -> ClientModel { clients.client(index) }

    /// The bytes of that client's record.
    public func clientRecord(_ index: Int) throws(PolicyTableError) -> [UInt8] { try clients.write(index) }

    /// The catalogue's bytes.
    public func catalogue() throws(PolicyTableError) -> [UInt8] {
        try CatalogueWriter(model).write(claims: boundClaims.map { Array($0.utf8) }, hosts: hosts.count)
    }

    /// The bytes of the table of `hosts[index]`.
    public func hostTable(_ index: Int) throws(PolicyTableError) -> [UInt8] {
        try HostTableWriter(
            model, host: hosts[index], services: servicesByHost[index], claims: claimNumbers
        ).write()
    }

    /// The bytes of the port table; nil when the policy has no service without HTTP.
    public func portTable() throws(PolicyTableError) -> [UInt8]? {
        model.portServices.isEmpty ? nil : try PortTableWriter(model).write()
    }

    /// Compiles everything and keeps nothing: what `PolicyStore.add` would refuse is thrown here.
    public func check() throws(PolicyTableError) {
        for index in 0..<clientCount { _ = try clientRecord(index) }
        _ = try catalogue()
        for index in hosts.indices { _ = try hostTable(index) }
        _ = try portTable()
    }
}
