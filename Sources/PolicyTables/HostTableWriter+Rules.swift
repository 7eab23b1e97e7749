internal import Octets

extension HostTableWriter {
    /// Writes the entries of the routes that end at one path, by method. The rules come first; a route that
    /// is in several tries has one rule.
    mutating func writeTerminal(_ ending: ArraySlice<Int>) throws(PolicyTableError) -> UInt32 {
        if ending.count == 1, let only = ending.first {
            try writeRule(only)
            return writeEntries([(methodKey(only), keys.items[only].rule, 1)])
        }
        let order = byMethod(ending)
        for item in order { try writeRule(item) }
        var entries: [(key: UInt64, rule: UInt32, count: UInt32)] = []
        var next = 0
        while next < order.count {
            let start = next
            while next < order.count, method(order[next]).utf8.elementsEqual(method(order[start]).utf8) {
                next += 1
            }
            let group = order[start..<next]
            try checkOverlap(group)
            var rule = keys.items[order[start]].rule
            if group.count > 1 {
                rule = UInt32(clamping: output.count)
                for item in group { output.append(littleEndian32: keys.items[item].rule) }
            }
            entries.append((methodKey(order[start]), rule, UInt32(group.count)))
        }
        return writeEntries(entries)
    }

    private mutating func writeEntries(_ entries: [(key: UInt64, rule: UInt32, count: UInt32)]) -> UInt32 {
        let offset = output.appendRecord(HostLayout.terminalBytes + entries.count * HostLayout.entryBytes)
        output.store(UInt32(entries.count), at: offset)
        for (index, entry) in entries.enumerated() {
            let record = offset + HostLayout.terminalBytes + index * HostLayout.entryBytes
            output.store(entry.key, at: record)
            output.store(entry.rule, at: record + HostLayout.entryRule)
            output.store(entry.count, at: record + HostLayout.entryRuleCount)
        }
        return UInt32(clamping: offset)
    }

    private func route(_ item: Int) -> RouteModel {
        model.services[Int(keys.items[item].service)].routes[Int(keys.items[item].route)]
    }

    /// Spares a copy of the whole route.
    private func method(_ item: Int) -> String {
        model.services[Int(keys.items[item].service)].routes[Int(keys.items[item].route)].method
    }

    private func methodKey(_ item: Int) -> UInt64 { PolicyTables.methodKey(method(item).utf8.span) }

    private func byMethod(_ ending: ArraySlice<Int>) -> [Int] {
        ending.sorted { one, other in
            let left = method(one).utf8
            let right = method(other).utf8
            return left.elementsEqual(right) ? one < other : left.lexicographicallyPrecedes(right)
        }
    }

    /// Routes of one path and method must be told apart by their ports.
    private func checkOverlap(_ group: ArraySlice<Int>) throws(PolicyTableError) {
        guard group.count > 1, let first = group.first else { return }
        var owners: [UInt16: Int] = [:]
        for item in group {
            let own = route(item).ports
            let ports = own.isEmpty ? model.services[Int(keys.items[item].service)].ports : own
            // A route without ports is open on all of them, so it stands alone.
            if ports.isEmpty { throw duplicate(item == first ? group[group.startIndex + 1] : first, item) }
            for port in Set(ports) {
                if let owner = owners[port] { throw duplicate(owner, item) }
                owners[port] = item
            }
        }
    }

    private func duplicate(_ one: Int, _ other: Int) -> PolicyTableError {
        let references = [one, other].sorted().map {
            RouteReference(service: Int(keys.items[$0].service), route: Int(keys.items[$0].route))
        }
        return .duplicateRoute(host: host, first: references[0], second: references[1])
    }

    // MARK: Rules

    private mutating func writeRule(_ item: Int) throws(PolicyTableError) {
        guard keys.items[item].rule == 0 else { return }
        let route = route(item)
        var all: [UInt16] = []
        var any: [UInt16] = []
        let ground: RouteGround
        switch route.ground {
        case .scopes(let allScopes, let anyScopes):
            ground = .scopes
            all = allScopes
            any = anyScopes
        case .public: ground = .public
        case .preflight: ground = .preflight
        }
        guard ground != .scopes || all.count + any.count > 0 else {
            throw PolicyTableError.invalidModel("`\(route.label)` requires no scope and is not public")
        }
        for scopes in [all, any] {
            for scope in scopes where Int(scope) >= model.scopes.count {
                throw PolicyTableError.invalidModel("`\(route.label)` requires the scope number \(scope)")
            }
        }
        try checkCounts(route, all, any)
        try checkProof(route, ground)
        for detail in route.details where Int(detail) >= model.details.count {
            throw PolicyTableError.invalidModel("`\(route.label)` demands the authorization detail number \(detail)")
        }
        keys.setRule(UInt32(clamping: output.count), of: item)
        noteRule()
        let record = output.appendRecord(HostLayout.ruleBytes)
        output.store(keys.items[item].service, at: record)
        output.store(keys.items[item].route, at: record + HostLayout.ruleRoute)
        output.store(route.observeUntil ?? Int64.min, at: record + HostLayout.ruleObserveUntil)
        output.store(ground.rawValue, at: record + HostLayout.ruleGround)
        output.store(UInt8(route.method.utf8.count), at: record + HostLayout.ruleMethodBytes)
        output.store(UInt16(route.label.utf8.count), at: record + HostLayout.ruleLabelBytes)
        output.store(UInt16(all.count), at: record + HostLayout.ruleAll)
        output.store(UInt16(any.count), at: record + HostLayout.ruleAny)
        output.store(UInt16(route.bindings.count), at: record + HostLayout.ruleBindings)
        output.store(UInt16(route.ports.count), at: record + HostLayout.rulePorts)
        output.store(route.proof.rawValue, at: record + HostLayout.ruleProof)
        output.store(UInt8(route.demandsNonce ? 1 : 0), at: record + HostLayout.ruleNonce)
        output.store(UInt16(route.authenticationContexts.count), at: record + HostLayout.ruleAcr)
        output.store(route.authenticationAgeSecondsMax, at: record + HostLayout.ruleAuthenticationAge)
        output.store(UInt16(route.details.count), at: record + HostLayout.ruleDetails)
        for scope in all { output.append(littleEndian16: scope) }
        for scope in any { output.append(littleEndian16: scope) }
        for binding in route.bindings { try writeBinding(binding, route) }
        for port in route.ports { output.append(littleEndian16: port) }
        for detail in route.details { output.append(littleEndian16: detail) }
        output.append(contentsOf: route.method.utf8)
        output.append(contentsOf: route.label.utf8)
        for value in route.authenticationContexts {
            output.append(littleEndian16: UInt16(value.utf8.count))
            output.append(contentsOf: value.utf8)
        }
    }

    private mutating func writeBinding(
        _ binding: RouteModel.Binding, _ route: RouteModel
    ) throws(PolicyTableError) {
        guard let claim = claims[Array(binding.claim.utf8)], binding.segment >= 0,
            binding.segment < route.segments.count
        else {
            throw PolicyTableError.invalidModel("`\(route.label)` binds what is not in its path")
        }
        output.append(littleEndian16: UInt16(binding.segment))
        output.append(littleEndian16: claim)
    }

    private func checkCounts(
        _ route: RouteModel, _ all: [UInt16], _ any: [UInt16]
    ) throws(PolicyTableError) {
        let methodBytesMax = Int(UInt8.max)
        guard !route.method.isEmpty, route.method.utf8.count <= methodBytesMax else {
            throw PolicyTableError.tooLarge(what: "the method of `\(route.label)`", limit: methodBytesMax)
        }
        let limit = Int(UInt16.max)
        let counts = [
            route.label.utf8.count, all.count, any.count, route.bindings.count, route.ports.count,
            route.authenticationContexts.count, route.details.count,
        ]
        for count in counts where count > limit {
            throw PolicyTableError.tooLarge(
                what: "a list of the route `\(route.label.prefix(80))`", limit: limit)
        }
        for value in route.authenticationContexts where value.utf8.count > limit {
            throw PolicyTableError.tooLarge(
                what: "an `acr` value of the route `\(route.label.prefix(80))`", limit: limit)
        }
    }

    /// Demands on a token that is never looked at would be met by nobody's check.
    private func checkProof(_ route: RouteModel, _ ground: RouteGround) throws(PolicyTableError) {
        let demandsNothing =
            route.proof == .none && !route.demandsNonce && route.authenticationContexts.isEmpty
            && route.authenticationAgeSecondsMax == 0 && route.details.isEmpty
        guard ground == .scopes || demandsNothing else {
            throw PolicyTableError.invalidModel("`\(route.label)` demands a proof and takes no token")
        }
        guard !route.authenticationContexts.contains("") else {
            throw PolicyTableError.invalidModel("`\(route.label)` demands an empty `acr`")
        }
    }
}

/// What the entries of a path are told apart by: the method itself up to 8 bytes, else its hash with the top
/// bit set. Whoever finds an entry still compares the bytes.
@inline(__always)
func methodKey(_ method: Span<UInt8>) -> UInt64 {
    guard method.count <= 8 else { return integrityHash(method) | 1 << 63 }
    var key: UInt64 = 0
    var index = method.count
    while index > 0 {
        index -= 1
        key = key << 8 | UInt64(method[index])
    }
    return key
}
