/// Scalars with several lines: their further lines are moved as the block around them is, and by nothing else.
extension LineLayout {
    mutating func putScalar(_ token: YAMLToken, isPlain: Bool) {
        var start = token.start
        var end = lineEnd(start, token.end)
        put(.scalar, from: start, to: trimmedEnd(start, end, isPlain && end < token.end), column: token.column)
        while end < token.end {
            start = end + 1
            end = lineEnd(start, token.end)
            var first = start
            while first < end, source[first] == 0x20 || source[first] == 0x09 { first += 1 }
            startVerbatim(indent: first < end ? flowIndent(first - start) : 0, original: first - start)
            buffer += source[first..<trimmedEnd(first, end, isPlain && end < token.end)]
        }
        at = token.end
    }

    private func lineEnd(_ start: Int, _ limit: Int) -> Int {
        var end = start
        while end < limit, source[end] != 0x0A { end += 1 }
        return end
    }

    /// Quoted text may end a line with an escaped space, so only plain text is trimmed.
    private func trimmedEnd(_ start: Int, _ end: Int, _ isTrimmed: Bool) -> Int {
        guard isTrimmed else { return end }
        var end = end
        while end > start, source[end - 1] == 0x20 || source[end - 1] == 0x09 { end -= 1 }
        return end
    }

    private mutating func startVerbatim(indent: Int, original: Int) {
        endLine(keepsBlank: false)
        line = Line(kind: .verbatim, indent: indent, original: original, start: buffer.count)
        previous = .scalar
    }

    /// `|` and `>`: content ends where the indentation does (YAML 1.2.2 §8.1). It gets two columns more than the block
    /// around it, or as many as the header says.
    mutating func putBlockScalar(_ token: YAMLToken) throws(FormatRefusal) {
        guard let block = blocks.last else { throw .unknownForm(line: 1, what: "a policy that is one text") }
        let headerEnd = lineEnd(token.start, source.count)
        put(
            .scalar, from: token.start, to: trimmedEnd(token.start, headerEnd, true), column: token.column)
        let header = source[token.start..<headerEnd].prefix { $0 != 0x20 && $0 != 0x09 }
        let stated = header.first { $0 >= 0x31 && $0 <= 0x39 }.map { Int($0 - 0x30) }
        let keepsEnd = header.contains(0x2B)
        let column = block.column + (stated ?? LineLayout.step)
        var width = stated.map { block.original + $0 }
        endLine(keepsBlank: false)
        columnMax = block.column
        var next = headerEnd + 1
        /// Blank lines that belong to the text only if more of it follows.
        var held: [Range<Int>] = []
        at = min(next, source.count)
        while next < source.count {
            let end = lineEnd(next, source.count)
            var first = next
            while first < end, source[first] == 0x20 { first += 1 }
            if first == end {
                held.append(next..<end)
            } else {
                guard first - next > block.original, first - next >= width ?? 0 else { break }
                width = width ?? first - next
                for blank in held { addVerbatim(blank, width: width ?? 0, column) }
                held.removeAll(keepingCapacity: true)
                addVerbatim(next..<end, width: width ?? 0, column)
                at = min(end + 1, source.count)
            }
            next = end + 1
        }
        guard keepsEnd else { return }
        for blank in held {
            addVerbatim(blank, width: width ?? column, column)
            at = min(blank.upperBound + 1, source.count)
        }
        lines[lines.count - 1].keepsLineEnds = true
    }

    private mutating func addVerbatim(_ bytes: Range<Int>, width: Int, _ column: Int) {
        let text = source[bytes].dropFirst(width)
        var verbatim = Line(kind: .verbatim, indent: text.isEmpty ? 0 : column, original: width, start: buffer.count)
        buffer += text
        verbatim.end = buffer.count
        lines.append(verbatim)
    }
}
