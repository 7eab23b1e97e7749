/// Where the lines of a source start, made when the first message needs it.
final class LineIndex {
    let source: [UInt8]
    private lazy var starts: [UInt32] = LineIndex.findStarts(source)

    /// A longer line is never searched for a column: positions within it stay at the start of the value.
    private static let searchedBytesMax = 65_536

    init(_ source: [UInt8]) {
        self.source = source
    }

    private static func findStarts(_ source: [UInt8]) -> [UInt32] {
        var result: [UInt32] = [0]
        let bytes = source.span
        for index in bytes.indices where bytes[index] == 0x0A {
            result.append(UInt32(clamping: index + 1))
        }
        return result
    }

    /// The bytes of a line, from 1, without its end; empty beyond the last.
    func line(_ number: Int) -> ArraySlice<UInt8> {
        guard number >= 1, number <= starts.count else { return [] }
        let start = Int(starts[number - 1])
        var end = number < starts.count ? Int(starts[number]) - 1 : source.count
        if end > start, source[end - 1] == 0x0D { end -= 1 }
        return source[start..<max(start, end)]
    }

    /// The index in `source` of a position, or nil when there is nothing.
    func offset(of position: SourcePosition) -> Int? {
        let bytes = line(position.line)
        guard bytes.count <= LineIndex.searchedBytesMax else { return nil }
        var column = 0
        for index in bytes.indices where bytes[index] & 0xC0 != 0x80 {
            column += 1
            if column == position.column { return index }
        }
        return nil
    }

    /// Where byte `offset` of a scalar's text stands in the source. The scalar's own position when it is not
    /// written there letter by letter (escapes, several lines).
    func position(of offset: Int, in text: ArraySlice<UInt8>, at start: SourcePosition) -> SourcePosition {
        guard offset > 0, offset <= text.count, var index = self.offset(of: start) else { return start }
        var column = start.column
        if source[index] == 0x22 || source[index] == 0x27 {
            index += 1
            column += 1
        }
        guard source.count - index >= text.count, source[index..<index + text.count] == text else {
            return start
        }
        for byte in text.prefix(offset) where byte & 0xC0 != 0x80 { column += 1 }
        return SourcePosition(line: start.line, column: column)
    }
}
