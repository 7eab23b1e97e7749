public import Decision
public import Octets

/// What one FastCGI connection may make this process hold or do.
public struct FastCGILimits: Sendable, Equatable {
    /// Content of one request's PARAMS. nginx sends all of them in one record, so 65,535 is its own bound.
    public var paramsBytesMax = 65_536
    /// nginx accepts at most about 32 KiB of header lines; 512 pairs are far beyond any browser.
    public var paramsCountMax = 512
    /// Bytes of records that are read and dropped (STDIN, records of other requests, management) during one
    /// request. Auth subrequests carry no body.
    public var ignoredBytesMax = 65_536
    /// Told to a caller that asks by GET_VALUES.
    public var connectionsMax: UInt32 = 1_024

    /// Content of one GET_VALUES record; the three names that exist need 50 bytes.
    public static let valuesBytesMax = 4_096

    /// The receive buffer must have this capacity: all parameters plus the largest record that is not
    /// handled piece by piece.
    public var bufferBytes: Int { paramsBytesMax + RecordHeader.byteCount + FastCGILimits.valuesBytesMax }

    public init() {}
}

/// The server's side of one FastCGI connection, without any I/O.
///
/// Roles Responder and Authorizer; one request at a time; keep-alive. The caller fills a `ReceiveBuffer`,
/// calls `next` until it says `.needBytes`, answers each `.request`, and sends what is in the output.
///
/// A request that ends well formed but empty is an allow at lighttpd, and one without `Status` is an allow
/// at nginx, Apache and lighttpd. Hence two rules:
/// * every END_REQUEST written here follows a STDOUT record with a status line, refusals included;
/// * whatever cannot be answered so is answered by closing, which is a denial at every caller.
///
/// ABORT_REQUEST therefore closes: the caller has no use for an answer, a bare END_REQUEST would be the
/// empty end, and a status line would be a decision that nobody made.
public struct FastCGIConnection: Sendable {
    public enum Step: Equatable, Sendable {
        /// Everything received is dealt with; fill the buffer and come again.
        case needBytes
        /// Decide this, then call `answer`.
        case request(FastCGIRequest)
        /// Send what the output holds (whole records only), then close.
        case close
    }

    private enum Phase {
        case idle, params, standardInput, deciding
    }

    private enum Outcome {
        case proceed, wait, request, close
    }

    public let limits: FastCGILimits
    /// After an answer: send it, then close.
    public private(set) var shouldClose = false

    private var phase = Phase.idle
    private var id: UInt16 = 0
    private var role = FastCGIRole.responder
    private var keepConnection = false
    // INVARIANT: 0 <= paramsStart <= paramsEnd <= position <= buffer.count. The bytes before `position` are
    // dealt with; of those, only the parameters are kept.
    private var paramsStart = 0
    private var paramsEnd = 0
    private var position = 0
    /// Bytes after `position` still to be dropped.
    private var skipping = 0
    private var ignoredBytes = 0

    public init(limits: FastCGILimits = FastCGILimits()) {
        self.limits = limits
    }

    /// Nothing of a request has arrived: the connection may be closed without losing one.
    public var isIdle: Bool { phase == .idle }

    /// Reads on in the buffer. Allocates nothing.
    ///
    /// Answers to management records and refusals are appended to `output`; send it whenever it is not empty.
    public mutating func next(_ buffer: inout ReceiveBuffer, output: inout ByteWriter) -> Step {
        if phase == .deciding { return .needBytes }
        if shouldClose || buffer.count < position { return .close }
        while true {
            if skipping > 0 {
                let dropped = min(skipping, buffer.count - position)
                position += dropped
                skipping -= dropped
                if skipping > 0 { return compact(&buffer) }
            }
            guard buffer.count - position >= RecordHeader.byteCount else { return compact(&buffer) }
            let header = RecordHeader(buffer.bytes, at: position)
            guard header.version == 1 else { return close() }
            switch handle(header, &buffer, &output) {
            case .proceed: continue
            case .wait: return compact(&buffer)
            case .close: return close()
            case .request:
                phase = .deciding
                return .request(
                    FastCGIRequest(
                        id: id, role: role, keepConnection: keepConnection,
                        params: ByteRange(start: paramsStart, count: paramsEnd - paramsStart)))
            }
        }
    }

    /// Renders the answer to the request that `next` returned last, as one STDOUT record, its empty end and
    /// END_REQUEST, so that one write sends all of it (nginx closes as soon as it has read the headers).
    ///
    /// When the answer does not fit or is not printable, nothing is written and `shouldClose` is set: the
    /// caller then closes, which denies.
    public mutating func answer(
        _ request: FastCGIRequest, _ answer: borrowing Answer, into output: inout ByteWriter,
        buffer: inout ReceiveBuffer
    ) {
        let mark = output.count
        output.appendRecordHeader(RecordType.standardOutput, id: request.id, contentCount: 0)
        let isRendered = AnswerHead.append(answer, role: request.role, into: &output)
        let headCount = output.count - mark - RecordHeader.byteCount
        output.appendEnd(id: request.id, protocolStatus: ProtocolStatus.requestComplete)
        if isRendered, !output.overflowed, headCount > 0, headCount <= AnswerHead.bytesMax {
            output.overwrite(at: mark + 4, bigEndian16: UInt16(truncatingIfNeeded: headCount))
            shouldClose = !request.keepConnection
        } else {
            // DENY: no partial head, and no end of request without one.
            output.truncate(to: mark)
            shouldClose = true
        }
        phase = .idle
        buffer.remove(0..<min(position, buffer.count))
        position = 0
        paramsStart = 0
        paramsEnd = 0
        ignoredBytes = 0
    }

    // MARK: Records

    private mutating func handle(
        _ header: RecordHeader, _ buffer: inout ReceiveBuffer, _ output: inout ByteWriter
    ) -> Outcome {
        if header.id == 0 { return handleManagement(header, buffer, &output) }
        if header.type == RecordType.beginRequest { return handleBegin(header, buffer, &output) }
        if phase == .idle || header.id != id { return ignore(header) }
        switch header.type {
        case RecordType.params: return handleParams(header, &buffer)
        case RecordType.standardInput where phase == .standardInput:
            let isEnd = header.contentCount == 0
            let outcome = ignore(header)
            return isEnd && outcome == .proceed ? .request : outcome
        // ABORT_REQUEST, STDIN before its turn, DATA, and types that only an application sends.
        default: return .close
        }
    }

    private mutating func handleParams(_ header: RecordHeader, _ buffer: inout ReceiveBuffer) -> Outcome {
        guard phase == .params else { return .close }
        if header.contentCount == 0 {
            guard let count = ParameterPair.count(in: buffer.bytes, from: paramsStart, to: paramsEnd),
                count <= limits.paramsCountMax
            else { return .close }
            advance(past: header)
            // An Authorizer is owed no STDIN: Apache and lighttpd send none.
            if role == .authorizer { return .request }
            phase = .standardInput
            return .proceed
        }
        let kept = paramsEnd - paramsStart
        guard kept + header.contentCount <= limits.paramsBytesMax else { return .close }
        let contentStart = position + RecordHeader.byteCount
        guard buffer.count - contentStart >= header.contentCount else { return .wait }
        if kept == 0 {
            // The usual single record is used where it lies.
            paramsStart = contentStart
            paramsEnd = contentStart + header.contentCount
        } else {
            buffer.move(from: contentStart, to: paramsEnd, length: header.contentCount)
            paramsEnd += header.contentCount
        }
        advance(past: header)
        return .proceed
    }

    private mutating func handleBegin(
        _ header: RecordHeader, _ buffer: borrowing ReceiveBuffer, _ output: inout ByteWriter
    ) -> Outcome {
        guard header.contentCount == RecordHeader.beginBodyCount else { return .close }
        let bodyStart = position + RecordHeader.byteCount
        guard buffer.count - bodyStart >= RecordHeader.beginBodyCount else { return .wait }
        let wanted = buffer.bytes.bigEndian16(at: bodyStart)
        let isKept = buffer.bytes[bodyStart + 2] & 1 != 0
        if phase != .idle {
            // The same id again would make the refusal read as the end of the request that goes on.
            guard header.id != id else { return .close }
            return refuse(header, ProtocolStatus.cannotMultiplex, &output)
        }
        guard let role = FastCGIRole(rawValue: wanted) else {
            let outcome = refuse(header, ProtocolStatus.unknownRole, &output)
            return isKept ? outcome : .close
        }
        advance(past: header)
        self.role = role
        id = header.id
        keepConnection = isKept
        phase = .params
        paramsStart = position
        paramsEnd = position
        return .proceed
    }

    /// Ends a request that is not taken on. The status line before END_REQUEST makes a caller that does not
    /// look at the protocol status deny.
    private mutating func refuse(
        _ header: RecordHeader, _ protocolStatus: UInt8, _ output: inout ByteWriter
    ) -> Outcome {
        let head: StaticString = "Status: 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
        let needed = RecordHeader.byteCount + head.utf8CodeUnitCount + ByteWriter.endByteCount
        guard output.capacity - output.count >= needed else { return .close }
        output.appendRecordHeader(
            RecordType.standardOutput, id: header.id, contentCount: head.utf8CodeUnitCount)
        output.append(head)
        output.appendEnd(id: header.id, protocolStatus: protocolStatus)
        return ignore(header)
    }

    private mutating func handleManagement(
        _ header: RecordHeader, _ buffer: borrowing ReceiveBuffer, _ output: inout ByteWriter
    ) -> Outcome {
        guard header.type == RecordType.values else {
            guard output.capacity - output.count >= 2 * RecordHeader.byteCount else { return .close }
            output.appendRecordHeader(RecordType.unknownType, id: 0, contentCount: 8)
            output.append(header.type)
            output.append("\0\0\0\0\0\0\0")
            return ignore(header)
        }
        guard header.contentCount <= FastCGILimits.valuesBytesMax else { return .close }
        let start = position + RecordHeader.byteCount
        guard buffer.count - start >= header.contentCount else { return .wait }
        guard
            ValuesAnswer(buffer.bytes, from: start, to: start + header.contentCount)?
                .append(to: &output, connectionsMax: limits.connectionsMax) == true
        else { return .close }
        return ignore(header)
    }

    // MARK: Position

    private mutating func ignore(_ header: RecordHeader) -> Outcome {
        // Each header counts too, so that empty records are bounded as well.
        ignoredBytes += RecordHeader.byteCount + header.contentCount
        guard ignoredBytes <= limits.ignoredBytesMax else { return .close }
        position += RecordHeader.byteCount
        skipping = header.contentCount + header.paddingCount
        return .proceed
    }

    /// For a record whose content is in the buffer and dealt with; the padding may still be on its way.
    private mutating func advance(past header: RecordHeader) {
        position += RecordHeader.byteCount + header.contentCount
        skipping = header.paddingCount
    }

    private mutating func close() -> Step {
        shouldClose = true
        return .close
    }

    /// Drops from the buffer whatever is dealt with and not a parameter.
    private mutating func compact(_ buffer: inout ReceiveBuffer) -> Step {
        if position > paramsEnd {
            buffer.remove(paramsEnd..<position)
            position = paramsEnd
        }
        if paramsStart > 0 {
            buffer.remove(0..<paramsStart)
            position -= paramsStart
            paramsEnd -= paramsStart
            paramsStart = 0
        }
        // A buffer of `limits.bufferBytes` cannot be full here.
        return buffer.freeCount > 0 ? .needBytes : close()
    }
}
