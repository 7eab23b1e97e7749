import PolicyTables
import Testing

@testable import PolicyComparison

/// One request at one time.
private struct Moment: Hashable {
    var request: Int
    var time: Int64
}

/// All small requests and tokens of a shape.
private struct Universe {
    var requests: [Request] = []
    /// Of each request's path, decoded and as they are spelled.
    var segments: [[(decoded: String, spelled: String)]] = []
    var tokens: [Token] = []

    init(_ shape: PolicyShape) {
        var paths: [[(text: String, spelling: String)]] = []
        let texts = [("a", "a"), ("b", "b"), ("x", "x"), ("a:c", "a:c"), ("a:c", "a%3Ac")]
        if shape.variesRoutes {
            paths += texts.map { [$0] } + texts.map { [$0, ("", "")] }
            for one in texts { paths += texts.map { [one, $0] } }
            for last in ["a", "x", ""] {
                paths += [[texts[0], texts[2], (last, last)], [texts[2], texts[1], (last, last)]]
            }
        } else {
            for one in texts.prefix(3) { paths += texts.prefix(3).map { [one, $0] } }
        }
        let hosts = shape.variesRoutes ? ["a.test", "any.test"] : ["a.test"]
        let ports: [UInt16] = shape.variesRoutes ? [443, 9443, 8443] : [443]
        var methods: [(String, String?)] = [("GET", nil)]
        if shape.variesRoutes {
            methods += [("POST", nil), ("HEAD", nil), ("OPTIONS", nil)]
            methods += ["GET", "HEAD", "OPTIONS"].map { ("OPTIONS", $0) }
        }
        for host in hosts {
            for port in ports {
                for path in paths {
                    for (method, requested) in methods {
                        requests.append(
                            Request(
                                method: method, requestedMethod: requested, host: host, port: port,
                                path: path.map { "/" + $0.spelling }.joined(),
                                decoded: path.map { "/" + $0.text }.joined()))
                        segments.append(path.map { ($0.text, $0.spelling) })
                    }
                }
            }
        }
        makeTokens(shape)
    }

    private mutating func makeTokens(_ shape: PolicyShape) {
        for issuer in shape.variesTokens ? shape.issuers : [shape.issuers[0]] {
            var clients = shape.variesTokens ? ["zz"] + shape.clients : ["zz"]
            if shape.extra == .identity { clients = ["zz", "a", "b", "x"] }
            for client in clients {
                for scopes in 0..<(shape.variesTokens && shape.extra != .identity ? 16 : 8) {
                    let token = Token(issuer: issuer, client: client, scopes: scopes)
                    tokens += Universe.variants(token, shape.extra)
                }
            }
        }
    }

    private static func variants(_ token: Token, _ extra: PolicyShape.Extra) -> [Token] {
        func each<T>(_ values: [T], _ change: (inout Token, T) -> Void) -> [Token] {
            values.map { value in
                var token = token
                change(&token, value)
                return token
            }
        }
        switch extra {
        case .none: return [token]
        case .proof:
            let kinds: [(Token.Binding, Bool)] = [(.nothing, true), (.key, true), (.key, false), (.certificate, true)]
            return each(kinds) { ($0.binding, $0.hasNonce) = $1 }
        case .context: return each([nil, "m", "n"]) { $0.context = $1 }
        case .age: return each([nil, 3, 30, 300]) { $0.age = $1 }
        case .details: return each([[], [["a"]], [["b"]], [["a"], ["b"]], [["a", "b"]]]) { $0.details = $1 }
        case .audience: return each([["aud"], ["other"], ["aud", "other"], []]) { $0.audiences = $1 }
        case .bindings:
            let values = ["", "a", "x"]
            return each(values.flatMap { one in values.map { (one, $0) } }) {
                $0.claims = ["sub": $1.0, "tenant": $1.1].filter { !$0.value.isEmpty }
            }
        case .identity:
            return (0..<8).map { number in
                var token = token
                token.claims = number & 1 == 0 ? [:] : ["sub": "a"]
                token.context = number & 2 == 0 ? nil : "m"
                token.binding = number & 4 == 0 ? .nothing : .key
                return token
            }
        }
    }
}

/// What both policies say, and what the comparison says of it.
private struct Trial {
    let old: Judge
    let new: Judge
    let universe: Universe
    let shape: PolicyShape

    /// By the answers of trying: all requests and times at which some token passes that did not.
    func tried() -> Set<Moment> {
        struct Pair: Hashable {
            var old: Judge.Route
            var new: Judge.Route
            var segments: [String]
        }
        var known: [Pair: [Int64]] = [:]
        var result: Set<Moment> = []
        for (index, request) in universe.requests.enumerated() {
            let now = new.route(request)
            guard case .rule = now else { continue }
            let segments = shape.bindsPaths ? request.segments : []
            let pair = Pair(old: old.route(request), new: now, segments: segments)
            let moments = known[pair] ?? times.filter { isWider(pair.old, pair.new, segments, $0) }
            known[pair] = moments
            for time in moments { result.insert(Moment(request: index, time: time)) }
        }
        return result
    }

    private func isWider(_ before: Judge.Route, _ now: Judge.Route, _ segments: [String], _ time: Int64) -> Bool {
        func isWider(_ token: Token?) -> Bool {
            Judge.grounds.contains(new.decide(now, segments, token, time))
                && !Judge.grounds.contains(old.decide(before, segments, token, time))
        }
        return isWider(nil) || universe.tokens.contains(where: isWider)
    }

    /// The same by comparing.
    func compared() -> Set<Moment> {
        let comparison = Comparison(old: old.model, new: new.model, at: 0)
        var result: Set<Moment> = []
        var requests = RequestComparison(comparison)
        requests.run { one in
            let found = comparison.widenings(old: one.old?.requirement, new: one.new.requirement).filter {
                $0.basis == .example && comparison.witness(one, $0) != nil
            }
            guard !found.isEmpty else { return }
            for index in universe.requests.indices where contains(one, index, comparison) {
                for time in times where found.contains(where: { $0.from <= time && time < $0.until }) {
                    result.insert(Moment(request: index, time: time))
                }
            }
        }
        return result
    }

    private func contains(_ one: RequestClass, _ index: Int, _ comparison: Comparison) -> Bool {
        let request = universe.requests[index]
        let segments = universe.segments[index]
        guard segments.count == one.path.count || one.isOpenEnded && segments.count > one.path.count,
            one.port == request.port, comparison.texts.text(one.method) == request.method,
            one.requestedMethod.map({ comparison.texts.text($0) }) == request.requestedMethod
        else { return false }
        // No policy lists the other host by itself: it stands for all that a wildcard alone covers.
        let isListed = (old.model.services + new.model.services).contains { $0.hosts.contains(request.host) }
        guard one.hosts.contains(isListed ? request.host : "any.test") else { return false }
        return zip(one.path, segments).allSatisfy { segment, texts in
            let isEscaped = texts.decoded != texts.spelled
            switch segment {
            case .empty: return texts.decoded.isEmpty
            case .literal(let text): return !isEscaped && comparison.texts.text(text) == texts.decoded
            case .escaped(let text): return isEscaped && comparison.texts.text(text) == texts.decoded
            case .other(let names):
                return !texts.decoded.isEmpty && !names.contains { comparison.texts.text($0) == texts.decoded }
            }
        }
    }

    /// Requests of which the comparison only names one of a class: ports, and preflights for a method that is nowhere.
    func reduced(_ moments: Set<Moment>) -> Set<String> {
        Set(
            moments.map {
                let request = universe.requests[$0.request]
                return "\(request.method) \(request.host) \(request.path) \($0.time)"
            })
    }

    /// Whether the example is denied by the one and allowed by the other, for the reasons that it gives.
    func holds(_ example: Finding.Example, at time: Int64) -> Bool {
        guard case .http(let method, let host, let port, let path, let requested) = example.request else {
            return false
        }
        let request = Request(
            method: method, requestedMethod: requested, host: host, port: port, path: path,
            decoded: path.split(separator: "%3A", omittingEmptySubsequences: false).joined(separator: ":"))
        let before = old.route(request)
        let now = new.route(request)
        func shows(_ token: Token?) -> Bool {
            let becomes = new.decide(now, request.segments, token, time)
            // In a client's observe mode a token may well be enough by itself.
            return (becomes == example.becomes || becomes == "granted" && example.becomes == "observed")
                && old.decide(before, request.segments, token, time) == example.was
        }
        guard let wanted = example.token else { return shows(nil) }
        return audiences(wanted).contains { audiences in
            [true, false].contains { hasNonce in
                var token = token(wanted)
                token.audiences = audiences
                token.hasNonce = hasNonce
                return shows(token)
            }
        }
    }

    /// The token with just what the example says of it.
    private func token(_ wanted: ExampleToken) -> Token {
        var token = Token(issuer: wanted.issuer, client: wanted.client ?? "zz", scopes: 0)
        for name in wanted.scopes { token.scopes |= 1 << (scopeAlphabet.firstIndex(of: name) ?? 9) }
        token.claims = Dictionary(uniqueKeysWithValues: wanted.claims.map { ($0.name, $0.value) })
        switch wanted.proof {
        case .dpop: token.binding = .key
        case .mtls: token.binding = .certificate
        case nil: token.binding = .nothing
        }
        token.context = wanted.authenticationContext
        token.age = wanted.authenticationAgeSeconds.map { Int($0) }
        token.details = wanted.details.map { Set($0.actions) }
        return token
    }

    /// What its `aud` can be: where the example does not say, any of the issuer's.
    private func audiences(_ wanted: ExampleToken) -> [Set<String>] {
        if !wanted.audiences.isEmpty { return [Set(wanted.audiences)] }
        return (new.model.issuers.first { $0.issuer == wanted.issuer }?.audiences ?? []).map { [$0] }
    }
}

/// Seeds, and how many pairs of policies each shape gets from each of them.
private let seeds = 0..<8
private let pairsOfSeed = 1_280

@Suite struct BruteForceTests {
    /// Pairs of tiny policies: what trying out every small request, token and time finds is what the comparison finds.
    @Test(arguments: seeds) func agreesWithTrying(seed: Int) throws {
        let extras = PolicyShape.Extra.allCases
        let shapes =
            extras.map { PolicyShape(variesRoutes: false, variesTokens: false, extra: $0) }
            + extras.map { PolicyShape(variesRoutes: false, variesTokens: true, extra: $0) }
            + [false, true].map { PolicyShape(variesRoutes: true, variesTokens: $0, extra: .none) }
        let universes = shapes.map { Universe($0) }
        // Trying takes longest for the last four.
        let quick = shapes.count - 4
        var wider = 0
        for number in 0..<pairsOfSeed {
            let place = number % 32
            let kind = place < 4 ? quick + place : (number / 32 * 28 + place) % quick
            let shape = shapes[kind]
            var generator = PolicyGenerator(random: SeededGenerator(UInt64(seed << 32 + number)), shape: shape)
            let (old, new) = generator.pair()
            let trial = Trial(old: try Judge(old), new: try Judge(new), universe: universes[kind], shape: shape)
            let tried = trial.tried()
            let compared = trial.compared()
            wider += tried.isEmpty ? 0 : 1
            if shape.bindsPaths {
                // A class of paths is named when one of them shows it.
                let isComplete = trial.reduced(tried).isSubset(of: trial.reduced(compared))
                #expect(isComplete, "missed: \(seed) \(number)")
            } else {
                let isShown = compared.isSubset(of: tried)
                #expect(isShown, "nothing there: \(seed) \(number)")
                let isComplete = trial.reduced(compared) == trial.reduced(tried)
                #expect(isComplete, "missed: \(seed) \(number)")
            }
            let plan = planChange(from: old, to: new, at: 0)
            let examples = plan.findings.filter { $0.basis == .example }
            // Examples may be of longer paths than those that were tried.
            #expect(!examples.isEmpty || tried.isEmpty, "\(seed) \(number)")
            for finding in examples {
                #expect(!finding.examples.isEmpty && finding.count >= finding.examples.count)
                let isShown = finding.examples.allSatisfy { trial.holds($0, at: finding.from) }
                #expect(isShown, "\(seed) \(number): \(finding)")
            }
        }
        #expect(wider > pairsOfSeed / 4 && wider < pairsOfSeed)
    }
}
