internal import Octets

/// A path of a document: which requests it stands for, and how a policy writes it.
struct PathPattern: Equatable {
    enum Segment: Equatable {
        /// Decoded.
        case literal(String)
        case parameter(String)
        /// Text with a parameter in it: what stands before the first and behind the last.
        case mixed(prefix: [UInt8], suffix: [UInt8])
    }

    var segments: [Segment] = []
    /// As the policy writes it.
    var text = ""
    /// Why the policy language cannot say it; nil when it can.
    var problem: String?
    /// No request with such a path is decided on: it is refused as ambiguous first.
    var isNeverRequested = false
    /// A parameter whose name says that it holds slashes, which none does.
    var hasLongParameter = false

    static let segmentsMax = 64
    static let bytesMax = 4_096

    init(_ path: String) {
        var bytes = Array(path.utf8)[...]
        if let end = bytes.firstIndex(where: { $0 == 0x3F || $0 == 0x23 }) {
            problem =
                bytes[end] == 0x3F
                ? "its path holds a query, and routes match on the path alone"
                : "its path holds a fragment, which no request carries"
            bytes = bytes[..<end]
        }
        if bytes.first != 0x2F {
            problem = problem ?? "its path does not start with `/`"
            bytes = [0x2F] + bytes
        }
        let parts = bytes.dropFirst().split(separator: 0x2F, omittingEmptySubsequences: false)
        guard parts.count <= PathPattern.segmentsMax else {
            refuse("its path has more segments than any that is decided on")
            text = visibleLine(path)
            return
        }
        for (index, part) in parts.enumerated() {
            text += "/"
            if part.isEmpty, index < parts.count - 1 { refuse("its path has an empty segment (`//`)") }
            append(part)
        }
        if text.utf8.count > PathPattern.bytesMax {
            problem = problem ?? "its path is longer than a policy can hold"
        }
    }

    private mutating func refuse(_ reason: String) {
        problem = problem ?? reason
        isNeverRequested = true
    }

    private mutating func append(_ part: ArraySlice<UInt8>) {
        guard let open = part.firstIndex(of: 0x7B) else {
            guard let close = part.lastIndex(of: 0x7D) else { return appendLiteral(part) }
            return appendMixed(part[..<close], part[(close + 1)...], "a `}` without its `{`", part)
        }
        let inner = part.dropFirst().dropLast()
        guard part.first == 0x7B, part.last == 0x7D, part.count > 2, !inner.contains(0x7B), !inner.contains(0x7D)
        else {
            let close = part.lastIndex(of: 0x7D) ?? part.endIndex - 1
            return appendMixed(part[..<open], part[(close + 1)...], "a parameter within a segment", part)
        }
        // `{+name}` and `{name*}` are how some write a parameter that holds slashes; OpenAPI has none.
        if inner.first == 0x2B || inner.last == 0x2A || inner.last == 0x2B { hasLongParameter = true }
        let name = freeName(sanitized(inner))
        segments.append(.parameter(name))
        text += "{\(name)}"
    }

    private func sanitized(_ name: ArraySlice<UInt8>) -> String {
        var bytes = name
        if bytes.first == 0x2B { bytes = bytes.dropFirst() }
        if let last = bytes.last, last == 0x2A || last == 0x2B { bytes = bytes.dropLast() }
        let kept = bytes.prefix(60).map { isNameByte($0) ? $0 : 0x5F }
        return kept.isEmpty ? "name" : String(decoding: kept, as: UTF8.self)
    }

    private func freeName(_ name: String) -> String {
        var candidate = name
        var number = 2
        while segments.contains(.parameter(candidate)) {
            candidate = "\(name)\(number)"
            number += 1
        }
        return candidate
    }

    private mutating func appendMixed(
        _ prefix: ArraySlice<UInt8>, _ suffix: ArraySlice<UInt8>, _ what: String, _ part: ArraySlice<UInt8>
    ) {
        problem = problem ?? "its path has \(what)"
        segments.append(.mixed(prefix: Array(prefix), suffix: Array(suffix)))
        text += visibleLine(String(decoding: part, as: UTF8.self))
    }

    // MARK: Literals

    /// Text that a request carries as it stands is written so, everything else as `%XX`.
    private mutating func appendLiteral(_ part: ArraySlice<UInt8>) {
        var decoded: [UInt8] = []
        var index = part.startIndex
        while index < part.endIndex {
            var byte = part[index]
            index += 1
            if byte == 0x25 {
                guard index + 1 < part.endIndex, let high = hexadecimalValue(part[index]),
                    let low = hexadecimalValue(part[index + 1])
                else { return appendRefused(part, "its path has a `%` without two hexadecimal digits") }
                byte = high << 4 | low
                index += 2
                if isNeverEscaped(byte) {
                    return appendMixed(part.prefix(0), part.prefix(0), "an escape that a policy cannot tell", part)
                }
                if byte == 0x2F || byte == 0x25 { return appendRefused(part, "its path has an encoded `/` or `%`") }
            }
            if byte == 0x5C || byte == 0x3B || byte < 0x20 || byte == 0x7F {
                return appendRefused(part, "its path has a `;`, `\\` or control character")
            }
            decoded.append(byte)
        }
        guard isUTF8(decoded.span) else { return appendRefused(part, "its path does not decode to UTF-8") }
        if decoded == [0x2E] || decoded == [0x2E, 0x2E] { return appendRefused(part, "its path has a dot segment") }
        segments.append(.literal(String(decoding: decoded, as: UTF8.self)))
        for (index, byte) in decoded.enumerated() {
            text += isWrittenPlainly(byte, isFirst: index == 0) ? String(decoding: [byte], as: UTF8.self) : escape(byte)
        }
    }

    private mutating func appendRefused(_ part: ArraySlice<UInt8>, _ reason: String) {
        refuse(reason)
        segments.append(.mixed(prefix: [], suffix: []))
        text += visibleLine(String(decoding: part, as: UTF8.self))
    }

    private func escape(_ byte: UInt8) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        return "%" + String(decoding: [digits[Int(byte >> 4)], digits[Int(byte & 15)]], as: UTF8.self)
    }

    private func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x2D, 0x2E: true
        default: false
        }
    }

    /// Signs that a canonical path holds as themselves; their escapes are another path.
    private func isNeverEscaped(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x21, 0x24, 0x26...0x29, 0x2B, 0x2C, 0x3B, 0x3D, 0x40: true
        default: false
        }
    }

    private func isWrittenPlainly(_ byte: UInt8, isFirst: Bool) -> Bool {
        if byte == 0x3A { return !isFirst }
        return isNameByte(byte) || byte == 0x7E || (isNeverEscaped(byte) && byte != 0x3B)
    }
}

extension PathPattern {
    /// As the base path of servers: literals alone, no slash at the end.
    var asBasePath: PathPattern? {
        var path = self
        if path.segments.last == .literal("") {
            path.segments.removeLast()
            path.text.removeLast()
        }
        let isLiteral = path.segments.allSatisfy { if case .literal = $0 { true } else { false } }
        return path.problem == nil && isLiteral ? path : nil
    }
}
