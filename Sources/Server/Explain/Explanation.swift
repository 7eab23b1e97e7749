public import Decision
internal import Octets
internal import PolicyTables
internal import Tokens

/// How a decision came about, as JSON and as text for people: the same content for a policy file and for the
/// running daemon.
public struct Explanation {
    private let decider: Decider
    private let facts: RequestFacts
    private let bytes: [UInt8]
    private let isDaemon: Bool

    /// Decides the request and keeps how it came about.
    /// - Parameters:
    ///   - decider: one that nobody else uses; it is made to collect details.
    ///   - isDaemon: whether it knows what issuers say, and revocations.
    public init(_ decider: Decider, _ facts: RequestFacts, _ bytes: [UInt8], now: Int64, isDaemon: Bool) {
        decider.collectsDetails = true
        _ = decider.decide(facts, bytes.span, now: now, limits: DecisionLimits())
        self.decider = decider
        self.facts = facts
        self.bytes = bytes
        self.isDaemon = isDaemon
    }

    private var checks: CheckTrail {
        CheckTrail(decider.details, reason: decider.reason, token: decider.verifiedToken, isDaemon: isDaemon)
    }

    public var isAllow: Bool { decider.status == 200 }
    public var isUnanswerable: Bool { decider.status == 503 }

    public var status: UInt16 { decider.status }

    /// One JSON object: verdict, status, reason, policy, target, routes, token, checks, required, granted, missing.
    public var json: [UInt8] {
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
        out.append(",\"target\":{\"host\":")
        out.append(jsonString: details.host.span)
        out.append(",\"path\":")
        out.append(jsonString: details.path.span)
        out.append(",\"decoded\":")
        out.append(jsonString: details.decodedPath.span)
        out.append("},\"service\":")
        append(details.service, to: &out)
        out.append(",\"route\":")
        append(details.route, to: &out)
        appendConsidered(to: &out)
        appendToken(to: &out)
        out.append(",\"checks\":")
        checks.append(to: &out)
        appendScopes(details, to: &out)
        out.append(",\"challenge\":")
        append(decider.challenge, to: &out)
        out.append("}")
        return [UInt8](copying: out.bytes)
    }

    /// The routes at every path that matches the target, most specific first; only the first path decides.
    private func appendConsidered(to out: inout ByteWriter) {
        out.append(",\"routes_considered\":[")
        var isFirst = true
        for (rank, path) in consideredPaths.enumerated() {
            for route in path.routes {
                if !isFirst { out.append(0x2C) }
                isFirst = false
                out.append("{\"route\":")
                out.append(jsonString: Array(route.label.utf8).span)
                out.append(",\"method\":")
                out.append(jsonString: Array(route.method.utf8).span)
                out.append(rank == 0 ? ",\"decides\":true}" : ",\"decides\":false}")
            }
        }
        out.append("]")
    }

    private var consideredPaths: [ConsideredPath] {
        let port = UInt16(String(lossy: bytes.span.bytes(at: facts.port))) ?? 0
        return decider.consideredPaths(port: port)
    }

    /// Header and claims as they stand in the token, believed or not.
    private func appendToken(to out: inout ByteWriter) {
        out.append(",\"token\":")
        let header = bytes.span.bytes(at: facts.authorization)
        var start = 0
        while start < header.count, header[start] != 0x20 { start += 1 }
        guard start + 1 < header.count else {
            out.append("null")
            return
        }
        do throws(TokenRefusal) {
            let decoded = try TokenDecode.read(header.extracting(start + 1..<header.count))
            out.append("{\"verified\":")
            out.append(decider.verifiedToken != nil ? "true" : "false")
            out.append(",\"header\":")
            out.append(decoded.headerText.span)
            out.append(",\"claims\":")
            out.append(decoded.claimsText.span)
            out.append("}")
        } catch {
            out.append("{\"verified\":false,\"unreadable\":")
            out.append(jsonLiteral: error.name)
            out.append("}")
        }
    }

    private func appendScopes(_ details: DecisionDetails, to out: inout ByteWriter) {
        out.append(",\"required\":{\"all\":")
        append(details.requiredAll, to: &out)
        out.append(",\"any\":")
        append(details.requiredAny, to: &out)
        out.append("},\"granted\":")
        append(details.granted, to: &out)
        out.append(",\"missing\":")
        var missing = details.requiredAll.filter { !details.granted.contains($0) }
        if !details.requiredAny.isEmpty, !details.requiredAny.contains(where: { details.granted.contains($0) }) {
            missing += details.requiredAny
        }
        append(decider.verifiedToken == nil ? [] : missing, to: &out)
        if let kind = details.revokedBy {
            out.append(",\"revoked_by\":")
            out.append(jsonString: Array("\(kind.name)".utf8).span)
        }
        ClientExplanation(details).append(to: &out)
        guard !details.requiredDetails.isEmpty else { return }
        out.append(",\"authorization_details\":[")
        for (number, demand) in details.requiredDetails.enumerated() {
            if number > 0 { out.append(0x2C) }
            out.append("{\"type\":")
            out.append(jsonString: demand.type.span)
            out.append(",\"actions\":")
            append(demand.actions, to: &out)
            out.append(",\"locations\":")
            append(demand.locations, to: &out)
            out.append("}")
        }
        out.append("]")
    }

    private func append(_ names: [[UInt8]], to out: inout ByteWriter) {
        out.append(0x5B)
        for (number, name) in names.enumerated() {
            if number > 0 { out.append(0x2C) }
            out.append(jsonString: name.span)
        }
        out.append(0x5D)
    }

    private func append(_ text: [UInt8]?, to out: inout ByteWriter) {
        if let text { out.append(jsonString: text.span) } else { out.append("null") }
    }

    /// The explanation for people.
    public var text: String {
        let details = decider.details
        func string(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        func list(_ names: [[UInt8]]) -> String {
            names.isEmpty ? "none" : names.map(string).joined(separator: " ")
        }
        var lines = ["\(isAllow ? "allow" : "deny"): \(decider.reason.name) (status \(decider.status))"]
        if let observed = details.observedReason { lines.append("  enforcement would have said: \(observed.name)") }
        lines.append("  policy: \(decider.policyLabel.isEmpty ? "none" : string(decider.policyLabel))")
        if !details.path.isEmpty {
            lines.append("  target: host \(string(details.host)), path \(string(details.path))")
        }
        for (rank, path) in consideredPaths.enumerated() {
            for route in path.routes {
                lines.append("  \(rank == 0 ? "at the most specific path" : "weaker, not looked at"): \(route.label)")
            }
        }
        if let service = details.service, let route = details.route {
            lines.append("  route: \(string(route)) of service \(string(service))")
        }
        if details.ground == .scopes {
            if !details.requiredAll.isEmpty { lines.append("  required, all of: \(list(details.requiredAll))") }
            if !details.requiredAny.isEmpty { lines.append("  required, one of: \(list(details.requiredAny))") }
            for demand in details.requiredDetails {
                var line = "  required in authorization_details: type \(string(demand.type))"
                if !demand.actions.isEmpty { line += ", actions \(list(demand.actions))" }
                if !demand.locations.isEmpty { line += ", one of the locations \(list(demand.locations))" }
                lines.append(line)
            }
        }
        if let token = decider.verifiedToken {
            lines.append("  token: subject \(String(lossy: token.subject)), client \(String(lossy: token.client))")
            lines.append("  scopes on the token: \(String(lossy: token.scopeText))")
            lines.append("  effective scopes: \(list(details.granted))")
            lines += ClientExplanation(details).lines
            if let kind = details.revokedBy { lines.append("  revoked by: \(kind.name)") }
        }
        let checks = checks
        lines += checks.lines
        if let advice = checks.advice { lines.append("  \(advice)") }
        if let challenge = decider.challenge { lines.append("  challenge: \(string(challenge))") }
        return lines.joined(separator: "\n") + "\n"
    }
}
