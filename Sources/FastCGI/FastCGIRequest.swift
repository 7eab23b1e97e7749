public import Decision
public import Octets

/// §6.1: what the caller wants to be done with a request.
public enum FastCGIRole: UInt16, Sendable {
    /// nginx `auth_request`, Caddy: the answer is read as a response.
    case responder = 1
    /// Apache `mod_authnz_fcgi`, lighttpd `mode=authorizer`: 200 lets the request pass and its `Variable-*`
    /// headers are kept; any other answer is sent to the client whole.
    case authorizer = 2
}

/// One request whose parameters have all arrived and are well formed.
///
/// Its parameters stay where they are in the buffer until the answer has been rendered.
public struct FastCGIRequest: Sendable, Equatable {
    public let id: UInt16
    public let role: FastCGIRole
    /// The caller wants the connection back after the answer (flag KEEP_CONN).
    public let keepConnection: Bool
    /// The content of the PARAMS stream, in the connection's receive buffer.
    public let params: ByteRange

    /// Calls `body` with the places, in `bytes`, of each parameter's name and value, in their order.
    public func forEachParameter(in bytes: Span<UInt8>, _ body: (ByteRange, ByteRange) -> Void) {
        var position = Int(params.start)
        let end = min(position + Int(params.count), bytes.count)
        while let pair = ParameterPair(bytes, at: position, end: end) {
            body(
                ByteRange(start: pair.nameStart, count: pair.nameCount),
                ByteRange(start: pair.valueStart, count: pair.valueCount))
            position = pair.end
        }
    }

    /// The facts that the parameters state under `profile`, as places in `bytes`.
    public func facts(in bytes: Span<UInt8>, profile: FactProfile) -> RequestFacts {
        var facts = RequestFacts()
        var position = Int(params.start)
        let end = min(position + Int(params.count), bytes.count)
        while let pair = ParameterPair(bytes, at: position, end: end) {
            facts.take(
                parameter: ByteRange(start: pair.nameStart, count: pair.nameCount),
                value: ByteRange(start: pair.valueStart, count: pair.valueCount), in: bytes, profile: profile)
            position = pair.end
        }
        return facts
    }
}

/// §3.4, one name-value pair: two lengths, each of one byte below 128 or of four with the top bit set, then
/// name and value without anything between them. `03 01 41 42 43 7a` is `ABC` = `z`.
struct ParameterPair {
    let nameStart: Int
    let nameCount: Int
    let valueCount: Int

    var valueStart: Int { nameStart + nameCount }
    var end: Int { nameStart + nameCount + valueCount }

    /// Nil at the end of the stream and where a pair does not lie wholly before `end`.
    @inline(always)
    init?(_ bytes: Span<UInt8>, at start: Int, end: Int) {
        var position = start
        guard let nameCount = ParameterPair.length(bytes, &position, end),
            let valueCount = ParameterPair.length(bytes, &position, end)
        else { return nil }
        // Two lengths below 2^31 cannot overflow.
        guard nameCount + valueCount <= end - position else { return nil }
        nameStart = position
        self.nameCount = nameCount
        self.valueCount = valueCount
    }

    @inline(always)
    private static func length(_ bytes: Span<UInt8>, _ position: inout Int, _ end: Int) -> Int? {
        guard position < end else { return nil }
        let first = bytes[position]
        if first < 0x80 {
            position += 1
            return Int(first)
        }
        guard end - position >= 4 else { return nil }
        let value = bytes.bigEndian32(at: position) & 0x7FFF_FFFF
        position += 4
        return Int(value)
    }

    /// The number of pairs when `range` is nothing but whole pairs; nil when it is malformed.
    static func count(in bytes: Span<UInt8>, from start: Int, to end: Int) -> Int? {
        var position = start
        var count = 0
        while let pair = ParameterPair(bytes, at: position, end: end) {
            position = pair.end
            count += 1
        }
        return position == end ? count : nil
    }
}
