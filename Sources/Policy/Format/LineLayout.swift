/// The lines of a formatted source: read token by token, then written.
///
/// Between two tokens stand only spaces, line ends, comments and the marks `-`, `:` and `,`; each is put where it belongs.
/// Tokens themselves are never looked into, but for the indentation of those with several lines.
///
/// Example: in `a:\n    - {b: c}  # d` the member has column 4 and gets 2; the comment keeps its column, 14.
struct LineLayout {
    enum LineKind {
        case blank
        case comment
        case content
        /// A further line of a scalar: nothing in it is touched.
        case verbatim
    }

    struct Line {
        var kind: LineKind
        /// Columns of its first character, from 0: as written here, and as it was.
        var indent = 0
        var original = 0
        /// Its text in `buffer`, without indentation and comment.
        var start = 0
        var end = 0
        /// The comment behind the text: its bytes in the source and its column there.
        var comment: Range<Int>?
        var commentColumn = 0
        /// A top-level key stands first.
        var opensSection = false
        /// The last line of a text with `+`: blank lines behind it are part of the text.
        var keepsLineEnds = false
    }

    /// A block collection that is open; columns of its members before and after.
    struct Block {
        var isMapping: Bool
        var original: Int
        var column: Int
        var expectsKey = true
    }

    /// What was put on the line last.
    enum Element: Equatable {
        case scalar, comma, colon, dash, marker
        case open(UInt8)
        case close(UInt8)
    }

    let source: [UInt8]
    var at = 0
    var buffer: [UInt8] = []
    var lines: [Line] = []
    var line: Line?
    var previous: Element?
    /// Spaces in the source since `previous`.
    var spaces = 0
    var blocks: [Block] = []
    /// Blocks that have ended; they are left when the next token is met, since comments may belong to them.
    var endedBlocks = 0
    /// The block around a block scalar that was the last thing: a comment below it must not come to stand within its text.
    var columnMax: Int?
    /// Flow collections that are open, by their first byte; 0 for one without brackets.
    var flows: [UInt8] = []
    /// The place that a column was asked for last.
    private var counted = (offset: 0, column: 0)
    /// Bytes that were looked at to tell columns.
    private(set) var countedBytes = 0
    /// Where all comments stand in the source, in order.
    private(set) var commentRanges: [Range<Int>] = []

    private init(source: [UInt8]) {
        self.source = source
        buffer.reserveCapacity(source.count + source.count / 16)
    }

    static func read(_ source: [UInt8]) throws(FormatRefusal) -> LineLayout {
        guard let tokens = YAMLTokens.read(source) else { throw .notSame("a source that cannot be read") }
        var layout = LineLayout(source: source)
        for token in tokens { try layout.take(token) }
        try layout.gap(to: source.count)
        layout.endLine(keepsBlank: false)
        return layout
    }

    /// The texts of all comments in order.
    var comments: [[UInt8]] { commentRanges.map { Array(source[$0]) } }

    // MARK: Tokens

    private mutating func take(_ token: YAMLToken) throws(FormatRefusal) {
        switch token.kind {
        case .absent: countMember()
        case .blockEnd: endedBlocks += 1
        case .blockMapping, .blockSequence:
            try gap(to: token.start)
            leaveBlocks()
            countMember()
            let column = blocks.last.map { $0.column + LineLayout.step } ?? 0
            blocks.append(Block(isMapping: token.isMapping, original: token.column, column: column))
        case .flowStart:
            guard token.end > token.start else {
                countMember()
                return flows.append(0)
            }
            try gap(to: token.start)
            leaveBlocks()
            put(.open(source[token.start]), from: token.start, to: token.end, column: token.column)
            countMember()
            flows.append(source[token.start])
        case .flowEnd:
            guard token.end > token.start else { return flows.removeLast(flows.isEmpty ? 0 : 1) }
            try gap(to: token.start)
            flows.removeLast(flows.isEmpty ? 0 : 1)
            put(.close(source[token.start]), from: token.start, to: token.end, column: token.column)
        case .scalar(let isPlain):
            try gap(to: token.start)
            leaveBlocks()
            putScalar(token, isPlain: isPlain)
            countMember()
        case .blockScalar:
            try gap(to: token.start)
            leaveBlocks()
            try putBlockScalar(token)
            countMember()
        }
    }

    private mutating func leaveBlocks() {
        blocks.removeLast(min(endedBlocks, blocks.count))
        endedBlocks = 0
    }

    /// Keys and values of a mapping come in turn.
    private mutating func countMember() {
        guard flows.isEmpty else { return }
        leaveBlocks()
        if !blocks.isEmpty { blocks[blocks.count - 1].expectsKey.toggle() }
    }

    // MARK: Between tokens

    private mutating func gap(to end: Int) throws(FormatRefusal) {
        while at < end {
            switch source[at] {
            case 0x20, 0x09:
                spaces += 1
                at += 1
            case 0x0A:
                endLine(keepsBlank: true)
                at += 1
            case 0x23: takeComment()
            default: try takeMark()
            }
        }
    }

    private mutating func takeComment() {
        var end = at
        while end < source.count, source[end] != 0x0A { end += 1 }
        let next = end
        while end > at, source[end - 1] == 0x20 || source[end - 1] == 0x09 { end -= 1 }
        commentRanges.append(at..<end)
        let column = columnAhead(at)
        if line != nil {
            line?.comment = at..<end
            line?.commentColumn = column
        } else {
            let indent = min(commentIndent(column), columnMax ?? Int.max)
            var comment = Line(kind: .comment, indent: indent, original: column, start: buffer.count)
            buffer += source[at..<end]
            comment.end = buffer.count
            lines.append(comment)
            // The line end that follows ends this line and makes no blank one.
            at = min(next + 1, source.count)
            spaces = 0
            return
        }
        at = next
    }

    /// Where a comment goes that stands alone: with the block whose members stand where it stands, or as far beside it.
    private func commentIndent(_ column: Int) -> Int {
        if !flows.isEmpty { return flowIndent(column) }
        guard let block = blocks.last(where: { $0.original <= column }) else { return 0 }
        return block.column + column - block.original
    }

    private mutating func takeMark() throws(FormatRefusal) {
        let byte = source[at]
        let column = columnAhead(at)
        let marks: [[UInt8]] = [[0x2D, 0x2D, 0x2D], [0x2E, 0x2E, 0x2E]]
        if column == 0, marks.contains(where: source[at...].starts(with:)) {
            return put(.marker, from: at, to: at + 3, column: 0)
        }
        switch byte {
        case 0x2D where flows.isEmpty: put(.dash, from: at, to: at + 1, column: column)
        case 0x3A where flows.isEmpty && line == nil:
            throw .unknownForm(line: lineNumber(at), what: "a `:` at the start of a line")
        case 0x3A: put(.colon, from: at, to: at + 1, column: column)
        case 0x2C: put(.comma, from: at, to: at + 1, column: column)
        default:
            let mark = String(decoding: [byte], as: UTF8.self)
            throw .unknownForm(line: lineNumber(at), what: "the mark `\(mark)`")
        }
    }

    // MARK: Lines

    /// Puts bytes of the source on the line, after the spaces that belong there.
    mutating func put(_ element: Element, from start: Int, to end: Int, column: Int) {
        if line == nil {
            var started = Line(
                kind: .content, indent: indent(of: element, column), original: column, start: buffer.count)
            started.opensSection = blocks.count == 1 && flows.isEmpty && startsKey(element)
            line = started
        } else {
            for _ in 0..<spacing(before: element) { buffer.append(0x20) }
        }
        buffer += source[start..<end]
        previous = element
        spaces = 0
        columnMax = nil
        at = end
    }

    private func startsKey(_ element: Element) -> Bool {
        guard element == .scalar, let block = blocks.last else { return false }
        return block.isMapping && block.expectsKey
    }

    /// The column of a line that starts with `element`.
    private func indent(of element: Element, _ column: Int) -> Int {
        if element == .marker { return 0 }
        if !flows.isEmpty { return flowIndent(column) }
        if case .close = element { return flowIndent(column) }
        if element == .dash {
            return blocks.last { !$0.isMapping && $0.original == column }?.column ?? column
        }
        guard let block = blocks.last else { return 0 }
        return block.isMapping && block.expectsKey ? block.column : block.column + LineLayout.step
    }

    /// Within brackets, and within scalars, lines keep their distance to the block around them.
    func flowIndent(_ column: Int) -> Int {
        guard let block = blocks.last else { return column }
        return max(block.column, column + block.column - block.original)
    }

    private func spacing(before next: Element) -> Int {
        switch (previous, next) {
        case (.dash, _): return 1
        // `a:,` and `a:]` would be texts.
        case (.colon, .comma), (.colon, .close): return 1
        case (_, .comma): return 0
        case (.open, .close): return 0
        case (_, .close(let bracket)): return bracket == 0x7D ? 1 : 0
        case (.open(let bracket), _): return bracket == 0x7B ? 1 : 0
        case (.comma, _), (.colon, _), (.marker, _): return max(1, spaces)
        default: return spaces
        }
    }

    mutating func endLine(keepsBlank: Bool) {
        spaces = 0
        guard var ended = line else {
            if keepsBlank { lines.append(Line(kind: .blank)) }
            return
        }
        ended.end = buffer.count
        lines.append(ended)
        line = nil
        previous = nil
    }

    private func lineNumber(_ offset: Int) -> Int {
        source[..<offset].reduce(1) { $0 + ($1 == 0x0A ? 1 : 0) }
    }

    /// Characters before a byte on its line; a walk back to where the line starts.
    func columnOf(_ offset: Int) -> Int {
        var start = offset
        var count = 0
        while start > 0, source[start - 1] != 0x0A {
            start -= 1
            if source[start] & 0xC0 != 0x80 { count += 1 }
        }
        return count
    }

    /// The same for places in the order of the source: each byte is counted once, however long its line is.
    private mutating func columnAhead(_ offset: Int) -> Int {
        if offset < counted.offset { counted = (0, 0) }
        while counted.offset < offset {
            let byte = source[counted.offset]
            if byte == 0x0A {
                counted.column = 0
            } else if byte & 0xC0 != 0x80 {
                counted.column += 1
            }
            counted.offset += 1
            countedBytes += 1
        }
        return counted.column
    }

    static let step = 2
}
