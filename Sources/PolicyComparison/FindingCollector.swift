internal import PolicyTables

/// Gathers what is found, one finding for each change however many requests it is about.
struct FindingCollector {
    private let comparison: Comparison
    private var findings: [Finding] = []
    private var places: [Key: Int] = [:]
    private var routes: [Set<RouteLocation>] = []
    private var omitted: Set<Key> = []

    private struct Key: Hashable {
        var kind: WideningKind
        var change: String
        var becomes: String
        var from: Int64
        var until: Int64
    }

    init(_ comparison: Comparison) { self.comparison = comparison }

    mutating func add(_ request: RequestClass) {
        let new = request.new
        for widening in comparison.widenings(old: request.old?.requirement, new: new.requirement) {
            // A request is only looked for where it would be shown: looking takes long, and there may be millions.
            if countsAlone(widening, new.place) { continue }
            comparison.stepsLeft -= FindingCollector.witnessSteps
            guard comparison.stepsLeft > 0 else { return }
            guard let witness = comparison.witness(request, widening) else { continue }
            guard let place = place(widening, new.place) else { continue }
            guard findings[place].examples.count < PolicyPlan.examplesMax,
                !findings[place].examples.contains(where: { $0.newRoute == new.place })
            else { continue }
            findings[place].examples.append(
                Finding.Example(
                    request: .http(
                        method: comparison.texts.text(request.method), host: request.hosts.first ?? "",
                        port: request.port, path: witness.path,
                        requestedMethod: request.requestedMethod.map { comparison.texts.text($0) }),
                    token: comparison.token(widening, witness),
                    was: widening.was.isEmpty ? request.denial : widening.was, becomes: widening.becomes,
                    oldRoute: request.old?.place, newRoute: new.place))
        }
    }

    /// What one search for a request costs of the budget.
    private static let witnessSteps = 256

    /// Counts the route when its finding has all the examples that it may have.
    private mutating func countsAlone(_ widening: Widening, _ route: RouteLocation) -> Bool {
        guard let place = places[key(widening)], findings[place].examples.count >= PolicyPlan.examplesMax else {
            return false
        }
        if routes[place].insert(route).inserted { findings[place].count += 1 }
        return true
    }

    private func key(_ widening: Widening) -> Key {
        Key(
            kind: widening.kind, change: widening.change, becomes: widening.becomes, from: widening.from,
            until: widening.until)
    }

    /// Something that is no request over HTTP.
    /// - Parameter place: counted once.
    mutating func add(_ widening: Widening, place: RouteLocation, example: Finding.Example?) {
        guard let index = self.place(widening, place), let example else { return }
        guard findings[index].examples.count < PolicyPlan.examplesMax, !findings[index].examples.contains(example)
        else { return }
        findings[index].examples.append(example)
    }

    /// The widening's finding, with the route counted; nil when no more are kept.
    private mutating func place(_ widening: Widening, _ route: RouteLocation) -> Int? {
        let key = key(widening)
        if let place = places[key] {
            if routes[place].insert(route).inserted { findings[place].count += 1 }
            return place
        }
        guard findings.count < PolicyPlan.findingsMax else {
            // Counting them must not take more room than keeping them would.
            if omitted.count < FindingCollector.omittedMax { omitted.insert(key) }
            return nil
        }
        places[key] = findings.count
        routes.append([route])
        findings.append(
            Finding(
                kind: widening.kind, basis: widening.basis, change: widening.change, from: widening.from,
                until: widening.until == .max ? nil : widening.until, count: 1, examples: []))
        return findings.count - 1
    }

    private static let omittedMax = 1_000_000

    func plan() -> PolicyPlan {
        let order = Dictionary(uniqueKeysWithValues: WideningKind.allCases.enumerated().map { ($1, $0) })
        let sorted = findings.indices.sorted {
            let kinds = (order[findings[$0].kind] ?? 0, order[findings[$1].kind] ?? 0)
            return kinds.0 != kinds.1 ? kinds.0 < kinds.1 : $0 < $1
        }
        return PolicyPlan(findings: sorted.map { findings[$0] }, omittedCount: omitted.count, at: comparison.at)
    }
}

extension Comparison {
    /// A path with which the widening can be seen; nil when the bindings of this class of paths do not let it be one.
    func witness(_ request: RequestClass, _ widening: Widening) -> PathWitness? {
        let held = widening.needsBindings ? requirements[Int(request.new.requirement)].bindings : []
        let before = request.old.map { requirements[Int($0.requirement)].bindings } ?? []
        if widening.isAfterBindings, !before.isEmpty,
            let both = PathWitness(request.path, held: held + before, broken: [], texts: texts)
        {
            return both
        }
        let broken = widening.breaksBindings ? before : []
        return PathWitness(request.path, held: held, broken: broken, texts: texts)
    }

    func token(_ widening: Widening, _ witness: PathWitness) -> ExampleToken? {
        guard let token = widening.token else { return nil }
        return ExampleToken(
            issuer: texts.text(token.issuer), client: token.client.map { texts.text($0) },
            isUnlisted: token.client == nil && (lists(token.issuer, old) || lists(token.issuer, new)),
            scopes: token.scopes.map { scopeName($0) }.sorted(),
            claims: witness.claims.map { ExampleToken.Claim(name: texts.text($0.name), value: $0.value) },
            note: token.note)
    }

    private func lists(_ issuer: Int32, _ side: PolicySide) -> Bool {
        !(side.clients[issuer] ?? [:]).isEmpty || side.issuer(issuer)?.refusesUnknownClients ?? false
    }
}
