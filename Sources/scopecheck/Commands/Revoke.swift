internal import ArgumentParser
internal import Kernel
internal import Octets
internal import Policy
internal import Signatures
internal import Tokens

struct Revoke: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes tokens that have not expired useless, at once and durably.",
        discussion: """
            What is revoked: one token (--token-file), or with --issuer the token with a jti, all tokens of a subject or \
            a client, all of the issuer (--issuer-wide), or all signed with a key (--key). Of a subject, a client and an \
            issuer those are meant that were issued until now, so that a new login works; --issued-before says another \
            time, --all means those to come as well. When the command has ended with 0, the next request is decided with \
            it. It is kept for as long as a token that is meant can be alive, as far as the policy says how long that \
            is, or until --until. A token is never sent or kept, only its SHA-256. Exit 0 when it is in force, 2 when \
            it is not.
            """)

    @Option(help: "File with the token; - for standard input.")
    var tokenFile: String?

    @Option(help: "Token ID.")
    var jti: String?

    @Option(help: "Subject.")
    var subject: String?

    @Option(help: "Client.")
    var client: String?

    @Flag(help: "Every token of the issuer.")
    var issuerWide = false

    @Option(help: "Key ID: every token signed with that key, also those to come.")
    var key: String?

    @Option(help: "Issuer, exactly as in the policy.")
    var issuer: String?

    @Option(help: "Only tokens issued at or before: Unix seconds or RFC 3339.")
    var issuedBefore: TimeArgument?

    @Flag(help: "Tokens of any time, also those that are issued later.")
    var all = false

    @Option(help: "When the revocation ends: Unix seconds or RFC 3339.")
    var until: TimeArgument?

    @Option(help: "Why, for the list and the log; at most 256 bytes.")
    var reason: String?

    @OptionGroup var place: StorePlace

    @Flag(help: "Print what is in force as JSON.")
    var json = false

    func validate() throws {
        let given = [tokenFile, jti, subject, client, key].count { $0 != nil } + (issuerWide ? 1 : 0)
        guard given == 1 else {
            throw ValidationError("give one of --token-file, --jti, --subject, --client, --issuer-wide and --key")
        }
        if tokenFile != nil {
            guard issuer == nil, issuedBefore == nil, !all else {
                throw ValidationError("a token is revoked as it is; leave --issuer, --issued-before and --all out")
            }
        } else {
            guard let issuer, !issuer.isEmpty else { throw ValidationError("give --issuer, exactly as in the policy") }
        }
        guard issuedBefore == nil || !all else { throw ValidationError("give either --issued-before or --all") }
        guard (reason ?? "").utf8.count <= 256 else { throw ValidationError("--reason has at most 256 bytes") }
        for value in [jti, subject, client, key] where value?.isEmpty == true {
            throw ValidationError("the value is empty")
        }
    }

    func run() throws {
        var one = JSONObjectWriter()
        if let tokenFile {
            try add(token: tokenFile, &one)
        } else {
            let (kind, value) = selector
            one.add("kind", string: kind)
            one.add("issuer", string: issuer ?? "")
            if let value { one.add("value", string: value) }
        }
        if let issuedBefore { one.add("issued_before", number: issuedBefore.unixSeconds) }
        if all { one.add("all", boolean: true) }
        if let until { one.add("until", number: until.unixSeconds) }
        if let reason { one.add("reason", string: reason) }
        var body = JSONObjectWriter()
        body.add("revocations", json: [0x5B] + one.text() + [0x5D])
        let answer = try place.revocations("POST", "/revocations", body: body.text())
        guard let row = answer.rows.first else { throw fail("the daemon did not say that anything is revoked") }
        if json {
            printOut(row.text + [0x0A])
        } else {
            printOut(text(row))
        }
    }

    private var selector: (kind: String, value: String?) {
        if let jti { return ("jti", jti) }
        if let subject { return ("subject", subject) }
        if let client { return ("client", client) }
        if let key { return ("key", key) }
        return ("issuer", nil)
    }

    private func add(token file: String, _ one: inout JSONObjectWriter) throws {
        let token = trimmingLineEnd(try readInput(file, bytesMax: 1 << 20))
        guard !token.isEmpty, token.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw fail("`\(file)` holds no token: one line of visible ASCII, without `Bearer`")
        }
        one.add("kind", string: "token")
        one.add("digest", string: sha256(token.span).description)
        if let end = claimedExpiry(of: token) { one.add("expires_at", number: end) }
    }

    /// `exp` of a JWS that nobody has checked: a token whose claims were changed is another token, with another digest.
    private func claimedExpiry(of token: [UInt8]) -> Int64? {
        guard let read = try? TokenDecode.read(token.span) else { return nil }
        var index = JSONIndex()
        guard (try? index.read(read.claimsText.span, limits: .claims)) != nil, let root = index.root,
            let value = index.member("exp", of: root, in: read.claimsText.span), value.kind == .number
        else { return nil }
        return NumericDate(read.claimsText.span.bytes(at: value.range))?.ceiling
    }

    /// As `NewRevocation.bounds` decides it.
    private var whyForEver: String {
        if key != nil, issuedBefore == nil { return "as all of `--key` are" }
        let mend = "`--until TIME` ends it"
        if tokenFile != nil { return "since nothing can be read of when the token expires; \(mend)" }
        if all { return "since tokens to come are meant too; \(mend)" }
        guard place.store == nil else { return "since no policy is read with `--store`; \(mend)" }
        return "since the policy sets no `max_lifetime` for the issuer; \(mend)"
    }

    private func text(_ row: RevocationAnswer.Row) -> String {
        var text: String
        switch row.state {
        case "ended":
            text = "nothing to revoke: \(row.what) cannot be alive any more (\(timestamp(row.until ?? 0)))\n"
        case "unchanged": text = "revoked already: \(row.what)\n"
        case "extended": text = "revoked, together with what was revoked before: \(row.what)\n"
        default: text = "revoked: \(row.what)\n"
        }
        if let warning = row.warning { text += "warning: \(warning)\n" }
        guard row.state != "ended" else { return text }
        let end = row.until.map { timestamp($0) } ?? ""
        switch row.term {
        case "asked": text += "until: \(end), as asked\n"
        case "token_expiry": text += "until: \(end); the token has expired by then\n"
        case "max_lifetime": text += "until: \(end); every token that is meant has expired by then (max_lifetime)\n"
        default: text += "kept: for ever, \(whyForEver)\n"
        }
        return text + "to take it back: scopecheck revocations remove \(row.id)\(place.words)\n"
    }
}
