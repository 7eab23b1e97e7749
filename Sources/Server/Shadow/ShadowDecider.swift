internal import Decision
internal import Octets
internal import PolicyComparison
internal import PolicyTables
internal import Tokens

/// One worker's part of a shadow: decides each request once more, under the candidate, after it was answered.
final class ShadowDecider {
    private let desk: ShadowDesk
    private let makeDecider: () -> Decider?
    /// Made when there is a candidate, gone when there is none: it has a token cache of its own.
    private var decider: Decider?
    /// Verifications left in this second, of tokens that the active version did not verify.
    private var budget = 0
    private var budgetSecond: Int64 = .min

    /// A flood of forged tokens must not cost more than this, signatures a second.
    private static let verificationsPerSecond = 50

    init(_ desk: ShadowDesk, makeDecider: @escaping () -> Decider?) {
        self.desk = desk
        self.makeDecider = makeDecider
    }

    /// Whether there is anything to compare.
    var isOn: Bool {
        if desk.isOn { return true }
        if decider != nil { decider = nil }
        return false
    }

    /// - Parameter active: with the request's answer.
    func compare(
        _ active: Decider, _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>, now: Int64
    ) {
        guard let decider = ready() else { return }
        var limits = DecisionLimits(mayVerify: active.verifiedToken != nil, mayWaitForKey: false)
        var outcome = decider.decide(facts, bytes, now: now, limits: limits)
        // Most requests need no signature verified; only for those that do is the budget there.
        if outcome == .verificationOwed, spend(active, now: now) {
            limits.mayVerify = true
            outcome = decider.decide(facts, bytes, now: now, limits: limits)
        }
        // Not even of a token that is no token for the active version: the candidate may look for it elsewhere, read
        // claims by other names, ask its issuer or let it pass in observe mode. Others' tokens, which use the budget up,
        // must not make what it would open look the same.
        guard outcome == .answered else { return desk.note { $0.addUnknown() } }
        let client = active.verifiedToken.map { String(lossy: cut($0.client)) } ?? ""
        guard let kind = difference(active, decider, client: client) else { return }
        let target = bytes.bytes(at: facts.target)
        let path = cut(target.extracting(0..<(target.firstIndex(of: 0x3F, from: 0) ?? target.count)))
        let method = String(lossy: cut(bytes.bytes(at: facts.method)))
        let scheme = String(lossy: bytes.bytes(at: facts.scheme))
        let host = String(lossy: cut(bytes.bytes(at: facts.host)))
        add(kind, active, decider, "\(method) \(scheme)://\(host)\(String(lossy: path))", now: now)
    }

    /// The same for a connection without HTTP.
    func compare(
        _ active: Decider, _ facts: borrowing ConnectionFacts, _ bytes: Span<UInt8>, now: Int64
    ) {
        guard let decider = ready() else { return }
        decider.decide(facts, bytes, now: now)
        let port = facts.port
        let client = active.withAnswer { String(lossy: $0.value(of: .client)) }
        guard let kind = difference(active, decider, client: client) else { return }
        add(kind, active, decider, "connection to port \(port)", now: now)
    }

    private func ready() -> Decider? {
        if let decider { return decider }
        decider = makeDecider()
        return decider
    }

    private func spend(_ active: Decider, now: Int64) -> Bool {
        if now != budgetSecond {
            budgetSecond = now
            budget = ShadowDecider.verificationsPerSecond
        }
        guard budget > 0, active.reason != .signatureInvalid else { return false }
        budget -= 1
        return true
    }

    /// - Returns: nil when there is none, which is counted.
    private func difference(
        _ active: Decider, _ candidate: Decider, client: String
    ) -> DecisionDifferences.Kind? {
        // What it had to ask for says nothing of the policy.
        guard candidate.status != 503 || active.status == 503 else {
            desk.note { $0.addUnknown() }
            return nil
        }
        let before = active.withAnswer { [UInt8](copying: $0.value(of: .route)) }
        let after = candidate.withAnswer { [UInt8](copying: $0.value(of: .route)) }
        guard active.reason != candidate.reason || before != after else {
            desk.note { $0.addSame() }
            return nil
        }
        return DecisionDifferences.Kind(
            client: client, routeBefore: String(lossy: before.span), routeAfter: String(lossy: after.span),
            before: "\(active.reason.name)", after: "\(candidate.reason.name)")
    }

    private func add(
        _ kind: DecisionDifferences.Kind, _ active: Decider, _ candidate: Decider, _ example: String, now: Int64
    ) {
        let allowedBefore = active.status == 200
        let allowedAfter = candidate.status == 200
        desk.note {
            $0.addDifferent(kind, allowedBefore: allowedBefore, allowedAfter: allowedAfter, at: now) { example }
        }
    }

    /// Clients choose these; they are shown and kept.
    @_lifetime(copy value)
    private func cut(_ value: Span<UInt8>) -> Span<UInt8> {
        value.extracting(first: DecisionDifferences.textBytesMax)
    }
}
