internal import PolicyTables

/// Reading `grants` of a client: scopes approved for a time.
extension ModelReader {
    static let grantsMax = 64
    static let reasonBytesMax = 256

    /// - Parameter name: of the client.
    /// - Returns: nil when any of them is wrong.
    func readGrants(_ node: Int, _ name: String) -> [ClientModel.TemporaryGrant]? {
        let example = "[{ scope: orders:admin, until: 2026-12-01T00:00:00Z, reason: INC-42 }]"
        guard let members = list(node, "`grants`", example: example) else { return nil }
        guard members.count <= ModelReader.grantsMax else {
            sink.error(
                .limitExceeded, at: position(node), "more than \(ModelReader.grantsMax) grants for one client",
                mend: "put scopes with the same end into one grant, or approve for good what is needed for good")
            return nil
        }
        let grants = members.map { readGrant($0, name) }
        let good = grants.compactMap { $0 }
        return good.count == grants.count ? good : nil
    }

    private func readGrant(_ node: Int, _ name: String) -> ClientModel.TemporaryGrant? {
        guard let fields = fields(node, GrantKey.self, at: position(node)) else { return nil }
        let scopes = readGranted(fields)
        let until = readGrantEnd(fields, name)
        let reason = readReason(fields)
        guard let scopes, let until, let reason else { return nil }
        return ClientModel.TemporaryGrant(scopes: scopes, until: until, reason: reason)
    }

    private func readGranted(_ fields: Fields<GrantKey>) -> [UInt16]? {
        if fields[.scope] != nil, let second = fields.keyNode(.scopes) {
            sink.error(
                .conflictingKeys, at: position(second), "a grant with `scope` and `scopes`",
                mend: "keep `scopes` with all of them")
            return nil
        }
        if let node = fields[.scope], !tree.isScalar(node) {
            wrongType(node, "`scope` is one scope", "write `scopes:` for a list")
            return nil
        }
        guard let node = fields[.scope] ?? fields[.scopes] else {
            sink.error(
                .missingKey, at: fields.position, "a grant of nothing",
                mend: "add `scope:` or `scopes:` with what is approved for a time")
            return nil
        }
        approvals.expansion.begin()
        return addApproved(node, "`scopes` of a grant") ? approvals.expansion.scopes : nil
    }

    private func readGrantEnd(_ fields: Fields<GrantKey>, _ name: String) -> Int64? {
        guard let node = fields[.until] else {
            sink.error(
                .missingKey, at: fields.position, "a grant without its end",
                mend: "add `until:` with date, time and zone, as in `until: 2026-12-01T00:00:00Z`; "
                    + "what is approved for good stands in `scopes`")
            return nil
        }
        guard let until = readMoment(node, "`until` of a grant") else { return nil }
        if until <= now {
            sink.warning(
                .grantEnded, at: position(node),
                "a grant to the client \(quoted(name)) has ended at \(quoted(tree.bytes(node)))",
                mend: "remove it, or set a later date if it is needed again")
        }
        return until
    }

    private func readReason(_ fields: Fields<GrantKey>) -> String? {
        guard let node = fields[.reason] else {
            sink.error(
                .missingKey, at: fields.position, "a grant without `reason`",
                mend: "add `reason:` with why, or where that stands, as in `reason: INC-42`")
            return nil
        }
        guard
            let reason = text(
                node, "`reason` of a grant", example: "INC-42", bytesMax: ModelReader.reasonBytesMax)
        else { return nil }
        guard reason.unicodeScalars.allSatisfy(isVisible), reason.unicodeScalars.contains(where: { $0 != " " }) else {
            sink.error(
                .badName, at: position(node), "\(quoted(reason)) is no reason: it must be one line of visible text",
                mend: "write why, or where that stands, as in `reason: INC-42`")
            return nil
        }
        return reason
    }
}
