internal import PolicyTables

/// Rules over all routes of the policy together.
///
/// Two templates that match one path differ in kind at the first segment where they differ at all: two unlike
/// literals cannot both match, and `**` takes at least one segment, so neither can be the other's beginning.
/// Literal before parameter before `**` there names one winner. Hence two routes can only tie when their
/// templates have the same shape, and the search for ambiguity is the search for equal shapes.
extension ModelReader {
    func checkRoutes() {
        let clusters = HostClusters(model.services).members
        // One cluster at a time: their routes are many together and have nothing to do with each other.
        for cluster in clusters { checkDuplicates(routesByShape(cluster)) }
        checkPreflights(clusters)
    }

    /// One route by its place in the model, and what it can only be confused with: methods and paths that hash alike,
    /// in services that share hosts.
    struct RouteShape {
        var service: Int32
        var route: Int32
        var pathHash: Int
        var methodHash: Int
    }

    /// - Parameter services: those of one cluster, ascending.
    private func routesByShape(_ services: [Int]) -> [RouteShape] {
        var result: [RouteShape] = []
        result.reserveCapacity(services.reduce(0) { $0 + model.services[$1].routes.count })
        for service in services {
            for route in model.services[service].routes.indices {
                result.append(
                    RouteShape(
                        service: Int32(clamping: service), route: Int32(clamping: route),
                        pathHash: hash(of: model.services[service].routes[route].segments),
                        methodHash: model.services[service].routes[route].method.hashValue))
            }
        }
        result.sort {
            if $0.pathHash != $1.pathHash { return $0.pathHash < $1.pathHash }
            if $0.methodHash != $1.methodHash { return $0.methodHash < $1.methodHash }
            if $0.service != $1.service { return $0.service < $1.service }
            return $0.route < $1.route
        }
        return result
    }

    /// Names of parameters do not count: `/a/{x}` and `/a/{y}` match the same paths.
    private func hash(of segments: [RouteModel.Segment]) -> Int {
        var hasher = Hasher()
        for segment in segments {
            switch segment {
            case .literal(let text):
                var text = text
                hasher.combine(0 as UInt8)
                text.withUTF8 { unsafe hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
                hasher.combine(text.utf8.count)
            case .parameter: hasher.combine(1 as UInt8)
            case .rest: hasher.combine(2 as UInt8)
            }
        }
        return hasher.finalize()
    }

    private func isSameShape(_ left: [RouteModel.Segment], _ right: [RouteModel.Segment]) -> Bool {
        guard left.count == right.count else { return false }
        for (one, other) in zip(left, right) {
            switch (one, other) {
            // Bytes, not characters: Unicode knows different bytes as the same text.
            case (.literal(let one), .literal(let other)):
                if !one.utf8.elementsEqual(other.utf8) { return false }
            case (.parameter, .parameter), (.rest, .rest): continue
            default: return false
            }
        }
        return true
    }

    private func template(_ shape: RouteShape) -> RouteModel {
        model.services[Int(shape.service)].routes[Int(shape.route)]
    }

    private func isPreflight(_ shape: RouteShape) -> Bool {
        if case .preflight = model.services[Int(shape.service)].routes[Int(shape.route)].ground { true } else { false }
    }

    private func place(_ shape: RouteShape) -> SourcePosition {
        routePositions[Int(shape.service)][Int(shape.route)]
    }

    // MARK: Duplicates

    private func checkDuplicates(_ routes: [RouteShape]) {
        var hosts = SharedHosts()
        var start = 0
        while start < routes.count {
            var end = start + 1
            while end < routes.count, routes[end].pathHash == routes[start].pathHash,
                routes[end].methodHash == routes[start].methodHash
            {
                end += 1
            }
            if end - start > 1 { checkGroup(routes[start..<end], &hosts) }
            start = end
        }
    }

    /// Routes that hash alike, in services that share hosts somehow; nearly always two or three.
    private func checkGroup(_ group: ArraySlice<RouteShape>, _ hosts: inout SharedHosts) {
        var remaining = group.sorted { place($0) < place($1) }
        while let first = remaining.first {
            let one = template(first)
            let same = remaining.filter {
                let other = template($0)
                return one.method == other.method && isSameShape(one.segments, other.segments)
            }
            let services = Set(same.map(\.service))
            if services.count <= ModelReader.comparedServicesMax {
                checkByService(same, &hosts)
            } else {
                checkByHost(same)
            }
            if same.count == remaining.count { return }
            let places = Set(
                same.map {
                    UInt64(UInt32(bitPattern: $0.service)) << 32 | UInt64(UInt32(bitPattern: $0.route))
                })
            remaining.removeAll {
                places.contains(
                    UInt64(UInt32(bitPattern: $0.service)) << 32 | UInt64(UInt32(bitPattern: $0.route)))
            }
        }
    }

    /// More services than this on shared hosts with one path are compared host by host instead of in pairs.
    private static let comparedServicesMax = 64

    private func checkByService(_ same: [RouteShape], _ hosts: inout SharedHosts) {
        var tables: [(service: Int32, table: PortTable)] = []
        for route in same {
            let ports = effectivePorts(route)
            var isDuplicate = false
            var own: Int?
            for (index, other) in tables.enumerated() {
                if other.service == route.service { own = index }
                guard let earlier = other.table.conflict(ports),
                    let host = hosts.shared(other.service, route.service, model.services)
                else { continue }
                reportDuplicate(route, earlier, host: host)
                isDuplicate = true
                break
            }
            if isDuplicate { continue }
            if own == nil {
                own = tables.count
                tables.append((route.service, PortTable()))
            }
            if let own { tables[own].table.add(route, ports) }
        }
    }

    private func checkByHost(_ same: [RouteShape]) {
        var tables: [String: PortTable] = [:]
        for route in same {
            let ports = effectivePorts(route)
            let hosts = model.services[Int(route.service)].hosts
            if let host = hosts.first(where: { tables[$0]?.conflict(ports) != nil }),
                let earlier = tables[host]?.conflict(ports)
            {
                reportDuplicate(route, earlier, host: host)
                continue
            }
            for host in hosts { tables[host, default: PortTable()].add(route, ports) }
        }
    }

    private func effectivePorts(_ shape: RouteShape) -> [UInt16] {
        let own = template(shape).ports
        return own.isEmpty ? model.services[Int(shape.service)].ports : own
    }

    private func reportDuplicate(_ route: RouteShape, _ earlier: RouteShape, host: String) {
        let label = template(route).label
        let (here, first) = (place(route), place(earlier))
        let services = (model.services[Int(earlier.service)].name, model.services[Int(route.service)].name)
        let elsewhere = services.0 == services.1 ? "" : " in the service \(quoted(services.0))"
        sink.error(
            .duplicateRoute, at: here,
            "\(quoted(label)) on \(quoted(host)) is already the route in "
                + "\(sink.lineName(of: first, from: here))\(elsewhere)",
            mend: "keep one of the two; names of parameters do not tell routes apart",
            notes: [
                Diagnostic.Note(position: first, message: "\(quoted(template(earlier).label)) stands here")
            ])
    }

    // MARK: Preflights that answer nothing

    /// A preflight is answered only for a method that its path lists, so without such a route it never is.
    private func checkPreflights(_ clusters: [[Int]]) {
        var steps = 0
        for cluster in clusters
        where steps <= ModelReader.preflightStepsMax && cluster.contains(where: hasPreflight) {
            checkPreflights(routesByShape(cluster), &steps)
        }
    }

    private func hasPreflight(_ service: Int) -> Bool {
        model.services[service].routes.indices.contains {
            if case .preflight = model.services[service].routes[$0].ground { true } else { false }
        }
    }

    /// - Parameter routes: those of one cluster.
    private func checkPreflights(_ routes: [RouteShape], _ steps: inout Int) {
        let others = routes.filter { !isPreflight($0) }
        let listed = Set(others.map(\.pathHash))
        for preflight in routes where isPreflight(preflight) && !listed.contains(preflight.pathHash) {
            let path = template(preflight).segments
            var isReachable = false
            for other in others {
                steps += 1
                // Beyond the budget the rule is not checked: it warns of a slip, it guards nothing.
                guard steps <= ModelReader.preflightStepsMax else { return }
                if canMatchSame(path, template(other).segments) {
                    isReachable = true
                    break
                }
            }
            if isReachable { continue }
            sink.error(
                .unreachableRoute, at: place(preflight),
                "\(quoted(template(preflight).label)) can never be answered: no other route has its path",
                mend: "list the routes that browsers may call there, or remove it")
        }
    }

    private static let preflightStepsMax = 16_777_216

    /// Whether some path matches both templates.
    private func canMatchSame(_ left: [RouteModel.Segment], _ right: [RouteModel.Segment]) -> Bool {
        var index = 0
        while index < left.count, index < right.count {
            switch (left[index], right[index]) {
            case (.rest, _), (_, .rest): return true
            case (.literal(let one), .literal(let other)):
                if !one.utf8.elementsEqual(other.utf8) { return false }
            case (.parameter, .literal(let text)), (.literal(let text), .parameter):
                if text.isEmpty { return false }
            case (.parameter, .parameter): break
            }
            index += 1
        }
        return left.count == right.count
    }

    // MARK: Declared and never used

    func warnOfUnused() {
        var isRequired = [Bool](repeating: false, count: model.scopes.count)
        var isIssuerUsed = [Bool](repeating: false, count: model.issuers.count)
        for service in model.services {
            for issuer in service.issuers { isIssuerUsed[Int(issuer)] = true }
            for route in service.routes.indices {
                guard case .scopes(let all, let any) = service.routes[route].ground else { continue }
                for scope in all { isRequired[Int(scope)] = true }
                for scope in any { isRequired[Int(scope)] = true }
            }
        }
        for service in model.portServices {
            for scope in service.all + service.any { isRequired[Int(scope)] = true }
        }
        // What a service is yet to publish needs them.
        for publisher in model.publishers {
            for (index, scope) in model.scopes.enumerated() where publisher.covers(scope: scope.name) {
                isRequired[index] = true
            }
            for (index, issuer) in model.issuers.enumerated()
            where publisher.issuers?.contains(issuer.issuer) ?? true {
                isIssuerUsed[index] = true
            }
        }
        for (index, scope) in model.scopes.enumerated()
        where scope.replacedBy.isEmpty && !scope.closure.contains(where: { isRequired[Int($0)] }) {
            sink.warning(
                .unusedScope, at: scopePositions[index],
                "nothing requires the scope \(quoted(scope.name)) or one that it implies",
                mend: "require it on a route or a `kind: tcp` service, or remove it")
        }
        for (index, issuer) in model.issuers.enumerated() where !isIssuerUsed[index] {
            sink.warning(
                .unusedIssuer, at: issuerPositions[index],
                "no service takes tokens of the issuer \(quoted(issuer.issuer))",
                mend: "list it in a service's `issuers`, or remove it")
        }
    }
}
