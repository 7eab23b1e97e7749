internal import CYaml

/// One event of libyaml with its place in the bytes of the source. What `SyntaxTree` leaves out stands here: where a value
/// ends and in which style it is written, which is what a formatter works with.
struct YAMLToken {
    enum Kind {
        case scalar(isPlain: Bool)
        /// `|` or `>`: its text ends where the indentation does, not at `end`.
        case blockScalar
        /// Nothing written where a value could stand.
        case absent
        case blockMapping
        case blockSequence
        case blockEnd
        /// `{` or `[`; nothing at all for the mapping in `[a: b]`, which has no braces of its own.
        case flowStart
        case flowEnd
    }

    var kind: Kind
    /// Bytes of the source.
    var start: Int
    var end: Int
    /// Characters from the start of the line, from 0.
    var column: Int
    /// Whether a collection is a mapping; parts of a mapping are keys and values in turn.
    var isMapping = false
}

/// Reads the tokens of a source that `YAMLReader` has read without an error.
struct YAMLTokens {
    private(set) var tokens: [YAMLToken] = []
    private let source: [UInt8]
    /// For each open collection whether it is of block style.
    private var isBlock: [Bool] = []
    private var character = 0
    private var byte = 0

    private init(source: [UInt8]) {
        self.source = source
    }

    /// - Returns: nil when libyaml refuses the source.
    static func read(_ source: [UInt8]) -> [YAMLToken]? {
        var reader = YAMLTokens(source: source)
        // SAFETY: the parser reads the buffer only within the closure and is deleted before it returns.
        let isComplete = unsafe source.withUnsafeBufferPointer { buffer in unsafe reader.drive(buffer) }
        return isComplete ? reader.tokens : nil
    }

    private mutating func drive(_ buffer: UnsafeBufferPointer<UInt8>) -> Bool {
        var parser = unsafe yaml_parser_t()
        guard unsafe yaml_parser_initialize(&parser) == 1 else { return false }
        defer { unsafe yaml_parser_delete(&parser) }
        unsafe yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING)
        // SAFETY: an empty array may have no address; libyaml then never reads, the size is 0.
        unsafe yaml_parser_set_input_string(&parser, buffer.baseAddress, buffer.count)
        while true {
            var event = unsafe yaml_event_t()
            guard unsafe yaml_parser_parse(&parser, &event) == 1 else { return false }
            defer { unsafe yaml_event_delete(&event) }
            if unsafe event.type == YAML_STREAM_END_EVENT { return true }
            unsafe take(event)
        }
    }

    private mutating func take(_ event: yaml_event_t) {
        let start = unsafe offset(ofCharacter: Int(clamping: event.start_mark.index))
        // Never asked to go back: a block's end may lie before the token that showed it.
        let length = unsafe Int(clamping: event.end_mark.index) - Int(clamping: event.start_mark.index)
        let column = unsafe Int(clamping: event.start_mark.column)
        switch unsafe event.type {
        case YAML_SCALAR_EVENT: unsafe takeScalar(event, start: start, characters: length, column: column)
        case YAML_SEQUENCE_START_EVENT:
            let isFlow = unsafe event.data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE
            isBlock.append(!isFlow)
            add(isFlow ? .flowStart : .blockSequence, start, isFlow ? 1 : 0, column)
        case YAML_MAPPING_START_EVENT:
            let isFlow = unsafe event.data.mapping_start.style == YAML_FLOW_MAPPING_STYLE
            let hasBrace = length > 0 && start < source.count && source[start] == 0x7B
            isBlock.append(!isFlow)
            add(isFlow ? .flowStart : .blockMapping, start, isFlow && hasBrace ? 1 : 0, column, isMapping: true)
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT:
            let isOfBlock = isBlock.popLast() ?? true
            add(isOfBlock ? .blockEnd : .flowEnd, start, isOfBlock ? 0 : min(length, 1), column)
        default: break
        }
    }

    private mutating func takeScalar(_ event: yaml_event_t, start: Int, characters: Int, column: Int) {
        let style = unsafe event.data.scalar.style
        if characters <= 0 { return add(.absent, start, 0, column) }
        if style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE {
            return add(.blockScalar, start, 1, column)
        }
        var end = start
        var left = characters
        while left > 0, end < source.count {
            end += 1
            while end < source.count, source[end] & 0xC0 == 0x80 { end += 1 }
            left -= 1
        }
        add(.scalar(isPlain: style == YAML_PLAIN_SCALAR_STYLE), start, end - start, column)
    }

    private mutating func add(
        _ kind: YAMLToken.Kind, _ start: Int, _ count: Int, _ column: Int, isMapping: Bool = false
    ) {
        tokens.append(
            YAMLToken(kind: kind, start: start, end: start + count, column: column, isMapping: isMapping))
    }

    /// The byte of a character. libyaml counts characters, nearly always in ascending order.
    private mutating func offset(ofCharacter wanted: Int) -> Int {
        let source = source
        let bytes = source.span
        while character > wanted, byte > 0 {
            byte -= 1
            while byte > 0, bytes[byte] & 0xC0 == 0x80 { byte -= 1 }
            character -= 1
        }
        while character < wanted, byte < bytes.count {
            byte += 1
            while byte < bytes.count, bytes[byte] & 0xC0 == 0x80 { byte += 1 }
            character += 1
        }
        return byte
    }
}
