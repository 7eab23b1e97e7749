internal import Decision

/// A revocation as it is asked for.
struct NewRevocation: Sendable, Equatable {
    /// Bytes of an issuer identifier, of a value, and of a reason.
    static let issuerBytesMax = 2_048
    static let valueBytesMax = 1_024
    static let reasonBytesMax = 256

    var kind: Revocation.Kind
    /// Exactly as the policy has it; empty for a token.
    var issuer: [UInt8] = []
    /// The 32 bytes of the digest for a token; empty for an issuer.
    var value: [UInt8] = []
    /// Tokens issued at or before this, Unix seconds; nil is now for a subject, a client and an issuer, and all for
    /// the other kinds.
    var issuedBefore: Int64?
    /// Tokens of any time, also of the future.
    var isAll = false
    /// How long it is kept, Unix seconds; nil leaves it to the desk.
    var until: Int64?
    /// `exp` that the token itself claims, Unix seconds.
    var expiresAt: Int64?
    var reason = ""
    /// The user whose process asked; nil where the system does not tell.
    var who: UInt32?
}

/// How long a token of an issuer can live.
enum IssuerLifetime: Sendable, Equatable {
    /// The policy in force names no such issuer.
    case unknownIssuer
    /// Its policy sets no `max_lifetime`.
    case unlimited
    case seconds(Int64)
    /// There is no policy to ask.
    case notConsulted
}

/// Why a revocation is kept as long as it is.
enum RevocationTerm: String, Sendable {
    /// The caller said so.
    case asked
    /// The token that is meant has expired by then.
    case tokenExpiry = "token_expiry"
    /// The issuer's `max_lifetime` ends every token that is meant.
    case maxLifetime = "max_lifetime"
    /// Nothing bounds the life of the tokens that are meant.
    case forEver = "for_ever"
}

extension NewRevocation {
    /// Clocks that differ and leeway that verifiers give, seconds.
    static let marginSeconds: Int64 = 600
    /// "Until now" reaches this far ahead: an issuer's clock may be, and what it has signed already is meant.
    static let clockSecondsMax: Int64 = 60

    /// - Throws: `invalid` with what to mend.
    func check(now: Int64) throws(RevocationError) {
        func demand(_ isMet: Bool, _ problem: String) throws(RevocationError) {
            guard isMet else { throw .invalid(problem) }
        }
        switch kind {
        case .token:
            try demand(issuer.isEmpty, "a token is revoked by its digest alone; leave the issuer out")
            try demand(value.count == 32, "the digest of a token has 32 bytes")
            try demand(issuedBefore == nil && !isAll, "one token was issued once; leave issued_before and all out")
        case .issuer:
            try demand(!issuer.isEmpty, "give the issuer")
            try demand(value.isEmpty, "an issuer is revoked as a whole; leave the value out")
        case .tokenID, .subject, .client, .key:
            try demand(!issuer.isEmpty, "give the issuer")
            try demand(!value.isEmpty, "give the value")
        }
        try demand(
            issuer.count <= NewRevocation.issuerBytesMax,
            "the issuer has \(issuer.count) bytes; at most \(NewRevocation.issuerBytesMax) are taken")
        try demand(
            value.count <= NewRevocation.valueBytesMax,
            "the value has \(value.count) bytes; at most \(NewRevocation.valueBytesMax) are taken")
        try demand(
            reason.utf8.count <= NewRevocation.reasonBytesMax,
            "the reason has \(reason.utf8.count) bytes; at most \(NewRevocation.reasonBytesMax) are taken")
        try demand(!isAll || issuedBefore == nil, "give either issued_before or all")
        try demand(kind == .token || expiresAt == nil, "expires_at belongs to a token")
        for time in [issuedBefore, until, expiresAt] {
            try demand(
                time.map { $0 >= 0 && $0 <= RevocationRecord.timeMax } ?? true, "a time is Unix seconds up to 2^53")
        }
        if let until { try demand(until > now, "until lies in the past; give a time to come, or none") }
    }

    /// Which tokens are meant, and from when on none of them can be alive.
    func bounds(now: Int64, _ lifetime: IssuerLifetime) -> (issuedAtMax: Int64, until: Int64, term: RevocationTerm) {
        let meansAll = isAll || issuedBefore == nil && (kind == .token || kind == .tokenID || kind == .key)
        let issuedAtMax = meansAll ? Int64.max : issuedBefore ?? now + NewRevocation.clockSecondsMax
        if let until { return (issuedAtMax, until, .asked) }
        if kind == .token, let expiresAt {
            return (issuedAtMax, expiresAt + NewRevocation.marginSeconds, .tokenExpiry)
        }
        // An identifier names a token that exists; every other kind without a bound means tokens to come as well. Who
        // has a stolen key makes new ones.
        guard case .seconds(let seconds) = lifetime, !meansAll || kind == .tokenID && !isAll else {
            return (issuedAtMax, .max, .forEver)
        }
        let last = meansAll ? now : issuedAtMax
        let end = last.addingReportingOverflow(max(0, seconds))
        let until = end.partialValue.addingReportingOverflow(NewRevocation.marginSeconds)
        guard !end.overflow, !until.overflow else { return (issuedAtMax, .max, .forEver) }
        return (issuedAtMax, until.partialValue, .maxLifetime)
    }
}
