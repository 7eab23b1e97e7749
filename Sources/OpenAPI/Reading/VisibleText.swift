/// Text of a document as it may stand in a message or in a comment: one line, runs of blanks as one, without characters
/// that move a cursor or turn the reading direction, cut with `…`.
func visibleLine(_ text: String, charactersMax: Int = 120) -> String {
    var result = ""
    var count = 0
    var owesBlank = false
    for scalar in text.unicodeScalars {
        guard isVisible(scalar), scalar != " " else {
            owesBlank = count > 0
            continue
        }
        guard count + (owesBlank ? 1 : 0) < charactersMax else {
            result += "…"
            break
        }
        if owesBlank {
            result += " "
            count += 1
            owesBlank = false
        }
        result.unicodeScalars.append(scalar)
        count += 1
    }
    return result
}

/// The same in backticks.
func quoted(_ text: String) -> String { "`" + visibleLine(text, charactersMax: 100) + "`" }

/// `a`, `b` and `c`: the first few when there are many.
func quotedList(_ names: [String], namesMax: Int = 8) -> String {
    var shown = names.prefix(namesMax).map { quoted($0) }
    if names.count > namesMax { shown.append("\(names.count - namesMax) more") }
    guard let last = shown.popLast() else { return "nothing" }
    return shown.isEmpty ? last : shown.joined(separator: ", ") + " and " + last
}

private func isVisible(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0...0x1F, 0x7F...0x9F, 0x2028, 0x2029: false
    case 0x061C, 0x200B...0x200F, 0x202A...0x202E, 0x2060...0x206F, 0xFEFF, 0xFFF9...0xFFFF: false
    case 0xE0000...0xE0FFF: false
    default: scalar.value & 0xFFFE != 0xFFFE
    }
}
