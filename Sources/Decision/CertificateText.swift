internal import Octets
internal import Signatures

/// The DER of a certificate that came as URL-encoded PEM, in a buffer that is used again.
///
/// Example: `-----BEGIN%20CERTIFICATE-----%0AMIIB…%3D%0A-----END%20CERTIFICATE-----%0A`, as nginx's
/// `$ssl_client_escaped_cert` has it. One certificate alone (RFC 7468 §3): lines of base64 with strict padding, ended
/// by LF or CR LF, which may be absent at the very end. A raw `+` is refused: some readers take it for a space.
struct CertificateText: ~Copyable {
    var der = ByteWriter(capacity: ClientCertificate.derBytesMax)

    init() {}

    /// - Returns: false when the text is not of this form or the certificate has more than
    ///   `ClientCertificate.derBytesMax` bytes.
    mutating func read(_ text: Span<UInt8>) -> Bool {
        der.removeAll()
        var source = UnescapedText(text)
        guard source.take("-----BEGIN CERTIFICATE-----"), source.takeLineEnd() else { return false }
        var bits: UInt32 = 0
        var characters = 0
        var padding = 0
        while !der.overflowed {
            guard let byte = source.next() else { return false }
            if byte == 0x3D {
                padding += 1
            } else {
                guard padding == 0, let value = base64Value(byte) else { return false }
                bits = bits << 6 | UInt32(value)
                characters += 1
                if characters % 4 == 0 { append(bits, bytes: 3) }
            }
            if source.takeLineEnd() {
                guard source.peek == 0x2D else { continue }
                break
            }
        }
        switch (characters % 4, padding) {
        case (0, 0): break
        case (2, 2) where bits & 0x0F == 0: append(bits << 12, bytes: 1)
        case (3, 1) where bits & 0x03 == 0: append(bits << 6, bytes: 2)
        default: return false
        }
        guard source.take("-----END CERTIFICATE-----") else { return false }
        _ = source.takeLineEnd()
        return source.isAtEnd && der.count > 0 && !der.overflowed
    }

    private mutating func append(_ bits: UInt32, bytes: Int) {
        for index in 0..<bytes { der.append(UInt8(truncatingIfNeeded: bits >> UInt32(16 - 8 * index))) }
    }
}

/// RFC 4648 §4.
func base64Value(_ character: UInt8) -> UInt8? {
    switch character {
    case 0x41...0x5A: character - 0x41
    case 0x61...0x7A: character - 0x61 + 26
    case 0x30...0x39: character - 0x30 + 52
    case 0x2B: 62
    case 0x2F: 63
    default: nil
    }
}

/// Bytes behind percent-encoding; stops for good at what is neither an escape nor a byte that may stand raw.
private struct UnescapedText: ~Escapable {
    private let text: Span<UInt8>
    private var at = 0
    /// The next byte; nil at the end, and where the text is malformed.
    private(set) var peek: UInt8?

    @_lifetime(copy text)
    init(_ text: Span<UInt8>) {
        self.text = text
        peek = nil
        read()
    }

    var isAtEnd: Bool { at == text.count && peek == nil }

    @_lifetime(self: copy self)
    mutating func next() -> UInt8? {
        let byte = peek
        if byte != nil { read() }
        return byte
    }

    @_lifetime(self: copy self)
    mutating func take(_ expected: StaticString) -> Bool {
        // SAFETY: a StaticString with a pointer representation holds utf8CodeUnitCount bytes for ever.
        let start = unsafe expected.utf8Start
        for index in 0..<expected.utf8CodeUnitCount {
            guard unsafe next() == start[index] else { return false }
        }
        return true
    }

    @_lifetime(self: copy self)
    mutating func takeLineEnd() -> Bool {
        if peek == 0x0D {
            read()
            guard peek == 0x0A else { return false }
        }
        guard peek == 0x0A else { return false }
        read()
        return true
    }

    /// Reads the byte at `at` into `peek`. At malformed text `at` stays, so that the end is never reached.
    @_lifetime(self: copy self)
    private mutating func read() {
        peek = nil
        guard at < text.count else { return }
        let byte = text[at]
        switch byte {
        case 0x25:
            guard at + 2 < text.count, let high = hexadecimalValue(text[at + 1]),
                let low = hexadecimalValue(text[at + 2])
            else { return }
            peek = high << 4 | low
            at += 3
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x2F, 0x3D, 0x5F, 0x7E:
            peek = byte
            at += 1
        default: return
        }
    }
}
