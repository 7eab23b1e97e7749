internal import Octets
internal import PolicyTables
internal import Signatures
internal import Tokens

/// The buffers, caches and result of one decider, apart from the store's reader so that tables can be borrowed
/// from the one while the other is written.
struct DecisionState: ~Copyable {
    var answer = Answer()
    var target = CanonicalTarget()
    var host = CanonicalHost()
    var authority = CanonicalHost()
    var tokens: TokenCache
    var refusedTokens = RefusedTokenCache()
    var grants = GrantTable()
    var counts = DecisionCounts()
    var hasher = SHA256Hasher()
    let fingerprintKeys = TokenFingerprintKeys()
    /// Of the token that is being looked up.
    var fingerprint = TokenFingerprint(first: 0, second: 0)
    let verifier = TokenVerifier(takesBoundTokens: true)
    let proofVerifier = ProofVerifier()
    let proofs: ProofRecords
    let introspections: IntrospectionRecords
    /// Nobody gets the answers.
    let isRehearsal: Bool
    var transactions = TransactionCache()
    var nonces = ProofNonces()
    var certificateText = CertificateText()

    /// The verified token of the last decision, for the log; nil when none was verified.
    var token: VerifiedToken?
    /// Whether it was in the cache.
    var isKnownToken = false
    /// What names the token, when it is revoked.
    var revokedBy: Revocation.Kind?
    /// Whether the backend may see the client's own token; nil where no service was found.
    var forwardsToken: Bool?
    /// How the last decision's token was sent.
    var scheme = CredentialScheme.none
    var possession = Possession.open
    /// Why the last decision's proof was not taken: `proof_missing`, or the name of a `ProofRefusal`.
    var proofFault: StaticString?
    /// Whether the answer carries a nonce for the client's next proof.
    var givesNonce = false
    /// The certificate of the last connection without HTTP; nil when none was read.
    var presented: PresentedCertificate?
    /// What enforcement would have said where observe mode let the request pass.
    var observedReason: Reason?
    /// The rule that the last decision came to, with its service; for explanations.
    var rule: RouteRule?
    /// What the last decision's token amounts to, where there is something to say of it or its client.
    var noted: Grant?
    var collectsDetails = false
    var details = DecisionDetails()

    let auditPrefix: [UInt8]
    var auditSequence: UInt64 = 0

    init(
        tokenCacheEntriesMax: Int, auditPrefix: [UInt8], proofs: ProofRecords, introspections: IntrospectionRecords,
        isRehearsal: Bool = false
    ) {
        self.isRehearsal = isRehearsal
        self.proofs = proofs
        self.introspections = introspections
        tokens = TokenCache(entriesMax: tokenCacheEntriesMax)
        self.auditPrefix = auditPrefix
    }

    mutating func begin() {
        answer.reset()
        token = nil
        isKnownToken = false
        revokedBy = nil
        forwardsToken = nil
        scheme = .none
        possession = .open
        proofFault = nil
        givesNonce = false
        presented = nil
        observedReason = nil
        rule = nil
        noted = nil
        if collectsDetails { details = DecisionDetails() }
    }

    // MARK: the way of one request

    mutating func decide(
        _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>, snapshot: DecisionSnapshot,
        reader: borrowing PolicyReader, now: Int64, limits: DecisionLimits
    ) -> Outcome {
        var port: UInt16 = 0
        if let refusal = readFacts(facts, bytes, port: &port) {
            return deny(refusal, snapshot)
        }
        if collectsDetails { collectTarget() }
        guard let catalogue = reader.catalogue() else { return deny(.policyUnreadable, snapshot) }
        guard let table = reader.hostTable(host.name.bytes) else { return deny(.unknownHost, snapshot) }
        let rule: RouteRule
        switch findRoute(table, facts, bytes, port: port) {
        case .found(let found): rule = found
        case .refused(let reason): return deny(reason, snapshot)
        }
        self.rule = rule
        guard let service = catalogue.service(rule.serviceIndex) else {
            return deny(.policyUnreadable, snapshot)
        }
        forwardsToken = service.forwardsToken
        writeRoute(table.label(of: rule), service.name)
        if collectsDetails { collectRule(table, rule, service, catalogue, snapshot.issuers) }
        // Before everything else that the service says, what is public among it.
        if service.hasEnded(at: now) { return deny(.publicationEnded, snapshot) }
        switch rule.ground {
        case .public:
            guard isMetadataSpelledPlainly(bytes.bytes(at: facts.target)) else {
                return deny(.ambiguousTarget, snapshot)
            }
            return allow(.public, snapshot)
        case .preflight: return allow(.preflight, snapshot)
        case .scopes: break
        }
        let reason: Reason
        switch check(
            facts, bytes, port: port, table: table, rule: rule, service: service, catalogue: catalogue,
            reader: reader, snapshot: snapshot, now: now, limits: limits)
        {
        case .refused(let found):
            reason = found
            if collectsDetails { collectToken() }
            writeNonce()
        case .satisfied(let found, let grant):
            if collectsDetails { collectToken() }
            writeNonce()
            let granting = grantRequest(
                found, grant, table: table, rule: rule, service: service, catalogue: catalogue, snapshot: snapshot,
                now: now, limits: limits)
            token = found
            switch granting {
            case .outcome(let outcome): return outcome
            case .refused(let refusal): reason = refusal
            }
        case .owed(let outcome): return outcome
        }
        if isObserved(reason, rule, now: now) {
            observedReason = reason
            if collectsDetails { details.observedReason = reason }
            return allow(.observed, snapshot)
        }
        writeChallenge(
            reason, table: table, rule: rule, service: service, catalogue: catalogue, issuers: snapshot.issuers)
        return deny(reason, snapshot)
    }

    /// Whether a denial is let through and recorded. The route's date lets through whatever a token may lack, the
    /// client's what its own tokens may not do; neither what could not be decided.
    private func isObserved(_ reason: Reason, _ rule: RouteRule, now: Int64) -> Bool {
        if reason.status == 503 { return false }
        if rule.observeUntil > now { return true }
        guard let noted, noted.observeUntil > now else { return false }
        switch reason {
        case .overScoped, .insufficientScope, .bindingMismatch, .insufficientDetails, .stepUpRequired: return true
        default: return false
        }
    }

    private enum Granting {
        case outcome(Outcome)
        case refused(Reason)
    }

    /// The last steps to an allow on a token, which may still fail. The proof is remembered last of all: whatever keeps
    /// the request from its allow leaves it usable.
    private mutating func grantRequest(
        _ token: VerifiedToken, _ grant: Grant, table: borrowing HostTable, rule: RouteRule,
        service: borrowing ServiceRecord, catalogue: borrowing Catalogue, snapshot: DecisionSnapshot, now: Int64,
        limits: DecisionLimits
    ) -> Granting {
        let mark = answer.text.count
        if service.hasTransactionToken, !isRehearsal {
            switch writeTransactionToken(
                token, grant, table: table, rule: rule, service: service, catalogue: catalogue, snapshot: snapshot,
                now: now, mayVerify: limits.mayVerify)
            {
            case .written: break
            case .refused(let reason): return .refused(reason)
            case .owed:
                uncountHit()
                return .outcome(.verificationOwed)
            }
        }
        writeGranted(grant, table: table, rule: rule, catalogue: catalogue)
        writeIdentity(token, snapshot)
        guard let refusal = recordProof(snapshot, now: now) else { return .outcome(allow(.granted, snapshot)) }
        answer.takeBackIdentity(to: mark)
        return .refused(refusal)
    }

    /// Reads target, host and port into the state.
    /// - Returns: why the request is refused already, or nil.
    private mutating func readFacts(
        _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>, port: inout UInt16
    ) -> Reason? {
        if facts.conflict { return .conflictingFacts }
        guard !facts.method.isEmpty, !facts.target.isEmpty, !facts.host.isEmpty, !facts.scheme.isEmpty,
            facts.port.isEmpty ? facts.portNumber >= 0 : true
        else { return .missingFact }
        guard let number = listenerPort(facts, bytes) else { return .conflictingFacts }
        port = number
        let scheme = bytes.bytes(at: facts.scheme)
        guard equalIgnoringCase(scheme, "https") || equalIgnoringCase(scheme, "http") else {
            return .conflictingFacts
        }
        let raw = bytes.bytes(at: facts.target)
        guard target.read(raw) else { return .ambiguousTarget }
        guard host.read(bytes.bytes(at: facts.host)) else { return .unknownHost }
        if target.authority.isPresent {
            guard authority.read(raw.bytes(at: target.authority)),
                equal(authority.name.bytes, host.name.bytes)
            else { return .ambiguousTarget }
        }
        if facts.rawPath.isPresent {
            guard equal(bytes.bytes(at: facts.rawPath), raw.bytes(at: target.rawPath)) else { return .pathMismatch }
        }
        let normalized = bytes.bytes(at: facts.normalizedPath)
        if normalized.count > 0, !equal(normalized, target.decoded.bytes) { return .pathMismatch }
        return nil
    }

    /// - Returns: nil when it is none, or given in both ways.
    private func listenerPort(_ facts: borrowing RequestFacts, _ bytes: Span<UInt8>) -> UInt16? {
        guard facts.portNumber >= 0 else { return decimalPort(bytes.bytes(at: facts.port)) }
        guard !facts.port.isPresent, facts.portNumber > 0 else { return nil }
        return UInt16(exactly: facts.portNumber)
    }

    private enum RouteSearch: Equatable {
        case found(RouteRule)
        case refused(Reason)
    }

    /// The route, when every reading of the path comes to it: `/a%3Ab` must not pass as `/{name}` where a backend
    /// that decodes before it routes takes it for `/a:b`.
    private func findRoute(
        _ table: borrowing HostTable, _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>, port: UInt16
    ) -> RouteSearch {
        let found = findRoute(target.path.bytes, table, facts, bytes, port: port)
        guard target.hasReservedEscapes else { return found }
        let other = findRoute(target.decodedSpelling.bytes, table, facts, bytes, port: port)
        return found == other ? found : .refused(.ambiguousTarget)
    }

    private func findRoute(
        _ path: Span<UInt8>, _ table: borrowing HostTable, _ facts: borrowing RequestFacts,
        _ bytes: Span<UInt8>, port: UInt16
    ) -> RouteSearch {
        let method = bytes.bytes(at: facts.method)
        if equal(method, "OPTIONS"), facts.originCount == 1, !facts.origin.isEmpty,
            facts.accessControlRequestMethodCount == 1
        {
            let requested = bytes.bytes(at: facts.accessControlRequestMethod)
            if let rule = table.matchPreflight(path: path, port: port, requestedMethod: requested) {
                return .found(rule)
            }
        }
        switch table.match(method: method, path: path, port: port) {
        case .matched(let rule):
            // A preflight route answers preflights only; anything else that says OPTIONS is not one.
            if case .preflight = rule.ground { return .refused(.methodNotAllowed) }
            return .found(rule)
        case .unknownRoute: return .refused(.unknownRoute)
        case .methodNotAllowed: return .refused(.methodNotAllowed)
        case .portNotAllowed: return .refused(.portNotAllowed)
        case .unreadable: return .refused(.policyUnreadable)
        }
    }

    /// Proxies choose by the raw path who answers below the well-known path of metadata (RFC 9728 §3). In another spelling,
    /// as `/%2ewell-known/…`, the application would get what was made public for the documents alone.
    private func isMetadataSpelledPlainly(_ raw: Span<UInt8>) -> Bool {
        let path = target.path.bytes
        let wellKnown: StaticString = "/.well-known/oauth-protected-resource"
        guard path.count >= wellKnown.utf8CodeUnitCount,
            equal(path.extracting(0..<wellKnown.utf8CodeUnitCount), wellKnown)
        else { return true }
        return equal(raw.bytes(at: target.rawPath), path)
    }

    private enum Check {
        case satisfied(VerifiedToken, Grant)
        case refused(Reason)
        case owed(Outcome)
    }

    /// Everything that the token must satisfy on this route, in the order in which reasons are given.
    private mutating func check(
        _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>, port: UInt16, table: borrowing HostTable,
        rule: RouteRule, service: borrowing ServiceRecord, catalogue: borrowing Catalogue,
        reader: borrowing PolicyReader, snapshot: DecisionSnapshot, now: Int64, limits: DecisionLimits
    ) -> Check {
        let credential: ByteRange
        switch findCredential(
            facts, bytes, source: service.tokenSource, name: service.tokenSourceName, checksCharacters: false)
        {
        case .token(let range, let used):
            credential = range
            scheme = used
        case .refused(let reason, let used):
            scheme = used
            return .refused(reason)
        }
        let found: VerifiedToken
        switch verify(bytes.bytes(at: credential), service: service, snapshot, now: now, limits: limits) {
        case .token(let token): found = token
        case .refused(let reason): return .refused(reason)
        case .owed(let outcome): return .owed(outcome)
        }
        switch check(
            found, facts, bytes, port: port, table: table, rule: rule, service: service, catalogue: catalogue,
            reader: reader, snapshot: snapshot, now: now, limits: limits)
        {
        case .grant(let grant): return .satisfied(found, grant)
        case .refused(let reason):
            token = found
            return .refused(reason)
        case .owed(let outcome):
            token = found
            return .owed(outcome)
        }
    }
}
