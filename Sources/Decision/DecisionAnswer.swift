internal import Octets
internal import PolicyTables
internal import Tokens

// How a decision becomes an answer. The one place that builds an allow is `allow(_:_:)`.

/// The grounds on which a request may pass. There is no other way to an allow.
enum AllowGround {
    /// A verified token with the scopes that the route requires.
    case granted
    /// A certificate of a client with the scopes that the port requires.
    case certificate
    case `public`
    case preflight
    case observed

    var reason: Reason {
        switch self {
        case .granted, .certificate: .granted
        case .public: .public
        case .preflight: .preflight
        case .observed: .observed
        }
    }
}

extension DecisionState {
    mutating func allow(_ ground: AllowGround, _ snapshot: DecisionSnapshot) -> Outcome {
        switch ground {
        case .granted:
            switch possession {
            case .held, .recorded: break
            // DENY: nobody has shown that the token is theirs.
            case .open, .proved:
                answer.reset()
                return deny(.policyUnreadable, snapshot)
            }
        case .certificate:
            guard let presented, !presented.identity.isEmpty else { return deny(.policyUnreadable, snapshot) }
            answer.writeEncoded(.subject, presented.identity.span)
            answer.writeEncoded(.client, presented.clientName.span)
        case .public, .preflight, .observed: break
        }
        if let forwardsToken { answer.write(.forwardToken, forwardsToken ? "yes" : "no") }
        finish(ground.reason, label: snapshot.label)
        // DENY: an answer that does not fit its limits is not given.
        if !answer.isComplete {
            observedReason = nil
            answer.reset()
            finish(.overloaded, label: snapshot.label)
        }
        return .answered
    }

    mutating func deny(_ reason: Reason, _ snapshot: DecisionSnapshot) -> Outcome {
        finish(reason, label: snapshot.label)
        if !answer.isComplete {
            answer.reset()
            writeNonce()
            finish(reason, label: snapshot.label)
        }
        return .answered
    }

    /// Who sent the request, as a verified token says.
    mutating func writeIdentity(_ token: VerifiedToken, _ snapshot: DecisionSnapshot) {
        answer.writeEncoded(.subject, token.subject)
        answer.writeEncoded(.client, token.client)
        let names = snapshot.issuerNames
        answer.writeEncoded(.issuer, names.span.bytes(at: snapshot.issuerFacts[token.issuerIndex].name))
    }

    mutating func writeNonce() {
        if givesNonce { nonces.write(to: &answer) }
    }

    /// Writes what every answer carries and sets its status.
    mutating func finish(_ reason: Reason, label: [UInt8]) {
        answer.reason = reason
        answer.status = reason.status
        let isAllow = reason.status == 200
        answer.write(.decision, isAllow ? "allow" : "deny")
        answer.write(.reason, reason.name)
        answer.write(.policy, label.span)
        writeAuditID()
    }

    /// Bytes that an allow writes last, or `finish` for a denial.
    func finishBytes(_ reason: Reason, label: [UInt8]) -> Int {
        let decision: StaticString = reason.status == 200 ? "allow" : "deny"
        // `X-Scope-Forward-Token: yes`.
        let forwardBytes = reason.status == 200 ? 3 : 0
        return decision.utf8CodeUnitCount + reason.name.utf8CodeUnitCount + label.count + auditPrefix.count + 16
            + forwardBytes
    }

    /// Counts the answer that is given, once it is known to fit.
    mutating func countAnswer() {
        switch answer.status {
        case 200: counts.allowed &+= 1
        case 503: counts.unanswerable &+= 1
        default: counts.denied &+= 1
        }
    }

    /// `service METHOD /path`; the spaces between stay, everything else outside ASCII is escaped.
    mutating func writeRoute(_ label: Span<UInt8>, _ service: Span<UInt8>) {
        let start = answer.text.count
        answer.text.append(service)
        answer.text.append(0x20)
        answer.text.append(percentEncoding: label, lowestByte: 0x20)
        answer.close(.route, from: start)
    }

    /// The effective scopes; where they would not fit beside the rest, those that the route required and the
    /// mark `"shortened"`, which no scope can be taken for (a quote is no scope character, RFC 6749 §3.3).
    mutating func writeGranted(
        _ grant: Grant, table: borrowing HostTable, rule: RouteRule, catalogue: borrowing Catalogue
    ) {
        let text = grant.text
        if grant.isTextWhole, text.count <= answer.freeCount - Answer.identityBytesMax {
            answer.write(.granted, text.span)
            return
        }
        let start = answer.text.count
        appendRequired(table, rule, catalogue, heldBy: grant)
        answer.text.append(" \"shortened\"")
        answer.close(.granted, from: start)
    }

    /// The scopes that a route names, `all` before `any`, separated by spaces.
    /// - Parameter grant: leaves out those that it does not hold.
    mutating func appendRequired(
        _ table: borrowing HostTable, _ rule: RouteRule, _ catalogue: borrowing Catalogue, heldBy grant: Grant?
    ) {
        DecisionState.appendRequired(table, rule, catalogue, heldBy: grant, to: &answer.text)
    }

    static func appendRequired(
        _ table: borrowing HostTable, _ rule: RouteRule, _ catalogue: borrowing Catalogue, heldBy grant: Grant?,
        to text: inout ByteWriter
    ) {
        let start = text.count
        for index in 0..<rule.allCount + rule.anyCount {
            let scope =
                index < rule.allCount
                ? table.scope(of: rule, all: index) : table.scope(of: rule, any: index - rule.allCount)
            guard let scope, grant?.contains(scope) ?? true else { continue }
            if text.count > start { text.append(0x20) }
            text.append(catalogue.scopeName(scope))
        }
    }

    private mutating func writeAuditID() {
        auditSequence &+= 1
        let start = answer.text.count
        let prefix = auditPrefix
        answer.text.append(prefix.span)
        answer.text.append(hexadecimal: auditSequence)
        answer.close(.auditID, from: start)
    }
}
