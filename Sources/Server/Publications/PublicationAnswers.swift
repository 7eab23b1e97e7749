internal import Policy
internal import PolicyTables
internal import Signatures
internal import Tokens

/// What commands are answered.
extension PublicationDesk.Outcome {
    /// 200 when it decides or is rejected, 202 when it waits, 409 when what was to be approved has become another version.
    var answer: PlainAnswer {
        var object = JSONObjectWriter()
        switch self {
        case .active(let verdict, let change):
            let state = verdict.isWithdrawal ? "withdrawn" : "active"
            object.add("state", string: change.isUnchanged ? "unchanged" : state)
            object.add("service", string: verdict.service)
            object.add("version", string: verdict.version.description)
            object.add("number", number: Int64(clamping: change.number))
            object.add("label", string: "\(change.number).\(verdict.version.description.prefix(16))")
            if let ends = verdict.ends { object.add("ends", string: timestamp(ends)) }
            if let dropped = change.dropped { object.add("dropped_proposal", string: dropped) }
            if !verdict.warnings.isEmpty { object.add("warnings", strings: verdict.warnings) }
            return PlainAnswer(200, object.text())
        case .proposed(let proposal, let warnings):
            object.add("state", string: "proposed")
            object.add("proposal", json: proposal.object().text())
            if !warnings.isEmpty { object.add("warnings", strings: warnings) }
            return PlainAnswer(202, object.text())
        case .rebuilt(let proposal):
            object.add(
                "error",
                string:
                    "another policy decides than the one that the proposal was made for, so it is another version now: "
                    + "look at `\(proposal.identifier)` and approve that")
            object.add("reason", string: "rebuilt")
            object.add("proposal", json: proposal.object().text())
            return PlainAnswer(409, object.text())
        case .rejected(let proposal):
            object.add("state", string: "rejected")
            object.add("proposal", json: proposal.object().text())
            return PlainAnswer(200, object.text())
        }
    }
}

extension PublicationProposal {
    func object() -> JSONObjectWriter {
        var object = JSONObjectWriter()
        object.add("id", string: identifier)
        object.add("version", string: version.description)
        object.add("parent", string: parent.description)
        object.add("service", string: service)
        object.add("kid", string: keyID)
        object.add("serial", string: String(serial))
        if let ends { object.add("ends", string: timestamp(ends)) }
        object.add("note", string: note)
        object.add("author", string: author)
        object.add("made_at", string: timestamp(madeAt))
        object.add("widenings", strings: findings)
        if findingsOmitted > 0 { object.add("widenings_omitted", number: Int64(findingsOmitted)) }
        return object
    }
}

extension PublicationRefusal {
    var answer: PlainAnswer {
        var object = JSONObjectWriter()
        object.add("error", string: message)
        object.add("reason", string: reason.rawValue)
        return PlainAnswer(status, object.text())
    }

    private var status: Int {
        switch reason {
        case .malformed, .wrongFile: 400
        case .tooLarge: 413
        case .policyErrors, .testsFailed, .tooManyFiles, .outsideFile: 422
        case .notPublished: 404
        case .ended, .moved: 409
        case .tooManyProposals: 507
        case .noPolicy, .policyUnreadable: 503
        case .wrongEnvironment, .unknownPublisher, .unknownKey, .badSignature, .replayed, .serialAhead, .timeLimit,
            .outsideHosts, .outsidePath, .outsideScopes, .outsideIssuers, .publicRoute, .observeMode, .notHTTP,
            .outsideBounds, .overlaps, .definedElsewhere, .widens, .signaturesRequired:
            403
        }
    }
}
