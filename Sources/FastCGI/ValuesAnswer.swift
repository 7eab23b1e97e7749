internal import Octets

/// The answer to one GET_VALUES record (§4.1): the names asked for that exist here, each once however often
/// it was asked for. (libfcgi 2.4 writes each repetition, into 64 bytes of stack.)
struct ValuesAnswer {
    private var wantsConnections = false
    private var wantsRequests = false
    private var wantsMultiplexing = false

    /// Nil when the content is not a sequence of whole pairs.
    init?(_ bytes: Span<UInt8>, from start: Int, to end: Int) {
        var position = start
        while let pair = ParameterPair(bytes, at: position, end: end) {
            let name = bytes.extracting(pair.nameStart..<pair.valueStart)
            if equal(name, "FCGI_MAX_CONNS") { wantsConnections = true }
            if equal(name, "FCGI_MAX_REQS") { wantsRequests = true }
            if equal(name, "FCGI_MPXS_CONNS") { wantsMultiplexing = true }
            position = pair.end
        }
        guard position == end else { return nil }
    }

    /// - Returns: false, and nothing is written, when the answer does not fit.
    func append(to output: inout ByteWriter, connectionsMax: UInt32) -> Bool {
        let mark = output.count
        // One header, and three pairs of two lengths, at most 15 bytes of name and ten digits.
        guard output.capacity - mark >= RecordHeader.byteCount + 3 * (2 + 15 + 10) else { return false }
        output.appendRecordHeader(RecordType.valuesResult, id: 0, contentCount: 0)
        if wantsConnections { ValuesAnswer.append("FCGI_MAX_CONNS", connectionsMax, to: &output) }
        if wantsRequests { ValuesAnswer.append("FCGI_MAX_REQS", connectionsMax, to: &output) }
        if wantsMultiplexing { ValuesAnswer.append("FCGI_MPXS_CONNS", 0, to: &output) }
        let contentCount = output.count - mark - RecordHeader.byteCount
        output.overwrite(at: mark + 4, bigEndian16: UInt16(truncatingIfNeeded: contentCount))
        return true
    }

    private static func append(_ name: StaticString, _ value: UInt32, to output: inout ByteWriter) {
        var digits = 1
        var rest = value
        while rest >= 10 {
            rest /= 10
            digits += 1
        }
        output.append(UInt8(truncatingIfNeeded: name.utf8CodeUnitCount))
        output.append(UInt8(truncatingIfNeeded: digits))
        output.append(name)
        output.append(decimal: UInt64(value))
    }
}
