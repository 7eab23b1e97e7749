internal import Octets

/// A host name as the policy's tables spell it: lower case, no port, no trailing dot.
struct CanonicalHost: ~Copyable {
    /// RFC 1035 §2.3.4, with room for brackets.
    static let hostBytesMax = 255

    var name = ByteWriter(capacity: CanonicalHost.hostBytesMax)

    init() {}

    /// Reads `host`, `host:port`, `[address]` or `[address]:port`.
    /// - Returns: false when the bytes are no host (a comma, a space, user information, a bad port).
    mutating func read(_ host: Span<UInt8>) -> Bool {
        name.removeAll()
        guard host.count > 0, host.count <= CanonicalHost.hostBytesMax + 6 else { return false }
        if host.count <= CanonicalHost.hostBytesMax, isCanonicalName(host) {
            name.append(host)
            return true
        }
        var index = 0
        if host[0] == 0x5B {
            while index < host.count, host[index] != 0x5D {
                guard index == 0 || isAddressCharacter(host[index]) else { return false }
                name.append(lowercased(host[index]))
                index += 1
            }
            guard index > 1, index < host.count else { return false }
            name.append(0x5D)
            index += 1
        } else {
            while index < host.count, host[index] != 0x3A {
                guard isNameCharacter(host[index]) else { return false }
                name.append(lowercased(host[index]))
                index += 1
            }
            if name.count > 1, name.bytes[name.count - 1] == 0x2E { name.truncate(to: name.count - 1) }
        }
        guard index == host.count || isPort(host.extracting(index..<host.count)) else { return false }
        return name.count > 0 && !name.overflowed
    }

    /// Whether the bytes are a name already as it is kept, which nearly all are: small letters, digits, `-`, `.` and `_`,
    /// no port, no dot at the end. What this does not know is read byte by byte.
    private func isCanonicalName(_ host: Span<UInt8>) -> Bool {
        guard host[host.count - 1] != 0x2E else { return false }
        var index = 0
        while index < host.count {
            let isTail = host.count - index < 8
            let word = isTail ? host.littleEndianTail(at: index, filler: 0x61) : host.littleEndianWord(at: index)
            let known =
                lanes(of: word, from: 0x61, through: 0x7A) | lanes(of: word, from: 0x30, through: 0x39)
                | lanes(of: word, from: 0x2D, through: 0x2E) | lanes(of: word, equalTo: 0x5F)
            guard known == lanes(0x80) else { return false }
            index += 8
        }
        return true
    }

    private func isNameCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
        default: false
        }
    }

    private func isAddressCharacter(_ byte: UInt8) -> Bool {
        hexadecimalValue(byte) != nil || byte == 0x3A || byte == 0x2E
    }

    private func isPort(_ text: Span<UInt8>) -> Bool {
        guard text.count >= 2, text.count <= 6, text[0] == 0x3A else { return false }
        return decimalPort(text.extracting(1..<text.count)) != nil
    }
}

/// A port as one to five decimal digits, 1 to 65,535, no leading zero.
func decimalPort(_ text: Span<UInt8>) -> UInt16? {
    guard text.count >= 1, text.count <= 5, text[0] != 0x30 else { return nil }
    var value = 0
    for index in text.indices {
        guard text[index] >= 0x30, text[index] <= 0x39 else { return nil }
        value = value * 10 + Int(text[index] - 0x30)
    }
    return UInt16(exactly: value)
}
