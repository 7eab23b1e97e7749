internal import Kernel
internal import PolicyTables
internal import Signatures
internal import Synchronization

/// Changes of what decides: by the file, by `policy apply`, by `policy rollback`. Each ends in `change`.
extension PolicyDesk {
    /// Moves the pointer and publishes, one caller after the other. The only place of the daemon that does.
    /// - Parameter expecting: what the change was made for; another version in force meanwhile ends it.
    /// - Throws: `PolicyChangeRefusal`; what was in force stays.
    func change(
        to version: Digest, cause: ActivationCause, folder: String, approval: Approval? = nil, expecting: Digest? = nil,
        file: Digest? = nil
    ) throws -> PolicyChange {
        do {
            // Whatever can fail is done before the pointer moves.
            try requireOwnEnvironment(version)
            let prepared = try issuers(of: version)
            let made = try changing.withLock { _ in
                let held = try store.active()
                if let expecting, held?.version != expecting {
                    throw PolicyChangeRefusal.moved(isPublication: held?.cause.kind == .publish)
                }
                if ownEnvironment == nil { try store.requireEnvironment(of: held, for: version) }
                let before = held?.number
                // The keys may have changed since it was verified.
                if let approval { try signing?.signers.check(SignatureFile(parsing: approval.signatures)) }
                let startedAt = SystemClock.monotonicNanoseconds()
                let activation = try store.activate(
                    version, now: clock.nowSeconds(), cause: cause, folder: folder, approval: approval,
                    file: file)
                let activatedAt = SystemClock.monotonicNanoseconds()
                startRefusal.withLock { $0 = nil }
                use(activation, prepared) {
                    let visible = SystemClock.monotonicNanoseconds() - activatedAt
                    return [
                        ("activation_us", "\((activatedAt - startedAt) / 1_000)"),
                        ("visible_us", "\(visible / 1_000)"),
                    ]
                }
                return PolicyChange(activation, isUnchanged: activation.number == before, in: store)
            }
            loader.prune(shadowed: shadow.version)
            return made
        } catch let error as PolicyStoreError {
            throw PolicyChangeRefusal.store(error)
        }
    }

    /// Applies a bundle that lies in a file and whose bytes are `version`.
    func apply(_ version: Digest, bundle: String, _ request: PolicyChangeRequest) throws -> PolicyChange {
        try hold.during(mayBeMadeAnew: true) { try applyHolding(version, bundle: bundle, request) }
    }

    private func applyHolding(
        _ version: Digest, bundle: String, _ request: PolicyChangeRequest
    ) throws -> PolicyChange {
        do {
            let approval = try signedApproval { signers throws(SigningRefusal) in
                try signers.approval(ofApplying: version, request.signatures, rollbacks: request.rollbackSignatures)
            }
            // Before anything is compiled; the store looks once more when the pointer moves.
            if let approval { try refuseReplay(approval) }
            let wasThere = try store.info(version) != nil
            try loader.add(version, bundle: bundle, request)
            if approval != nil { try compareTables(version, isFresh: !wasThere) }
            var made = try change(
                to: version,
                cause: ActivationCause(kind: .apply, author: request.author, note: request.note),
                folder: request.folder, approval: approval, expecting: request.expecting)
            made.ignoresSignatures = signing == nil && request.hasSignatures
            return made
        } catch {
            throw refusal(error)
        }
    }

    /// Stores, compiles and tests a bundle, and makes nothing active: it needs no signatures.
    func stage(_ version: Digest, bundle: String, _ request: PolicyChangeRequest) throws -> StagedVersion {
        let isActive: Bool
        do {
            try loader.add(version, bundle: bundle, request)
            isActive = try store.active()?.version == version
        } catch {
            throw refusal(error)
        }
        loader.prune(shadowed: shadow.version)
        return StagedVersion(version: version, isActive: isActive, ignoresSignatures: request.hasSignatures)
    }

    /// Has an earlier version decide again: one pointer flip, under a new number.
    func rollback(_ request: PolicyChangeRequest) throws -> PolicyChange {
        try hold.during { try rollbackHolding(request) }
    }

    private func rollbackHolding(_ request: PolicyChangeRequest) throws -> PolicyChange {
        do {
            // What was asked for is the step back from this one.
            let present = try store.active()?.version
            let target: Digest
            if let operand = request.version {
                target = try PolicyVersions(store: store).resolve(operand)
            } else {
                target = try store.versionBefore()
            }
            guard present != target else {
                throw PolicyChangeRefusal.conflict("version `\(target)` decides already; nothing was changed")
            }
            try store.refuseWaiting(target)
            let approval = try signedApproval { signers throws(SigningRefusal) in
                try signers.approval(ofRollbackTo: target, request.signatures ?? preparedRollback(to: target))
            }
            if let approval {
                try refuseReplay(approval)
                let active = try store.active()
                guard let leaving = approval.leaving, let active, active.version == leaving.version,
                    active.serial == leaving.serial
                else { throw SigningRefusal.notFromPresent(approval.leaving?.version ?? target) }
                try compareTables(target, isFresh: false)
            } else if let info = try store.info(target), !info.isCurrentLayout {
                // Compiled by an older build.
                _ = try loader.reconcile(target)
            }
            let last = try store.lastActivation(of: target)
            let folder = try last?.folder ?? store.info(target)?.origin.folder ?? ""
            var made = try change(
                to: target, cause: ActivationCause(kind: .rollback, author: request.author, note: request.note),
                folder: folder, approval: approval, expecting: present)
            made.ignoresSignatures = signing == nil && request.hasSignatures
            return made
        } catch {
            throw refusal(error)
        }
    }

    private func preparedRollback(to target: Digest) -> [UInt8]? {
        // What cannot be read is no signature.
        (try? store.preparedRollbacks())?.first { $0.target == target }?.signatures
    }

    private func signedApproval(
        _ make: (TrustedSigners) throws(SigningRefusal) -> Approval
    ) throws(SigningRefusal) -> Approval? {
        guard let signing else { return nil }
        return try make(signing.signers)
    }

    private func refuseReplay(_ approval: Approval) throws {
        let highest = try store.highestSerial()
        guard approval.serial > highest else {
            throw SigningRefusal.replayed(serial: approval.serial, highest: highest)
        }
    }

    /// The signature is over the source; the tables must be what it says.
    private func compareTables(_ version: Digest, isFresh: Bool) throws {
        if isFresh { compared.withLock { _ = $0.insert(version) } }
        guard !compared.withLock({ $0.contains(version) }) else { return }
        // After an upgrade they are made anew as a matter of course.
        let isOtherLayout = (try? store.info(version))?.map { !$0.isCurrentLayout } ?? false
        do {
            if try !loader.reconcile(version), !isOtherLayout {
                log.write(
                    .error, "policy_tables_differed",
                    "the stored tables were not what the policy's source says and were made anew from it; find out who "
                        + "writes to the store", [("version", version.description)])
            }
        } catch PolicyChangeRefusal.policy(let text) {
            throw SigningRefusal.tampered(text)
        }
        compared.withLock { _ = $0.insert(version) }
    }

    private func refusal(_ error: any Error) -> PolicyChangeRefusal {
        let refusal =
            switch error {
            case let error as PolicyChangeRefusal: error
            case let error as SigningRefusal: PolicyChangeRefusal.signing(error)
            case let error as PolicyStoreError: PolicyChangeRefusal.store(error)
            case let error as SystemError where Files.isFull(error): PolicyChangeRefusal.full("\(error)")
            default: PolicyChangeRefusal.unavailable("\(error)")
            }
        log.write(
            .warning, "policy_change_refused", "the policy in force goes on serving: \(refusal)",
            [("reason", refusal.name)])
        return refusal
    }

    // MARK: start

    /// Goes on with what the store has when it is what was signed, by those who are trusted now; otherwise with nothing,
    /// never with something older.
    func startSigned() {
        do {
            guard let active = try store.active() else {
                log.write(
                    .warning, "no_policy",
                    "there is no policy: every request is answered 503; apply a signed one with `scopecheck policy apply`"
                )
                return
            }
            if try isOfOtherEnvironment(active) { return }
            if let signing { try checkApproval(of: active, by: signing.signers) }
            try compareTables(active.version, isFresh: false)
            _ = try store.verify(active.version)
            use(active, try issuers(of: active.version))
            startRefusal.withLock { $0 = nil }
        } catch {
            let refusal = error as? SigningRefusal ?? .tampered("\(error)")
            startRefusal.withLock { $0 = refusal }
            log.write(
                .error, "policy_not_accepted",
                "the stored policy does not decide and every request is answered 503: \(refusal)",
                [("reason", refusal.name)])
        }
    }

    /// - Throws: `SigningRefusal` where the activation's statement is not signed as these keys demand.
    func checkApproval(of active: Activation, by signers: TrustedSigners) throws {
        let bytes = try store.approval(active.number)
        let approval: Approval
        if active.cause.kind == .rollback {
            approval = try signers.approval(ofRollbackTo: active.version, bytes)
            guard let leaving = approval.leaving, leaving.version == active.previous else {
                throw SigningRefusal.tampered("the activation does not name what its rollback was signed for leaving")
            }
        } else {
            approval = try signers.approval(ofApplying: active.version, bytes)
        }
        guard approval.serial == active.serial, try store.highestSerial() == active.serial else {
            throw SigningRefusal.tampered(
                "the activation's serial is not that of its signed statement, or not the last")
        }
    }

    /// Why the stored policy does not decide; nil where nothing stands against it.
    var refusedAtStart: SigningRefusal? { startRefusal.withLock { $0 } }
}
