internal import Kernel
internal import Octets
internal import Policy
internal import PolicyTables
internal import Signatures

extension StorePlace {
    /// A policy that is applied, with what services have published into the one in force: that does not stand in its
    /// files.
    /// - Parameter isSigned: people have signed for exactly the policy's own files, and where they must, nothing is
    ///   published.
    /// - Returns: `active`, where services may publish: the version that must decide until the policy does.
    func keepingPublications(
        _ loaded: LoadedPolicy, isSigned: Bool
    ) throws -> (policy: LoadedPolicy, active: Digest?) {
        guard !isSigned, let found = try find("/policy/version?of=active"),
            let active = JSONObject(found)?.string("version").flatMap({ Digest(hexadecimal: $0) }),
            let bundle = PolicyBundle(decoding: try source(of: active))
        else { return (loaded, nil) }
        guard bundle.hasPublications else {
            return (loaded, loaded.model?.publishers.isEmpty ?? true ? nil : active)
        }
        guard let kept = try loaded.keepingPublications(of: bundle) else { return (loaded, active) }
        return (LoadedPolicy(bundle: kept.bundle, folder: loaded.folder), active)
    }
}

extension LoadedPolicy {
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
                let text =
                    "scopecheck: what services have published was for another environment and is left behind; have them "
                    + "publish again\n"
                _ = writeAll(2, Array(text.utf8).span)
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
