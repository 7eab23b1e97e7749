import Octets
import PolicyTables
import Signatures

/// SplitMix64: the same numbers from the same seed, on every machine.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}

/// `/a/{b}/**` as segments; literals are taken as decoded text.
func segments(_ path: String) -> [RouteModel.Segment] {
    path.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map { part in
        if part == "**" { return .rest }
        if part.hasPrefix("{"), part.hasSuffix("}") { return .parameter(String(part.dropFirst().dropLast())) }
        return .literal(String(part))
    }
}

/// A route from `METHOD /path`, which is its label too.
func route(
    _ match: String, _ ground: RouteModel.Ground = .public, ports: [UInt16] = [],
    bindings: [RouteModel.Binding] = [], observeUntil: Int64? = nil
) -> RouteModel {
    let space = match.firstIndex(of: " ") ?? match.startIndex
    return RouteModel(
        method: String(match[..<space]), segments: segments(String(match[match.index(after: space)...])),
        ground: ground, ports: ports, bindings: bindings, observeUntil: observeUntil, label: match)
}

/// The route with everything that it can demand of a token.
func bound(
    _ route: RouteModel, _ proof: ProofDemand = .dpop, nonce: Bool = true,
    acr: [String] = ["mfa", "urn:example:hwk"], ageSecondsMax: UInt32 = 300, details: [UInt16] = [2, 0]
) -> RouteModel {
    var route = route
    route.proof = proof
    route.demandsNonce = nonce
    route.authenticationContexts = acr
    route.authenticationAgeSecondsMax = ageSecondsMax
    route.details = details
    return route
}

/// The values of `acr` that the matched rule names, and what is behind the last one; empty without a rule.
func acrValues(_ table: [UInt8], _ request: String) -> [String?] {
    let parts = request.split(separator: " ")
    let method = Array(parts[0].utf8)
    let path = Array(parts[1].utf8)
    let host = HostTable(table.span)
    guard case .matched(let rule) = host.match(method: method.span, path: path.span, port: 443) else { return [] }
    return (0..<rule.acrCount + 1).map { index in
        guard let value = host.acr(of: rule, index) else { return nil }
        return String(lossy: value)
    }
}

/// The numbers of the demands that the matched rule names, and what is before the first and behind the last; empty
/// without a rule.
func detailNumbers(_ table: [UInt8], _ request: String) -> [Int?] {
    let parts = request.split(separator: " ")
    let method = Array(parts[0].utf8)
    let path = Array(parts[1].utf8)
    let host = HostTable(table.span)
    guard case .matched(let rule) = host.match(method: method.span, path: path.span, port: 443) else { return [] }
    return (-1..<rule.detailCount + 1).map { host.detail(of: rule, $0) }
}

func service(
    _ name: String, hosts: [String] = ["h"], ports: [UInt16] = [], issuers: [UInt16] = [0],
    _ routes: [RouteModel]
) -> ServiceModel {
    ServiceModel(name: name, hosts: hosts, ports: ports, issuers: issuers, routes: routes)
}

func model(_ services: [ServiceModel], scopes: Int = 8) -> PolicyModel {
    var model = PolicyModel()
    model.issuers = [
        IssuerModel(
            issuer: "https://id.example.com", audiences: ["https://api.example.com"],
            keySource: .uri("https://id.example.com/jwks"), algorithms: [.es256])
    ]
    model.scopes = (0..<scopes).map { ScopeModel(name: "scope:\($0)", closure: [UInt16($0)]) }
    model.services = services
    model.details = (0..<3).map { DetailModel(type: "type:\($0)") }
    return model
}

/// The table of the one host of these services.
func table(_ services: [ServiceModel]) throws -> [UInt8] {
    try PolicyCompiler(model(services)).hostTable(0)
}

func table(_ routes: [RouteModel]) throws -> [UInt8] { try table([service("s", routes)]) }

/// What a table says about a request, as text: the matched label, or why not.
func answer(_ table: [UInt8], _ request: String, port: UInt16 = 443) -> String {
    let space = request.firstIndex(of: " ") ?? request.startIndex
    let method = Array(request[..<space].utf8)
    let path = Array(request[request.index(after: space)...].utf8)
    let host = HostTable(table.span)
    switch host.match(method: method.span, path: path.span, port: port) {
    case .matched(let rule): return String(lossy: host.label(of: rule))
    case .unknownRoute: return "unknownRoute"
    case .methodNotAllowed: return "methodNotAllowed"
    case .portNotAllowed: return "portNotAllowed"
    case .unreadable: return "unreadable"
    }
}

/// The label of the preflight that answers, or nil.
func preflight(_ table: [UInt8], _ path: String, _ method: String, port: UInt16 = 443) -> String? {
    let host = HostTable(table.span)
    let path = Array(path.utf8)
    let method = Array(method.utf8)
    guard let rule = host.matchPreflight(path: path.span, port: port, requestedMethod: method.span) else {
        return nil
    }
    return String(lossy: host.label(of: rule))
}

/// The text of one segment, nil when there is none.
func segmentText(_ path: String, _ number: Int) -> String? {
    let bytes = Array(path.utf8)
    let range = pathSegment(bytes.span, number)
    return range.isPresent ? String(lossy: bytes.span.bytes(at: range)) : nil
}

func listing(_ table: [UInt8]) -> [ListedRoute]? { HostTable(table.span).listing() }

func considered(_ table: [UInt8], _ path: String, port: UInt16 = 443) -> [ConsideredPath]? {
    HostTable(table.span).considered(path: Array(path.utf8).span, port: port)
}
