/// The DER of the first certificate in a file or a text: PEM, with whatever stands around it, or DER itself.
/// - Returns: nil where there is none.
func certificateDER(_ bytes: [UInt8]) -> [UInt8]? {
    let head = Array("-----BEGIN CERTIFICATE-----".utf8)
    let tail = Array("-----END CERTIFICATE-----".utf8)
    guard let start = firstIndex(of: head, in: bytes[...]) else {
        // Every certificate is a sequence.
        return bytes.first == 0x30 ? bytes : nil
    }
    let body = bytes[(start + head.count)...]
    guard let end = firstIndex(of: tail, in: body) else { return nil }
    return base64Decoded(body[..<end])
}

/// URL-encoded PEM of one certificate, as the proxies hand it on: `-----BEGIN%20CERTIFICATE-----%0AMIIB…`.
func escapedPEM(_ der: [UInt8]) -> String {
    let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text = "-----BEGIN%20CERTIFICATE-----%0A"
    var column = 0
    for start in stride(from: 0, to: der.count, by: 3) {
        let left = min(3, der.count - start)
        var bits: UInt32 = 0
        for index in 0..<3 { bits = bits << 8 | (index < left ? UInt32(der[start + index]) : 0) }
        for index in 0..<4 {
            let digit = digits[Int(bits >> UInt32(18 - 6 * index) & 0x3F)]
            text += index > left ? "%3D" : escaped(digit)
        }
        column += 4
        if column == 64 || start + 3 >= der.count {
            text += "%0A"
            column = 0
        }
    }
    return text + "-----END%20CERTIFICATE-----%0A"
}

private func escaped(_ digit: UInt8) -> String {
    switch digit {
    case 0x2B: "%2B"
    case 0x2F: "%2F"
    default: String(UnicodeScalar(digit))
    }
}

private func firstIndex(of wanted: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
    guard let first = wanted.first else { return nil }
    var index = bytes.startIndex
    while bytes.endIndex - index >= wanted.count {
        if bytes[index] == first, bytes[index..<index + wanted.count].elementsEqual(wanted) { return index }
        index += 1
    }
    return nil
}

/// RFC 4648 §4, with white space between the digits (RFC 7468 §2).
private func base64Decoded(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    var result: [UInt8] = []
    var bits: UInt32 = 0
    var digits = 0
    var padding = 0
    for byte in text {
        let digit: UInt32
        switch byte {
        case 0x09, 0x0A, 0x0D, 0x20: continue
        case 0x41...0x5A: digit = UInt32(byte - 0x41)
        case 0x61...0x7A: digit = UInt32(byte - 0x61) + 26
        case 0x30...0x39: digit = UInt32(byte - 0x30) + 52
        case 0x2B: digit = 62
        case 0x2F: digit = 63
        case 0x3D:
            padding += 1
            continue
        default: return nil
        }
        guard padding == 0 else { return nil }
        bits = (bits & 0x00FF_FFFF) << 6 | digit
        digits += 1
        // The bits that make a byte whole, from the second of each four digits on.
        let rest = digits * 6 % 8
        if digits % 4 != 1 { result.append(UInt8(truncatingIfNeeded: bits >> UInt32(rest))) }
    }
    guard !result.isEmpty, (digits + padding) % 4 == 0, padding <= 2 else { return nil }
    return result
}
