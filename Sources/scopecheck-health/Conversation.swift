/// What the checker says and how it understands what comes back. No I/O here.
enum Question {
    static var hello: [UInt8] {
        var frame = FrameWriter(FrameKind.haproxyHello, stream: 0, frame: 0)
        frame.addString("supported-versions", "2.0")
        frame.addNumber("max-frame-size", FrameLimits.announcedBytes)
        frame.addString("capabilities", "pipelining")
        frame.addString("engine-id", "scopecheck-health")
        return frame.finished()
    }

    static var health: [UInt8] {
        var frame = FrameWriter(FrameKind.notify, stream: 1, frame: 1)
        frame.addName("scopecheck-health")
        frame.addByte(0)
        return frame.finished()
    }

    static var goodbye: [UInt8] {
        var frame = FrameWriter(FrameKind.haproxyDisconnect, stream: 0, frame: 0)
        frame.addNumber("status-code", 0)
        frame.addString("message", "normal")
        return frame.finished()
    }
}

/// One frame of the agent, understood.
enum Received {
    case hello
    case answer(HealthAnswer)
    case disconnect(status: UInt64, message: [UInt8])
    /// No frame of an agent; the text continues "the peer …".
    case malformed(String)

    /// - Parameter bytes: a frame without its length.
    init(_ bytes: [UInt8]) {
        var reader = FrameReader(bytes)
        guard let kind = reader.byte(), let flags = reader.flags(), let stream = reader.varint(),
            let frame = reader.varint()
        else {
            self = .malformed("sent a frame that ends within its head")
            return
        }
        // ABORT or unfinished: an agent has no reason for either.
        guard flags == 1 else {
            self = .malformed("sent a frame that is aborted or in parts")
            return
        }
        switch kind {
        case FrameKind.agentHello where stream == 0 && frame == 0: self = Received.hello(&reader)
        case FrameKind.agentDisconnect where stream == 0 && frame == 0: self = Received.disconnect(&reader)
        case FrameKind.acknowledge where stream == 1 && frame == 1: self = Received.answer(&reader)
        case FrameKind.agentHello, FrameKind.agentDisconnect, FrameKind.acknowledge:
            self = .malformed("answered a stream or frame that nobody asked about")
        default: self = .malformed("sent a frame of a type that no agent sends")
        }
    }

    private static func hello(_ reader: inout FrameReader) -> Received {
        var version = 0
        var size = 0
        var capabilities = 0
        while !reader.isAtEnd {
            guard let key = reader.string(), let value = reader.value() else {
                return .malformed("sent a hello that cannot be read")
            }
            if key.equals("version") {
                guard case .string(let text) = value, text.equals("2.0") else {
                    return .malformed("speaks another version than SPOP 2.0")
                }
                version += 1
            } else if key.equals("max-frame-size") {
                guard case .number(let bytes) = value, bytes >= FrameLimits.announcedBytesMin,
                    bytes <= FrameLimits.announcedBytes
                else { return .malformed("wants frames of a size that was not offered") }
                size += 1
            } else if key.equals("capabilities") {
                guard case .string = value else { return .malformed("sent a hello that cannot be read") }
                capabilities += 1
            }
        }
        guard version == 1, size == 1, capabilities == 1 else {
            return .malformed("sent a hello without version, frame size and capabilities, or with one of them twice")
        }
        return .hello
    }

    private static func disconnect(_ reader: inout FrameReader) -> Received {
        var status: UInt64?
        var message: [UInt8] = []
        while !reader.isAtEnd {
            guard let key = reader.string(), let value = reader.value() else {
                return .malformed("sent a disconnect that cannot be read")
            }
            if key.equals("status-code"), case .number(let number) = value { status = number }
            if key.equals("message"), case .string(let text) = value { message = text }
        }
        guard let status else { return .malformed("sent a disconnect without a status") }
        return .disconnect(status: status, message: message)
    }

    private static func answer(_ reader: inout FrameReader) -> Received {
        var answer = HealthAnswer()
        while !reader.isAtEnd {
            guard let action = reader.byte(), let count = reader.byte(), let scope = reader.byte(), scope <= 4,
                let name = reader.string(), action == 1 && count == 3 || action == 2 && count == 2
            else { return .malformed("sent an answer that cannot be read") }
            var value: FrameValue?
            if action == 1 {
                value = reader.value()
                guard value != nil else { return .malformed("sent an answer that cannot be read") }
            }
            // A variable of another scope is another variable.
            guard scope != FrameScope.transaction || answer.take(name, value) else {
                return .malformed("answered one thing twice")
            }
        }
        return .answer(answer)
    }
}

/// The variables of an ACK to `scopecheck-health`.
struct HealthAnswer {
    private var healthy: FrameValue?
    private var status: FrameValue?
    private var policy: FrameValue?
    private var reason: FrameValue?

    /// - Parameter value: nil removes the variable, which is in order as long as it was not there.
    /// - Returns: false when this variable was there before.
    fileprivate mutating func take(_ name: [UInt8], _ value: FrameValue?) -> Bool {
        if name.equals("healthy") { return HealthAnswer.put(value, in: &healthy) }
        if name.equals("status") { return HealthAnswer.put(value, in: &status) }
        if name.equals("policy") { return HealthAnswer.put(value, in: &policy) }
        if name.equals("reason") { return HealthAnswer.put(value, in: &reason) }
        return true
    }

    private static func put(_ value: FrameValue?, in place: inout FrameValue?) -> Bool {
        guard place == nil else { return false }
        place = value
        return true
    }

    /// The policy's label, when the agent says that it is healthy and in no other case.
    ///
    /// - Parameter numberMin: the policy's activation number must be at least this; numbers only grow.
    func policyLabel(numberMin: UInt64) throws(Trouble) -> [UInt8] {
        guard case .bool(true) = healthy, case .number(200) = status else { throw Trouble(Trouble.unhealthy, refusal) }
        guard case .string(let label) = policy, let number = HealthAnswer.activationNumber(label) else {
            throw Trouble(Trouble.unhealthy, "the agent does not say which policy it serves; is it a Scopecheck?")
        }
        guard number >= numberMin else {
            var text = Array("it serves policy ".utf8)
            text.addQuoted(label)
            text.add(", and number ")
            text.add(numberMin)
            text.add(" or later is asked for; wait, or activate it")
            throw Trouble(Trouble.unhealthy, text)
        }
        return label
    }

    private var refusal: [UInt8] {
        var text = Array("the agent does not say that it is healthy".utf8)
        if case .number(let number) = status {
            text.add("; status ")
            text.add(number)
        }
        if case .string(let why) = reason, !why.isEmpty {
            text.add("; reason ")
            text.addQuoted(why)
        }
        text.add("; `scopecheck status` beside it says more")
        return text
    }

    /// N of `N.hash`: a decimal number from 1, a dot, 16 hexadecimal digits in lower case.
    static func activationNumber(_ label: [UInt8]) -> UInt64? {
        guard label.count >= 18, label[label.count - 17] == 0x2E else { return nil }
        for byte in label.suffix(16) {
            guard byte >= 0x30 && byte <= 0x39 || byte >= 0x61 && byte <= 0x66 else { return nil }
        }
        guard let number = Array(label.dropLast(17)).decimal, number > 0 else { return nil }
        return number
    }
}
