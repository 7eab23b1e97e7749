internal import PolicyTables

// Rules over routes that answer on the same hosts. Which path wins is decided segment by segment, a literal before a
// parameter before `**`, and only then by method: so what a more specific path does not list is denied.

extension PolicyLinter {
    /// Routes of one path shape on hosts that belong together.
    final class PathEntry {
        let segments: [RouteModel.Segment]
        var routes: [(service: Int, route: Int)] = []

        init(_ segments: [RouteModel.Segment]) {
            self.segments = segments
        }
    }

    /// The paths of one cluster of services.
    struct PathTable {
        /// Without names of parameters.
        var byShape: [[RouteModel.Segment]: PathEntry] = [:]
        /// In the order of the policy.
        var entries: [PathEntry] = []
        /// Under each beginning the paths that take all of a level below it: `/a/{x}`, `/a/{x}/**`, `/a/{x}/{y}`.
        var wholeLevels: [[RouteModel.Segment]: [PathEntry]] = [:]
        /// Beginnings of paths with a route that requires scopes, with the first such route.
        var protectedBelow: [[RouteModel.Segment]: (service: Int, route: Int)] = [:]
    }

    static let writingMethods: Set<String> = ["POST", "PUT", "PATCH", "DELETE"]

    func checkRoutes() {
        for cluster in HostClusters(model.services).members {
            let table = paths(of: cluster)
            for entry in table.entries { checkPath(entry, table) }
        }
    }

    func route(_ index: (service: Int, route: Int)) -> RouteModel { model.services[index.service].routes[index.route] }

    func isProtected(_ route: RouteModel) -> Bool {
        if case .scopes = route.ground { true } else { false }
    }

    private func paths(of cluster: [Int]) -> PathTable {
        var table = PathTable()
        for service in cluster {
            for index in model.services[service].routes.indices {
                let route = model.services[service].routes[index]
                let shape = PolicyLinter.shape(route.segments)
                let entry: PathEntry
                if let known = table.byShape[shape] {
                    entry = known
                } else {
                    entry = PathEntry(shape)
                    table.byShape[shape] = entry
                    table.entries.append(entry)
                    addLevels(entry, to: &table)
                }
                entry.routes.append((service, index))
                guard isProtected(route) else { continue }
                // The path's own end does not count: a route is not below itself.
                for count in 0..<shape.count where table.protectedBelow[Array(shape.prefix(count))] == nil {
                    table.protectedBelow[Array(shape.prefix(count))] = (service, index)
                }
            }
        }
        return table
    }

    private func addLevels(_ entry: PathEntry, to table: inout PathTable) {
        var stem = entry.segments[...]
        if stem.last == .rest { stem.removeLast() }
        while stem.last == .parameter("") {
            stem.removeLast()
            table.wholeLevels[Array(stem), default: []].append(entry)
        }
    }

    static func shape(_ segments: [RouteModel.Segment]) -> [RouteModel.Segment] {
        segments.map { segment in
            if case .parameter = segment { .parameter("") } else { segment }
        }
    }

    private func checkPath(_ entry: PathEntry, _ table: PathTable) {
        if entry.segments.last == .rest {
            for index in entry.routes where !isPreflight(route(index)) {
                if !checkShadowed(index, entry, table) { checkMissingMethods(index, entry, table) }
                checkPublicWildcard(index, entry, table)
            }
        }
        checkWriting(entry, table)
        checkPublicBeside(entry, table)
    }

    private func isPreflight(_ route: RouteModel) -> Bool { route.ground == .preflight || route.method == "OPTIONS" }

    // MARK: Wildcards and what is more specific

    /// `/a/**` stands for `/a/`, `/a/{x}` and what is below that; where all three are listed nothing is left.
    private func checkShadowed(_ index: (service: Int, route: Int), _ entry: PathEntry, _ table: PathTable) -> Bool {
        let stem = Array(entry.segments.dropLast())
        let parts: [[RouteModel.Segment]] = [
            stem + [.literal("")], stem + [.parameter("")], stem + [.parameter(""), .rest],
        ]
        var first: SourcePlace?
        for part in parts {
            guard let other = table.byShape[part]?.routes.first(where: { covers($0, index) }) else { return false }
            first = first ?? place(service: other.service, route: other.route)
        }
        let here = place(service: index.service, route: index.route)
        add(
            .shadowedRoute, at: here,
            "\(quoted(route(index).label)) can never be reached: more specific paths take all that it stands for, "
                + "the first in \(line(first ?? here, from: here))",
            mend: "remove it, or one of those paths")
        return true
    }

    /// Whether the path of `other` takes requests from that of `index` on all of its hosts and ports.
    private func covers(_ other: (service: Int, route: Int), _ index: (service: Int, route: Int)) -> Bool {
        guard spend() else { return false }
        let ports = effectivePorts(other)
        let wanted = effectivePorts(index)
        guard ports.isEmpty || (!wanted.isEmpty && wanted.allSatisfy(ports.contains)) else { return false }
        return isWithin(index.service, other.service)
    }

    func effectivePorts(_ index: (service: Int, route: Int)) -> [UInt16] {
        let own = route(index).ports
        return own.isEmpty ? model.services[index.service].ports : own
    }

    /// Whether some request can come to both.
    func meets(_ other: (service: Int, route: Int), _ index: (service: Int, route: Int)) -> Bool {
        guard spend() else { return false }
        let ports = effectivePorts(other)
        let wanted = effectivePorts(index)
        guard ports.isEmpty || wanted.isEmpty || wanted.contains(where: ports.contains) else { return false }
        return meet(other.service, index.service)
    }

    private func checkMissingMethods(
        _ index: (service: Int, route: Int), _ entry: PathEntry, _ table: PathTable
    ) {
        let method = route(index).method
        let here = place(service: index.service, route: index.route)
        for other in table.wholeLevels[Array(entry.segments.dropLast())] ?? [] where other !== entry {
            let meeting = other.routes.filter { meets($0, index) && route($0).ground != .preflight }
            guard let first = meeting.first else { continue }
            let methods = Set(meeting.map { route($0).method })
            if methods.contains(method) || (method == "HEAD" && methods.contains("GET")) { continue }
            let there = place(service: first.service, route: first.route)
            add(
                .missingMethod, at: here,
                "\(quoted(route(index).label)) is denied wherever \(quoted(PathTemplate.text(route(first).segments))) "
                    + "(\(line(there, from: here))) matches: that path is more specific and lists "
                    + "\(methods.sorted().joined(separator: ", ")) only",
                mend: "list \(method) there too, or allow this if it is meant")
        }
    }

    // MARK: Public routes

    private func checkPublicWildcard(
        _ index: (service: Int, route: Int), _ entry: PathEntry, _ table: PathTable
    ) {
        guard route(index).ground == .public,
            let below = table.protectedBelow[Array(entry.segments.dropLast())]
        else { return }
        let here = place(service: index.service, route: index.route)
        let there = place(service: below.service, route: below.route)
        add(
            .publicWildcard, at: here,
            "\(quoted(route(index).label)) opens to everybody whatever is not listed beside "
                + "\(quoted(route(below).label)) (\(line(there, from: here))), which is protected",
            mend: "list the public paths one by one")
    }

    private func checkWriting(_ entry: PathEntry, _ table: PathTable) {
        let routes = entry.routes.filter { !isPreflight(route($0)) }
        for index in routes
        where route(index).ground == .public && PolicyLinter.writingMethods.contains(route(index).method) {
            guard let other = routes.first(where: { isProtected(route($0)) && meets($0, index) }) else { continue }
            let here = place(service: index.service, route: index.route)
            let there = place(service: other.service, route: other.route)
            add(
                .publicWrite, at: here,
                "everybody may \(quoted(route(index).label)), and \(quoted(route(other).label)) "
                    + "(\(line(there, from: here))) needs a token",
                mend: "require scopes here too, unless that is meant")
        }
        guard entry.segments.last == .parameter(""), let writing = routes.first(where: isChanging) else { return }
        let methods = Set(routes.filter { meets($0, writing) }.map { route($0).method })
        let collection = table.byShape[entry.segments.dropLast()]?.routes ?? []
        guard methods.isDisjoint(with: ["GET", "HEAD"]),
            collection.contains(where: { route($0).method == "GET" && meets($0, writing) })
        else { return }
        add(
            .writeWithoutRead, at: place(service: writing.service, route: writing.route),
            "\(quoted(PathTemplate.text(route(writing).segments))) can be changed and not read: no GET is listed there, "
                + "and one at the path above",
            mend: "add `GET`, or allow this if it is meant")
    }

    private func isChanging(_ index: (service: Int, route: Int)) -> Bool {
        ["PUT", "PATCH"].contains(route(index).method) && isProtected(route(index))
    }

    /// `/orders/export` beside `/orders/{order}`; what stands right below the base path, as `/healthz`, is left alone.
    private func checkPublicBeside(_ entry: PathEntry, _ table: PathTable) {
        guard entry.segments.last != .rest else { return }
        let parent = Array(entry.segments.dropLast())
        for index in entry.routes where route(index).ground == .public {
            let service = model.services[index.service]
            let baseDepth = outline.services[service.name]?.baseDepth ?? 0
            guard parent.count > baseDepth, let beside = table.protectedBelow[parent], meets(beside, index),
                !entry.routes.contains(where: { isProtected(route($0)) })
            else { continue }
            let here = place(service: index.service, route: index.route)
            let there = place(service: beside.service, route: beside.route)
            add(
                .publicBesideProtected, at: here,
                "\(quoted(route(index).label)) is public beside \(quoted(route(beside).label)) "
                    + "(\(line(there, from: here))), which needs a token",
                mend: "require scopes, or allow this if everybody may see it")
        }
    }
}
