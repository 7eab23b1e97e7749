public import Decision
public import Octets

/// What one HTTP connection may make this process hold.
public struct HTTPLimits: Sendable, Equatable {
    /// The whole head, from the request line to the empty line. nginx sends at most about 32 KiB of client
    /// headers.
    public var headBytesMax = 32_768
    public var headerCountMax = 100

    /// The receive buffer must have at least this capacity.
    public var bufferBytes: Int { headBytesMax + 2 }

    public init() {}
}

/// One request whose head is complete and well formed. It has no body: none is accepted.
///
/// All places lie in the connection's receive buffer and hold until `answer`.
public struct HTTPRequest: Sendable {
    /// From the first byte of the method to the last of the empty line.
    public internal(set) var head = ByteRange.absent
    public internal(set) var method = ByteRange.absent
    /// As sent: `/path?query`, an absolute `http://…` URI, or `*`.
    public internal(set) var target = ByteRange.absent
    /// The connection stays open after the answer.
    public internal(set) var keepAlive = true
    /// What the headers state under the listener's fact profile.
    public internal(set) var facts = RequestFacts()

    init() {}

    /// Calls `body` with the places, in `bytes`, of each header's name and of its value without the blanks
    /// around it, in their order. For what is not a fact; reads the head a second time.
    public func forEachHeader(in bytes: Span<UInt8>, _ body: (ByteRange, ByteRange) -> Void) {
        let end = min(Int(head.start) + Int(head.count), bytes.count)
        var position = endOfLine(bytes, from: Int(head.start), to: end)
        while position < end {
            let next = endOfLine(bytes, from: position, to: end)
            var colon = position
            while colon < next, bytes[colon] != UInt8(ascii: ":") { colon += 1 }
            guard colon < next else { return }
            body(
                ByteRange(start: position, count: colon - position),
                trimmed(bytes, from: colon + 1, to: next - 2))
            position = next
        }
    }

    private func endOfLine(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int {
        var position = start
        while position < end, bytes[position] != 0x0A { position += 1 }
        return min(position + 1, end)
    }
}

/// The range without spaces and tabs at either end (OWS, RFC 9110 §5.6.3).
func trimmed(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> ByteRange {
    var first = start
    var last = end
    while first < last, isBlank(bytes[first]) { first += 1 }
    while last > first, isBlank(bytes[last - 1]) { last -= 1 }
    return ByteRange(start: first, count: max(0, last - first))
}
