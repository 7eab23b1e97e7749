internal import Octets
@testable internal import PolicyTables
internal import Signatures

/// Compiled tables, and what is read from them. The first byte chooses what the rest is.
///
/// * Bytes as a host table or a catalogue, with or without a good header.
/// * A good table or catalogue with single bytes changed.
/// * A model, compiled, held against the matching rules read off the routes one by one.
///
/// A corrupt table gives answers that lie within it, or none; it is never searched without end.
@Sendable func fuzzTables(_ bytes: Span<UInt8>) {
    var input = Input(bytes)
    let choice = input.byte()
    switch choice % 6 {
    case 0: readTable(input.take(upTo: 0x0A), input.take(upTo: 0x0A), 443, input.rest())
    case 1: readCatalogue(input.rest())
    case 2:
        let (path, method, port) = (input.take(upTo: 0x0A), input.take(upTo: 0x0A), input.word())
        readTable(path, method, port, changed(FixedTables.table, by: &input))
    case 3: readCatalogue(changed(FixedTables.catalogue, by: &input))
    case 4:
        // As the first, with a header that passes.
        let (path, method) = (input.take(upTo: 0x0A), input.take(upTo: 0x0A))
        var table = FixedTables.table[0..<32] + input.rest()
        let total = UInt32(truncatingIfNeeded: table.count)
        for place in 0..<4 { table[8 + place] = UInt8(truncatingIfNeeded: total >> UInt32(8 * place)) }
        for place in 12..<32 where table.count > place + 32 { table[place] = table[place + 32] }
        readTable(path, method, 443, Array(table))
    default: compare(&input)
    }
}

/// Each three bytes change one: two say where, one says what.
private func changed(_ table: [UInt8], by input: inout Input) -> [UInt8] {
    var result = table
    while !input.isAtEnd, !result.isEmpty {
        let place = Int(input.word())
        result[place % result.count] = input.byte()
    }
    return result
}

private func readTable(_ path: [UInt8], _ method: [UInt8], _ port: UInt16, _ bytes: [UInt8]) {
    let table = HostTable(bytes.span)
    _ = table.routeCount
    for name in [method, Array("GET".utf8), Array("HEAD".utf8)] {
        if case .matched(let rule) = table.match(method: name.span, path: path.span, port: port) {
            read(rule, table)
        }
        if let rule = table.matchPreflight(path: path.span, port: port, requestedMethod: name.span) {
            check(rule.ground == .preflight, "a preflight by another rule")
            read(rule, table)
        }
    }
    // Lists may name a rule once for each of the places that a corrupt table gives it.
    guard bytes.count <= 2_048 else { return }
    for route in table.listing() ?? [] { read(route.rule, table) }
    _ = table.considered(path: path.span, port: port)
}

private func read(_ rule: RouteRule, _ table: borrowing HostTable) {
    check(rule.ground != .scopes || rule.allCount + rule.anyCount > 0, "a rule that asks for nothing")
    check(table.label(of: rule).count == rule.labelBytes, "a label beyond the table")
    check(table.method(of: rule).count <= 255, "a method beyond its length")
    check(table.scope(of: rule, all: rule.allCount) == nil, "a scope beyond the rule")
    check(table.scope(of: rule, any: -1) == nil, "a scope before the rule")
    check(table.binding(of: rule, rule.bindingCount) == nil, "a binding beyond the rule")
    check(table.port(of: rule, rule.portCount) == nil, "a port beyond the rule")
    for index in 0..<rule.allCount { _ = table.scope(of: rule, all: index) }
    for index in 0..<rule.anyCount { _ = table.scope(of: rule, any: index) }
    for index in 0..<rule.bindingCount { _ = table.binding(of: rule, index) }
    for index in 0..<rule.portCount { _ = table.port(of: rule, index) }
}

private func readCatalogue(_ bytes: [UInt8]) {
    guard let catalogue = Catalogue(bytes.span) else { return }
    _ = catalogue.issuers()
    if let settings = catalogue.issuerSettings() {
        check(settings.count == catalogue.issuerCount, "an issuer without settings")
    }
    check(catalogue.hostCount <= bytes.count && catalogue.routeCount >= 0, "a count beyond the catalogue")
    for id in 0..<UInt16(clamping: min(catalogue.scopeCount, 300)) {
        let name = catalogue.scopeName(id)
        _ = catalogue.scopeDescription(id)
        if let found = catalogue.scopeID(of: name) {
            check(equal(catalogue.scopeName(found), name), "a scope is found by another name")
        }
        var implied = 0
        catalogue.forEachImplied(by: id) { _ in implied += 1 }
        check(implied <= catalogue.scopeCount, "more scopes are implied than there are")
    }
    for index in 0..<min(catalogue.boundClaimCount, 300) { _ = catalogue.boundClaim(index) }
    for index in 0..<min(catalogue.serviceCount, 300) {
        guard let service = catalogue.service(index) else { continue }
        _ = (service.name.count, service.audience.count, service.tokenSourceName.count, service.routeCount)
        check(
            service.issuer(service.issuerCount) == nil && service.port(-1) == nil,
            "a member beyond the service")
        for number in 0..<service.issuerCount {
            let issuer = service.issuer(number)
            check(
                issuer.map { service.allows(issuer: $0) } ?? false, "an issuer that is listed and not allowed"
            )
        }
        for number in 0..<service.portCount {
            check(service.port(number) != nil, "a port beyond the service")
        }
    }
}

/// A host whose table has every kind of node, rule and place, and the catalogue of its policy.
enum FixedTables {
    static let model: PolicyModel = {
        var model = PolicyModel()
        model.issuers = [
            IssuerModel(
                issuer: "https://id.example.com", audiences: ["https://api.example.com", "b"],
                keySource: .uri("https://id.example.com/jwks"), algorithms: [.es256, .rs256]),
            IssuerModel(
                issuer: "https://b.example.com", audiences: ["b"], keySource: .file("b.json"),
                algorithms: [.ed25519], profile: .compat, leewaySeconds: 30,
                certificateAuthorityFile: "ca.pem"),
            IssuerModel(
                issuer: "https://c.example.com", audiences: ["c"], keySource: .discovery, algorithms: [.ps256]
            ),
        ]
        model.scopes = [
            ScopeModel(name: "orders:read", description: "reads", closure: [0]),
            ScopeModel(name: "orders:write", closure: [0, 1]), ScopeModel(name: "admin", closure: [0, 1, 2]),
        ]
        func route(
            _ method: String, _ segments: [RouteModel.Segment], _ ground: RouteModel.Ground = .public,
            ports: [UInt16] = [], bindings: [RouteModel.Binding] = [], until: Int64? = nil
        ) -> RouteModel {
            RouteModel(
                method: method, segments: segments, ground: ground, ports: ports, bindings: bindings,
                observeUntil: until, label: "\(method) /\(segments.count)")
        }
        let many = (0..<12).map { route("GET", [.literal("v2"), .literal("item\($0)")]) }
        model.services = [
            ServiceModel(
                name: "orders", hosts: ["h"], issuers: [0, 1], audience: "https://api.example.com",
                routes: [
                    route("GET", [.literal("")], .scopes(all: [0], any: [])),
                    route(
                        "GET", [.literal("a"), .parameter("x")], .scopes(all: [0], any: [1, 2]),
                        until: 1_800_000_000),
                    route(
                        "PUT", [.literal("a"), .parameter("x")], .scopes(all: [1], any: []),
                        ports: [443, 8443]),
                    route("PUT", [.literal("a"), .parameter("x")], .scopes(all: [2], any: []), ports: [80]),
                    route(
                        "GET", [.parameter("u"), .literal("b")], .scopes(all: [], any: [0]),
                        bindings: [
                            RouteModel.Binding(segment: 0, claim: "sub"), .init(segment: 0, claim: "team"),
                        ]),
                    route("OPTIONS", [.rest], .preflight), route("GET", [.literal("a"), .rest]),
                    route("SUBSCRIBE-LONG", [.literal("caf\u{E9}")]),
                ] + many),
            ServiceModel(
                name: "admin", hosts: ["h"], ports: [443, 9443], issuers: [0],
                tokenSource: .cookie("session"),
                routes: [route("DELETE", [.literal("a"), .literal("b")], .scopes(all: [2], any: []))]),
            ServiceModel(
                name: "socket", hosts: ["h"], issuers: [2], tokenSource: .webSocketProtocol("bearer"),
                routes: [route("GET", [.literal("socket")], .scopes(all: [0], any: []))]),
        ]
        return model
    }()
    static let table = (try? PolicyCompiler(model).hostTable(0)) ?? []
    static let catalogue = (try? PolicyCompiler(model).catalogue()) ?? []
}
