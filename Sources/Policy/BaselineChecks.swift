internal import Decision
internal import PolicyTables

/// Rules over all clients that are known by their tokens, together with issuers, services and roles.
extension ModelReader {
    /// Comparing every client with every service takes their product.
    private static let reachStepsMax = 16_777_216

    /// Once, after the last client was read.
    func finishClients() {
        approvals.tokenClients.sort {
            if $0.model.issuer != $1.model.issuer { return $0.model.issuer < $1.model.issuer }
            return $0.model.identifier.utf8.lexicographicallyPrecedes($1.model.identifier.utf8)
        }
        model.clients = approvals.tokenClients.map(\.model)
        requireRules()
    }

    /// Whether a client that nobody has listed is let in must be written down, not guessed.
    private func requireRules() {
        var first: [UInt16: SourcePosition] = [:]
        for client in approvals.tokenClients where !issuersWithRule.contains(client.model.issuer) {
            let earlier = first[client.model.issuer] ?? client.position
            first[client.model.issuer] = min(earlier, client.position)
        }
        for (issuer, client) in first.sorted(by: { $0.key < $1.key }) {
            sink.error(
                .missingKey, at: issuerPositions[Int(issuer)],
                "the issuer \(quoted(model.issuers[Int(issuer)].issuer)) does not say what becomes of clients "
                    + "that are not listed, and some of its clients are",
                mend: "add `unknown_clients: deny`, which refuses their tokens, or `unknown_clients: allow`, "
                    + "which takes them for what their scopes say",
                notes: [Diagnostic.Note(position: client, message: "a client of this issuer")])
        }
    }

    func warnOfClients() {
        warnOfUnusedRoles()
        var hasClients = [Bool](repeating: false, count: model.issuers.count)
        for client in model.clients { hasClients[Int(client.issuer)] = true }
        for (index, issuer) in model.issuers.enumerated() where issuer.refusesUnknownClients && !hasClients[index] {
            sink.warning(
                .noClients, at: issuerPositions[index],
                "unknown clients of \(quoted(issuer.issuer)) are refused, and none is listed: all its tokens are refused",
                mend: "list its clients under `clients`, or write `unknown_clients: allow`")
        }
        warnOfForwardedExcess()
    }

    private func warnOfUnusedRoles() {
        for (name, role) in approvals.roles.sorted(by: { $0.value.key < $1.value.key }) where !role.isUsed {
            sink.warning(
                .unusedRole, at: position(role.key), "no client has the role \(quoted(name))",
                mend: "list it in a client's `roles`, or remove it")
        }
    }

    // MARK: Excess that reaches a backend

    private struct ForwardingService {
        var name: String
        var position: SourcePosition
        var issuers: Set<UInt16>
        /// Of its routes, each once.
        var requirements: Set<Requirement>
    }

    /// A narrowed token is narrowed here only: a backend that gets the token itself reads all of its scopes.
    private func warnOfForwardedExcess() {
        let clients = approvals.tokenClients.filter { $0.model.excess == .narrow }
        let services = clients.isEmpty ? [] : forwardingServices()
        guard !services.isEmpty else { return }
        var steps = 0
        for client in clients {
            var holds = [Bool](repeating: false, count: model.scopes.count)
            for scope in client.model.scopes { holds[Int(scope)] = true }
            for grant in client.model.grants where now < grant.until {
                for scope in grant.scopes { holds[Int(scope)] = true }
            }
            steps += model.scopes.count
            let reached = services.filter { service in
                guard service.issuers.contains(client.model.issuer) else { return false }
                // Beyond the budget it counts as reached: rather one warning too many.
                guard steps <= ModelReader.reachStepsMax else { return true }
                return service.requirements.contains { requirement in
                    steps += 1 + requirement.all.count + requirement.any.count
                    return requirement.all.allSatisfy { holds[Int($0)] }
                        && (requirement.any.isEmpty || requirement.any.contains { holds[Int($0)] })
                }
            }
            guard let first = reached.first else { continue }
            sink.warning(
                .narrowForwardsToken, at: client.excessPosition,
                "what the client \(quoted(client.model.name)) is narrowed by still reaches the backend of "
                    + "\(quotedList(reached.map(\.name))), in the token itself",
                mend: "write `forward_token: never` on the service, or `on_excess: deny` here",
                notes: [Diagnostic.Note(position: first.position, message: "the token is passed on here")])
        }
    }

    private func forwardingServices() -> [ForwardingService] {
        var result: [ForwardingService] = []
        for (service, position) in zip(model.services, servicePositions) where service.forwardsToken {
            var requirements: Set<Requirement> = []
            for route in service.routes {
                guard case .scopes(let all, let any) = route.ground else { continue }
                requirements.insert(Requirement(all: all, any: any))
            }
            guard !requirements.isEmpty else { continue }
            result.append(
                ForwardingService(
                    name: service.name, position: position, issuers: Set(service.issuers), requirements: requirements))
        }
        return result
    }
}

// MARK: Policy tests

extension ModelReader {
    /// Clients compared with tests that do not say whose token it is; what comes later shows when the tests run.
    private static let ownerStepsMax = 16_777_216

    /// Where clients that are not listed are refused, a test must say whose token it presents, unless some client may
    /// hold all of it. A warning: grants end, and time alone must not make an error of what is stored and decides.
    func checkTestClients() {
        guard !model.clients.isEmpty || model.issuers.contains(where: \.refusesUnknownClients) else { return }
        let owners = TestOwners(model)
        var known: [TestOwners.Question: Bool] = [:]
        var steps = 0
        for test in tests {
            guard case .request(let request) = test.attempt, let token = request.token,
                let issuer = owners.issuer(of: request)
            else { continue }
            if let client = token.client {
                warnOfUnknownClient(client, test, owners.names(of: issuer))
                continue
            }
            guard owners.mustBeNamed(token, issuer: issuer, test.expectation) else { continue }
            let question = TestOwners.Question(issuer: issuer, scopes: token.scopes, time: test.time ?? now)
            if known[question] == nil {
                guard steps <= ModelReader.ownerStepsMax else { return }
                steps += 1 + owners.names(of: issuer).count
                known[question] = owners.holder(question) != nil
            }
            if known[question] == false { reportNoOwner(test, token, issuer, owners.names(of: issuer)) }
        }
    }

    private func reportNoOwner(_ test: PolicyTest, _ token: TestToken, _ issuer: Int, _ names: [String]) {
        let issuer = quoted(model.issuers[issuer].issuer)
        let mend =
            names.isEmpty
            ? "list a client under `clients` and name it in `client:`, or expect `unknown_client`"
            : "add `client:` with one of \(quotedList(names, joint: "and")), or expect `unknown_client`"
        sink.warning(
            .unknownClient, at: test.position,
            token.scopes.isEmpty
                ? "the test does not say whose token it is, and \(issuer) has no client"
                : "the test does not say whose token it is, and no client of \(issuer) may hold all of "
                    + quotedList(token.scopes),
            mend: mend)
    }

    /// A name that is nearly a client's is a slip; any other may well be a stranger's on purpose.
    private func warnOfUnknownClient(_ name: String, _ test: PolicyTest, _ names: [String]) {
        guard test.expectation != .reason(.unknownClient), !names.contains(name) else { return }
        guard !model.clients.contains(where: { $0.identifier == name }), let meant = nearest(to: name, among: names)
        else { return }
        sink.warning(
            .unknownClient, at: test.position, "the policy has no client \(quoted(name))",
            mend: "did you mean \(quoted(meant))?")
    }
}
