internal import Octets

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
    /// Unix seconds from which on every request to it is denied; `Int64.max` is for ever.
    public let until: Int64
    /// Whether the backend may see the client's own token.
    public let forwardsToken: Bool
    /// Whether an allow carries a transaction token of ours.
    public let hasTransactionToken: Bool
    private let nameRange: ByteRange
    private let audienceRange: ByteRange
    private let sourceRange: ByteRange
    private let metadataRange: ByteRange
    private let issuers: Int

    @_lifetime(copy bytes)
    init?(_ bytes: Span<UInt8>, at offset: Int) {
        guard offset >= CatalogueLayout.headerBytes, offset < bytes.count - CatalogueLayout.serviceTexts,
            let source = TokenSourceKind(rawValue: bytes[offset]),
            let issuerCount = bytes.littleEndian16(at: offset + CatalogueLayout.serviceIssuers),
            let portCount = bytes.littleEndian16(at: offset + CatalogueLayout.servicePorts),
            let publicPort = bytes.littleEndian16(at: offset + CatalogueLayout.servicePublicPort),
            let routeCount = bytes.littleEndian32(at: offset + CatalogueLayout.serviceRoutes),
            let until = bytes.littleEndian64(at: offset + CatalogueLayout.serviceUntil)
        else { return nil }
        // DENY: a demand that this build does not know must not be taken for none.
        let flags = bytes[offset + CatalogueLayout.serviceFlags]
        guard flags & ~(CatalogueLayout.serviceKeepsToken | CatalogueLayout.serviceTransactionToken) == 0,
            let name = countedText(bytes, at: offset + CatalogueLayout.serviceTexts),
            let audience = countedText(bytes, at: name.end), let sourceName = countedText(bytes, at: audience.end),
            let metadata = countedText(bytes, at: sourceName.end)
        else { return nil }
        let end = metadata.end
        guard end + 2 * (Int(issuerCount) + Int(portCount)) <= bytes.count else { return nil }
        self.bytes = bytes
        tokenSource = source
        self.issuerCount = Int(issuerCount)
        self.portCount = Int(portCount)
        self.routeCount = Int(routeCount)
        self.publicPort = publicPort
        self.until = Int64(bitPattern: until)
        forwardsToken = flags & CatalogueLayout.serviceKeepsToken == 0
        hasTransactionToken = flags & CatalogueLayout.serviceTransactionToken != 0
        nameRange = name.range
        audienceRange = audience.range
        sourceRange = sourceName.range
        metadataRange = metadata.range
        issuers = end
    }

    /// Whether what it published is over.
    public func hasEnded(at now: Int64) -> Bool { until <= now && until != .max }

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

    /// Where the service's metadata is published (RFC 9728 §3.1), e.g.
    /// `https://api.example.com/.well-known/oauth-protected-resource/v1`; empty when it is not.
    public var metadataURL: Span<UInt8> {
        @_lifetime(copy self)
        get { bytes.bytes(at: metadataRange) }
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

/// A counted text and the offset after it; nil when it does not end within the bytes.
private func countedText(_ bytes: Span<UInt8>, at offset: Int) -> (range: ByteRange, end: Int)? {
    guard let count = bytes.littleEndian16(at: offset), offset + 2 + Int(count) <= bytes.count else { return nil }
    return (ByteRange(start: offset + 2, count: Int(count)), offset + 2 + Int(count))
}
