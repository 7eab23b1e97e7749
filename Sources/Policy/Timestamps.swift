/// Unix seconds of an RFC 3339 date-time with its zone, or nil when the text is none.
public func unixSecondsOfTimestamp(_ text: String) -> Int64? {
    do throws(TextProblem) {
        return try readTime(Array(text.utf8)[...])
    } catch {
        return nil
    }
}
