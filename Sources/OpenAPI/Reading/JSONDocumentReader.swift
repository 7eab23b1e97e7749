internal import Octets

/// Reads JSON (RFC 8259) into a tree, without recursion. UTF-8 has been checked before.
struct JSONDocumentReader {
    private let source: [UInt8]
    private var at = 0
    private var line = 1
    private let tree = DocumentTree()
    private var open: [Int] = []

    init(_ source: [UInt8]) {
        self.source = source
    }

    mutating func read() throws(DocumentError) -> DocumentTree {
        var awaitsValue = true
        while true {
            skipBlanks()
            if awaitsValue {
                awaitsValue = try readValue()
                continue
            }
            guard let container = open.last else { break }
            awaitsValue = try readSeparator(container)
        }
        guard at == source.count else { throw unexpected("after the end of the document") }
        return tree
    }

    /// - Returns: whether the next thing is a value again: the first of a container that has just begun.
    private mutating func readValue() throws(DocumentError) -> Bool {
        guard at < source.count else { throw unexpected("") }
        switch source[at] {
        case 0x7B: return try begin(.mapping, end: 0x7D)
        case 0x5B: return try begin(.sequence, end: 0x5D)
        case 0x22: try add(.quoted, readString())
        case 0x2D, 0x30...0x39, 0x61...0x7A: try add(.plain, readWord())
        default: throw unexpected("where a value should be")
        }
        return false
    }

    private mutating func begin(_ kind: DocumentTree.Kind, end: UInt8) throws(DocumentError) -> Bool {
        guard open.count < DocumentTree.depthMax else { throw DocumentTree.tooDeep(line: line) }
        guard let node = tree.append(kind, line: line) else { throw DocumentTree.tooMany(line: line) }
        at += 1
        skipBlanks()
        if at < source.count, source[at] == end {
            at += 1
            return false
        }
        open.append(node)
        if kind == .mapping { try readKey() }
        return true
    }

    /// After a value: a comma and, in an object, the next key; or the container's end.
    private mutating func readSeparator(_ container: Int) throws(DocumentError) -> Bool {
        guard at < source.count else { throw unexpected("") }
        let isMapping = tree.kind(container) == .mapping
        switch source[at] {
        case 0x2C:
            at += 1
            skipBlanks()
            if isMapping { try readKey() }
            return true
        case 0x7D where isMapping, 0x5D where !isMapping:
            at += 1
            open.removeLast()
            tree.close(container)
            return false
        default: throw unexpected(isMapping ? "where `,` or `}` should be" : "where `,` or `]` should be")
        }
    }

    private mutating func readKey() throws(DocumentError) {
        guard at < source.count, source[at] == 0x22 else { throw unexpected("where a name in quotes should be") }
        try add(.quoted, readString())
        skipBlanks()
        guard at < source.count, source[at] == 0x3A else { throw unexpected("where `:` should be") }
        at += 1
    }

    private func add(_ kind: DocumentTree.Kind, _ text: [UInt8]) throws(DocumentError) {
        guard tree.appendScalar(kind, line: line, text: text) else { throw DocumentTree.tooMany(line: line) }
    }

    private mutating func skipBlanks() {
        while at < source.count {
            switch source[at] {
            case 0x0A: line += 1
            case 0x20, 0x0D, 0x09: break
            default: return
            }
            at += 1
        }
    }

    /// A number, `true`, `false` or `null`; what else it may be is of no interest here.
    private mutating func readWord() throws(DocumentError) -> [UInt8] {
        let start = at
        while at < source.count {
            switch source[at] {
            case 0x30...0x39, 0x61...0x7A, 0x45, 0x2B, 0x2D, 0x2E: at += 1
            default:
                return try checked(source[start..<at])
            }
        }
        return try checked(source[start..<at])
    }

    private func checked(_ word: ArraySlice<UInt8>) throws(DocumentError) -> [UInt8] {
        let isNumber = word.first.map { $0 < 0x61 } ?? false
        guard isNumber || ["true", "false", "null"].contains(String(decoding: word, as: UTF8.self)) else {
            throw DocumentError(
                line: line, "\(quoted(String(decoding: word.prefix(100), as: UTF8.self))) is no JSON value",
                mend: "correct the document")
        }
        return Array(word)
    }

    // MARK: Strings

    private mutating func readString() throws(DocumentError) -> [UInt8] {
        at += 1
        var text: [UInt8] = []
        while at < source.count {
            let byte = source[at]
            at += 1
            switch byte {
            case 0x22: return text
            case 0x5C: try readEscape(&text)
            case 0..<0x20: throw unexpected("within a string")
            default: text.append(byte)
            }
        }
        throw unexpected("")
    }

    private mutating func readEscape(_ text: inout [UInt8]) throws(DocumentError) {
        guard at < source.count else { throw unexpected("") }
        let byte = source[at]
        at += 1
        switch byte {
        case 0x22, 0x5C, 0x2F: text.append(byte)
        case 0x62: text.append(0x08)
        case 0x66: text.append(0x0C)
        case 0x6E: text.append(0x0A)
        case 0x72: text.append(0x0D)
        case 0x74: text.append(0x09)
        case 0x75:
            let scalar = try readScalar()
            text.append(contentsOf: Array(String(Character(scalar)).utf8))
        default: throw unexpected("after `\\`")
        }
    }

    /// One escaped character, of two halves where it is one of the higher planes. A lone half becomes U+FFFD.
    private mutating func readScalar() throws(DocumentError) -> Unicode.Scalar {
        let unit = try readHexadecimal()
        if let scalar = Unicode.Scalar(unit) { return scalar }
        let replacement: Unicode.Scalar = "\u{FFFD}"
        guard unit < 0xDC00, at + 1 < source.count, source[at] == 0x5C, source[at + 1] == 0x75 else {
            return replacement
        }
        at += 2
        let second = try readHexadecimal()
        guard (0xDC00...0xDFFF).contains(second) else { return Unicode.Scalar(second) ?? replacement }
        return Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (second - 0xDC00)) ?? replacement
    }

    private mutating func readHexadecimal() throws(DocumentError) -> UInt32 {
        guard at + 4 <= source.count else { throw unexpected("after `\\u`") }
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = hexadecimalValue(source[at]) else { throw unexpected("after `\\u`") }
            value = value << 4 | UInt32(digit)
            at += 1
        }
        return value
    }

    private func unexpected(_ place: String) -> DocumentError {
        guard at < source.count else {
            return DocumentError(line: line, "the document ends in the middle", mend: "fetch or save all of it")
        }
        let found = quoted(String(decoding: [source[at]], as: UTF8.self))
        return DocumentError(line: line, "\(found) \(place) is no JSON", mend: "correct the document")
    }
}
