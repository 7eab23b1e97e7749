internal import PolicyTables

/// Reading the routes of one service.
extension ModelReader {
    static let methodBytesMax = 32
    static let methodsMax = 32

    func readRoutes(_ fields: Fields<ServiceKey>, _ context: inout ServiceContext) {
        guard let node = fields[.routes] else {
            sink.error(
                .missingKey, at: fields.position, "a service without `routes`",
                mend: "add `routes:` with at least one; what is not listed is denied")
            return
        }
        guard tree.kind(node) == .sequence, tree.after(node) > node + 1 else {
            _ = list(node, "`routes`", example: "- match: GET /orders")
            return
        }
        let count = tree.memberCount(node)
        context.routes.reserveCapacity(count)
        context.positions.reserveCapacity(count)
        var route = node + 1
        while route < tree.after(node) {
            readRoute(route, &context)
            route = tree.after(route)
        }
    }

    private func readRoute(_ node: Int, _ context: inout ServiceContext) {
        guard let fields = fields(node, RouteKey.self, at: position(node)) else { return }
        let match = readMatch(fields, context)
        let ground = readGround(fields, methods: match?.methods)
        let ports = readRoutePorts(fields, context)
        let bindings = readBindings(fields, match?.segments, ground)
        let demands = readDemands(fields, ground, context)
        let mode = readMode(fields[.mode], fields[.until], fields.keyNode(.until))
        var observeUntil: Int64?
        if case .scopes = ground {
            context.needsToken = true
            switch mode {
            case .unsaid: observeUntil = context.observeUntil
            case .enforce: observeUntil = nil
            case .observe(let until): observeUntil = until
            }
        } else if ground != nil, let key = fields.keyNode(.mode) {
            sink.error(
                .noEffect, at: position(key), "`mode` has no effect on a route that is open to everybody",
                mend: "remove it")
        }
        guard let match else { return }
        let place = fields[.match].map(position) ?? fields.position
        for method in match.methods {
            var route = RouteModel(
                method: method, segments: match.segments, ground: ground ?? .public, ports: ports,
                bindings: bindings, observeUntil: observeUntil, label: match.label ?? method + " " + string(match.path))
            route.proof = demands.proof
            route.demandsNonce = demands.demandsNonce
            route.authenticationContexts = demands.contexts
            route.authenticationAgeSecondsMax = demands.ageSecondsMax
            route.details = demands.details
            context.positions.append(place)
            context.routes.append(route)
        }
    }

    // MARK: Match

    private struct Match {
        var methods: [String]
        /// As written.
        var path: ArraySlice<UInt8>
        /// Method and path, where they are written just so; nil where they have to be put together.
        var label: String?
        /// The service's base path included.
        var segments: [RouteModel.Segment]
    }

    private func readMatch(_ fields: Fields<RouteKey>, _ context: ServiceContext) -> Match? {
        guard let node = fields[.match] else {
            sink.error(
                .missingKey, at: fields.position, "a route without `match`",
                mend: "add `match:` with method and path, as in `match: GET /orders`")
            return nil
        }
        guard tree.isScalar(node) else {
            wrongType(node, "`match` is one text", "write method and path, as in `GET /orders`")
            return nil
        }
        let bytes = tree.bytes(node)
        guard let (methodText, path) = splitMatch(bytes) else {
            let example =
                bytes.first == 0x2F ? "GET " + printable(string(bytes), charactersMax: 80) : "GET /orders"
            sink.error(
                .badMethod, at: position(node), "\(described(node)) is no method and path",
                mend: "write method and path, as in `\(example)`")
            return nil
        }
        let methods = readMethods(methodText, node)
        do throws(TextProblem) {
            let segments = try PathTemplate.read(path)
            let all = context.basePath.isEmpty ? segments : context.basePath + segments
            guard all.count <= PathTemplate.segmentsMax else {
                throw TextProblem(
                    code: .limitExceeded, offset: 0,
                    message:
                        "\(all.count) segments with the base path; \(PathTemplate.segmentsMax) are the most",
                    mend: "end it earlier, with `**` if everything below belongs to it")
            }
            guard let methods else { return nil }
            let isLabel = methods.count == 1 && path.startIndex - methodText.endIndex == 1
            return Match(methods: methods, path: path, label: isLabel ? string(bytes) : nil, segments: all)
        } catch {
            report(error, in: node, offset: path.startIndex - bytes.startIndex)
            return nil
        }
    }

    /// The path starts at the first `/` behind a space; without one, behind the first space.
    private func splitMatch(
        _ text: ArraySlice<UInt8>
    ) -> (methods: ArraySlice<UInt8>, path: ArraySlice<UInt8>)? {
        guard let firstSpace = text.firstIndex(of: 0x20) else { return nil }
        var end = firstSpace
        if let slash = text.firstIndex(of: 0x2F), slash > firstSpace, text[slash - 1] == 0x20 { end = slash }
        while end > text.startIndex, text[end - 1] == 0x20 { end -= 1 }
        let path = text[end...].drop { $0 == 0x20 }
        return end > text.startIndex && !path.isEmpty ? (text[..<end], path) : nil
    }

    private func string(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

    private func readMethods(_ text: ArraySlice<UInt8>, _ node: Int) -> [String]? {
        if let only = plainMethod(text) {
            warn(ofUnknownMethod: only, at: 0, in: node)
            return [only]
        }
        var result: [String] = []
        for part in text.split(separator: 0x2C, omittingEmptySubsequences: false) {
            let offset = part.startIndex - text.startIndex
            if let (message, mend) = whyNoMethod(part) {
                report(TextProblem(code: .badMethod, offset: offset, message: message, mend: mend), in: node)
                return nil
            }
            let method = string(part)
            guard !result.contains(method) else {
                report(
                    TextProblem(
                        code: .duplicateValue, offset: offset,
                        message: "the method \(quoted(method)) is listed twice",
                        mend: "remove one of the two"), in: node)
                return nil
            }
            guard result.count < ModelReader.methodsMax else {
                report(
                    TextProblem(
                        code: .limitExceeded, offset: offset,
                        message: "more than \(ModelReader.methodsMax) methods in one route",
                        mend: "write several routes"), in: node)
                return nil
            }
            warn(ofUnknownMethod: method, at: offset, in: node)
            result.append(method)
        }
        return result
    }

    /// The common case at little cost: one method of capital letters.
    private func plainMethod(_ text: ArraySlice<UInt8>) -> String? {
        guard !text.isEmpty, text.count <= ModelReader.methodBytesMax,
            text.allSatisfy({ $0 >= 0x41 && $0 <= 0x5A })
        else { return nil }
        return string(text)
    }

    private func whyNoMethod(_ method: ArraySlice<UInt8>) -> (message: String, mend: String)? {
        if method.isEmpty {
            return ("an empty method", "write methods as in `GET,POST`, without spaces")
        }
        if method.contains(0x2A) {
            return ("`*` is no method", "list the methods, as in `GET,POST`; what is not listed is denied")
        }
        guard method.count <= ModelReader.methodBytesMax, method.allSatisfy(isTokenCharacter) else {
            return (
                "\(quoted(method)) is no method (RFC 9110 §9.1)",
                "write methods as in `GET,POST`, then a space, then the path"
            )
        }
        if method.contains(where: { $0 >= 0x61 && $0 <= 0x7A }) {
            return (
                "the method \(quoted(method)) is not upper case; methods are compared exactly",
                "write `\(string(method).uppercased())`"
            )
        }
        return nil
    }

    // MARK: Ground

    private func readGround(_ fields: Fields<RouteKey>, methods: [String]?) -> RouteModel.Ground? {
        guard hasOneGround(fields) else { return nil }
        if let node = fields[.public] { return isTrue(node, "`public`") ? .public : nil }
        if let node = fields[.preflight] {
            guard isTrue(node, "`preflight`") else { return nil }
            if let methods, methods != ["OPTIONS"] {
                sink.error(
                    .badMethod, at: fields[.match].map(position) ?? fields.position,
                    "a preflight is an OPTIONS request, this route lists \(quotedList(methods))",
                    mend: "write `match: OPTIONS …`")
            }
            return .preflight
        }
        return fields[.scopes].flatMap { readRequirement($0, of: .route) }
            .map { .scopes(all: $0.all, any: $0.any) }
    }

    private func hasOneGround(_ fields: Fields<RouteKey>) -> Bool {
        let scopes = fields.keyNode(.scopes)
        let open = fields.keyNode(.public)
        let preflight = fields.keyNode(.preflight)
        let count = (scopes != nil ? 1 : 0) + (open != nil ? 1 : 0) + (preflight != nil ? 1 : 0)
        guard count != 1 else { return true }
        let last = max(scopes ?? 0, open ?? 0, preflight ?? 0)
        sink.error(
            count == 0 ? .missingKey : .conflictingKeys, at: count > 1 ? position(last) : fields.position,
            count == 0
                ? "a route that says nothing of who may use it"
                : "a route with two of `scopes`, `public` and `preflight`",
            mend: "write exactly one of `scopes: …`, `public: true` and `preflight: true`")
        return false
    }

    /// What requires scopes.
    enum Requirer: String {
        case route = "a route"
        case service = "a service"

        var mendEmpty: String {
            switch self {
            case .route: "list scopes, or write `public: true` if everybody may use the route"
            case .service: "list at least one scope"
            }
        }
    }

    /// Indices of scopes, ascending.
    struct Requirement: Hashable {
        var all: [UInt16] = []
        var any: [UInt16] = []
    }

    func readRequirement(_ node: Int, of requirer: Requirer) -> Requirement? {
        if tree.kind(node) != .mapping {
            return readRequired(node, "`scopes`", requirer).map { Requirement(all: $0) }
        }
        guard let fields = fields(node, RequirementKey.self, at: position(node)) else { return nil }
        guard fields[.all] != nil || fields[.any] != nil else {
            if tree.after(node) == node + 1 {
                sink.error(
                    .emptyValue, at: position(node), "`scopes` requires nothing", mend: requirer.mendEmpty)
            }
            return nil
        }
        let all = fields[.all].map { readRequired($0, "`all`", requirer) } ?? []
        let any = fields[.any].map { readRequired($0, "`any`", requirer) } ?? []
        guard let all, let any else { return nil }
        return Requirement(all: all, any: any)
    }

    /// Scopes by index, ascending; nil when any of them is wrong.
    private func readRequired(_ node: Int, _ what: String, _ requirer: Requirer) -> [UInt16]? {
        if tree.isScalar(node) { return readRequiredScope(node, requirer).map { shared([$0]) } }
        guard tree.kind(node) == .sequence else {
            wrongType(node, "\(what) is a scope or a list of scopes", "write it as in `[orders:read]`")
            return nil
        }
        guard tree.after(node) > node + 1 else {
            sink.error(
                .emptyValue, at: position(node), "\(what) requires nothing", mend: requirer.mendEmpty)
            return nil
        }
        var seen: [UInt16: Int] = [:]
        var isGood = true
        for member in tree.members(node) {
            guard let index = readRequiredScope(member, requirer) else {
                isGood = false
                continue
            }
            if let first = seen[index] {
                repeated(member, "scope", first: first)
                isGood = false
            }
            seen[index] = member
        }
        return isGood ? shared(seen.keys.sorted()) : nil
    }

    private func readRequiredScope(_ node: Int, _ requirer: Requirer) -> UInt16? {
        guard let name = text(node, "a required scope", example: "orders:read") else { return nil }
        if refuseOldName(name, node, "required") { return nil }
        if let index = scopeIndex[name] { return index }
        if name.utf8.contains(0x2A) {
            sink.error(
                .badWildcard, at: position(node), "\(requirer.rawValue) cannot require the wildcard \(quoted(name))",
                mend: "list the scopes, or declare one scope that the others imply and require that")
        } else if name.utf8.contains(0x20) {
            sink.error(
                .badName, at: position(node), "\(quoted(name)) is no scope: it holds a space",
                mend: "write a list, as in `[orders:read, orders:write]`")
        } else {
            sink.error(
                .unknownScope, at: position(node), "unknown scope \(quoted(name))",
                mend: mendUnknownScope(name))
        }
        return nil
    }

    // MARK: Ports and bindings

    private func readRoutePorts(_ fields: Fields<RouteKey>, _ context: ServiceContext) -> [UInt16] {
        guard let node = fields[.ports], let ports = ports(node, "`ports`") else { return [] }
        guard !context.ports.isEmpty else { return ports }
        for port in ports where !context.ports.contains(port) {
            let open = context.ports.map { String($0) }.joined(separator: ", ")
            sink.error(
                .unreachableRoute, at: position(node),
                "the route can never be reached on port \(port): its service is open on \(open) only",
                mend: "remove the port here, or add it to the service's `ports`")
        }
        return ports
    }

    private func readBindings(
        _ fields: Fields<RouteKey>, _ segments: [RouteModel.Segment]?, _ ground: RouteModel.Ground?
    ) -> [RouteModel.Binding] {
        guard let node = fields[.whereKey], let key = fields.keyNode(.whereKey) else { return [] }
        guard tree.kind(node) == .mapping else {
            wrongType(
                node, "`where` is a mapping of path parameters to claims", "write it as in `{ user: sub }`")
            return []
        }
        guard tree.after(node) > node + 1 else {
            sink.error(
                .emptyValue, at: position(node), "`where` binds nothing",
                mend: "write it as in `{ user: sub }`, or remove it")
            return []
        }
        if ground == .public || ground == .preflight {
            sink.error(
                .noEffect, at: position(key), "`where` has no effect on a route that needs no token",
                mend: "require scopes, or remove it")
        }
        var result: [RouteModel.Binding] = []
        forEachEntry(node) { key, value, name in
            let claim = claimName(value, "the claim of a `where`", example: "sub")
            guard let segments else { return }
            guard let segment = segments.firstIndex(of: .parameter(name)) else {
                sink.error(
                    .unknownParameter, at: position(key), "the path has no parameter \(quoted(name))",
                    mend: mendUnknownParameter(name, segments))
                return
            }
            if let claim { result.append(RouteModel.Binding(segment: segment, claim: claim)) }
        }
        return result.sorted { $0.segment < $1.segment }
    }

    private func mendUnknownParameter(_ name: String, _ segments: [RouteModel.Segment]) -> String {
        let names = segments.compactMap { segment in
            if case .parameter(let name) = segment { name } else { nil }
        }
        let otherwise =
            names.isEmpty
            ? "add `{\(printable(name, charactersMax: 64))}` to the path, or remove the `where`"
            : "the path has \(quotedList(names))"
        return didYouMean(name, among: names, otherwise: otherwise)
    }
}
