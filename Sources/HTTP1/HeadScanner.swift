internal import Decision
internal import Octets

/// Reads one request head, resuming at any byte. Positions are counted from the start of the buffer, which
/// must not be moved until the head is complete.
struct HeadScanner: Sendable {
    enum Outcome {
        case incomplete, complete
        case refuse(UInt16)
    }

    private enum State {
        case start, emptyLine, method, target, version, versionEnd
        case lineStart, name, value, valueEnd, headEnd
    }

    private enum Step {
        case more, incomplete, complete
        case refuse(UInt16)
    }

    private let start: Int
    private(set) var position: Int
    private(set) var request = HTTPRequest()

    private var state = State.start
    /// Where the part that `state` names began.
    private var partStart: Int
    private var nameStart = 0
    private var nameCount = 0
    private var headerCount = 0
    private var framing = Framing()

    init(at start: Int) {
        self.start = start
        position = start
        partStart = start
    }

    mutating func scan(_ bytes: Span<UInt8>, limits: HTTPLimits, profile: FactProfile) -> Outcome {
        // A head may not go on beyond its limit, whatever else has been received.
        let visible = bytes.extracting(0..<min(bytes.count, start + limits.headBytesMax))
        while true {
            switch advance(visible, limits, profile) {
            case .more: continue
            case .complete:
                if let status = framing.refusal { return .refuse(status) }
                request.keepAlive = framing.keepAlive
                return .complete
            case .refuse(let status): return .refuse(status)
            case .incomplete:
                guard position - start >= limits.headBytesMax else { return .incomplete }
                return .refuse(state == .target ? 414 : 431)
            }
        }
    }

    @inline(always)
    private mutating func advance(
        _ bytes: Span<UInt8>, _ limits: HTTPLimits, _ profile: FactProfile
    ) -> Step {
        switch state {
        case .start, .emptyLine, .method, .target, .version, .versionEnd: return requestLine(bytes)
        case .lineStart: return lineStart(bytes, limits)
        case .name: return name(bytes)
        case .value: return value(bytes)
        case .valueEnd: return valueEnd(bytes, profile)
        case .headEnd:
            guard position < bytes.count else { return .incomplete }
            guard bytes[position] == 0x0A else { return .refuse(400) }
            position += 1
            request.head = ByteRange(
                start: Int(request.method.start), count: position - Int(request.method.start))
            return .complete
        }
    }

    // MARK: Request line (RFC 9112 §3)

    private mutating func requestLine(_ bytes: Span<UInt8>) -> Step {
        guard position < bytes.count else { return .incomplete }
        switch state {
        case .start:
            // §2.2: one empty line before the request line is let pass.
            if bytes[position] == 0x0D {
                position += 1
                state = .emptyLine
            } else {
                state = .method
            }
            return .more
        case .emptyLine:
            guard bytes[position] == 0x0A else { return .refuse(400) }
            position += 1
            partStart = position
            state = .method
            return .more
        case .method: return method(bytes)
        case .target: return target(bytes)
        case .version: return version(bytes)
        default:
            guard bytes[position] == 0x0A else { return .refuse(400) }
            position += 1
            state = .lineStart
            return .more
        }
    }

    private mutating func method(_ bytes: Span<UInt8>) -> Step {
        while position < bytes.count, isTokenByte(bytes[position]) { position += 1 }
        guard position < bytes.count else { return .incomplete }
        guard bytes[position] == 0x20, position > partStart else { return .refuse(400) }
        request.method = ByteRange(start: partStart, count: position - partStart)
        position += 1
        partStart = position
        state = .target
        return .more
    }

    private mutating func target(_ bytes: Span<UInt8>) -> Step {
        while position < bytes.count, isTargetByte(bytes[position]) { position += 1 }
        guard position < bytes.count else { return .incomplete }
        guard bytes[position] == 0x20, position > partStart else { return .refuse(400) }
        let text = bytes.extracting(partStart..<position)
        guard isRequestTarget(text, method: bytes.bytes(at: request.method)) else { return .refuse(400) }
        request.target = ByteRange(start: partStart, count: position - partStart)
        position += 1
        partStart = position
        state = .version
        return .more
    }

    /// origin-form, absolute-form with http or https, or `*` with OPTIONS (§3.2).
    private func isRequestTarget(_ text: Span<UInt8>, method: Span<UInt8>) -> Bool {
        if text[0] == UInt8(ascii: "/") { return true }
        if text.count == 1, text[0] == UInt8(ascii: "*") { return equal(method, "OPTIONS") }
        return text.count > 7 && equalIgnoringCase(text.extracting(0..<7), "http://")
            || text.count > 8 && equalIgnoringCase(text.extracting(0..<8), "https://")
    }

    private mutating func version(_ bytes: Span<UInt8>) -> Step {
        // `HTTP/1.1` and CR.
        guard bytes.count - partStart >= 9 else {
            // Not wasted: at most eight bytes are looked at again.
            guard startsLikeVersion(bytes) else { return .refuse(400) }
            position = bytes.count
            return .incomplete
        }
        let text = bytes.extracting(partStart..<partStart + 8)
        guard startsLikeVersion(bytes), isDigit(text[5]), text[6] == UInt8(ascii: "."), isDigit(text[7]),
            bytes[partStart + 8] == 0x0D
        else { return .refuse(400) }
        guard equal(text, "HTTP/1.1") || equal(text, "HTTP/1.0") else { return .refuse(505) }
        framing.isVersion10 = text[7] == UInt8(ascii: "0")
        position = partStart + 9
        state = .versionEnd
        return .more
    }

    private func startsLikeVersion(_ bytes: Span<UInt8>) -> Bool {
        let prefix: StaticString = "HTTP/"
        let count = min(bytes.count - partStart, prefix.utf8CodeUnitCount)
        let text = bytes.extracting(partStart..<partStart + count)
        var index = 0
        while index < count {
            // SAFETY: index is below utf8CodeUnitCount.
            if unsafe text[index] != prefix.utf8Start[index] { return false }
            index += 1
        }
        return true
    }

    // MARK: Field lines (RFC 9112 §5)

    private mutating func lineStart(_ bytes: Span<UInt8>, _ limits: HTTPLimits) -> Step {
        guard position < bytes.count else { return .incomplete }
        if bytes[position] == 0x0D {
            position += 1
            state = .headEnd
            return .more
        }
        // A blank here would fold the line into the one before (§5.2).
        guard isTokenByte(bytes[position]) else { return .refuse(400) }
        guard headerCount < limits.headerCountMax else { return .refuse(431) }
        headerCount += 1
        nameStart = position
        state = .name
        return .more
    }

    private mutating func name(_ bytes: Span<UInt8>) -> Step {
        position = endOfPlainName(bytes, from: position)
        while position < bytes.count, isTokenByte(bytes[position]) { position += 1 }
        guard position < bytes.count else { return .incomplete }
        guard bytes[position] == UInt8(ascii: ":") else { return .refuse(400) }
        nameCount = position - nameStart
        position += 1
        partStart = position
        state = .value
        return .more
    }

    private mutating func value(_ bytes: Span<UInt8>) -> Step {
        position = indexOfNonValueByte(bytes, from: position)
        guard position < bytes.count else { return .incomplete }
        guard bytes[position] == 0x0D else { return .refuse(400) }
        position += 1
        state = .valueEnd
        return .more
    }

    private mutating func valueEnd(_ bytes: Span<UInt8>, _ profile: FactProfile) -> Step {
        guard position < bytes.count else { return .incomplete }
        guard bytes[position] == 0x0A else { return .refuse(400) }
        let value = trimmed(bytes, from: partStart, to: position - 1)
        let name = ByteRange(start: nameStart, count: nameCount)
        position += 1
        state = .lineStart
        if let status = framing.take(bytes.bytes(at: name), bytes.bytes(at: value)) {
            return .refuse(status)
        }
        request.facts.take(header: name, value: value, in: bytes, profile: profile)
        return .more
    }
}

private func isDigit(_ byte: UInt8) -> Bool {
    byte &- 0x30 < 10
}
