internal import Decision
internal import Kernel
internal import Octets
internal import PolicyTables
internal import Signatures
internal import Tokens

/// What the daemon serves, for `scopecheck status`.
struct StatusReport: Sendable {
    let policies: PolicyDesk
    let revocations: RevocationDesk
    let listeners: [(address: String, name: String)]
    let startedAt: Int64
    let clock: AnchoredClock
    let remarks: ScopeRemarks

    func json(_ workers: [WorkerFigures], isDraining: Bool) -> [UInt8] {
        var object = JSONObjectWriter()
        object.add("pid", number: Int64(ProcessResources.processID))
        object.add("started_at", string: Timestamp(unixSeconds: startedAt).text)
        object.add("uptime_seconds", number: clock.nowSeconds() - startedAt)
        object.add("draining", boolean: isDraining)
        object.add("policy", json: policy())
        if let running = policies.shadow.running {
            var shadow = JSONObjectWriter()
            shadow.add("version", string: running.version.description)
            shadow.add("started_at", string: Timestamp(unixSeconds: running.startedAt).text)
            object.add("shadow", json: shadow.text())
        }
        object.add("issuers", json: list(policies.issuerStatus.map { issuer($0) }))
        object.add("introspection", json: list(policies.introspectionStatus.map { introspection($0) }))
        object.add("status_lists", json: list(policies.statusListStatus.map { statusList($0) }))
        object.add("remarks", json: remarks.json)
        object.add("revocations", number: Int64(revocations.count))
        object.add("listeners", json: list(listeners.map { listener($0.address, $0.name) }))
        object.add("workers", number: Int64(workers.count))
        var sum = WorkerFigures()
        for figures in workers { sum += figures }
        object.add("connections", number: Int64(sum.connections))
        object.add("allowed", number: Int64(clamping: sum.counts.allowed))
        object.add("denied", number: Int64(clamping: sum.counts.denied))
        object.add("unanswerable", number: Int64(clamping: sum.counts.unanswerable))
        object.add("token_cache_hits", number: Int64(clamping: sum.counts.tokenCacheHits))
        object.add("verifications", number: Int64(clamping: sum.counts.verifications))
        object.add("cached_tokens", number: Int64(sum.cachedTokens))
        object.add("timeouts", number: Int64(clamping: sum.timeouts))
        object.add("peers_refused", number: Int64(clamping: sum.peersRefused))
        object.add("descriptors_exhausted", number: Int64(clamping: sum.descriptorsExhausted))
        return object.text()
    }

    private func policy() -> [UInt8] {
        var object = JSONObjectWriter()
        if let activation = policies.activation {
            object.add("number", number: Int64(clamping: activation.number))
            object.add("version", string: activation.version.description)
            object.add("label", string: "\(activation.number).\(activation.version.description.prefix(16))")
            object.add("activated_at", string: Timestamp(unixSeconds: activation.activatedAt).text)
            object.add("kind", string: activation.cause.kind.name)
            if activation.serial > 0 { object.add("serial", number: Int64(clamping: activation.serial)) }
        }
        if let signing = policies.signing {
            object.add("required_signatures", number: Int64(signing.signers.required))
            object.add("trusted_keys", number: Int64(signing.signers.count))
        }
        if let refusal = policies.refusedAtStart {
            object.add("not_accepted", string: refusal.name)
            object.add("not_accepted_because", string: "\(refusal)")
        }
        if let environment = policies.environment { object.add("environment", string: environment) }
        if let heldBack = policies.heldBack { object.add("held_back", string: heldBack.description) }
        if let info = policies.info() {
            object.add("hosts", number: Int64(info.hostCount))
            object.add("services", number: Int64(info.serviceCount))
            object.add("routes", number: Int64(info.routeCount))
            object.add("scopes", number: Int64(info.scopeCount))
        }
        if let load = policies.lastLoad {
            object.add("file", string: load.file)
            object.add("loaded_at", string: Timestamp(unixSeconds: load.at).text)
            if let refusal = load.refusal {
                if let end = refusalEnd(load) {
                    var over = JSONObjectWriter()
                    over.add("refused", string: refusal)
                    over.add("over_since", string: Timestamp(unixSeconds: end).text)
                    object.add("refused_before", json: over.text())
                } else {
                    object.add("refused", string: refusal)
                }
            }
        }
        return object.text()
    }

    /// When something else came to decide after a file was refused; nil while the refusal is the latest word. Of the same
    /// second it is taken for the latest.
    private func refusalEnd(_ load: PolicyLoader.Outcome) -> Int64? {
        guard let since = policies.activation?.activatedAt, since > load.at else { return nil }
        return since
    }

    private func issuer(_ status: IssuerKeyStatus) -> [UInt8] {
        var object = JSONObjectWriter()
        object.add("issuer", string: status.issuer)
        object.add("keys", number: Int64(status.keyCount))
        object.add("state", string: status.state)
        if let age = status.ageSeconds { object.add("age_seconds", number: age) }
        if let error = status.lastError { object.add("last_error", string: error) }
        return object.text()
    }

    private func introspection(_ status: IntrospectionStatus) -> [UInt8] {
        var object = JSONObjectWriter()
        object.add("issuer", string: status.issuer)
        object.add("circuit", string: status.state)
        object.add("exchanges", number: Int64(clamping: status.exchangeCount))
        object.add("failures", number: Int64(clamping: status.failureCount))
        if let last = status.lastMilliseconds { object.add("last_milliseconds", number: last) }
        if let error = status.lastError { object.add("last_error", string: error) }
        return object.text()
    }

    private func statusList(_ status: StatusListStatus) -> [UInt8] {
        var object = JSONObjectWriter()
        object.add("uri", string: status.uri)
        object.add("issuer", string: status.issuer)
        object.add("state", string: status.state)
        if let expiry = status.expiresAt { object.add("expires_at", string: Timestamp(unixSeconds: expiry).text) }
        if let error = status.lastError { object.add("last_error", string: error) }
        return object.text()
    }

    private func listener(_ address: String, _ name: String) -> [UInt8] {
        var object = JSONObjectWriter()
        object.add("address", string: address)
        object.add("protocol", string: name.lowercased())
        return object.text()
    }

    private func list(_ items: [[UInt8]]) -> [UInt8] {
        [0x5B] + Array(items.joined(separator: [0x2C])) + [0x5D]
    }

    /// A text of several lines, the further ones below the first.
    static func indented(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: true).joined(separator: "\n             ")
    }

    /// Whether a refusal of the policy file is only that it is held back, which has a line of its own.
    private func isHeldBack(_ refusal: String) -> Bool {
        policies.heldBack.map { refusal == "\(PolicyStoreError.heldBack($0))" } ?? false
    }

    /// The same for people.
    func text(_ workers: [WorkerFigures], isDraining: Bool) -> [UInt8] {
        var sum = WorkerFigures()
        for figures in workers { sum += figures }
        var lines = ["scopecheck, process \(ProcessResources.processID), up \(clock.nowSeconds() - startedAt) s"]
        if isDraining { lines.append("draining   health checks fail, and it will end soon") }
        if let activation = policies.activation {
            lines.append(
                "policy     \(activation.number).\(activation.version.description.prefix(16)), active since "
                    + Timestamp(unixSeconds: activation.activatedAt).text)
        } else {
            lines.append("policy     none: every request is answered 503")
        }
        if let signing = policies.signing {
            lines.append(
                "           needs \(signing.signers.required) signatures of \(signing.signers.count) trusted keys")
        }
        if let refusal = policies.refusedAtStart {
            lines.append("           the stored policy does not decide: \(refusal)")
        }
        if let heldBack = policies.heldBack {
            lines.append(
                "           version \(heldBack.description.prefix(16)) of the policy file is held back until the file "
                    + "changes or it is applied with `policy apply`")
        }
        if let environment = policies.environment { lines.append("           read for \(environment)") }
        if let info = policies.info() {
            lines.append("           \(info.hostCount) hosts, \(info.routeCount) routes, \(info.scopeCount) scopes")
        }
        if let load = policies.lastLoad, let refusal = load.refusal, !isHeldBack(refusal) {
            let over = refusalEnd(load).map { ", which is over since \(Timestamp(unixSeconds: $0).text)" } ?? ""
            let reason = StatusReport.indented(refusal)
            lines.append(
                "           the policy `\(load.file)` was refused at \(Timestamp(unixSeconds: load.at).text)\(over): \(reason)"
            )
        }
        if let running = policies.shadow.running {
            lines.append(
                "shadow     version \(running.version.description.prefix(16)) is decided beside it since "
                    + "\(Timestamp(unixSeconds: running.startedAt).text); see `scopecheck policy shadow`")
        }
        for status in policies.issuerStatus {
            let age = status.ageSeconds.map { ", \($0) s old" } ?? ""
            let problem = status.lastError.map { "; last error: \($0)" } ?? ""
            lines.append("issuer     \(status.issuer): \(status.keyCount) keys, \(status.state)\(age)\(problem)")
        }
        for status in policies.introspectionStatus {
            let problem = status.lastError.map { "; last error: \($0)" } ?? ""
            lines.append(
                "asked      \(status.issuer): \(status.exchangeCount) times, \(status.failureCount) failed, circuit "
                    + "\(status.state)\(problem)")
        }
        for status in policies.statusListStatus {
            let problem = status.lastError.map { "; last error: \($0)" } ?? ""
            lines.append("statuses   \(status.uri): \(status.state)\(problem)")
        }
        if revocations.count > 0 { lines.append("revoked    \(revocations.count) revocations in force") }
        for listener in listeners {
            lines.append("listener   \(listener.address) (\(listener.name))")
        }
        lines.append(
            "answers    \(sum.counts.allowed) allowed, \(sum.counts.denied) denied, \(sum.counts.unanswerable) not answerable"
        )
        lines.append(
            "tokens     \(sum.cachedTokens) cached, \(sum.counts.tokenCacheHits) hits, \(sum.counts.verifications) verified"
        )
        if sum.peersRefused > 0 {
            lines.append("refused    \(sum.peersRefused) connections of users who are not in `peers`")
        }
        lines.append("now        \(sum.connections) connections, \(workers.count) workers")
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }
}
