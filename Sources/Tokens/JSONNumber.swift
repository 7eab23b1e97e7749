/// Scans a number (RFC 8259 §6).
/// - Returns: the offset after it. What follows is the caller's to judge.
func scanNumber(_ text: Span<UInt8>, from start: Int) throws(JSONError) -> Int {
    var at = start
    if text[at] == 0x2D { at += 1 }
    guard at < text.count else { throw JSONError(.truncated, at: at) }
    if text[at] == 0x30 {
        at += 1
    } else {
        at = try scanDigits(text, at)
    }
    if at < text.count, text[at] == 0x2E { at = try scanDigits(text, at + 1) }
    if at < text.count, text[at] | 0x20 == 0x65 {
        at += 1
        if at < text.count, text[at] == 0x2B || text[at] == 0x2D { at += 1 }
        at = try scanDigits(text, at)
    }
    return at
}

/// One or more digits.
private func scanDigits(_ text: Span<UInt8>, _ start: Int) throws(JSONError) -> Int {
    var at = start
    while at < text.count, isDigit(text[at]) { at += 1 }
    guard at > start else { throw JSONError(at < text.count ? .invalidNumber : .truncated, at: at) }
    return at
}

@inline(always)
private func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

/// A NumericDate (RFC 7519 §2): seconds since 1970-01-01T00:00:00Z, fractions allowed, computed from the
/// decimal digits without a floating-point step.
public struct NumericDate: Sendable, Equatable {
    /// The last second that a double still tells from its neighbours, so that no reader of the same token
    /// rounds it to another.
    public static let secondsMax: Int64 = 1 << 53

    /// Whole seconds, fractions cut off: when `exp` is read so, a token never lives longer than it says.
    public let floor: Int64
    /// Whole seconds, fractions counted as one: for `nbf`.
    public let ceiling: Int64

    /// Reads the text of a JSON number. Exponents are resolved exactly: `1.7e9` is 1700000000.
    /// - Returns: nil outside 1 to 2^53 seconds (negative, 0, 0.5, 1e999), or when it is no number.
    public init?(_ text: Span<UInt8>) {
        // What nearly every token has: digits alone, too few to pass the last second.
        if text.count <= 15 {
            var seconds: Int64 = 0
            var place = 0
            while place < text.count, isDigit(text[place]) {
                seconds = seconds &* 10 &+ Int64(text[place] &- 0x30)
                place += 1
            }
            if place == text.count, seconds > 0 {
                floor = seconds
                ceiling = seconds
                return
            }
        }
        guard text.count > 0, isDigit(text[0]), let exponent = NumericDate.exponent(of: text) else {
            return nil
        }
        // Digits of the significand that stand before the decimal point once the exponent has moved it.
        var wholeDigits = exponent.value
        var index = 0
        while index < exponent.significandEnd, isDigit(text[index]) {
            index += 1
            wholeDigits += 1
        }
        var whole: Int64 = 0
        var hasFraction = false
        var position = 0
        index = 0
        while index < exponent.significandEnd {
            defer { index += 1 }
            guard text[index] != 0x2E else { continue }
            guard isDigit(text[index]) else { return nil }
            let digit = Int64(text[index] - 0x30)
            if position < wholeDigits {
                whole = whole * 10 + digit
                guard whole <= NumericDate.secondsMax else { return nil }
            } else if digit != 0 {
                hasFraction = true
            }
            position += 1
        }
        // `1e9`: the point lies behind the last digit written.
        while position < wholeDigits, whole > 0 {
            whole *= 10
            guard whole <= NumericDate.secondsMax else { return nil }
            position += 1
        }
        guard whole >= 1, whole < NumericDate.secondsMax || !hasFraction else { return nil }
        floor = whole
        ceiling = hasFraction ? whole + 1 : whole
    }

    /// Where the significand ends and the exponent's value, which is kept within ±99,999: more than any
    /// token has digits.
    private static func exponent(of text: Span<UInt8>) -> (significandEnd: Int, value: Int)? {
        var end = 0
        while end < text.count, text[end] | 0x20 != 0x65 { end += 1 }
        guard end < text.count else { return (end, 0) }
        var at = end + 1
        var isNegative = false
        if at < text.count, text[at] == 0x2B || text[at] == 0x2D {
            isNegative = text[at] == 0x2D
            at += 1
        }
        guard at < text.count else { return nil }
        var value = 0
        while at < text.count {
            guard isDigit(text[at]) else { return nil }
            value = min(value * 10 + Int(text[at] - 0x30), 99_999)
            at += 1
        }
        return (end, isNegative ? -value : value)
    }
}
