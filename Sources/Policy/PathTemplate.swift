internal import Octets
internal import PolicyTables

/// Path templates: literal segments, `{parameter}` as a whole segment, `**` as the last one.
///
/// Literals hold their text decoded once. What no request can carry unambiguously (encoded slash, dot
/// segments, `;` …) is refused here too, so that no template is written that can never match.
enum PathTemplate {
    /// A request with more is refused as ambiguous, so a longer template could never match.
    static let segmentsMax = 64
    static let bytesMax = 4_096

    /// Reads `/orders/{order}` into segments; `/` is one empty literal.
    static func read(_ path: ArraySlice<UInt8>) throws(TextProblem) -> [RouteModel.Segment] {
        guard path.first == slash else {
            throw TextProblem(
                code: .badPath, offset: 0, message: "the path \(quoted(path)) does not start with `/`",
                mend: "write it from the root: `/\(plain(path))`")
        }
        guard path.count <= bytesMax else {
            throw TextProblem(
                code: .limitExceeded, offset: 0,
                message: "a path of \(path.count) bytes; \(bytesMax) are the most",
                mend: "end it earlier, with `**` if everything below belongs to it")
        }
        var segments: [RouteModel.Segment] = []
        segments.reserveCapacity(path.count { $0 == slash })
        var start = path.startIndex + 1
        while true {
            let end = path[start...].firstIndex(of: slash) ?? path.endIndex
            let isLast = end == path.endIndex
            let segment = try readSegment(path[start..<end], in: path, isLast: isLast)
            if case .parameter(let name) = segment {
                guard !segments.contains(.parameter(name)) else {
                    throw TextProblem(
                        code: .badPath, offset: start - path.startIndex,
                        message: "the parameter \(quoted(name)) stands twice in one path",
                        mend: "give the second one a name of its own")
                }
            }
            segments.append(segment)
            if isLast { break }
            start = end + 1
        }
        guard segments.count <= segmentsMax else {
            throw TextProblem(
                code: .limitExceeded, offset: 0,
                message: "a path of \(segments.count) segments; \(segmentsMax) are the most",
                mend: "end it earlier, with `**` if everything below belongs to it")
        }
        return segments
    }

    private static func readSegment(
        _ segment: ArraySlice<UInt8>, in path: ArraySlice<UInt8>, isLast: Bool
    ) throws(TextProblem) -> RouteModel.Segment {
        let offset = segment.startIndex - path.startIndex
        func problem(_ message: String, mend: String) -> TextProblem {
            TextProblem(code: .badPath, offset: offset, message: message, mend: mend)
        }
        guard let first = segment.first else {
            guard isLast else {
                throw problem(
                    "an empty segment (`//`) in the path",
                    mend: "write one `/`; requests with `//` are refused")
            }
            return .literal("")
        }
        if segment.equals("**") {
            guard isLast else {
                throw problem(
                    "`**` before the end of the path", mend: "use `{name}` for one segment; `**` stands last")
            }
            return .rest
        }
        if segment.equals("*") {
            throw problem(
                "`*` is no segment", mend: "write `{name}` for one segment or `**` for all that remain")
        }
        if first == colon {
            let name = plain(segment.dropFirst())
            throw problem(
                "the segment \(quoted(segment)) looks like a parameter",
                mend: "write `{\(name)}`, or `%3A\(name)` for the literal text")
        }
        if first == openBrace, segment.last == closeBrace {
            return .parameter(try readParameter(segment, offset: offset))
        }
        return .literal(try readLiteral(segment, offset: offset))
    }

    private static func readParameter(
        _ segment: ArraySlice<UInt8>, offset: Int
    ) throws(TextProblem) -> String {
        let name = segment.dropFirst().dropLast()
        guard !name.isEmpty, name.count <= 64, name.allSatisfy(isNameCharacter) else {
            throw TextProblem(
                code: .badPath, offset: offset, message: "\(quoted(segment)) is no parameter",
                mend:
                    "write `{name}` with 1 to 64 letters, digits, `_`, `-` or `.`; `**` is all that remain"
            )
        }
        return String(decoding: name, as: UTF8.self)
    }

    private static func readLiteral(
        _ segment: ArraySlice<UInt8>, offset: Int
    ) throws(TextProblem) -> String {
        if isPlainLiteral(segment) { return String(decoding: segment, as: UTF8.self) }
        var decoded: [UInt8] = []
        decoded.reserveCapacity(segment.count)
        var index = segment.startIndex
        while index < segment.endIndex {
            let byte = segment[index]
            let place = offset + (index - segment.startIndex)
            if byte == percent {
                decoded.append(try readEscape(segment[index...], offset: place))
                index += 3
                continue
            }
            if let (message, mend) = whyRefused(byte) {
                throw TextProblem(code: .badPath, offset: place, message: message, mend: mend)
            }
            decoded.append(byte)
            index += 1
        }
        guard isUTF8(decoded.span) else {
            throw TextProblem(
                code: .badPath, offset: offset, message: "\(quoted(segment)) does not decode to UTF-8",
                mend: "write the characters themselves, or their UTF-8 bytes as `%XX`")
        }
        if isDotSegment(decoded) {
            throw TextProblem(
                code: .badPath, offset: offset, message: "the dot segment \(quoted(segment)) in the path",
                mend: "write the path that it leads to; requests with dot segments are refused")
        }
        return String(decoding: decoded, as: UTF8.self)
    }

    /// The common case at little cost: unreserved characters (RFC 3986 §2.3), and no dot first.
    private static func isPlainLiteral(_ segment: ArraySlice<UInt8>) -> Bool {
        segment.first != 0x2E && segment.allSatisfy { isNameCharacter($0) || $0 == 0x7E }
    }

    /// `%XX` at the start of `text`: the byte, unless requests with it are refused as ambiguous.
    private static func readEscape(_ text: ArraySlice<UInt8>, offset: Int) throws(TextProblem) -> UInt8 {
        let first = text.startIndex
        guard text.count >= 3, let high = hexadecimalValue(text[first + 1]),
            let low = hexadecimalValue(text[first + 2])
        else {
            throw TextProblem(
                code: .badPath, offset: offset, message: "`%` without two hexadecimal digits",
                mend: "write `%` and two digits, as in `%20`")
        }
        let value = high << 4 | low
        if value < 0x20 || value == 0x7F || value == slash || value == backslash || value == percent {
            throw TextProblem(
                code: .badPath, offset: offset,
                message: "\(quoted(text.prefix(3))) in the path: requests with it are refused as ambiguous",
                mend: "remove it; `/`, `\\`, `%` and controls cannot be part of a segment")
        }
        if let sign = signThatIsNeverEscaped(value) {
            throw TextProblem(
                code: .badPath, offset: offset,
                message: "\(quoted(text.prefix(3))) in the path: a template cannot tell it from `\(sign)`",
                mend: value == semicolon
                    ? "remove it; requests with `;` are refused"
                    : "write `\(sign)`; a request that escapes it is another path and is not matched")
        }
        return value
    }

    /// Signs that stand for themselves in a request's canonical path, where an escaped one stays escaped: the
    /// decoded template always means the sign. `%2A` and `%3A` are how a template writes a literal `*` and a
    /// leading `:`.
    private static func signThatIsNeverEscaped(_ value: UInt8) -> String? {
        switch value {
        case 0x21, 0x24, 0x26...0x29, 0x2B, 0x2C, 0x3B, 0x3D, 0x40: String(decoding: [value], as: UTF8.self)
        default: nil
        }
    }

    /// A dot segment, also one with a path parameter behind it.
    private static func isDotSegment(_ decoded: [UInt8]) -> Bool {
        let dots = decoded.prefix { $0 == 0x2E }.count
        guard dots == 1 || dots == 2 else { return false }
        return decoded.count == dots || decoded[dots] == semicolon
    }

    private static func whyRefused(_ byte: UInt8) -> (message: String, mend: String)? {
        switch byte {
        case openBrace, closeBrace:
            ("`{` or `}` within a segment", "make the parameter the whole segment, as in `/{name}`")
        case 0x2A: ("`*` within a segment", "write `{name}` for any one segment, or `%2A` for the character")
        case semicolon:
            ("`;` in the path: requests with it are refused as ambiguous", "remove the path parameter")
        case backslash: ("`\\` in the path: requests with it are refused as ambiguous", "write `/`")
        case 0x3F: ("a query in the path", "remove it; routes match on the path alone")
        case 0x23: ("a fragment in the path", "remove it; requests never carry one")
        case 0x20: ("a space in the path", "write `%20`")
        case 0x00...0x1F, 0x7F: ("a control character in the path", "remove it")
        case 0x22, 0x3C, 0x3E, 0x5B, 0x5D, 0x5E, 0x60, 0x7C:
            (
                "`\(String(decoding: [byte], as: UTF8.self))` in the path",
                "write `%\(String(byte, radix: 16, uppercase: true))`"
            )
        default: nil
        }
    }

    private static func plain(_ text: ArraySlice<UInt8>) -> String {
        printable(String(decoding: text, as: UTF8.self), charactersMax: 80)
    }

    private static let slash: UInt8 = 0x2F
    private static let backslash: UInt8 = 0x5C
    private static let percent: UInt8 = 0x25
    private static let semicolon: UInt8 = 0x3B
    private static let colon: UInt8 = 0x3A
    private static let openBrace: UInt8 = 0x7B
    private static let closeBrace: UInt8 = 0x7D
}

extension PathTemplate {
    /// The template as text, literals percent-encoded where a URI needs it.
    static func text(_ segments: [RouteModel.Segment]) -> String {
        var result: [UInt8] = []
        for segment in segments {
            result.append(slash)
            switch segment {
            case .literal(let text): for byte in text.utf8 { appendEncoded(byte, to: &result) }
            case .parameter(let name): result += Array("{\(name)}".utf8)
            case .rest: result += Array("**".utf8)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func appendEncoded(_ byte: UInt8, to result: inout [UInt8]) {
        if byte > 0x20, byte < 0x7F, byte != percent, whyRefused(byte) == nil {
            result.append(byte)
        } else {
            let digits = Array("0123456789ABCDEF".utf8)
            result += [percent, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }
}
