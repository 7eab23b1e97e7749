public import PolicyTables

/// Judges what a service published against the policy in force. Decides nothing by itself and stores nothing.
///
/// Nothing of the file is read before the signature over it is verified, with a key that the policy in force names.
public struct PublicationReview {
    /// When what is published ends.
    public enum Term: Sendable, Equatable {
        /// The time that the statement gives it, from now on.
        case fromNow
        /// Known already: a person approves what was published earlier. Unix seconds; nil is for ever.
        case approved(ends: Int64?)
    }

    /// What a publication would make of the policy.
    public struct Judgement: Sendable {
        public var bundle: PolicyBundle
        public var policy: PolicySource
        public var model: PolicyModel
        /// That of the policy in force.
        public var before: PolicyModel
        /// Unix seconds from which on the service is denied; nil is for ever.
        public var ends: Int64?
        /// What it allows that is denied, for people; empty when it only tightens.
        public var widenings: PublicationWidenings
        /// Of the published file, each of one line; at most `warningsMax`.
        public var warnings: [String] = []
    }

    private let active: PolicyBundle
    private let folder: String?
    private let now: Int64
    private let widenings: (_ old: PolicyModel, _ new: PolicyModel) -> PublicationWidenings
    public static let warningsMax = 20

    /// - Parameters:
    ///   - active: the policy in force.
    ///   - folder: where relative paths of its key files start.
    ///   - now: Unix seconds.
    ///   - widenings: everything that the second policy allows and the first denies, in words.
    public init(
        active: PolicyBundle, folder: String?, now: Int64,
        widenings: @escaping (_ old: PolicyModel, _ new: PolicyModel) -> PublicationWidenings
    ) {
        self.active = active
        self.folder = folder
        self.now = now
        self.widenings = widenings
    }

    public func judge(_ publication: SignedPublication, _ term: Term = .fromNow) throws(PublicationRefusal) -> Judgement
    {
        let inForce = loadPolicy(bundle: active, folder: folder, now: now)
        guard let old = inForce.model else {
            throw PublicationRefusal(
                .policyUnreadable, "the stored source of the policy in force cannot be read any more")
        }
        let statement = publication.statement
        let service = statement.service
        guard let publisher = old.publishers.first(where: { $0.name.utf8.elementsEqual(service.utf8) }) else {
            throw PublicationRefusal(
                .unknownPublisher,
                "the policy in force lets nobody publish \(quoted(service)); add it under `publishers`, "
                    + "with its keys, hosts and scopes")
        }
        try publication.verify(publisher)
        try checkEnvironment(statement)
        try checkPlace(service, inForce, old)
        let ends = try end(of: statement, publisher, term)
        guard case .publish = statement.action else { return try withdraw(service, old, at: ends) }
        let file = try PublishedFile(
            publication.file, service: service, name: PolicyBundle.publishedFile(of: service))
        guard let bundle = active.publishing(publication.file, of: service, ends: ends) else { throw tooMany }
        var judgement = try read(bundle, old, ends, publisher)
        try PublicationLimits(publisher, judgement.model).check(file, judgement.policy)
        judgement.widenings = widenings(endless(old, service), endless(judgement.model, service))
        judgement.warnings = warnings(judgement.policy, PolicyBundle.publishedFile(of: service))
        guard judgement.widenings.isEmpty || publisher.widening == .propose else {
            throw PublicationRefusal(
                .widens,
                "the publication of \(quoted(service)) would allow what is denied, and its publisher has "
                    + "`widening: refuse`:\n" + judgement.widenings.prefix(PublicationProposal.findingsMax).text)
        }
        return judgement
    }

    private func checkEnvironment(_ statement: PublicationStatement) throws(PublicationRefusal) {
        guard statement.environment != active.environment else { return }
        let wanted = active.environment.map { "is for the environment \(quoted($0))" } ?? "is for no environment"
        let given = statement.environment.map { quoted($0) } ?? "none"
        throw PublicationRefusal(
            .wrongEnvironment,
            "the policy in force \(wanted), and the publication for \(given); "
                + "publish with `--environment` as the policy is read")
    }

    /// A service is written by hand or published, never both.
    private func checkPlace(
        _ service: String, _ inForce: PolicySource, _ old: PolicyModel
    ) throws(PublicationRefusal) {
        guard !active.hasPublication(of: service) else { return }
        var place = "a file of the policy's own"
        if let index = old.services.firstIndex(where: { $0.name.utf8.elementsEqual(service.utf8) }) {
            if inForce.routePositions.indices.contains(index), let first = inForce.routePositions[index].first {
                let found = inForce.place(of: first)
                place = "\(quoted(found.file)), line \(found.line), \(place)"
            }
        } else if !old.portServices.contains(where: { $0.name.utf8.elementsEqual(service.utf8) }) {
            return
        }
        throw PublicationRefusal(
            .definedElsewhere,
            "the service \(quoted(service)) stands in \(place); "
                + "remove it there and apply the policy, then publish it")
    }

    private func end(
        of statement: PublicationStatement, _ publisher: PublisherModel, _ term: Term
    ) throws(PublicationRefusal) -> Int64? {
        guard case .publish(_, let ttl) = statement.action else { return now }
        if let most = publisher.ttlSecondsMax, !(1...most).contains(ttl) {
            let given = ttl == 0 ? "without an end" : "for \(durationText(ttl))"
            throw PublicationRefusal(
                .timeLimit,
                "the publication of \(quoted(publisher.name)) is \(given), and its publisher has "
                    + "`max_ttl: \(durationText(most))`; publish with `--ttl` of at most that")
        }
        switch term {
        case .fromNow: return ttl == 0 ? nil : now + Int64(ttl)
        case .approved(let ends):
            if let ends, ends <= now {
                throw PublicationRefusal(
                    .ended, "what was published ended at \(timeText(ends)); publish it again")
            }
            return ends
        }
    }

    private func warnings(_ policy: PolicySource, _ file: String) -> [String] {
        let found = policy.diagnostics.filter { $0.severity == .warning && $0.file == file }
        return found.prefix(PublicationReview.warningsMax).map { one in
            "\(one.file):\(one.line):\(one.column): warning: \(one.message); mend: \(one.mend)"
        }
    }

    private func withdraw(
        _ service: String, _ old: PolicyModel, at ends: Int64?
    ) throws(PublicationRefusal) -> Judgement {
        guard active.hasPublication(of: service) else {
            throw PublicationRefusal(
                .notPublished, "the service \(quoted(service)) is not published; nothing to withdraw")
        }
        guard let bundle = active.publishing(nil, of: service, ends: ends) else { throw tooMany }
        return try read(bundle, old, ends)
    }

    /// - Parameter publisher: of the file that is new; nil for none.
    private func read(
        _ bundle: PolicyBundle, _ old: PolicyModel, _ ends: Int64?, _ publisher: PublisherModel? = nil
    ) throws(PublicationRefusal) -> Judgement {
        let policy = loadPolicy(bundle: bundle, folder: folder, now: now)
        guard let model = policy.model else {
            var report = DiagnosticReport(policy)
            if let publisher { nameScopes(of: publisher, in: &report) }
            throw PublicationRefusal(.policyErrors, diagnosticsText(report))
        }
        return Judgement(bundle: bundle, policy: policy, model: model, before: old, ends: ends, widenings: [])
    }

    /// Whoever publishes cannot declare every scope there is.
    private func nameScopes(of publisher: PublisherModel, in report: inout DiagnosticReport) {
        let file = PolicyBundle.publishedFile(of: publisher.name)
        for (index, one) in report.diagnostics.enumerated() where one.code == .unknownScope && one.file == file {
            report.diagnostics[index].mend += "; its publisher may use \(quotedList(publisher.scopes, namesMax: 20))"
        }
    }

    /// The policy as if the service's publication had no end: one that has ended denies everything, and must not make
    /// whatever comes after it look like more of the same, nor a longer time look like more rights.
    private func endless(_ model: PolicyModel, _ service: String) -> PolicyModel {
        var model = model
        for index in model.services.indices where model.services[index].name.utf8.elementsEqual(service.utf8) {
            model.services[index].until = nil
        }
        return model
    }

    private var tooMany: PublicationRefusal {
        PublicationRefusal(
            .tooManyFiles,
            "the policy would have more than \(PolicyBundle.filesMax) files or \(PolicyBundle.bytesMax) bytes")
    }
}
