internal import Octets

/// Where a service's callers put the token; the name beside it says under what.
public enum TokenSourceKind: UInt8, Sendable {
    case header = 0
    case cookie = 1
    case webSocketProtocol = 2
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
            let name = text(at: offset)
        else { return bytes.extracting(0..<0) }
        return bytes.bytes(at: name)
    }

    /// Empty where the policy gives none.
    @_lifetime(copy self)
    public func scopeDescription(_ id: UInt16) -> Span<UInt8> {
        guard let offset = record(CatalogueLayout.scopeDirectory, Int(id), of: scopeCount),
            let name = text(at: offset), let description = text(at: offset + 2 + Int(name.count))
        else { return bytes.extracting(0..<0) }
        return bytes.bytes(at: description)
    }

    /// Calls `body` with every scope that holding `id` grants, itself included, ascending.
    public func forEachImplied(by id: UInt16, _ body: (UInt16) -> Void) {
        guard let offset = record(CatalogueLayout.scopeDirectory, Int(id), of: scopeCount),
            let name = text(at: offset), let description = text(at: offset + 2 + Int(name.count))
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

/// One service of a catalogue.
public struct ServiceRecord: ~Escapable {
    private let bytes: Span<UInt8>
    public let tokenSource: TokenSourceKind
    public let issuerCount: Int
    /// Ports of the listener; 0 is any.
    public let portCount: Int
    public let routeCount: Int
    /// What clients write into URLs where it is not the listener's port; 0 when it is.
    public let publicPort: UInt16
    private let nameRange: ByteRange
    private let audienceRange: ByteRange
    private let sourceRange: ByteRange
    private let issuers: Int

    @_lifetime(copy bytes)
    init?(_ bytes: Span<UInt8>, at offset: Int) {
        guard offset >= CatalogueLayout.headerBytes, offset < bytes.count,
            let source = TokenSourceKind(rawValue: bytes[offset]),
            let issuerCount = bytes.littleEndian16(at: offset + CatalogueLayout.serviceIssuers),
            let portCount = bytes.littleEndian16(at: offset + CatalogueLayout.servicePorts),
            let publicPort = bytes.littleEndian16(at: offset + CatalogueLayout.servicePublicPort),
            let routeCount = bytes.littleEndian32(at: offset + CatalogueLayout.serviceRoutes)
        else { return nil }
        var end = offset + CatalogueLayout.serviceTexts
        var ranges: (ByteRange, ByteRange, ByteRange) = (.absent, .absent, .absent)
        for index in 0..<3 {
            guard let count = bytes.littleEndian16(at: end) else { return nil }
            let range = ByteRange(start: end + 2, count: Int(count))
            switch index {
            case 0: ranges.0 = range
            case 1: ranges.1 = range
            default: ranges.2 = range
            }
            end += 2 + Int(count)
        }
        guard end + 2 * (Int(issuerCount) + Int(portCount)) <= bytes.count else { return nil }
        self.bytes = bytes
        tokenSource = source
        self.issuerCount = Int(issuerCount)
        self.portCount = Int(portCount)
        self.routeCount = Int(routeCount)
        self.publicPort = publicPort
        (nameRange, audienceRange, sourceRange) = ranges
        issuers = end
    }

    public var name: Span<UInt8> {
        @_lifetime(copy self)
        get { bytes.bytes(at: nameRange) }
    }

    /// What a token must name in `aud`; empty when the issuer's own list is the only check.
    public var audience: Span<UInt8> {
        @_lifetime(copy self)
        get { bytes.bytes(at: audienceRange) }
    }

    /// The cookie's name or the subprotocol's marker; empty for the header.
    public var tokenSourceName: Span<UInt8> {
        @_lifetime(copy self)
        get { bytes.bytes(at: sourceRange) }
    }

    /// An issuer that may speak for the service, by its index in the policy; nil beyond `issuerCount`.
    public func issuer(_ index: Int) -> Int? {
        guard index >= 0, index < issuerCount, let value = bytes.littleEndian16(at: issuers + 2 * index)
        else {
            return nil
        }
        return Int(value)
    }

    /// Whether the issuer may speak for the service.
    public func allows(issuer: Int) -> Bool {
        for index in 0..<issuerCount where self.issuer(index) == issuer { return true }
        return false
    }

    /// A port of the listener that the service is bound to; nil beyond `portCount`.
    public func port(_ index: Int) -> UInt16? {
        guard index >= 0, index < portCount else { return nil }
        return bytes.littleEndian16(at: issuers + 2 * (issuerCount + index))
    }
}
