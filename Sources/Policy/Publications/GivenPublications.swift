public import PolicyTables

/// What a policy that a person gives holds in the folder where the daemon keeps what services publish.
///
/// Nothing, or it is a policy that was exported: each file is called as the daemon calls it, is of a service that has a
/// publisher there, keeps within that publisher's limits, and an end is written as the daemon writes it. A file of
/// anybody's own would be taken for a publication later, and stay when it is removed from the policy.
extension PolicyBundle {
    /// Whether anything stands in that folder.
    public var usesPublishedFolder: Bool { files.contains { PolicyBundle.isBelowPublished($0.name) } }

    private static let refusalsMax = 20

    /// - Parameters:
    ///   - policy: what the bundle holds, read with its files' own names. Without a model only these are looked at.
    ///   - now: Unix seconds.
    /// - Returns: why they are not taken; empty when they are.
    public func publicationRefusals(_ policy: PolicySource, now: Int64) -> [PublicationRefusal] {
        var result: [PublicationRefusal] = []
        for file in files where PolicyBundle.isBelowPublished(file.name) {
            guard result.count < PolicyBundle.refusalsMax else { return result }
            if let problem = problem(of: file, policy.model) { result.append(PublicationRefusal(.malformed, problem)) }
        }
        guard result.isEmpty, let model = policy.model else { return result }
        return KeptPublications.refusals(self, policy, model, now: now)
    }

    private func problem(of file: File, _ model: PolicyModel?) -> String? {
        let mend = "move it to a folder with another name"
        guard let service = PolicyBundle.publishedService(file.name) else {
            return "\(quoted(file.name)) stands in the folder where the daemon keeps what services publish; \(mend)"
        }
        guard let model else { return nil }
        guard model.publishers.contains(where: { $0.name.utf8.elementsEqual(service.utf8) }) else {
            return
                "\(quoted(file.name)) stands where the daemon keeps what \(quoted(service)) publishes, and the policy has "
                + "no publisher of that name; \(mend), or remove it"
        }
        guard PolicyBundle.publicationEnd(of: service).utf8.elementsEqual(file.name.utf8) else { return nil }
        let end = model.services.first { $0.name.utf8.elementsEqual(service.utf8) }?.until
        guard hasPublication(of: service), let end, PolicyBundle.endText(of: service, end) == file.bytes else {
            return
                "\(quoted(file.name)) is not as the daemon writes when a publication ends; leave it as it was exported, "
                + "or remove it"
        }
        return nil
    }
}
