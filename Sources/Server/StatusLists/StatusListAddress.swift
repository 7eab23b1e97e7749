/// Where status lists may be fetched. The URI stands in a token, so it is held to what the policy says again here.
enum StatusListAddress {
    /// Longer ones are no address of a list.
    static let bytesMax = 2_048

    /// - Parameter prefixes: whole URIs, or ones ending in `/` below which any may lie.
    static func isAllowed(_ uri: [UInt8], prefixes: [[UInt8]], issuer: String) -> Bool {
        guard uri.count <= bytesMax, uri.allSatisfy(isURICharacter),
            HTTPSAddress.isAllowed(String(decoding: uri, as: UTF8.self), issuer: issuer),
            prefixes.contains(where: { prefix in
                uri == prefix || prefix.last == slash && uri.count > prefix.count && uri.starts(with: prefix)
            })
        else { return false }
        guard let colon = uri.firstIndex(of: 0x3A), uri.dropFirst(colon).starts(with: "://".utf8) else { return false }
        let rest = uri.dropFirst(colon + 3)
        let authority = rest.prefix { $0 != slash && $0 != question }
        guard !authority.isEmpty, !authority.contains(0x40), !authority.contains(0x25) else { return false }
        return !hasParentSegment(Array(rest.dropFirst(authority.count)))
    }

    /// RFC 3986 §2 without `#`: a fragment is never sent.
    private static func isURICharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "-._~:/?[]@!$&'()*+,;=%".utf8.contains(byte)
        }
    }

    /// Whether some reader could take a part of it for `..`: with its dots or separators percent-encoded, say.
    private static func hasParentSegment(_ path: [UInt8]) -> Bool {
        var decoded: [UInt8] = []
        var at = 0
        while at < path.count {
            if path[at] == 0x25 {
                guard at + 2 < path.count, let high = digit(path[at + 1]), let low = digit(path[at + 2]) else {
                    return true
                }
                decoded.append(high << 4 | low)
                at += 3
            } else {
                decoded.append(path[at])
                at += 1
            }
        }
        // What is still encoded after one decoding is for nobody's good.
        if decoded.contains(0x25) || decoded.contains(0) { return true }
        return decoded.split(omittingEmptySubsequences: false) { $0 == slash || $0 == 0x5C || $0 == question }
            .contains { Array($0.prefix { $0 != 0x3B }) == [0x2E, 0x2E] }
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        case 0x61...0x66: byte - 0x57
        default: nil
        }
    }

    private static let slash: UInt8 = 0x2F
    private static let question: UInt8 = 0x3F
}
