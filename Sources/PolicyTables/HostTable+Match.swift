internal import Octets

/// What the routes of a host say about one request.
public enum RouteMatch: Sendable, Equatable {
    case matched(RouteRule)
    /// No route has the path.
    case unknownRoute
    /// The most specific path that matches does not list the method.
    case methodNotAllowed
    /// It lists the method, on other ports; or no service of the host is on the port.
    case portNotAllowed
    /// The table is corrupt or of another layout.
    case unreadable
}

extension HostTable {
    /// Finds the rule for a request.
    ///
    /// The most specific path wins over all methods, segment by segment: literal before `{parameter}` before
    /// `**`. Then its method, GET standing for HEAD where HEAD is not listed; then the rule's own ports.
    /// A miss never falls through to a weaker path.
    /// - Parameters:
    ///   - path: canonical, from its first `/`, without the query; see `appendCanonicalLiteral`.
    ///   - port: of the listener that the request came in on.
    public func match(method: Span<UInt8>, path: Span<UInt8>, port: UInt16) -> RouteMatch {
        var search = PathSearch(choice: AnyTerminal())
        switch find(path, port: port, &search) {
        case .unreadable: return .unreadable
        case .none: return .unknownRoute
        case .noService: return .portNotAllowed
        case .terminal(let terminal): return rule(in: terminal, method: method, port: port)
        }
    }

    /// Finds the rule that answers a CORS preflight: OPTIONS with `Origin` and
    /// `Access-Control-Request-Method`.
    ///
    /// The most specific path must list the requested method, open on the port and not itself a preflight. Of
    /// the paths that match, the most specific one that lists OPTIONS decides: where that is an ordinary
    /// route, it is no preflight.
    /// - Returns: a rule of ground `preflight`, or nil: the request is then an OPTIONS like any other.
    public func matchPreflight(path: Span<UInt8>, port: UInt16, requestedMethod: Span<UInt8>) -> RouteRule? {
        var first = PathSearch(choice: AnyTerminal())
        guard case .terminal(let place) = find(path, port: port, &first),
            case .matched(let requested) = rule(in: place, method: requestedMethod, port: port),
            requested.ground != .preflight
        else { return nil }
        var search = PathSearch(choice: OptionsTerminal())
        guard case .terminal(let terminal) = find(path, port: port, &search) else { return nil }
        let found = InlineArray<7, UInt8> { HostTable.optionsMethod[$0] }
        guard case .matched(let rule) = rule(in: terminal, method: found.span, port: port),
            rule.ground == .preflight
        else { return nil }
        return rule
    }

    static let optionsMethod: InlineArray<7, UInt8> = [0x4F, 0x50, 0x54, 0x49, 0x4F, 0x4E, 0x53]
}

// MARK: Terminals

extension HostTable {
    /// The place of a method's entry in a terminal.
    enum EntrySearch {
        case entry(Int)
        case none
        case unreadable
    }

    /// The rule for a method among the routes that end at one path.
    @inline(__always)
    func rule(in terminal: Int, method: Span<UInt8>, port: UInt16) -> RouteMatch {
        switch entry(in: terminal, key: methodKey(method)) {
        case .unreadable: return .unreadable
        case .entry(let entry): return rule(inEntry: entry, method: method, port: port)
        case .none: break
        }
        guard equal(method, "HEAD") else { return .methodNotAllowed }
        let get: InlineArray<3, UInt8> = [0x47, 0x45, 0x54]
        switch entry(in: terminal, key: methodKey(get.span)) {
        case .unreadable: return .unreadable
        case .entry(let entry): return rule(inEntry: entry, method: get.span, port: port)
        case .none: return .methodNotAllowed
        }
    }

    @inline(__always)
    func entry(in terminal: Int, key: UInt64) -> EntrySearch {
        guard let count = word(terminal), count > 0,
            count <= (bytes.count - terminal) / HostLayout.entryBytes
        else { return .unreadable }
        var offset = terminal + HostLayout.terminalBytes
        let end = offset + count * HostLayout.entryBytes
        while offset < end {
            if bytes.littleEndian64(at: offset) == key { return .entry(offset) }
            offset += HostLayout.entryBytes
        }
        return .none
    }

    @inline(__always)
    private func rule(inEntry entry: Int, method: Span<UInt8>, port: UInt16) -> RouteMatch {
        guard let first = word(entry + HostLayout.entryRule),
            let count = word(entry + HostLayout.entryRuleCount), count > 0
        else { return .unreadable }
        if count == 1 {
            guard let rule = rule(at: first) else { return .unreadable }
            // Keys of long methods are hashes, and a request's method can hold any byte.
            guard equal(self.method(of: rule), method) else { return .methodNotAllowed }
            return isOpen(rule, on: port) ? .matched(rule) : .portNotAllowed
        }
        guard count <= bytes.count / 4 else { return .unreadable }
        var index = 0
        while index < count {
            guard let offset = word(first + 4 * index), let rule = rule(at: offset) else {
                return .unreadable
            }
            guard equal(self.method(of: rule), method) else { return .methodNotAllowed }
            if isOpen(rule, on: port) { return .matched(rule) }
            index += 1
        }
        return .portNotAllowed
    }
}
