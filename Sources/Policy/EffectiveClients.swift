public import PolicyTables

/// What a policy comes to for clients that are known by their tokens, and which scopes change over time.
public struct EffectiveClients: Sendable {
    public struct Grant: Sendable, Equatable {
        /// In the order of the policy's scopes.
        public var scopes: [String]
        /// Unix seconds.
        public var until: Int64
        public var reason: String
        public var hasEnded: Bool
    }

    public struct Client: Sendable, Equatable {
        public var name: String
        public var issuer: String
        /// What its tokens carry.
        public var identifier: String
        /// `deny`, `narrow` or `alert`: what becomes of a token that amounts to more.
        public var excess: String
        /// Everything approved for good that still counts, in the order of the policy's scopes.
        public var scopes: [String]
        /// In the order of the policy.
        public var grants: [Grant]
        /// Unix seconds; nil enforces.
        public var observeUntil: Int64?
    }

    /// What becomes of clients that are not listed.
    public struct Rule: Sendable, Equatable {
        public var issuer: String
        public var refusesUnknown: Bool
    }

    /// A scope that ends, or an old name that tokens may still carry.
    public struct EndingScope: Sendable, Equatable {
        public var name: String
        /// Unix seconds.
        public var until: Int64
        /// Empty for a scope that nothing replaces.
        public var replacedBy: [String]
        public var hasEnded: Bool
    }

    /// By issuer and identifier.
    public var clients: [Client]
    /// Of issuers that have clients or refuse unknown ones, in the order of the policy.
    public var rules: [Rule]
    /// In the order of the policy, old names last.
    public var endingScopes: [EndingScope]
}

extension EffectiveClients {
    /// - Parameter now: Unix seconds, for what has ended.
    init(_ model: PolicyModel, now: Int64) {
        func counts(_ scope: UInt16) -> Bool { model.scopes[Int(scope)].until.map { now < $0 } ?? true }
        func names(_ scopes: [UInt16]) -> [String] { scopes.filter(counts).map { model.scopes[Int($0)].name } }
        clients = model.clients.map { client in
            Client(
                name: client.name, issuer: model.issuers[Int(client.issuer)].issuer, identifier: client.identifier,
                excess: client.excess.name, scopes: names(client.scopes),
                grants: client.grants.map {
                    Grant(
                        scopes: names($0.scopes), until: $0.until, reason: $0.reason, hasEnded: $0.until <= now)
                },
                observeUntil: client.observeUntil)
        }
        var hasClients = [Bool](repeating: false, count: model.issuers.count)
        for client in model.clients { hasClients[Int(client.issuer)] = true }
        rules = zip(model.issuers, hasClients).filter { $0.refusesUnknownClients || $1 }.map {
            Rule(issuer: $0.0.issuer, refusesUnknown: $0.0.refusesUnknownClients)
        }
        endingScopes = model.scopes.compactMap { scope in
            guard let until = scope.until else { return nil }
            return EndingScope(
                name: scope.name, until: until, replacedBy: scope.replacedBy.map { model.scopes[Int($0)].name },
                hasEnded: until <= now)
        }
    }
}

extension ClientModel.ExcessRule {
    /// As the language spells it.
    public var name: String {
        switch self {
        case .deny: "deny"
        case .narrow: "narrow"
        case .alert: "alert"
        }
    }
}

extension EffectiveClients {
    /// Columns for people: clients, what becomes of others, scopes that change; empty where the policy has none.
    var text: String {
        var parts: [String] = []
        let rows = clients.map(\.cells) + rules.map { ["any other", $0.issuer, "", $0.ruleText, ""] }
        if !rows.isEmpty {
            parts.append(columns(["CLIENT", "ISSUER", "CLIENT ID", "EXCESS", "HOLDS"], rows))
        }
        if !endingScopes.isEmpty {
            let rows = endingScopes.map {
                [
                    $0.name, timeText($0.until) + ($0.hasEnded ? " (ended)" : ""),
                    $0.replacedBy.isEmpty ? "nothing" : $0.replacedBy.joined(separator: " "),
                ]
            }
            parts.append(columns(["SCOPE", "COUNTS UNTIL", "REPLACED BY"], rows))
        }
        return parts.joined(separator: "\n")
    }

    func write(to writer: inout JSONText) {
        writer.array("token_clients", clients) { writer, client in writer.object { client.write(to: &$0) } }
        writer.array("unknown_clients", rules) { writer, rule in
            writer.object {
                $0.member("issuer", rule.issuer)
                $0.member("rule", rule.refusesUnknown ? "deny" : "allow")
            }
        }
        writer.array("ending_scopes", endingScopes) { writer, scope in
            writer.object {
                $0.member("scope", scope.name)
                $0.member("until", timeText(scope.until))
                $0.member("ended", scope.hasEnded)
                $0.member("replaced_by", scope.replacedBy)
            }
        }
    }
}

extension EffectiveClients.Rule {
    fileprivate var ruleText: String { refusesUnknown ? "refused" : "not checked" }
}

extension EffectiveClients.Client {
    fileprivate var cells: [String] {
        let mode = observeUntil.map { ", observed until \(timeText($0))" } ?? ""
        var held: [String] = []
        if !scopes.isEmpty { held.append(scopes.joined(separator: " ")) }
        for grant in grants {
            let end = (grant.hasEnded ? "ended " : "until ") + timeText(grant.until)
            held.append(
                "\(end): \(grant.scopes.joined(separator: " ")) (\(printable(grant.reason, charactersMax: 80)))")
        }
        return [name, issuer, printable(identifier, charactersMax: 255), excess + mode, held.joined(separator: "; ")]
    }

    fileprivate func write(to writer: inout JSONText) {
        writer.member("client", name)
        writer.member("issuer", issuer)
        writer.member("client_id", identifier)
        writer.member("on_excess", excess)
        writer.member("scopes", scopes)
        writer.array("grants", grants) { writer, grant in
            writer.object {
                $0.member("scopes", grant.scopes)
                $0.member("until", timeText(grant.until))
                $0.member("reason", grant.reason)
                $0.member("ended", grant.hasEnded)
            }
        }
        writer.member("mode", observeUntil == nil ? "enforce" : "observe")
        if let observeUntil { writer.member("until", timeText(observeUntil)) }
    }
}
