internal import PolicyTables
internal import Signatures

/// A condition on tokens of one issuer, other than its scopes and path, that the new policy meets more easily.
struct ConditionChange {
    var kind: WideningKind
    var basis = Finding.Basis.example
    var change: String
    var was = ""
    /// What the token of an example is like.
    var note: String?
    var trait: Widening.Trait?
    /// Whether it is decided after the client's baseline, so that a client's observe mode covers it.
    var isAfterScopes = false
    /// Whether no token meets both conditions, so that what is decided later makes no difference.
    var isTotal = false

    static func unordered(_ kind: WideningKind, _ change: String) -> ConditionChange {
        ConditionChange(kind: kind, basis: .unordered, change: change, was: "granted")
    }

    static let forwardedToken = unordered(.forwardedToken, "the backend sees the client's token")
}

extension Comparison {
    /// Everything that is decided apart from scopes, clients and bindings of the path, for tokens of an issuer that
    /// both take.
    func conditionChanges(_ issuer: Int32, _ old: Requirement, _ new: Requirement) -> [ConditionChange] {
        guard let before = self.old.issuer(issuer), let now = self.new.issuer(issuer) else { return [] }
        var result = verificationChanges(before, now)
        result += introspectionChanges(issuer, before, now, old, new)
        if let change = audienceChange(before, now, old, new) { result.append(change) }
        result += proofChanges(before, now, old, new)
        result += placeChanges(old, new)
        result += authenticationChanges(old, new)
        return result
    }

    // MARK: Verification

    private func verificationChanges(_ before: IssuerModel, _ now: IssuerModel) -> [ConditionChange] {
        var result: [ConditionChange] = []
        let name = "`\(now.issuer)`"
        if keySourceText(before) != keySourceText(now) {
            result.append(
                .unordered(
                    .issuerKeys, "keys of \(name) come from \(keySourceText(now)); \(keySourceText(before)) before"))
        } else if !isSame(before.certificateAuthorityFile, now.certificateAuthorityFile) {
            result.append(.unordered(.issuerKeys, "keys of \(name) are fetched with other certificate authorities"))
        }
        if let added = now.algorithms.first(where: { !before.algorithms.contains($0) }) {
            result.append(
                ConditionChange(
                    kind: .algorithms, change: "\(name) may sign with \(added.name)", was: "algorithm_not_allowed",
                    note: "signed with \(added.name)",
                    isTotal: !now.algorithms.contains(where: before.algorithms.contains)))
        }
        if before.profile == .rfc9068, now.profile == .compat {
            result.append(
                ConditionChange(
                    kind: .tokenProfile, change: "the profile of \(name) is `compat`; `rfc9068` before",
                    was: "token_type_mismatch", note: "with `typ` JWT"))
        }
        if !isSame(before.scopeClaim, now.scopeClaim) || !isSame(before.clientClaim, now.clientClaim) {
            result.append(
                .unordered(
                    .claimNames,
                    "scopes and clients of \(name) are read from `\(now.scopeClaim)` and `\(now.clientClaim)`; "
                        + "`\(before.scopeClaim)` and `\(before.clientClaim)` before"))
        }
        if now.leewaySeconds > before.leewaySeconds {
            result.append(
                ConditionChange(
                    kind: .leeway,
                    change: "\(name): \(now.leewaySeconds) s of leeway; \(before.leewaySeconds) s before",
                    was: "expired", note: "expired for \(before.leewaySeconds) s"))
        }
        if before.lifetimeSecondsMax > 0,
            now.lifetimeSecondsMax == 0 || now.lifetimeSecondsMax > before.lifetimeSecondsMax
        {
            let limit = now.lifetimeSecondsMax == 0 ? "no limit" : "\(now.lifetimeSecondsMax) s"
            result.append(
                ConditionChange(
                    kind: .lifetime,
                    change: "lifetime of tokens of \(name): \(limit); \(before.lifetimeSecondsMax) s before",
                    was: "lifetime_too_long", note: "with a life of \(Int64(before.lifetimeSecondsMax) + 1) s"))
        }
        return result + statusListChanges(before, now)
    }

    private func statusListChanges(_ before: IssuerModel, _ now: IssuerModel) -> [ConditionChange] {
        guard !before.statusLists.isEmpty else { return [] }
        let lists = Set(before.statusLists.map { Array($0.utf8) })
        if !now.statusLists.isEmpty, now.statusLists.allSatisfy({ lists.contains(Array($0.utf8)) }) { return [] }
        let change =
            now.statusLists.isEmpty
            ? "status lists of `\(now.issuer)` are read no more" : "status lists of `\(now.issuer)` lie elsewhere too"
        return [
            ConditionChange(
                kind: .statusLists, change: change, was: "status_invalid", note: "revoked in its status list")
        ]
    }

    private func isSame(_ one: String?, _ other: String?) -> Bool {
        one.map { Array($0.utf8) } == other.map { Array($0.utf8) }
    }

    // MARK: Introspection

    /// The one issuer of a route's service that is asked about opaque tokens; with two of them neither is.
    private func opaqueIssuer(_ requirement: Requirement, _ side: PolicySide) -> Int32? {
        let asked = requirement.issuers.filter { side.issuer($0)?.introspection != nil }
        return asked.count == 1 ? asked.first : nil
    }

    private func introspectionChanges(
        _ issuer: Int32, _ before: IssuerModel, _ now: IssuerModel, _ old: Requirement, _ new: Requirement
    ) -> [ConditionChange] {
        var result: [ConditionChange] = []
        let name = "`\(now.issuer)`"
        func add(_ change: String, was: String, note: String) {
            result.append(ConditionChange(kind: .introspection, change: change, was: was, note: note))
        }
        if opaqueIssuer(new, self.new) == issuer, opaqueIssuer(old, self.old) != issuer {
            add("\(name) is asked about opaque tokens", was: "token_malformed", note: "opaque")
        }
        guard let asked = before.introspection else { return result }
        guard let asking = now.introspection else {
            if asked.use == .all {
                add("\(name) is asked no more", was: "token_inactive", note: "that the issuer calls inactive")
            }
            return result
        }
        if asked.use == .all, asking.use == .opaque {
            add(
                "\(name) is asked about opaque tokens only", was: "token_inactive",
                note: "that the issuer calls inactive")
        }
        if asked.demandsJWT, !asking.demandsJWT {
            add(
                "unsigned replies of \(name) are taken", was: "introspection_unavailable",
                note: "vouched for without signature")
        }
        if asking.cacheSecondsMax > asked.cacheSecondsMax {
            add(
                "replies of \(name) are believed for \(asking.cacheSecondsMax) s; \(asked.cacheSecondsMax) s before",
                was: "token_inactive", note: "revoked after its issuer was asked")
        }
        let isSameWay = asked.authentication == asking.authentication
        if !isSameWay || zip(asked.texts, asking.texts).contains(where: { !isSame($0, $1) }) {
            result.append(.unordered(.introspection, "\(name) is asked elsewhere, or as somebody else"))
        }
        return result
    }

    // MARK: Audience

    /// A token names audiences freely, so this is the question of scopes again: one of each clause.
    private func audienceChange(
        _ before: IssuerModel, _ now: IssuerModel, _ old: Requirement, _ new: Requirement
    ) -> ConditionChange? {
        func clauses(_ issuer: IssuerModel, _ requirement: Requirement) -> [Set<[UInt8]>] {
            let own = requirement.audience.map { [Set([Array($0.utf8)])] } ?? []
            return [Set(issuer.audiences.map { Array($0.utf8) })] + own
        }
        let wanted = clauses(now, new)
        for clause in clauses(before, old) where !wanted.contains(where: { $0.isSubset(of: clause) }) {
            let names = wanted.compactMap { one in
                one.subtracting(clause).min { $0.lexicographicallyPrecedes($1) }
            }.map { String(decoding: $0, as: UTF8.self) }
            let listed = clause.map { "`\(String(decoding: $0, as: UTF8.self))`" }.sorted().joined(separator: ", ")
            return ConditionChange(
                kind: .audience, change: "tokens of `\(now.issuer)` need not be for \(listed)",
                was: "audience_mismatch", trait: .audiences(Set(names).sorted()))
        }
        return nil
    }

    // MARK: Bindings of tokens

    private func proofChanges(
        _ before: IssuerModel, _ now: IssuerModel, _ old: Requirement, _ new: Requirement
    ) -> [ConditionChange] {
        var result: [ConditionChange] = []
        if let kind = new.bindingKinds.first(where: { !old.bindingKinds.contains($0) }) {
            result.append(
                ConditionChange(
                    kind: .proof, change: "tokens may be \(kind.rawValue)", was: "proof_required",
                    note: kind == .nothing ? kind.rawValue : nil, trait: .binding(kind),
                    isTotal: !new.bindingKinds.contains(where: old.bindingKinds.contains)))
        }
        guard new.bindingKinds.contains(.key), old.bindingKinds.contains(.key) else { return result }
        if old.demandsNonce || before.proofs.demandsNonce, !new.demandsNonce, !now.proofs.demandsNonce {
            result.append(
                ConditionChange(
                    kind: .nonce, change: "proofs need no nonce", was: "use_dpop_nonce",
                    note: "its proof without nonce", trait: .binding(.key)))
        }
        let proofs = (before.proofs, now.proofs)
        if let added = proofs.1.algorithms.first(where: { !proofs.0.algorithms.contains($0) }) {
            result.append(
                ConditionChange(
                    kind: .proofRules, change: "proofs for tokens of `\(now.issuer)` may be signed with \(added.name)",
                    was: "invalid_dpop_proof", note: "its proof signed with \(added.name)",
                    trait: .binding(.key)))
        }
        if proofs.1.ageSecondsMax > proofs.0.ageSecondsMax || proofs.1.aheadSecondsMax > proofs.0.aheadSecondsMax {
            result.append(
                ConditionChange(
                    kind: .proofRules,
                    change: "proofs for tokens of `\(now.issuer)` may be \(proofs.1.ageSecondsMax) s old and "
                        + "\(proofs.1.aheadSecondsMax) s ahead; \(proofs.0.ageSecondsMax) s and "
                        + "\(proofs.0.aheadSecondsMax) s before",
                    was: "invalid_dpop_proof", note: "its proof as old or as far ahead as that",
                    trait: .binding(.key)))
        }
        if old.publicPort != new.publicPort {
            result.append(.unordered(.publicPort, "proofs name \(port(new)); \(port(old)) before"))
        }
        return result
    }

    private func port(_ requirement: Requirement) -> String {
        requirement.publicPort == 0 ? "the listener's port" : "the port \(requirement.publicPort)"
    }

    // MARK: Places

    private func placeChanges(_ old: Requirement, _ new: Requirement) -> [ConditionChange] {
        var result: [ConditionChange] = []
        if old.source != new.source {
            result.append(
                .unordered(
                    .tokenSource, "tokens are taken from \(texts.text(new.source)); \(texts.text(old.source)) before"))
        }
        if new.forwardsToken, !old.forwardsToken {
            result.append(.forwardedToken)
        }
        if new.hasTransactionToken != old.hasTransactionToken {
            result.append(
                .unordered(
                    .transactionToken,
                    new.hasTransactionToken
                        ? "the backend gets a transaction token" : "the backend gets a transaction token no more"))
        }
        return result
    }

    // MARK: What comes after scopes

    private func authenticationChanges(_ old: Requirement, _ new: Requirement) -> [ConditionChange] {
        var result: [ConditionChange] = []
        func add(_ kind: WideningKind, _ change: String, was: String, note: String? = nil, _ trait: Widening.Trait) {
            result.append(
                ConditionChange(kind: kind, change: change, was: was, note: note, trait: trait, isAfterScopes: true))
        }
        if let missing = old.details.first(where: { one in !new.details.contains { $0.implies(one) } }) {
            let type = texts.text(missing.type)
            add(
                .details, "less is demanded of authorization details of type `\(type)`",
                was: "insufficient_authorization_details",
                note: "with no more authorization details than are demanded now", .fewDetails)
        }
        if !old.contexts.isEmpty, new.contexts.isEmpty || !new.contexts.allSatisfy(old.contexts.contains) {
            let other = new.contexts.first { !old.contexts.contains($0) }
            let names = new.contexts.map { "`\(texts.text($0))`" }.joined(separator: ", ")
            add(
                .authenticationContext,
                "`acr` may be \(names.isEmpty ? "anything" : names); one of "
                    + old.contexts.map { "`\(texts.text($0))`" }.joined(separator: ", ") + " before",
                was: "insufficient_user_authentication",
                note: other == nil ? "without `acr`" : nil, .context(other.map { texts.text($0) }))
        }
        if let limit = old.ageMax, new.ageMax.map({ $0 > limit }) ?? true {
            add(
                .authenticationAge,
                "the user may have authenticated \(new.ageMax.map { "\($0) s" } ?? "any time") ago; \(limit) s before",
                was: "insufficient_user_authentication", .age(Int64(limit) + 1))
        }
        return result
    }
}
