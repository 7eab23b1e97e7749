internal import CZlib
internal import Octets
internal import Signatures
@testable internal import Tokens

/// Status lists: what an issuer's web server sends. The first byte chooses what the rest is.
///
/// * ZLIB data: inflated as zlib itself does it, or refused as zlib does; never beyond the limit.
/// * Any bytes: what zlib makes of them at any level comes back.
/// * Claims that are signed here, or a list around which everything is good: taken only under its own URI, with the
///   statuses that stand in it, for no longer than it says.
/// * A token as it is fetched.
@Sendable func fuzzStatuses(_ bytes: Span<UInt8>) {
    var input = Input(bytes)
    let choice = input.byte()
    switch choice & 7 {
    case 0, 1: fuzzInflate(input.rest(), bytesMax: choice & 8 == 0 ? 1 << 20 : Int(input.word()))
    case 2: fuzzDeflated(level: Int32(choice >> 4) % 10, input.rest())
    case 3: fuzzList(bits: Int(choice >> 4), compressed: input.rest())
    case 4: fuzzToken(input.rest())
    default: fuzzStatusClaims(input.rest())
    }
}

// MARK: inflate

private func fuzzInflate(_ data: [UInt8], bytesMax: Int) {
    let expected = inflated(data, bytesMax: bytesMax)
    do throws(InflateError) {
        let result = try Inflate.read(data.span, outputBytesMax: bytesMax)
        check(result.count <= bytesMax, "more output than is allowed")
        check(expected != nil, "data are inflated that zlib refuses")
        check(result == expected, "data are inflated to something else than zlib makes of them")
        guard !result.isEmpty else { return }
        check(refusal(data, bytesMax: result.count - 1) == .tooLong, "a limit is no limit")
    } catch {
        check(expected == nil, "data are refused that zlib inflates")
    }
}

private func refusal(_ data: [UInt8], bytesMax: Int) -> InflateError? {
    do throws(InflateError) {
        _ = try Inflate.read(data.span, outputBytesMax: bytesMax)
        return nil
    } catch {
        return error
    }
}

/// What zlib makes of exactly these bytes; nil when it refuses them, wants more, or leaves some.
private func inflated(_ data: [UInt8], bytesMax: Int) -> [UInt8]? {
    var output = [UInt8](repeating: 0, count: bytesMax + 1)
    var input = data
    var stream = unsafe z_stream()
    guard unsafe inflateInit_(&stream, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else { return nil }
    defer { unsafe inflateEnd(&stream) }
    // SAFETY: both buffers are lent for the call, and zlib is told their sizes.
    let status = unsafe input.withUnsafeMutableBufferPointer { source in
        unsafe output.withUnsafeMutableBufferPointer { room in
            unsafe stream.next_in = source.baseAddress
            unsafe stream.avail_in = UInt32(source.count)
            unsafe stream.next_out = room.baseAddress
            unsafe stream.avail_out = UInt32(room.count)
            return unsafe CZlib.inflate(&stream, Z_FINISH)
        }
    }
    let (count, left) = unsafe (Int(stream.total_out), stream.avail_in)
    guard status == Z_STREAM_END, left == 0, count <= bytesMax else { return nil }
    return Array(output[0..<count])
}

private func deflated(_ bytes: [UInt8], level: Int32) -> [UInt8] {
    var count = compressBound(UInt(bytes.count))
    var output = [UInt8](repeating: 0, count: Int(count))
    // SAFETY: both buffers are lent for the call, and zlib is told their sizes.
    let status = unsafe output.withUnsafeMutableBufferPointer { room in
        unsafe bytes.withUnsafeBufferPointer { source in
            unsafe compress2(room.baseAddress, &count, source.baseAddress, UInt(source.count), level)
        }
    }
    check(status == Z_OK, "zlib cannot compress")
    return Array(output[0..<Int(count)])
}

private func fuzzDeflated(level: Int32, _ bytes: [UInt8]) {
    // Repeated, so that distances and lengths of every size come up.
    let text = bytes + bytes + bytes.reversed() + bytes
    let data = deflated(text, level: level)
    check((try? Inflate.read(data.span, outputBytesMax: text.count)) == text, "data of zlib's are not inflated")
    check(refusal(data + [0], bytesMax: text.count) == .trailingBytes, "bytes behind the data are taken")
    check(refusal(data.dropLast(), bytesMax: text.count) == .truncated, "data without an end are taken")
    var changed = data
    changed[data.count - 1] ^= 1
    check(refusal(changed, bytesMax: text.count) == .checksum, "another checksum is taken")
}

private func refusal(_ data: ArraySlice<UInt8>, bytesMax: Int) -> InflateError? {
    refusal(Array(data), bytesMax: bytesMax)
}

// MARK: tokens

private enum Lists {
    static let uri = Array("https://status.example.com/1".utf8)
    static let bytesMax = 1 << 20
    static let header = "{\"alg\":\"EdDSA\",\"typ\":\"statuslist+jwt\",\"kid\":\"o1\"}"

    static func read(_ token: [UInt8], uri: [UInt8] = uri, now: Int64 = FixedKeys.now) -> StatusList? {
        try? StatusList.read(
            token.span, uri: uri.span, issuer: ClaimsIssuers.all.issuers[0], now: now, listBytesMax: bytesMax)
    }

    static func sign(_ claims: [UInt8], header: String = header) -> [UInt8]? {
        guard let key = FixedKeys.signing else { return nil }
        return try? TokenMint.sign(
            header: Array(header.utf8).span, payload: claims.span, key: key.key, algorithm: key.algorithm)
    }
}

private func fuzzToken(_ token: [UInt8]) {
    guard Lists.read(token) != nil else { return }
    let parts = token.split(separator: 0x2E).map { Base64URL.decode(Array($0).span) ?? [] }
    check(parts.count == 3, "a list of another form is taken")
    checkList(parts[1], token)
}

private func fuzzStatusClaims(_ claims: [UInt8]) {
    guard let token = Lists.sign(claims) else {
        check(false, "the fixed key cannot sign")
        return
    }
    if Lists.read(token) != nil { checkList(claims, token) }
}

/// A list in good company, so that only its own bytes decide.
private func fuzzList(bits: Int, compressed: [UInt8]) {
    let bits = [1, 2, 4, 8][bits & 3]
    let text = String(decoding: Base64URL.encode(compressed.span), as: UTF8.self)
    let claims = """
        {"sub":"https://status.example.com/1","iat":1700000000,"status_list":{"bits":\(bits),"lst":"\(text)"}}
        """
    let expected = inflated(compressed, bytesMax: Lists.bytesMax)
    guard let token = Lists.sign(Array(claims.utf8)) else {
        check(false, "the fixed key cannot sign")
        return
    }
    check((Lists.read(token) != nil) == (expected != nil), "a good list is refused, or a bad one taken")
    if expected != nil { checkList(Array(claims.utf8), token) }
}

/// Everything that must hold for a list that was taken.
private func checkList(_ claims: [UInt8], _ token: [UInt8]) {
    guard let list = Lists.read(token), let tree = JSONTree(claims) else {
        check(false, "a list is read in two ways")
        return
    }
    check(tree["sub"]?.string == Lists.uri, "a list of another URI is taken")
    let place = Array("https://id.example.com".utf8) + [0] + Lists.uri
    check(list.key == sha256(place.span), "a list is found under another name")
    check(
        tree["iss"] == nil || tree["iss"]?.string == Array("https://id.example.com".utf8),
        "a list of another issuer is taken")
    checkTimes(tree, list, token)
    check(Lists.read(token, uri: Lists.uri + [0x31]) == nil, "a list is taken for another URI")
    var changed = token
    changed[token.count - 3] = token[token.count - 3] == 0x41 ? 0x42 : 0x41
    check(Lists.read(changed) == nil, "another signature is taken")
    for header in [
        "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"o1\"}", "{\"alg\":\"EdDSA\",\"kid\":\"o1\"}",
        "{\"alg\":\"EdDSA\",\"typ\":\"statuslist+jwt\",\"kid\":\"e1\"}",
    ] {
        check(Lists.sign(claims, header: header).map { Lists.read($0) == nil } == true, "another type or key is taken")
    }

    let bits = tree["status_list"]?["bits"]?.number ?? 0
    guard [1, 2, 4, 8].contains(bits), let text = tree["status_list"]?["lst"]?.string,
        let data = Base64URL.decode(text.span), let bytes = inflated(data, bytesMax: Lists.bytesMax)
    else {
        check(false, "a list without statuses is taken")
        return
    }
    check(list.byteCount == bytes.count, "a list of another length")
    let perByte = 8 / Int(bits)
    for place in [0, 1, 2, bytes.count / 2, bytes.count - 1] where place >= 0 && place < bytes.count {
        var rest = Int(bytes[place])
        for number in 0..<perByte {
            let status = list.status(at: UInt64(place * perByte + number))
            check(status == UInt8(rest % (1 << Int(bits))), "another status")
            rest /= 1 << Int(bits)
        }
    }
    for index in [UInt64(bytes.count * perByte), UInt64(1) << 31, .max] {
        check(list.status(at: index) == nil, "a status beyond the list")
    }
}

private func checkTimes(_ tree: JSONTree, _ list: StatusList, _ token: [UInt8]) {
    let now = FixedKeys.now
    check(list.refreshAt > now && list.refreshAt <= list.expiresAt, "a list is due before it was read, or too late")
    check(list.expiresAt <= now + StatusList.lifeSecondsMax, "a list is believed for ever")
    if let end = tree["exp"] {
        check(list.expiresAt <= numericDate(end)?.floor ?? 0, "a list is believed beyond its end")
    }
    if let ttl = tree["ttl"] {
        check(list.refreshAt - now <= numericDate(ttl)?.floor ?? 0, "a list is not fetched again")
    }
    check(
        tree["iat"].flatMap(numericDate).map { $0.ceiling <= now + TokenLimits.issuedAheadSecondsMax } == true,
        "a list of the future")
    check(
        tree["exp"] == nil || Lists.read(token, now: list.expiresAt + StatusList.lifeSecondsMax) == nil
            || list.expiresAt == now + StatusList.lifeSecondsMax, "a list without an end")
}
