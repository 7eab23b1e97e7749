/// libyaml's report of where a source stops being YAML, put into words that name the usual slip and its mend.
struct SyntaxFailure {
    let problem: String
    /// What libyaml was reading, as in `while parsing a flow mapping`; empty when it says nothing.
    let context: String
    let position: SourcePosition
    let contextPosition: SourcePosition?

    private typealias Words = (position: SourcePosition, message: String, mend: String)

    func report(to sink: DiagnosticSink, lines: LineIndex) {
        let code: DiagnosticCode = problem.hasPrefix("Maximum nesting level") ? .tooDeep : .syntax
        let words = words(lines)
        sink.error(code, at: words.position, words.message, mend: words.mend, notes: notes(words.position))
    }

    private func notes(_ reported: SourcePosition) -> [Diagnostic.Note] {
        guard let contextPosition, contextPosition.line != reported.line else { return [] }
        return [Diagnostic.Note(position: contextPosition, message: "what is being read starts here")]
    }

    private func words(_ lines: LineIndex) -> Words {
        switch problem {
        case "did not find expected ',' or '}'", "did not find expected ',' or ']'": return flow(lines)
        case "did not find expected alphabetic or numeric character": return indicator(lines)
        case "found character that cannot start any token": return character(lines)
        case "mapping values are not allowed in this context":
            return (
                position, "a second `:` on the way to one value",
                "quote the value if `:` is part of it, else indent this line like those it belongs to"
            )
        case "did not find expected key", "did not find expected '-' indicator":
            return (
                position, "this is no part of what is written before it",
                "indent it like the entries it belongs to, and quote values that hold quotes or brackets"
            )
        case "could not find expected ':'":
            return (contextPosition ?? position, "a key without its `:`", "write `key: value`, with a space")
        case "found unexpected end of stream":
            return (contextPosition ?? position, "a quote is opened here and never closed", "close the quote")
        case "found unknown escape character":
            return (
                position, "an escape that YAML does not know",
                "use single quotes, in which `\\` is an ordinary character"
            )
        case "block sequence entries are not allowed in this context":
            return (
                position, "a list cannot start here", "put each `- entry` on a line of its own below the key"
            )
        case "did not find expected node content":
            return (
                position, "a value was expected here",
                "write the value, in quotes if it holds one of `[`, `]`, `{`, `}`, `,` or `:`"
            )
        default:
            if problem.hasPrefix("Maximum nesting level") {
                return (position, "nested too deeply", "remove the brackets or the indentation that nest it")
            }
            let detail = context.isEmpty ? problem : "\(problem) \(context)"
            return (position, "this is not YAML: \(detail)", "correct the line, or quote the value")
        }
    }

    /// `{ match: GET /orders/{order} }`: within `{ }` and `[ ]` a value that is not quoted ends at a bracket.
    private func flow(_ lines: LineIndex) -> Words {
        let line = lines.line(position.line)
        if let offset = lines.offset(of: position), line.contains(offset: offset) {
            let byte = line[offset]
            let opens = byte == 0x7B || byte == 0x5B
            if opens || byte == 0x22, offset > line.startIndex, !isSpace(line[offset - 1]) {
                let value = valueAround(offset, in: line)
                let sign = String(decoding: [byte], as: UTF8.self)
                return (
                    position, "a value inside brackets that holds `\(sign)` must be quoted",
                    "write `\"\(printable(value, charactersMax: 80))\"`"
                )
            }
        }
        let closing = problem.hasSuffix("'}'") ? "}" : "]"
        let opened = contextPosition.map { " that was opened at \($0.line):\($0.column)" } ?? ""
        return (
            position, "a `,` or the `\(closing)`\(opened) is missing here",
            "close the bracket, or separate its entries with `,`"
        )
    }

    /// The value on one line that a bracket at `offset` was meant to be part of.
    private func valueAround(_ offset: Int, in line: ArraySlice<UInt8>) -> String {
        var start = offset
        while start > line.startIndex {
            let before = line[start - 1]
            if before == 0x2C || before == 0x7B || before == 0x5B { break }
            if isSpace(before), start - 1 > line.startIndex, line[start - 2] == 0x3A { break }
            start -= 1
        }
        while start < offset, isSpace(line[start]) { start += 1 }
        var end = offset
        var depth = 0
        while end < line.endIndex {
            let byte = line[end]
            if byte == 0x7B || byte == 0x5B { depth += 1 }
            if byte == 0x7D || byte == 0x5D {
                if depth == 0 { break }
                depth -= 1
            }
            if byte == 0x2C, depth == 0 { break }
            end += 1
        }
        while end > start, isSpace(line[end - 1]) { end -= 1 }
        return String(decoding: line[start..<end], as: UTF8.self)
    }

    /// `[*.example.com]`: a leading `*` is an alias, a leading `&` an anchor.
    private func indicator(_ lines: LineIndex) -> Words {
        let start = contextPosition ?? position
        let line = lines.line(start.line)
        guard let offset = lines.offset(of: start), line.contains(offset: offset) else {
            return (start, "a value cannot start with `*` or `&`", "quote it")
        }
        let word = line[offset...].prefix { !isSpace($0) && $0 != 0x2C && $0 != 0x5D && $0 != 0x7D }
        let sign = String(decoding: [line[offset]], as: UTF8.self)
        let value = printable(String(decoding: word, as: UTF8.self), charactersMax: 80)
        return (start, "a value that starts with `\(sign)` must be quoted", "write `\"\(value)\"`")
    }

    private func character(_ lines: LineIndex) -> Words {
        let line = lines.line(position.line)
        guard let offset = lines.offset(of: position), line.contains(offset: offset) else {
            return (position, "a value cannot start with this character", "quote the value")
        }
        let sign = printable(String(decoding: [line[offset]], as: UTF8.self), charactersMax: 1)
        return (position, "a value cannot start with `\(sign)`", "quote the value")
    }

    private func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
}

extension ArraySlice where Element == UInt8 {
    fileprivate func contains(offset: Int) -> Bool { offset >= startIndex && offset < endIndex }
}
