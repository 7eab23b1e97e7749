internal import Octets
public import Signatures
internal import Store

/// Looks compiled tables up for one worker, in one snapshot of the store for each decision.
///
/// `begin`, look up, `end`; neither allocates nor locks, except that the first `begin` of a version copies
/// its catalogue, so that each decision costs one search in the store. One thread at a time.
public struct PolicyReader: ~Copyable, Sendable {
    /// A larger catalogue is read in place, each time.
    private static let copiedCatalogueBytesMax = 4 * 1_024 * 1_024

    private var reader: Reader
    private let tables: Database
    private var version: Digest?
    private var prefix = InlineArray<16, UInt8>(repeating: 0)
    /// Of `version`; empty when it is read in place.
    private var catalogueBytes: [UInt8] = []

    init(_ reader: consuming Reader, tables: Database) {
        self.reader = reader
        self.tables = tables
    }

    /// Takes the newest snapshot of the store; all look-ups until `end` are about `version`.
    /// - Returns: false when the store cannot be read or does not hold the version: deny.
    public mutating func begin(version: Digest) -> Bool {
        do { try reader.renew() } catch { return false }
        if self.version == version { return true }
        guard load(version) else {
            reader.reset()
            return false
        }
        return true
    }

    /// Lets the snapshot go.
    public mutating func end() {
        reader.reset()
    }

    private mutating func load(_ version: Digest) -> Bool {
        self.version = nil
        catalogueBytes = []
        for index in 0..<TableKey.versionBytes { prefix[index] = version[index] }
        guard let copy = copiedCatalogue(version) else { return false }
        catalogueBytes = copy
        self.version = version
        return true
    }

    /// - Returns: nothing for a large one, nil when there is none.
    private borrowing func copiedCatalogue(_ version: Digest) -> [UInt8]? {
        guard let bytes = reader.get(tables, TableKey.catalogue(version).span) else { return nil }
        return bytes.count <= PolicyReader.copiedCatalogueBytesMax ? [UInt8](copying: bytes) : []
    }

    /// The catalogue of the version.
    /// - Returns: nil outside `begin` and `end`, and when it is corrupt.
    @_lifetime(borrow self)
    public borrowing func catalogue() -> Catalogue? {
        guard reader.isRenewed, let version else { return nil }
        if !catalogueBytes.isEmpty { return Catalogue(catalogueBytes.span) }
        guard let bytes = reader.get(tables, TableKey.catalogue(version).span) else { return nil }
        return Catalogue(bytes)
    }

    /// The ports without HTTP of the version.
    /// - Returns: nil when it has none. A store that fails gives a table that is unreadable.
    @_lifetime(borrow self)
    public borrowing func portTable() -> PortTable? {
        guard reader.isRenewed, version != nil else { return nil }
        var key = InlineArray<17, UInt8>(repeating: TableKey.portMark)
        for index in 0..<TableKey.versionBytes { key[index] = prefix[index] }
        if let bytes = reader.get(tables, key.span) { return PortTable(bytes) }
        return reader.presence(tables, key.span) == .absent ? nil : PortTable(Span())
    }

    /// What the policy approves for a client that is known by its identifier in tokens of an issuer.
    /// - Returns: nil when the policy does not list it. A store that fails gives a record that is unreadable, so that a
    ///   failure never makes a listed client one that is not.
    @_lifetime(borrow self)
    public borrowing func client(issuer: Int, identifier: Span<UInt8>) -> ClientRecord? {
        guard reader.isRenewed, version != nil, let number = UInt16(exactly: issuer) else {
            return ClientRecord(Span(), issuer: 0, identifier: Span())
        }
        // No policy lists these, and LMDB would take the question for a fault.
        guard identifier.count > 0, identifier.count <= ClientModel.identifierBytesMax else { return nil }
        var key = InlineArray<274, UInt8>(repeating: 0)
        for index in 0..<TableKey.versionBytes { key[index] = prefix[index] }
        let start = TableKey.versionBytes + 3
        key[start - 3] = TableKey.clientMark
        key[start - 2] = UInt8(number >> 8)
        key[start - 1] = UInt8(truncatingIfNeeded: number)
        for index in identifier.indices { key[start + index] = identifier[index] }
        let end = start + identifier.count
        if let bytes = reader.get(tables, key.span.extracting(0..<end)) {
            return ClientRecord(bytes, issuer: number, identifier: identifier)
        }
        guard reader.presence(tables, key.span.extracting(0..<end)) == .absent else {
            return ClientRecord(Span(), issuer: 0, identifier: Span())
        }
        return nil
    }

    /// The table of a host: its own, else that of `*.` and everything after its first label.
    ///
    /// - Parameter host: canonical: lower case, no port, no trailing dot.
    /// - Returns: nil when the policy has neither. A store that fails gives a table that is unreadable, so
    ///   that a failure never makes the weaker table answer.
    @_lifetime(borrow self)
    public borrowing func hostTable(_ host: Span<UInt8>) -> HostTable? {
        // A request cannot name the `*.` key itself.
        guard reader.isRenewed, version != nil, host.count > 0, host.count <= TableLayout.hostBytesMax,
            host[0] != 0x2A
        else { return nil }
        var key = InlineArray<272, UInt8>(repeating: 0)
        for index in 0..<TableKey.versionBytes { key[index] = prefix[index] }
        let start = TableKey.versionBytes + 1
        key[start - 1] = TableKey.hostMark
        for index in host.indices { key[start + index] = host[index] }
        let end = start + host.count
        if let bytes = reader.get(tables, key.span.extracting(0..<end)) { return HostTable(bytes) }
        guard reader.presence(tables, key.span.extracting(0..<end)) == .absent else {
            return HostTable(Span())
        }

        var dot = 0
        while dot < host.count, host[dot] != 0x2E { dot += 1 }
        guard dot > 0, dot + 1 < host.count else { return nil }
        // `*` takes the place of the label's last byte, and the key starts that much later.
        let shift = dot - 1
        key[start + shift] = 0x2A
        for index in 0..<start { key[start + shift - 1 - index] = key[start - 1 - index] }
        let wildcard = key.span.extracting(shift..<end)
        if let bytes = reader.get(tables, wildcard) { return HostTable(bytes) }
        return reader.presence(tables, wildcard) == .absent ? nil : HostTable(Span())
    }
}
