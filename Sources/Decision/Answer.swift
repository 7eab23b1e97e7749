internal import Octets

/// The headers of an answer (design: one name for every proxy). All are present on every answer, empty
/// where there is nothing to say, except the challenge, which only a denial for the token's sake carries, and the
/// nonce.
public enum AnswerField: UInt8, CaseIterable, Sendable {
    case decision = 0
    case reason = 1
    case route = 2
    case policy = 3
    case auditID = 4
    // Empty unless the verdict is allow on a token.
    case subject = 5
    case client = 6
    case issuer = 7
    case granted = 8
    /// `WWW-Authenticate` on 401, `X-Scope-Challenge` on 403.
    case challenge = 9
    /// `DPoP-Nonce`: for the client's next proof (RFC 9449 §8.2), on any verdict.
    case proofNonce = 10
    /// `Txn-Token`: for the backend (draft-ietf-oauth-transaction-tokens), on an allow that carries one.
    case transactionToken = 11
    /// `X-Scope-Forward-Token`: on an allow, `yes` or `no`: whether the backend may see the client's own token. Empty
    /// for a connection without HTTP, which has none.
    case forwardToken = 12

    /// The end of the line before, the header's name, colon and blank: what stands between two values of a head.
    @inlinable
    public var headerLine: StaticString {
        switch self {
        case .decision: "\r\nX-Scope-Decision: "
        case .reason: "\r\nX-Scope-Reason: "
        case .route: "\r\nX-Scope-Route: "
        case .policy: "\r\nX-Scope-Policy: "
        case .auditID: "\r\nX-Scope-Audit-Id: "
        case .subject: "\r\nX-Scope-Subject: "
        case .client: "\r\nX-Scope-Client: "
        case .issuer: "\r\nX-Scope-Issuer: "
        case .granted: "\r\nX-Scope-Granted: "
        case .challenge: "\r\nX-Scope-Challenge: "
        case .proofNonce: "\r\nDPoP-Nonce: "
        case .transactionToken: "\r\nTxn-Token: "
        case .forwardToken: "\r\nX-Scope-Forward-Token: "
        }
    }
}

/// One answer: a status and the text of each field, in a buffer that is used again for the next request.
/// Deny is what it holds before anything was decided. Every value is printable ASCII.
public struct Answer: ~Copyable {
    /// Bytes that all values of one answer may have together; with names and line ends a head stays under 4 KB.
    public static let textBytesMax = 3_584

    /// Bytes kept free for what is written after the granted scopes: subject, client, issuer and the short fields.
    static let identityBytesMax = 1_024

    /// 200, 401, 403 or 503.
    public internal(set) var status: UInt16 = 403
    public internal(set) var reason: Reason = .overloaded
    var text = ByteWriter(capacity: Answer.textBytesMax)
    private var places = InlineArray<13, ByteRange>(repeating: ByteRange.absent)

    public init() {}

    /// The value of a field, borrowed until the next decision; empty when there is none.
    @_lifetime(borrow self)
    public borrowing func value(of field: AnswerField) -> Span<UInt8> {
        let span = text.bytes.bytes(at: places[Int(field.rawValue)])
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    func copy(of field: AnswerField) -> [UInt8] {
        [UInt8](copying: text.bytes.bytes(at: places[Int(field.rawValue)]))
    }

    public var isAllow: Bool { status == 200 }
    public var hasChallenge: Bool { !places[Int(AnswerField.challenge.rawValue)].isEmpty }
    public var hasProofNonce: Bool { !places[Int(AnswerField.proofNonce.rawValue)].isEmpty }

    /// Back to a denial that says nothing.
    mutating func reset() {
        status = 403
        reason = .overloaded
        text.removeAll()
        for index in places.indices { places[index] = .absent }
    }

    /// Whether everything written so far fitted; an answer that did not fit is not sent.
    var isComplete: Bool { !text.overflowed }

    /// Bytes that may still be written.
    var freeCount: Int { text.capacity - text.count }

    /// Makes everything appended to the text since `start` the value of a field.
    mutating func close(_ field: AnswerField, from start: Int) {
        places[Int(field.rawValue)] = ByteRange(start: start, count: text.count - start)
    }

    /// Takes back what was written after the first `mark` bytes: all that an answer says of who sent the request.
    mutating func takeBackIdentity(to mark: Int) {
        text.rewind(to: mark)
        for number in AnswerField.subject.rawValue...AnswerField.granted.rawValue { places[Int(number)] = .absent }
        places[Int(AnswerField.transactionToken.rawValue)] = .absent
    }

    mutating func write(_ field: AnswerField, _ value: StaticString) {
        let start = text.count
        text.append(value)
        close(field, from: start)
    }

    mutating func write(_ field: AnswerField, _ value: Span<UInt8>) {
        let start = text.count
        text.append(value)
        close(field, from: start)
    }

    /// Writes outside text as printable ASCII without `%` and spaces; every other byte becomes `%XX`, so that
    /// two different values never look the same to a backend.
    mutating func writeEncoded(_ field: AnswerField, _ value: Span<UInt8>) {
        let start = text.count
        text.append(percentEncoding: value)
        close(field, from: start)
    }
}

extension ByteWriter {
    /// - Parameter lowestByte: the first byte that stays as it is; 0x20 keeps spaces.
    mutating func append(percentEncoding value: Span<UInt8>, lowestByte: UInt8 = 0x21) {
        var index = 0
        while index < value.count {
            let end = plainEnd(value, from: index, lowestByte: lowestByte)
            append(value.extracting(index..<end))
            guard end < value.count else { return }
            append(0x25)
            append(hexadecimal: value[end])
            index = end + 1
        }
    }
}

/// Where the first byte at or after `start` stands that has to be escaped; `value.count` when there is none.
private func plainEnd(_ value: Span<UInt8>, from start: Int, lowestByte: UInt8) -> Int {
    var index = start
    while index < value.count {
        let isTail = value.count - index < 8
        let word =
            isTail ? value.littleEndianTail(at: index, filler: lowestByte) : value.littleEndianWord(at: index)
        let plain = lanes(of: word, from: lowestByte, through: 0x7E) & ~lanes(of: word, equalTo: 0x25)
        let others = plain ^ lanes(0x80)
        if others != 0 { return index + others.trailingZeroBitCount >> 3 }
        index += 8
    }
    return value.count
}

extension Answer {
    /// Becomes the same answer as another.
    mutating func become(_ other: borrowing Answer) {
        status = other.status
        reason = other.reason
        text.removeAll()
        text.append(other.text.bytes)
        places = other.places
    }
}
