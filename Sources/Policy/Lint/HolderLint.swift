internal import PolicyTables

// Rules over scopes and those who may hold them. Where an issuer takes tokens of clients that the policy does not know,
// nobody can say who holds what, and these rules keep silent.

extension PolicyLinter {
    /// What the clients of each issuer may hold now or later; nil where that is not known.
    private struct Holdings {
        /// For each issuer, by scope; nil for an issuer whose clients may hold anything.
        var byIssuer: [[Bool]?]
    }

    func checkHolders() {
        guard !model.clients.isEmpty else { return }
        let holdings = makeHoldings()
        let missing = checkGranted(holdings)
        checkClosedRoutes(holdings, missing: missing)
        checkIdleClients()
    }

    /// What a client may hold at some time from now on, ascending and each once; nil for one whose excess counts.
    private func held(_ client: ClientModel) -> Set<UInt16>? {
        guard client.excess != .alert else { return nil }
        var result = Set(client.scopes)
        for grant in client.grants where grant.until > now { result.formUnion(grant.scopes) }
        return result.filter { !hasEnded($0) }
    }

    private func hasEnded(_ scope: UInt16) -> Bool { model.scopes[Int(scope)].until.map { $0 <= now } ?? false }

    private func makeHoldings() -> Holdings {
        var byIssuer: [[Bool]?] = model.issuers.map { issuer in
            issuer.refusesUnknownClients ? [Bool](repeating: false, count: model.scopes.count) : nil
        }
        for client in model.clients {
            guard let scopes = held(client) else {
                byIssuer[Int(client.issuer)] = nil
                continue
            }
            for scope in scopes { byIssuer[Int(client.issuer)]?[Int(scope)] = true }
        }
        return Holdings(byIssuer: byIssuer)
    }

    /// - Returns: the scopes of which it said that they are required and nobody has them.
    private func checkGranted(_ holdings: Holdings) -> Set<UInt16> {
        guard holdings.byIssuer.allSatisfy({ $0 != nil }) else { return [] }
        var missing: Set<UInt16> = []
        var isHeld = [Bool](repeating: false, count: model.scopes.count)
        for scopes in holdings.byIssuer {
            for (scope, isHeldThere) in (scopes ?? []).enumerated() where isHeldThere { isHeld[scope] = true }
        }
        for client in model.certificateClients {
            for scope in client.scopes { isHeld[Int(scope)] = true }
        }
        var requirers = [(service: Int, route: Int)?](repeating: nil, count: model.scopes.count)
        var isPortScope = [Bool](repeating: false, count: model.scopes.count)
        forEachRequirement { index, all, any in
            for scope in all + any where requirers[Int(scope)] == nil { requirers[Int(scope)] = index }
        }
        for service in model.portServices {
            for scope in service.all + service.any { isPortScope[Int(scope)] = true }
        }
        for (index, scope) in model.scopes.enumerated()
        where !isHeld[index] && scope.replacedBy.isEmpty && !hasEnded(UInt16(index)) {
            let here = place(scope: index)
            if let requirer = requirers[index] {
                missing.insert(UInt16(index))
                let there = place(service: requirer.service, route: requirer.route)
                add(
                    .requiredButNotGranted, at: here,
                    "\(quoted(scope.name)) is required by \(quoted(route(requirer).label)) (\(line(there, from: here))) "
                        + "and granted to nobody",
                    mend: "grant it to a client or role, or require another scope")
            } else if !isPortScope[index] {
                add(
                    .neverGranted, at: here, "no client is granted \(quoted(scope.name))",
                    mend: "grant it to a client or role, or remove it")
            }
        }
        return missing
    }

    private func forEachRequirement(_ body: ((service: Int, route: Int), [UInt16], [UInt16]) -> Void) {
        for service in model.services.indices {
            for route in model.services[service].routes.indices {
                guard case .scopes(let all, let any) = model.services[service].routes[route].ground else { continue }
                body((service, route), all, any)
            }
        }
    }

    // MARK: Routes that nobody can use

    private struct Demand: Hashable {
        var issuers: [UInt16]
        var all: [UInt16]
        var any: [UInt16]
    }

    private func checkClosedRoutes(_ holdings: Holdings, missing: Set<UInt16>) {
        let holders = model.clients.map { (issuer: $0.issuer, scopes: held($0)) }
        var isOpen: [Demand: Bool] = [:]
        forEachRequirement { index, all, any in
            let issuers = model.services[index.service].issuers
            guard issuers.allSatisfy({ holdings.byIssuer[Int($0)] != nil }) else { return }
            // It has been said where the scope is declared.
            guard missing.isDisjoint(with: all), any.isEmpty || !missing.isSuperset(of: any) else { return }
            let demand = Demand(issuers: issuers, all: all, any: any)
            let answer: Bool
            if let known = isOpen[demand] {
                answer = known
            } else {
                guard spend(holders.count) else { return }
                answer = holders.contains { holder in
                    issuers.contains(holder.issuer) && PolicyLinter.satisfies(holder.scopes, all, any)
                }
                isOpen[demand] = answer
            }
            guard !answer else { return }
            add(
                .closedRoute, at: place(service: index.service, route: index.route),
                "no client can use \(quoted(route(index).label)): none is granted all that it requires",
                mend: "grant the missing scopes to a client, or require fewer")
        }
    }

    /// - Parameter held: nil holds whatever is asked for.
    private static func satisfies(_ held: Set<UInt16>?, _ all: [UInt16], _ any: [UInt16]) -> Bool {
        guard let held else { return true }
        return all.allSatisfy(held.contains) && (any.isEmpty || any.contains(where: held.contains))
    }

    private func checkIdleClients() {
        var demands: Set<Demand> = []
        forEachRequirement { index, all, any in
            demands.insert(Demand(issuers: model.services[index.service].issuers, all: all, any: any))
        }
        let certificateNames = Set(model.certificateClients.map(\.name))
        for client in model.clients {
            guard let scopes = held(client), !certificateNames.contains(client.name) else { continue }
            guard spend(demands.count) else { return }
            let isUseful = demands.contains {
                $0.issuers.contains(client.issuer) && PolicyLinter.satisfies(scopes, $0.all, $0.any)
            }
            if isUseful { continue }
            add(
                .idleClient, at: outline.clients[client.name]?.place ?? outline.start,
                "no route opens with what \(quoted(client.name)) is granted",
                mend: "grant it what it needs, or remove it")
        }
    }
}
