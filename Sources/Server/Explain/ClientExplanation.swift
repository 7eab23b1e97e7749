internal import Decision
internal import Octets
internal import PolicyTables

/// What the policy approves for the client of a token, and what the token says beyond it or in old names.
struct ClientExplanation {
    private let details: DecisionDetails

    init(_ details: DecisionDetails) {
        self.details = details
    }

    /// `,"client_name":"…","baseline":{…},"excess":[…],"old_scopes":[…]`, the first two where the policy lists the
    /// client; the lists where they are not empty.
    func append(to out: inout ByteWriter) {
        if let baseline = details.baseline {
            let name = baseline.name
            out.append(",\"client_name\":")
            out.append(jsonString: name.span)
            out.append(",\"baseline\":{\"on_excess\":")
            out.append(jsonLiteral: baseline.rule.text)
            out.append(",\"scopes\":")
            append(baseline.scopes, to: &out)
            out.append(",\"grants\":[")
            for (number, grant) in baseline.grants.enumerated() {
                if number > 0 { out.append(0x2C) }
                append(grant, to: &out)
            }
            out.append("]")
            if let until = baseline.observeUntil {
                out.append(",\"observe_until\":\"")
                out.append(Timestamp(unixSeconds: until))
                out.append(0x22)
            }
            out.append("}")
        }
        for (member, names) in [(",\"excess\":", details.excess), (",\"old_scopes\":", details.oldScopes)]
            as [(StaticString, [[UInt8]])] where !names.isEmpty
        {
            out.append(member)
            append(names, to: &out)
        }
    }

    private func append(_ grant: ClientBaseline.TemporaryGrant, to out: inout ByteWriter) {
        let reason = grant.reason
        out.append("{\"scopes\":")
        append(grant.scopes, to: &out)
        out.append(",\"until\":\"")
        out.append(Timestamp(unixSeconds: grant.until))
        out.append("\",\"reason\":")
        out.append(jsonString: reason.span)
        out.append(grant.isOver ? ",\"over\":true}" : ",\"over\":false}")
    }

    private func append(_ names: [[UInt8]], to out: inout ByteWriter) {
        out.append(0x5B)
        for (number, name) in names.enumerated() {
            if number > 0 { out.append(0x2C) }
            out.append(jsonString: name.span)
        }
        out.append(0x5D)
    }

    /// The same for people, one line each.
    var lines: [String] {
        var lines: [String] = []
        if let baseline = details.baseline {
            lines.append("  client: \(string(baseline.name)), on excess: \(baseline.rule.text)")
            lines.append("  approved for the client: \(list(baseline.scopes))")
            for grant in baseline.grants {
                let time = Timestamp(unixSeconds: grant.until).text
                lines.append(
                    "  granted \(grant.isOver ? "up to" : "until") \(time): \(list(grant.scopes)) "
                        + "(\(string(grant.reason)))")
            }
            if let until = baseline.observeUntil {
                lines.append("  client in observe mode until: \(Timestamp(unixSeconds: until).text)")
            }
        }
        if !details.excess.isEmpty { lines.append("  beyond what is approved: \(list(details.excess))") }
        if !details.oldScopes.isEmpty { lines.append("  old names on the token: \(list(details.oldScopes))") }
        return lines
    }

    private func string(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    private func list(_ names: [[UInt8]]) -> String {
        names.isEmpty ? "none" : names.map(string).joined(separator: " ")
    }
}

extension ClientModel.ExcessRule {
    /// As policies write it.
    var text: StaticString {
        switch self {
        case .deny: "deny"
        case .narrow: "narrow"
        case .alert: "alert"
        }
    }
}
