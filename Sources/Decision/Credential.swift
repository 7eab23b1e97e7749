internal import Octets
internal import PolicyTables

/// How an access token was sent.
enum CredentialScheme: Equatable {
    /// By none that is known, or not at all, or in several ways.
    case none
    /// As `Bearer` (RFC 6750 §2.1), in a cookie or in a subprotocol.
    case bearer
    /// RFC 9449 §7.1.
    case dpop
}

/// The access token on a request, or why there is none that may be used.
enum Credential {
    case token(ByteRange, CredentialScheme)
    case refused(Reason, CredentialScheme)
}

/// Finds the one credential of a request (RFC 6750 §2.1, RFC 9449 §7.1, RFC 9110 §11.6.2).
///
/// The Authorization header always counts; a cookie or a WebSocket subprotocol only where the service asks for
/// it. Two credentials, or two ways of sending one, are refused, and so are two proofs beside one sent as DPoP. A token
/// in the query is not looked at.
/// - Parameters:
///   - name: the cookie's name or the subprotocol's marker.
///   - checksCharacters: whether a token of other characters than token68 is refused here. A caller that says no looks
///     itself, unless it knows the bytes from before.
func findCredential(
    _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>, source: TokenSourceKind, name: Span<UInt8>,
    checksCharacters: Bool = true
) -> Credential {
    let found = locateCredential(facts, bytes, source: source, name: name)
    guard case .token(let range, let scheme) = found else { return found }
    let proofs = facts.dpopCount
    let hasTwoProofs = scheme == .dpop && proofs > 1
    // Of two faults the token's own is named.
    if checksCharacters || hasTwoProofs, !isToken68(bytes.bytes(at: range)) {
        return .refused(.malformedAuthorization, scheme)
    }
    return hasTwoProofs ? .refused(.multipleCredentials, .dpop) : found
}

private func locateCredential(
    _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>, source: TokenSourceKind, name: Span<UInt8>
) -> Credential {
    guard facts.authorizationCount <= 1 else { return .refused(.multipleCredentials, .none) }
    let header = bytes.bytes(at: facts.authorization)
    let hasHeader = facts.authorizationCount == 1 && header.count > 0
    let elsewhere: Credential?
    switch source {
    case .header: elsewhere = nil
    case .cookie: elsewhere = cookieToken(facts, bytes, name)
    case .webSocketProtocol: elsewhere = subprotocolToken(facts, bytes, name)
    }
    guard let elsewhere else {
        guard hasHeader else { return .refused(.noToken, .none) }
        return headerToken(bytes, facts.authorization)
    }
    return hasHeader ? .refused(.multipleCredentials, .none) : elsewhere
}

/// `Bearer` or `DPoP` in any case, exactly one space, token68.
private func headerToken(_ bytes: Span<UInt8>, _ range: ByteRange) -> Credential {
    let header = bytes.bytes(at: range)
    var end = 0
    while end < header.count, isTokenCharacter(header[end]) { end += 1 }
    guard end > 0 else { return .refused(.malformedAuthorization, .none) }
    let scheme: CredentialScheme
    if equalIgnoringCase(header.extracting(0..<end), "Bearer") {
        scheme = .bearer
    } else if equalIgnoringCase(header.extracting(0..<end), "DPoP") {
        scheme = .dpop
    } else {
        // Another scheme is well-formed when something follows it after a space, or nothing at all.
        let isScheme = end == header.count || header[end] == 0x20
        return .refused(isScheme ? .unsupportedScheme : .malformedAuthorization, .none)
    }
    guard end < header.count, header[end] == 0x20 else { return .refused(.malformedAuthorization, scheme) }
    let token = ByteRange(start: Int(range.start) + end + 1, count: header.count - end - 1)
    return .token(token, scheme)
}

/// The value of the one cookie with this name (RFC 6265 §4.2.1), quotes not allowed.
private func cookieToken(
    _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>, _ name: Span<UInt8>
) -> Credential? {
    guard facts.cookieCount > 0 else { return nil }
    guard facts.cookieCount == 1 else { return .refused(.multipleCredentials, .bearer) }
    let cookies = bytes.bytes(at: facts.cookie)
    var found = ByteRange.absent
    var index = 0
    while index < cookies.count {
        while index < cookies.count, isCookieSeparator(cookies[index]) { index += 1 }
        let start = index
        while index < cookies.count, cookies[index] != 0x3B { index += 1 }
        let pair = cookies.extracting(start..<index)
        guard pair.count > name.count, pair[name.count] == 0x3D,
            equal(pair.extracting(0..<name.count), name)
        else { continue }
        if found.isPresent { return .refused(.multipleCredentials, .bearer) }
        found = ByteRange(
            start: Int(facts.cookie.start) + start + name.count + 1, count: pair.count - name.count - 1)
    }
    guard found.isPresent else { return nil }
    return .token(found, .bearer)
}

/// `;`, and the white space that readers of cookies skip.
private func isCookieSeparator(_ byte: UInt8) -> Bool {
    byte == 0x3B || byte == 0x20 || byte == 0x09
}

/// `MARKER, TOKEN` as two neighbouring members of Sec-WebSocket-Protocol (RFC 6455 §11.3.4).
private func subprotocolToken(
    _ facts: borrowing RequestFacts, _ bytes: Span<UInt8>, _ marker: Span<UInt8>
) -> Credential? {
    guard facts.webSocketProtocolCount > 0 else { return nil }
    guard facts.webSocketProtocolCount == 1 else { return .refused(.multipleCredentials, .bearer) }
    let list = bytes.bytes(at: facts.webSocketProtocol)
    var found = ByteRange.absent
    var afterMarker = false
    var index = 0
    while index <= list.count {
        var start = index
        while index < list.count, list[index] != 0x2C { index += 1 }
        var end = index
        index += 1
        while start < end, list[start] == 0x20 || list[start] == 0x09 { start += 1 }
        while end > start, list[end - 1] == 0x20 || list[end - 1] == 0x09 { end -= 1 }
        let member = list.extracting(start..<end)
        if afterMarker {
            if found.isPresent { return .refused(.multipleCredentials, .bearer) }
            found = ByteRange(start: Int(facts.webSocketProtocol.start) + start, count: end - start)
            afterMarker = false
        } else {
            afterMarker = equal(member, marker)
        }
    }
    if afterMarker { return .refused(.malformedAuthorization, .bearer) }
    guard found.isPresent else { return nil }
    return .token(found, .bearer)
}

/// RFC 9110 §11.2: `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
func isToken68(_ text: Span<UInt8>) -> Bool {
    var end = text.count
    while end > 0, text[end - 1] == 0x3D { end -= 1 }
    guard end > 0 else { return false }
    // Each byte of every new token comes by here: eight at a time, the last eight once more for what is left over.
    guard end >= 8 else { return areToken68Bytes(text.extracting(0..<end)) }
    var good = token68Lanes(of: text.littleEndianWord(at: end - 8))
    var index = 0
    while index <= end - 8 {
        good &= token68Lanes(of: text.littleEndianWord(at: index))
        index += 8
    }
    return good == lanes(0x80)
}

private func areToken68Bytes(_ text: Span<UInt8>) -> Bool {
    for index in text.indices {
        switch text[index] {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E, 0x2B, 0x2F: break
        default: return false
        }
    }
    return true
}

@inline(always)
private func token68Lanes(of word: UInt64) -> UInt64 {
    // `-`, `.` and `/` stand right before the digits.
    pathLanes(of: word) | lanes(of: word, equalTo: 0x2B)
}

/// RFC 9110 §5.6.2 `tchar`.
func isTokenCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E...0x60,
        0x7C, 0x7E:
        true
    default: false
    }
}
