internal import Kernel
internal import Octets
internal import Policy
internal import PolicyTables
internal import Signatures

extension StorePlace {
    /// A policy that is applied, with what services have published into the one in force: that does not stand in its
    /// files.
    /// - Parameter isSigned: where people must sign they have signed for exactly the policy's own files, and nothing is
    ///   published.
    /// - Returns: `active`, where services may publish: the version that must decide until the policy does.
    func keepingPublications(
        _ loaded: LoadedPolicy, isSigned: Bool
    ) throws -> (policy: LoadedPolicy, active: Digest?) {
        guard let found = try find("/policy/version?of=active"),
            let active = JSONObject(found)?.string("version").flatMap({ Digest(hexadecimal: $0) }),
            let bundle = PolicyBundle(decoding: try source(of: active))
        else { return (loaded, nil) }
        guard bundle.hasPublications else {
            return (loaded, loaded.model?.publishers.isEmpty ?? true ? nil : active)
        }
        if isSigned, try requiresSignatures() {
            tell(
                "the policy is signed as it is: what services have published does not stand in it, and decides no more")
            return (loaded, nil)
        }
        guard let kept = try loaded.keepingPublications(of: bundle) else { return (loaded, active) }
        for file in loaded.bundle.files where !file.name.isEmpty && !kept.bundle.files.contains(file) {
            tell("`\(shown(file.name))` gives way to what the service has published since")
        }
        return (LoadedPolicy(bundle: kept.bundle, folder: loaded.folder), active)
    }

    /// Whether a version decides only when people have signed it; the files of a store do not say, and are taken so.
    private func requiresSignatures() throws -> Bool {
        guard store == nil else { return true }
        let status = JSONObject(try daemon.body(of: try daemon.ask("GET", "/status")))
        return (status?.object("policy")?.number("required_signatures") ?? 0) > 0
    }
}

private func tell(_ text: String) { _ = writeAll(2, Array("scopecheck: \(text)\n".utf8).span) }

extension LoadedPolicy {
    /// - Throws: exit code 1 after messages when something stands where the daemon keeps what services publish and is
    ///   not theirs.
    func checkPublications() throws {
        guard bundle.usesPublishedFolder else { return }
        // By the names that are stored: those of paths may be others.
        let isNamed = labels == bundle.files.map(\.name)
        let named = isNamed ? policy : LoadedPolicy(bundle: bundle, folder: folder).policy
        let refusals = bundle.publicationRefusals(named, now: nowSeconds())
        guard !refusals.isEmpty else { return }
        for refusal in refusals { printOut("\(label): error: \(refusal.message)\n") }
        throw Ending.no
    }

    /// - Returns: nil when nothing is to be kept.
    /// - Throws: exit code 1 after a message when the policy and what was published do not go together.
    func keepingPublications(of active: PolicyBundle) throws -> KeptPublications? {
        let found: KeptPublications?
        do throws(PublicationRefusal) {
            found = try KeptPublications(of: active, in: bundle, folder: nil, now: nowSeconds())
        } catch {
            printOut("\(label): error: \(error.message)\n")
            throw Ending.no
        }
        guard let kept = found else {
            if active.hasPublications, active.environment != bundle.environment {
                tell(
                    "what services have published was for another environment and is left behind; have them publish again"
                )
            }
            return nil
        }
        guard kept.policy.model != nil, kept.refusals.isEmpty else {
            printOut("with what services have published:\n" + diagnosticsText(kept.policy))
            for refusal in kept.refusals { printOut("\(label): error: \(refusal.message)\n") }
            throw Ending.no
        }
        return kept
    }
}
