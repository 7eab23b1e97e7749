/// A document's operations as routes of services, before they are written.
struct ServiceDraft {
    struct Service {
        var name: String
        var place: ServerPlace
        /// Indices into `routes`, in the order of the document.
        var routes: [Int] = []
    }

    struct Route {
        enum State: Equatable {
            case open
            case scopes(ScopeFormula)
            /// The reason.
            case leftOut(String)
            /// The operation that is the same request, requires the same, and stands for it.
            case covered(by: String)
        }

        var operation: Int
        var service: Int
        /// Without the base path.
        var pattern: PathPattern
        /// With it.
        var segments: [PathPattern.Segment]
        var requirement: Int
        var state: State
        /// The document lets in more than the policy does.
        var isStricter = false
    }

    let document: APIDocument
    let options: ImportOptions
    /// One for each of the document's securities.
    private(set) var requirements: [PublishedRequirement] = []
    var services: [Service] = []
    var routes: [Route] = []
    /// Paths that are listed only so that a weaker path does not answer for them: service and path.
    var shields: [(service: Int, pattern: PathPattern)] = []
    private var servers: ServerPlaces
    /// Whether the formula of one requirement implies another requirement; those that were asked for.
    var implications: [IndexPair: Bool] = [:]
    private var remarks: [String: ImportRemark] = [:]
    private var remarkOrder: [String] = []

    static let routesMax = 200_000
    /// Compiled they are one for each host.
    static let routeHostsMax = 1 << 20
    static let servicesMax = 64
    /// Looking for ambiguous paths decides nothing: it ends early.
    static let ambiguityStepsMax = 1 << 20

    init(_ document: APIDocument, _ options: ImportOptions) throws(DocumentError) {
        self.document = document
        self.options = options
        servers = ServerPlaces(options)
        try checkOptions()
        let authorities = TokenAuthorities(document.schemes)
        let tokenSchemes = Set(options.schemes)
        requirements = document.securities.map {
            PublishedRequirement($0, document.schemes, authorities, tokenSchemes: tokenSchemes)
        }
        try addRoutes()
        try servers.check(services.map(\.place))
        for cluster in clusters() { try settle(cluster) }
        remarkOnRoutes()
    }

    /// In the order in which they came up, reservations first.
    var allRemarks: [ImportRemark] {
        let all = remarkOrder.compactMap { remarks[$0] }
        return all.filter(\.isReservation) + all.filter { !$0.isReservation }
    }

    /// Alternatives whose tokens the routes take, one list for each requirement of operations.
    var usesOfSchemes: [[[APIDocument.SchemeUse]]] {
        Set(document.operations.map(\.security)).map { index in
            let requirement = requirements[index]
            return requirement.uses + (options.defaultScope == nil ? [] : requirement.usesWithoutScopes)
        }
    }

    private func checkOptions() throws(DocumentError) {
        for name in options.schemes {
            guard let scheme = document.schemes[name] else {
                throw DocumentError(
                    "the document has no security scheme \(quoted(name))",
                    mend: "it has \(quotedList(document.schemes.keys.sorted()))")
            }
            guard scheme.kind == .token else {
                throw DocumentError(
                    "the security scheme \(quoted(name)) is no access token",
                    mend: "name one of type oauth2, openIdConnect or http bearer")
            }
        }
        let variables = Set(document.serverLists.joined().flatMap(\.variables).map(\.name))
        for name in options.serverVariables.keys.sorted() where !variables.contains(name) {
            throw DocumentError(
                "the document has no server variable \(quoted(name))",
                mend: "it has \(quotedList(variables.sorted()))")
        }
        if let scope = options.defaultScope, !PublishedRequirement.isScope(scope) {
            throw DocumentError(
                "\(quoted(scope)) is no scope (RFC 6749 §3.3)",
                mend: "use printable ASCII but space, `\"`, `\\` and `*`")
        }
        for host in options.hosts where !ServerPlace.isHost(host.hasPrefix("*.") ? String(host.dropFirst(2)) : host) {
            throw DocumentError(
                "\(quoted(host)) is no host", mend: "write a name in lower case, without scheme, port and path")
        }
        if let name = options.service, ServiceDraft.serviceName(name) != name {
            throw DocumentError(
                "\(quoted(name)) is no name of a service", mend: "use 1 to 64 letters, digits, `_`, `-` and `.`")
        }
    }

    // MARK: Remarks

    mutating func remark(_ kind: ImportRemark.Kind, _ reason: String, operation: String? = nil) {
        let key = kind.rawValue + " " + reason
        if remarks[key] == nil {
            remarks[key] = ImportRemark(kind: kind, reason: reason, operations: [], count: 0)
            remarkOrder.append(key)
        }
        guard let operation else { return }
        remarks[key]?.count += 1
        if let count = remarks[key]?.operations.count, count < ImportRemark.operationsMax {
            remarks[key]?.operations.append(operation)
        }
    }

    func name(of route: Route) -> String {
        let operation = document.operations[route.operation]
        return visibleLine("\(operation.method) \(operation.path)", charactersMax: 160)
    }

    private mutating func remarkOnRoutes() {
        var seen: Set<Int> = []
        for route in routes {
            let isFirst = seen.insert(route.operation).inserted
            let name = name(of: route)
            if case .leftOut(let reason) = route.state {
                if isFirst { remark(.leftOut, reason, operation: name) }
                continue
            }
            if case .covered(let other) = route.state {
                if isFirst { remark(.note, "the same request as `\(other)`, which stands for it", operation: name) }
                continue
            }
            guard isFirst else { continue }
            let requirement = requirements[route.requirement]
            if requirement.isUnstated {
                remark(.unstated, "the document says nothing of its security, which means everybody", operation: name)
            }
            for reason in requirement.leftOut { remark(.stricter, "not expressible: \(reason)", operation: name) }
            if route.isStricter {
                remark(
                    .stricter, "its alternatives are no `all` and `any` of scopes; some of them are left out",
                    operation: name)
            }
            if requirement.takesAnyToken {
                let scope = options.defaultScope.map { "the scope \(quoted($0)) is required" } ?? "that is left out"
                remark(.stricter, "the document asks for a token without naming scopes; \(scope)", operation: name)
            }
            if route.pattern.hasLongParameter {
                remark(.note, "a parameter's name says it holds slashes; here it is one segment", operation: name)
            }
        }
    }

    // MARK: Routes

    private mutating func addRoutes() throws(DocumentError) {
        defer { for (kind, reason) in servers.remarks { remark(kind, reason) } }
        var serviceOfPlace: [ServerPlace: Int] = [:]
        var placesOfList: [Int: [ServerPlace]] = [:]
        var bases: [[PathPattern.Segment]] = []
        var hostsLeft = ServiceDraft.routeHostsMax
        var pattern = PathPattern("/")
        for index in document.operations.indices {
            let operation = document.operations[index]
            // Operations of one path stand together.
            if index == 0 || !document.operations[index - 1].path.utf8.elementsEqual(operation.path.utf8) {
                pattern = PathPattern(operation.path)
            }
            if placesOfList[operation.servers] == nil {
                placesOfList[operation.servers] = try servers.places(document.serverLists[operation.servers])
            }
            for place in placesOfList[operation.servers] ?? [] {
                let service = serviceOfPlace[place] ?? services.count
                if service == services.count {
                    guard services.count < ServiceDraft.servicesMax else {
                        throw DocumentError(
                            "the servers come to more than \(ServiceDraft.servicesMax) services",
                            mend: "name the hosts with --host")
                    }
                    serviceOfPlace[place] = service
                    services.append(Service(name: nextName(place), place: place))
                    bases.append(place.basePath.isEmpty ? [] : PathPattern(place.basePath).segments)
                }
                guard routes.count < ServiceDraft.routesMax else {
                    throw DocumentError(
                        "the document comes to more than \(ServiceDraft.routesMax) routes",
                        mend: "name the hosts with --host, or split it")
                }
                hostsLeft -= place.hosts.count
                guard hostsLeft >= 0 else {
                    throw DocumentError(
                        "the routes come to more than \(ServiceDraft.routeHostsMax), counted once for each host",
                        mend: "name the hosts that are meant with --host, or say with --server-variable")
                }
                services[service].routes.append(routes.count)
                routes.append(route(index, service, pattern, base: bases[service]))
            }
        }
    }

    private func route(
        _ index: Int, _ service: Int, _ path: PathPattern, base: [PathPattern.Segment]
    ) -> Route {
        let operation = document.operations[index]
        let requirement = requirements[operation.security]
        var pattern = path
        if base.count + pattern.segments.count > PathPattern.segmentsMax {
            pattern.problem = pattern.problem ?? "its path has more segments than any that is decided on"
            pattern.isNeverRequested = true
        }
        var route = Route(
            operation: index, service: service, pattern: pattern, segments: base + pattern.segments,
            requirement: operation.security, state: .open)
        if let problem = pattern.problem {
            route.state = .leftOut(problem)
            return route
        }
        if requirement.isOpen {
            let isDenied = requirement.isUnstated && options.deniesUnstated
            if isDenied { route.state = .leftOut("the document says nothing of its security") }
            return route
        }
        var alternatives = requirement.alternatives
        if requirement.takesAnyToken, let scope = options.defaultScope {
            alternatives = PublishedRequirement.minimal(alternatives + [[scope]])
        }
        guard let (formula, isExact) = ScopeFormula.formula(of: alternatives) else {
            let noScope = "it asks for a token without naming scopes; --default-scope says which one then"
            route.state = .leftOut(
                requirement.takesAnyToken ? noScope : "not expressible: " + requirement.leftOut.joined(separator: "; "))
            return route
        }
        route.state = .scopes(formula)
        route.isStricter = !isExact
        return route
    }

    // MARK: Names

    private func nextName(_ place: ServerPlace) -> String {
        let first = options.service ?? ServiceDraft.serviceName(document.title) ?? "api"
        guard !services.isEmpty else { return first }
        let tail = ServiceDraft.serviceName(place.basePath) ?? "\(services.count + 1)"
        let name = String("\(first.prefix(40))-\(tail)".prefix(60))
        return services.contains { $0.name == name } ? "\(name.prefix(56))-\(services.count + 1)" : name
    }

    /// `Orders API` becomes `orders-api`; nil when nothing is left. A name that is one already stays as it is.
    static func serviceName(_ text: String) -> String? {
        let isName =
            (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { isNameByte($0) || $0 == 0x2D || $0 == 0x5F || $0 == 0x2E }
        if isName, text.utf8.contains(where: isNameByte) { return text }
        let words = text.lowercased().split { !$0.utf8.allSatisfy(isNameByte) }
        let name = words.joined(separator: "-").prefix(48)
        return name.isEmpty ? nil : String(name)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: false
        }
    }
}

extension ServiceDraft.Route {
    var isLeftOut: Bool {
        switch state {
        case .leftOut, .covered: true
        case .open, .scopes: false
        }
    }
}
