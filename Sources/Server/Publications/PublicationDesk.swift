internal import Policy
internal import PolicyTables
internal import Signatures
internal import Synchronization

/// Takes what services publish: what only tightens decides at once, the rest waits for a person.
///
/// One publication at a time. Who signed it, how far it may go and whether it widens is judged against one version; if
/// another one decides when it is to be made the active one, it is judged again, so that nothing that was applied
/// meanwhile is undone.
final class PublicationDesk: Sendable {
    enum Outcome: Sendable, Equatable {
        case active(PublicationVerdict, PublicationHost.Change)
        case proposed(PublicationProposal, warnings: [String])
        /// The proposal was made for another policy than the one in force; this is what it is now.
        case rebuilt(PublicationProposal)
        case rejected(PublicationProposal)
    }

    private static let attemptsMax = 32
    /// A serial of milliseconds may be ahead of the clock by this, seconds; a mistyped one would lock the service out.
    private static let serialAheadSecondsMax: Int64 = 86_400

    private let host: PublicationHost
    private let turn = Mutex<Void>(())

    init(_ host: PublicationHost) {
        self.host = host
    }

    // MARK: publishing

    /// - Parameters:
    ///   - text: the publication as it was sent.
    ///   - sender: of the connection, for the log and the version; the key is what counts.
    /// - Throws: `PublicationRefusal`, or what keeps it from being judged; what decides goes on deciding.
    func publish(_ text: [UInt8], note: String, sender: String) throws -> Outcome {
        do {
            let publication = try SignedPublication.read(text)
            host.waitForPeople()
            let outcome = try turn.withLock { _ in try take(publication, text, note: note, sender: sender) }
            write(outcome)
            return outcome
        } catch let refusal as PublicationRefusal {
            host.log.write(
                .warning, "publication_refused", "a publication is refused: \(refusal.message)",
                [("reason", refusal.reason.rawValue), ("sender", sender)])
            throw refusal
        }
    }

    private func take(_ publication: SignedPublication, _ text: [UInt8], note: String, sender: String) throws -> Outcome
    {
        guard !host.requiresSignatures else {
            throw PublicationRefusal(
                .signaturesRequired,
                "this daemon takes only versions that people have signed, and one service's key is not "
                    + "enough; apply what it needs with `scopecheck policy apply --signatures`")
        }
        let statement = publication.statement
        try refuseSerial(statement)
        var (verdict, parent) = try judge(text, .fromNow, note: note, author: author(publication, sender))
        verdict.isWithdrawal = statement.action == .withdraw
        guard verdict.service == statement.service, verdict.serial == statement.serial,
            verdict.keyID == publication.keyID
        else { throw PublicationRefusal(.malformed, "the publication was not judged as it was sent; publish it again") }
        guard verdict.widenings.isEmpty else {
            return .proposed(
                try propose(verdict, parent, text, note: note, sender: sender), warnings: verdict.warnings)
        }
        // Before it decides: what was accepted once is never accepted again, whatever happens on the way.
        try record(verdict)
        return try activate(verdict, parent, text, .approved(ends: verdict.ends), note: note, sender: sender)
    }

    private func refuseSerial(_ statement: PublicationStatement) throws {
        let most = (host.now() + PublicationDesk.serialAheadSecondsMax).multipliedReportingOverflow(by: 1_000)
        guard statement.serial >= 1, !most.overflow, statement.serial <= UInt64(max(0, most.partialValue)) else {
            throw PublicationRefusal(
                .serialAhead,
                "the serial \(statement.serial) is 0 or lies ahead of the clock's milliseconds; publish with a "
                    + "lower `--serial`, or set the clock right")
        }
        if let highest = try host.store.publicationSerial(of: statement.service), statement.serial <= highest {
            throw replayed(statement.service, statement.serial, highest)
        }
    }

    private func replayed(_ service: String, _ serial: UInt64, _ highest: UInt64) -> PublicationRefusal {
        PublicationRefusal(
            .replayed,
            "the serial \(serial) is not greater than \(highest), which was accepted of `\(service)`; "
                + "sign a new publication, an older one is never taken again")
    }

    private func record(_ verdict: PublicationVerdict) throws {
        switch try host.store.recordPublication(of: verdict.service, serial: verdict.serial) {
        case .recorded: return
        case .replayed(let highest): throw replayed(verdict.service, verdict.serial, highest)
        }
    }

    /// Judged against what decides now.
    private func judge(
        _ text: [UInt8], _ term: PublicationReview.Term, note: String, author: String
    ) throws -> (PublicationVerdict, parent: Digest) {
        guard let parent = try host.store.active()?.version else {
            throw PublicationRefusal(
                .noPolicy, "there is no policy that says who may publish; apply one with `publishers` first")
        }
        let origin = VersionOrigin(author: author, note: note, parent: parent)
        return (try host.judge(text, parent, term, origin), parent)
    }

    private func activate(
        _ first: PublicationVerdict, _ parent: Digest, _ text: [UInt8], _ term: PublicationReview.Term, note: String,
        sender: String
    ) throws -> Outcome {
        var verdict = first
        var parent = parent
        let cause = ActivationCause(kind: .publish, author: author(verdict, sender), note: note)
        for _ in 0..<PublicationDesk.attemptsMax {
            do {
                var change = try host.activate(verdict.version, cause, parent)
                // An older one that waits has been overtaken.
                // Only for its name: what decides by now must not end in a failure.
                let waiting = (try? host.store.proposals())?.first { $0.service == verdict.service }
                if try host.store.removeProposal(of: verdict.service, serial: verdict.serial) {
                    change.dropped = waiting?.identifier
                }
                return .active(verdict, change)
            } catch is PublicationHost.Moved {
                (verdict, parent) = try judge(text, term, note: note, author: cause.author)
                verdict.isWithdrawal = first.isWithdrawal
                // DENY: on the policy that decides now it widens.
                guard verdict.widenings.isEmpty else {
                    throw PublicationRefusal(
                        .widens,
                        "another policy was applied meanwhile, on which the publication of `\(verdict.service)` "
                            + "would allow what is denied; publish it again")
                }
            }
        }
        throw PublicationRefusal(
            .moved, "policies change faster than the publication can be judged; publish it again")
    }

    private func propose(
        _ verdict: PublicationVerdict, _ parent: Digest, _ text: [UInt8], note: String, sender: String
    ) throws -> PublicationProposal {
        let proposal = PublicationProposal(
            version: verdict.version, parent: parent, service: verdict.service, keyID: verdict.keyID,
            serial: verdict.serial, ends: verdict.ends, note: note, author: author(verdict, sender), madeAt: host.now(),
            findings: verdict.widenings, findingsOmitted: verdict.wideningsOmitted, signed: text)
        switch try host.store.propose(proposal) {
        case .kept:
            host.tidy()
            return proposal
        case .replayed(let highest): throw replayed(verdict.service, verdict.serial, highest)
        case .full:
            throw PublicationRefusal(
                .tooManyProposals,
                "\(PublicationProposal.countMax) publications wait for approval already; approve or reject "
                    + "some with `scopecheck policy proposals`")
        }
    }

    private func author(_ publication: SignedPublication, _ sender: String) -> String {
        PublicationDesk.author(publication.statement.service, publication.keyID, sender)
    }

    private func author(_ verdict: PublicationVerdict, _ sender: String) -> String {
        PublicationDesk.author(verdict.service, verdict.keyID, sender)
    }

    private static func author(_ service: String, _ keyID: String, _ sender: String) -> String {
        bounded("service \(service), key \(keyID)" + (sender.isEmpty ? "" : ", sent by \(sender)"))
    }

    /// Who approved stands first: the rest is cut where there is no room, and holds what senders say of themselves.
    private static func author(_ proposal: PublicationProposal, approvedBy approver: String) -> String {
        bounded("approved by \(approver); \(proposal.author)")
    }

    private static func bounded(_ text: String) -> String {
        String(decoding: text.utf8.prefix(ActivationCause.authorBytesMax), as: UTF8.self)
    }

    // MARK: approving

    /// All that wait, in the order of the services' names.
    func proposals() throws -> [PublicationProposal] { try host.store.proposals() }

    /// The one of exactly this version.
    private func proposal(_ identifier: String) throws -> PublicationProposal {
        guard let proposal = try host.store.proposals().first(where: { $0.identifier == identifier }) else {
            throw PublicationRefusal(
                .notPublished,
                "no proposal is called `\(identifier)`; `scopecheck policy proposals` lists those that wait, each with the "
                    + "64 digits that it is approved by")
        }
        return proposal
    }

    /// Makes what a service published the policy: exactly the version that the identifier names.
    ///
    /// The publication is judged once more, with the keys and limits of the policy in force. On another policy than the
    /// one that it was made for it becomes another version, which nobody has looked at: then it waits under that one's name.
    func approve(_ identifier: String, note: String, approver: String) throws -> Outcome {
        let outcome = try turn.withLock { _ -> Outcome in
            let proposal = try proposal(identifier)
            guard !host.requiresSignatures else {
                throw PublicationRefusal(.signaturesRequired, "this daemon takes only versions that people have signed")
            }
            let term = PublicationReview.Term.approved(ends: proposal.ends)
            let by = PublicationDesk.author(proposal, approvedBy: approver)
            let (verdict, parent) = try judge(proposal.signed, term, note: proposal.note, author: proposal.author)
            guard verdict.version == proposal.version || verdict.widenings.isEmpty else {
                return try rebuild(proposal, verdict, parent)
            }
            do {
                let change = try host.activate(
                    verdict.version, ActivationCause(kind: .publish, author: by, note: note), parent)
                try host.store.removeProposal(of: proposal.service, serial: proposal.serial)
                return .active(verdict, change)
            } catch is PublicationHost.Moved {
                let (verdict, parent) = try judge(proposal.signed, term, note: proposal.note, author: proposal.author)
                return try rebuild(proposal, verdict, parent)
            }
        }
        write(outcome, [("approver", approver)])
        return outcome
    }

    private func rebuild(
        _ proposal: PublicationProposal, _ verdict: PublicationVerdict, _ parent: Digest
    ) throws -> Outcome {
        var rebuilt = proposal
        rebuilt.version = verdict.version
        rebuilt.parent = parent
        rebuilt.findings = Array(verdict.widenings.prefix(PublicationProposal.findingsMax))
        rebuilt.findingsOmitted = verdict.wideningsOmitted
        guard try host.store.replace(rebuilt) else {
            throw PublicationRefusal(.notPublished, "the service has published again meanwhile; look at what waits now")
        }
        return .rebuilt(rebuilt)
    }

    func reject(_ identifier: String, note: String, approver: String) throws -> Outcome {
        let outcome = try turn.withLock { _ -> Outcome in
            let proposal = try proposal(identifier)
            try host.store.removeProposal(of: proposal.service, serial: proposal.serial)
            host.tidy()
            return .rejected(proposal)
        }
        write(outcome, [("approver", approver), ("note", note)])
        return outcome
    }

    // MARK: log

    private func write(_ outcome: Outcome, _ more: [(String, String)] = []) {
        switch outcome {
        case .active(let verdict, let change):
            let dropped = change.dropped.map { [("dropped", $0)] } ?? []
            host.log.write(
                .info, verdict.isWithdrawal ? "publication_withdrawn" : "publication_active",
                verdict.isWithdrawal
                    ? "what `\(verdict.service)` published is withdrawn, and every request to it is denied"
                    : "what `\(verdict.service)` published decides",
                [
                    ("service", verdict.service), ("key", verdict.keyID), ("version", verdict.version.description),
                    ("number", "\(change.number)"), ("ends", verdict.ends.map { timestamp($0) } ?? "never"),
                ] + dropped + more)
        case .proposed(let proposal, _), .rebuilt(let proposal):
            host.log.write(
                .warning, "publication_proposed",
                "what `\(proposal.service)` published would allow what is denied and waits for approval: "
                    + "scopecheck policy approve \(proposal.identifier)",
                [("service", proposal.service), ("key", proposal.keyID), ("version", proposal.version.description)]
                    + more)
        case .rejected(let proposal):
            host.log.write(
                .info, "publication_rejected", "what `\(proposal.service)` published was rejected",
                [("service", proposal.service), ("version", proposal.version.description)] + more)
        }
    }
}
