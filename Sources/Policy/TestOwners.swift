internal import Decision
internal import PolicyTables

/// Which service a test's request is for, which issuer its token comes from, and which client that token belongs to,
/// where the test leaves it open.
struct TestOwners {
    /// Who of an issuer's clients may hold scopes at a time, Unix seconds.
    struct Question: Hashable {
        var issuer: Int
        var scopes: [String]
        var time: Int64
    }

    /// Whose token it is where everybody's is taken.
    static let anybody = "policy-test"

    private let model: PolicyModel
    private var servicesByHost: [String: [Int]] = [:]
    private var scopes: [String: Int] = [:]
    /// For each issuer its clients by name, indices into the model's.
    private var clients: [[Int]]

    init(_ model: PolicyModel) {
        self.model = model
        for (index, service) in model.services.enumerated() {
            for host in service.hosts { servicesByHost[host, default: []].append(index) }
        }
        for (index, scope) in model.scopes.enumerated() { scopes[scope.name] = index }
        clients = [[Int]](repeating: [], count: model.issuers.count)
        for (index, client) in model.clients.enumerated() { clients[Int(client.issuer)].append(index) }
        for issuer in clients.indices {
            clients[issuer].sort { model.clients[$0].name.utf8.lexicographicallyPrecedes(model.clients[$1].name.utf8) }
        }
    }

    func service(for request: TestRequest) -> ServiceModel? {
        let host = request.host.lowercased()
        let wildcard = host.firstIndex(of: ".").flatMap { servicesByHost["*" + host[$0...]] } ?? []
        let candidates = ((servicesByHost[host] ?? []) + wildcard).sorted().map { model.services[$0] }
        return candidates.first { $0.ports.isEmpty || $0.ports.contains(request.port) } ?? candidates.first
    }

    /// Of the issuer that the test's token comes from; nil when the policy has none, and without a token.
    func issuer(of request: TestRequest) -> Int? {
        guard let token = request.token, !model.issuers.isEmpty else { return nil }
        if let name = token.issuer, let index = model.issuers.firstIndex(where: { $0.issuer == name }) { return index }
        return service(for: request)?.issuers.first.map { Int($0) } ?? 0
    }

    /// Names of the issuer's clients, in order.
    func names(of issuer: Int) -> [String] { clients[issuer].map { model.clients[$0].name } }

    /// Whether the token's client decides and nothing says who it is.
    func mustBeNamed(_ token: TestToken, issuer: Int, _ expectation: PolicyTest.Expectation) -> Bool {
        let issuer = model.issuers[issuer]
        return token.client == nil && issuer.refusesUnknownClients && expectation != .reason(.unknownClient)
            && !token.claims.contains { $0.name == issuer.clientClaim }
    }

    /// What the token carries as its client.
    /// - Parameter time: Unix seconds, of the request.
    func identifier(
        for token: TestToken, issuer: Int, at time: Int64, _ expectation: PolicyTest.Expectation
    ) -> String {
        if let name = token.client {
            return clients[issuer].first { model.clients[$0].name == name }.map { model.clients[$0].identifier } ?? name
        }
        guard mustBeNamed(token, issuer: issuer, expectation) else { return TestOwners.anybody }
        return holder(Question(issuer: issuer, scopes: token.scopes, time: time)).map { model.clients[$0].identifier }
            ?? TestOwners.anybody
    }

    /// The first client by name whose baseline leaves nothing of the scopes over.
    func holder(_ question: Question) -> Int? {
        let needed = amount(of: question.scopes, at: question.time)
        return clients[question.issuer].first { mayHold(model.clients[$0], needed, at: question.time) }
    }

    /// What a token with these scopes comes to, but for old names and for scopes that have ended.
    private func amount(of names: [String], at time: Int64) -> [UInt16] {
        var result: Set<UInt16> = []
        for name in names {
            guard let scope = scopes[name], counts(model.scopes[scope], at: time) else { continue }
            result.formUnion(
                model.scopes[scope].closure.filter {
                    model.scopes[Int($0)].replacedBy.isEmpty && counts(model.scopes[Int($0)], at: time)
                })
        }
        return result.sorted()
    }

    private func counts(_ scope: ScopeModel, at time: Int64) -> Bool { scope.until.map { time < $0 } ?? true }

    private func mayHold(_ client: ClientModel, _ needed: [UInt16], at time: Int64) -> Bool {
        needed.allSatisfy { scope in
            client.scopes.containsSorted(scope)
                || client.grants.contains { time < $0.until && $0.scopes.containsSorted(scope) }
        }
    }
}

extension [UInt16] {
    /// Of an ascending list.
    fileprivate func containsSorted(_ value: UInt16) -> Bool {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low < count && self[low] == value
    }
}
