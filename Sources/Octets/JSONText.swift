// JSON text (RFC 8259) written byte by byte, for log lines and answers to commands.

extension ByteWriter {
    /// A JSON string. Bytes that are not UTF-8 become U+FFFD each, so that the text always is.
    public mutating func append(jsonString value: Span<UInt8>) {
        append(0x22)
        let isText = isUTF8(value)
        for index in value.indices {
            let byte = value[index]
            switch byte {
            case 0x22, 0x5C:
                append(0x5C)
                append(byte)
            case 0x0A: append("\\n")
            case 0x0D: append("\\r")
            case 0x09: append("\\t")
            case 0..<0x20, 0x7F:
                append("\\u00")
                append(hexadecimal: byte)
            case 0x80...:
                if isText { append(byte) } else { append("\\ufffd") }
            default: append(byte)
            }
        }
        append(0x22)
    }

    /// A JSON string of text known to need no escapes.
    public mutating func append(jsonLiteral value: StaticString) {
        append(0x22)
        append(value)
        append(0x22)
    }
}

extension Array where Element == UInt8 {
    /// A JSON string of any text.
    public mutating func append(jsonString value: String) {
        append(0x22)
        for byte in value.utf8 {
            switch byte {
            case 0x22, 0x5C:
                append(0x5C)
                append(byte)
            case 0..<0x20, 0x7F:
                append(contentsOf: Array("\\u00".utf8))
                append(hexadecimalDigit(byte >> 4))
                append(hexadecimalDigit(byte & 15))
            default: append(byte)
            }
        }
        append(0x22)
    }
}
