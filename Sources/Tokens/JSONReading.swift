internal import Octets

extension JSONIndex {
    /// Reads one whole text. After a throw the index is empty.
    ///
    /// One pass, no recursion: open containers stand on a stack of `limits.depthMax` places.
    public mutating func read(
        _ text: Span<UInt8>, limits: JSONLimits, topLevel: TopLevel = .object
    ) throws(JSONError) {
        restart()
        do throws(JSONError) {
            guard text.count <= Int(Int32.max) else { throw JSONError(.tooLarge, at: 0) }
            try readDocument(text, limits, topLevel)
        } catch {
            nodes.removeAll(keepingCapacity: true)
            throw error
        }
    }

    private mutating func restart() {
        nodes.removeAll(keepingCapacity: true)
        depth = 0
        namesSeen = 0
        stamp &+= 1
        if stamp == 0 {
            // After 2^32 texts old stamps would come round again.
            nameTable.removeAll(keepingCapacity: true)
            stamp = 1
        }
    }

    private mutating func readDocument(
        _ text: Span<UInt8>, _ limits: JSONLimits, _ topLevel: TopLevel
    ) throws(JSONError) {
        var at = skipWhiteSpace(text, 0)
        guard at < text.count else { throw JSONError(.empty, at: at) }
        if text.count >= 3, text[0] == 0xEF, text[1] == 0xBB, text[2] == 0xBF {
            throw JSONError(.byteOrderMark, at: 0)
        }
        if topLevel == .object, text[at] != 0x7B { throw JSONError(.notAnObject, at: at) }
        var name = Name()
        while true {
            at = skipWhiteSpace(text, at)
            guard at < text.count else { throw JSONError(.truncated, at: at) }
            guard nodes.count < limits.valuesMax else { throw JSONError(.tooManyValues, at: at) }
            let byte = text[at]
            if byte == 0x7B || byte == 0x5B {
                try openContainer(byte == 0x7B ? .object : .array, at: at, name, limits)
                at = skipWhiteSpace(text, at + 1)
                guard at < text.count else { throw JSONError(.truncated, at: at) }
                if text[at] != byte + 2 {
                    if byte == 0x7B {
                        at = try readName(text, at, limits, into: &name)
                    } else {
                        name = Name()
                    }
                    continue
                }
            } else {
                at = try readScalar(text, at, name, limits)
            }
            guard try closeOrContinue(text, &at, limits, &name) else { return }
        }
    }

    /// After a value: closes what ends here and moves past a comma.
    /// - Returns: false when the text is complete.
    private mutating func closeOrContinue(
        _ text: Span<UInt8>, _ at: inout Int, _ limits: JSONLimits, _ name: inout Name
    ) throws(JSONError) -> Bool {
        while depth > 0 {
            at = skipWhiteSpace(text, at)
            guard at < text.count else { throw JSONError(.truncated, at: at) }
            let container = Int(open[depth - 1])
            let isObject = nodes[container].kind == .object
            let byte = text[at]
            if byte == 0x2C {
                at += 1
                if isObject {
                    at = skipWhiteSpace(text, at)
                    at = try readName(text, at, limits, into: &name)
                } else {
                    name = Name()
                }
                return true
            }
            guard byte == (isObject ? 0x7D : 0x5D) else { throw JSONError(.unexpectedByte, at: at) }
            at += 1
            nodes[container].count = UInt32(truncatingIfNeeded: at) &- nodes[container].start
            nodes[container].next = UInt32(truncatingIfNeeded: nodes.count)
            depth -= 1
        }
        at = skipWhiteSpace(text, at)
        guard at == text.count else { throw JSONError(.trailingBytes, at: at) }
        return false
    }

    private mutating func openContainer(
        _ kind: JSONKind, at: Int, _ name: Name, _ limits: JSONLimits
    ) throws(JSONError) {
        guard depth < limits.depthMax else { throw JSONError(.tooDeep, at: at) }
        append(kind, start: at, end: at, hasEscapes: false, name)
        open[depth] = UInt32(truncatingIfNeeded: nodes.count - 1)
        memberCounts[depth] = 0
        nameFilters[depth] = 0
        depth += 1
    }

    private mutating func append(_ kind: JSONKind, start: Int, end: Int, hasEscapes: Bool, _ name: Name) {
        nodes.append(
            Node(
                nameStart: UInt32(truncatingIfNeeded: name.start),
                nameCount: UInt32(truncatingIfNeeded: name.count),
                start: UInt32(truncatingIfNeeded: start), count: UInt32(truncatingIfNeeded: end - start),
                next: UInt32(truncatingIfNeeded: nodes.count + 1), parent: depth > 0 ? open[depth - 1] : 0,
                kind: kind, hasEscapes: hasEscapes,
                nameHasEscapes: name.hasEscapes))
    }

    /// Reads a string, number or literal that starts at `at`.
    /// - Returns: the offset after it.
    private mutating func readScalar(
        _ text: Span<UInt8>, _ at: Int, _ name: Name, _ limits: JSONLimits
    ) throws(JSONError) -> Int {
        switch text[at] {
        case 0x22:
            var hasEscapes = false
            let end = try scanString(text, from: at + 1, allowsNUL: limits.allowsNUL, &hasEscapes)
            append(.string, start: at + 1, end: end, hasEscapes: hasEscapes, name)
            return end + 1
        case 0x2D, 0x30...0x39:
            let end = try scanNumber(text, from: at)
            append(.number, start: at, end: end, hasEscapes: false, name)
            return end
        case 0x74: return try readLiteral("true", .true, text, at, name)
        case 0x66: return try readLiteral("false", .false, text, at, name)
        case 0x6E: return try readLiteral("null", .null, text, at, name)
        default: throw JSONError(.unexpectedByte, at: at)
        }
    }

    private mutating func readLiteral(
        _ literal: StaticString, _ kind: JSONKind, _ text: Span<UInt8>, _ at: Int, _ name: Name
    ) throws(JSONError) -> Int {
        let end = at + literal.utf8CodeUnitCount
        guard end <= text.count else { throw JSONError(.truncated, at: text.count) }
        guard equal(text.extracting(at..<end), literal) else { throw JSONError(.unexpectedByte, at: at) }
        append(kind, start: at, end: end, hasEscapes: false, name)
        return end
    }

    /// Reads `"name" :` at `at` and checks that the open object does not have that name yet.
    /// - Returns: the offset after the colon.
    private mutating func readName(
        _ text: Span<UInt8>, _ at: Int, _ limits: JSONLimits, into name: inout Name
    ) throws(JSONError) -> Int {
        guard at < text.count else { throw JSONError(.truncated, at: at) }
        guard text[at] == 0x22 else { throw JSONError(.unexpectedByte, at: at) }
        let count = memberCounts[depth - 1] &+ 1
        guard count <= limits.membersPerObjectMax else { throw JSONError(.tooManyMembers, at: at) }
        namesSeen += 1
        guard namesSeen <= limits.namesMax else { throw JSONError(.tooManyNames, at: at) }
        memberCounts[depth - 1] = count
        name = Name()
        name.start = at + 1
        let end = try scanString(text, from: at + 1, allowsNUL: limits.allowsNUL, &name.hasEscapes)
        name.count = end - name.start
        guard isNew(name, in: Int(open[depth - 1]), memberCount: Int(count), text) else {
            throw JSONError(.duplicateName, at: at)
        }
        let colon = skipWhiteSpace(text, end + 1)
        guard colon < text.count else { throw JSONError(.truncated, at: colon) }
        guard text[colon] == 0x3A else { throw JSONError(.unexpectedByte, at: colon) }
        return colon + 1
    }
}

@inline(always)
private func skipWhiteSpace(_ text: Span<UInt8>, _ from: Int) -> Int {
    var at = from
    while at < text.count {
        let byte = text[at]
        guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { break }
        at += 1
    }
    return at
}
