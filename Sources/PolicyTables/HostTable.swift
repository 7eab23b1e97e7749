public import Octets

/// What a route requires of a request.
public enum RouteGround: UInt8, Sendable {
    /// A token with scopes.
    case scopes = 0
    case `public` = 1
    /// A CORS preflight.
    case preflight = 2
}

/// The rule of one route, as a decision needs it: numbers only, to be used with the table it came from.
public struct RouteRule: Sendable, Equatable {
    /// Index into the catalogue's services.
    public let serviceIndex: Int
    /// Index into that service's routes, in the order of the policy.
    public let routeIndex: Int
    public let ground: RouteGround
    /// Unix seconds until which a denial is let through and recorded; `Int64.min` enforces.
    public let observeUntil: Int64
    /// Scopes that a token must all have.
    public let allCount: Int
    /// Scopes of which a token must have one, when there are any.
    public let anyCount: Int
    public let bindingCount: Int
    /// Ports that the rule is narrowed to; 0 is no narrowing.
    public let portCount: Int
    /// What the token must be bound to. A bound token is always held to its binding, whatever stands here.
    public let proof: ProofDemand
    /// Whether a DPoP proof must carry a nonce here, beside what the issuer demands.
    public let demandsNonce: Bool
    /// How long ago the user may have authenticated (`auth_time`), seconds; 0 demands nothing.
    public let authenticationAgeSecondsMax: UInt32
    /// Values of which the token's `acr` must be one, when there are any.
    public let acrCount: Int
    /// Demands on `authorization_details`, which must all hold.
    public let detailCount: Int

    let offset: Int
    let methodBytes: Int
    let labelBytes: Int

    var scopesOffset: Int { offset + HostLayout.ruleBytes }
    var bindingsOffset: Int { scopesOffset + 2 * (allCount + anyCount) }
    var portsOffset: Int { bindingsOffset + HostLayout.bindingBytes * bindingCount }
    var detailsOffset: Int { portsOffset + 2 * portCount }
    var methodOffset: Int { detailsOffset + 2 * detailCount }
    var labelOffset: Int { methodOffset + methodBytes }
    var acrOffset: Int { labelOffset + labelBytes }
}

/// One binding of a path segment to a claim: the two must be equal, byte by byte.
public struct RouteBinding: Sendable, Equatable {
    /// Counted from 0 over the whole path.
    public let segment: Int
    /// Index into the catalogue's bound claims, which every issuer's settings list in the same order.
    public let claimIndex: Int
}

/// The compiled routes of one host, read where they stand.
///
/// Every offset is checked when it is used, so that a corrupt table denies: it ends in `unreadable` or in a
/// route that it holds, never in a trap or a loop. Reading allocates nothing.
public struct HostTable: ~Escapable {
    let bytes: Span<UInt8>

    /// - Parameter bytes: a table as `PolicyCompiler` writes it, at any alignment; anything else is
    ///   unreadable.
    @_lifetime(copy bytes)
    public init(_ bytes: Span<UInt8>) {
        self.bytes = bytes
    }

    /// Whether the header is one that this build reads and the length is what it says.
    public var isReadable: Bool {
        bytes.littleEndian32(at: 0) == HostLayout.magic
            && bytes.littleEndian16(at: 4) == TableLayout.version
            && bytes.littleEndian32(at: HostLayout.totalBytes) == UInt32(truncatingIfNeeded: bytes.count)
    }

    /// Routes of the host, each counted once.
    public var routeCount: Int { Int(bytes.littleEndian32(at: HostLayout.ruleCount) ?? 0) }

    @inline(__always)
    func word(_ offset: Int) -> Int? {
        guard let value = bytes.littleEndian32(at: offset) else { return nil }
        return Int(value)
    }

    @inline(__always)
    func half(_ offset: Int) -> Int? {
        guard let value = bytes.littleEndian16(at: offset) else { return nil }
        return Int(value)
    }

    // MARK: Rules

    /// The rule at `offset`, when all of it lies within the table.
    @inline(__always)
    func rule(at offset: Int) -> RouteRule? {
        guard offset >= HostLayout.headerBytes, offset <= bytes.count - HostLayout.ruleBytes,
            let service = word(offset),
            let route = word(offset + HostLayout.ruleRoute),
            let until = bytes.littleEndian64(at: offset + HostLayout.ruleObserveUntil),
            let ground = RouteGround(rawValue: bytes[offset + HostLayout.ruleGround]),
            let label = half(offset + HostLayout.ruleLabelBytes),
            let all = half(offset + HostLayout.ruleAll),
            let any = half(offset + HostLayout.ruleAny),
            let bindings = half(offset + HostLayout.ruleBindings),
            let ports = half(offset + HostLayout.rulePorts),
            // DENY: a demand that this build does not know must not be taken for none.
            let proof = ProofDemand(rawValue: bytes[offset + HostLayout.ruleProof]),
            let acr = half(offset + HostLayout.ruleAcr),
            bytes[offset + HostLayout.ruleNonce] <= 1,
            let age = bytes.littleEndian32(at: offset + HostLayout.ruleAuthenticationAge),
            let details = half(offset + HostLayout.ruleDetails)
        else { return nil }
        let rule = RouteRule(
            serviceIndex: service, routeIndex: route, ground: ground,
            observeUntil: Int64(bitPattern: until), allCount: all, anyCount: any, bindingCount: bindings,
            portCount: ports, proof: proof, demandsNonce: bytes[offset + HostLayout.ruleNonce] != 0,
            authenticationAgeSecondsMax: age, acrCount: acr, detailCount: details, offset: offset,
            methodBytes: Int(bytes[offset + HostLayout.ruleMethodBytes]), labelBytes: label)
        // DENY: a rule without scopes would be satisfied by any token.
        guard ground != .scopes || all + any > 0 else { return nil }
        // Each acr value takes its count at the least.
        return rule.acrOffset + 2 * acr <= bytes.count ? rule : nil
    }

    /// The id of a scope that must be held; nil beyond `allCount`.
    public func scope(of rule: RouteRule, all index: Int) -> UInt16? {
        guard index >= 0, index < rule.allCount else { return nil }
        return bytes.littleEndian16(at: rule.scopesOffset + 2 * index)
    }

    /// The id of a scope of which one must be held; nil beyond `anyCount`.
    public func scope(of rule: RouteRule, any index: Int) -> UInt16? {
        guard index >= 0, index < rule.anyCount else { return nil }
        return bytes.littleEndian16(at: rule.scopesOffset + 2 * (rule.allCount + index))
    }

    /// A demand of the rule on `authorization_details`, by its index in `IssuerSettings.details`; nil beyond
    /// `detailCount`. An index that the settings do not have is met by no token.
    public func detail(of rule: RouteRule, _ index: Int) -> Int? {
        guard index >= 0, index < rule.detailCount else { return nil }
        return half(rule.detailsOffset + 2 * index)
    }

    /// A binding of the rule; nil beyond `bindingCount`.
    public func binding(of rule: RouteRule, _ index: Int) -> RouteBinding? {
        guard index >= 0, index < rule.bindingCount else { return nil }
        let offset = rule.bindingsOffset + HostLayout.bindingBytes * index
        guard let segment = half(offset), let claim = half(offset + 2) else { return nil }
        return RouteBinding(segment: segment, claimIndex: claim)
    }

    /// A port that the rule is narrowed to; nil beyond `portCount`.
    public func port(of rule: RouteRule, _ index: Int) -> UInt16? {
        guard index >= 0, index < rule.portCount else { return nil }
        return bytes.littleEndian16(at: rule.portsOffset + 2 * index)
    }

    /// A value that `acr` may have; nil beyond `acrCount`, and where the table is corrupt.
    @_lifetime(copy self)
    public func acr(of rule: RouteRule, _ index: Int) -> Span<UInt8>? {
        guard index >= 0, index < rule.acrCount else { return nil }
        var offset = rule.acrOffset
        var left = index
        while let count = half(offset), offset + 2 + count <= bytes.count {
            if left == 0 { return bytes.extracting(offset + 2..<offset + 2 + count) }
            left -= 1
            offset += 2 + count
        }
        return nil
    }

    /// The route as the policy writes it, e.g. `GET /orders/{order}`.
    @_lifetime(copy self)
    public func label(of rule: RouteRule) -> Span<UInt8> {
        bytes.bytes(at: ByteRange(start: rule.labelOffset, count: rule.labelBytes))
    }

    @_lifetime(copy self)
    public func method(of rule: RouteRule) -> Span<UInt8> {
        bytes.bytes(at: ByteRange(start: rule.methodOffset, count: rule.methodBytes))
    }

    /// Whether requests that came in on the port come to this rule.
    @inline(__always)
    func isOpen(_ rule: RouteRule, on port: UInt16) -> Bool {
        guard rule.portCount > 0 else { return true }
        var index = 0
        while index < rule.portCount {
            if bytes.littleEndian16(at: rule.portsOffset + 2 * index) == port { return true }
            index += 1
        }
        return false
    }
}

/// Where a segment lies in the request's path.
public func pathSegment(_ path: Span<UInt8>, _ number: Int) -> ByteRange {
    guard number >= 0, path.count > 0, path[0] == 0x2F else { return .absent }
    var index = 1
    var current = 0
    while index <= path.count {
        let start = index
        while index < path.count, path[index] != 0x2F { index += 1 }
        if current == number { return ByteRange(start: start, count: index - start) }
        current += 1
        index += 1
    }
    return .absent
}
