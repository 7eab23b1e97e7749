import Octets

@testable import Tokens

// MARK: B9, B12–B14, B33 form

let formRows: [AttackCase] = {
    let good = text((try? token()) ?? [])
    let parts = good.split(separator: ".").map(String.init)
    guard parts.count == 3 else { preconditionFailure("no good token") }
    let (head, body, signature) = (parts[0], parts[1], parts[2])
    func same(_ id: String, _ what: String, _ expected: String, _ token: String) -> AttackCase {
        AttackCase(id: id, what: what, token: bytes(token), expected: expected)
    }
    return [
        same(
            "B9", "flattened JSON serialisation", "token_malformed",
            "{\"payload\":\"\(body)\",\"protected\":\"\(head)\"}"),
        same("B9", "detached payload", "token_malformed", "\(head)..\(signature)"),
        same("B12", "padding", "token_malformed", "\(head).\(body).\(signature)="),
        same("B12", "padding in the header", "token_malformed", "\(head)=.\(body).\(signature)"),
        same("B12", "space behind", "token_malformed", good + " "),
        same("B12", "space in front", "token_malformed", " " + good),
        same("B12", "line end behind", "token_malformed", good + "\n"),
        same("B12", "line end inside", "token_malformed", "\(head).\(body)\r\n.\(signature)"),
        same("B12", "standard alphabet", "token_malformed", "\(head).\(body).+/\(signature.dropFirst(2))"),
        same("B12", "4n+1 characters", "token_malformed", "\(head).\(body).\(signature)AAA"),
        same("B12", "a character outside the alphabet", "token_malformed", "\(head).\(body)~.\(signature)"),
        same("B12", "a byte above 0x7F", "token_malformed", "\(head).\(body)é.\(signature)"),
        same("B12", "NUL", "token_malformed", "\(head).\(body)\u{0}.\(signature)"),
        same("B12", "quotes around", "token_malformed", "\"\(good)\""),
        same("B13", "a thousand dots", "token_malformed", String(repeating: ".", count: 1_000)),
        same("B13", "only dots up to the limit", "token_malformed", String(repeating: ".", count: 16_384)),
        same("B13", "one byte too many", "token_too_large", String(repeating: "A", count: 16_385)),
        same("B13", "at the limit", "token_malformed", String(repeating: "A", count: 16_384)),
        same("B13", "megabytes", "token_too_large", String(repeating: "A.", count: 1 << 20)),
        same("B14", "empty", "token_malformed", ""),
        same("B14", "one part", "token_malformed", head),
        same("B14", "two parts", "token_malformed", "\(head).\(body)"),
        same("B14", "four parts", "token_malformed", "\(good).AAAA"),
        same("B14", "six parts", "token_malformed", "a.b.c.d.e.f"),
        same("B14", "dot in front", "token_malformed", ".\(body).\(signature)"),
        same("B14", "empty parts in front", "token_encrypted", "..\(good)"),
        same("B14", "one empty part in front", "token_malformed", ".\(good)"),
        same("B14", "empty signature", "token_malformed", "\(head).\(body)."),
        same("B33", "five parts", "token_encrypted", "\(head).a.b.c.d"),
        same("B33", "five empty parts", "token_encrypted", "...."),
    ] + trailingBits(head, body, signature)
}()

/// The last character of a part with unused bits set: the same bytes in a lenient reader.
private func trailingBits(_ head: String, _ body: String, _ signature: String) -> [AttackCase] {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    guard let last = signature.last, let place = alphabet.firstIndex(of: last), signature.count % 4 != 0
    else {
        preconditionFailure("the signature has no unused bits")
    }
    return (1..<(signature.count % 4 == 2 ? 16 : 4)).map { bits in
        let changed = String(signature.dropLast()) + String(alphabet[place + bits])
        return AttackCase(
            id: "B12", what: "unused bits \(bits)", token: bytes("\(head).\(body).\(changed)"),
            expected: "token_malformed")
    }
}

// MARK: B10, B11, B15 JSON

let jsonRows: [AttackCase] = {
    let head = header(TestKeys.es256)
    let body = claims()
    func badHeader(_ id: String, _ what: String, _ text: [UInt8]) -> AttackCase {
        row(id, "header \(what)", "header_malformed") { try token(bytes(body), header: text) }
    }
    func badClaims(_ id: String, _ what: String, _ text: [UInt8]) -> AttackCase {
        row(id, "claims \(what)", "claims_malformed") { try token(text, header: bytes(head)) }
    }
    func utf16(_ text: String) -> [UInt8] { text.utf16.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] } }
    func inside(_ text: String, _ more: String) -> [UInt8] {
        bytes(String(text.dropLast()) + "," + more + "}")
    }
    var rows: [AttackCase] = []
    for (what, more) in [
        ("duplicate", "\"alg\":\"ES256\""), ("duplicate kid", "\"kid\":\"e1\""),
        ("escaped duplicate", "\"\\u0061lg\":\"none\""), ("nested duplicate", "\"x\":{\"a\":1,\"a\":2}"),
    ] { rows.append(badHeader("B10", what, inside(head, more))) }
    for (what, more) in [
        ("duplicate scope", "\"scope\":\"orders:admin\""),
        ("escaped duplicate", "\"sc\\u006fpe\":\"orders:admin\""),
        ("duplicate exp", "\"exp\":9999999999"),
        ("nested duplicate", "\"cnf\":{\"jkt\":\"a\",\"jkt\":\"b\"}"),
        ("duplicate unknown", "\"q\":1,\"q\":1"), ("duplicate in an array", "\"q\":[{\"a\":1,\"a\":1}]"),
    ] { rows.append(badClaims("B10", what, inside(body, more))) }
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    rows += [
        badHeader("B11", "byte order mark", mark + bytes(head)),
        badClaims("B11", "byte order mark", mark + bytes(body)),
        badHeader("B11", "UTF-16", utf16(head)), badClaims("B11", "UTF-16", utf16(body)),
        badClaims("B11", "UTF-16 with mark", [0xFF, 0xFE] + utf16(body)),
        badClaims(
            "B11", "invalid UTF-8",
            bytes(String(body.dropLast()) + ",\"q\":\"") + [0xC0, 0x80] + bytes("\"}")),
        badClaims(
            "B11", "surrogate as UTF-8",
            bytes(String(body.dropLast()) + ",\"q\":\"") + [0xED, 0xA0, 0x80] + bytes("\"}")),
        badClaims("B11", "lone surrogate", inside(body, "\"q\":\"\\ud800\"")),
        badClaims("B11", "NUL escape", inside(body, "\"q\":\"\\u0000\"")),
        badClaims("B11", "NUL in a name", inside(body, "\"scope\\u0000\":\"orders:admin\"")),
        badClaims("B11", "raw control", inside(body, "\"q\":\"\n\"")),
        badHeader("B15", "not an object", bytes("[]")), badHeader("B15", "a string", bytes("\"ES256\"")),
        badClaims("B15", "an array", bytes("[\(body)]")), badClaims("B15", "no JSON", bytes("hello")),
        badClaims("B15", "garbage behind", bytes(body + "x")),
        badClaims("B15", "two objects", bytes(body + body)),
        badClaims("B15", "trailing comma", bytes(String(body.dropLast()) + ",}")),
        badClaims("B15", "comment", bytes("/**/" + body)),
        badHeader("B15", "trailing comma", bytes(String(head.dropLast()) + ",}")),
        badHeader(
            "B15", "depth 9",
            inside(head, "\"x\":" + String(repeating: "[", count: 8) + String(repeating: "]", count: 8))),
        badClaims(
            "B15", "depth 33",
            inside(body, "\"x\":" + String(repeating: "[", count: 32) + String(repeating: "]", count: 32))),
        badClaims("B15", "brackets to the limit", [UInt8](repeating: 0x5B, count: 11_000)),
        badHeader("B15", "65 members", inside(head, (0..<62).map { "\"n\($0)\":0" }.joined(separator: ","))),
        badClaims(
            "B15", "257 members", inside(body, (0..<249).map { "\"n\($0)\":0" }.joined(separator: ","))),
        row("B15", "depth 32", "verified") {
            try token(
                inside(
                    body, "\"x\":" + String(repeating: "[", count: 31) + String(repeating: "]", count: 31)),
                header: bytes(head))
        },
        row("B15", "256 members", "verified") {
            try token(
                inside(body, (0..<248).map { "\"n\($0)\":0" }.joined(separator: ",")), header: bytes(head))
        },
        row("B15", "a number without end in a claim nobody reads", "verified") {
            try token(
                inside(body, "\"q\":1e999999,\"r\":" + String(repeating: "9", count: 2_000)),
                header: bytes(head))
        },
    ]
    return rows
}()
