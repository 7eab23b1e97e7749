internal import Octets
public import PolicyTables
internal import Signatures
public import Tokens

/// How the last decision came about, copied out for commands. Collected only when asked for, off the request path.
public struct DecisionDetails: Sendable {
    /// Host as the tables spell it; empty when it could not be read.
    public var host: [UInt8] = []
    public var path: [UInt8] = []
    public var decodedPath: [UInt8] = []
    public var service: [UInt8]?
    /// As written in the policy: `GET /orders/{order}`; `tcp/9443` for a connection without HTTP.
    public var route: [UInt8]?
    public var ground: RouteGround?
    public var requiredAll: [[UInt8]] = []
    public var requiredAny: [[UInt8]] = []
    /// What the route demands of the token's binding.
    public var proof = ProofDemand.none
    /// Whether the route itself demands a nonce in proofs.
    public var demandsNonce = false
    /// Of which the token's `acr` must be one, when there are any.
    public var requiredContexts: [[UInt8]] = []
    /// How long ago the user may have authenticated, seconds; nil when that plays no part.
    public var authenticationAgeSecondsMax: UInt32?
    /// Why the proof was not taken: `proof_missing`, or the name of a `ProofRefusal`. Nil when it was, and without one.
    public var proofFault: String?
    /// What the token's `authorization_details` must allow.
    public var requiredDetails: [DetailRule] = []
    /// What names the token, when it is revoked.
    public var revokedBy: Revocation.Kind?
    /// Effective scopes of the token or client under this policy, in byte order.
    public var granted: [[UInt8]] = []
    /// Of a connection without HTTP: the policy's name of the client.
    public var client: [UInt8]?
    /// What is approved for the client of a token; nil where the policy does not list it.
    public var baseline: ClientBaseline?
    /// What the token amounts to beyond it, in byte order.
    public var excess: [[UInt8]] = []
    /// Old names on the token, in byte order.
    public var oldScopes: [[UInt8]] = []
    /// The name in its certificate that the client is known by, as the policy spells it.
    public var identity: [UInt8]?
    public var observedReason: Reason?
    public var observeUntil: Int64?
    /// Whether the service ends: by its `ends`, or with the publication that it comes from.
    public var hasEnd = false
    /// Whether the route binds parts of its path to claims.
    public var hasBindings = false
    /// Whether the backend gets a transaction token.
    public var hasTransactionToken = false
    public var introspection = IntrospectionUse.none
    /// Whether the token is one that only its issuer can read.
    public var isOpaque = false
    /// Of a token that was refused: whether its header names an algorithm of this build.
    public var isAlgorithmKnown = true
    /// The same: whether its `iss` is one of the policy's.
    public var isIssuerKnown = true
    /// Whether it was worked out what the token's scopes amount to.
    public var isGrantKnown = false

    public init() {}
}

/// What part an issuer's word has in a decision (RFC 7662).
public enum IntrospectionUse: Sendable {
    /// The issuer was not asked, and need not be as far as the decision came.
    case none
    case passed
    /// Not active, not as the policy wants it, or not to be had.
    case refused
}

/// What the policy approves for a client that is known by its identifier, in names.
public struct ClientBaseline: Sendable, Equatable {
    /// Scopes approved for a time.
    public struct TemporaryGrant: Sendable, Equatable {
        /// In byte order.
        public var scopes: [[UInt8]]
        /// Unix seconds from which on it is over.
        public var until: Int64
        public var reason: [UInt8]
        public var isOver: Bool
    }

    /// As the policy calls the client.
    public var name: [UInt8]
    public var rule: ClientModel.ExcessRule
    /// In byte order, without those of grants.
    public var scopes: [[UInt8]]
    public var grants: [TemporaryGrant]
    /// Unix seconds; nil enforces.
    public var observeUntil: Int64?
}

extension Decider {
    /// Whether `details` are collected from now on.
    public var collectsDetails: Bool {
        get { state.collectsDetails }
        set { state.collectsDetails = newValue }
    }

    public var details: DecisionDetails { state.details }

    /// The token that was verified for the last decision, whatever came of it.
    public var verifiedToken: VerifiedToken? { state.token }

    /// What the last decision's snapshot is called in answers; empty without a policy.
    public var policyLabel: [UInt8] { snapshot?.label ?? [] }
}

extension DecisionState {
    mutating func collectTarget() {
        details.host = [UInt8](copying: host.name.bytes)
        details.path = [UInt8](copying: target.path.bytes)
        details.decodedPath = [UInt8](copying: target.decoded.bytes)
    }

    mutating func collectRule(
        _ table: borrowing HostTable, _ rule: RouteRule, _ service: borrowing ServiceRecord,
        _ catalogue: borrowing Catalogue, _ issuers: IssuerSnapshot
    ) {
        details.service = [UInt8](copying: service.name)
        details.route = [UInt8](copying: table.label(of: rule))
        details.ground = rule.ground
        details.observeUntil = rule.observeUntil > 0 ? rule.observeUntil : nil
        details.hasEnd = service.until != .max
        details.hasBindings = rule.bindingCount > 0
        details.hasTransactionToken = service.hasTransactionToken
        details.proof = rule.proof
        details.demandsNonce = rule.demandsNonce
        details.authenticationAgeSecondsMax =
            rule.authenticationAgeSecondsMax > 0 ? rule.authenticationAgeSecondsMax : nil
        for index in 0..<rule.acrCount {
            if let value = table.acr(of: rule, index) { details.requiredContexts.append([UInt8](copying: value)) }
        }
        // The same for all issuers.
        let rules = issuers.issuers.first?.settings.details ?? []
        for index in 0..<rule.detailCount {
            guard let detail = table.detail(of: rule, index), detail < rules.count else { continue }
            details.requiredDetails.append(rules[detail])
        }
        for index in 0..<rule.allCount {
            guard let scope = table.scope(of: rule, all: index) else { continue }
            details.requiredAll.append([UInt8](copying: catalogue.scopeName(scope)))
        }
        for index in 0..<rule.anyCount {
            guard let scope = table.scope(of: rule, any: index) else { continue }
            details.requiredAny.append([UInt8](copying: catalogue.scopeName(scope)))
        }
    }

    mutating func collectToken() {
        if let proofFault { details.proofFault = "\(proofFault)" }
        details.revokedBy = revokedBy
    }

    /// How far a token came that the verifier has refused.
    mutating func collectRefused(_ token: Span<UInt8>, _ issuers: IssuerSnapshot) {
        var index = JSONIndex()
        guard let read = try? TokenDecode.read(token) else {
            details.isIssuerKnown = false
            return
        }
        if (try? index.read(read.headerText.span, limits: .header)) != nil, let root = index.root,
            let name = index.member("alg", of: root, in: read.headerText.span)?.string(in: read.headerText.span)
        {
            details.isAlgorithmKnown = SignatureAlgorithm.named(name.span) != nil
        }
        guard (try? index.read(read.claimsText.span, limits: .claims)) != nil, let root = index.root,
            let issuer = index.member("iss", of: root, in: read.claimsText.span)?.string(in: read.claimsText.span)
        else {
            details.isIssuerKnown = false
            return
        }
        details.isIssuerKnown = issuers.issuers.contains { $0.settings.issuer == issuer }
    }

    mutating func collectIntrospection(_ check: TokenCheck, isOpaque: Bool) {
        details.isOpaque = isOpaque
        switch check {
        case .token: details.introspection = .passed
        case .refused: details.introspection = .refused
        case .owed: break
        }
    }

    mutating func collectGrant(
        _ grant: Grant, of token: VerifiedToken, _ catalogue: borrowing Catalogue, _ reader: borrowing PolicyReader,
        now: Int64
    ) {
        details.isGrantKnown = true
        details.granted = sortedNames(of: grant.scopes, catalogue)
        let expansion = ScopeExpansion(token.scopeText, catalogue, now: now)
        details.oldScopes = sortedNames(of: expansion.oldNames, catalogue)
        guard catalogue.issuerClients(token.issuerIndex)?.areListed ?? false,
            let record = reader.client(issuer: token.issuerIndex, identifier: token.client), record.isReadable
        else { return }
        let approved = ScopeSet(approvedBy: record, catalogue: catalogue, now: now)
        details.excess = sortedNames(of: excess(of: expansion, approved, catalogue), catalogue)
        var baseline = ClientBaseline(
            name: [UInt8](copying: record.name), rule: record.rule,
            scopes: sortedNames(of: (0..<record.scopeCount).compactMap { record.scope($0) }, catalogue), grants: [],
            observeUntil: record.observeUntil > .min ? record.observeUntil : nil)
        for index in 0..<record.grantCount {
            guard let grant = record.grant(index) else { continue }
            let scopes = (0..<grant.scopeCount).compactMap { record.scope(of: grant, $0) }
            baseline.grants.append(
                ClientBaseline.TemporaryGrant(
                    scopes: sortedNames(of: scopes, catalogue), until: grant.until,
                    reason: [UInt8](copying: record.reason(of: grant)), isOver: grant.until <= now))
        }
        details.baseline = baseline
    }
}

// MARK: connections without HTTP

extension DecisionState {
    mutating func collectRule(_ table: borrowing PortTable, _ rule: PortRule, _ catalogue: borrowing Catalogue) {
        details.service = [UInt8](copying: table.serviceName(of: rule))
        details.route = Array("tcp/\(rule.port)".utf8)
        details.ground = .scopes
        details.observeUntil = rule.observeUntil > 0 ? rule.observeUntil : nil
        for index in 0..<rule.allCount {
            guard let scope = table.scope(of: rule, all: index) else { continue }
            details.requiredAll.append([UInt8](copying: catalogue.scopeName(scope)))
        }
        for index in 0..<rule.anyCount {
            guard let scope = table.scope(of: rule, any: index) else { continue }
            details.requiredAny.append([UInt8](copying: catalogue.scopeName(scope)))
        }
    }

    mutating func collectClient(
        _ table: borrowing PortTable, _ client: PortClient, _ catalogue: borrowing Catalogue, now: Int64
    ) {
        details.client = [UInt8](copying: table.name(of: client))
        details.identity = [UInt8](copying: table.identity(of: client))
        for index in 0..<client.scopeCount {
            guard let scope = table.scope(of: client, inNameOrder: index), catalogue.counts(scope, at: now) else {
                continue
            }
            details.granted.append([UInt8](copying: catalogue.scopeName(scope)))
        }
    }
}

extension Decider {
    /// The `WWW-Authenticate` value of the last answer; nil when it has none.
    public var challenge: [UInt8]? {
        let value = state.answer.copy(of: .challenge)
        return value.isEmpty ? nil : value
    }

    /// Identifier of the issuer that a token of the present snapshot came from.
    public func issuer(of token: VerifiedToken) -> [UInt8]? {
        guard let snapshot, token.issuerIndex < snapshot.issuers.issuers.count else { return nil }
        return snapshot.issuers.issuers[token.issuerIndex].settings.issuer
    }

    public var auditID: [UInt8] { state.answer.copy(of: .auditID) }
}

extension Decider {
    /// Every path of the policy that matches the last request's target, most specific first; the first decides.
    /// For explanations: walks the host's table and allocates.
    public func consideredPaths(port: UInt16) -> [ConsideredPath] {
        turn.consideredPaths(port: port)
    }
}

extension DecisionTurn {
    mutating func consideredPaths(port: UInt16) -> [ConsideredPath] {
        guard let snapshot, reader.begin(version: snapshot.version) else { return [] }
        defer { reader.end() }
        return considered(reader, state.details, port)
    }

    private func considered(
        _ reader: borrowing PolicyReader, _ details: DecisionDetails, _ port: UInt16
    ) -> [ConsideredPath] {
        let host = details.host
        let path = details.path
        guard let table = reader.hostTable(host.span) else { return [] }
        return table.considered(path: path.span, port: port) ?? []
    }
}
