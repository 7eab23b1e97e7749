internal import Octets

/// Where a service's callers put the token; the name beside it says under what.
public enum TokenSourceKind: UInt8, Sendable {
    case header = 0
    case cookie = 1
    case webSocketProtocol = 2
}

/// How long a scope counts.
public struct ScopeTerm: Sendable, Equatable {
    /// Unix seconds from which on it counts for nothing; `Int64.max` is for ever.
    public let until: Int64
    /// Whether other scopes stand in place of it, and it is an old name that tokens may still carry.
    public let isOldName: Bool

    /// Whether it counts for nothing at this time.
    public func hasEnded(at now: Int64) -> Bool { until <= now && until != .max }
}

/// What all hosts of a policy version share: issuers, scopes and services, read where they stand.
///
/// As with host tables, every offset is checked in use; what cannot be read is absent, and absence denies.
public struct Catalogue: ~Escapable {
    let bytes: Span<UInt8>

    /// - Parameter bytes: a catalogue as `PolicyCompiler` writes it, at any alignment.
    /// - Returns: nil when it is none, or of another layout.
    @_lifetime(copy bytes)
    public init?(_ bytes: Span<UInt8>) {
        guard bytes.littleEndian32(at: 0) == CatalogueLayout.magic,
            bytes.littleEndian16(at: 4) == TableLayout.version,
            bytes.littleEndian32(at: CatalogueLayout.totalBytes) == UInt32(truncatingIfNeeded: bytes.count),
            bytes.count >= CatalogueLayout.headerBytes
        else { return nil }
        self.bytes = bytes
    }

    public var issuerCount: Int { count(CatalogueLayout.issuerCount) }
    public var scopeCount: Int { count(CatalogueLayout.scopeCount) }
    public var serviceCount: Int { count(CatalogueLayout.serviceCount) }
    public var boundClaimCount: Int { count(CatalogueLayout.claimCount) }
    public var hostCount: Int { count(CatalogueLayout.hostCount) }
    public var routeCount: Int { Int(clamping: bytes.littleEndian64(at: CatalogueLayout.routeCount) ?? 0) }

    /// Records take at least a byte each, so a larger number is corrupt.
    private func count(_ offset: Int) -> Int {
        guard let value = bytes.littleEndian32(at: offset), Int(value) <= bytes.count else { return 0 }
        return Int(value)
    }

    /// Where record `index` of a directory stands.
    func record(_ directory: Int, _ index: Int, of count: Int) -> Int? {
        guard index >= 0, index < count, let start = bytes.littleEndian32(at: directory),
            let offset = bytes.littleEndian32(at: Int(start) + 4 * index)
        else { return nil }
        return Int(offset)
    }

    /// A counted text and the offset after it.
    func text(at offset: Int) -> ByteRange? {
        guard let count = bytes.littleEndian16(at: offset), offset + 2 + Int(count) <= bytes.count else {
            return nil
        }
        return ByteRange(start: offset + 2, count: Int(count))
    }

    // MARK: Scopes

    /// The id of a scope by its exact name.
    public func scopeID(of name: Span<UInt8>) -> UInt16? {
        guard let order = bytes.littleEndian32(at: CatalogueLayout.scopesByName) else { return nil }
        var low = 0
        var high = scopeCount
        while low < high {
            let middle = (low + high) / 2
            guard let id = bytes.littleEndian16(at: Int(order) + 2 * middle) else { return nil }
            let order = compare(scopeName(id), name)
            if order == 0 { return id }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return nil
    }

    /// Empty for an id that the policy does not have.
    @_lifetime(copy self)
    public func scopeName(_ id: UInt16) -> Span<UInt8> {
        guard let offset = record(CatalogueLayout.scopeDirectory, Int(id), of: scopeCount),
            let name = text(at: offset + CatalogueLayout.scopeTexts)
        else { return bytes.extracting(0..<0) }
        return bytes.bytes(at: name)
    }

    /// How long a scope counts, and whether it is an old name.
    /// - Returns: nil for an id that the policy does not have, and for a scope that cannot be read: it counts for
    ///   nothing.
    public func scopeTerm(_ id: UInt16) -> ScopeTerm? {
        guard let offset = record(CatalogueLayout.scopeDirectory, Int(id), of: scopeCount),
            offset >= CatalogueLayout.headerBytes, offset < bytes.count - CatalogueLayout.scopeTexts,
            let until = bytes.littleEndian64(at: offset)
        else { return nil }
        // DENY: what a flag of another build would say of the scope is not known.
        let flags = bytes[offset + CatalogueLayout.scopeFlags]
        guard flags & ~CatalogueLayout.scopeIsOldName == 0 else { return nil }
        return ScopeTerm(
            until: Int64(bitPattern: until), isOldName: flags & CatalogueLayout.scopeIsOldName != 0)
    }

    /// Empty where the policy gives none.
    @_lifetime(copy self)
    public func scopeDescription(_ id: UInt16) -> Span<UInt8> {
        guard let offset = record(CatalogueLayout.scopeDirectory, Int(id), of: scopeCount),
            let name = text(at: offset + CatalogueLayout.scopeTexts),
            let description = text(at: Int(name.start) + Int(name.count))
        else { return bytes.extracting(0..<0) }
        return bytes.bytes(at: description)
    }

    /// Calls `body` with every scope that holding `id` grants, itself included, ascending.
    public func forEachImplied(by id: UInt16, _ body: (UInt16) -> Void) {
        guard let offset = record(CatalogueLayout.scopeDirectory, Int(id), of: scopeCount),
            let name = text(at: offset + CatalogueLayout.scopeTexts),
            let description = text(at: Int(name.start) + Int(name.count))
        else { return }
        let start = Int(description.start) + Int(description.count)
        guard let count = bytes.littleEndian32(at: start), Int(count) <= scopeCount else { return }
        for index in 0..<Int(count) {
            guard let scope = bytes.littleEndian16(at: start + 4 + 2 * index) else { return }
            body(scope)
        }
    }

    // MARK: Claims

    /// The name of a claim that routes bind to their path, by `RouteBinding.claimIndex`.
    @_lifetime(copy self)
    public func boundClaim(_ index: Int) -> Span<UInt8>? {
        guard let offset = record(CatalogueLayout.claimDirectory, index, of: boundClaimCount),
            let name = text(at: offset)
        else { return nil }
        return bytes.bytes(at: name)
    }

    // MARK: Authorization details

    /// What routes demand of `authorization_details`, in the order that rules number them.
    /// - Returns: nil when the catalogue is corrupt.
    public func details() -> [DetailModel]? {
        // DENY: with fewer of them than were written a demand would be taken for another one.
        guard let count = bytes.littleEndian32(at: CatalogueLayout.detailCount), count <= DetailModel.countMax else {
            return nil
        }
        var result: [DetailModel] = []
        for index in 0..<Int(count) {
            guard let offset = record(CatalogueLayout.detailDirectory, index, of: Int(count)),
                let detail = detail(at: offset)
            else { return nil }
            result.append(detail)
        }
        return result
    }

    private func detail(at offset: Int) -> DetailModel? {
        guard offset >= CatalogueLayout.headerBytes, let actions = bytes.littleEndian16(at: offset),
            let locations = bytes.littleEndian16(at: offset + 2),
            let (texts, _) = texts(at: offset + 4, 1 + Int(actions) + Int(locations))
        else { return nil }
        return DetailModel(
            type: texts[0], actions: Array(texts[1..<1 + Int(actions)]), locations: Array(texts[(1 + Int(actions))...]))
    }

    /// Texts that follow each other, and the offset after the last one.
    func texts(at offset: Int, _ count: Int) -> (texts: [String], end: Int)? {
        var result: [String] = []
        var end = offset
        for _ in 0..<count {
            guard let range = text(at: end) else { return nil }
            result.append(String(lossy: bytes.bytes(at: range)))
            end += 2 + Int(range.count)
        }
        return (result, end)
    }

    // MARK: Services

    /// A service by `RouteRule.serviceIndex`.
    @_lifetime(copy self)
    public func service(_ index: Int) -> ServiceRecord? {
        guard let offset = record(CatalogueLayout.serviceDirectory, index, of: serviceCount) else {
            return nil
        }
        return ServiceRecord(bytes, at: offset)
    }
}
