internal import Policy
public import PolicyTables

extension DriftReport {
    /// What an OpenAPI document says against the policy in force.
    /// - Parameters:
    ///   - service: of the policy.
    ///   - schemes: the security schemes that are this policy's tokens; empty takes all that are access tokens.
    ///   - serverVariables: values of server variables that are meant, by name, in place of all that the document lists.
    ///   - now: Unix seconds; scopes and observe modes end.
    /// - Throws: when the policy has no such service, or the document cannot be compared.
    public init(
        openAPI document: APIDocument, model: PolicyModel, service: String, schemes: [String] = [],
        serverVariables: [String: [String]] = [:], now: Int64
    ) throws(DocumentError) {
        self.init(service: service)
        let index = try DriftReport.index(of: service, in: model)
        let hosts = model.services[index].hosts
        var options = ImportOptions()
        options.service = "published"
        // Which hosts are published is looked at by itself; paths are compared on those that the policy has.
        options.hosts = ["published.invalid"]
        options.takesServerDefaults = true
        options.schemes = schemes
        options.serverVariables = serverVariables
        let draft = try ServiceDraft(document, options)
        try reportUnknownHosts(document, hosts, serverVariables)
        let places = try PublishedHosts(document, hosts: hosts, chosen: serverVariables)
        var operations: [PublishedOperation] = []
        for route in draft.routes {
            let basePath = draft.services[route.service].place.basePath
            guard let hostList = places.list(document.operations[route.operation].servers, basePath) else { continue }
            let operation = document.operations[route.operation]
            let label = draft.name(of: route)
            if let problem = route.pattern.problem {
                add(
                    .notComparable, label, "\(problem), so that no route can say it",
                    mend: "look at it by hand", line: operation.line)
                continue
            }
            operations.append(
                PublishedOperation(
                    method: operation.method, segments: route.segments.map(\.shapeInTrie), label: label,
                    line: operation.line, requirement: draft.requirements[route.requirement], hostList: hostList))
        }
        OperationComparison(model, service: index, hostLists: places.lists, now: now).compare(operations, &self)
    }

    /// What a manifest says: a policy file of one service, as that service publishes it.
    public init(
        manifest bytes: [UInt8], file: String, model: PolicyModel, service: String, now: Int64
    ) throws(DocumentError) {
        self.init(service: service)
        let index = try DriftReport.index(of: service, in: model)
        guard bytes.count <= publishedDocumentBytesMax else {
            throw DocumentError("the manifest is too long", mend: "publish one service in it")
        }
        let (published, hasIssuers) = try DriftReport.manifest(bytes, file: file)
        guard published.services.count == 1, let own = published.services.first, published.portServices.isEmpty else {
            throw DocumentError(
                "the manifest has \(published.services.count + published.portServices.count) services",
                mend: "publish one service with HTTP in it")
        }
        let whole = try PublishedService(
            own, issuers: hasIssuers && !own.issuers.isEmpty ? own.issuerNames(published) : nil)
        let inForce = model.services[index]
        compare(whole, inForce, model, now: now)
        let names = published.scopes.map(\.name)
        let operations = own.routes.map { route -> PublishedOperation in
            var requirement = PublishedRequirement()
            switch route.ground {
            case .preflight, .public: requirement.isOpen = true
            case .scopes(let all, let any):
                let common = all.map { names[Int($0)] }
                requirement.alternatives = PublishedRequirement.minimal(
                    any.isEmpty ? [common] : any.map { scope in Array(Set(common + [names[Int(scope)]])).sorted() })
            }
            return PublishedOperation(
                method: route.method, segments: route.segments.map(\.shapeInTrie), label: route.label, line: nil,
                requirement: requirement, hostList: 0,
                ports: route.ports.isEmpty ? whole.ports : PortSet(listed: route.ports),
                demands: RouteDemands(route, published), isPreflight: route.isPreflight)
        }
        let served = own.hosts.filter { DriftReport.isServed($0, by: inForce.hosts) }
        OperationComparison(
            model, service: index, hostLists: [served.isEmpty ? inForce.hosts : served], manifest: whole, now: now
        ).compare(operations, &self)
    }

    /// A service file may leave its issuers to another file of the policy: then they are none of its own.
    private static func manifest(
        _ bytes: [UInt8], file: String
    ) throws(DocumentError) -> (model: PolicyModel, hasIssuers: Bool) {
        if let model = loadPolicy(source: bytes, file: file, now: 0).model { return (model, true) }
        let whole = bytes + [0x0A] + Array(ServiceImport.standInIssuer.utf8)
        if let model = loadPolicy(source: whole, file: file, now: 0).model { return (model, false) }
        let policy = loadPolicy(source: bytes, file: file, now: 0)
        let first = policy.diagnostics.first { $0.severity == .error }
        throw DocumentError(
            line: first?.line, "the manifest has errors: \(first?.message ?? "it cannot be read")",
            mend: first?.mend ?? "check it with `scopecheck policy check`")
    }

    static func index(of service: String, in model: PolicyModel) throws(DocumentError) -> Int {
        if let index = model.services.firstIndex(where: { $0.name == service }) { return index }
        let names = model.services.map(\.name)
        throw DocumentError(
            "the policy has no service \(quoted(service))",
            mend: names.isEmpty ? "it has none with HTTP" : "it has \(quotedList(names))")
    }

    private mutating func reportUnknownHosts(
        _ document: APIDocument, _ hosts: [String], _ chosen: [String: [String]]
    ) throws(DocumentError) {
        var seen: Set<String> = []
        for server in document.serverLists.joined() {
            let published = try ServerURLs(server, chosen: chosen).urls.compactMap { url -> String? in
                guard case .place(let host?, _, _) = ServerPlace.read(url), !ServerPlace.isLoopback(host) else {
                    return nil
                }
                return host
            }
            // Values of variables stand for environments, of which the policy may be for one.
            let isOneOfThem = server.variables.contains { $0.values.count != 1 && chosen[$0.name] == nil }
            if isOneOfThem, published.contains(where: { DriftReport.isServed($0, by: hosts) }) { continue }
            for host in published where !DriftReport.isServed(host, by: hosts) && seen.insert(host).inserted {
                add(
                    .hostUnknown, host, "it is published as a server, and the policy's service does not have it",
                    mend: "add it to `hosts`, or correct the document's `servers`", line: server.line)
            }
        }
    }

    /// `*.example.com` serves every host with one label in place of the star.
    static func isServed(_ host: String, by hosts: [String]) -> Bool {
        if hosts.contains(host) { return true }
        guard let dot = host.firstIndex(of: ".") else { return false }
        return hosts.contains("*" + host[dot...])
    }
}
