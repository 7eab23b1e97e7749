@testable import Decision
import Octets

/// What a target came to.
struct TargetReading: Equatable {
    var path: String
    var decoded: String
    var authority: String?

    init(_ path: String, _ decoded: String, authority: String? = nil) {
        self.path = path
        self.decoded = decoded
        self.authority = authority
    }
}

/// The target as the module reads it; nil when it is refused.
func read(_ target: [UInt8]) -> TargetReading? {
    var canonical = CanonicalTarget()
    return read(target, with: &canonical)
}

func read(_ target: String) -> TargetReading? { read(bytes(target)) }

func read(_ target: [UInt8], with canonical: inout CanonicalTarget) -> TargetReading? {
    guard canonical.read(target.span) else { return nil }
    let authority =
        canonical.authority.isPresent ? String(lossy: target.span.bytes(at: canonical.authority)) : nil
    return TargetReading(
        String(lossy: canonical.path.bytes), String(lossy: canonical.decoded.bytes), authority: authority)
}

/// The same rules, written with strings and in passes: slow and plain.
func reference(_ target: [UInt8]) -> TargetReading? {
    guard !target.isEmpty, target.count <= 8_192 else { return nil }
    // Latin-1, so that one scalar is one byte.
    var rest = String(String.UnicodeScalarView(target.map { Unicode.Scalar($0) }))
    var authority: String?
    if !rest.hasPrefix("/") {
        let parts = rest.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 4, ["http:", "https:"].contains(parts[0].lowercased()), parts[1].isEmpty,
            !parts[2].isEmpty
        else { return nil }
        authority = text(parts[2].unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) })
        rest = "/" + parts[3]
    }
    if rest.unicodeScalars.contains(where: { $0.value <= 0x20 || $0.value == 0x7F || $0 == "#" }) {
        return nil
    }
    let path = rest.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)[0]
    if path.unicodeScalars.contains(where: { $0.value >= 0x80 || $0 == "\\" || $0 == ";" }) { return nil }
    let segments = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
    guard segments.count <= 64 else { return nil }
    var canonical = ""
    var decoded: [UInt8] = []
    for (number, segment) in segments.enumerated() {
        guard let plain = decode(segment) else { return nil }
        guard !plain.isEmpty || number == segments.count - 1 else { return nil }
        let name = plain.prefix { $0 != UInt8(ascii: ";") }
        if name.elementsEqual(bytes(".")) || name.elementsEqual(bytes("..")) { return nil }
        guard String(validating: plain, as: UTF8.self) != nil else { return nil }
        canonical += "/" + spell(segment)
        decoded += [UInt8(ascii: "/")] + plain
    }
    return TargetReading(canonical, text(decoded), authority: authority)
}

/// The bytes of a segment, or nil for an escape that is none or that hides something.
private func decode(_ segment: Substring) -> [UInt8]? {
    var result: [UInt8] = []
    let parts = segment.split(separator: "%", omittingEmptySubsequences: false)
    for (number, part) in parts.enumerated() {
        guard number > 0 else {
            result += part.utf8
            continue
        }
        let digits = part.prefix(2)
        guard digits.utf8.count == 2, digits.allSatisfy({ $0.isASCII && $0.isHexDigit }),
            let value = UInt8(digits, radix: 16), value > 0x1F, ![0x2F, 0x5C, 0x25, 0x7F].contains(value)
        else { return nil }
        result.append(value)
        result += part.dropFirst(2).utf8
    }
    return result
}

/// The canonical spelling of a segment that can be decoded.
private func spell(_ segment: Substring) -> String {
    let unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
    let kept = unreserved + "!$&'()*+,=:@"
    var result = ""
    var rest = Substring(segment)
    while let first = rest.first {
        var value = first.asciiValue ?? 0
        var isEscape = false
        if first == "%" {
            value = UInt8(rest.dropFirst().prefix(2), radix: 16) ?? 0
            isEscape = true
        }
        rest = rest.dropFirst(isEscape ? 3 : 1)
        let character = Character(Unicode.Scalar(value))
        if isEscape ? unreserved.contains(character) : kept.contains(character) {
            result.append(character)
        } else {
            let digits = String(value, radix: 16, uppercase: true)
            result += "%" + (digits.utf8.count < 2 ? "0" : "") + digits
        }
    }
    return result
}
