internal import PolicyTables
internal import Signatures

/// Reading what issuers, services and routes demand of a token's binding to its client, and of how and when the user
/// authenticated.
extension ModelReader {
    /// Each of them stands in the challenge of a route that the user's authentication falls short of.
    static let contextsMax = 16
    static let contextBytesMax = 128
    static let authenticationAgeSecondsMax = 366 * 86_400

    // MARK: Issuers

    func readProofs(_ fields: Fields<IssuerKey>) -> ProofModel {
        var result = ProofModel()
        guard let node = fields[.dpop],
            let dpop = self.fields(node, ProofKey.self, at: position(node))
        else { return result }
        if tree.after(node) == node + 1 {
            sink.error(
                .emptyValue, at: position(node), "`dpop` says nothing",
                mend: "write it as in `{ nonce: required }`, or remove it: bound tokens need their proof without it too"
            )
        }
        if let node = dpop[.algorithms] { result.algorithms = readAlgorithms(node, .proofs) }
        if let node = dpop[.age] {
            let seconds = seconds(node, "`max_age`", 1...ProofModel.ageSecondsLimit, example: "60s")
            result.ageSecondsMax = seconds.map { UInt16(clamping: $0) } ?? result.ageSecondsMax
        }
        if let node = dpop[.ahead] {
            let seconds = seconds(node, "`ahead`", 0...ProofModel.aheadSecondsLimit, example: "10s")
            result.aheadSecondsMax = seconds.map { UInt16(clamping: $0) } ?? result.aheadSecondsMax
        }
        if let node = dpop[.nonce] {
            result.demandsNonce = choice(node, "nonce", ["required", "optional"]) == "required"
        }
        return result
    }

    // MARK: Services

    func readPublicPort(_ fields: Fields<ServiceKey>) -> UInt16 {
        fields[.publicPort].flatMap(readPort) ?? 0
    }

    /// What the service's routes demand unless they say otherwise.
    func readServiceProof(_ fields: Fields<ServiceKey>, isHeader: Bool) -> ProofDemand {
        guard let node = fields[.proof], let proof = readProof(node) else { return .none }
        if proof == .none {
            sink.error(
                .noEffect, at: position(node), "`proof: none` has no effect on a service",
                mend: "remove it; on a route it lifts what the service demands")
        }
        checkSource(of: proof, node, isHeader: isHeader)
        return proof
    }

    // MARK: Routes

    /// What a route demands of a token beside its scopes.
    struct TokenDemands {
        var proof = ProofDemand.none
        var demandsNonce = false
        var contexts: [String] = []
        var ageSecondsMax: UInt32 = 0
        var details: [UInt16] = []
    }

    /// - Parameter ground: nil when it could not be read, which has been reported.
    func readDemands(
        _ fields: Fields<RouteKey>, _ ground: RouteModel.Ground?, _ context: ServiceContext
    ) -> TokenDemands {
        var result = TokenDemands()
        if ground == .public || ground == .preflight {
            for key in [RouteKey.proof, .nonce, .contexts, .authenticationAge, .details] {
                guard let node = fields.keyNode(key) else { continue }
                sink.error(
                    .noEffect, at: position(node),
                    "\(quoted(tree.bytes(node))) has no effect on a route that needs no token",
                    mend: "require scopes, or remove it")
            }
            return result
        }
        result.proof = fields[.proof].map { readRouteProof($0, context) } ?? context.proof
        if let node = fields[.nonce] { result.demandsNonce = readRouteNonce(node, fields, result.proof) }
        if let node = fields[.contexts] { result.contexts = readContexts(node) }
        if let node = fields[.authenticationAge],
            let seconds = seconds(
                node, "`max_age`", 1...ModelReader.authenticationAgeSecondsMax, example: "5m", takesDays: true)
        {
            result.ageSecondsMax = UInt32(clamping: seconds)
        }
        if let node = fields[.details] { result.details = readDemandedDetails(node) }
        return result
    }

    private func readRouteProof(_ node: Int, _ context: ServiceContext) -> ProofDemand {
        guard let proof = readProof(node) else { return .none }
        if proof == .none, !context.hasProof {
            sink.error(
                .noEffect, at: position(node), "`proof: none` has no effect: the service demands no proof",
                mend: "remove it")
        }
        checkSource(of: proof, node, isHeader: context.takesHeader)
        return proof
    }

    private func readRouteNonce(_ node: Int, _ fields: Fields<RouteKey>, _ proof: ProofDemand) -> Bool {
        guard choice(node, "dpop_nonce", ["required"]) != nil else { return false }
        if proof == .certificate, let key = fields.keyNode(.nonce) {
            sink.error(
                .noEffect, at: position(key), "`dpop_nonce` has no effect beside `proof: mtls`",
                mend: "remove it, or write `proof: dpop` or `proof: any`")
        }
        return true
    }

    private func readContexts(_ node: Int) -> [String] {
        guard let members = listOrOne(node, "`acr`", example: "[urn:example:mfa]") else { return [] }
        guard members.count <= ModelReader.contextsMax else {
            sink.error(
                .limitExceeded, at: position(node), "more than \(ModelReader.contextsMax) values of `acr`",
                mend: "list those that are good enough for the route")
            return []
        }
        var seen: [String: Int] = [:]
        var result: [String] = []
        for member in members {
            guard let text = readContext(member) else { continue }
            if let first = seen[text] {
                repeated(member, "`acr` value", first: first)
                continue
            }
            seen[text] = member
            result.append(text)
        }
        return result
    }

    /// One value of `acr`, such as can stand in a challenge (RFC 9470 §3).
    private func readContext(_ node: Int) -> String? {
        guard let text = text(node, "a value of `acr`", example: "urn:example:mfa") else { return nil }
        let bytes = tree.bytes(node)
        let isGood = bytes.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x5C }
        guard isGood, bytes.count <= ModelReader.contextBytesMax else {
            sink.error(
                .badName, at: position(node), "\(quoted(text)) cannot be named to a client as `acr`",
                mend: "write at most \(ModelReader.contextBytesMax) printable ASCII characters, without spaces, "
                    + "quotes and backslashes")
            return nil
        }
        return text
    }

    // MARK: Parts

    private static let proofs: [(name: String, demand: ProofDemand)] = [
        ("none", .none), ("any", .any), ("dpop", .dpop), ("mtls", .certificate),
    ]

    private func readProof(_ node: Int) -> ProofDemand? {
        let name = choice(node, "proof", ModelReader.proofs.map(\.name))
        return ModelReader.proofs.first { $0.name == name }?.demand
    }

    /// RFC 9449 §7.1 sends a token with its proof under `Authorization: DPoP` and nowhere else.
    private func checkSource(of proof: ProofDemand, _ node: Int, isHeader: Bool) {
        guard proof == .dpop, !isHeader else { return }
        sink.error(
            .conflictingKeys, at: position(node),
            "`proof: dpop` on a service whose `token_from` is not the header, where such tokens come",
            mend: "write `proof: mtls`, or take the token from the `Authorization` header")
    }

    /// One of a few words; `name` is the key's.
    func choice(_ node: Int, _ name: String, _ words: [String]) -> String? {
        guard let text = text(node, "`\(name)`", example: words[0]) else { return nil }
        if words.contains(text) { return text }
        let otherwise =
            words.count > 1
            ? "write one of \(quotedList(words, joint: "and"))" : "write \(quoted(words[0])), or remove it"
        sink.error(
            .badChoice, at: position(node), "\(quoted(text)) is no value of `\(name)`",
            mend: didYouMean(text, among: words, otherwise: otherwise))
        return nil
    }

    /// A duration within its limits.
    func seconds(
        _ node: Int, _ what: String, _ range: ClosedRange<Int>, example: String, takesDays: Bool = false
    ) -> Int? {
        guard text(node, what, example: example) != nil else { return nil }
        do {
            return try readDuration(tree.bytes(node), seconds: range, example: example, takesDays: takesDays)
        } catch {
            report(error, in: node)
            return nil
        }
    }
}

// MARK: Policy tests

extension ModelReader {
    /// What a test says of its token's binding, of the user's authentication and of what the user agreed to.
    func readTestProof(_ fields: Fields<TestKey>, _ token: inout TestToken) {
        if let node = fields[.proof], let name = choice(node, "proof", TestToken.Proof.allCases.map(\.rawValue)) {
            token.proof = TestToken.Proof(rawValue: name)
        }
        if let node = fields[.context] { token.authenticationContext = text(node, "`acr`", example: "urn:example:mfa") }
        if let node = fields[.authenticationAge] {
            token.authenticationAgeSeconds = seconds(
                node, "`auth_age`", 0...2 * ModelReader.authenticationAgeSecondsMax, example: "10m", takesDays: true)
        }
        if let node = fields[.details] { token.details = readDetails(node).map(\.detail) }
    }
}
