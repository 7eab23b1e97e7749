internal import Octets

/// What a policy approves for one client of one issuer, read where it stands.
///
/// Everything is checked once, before anything is read: damage makes the record unreadable, and an unreadable one
/// approves nothing and must deny.
public struct ClientRecord: ~Escapable {
    private let bytes: Span<UInt8>
    /// Whether the value is the record of exactly the client that was asked for, whole and of this layout.
    public let isReadable: Bool
    /// What happens to a token that amounts to more than is approved.
    public let rule: ClientModel.ExcessRule
    /// Unix seconds until which what its tokens may not do is let through and recorded; `Int64.min` enforces.
    public let observeUntil: Int64
    public let scopeCount: Int
    /// Scopes approved for a time.
    public let grantCount: Int
    private let identifierRange: ByteRange
    private let nameRange: ByteRange
    private let grantsOffset: Int

    /// Scopes approved for a time; where they stand.
    public struct Grant: Sendable, Equatable {
        /// Unix seconds from which on it is over.
        public let until: Int64
        public let scopeCount: Int
        let scopesOffset: Int
        let reasonRange: ByteRange
        let end: Int
    }

    /// What the header says.
    private struct Parts {
        var rule = ClientModel.ExcessRule.deny
        var observeUntil = Int64.min
        var scopeCount = 0
        var grantCount = 0
        var identifier = ByteRange.absent
        var name = ByteRange.absent
        var grants = 0
    }

    /// - Parameters:
    ///   - bytes: a record as `PolicyCompiler` writes it, at any alignment; anything else is unreadable.
    ///   - issuer: index into the policy's issuers.
    ///   - identifier: of the client that is looked for; the record of another one is unreadable.
    @_lifetime(copy bytes)
    public init(_ bytes: Span<UInt8>, issuer: UInt16, identifier: Span<UInt8>) {
        let found = ClientRecord.parts(bytes, issuer: issuer, identifier: identifier)
        let parts = found ?? Parts()
        self.bytes = bytes
        isReadable = found != nil
        rule = parts.rule
        observeUntil = parts.observeUntil
        scopeCount = parts.scopeCount
        grantCount = parts.grantCount
        identifierRange = parts.identifier
        nameRange = parts.name
        grantsOffset = parts.grants
    }

    private static func parts(_ bytes: Span<UInt8>, issuer: UInt16, identifier: Span<UInt8>) -> Parts? {
        guard isSealed(bytes), bytes.littleEndian16(at: ClientLayout.issuer) == issuer,
            // DENY: a flag that this build does not know could take something away.
            bytes[ClientLayout.flags] == 0,
            let rule = ClientModel.ExcessRule(rawValue: bytes[ClientLayout.rule]),
            let identifierBytes = bytes.littleEndian16(at: ClientLayout.identifierBytes),
            let nameBytes = bytes.littleEndian16(at: ClientLayout.nameBytes),
            let grantCount = bytes.littleEndian16(at: ClientLayout.grantCount),
            let scopeCount = bytes.littleEndian32(at: ClientLayout.scopeCount),
            let observeUntil = bytes.littleEndian64(at: ClientLayout.observeUntil),
            scopeCount <= UInt32(UInt16.max), Int(grantCount) <= ClientLayout.grantsMax
        else { return nil }
        let identifierStart = ClientLayout.headerBytes + 2 * Int(scopeCount)
        let nameStart = identifierStart + Int(identifierBytes)
        let grants = nameStart + Int(nameBytes)
        guard grants <= bytes.count, equal(bytes.extracting(identifierStart..<nameStart), identifier) else {
            return nil
        }
        var end = grants
        for _ in 0..<Int(grantCount) {
            guard let grant = grant(bytes, at: end) else { return nil }
            end = grant.end
        }
        guard end == bytes.count else { return nil }
        return Parts(
            rule: rule, observeUntil: Int64(bitPattern: observeUntil), scopeCount: Int(scopeCount),
            grantCount: Int(grantCount), identifier: ByteRange(start: identifierStart, count: Int(identifierBytes)),
            name: ByteRange(start: nameStart, count: Int(nameBytes)), grants: grants)
    }

    private static func isSealed(_ bytes: Span<UInt8>) -> Bool {
        guard bytes.count >= ClientLayout.headerBytes, bytes.littleEndian32(at: 0) == ClientLayout.magic,
            bytes.littleEndian16(at: 4) == TableLayout.version,
            bytes.littleEndian32(at: ClientLayout.totalBytes) == UInt32(truncatingIfNeeded: bytes.count)
        else { return false }
        return bytes.littleEndian64(at: ClientLayout.check) == clientCheck(bytes)
    }

    private static func grant(_ bytes: Span<UInt8>, at offset: Int) -> Grant? {
        guard let until = bytes.littleEndian64(at: offset),
            let scopes = bytes.littleEndian32(at: offset + ClientLayout.grantScopeCount),
            let reason = bytes.littleEndian16(at: offset + ClientLayout.grantReasonBytes),
            scopes <= UInt32(UInt16.max)
        else { return nil }
        let reasonStart = offset + ClientLayout.grantBytes + 2 * Int(scopes)
        guard reasonStart + Int(reason) <= bytes.count else { return nil }
        return Grant(
            until: Int64(bitPattern: until), scopeCount: Int(scopes),
            scopesOffset: offset + ClientLayout.grantBytes,
            reasonRange: ByteRange(start: reasonStart, count: Int(reason)), end: reasonStart + Int(reason))
    }

    /// As the policy calls the client.
    public var name: Span<UInt8> {
        @_lifetime(copy self)
        get { bytes.bytes(at: nameRange) }
    }

    public var identifier: Span<UInt8> {
        @_lifetime(copy self)
        get { bytes.bytes(at: identifierRange) }
    }

    /// A scope approved without an end; nil beyond `scopeCount`.
    public func scope(_ index: Int) -> UInt16? {
        guard isReadable, index >= 0, index < scopeCount else { return nil }
        return bytes.littleEndian16(at: ClientLayout.headerBytes + 2 * index)
    }

    /// A grant, in the order of the policy; nil beyond `grantCount`. Takes as many steps as there are before it.
    public func grant(_ index: Int) -> Grant? {
        guard isReadable, index >= 0, index < grantCount else { return nil }
        var offset = grantsOffset
        for _ in 0..<index {
            guard let grant = ClientRecord.grant(bytes, at: offset) else { return nil }
            offset = grant.end
        }
        return ClientRecord.grant(bytes, at: offset)
    }

    /// A scope of a grant of this record; nil beyond its count.
    public func scope(of grant: Grant, _ index: Int) -> UInt16? {
        guard index >= 0, index < grant.scopeCount else { return nil }
        return bytes.littleEndian16(at: grant.scopesOffset + 2 * index)
    }

    /// Why a grant of this record was given, as the policy says.
    @_lifetime(copy self)
    public func reason(of grant: Grant) -> Span<UInt8> {
        bytes.bytes(at: grant.reasonRange)
    }
}

/// Over everything but the place where the check itself stands.
func clientCheck(_ bytes: Span<UInt8>) -> UInt64 {
    integrityHash(
        bytes.extracting(ClientLayout.headerBytes...),
        seed: integrityHash(bytes.extracting(0..<ClientLayout.check)))
}
