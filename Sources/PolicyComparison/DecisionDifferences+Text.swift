extension DecisionDifferences {
    /// For people: two lines a kind, then the counts.
    ///
    /// Example: `opens   12 × client web, orders POST /orders: insufficient_scope → granted`
    /// - Parameters:
    ///   - rowsMax: kinds to show.
    ///   - timestamp: makes a time of Unix seconds.
    public func text(rowsMax: Int, timestamp: (Int64) -> String) -> String {
        let rows = sorted
        var text = ""
        for row in rows.prefix(rowsMax) {
            let kind = row.kind
            let client = kind.client.isEmpty ? "no client" : "client \(printable(kind.client))"
            let before = kind.routeBefore.isEmpty ? "no route" : printable(kind.routeBefore)
            let after = kind.routeAfter.isEmpty ? "no route" : printable(kind.routeAfter)
            let route = before == after ? before : "\(before) → \(after)"
            let direction = row.direction.rawValue + String(repeating: " ", count: 6 - row.direction.rawValue.count)
            text += "\(direction)  \(row.count) × \(client), \(route): \(kind.before) → \(kind.after)\n"
            text += "        as \(printable(row.example)), last at \(timestamp(row.lastAt))\n"
        }
        if rows.count > rowsMax { text += "and \(rows.count - rowsMax) further kinds; --limit shows more\n" }
        if othersCount > 0 { text += "and \(othersCount) decisions of kinds beyond those that are kept\n" }
        text += "\(sameCount) the same; \(count(.opens)) would be allowed that were denied, "
        text += "\(count(.closes)) denied that were allowed, "
        text += "\(count(.shifts)) change their reason or route; \(unknownCount) unknown"
        return text
    }

    /// Values of clients must not move a terminal's cursor.
    private func printable(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            result.append(scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) ? "?" : scalar)
        }
        return String(result)
    }
}
