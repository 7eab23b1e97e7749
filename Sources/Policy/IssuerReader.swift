internal import PolicyTables
internal import Signatures

/// Reading `issuers`.
extension ModelReader {
    /// Indices are 16 bits.
    static let issuersMax = 65_535
    static let leewaySecondsMax = 300
    /// Each of them is compared with a token's.
    static let audiencesMax = 1_000
    /// What a policy that lists no algorithms accepts: current ones of each kind, and RS256, which every
    /// issuer knows.
    static let algorithmsByDefault: [SignatureAlgorithm] = [.es256, .rs256, .ps256, .ed25519]

    func readIssuers(_ node: Int) {
        let example = "[{ issuer: https://id.example.com, audience: …, keys: … }]"
        guard let members = list(node, "`issuers`", example: example) else {
            hasBrokenIssuer = true
            return
        }
        for member in members {
            guard model.issuers.count < ModelReader.issuersMax else {
                sink.error(
                    .limitExceeded, at: position(member), "more than \(ModelReader.issuersMax) issuers",
                    mend: "split the policy for separate daemons")
                return
            }
            readIssuer(member)
        }
    }

    private func readIssuer(_ node: Int) {
        guard let fields = fields(node, IssuerKey.self, at: position(node)) else {
            hasBrokenIssuer = true
            return
        }
        let identifier = readIdentifier(fields)
        let audiences = readAudiences(fields)
        let isLocal = identifier.map { WebAddress.isLocal(Array($0.utf8)[...]) } ?? true
        let introspection = readIntrospection(fields, isLocal: isLocal)
        let keys = readKeySource(fields, introspection)
        let algorithms = fields[.algorithms].map { readAlgorithms($0, .tokens) } ?? ModelReader.algorithmsByDefault
        let profile = readProfile(fields)
        let scopeClaim = readClaimName(fields, .scopeClaim, "scope_claim", otherwise: "scope")
        let clientClaim = readClaimName(fields, .clientClaim, "client_claim", otherwise: "client_id")
        let leeway = readLeeway(fields)
        let proofs = readProofs(fields)
        guard let identifier else {
            hasBrokenIssuer = true
            return
        }
        // Named even when the rest is wrong, so that services which refer to it are not reported too.
        issuerIndex[identifier] = UInt16(clamping: model.issuers.count)
        issuerPositions.append(fields[.issuer].map(position) ?? fields.position)
        var issuer = IssuerModel(
            issuer: identifier, audiences: audiences, keySource: keys?.source ?? .discovery,
            algorithms: algorithms, profile: profile, scopeClaim: scopeClaim, clientClaim: clientClaim,
            leewaySeconds: leeway, certificateAuthorityFile: keys?.authorityFile)
        issuer.proofs = proofs
        issuer.lifetimeSecondsMax = readLifetime(fields)
        issuer.introspection = introspection
        issuer.statusLists = readStatusLists(fields, isLocal: isLocal)
        issuer.refusesUnknownClients = readUnknownClients(fields)
        if fields[.unknownClients] != nil { issuersWithRule.insert(UInt16(clamping: model.issuers.count)) }
        model.issuers.append(issuer)
    }

    private func readIdentifier(_ fields: Fields<IssuerKey>) -> String? {
        guard let node = fields[.issuer] else {
            sink.error(
                .missingKey, at: fields.position, "an issuer without its identifier",
                mend: "add `issuer:` with exactly what its tokens have in `iss`")
            return nil
        }
        guard let text = text(node, "`issuer`", example: "https://id.example.com") else { return nil }
        do {
            try WebAddress.check(tree.bytes(node), allowsQuery: false)
        } catch {
            report(error, in: node)
        }
        if let index = issuerIndex[text] {
            let (here, first) = (position(node), issuerPositions[Int(index)])
            sink.error(
                .duplicateValue, at: here,
                "the issuer \(quoted(text)) is listed twice, first in \(sink.lineName(of: first, from: here))",
                mend: "put both into one entry",
                notes: [Diagnostic.Note(position: first, message: "the first one")])
            return nil
        }
        return text
    }

    private func readAudiences(_ fields: Fields<IssuerKey>) -> [String] {
        let example = "[https://api.example.com]"
        guard let node = fields[.audience] else {
            sink.error(
                .missingKey, at: fields.position, "an issuer without `audience`",
                mend: "add `audience: \(example)`; a token must name one of them in `aud`")
            return []
        }
        guard let members = listOrOne(node, "`audience`", example: example) else { return [] }
        guard members.count <= ModelReader.audiencesMax else {
            sink.error(
                .limitExceeded, at: position(node), "more than \(ModelReader.audiencesMax) audiences",
                mend: "list those that a token may name here")
            return []
        }
        var seen: [String: Int] = [:]
        var result: [String] = []
        for member in members {
            guard let text = text(member, "an audience", example: "https://api.example.com") else { continue }
            if let first = seen[text] {
                repeated(member, "audience", first: first)
                continue
            }
            seen[text] = member
            result.append(text)
        }
        return result
    }

    /// - Parameter introspection: nil without one, and when it is wrong, which has been reported.
    private func readKeySource(
        _ fields: Fields<IssuerKey>, _ introspection: IntrospectionModel?
    ) -> (source: IssuerModel.KeySource, authorityFile: String?)? {
        let mend = "write one of `{ jwks_uri: https://… }`, `{ jwks_file: … }` and `{ discovery: true }`"
        guard let node = fields[.keys] else {
            if let introspection, introspection.givesKeysUp {
                checkWithoutKeys(fields)
                return (.none, nil)
            }
            guard introspection != nil || fields[.introspection] == nil else { return nil }
            let unless = introspection == nil ? "" : "; only with `tokens: opaque` and `replies: json` are none needed"
            sink.error(
                .missingKey, at: fields.position, "an issuer without `keys`",
                mend: "add `keys:` and " + mend + unless)
            return nil
        }
        guard let keys = self.fields(node, KeySourceKey.self, at: position(node)) else { return nil }
        let given = [KeySourceKey.jwksURI, .jwksFile, .discovery].compactMap { keys.keyNode($0) }
        guard given.count == 1 else {
            let place = given.count > 1 ? position(given.max() ?? node) : position(node)
            let code: DiagnosticCode = given.isEmpty ? .missingKey : .conflictingKeys
            let message = given.isEmpty ? "`keys` says nothing of where the keys are" : "keys from two places"
            sink.error(code, at: place, message, mend: mend)
            return nil
        }
        let authorityFile = readAuthorityFile(keys)
        guard let source = readSource(keys) else { return nil }
        return (source, authorityFile)
    }

    private func readSource(_ keys: Fields<KeySourceKey>) -> IssuerModel.KeySource? {
        if let node = keys[.jwksURI] {
            guard let text = text(node, "`jwks_uri`", example: "https://id.example.com/jwks") else {
                return nil
            }
            do {
                try WebAddress.check(tree.bytes(node), allowsQuery: true)
                return .uri(text)
            } catch {
                report(error, in: node)
                return nil
            }
        }
        if let node = keys[.jwksFile] {
            return text(node, "`jwks_file`", example: "keys/jwks.json").map { .file(resolved($0)) }
        }
        if let node = keys[.discovery], isTrue(node, "`discovery`") { return .discovery }
        return nil
    }

    private func readAuthorityFile(_ keys: Fields<KeySourceKey>) -> String? {
        guard let node = keys[.authorityFile] else { return nil }
        if keys[.jwksFile] != nil, let key = keys.keyNode(.authorityFile) {
            sink.error(
                .noEffect, at: position(key), "`ca_file` has no effect on keys from a file",
                mend: "remove it; it names the authorities for fetching over https")
        }
        return text(node, "`ca_file`", example: "ca.pem").map(resolved)
    }

    func resolved(_ path: String) -> String {
        guard let folder, !path.hasPrefix("/") else { return path }
        return folder.hasSuffix("/") ? folder + path : folder + "/" + path
    }

    /// What is signed, and by whom.
    enum Signed: String {
        case tokens
        case proofs

        var signer: String { self == .tokens ? "the issuer" : "clients" }
        var one: String { self == .tokens ? "a token" : "a proof" }
    }

    func readAlgorithms(_ node: Int, _ signed: Signed) -> [SignatureAlgorithm] {
        guard let members = list(node, "`algorithms`", example: "[ES256, RS256]") else { return [] }
        var seen: [SignatureAlgorithm: Int] = [:]
        var result: [SignatureAlgorithm] = []
        for member in members {
            guard let algorithm = readAlgorithm(member, signed) else { continue }
            if let first = seen[algorithm] {
                repeated(member, "algorithm", first: first)
                continue
            }
            seen[algorithm] = member
            result.append(algorithm)
        }
        return result
    }

    private func readAlgorithm(_ node: Int, _ signed: Signed) -> SignatureAlgorithm? {
        guard let name = text(node, "an algorithm", example: "ES256") else { return nil }
        if name == "EdDSA" { return .ed25519 }
        if let known = SignatureAlgorithm.allCases.first(where: { $0.name == name }) { return known }
        let names = SignatureAlgorithm.allCases.map(\.name) + ["EdDSA"]
        let otherwise = "known are \(quotedList(names, namesMax: 16))"
        switch name.lowercased() {
        case "none":
            sink.error(
                .badAlgorithm, at: position(node), "`none` would accept \(signed.rawValue) without a signature",
                mend: "list the algorithms that \(signed.signer) may sign with; \(otherwise)")
        case "hs256", "hs384", "hs512":
            sink.error(
                .badAlgorithm, at: position(node),
                "\(quoted(name)) is symmetric: whoever can verify \(signed.one) could forge one",
                mend: "let \(signed.signer) sign with a private key; \(otherwise)")
        default:
            sink.error(
                .badAlgorithm, at: position(node), "unknown algorithm \(quoted(name))",
                mend: didYouMean(name, among: names, otherwise: otherwise))
        }
        return nil
    }

    private func readProfile(_ fields: Fields<IssuerKey>) -> IssuerModel.Profile {
        guard let node = fields[.profile], let name = text(node, "`profile`", example: "rfc9068") else {
            return .rfc9068
        }
        switch name {
        case "rfc9068": return .rfc9068
        case "compat": return .compat
        default:
            sink.error(
                .badChoice, at: position(node), "unknown profile \(quoted(name))",
                mend: didYouMean(
                    name, among: ["rfc9068", "compat"], otherwise: "write `rfc9068` or `compat`"))
            return .rfc9068
        }
    }

    private func readClaimName(
        _ fields: Fields<IssuerKey>, _ key: IssuerKey, _ name: String, otherwise: String
    ) -> String {
        guard let node = fields[key] else { return otherwise }
        return claimName(node, "`\(name)`", example: otherwise) ?? otherwise
    }

    /// The name of a claim: one line of text.
    func claimName(_ node: Int, _ what: String, example: String) -> String? {
        guard let text = text(node, what, example: example) else { return nil }
        guard text.utf8.count <= ModelReader.claimBytesMax,
            !text.unicodeScalars.contains(where: { !isVisible($0) })
        else {
            sink.error(
                .badName, at: position(node), "\(quoted(text)) is no name of a claim",
                mend: "write the claim's name in one line of at most \(ModelReader.claimBytesMax) bytes")
            return nil
        }
        return text
    }

    static let claimBytesMax = 128

    /// What becomes of a client that the policy does not list: `deny` refuses its tokens.
    private func readUnknownClients(_ fields: Fields<IssuerKey>) -> Bool {
        guard let node = fields[.unknownClients] else { return false }
        return choice(node, "unknown_clients", ["deny", "allow"]) == "deny"
    }

    private func readLeeway(_ fields: Fields<IssuerKey>) -> UInt16 {
        guard let node = fields[.leeway] else { return 0 }
        return UInt16(clamping: seconds(node, "`leeway`", 0...ModelReader.leewaySecondsMax, example: "30s") ?? 0)
    }
}
