public import PolicyTables

/// A policy that is applied anew, together with what services have published into the one in force: that does not stand
/// in its files, and would otherwise be gone.
///
/// What a service has published goes when it has no publisher any more, and a policy that sets narrower limits than what
/// is published keeps to is refused until one of both gives way.
public struct KeptPublications: Sendable {
    public let bundle: PolicyBundle
    /// With everything that is wrong; a publication beyond its limits is in `refusals`.
    public let policy: PolicySource
    /// The services whose publications are in it, in the order of `publishers`.
    public let services: [String]
    public let refusals: [PublicationRefusal]

    /// - Parameters:
    ///   - active: the policy in force.
    ///   - folder: where relative paths of key files start.
    ///   - now: Unix seconds.
    /// - Returns: nil when there is nothing to keep: nothing was published, it was for another environment, or the policy
    ///   brings exactly that (one that was exported, say).
    /// - Throws: when they do not fit into one bundle.
    public init?(
        of active: PolicyBundle, in bundle: PolicyBundle, folder: String?, now: Int64
    ) throws(PublicationRefusal) {
        guard active.hasPublications, active.environment == bundle.environment else { return nil }
        guard var kept = bundle.keeping(nil, of: active) else {
            throw PublicationRefusal(
                .tooManyFiles,
                "with what services have published the policy would have more than \(PolicyBundle.filesMax) files or "
                    + "\(PolicyBundle.bytesMax) bytes, or a name that no version holds; use fewer files")
        }
        guard kept != bundle else { return nil }
        var policy = loadPolicy(bundle: kept, folder: folder, now: now)
        // A publication may be what is wrong with it: of a service that stands in the files now, say.
        let publishers =
            policy.model?.publishers ?? loadPolicy(bundle: bundle, folder: folder, now: now).model?.publishers
        let names = publishers?.map(\.name)
        if let names, let fewer = bundle.keeping(names, of: active), fewer != kept {
            guard fewer != bundle else { return nil }
            kept = fewer
            policy = loadPolicy(bundle: kept, folder: folder, now: now)
        }
        self.bundle = kept
        self.policy = policy
        services = names?.filter { kept.hasPublication(of: $0) } ?? []
        refusals = policy.model.map { KeptPublications.refusals(kept, policy, $0, now: now) } ?? []
    }

    /// Its size was judged when it was published: it must not block what people apply.
    static func refusals(
        _ bundle: PolicyBundle, _ policy: PolicySource, _ model: PolicyModel, now: Int64
    ) -> [PublicationRefusal] {
        var result: [PublicationRefusal] = []
        for publisher in model.publishers {
            let name = PolicyBundle.publishedFile(of: publisher.name)
            guard let file = bundle.files.first(where: { $0.name.utf8.elementsEqual(name.utf8) }) else { continue }
            do throws(PublicationRefusal) {
                let read = try PublishedFile(file.bytes, service: publisher.name, name: name)
                try PublicationLimits(publisher, model).check(read, policy, amounts: false)
                try checkEnd(publisher, model, now: now)
            } catch {
                result.append(
                    PublicationRefusal(
                        error.reason,
                        "what \(quoted(publisher.name)) has published goes beyond its publisher's limits: "
                            + "\(error.message); widen them, have it publish again, or remove the publisher"))
            }
        }
        return result
    }

    /// A limit of time holds from when it is set.
    private static func checkEnd(
        _ publisher: PublisherModel, _ model: PolicyModel, now: Int64
    ) throws(PublicationRefusal) {
        guard let most = publisher.ttlSecondsMax,
            let service = model.services.first(where: { $0.name.utf8.elementsEqual(publisher.name.utf8) })
        else { return }
        if let until = service.until, until <= now + Int64(most) { return }
        throw PublicationRefusal(
            .timeLimit,
            (service.until.map { "it ends at \(timeText($0))" } ?? "it never ends")
                + ", and `max_ttl` is \(durationText(most))")
    }
}
