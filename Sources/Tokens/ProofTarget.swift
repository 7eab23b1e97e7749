internal import Octets

/// Compares the `htu` of a proof with the request (RFC 9449 §4.3 point 9), reading it strictly: what two readers
/// could take for different targets is malformed.
///
/// Normalised as RFC 3986 §6.2.2 and §6.2.3 say: scheme and host in any case, the default port or an empty one for
/// none, an empty path for `/`, escapes of unreserved characters decoded, other escapes in any case, printable bytes
/// that a path may not hold raw escaped. Query and fragment are left out. Dot segments, which such a reader would
/// resolve, are refused instead, and so are user information and escapes in the host.
struct ProofTarget: ~Escapable {
    private let uri: Span<UInt8>
    private var at = 0
    private var matches = true

    /// - Throws: `htuMalformed` or `htuMismatch`.
    static func check(_ uri: Span<UInt8>, _ request: borrowing ProofRequest) throws(ProofRefusal) {
        var target = ProofTarget(uri)
        let isSecure = try target.readScheme()
        target.require(isSecure == request.isSecure)
        try target.readHost(request.host)
        let port = try target.readPort() ?? (isSecure ? 443 : 80)
        target.require(port == request.port)
        try target.readPath(request.path)
        try target.readRest()
        guard target.matches else { throw .htuMismatch }
    }

    @_lifetime(copy uri)
    private init(_ uri: Span<UInt8>) {
        self.uri = uri
    }

    @_lifetime(self: copy self)
    private mutating func require(_ condition: Bool) {
        if !condition { matches = false }
    }

    /// - Returns: whether it is https.
    @_lifetime(self: copy self)
    private mutating func readScheme() throws(ProofRefusal) -> Bool {
        if uri.count > 8, equalIgnoringCase(uri.extracting(0..<8), "https://") {
            at = 8
            return true
        }
        guard uri.count > 7, equalIgnoringCase(uri.extracting(0..<7), "http://") else { throw .htuMalformed }
        at = 7
        return false
    }

    @_lifetime(self: copy self)
    private mutating func readHost(_ expected: Span<UInt8>) throws(ProofRefusal) {
        let start = at
        let isAddress = at < uri.count && uri[at] == 0x5B
        if isAddress {
            at += 1
            while at < uri.count, uri[at] != 0x5D {
                guard hexadecimalValue(uri[at]) != nil || uri[at] == 0x3A || uri[at] == 0x2E else {
                    throw .htuMalformed
                }
                at += 1
            }
            guard at < uri.count, at > start + 1 else { throw .htuMalformed }
            at += 1
        } else {
            while at < uri.count, isHostByte(uri[at]) { at += 1 }
        }
        var end = at
        // `example.com.` is the same name, spelled from the root.
        if !isAddress, end > start + 1, uri[end - 1] == 0x2E { end -= 1 }
        guard end > start else { throw .htuMalformed }
        require(end - start == expected.count)
        var index = 0
        while matches, index < expected.count {
            require(lowercased(uri[start + index]) == expected[index])
            index += 1
        }
    }

    /// - Returns: nil for none, also for a colon with nothing behind it.
    @_lifetime(self: copy self)
    private mutating func readPort() throws(ProofRefusal) -> UInt16? {
        guard at < uri.count, uri[at] == 0x3A else { return nil }
        at += 1
        let start = at
        var port = 0
        while at < uri.count, uri[at] >= 0x30, uri[at] <= 0x39 {
            port = port * 10 + Int(uri[at] - 0x30)
            // Zero in front is a second spelling; no port is zero.
            guard port > 0, port <= 65_535 else { throw .htuMalformed }
            at += 1
        }
        return at == start ? nil : UInt16(truncatingIfNeeded: port)
    }

    @_lifetime(self: copy self)
    private mutating func readPath(_ path: Span<UInt8>) throws(ProofRefusal) {
        var expected = ExpectedPath(path)
        guard at < uri.count, uri[at] != 0x3F, uri[at] != 0x23 else {
            expected.take(0x2F)
            require(expected.isComplete)
            return
        }
        // What follows host and port and is no path is neither: user information, an escape, a stray byte.
        guard uri[at] == 0x2F else { throw .htuMalformed }
        while at < uri.count, uri[at] != 0x3F, uri[at] != 0x23 {
            let byte = uri[at]
            if byte == 0x2F {
                guard !expected.endsInDotSegment else { throw .htuMalformed }
                expected.take(byte)
                at += 1
            } else if byte == 0x25 {
                guard at + 2 < uri.count, let high = hexadecimalValue(uri[at + 1]),
                    let low = hexadecimalValue(uri[at + 2])
                else { throw .htuMalformed }
                expected.take(escaped: high << 4 | low)
                at += 3
            } else {
                guard byte > 0x20, byte < 0x7F, byte != 0x5C else { throw .htuMalformed }
                if isPathByte(byte) { expected.take(byte) } else { expected.takeEscape(byte) }
                at += 1
            }
        }
        guard !expected.endsInDotSegment else { throw .htuMalformed }
        require(expected.isComplete)
    }

    /// Query and fragment: they are not compared, but they must be visible characters.
    @_lifetime(self: copy self)
    private mutating func readRest() throws(ProofRefusal) {
        while at < uri.count {
            guard uri[at] > 0x20, uri[at] < 0x7F else { throw .htuMalformed }
            at += 1
        }
    }
}

/// The path of the request, compared byte by byte with the normalised path of `htu` as it is read.
private struct ExpectedPath: ~Escapable {
    private let path: Span<UInt8>
    private var at = 0
    private var matches = true
    /// Of the segment that is being read.
    private var segmentBytes = 0
    private var segmentDots = 0

    @_lifetime(copy path)
    init(_ path: Span<UInt8>) {
        self.path = path
    }

    var isComplete: Bool { matches && at == path.count }

    var endsInDotSegment: Bool { segmentDots == segmentBytes && (segmentDots == 1 || segmentDots == 2) }

    @_lifetime(self: copy self)
    mutating func take(_ byte: UInt8) {
        compare(byte)
        if byte == 0x2F {
            segmentBytes = 0
            segmentDots = 0
        } else {
            segmentBytes += 1
            if byte == 0x2E { segmentDots += 1 }
        }
    }

    @_lifetime(self: copy self)
    mutating func take(escaped byte: UInt8) {
        if isUnreserved(byte) { take(byte) } else { takeEscape(byte) }
    }

    @_lifetime(self: copy self)
    mutating func takeEscape(_ byte: UInt8) {
        compare(0x25)
        compare(upperCaseDigit(byte >> 4))
        compare(upperCaseDigit(byte & 15))
        segmentBytes += 1
    }

    @_lifetime(self: copy self)
    private mutating func compare(_ byte: UInt8) {
        guard matches, at < path.count, path[at] == byte else {
            matches = false
            return
        }
        at += 1
    }
}

private func upperCaseDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? 0x30 + value : 0x37 + value
}

/// A letter, digit, hyphen, dot or underscore: what host names that are compared here consist of.
private func isHostByte(_ byte: UInt8) -> Bool {
    isUnreserved(byte) && byte != 0x7E
}

/// RFC 3986 §2.3.
private func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: true
    default: false
    }
}

/// RFC 3986 §3.3 `pchar`, escapes aside.
private func isPathByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x21, 0x24, 0x26...0x2C, 0x3A, 0x3B, 0x3D, 0x40: true
    default: isUnreserved(byte)
    }
}
