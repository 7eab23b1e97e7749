/// From lines to text: what depends on the lines around one.
extension LineLayout {
    mutating func written() -> [UInt8] {
        alignComments()
        let spaced = withSectionSpaces(withoutSurplusBlanks())
        let columns = trailingCommentColumns(spaced)
        var result: [UInt8] = []
        result.reserveCapacity(buffer.count + buffer.count / 2)
        for (index, line) in spaced.enumerated() {
            if line.kind != .blank {
                for _ in 0..<line.indent { result.append(0x20) }
                result += buffer[line.start..<line.end]
            }
            if let comment = line.comment {
                for _ in 0..<max(1, columns[index] - endColumn(line)) { result.append(0x20) }
                result += source[comment]
            }
            result.append(0x0A)
        }
        return result
    }

    /// A comment that stands where the line below it stands goes where that line goes.
    private mutating func alignComments() {
        var next: (original: Int, indent: Int)?
        for index in lines.indices.reversed() {
            switch lines[index].kind {
            case .blank: continue
            case .comment:
                if let next, next.original == lines[index].original { lines[index].indent = next.indent }
            case .content, .verbatim: next = (lines[index].original, lines[index].indent)
            }
        }
    }

    /// Never two blank lines together, none at the start and none at the end.
    private func withoutSurplusBlanks() -> [Line] {
        var result: [Line] = []
        result.reserveCapacity(lines.count)
        for line in lines {
            if line.kind == .blank, result.last.map({ $0.kind == .blank }) ?? true { continue }
            result.append(line)
        }
        if result.last?.kind == .blank { result.removeLast() }
        return result
    }

    /// A blank line before each section but the first, above the comments that belong to it.
    private func withSectionSpaces(_ lines: [Line]) -> [Line] {
        var result: [Line] = []
        result.reserveCapacity(lines.count + 16)
        var isFirst = true
        for line in lines {
            if line.opensSection {
                var place = result.count
                while place > 0, result[place - 1].kind == .comment, result[place - 1].indent == 0 { place -= 1 }
                if !isFirst, place > 0, result[place - 1].kind != .blank, !result[place - 1].keepsLineEnds {
                    result.insert(Line(kind: .blank), at: place)
                }
                isFirst = false
            }
            result.append(line)
        }
        return result
    }

    /// Comments behind text keep their column; those below each other in one column stay so.
    private func trailingCommentColumns(_ lines: [Line]) -> [Int] {
        var columns = [Int](repeating: 0, count: lines.count)
        var first = 0
        while first < lines.count {
            guard lines[first].comment != nil else {
                first += 1
                continue
            }
            var end = first
            var column = lines[first].commentColumn
            while end < lines.count, lines[end].comment != nil, lines[end].commentColumn == lines[first].commentColumn {
                column = max(column, endColumn(lines[end]) + 1)
                end += 1
            }
            for index in first..<end { columns[index] = column }
            first = end
        }
        return columns
    }

    /// Characters of a line before its comment.
    private func endColumn(_ line: Line) -> Int {
        buffer[line.start..<line.end].reduce(line.indent) { $0 + ($1 & 0xC0 != 0x80 ? 1 : 0) }
    }
}
