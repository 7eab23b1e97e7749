internal import CYaml

/// Reads the one YAML document of a policy into a tree.
///
/// It drives libyaml's events itself instead of composing Yams nodes: an alias is refused when it is met,
/// before anything could be expanded or hashed; both places of a repeated key stay known; and a million
/// routes take a second instead of ten. libyaml comes with Yams (module CYaml) and is imported here only.
struct YAMLReader {
    private let sink: DiagnosticSink
    private var tree: SyntaxTree
    /// Collections that are open, outermost first.
    private var open: [Int] = []
    private var place: CharacterPlace

    private enum Step {
        case goOn
        case finished
        case failed
    }

    init(_ source: [UInt8], sink: DiagnosticSink) {
        self.sink = sink
        tree = SyntaxTree(source: source)
        place = CharacterPlace(source: source)
    }

    /// - Returns: the tree, its root at 0, or nil when the source is empty or no YAML, which is reported.
    ///   What the language refuses in good YAML (anchors, aliases, tags) is reported and leaves `refused`
    ///   nodes.
    consuming func read(lines: LineIndex) -> SyntaxTree? {
        // SAFETY: the parser reads the buffer only within the closure and is deleted before it returns.
        let isComplete = unsafe lines.source.withUnsafeBufferPointer { buffer in
            unsafe drive(buffer, lines: lines)
        }
        guard isComplete else { return nil }
        if tree.count == 0 || (tree.count == 1 && tree.isAbsent(0)) {
            sink.error(
                .emptySource, at: SourcePosition(line: 1, column: 1), "the policy is empty",
                mend: "start it with `scopecheck: 1`")
            return nil
        }
        return tree
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
        unsafe tree.reserve(progress: Int(clamping: event.start_mark.index))
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
            guard tree.count == 0 else {
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
            tree.append(.refused, at: position)
        case YAML_SEQUENCE_START_EVENT:
            unsafe checkProperties(
                event.data.sequence_start.anchor, event.data.sequence_start.tag, position)
            return start(.sequence, position)
        case YAML_MAPPING_START_EVENT:
            unsafe checkProperties(event.data.mapping_start.anchor, event.data.mapping_start.tag, position)
            return start(.mapping, position)
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT:
            if let node = open.popLast() { tree.close(node) }
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
        open.append(tree.append(kind, at: position))
        return .goOn
    }

    private mutating func takeScalar(_ event: yaml_event_t, _ position: SourcePosition) {
        let scalar = unsafe event.data.scalar
        unsafe checkProperties(scalar.anchor, scalar.tag, position)
        guard let start = unsafe scalar.value else {
            tree.append(.plain, at: position)
            return
        }
        let isPlain = unsafe scalar.style == YAML_PLAIN_SCALAR_STYLE
        // SAFETY: the event owns `length` bytes at `value` until it is deleted, after this call.
        let bytes = unsafe Span(_unsafeStart: UnsafePointer(start), count: scalar.length)
        if let control = firstControl(bytes) {
            sink.error(
                .controlCharacter, at: position,
                "the text holds the control character \(codePointName(UInt32(control)))",
                mend: "remove the escape")
            tree.append(.refused, at: position)
            return
        }
        let offset = unsafe place.offset(ofCharacter: Int(clamping: event.start_mark.index))
        tree.append(isPlain ? .plain : .quoted, at: position, text: bytes, offset: isPlain ? offset : offset + 1)
    }

    /// Escapes can bring in what the source itself may not hold.
    private func firstControl(_ bytes: Span<UInt8>) -> UInt8? {
        for index in bytes.indices {
            let byte = bytes[index]
            if byte < 0x20, byte != 0x0A, byte != 0x09 { return byte }
            if byte == 0x7F { return byte }
        }
        return nil
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
            .sourceTooLarge, at: SourcePosition(line: 1, column: 1), "not enough memory to read the policy",
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
        SourcePosition(line: Int(clamping: mark.line) + 1, column: Int(clamping: mark.column) + 1)
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

/// Where the characters that libyaml counts stand in the bytes of the source. Asked in ascending order.
private struct CharacterPlace {
    let source: [UInt8]
    /// So many bytes at the front, nearly always all, are one character each.
    private let plainCount: Int
    private var character: Int
    private var byte: Int

    init(source: [UInt8]) {
        self.source = source
        plainCount = source.firstIndex { $0 >= 0x80 } ?? source.count
        character = plainCount
        byte = plainCount
    }

    /// The first byte of a character, from 0; the end of the source for one beyond it.
    mutating func offset(ofCharacter wanted: Int) -> Int {
        if wanted <= plainCount { return wanted }
        let source = source
        let bytes = source.span
        while character < wanted, byte < bytes.count {
            byte += 1
            while byte < bytes.count, bytes[byte] & 0xC0 == 0x80 { byte += 1 }
            character += 1
        }
        return byte
    }
}
