internal import CYaml

/// Reads the YAML documents of a policy, one in each file, into one tree.
///
/// It drives libyaml's events itself instead of composing Yams nodes: an alias is refused when it is met,
/// before anything could be expanded or hashed; both places of a repeated key stay known; and a million
/// routes take a second instead of ten. libyaml comes with Yams (module CYaml).
struct YAMLReader {
    /// A collection that is being read.
    private struct Open {
        let node: Int
        let isMapping: Bool
        /// What comes next in a mapping.
        var isKeyNext = true
    }

    private let text: PolicyText
    private let sink: DiagnosticSink
    private let progress: PolicyProgress?
    private var tree: SyntaxTree
    /// Collections that are open, outermost first.
    private var open: [Open] = []
    private var place: CharacterPlace
    /// What is being read: where it begins in the text and among the nodes.
    private var part: PolicyText.Part
    private var firstNode = 0

    private enum Step {
        case goOn
        case finished
        case failed
    }

    init(_ text: PolicyText, sink: DiagnosticSink, progress: PolicyProgress? = nil) {
        self.text = text
        self.sink = sink
        self.progress = progress
        tree = SyntaxTree(source: text.bytes)
        part = text.parts[0]
        place = CharacterPlace(source: text.bytes, range: part.range)
    }

    /// Reads every file. What the language refuses in good YAML (anchors, aliases, tags) is reported and leaves
    /// `refused` nodes.
    /// - Returns: the tree and the root of each file, or nil when one of them is empty or no YAML, which is reported;
    ///   the others are read all the same, so that everything that is no YAML is known at once.
    consuming func read(lines: LineIndex) -> (tree: SyntaxTree, roots: [Int])? {
        var roots: [Int] = []
        for part in text.parts {
            var check = SourceCheck(sink: sink, firstLine: part.firstLine)
            guard check.run(text.bytes.span.extracting(part.range)) else { continue }
            self.part = part
            place = CharacterPlace(source: text.bytes, range: part.range)
            firstNode = tree.count
            open = []
            // SAFETY: the parser reads the buffer only within the closure and is deleted before it returns.
            let isComplete = unsafe text.bytes.withUnsafeBufferPointer { buffer in
                unsafe drive(UnsafeBufferPointer(rebasing: buffer[part.range]), lines: lines)
            }
            guard isComplete else { continue }
            if tree.count == firstNode || (tree.count == firstNode + 1 && tree.isAbsent(firstNode)) {
                sink.error(
                    .emptySource, at: SourcePosition(line: part.firstLine, column: 1),
                    text.parts.count == 1 ? "the policy is empty" : "the file is empty",
                    mend: "start it with `scopecheck: 1`")
                continue
            }
            roots.append(firstNode)
        }
        return roots.count == text.parts.count ? (tree, roots) : nil
    }

    private mutating func drive(_ buffer: UnsafeBufferPointer<UInt8>, lines: LineIndex) -> Bool {
        var parser = unsafe yaml_parser_t()
        guard unsafe yaml_parser_initialize(&parser) == 1 else {
            outOfMemory()
            return false
        }
        defer { unsafe yaml_parser_delete(&parser) }
        unsafe yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING)
        // SAFETY: an empty array may have no address; libyaml then never reads, the size is 0.
        unsafe yaml_parser_set_input_string(&parser, buffer.baseAddress, buffer.count)
        while true {
            var event = unsafe yaml_event_t()
            guard unsafe yaml_parser_parse(&parser, &event) == 1 else {
                unsafe reportFailure(parser, lines: lines)
                return false
            }
            defer { unsafe yaml_event_delete(&event) }
            switch unsafe take(event) {
            case .goOn: continue
            case .finished: return true
            case .failed: return false
            }
        }
    }

    private mutating func take(_ event: yaml_event_t) -> Step {
        let position = unsafe sourcePosition(event.start_mark)
        let progressBytes = unsafe part.start + Int(clamping: event.start_mark.index)
        tree.reserve(progress: progressBytes)
        if let progress, tree.count & 0xFFF == 0 { progress(.reading, progressBytes, text.bytes.count) }
        guard tree.count < SyntaxTree.nodesMax else {
            sink.error(
                .tooManyNodes, at: position,
                "the policy has more than \(SyntaxTree.nodesMax) values",
                mend: "split it into policies for separate daemons")
            return .failed
        }
        switch unsafe event.type {
        case YAML_STREAM_END_EVENT: return .finished
        case YAML_DOCUMENT_START_EVENT:
            guard tree.count == firstNode else {
                sink.error(
                    .severalDocuments, at: position, "a second YAML document starts here",
                    mend: "keep one policy in one file and remove the `---`")
                return .failed
            }
        case YAML_SCALAR_EVENT: unsafe takeScalar(event, position)
        case YAML_ALIAS_EVENT:
            let name = unsafe text(event.data.alias.anchor)
            sink.error(
                .alias, at: position, "the alias \(quoted("*" + name)) is refused",
                mend: "write the value out, or quote it if `*` is part of it")
            _ = takesKey()
            tree.append(.refused, at: position)
        case YAML_SEQUENCE_START_EVENT:
            unsafe checkProperties(
                event.data.sequence_start.anchor, event.data.sequence_start.tag, position)
            return start(.sequence, position)
        case YAML_MAPPING_START_EVENT:
            unsafe checkProperties(event.data.mapping_start.anchor, event.data.mapping_start.tag, position)
            return start(.mapping, position)
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT:
            if let last = open.popLast() { tree.close(last.node) }
        default: break
        }
        return .goOn
    }

    private mutating func start(_ kind: SyntaxTree.Kind, _ position: SourcePosition) -> Step {
        guard open.count < SyntaxTree.depthMax else {
            sink.error(
                .tooDeep, at: position, "nested deeper than \(SyntaxTree.depthMax) levels",
                mend: "remove the brackets or the indentation that nest it so deeply")
            return .failed
        }
        _ = takesKey()
        open.append(Open(node: tree.append(kind, at: position), isMapping: kind == .mapping))
        return .goOn
    }

    /// Whether the node that comes now is the key of a mapping; what comes after it is its value.
    private mutating func takesKey() -> Bool {
        guard let last = open.indices.last, open[last].isMapping else { return false }
        let isKey = open[last].isKeyNext
        open[last].isKeyNext = !isKey
        return isKey
    }

    private mutating func takeScalar(_ event: yaml_event_t, _ position: SourcePosition) {
        let scalar = unsafe event.data.scalar
        let isKey = takesKey()
        unsafe checkProperties(scalar.anchor, scalar.tag, position)
        guard let start = unsafe scalar.value else {
            tree.append(.plain, at: position)
            return
        }
        let isPlain = unsafe scalar.style == YAML_PLAIN_SCALAR_STYLE
        // SAFETY: the event owns `length` bytes at `value` until it is deleted, after this call.
        let bytes = unsafe Span(_unsafeStart: UnsafePointer(start), count: scalar.length)
        let (control, hasReference) = findings(bytes)
        if let control {
            sink.error(
                .controlCharacter, at: position,
                "the text holds the control character \(codePointName(UInt32(control)))",
                mend: "remove the escape")
            tree.append(.refused, at: position)
            return
        }
        let offset = unsafe place.offset(ofCharacter: Int(clamping: event.start_mark.index))
        let node = tree.append(
            isPlain ? .plain : .quoted, at: position, text: bytes, offset: isPlain ? offset : offset + 1)
        if hasReference { tree.addReference(node, isKey: isKey) }
    }

    /// The first control character, since escapes can bring in what the source itself may not hold, and whether there
    /// is a `${`.
    private func findings(_ bytes: Span<UInt8>) -> (control: UInt8?, hasReference: Bool) {
        var hasReference = false
        for index in bytes.indices {
            let byte = bytes[index]
            if byte < 0x20, byte != 0x0A, byte != 0x09 { return (byte, false) }
            if byte == 0x7F { return (byte, false) }
            if byte == 0x24, index + 1 < bytes.count, bytes[index + 1] == 0x7B { hasReference = true }
        }
        return (nil, hasReference)
    }

    private func checkProperties(
        _ anchor: UnsafeMutablePointer<UInt8>?, _ tag: UnsafeMutablePointer<UInt8>?,
        _ position: SourcePosition
    ) {
        if unsafe anchor != nil {
            let name = unsafe text(anchor)
            sink.error(
                .anchor, at: position, "the anchor \(quoted("&" + name)) is refused",
                mend: "remove it and write the value out wherever it is needed")
        }
        if unsafe tag != nil {
            let name = unsafe text(tag)
            sink.error(
                .tag, at: position, "the tag \(quoted(name)) is refused",
                mend: "remove it; quote the value if it must be text")
        }
    }

    private func outOfMemory() {
        sink.error(
            .sourceTooLarge, at: SourcePosition(line: part.firstLine, column: 1),
            "not enough memory to read the policy",
            mend: "free memory and try again")
    }

    private func reportFailure(_ parser: yaml_parser_t, lines: LineIndex) {
        guard unsafe parser.error != YAML_MEMORY_ERROR else { return outOfMemory() }
        let problem = unsafe text(parser.problem)
        let context = unsafe text(parser.context)
        // A reader error has an offset and no mark; the source check has found such bytes before.
        let position = unsafe sourcePosition(parser.problem_mark)
        let contextPosition = unsafe parser.context == nil ? nil : sourcePosition(parser.context_mark)
        SyntaxFailure(
            problem: problem, context: context, position: position, contextPosition: contextPosition
        )
        .report(to: sink, lines: lines)
    }

    private func sourcePosition(_ mark: yaml_mark_t) -> SourcePosition {
        SourcePosition(line: part.firstLine + Int(clamping: mark.line), column: Int(clamping: mark.column) + 1)
    }

    private func text(_ pointer: UnsafeMutablePointer<UInt8>?) -> String {
        guard let pointer = unsafe pointer else { return "" }
        // SAFETY: libyaml ends its names with a NUL.
        return unsafe String(cString: UnsafePointer(pointer))
    }

    private func text(_ pointer: UnsafePointer<CChar>?) -> String {
        guard let pointer = unsafe pointer else { return "" }
        // SAFETY: libyaml's messages are string literals.
        return unsafe String(cString: pointer)
    }
}

/// Where the characters that libyaml counts in a part of the source stand in its bytes. Asked in ascending order.
private struct CharacterPlace {
    private let source: [UInt8]
    private let range: Range<Int>
    /// So many bytes at the front of the part, nearly always all, are one character each.
    private let plainCount: Int
    private var character: Int
    private var byte: Int

    init(source: [UInt8], range: Range<Int>) {
        self.source = source
        self.range = range
        plainCount = (source[range].firstIndex { $0 >= 0x80 } ?? range.upperBound) - range.lowerBound
        character = plainCount
        byte = plainCount
    }

    /// The first byte of a character, from 0; the end of the part for one beyond it.
    mutating func offset(ofCharacter wanted: Int) -> Int {
        if wanted <= plainCount { return range.lowerBound + wanted }
        let source = source
        let bytes = source.span.extracting(range)
        while character < wanted, byte < bytes.count {
            byte += 1
            while byte < bytes.count, bytes[byte] & 0xC0 == 0x80 { byte += 1 }
            character += 1
        }
        return range.lowerBound + byte
    }
}
