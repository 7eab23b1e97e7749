internal import PolicyTables
internal import Signatures

extension PolicyStore {
    /// What a service has published and nobody has approved comes to decide by `approve` alone, which judges it anew
    /// and takes its whole name: whoever publishes chooses what is hashed, and could make two that begin alike. A
    /// version that has decided before was approved then.
    func refuseWaiting(_ version: Digest) throws {
        guard try lastActivation(of: version) == nil,
            let proposal = try proposals().first(where: { $0.version == version })
        else { return }
        throw PolicyChangeRefusal.conflict(
            "version `\(version)` is what `\(proposal.service)` would publish, and waits for approval; look at it with "
                + "`scopecheck policy plan active \(version)`, then run `scopecheck policy approve \(version) -m WHY`")
    }
}
