/// Reads an RFC 3339 date-time with its zone (§5.6), as `2026-12-01T00:00:00Z` or `…+01:00`.
/// - Returns: Unix seconds; a fraction is cut off.
func readTime(_ text: ArraySlice<UInt8>) throws(TextProblem) -> Int64 {
    let bytes = Array(text)
    func problem(_ offset: Int, _ message: String) -> TextProblem {
        TextProblem(
            code: .badTime, offset: min(offset, bytes.count), message: "\(quoted(text)) \(message)",
            mend: "write date, time and zone as in `2026-12-01T00:00:00Z`")
    }
    func number(_ start: Int, _ count: Int, _ range: ClosedRange<Int>) throws(TextProblem) -> Int {
        var value = 0
        for index in start..<start + count {
            guard index < bytes.count, isDigit(bytes[index]) else {
                throw problem(index, "is not a time with its zone (RFC 3339)")
            }
            value = value * 10 + Int(bytes[index] - 0x30)
        }
        guard range.contains(value) else { throw problem(start, "is not a time that exists") }
        return value
    }
    func sign(_ index: Int, _ wanted: [UInt8]) throws(TextProblem) {
        guard index < bytes.count, wanted.contains(bytes[index]) else {
            throw problem(index, "is not a time with its zone (RFC 3339)")
        }
    }
    let year = try number(0, 4, 1970...9999)
    try sign(4, [0x2D])
    let month = try number(5, 2, 1...12)
    try sign(7, [0x2D])
    let day = try number(8, 2, 1...daysIn(month: month, year: year))
    try sign(10, [0x54, 0x74])
    let hour = try number(11, 2, 0...23)
    try sign(13, [0x3A])
    let minute = try number(14, 2, 0...59)
    try sign(16, [0x3A])
    let second = try number(17, 2, 0...59)
    var index = 19
    if index < bytes.count, bytes[index] == 0x2E {
        index += 1
        let digits = bytes[index...].prefix(while: isDigit).count
        guard digits > 0 else { throw problem(index, "is not a time with its zone (RFC 3339)") }
        index += digits
    }
    var offsetMinutes = 0
    guard index < bytes.count else { throw problem(index, "has no zone") }
    switch bytes[index] {
    case 0x5A, 0x7A: index += 1
    case 0x2B, 0x2D:
        let east = bytes[index] == 0x2B
        let hours = try number(index + 1, 2, 0...23)
        try sign(index + 3, [0x3A])
        let minutes = try number(index + 4, 2, 0...59)
        offsetMinutes = (hours * 60 + minutes) * (east ? 1 : -1)
        index += 6
    default: throw problem(index, "has no zone")
    }
    guard index == bytes.count else { throw problem(index, "goes on after the zone") }
    let seconds = daysSince1970(year: year, month: month, day: day) * 86_400 + hour * 3_600
    return Int64(seconds + minute * 60 + second - offsetMinutes * 60)
}

/// `2026-12-01T00:00:00Z` for Unix seconds; years beyond 9999 are clamped.
func timeText(_ unixSeconds: Int64) -> String {
    let seconds = Int(min(max(unixSeconds, 0), 253_402_300_799))
    var days = seconds / 86_400
    var year = 1970
    while true {
        let length = isLeap(year) ? 366 : 365
        if days < length { break }
        days -= length
        year += 1
    }
    var month = 1
    while days >= daysIn(month: month, year: year) {
        days -= daysIn(month: month, year: year)
        month += 1
    }
    let rest = seconds % 86_400
    return
        "\(padded(year, 4))-\(padded(month, 2))-\(padded(days + 1, 2))T"
        + "\(padded(rest / 3_600, 2)):\(padded(rest / 60 % 60, 2)):\(padded(rest % 60, 2))Z"
}

private func padded(_ value: Int, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

private func isLeap(_ year: Int) -> Bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

private func daysIn(month: Int, year: Int) -> Int {
    switch month {
    case 4, 6, 9, 11: 30
    case 2: isLeap(year) ? 29 : 28
    default: 31
    }
}

private func daysSince1970(year: Int, month: Int, day: Int) -> Int {
    let before = year - 1
    let leapDays = before / 4 - before / 100 + before / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400)
    var days = (year - 1970) * 365 + leapDays + day - 1
    for earlier in 1..<month { days += daysIn(month: earlier, year: year) }
    return days
}

/// Reads a duration: a whole number and `s`, `m` or `h`, as `30s`, `5m`, `24h`, and `d` where long ones make sense.
func readDuration(
    _ text: ArraySlice<UInt8>, seconds: ClosedRange<Int>, example: String, takesDays: Bool = false
) throws(TextProblem) -> Int {
    var factors: [UInt8: Int] = [0x73: 1, 0x6D: 60, 0x68: 3_600]
    if takesDays { factors[0x64] = 86_400 }
    let units = takesDays ? "`s`, `m`, `h` or `d`" : "`s`, `m` or `h`"
    let mend = "write a whole number with \(units), as in `\(example)`"
    guard let unit = text.last, let factor = factors[unit], let number = decimal(text.dropLast()) else {
        throw TextProblem(
            code: .badDuration, offset: 0, message: "\(quoted(text)) is not a duration", mend: mend)
    }
    let value = number * factor
    guard value <= seconds.upperBound else {
        let limit = takesDays ? durationText(seconds.upperBound) : "\(seconds.upperBound)s"
        throw TextProblem(
            code: .badDuration, offset: 0, message: "\(quoted(text)) is more than \(seconds.upperBound) seconds",
            mend: "write at most `\(limit)`")
    }
    guard value >= seconds.lowerBound else {
        throw TextProblem(
            code: .badDuration, offset: 0, message: "\(quoted(text)) is less than `\(seconds.lowerBound)s`",
            mend: "write at least `\(seconds.lowerBound)s`")
    }
    return value
}

/// Reads a short duration: a whole number and `ms` or `s`, as `800ms`, `2s`.
func readMilliseconds(
    _ text: ArraySlice<UInt8>, _ range: ClosedRange<Int>, example: String
) throws(TextProblem) -> Int {
    let isShort = text.suffix(2).elementsEqual("ms".utf8)
    guard text.last == 0x73, let number = decimal(text.dropLast(isShort ? 2 : 1)) else {
        throw TextProblem(
            code: .badDuration, offset: 0, message: "\(quoted(text)) is not a duration",
            mend: "write a whole number with `ms` or `s`, as in `\(example)`")
    }
    let value = isShort ? number : number * 1_000
    guard range.contains(value) else {
        let isMore = value > range.upperBound
        let limit = isMore ? range.upperBound : range.lowerBound
        let limitText = limit % 1_000 == 0 ? "\(limit / 1_000)s" : "\(limit)ms"
        throw TextProblem(
            code: .badDuration, offset: 0,
            message: "\(quoted(text)) is \(isMore ? "more" : "less") than `\(limitText)`",
            mend: "write at \(isMore ? "most" : "least") `\(limitText)`")
    }
    return value
}

/// `90s`, `5m`, `24h`, `30d`: in the largest unit that it is a whole number of, days from two on.
func durationText(_ seconds: Int) -> String {
    if seconds >= 2 * 86_400, seconds % 86_400 == 0 { return "\(seconds / 86_400)d" }
    if seconds >= 3_600, seconds % 3_600 == 0 { return "\(seconds / 3_600)h" }
    if seconds >= 60, seconds % 60 == 0 { return "\(seconds / 60)m" }
    return "\(seconds)s"
}
