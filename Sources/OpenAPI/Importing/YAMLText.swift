/// Texts as the policy's YAML holds them, inside `{ … }` and outside alike: plain where nothing can misread them, else
/// in double quotes.
enum YAMLText {
    static func scalar(_ text: String) -> String {
        isPlain(text) ? text : quoted(text)
    }

    /// Sentences, for descriptions. `${` would stand for a value of the policy.
    static func sentence(_ words: String) -> String {
        let text = words.replacing("${", with: "$ {")
        let isPlainSentence =
            text.utf8.allSatisfy { isWordByte($0) || $0 == 0x20 || $0 == 0x2E || $0 == 0x2D || $0 == 0x2F }
            && text.utf8.first.map(isLetter) ?? false && text.utf8.last != 0x20 && !isReserved(text)
        return isPlainSentence ? text : quoted(text)
    }

    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { result += "\\" }
            result.unicodeScalars.append(scalar)
        }
        return result + "\""
    }

    static func list(_ texts: [String]) -> String {
        "[" + texts.map(scalar).joined(separator: ", ") + "]"
    }

    /// `GET /orders` too: one blank may stand before the path.
    private static func isPlain(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, let last = bytes.last, isLetter(first) || first == 0x2F || first == 0x5F else {
            return false
        }
        guard isWordByte(last) || last == 0x2F, !isReserved(text) else { return false }
        for (index, byte) in bytes.enumerated() {
            switch byte {
            case 0x2E, 0x2D, 0x2F, 0x3A, 0x40, 0x7E, 0x25, 0x2B, 0x3D: continue
            case 0x20 where index + 1 < bytes.count && bytes[index + 1] == 0x2F && bytes[index - 1] != 0x3A: continue
            default: if !isWordByte(byte) { return false }
            }
        }
        return true
    }

    private static func isReserved(_ text: String) -> Bool {
        ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(text.lowercased())
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        isLetter(byte) || (0x30...0x39).contains(byte) || byte == 0x5F
    }
}
