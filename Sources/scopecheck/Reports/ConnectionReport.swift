internal import Decision
internal import Octets
internal import Policy
internal import PolicyTables
internal import Server
internal import Signatures

/// How the decision on one connection without HTTP came about, for people and programs. The decider must collect
/// details and must have decided on just this connection.
struct ConnectionReport {
    private let decider: Decider
    private let port: UInt16
    private let certificate: ClientCertificate?

    /// - Parameter der: the certificate that was presented; empty without one.
    init(_ decider: Decider, port: UInt16, der: [UInt8]) {
        self.decider = decider
        self.port = port
        certificate = der.isEmpty ? nil : try? ClientCertificate(der: der.span)
    }

    var isAllow: Bool { decider.status == 200 }
    var isUnanswerable: Bool { decider.status == 503 }

    private var decisive: Reason { decider.details.observedReason ?? decider.reason }

    private var missing: [[UInt8]] {
        let details = decider.details
        guard details.client != nil else { return [] }
        var missing = details.requiredAll.filter { !details.granted.contains($0) }
        if !details.requiredAny.contains(where: { details.granted.contains($0) }) { missing += details.requiredAny }
        return missing
    }

    /// One JSON object: verdict, status, reason, policy, port, service, route, certificate, client, identity, checks,
    /// required, granted, missing.
    var json: [UInt8] {
        let details = decider.details
        var out = ByteWriter(capacity: 256 << 10)
        out.append("{\"verdict\":")
        out.append(jsonLiteral: isAllow ? "allow" : "deny")
        out.append(",\"status\":")
        out.append(decimal: UInt64(decider.status))
        out.append(",\"reason\":")
        out.append(jsonLiteral: decider.reason.name)
        if let observed = details.observedReason {
            out.append(",\"would_be\":")
            out.append(jsonLiteral: observed.name)
        }
        out.append(",\"policy\":")
        out.append(jsonString: decider.policyLabel.span)
        out.append(",\"port\":")
        out.append(decimal: UInt64(port))
        out.append(",\"service\":")
        out.appendOptional(details.service)
        out.append(",\"route\":")
        out.appendOptional(details.route)
        appendCertificate(to: &out)
        out.append(",\"client\":")
        out.appendOptional(details.client)
        out.append(",\"identity\":")
        out.appendOptional(details.identity)
        out.append(",\"checks\":[")
        for (number, check) in checks.enumerated() {
            if number > 0 { out.append(0x2C) }
            out.append("{\"check\":")
            out.append(jsonString: Array(check.name.utf8).span)
            out.append(",\"result\":")
            out.append(jsonString: Array(check.result.name.utf8).span)
            out.append("}")
        }
        out.append("],\"required\":{\"all\":")
        out.append(strings: details.requiredAll)
        out.append(",\"any\":")
        out.append(strings: details.requiredAny)
        out.append("},\"granted\":")
        out.append(strings: details.granted)
        out.append(",\"missing\":")
        out.append(strings: missing)
        out.append("}")
        return [UInt8](copying: out.bytes)
    }

    /// What the certificate says, believed or not; null without one or where it cannot be read.
    private func appendCertificate(to out: inout ByteWriter) {
        out.append(",\"certificate\":")
        guard let certificate else {
            out.append("null")
            return
        }
        out.append("{\"subject\":")
        out.append(jsonString: certificate.subject.span)
        out.append(",\"uris\":")
        out.append(strings: certificate.uris)
        out.append(",\"dns\":")
        out.append(strings: certificate.dnsNames)
        out.append(",\"not_before\":")
        out.append(jsonString: Array(timestamp(certificate.notBefore).utf8).span)
        out.append(",\"not_after\":")
        out.append(jsonString: Array(timestamp(certificate.notAfter).utf8).span)
        out.append("}")
    }

    /// What became of each check, in order.
    private var checks: [(name: String, result: CheckResult)] {
        let details = decider.details
        let failing = ConnectionCheck.allCases.firstIndex { $0.fails(decisive) }
        var end = failing ?? ConnectionCheck.allCases.count
        // A table that cannot be read may be the one of the ports, or of the clients.
        if failing == 0, details.route != nil { end = 3 }
        return ConnectionCheck.allCases.enumerated().map { place, check in
            if place == failing { return (check.rawValue, .denied) }
            guard place < end else { return (check.rawValue, .notReached) }
            return (check.rawValue, check == .chain ? .notMade : .passed)
        }
    }

    /// The same for people.
    var text: String {
        let details = decider.details
        func string(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        func list(_ names: [[UInt8]]) -> String { names.isEmpty ? "none" : names.map(string).joined(separator: " ") }
        var lines = ["\(isAllow ? "allow" : "deny"): \(decider.reason.name) (status \(decider.status))"]
        if let observed = details.observedReason { lines.append("  enforcement would have said: \(observed.name)") }
        lines.append("  policy: \(decider.policyLabel.isEmpty ? "none" : string(decider.policyLabel))")
        lines.append("  port: \(port)" + (details.service.map { " of service \(string($0))" } ?? ", of no service"))
        if details.ground == .scopes {
            if !details.requiredAll.isEmpty { lines.append("  required, all of: \(list(details.requiredAll))") }
            if !details.requiredAny.isEmpty { lines.append("  required, one of: \(list(details.requiredAny))") }
        }
        if let certificate {
            lines.append("  certificate: subject \(certificate.subject.isEmpty ? "none" : string(certificate.subject))")
            for uri in certificate.uris { lines.append("    uri \(string(uri))") }
            for name in certificate.dnsNames { lines.append("    dns \(string(name))") }
            lines.append("    valid \(timestamp(certificate.notBefore)) to \(timestamp(certificate.notAfter))")
        }
        if let client = details.client, let identity = details.identity {
            lines.append("  client: \(string(client)), known by \(string(identity))")
            lines.append("  scopes of the client: \(list(details.granted))")
        }
        lines += CheckResult.lines(checks, isObserved: details.observedReason != nil)
        if !missing.isEmpty { lines.append("  missing: \(list(missing))") }
        return lines.joined(separator: "\n") + "\n"
    }
}

/// The stages of a decision on a connection, in the order in which they are looked at.
private enum ConnectionCheck: String, CaseIterable {
    case policy
    case facts
    case port
    case presented = "certificate presented"
    /// The proxy's word; here it is taken as good.
    case chain = "certificate chain"
    case form = "certificate form"
    case times
    case client
    case scopes

    private var reasons: [Reason] {
        switch self {
        case .policy: [.noPolicy, .policyUnreadable, .overloaded]
        case .facts: [.missingFact, .conflictingFacts]
        case .port: [.portNotAllowed]
        case .presented: [.noCertificate]
        case .chain: [.certificateNotVerified]
        case .form: [.certificateMalformed]
        case .times: [.certificateExpired, .certificateNotYetValid]
        case .client: [.unknownCertificate, .ambiguousCertificate]
        case .scopes: [.insufficientScope]
        }
    }

    func fails(_ reason: Reason) -> Bool { reasons.contains(reason) }
}
