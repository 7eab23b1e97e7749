internal import PolicyTables
internal import Signatures

/// Two policies with everything in them numbered alike, and what has been found out about pairs of their demands.
final class Comparison {
    /// Work beyond which the rest is left undecided, classes of paths and of tokens.
    static let stepsMax = 20_000_000

    /// Unix seconds.
    let at: Int64
    var texts: TextTable
    var scopeNames: TextTable
    let old: PolicySide
    let new: PolicySide

    private(set) var requirements: [Requirement] = []
    private var requirementNumbers = MeaningTable()
    private var issuerMeanings = MeaningTable()
    private var scopeMeanings = MeaningTable()
    var listMeanings = MeaningTable()
    /// Of nodes and terminals of tries.
    var pathMeanings = MeaningTable()
    private var oldMeanings = SideMeanings()
    private var newMeanings = SideMeanings()
    /// What is found of a pair of demands, by their numbers.
    var knownWidenings: [Int64: [Widening]] = [:]
    /// Groups of clients that are treated alike, by issuer.
    var clientGroups: [Int32: [ClientGroup]] = [:]
    var listedClients: [Int32: [Int32]] = [:]
    var stepsLeft: Int

    private struct SideMeanings {
        /// By index into the model's scopes and issuers.
        var scopes: [Int32] = []
        var issuers: [Int32] = []
    }

    init(old: PolicyModel, new: PolicyModel, at: Int64, stepsMax: Int = Comparison.stepsMax) {
        var texts = TextTable()
        var scopeNames = TextTable()
        // The last moment of all is the end of what never ends.
        self.at = min(at, .max - 1)
        self.old = PolicySide(old, scopeNames: &scopeNames, texts: &texts)
        self.new = PolicySide(new, scopeNames: &scopeNames, texts: &texts)
        self.texts = texts
        self.scopeNames = scopeNames
        stepsLeft = stepsMax
        oldMeanings = readMeanings(self.old)
        newMeanings = readMeanings(self.new)
    }

    func scopeName(_ number: Int) -> String { scopeNames.text(Int32(clamping: number)) }

    // MARK: Meanings

    private func readMeanings(_ side: PolicySide) -> SideMeanings {
        var result = SideMeanings()
        for index in side.model.scopes.indices { result.scopes.append(scopeMeaning(index, side)) }
        let table = listMeanings.number(
            side.model.scopes.indices.map { Int64(result.scopes[$0]) }.sorted())
        for index in side.model.issuers.indices { result.issuers.append(issuerMeaning(index, side, scopes: table)) }
        return result
    }

    private func end(_ until: Int64?) -> Int64 { until ?? .max }

    private func scopeMeaning(_ index: Int, _ side: PolicySide) -> Int32 {
        var meaning = [Int64(side.scopeNumbers[index]), end(side.model.scopes[index].until)]
        meaning.append(side.model.scopes[index].replacedBy.isEmpty ? 0 : 1)
        for holder in side.holders[index].sorted(by: { side.scopeNumbers[$0] < side.scopeNumbers[$1] }) {
            meaning.append(Int64(side.scopeNumbers[holder]))
            meaning.append(end(side.model.scopes[holder].until))
        }
        return scopeMeanings.number(meaning)
    }

    private func issuerMeaning(_ index: Int, _ side: PolicySide, scopes: Int32) -> Int32 {
        let issuer = side.model.issuers[index]
        let number = side.issuerNumbers[index]
        var meaning = [Int64(number)] + settings(issuer)
        let clients = side.clients[number] ?? [:]
        // A client's excess is told by all scopes of the policy.
        meaning.append(clients.isEmpty ? -1 : Int64(scopes))
        for (identifier, client) in clients.sorted(by: { $0.key < $1.key }) {
            meaning.append(Int64(identifier))
            meaning.append(Int64(clientMeaning(side.model.clients[client], side)))
        }
        return issuerMeanings.number(meaning)
    }

    /// What is approved for a client, whatever it is called.
    func clientMeaning(_ client: ClientModel, _ side: PolicySide) -> Int32 {
        func numbers(_ scopes: [UInt16]) -> Int64 {
            Int64(listMeanings.number(scopes.map { Int64(side.scopeNumbers[Int($0)]) }.sorted()))
        }
        var meaning = [Int64(client.excess.rawValue), max(client.observeUntil ?? .min, at), numbers(client.scopes)]
        for grant in client.grants where grant.until > at {
            meaning.append(numbers(grant.scopes))
            meaning.append(grant.until)
        }
        return listMeanings.number(meaning)
    }

    /// Texts are told apart by their bytes.
    private func settings(_ issuer: IssuerModel) -> [Int64] {
        var result: [Int64] = []
        func add(_ text: String?) { result.append(text.map { Int64(texts.number($0)) } ?? -1) }
        func add(_ list: [String]) {
            result.append(Int64(listMeanings.number(list.map { Int64(texts.number($0)) }.sorted())))
        }
        func add(_ algorithms: [UInt8]) {
            result.append(Int64(listMeanings.number(algorithms.sorted().map(Int64.init))))
        }
        add(issuer.audiences)
        add(keySourceText(issuer))
        add(issuer.certificateAuthorityFile)
        add(issuer.algorithms.map(\.rawValue))
        add(issuer.scopeClaim)
        add(issuer.clientClaim)
        add(issuer.statusLists)
        add(issuer.proofs.algorithms.map(\.rawValue))
        result += [
            Int64(issuer.profile.rawValue), Int64(issuer.leewaySeconds), Int64(issuer.lifetimeSecondsMax),
            Int64(issuer.proofs.ageSecondsMax), Int64(issuer.proofs.aheadSecondsMax),
            issuer.proofs.demandsNonce ? 1 : 0, issuer.refusesUnknownClients ? 1 : 0,
        ]
        guard let asking = issuer.introspection else { return result + [-1] }
        for text in asking.texts { add(text) }
        result += [
            Int64(asking.use.rawValue), Int64(asking.authentication.rawValue), asking.demandsJWT ? 1 : 0,
            Int64(asking.cacheSecondsMax), Int64(asking.negativeSecondsMax), Int64(asking.timeoutMilliseconds),
        ]
        return result
    }

    func keySourceText(_ issuer: IssuerModel) -> String {
        switch issuer.keySource {
        case .file(let path): "the file `\(path)`"
        case .uri(let uri): "`\(uri)`"
        case .discovery: "discovery"
        case .none: "nowhere"
        }
    }

    // MARK: Demands

    /// What all routes of a service have in common, read once.
    struct ServiceTerms {
        var issuers: [Int32]
        var meaning: [Int64]
        var source: Int32
    }

    func terms(_ service: ServiceModel, _ side: PolicySide) -> ServiceTerms {
        let own = service.issuers.map(Int.init).filter { $0 < side.model.issuers.count }
        let source = texts.number(sourceText(service.tokenSource))
        let meanings = side === old ? oldMeanings : newMeanings
        let issuers = listMeanings.number(own.map { Int64(meanings.issuers[$0]) }.sorted())
        let audience = service.audience.map { Int64(texts.number($0)) } ?? -1
        let meaning: [Int64] = [
            Int64(issuers), audience, Int64(source), Int64(service.publicPort), service.forwardsToken ? 1 : 0,
            service.hasTransactionToken ? 1 : 0,
        ]
        return ServiceTerms(issuers: own.map { side.issuerNumbers[$0] }.sorted(), meaning: meaning, source: source)
    }

    func sourceText(_ source: ServiceModel.TokenSource) -> String {
        switch source {
        case .header: "the Authorization header"
        case .cookie(let name): "the cookie `\(name)`"
        case .webSocketProtocol(let marker): "the WebSocket subprotocol after `\(marker)`"
        }
    }

    /// The number of what a route demands: the same number in both policies means the same demands.
    func requirement(_ route: RouteModel, of service: ServiceModel, _ terms: ServiceTerms, _ side: PolicySide) -> Int32
    {
        let ground: Requirement.Ground
        var all: [UInt16] = []
        var any: [UInt16] = []
        switch route.ground {
        case .scopes(let allScopes, let anyScopes): (ground, all, any) = (.token, allScopes, anyScopes)
        case .public: ground = .public
        case .preflight: ground = .preflight
        }
        let until = service.until.map { max($0, at) } ?? .max
        guard ground == .token else {
            return number([ground.rawValue, until, service.forwardsToken ? 1 : 0]) {
                Requirement(
                    ground: ground, all: [], any: [], issuers: [], audience: nil, source: -1, publicPort: 0,
                    forwardsToken: service.forwardsToken, hasTransactionToken: false, serviceUntil: until,
                    observeUntil: .min,
                    bindings: [], proof: .none, demandsNonce: false, contexts: [], ageMax: nil, details: [])
            }
        }
        let meanings = side === old ? oldMeanings : newMeanings
        func meaning(_ scopes: [UInt16]) -> Int64 {
            Int64(listMeanings.number(Set(scopes).map { Int64(meanings.scopes[Int($0)]) }.sorted()))
        }
        let bindings = Set(
            route.bindings.map { Requirement.Binding(segment: $0.segment, claim: texts.number($0.claim)) }
        ).sorted { ($0.segment, $0.claim) < ($1.segment, $1.claim) }
        let contexts = Set(route.authenticationContexts.map { texts.number($0) }).sorted()
        let details = route.details.compactMap { detail(Int($0), side) }
        var observeUntil = route.observeUntil ?? .min
        if observeUntil <= at { observeUntil = .min }
        let key =
            [
                ground.rawValue, until, meaning(all), meaning(any), observeUntil, Int64(route.proof.rawValue),
                route.demandsNonce ? 1 : 0, Int64(route.authenticationAgeSecondsMax),
                Int64(listMeanings.number(bindings.flatMap { [Int64($0.segment), Int64($0.claim)] })),
                Int64(listMeanings.number(contexts.map(Int64.init))),
                Int64(listMeanings.number(details.map { Int64(number(of: $0)) }.sorted())),
            ] + terms.meaning
        return number(key) {
            Requirement(
                ground: ground, all: Set(all).map { side.scopeNumbers[Int($0)] }.sorted(),
                any: Set(any).map { side.scopeNumbers[Int($0)] }.sorted(), issuers: terms.issuers,
                audience: service.audience, source: terms.source, publicPort: service.publicPort,
                forwardsToken: service.forwardsToken, hasTransactionToken: service.hasTransactionToken,
                serviceUntil: until, observeUntil: observeUntil, bindings: bindings, proof: route.proof,
                demandsNonce: route.demandsNonce, contexts: contexts,
                ageMax: route.authenticationAgeSecondsMax == 0 ? nil : route.authenticationAgeSecondsMax,
                details: details)
        }
    }

    private func number(_ key: [Int64], make: () -> Requirement) -> Int32 {
        let number = requirementNumbers.number(key)
        if Int(number) == requirements.count { requirements.append(make()) }
        return number
    }

    private func detail(_ index: Int, _ side: PolicySide) -> Requirement.Detail? {
        guard index < side.model.details.count else { return nil }
        let detail = side.model.details[index]
        return Requirement.Detail(
            type: texts.number(detail.type), actions: Set(detail.actions.map { texts.number($0) }).sorted(),
            locations: Set(detail.locations.map { texts.number($0) }).sorted())
    }

    private func number(of detail: Requirement.Detail) -> Int32 {
        let lists = [detail.actions, detail.locations].map { Int64(listMeanings.number($0.map(Int64.init))) }
        return listMeanings.number([-1, Int64(detail.type)] + lists)
    }
}

extension IntrospectionModel {
    /// Everything that says whom we ask, and as whom.
    var texts: [String?] {
        [endpoint, clientID, secretFile, keyFile, certificateFile, certificateAuthorityFile]
    }
}
