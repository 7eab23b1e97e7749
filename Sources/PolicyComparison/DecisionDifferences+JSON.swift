public import Tokens

extension DecisionDifferences {
    /// Adds `same`, `opens`, `closes`, `shifts`, `unknown`, `others` and `differences`, a list of at most `rowsMax`.
    public func add(to writer: inout JSONObjectWriter, rowsMax: Int) {
        writer.add("same", number: Int64(sameCount))
        writer.add("opens", number: Int64(count(.opens)))
        writer.add("closes", number: Int64(count(.closes)))
        writer.add("shifts", number: Int64(count(.shifts)))
        writer.add("unknown", number: Int64(unknownCount))
        writer.add("others", number: Int64(othersCount))
        let objects = sorted.prefix(rowsMax).map { row in
            var object = JSONObjectWriter()
            object.add("direction", string: row.direction.rawValue)
            object.add("count", number: Int64(row.count))
            object.add("client", string: row.kind.client)
            object.add("route_before", string: row.kind.routeBefore)
            object.add("route_after", string: row.kind.routeAfter)
            object.add("before", string: row.kind.before)
            object.add("after", string: row.kind.after)
            object.add("example", string: row.example)
            object.add("first_at", number: row.firstAt)
            object.add("last_at", number: row.lastAt)
            return object.text()
        }
        writer.add("differences", json: [0x5B] + Array(objects.joined(separator: [0x2C])) + [0x5D])
    }
}
