/// Unix seconds of an RFC 3339 date-time with its zone, or nil when the text is none.
public func unixSecondsOfTimestamp(_ text: String) -> Int64? {
    do throws(TextProblem) {
        return try readTime(Array(text.utf8)[...])
    } catch {
        return nil
    }
}

/// RFC 3339 text in UTC of Unix seconds; years before 1970 and beyond 9999 are clamped.
public func timestamp(_ unixSeconds: Int64) -> String { timeText(unixSeconds) }
