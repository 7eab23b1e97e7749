internal import Octets
internal import PolicyTables

/// Makes a small model of the input, compiles it, and asks the table and the routes themselves about paths of
/// the same few segments.
func compare(_ input: inout Input) {
    var services: [ServiceModel] = []
    for number in 0..<(1 + Int(input.byte() % 3)) {
        let ports: [UInt16] = [[], [], [443], [80, 443]][Int(input.byte() & 3)]
        var routes: [RouteModel] = []
        for _ in 0..<Int(input.byte() % 12) { routes.append(route(&input)) }
        services.append(
            ServiceModel(name: "s\(number)", hosts: ["h"], ports: ports, issuers: [0], routes: routes))
    }
    var model = PolicyModel()
    model.issuers = FixedTables.model.issuers
    model.scopes = FixedTables.model.scopes
    model.services = services
    guard let compiler = try? PolicyCompiler(model), !compiler.hosts.isEmpty,
        let bytes = try? compiler.hostTable(0)
    else { return }
    let table = HostTable(bytes.span)
    check(table.listing() != nil, "a compiled table cannot be listed")
    for _ in 0..<16 {
        var path: [UInt8] = []
        for _ in 0..<(1 + Int(input.byte() % 5)) {
            path.append(0x2F)
            path += Array(requestSegments[Int(input.byte()) % requestSegments.count].utf8)
        }
        let method = methods[Int(input.byte()) % methods.count]
        let port: UInt16 = [443, 80, 1, 443][Int(input.byte() & 3)]
        let name = Array(method.utf8)
        let expected = expectation(services, method, path, port)
        switch table.match(method: name.span, path: path.span, port: port) {
        case .matched(let rule):
            check(expected == .rule(rule.serviceIndex, rule.routeIndex), "another route is found")
        case .unknownRoute: check(expected == .unknownRoute, "a route is not found")
        case .methodNotAllowed: check(expected == .methodNotAllowed, "a method is not found")
        case .portNotAllowed: check(expected == .portNotAllowed, "a port is not found")
        case .unreadable: check(false, "a compiled table is unreadable")
        }
        let considered = table.considered(path: path.span, port: port)
        check(considered != nil, "a compiled table is unreadable")
        if case .rule = expected { check(considered?.isEmpty == false, "a route is not considered") }
        if expected == .unknownRoute {
            check(considered?.isEmpty == true, "a path is considered that no one asked for")
        }
    }
}

private let literals = ["a", "b", "aaaaaaaaa", "caf\u{E9}", ""]
private let requestSegments = ["a", "b", "aaaaaaaaa", "caf%C3%A9", "", "c", "aaaaaaaab"]
private let methods = ["GET", "HEAD", "PUT", "OPTIONS", "LONGMETHOD"]

private func route(_ input: inout Input) -> RouteModel {
    var segments: [RouteModel.Segment] = []
    let count = 1 + Int(input.byte() % 4)
    for place in 0..<count {
        switch input.byte() % 8 {
        case 0, 1: segments.append(.parameter("p"))
        case 2 where place == count - 1: segments.append(.rest)
        case let other:
            let literal = literals[Int(other) % literals.count]
            segments.append(.literal(literal.isEmpty && place < count - 1 ? "a" : literal))
        }
    }
    let ground: RouteModel.Ground
    switch input.byte() % 4 {
    case 0: ground = .public
    case 1: ground = .preflight
    default: ground = .scopes(all: [0], any: [1])
    }
    let ports: [UInt16] = [[], [], [443], [80]][Int(input.byte() & 3)]
    return RouteModel(
        method: methods[Int(input.byte()) % methods.count], segments: segments, ground: ground, ports: ports,
        label: "x")
}

private enum Expectation: Equatable {
    case unknownRoute, methodNotAllowed, portNotAllowed
    case rule(Int, Int)
}

private struct Candidate {
    var service: Int
    var route: Int
    /// 0 literal, 1 parameter, 2 rest, segment by segment: the least is the most specific.
    var kinds: [Int]
    var model: RouteModel
}

private func expectation(
    _ services: [ServiceModel], _ method: String, _ path: [UInt8], _ port: UInt16
) -> Expectation {
    let parts = path.dropFirst().split(separator: 0x2F, omittingEmptySubsequences: false).map { Array($0) }
    var candidates: [Candidate] = []
    for (number, service) in services.enumerated() where service.ports.isEmpty || service.ports.contains(port) {
        for (place, route) in service.routes.enumerated() {
            guard let kinds = kinds(of: route, parts) else { continue }
            candidates.append(Candidate(service: number, route: place, kinds: kinds, model: route))
        }
    }
    // Nothing of the host is to be found on the port.
    let onPort = services.contains { !$0.routes.isEmpty && ($0.ports.isEmpty || $0.ports.contains(port)) }
    guard onPort else { return .portNotAllowed }
    guard let best = candidates.map(\.kinds).min(by: { $0.lexicographicallyPrecedes($1) }) else {
        return .unknownRoute
    }
    let there = candidates.filter { $0.kinds == best }
    var listed = there.filter { $0.model.method == method }
    if listed.isEmpty, method == "HEAD" { listed = there.filter { $0.model.method == "GET" } }
    guard !listed.isEmpty else { return .methodNotAllowed }
    guard let open = listed.first(where: { $0.model.ports.isEmpty || $0.model.ports.contains(port) }) else {
        return .portNotAllowed
    }
    return .rule(open.service, open.route)
}

private func kinds(of route: RouteModel, _ parts: [[UInt8]]) -> [Int]? {
    var kinds: [Int] = []
    for (place, segment) in route.segments.enumerated() {
        guard place < parts.count else { return nil }
        switch segment {
        case .literal(let text):
            var spelled: [UInt8] = []
            appendCanonicalLiteral(text, to: &spelled)
            guard spelled == parts[place] else { return nil }
            kinds.append(0)
        case .parameter:
            guard !parts[place].isEmpty else { return nil }
            kinds.append(1)
        case .rest: return kinds + [2]
        }
    }
    return route.segments.count == parts.count ? kinds : nil
}
