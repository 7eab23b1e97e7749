internal import PolicyTables

extension Comparison {
    /// The token of an example: what both policies demand of it before they part, what the new route demands, and what
    /// the change is about.
    func token(_ request: RequestClass, _ widening: Widening, _ witness: PathWitness) -> ExampleToken? {
        guard let token = widening.token else { return nil }
        let new = requirements[Int(request.new.requirement)]
        let old = request.old.map { requirements[Int($0.requirement)] }
        let isListing = lists(token.issuer, self.old) || lists(token.issuer, self.new)
        var result = ExampleToken(
            issuer: texts.text(token.issuer), client: witness.client, isUnlisted: token.clients.isEmpty && isListing,
            scopes: token.scopes.map { scopeName($0) }.sorted(),
            claims: witness.claims.map { ExampleToken.Claim(name: texts.text($0.name), value: $0.value) },
            note: token.note)
        result.audiences = audiences(token.issuer, old, new)
        result.proof = proof(bindingKind(old, new))
        // A client's observe mode lets through what a token lacks beyond that.
        if widening.becomes != "observed" { demandUser(&result, old, new, isAfterBindings: widening.isAfterBindings) }
        switch token.trait {
        case .audiences(let names): result.audiences = names
        case .binding(let kind): result.proof = proof(kind)
        case .context(let name): result.authenticationContext = name
        case .age(let seconds): result.authenticationAgeSeconds = seconds
        case .fewDetails: result.details = new.details.map(model)
        case nil: break
        }
        return result
    }

    private func lists(_ issuer: Int32, _ side: PolicySide) -> Bool {
        !(side.clients[issuer] ?? [:]).isEmpty || side.issuer(issuer)?.refusesUnknownClients ?? false
    }

    /// What is demanded of the user: how and when authenticated, and what agreed to.
    private func demandUser(
        _ token: inout ExampleToken, _ old: Requirement?, _ new: Requirement, isAfterBindings: Bool
    ) {
        let before = old?.contexts ?? []
        let context = new.contexts.first { before.contains($0) } ?? new.contexts.first
        token.authenticationContext = context.map { texts.text($0) }
        if new.ageMax != nil { token.authenticationAgeSeconds = 0 }
        var details = new.details
        // The old policy looks at them before the rest, so they must not be what it denies for.
        if isAfterBindings { details += (old?.details ?? []).filter { one in !details.contains { $0.implies(one) } } }
        token.details = details.map(model)
    }

    private func model(_ detail: Requirement.Detail) -> DetailModel {
        DetailModel(
            type: texts.text(detail.type), actions: detail.actions.map { texts.text($0) },
            locations: detail.locations.map { texts.text($0) })
    }

    /// One that both take, where there is one.
    private func bindingKind(_ old: Requirement?, _ new: Requirement) -> BindingKind {
        let before = old?.bindingKinds ?? new.bindingKinds
        return new.bindingKinds.first(where: before.contains) ?? new.bindingKinds.first ?? .nothing
    }

    private func proof(_ kind: BindingKind) -> ExampleToken.Proof? {
        switch kind {
        case .nothing: nil
        case .key: .dpop
        case .certificate: .mtls
        }
    }

    /// Names with which the token is for everyone who asks; none where any of the issuer's will do.
    private func audiences(_ issuer: Int32, _ old: Requirement?, _ new: Requirement) -> [String] {
        var lists: [[Int32]] = []
        var chosen: Set<Int32> = []
        func add(_ requirement: Requirement, _ side: PolicySide) {
            if let audience = requirement.audience { chosen.insert(texts.number(audience)) }
            if let settings = side.issuer(issuer) { lists.append(settings.audiences.map { texts.number($0) }) }
        }
        add(new, self.new)
        if let old { add(old, self.old) }
        let sets = lists.map { Set($0) }
        let isAny = chosen.isEmpty || sets.allSatisfy { $0 == chosen } && chosen.count == 1
        if isAny, sets.allSatisfy({ $0 == sets.first }) { return [] }
        for (list, set) in zip(lists, sets) where chosen.isDisjoint(with: set) {
            let shared = list.first { name in sets.allSatisfy { $0.contains(name) } }
            if let name = shared ?? list.first { chosen.insert(name) }
        }
        return chosen.map { texts.text($0) }.sorted()
    }
}
