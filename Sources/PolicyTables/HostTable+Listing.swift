internal import Octets

/// One rule at a place of a table, as lists and explanations show it.
public struct ListedRoute: Sendable, Equatable {
    /// The port whose own trie this is; nil is that of all ports without one.
    public var port: UInt16?
    /// Canonical, `{}` for each parameter, `**` for the rest.
    public var path: String
    public var method: String
    /// As the policy writes it.
    public var label: String
    public var rule: RouteRule
}

/// A path that matches a request, with everything listed there: explanations show these in order, and only
/// the first one decides.
public struct ConsideredPath: Sendable, Equatable {
    public var routes: [ListedRoute]
}

extension HostTable {
    /// Every path that matches, most specific first. Allocates; for explanations.
    /// - Returns: nil when the table is unreadable.
    public func considered(path: Span<UInt8>, port: UInt16) -> [ConsideredPath]? {
        var search = PathSearch(choice: EveryTerminal())
        if case .unreadable = find(path, port: port, &search) { return nil }
        var result: [ConsideredPath] = []
        var rulesLeft = listedRulesMax
        for terminal in search.choice.found {
            guard let routes = listed(terminal, path: "", port: nil, &rulesLeft) else { return nil }
            result.append(ConsideredPath(routes: routes))
        }
        return result
    }

    /// Every route at every place of the table: the default trie, then each port's. Allocates.
    /// - Returns: nil when the table is unreadable; a corrupt one may also give a part.
    public func listing() -> [ListedRoute]? {
        guard isReadable, let ports = word(HostLayout.portCount),
            let directory = word(HostLayout.portDirectory),
            let root = root(at: HostLayout.defaultRoot, bound: HostLayout.defaultBound)
        else { return nil }
        var all = Listing(nodesLeft: bytes.count / HostLayout.nodeBytes, rulesLeft: listedRulesMax)
        if root.node != 0, !list(root.node, "", 0, nil, into: &all) { return nil }
        guard ports <= bytes.count / HostLayout.portBytes else { return nil }
        for index in 0..<ports {
            let entry = directory + index * HostLayout.portBytes
            guard let port = bytes.littleEndian16(at: entry),
                let root = self.root(at: entry + HostLayout.portRoot, bound: entry + HostLayout.portBound)
            else { return nil }
            all.nodesLeft = bytes.count / HostLayout.nodeBytes
            all.rulesLeft = listedRulesMax
            if root.node != 0, !list(root.node, "", 0, port, into: &all) { return nil }
        }
        return all.routes
    }

    /// Every rule of one trie is named in four bytes at the least. A corrupt table could name the same ones
    /// from every terminal, and a list of it would be far longer than the table.
    private var listedRulesMax: Int { bytes.count / 4 }

    private struct Listing {
        var nodesLeft: Int
        var rulesLeft: Int
        var routes: [ListedRoute] = []
    }

    /// - Returns: false when the table is unreadable.
    private func list(
        _ node: Int, _ path: String, _ depth: Int, _ port: UInt16?, into list: inout Listing
    ) -> Bool {
        list.nodesLeft -= 1
        guard list.nodesLeft >= 0, depth <= TableLayout.segmentsMax, let literals = word(node),
            let parameter = word(node + HostLayout.nodeParameter),
            let rest = word(node + HostLayout.nodeRest),
            let terminal = word(node + HostLayout.nodeTerminal),
            let bits = word(node + HostLayout.nodeBucketBits), bits <= TableLayout.bucketBitsMax,
            literals <= bytes.count / HostLayout.literalBytes
        else { return false }
        guard append(terminal, path, port, to: &list) else { return false }
        let entries = node + HostLayout.nodeBytes + (bits > 0 ? 4 * (1 << bits + 1) : 0)
        for index in 0..<literals {
            let entry = entries + index * HostLayout.literalBytes
            guard let child = word(entry + HostLayout.literalNode), child != 0,
                let text = word(entry + HostLayout.literalText), let length = half(text),
                text + 2 + length <= bytes.count
            else { return false }
            let name = String(lossy: bytes.extracting(text + 2..<text + 2 + length))
            guard self.list(child, "\(path)/\(name)", depth + 1, port, into: &list) else { return false }
        }
        if parameter != 0, !self.list(parameter, path + "/{}", depth + 1, port, into: &list) { return false }
        return append(rest, path + "/**", port, to: &list)
    }

    private func append(_ terminal: Int, _ path: String, _ port: UInt16?, to list: inout Listing) -> Bool {
        guard terminal != 0 else { return true }
        guard let routes = listed(terminal, path: path, port: port, &list.rulesLeft) else { return false }
        list.routes += routes
        return true
    }

    private func listed(
        _ terminal: Int, path: String, port: UInt16?, _ rulesLeft: inout Int
    ) -> [ListedRoute]? {
        guard let count = word(terminal), count <= (bytes.count - terminal) / HostLayout.entryBytes else {
            return nil
        }
        var result: [ListedRoute] = []
        for index in 0..<count {
            let entry = terminal + HostLayout.terminalBytes + index * HostLayout.entryBytes
            guard let first = word(entry + HostLayout.entryRule),
                let rules = word(entry + HostLayout.entryRuleCount), rules > 0, rules <= rulesLeft
            else { return nil }
            rulesLeft -= rules
            for number in 0..<rules {
                guard let offset = rules == 1 ? first : word(first + 4 * number), let rule = rule(at: offset)
                else { return nil }
                result.append(
                    ListedRoute(
                        port: port, path: path, method: String(lossy: method(of: rule)),
                        label: String(lossy: label(of: rule)), rule: rule))
            }
        }
        return result
    }
}

/// Accepts nothing, so that the search goes on, and keeps what it saw.
private struct EveryTerminal: TerminalChoice {
    var found: [Int] = []

    mutating func accepts(_ terminal: Int, in table: borrowing HostTable) -> Bool {
        found.append(terminal)
        return false
    }
}
