internal import Octets

/// Hosts of a policy: a name, `*.name` for exactly one label before it, an IPv4 address, an IPv6 address in
/// brackets; always in the one spelling that requests are compared with.
enum HostName {
    /// RFC 1035 §2.3.4, without the root's dot.
    static let bytesMax = 253
    static let labelBytesMax = 63

    /// Checks that `text` is a host in its canonical spelling.
    static func check(_ text: ArraySlice<UInt8>) throws(TextProblem) {
        let host = try unwrapped(text)
        if host.first == 0x5B { return try checkAddress6(host) }
        guard host.allSatisfy({ $0 < 0x80 }) else {
            throw problem(
                "\(quoted(host)) has letters that DNS does not carry",
                mend: "write its ASCII form, which starts with `xn--`")
        }
        if host.contains(where: { $0 >= 0x41 && $0 <= 0x5A }) {
            throw problem(
                "\(quoted(host)) has upper-case letters; hosts are compared in lower case",
                mend: mend(host.map(lowercased)[...]))
        }
        if host.last == 0x2E {
            throw problem("\(quoted(host)) ends with a dot", mend: mend(host.dropLast()))
        }
        var name = host
        if host.starts(with: Array("*.".utf8)) { name = host.dropFirst(2) }
        if let star = name.firstIndex(of: 0x2A) {
            throw TextProblem(
                code: .badHost, offset: star - host.startIndex,
                message: "`*` in \(quoted(host)) where it cannot stand",
                mend: "write `*.` once at the front, for exactly one label, or list the hosts")
        }
        guard host.count <= bytesMax else {
            throw problem(
                "a host of \(host.count) bytes; names have at most \(bytesMax)", mend: "write a shorter name")
        }
        try checkLabels(name, of: host)
    }

    /// The host without what belongs to a URL; throws when there is any of it.
    private static func unwrapped(_ text: ArraySlice<UInt8>) throws(TextProblem) -> ArraySlice<UInt8> {
        guard !text.isEmpty else {
            throw problem("an empty host", mend: "write a name, as in `api.example.com`")
        }
        var host = text
        for scheme in ["https://", "http://"] where host.starts(with: Array(scheme.utf8)) {
            host = host.dropFirst(scheme.utf8.count)
            host = host.prefix { $0 != 0x2F && $0 != 0x3F && $0 != 0x23 }
            throw problem("\(quoted(text)) is a URL, a host is wanted", mend: mend(withoutPort(host)))
        }
        if let slash = host.firstIndex(of: 0x2F) {
            throw problem(
                "\(quoted(text)) has a path, a host is wanted",
                mend: mend(host[..<slash]) + ", and the path as `base_path`")
        }
        if let at = host.lastIndex(of: 0x40) {
            throw problem(
                "\(quoted(text)) has user information, a host is wanted", mend: mend(host[(at + 1)...]))
        }
        let bare = withoutPort(host)
        if bare.count < host.count {
            let port = host.dropFirst(bare.count + 1)
            let portMend =
                decimal(port) == nil ? "" : ", and `ports: [\(String(decoding: port, as: UTF8.self))]`"
            throw problem("\(quoted(text)) has a port, a host is wanted", mend: mend(bare) + portMend)
        }
        if host.first != 0x5B, isAddress6(host) {
            throw problem(
                "the IPv6 address \(quoted(text)) has no brackets",
                mend: "write `\"[\(canonical6(host) ?? "")]\"`")
        }
        return host
    }

    /// `host` of `host:port`; an IPv6 address without brackets is left alone.
    private static func withoutPort(_ host: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard let colon = host.lastIndex(of: 0x3A) else { return host }
        if host.first == 0x5B {
            return colon > host.startIndex && host[colon - 1] == 0x5D ? host[..<colon] : host
        }
        return host.firstIndex(of: 0x3A) == colon ? host[..<colon] : host
    }

    private static func checkLabels(
        _ name: ArraySlice<UInt8>, of host: ArraySlice<UInt8>
    ) throws(TextProblem) {
        let labels = name.split(separator: 0x2E, omittingEmptySubsequences: false)
        for label in labels {
            let offset = label.startIndex - host.startIndex
            func fault(_ message: String, _ mend: String) -> TextProblem {
                TextProblem(code: .badHost, offset: offset, message: message, mend: mend)
            }
            if label.isEmpty {
                throw fault(
                    "an empty label in \(quoted(host))", "write one dot between labels and none at the front")
            }
            if label.count > labelBytesMax {
                throw fault(
                    "a label of \(label.count) bytes in \(quoted(host)); DNS has at most \(labelBytesMax)",
                    "write a shorter label")
            }
            if label.first == 0x2D || label.last == 0x2D {
                throw fault("a label of \(quoted(host)) starts or ends with `-`", "remove the `-`")
            }
            if let wrong = label.first(where: { !isLabelCharacter($0) }) {
                let sign = printable(String(decoding: [wrong], as: UTF8.self), charactersMax: 1)
                throw fault(
                    "`\(sign)` in \(quoted(host)) is no part of a host", "use letters, digits, `-` and `.`")
            }
        }
        // A name whose last label is a number is read as an IPv4 address by URL parsers, in many spellings.
        if let last = labels.last, last.allSatisfy(isDigit), !isAddress4(host) {
            throw problem(
                "\(quoted(host)) is neither a name nor an IPv4 address",
                mend: "write an address as four numbers from 0 to 255, as in `192.0.2.1`")
        }
    }

    private static func isLabelCharacter(_ byte: UInt8) -> Bool {
        isDigit(byte) || (byte >= 0x61 && byte <= 0x7A) || byte == 0x2D
    }

    static func isAddress4(_ host: ArraySlice<UInt8>) -> Bool {
        let parts = host.split(separator: 0x2E, omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { decimal($0).map { $0 <= 255 } ?? false }
    }

    private static func checkAddress6(_ host: ArraySlice<UInt8>) throws(TextProblem) {
        let inner = host.last == 0x5D ? host.dropFirst().dropLast() : host.dropFirst()
        guard host.last == 0x5D, let canonical = canonical6(inner) else {
            throw problem(
                "\(quoted(host)) is no IPv6 address",
                mend: "write it as in `\"[2001:db8::1]\"`, without a zone")
        }
        guard Array(canonical.utf8)[...] == inner else {
            throw problem(
                "\(quoted(host)) is not the canonical spelling (RFC 5952)", mend: "write `\"[\(canonical)]\"`"
            )
        }
    }

    private static func mend(_ host: ArraySlice<UInt8>) -> String {
        "write `\(printable(String(decoding: host, as: UTF8.self), charactersMax: 80))`"
    }

    private static func problem(_ message: String, mend: String) -> TextProblem {
        TextProblem(code: .badHost, offset: 0, message: message, mend: mend)
    }
}

// MARK: IPv6 text (RFC 4291 §2.2, RFC 5952 §4)

extension HostName {
    static func isAddress6(_ text: ArraySlice<UInt8>) -> Bool { canonical6(text) != nil }

    /// The one spelling of an IPv6 address, or nil when the text is none.
    static func canonical6(_ text: ArraySlice<UInt8>) -> String? {
        guard let groups = groups6(text) else { return nil }
        // The longest run of two or more zero groups, the first of equals, becomes `::`.
        var best = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, groups[end] == 0 { end += 1 }
            if end - start > best.count, end - start >= 2 { best = start..<end }
            start = max(end, start + 1)
        }
        func hexadecimal(_ range: Range<Int>) -> String {
            groups[range].map { String($0, radix: 16) }.joined(separator: ":")
        }
        if best.isEmpty { return hexadecimal(0..<8) }
        return hexadecimal(0..<best.lowerBound) + "::" + hexadecimal(best.upperBound..<8)
    }

    private static func groups6(_ text: ArraySlice<UInt8>) -> [UInt16]? {
        guard text.count >= 2, text.count <= 45, text.contains(0x3A) else { return nil }
        var bytes = text
        var tail: [UInt16] = []
        if bytes.contains(0x2E) {
            guard let colon = bytes.lastIndex(of: 0x3A), isAddress4(bytes[(colon + 1)...]) else { return nil }
            let parts = bytes[(colon + 1)...].split(separator: 0x2E).compactMap { decimal($0) }
            tail = [UInt16(parts[0] << 8 | parts[1]), UInt16(parts[2] << 8 | parts[3])]
            let endsWithGap = colon > bytes.startIndex && bytes[colon - 1] == 0x3A
            bytes = endsWithGap ? bytes[...colon] : bytes[..<colon]
        }
        guard let gap = gapIndex(bytes) else {
            guard let groups = plainGroups(bytes), groups.count + tail.count == 8 else { return nil }
            return groups + tail
        }
        let before = bytes[..<gap]
        let after = bytes[(gap + 2)...]
        guard let head = before.isEmpty ? [] : plainGroups(before),
            let rest = after.isEmpty ? [] : plainGroups(after)
        else { return nil }
        let known = head.count + rest.count + tail.count
        guard known <= 7 else { return nil }
        return head + [UInt16](repeating: 0, count: 8 - known) + rest + tail
    }

    private static func gapIndex(_ bytes: ArraySlice<UInt8>) -> Int? {
        guard bytes.count >= 2 else { return nil }
        return (bytes.startIndex..<bytes.endIndex - 1).first { bytes[$0] == 0x3A && bytes[$0 + 1] == 0x3A }
    }

    private static func plainGroups(_ bytes: ArraySlice<UInt8>) -> [UInt16]? {
        var result: [UInt16] = []
        for part in bytes.split(separator: 0x3A, omittingEmptySubsequences: false) {
            guard part.count >= 1, part.count <= 4, result.count < 8 else { return nil }
            var value: UInt16 = 0
            for byte in part {
                guard let digit = hexadecimalValue(byte) else { return nil }
                value = value << 4 | UInt16(digit)
            }
            result.append(value)
        }
        return result
    }
}
