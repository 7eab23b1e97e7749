public import PolicyTables

/// Which routes of a policy its own tests have reached, and with which outcome.
///
/// A route that demands something has two sides: somebody is let in, somebody is not. A route that is open to everybody
/// has one. The share counts sides, so that a policy whose tests only ever expect `allow` comes to a half.
public struct RouteCoverage: Sendable {
    public struct Row: Sendable, Equatable {
        public var service: String
        /// As answers call it: `GET /orders/{order}`, `tcp/9443`.
        public var route: String
        public var place: SourcePlace
        /// Open to everybody: nothing can be denied there but by its form.
        public var isOpen: Bool
        /// Tests that came to it and were let in, and those that were not.
        public var allowedCount = 0
        public var deniedCount = 0

        /// `allow`, `deny`: what no test has shown.
        public var missing: [String] {
            (allowedCount == 0 ? ["allow"] : []) + (deniedCount == 0 && !isOpen ? ["deny"] : [])
        }
    }

    private struct Key: Hashable {
        var service: String
        var route: String
    }

    /// In the order of the policy; metadata that is published by itself (RFC 9728) is left out.
    public private(set) var rows: [Row] = []
    /// Rows of one name, with their ports: routes that differ in nothing else.
    private var index: [Key: [(row: Int, ports: [UInt16])]] = [:]

    /// - Parameter policy: what `model` comes from, for places.
    public init(_ model: PolicyModel, policy: PolicySource) {
        for (number, service) in model.services.enumerated() {
            let metadata = service.resource.flatMap { MetadataPlace(resource: $0) }.map { "GET \($0.path)" }
            for (routeNumber, route) in service.routes.enumerated() where route.label != metadata {
                let position =
                    number < policy.routePositions.count && routeNumber < policy.routePositions[number].count
                    ? policy.routePositions[number][routeNumber] : SourcePosition(line: 1, column: 1)
                var isOpen = true
                if case .scopes = route.ground { isOpen = false }
                add(
                    Row(service: service.name, route: route.label, place: policy.place(of: position), isOpen: isOpen),
                    ports: route.ports.isEmpty ? service.ports : route.ports)
            }
        }
        for service in model.portServices {
            for port in service.ports {
                add(
                    Row(
                        service: service.name, route: "tcp/\(port)",
                        place: policy.place(of: SourcePosition(line: 1, column: 1)), isOpen: false), ports: [port])
            }
        }
    }

    private mutating func add(_ row: Row, ports: [UInt16]) {
        index[Key(service: row.service, route: row.route), default: []].append((rows.count, ports))
        rows.append(row)
    }

    /// Counts what a test has reached; one that came to no route counts nowhere.
    public mutating func add(_ result: PolicyTestResult) {
        guard let service = result.service, let route = result.route,
            let candidates = index[Key(service: service, route: route)]
        else { return }
        var port: UInt16 = 0
        switch result.test.attempt {
        case .request(let request): port = request.port
        case .connection(let connection): port = connection.port
        }
        guard let row = candidates.first(where: { $0.ports.isEmpty || $0.ports.contains(port) })?.row else { return }
        // What is observed would have been denied.
        if result.outcome == "allow" { rows[row].allowedCount += 1 } else { rows[row].deniedCount += 1 }
    }

    public var sides: Int { rows.reduce(0) { $0 + ($1.isOpen ? 1 : 2) } }

    public var reachedSides: Int { sides - rows.reduce(0) { $0 + $1.missing.count } }

    /// Rounded down, so that 100 is all of them; 100 of nothing.
    public var percent: Int { sides == 0 ? 100 : reachedSides * 100 / sides }

    /// Those that lack something, in the order of the policy.
    public var incomplete: [Row] { rows.filter { !$0.missing.isEmpty } }

    /// A line for each route that lacks something, and the share.
    public var text: String {
        var text = ""
        for row in incomplete {
            text += "\(row.place.file):\(row.place.line):\(row.place.column): not tested: "
            text += "\(quoted(row.route)) of \(quoted(row.service)) with \(row.missing.joined(separator: " and "))\n"
        }
        return text + "coverage \(percent) % (\(reachedSides) of \(sides) outcomes of \(rows.count) routes)\n"
    }

    /// One object: `percent`, `reached`, `outcomes`, and each route with its counts.
    public var json: String {
        var writer = JSONText()
        writer.object {
            $0.member("percent", percent)
            $0.member("reached", reachedSides)
            $0.member("outcomes", sides)
            $0.array("routes", rows) { writer, row in
                writer.object {
                    $0.member("service", row.service)
                    $0.member("route", row.route)
                    $0.member("file", row.place.file)
                    $0.member("line", row.place.line)
                    $0.member("column", row.place.column)
                    $0.member("allowed", row.allowedCount)
                    $0.member("denied", row.deniedCount)
                    $0.member("missing", row.missing)
                }
            }
        }
        return writer.text
    }
}
