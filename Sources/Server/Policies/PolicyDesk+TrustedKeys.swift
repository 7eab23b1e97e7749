internal import Kernel
internal import PolicyTables
internal import Signatures
internal import Synchronization

/// The trusted keys, read again while the daemon runs.
extension PolicyDesk {
    /// Trusts what the file holds now, all of it or nothing.
    ///
    /// Keys with which the version in force would not be accepted are refused: they would change what decides to nothing,
    /// at a moment that nobody has chosen. Whoever takes a key away has that version signed by others first.
    func readTrustedKeys(_ signing: SigningRule) {
        let read: TrustedSigners
        do {
            read = try signing.read()
        } catch {
            log.write(
                .error, "trusted_keys_refused",
                "the trusted keys cannot be used and those from before stay: \(error); mend the file and send SIGHUP "
                    + "again, since a restart would fail", [("file", signing.file)])
            return
        }
        // Nothing comes to decide meanwhile that was looked at with the keys from before.
        changing.withLock { _ in
            guard accept(read, signing) else { return }
            if refusedAtStart != nil { startSigned() }
        }
    }

    private func accept(_ read: TrustedSigners, _ signing: SigningRule) -> Bool {
        let before = signing.signers
        let changes = [("added", read.names(notIn: before)), ("removed", before.names(notIn: read))]
            .filter { !$0.1.isEmpty }.map { ($0.0, $0.1.joined(separator: ", ")) }
        if let decides = activation {
            do {
                try checkApproval(of: decides, by: read)
            } catch {
                let version = decides.version.description
                log.write(
                    .error, "trusted_keys_refused",
                    "the trusted keys are refused and those from before stay, since with them the version in force would "
                        + "not be accepted: \(error). Have exactly version `\(version)` signed by keys that stay, with a "
                        + "greater serial (`scopecheck policy sign`), apply it, and send SIGHUP again; a restart before "
                        + "that would answer 503",
                    [
                        ("file", signing.file), ("version", version),
                        ("reason", (error as? SigningRefusal)?.name ?? "unavailable"),
                    ] + changes)
                return false
            }
        }
        guard !changes.isEmpty else {
            log.write(
                .info, "trusted_keys_unchanged", "the trusted keys are those from before; no policy file is read",
                [("file", signing.file)])
            return true
        }
        signing.trust(read)
        log.write(
            .info, "trusted_keys_changed", "\(read.required) of \(read.count) keys must sign from now on",
            [("file", signing.file)] + changes)
        warnOfRollbacks(read)
        return true
    }

    /// A rollback that was signed beforehand is verified when it is wanted, which is late to learn that it fails.
    private func warnOfRollbacks(_ signers: TrustedSigners) {
        for prepared in (try? store.preparedRollbacks()) ?? [] {
            do throws(SigningRefusal) {
                _ = try signers.approval(ofRollbackTo: prepared.target, prepared.signatures)
            } catch {
                log.write(
                    .warning, "prepared_rollback_void",
                    "the rollback that was signed beforehand does not count with these trusted keys: \(error)",
                    [("version", prepared.target.description), ("reason", error.name)])
            }
        }
    }
}
