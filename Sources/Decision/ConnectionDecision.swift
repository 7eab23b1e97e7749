internal import Octets
internal import PolicyTables
internal import Signatures

/// The certificate of the connection that was decided last, and the client that it belongs to.
final class PresentedCertificate {
    let certificate: ClientCertificate
    /// The policy's name of the client; empty while it is not known.
    var clientName: [UInt8] = []
    /// The name in the certificate that the client is known by, as the policy spells it.
    var identity: [UInt8] = []

    init(_ certificate: ClientCertificate) { self.certificate = certificate }
}

extension Decider {
    /// Decides on one connection without HTTP, by its port and the client's certificate. The answer is there when this
    /// returns: nothing is waited for.
    /// - Parameters:
    ///   - facts: places in `bytes`.
    ///   - now: Unix seconds.
    public func decide(_ facts: borrowing ConnectionFacts, _ bytes: Span<UInt8>, now: Int64) {
        turn.decide(facts, bytes, board, now: now)
    }

    /// Makes the answer a denial for a reason that was found before any facts could be decided on.
    /// - Parameter reason: one that denies; a ground to allow becomes `overloaded`.
    public func refuse(_ reason: Reason) {
        turn.refuse(reason, board)
    }
}

extension DecisionState {
    // MARK: the way of one connection

    mutating func decide(
        _ facts: borrowing ConnectionFacts, _ bytes: Span<UInt8>, snapshot: DecisionSnapshot,
        reader: borrowing PolicyReader, now: Int64
    ) -> Outcome {
        if facts.conflict { return deny(.conflictingFacts, snapshot) }
        guard facts.port >= 0 else { return deny(.missingFact, snapshot) }
        guard let port = UInt16(exactly: facts.port), port > 0 else { return deny(.conflictingFacts, snapshot) }
        guard let catalogue = reader.catalogue() else { return deny(.policyUnreadable, snapshot) }
        guard let table = reader.portTable() else { return deny(.portNotAllowed, snapshot) }
        let rule: PortRule
        switch table.match(port: port) {
        case .matched(let found): rule = found
        case .unknownPort: return deny(.portNotAllowed, snapshot)
        case .unreadable: return deny(.policyUnreadable, snapshot)
        }
        writeRoute(table.serviceName(of: rule), port)
        if collectsDetails { collectRule(table, rule, catalogue) }
        let reason: Reason
        switch findClient(facts.certificate, bytes, table, now: now) {
        case .client(let client):
            if collectsDetails { collectClient(table, client, catalogue, now: now) }
            if table.holds(client, rule, catalogue, now: now) {
                writeGranted(client, table: table, rule: rule, catalogue: catalogue, now: now)
                return allow(.certificate, snapshot)
            }
            reason = .insufficientScope
        case .refused(let found): reason = found
        }
        if reason.status != 503, rule.observeUntil > now {
            observedReason = reason
            if collectsDetails { details.observedReason = reason }
            return allow(.observed, snapshot)
        }
        return deny(reason, snapshot)
    }

    private enum ClientSearch {
        case client(PortClient)
        case refused(Reason)
    }

    /// The client whose certificate this is, with everything that the certificate must satisfy, in the order in which
    /// reasons are given.
    private mutating func findClient(
        _ facts: CertificateFacts, _ bytes: Span<UInt8>, _ table: borrowing PortTable, now: Int64
    ) -> ClientSearch {
        guard facts.isUsed, !facts.der.isEmpty else { return .refused(.noCertificate) }
        guard facts.verifyResult == 0 else { return .refused(.certificateNotVerified) }
        let shown: PresentedCertificate
        do throws(CertificateError) {
            shown = PresentedCertificate(try ClientCertificate(der: bytes.bytes(at: facts.der)))
        } catch {
            return .refused(.certificateMalformed)
        }
        presented = shown
        switch shown.certificate.validity(at: now) {
        case .valid: break
        case .expired: return .refused(.certificateExpired)
        case .notYetValid: return .refused(.certificateNotYetValid)
        }
        let found = identify(shown.certificate, table)
        if case .client(let client) = found {
            shown.clientName = [UInt8](copying: table.name(of: client))
            shown.identity = [UInt8](copying: table.identity(of: client))
        }
        return found
    }

    /// The one client that names of the certificate belong to.
    private func identify(_ certificate: ClientCertificate, _ table: borrowing PortTable) -> ClientSearch {
        var found: PortClient?
        for uri in certificate.uris {
            let match = table.client(.uri, uri.span)
            // With several URIs none of them is *the* identity (SPIFFE X.509-SVID §2 says so of its own).
            if case .matched = match, certificate.uris.count > 1 { return .refused(.ambiguousCertificate) }
            if let reason = take(match, &found) { return .refused(reason) }
        }
        for name in certificate.dnsNames {
            if let reason = take(table.client(.dns, name.span), &found) { return .refused(reason) }
        }
        if let reason = take(table.client(.subject, certificate.subject.span), &found) { return .refused(reason) }
        guard let found else { return .refused(.unknownCertificate) }
        return .client(found)
    }

    /// - Returns: why the certificate is refused, or nil.
    private func take(_ match: ClientMatch, _ found: inout PortClient?) -> Reason? {
        switch match {
        case .unknownIdentity: return nil
        case .unreadable: return .policyUnreadable
        case .matched(let client):
            guard let other = found else {
                found = client
                return nil
            }
            return other == client ? nil : .ambiguousCertificate
        }
    }

    // MARK: its answer

    /// `service tcp/9443`.
    private mutating func writeRoute(_ service: Span<UInt8>, _ port: UInt16) {
        let start = answer.text.count
        answer.text.append(percentEncoding: service)
        answer.text.append(" tcp/")
        answer.text.append(decimal: UInt64(port))
        answer.close(.route, from: start)
    }

    /// The client's scopes in byte order of their names; where they would not fit beside the rest, those that the port
    /// required and the mark `"shortened"`, as for tokens.
    private mutating func writeGranted(
        _ client: PortClient, table: borrowing PortTable, rule: PortRule, catalogue: borrowing Catalogue, now: Int64
    ) {
        // An answer that does not fit so far must stay known as one.
        guard answer.isComplete else { return }
        let start = answer.text.count
        for index in 0..<client.scopeCount {
            guard answer.isComplete, let scope = table.scope(of: client, inNameOrder: index) else { break }
            guard catalogue.counts(scope, at: now) else { continue }
            appendScope(catalogue.scopeName(scope), from: start)
        }
        let isWhole = answer.isComplete && answer.text.count - start <= Grant.textBytesMax
        if !isWhole || answer.freeCount < Answer.identityBytesMax {
            answer.text.rewind(to: start)
            for index in 0..<rule.allCount + rule.anyCount {
                let scope =
                    index < rule.allCount
                    ? table.scope(of: rule, all: index) : table.scope(of: rule, any: index - rule.allCount)
                guard let scope, table.holds(client, scope), catalogue.counts(scope, at: now) else { continue }
                appendScope(catalogue.scopeName(scope), from: start)
            }
            answer.text.append(" \"shortened\"")
        }
        answer.close(.granted, from: start)
    }

    private mutating func appendScope(_ name: Span<UInt8>, from start: Int) {
        if answer.text.count > start { answer.text.append(0x20) }
        answer.text.append(name)
    }
}

extension PortTable {
    /// Whether the client holds what the rule requires: all of `all`, and one of `any` where there are any. A scope
    /// that has ended is held by nobody.
    func holds(_ client: PortClient, _ rule: PortRule, _ catalogue: borrowing Catalogue, now: Int64) -> Bool {
        guard holds(client, rule) else { return false }
        for index in 0..<rule.allCount {
            guard let scope = scope(of: rule, all: index), catalogue.counts(scope, at: now) else { return false }
        }
        guard rule.anyCount > 0 else { return true }
        for index in 0..<rule.anyCount {
            if let scope = scope(of: rule, any: index), holds(client, scope), catalogue.counts(scope, at: now) {
                return true
            }
        }
        return false
    }
}

extension Catalogue {
    /// Whether a scope counts at this time: it has not ended, and can be read.
    func counts(_ scope: UInt16, at now: Int64) -> Bool {
        guard let term = scopeTerm(scope) else { return false }
        return !term.hasEnded(at: now)
    }
}
