internal import Octets

/// What a port without HTTP requires of a connection, to be used with the table it came from.
public struct PortRule: Sendable, Equatable {
    public let port: UInt16
    /// Unix seconds until which a denial is let through and recorded; `Int64.min` enforces.
    public let observeUntil: Int64
    /// Scopes that a client must all hold.
    public let allCount: Int
    /// Scopes of which a client must hold one, when there are any.
    public let anyCount: Int

    let offset: Int
    let serviceBytes: Int

    var scopesOffset: Int { offset + PortLayout.ruleBytes }
    var serviceOffset: Int { scopesOffset + 2 * (allCount + anyCount) }
}

/// Which name of a certificate a client is known by.
public enum IdentityKind: UInt8, Sendable, CaseIterable {
    /// The one URI of the subject alternative names.
    case uri = 0
    /// A DNS name of them.
    case dns = 1
    /// The whole subject as RFC 4514 text.
    case subject = 2
}

/// A client that is known by its certificate, to be used with the table it came from.
public struct PortClient: Sendable, Equatable {
    public let kind: IdentityKind
    /// Scopes that it holds, everything they imply among them.
    public let scopeCount: Int

    let offset: Int
    let identityBytes: Int
    let nameBytes: Int

    var scopesOffset: Int { offset + PortLayout.clientBytes }
    var namedOrderOffset: Int { scopesOffset + 2 * scopeCount }
    var identityOffset: Int { namedOrderOffset + 2 * scopeCount }
    var nameOffset: Int { identityOffset + identityBytes }
}

public enum PortMatch: Sendable, Equatable {
    case matched(PortRule)
    /// No service without HTTP has the port.
    case unknownPort
    /// The table is corrupt or of another layout.
    case unreadable
}

public enum ClientMatch: Sendable, Equatable {
    case matched(PortClient)
    case unknownIdentity
    /// The table is corrupt or of another layout.
    case unreadable
}

/// The ports without HTTP of a policy version, and the clients that are known by their certificates, read where they
/// stand.
///
/// Every offset is checked when it is used, and every record has a check of its own: damage hides what the table says
/// and never makes it say more. Reading allocates nothing.
public struct PortTable: ~Escapable {
    private let bytes: Span<UInt8>

    /// - Parameter bytes: a table as `PolicyCompiler` writes it, at any alignment; anything else is unreadable.
    @_lifetime(copy bytes)
    public init(_ bytes: Span<UInt8>) {
        self.bytes = bytes
    }

    /// Whether the header is one that this build reads and the length is what it says.
    public var isReadable: Bool {
        bytes.littleEndian32(at: 0) == PortLayout.magic
            && bytes.littleEndian16(at: 4) == TableLayout.version
            && bytes.littleEndian32(at: PortLayout.totalBytes) == UInt32(truncatingIfNeeded: bytes.count)
            && bytes.count >= PortLayout.headerBytes
    }

    /// Ports of all services together.
    public var portCount: Int { count(PortLayout.portCount) }
    public var clientCount: Int { count(PortLayout.clientCount) }

    /// Records take four bytes of their directory each, so a larger number is corrupt.
    private func count(_ offset: Int) -> Int {
        guard let value = bytes.littleEndian32(at: offset), Int(value) <= bytes.count / 4 else { return 0 }
        return Int(value)
    }

    /// Where record `index` of a directory stands.
    private func record(_ directory: Int, _ index: Int, of count: Int) -> Int? {
        guard index >= 0, index < count, let start = bytes.littleEndian32(at: directory),
            let offset = bytes.littleEndian32(at: Int(start) + 4 * index), offset >= PortLayout.headerBytes
        else { return nil }
        return Int(offset)
    }

    /// Whether the record from `offset` to before `end` lies within the table and its check is right.
    private func isWhole(from offset: Int, to end: Int) -> Bool {
        guard end <= bytes.count, let check = bytes.littleEndian64(at: offset) else { return false }
        return check == integrityHash(bytes.extracting(offset + PortLayout.checkBytes..<end))
    }

    // MARK: Ports

    /// The rule of a port of the listener that the connection came in on.
    public func match(port: UInt16) -> PortMatch {
        guard isReadable else { return .unreadable }
        let count = portCount
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            guard let offset = record(PortLayout.portDirectory, middle, of: count),
                let found = bytes.littleEndian16(at: offset + PortLayout.rulePort)
            else { return .unreadable }
            if found == port {
                guard let rule = rule(at: offset), rule.port == port else { return .unreadable }
                return .matched(rule)
            }
            if found < port { low = middle + 1 } else { high = middle }
        }
        return .unknownPort
    }

    /// The rules in the order of their ports; nil beyond `portCount` and where the table is corrupt.
    public func rule(_ index: Int) -> PortRule? {
        guard isReadable, let offset = record(PortLayout.portDirectory, index, of: portCount) else { return nil }
        return rule(at: offset)
    }

    private func rule(at offset: Int) -> PortRule? {
        guard let port = bytes.littleEndian16(at: offset + PortLayout.rulePort),
            let service = bytes.littleEndian16(at: offset + PortLayout.ruleService),
            let all = bytes.littleEndian16(at: offset + PortLayout.ruleAll),
            let any = bytes.littleEndian16(at: offset + PortLayout.ruleAny),
            let until = bytes.littleEndian64(at: offset + PortLayout.ruleObserveUntil)
        else { return nil }
        let rule = PortRule(
            port: port, observeUntil: Int64(bitPattern: until), allCount: Int(all), anyCount: Int(any),
            offset: offset, serviceBytes: Int(service))
        // DENY: a rule without scopes would be satisfied by every client.
        guard rule.allCount + rule.anyCount > 0 else { return nil }
        return isWhole(from: offset, to: rule.serviceOffset + rule.serviceBytes) ? rule : nil
    }

    /// The id of a scope that must be held; nil beyond `allCount`.
    public func scope(of rule: PortRule, all index: Int) -> UInt16? {
        guard index >= 0, index < rule.allCount else { return nil }
        return bytes.littleEndian16(at: rule.scopesOffset + 2 * index)
    }

    /// The id of a scope of which one must be held; nil beyond `anyCount`.
    public func scope(of rule: PortRule, any index: Int) -> UInt16? {
        guard index >= 0, index < rule.anyCount else { return nil }
        return bytes.littleEndian16(at: rule.scopesOffset + 2 * (rule.allCount + index))
    }

    @_lifetime(copy self)
    public func serviceName(of rule: PortRule) -> Span<UInt8> {
        bytes.bytes(at: ByteRange(start: rule.serviceOffset, count: rule.serviceBytes))
    }

    // MARK: Clients

    /// The client that is known by a name of a certificate: exact bytes, but ASCII letters of a DNS name match in
    /// either case.
    public func client(_ kind: IdentityKind, _ identity: Span<UInt8>) -> ClientMatch {
        guard isReadable else { return .unreadable }
        guard identity.count > 0 else { return .unknownIdentity }
        let count = clientCount
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            guard let offset = record(PortLayout.clientDirectory, middle, of: count),
                let found = unverifiedClient(at: offset)
            else { return .unreadable }
            let order =
                found.kind == kind
                ? compare(self.identity(of: found), identity, ignoringCase: kind == .dns)
                : Int(found.kind.rawValue) - Int(kind.rawValue)
            if order == 0 { return isWhole(found) ? .matched(found) : .unreadable }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return .unknownIdentity
    }

    /// The clients in the order of the layout; nil beyond `clientCount` and where the table is corrupt.
    public func client(_ index: Int) -> PortClient? {
        guard isReadable, let offset = record(PortLayout.clientDirectory, index, of: clientCount),
            let found = unverifiedClient(at: offset), isWhole(found)
        else { return nil }
        return found
    }

    private func unverifiedClient(at offset: Int) -> PortClient? {
        guard let kindByte = bytes.littleEndian16(at: offset + PortLayout.clientKind),
            let kind = IdentityKind(rawValue: UInt8(truncatingIfNeeded: kindByte)),
            let identity = bytes.littleEndian16(at: offset + PortLayout.clientIdentity),
            let name = bytes.littleEndian16(at: offset + PortLayout.clientName),
            let scopes = bytes.littleEndian16(at: offset + PortLayout.clientScopes)
        else { return nil }
        return PortClient(
            kind: kind, scopeCount: Int(scopes), offset: offset, identityBytes: Int(identity), nameBytes: Int(name))
    }

    private func isWhole(_ client: PortClient) -> Bool {
        isWhole(from: client.offset, to: client.nameOffset + client.nameBytes)
    }

    /// Whether the client holds a scope.
    public func holds(_ client: PortClient, _ scope: UInt16) -> Bool {
        var low = 0
        var high = client.scopeCount
        while low < high {
            let middle = (low + high) / 2
            guard let found = bytes.littleEndian16(at: client.scopesOffset + 2 * middle) else { return false }
            if found == scope { return true }
            if found < scope { low = middle + 1 } else { high = middle }
        }
        return false
    }

    /// Whether the client holds what the rule requires: all of `all`, and one of `any` where there are any.
    public func holds(_ client: PortClient, _ rule: PortRule) -> Bool {
        guard rule.allCount + rule.anyCount > 0 else { return false }
        for index in 0..<rule.allCount {
            guard let scope = scope(of: rule, all: index), holds(client, scope) else { return false }
        }
        guard rule.anyCount > 0 else { return true }
        for index in 0..<rule.anyCount {
            if let scope = scope(of: rule, any: index), holds(client, scope) { return true }
        }
        return false
    }

    /// The scopes that the client holds, in byte order of their names; nil beyond `scopeCount`.
    public func scope(of client: PortClient, inNameOrder index: Int) -> UInt16? {
        guard index >= 0, index < client.scopeCount else { return nil }
        return bytes.littleEndian16(at: client.namedOrderOffset + 2 * index)
    }

    /// The name that the policy gives the client.
    @_lifetime(copy self)
    public func name(of client: PortClient) -> Span<UInt8> {
        bytes.bytes(at: ByteRange(start: client.nameOffset, count: client.nameBytes))
    }

    /// The name in a certificate that it is known by, as the policy spells it.
    @_lifetime(copy self)
    public func identity(of client: PortClient) -> Span<UInt8> {
        bytes.bytes(at: ByteRange(start: client.identityOffset, count: client.identityBytes))
    }
}

/// Byte-wise order, as `Octets.compare`.
/// - Parameter ignoringCase: takes the upper-case ASCII letters of `right` for lower-case ones.
private func compare(_ left: Span<UInt8>, _ right: Span<UInt8>, ignoringCase: Bool) -> Int {
    guard ignoringCase else { return compare(left, right) }
    let shorter = min(left.count, right.count)
    for index in 0..<shorter {
        let byte = lowercased(right[index])
        if left[index] != byte { return Int(left[index]) - Int(byte) }
    }
    return left.count - right.count
}
