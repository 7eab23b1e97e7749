internal import PolicyTables

extension Decider {
    /// Why the next request could not be decided; nil when a policy is in force and can be read. For health checks.
    public func unreadiness() -> Reason? {
        board.refresh(&snapshot, seen: &epoch)
        guard let snapshot else { return .noPolicy }
        guard reader.begin(version: snapshot.version) else { return .policyUnreadable }
        defer { reader.end() }
        return hasCatalogue(reader) ? nil : .policyUnreadable
    }

    private func hasCatalogue(_ reader: borrowing PolicyReader) -> Bool { reader.catalogue() != nil }
}
