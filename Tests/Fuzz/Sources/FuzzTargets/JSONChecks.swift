internal import Octets
@testable internal import Tokens

/// Any text as JSON. What is taken can be written again, means the same then, and has every member once.
func fuzzJSON(_ text: [UInt8], depthMax: Int, topLevel: JSONIndex.TopLevel) {
    do throws(JSONError) {
        try JSON.validate(text.span, depthMax: depthMax, topLevel: topLevel)
    } catch {
        check(error.offset >= 0 && error.offset <= text.count, "an error beyond the text")
        check(!error.description.isEmpty, "an error without words")
        return
    }
    check(isUTF8(text.span), "a text that is not UTF-8 is taken")
    guard let written = rewrite(text, depthMax) else {
        check(false, "a text is valid once and not again")
        return
    }
    guard let again = rewrite(written, depthMax) else {
        check(false, "what was written again is not valid")
        return
    }
    check(written == again, "a text changes its meaning when it is written again")
}

private func rewrite(_ text: [UInt8], _ depthMax: Int) -> [UInt8]? {
    var index = JSONIndex()
    do throws(JSONError) {
        try index.read(text.span, limits: JSONLimits(depthMax: depthMax), topLevel: .any)
    } catch {
        check(index.root == nil, "a text that was refused is kept")
        return nil
    }
    guard let root = index.root else { return nil }
    var output: [UInt8] = []
    write(root, index, text, &output)
    return output
}

/// Recursion ends at the depth limit of the text.
private func write(_ value: JSONValue, _ index: borrowing JSONIndex, _ text: [UInt8], _ output: inout [UInt8]) {
    switch value.kind {
    case .object, .array:
        let isObject = value.kind == .object
        output.append(isObject ? 0x7B : 0x5B)
        var item = index.child(after: nil, of: value)
        var count = 0
        while let current = item {
            if count > 0 { output.append(0x2C) }
            count += 1
            if isObject {
                let name = unescaped(text.span.bytes(at: index.nameRange(of: current)))
                if index.nodes.count < 64 {
                    check(
                        index.member(name.span, of: value, in: text.span) == current,
                        "a member is not found by name")
                }
                output.append(jsonString: String(decoding: name, as: UTF8.self))
                output.append(0x3A)
            }
            write(current, index, text, &output)
            item = index.child(after: current, of: value)
        }
        check(count == index.childCount(of: value), "children are not counted")
        output.append(isObject ? 0x7D : 0x5D)
    case .string:
        guard let string = value.string(in: text.span) else {
            check(false, "a string without text")
            return
        }
        check(isUTF8(string.span), "a string that is not UTF-8")
        check(isString(value, in: text.span, equalTo: string.span), "a string is not equal to itself")
        output.append(jsonString: String(decoding: string, as: UTF8.self))
    default: output.append(copying: text.span.bytes(at: value.range))
    }
}

private func unescaped(_ raw: Span<UInt8>) -> [UInt8] {
    var bytes = UnescapedBytes(raw)
    var result: [UInt8] = []
    while let byte = bytes.next() { result.append(byte) }
    return result
}

/// A date as a number's text, held against the same number as a double.
func fuzzNumericDate(_ text: [UInt8]) {
    guard let date = NumericDate(text.span) else {
        guard isNumber(text), let value = Double(String(decoding: text, as: UTF8.self)) else { return }
        check(!(value > 1 && value < 9e15), "a date within its range is refused")
        return
    }
    check(date.floor >= 1 && date.floor <= NumericDate.secondsMax, "a date beyond its range")
    check(date.ceiling == date.floor || date.ceiling == date.floor + 1, "a fraction of more than a second")
    guard isNumber(text), let value = Double(String(decoding: text, as: UTF8.self)) else { return }
    check(abs(Double(date.floor) - value) <= 1, "a date that is another number")
}

private func isNumber(_ text: [UInt8]) -> Bool {
    guard let first = text.first, first == 0x2D || first >= 0x30 && first <= 0x39 else { return false }
    return (try? scanNumber(text.span, from: 0)) == text.count
}

/// base64url has one spelling, and both decoders read it alike.
func fuzzBase64(_ text: [UInt8]) {
    let decoded = Base64URL.decode(text.span)
    var room = [UInt8](repeating: 0, count: Base64URL.decodedCount(text.count) + 8)
    var span = room.mutableSpan
    let count = Base64URL.decodeInBlocks(text.span, into: &span)
    check(count == decoded?.count, "two decoders disagree")
    guard let decoded, let count else { return }
    check(Array(room[0..<count]) == decoded, "two decoders read two values")
    check(Base64URL.encode(decoded.span) == text, "a second spelling is taken")
}

func fuzzScope(_ text: [UInt8]) {
    let words = text.split(separator: 0x20, omittingEmptySubsequences: false)
    let areTokens = words.allSatisfy { ScopeSyntax.isToken(Array($0).span) }
    check(ScopeSyntax.count(text.span) == (areTokens ? words.count : nil), "scopes are counted wrong")
}
