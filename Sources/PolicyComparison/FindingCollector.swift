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
        /// Empty for what has no order: its examples allow nothing that was denied.
        var becomes: String
        var from: Int64
        var until: Int64
    }

    init(_ comparison: Comparison) { self.comparison = comparison }

    mutating func add(_ request: RequestClass) {
        let new = request.new
        // The same change for many clients comes one after the other.
        var counted: Key?
        for widening in comparison.widenings(old: request.old?.requirement, new: new.requirement) {
            comparison.stepsLeft -= 1
            // A request is only looked for where it would be shown: looking takes long, and there may be millions.
            let key = key(widening)
            if key == counted { continue }
            if countsAlone(key, new.place) {
                counted = key
                continue
            }
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
                    token: comparison.token(request, widening, witness),
                    was: widening.was.isEmpty ? request.denial : widening.was, becomes: widening.becomes,
                    oldRoute: request.old?.place, newRoute: new.place))
        }
    }

    /// Counts the route when its finding has all the examples that it may have, or one of the route.
    private mutating func countsAlone(_ key: Key, _ route: RouteLocation) -> Bool {
        guard let place = places[key] else { return false }
        let examples = findings[place].examples
        guard examples.count >= PolicyPlan.examplesMax || examples.contains(where: { $0.newRoute == route }) else {
            return false
        }
        if routes[place].insert(route).inserted { findings[place].count += 1 }
        return true
    }

    private func key(_ widening: Widening) -> Key {
        Key(
            kind: widening.kind, change: widening.change,
            becomes: widening.basis == .unordered ? "" : widening.becomes, from: widening.from,
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
