internal import Octets

/// Writes the table of one host. One use.
struct HostTableWriter {
    let model: PolicyModel
    let host: String
    let claims: [[UInt8]: UInt16]
    var keys: RouteKeys
    var output: [UInt8] = []
    private let services: [Int]
    private var ruleCount: UInt32 = 0

    /// - Parameters:
    ///   - services: those with this host, indices into the model's services, ascending.
    ///   - claims: number of each claim that routes bind, by name.
    init(
        _ model: PolicyModel, host: String, services: [Int], claims: [[UInt8]: UInt16]
    ) throws(PolicyTableError) {
        self.model = model
        self.host = host
        self.services = services
        self.claims = claims
        keys = try RouteKeys(model, services: services)
    }

    /// - Throws: what `PolicyTableError` lists.
    consuming func write() throws(PolicyTableError) -> [UInt8] {
        let ports = Set(services.flatMap { model.services[$0].ports }).sorted()
        let everywhere = services.filter { model.services[$0].ports.isEmpty }
        try checkSize(ports)
        output.reserveCapacity(expectedBytes)
        _ = output.appendRecord(HostLayout.headerBytes + ports.count * HostLayout.portBytes)
        var root = Trie(root: 0, bound: 0)
        if !everywhere.isEmpty { root = try writeTrie(Set(everywhere)) }
        var tries: [[Int]: Trie] = [:]
        for (position, port) in ports.enumerated() {
            // Ports of the same services share one trie.
            let admitted = services.filter {
                model.services[$0].ports.isEmpty || model.services[$0].ports.contains(port)
            }
            let trie: Trie
            if let known = tries[admitted] { trie = known } else { trie = try writeTrie(Set(admitted)) }
            tries[admitted] = trie
            let entry = HostLayout.headerBytes + position * HostLayout.portBytes
            output.store(port, at: entry)
            output.store(trie.root, at: entry + HostLayout.portRoot)
            output.store(trie.bound, at: entry + HostLayout.portBound)
        }
        guard output.count <= TableLayout.tableBytesMax else {
            throw PolicyTableError.tooLarge(what: "the table of `\(host)`", limit: TableLayout.tableBytesMax)
        }
        output.store(HostLayout.magic, at: 0)
        output.store(TableLayout.version, at: 4)
        output.store(UInt32(output.count), at: HostLayout.totalBytes)
        output.store(UInt32(ports.count), at: HostLayout.portCount)
        output.store(UInt32(HostLayout.headerBytes), at: HostLayout.portDirectory)
        output.store(root.root, at: HostLayout.defaultRoot)
        output.store(root.bound, at: HostLayout.defaultBound)
        output.store(ruleCount, at: HostLayout.ruleCount)
        return output
    }

    private func checkSize(_ ports: [UInt16]) throws(PolicyTableError) {
        var placed = keys.items.count
        for service in services {
            let one = model.services[service]
            placed += one.routes.count * (one.ports.isEmpty ? ports.count : one.ports.count)
        }
        guard placed <= TableLayout.placedRoutesMax else {
            throw PolicyTableError.tooLarge(
                what: "the routes of `\(host)` over all ports", limit: TableLayout.placedRoutesMax)
        }
    }

    /// Enough for nearly every table: labels are about as long as keys, and what repeats is not written twice.
    private var expectedBytes: Int {
        HostLayout.headerBytes + 2 * keys.bytes.count + keys.items.count
            * (HostLayout.ruleBytes + HostLayout.terminalBytes + HostLayout.entryBytes + HostLayout.nodeBytes
                + 2 * HostLayout.literalBytes)
    }

    struct Trie {
        var root: UInt32
        var bound: UInt32
    }

    private mutating func writeTrie(_ admitted: Set<Int>) throws(PolicyTableError) -> Trie {
        let order = keys.items.indices.filter { admitted.contains(Int(keys.items[$0].service)) }
        guard !order.isEmpty else { return Trie(root: 0, bound: 0) }
        let node = try writeNode(order[...], prefix: 0)
        guard node.bound <= TableLayout.backtrackingBoundMax else {
            throw PolicyTableError.backtrackingBound(
                host: host, bound: node.bound, limit: TableLayout.backtrackingBoundMax)
        }
        return Trie(root: node.offset, bound: UInt32(node.bound))
    }

    // MARK: Nodes

    struct Literal {
        var hash: UInt32
        var node: UInt32
        var text: Range<Int>
    }

    private struct Node {
        var offset: UInt32 = 0
        /// Most nodes that the matcher can visit from here on, this one included.
        var bound = 1
    }

    /// Writes the routes `order`, which share the first `prefix` bytes of their keys; what lies below a node
    /// stands before it. Recursion ends at the segments of a path, 64.
    private mutating func writeNode(_ order: ArraySlice<Int>, prefix: Int) throws(PolicyTableError) -> Node {
        var next = order.startIndex
        while next < order.endIndex, keyCount(order[next]) == prefix { next += 1 }
        var result = Node()
        let ending = order[order.startIndex..<next]
        let terminal = ending.isEmpty ? 0 : try writeTerminal(ending)
        var parameter: UInt32 = 0
        var rest: UInt32 = 0
        var literals: [Literal] = []
        var literalBound = 0
        while next < order.endIndex {
            let start = next
            let segment = segmentRange(order[start], after: prefix)
            while next < order.endIndex, hasSegment(order[next], segment, after: prefix) { next += 1 }
            let below = order[start..<next]
            let prefixBelow = prefix + 1 + segment.count
            switch segment.isEmpty ? nil : keys.bytes[segment.lowerBound] {
            case RouteKeys.parameter:
                let node = try writeNode(below, prefix: prefixBelow)
                parameter = node.offset
                result.bound += node.bound
            case RouteKeys.rest:
                rest = try writeTerminal(below)
                result.bound += 1
            default:
                let node = try writeNode(below, prefix: prefixBelow)
                let hash = keys.bytes.span.extracting(segment)
                literals.append(
                    Literal(hash: scanSegment(hash, from: 0).hash, node: node.offset, text: segment))
                literalBound = max(literalBound, node.bound)
            }
        }
        // A policy that is far beyond the limit must not overflow the sum.
        result.bound = min(result.bound + literalBound, Int(Int32.max))
        let texts = writeTexts(literals)
        let record = output.appendRecord(HostLayout.nodeBytes)
        result.offset = UInt32(clamping: record)
        output.store(UInt32(literals.count), at: record)
        output.store(parameter, at: record + HostLayout.nodeParameter)
        output.store(rest, at: record + HostLayout.nodeRest)
        output.store(terminal, at: record + HostLayout.nodeTerminal)
        if !literals.isEmpty { try writeLiterals(literals, texts: texts, node: record) }
        try checkOutput()
        return result
    }

    private func keyCount(_ item: Int) -> Int { Int(keys.items[item].end - keys.items[item].start) }

    /// The bytes of the segment that begins with the separator at `prefix`.
    private func segmentRange(_ item: Int, after prefix: Int) -> Range<Int> {
        let start = Int(keys.items[item].start) + prefix + 1
        let limit = Int(keys.items[item].end)
        var end = start
        while end < limit, keys.bytes[end] != RouteKeys.separator { end += 1 }
        return start..<end
    }

    private func hasSegment(_ item: Int, _ segment: Range<Int>, after prefix: Int) -> Bool {
        let own = segmentRange(item, after: prefix)
        let span = keys.bytes.span
        return equal(span.extracting(own), span.extracting(segment))
    }

    private mutating func writeTexts(_ literals: [Literal]) -> [UInt32] {
        var result: [UInt32] = []
        result.reserveCapacity(literals.count)
        for literal in literals {
            result.append(UInt32(clamping: output.count))
            output.append(littleEndian16: UInt16(literal.text.count))
            output.append(contentsOf: keys.bytes[literal.text])
        }
        return result
    }

    /// - Parameter node: where the node's record stands, which has just been written.
    private mutating func writeLiterals(
        _ literals: [Literal], texts: [UInt32], node: Int
    ) throws(PolicyTableError) {
        var bits = 0
        if literals.count > TableLayout.plainLiteralsMax {
            while 1 << bits < literals.count, bits < TableLayout.bucketBitsMax { bits += 1 }
        }
        output.store(UInt32(bits), at: node + HostLayout.nodeBucketBits)
        let order = literals.indices.sorted { literals[$0].hash < literals[$1].hash }
        if bits > 0 {
            var record = output.appendRecord(((1 << bits) + 1) * 4)
            var next = 0
            for bucket in 0..<UInt32(1 << bits) {
                output.store(UInt32(next), at: record)
                record += 4
                let start = next
                while next < order.count, literals[order[next]].hash >> UInt32(32 - bits) == bucket {
                    next += 1
                }
                guard next - start <= TableLayout.bucketLiteralsMax else {
                    throw PolicyTableError.unevenHash(host: host)
                }
            }
            output.store(UInt32(next), at: record)
        }
        var record = output.appendRecord(order.count * HostLayout.literalBytes)
        for index in order {
            output.store(literals[index].hash, at: record)
            output.store(literals[index].node, at: record + HostLayout.literalNode)
            output.store(texts[index], at: record + HostLayout.literalText)
            record += HostLayout.literalBytes
        }
    }

    private func checkOutput() throws(PolicyTableError) {
        guard output.count <= TableLayout.tableBytesMax else {
            throw PolicyTableError.tooLarge(what: "the table of `\(host)`", limit: TableLayout.tableBytesMax)
        }
    }

    mutating func noteRule() { ruleCount += 1 }
}
