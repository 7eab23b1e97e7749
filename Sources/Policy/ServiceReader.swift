internal import PolicyTables

/// Reading `services`, but for their routes.
extension ModelReader {
    static let hostsMax = 10_000
    static let routesMax = 16_777_216

    /// What a service's routes are read with.
    struct ServiceContext {
        var name: String
        var ports: [UInt16] = []
        var basePath: [RouteModel.Segment] = []
        var observeUntil: Int64?
        /// What routes demand that do not say otherwise.
        var proof = ProofDemand.none
        /// The service says something of `proof`, right or wrong.
        var hasProof = false
        /// Tokens come in the `Authorization` header.
        var takesHeader = true
        /// Some route needs a token.
        var needsToken = false
        var routes: [RouteModel] = []
        var positions: [SourcePosition] = []
    }

    func readServices(_ node: Int) {
        guard tree.kind(node) == .mapping else {
            wrongType(
                node, "`services` is a mapping of names to services", "write `orders:` and its keys below it")
            return
        }
        guard tree.after(node) > node + 1 else {
            sink.error(
                .emptyValue, at: position(node), "`services` is empty",
                mend: "list at least one service; what is not listed is denied")
            return
        }
        forEachEntry(node) { key, value, name in
            let bytes = tree.bytes(key)
            if bytes.isEmpty || bytes.count > 64 || !bytes.allSatisfy(isNameCharacter) {
                sink.error(
                    .badName, at: position(key), "\(quoted(name)) is no name of a service",
                    mend: "use 1 to 64 letters, digits, `_`, `-` and `.`")
            }
            readService(value, key, name)
        }
    }

    private func readService(_ node: Int, _ key: Int, _ name: String) {
        guard let fields = fields(node, ServiceKey.self, at: position(key)) else { return }
        switch readKind(fields) {
        case .http: readHTTPService(fields, key, name)
        case .tcp: readPortService(fields, key, name)
        case nil: return
        }
    }

    private enum ServiceKind {
        case http, tcp
    }

    /// - Returns: nil when nobody can say which of its keys are wrong; it has been reported.
    private func readKind(_ fields: Fields<ServiceKey>) -> ServiceKind? {
        guard let node = fields[.kind] else { return .http }
        let isLikeHTTP = fields[.routes] != nil || fields[.hosts] != nil
        guard let name = text(node, "`kind`", example: "tcp") else { return isLikeHTTP ? .http : nil }
        switch name {
        case "http": return .http
        case "tcp": return .tcp
        default:
            sink.error(
                .badChoice, at: position(node), "unknown kind of service \(quoted(name))",
                mend: didYouMean(
                    name, among: ["http", "tcp"],
                    otherwise: "write `tcp` for ports without HTTP; without `kind` it is `http`"))
            return isLikeHTTP ? .http : nil
        }
    }

    private func readHTTPService(_ fields: Fields<ServiceKey>, _ key: Int, _ name: String) {
        if let key = fields.keyNode(.scopes) {
            sink.error(
                .wrongKind, at: position(key), "`scopes` of a service that is not `kind: tcp`",
                mend: "write `scopes` on each route, or `kind: tcp` if there is no HTTP on its ports")
        }
        let before = sink.errorCount
        var context = ServiceContext(name: name)
        let hosts = readHosts(fields)
        if let node = fields[.ports] { context.ports = ports(node, "`ports`") ?? [] }
        context.basePath = readBasePath(fields)
        let tokenSource = readTokenSource(fields)
        let publicPort = readPublicPort(fields)
        context.takesHeader = tokenSource == .header
        context.hasProof = fields[.proof] != nil
        context.proof = readServiceProof(fields, isHeader: context.takesHeader)
        if case .observe(let until) = readMode(fields[.mode], fields[.until], fields.keyNode(.until)) {
            context.observeUntil = until
        }
        readRoutes(fields, &context)
        let errorCount = sink.errorCount
        let resource = readResource(fields, hosts: hosts, name: name)
        if let resource, let node = fields[.resource], sink.errorCount == errorCount {
            addMetadataRoute(resource, node, &context)
        }
        let issuers = readServiceIssuers(fields, name: name, needsToken: context.needsToken)
        let audience = readServiceAudience(fields, issuers: issuers)
        servicePositions.append(position(key))
        routePositions.append(context.positions)
        var service = ServiceModel(
            name: name, hosts: hosts, ports: context.ports, issuers: issuers, audience: audience,
            tokenSource: tokenSource, routes: context.routes)
        service.publicPort = publicPort
        service.forwardsToken = readForwardToken(fields, isHeader: context.takesHeader)
        service.hasTransactionToken = readTransactionToken(
            fields, context.routes, isGood: sink.errorCount == before)
        service.resource = resource
        service.until = readEnd(fields, name)
        model.services.append(service)
    }

    private func readHosts(_ fields: Fields<ServiceKey>) -> [String] {
        guard let node = fields[.hosts] else {
            sink.error(
                .missingKey, at: fields.position, "a service without `hosts`",
                mend: "add `hosts: [api.example.com]`")
            return []
        }
        guard let members = list(node, "`hosts`", example: "[api.example.com]") else { return [] }
        guard members.count <= ModelReader.hostsMax else {
            sink.error(
                .limitExceeded, at: position(node), "more than \(ModelReader.hostsMax) hosts in one service",
                mend: "use `*.example.com`, or several services")
            return []
        }
        var seen: [String: Int] = [:]
        var result: [String] = []
        for member in members {
            guard tree.isScalar(member) else {
                wrongType(
                    member, "a host is one text",
                    "write a name; quote an address in brackets, as in `\"[::1]\"`")
                continue
            }
            do {
                try HostName.check(tree.bytes(member))
            } catch {
                report(error, in: member)
                continue
            }
            let host = tree.string(member)
            if let first = seen[host] {
                repeated(member, "host", first: first)
                continue
            }
            seen[host] = member
            result.append(host)
        }
        return result
    }

    private func readBasePath(_ fields: Fields<ServiceKey>) -> [RouteModel.Segment] {
        fields[.basePath].map { basePath($0) } ?? []
    }

    func basePath(_ node: Int) -> [RouteModel.Segment] {
        guard let text = text(node, "`base_path`", example: "/v1"), text != "/" else { return [] }
        do throws(TextProblem) {
            let segments = try PathTemplate.read(tree.bytes(node))
            if segments.last == .literal("") {
                let shorter = printable(String(text.dropLast()), charactersMax: 80)
                throw TextProblem(
                    code: .badPath, offset: max(0, tree.bytes(node).count - 1),
                    message: "`base_path` ends with `/`", mend: "write `\(shorter)`")
            }
            for segment in segments {
                guard case .literal = segment else {
                    throw TextProblem(
                        code: .badPath, offset: 0, message: "`base_path` has a parameter or `**`",
                        mend: "move it into each route's `match`")
                }
            }
            return segments
        } catch {
            report(error, in: node)
            return []
        }
    }

    private func readTokenSource(_ fields: Fields<ServiceKey>) -> ServiceModel.TokenSource {
        guard let node = fields[.tokenFrom] else { return .header }
        let mend = "write `header`, `{ cookie: NAME }` or `{ websocket_protocol: MARKER }`"
        if tree.isScalar(node) {
            if !tree.bytes(node).equals("header") {
                sink.error(
                    .badChoice, at: position(node), "unknown `token_from` \(described(node))", mend: mend)
            }
            return .header
        }
        guard let source = self.fields(node, TokenSourceKey.self, at: position(node)) else { return .header }
        if source[.cookie] != nil, let second = source.keyNode(.webSocketProtocol) {
            sink.error(.conflictingKeys, at: position(second), "`token_from` names two places", mend: mend)
            return .header
        }
        if let node = source[.cookie] {
            return token(node, "`cookie`", "session").map { .cookie($0) } ?? .header
        }
        if let node = source[.webSocketProtocol] {
            return token(node, "`websocket_protocol`", "bearer").map { .webSocketProtocol($0) } ?? .header
        }
        if tree.after(node) == node + 1 {
            sink.error(.emptyValue, at: position(node), "`token_from` names no place", mend: mend)
        }
        return .header
    }

    /// An RFC 9110 token: the name of a cookie or of a subprotocol.
    private func token(_ node: Int, _ what: String, _ example: String) -> String? {
        guard let text = text(node, what, example: example) else { return nil }
        let bytes = tree.bytes(node)
        guard bytes.count <= 128, bytes.allSatisfy(isTokenCharacter) else {
            sink.error(
                .badName, at: position(node), "\(quoted(text)) cannot be sent as \(what)",
                mend: "use 1 to 128 letters, digits and ``!#$%&'*+-.^_`|~``")
            return nil
        }
        return text
    }

    /// From when on the whole service is denied.
    private func readEnd(_ fields: Fields<ServiceKey>, _ name: String) -> Int64? {
        guard let node = fields[.ends], let end = readMoment(node, "`ends`") else { return nil }
        if end <= now {
            sink.warning(
                .serviceEnded, at: position(node),
                "the service \(quoted(name)) has ended at \(quoted(tree.bytes(node))): all of it is denied",
                mend: "remove the service, or set a later date")
        }
        return end
    }

    // MARK: Who may speak for the service

    private func readServiceIssuers(
        _ fields: Fields<ServiceKey>, name: String, needsToken: Bool
    ) -> [UInt16] {
        guard let node = fields[.issuers] else {
            if model.issuers.count == 1 { return [0] }
            guard needsToken, !hasBrokenIssuer else { return [] }
            if model.issuers.isEmpty {
                sink.error(
                    .issuersMissing, at: fields.position,
                    "\(quoted(name)) has routes that need a token, and the policy has no issuers",
                    mend: "add the issuer under `issuers`")
            } else {
                sink.error(
                    .issuersMissing, at: fields.position,
                    "\(quoted(name)) does not say which of \(model.issuers.count) issuers may speak for it",
                    mend: "add `issuers: [\(printable(model.issuers[0].issuer, charactersMax: 80))]`")
            }
            return []
        }
        guard let members = list(node, "`issuers`", example: "[https://id.example.com]") else { return [] }
        var seen: [UInt16: Int] = [:]
        for member in members {
            guard let name = text(member, "an issuer", example: "https://id.example.com") else { continue }
            guard let index = issuerIndex[name] else {
                sink.error(
                    .unknownIssuer, at: position(member), "unknown issuer \(quoted(name))",
                    mend: didYouMean(
                        name, among: model.issuers.map(\.issuer),
                        otherwise: "declare it under `issuers`, spelled exactly like this"))
                continue
            }
            if let first = seen[index] {
                repeated(member, "issuer", first: first)
                continue
            }
            seen[index] = member
        }
        checkAsked(seen, name: name)
        return seen.keys.sorted()
    }

    /// Nothing in an opaque token says whose it is, and no issuer may see those of another.
    private func checkAsked(_ issuers: [UInt16: Int], name: String) {
        let asked = issuers.filter { model.issuers[Int($0.key)].introspection != nil }.sorted { $0.value < $1.value }
        guard asked.count > 1 else { return }
        let names = asked.map { model.issuers[Int($0.key)].issuer }
        sink.error(
            .conflictingKeys, at: position(asked[1].value),
            "two issuers of \(quoted(name)) would be asked about the same opaque tokens: \(quotedList(names))",
            mend: "keep one issuer with `introspection` here, or write a service for each",
            notes: [Diagnostic.Note(position: position(asked[0].value), message: "the first one")])
    }

    private func readServiceAudience(_ fields: Fields<ServiceKey>, issuers: [UInt16]) -> String? {
        guard let node = fields[.audience] else { return nil }
        guard let audience = text(node, "`audience` of a service", example: "https://api.example.com") else {
            return nil
        }
        for issuer in issuers {
            let known = model.issuers[Int(issuer)]
            guard !known.audiences.isEmpty, !known.audiences.contains(audience) else { continue }
            sink.warning(
                .audienceElsewhere, at: position(node),
                "\(quoted(audience)) is no audience of \(quoted(known.issuer)): its tokens must name both",
                mend: "add it to the issuer's `audience`, unless that is meant",
                notes: [Diagnostic.Note(position: issuerPositions[Int(issuer)], message: "the issuer")])
        }
        return audience
    }

    // MARK: Mode

    enum Mode {
        /// Nothing was said.
        case unsaid
        case enforce
        /// Denials are let through and recorded until then, Unix seconds.
        case observe(until: Int64)
    }

    /// `mode: enforce`, `mode: observe` beside `until:`, or `mode: { observe: { until: … } }`.
    func readMode(_ node: Int?, _ untilNode: Int?, _ untilKey: Int?) -> Mode {
        guard let node else {
            if let untilKey { untilAlone(untilKey) }
            return .unsaid
        }
        if tree.kind(node) == .mapping { return readModeMapping(node, untilKey) }
        guard let name = text(node, "`mode`", example: "enforce") else { return .unsaid }
        switch name {
        case "enforce":
            if let untilKey { untilAlone(untilKey) }
            return .enforce
        case "observe":
            guard let untilNode else {
                observeWithoutUntil(node)
                return .unsaid
            }
            return readUntil(untilNode)
        default:
            sink.error(
                .badChoice, at: position(node), "unknown mode \(quoted(name))",
                mend: didYouMean(
                    name, among: ["enforce", "observe"],
                    otherwise: "write `enforce`, or `observe` with `until`"))
            return .unsaid
        }
    }

    private func readModeMapping(_ node: Int, _ outerUntilKey: Int?) -> Mode {
        if let outerUntilKey {
            sink.error(
                .conflictingKeys, at: position(outerUntilKey), "`until` beside a `mode` that holds its own",
                mend: "keep one: `mode: observe` with `until` beside it")
        }
        guard let mode = fields(node, ModeKey.self, at: position(node)) else { return .unsaid }
        guard let observe = mode[.observe] else {
            observeWithoutUntil(node)
            return .unsaid
        }
        guard let fields = fields(observe, ObserveKey.self, at: position(observe)) else { return .unsaid }
        guard let until = fields[.until] else {
            observeWithoutUntil(observe)
            return .unsaid
        }
        return readUntil(until)
    }

    private func observeWithoutUntil(_ node: Int) {
        sink.error(
            .missingKey, at: position(node), "observe mode without its end",
            mend: "add `until:` with date, time and zone, as in `until: 2026-12-01T00:00:00Z`")
    }

    private func untilAlone(_ key: Int) {
        sink.error(
            .noEffect, at: position(key), "`until` without `mode: observe` has no effect",
            mend: "add `mode: observe`, or remove it")
    }

    private func readUntil(_ node: Int) -> Mode {
        guard text(node, "`until`", example: "2026-12-01T00:00:00Z") != nil else { return .unsaid }
        do {
            let until = try readTime(tree.bytes(node))
            if until <= now {
                sink.warning(
                    .observeEnded, at: position(node),
                    "observe mode has ended at \(quoted(tree.bytes(node)))",
                    mend: "remove `mode` and `until`: the routes are enforced again")
            }
            return .observe(until: until)
        } catch {
            report(error, in: node)
            return .unsaid
        }
    }
}
