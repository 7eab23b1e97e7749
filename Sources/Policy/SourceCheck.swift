/// What must hold for the bytes before YAML is read: UTF-8, lines that every editor counts alike, no
/// character that hides text from a reviewer, and no directive (libyaml compares each with all before it).
struct SourceCheck {
    /// A million routes of 120 bytes fit four times; positions stay within 32 bits.
    static let sourceBytesMax = 512 * 1024 * 1024

    private let sink: DiagnosticSink
    private let firstLine: Int
    private var line: Int
    private var column = 0
    private var inIndentation = true

    /// - Parameter firstLine: the number of the first line.
    init(sink: DiagnosticSink, firstLine: Int = 1) {
        self.sink = sink
        self.firstLine = firstLine
        line = firstLine
    }

    /// - Returns: whether the bytes may be read as YAML.
    mutating func run(_ source: Span<UInt8>) -> Bool {
        guard source.count <= SourceCheck.sourceBytesMax else {
            sink.error(
                .sourceTooLarge, at: SourcePosition(line: firstLine, column: 1),
                "the policy has \(source.count) bytes, \(SourceCheck.sourceBytesMax) are the most",
                mend: "split it into policies for separate daemons")
            return false
        }
        guard checkEncoding(source) else { return false }
        let before = sink.errorCount
        checkCharacters(source)
        return sink.errorCount == before
    }

    /// Not UTF-8 at all: one message, since nothing after it can be named with certainty.
    private func checkEncoding(_ source: Span<UInt8>) -> Bool {
        let start = SourcePosition(line: firstLine, column: 1)
        let mend = "save the file as UTF-8 without a byte order mark"
        if begins(source, [0xFE, 0xFF]) || begins(source, [0xFF, 0xFE]) {
            sink.error(.notUTF8, at: start, "the policy is UTF-16, it must be UTF-8", mend: mend)
            return false
        }
        if begins(source, [0xEF, 0xBB, 0xBF]) {
            sink.error(.byteOrderMark, at: start, "the policy starts with a byte order mark", mend: mend)
            return false
        }
        do {
            _ = try UTF8Span(validating: source)
            return true
        } catch {
            let offset = error.byteOffsets.lowerBound
            sink.error(
                .notUTF8, at: positionOf(offset, in: source),
                "the byte 0x\(String(source[offset], radix: 16)) is not UTF-8",
                mend: "save the file as UTF-8, or remove the byte")
            return false
        }
    }

    private func begins(_ source: Span<UInt8>, _ mark: [UInt8]) -> Bool {
        source.count >= mark.count && mark.indices.allSatisfy { source[$0] == mark[$0] }
    }

    private func positionOf(_ offset: Int, in source: Span<UInt8>) -> SourcePosition {
        var line = firstLine
        var start = 0
        for index in 0..<offset where source[index] == 0x0A {
            line += 1
            start = index + 1
        }
        return SourcePosition(line: line, column: columnOf(offset, lineStart: start, in: source))
    }

    private func columnOf(_ offset: Int, lineStart: Int, in source: Span<UInt8>) -> Int {
        var column = 1
        for index in lineStart..<offset where source[index] & 0xC0 != 0x80 { column += 1 }
        return column
    }

    private mutating func checkCharacters(_ bytes: Span<UInt8>) {
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            // Counted as it goes: looking back from each fault would take the square of a long line's length.
            if byte & 0xC0 != 0x80 { column += 1 }
            if byte == 0x0A {
                line += 1
                column = 0
                inIndentation = true
            } else if byte < 0x20 || byte == 0x7F {
                checkControl(byte, next: index + 1 < bytes.count ? bytes[index + 1] : 0)
            } else if byte >= 0x80 {
                checkScalar(at: index, in: bytes)
                inIndentation = false
            } else {
                if byte == 0x25, column == 1 { refuseDirective() }
                if byte != 0x20 { inIndentation = false }
            }
            index += 1
        }
    }

    private mutating func checkControl(_ byte: UInt8, next: UInt8) {
        if byte == 0x0D {
            if next == 0x0A { return }
            sink.error(
                .lineEnding, at: here, "a carriage return without a line feed",
                mend: "end lines with a line feed, or with both")
        } else if byte == 0x09 {
            if inIndentation {
                sink.error(.tabIndentation, at: here, "a tab in the indentation", mend: "indent with spaces")
                // One message for each line is enough.
                inIndentation = false
            }
        } else {
            sink.error(
                .controlCharacter, at: here,
                "the control character \(codePointName(UInt32(byte)))",
                mend: "remove it")
        }
    }

    /// Line ends that only YAML knows, C1 controls, and direction marks, which show a reviewer another text
    /// than the one that is read. All of them have two or three bytes.
    private func checkScalar(at index: Int, in source: Span<UInt8>) {
        let value: UInt32
        switch source[index] {
        case 0xC2, 0xD8: value = UInt32(source[index] & 0x1F) << 6 | UInt32(source[index + 1] & 0x3F)
        case 0xE2, 0xEF:
            value =
                UInt32(source[index] & 0x0F) << 12 | UInt32(source[index + 1] & 0x3F) << 6
                | UInt32(source[index + 2] & 0x3F)
        default: return
        }
        guard let scalar = Unicode.Scalar(value), !isVisible(scalar) || value >= 0xFFFE else { return }
        sink.error(
            .controlCharacter, at: here, "the invisible character \(codePointName(value))",
            mend: "remove it")
    }

    private func refuseDirective() {
        sink.error(
            .directive, at: here, "a line starts with `%`, which makes it a YAML directive",
            mend: "remove the line; a policy has no directives")
    }

    private var here: SourcePosition { SourcePosition(line: line, column: column) }
}
