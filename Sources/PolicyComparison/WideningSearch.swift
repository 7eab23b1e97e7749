internal import PolicyTables

/// Compares one pair of demands over all tokens and all times.
///
/// A token is let through by a policy when a number of conditions hold, each about another part of the token, and those
/// parts can be chosen freely: issuer, audience, signature, binding, `acr`, `auth_time`, details, claims. So the new
/// policy lets a token through that the old one did not exactly when each of its conditions can be met and one of them
/// can be met where the old condition is not. Scopes and clients are compared together (`compareScopes`), at each
/// time between two ends.
struct WideningSearch {
    let comparison: Comparison
    let old: Requirement?
    let new: Requirement
    private var found: [Widening] = []
    private var places: [Key: Int] = [:]

    private struct Key: Hashable {
        var kind: WideningKind
        var change: String
        var becomes: String
        var needsBindings: Bool
        /// Where paths name the client or the issuer: whose token it is; -1 for everybody's, and for clients that
        /// neither policy lists.
        var issuer: Int32 = -1
        var client: Int32 = -1
    }

    /// What a change costs of the budget that is kept for each client by itself.
    private static let ownWideningSteps = 32

    init(_ comparison: Comparison, old: Requirement?, new: Requirement) {
        self.comparison = comparison
        self.old = old
        self.new = new
    }

    mutating func run() -> [Widening] {
        let ends = [new.serviceUntil, new.observeUntil, old?.serviceUntil, old?.observeUntil].compactMap { $0 }
        for window in windows(from: comparison.at, until: .max, ends: ends) {
            let time = window.lowerBound
            if new.hasEnded(at: time) { continue }
            let wasOpen = old?.isOpen(at: time) ?? false
            if new.isOpen(at: time) {
                addForwarded(window)
                if !wasOpen { addOpen(window) }
            } else if !wasOpen || forwardsMore {
                compareTokens(window)
            }
        }
        return found
    }

    /// Whether the proxy passes on a client's token that it kept before, whether or not the route wants one.
    private var forwardsMore: Bool { old.map { new.forwardsToken && !$0.forwardsToken } ?? false }

    /// A window in which the new route is open.
    private mutating func addForwarded(_ window: Range<Int64>) {
        guard forwardsMore, let old = lasting(window.lowerBound) else { return }
        let change = ConditionChange.forwardedToken
        add(
            Widening(
                kind: change.kind, basis: change.basis, change: change.change,
                was: old.isOpen(at: window.lowerBound) ? groundName(old) : "granted", becomes: groundName(new),
                from: window.lowerBound, until: window.upperBound))
    }

    private func groundName(_ requirement: Requirement) -> String {
        switch requirement.ground {
        case .public: "public"
        case .preflight: "preflight"
        case .token: "observed"
        }
    }

    /// The stretches of time between ends.
    func windows(from: Int64, until: Int64, ends: [Int64]) -> [Range<Int64>] {
        let inner = Set(ends.filter { $0 > from && $0 < until }).sorted()
        return zip([from] + inner, inner + [until]).map { $0..<$1 }
    }

    /// The old route, as long as its service has not ended.
    private func lasting(_ time: Int64) -> Requirement? {
        guard let old, !old.hasEnded(at: time) else { return nil }
        return old
    }

    private mutating func addOpen(_ window: Range<Int64>) {
        var kind: WideningKind
        var change: String
        switch new.ground {
        case .public: (kind, change) = (.becamePublic, "no token is needed; \(demand(old, comparison.old)) before")
        case .preflight: (kind, change) = (.preflightOpened, "preflights are answered without a token")
        case .token:
            (kind, change) = (.observeMode, "what is denied is let through; \(demand(old, comparison.old)) before")
        }
        var was = "no_token"
        if old == nil {
            kind = new.ground == .preflight ? .preflightOpened : .routeOpened
            change = "nothing answered before; now \(demand(new, comparison.new))"
            was = ""
        } else if lasting(window.lowerBound) == nil {
            kind = .publicationExtended
            change = "the publication had ended; now \(demand(new, comparison.new))"
            was = "publication_ended"
        }
        add(
            Widening(
                kind: kind, change: change, was: was, becomes: groundName(new), from: window.lowerBound,
                until: window.upperBound))
    }

    /// A window in which the new policy wants a token, and the old one too or nothing at all; or none, while it kept
    /// the client's token from the backend.
    private mutating func compareTokens(_ window: Range<Int64>) {
        for issuer in new.issuers {
            let facts: [ConditionChange]
            if let old = lasting(window.lowerBound), old.issuers.contains(issuer) {
                facts = comparison.conditionChanges(issuer, old, new)
            } else {
                facts = []
            }
            for group in comparison.clients(of: issuer) {
                comparison.stepsLeft -= 1
                guard comparison.stepsLeft > 0 else { return }
                compare(issuer, group, window, facts)
            }
        }
    }

    private mutating func compare(
        _ issuer: Int32, _ group: ClientGroup, _ window: Range<Int64>, _ facts: [ConditionChange]
    ) {
        var ends = comparison.old.scopeEnds + comparison.new.scopeEnds
        for (side, client) in [(comparison.old, group.old), (comparison.new, group.new)] {
            guard let client else { continue }
            ends += side.model.clients[client].grants.map(\.until)
            if let until = side.model.clients[client].observeUntil { ends.append(until) }
        }
        for moment in windows(from: window.lowerBound, until: window.upperBound, ends: ends) {
            let time = moment.lowerBound
            comparison.stepsLeft -= 1
            guard comparison.stepsLeft > 0 else { return }
            guard let wanted = comparison.new.predicate(new, issuer: issuer, client: group.new, at: time),
                wanted.isSatisfiable
            else { continue }
            let scopes = wanted.clauses.compactMap(\.first)
            var base = Widening(
                kind: .routeOpened, change: "", from: time, until: moment.upperBound,
                token: Widening.Token(issuer: issuer, clients: group.identifiers, scopes: Set(scopes).sorted()),
                needsBindings: !wanted.isObserved && !new.bindings.isEmpty)
            if wanted.isObserved { base.becomes = "observed" }
            guard let old = lasting(time) else {
                addOpened(base)
                continue
            }
            if old.isOpen(at: time) {
                let change = ConditionChange.forwardedToken
                (base.kind, base.basis, base.change) = (change.kind, change.basis, change.change)
                base.was = groundName(old)
                add(base)
                continue
            }
            guard old.issuers.contains(issuer) else {
                base.kind = .issuerAdmitted
                base.change = "tokens of `\(comparison.texts.text(issuer))` are taken"
                base.was = "issuer_not_allowed"
                add(base)
                continue
            }
            compareToken(base, old, group, wanted, facts)
        }
    }

    private mutating func addOpened(_ base: Widening) {
        var opened = base
        opened.change = "nothing answered before; now \(demand(new, comparison.new))"
        if old != nil {
            opened.kind = .publicationExtended
            opened.change = "the publication had ended; now \(demand(new, comparison.new))"
            opened.was = "publication_ended"
        }
        add(opened)
    }

    /// A token of an issuer that both take, at a time at which both services last.
    private mutating func compareToken(
        _ base: Widening, _ old: Requirement, _ group: ClientGroup, _ wanted: PolicySide.ScopePredicate,
        _ facts: [ConditionChange]
    ) {
        let issuer = base.token?.issuer ?? -1
        let before = comparison.old.predicate(old, issuer: issuer, client: group.old, at: base.from)
        let isObservedBefore = before?.isObserved ?? false
        let shared = before.flatMap { sharedScopes($0, wanted) }
        for fact in facts where !fact.isAfterScopes || shared != nil && !isObservedBefore && !wanted.isObserved {
            var one = base
            if let shared { one.token?.scopes = shared }
            one.kind = fact.kind
            one.basis = fact.basis
            one.change = fact.change
            one.was = fact.was
            one.token?.note = fact.note
            one.token?.trait = fact.trait
            one.isAfterBindings = fact.isAfterScopes
            add(one)
        }
        if facts.contains(where: \.isTotal) { return }
        guard let before else {
            var one = base
            one.kind = .clientAdmitted
            one.change = "\(name(of: group)) is taken; unknown clients of the issuer were refused"
            one.was = "unknown_client"
            return add(one)
        }
        if isObservedBefore { return }
        if rule(group.old, comparison.old) == .narrow, rule(group.new, comparison.new) ?? .alert == .alert {
            var one = base
            one.kind = .grantedScopes
            one.basis = .unordered
            one.change = "\(name(of: group)): scopes beyond its baseline count, and backends are told of them"
            one.was = "granted"
            add(one)
        }
        compareScopes(base, old, group, before, wanted)
        if let shared, !wanted.isObserved, !old.bindings.allSatisfy(new.bindings.contains) {
            var one = base
            one.token?.scopes = shared
            one.kind = .binding
            one.change = "\(bindings(new)); \(bindings(old)) before"
            one.was = "binding_mismatch"
            one.breaksBindings = true
            add(one)
        }
    }

    /// A list of names that both policies take. Where there is none, every list that the new one takes is one that the
    /// old one does not, which `compareScopes` says, and nothing that is decided later makes a difference.
    private func sharedScopes(
        _ before: PolicySide.ScopePredicate, _ wanted: PolicySide.ScopePredicate
    ) -> [Int]? {
        var names: Set<Int> = []
        for clause in before.clauses + wanted.clauses {
            guard let name = clause.subtracting(before.forbidden).subtracting(wanted.forbidden).first else {
                return nil
            }
            names.insert(name)
        }
        return names.sorted()
    }

    /// Lists of scope names that the new policy takes from the client and the old one does not.
    ///
    /// Both policies say of a list S: no name of F is in it, and of each clause C some name is. No C has a name of F.
    /// - A name f of the old F that is not in the new one shows a difference: take one name of each new clause, and f.
    ///   Without such a name, whatever the new policy takes has none of the old F.
    /// - An old clause O is missed by some list that the new policy takes exactly when every new clause has a name
    ///   outside of O: take those. Otherwise some new clause lies within O, so that whoever meets it meets O.
    ///
    /// So both questions together are exact, for all the lists that there are.
    private mutating func compareScopes(
        _ base: Widening, _ old: Requirement, _ group: ClientGroup, _ before: PolicySide.ScopePredicate,
        _ wanted: PolicySide.ScopePredicate
    ) {
        let approved = before.forbidden.subtracting(wanted.forbidden)
        if let excess = approved.first {
            var one = base
            let isApproved = rule(group.old, comparison.old) == rule(group.new, comparison.new)
            one.kind = wanted.isObserved ? .clientObserved : isApproved ? .baseline : .excess
            one.change =
                "\(name(of: group)): a token with \(some(approved)) too is "
                + (wanted.isObserved ? "let through" : "taken")
            one.was = "over_scoped"
            one.token?.scopes = Set((base.token?.scopes ?? []) + [excess]).sorted()
            add(one)
        }
        for (number, clause) in before.clauses.enumerated()
        where !wanted.clauses.contains(where: { $0.isSubset(of: clause) }) {
            // Lists that need a name of the old F for it are those of the first question.
            let names = wanted.clauses.compactMap { $0.subtracting(clause).subtracting(before.forbidden).first }
            if names.count < wanted.clauses.count { continue }
            var one = base
            one.was = "insufficient_scope"
            one.token?.scopes = Set(names).sorted()
            if wanted.isObserved {
                one.kind = .clientObserved
                one.change = "\(name(of: group)): what its tokens may not do is let through"
            } else {
                describeScopes(&one, old, group, clause: number)
            }
            add(one)
        }
    }

    private func describeScopes(_ one: inout Widening, _ old: Requirement, _ group: ClientGroup, clause: Int) {
        let plainOld = comparison.old.plainPredicate(old, at: one.from).clauses[clause]
        let plainNew = comparison.new.plainPredicate(new, at: one.from).clauses
        let names = (one.token?.scopes ?? []).map { "`\(comparison.scopeName($0))`" }.joined(separator: " ")
        guard plainNew.contains(where: { $0.isSubset(of: plainOld) }) else {
            one.kind = .scopes
            let (before, now) = (demand(old, comparison.old), demand(new, comparison.new))
            one.change = before == now ? "\(now), and \(names) is enough for it now" : "\(now); \(before) before"
            return
        }
        one.kind = .baseline
        one.change = "\(name(of: group)): \(names) counts now; \(demand(new, comparison.new))"
    }

    // MARK: Results

    /// Neighbouring times of one change become one; its example is the earliest.
    private mutating func add(_ one: Widening) {
        var key = Key(
            kind: one.kind, change: one.change, becomes: one.basis == .unordered ? "" : one.becomes,
            needsBindings: one.needsBindings)
        if let token = one.token, comparison.bindsIdentity(old, new, issuer: token.issuer) {
            comparison.stepsLeft -= WideningSearch.ownWideningSteps
            (key.issuer, key.client) = (token.issuer, token.clients.first ?? -1)
        }
        guard let place = places[key], one.from <= found[place].until, found[place].from <= one.until else {
            places[key] = found.count
            found.append(one)
            return
        }
        let until = max(one.until, found[place].until)
        if one.from < found[place].from { found[place] = one }
        found[place].until = until
    }
}
