internal import Octets

/// The headers that say where a request ends and what becomes of the connection, and what is refused for
/// their sake.
struct Framing: Sendable {
    var isVersion10 = false
    private var hosts = 0
    private var hasContentLength = false
    private var hasTransferEncoding = false
    private var saysClose = false
    private var saysKeepAlive = false

    init() {}

    var keepAlive: Bool { saysClose ? false : isVersion10 ? saysKeepAlive : true }

    /// What only the whole head tells.
    var refusal: UInt16? {
        // RFC 9112 §6.1: with both, or in a version that has no transfer codings, the framing is in doubt.
        if hasTransferEncoding { return hasContentLength || isVersion10 ? 400 : 501 }
        // RFC 9112 §3.2.
        if hosts == 0, !isVersion10 { return 400 }
        return nil
    }

    /// Takes one header line.
    /// - Returns: the status to refuse with, or nil.
    mutating func take(_ name: Span<UInt8>, _ value: Span<UInt8>) -> UInt16? {
        // Only these lengths occur among the names below.
        switch name.count {
        case 4 where equalIgnoringCase(name, "host"): return takeHost(value)
        case 6 where equalIgnoringCase(name, "expect"):
            // No body is accepted, so there is nothing to continue with.
            return 417
        case 10 where equalIgnoringCase(name, "connection"):
            takeConnection(value)
            return nil
        case 14 where equalIgnoringCase(name, "content-length"): return takeContentLength(value)
        case 17 where equalIgnoringCase(name, "transfer-encoding"):
            hasTransferEncoding = true
            return nil
        // A spelling that some gateways fold into the name above.
        case 14 where equalIgnoringCase(name, "content_length"): return 400
        case 17 where equalIgnoringCase(name, "transfer_encoding"): return 400
        default: return nil
        }
    }

    private mutating func takeHost(_ value: Span<UInt8>) -> UInt16? {
        hosts += 1
        guard hosts == 1 else { return 400 }
        for index in value.indices {
            guard isHostByte(value[index]) else { return 400 }
        }
        return nil
    }

    /// One field with the single digit 0 is the only length that is not a body.
    private mutating func takeContentLength(_ value: Span<UInt8>) -> UInt16? {
        guard !hasContentLength, !value.isEmpty else { return 400 }
        hasContentLength = true
        for index in value.indices {
            guard value[index] &- 0x30 < 10 else { return 400 }
        }
        if equal(value, "0") { return nil }
        // `00` is a number too, but one that nobody has reason to write.
        return value[0] == 0x30 ? 400 : 413
    }

    /// RFC 9110 §7.6.1: a list of tokens, in either case.
    private mutating func takeConnection(_ value: Span<UInt8>) {
        var start = 0
        while start < value.count {
            var end = start
            while end < value.count, value[end] != UInt8(ascii: ",") { end += 1 }
            let option = value.bytes(at: trimmed(value, from: start, to: end))
            if equalIgnoringCase(option, "close") { saysClose = true }
            if equalIgnoringCase(option, "keep-alive") { saysKeepAlive = true }
            start = end + 1
        }
    }
}
