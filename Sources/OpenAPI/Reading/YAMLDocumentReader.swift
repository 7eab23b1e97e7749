internal import CYaml

/// Reads one YAML document into a tree from libyaml's events. Aliases are kept as such, so that nothing grows.
struct YAMLDocumentReader {
    private let tree = DocumentTree()

    private struct State {
        var open: [Int] = []
        /// Anchors whose node is complete; a name used again means the later one.
        var anchors: [String: Int] = [:]
        /// Names of the anchors of open collections.
        var pending: [Int: String] = [:]
        var isDone = false
    }

    func read(_ source: [UInt8]) throws(DocumentError) -> DocumentTree {
        var failure: DocumentError?
        // SAFETY: the parser reads the buffer only within the closure and is deleted before it returns.
        unsafe source.withUnsafeBufferPointer { buffer in
            do throws(DocumentError) {
                unsafe try drive(buffer)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        guard !tree.nodes.isEmpty else {
            throw DocumentError("the document is empty", mend: "name the file that holds it")
        }
        return tree
    }

    private func drive(_ buffer: UnsafeBufferPointer<UInt8>) throws(DocumentError) {
        var parser = unsafe yaml_parser_t()
        guard unsafe yaml_parser_initialize(&parser) == 1 else {
            throw DocumentError("not enough memory to read the document", mend: "free memory and try again")
        }
        defer { unsafe yaml_parser_delete(&parser) }
        unsafe yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING)
        unsafe yaml_parser_set_input_string(&parser, buffer.baseAddress, buffer.count)
        var state = State()
        while !state.isDone {
            var event = unsafe yaml_event_t()
            guard unsafe yaml_parser_parse(&parser, &event) == 1 else {
                let problem = unsafe parser.problem == nil ? "it cannot be read" : String(cString: parser.problem)
                let line = unsafe Int(clamping: parser.problem_mark.line) + 1
                if problem.hasPrefix("Maximum nesting level") { throw DocumentTree.tooDeep(line: line) }
                throw DocumentError(
                    line: line, "this is no YAML: \(problem)",
                    mend: "correct the document")
            }
            defer { unsafe yaml_event_delete(&event) }
            unsafe try take(event, &state)
        }
    }

    private func take(_ event: yaml_event_t, _ state: inout State) throws(DocumentError) {
        let line = unsafe Int(clamping: event.start_mark.line) + 1
        switch unsafe event.type {
        case YAML_STREAM_END_EVENT: state.isDone = true
        case YAML_DOCUMENT_START_EVENT:
            guard tree.nodes.isEmpty else {
                throw DocumentError(
                    line: line, "a second YAML document starts here", mend: "give one document at a time")
            }
        case YAML_SCALAR_EVENT: unsafe try takeScalar(event, line, &state)
        case YAML_ALIAS_EVENT:
            let name = unsafe text(event.data.alias.anchor)
            guard let node = state.anchors[name] else {
                throw DocumentError(
                    line: line, "the alias \(quoted("*" + name)) stands within what it stands for, or for nothing",
                    mend: "write the value out")
            }
            guard tree.appendAlias(of: node, line: line) else { throw DocumentTree.tooMany(line: line) }
        case YAML_SEQUENCE_START_EVENT:
            try begin(.sequence, anchor: unsafe text(event.data.sequence_start.anchor), line, &state)
        case YAML_MAPPING_START_EVENT:
            try begin(.mapping, anchor: unsafe text(event.data.mapping_start.anchor), line, &state)
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT:
            if let node = state.open.popLast() {
                tree.close(node)
                if let name = state.pending.removeValue(forKey: node) { state.anchors[name] = node }
            }
        default: break
        }
    }

    private func begin(
        _ kind: DocumentTree.Kind, anchor: String, _ line: Int, _ state: inout State
    ) throws(DocumentError) {
        guard state.open.count < DocumentTree.depthMax else { throw DocumentTree.tooDeep(line: line) }
        guard let node = tree.append(kind, line: line) else { throw DocumentTree.tooMany(line: line) }
        state.open.append(node)
        guard !anchor.isEmpty else { return }
        // Within itself the name means nothing, not what it meant before.
        state.anchors[anchor] = nil
        state.pending[node] = anchor
    }

    private func takeScalar(_ event: yaml_event_t, _ line: Int, _ state: inout State) throws(DocumentError) {
        let scalar = unsafe event.data.scalar
        let isPlain = unsafe scalar.style == YAML_PLAIN_SCALAR_STYLE
        if unsafe text(scalar.tag) == "tag:yaml.org,2002:merge" {
            throw DocumentError(
                line: line, "a merge key is not read", mend: "write the keys out: OpenAPI has no merge keys")
        }
        let node = tree.nodes.count
        // SAFETY: the event owns `length` bytes at `value` until it is deleted, after this call.
        let bytes =
            unsafe scalar.value == nil
            ? []
            : [UInt8](
                UnsafeBufferPointer(start: scalar.value, count: scalar.length))
        guard tree.appendScalar(isPlain ? .plain : .quoted, line: line, text: bytes) else {
            throw DocumentTree.tooMany(line: line)
        }
        let anchor = unsafe text(scalar.anchor)
        if !anchor.isEmpty { state.anchors[anchor] = node }
    }

    private func text(_ pointer: UnsafeMutablePointer<UInt8>?) -> String {
        guard let pointer = unsafe pointer else { return "" }
        // SAFETY: libyaml ends its names with a NUL.
        return unsafe String(cString: UnsafePointer(pointer))
    }
}
