/// Bytes of a policy source as a person may see them in a message: in backticks, one line, at most 80
/// characters, nothing that moves a terminal's cursor.
func quoted(_ bytes: ArraySlice<UInt8>) -> String {
    // 4 bytes are the longest character; what is cut off is not decoded.
    let head = bytes.prefix(4 * quotedCharactersMax + 4)
    return quoted(String(decoding: head, as: UTF8.self))
}

func quoted(_ text: String) -> String {
    "`" + printable(text, charactersMax: quotedCharactersMax) + "`"
}

private let quotedCharactersMax = 80

/// The first characters of `text`, controls and invisible direction marks spelled out, `…` where it was cut.
func printable(_ text: String, charactersMax: Int) -> String {
    var result = ""
    var count = 0
    for scalar in text.unicodeScalars {
        if count == charactersMax {
            result += "…"
            break
        }
        count += 1
        if isVisible(scalar) {
            result.unicodeScalars.append(scalar)
        } else {
            result += "\\u{" + String(scalar.value, radix: 16) + "}"
        }
    }
    return result
}

/// Whether a scalar shows as itself: no control, no line separator, no mark that changes reading direction.
func isVisible(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0...0x1F, 0x7F...0x9F, 0x2028, 0x2029: false
    case 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069, 0x061C, 0xFEFF: false
    default: true
    }
}

/// `U+202E`: a character that cannot be shown as itself.
func codePointName(_ value: UInt32) -> String {
    let digits = String(value, radix: 16, uppercase: true)
    return "U+" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
}

/// `a, b and c`, each in backticks; the first few when there are many.
func quotedList(_ names: [String], joint: String = "and", namesMax: Int = 8) -> String {
    var shown = names.prefix(namesMax).map { quoted($0) }
    if names.count > namesMax { shown.append("\(names.count - namesMax) more") }
    guard let last = shown.popLast() else { return "nothing" }
    return shown.isEmpty ? last : shown.joined(separator: ", ") + " " + joint + " " + last
}
