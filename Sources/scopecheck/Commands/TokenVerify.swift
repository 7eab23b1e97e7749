internal import ArgumentParser
internal import Decision
internal import Kernel
internal import Octets
internal import Policy
internal import PolicyTables
internal import Signatures
internal import Tokens

extension TokenCommand {
    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Verifies access tokens as the daemon does.",
            discussion: """
                Keys and settings come from a policy, or from --jwks with --issuer and --audience. One JSON object for \
                each token: valid, reason, and for a valid one issuer, subject, client, scopes, expires_at. Exit 0 when \
                valid, 1 when not.
                """)

        @Option(help: "The policy: a file, or a folder of `*.yaml` and `*.yml`.")
        var policy: String?

        @Option(help: "The environment that the policy is read for, when it has several.")
        var environment: String?

        @Option(help: "JWK set, a file.")
        var jwks: String?

        @Option(help: "Issuer identifier that tokens must have.")
        var issuer: String?

        @Option(help: "Audience that tokens must name.")
        var audience: String?

        @Option(help: "Allowed algorithm; may be repeated. All that this build knows unless given.")
        var algorithm: [String] = []

        @Option(help: "rfc9068 or compat.")
        var profile = "rfc9068"

        @Option(help: "Time of the check: Unix seconds or RFC 3339.")
        var at: TimeArgument?

        @OptionGroup var source: Source

        func validate() throws {
            let isDirect = jwks != nil && issuer != nil && audience != nil
            let isPartial = jwks != nil || issuer != nil || audience != nil
            guard policy != nil ? !isPartial : isDirect else {
                throw ValidationError("give either --policy FILE, or --jwks FILE with --issuer and --audience")
            }
            guard profile == "rfc9068" || profile == "compat" else {
                throw ValidationError("--profile is rfc9068 or compat")
            }
        }

        func run() throws {
            let now = at?.unixSeconds ?? nowSeconds()
            let issuers = IssuerSnapshot(issuers: try issuerKeys(now), generation: 1)
            let verifier = TokenVerifier()
            try source.forEach { token in
                let result = verifier.verify(
                    token.span, digest: sha256(token.span), issuers: issuers, now: now)
                var object = JSONObjectWriter()
                guard case .verified(let verified) = result else {
                    object.add("valid", boolean: false)
                    object.add("reason", string: reason(result))
                    printOut(object.text() + [0x0A])
                    return false
                }
                let identifier = issuers.issuers[verified.issuerIndex].settings.issuer
                object.add("valid", boolean: true)
                object.add("reason", string: "valid")
                object.add("issuer", string: String(decoding: identifier, as: UTF8.self))
                object.add("subject", string: String(lossy: verified.subject))
                object.add("client", string: String(lossy: verified.client))
                let scopes = String(lossy: verified.scopeText).split(separator: " ").map(String.init)
                object.add("scopes", strings: scopes)
                object.add("expires_at", number: verified.expiresAt)
                printOut(object.text() + [0x0A])
                return true
            }
        }

        private func reason(_ result: TokenResult) -> String {
            switch result {
            case .verified: "valid"
            case .refused(let refusal): "\(refusal.name)"
            case .unknownKey: "\(Reason.unknownKey.name)"
            case .keysUnavailable: "\(Reason.keysUnavailable.name)"
            case .keysStale: "\(Reason.keysStale.name)"
            }
        }

        private func issuerKeys(_ now: Int64) throws -> [IssuerKeys] {
            if let policy {
                let loaded = try LoadedPolicy(paths: [policy], environment: environment)
                let model = try loaded.checkedModel(json: false, isDataOnly: true)
                let sets = try fileKeys(of: model, folder: loaded.folder, now: now)
                return zip(model.issuers, sets).map { issuer, keys in
                    IssuerKeys(settings: IssuerSettings(issuer), keys: keys)
                }
            }
            guard let jwks, let issuer, let audience else { return [] }
            let algorithms = try allowedAlgorithms()
            let document = try readInput(jwks, bytesMax: TokenLimits.keySetBytesMax)
            let settings = IssuerSettings(
                issuer: Array(issuer.utf8), audiences: [Array(audience.utf8)], algorithms: algorithms,
                profile: profile == "compat" ? .compat : .rfc9068)
            do throws(KeySetError) {
                let keys = try KeySet.parse(jwks: document.span, algorithms: algorithms, fetchedAt: now)
                return [IssuerKeys(settings: settings, keys: keys)]
            } catch {
                throw fail("`\(jwks)`: \(error)")
            }
        }

        private func allowedAlgorithms() throws -> [SignatureAlgorithm] {
            guard !algorithm.isEmpty else { return SignatureAlgorithm.allCases }
            return try algorithm.map { name in
                guard let known = SignatureAlgorithm.named(Array(name.utf8).span) else {
                    throw fail("`\(name)` is no algorithm of this build")
                }
                return known
            }
        }
    }
}

extension IssuerSettings {
    /// What the model says of an issuer; no claims are kept for bindings, since no route is decided.
    init(_ model: IssuerModel) {
        self.init(
            issuer: Array(model.issuer.utf8), audiences: model.audiences.map { Array($0.utf8) },
            algorithms: model.algorithms, profile: model.profile == .compat ? .compat : .rfc9068,
            scopeClaim: Array(model.scopeClaim.utf8), clientClaim: Array(model.clientClaim.utf8),
            leewaySeconds: Int64(model.leewaySeconds))
    }
}
