/// Longest document that is read, bytes; the largest public ones have 10 MB.
public let publishedDocumentBytesMax = 32 << 20

/// The bytes of a published document, JSON or YAML.
enum DocumentText {
    static let bytesMax = publishedDocumentBytesMax

    static func read(_ bytes: [UInt8]) throws(DocumentError) -> DocumentTree {
        guard bytes.count <= bytesMax else {
            throw DocumentError(
                "the document has \(bytes.count) bytes, \(bytesMax) are the most", mend: "split it")
        }
        let body = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
        do {
            _ = try UTF8Span(validating: body.span)
        } catch {
            throw DocumentError(
                "the document is not UTF-8 (byte \(error.byteOffsets.lowerBound))", mend: "save it as UTF-8")
        }
        guard let first = body.first(where: { $0 != 0x20 && $0 != 0x0A && $0 != 0x0D && $0 != 0x09 }) else {
            throw DocumentError("the document is empty", mend: "name the file that holds it")
        }
        if first == 0x7B {
            var reader = JSONDocumentReader(body)
            return try reader.read()
        }
        try refuseDirectives(body)
        let reader = YAMLDocumentReader()
        return try reader.read(body)
    }

    /// libyaml compares each directive with all before it.
    private static func refuseDirectives(_ body: [UInt8]) throws(DocumentError) {
        var count = 0
        var line = 1
        for index in body.indices {
            if body[index] == 0x25, index == 0 || body[index - 1] == 0x0A { count += 1 }
            if body[index] == 0x0A { line += 1 }
            guard count <= 16 else {
                throw DocumentError(
                    line: line, "many lines start with `%`, which makes them YAML directives", mend: "remove them")
            }
        }
    }
}
