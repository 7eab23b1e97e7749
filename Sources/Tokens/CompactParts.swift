internal import Octets

/// The three parts of a JWS in compact serialisation (RFC 7515 §7.1), still base64url:
/// `header.payload.signature`. Only the dots have been looked at.
struct CompactParts {
    let header: ByteRange
    let payload: ByteRange
    let signature: ByteRange

    /// The bytes that the signature is over: header, dot, payload.
    var signed: ByteRange { ByteRange(start: 0, count: Int(payload.start) + Int(payload.count)) }

    /// Splits without allocating and in one pass, whatever the number of dots.
    init(_ token: Span<UInt8>, bytesMax: Int = TokenLimits.tokenBytesMax) throws(TokenRefusal) {
        guard token.count <= bytesMax else { throw .tooLarge }
        guard let first = token.firstIndex(of: 0x2E, from: 0),
            let second = token.firstIndex(of: 0x2E, from: first + 1)
        else { throw .malformed }
        if let third = token.firstIndex(of: 0x2E, from: second + 1) {
            // Five parts are a JWE (RFC 7516 §7.1); more are nothing. The search ends at the fifth dot.
            guard let fourth = token.firstIndex(of: 0x2E, from: third + 1),
                token.firstIndex(of: 0x2E, from: fourth + 1) == nil
            else { throw .malformed }
            throw .encrypted
        }
        guard first > 0, second > first + 1, second < token.count - 1 else { throw .malformed }
        header = ByteRange(start: 0, count: first)
        payload = ByteRange(start: first + 1, count: second - first - 1)
        signature = ByteRange(start: second + 1, count: token.count - second - 1)
    }
}

/// One decoded part of a token, in a buffer that is used again for the next token.
struct DecodedPart: ~Copyable {
    /// Eight bytes more than the longest part, for decoding in blocks.
    private var buffer: [UInt8]
    private var count = 0

    /// - Parameter textBytesMax: the longest base64url text.
    init(textBytesMax: Int = TokenLimits.tokenBytesMax) {
        buffer = [UInt8](repeating: 0, count: Base64URL.decodedCount(textBytesMax) + 8)
    }

    var bytes: Span<UInt8> {
        @_lifetime(borrow self)
        borrowing get { buffer.span.extracting(0..<count) }
    }

    /// Decodes strictly: each byte string has one spelling, so that a token that is cached or revoked by
    /// the digest of its bytes has no second form. A byte that no token may have is refused here too.
    mutating func decode(_ text: Span<UInt8>) throws(TokenRefusal) {
        var room = buffer.mutableSpan
        guard let written = Base64URL.decodeInBlocks(text, into: &room) else { throw .malformed }
        count = written
    }
}
