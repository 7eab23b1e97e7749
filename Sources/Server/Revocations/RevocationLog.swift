internal import Decision
internal import Octets
internal import Signatures

extension RevocationDesk {
    func logRevoked(_ outcome: Outcome) {
        let message =
            switch outcome.state {
            case .revoked: "tokens were revoked"
            case .extended: "a revocation was extended"
            case .unchanged: "a revocation was asked for that is in force already"
            case .ended: "a revocation was asked for of tokens that have expired; nothing is kept"
            }
        log.write(
            .info, "revoked", message,
            fields(outcome.record) + [("state", outcome.state.rawValue), ("term", outcome.term.rawValue)])
    }

    func fields(_ record: RevocationRecord) -> [(String, String)] {
        let revocation = record.revocation
        var fields = [("id", revocation.key.description), ("kind", "\(revocation.kind.name)")]
        if !revocation.issuer.isEmpty { fields.append(("issuer", String(decoding: revocation.issuer, as: UTF8.self))) }
        if revocation.kind == .token {
            // Never the token; of its digest as much as one needs to find it.
            fields.append(("digest", String(hexadecimal(revocation.value.span).prefix(16))))
        } else if !revocation.value.isEmpty {
            fields.append(("value", String(decoding: revocation.value, as: UTF8.self)))
        }
        if revocation.issuedAtMax != .max {
            fields.append(("issued_before", Timestamp(unixSeconds: revocation.issuedAtMax).text))
        }
        fields.append(("until", revocation.until == .max ? "for ever" : Timestamp(unixSeconds: revocation.until).text))
        fields.append(("who", record.who.map { "\($0)" } ?? "unknown"))
        if !record.reason.isEmpty { fields.append(("reason", record.reason)) }
        return fields
    }
}

/// Lower-case hexadecimal.
func hexadecimal(_ bytes: Span<UInt8>) -> String {
    var digits: [UInt8] = []
    for index in bytes.indices {
        digits.append(hexadecimalDigit(bytes[index] >> 4))
        digits.append(hexadecimalDigit(bytes[index] & 15))
    }
    return String(decoding: digits, as: UTF8.self)
}

extension Revocation.Kind {
    init?(named name: String) {
        guard let kind = Revocation.Kind.allCases.first(where: { "\($0.name)" == name }) else { return nil }
        self = kind
    }
}
