internal import Tokens

/// What a service publishes of itself, held against the policy.
public struct DriftReport: Sendable, Equatable {
    public enum Kind: String, Sendable, CaseIterable {
        /// The service has it, and the policy denies it to everybody.
        case operationDenied = "operation_denied"
        /// The policy has it, and the service does not publish it.
        case routeStale = "route_stale"
        /// The policy asks for more than what is published.
        case policyStricter = "policy_stricter"
        /// The policy lets in more than what is published.
        case policyLooser = "policy_looser"
        /// Each lets in someone whom the other keeps out, or something beside scopes is not the same.
        case requirementDiffers = "requirement_differs"
        case scopeUnknown = "scope_unknown"
        /// A route requires a scope that clients are not told of.
        case scopeNotPublished = "scope_not_published"
        /// Clients are told of a scope that no route requires.
        case scopeNotRequired = "scope_not_required"
        case hostUnknown = "host_unknown"
        case resourceDiffers = "resource_differs"
        /// Clients are told of an issuer whose tokens are refused.
        case issuerRefused = "issuer_refused"
        /// Tokens of an issuer are accepted that clients are not told of.
        case issuerNotPublished = "issuer_not_published"
        /// The service's publication has ended: the policy denies everything.
        case serviceEnded = "service_ended"
        /// No drift: what is published cannot be held against scopes of a token.
        case notComparable = "not_comparable"

        public var isDrift: Bool { self != .notComparable }
    }

    public struct Finding: Sendable, Equatable {
        public var kind: Kind
        /// Like `GET /orders/{order}`, a scope, a host, an issuer, a key of the service.
        public var subject: String
        /// What is published and what the policy says.
        public var message: String
        public var mend: String
        /// In the published document, from 1; nil when it is not about one place of it.
        public var line: Int?
    }

    public let service: String
    /// In the order of the document, then of the policy. At most `findingsMax`.
    public private(set) var findings: [Finding] = []
    public private(set) var omittedCount = 0
    /// Operations, or members of the metadata, that were looked at.
    public internal(set) var comparedCount = 0
    private var driftCount = 0
    private var notComparableCount = 0

    public static let findingsMax = 500

    public var hasDrift: Bool { driftCount > 0 }

    init(service: String) {
        self.service = service
    }

    mutating func add(_ kind: Kind, _ subject: String, _ message: String, mend: String, line: Int? = nil) {
        if kind.isDrift { driftCount += 1 } else { notComparableCount += 1 }
        guard findings.count < DriftReport.findingsMax else {
            omittedCount += 1
            return
        }
        findings.append(
            Finding(
                kind: kind, subject: visibleLine(subject, charactersMax: 200),
                message: visibleLine(message, charactersMax: 600), mend: mend, line: line))
    }

    /// Lines for people: each finding with its mend.
    public var text: String {
        var text = ""
        for finding in findings {
            let line = finding.line.map { " (line \($0))" } ?? ""
            text += "\(finding.kind.rawValue): \(finding.subject)\(line): \(finding.message)\n  mend: \(finding.mend)\n"
        }
        if omittedCount > 0 { text += "… and \(omittedCount) more\n" }
        let left = notComparableCount > 0 ? ", \(notComparableCount) not comparable" : ""
        let differences = "\(driftCount) \(driftCount == 1 ? "difference" : "differences")"
        return text + "\(service): \(comparedCount) compared\(left), \(differences)\n"
    }

    /// `{"service":…,"drift":…,"compared":…,"omitted":…,"findings":[…]}`; a finding has `kind`, `subject`, `message`,
    /// `mend` and, where there is one, `line`.
    public var json: [UInt8] {
        let objects = findings.map { finding in
            var writer = JSONObjectWriter()
            writer.add("kind", string: finding.kind.rawValue)
            writer.add("subject", string: finding.subject)
            writer.add("message", string: finding.message)
            writer.add("mend", string: finding.mend)
            if let line = finding.line { writer.add("line", number: Int64(line)) }
            return writer.text()
        }
        var writer = JSONObjectWriter()
        writer.add("service", string: service)
        writer.add("drift", boolean: hasDrift)
        writer.add("compared", number: Int64(comparedCount))
        writer.add("omitted", number: Int64(omittedCount))
        writer.add("findings", json: [0x5B] + Array(objects.joined(separator: [0x2C])) + [0x5D])
        return writer.text()
    }
}
